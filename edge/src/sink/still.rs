//! Single pictures: JPEG, PNG, WebP (lossless).

use std::io::Write;

use image::ExtendedColorType;
use image::ImageEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use jpeg_encoder::{ColorType, Encoder, EncodingError, ImageBuffer, JpegColorType, SamplingFactor};

use crate::frame::{Geometry, PixelFormat};
use crate::redact::Redacted;
use crate::sink::pixels::{self, Yuv};
use crate::sink::{Encode, Fail, Out};
use crate::source::MediaKind;

pub(super) struct Still {
    kind: MediaKind,
    quality: u8,
    geometry: Geometry,
    written: bool,
}

impl Still {
    pub(super) fn new(kind: MediaKind, geometry: Geometry, quality: u8) -> Self {
        Self { kind, quality, geometry, written: false }
    }
}

impl Encode for Still {
    fn write(&mut self, frame: &Redacted, out: &mut dyn Out) -> Result<(), Fail> {
        if self.written {
            return Err(Fail::Encode("a picture holds one frame; write the stream as a video".into()));
        }
        self.written = true;
        if self.kind == MediaKind::Jpeg {
            return jpeg(frame, self.quality, out);
        }
        let mut scratch = Vec::new();
        let (bytes, color) = match self.geometry.format() {
            PixelFormat::Grey8 => (frame.samples(), ExtendedColorType::L8),
            _ => (pixels::rgb(frame, &mut scratch), ExtendedColorType::Rgb8),
        };
        let (width, height) = (self.geometry.width(), self.geometry.height());
        // Encoders take what they write to by value.
        let encoded = match self.kind {
            MediaKind::Png => PngEncoder::new(&mut *out).write_image(bytes, width, height, color),
            _ => WebPEncoder::new_lossless(&mut *out).encode(bytes, width, height, color),
        };
        encoded.map_err(|e| match e {
            image::ImageError::IoError(e) => Fail::Io(e),
            other => Fail::Encode(other.to_string()),
        })
    }

    fn finish(&mut self, _: &mut dyn Out) -> Result<(), Fail> {
        if self.written { Ok(()) } else { Err(Fail::Encode("there is no frame to write".into())) }
    }
}

/// Encodes a frame as JPEG, from its own layout. Chroma is halved both ways where the frame's is.
pub(super) fn jpeg(frame: &Redacted, quality: u8, out: &mut (impl Write + ?Sized)) -> Result<(), Fail> {
    let geometry = frame.geometry();
    let side = |v: u32| u16::try_from(v).map_err(|_| Fail::Encode(format!("JPEG sides end at 65535, not {v}")));
    let (width, height) = (side(geometry.width())?, side(geometry.height())?);
    let mut encoder = Encoder::new(out, quality.clamp(1, 100));
    let format = geometry.format();
    if !matches!(format, PixelFormat::Rgb8 | PixelFormat::I444) {
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
    }
    let encoded = match format {
        PixelFormat::Rgb8 => encoder.encode(frame.samples(), width, height, ColorType::Rgb),
        PixelFormat::Grey8 => encoder.encode(frame.samples(), width, height, ColorType::Luma),
        _ => encoder.encode_image(YuvImage { yuv: Yuv::new(frame), width, height }),
    };
    encoded.map_err(|e| match e {
        EncodingError::IoError(e) => Fail::Io(e),
        other => Fail::Encode(other.to_string()),
    })
}

struct YuvImage<'a> {
    yuv: Yuv<'a>,
    width: u16,
    height: u16,
}

impl ImageBuffer for YuvImage<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.width
    }

    fn height(&self) -> u16 {
        self.height
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let [luma, cb, cr, _] = buffers;
        self.yuv.jfif_row(usize::from(y), |[a, b, c]| {
            luma.push(a);
            cb.push(b);
            cr.push(c);
        });
    }
}
