//! What is done to the samples of one plane inside one region. The hot loop of the redactor.
//!
//! Mosaic and blur are textures: shades of grey that are noise alone. Nothing here reads a sample of the region before
//! it is overwritten (guarantee G3). A true mosaic or blur would keep the means of many cells, which is enough to pick
//! the right face out of a gallery (McPherson et al. 2016, "Defeating image obfuscation with deep learning"). Even one
//! mean of the whole region, rounded to four levels, finds faces again, and more of them over a film:
//! `docs/redaction-attacks.md`.

use super::region::Region;
use crate::frame::Plane;

/// How a plane's samples are interleaved; one copy of each kernel is compiled for every kind.
#[derive(Clone, Copy)]
pub(super) enum Paint {
    /// Cells of one colour.
    Mosaic,
    /// Cells whose colours run into each other.
    Blur,
}

/// The shades of the cells of a grid, and where the grid lies in the plane.
struct Grid<'a, const C: usize> {
    x0: usize,
    x1: usize,
    rows: std::ops::Range<usize>,
    columns: usize,
    lines: usize,
    shades: &'a [[u8; C]],
}

/// Memory that is kept from region to region. It holds painted rows, never raw samples.
#[derive(Default)]
pub(super) struct Scratch {
    row: Vec<u8>,
    shades: Vec<u8>,
}

/// Sets every sample of the region to `value` (one value for each of a position's channels).
pub(super) fn fill(data: &mut [u8], plane: &Plane, region: &Region, value: u8) {
    for (y, span) in region.spans(plane) {
        let row = &mut data[plane.offset + y * plane.stride..];
        if plane.step == plane.channels {
            row[span.start * plane.step..span.end * plane.step].fill(value);
        } else {
            for x in span {
                row[x * plane.step] = value;
            }
        }
    }
}

/// Paints the region with `cells` x `cells` (more along the longer side) shades of grey.
///
/// `noise` gives, for each cell and channel in turn, what is added to the middle of all values.
pub(super) fn paint(
    data: &mut [u8],
    plane: &Plane,
    region: &Region,
    how: Paint,
    cells: u32,
    noise: &mut dyn FnMut() -> i16,
    scratch: &mut Scratch,
) {
    match (plane.step, plane.channels) {
        (1, 1) => paint_as::<1, 1>(data, plane, region, how, cells, noise, scratch),
        (2, 2) => paint_as::<2, 2>(data, plane, region, how, cells, noise, scratch),
        (3, 3) => paint_as::<3, 3>(data, plane, region, how, cells, noise, scratch),
        (2, 1) => paint_as::<2, 1>(data, plane, region, how, cells, noise, scratch),
        (4, 1) => paint_as::<4, 1>(data, plane, region, how, cells, noise, scratch),
        // No format has such a plane; destroying it is always right.
        _ => fill(data, plane, region, 128),
    }
}

fn paint_as<const STEP: usize, const C: usize>(
    data: &mut [u8],
    plane: &Plane,
    region: &Region,
    how: Paint,
    cells: u32,
    noise: &mut dyn FnMut() -> i16,
    scratch: &mut Scratch,
) {
    let Scratch { row: painted, shades } = scratch;
    let Some(grid) = shade::<C>(plane, region, cells, noise, shades) else { return };
    let width = grid.x1 - grid.x0;
    painted.resize(width * C, 0);
    let mut line_of_row = usize::MAX;
    for (y, span) in region.spans(plane) {
        match how {
            Paint::Mosaic => {
                let line = (y - grid.rows.start) * grid.lines / grid.rows.len();
                if line != line_of_row {
                    grid.mosaic_row(line, painted);
                    line_of_row = line;
                }
            }
            Paint::Blur => grid.blur_row(y, painted),
        }
        let from = &painted[(span.start - grid.x0) * C..(span.end - grid.x0) * C];
        let row = &mut data[plane.offset + y * plane.stride..];
        if STEP == C {
            row[span.start * STEP..span.end * STEP].copy_from_slice(from);
        } else {
            for (to, from) in row[span.start * STEP..].chunks_mut(STEP).zip(from.chunks_exact(C)) {
                to[..C].copy_from_slice(from);
            }
        }
    }
}

