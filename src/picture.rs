//! Boxes drawn into pictures for people to look at. Knows nothing of where they come from.

use image::{Rgb, RgbImage};
use volet_edge::models::BBox;

/// Draws the outline of the part of `bbox` that lies in the picture.
pub(crate) fn frame(picture: &mut RgbImage, bbox: &BBox, colour: [u8; 3]) {
    let (width, height) = picture.dimensions();
    let Some(b) = bbox.clipped(width.saturating_sub(1), height.saturating_sub(1)) else { return };
    let (x0, y0, x1, y1) = (b.x as u32, b.y as u32, b.right() as u32, b.bottom() as u32);
    for x in x0..=x1 {
        picture.put_pixel(x, y0, Rgb(colour));
        picture.put_pixel(x, y1, Rgb(colour));
    }
    for y in y0..=y1 {
        picture.put_pixel(x0, y, Rgb(colour));
        picture.put_pixel(x1, y, Rgb(colour));
    }
}
