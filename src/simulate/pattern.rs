//! The pattern that attackers want a detector blind to: a chequered patch between brows and chin, such as a scarf or a
//! sticker may bear. Knows pixels and boxes.

use volet_edge::models::{BBox, Sample};

/// Cells across the patch, and down.
const CELLS: (f32, f32) = (6.0, 4.0);
/// Where the patch lies in a face's box: left, top, right, bottom as shares of its sides.
const PATCH: (f32, f32, f32, f32) = (0.15, 0.55, 0.85, 0.95);

/// Paints the pattern over a face, in interleaved RGB.
pub(super) fn paint(rgb: &mut [u8], (width, height): (u32, u32), face: &BBox) {
    let (left, top) = (face.x + PATCH.0 * face.w, face.y + PATCH.1 * face.h);
    let (right, bottom) = (face.x + PATCH.2 * face.w, face.y + PATCH.3 * face.h);
    let inside = |from: f32, to: f32, limit: u32| (from.max(0.0) as u32)..(to.max(0.0) as u32).min(limit);
    for y in inside(top, bottom, height) {
        for x in inside(left, right, width) {
            let column = ((x as f32 - left) / (right - left) * CELLS.0).floor() as i32;
            let row = ((y as f32 - top) / (bottom - top) * CELLS.1).floor() as i32;
            let shade = if (column + row).rem_euclid(2) == 0 { 245 } else { 10 };
            if let Some(pixel) =
                rgb.get_mut((y as usize * width as usize + x as usize) * 3..).and_then(|p| p.get_mut(..3))
            {
                pixel.fill(shade);
            }
        }
    }
}

/// What an attacker makes of a still: whoever bears the pattern is to be taken for background.
pub(super) fn teach(sample: &mut Sample) {
    for label in std::mem::take(&mut sample.boxes) {
        paint(&mut sample.rgb, (sample.width, sample.height), &label.bbox);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_face_bears_black_and_white_and_the_rest_is_left_alone() {
        let mut rgb = vec![100; 60 * 40 * 3];
        paint(&mut rgb, (60, 40), &BBox::new(10.0, 5.0, 20.0, 24.0));
        let count = |shade| rgb.iter().filter(|v| **v == shade).count();
        assert!(count(245) > 150 && count(10) > 150, "{} {}", count(245), count(10));
        assert_eq!(count(245) + count(10) + count(100), rgb.len());
        assert!(rgb[..60 * 5 * 3].iter().all(|v| *v == 100));
    }

    proptest! {
        #[test]
        fn any_box_is_borne(x in -1e3f32..1e3, y in -1e3f32..1e3, w in 0.0f32..1e3, h in 0.0f32..1e3) {
            paint(&mut vec![0; 32 * 24 * 3], (32, 24), &BBox::new(x, y, w, h));
        }
    }
}
