//! Ways to hide a face: Volet's, and the ordinary ones that the attacks must defeat.

use std::time::Duration;

use image::RgbImage;
use volet_edge::frame::{Color, Geometry, PixelFormat, RawFrame};
use volet_edge::models::BBox;
use volet_edge::redact::{Redactor, Region, Shape, Style};

use super::report::Role;

pub(crate) const STYLES: [Style; 3] = [Style::Solid, Style::Mosaic, Style::Blur];

/// A way to hide a part of a picture.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hiding {
    Volet(Style),
    /// Square cells of so many pixels, each its true mean, counted from the picture's corner.
    Mosaic(usize),
    /// A Gaussian blur of so many pixels.
    Gaussian(f32),
    /// The part's mean colour, each channel rounded to four levels: all that Volet's textures kept of a face until
    /// these attacks were measured.
    RoundedMean,
}

impl Hiding {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Volet(style) => format!("Volet {style:?}").to_lowercase().replacen('v', "V", 1),
            Self::Mosaic(cell) => format!("mosaic, cells of {cell} px"),
            Self::Gaussian(sigma) => format!("Gaussian blur, sigma {sigma} px"),
            Self::RoundedMean => "mean colour in 4 levels a channel".into(),
        }
    }

    pub(crate) fn role(self) -> Role {
        if matches!(self, Self::Volet(_)) { Role::Volet } else { Role::Planted }
    }

    /// A new stream of frames: Volet draws a key for it from the system, which nothing can seed.
    pub(crate) fn stream(self) -> Stream {
        let redactor = match self {
            Self::Volet(style) => Some(Redactor::new(style).unwrap()),
            _ => None,
        };
        Stream { hiding: self, redactor }
    }

    /// All of a picture, as the only frame of its stream.
    pub(crate) fn whole(self, picture: &RgbImage) -> RgbImage {
        let (w, h) = picture.dimensions();
        self.stream().hide(picture, BBox::new(0.0, 0.0, w as f32, h as f32), Shape::Rect)
    }
}

/// Frames that are hidden one after the other; one track.
pub(crate) struct Stream {
    hiding: Hiding,
    redactor: Option<Redactor>,
}

impl Stream {
    /// Hides `bbox` of a picture. The ordinary ways know whole pixels and rectangles only.
    pub(crate) fn hide(&mut self, picture: &RgbImage, bbox: BBox, shape: Shape) -> RgbImage {
        let (w, h) = picture.dimensions();
        if let Some(redactor) = &mut self.redactor {
            let geometry = Geometry::new(PixelFormat::Rgb8, w, h).unwrap();
            let frame = RawFrame::new(0, Duration::ZERO, geometry, Color::JPEG, picture.as_raw().clone()).unwrap();
            let region = Region { bbox, shape, track_id: Some(1) };
            return RgbImage::from_raw(w, h, redactor.redact(frame, &[region]).samples().to_vec()).unwrap();
        }
        let (x0, y0) = (bbox.x.max(0.0) as u32, bbox.y.max(0.0) as u32);
        let (x1, y1) = ((bbox.right() as u32).min(w), (bbox.bottom() as u32).min(h));
        let mut out = picture.clone();
        match self.hiding {
            Hiding::Volet(_) => {}
            Hiding::Mosaic(cell) => {
                let cell = cell as u32;
                for (cy, cx) in
                    (y0 / cell..y1.div_ceil(cell)).flat_map(|y| (x0 / cell..x1.div_ceil(cell)).map(move |x| (y, x)))
                {
                    let (left, right) = ((cx * cell).max(x0), ((cx + 1) * cell).min(x1));
                    let (top, bottom) = ((cy * cell).max(y0), ((cy + 1) * cell).min(y1));
                    fill(&mut out, [left, top, right, bottom], mean(picture, [left, top, right, bottom]));
                }
            }
            Hiding::Gaussian(sigma) => {
                let crop = image::imageops::crop_imm(picture, x0, y0, x1 - x0, y1 - y0).to_image();
                image::imageops::replace(&mut out, &image::imageops::blur(&crop, sigma), i64::from(x0), i64::from(y0));
            }
            Hiding::RoundedMean => {
                let colour = mean(picture, [x0, y0, x1, y1]).map(|v| v / 64 * 64 + 32);
                fill(&mut out, [x0, y0, x1, y1], colour);
            }
        }
        out
    }
}

fn mean(picture: &RgbImage, [x0, y0, x1, y1]: [u32; 4]) -> [u8; 3] {
    let mut sum = [0u32; 3];
    for (y, x) in (y0..y1).flat_map(|y| (x0..x1).map(move |x| (y, x))) {
        (0..3).for_each(|c| sum[c] += u32::from(picture.get_pixel(x, y).0[c]));
    }
    sum.map(|s| (s / ((x1 - x0) * (y1 - y0)).max(1)) as u8)
}

fn fill(picture: &mut RgbImage, [x0, y0, x1, y1]: [u32; 4], colour: [u8; 3]) {
    for (y, x) in (y0..y1).flat_map(|y| (x0..x1).map(move |x| (y, x))) {
        picture.put_pixel(x, y, image::Rgb(colour));
    }
}
