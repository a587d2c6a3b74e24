//! What moves: a background of coarse cells, and the parts of a frame that differ from it.
//!
//! For the paranoid mode: whatever moves and is not known to be harmless is covered. Sees luma only and decides
//! nothing about what the moving thing is. Errs towards "moves": everything does while the background is learned.

use volet_models::BBox;

use crate::frame::RawFrame;

/// Side of a cell in pixels.
const CELL: usize = 16;
/// A cell moves when its mean differs from the background by more than this many levels of 256 ...
const LEVELS: f32 = 6.0;
/// ... and goes on moving for this many frames after.
const LINGER: u8 = 8;
/// Share by which the background follows the picture, each frame.
const LEARN: f32 = 0.02;
/// Frames until the background is trusted; before, everything counts as moving.
const WARM_UP: u32 = 8;

/// A camera's background.
#[derive(Default)]
pub struct Motion {
    columns: usize,
    background: Vec<f32>,
    moving: Vec<u8>,
    seen: u32,
}

impl Motion {
    /// A background that is still to be learned.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a frame and gives the boxes (pixels) of what moves in it, neighbours in a row joined.
    pub fn observe(&mut self, frame: &RawFrame) -> Vec<BBox> {
        let Some(luma) = frame.geometry().planes().into_iter().next() else { return Vec::new() };
        let (columns, lines) = (luma.width.div_ceil(CELL), luma.height.div_ceil(CELL));
        if (self.columns, self.background.len()) != (columns, columns * lines) {
            *self = Self { columns, background: vec![0.0; columns * lines], moving: vec![0; columns * lines], seen: 0 };
        }
        let pixels = frame.pixels();
        for line in 0..lines {
            for column in 0..columns {
                let mean = cell_mean(pixels, &luma, column, line);
                let i = line * columns + column;
                let differs = (mean - self.background[i]).abs() > LEVELS;
                self.moving[i] = if differs { LINGER } else { self.moving[i].saturating_sub(1) };
                let learn = if self.seen == 0 { 1.0 } else { LEARN.max(1.0 / (self.seen as f32 + 1.0)) };
                self.background[i] += (mean - self.background[i]) * learn;
            }
        }
        self.seen = self.seen.saturating_add(1);
        if self.seen <= WARM_UP {
            return vec![BBox::new(0.0, 0.0, luma.width as f32, luma.height as f32)];
        }
        self.boxes(lines)
    }

    /// The moving cells and their neighbours, as one box for each run of cells in a line.
    fn boxes(&self, lines: usize) -> Vec<BBox> {
        let mut boxes = Vec::new();
        let near = |column: usize, line: usize| {
            let (left, right) = (column.saturating_sub(1), (column + 2).min(self.columns));
            (line.saturating_sub(1)..(line + 2).min(lines))
                .any(|l| self.moving[l * self.columns + left..l * self.columns + right].iter().any(|&m| m > 0))
        };
        for line in 0..lines {
            let mut start = None;
            for column in 0..=self.columns {
                let moves = column < self.columns && near(column, line);
                match (start, moves) {
                    (None, true) => start = Some(column),
                    (Some(from), false) => {
                        let corner = |c: usize| (c * CELL) as f32;
                        boxes.push(BBox::from_corners(corner(from), corner(line), corner(column), corner(line + 1)));
                        start = None;
                    }
                    _ => {}
                }
            }
        }
        boxes
    }
}

fn cell_mean(pixels: &[u8], luma: &crate::frame::Plane, column: usize, line: usize) -> f32 {
    let (x0, y0) = (column * CELL, line * CELL);
    let (x1, y1) = ((x0 + CELL).min(luma.width), (y0 + CELL).min(luma.height));
    let (mut sum, mut count) = (0u32, 0u32);
    // Every second row is enough for a mean, at half the cost.
    for y in (y0..y1).step_by(2) {
        let row = &pixels[luma.offset + y * luma.stride + x0 * luma.step..];
        for x in 0..x1 - x0 {
            // RGB frames have no luma: the mean of all three is as good here.
            sum += row[x * luma.step..][..luma.channels].iter().map(|&v| u32::from(v)).sum::<u32>();
        }
        count += ((x1 - x0) * luma.channels) as u32;
    }
    sum as f32 / count.max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Color, Geometry, PixelFormat};
    use std::time::Duration;

    fn frame(index: u64, square: Option<usize>) -> RawFrame {
        let g = Geometry::new(PixelFormat::Nv12, 160, 96).unwrap();
        let mut data = vec![100; g.bytes()];
        if let Some(x) = square {
            for y in 32..64 {
                data[y * 160 + x..y * 160 + x + 24].fill(200);
            }
        }
        RawFrame::new(index, Duration::ZERO, g, Color::default(), data).unwrap()
    }

    #[test]
    fn only_what_moves_is_reported_once_the_background_is_known() {
        let mut motion = Motion::new();
        for i in 0..u64::from(WARM_UP) {
            assert_eq!(motion.observe(&frame(i, None))[0].area(), 160.0 * 96.0, "unknown background counts as moving");
        }
        assert!(motion.observe(&frame(20, None)).is_empty());
        let boxes = motion.observe(&frame(21, Some(48)));
        let truth = BBox::new(48.0, 32.0, 24.0, 32.0);
        let covered: f32 = boxes.iter().map(|b| b.intersection(&truth)).sum();
        assert_eq!(covered, truth.area());
        assert!(boxes.iter().all(|b| b.x > 0.0 && b.right() < 128.0));
    }
}
