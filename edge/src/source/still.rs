//! Single pictures: JPEG, PNG, WebP. Upright, eight bits, without alpha.

use std::fs::File;
#[cfg(test)]
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::time::Duration;

use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{ColorType, ImageDecoder, ImageError, Limits};

use crate::frame::{Color, FrameBuffer, FramePool, Geometry, PixelFormat, RawFrame};
use crate::source::fault::Fault;
use crate::source::jpeg::Ended;
use crate::source::orient::{Orientation, orient, oriented};
use crate::source::{MediaKind, Next, Rate, Source, SourceError, StreamInfo, buffered, jpeg};

/// A picture, decoded when its frame is asked for.
struct Still<D> {
    path: PathBuf,
    info: StreamInfo,
    stored: Geometry,
    orientation: Orientation,
    decode: Option<D>,
}

impl<D> Source for Still<D>
where
    D: FnOnce(&mut [u8]) -> Result<(), Fault> + Send,
{
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    fn next(&mut self, pool: &FramePool) -> Result<Next, SourceError> {
        let Some(decode) = self.decode.take() else {
            return Ok(Next::End);
        };
        let geometry = self.info.geometry;
        let mut buffer = pool.take(geometry.bytes());
        decode(buffer.as_mut_slice()).map_err(|f| f.at(&self.path))?;
        if self.orientation != Orientation::NoTransforms {
            let mut turned = pool.take(geometry.bytes());
            orient(buffer.as_mut_slice(), self.stored, self.orientation, turned.as_mut_slice());
            buffer = turned;
        }
        let frame = RawFrame::new(0, Duration::ZERO, geometry, self.info.color, buffer);
        frame.map(Next::Frame).map_err(|e| Fault::from(e).at(&self.path))
    }
}

fn still<D>(
    path: &Path,
    kind: MediaKind,
    stored: Geometry,
    orientation: Orientation,
    decode: D,
) -> Result<Box<dyn Source>, Fault>
where
    D: FnOnce(&mut [u8]) -> Result<(), Fault> + Send + 'static,
{
    let info = StreamInfo {
        kind,
        geometry: oriented(stored, orientation)?,
        color: Color::JPEG,
        rate: Rate { num: 1, den: 1 },
        frames: Some(1),
    };
    Ok(Box::new(Still { path: path.to_path_buf(), info, stored, orientation, decode: Some(decode) }))
}

/// A JPEG whose bytes are at hand.
pub(super) fn open_jpeg(bytes: Vec<u8>, path: &Path) -> Result<Box<dyn Source>, Fault> {
    let header = jpeg::header(&bytes)?;
    let bytes = FrameBuffer::from(bytes);
    still(path, MediaKind::Jpeg, header.geometry, header.orientation, move |out| {
        jpeg::decode(bytes.as_slice(), Ended::Whole, header.geometry, out)
    })
}

pub(super) fn open_png(file: File, path: &Path) -> Result<Box<dyn Source>, Fault> {
    let decoder = PngDecoder::with_limits(buffered(file), limits()).map_err(fault)?;
    if decoder.is_apng().map_err(fault)? {
        return Err(Fault::Unsupported("an animated PNG".into()));
    }
    open_decoder(decoder, MediaKind::Png, path)
}

pub(super) fn open_webp(file: File, path: &Path) -> Result<Box<dyn Source>, Fault> {
    let mut decoder = WebPDecoder::new(buffered(file)).map_err(fault)?;
    decoder.set_limits(limits()).map_err(fault)?;
    if decoder.has_animation() {
        return Err(Fault::Unsupported("an animated WebP; save it as a video first".into()));
    }
    open_decoder(decoder, MediaKind::Webp, path)
}

/// Enough for 64 Mpx of 16-bit RGBA and the decoder's own tables.
fn limits() -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(1 << 30);
    limits
}

fn open_decoder(
    mut decoder: impl ImageDecoder + Send + 'static,
    kind: MediaKind,
    path: &Path,
) -> Result<Box<dyn Source>, Fault> {
    let (width, height) = decoder.dimensions();
    let color = decoder.color_type();
    let format = if color.has_color() { PixelFormat::Rgb8 } else { PixelFormat::Grey8 };
    let stored = Geometry::new(format, width, height)?;
    // Broken EXIF is no reason to refuse the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    still(path, kind, stored, orientation, move |out| {
        if matches!(color, ColorType::L8 | ColorType::Rgb8) {
            return decoder.read_image(out).map_err(fault);
        }
        let bytes = usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX);
        if bytes > limits().max_alloc.map_or(0, |b| usize::try_from(b).unwrap_or(usize::MAX)) {
            return Err(Fault::Unsupported("a picture that needs more than 1 GB".into()));
        }
        let mut wide = FrameBuffer::from(vec![0; bytes]);
        decoder.read_image(wide.as_mut_slice()).map_err(fault)?;
        narrow(wide.as_slice(), color, out)
    })
}

/// Reduces 16 bits to 8 and lays transparent pictures over white.
fn narrow(from: &[u8], color: ColorType, out: &mut [u8]) -> Result<(), Fault> {
    let channels = usize::from(color.channel_count());
    let wide = match color {
        ColorType::La8 | ColorType::Rgba8 => false,
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => true,
        other => return Err(Fault::Unsupported(format!("a picture of {other:?} samples"))),
    };
    let sample = |bytes: &[u8], i: usize| match wide {
        false => u32::from(bytes[i]) * 257,
        true => u32::from(u16::from_ne_bytes([bytes[2 * i], bytes[2 * i + 1]])),
    };
    let colors = if color.has_alpha() { channels - 1 } else { channels };
    let step = channels * if wide { 2 } else { 1 };
    for (from, to) in from.chunks_exact(step).zip(out.chunks_exact_mut(colors)) {
        let alpha = if color.has_alpha() { sample(from, colors) } else { 65_535 };
        for (i, to) in to.iter_mut().enumerate() {
            let over_white = (u64::from(sample(from, i)) * u64::from(alpha)) / 65_535 + u64::from(65_535 - alpha);
            *to = u8::try_from((over_white + 128) / 257).unwrap_or(255);
        }
    }
    Ok(())
}

fn fault(error: ImageError) -> Fault {
    match error {
        ImageError::IoError(e) => Fault::from(e),
        ImageError::Unsupported(e) => Fault::Unsupported(e.to_string()),
        ImageError::Limits(e) => Fault::Corrupt(format!("{e}")),
        other => Fault::Corrupt(other.to_string()),
    }
}

/// For fuzzing and tests: the same path from any seekable bytes.
#[cfg(test)]
pub(super) fn decode_png(bytes: impl Read + Seek + std::io::BufRead + Send + 'static) -> Result<Next, SourceError> {
    let path = Path::new("memory.png");
    let decoder = PngDecoder::with_limits(bytes, limits()).map_err(|e| fault(e).at(path))?;
    open_decoder(decoder, MediaKind::Png, path).map_err(|f| f.at(path))?.next(&FramePool::new())
}
