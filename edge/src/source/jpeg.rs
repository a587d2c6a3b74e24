//! JPEG pictures, alone or one after the other: where each ends, and its pixels.

use std::io::BufRead;

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use crate::frame::{Geometry, PixelFormat};
use crate::source::fault::Fault;
use crate::source::orient::Orientation;

/// More than any JPEG of [`crate::frame::MAX_PIXELS`] needs; a longer one is not read on.
pub(super) const MAX_BYTES: usize = 256 << 20;

/// What a JPEG's header tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Header {
    /// As stored, before it is turned. RGB, or grey where the picture is.
    pub(super) geometry: Geometry,
    pub(super) orientation: Orientation,
}

/// Reads the header only.
pub(super) fn header(bytes: &[u8]) -> Result<Header, Fault> {
    let mut decoder = decoder(bytes, Ended::Whole);
    decoder.decode_headers().map_err(fault)?;
    let geometry = geometry(&decoder)?;
    let orientation = decoder.exif().and_then(|e| Orientation::from_exif_chunk(e));
    Ok(Header { geometry, orientation: orientation.unwrap_or(Orientation::NoTransforms) })
}

/// Size and layout by the header only; none where it is no JPEG picture that is read here.
#[cfg(all(unix, feature = "vault"))]
pub(crate) fn geometry_of(bytes: &[u8]) -> Option<Geometry> {
    header(bytes).ok().map(|header| header.geometry)
}

/// Decodes into `out`, which holds a picture of the header's geometry. A picture of another size or colour
/// than `expected` is an error, and so is one that was [`Ended::Cut`] before its last sample.
pub(super) fn decode(bytes: &[u8], ended: Ended, expected: Geometry, out: &mut [u8]) -> Result<(), Fault> {
    let mut decoder = decoder(bytes, ended);
    decoder.decode_headers().map_err(fault)?;
    let actual = geometry(&decoder)?;
    if actual != expected {
        return Err(Fault::Corrupt(format!(
            "a picture of {}x{} ({:?}) where {}x{} ({:?}) was due",
            actual.width(),
            actual.height(),
            actual.format(),
            expected.width(),
            expected.height(),
            expected.format()
        )));
    }
    if actual.format() == PixelFormat::Grey8 {
        let options = decoder.options().jpeg_set_out_colorspace(ColorSpace::Luma);
        decoder.set_options(options);
    }
    decoder.decode_into(out).map_err(fault)
}

/// Cameras write oddities that the strict decoder refuses, and some leave out the end marker; but only the strict
/// decoder tells whether a picture without one is whole.
fn decoder(bytes: &[u8], ended: Ended) -> JpegDecoder<ZCursor<&[u8]>> {
    // The bounds are checked by `Geometry`, whose message says what to do.
    let options = DecoderOptions::default()
        .set_strict_mode(ended == Ended::Cut)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    JpegDecoder::new_with_options(ZCursor::new(bytes), options)
}

fn geometry(decoder: &JpegDecoder<ZCursor<&[u8]>>) -> Result<Geometry, Fault> {
    let (width, height) = decoder.dimensions().ok_or_else(|| Fault::Corrupt("it has no picture size".into()))?;
    let grey = matches!(decoder.input_colorspace(), Some(ColorSpace::Luma));
    let format = if grey { PixelFormat::Grey8 } else { PixelFormat::Rgb8 };
    let side = |v: usize| u32::try_from(v).unwrap_or(u32::MAX);
    Ok(Geometry::new(format, side(width), side(height))?)
}

fn fault(error: DecodeErrors) -> Fault {
    match error {
        DecodeErrors::Unsupported(what) => Fault::Unsupported(format!("JPEG: {what:?}")),
        DecodeErrors::ZeroError => Fault::Frame(crate::frame::FrameError::Empty { width: 0, height: 0 }),
        other => Fault::Corrupt(format!("{other:?}")),
    }
}

/// How a picture in a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With its end marker.
    Whole,
    /// Another picture began, or the stream ended, before its end marker.
    Cut,
    /// There was no picture: the stream is over.
    None,
}

