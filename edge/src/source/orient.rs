//! Turns and mirrors pictures as their metadata asks, because the output carries no metadata.

pub(super) use image::metadata::Orientation;

use crate::frame::{FrameError, Geometry};

/// The size and layout after `orientation` was applied.
///
/// # Errors
/// Cannot fail for the layouts that sources turn (RGB, grey, planar); packed YUYV may become odd.
pub(super) fn oriented(geometry: Geometry, orientation: Orientation) -> Result<Geometry, FrameError> {
    match swaps_sides(orientation) {
        true => Geometry::new(geometry.format(), geometry.height(), geometry.width()),
        false => Ok(geometry),
    }
}

fn swaps_sides(orientation: Orientation) -> bool {
    use Orientation as O;
    matches!(orientation, O::Rotate90 | O::Rotate270 | O::Rotate90FlipH | O::Rotate270FlipH)
}

/// Writes `source`, a picture of `geometry`, into `target`, a picture of `oriented(geometry, orientation)`.
pub(super) fn orient(source: &[u8], geometry: Geometry, orientation: Orientation, target: &mut [u8]) {
    if orientation == Orientation::NoTransforms || source.len() != target.len() {
        let n = source.len().min(target.len());
        target[..n].copy_from_slice(&source[..n]);
        return;
    }
    for plane in geometry.planes() {
        let (w, h) = (plane.width, plane.height);
        let (tw, th) = if swaps_sides(orientation) { (h, w) } else { (w, h) };
        let channels = plane.channels;
        // Planes keep their offsets: a turned plane has as many samples as before.
        let len = w * h * channels;
        let from = &source[plane.offset..plane.offset + len];
        let to = &mut target[plane.offset..plane.offset + len];
        // Where the first target sample comes from, and the steps across and down, in positions.
        let at = |x: usize, y: usize| (y * w + x).cast_signed();
        let (row, last_x, last_y) = (w.cast_signed(), w - 1, h - 1);
        let (start, across, down) = match orientation {
            Orientation::NoTransforms => (at(0, 0), 1, row),
            Orientation::FlipHorizontal => (at(last_x, 0), -1, row),
            Orientation::Rotate180 => (at(last_x, last_y), -1, -row),
            Orientation::FlipVertical => (at(0, last_y), 1, -row),
            Orientation::Rotate90FlipH => (at(0, 0), row, 1),
            Orientation::Rotate90 => (at(0, last_y), -row, 1),
            Orientation::Rotate270FlipH => (at(last_x, last_y), -row, -1),
            Orientation::Rotate270 => (at(last_x, 0), row, -1),
        };
        turn(from, to, (tw, th), channels, start, across, down);
    }
}

/// Rows of a tile: source rows of a tile stay in the cache while a turned picture walks down columns.
const TILE: usize = 32;

fn turn(
    from: &[u8],
    to: &mut [u8],
    (tw, th): (usize, usize),
    channels: usize,
    start: isize,
    across: isize,
    down: isize,
) {
    for tile_y in (0..th).step_by(TILE) {
        for tile_x in (0..tw).step_by(TILE) {
            for y in tile_y..(tile_y + TILE).min(th) {
                let end = (tile_x + TILE).min(tw);
                let mut at = start + y.cast_signed() * down + tile_x.cast_signed() * across;
                let row = &mut to[(y * tw + tile_x) * channels..(y * tw + end) * channels];
                for target in row.chunks_exact_mut(channels) {
                    let source = at.cast_unsigned() * channels;
                    target.copy_from_slice(&from[source..source + channels]);
                    at += across;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PixelFormat;
    use image::{DynamicImage, RgbImage};

    #[test]
    fn agrees_with_the_image_crate_on_all_eight() {
        let (w, h) = (37, 70);
        let bytes: Vec<u8> = (0..w * h * 3).map(|i| (i % 251) as u8).collect();
        let geometry = Geometry::new(PixelFormat::Rgb8, w, h).unwrap();
        for exif in 1..=8 {
            let orientation = Orientation::from_exif(exif).unwrap();
            let mut want = DynamicImage::ImageRgb8(RgbImage::from_raw(w, h, bytes.clone()).unwrap());
            want.apply_orientation(orientation);
            let turned = oriented(geometry, orientation).unwrap();
            assert_eq!((turned.width(), turned.height()), (want.width(), want.height()));
            let mut got = vec![0; bytes.len()];
            orient(&bytes, geometry, orientation, &mut got);
            assert_eq!(got, want.into_bytes(), "orientation {exif}");
        }
    }

    #[test]
    fn planar_frames_turn_plane_by_plane() {
        let geometry = Geometry::new(PixelFormat::I420, 4, 2).unwrap();
        let source: Vec<u8> = vec![1, 2, 3, 4, 5, 6, 7, 8, 10, 20, 30, 40];
        let mut target = vec![0; source.len()];
        orient(&source, geometry, Orientation::Rotate90, &mut target);
        assert_eq!(target, vec![5, 1, 6, 2, 7, 3, 8, 4, 10, 20, 30, 40]);
    }
}
