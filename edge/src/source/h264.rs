//! H.264 access units in, pictures out in the order in which they are shown, one for each access unit.
//!
//! OpenH264 returns pictures in presentation order but does not say which access unit a picture came from. So the
//! times of the access units that are still inside are kept sorted, and a picture takes the earliest; an access
//! unit that could not be decoded keeps its place as a lost frame.

use std::collections::{BTreeMap, VecDeque};

use h264_reader::nal::sps::{ChromaFormat, FrameMbsFlags, SeqParameterSet};
use h264_reader::rbsp::{BitReader, decode_nal};
use openh264::OpenH264API;
use openh264::decoder::{DecodeOptions, DecodedYUV, Decoder, DecoderConfig, Flush};
use openh264::formats::YUVSource;

use crate::frame::{Color, FrameBuffer, FramePool, Geometry, Matrix, PixelFormat, Range};
use crate::source::fault::Fault;
use crate::source::orient::{Orientation, orient};

/// More pictures than any stream may hold back (H.264 A.3.1: at most 16 frames in the decoded picture buffer).
const MAX_DELAY: usize = 18;

/// What a sequence parameter set tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    /// The picture, cropped as the stream asks; I420.
    pub(super) geometry: Geometry,
    /// How samples map to colours, where the stream says so.
    pub(super) matrix: Option<Matrix>,
    /// The span of samples, where the stream says so.
    pub(super) range: Option<Range>,
}

/// Reads a sequence parameter set (one NAL unit, without start code or length).
///
/// # Errors
/// [`Fault::Unsupported`] where OpenH264 cannot decode the stream: interlaced, more than eight bits, not 4:2:0.
pub(super) fn parse_sps(nal: &[u8]) -> Result<Format, Fault> {
    let damaged = |e: &dyn std::fmt::Debug| Fault::Unsupported(format!("H.264 with odd parameters ({e:?})"));
    let rbsp = decode_nal(nal).map_err(|e| damaged(&e))?;
    let sps = SeqParameterSet::from_bits(BitReader::new(&rbsp[..])).map_err(|e| damaged(&e))?;
    let chroma = &sps.chroma_info;
    if chroma.chroma_format != ChromaFormat::YUV420 {
        return Err(Fault::Unsupported(format!("H.264 with {:?} chroma", chroma.chroma_format)));
    }
    if chroma.bit_depth_luma_minus8 > 0 || chroma.bit_depth_chroma_minus8 > 0 {
        return Err(Fault::Unsupported("H.264 with more than 8 bits".into()));
    }
    if !matches!(sps.frame_mbs_flags, FrameMbsFlags::Frames) {
        return Err(Fault::Unsupported("interlaced H.264".into()));
    }
    let (width, height) = sps.pixel_dimensions().map_err(|e| damaged(&e))?;
    let geometry = Geometry::new(PixelFormat::I420, width, height)?;
    let signal = sps.vui_parameters.as_ref().and_then(|v| v.video_signal_type.as_ref());
    let matrix = signal.and_then(|s| s.colour_description.as_ref()).and_then(|c| matrix(c.matrix_coefficients.into()));
    let range = signal.map(|s| if s.video_full_range_flag { Range::Full } else { Range::Limited });
    Ok(Format { geometry, matrix, range })
}

/// The matrix of a code point of ITU-T H.273, where it is one that is known here.
pub(super) fn matrix(code_point: u16) -> Option<Matrix> {
    match code_point {
        1 => Some(Matrix::Bt709),
        5 | 6 => Some(Matrix::Bt601),
        _ => None,
    }
}

/// The kind of a NAL unit (H.264 table 7-1).
pub(super) fn nal_type(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |b| b & 0x1f)
}

/// `nal_type` of a sequence parameter set.
pub(super) const SPS: u8 = 7;

/// The NAL units of a sample whose units are preceded by their length (ISO/IEC 14496-15).
///
/// # Errors
/// A length that points beyond the sample.
pub(super) fn nal_units(mut sample: &[u8], length_size: u8) -> Result<Vec<&[u8]>, Fault> {
    let mut units = Vec::new();
    let head = usize::from(length_size);
    while !sample.is_empty() {
        let cut = || Fault::Corrupt("a coded picture is cut off".into());
        let length = sample.get(..head).ok_or_else(cut)?.iter().fold(0usize, |n, &b| n << 8 | usize::from(b));
        let unit = sample.get(head..head + length).ok_or_else(cut)?;
        if !unit.is_empty() {
            units.push(unit);
        }
        sample = &sample[head + length..];
    }
    Ok(units)
}

/// Appends NAL units with start codes, as decoders want them.
pub(super) fn append_annex_b<'a>(units: impl IntoIterator<Item = &'a [u8]>, into: &mut Vec<u8>) {
    for unit in units {
        into.extend_from_slice(&[0, 0, 0, 1]);
        into.extend_from_slice(unit);
    }
}

/// What came out for one access unit.
#[derive(Debug)]
pub(super) struct Picture {
    /// Its time, as it was given.
    pub(super) pts: i64,
    /// The samples, or why there are none.
    pub(super) samples: Result<FrameBuffer, String>,
}

/// The decoder and the times of the pictures inside it.
pub(super) struct Decode {
    decoder: Decoder,
    /// As coded, before it is turned.
    coded: Geometry,
    orientation: Orientation,
    /// Sorted by time, then by order of arrival; with the reason where decoding failed.
    inside: BTreeMap<(i64, u64), Option<String>>,
    arrived: u64,
    ready: VecDeque<Picture>,
}

