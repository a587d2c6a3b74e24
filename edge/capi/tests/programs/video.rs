//! Synthetic people as raw NV12, and what was done to them.

use serde::Deserialize;
use volet_synthetic::{Clip, ObjectClass};

/// A line of the example's annotations.
#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct Line {
    pub(crate) index: u64,
    pub(crate) timestamp_us: u64,
    pub(crate) covered_pixels: u64,
    pub(crate) covered_because: Option<String>,
    pub(crate) annotations: Vec<Found>,
}

#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct Found {
    pub(crate) class: String,
    pub(crate) origin: String,
    pub(crate) track: u32,
    pub(crate) score: f32,
    /// Left, top, width, height.
    pub(crate) r#box: [f32; 4],
}

pub(crate) struct Video {
    /// NV12, frame after frame.
    pub(crate) samples: Vec<u8>,
    /// The faces of each frame that ought to be found: left, top, width, height.
    pub(crate) truth: Vec<Vec<[f32; 4]>>,
}

impl Video {
    pub(crate) const WIDTH: u32 = 320;
    pub(crate) const HEIGHT: u32 = 192;
    const LUMA: usize = (Self::WIDTH * Self::HEIGHT) as usize;
    const FRAME: usize = Self::LUMA * 3 / 2;

    /// The same seed gives the same people.
    pub(crate) fn of_people(seed: u64, frames: u32) -> Self {
        let clip = Clip::new(seed, Self::WIDTH, Self::HEIGHT, 15, frames);
        let mut video = Self { samples: Vec::new(), truth: Vec::new() };
        for still in (0..frames).map(|index| clip.frame(index)) {
            let clear = |o: &&volet_synthetic::Object| o.class == ObjectClass::Face && !o.ignore && o.bbox[3] >= 16.0;
            video.truth.push(still.objects.iter().filter(clear).map(|o| o.bbox).collect());
            // BT.601 in integers, 8 bits behind the point.
            let mix = |x, y, [r, g, b]: [i32; 3], zero: i32| {
                let rgb = still.image.get_pixel(x, y).0.map(i32::from);
                u8::try_from(zero + (r * rgb[0] + g * rgb[1] + b * rgb[2]) / 256).unwrap()
            };
            for y in 0..Self::HEIGHT {
                video.samples.extend((0..Self::WIDTH).map(|x| mix(x, y, [66, 129, 25], 16)));
            }
            for y in (0..Self::HEIGHT).step_by(2) {
                let pairs = (0..Self::WIDTH).step_by(2);
                video
                    .samples
                    .extend(pairs.flat_map(|x| [mix(x, y, [-38, -74, 112], 128), mix(x, y, [112, -94, -18], 128)]));
            }
        }
        video
    }

    pub(crate) fn frames(&self) -> usize {
        self.truth.len()
    }

    pub(crate) fn frame(&self, index: usize) -> &[u8] {
        self.frame_of(&self.samples, index)
    }

    /// Frame `index` of another video of this size.
    pub(crate) fn frame_of<'a>(&self, video: &'a [u8], index: usize) -> &'a [u8] {
        &video[index * Self::FRAME..][..Self::FRAME]
    }

    /// All pixels.
    pub(crate) fn positions() -> impl Iterator<Item = (u32, u32)> {
        (0..Self::HEIGHT).flat_map(|y| (0..Self::WIDTH).map(move |x| (x, y)))
    }

    /// The pixels of a box that is `times` as large, as far as they are in the frame.
    pub(crate) fn within(bbox: [f32; 4], times: f32) -> impl Iterator<Item = (u32, u32)> {
        Self::positions().filter(move |&at| Self::is_within(bbox, times, at))
    }

    pub(crate) fn is_within([x, y, w, h]: [f32; 4], times: f32, at: (u32, u32)) -> bool {
        let (dx, dy) = (at.0 as f32 + 0.5 - x - w / 2.0, at.1 as f32 + 0.5 - y - h / 2.0);
        dx.abs() <= w / 2.0 * times && dy.abs() <= h / 2.0 * times
    }

    pub(crate) fn iou(a: [f32; 4], b: [f32; 4]) -> f32 {
        let side = |from: usize| (a[from] + a[from + 2]).min(b[from] + b[from + 2]) - a[from].max(b[from]);
        let both = side(0).max(0.0) * side(1).max(0.0);
        both / (a[2] * a[3] + b[2] * b[3] - both)
    }

    /// Y, U and V of a pixel.
    fn at(frame: &[u8], (x, y): (u32, u32)) -> [u8; 3] {
        let luma = frame[(y * Self::WIDTH + x) as usize];
        let pair = Self::LUMA + (y / 2 * Self::WIDTH + x / 2 * 2) as usize;
        [luma, frame[pair], frame[pair + 1]]
    }

    pub(crate) fn is_black(frame: &[u8], at: (u32, u32)) -> bool {
        Self::at(frame, at) == [16, 128, 128]
    }

    pub(crate) fn is_same(was: &[u8], is: &[u8], at: (u32, u32)) -> bool {
        Self::at(was, at) == Self::at(is, at)
    }

    pub(crate) fn is_as_bright(was: &[u8], is: &[u8], at: (u32, u32)) -> bool {
        Self::at(was, at)[0] == Self::at(is, at)[0]
    }
}
