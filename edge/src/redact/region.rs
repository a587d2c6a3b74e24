//! Regions: which pixels are to be destroyed, as boxes and ellipses in pixels of the frame.
//!
//! Rounds outwards everywhere: a pixel that a region touches is inside. Knows no pixels' values.

use serde::{Deserialize, Serialize};
use volet_models::BBox;

use crate::frame::Plane;

/// The outline of a region within its box.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// The whole box. At the same number of pixels covered it leaves fewer faces uncovered than the ellipse does.
    #[default]
    Rect,
    /// The ellipse that touches the box's four sides.
    Ellipse,
}

/// A part of a frame that is to be destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// Its box, which may reach beyond the frame.
    pub bbox: BBox,
    /// Its outline.
    pub shape: Shape,
    /// The track it belongs to. Noise is the same in all frames of a track, so that averaging over frames does
    /// not remove it.
    pub track_id: Option<u32>,
}

impl Region {
    /// The span of columns that the region touches within rows `top..bottom` (pixels), or `None`.
    fn span(&self, top: f32, bottom: f32) -> Option<(f32, f32)> {
        let b = &self.bbox;
        if !b.is_valid() || bottom <= b.y || top >= b.bottom() {
            return None;
        }
        match self.shape {
            Shape::Rect => Some((b.x, b.right())),
            Shape::Ellipse => {
                let (cx, cy) = b.center();
                // The widest row between `top` and `bottom` is the one nearest to the centre.
                let dy = (cy.clamp(top, bottom) - cy) / (b.h / 2.0);
                let half = b.w / 2.0 * (1.0 - dy * dy).max(0.0).sqrt();
                // Rounding must not carry the outline beyond its own box.
                Some(((cx - half).max(b.x), (cx + half).min(b.right())))
            }
        }
    }

    /// The samples of `plane` that are inside the region: each row that has some, and its `first..end`, which is
    /// never empty. (A row that the region touches beyond the frame's border only has none. The last row of a
    /// plane whose samples are interleaved ends before the place where an empty span would begin.)
    pub(super) fn spans(&self, plane: &Plane) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
        self.rows(plane).map(|y| (y, self.samples(plane, y))).filter(|(_, span)| !span.is_empty())
    }

    /// The samples that row `y` of `plane` has inside the region: `first..end`, maybe empty.
    fn samples(&self, plane: &Plane, y: usize) -> std::ops::Range<usize> {
        let rows = 1usize << plane.shift_y;
        let Some((x0, x1)) = self.span((y * rows) as f32, ((y + 1) * rows) as f32) else { return 0..0 };
        let pixels = (1u32 << plane.shift_x) as f32;
        let first = (x0 / pixels).floor().max(0.0) as usize;
        let end = ((x1 / pixels).ceil().max(0.0) as usize).min(plane.width);
        first.min(end)..end
    }

    /// The rows of `plane` that the region touches.
    pub(super) fn rows(&self, plane: &Plane) -> std::ops::Range<usize> {
        let pixels = (1u32 << plane.shift_y) as f32;
        let first = (self.bbox.y / pixels).floor().max(0.0) as usize;
        let end = ((self.bbox.bottom() / pixels).ceil().max(0.0) as usize).min(plane.height);
        first.min(end)..end
    }
}

/// How many pixels of a frame whose luma plane is `luma` lie inside at least one region; `spans` is memory that is lent.
pub(super) fn covered_pixels(luma: &Plane, regions: &[Region], spans: &mut Vec<std::ops::Range<usize>>) -> u64 {
    let mut covered = 0;
    for y in 0..luma.height {
        spans.clear();
        spans.extend(regions.iter().map(|r| r.samples(luma, y)).filter(|s| !s.is_empty()));
        spans.sort_unstable_by_key(|s| s.start);
        let mut end = 0;
        for s in spans.iter() {
            covered += s.end.max(end) - s.start.max(end);
            end = end.max(s.end);
        }
    }
    covered as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Geometry, PixelFormat};
    use proptest::prelude::*;

    fn luma(w: u32, h: u32) -> Plane {
        Geometry::new(PixelFormat::Grey8, w, h).unwrap().planes().into_iter().next().unwrap()
    }

    proptest! {
        /// Every pixel whose centre is inside the outline is inside the span, also beyond the frame's border.
        #[test]
        fn spans_cover_the_outline(x in -40f32..80.0, y in -40f32..60.0, w in 0.5f32..90.0, h in 0.5f32..90.0, ellipse: bool) {
            let shape = if ellipse { Shape::Ellipse } else { Shape::Rect };
            let region = Region { bbox: BBox::new(x, y, w, h), shape, track_id: None };
            let plane = luma(64, 48);
            let mut count = 0;
            for row in 0..48usize {
                let span = region.samples(&plane, row);
                for column in 0..64usize {
                    let (dx, dy) = ((column as f32 + 0.5 - x - w / 2.0) / (w / 2.0), (row as f32 + 0.5 - y - h / 2.0) / (h / 2.0));
                    let inside = if ellipse { dx * dx + dy * dy <= 1.0 } else { dx.abs() <= 1.0 && dy.abs() <= 1.0 };
                    prop_assert!(!inside || span.contains(&column));
                    prop_assert!(!inside || region.rows(&plane).contains(&row));
                }
                count += span.len() as u64;
            }
            prop_assert_eq!(covered_pixels(&plane, &[region, region], &mut Vec::new()), count);
        }
    }
}