/// The middle of all values: grey in luma and RGB, no colour in chroma.
const MIDDLE: i16 = 128;

/// Shades a grid over the region's box, in memory that is lent.
fn shade<'a, const C: usize>(
    plane: &Plane,
    region: &Region,
    cells: u32,
    noise: &mut dyn FnMut() -> i16,
    shades: &'a mut Vec<u8>,
) -> Option<Grid<'a, C>> {
    let rows = region.rows(plane);
    let scale = (1u32 << plane.shift_x) as f32;
    let x0 = (region.bbox.x / scale).floor().max(0.0) as usize;
    let x1 = ((region.bbox.right() / scale).ceil().max(0.0) as usize).min(plane.width);
    if rows.is_empty() || x0 >= x1 {
        return None;
    }
    let width = x1 - x0;
    // The count of cells is that of the whole region, so that one cut off by the border keeps their size.
    let short = region.bbox.w.min(region.bbox.h);
    let count = |visible: usize, shift: u32| {
        let cells = (cells as f32 * (visible << shift) as f32 / short).round();
        (cells as usize).clamp(1, visible)
    };
    let (columns, lines) = (count(width, plane.shift_x), count(rows.len(), plane.shift_y));
    let mut shade = || -> [u8; C] {
        // Red, green and blue get lighter and darker together.
        let together = noise();
        std::array::from_fn(|c| (MIDDLE + if C == 3 || c == 0 { together } else { noise() }).clamp(0, 255) as u8)
    };
    shades.clear();
    (0..columns * lines).for_each(|_| shades.extend(shade()));
    Some(Grid { x0, x1, rows, columns, lines, shades: shades.as_chunks().0 })
}

impl<const C: usize> Grid<'_, C> {
    fn mosaic_row(&self, line: usize, row: &mut [u8]) {
        let width = self.x1 - self.x0;
        for (column, shade) in self.shades[line * self.columns..][..self.columns].iter().enumerate() {
            let (left, right) = (width * column / self.columns, width * (column + 1) / self.columns);
            for position in row[left * C..right * C].chunks_exact_mut(C) {
                position.copy_from_slice(shade);
            }
        }
    }

    /// Interpolates linearly between the centres of the cells, in 16.16 fixed point.
    fn blur_row(&self, y: usize, row: &mut [u8]) {
        let width = self.x1 - self.x0;
        let (first, second, part) = between(y - self.rows.start, self.rows.len(), self.lines);
        let value = |column: usize, c: usize| {
            let a = i32::from(self.shades[first * self.columns + column][c]);
            let b = i32::from(self.shades[second * self.columns + column][c]);
            (a << 16) + (b - a) * part
        };
        let mut start = 0;
        // Segment s runs from the centre of cell s - 1 to that of cell s; the first and last are flat.
        for s in 0..=self.columns {
            let end = if s == self.columns { width } else { (width * (2 * s + 1)) / (2 * self.columns) };
            let (left, right) = (s.saturating_sub(1), s.min(self.columns - 1));
            let length = (end - start).max(1) as i32;
            let mut now: [i32; C] = std::array::from_fn(|c| value(left, c));
            let step: [i32; C] = std::array::from_fn(|c| (value(right, c) - now[c]) / length);
            for position in row[start * C..end * C].chunks_exact_mut(C) {
                for c in 0..C {
                    position[c] = (now[c] >> 16) as u8;
                    now[c] += step[c];
                }
            }
            start = end;
        }
    }
}

/// The two cells of `cells` between whose centres position `at` of `length` lies, and how far it is from the
/// first to the second, as 0..=65536.
fn between(at: usize, length: usize, cells: usize) -> (usize, usize, i32) {
    let center = |cell: usize| (length * (2 * cell + 1)) / (2 * cells);
    let next = (0..cells).find(|&c| center(c) > at).unwrap_or(cells);
    if next == 0 || next == cells {
        let only = next.min(cells - 1);
        return (only, only, 0);
    }
    let (a, b) = (center(next - 1), center(next));
    (next - 1, next, (((at - a) << 16) / (b - a)) as i32)
}
