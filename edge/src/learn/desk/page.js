"use strict";
// Shows lessons and takes corrections. Nothing is asked of anyone but this page's own server.

const $ = (id) => document.getElementById(id);
const COLOURS = { yes: "#00c853", unsure: "#ffab00", no: "#ff1744" };
const HANDLE = 10; // the corner that resizes, in pixels of the screen
const SMALLEST = 4; // a box, in pixels of the picture

let session = sessionStorage.getItem("session");
let lessons = [];
let current = null; // the lesson that is shown
let picture = null;
let boxes = []; // {class, box: [x, y, w, h], state, source}
let selected = -1;
let drag = null;
let changed = false;

function tell(text) { $("told").textContent = text; }

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: { "x-volet-session": session, ...options.headers } });
  if (!answer.ok) throw new Error(await answer.text() || `the server answers ${answer.status}`);
  return answer;
}

async function begin() {
  const token = location.hash.slice(1);
  // The token is worth nothing once it was used, and does not stay in the address.
  history.replaceState(null, "", location.pathname);
  if (token) {
    const answer = await fetch("api/session", { method: "POST", body: token });
    if (!answer.ok) throw new Error(await answer.text());
    session = await answer.text();
    sessionStorage.setItem("session", session);
  }
  const listed = await (await ask("api/lessons")).json();
  lessons = listed.lessons;
  for (const name of listed.classes) $("class").append(new Option(name));
  listLessons();
  if (lessons.length) await open(lessons[0].lesson);
  else tell("There are no lessons yet.");
}