impl Decode {
    /// A decoder for pictures of `coded` size, which it turns.
    pub(super) fn new(coded: Geometry, orientation: Orientation) -> Result<Self, Fault> {
        // Without NoFlush, pictures would leave before those that are shown earlier have arrived.
        let config = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
        let decoder = Decoder::with_api_config(OpenH264API::from_source(), config);
        let decoder = decoder.map_err(|e| Fault::Unsupported(format!("the H.264 decoder does not start: {e}")))?;
        Ok(Self { decoder, coded, orientation, inside: BTreeMap::new(), arrived: 0, ready: VecDeque::new() })
    }

    /// Feeds parameter sets (Annex B) outside any picture.
    pub(super) fn configure(&mut self, annex_b: &[u8]) -> Result<(), Fault> {
        let fed = self.decoder.decode_with_options(annex_b, DecodeOptions::new());
        fed.map(|_| ()).map_err(|e| Fault::Unsupported(format!("the H.264 decoder refuses its parameters: {e}")))
    }

    /// Feeds one access unit (Annex B), or tells that it could not be read.
    pub(super) fn push(&mut self, pts: i64, access_unit: Result<&[u8], String>, pool: &FramePool) {
        let key = (pts, self.arrived);
        self.arrived += 1;
        self.inside.insert(key, None);
        let mut shown = None;
        let failed = match access_unit {
            Err(reason) => Some(reason),
            Ok(bytes) => match self.decoder.decode_with_options(bytes, DecodeOptions::new()) {
                Ok(Some(yuv)) => {
                    shown = Some(take(&yuv, self.coded, self.orientation, pool));
                    None
                }
                Ok(None) => None,
                Err(error) => Some(format!("it does not decode: {error}")),
            },
        };
        if let Some(reason) = failed {
            self.inside.insert(key, Some(reason));
        }
        if let Some(samples) = shown {
            self.show(samples);
        }
        while self.inside.len() > MAX_DELAY {
            self.lose_first("the decoder gave no picture for it");
        }
    }

    /// No more access units come: all pictures that are inside become ready.
    pub(super) fn finish(&mut self, pool: &FramePool) {
        let (coded, orientation) = (self.coded, self.orientation);
        let rest: Vec<_> = match self.decoder.flush_remaining() {
            Ok(pictures) => pictures.iter().map(|yuv| take(yuv, coded, orientation, pool)).collect(),
            Err(_) => Vec::new(),
        };
        for samples in rest {
            self.show(samples);
        }
        while !self.inside.is_empty() {
            self.lose_first("the decoder gave no picture for it");
        }
    }

    /// The next picture in presentation order.
    pub(super) fn pop(&mut self) -> Option<Picture> {
        self.ready.pop_front()
    }

    /// A picture came out: it belongs to the earliest access unit that did not fail.
    fn show(&mut self, samples: Result<FrameBuffer, String>) {
        while let Some(((pts, _), failed)) = self.inside.pop_first() {
            match failed {
                Some(reason) => self.ready.push_back(Picture { pts, samples: Err(reason) }),
                None => {
                    self.ready.push_back(Picture { pts, samples });
                    return;
                }
            }
        }
    }

    fn lose_first(&mut self, reason: &str) {
        if let Some(((pts, _), failed)) = self.inside.pop_first() {
            self.ready.push_back(Picture { pts, samples: Err(failed.unwrap_or_else(|| reason.to_owned())) });
        }
    }
}

/// Copies a decoded picture, turned upright, into a buffer of the pool.
fn take(
    yuv: &DecodedYUV<'_>,
    coded: Geometry,
    orientation: Orientation,
    pool: &FramePool,
) -> Result<FrameBuffer, String> {
    let (width, height) = yuv.dimensions();
    if (width, height) != (coded.width() as usize, coded.height() as usize) {
        return Err(format!("the picture is {width}x{height} where {}x{} was due", coded.width(), coded.height()));
    }
    let mut buffer = pool.take(coded.bytes());
    let out = buffer.as_mut_slice();
    let strides = yuv.strides();
    let sources = [(yuv.y(), strides.0), (yuv.u(), strides.1), (yuv.v(), strides.2)];
    for (plane, (source, stride)) in coded.planes().into_iter().zip(sources) {
        let rows = out[plane.offset..].chunks_exact_mut(plane.stride).take(plane.height);
        for (to, from) in rows.zip(source.chunks(stride.max(1))) {
            let from = from.get(..plane.width).ok_or("the decoder gave a short picture")?;
            to.copy_from_slice(from);
        }
    }
    if orientation == Orientation::NoTransforms {
        return Ok(buffer);
    }
    let mut turned = pool.take(coded.bytes());
    orient(buffer.as_mut_slice(), coded, orientation, turned.as_mut_slice());
    Ok(turned)
}

/// The colours of a stream: what it says itself, then what its container says, then the convention.
pub(super) fn color(format: &Format, container: Option<(Option<Matrix>, Range)>) -> Color {
    let untagged = Color::untagged(format.geometry.height());
    let matrix = format.matrix.or(container.and_then(|c| c.0)).unwrap_or(untagged.matrix);
    let range = format.range.or(container.map(|c| c.1)).unwrap_or(untagged.range);
    Color { matrix, range }
}
