"use strict";
document.getElementById("boxes").addEventListener("change", function () {
  document.body.classList.toggle("no-boxes", !this.checked);
});
for (const frame of document.querySelectorAll("div.frame")) {
  const video = frame.querySelector("video"), overlay = frame.querySelector("svg");
  const template = overlay.querySelector("rect"), card = frame.closest("article");
  const timeline = card.querySelector(".timeline"), playhead = card.querySelector(".playhead");
  const data = JSON.parse(frame.querySelector("script").textContent), byFrame = new Map();
  for (const box of data.boxes) {
    if (byFrame.has(box[0])) byFrame.get(box[0]).push(box); else byFrame.set(box[0], [box]);
  }
  let drawn = -1;
  const draw = function (index) {
    if (playhead && video.duration) {
      playhead.style.display = "block";
      playhead.style.left = 100 * video.currentTime / video.duration + "%";
    }
    if (index === drawn) return;
    drawn = index;
    const rects = (byFrame.get(index) || []).map(function (box) {
      const rect = template.cloneNode();
      rect.setAttribute("class", data.classes[box[5]]);
      ["x", "y", "width", "height"].forEach(function (name, i) { rect.setAttribute(name, box[i + 1]); });
      return rect;
    });
    overlay.replaceChildren(...rects);
  };
  if (video.requestVideoFrameCallback) {
    const shown = function (now, meta) {
      draw(Math.round(meta.mediaTime * data.fps));
      video.requestVideoFrameCallback(shown);
    };
    video.requestVideoFrameCallback(shown);
  } else {
    const look = function () {
      draw(Math.floor(video.currentTime * data.fps + 0.01));
      requestAnimationFrame(look);
    };
    look();
  }
  if (timeline) timeline.addEventListener("click", function (event) {
    const place = timeline.getBoundingClientRect();
    if (video.duration) video.currentTime = video.duration * (event.clientX - place.left) / place.width;
  });
}
