//! What is filmed: synthetic people, rendered once at the largest size and made smaller from there, so that every size shows the same.
//!
//! Knows pictures and files; nothing of what is measured with them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use rayon::prelude::*;
use volet_synthetic::{Clip, ObjectClass, Still};

use super::stream::nv12;

/// Frames a second.
pub(super) const FPS: u32 = 15;
const LARGEST: (u32, u32) = (1920, 1080);

/// Consecutive pictures of one clip.
pub(super) struct Footage(Vec<Still>);

impl Footage {
    /// The same seed and number give the same pictures.
    pub(super) fn render(seed: u64, pictures: u32) -> Self {
        let clip = Clip::new(seed, LARGEST.0, LARGEST.1, FPS, pictures);
        Self((0..pictures).into_par_iter().map(|index| clip.frame(index)).collect())
    }

    /// The pictures at another size.
    pub(super) fn at(&self, width: u32, height: u32) -> Vec<RgbImage> {
        let fit = |still: &Still| match still.image.dimensions() == (width, height) {
            true => still.image.clone(),
            false => imageops::resize(&still.image, width, height, FilterType::Triangle),
        };
        self.0.par_iter().map(fit).collect()
    }

    /// A picture of this size with so many faces side by side, cut from the footage; none where it shows no face.
    pub(super) fn crowd(&self, width: u32, height: u32, faces: u32) -> Option<RgbImage> {
        const SIDE: u32 = 72;
        let whole = |o: &&volet_synthetic::Object| o.class == ObjectClass::Face && !o.ignore && o.visible > 0.8;
        let sized = |still: &Still| still.objects.iter().filter(whole).map(|o| o.bbox[3]).fold(0.0, f32::max);
        let still = self.0.iter().max_by(|a, b| sized(a).total_cmp(&sized(b)))?;
        let face = still.objects.iter().filter(whole).max_by(|a, b| a.bbox[3].total_cmp(&b.bbox[3]))?;
        let [x, y, w, h] = face.bbox;
        let side = (1.6 * w.max(h)).max(8.0);
        let (left, top) = ((x + w / 2.0 - side / 2.0).max(0.0) as u32, (y + h / 2.0 - side / 2.0).max(0.0) as u32);
        let cut = imageops::crop_imm(&still.image, left, top, side as u32, side as u32).to_image();
        let cut = imageops::resize(&cut, SIDE, SIDE, FilterType::Triangle);
        let mut picture = RgbImage::from_pixel(width, height, Rgb([96, 100, 104]));
        let columns = (width / (SIDE + 16)).max(1);
        for n in 0..faces {
            let (column, row) = (n % columns, n / columns);
            let (x, y) = (column * (SIDE + 16) + 8, row * (SIDE + 16) + 8);
            imageops::replace(&mut picture, &cut, i64::from(x), i64::from(y));
        }
        Some(picture)
    }
}

/// Writes pictures one after the other, in the layout that sensors give.
///
/// # Errors
/// The disk refuses.
pub(super) fn write_nv12(path: &Path, pictures: &[RgbImage]) -> anyhow::Result<()> {
    let bytes: Vec<u8> = pictures.par_iter().map(nv12).flatten().collect();
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// Forth and back through so many pictures: `0 1 2 1 0 1`.
fn there_and_back(pictures: usize, index: usize) -> usize {
    let last = pictures.saturating_sub(1).max(1);
    let place = index % (2 * last);
    if place > last { 2 * last - place } else { place.min(pictures.saturating_sub(1)) }
}

/// Frames as YUV4MPEG2 (4:2:0), forth and back through the pictures.
///
/// # Errors
/// Whoever takes them does not.
pub(super) fn write_y4m(to: &mut dyn Write, pictures: &[RgbImage], frames: usize) -> anyhow::Result<()> {
    let (width, height) = pictures.first().context("no pictures")?.dimensions();
    let planar: Vec<Vec<u8>> =
        pictures.par_iter().map(|picture| i420(&nv12(picture), (width * height) as usize)).collect();
    writeln!(to, "YUV4MPEG2 W{width} H{height} F{FPS}:1 Ip C420jpeg")?;
    for index in 0..frames {
        to.write_all(b"FRAME\n")?;
        if let Some(frame) = planar.get(there_and_back(planar.len(), index)) {
            to.write_all(frame)?;
        }
    }
    Ok(())
}

/// The same samples, plane by plane.
fn i420(nv12: &[u8], luma: usize) -> Vec<u8> {
    let (y, uv) = nv12.split_at(luma.min(nv12.len()));
    let pairs = uv.as_chunks::<2>().0;
    y.iter().copied().chain(pairs.iter().map(|p| p[0])).chain(pairs.iter().map(|p| p[1])).collect()
}

/// A film as H.264 in MP4, by ffmpeg.
///
/// # Errors
/// ffmpeg is not there, or cannot.
pub(super) fn write_h264(path: &Path, pictures: &[RgbImage], frames: usize) -> anyhow::Result<()> {
    let mut encoder = Command::new("ffmpeg");
    encoder.args(["-v", "error", "-y", "-f", "yuv4mpegpipe", "-i", "-", "-c:v", "libx264", "-preset", "veryfast"]);
    encoder.args(["-crf", "20", "-pix_fmt", "yuv420p"]).arg(path);
    let mut child = encoder.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().context("ffmpeg does not start")?;
    let written =
        child.stdin.take().context("ffmpeg takes nothing").and_then(|mut to| write_y4m(&mut to, pictures, frames));
    let ended = child.wait()?;
    written?;
    anyhow::ensure!(ended.success(), "ffmpeg could not encode (libx264?)");
    Ok(())
}

/// Whether the program ffmpeg is there.
pub(super) fn ffmpeg() -> bool {
    let quiet =
        |command: &mut Command| command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet(Command::new("ffmpeg").arg("-version")).is_ok_and(|status| status.success())
}

/// A file's path in a folder.
pub(super) fn named(folder: &Path, name: &str, width: u32, height: u32, extension: &str) -> PathBuf {
    folder.join(format!("{name}-{width}x{height}.{extension}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_film_goes_forth_and_back() {
        let order: Vec<usize> = (0..7).map(|index| there_and_back(3, index)).collect();
        assert_eq!(order, [0, 1, 2, 1, 0, 1, 2]);
        assert!((0..5).all(|index| there_and_back(1, index) == 0));
    }
}
