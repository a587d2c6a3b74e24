//! A raw frame as JPEG, in memory: the only reader of pixels that the vault has.
//!
//! JPEG means BT.601 at full range. Frames of other colours are turned into that by tables of integers, chroma at its own size;
//! frames of JPEG's own colours are taken as they are.

use std::io::{self, Write};

use jpeg_encoder::{ColorType, Encoder, EncodingError, ImageBuffer, JpegColorType, SamplingFactor};

use super::plain::Plain;
use crate::frame::{Color, Geometry, Matrix, PixelFormat, Plane, Range, RawFrame};
use crate::source::jpeg_geometry;

/// Between 0 and 100. A test holds films within 34 dB of their source.
const QUALITY: u8 = 80;

/// Size and layout of a JPEG picture, by its header alone.
pub(super) fn geometry(jpeg: &[u8]) -> Option<Geometry> {
    jpeg_geometry(jpeg)
}

/// Appends the frame as JPEG.
pub(super) fn encode(frame: &RawFrame, into: &mut Plain) -> io::Result<()> {
    let geometry = frame.geometry();
    let side = |side: u32| u16::try_from(side).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
    let (width, height) = (side(geometry.width())?, side(geometry.height())?);
    let mut encoder = Encoder::new(&mut *into as &mut dyn Write, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    let encoded = match geometry.format() {
        PixelFormat::Rgb8 => encoder.encode(frame.pixels(), width, height, ColorType::Rgb),
        PixelFormat::Grey8 => encoder.encode(frame.pixels(), width, height, ColorType::Luma),
        _ => encoder.encode_image(Yuv::new(frame, width, height).ok_or(io::ErrorKind::InvalidInput)?),
    };
    encoded.map_err(|error| match error {
        EncodingError::IoError(error) => error,
        other => io::Error::other(other.to_string()),
    })
}

/// A YUV frame, row by row as JPEG wants it.
struct Yuv<'a> {
    samples: &'a [u8],
    size: (u16, u16),
    luma: Plane,
    chroma: [(Plane, usize); 2],
    /// None where the colours are JPEG's own.
    tables: Option<Box<Tables>>,
}

impl<'a> Yuv<'a> {
    fn new(frame: &'a RawFrame, width: u16, height: u16) -> Option<Self> {
        let mut planes = frame.geometry().planes().into_iter();
        let (luma, u) = (planes.next()?, planes.next()?);
        let chroma = match planes.next() {
            Some(v) => [(u, 0), (v, 0)],
            None => [(u, 0), (u, u.channels.checked_sub(1)?)],
        };
        let color = frame.color();
        let tables = (color != Color::JPEG).then(|| Box::new(Tables::new(color)));
        Some(Self { samples: frame.pixels(), size: (width, height), luma, chroma, tables })
    }

    /// One row of a channel at its own size.
    fn row(&self, plane: Plane, channel: usize, y: usize) -> impl Iterator<Item = u8> + use<'a> {
        let from = plane.offset + (y >> plane.shift_y) * plane.stride + channel;
        let row = self.samples.get(from..).unwrap_or_default();
        row.iter().step_by(plane.step).take(plane.width).copied()
    }
}

impl ImageBuffer for Yuv<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.size.0
    }

    fn height(&self) -> u16 {
        self.size.1
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let (y, width) = (usize::from(y), usize::from(self.size.0));
        let [luma, cb, cr, _] = buffers;
        let [(u, first), (v, second)] = self.chroma;
        let wide = |shift: u32| 1_usize << shift;
        let end = luma.len() + width;
        let Some(tables) = &self.tables else {
            luma.extend(self.row(self.luma, 0, y));
            for (into, plane, channel) in [(cb, u, first), (cr, v, second)] {
                match plane.shift_x {
                    0 => into.extend(self.row(plane, channel, y)),
                    _ => into.extend(self.row(plane, channel, y).flat_map(|sample| [sample; 2])),
                }
                into.truncate(end);
            }
            return;
        };
        let mut lumas = self.row(self.luma, 0, y);
        for (u_sample, v_sample) in self.row(u, first, y).zip(self.row(v, second, y)) {
            let (add, blue, red) = tables.chroma(u_sample, v_sample);
            for sample in lumas.by_ref().take(wide(u.shift_x)) {
                luma.push(clamp(tables.luma[usize::from(sample)] + add));
                cb.push(blue);
                cr.push(red);
            }
        }
    }
}

/// From a frame's colours to JPEG's: what each sample adds, in 65536ths.
struct Tables {
    luma: [i32; 256],
    /// To luma, blue and red.
    from_u: [[i32; 3]; 256],
    from_v: [[i32; 3]; 256],
}

impl Tables {
    fn new(color: Color) -> Self {
        let weights = |matrix| match matrix {
            Matrix::Bt601 => (0.299, 0.114),
            Matrix::Bt709 => (0.2126, 0.0722),
        };
        let (kr, kb): (f64, f64) = weights(color.matrix);
        let kg = 1.0 - kr - kb;
        let (to_r, to_b) = weights(Matrix::Bt601);
        let (luma_low, luma_span, chroma_span) = match color.range {
            Range::Full => (0.0, 255.0, 255.0),
            Range::Limited => (16.0, 219.0, 224.0),
        };
        // Luma carries over; blue and red are what a colour has besides.
        let convert = |y: f64, u: f64, v: f64| {
            let (r, b) = (y + 2.0 * (1.0 - kr) * v, y + 2.0 * (1.0 - kb) * u);
            let g = (y - kr * r - kb * b) / kg;
            let to_y = to_r * r + (1.0 - to_r - to_b) * g + to_b * b;
            [to_y, (b - to_y) / (2.0 * (1.0 - to_b)), (r - to_y) / (2.0 * (1.0 - to_r))]
        };
        let fixed = |value: f64| (value * 65_536.0).round() as i32;
        let at = |i: usize, low: f64, span: f64| (i as f64 - low) * 255.0 / span;
        Self {
            luma: std::array::from_fn(|i| fixed(at(i, luma_low, luma_span)) + (1 << 15)),
            from_u: std::array::from_fn(|i| convert(0.0, at(i, 128.0, chroma_span), 0.0).map(fixed)),
            from_v: std::array::from_fn(|i| convert(0.0, 0.0, at(i, 128.0, chroma_span)).map(fixed)),
        }
    }

    /// What a pair adds to luma; blue; red.
    fn chroma(&self, u: u8, v: u8) -> (i32, u8, u8) {
        let ([a, b, c], [d, e, f]) = (self.from_u[usize::from(u)], self.from_v[usize::from(v)]);
        let half = (128 << 16) + (1 << 15);
        (a + d, clamp(b + e + half), clamp(c + f + half))
    }
}

fn clamp(fixed: i32) -> u8 {
    u8::try_from((fixed >> 16).clamp(0, 255)).unwrap_or(u8::MAX)
}