function listLessons() {
  $("lessons").replaceChildren(...lessons.map((lesson) => {
    const button = document.createElement("button");
    button.type = "button";
    button.id = `lesson-${lesson.lesson}`;
    button.textContent = `${lesson.lesson}, ${lesson.day}${lesson.held_out ? ", held out" : ""}${lesson.corrected ? ", yours" : ""}`;
    button.setAttribute("aria-current", lesson.lesson === current);
    button.onclick = () => leave() && run(open(lesson.lesson));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
}

function leave() { return !changed || confirm("Leave this picture without saving?"); }

async function open(number) {
  document.body.dataset.state = "loading";
  const shown = await (await ask(`api/lessons/${number}`)).json();
  const bytes = await (await ask(`api/lessons/${number}/picture`)).blob();
  if (picture) picture.close();
  picture = await createImageBitmap(bytes);
  current = number;
  boxes = shown.labels.map((l) => ({ class: l.class, box: l.box, state: l.ignore ? "unsure" : "yes", source: l.source }));
  selected = -1;
  changed = false;
  [$("picture").width, $("picture").height] = [picture.width, picture.height];
  tell("");
  listLessons();
  draw();
  document.body.dataset.state = "ready";
}

function scale() { return $("picture").width / $("picture").getBoundingClientRect().width; }

function draw() {
  const context = $("picture").getContext("2d");
  context.drawImage(picture, 0, 0);
  const thick = 2 * scale();
  boxes.forEach(({ box: [x, y, w, h], state }, index) => {
    context.strokeStyle = COLOURS[state];
    context.lineWidth = index === selected ? 1.5 * thick : thick;
    context.setLineDash(state === "yes" ? [] : [3 * thick, 2 * thick]);
    context.strokeRect(x, y, w, h);
    context.setLineDash([]);
    if (state === "no") {
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(x + w, y + h);
      context.stroke();
    }
    if (index === selected) {
      const side = HANDLE * scale();
      context.fillStyle = COLOURS[state];
      context.fillRect(x + w - side / 2, y + h - side / 2, side, side);
    }
  });
  $("boxes").replaceChildren(...boxes.map((one, index) => {
    const button = document.createElement("button");
    button.type = "button";
    const says = { yes: "", unsure: " (unsure)", no: ` (not a ${one.class}: will be background)` }[one.state];
    button.textContent = `${one.class} at ${one.box.map((v) => Math.round(v)).join(", ")}${says}${one.source ? `, by ${one.source}` : ""}`;
    button.setAttribute("aria-current", index === selected);
    button.onclick = () => { selected = index; draw(); };
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
  for (const id of ["yes", "unsure", "no", "remove"]) $(id).disabled = selected < 0;
}

function where(event) {
  const corner = $("picture").getBoundingClientRect();
  return [(event.clientX - corner.left) * scale(), (event.clientY - corner.top) * scale()];
}

function within(v, least, most) { return Math.min(Math.max(v, least), most); }

$("picture").onpointerdown = (event) => {
  if (!picture || event.button !== 0) return;
  $("picture").setPointerCapture(event.pointerId);
  const [x, y] = where(event);
  const near = HANDLE * scale();
  if (selected >= 0) {
    const [bx, by, bw, bh] = boxes[selected].box;
    if (Math.abs(x - bx - bw) <= near && Math.abs(y - by - bh) <= near) {
      drag = { kind: "resize", index: selected, x: bx, y: by };
      return;
    }
  }
  // The smallest that the pointer is in: a face lies in its person.
  const hit = boxes.map(({ box: [bx, by, bw, bh] }, index) => ({ index, bx, by, bw, bh }))
    .filter(({ bx, by, bw, bh }) => x >= bx && x <= bx + bw && y >= by && y <= by + bh)
    .sort((a, b) => a.bw * a.bh - b.bw * b.bh)[0];
  if (hit) {
    selected = hit.index;
    drag = { kind: "move", index: hit.index, dx: x - hit.bx, dy: y - hit.by };
  } else {
    boxes.push({ class: $("class").value, box: [x, y, 0, 0], state: "yes", source: null });
    selected = boxes.length - 1;
    drag = { kind: "resize", index: selected, x, y, fresh: true };
  }
  draw();
};

$("picture").onpointermove = (event) => {
  if (!drag) return;
  const [x, y] = where(event);
  const { width, height } = $("picture");
  const one = boxes[drag.index];
  const [, , w, h] = one.box;
  if (drag.kind === "move") {
    one.box = [within(x - drag.dx, 0, width - w), within(y - drag.dy, 0, height - h), w, h];
  } else {
    const [tx, ty] = [within(x, 0, width), within(y, 0, height)];
    one.box = [Math.min(drag.x, tx), Math.min(drag.y, ty), Math.abs(tx - drag.x), Math.abs(ty - drag.y)];
  }
  changed = true;
  draw();
};

$("picture").onpointerup = $("picture").onpointercancel = () => {
  if (!drag) return;
  const [, , w, h] = boxes[drag.index].box;
  if (w < SMALLEST || h < SMALLEST) {
    boxes.splice(drag.index, 1);
    selected = -1;
  }
  drag = null;
  draw();
};

function mark(state) {
  if (selected < 0) return;
  boxes[selected].state = state;
  changed = true;
  draw();
}

function remove() {
  if (selected < 0) return;
  boxes.splice(selected, 1);
  selected = -1;
  changed = true;
  draw();
}

async function save() {
  if (current === null) return;
  document.body.dataset.state = "saving";
  const labels = boxes.filter(({ state }) => state !== "no")
    .map((one) => ({ class: one.class, box: one.box, ignore: one.state === "unsure" }));
  const options = { method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify({ labels }) };
  const listed = await (await ask(`api/lessons/${current}`, options)).json();
  lessons = lessons.map((lesson) => (lesson.lesson === listed.lesson ? listed : lesson));
  await open(current);
  tell("Saved.");
}

async function next() {
  const at = lessons.findIndex((lesson) => lesson.lesson === current);
  if (at + 1 < lessons.length && leave()) await open(lessons[at + 1].lesson);
}

function run(promise) {
  promise.catch((error) => {
    document.body.dataset.state = "failed";
    tell(error.message);
  });
}

for (const state of ["yes", "unsure", "no"]) $(state).onclick = () => mark(state);
$("remove").onclick = remove;
$("save").onclick = () => run(save());
$("next").onclick = () => run(next());
$("picture").onkeydown = (event) => { if (event.key === "Delete" || event.key === "Backspace") remove(); };
window.onresize = () => picture && draw();
window.onbeforeunload = (event) => { if (changed) event.preventDefault(); };
run(begin());