/// Reads one JPEG picture into `into`, which is cleared, from its start marker to its end marker. What lies before
/// the start marker is skipped; what follows the end marker is not touched.
pub(super) fn read_one(reader: &mut impl BufRead, into: &mut Vec<u8>) -> Result<Ended, Fault> {
    into.clear();
    if !skip_to_start(reader)? {
        return Ok(Ended::None);
    }
    into.extend_from_slice(&[0xff, 0xd8]);
    let mut in_scan = false;
    loop {
        if into.len() > MAX_BYTES {
            return Err(Fault::Corrupt(format!("a JPEG picture of more than {} MB", MAX_BYTES >> 20)));
        }
        // Entropy-coded bytes up to the next 0xff; between segments there should be none.
        if !copy_until_ff(reader, into)? {
            return Ok(Ended::Cut);
        }
        let Some(marker) = peek(reader)? else {
            return Ok(Ended::Cut);
        };
        match marker {
            // Fill bytes.
            0xff => {}
            // The next picture: leave its marker for the next call, the 0xff of which `skip_to_start` allows to miss.
            0xd8 => {
                into.pop();
                return Ok(Ended::Cut);
            }
            0xd9 => {
                reader.consume(1);
                into.push(0xd9);
                return Ok(Ended::Whole);
            }
            0x00 | 0x01 | 0xd0..=0xd7 => {
                reader.consume(1);
                into.push(marker);
            }
            _ if in_scan && marker < 0xc0 => {
                reader.consume(1);
                into.push(marker);
            }
            _ => {
                reader.consume(1);
                into.push(marker);
                in_scan = marker == 0xda;
                if !copy_segment(reader, into)? {
                    return Ok(Ended::Cut);
                }
            }
        }
    }
}

/// Consumes up to and including a start marker. A lone `0xd8` at the very beginning counts as one whose `0xff` was
/// consumed by the picture before.
fn skip_to_start(reader: &mut impl BufRead) -> Result<bool, Fault> {
    let mut before = 0xff;
    while let Some(byte) = peek(reader)? {
        reader.consume(1);
        if before == 0xff && byte == 0xd8 {
            return Ok(true);
        }
        before = byte;
    }
    Ok(false)
}

fn peek(reader: &mut impl BufRead) -> Result<Option<u8>, Fault> {
    Ok(reader.fill_buf()?.first().copied())
}

/// Appends bytes up to and including the next 0xff; false at the end of the stream.
fn copy_until_ff(reader: &mut impl BufRead, into: &mut Vec<u8>) -> Result<bool, Fault> {
    while into.len() <= MAX_BYTES {
        let available = reader.fill_buf()?;
        if available.is_empty() {
            return Ok(false);
        }
        let found = available.iter().position(|&b| b == 0xff);
        let take = found.map_or(available.len(), |at| at + 1);
        into.extend_from_slice(&available[..take]);
        reader.consume(take);
        if found.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Appends a marker segment, its two length bytes included; false at the end of the stream.
fn copy_segment(reader: &mut impl BufRead, into: &mut Vec<u8>) -> Result<bool, Fault> {
    let mut length = [0; 2];
    for byte in &mut length {
        match peek(reader)? {
            Some(b) => *byte = b,
            None => return Ok(false),
        }
        reader.consume(1);
    }
    into.extend_from_slice(&length);
    let want = u64::from(u16::from_be_bytes(length).saturating_sub(2));
    let mut left = want;
    while left > 0 {
        let available = reader.fill_buf()?;
        if available.is_empty() {
            return Ok(false);
        }
        let take = available.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        into.extend_from_slice(&available[..take]);
        reader.consume(take);
        left -= take as u64;
    }
    Ok(true)
}

/// How the picture in `bytes` ends; cameras that stop mid-frame leave its beginning.
pub(super) fn ended(bytes: &[u8]) -> Ended {
    read_one(&mut &bytes[..], &mut Vec::new()).unwrap_or(Ended::Cut)
}

/// Whether a picture says that further pictures of the same scene follow it in the file (CIPA DC-007 "MPF").
pub(super) fn is_multi_picture(bytes: &[u8]) -> bool {
    bytes.windows(8).take(64 << 10).any(|w| w[..2] == [0xff, 0xe2] && w[4..] == *b"MPF\0")
}
