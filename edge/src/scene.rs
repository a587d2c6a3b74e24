//! Scene cuts: whether a frame shows the same place as the one before.
//!
//! Tracks must not be drawn out over a cut: the masks would hide the new scene and nobody. Looks at coarse luma only,
//! and compares by correlation, so that a lamp switched on is no cut. Errs towards "the same": a cut that is missed
//! costs a few masks too many.

use crate::frame::RawFrame;

const COLUMNS: usize = 16;
const LINES: usize = 9;
/// Samples along each side of a cell.
const SAMPLES: usize = 12;
/// Frames that correlate less than this are of different scenes. Neighbouring frames of one scene are near 1.
const SAME: f32 = 0.5;
/// Pictures flatter than this (standard deviation, levels of 256) are not compared.
const FLAT: f32 = 2.0;

/// Compares each frame with the one before.
#[derive(Default)]
pub(crate) struct SceneCuts {
    last: Option<[f32; COLUMNS * LINES]>,
}

impl SceneCuts {
    /// Takes the next frame; `true` if it is the first of another scene.
    pub(crate) fn observe(&mut self, frame: &RawFrame) -> bool {
        let now = coarse(frame);
        let cut = match &self.last {
            Some(last) => correlation(last, &now).is_some_and(|c| c < SAME),
            None => false,
        };
        self.last = Some(now);
        cut
    }
}

fn coarse(frame: &RawFrame) -> [f32; COLUMNS * LINES] {
    let mut cells = [0.0; COLUMNS * LINES];
    let Some(luma) = frame.geometry().planes().into_iter().next() else { return cells };
    let pixels = frame.pixels();
    for (i, cell) in cells.iter_mut().enumerate() {
        let (column, line) = (i % COLUMNS, i / COLUMNS);
        let mut sum = 0u32;
        for y in (0..SAMPLES).map(|k| (line * SAMPLES + k) * luma.height / (LINES * SAMPLES)) {
            for x in (0..SAMPLES).map(|k| (column * SAMPLES + k) * luma.width / (COLUMNS * SAMPLES)) {
                sum += u32::from(pixels[luma.offset + y * luma.stride + x * luma.step]);
            }
        }
        *cell = sum as f32 / (SAMPLES * SAMPLES) as f32;
    }
    cells
}

/// Pearson's correlation; `None` where one of the two is flat.
fn correlation(a: &[f32], b: &[f32]) -> Option<f32> {
    let n = a.len() as f32;
    let (mean_a, mean_b) = (a.iter().sum::<f32>() / n, b.iter().sum::<f32>() / n);
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        let (x, y) = (x - mean_a, y - mean_b);
        (ab, aa, bb) = (ab + x * y, aa + x * x, bb + y * y);
    }
    ((aa / n).sqrt().min((bb / n).sqrt()) > FLAT).then(|| ab / (aa * bb).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Color, Geometry, PixelFormat};
    use std::time::Duration;

    fn frame(value: impl Fn(usize, usize) -> u8) -> RawFrame {
        let g = Geometry::new(PixelFormat::Grey8, 160, 90).unwrap();
        let data: Vec<u8> = (0..160 * 90).map(|i| value(i % 160, i / 160)).collect();
        RawFrame::new(0, Duration::ZERO, g, Color::default(), data).unwrap()
    }

    #[test]
    fn another_picture_is_a_cut_and_a_lamp_or_a_pan_is_not() {
        let room = |x: usize, y: usize| (60 + 50 * usize::from((x / 40 + y / 30).is_multiple_of(2))) as u8;
        let mut cuts = SceneCuts::default();
        assert!(!cuts.observe(&frame(room)));
        assert!(!cuts.observe(&frame(|x, y| room(x, y) + 60)), "a lamp");
        assert!(!cuts.observe(&frame(|x, y| room(x + 6, y))), "a pan");
        assert!(cuts.observe(&frame(|x, y| ((x + y) % 251) as u8)), "another place");
        assert!(!cuts.observe(&frame(|_, _| 16)), "the lens is covered");
    }
}
