//! Raw frames: pixels as the sensor gave them, and the rule that they cannot leave (guarantee G1).
//!
//! A [`RawFrame`] can be built by anyone and read by nobody outside this crate: it is neither `Clone` nor
//! `Serialize`, its pixels are `pub(crate)`, and no sink takes it. The only way on is
//! [`Redactor`](crate::redact::Redactor), which consumes it. Its buffer is wiped when dropped.
//!
//! This module knows layouts and memory; it may not know detectors, masks or files.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How a frame's samples lie in memory. Planes follow each other without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PixelFormat {
    /// Y, then U, then V, chroma halved both ways. What H.264 decoders and most Y4M files give.
    I420,
    /// Y, then U, then V, chroma halved horizontally.
    I422,
    /// Y, then U, then V, all at full size.
    I444,
    /// Y, then interleaved UV, chroma halved both ways. What most camera pipelines give.
    Nv12,
    /// Y0 U Y1 V, packed; width is even.
    Yuyv,
    /// R G B, packed.
    Rgb8,
    /// One luma sample per pixel (infrared cameras).
    Grey8,
}

/// The luma weights of YUV formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Matrix {
    /// ITU-R BT.601: standard definition, JPEG.
    Bt601,
    /// ITU-R BT.709: high definition.
    #[default]
    Bt709,
}

/// The span of sample values of YUV formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Range {
    /// Luma 16..=235, chroma 16..=240.
    #[default]
    Limited,
    /// 0..=255.
    Full,
}

/// How YUV samples map to colours; meaningless for RGB and grey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Color {
    /// Luma weights.
    pub matrix: Matrix,
    /// Sample range.
    pub range: Range,
}

impl Color {
    /// What an untagged stream of this height is taken to be: BT.709 from 720 lines on, BT.601 below.
    pub fn untagged(height: u32) -> Self {
        Self { matrix: if height >= 720 { Matrix::Bt709 } else { Matrix::Bt601 }, range: Range::Limited }
    }

    /// JPEG's convention (JFIF): BT.601, full range.
    pub const JPEG: Self = Self { matrix: Matrix::Bt601, range: Range::Full };
}

/// The largest side that is accepted, in pixels.
pub const MAX_SIDE: u32 = 16_384;
/// The largest number of pixels that is accepted (64 Mpx: a 192 MB RGB picture).
pub const MAX_PIXELS: u64 = 64 << 20;

/// Why a frame could not be built.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)] // the messages say it
pub enum FrameError {
    #[error("the picture is {width}x{height}; both sides must be at least 1")]
    Empty { width: u32, height: u32 },
    #[error(
        "the picture is {width}x{height}; at most {MAX_SIDE} pixels a side and {MAX_PIXELS} in all are accepted, so scale it down first"
    )]
    TooLarge { width: u32, height: u32 },
    #[error("a YUYV picture needs an even width, not {width}")]
    OddWidth { width: u32 },
    #[error("the picture should hold {expected} bytes but holds {actual}")]
    WrongLength { expected: usize, actual: usize },
}

/// Size and layout of a frame, checked: sides within bounds, the byte count fits in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    format: PixelFormat,
    width: u32,
    height: u32,
}

/// One plane of a frame: where its samples lie. `channels` samples of one position follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plane {
    /// First byte of the plane within the frame.
    pub offset: usize,
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Positions per row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Bytes from one position to the next.
    pub step: usize,
    /// Samples at each position (1: Y, U or V; 2: UV; 3: RGB).
    pub channels: usize,
    /// log2 of how many pixels across one position stands for.
    pub shift_x: u32,
    /// log2 of how many pixels down one position stands for.
    pub shift_y: u32,
    /// What "black" or "no colour" is in this plane, before range is considered.
    pub chroma: bool,
}

impl Geometry {
    /// Checks a size against the format's and the program's limits.
    ///
    /// # Errors
    /// An empty or oversized picture, or an odd width in YUYV.
    pub fn new(format: PixelFormat, width: u32, height: u32) -> Result<Self, FrameError> {
        if width == 0 || height == 0 {
            return Err(FrameError::Empty { width, height });
        }
        if width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
            return Err(FrameError::TooLarge { width, height });
        }
        if format == PixelFormat::Yuyv && !width.is_multiple_of(2) {
            return Err(FrameError::OddWidth { width });
        }
        Ok(Self { format, width, height })
    }

    /// The layout of samples.
    pub const fn format(&self) -> PixelFormat {
        self.format
    }

    /// Pixels across.
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Pixels down.
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// Number of pixels.
    pub const fn pixels(&self) -> u64 {
        self.width as u64 * self.height as u64
    }

    /// Bytes of one frame.
    pub fn bytes(&self) -> usize {
        let (w, h) = (self.width as usize, self.height as usize);
        let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
        match self.format {
            PixelFormat::I420 | PixelFormat::Nv12 => w * h + 2 * cw * ch,
            PixelFormat::I422 => w * h + 2 * cw * h,
            PixelFormat::I444 | PixelFormat::Rgb8 => 3 * w * h,
            PixelFormat::Yuyv => 2 * w * h,
            PixelFormat::Grey8 => w * h,
        }
    }

    /// The planes, luma (or RGB) first.
    pub fn planes(&self) -> Planes {
        let (w, h) = (self.width as usize, self.height as usize);
        let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
        let luma = Plane {
            offset: 0,
            stride: w,
            width: w,
            height: h,
            step: 1,
            channels: 1,
            shift_x: 0,
            shift_y: 0,
            chroma: false,
        };
        let chroma = |offset, width, height, shift_x, shift_y| Plane {
            offset,
            stride: width,
            width,
            height,
            shift_x,
            shift_y,
            chroma: true,
            ..luma
        };
        let list = match self.format {
            PixelFormat::Grey8 => [Some(luma), None, None],
            PixelFormat::Rgb8 => [Some(Plane { stride: 3 * w, step: 3, channels: 3, ..luma }), None, None],
            PixelFormat::I420 => {
                [Some(luma), Some(chroma(w * h, cw, ch, 1, 1)), Some(chroma(w * h + cw * ch, cw, ch, 1, 1))]
            }
            PixelFormat::I422 => {
                [Some(luma), Some(chroma(w * h, cw, h, 1, 0)), Some(chroma(w * h + cw * h, cw, h, 1, 0))]
            }
            PixelFormat::I444 => [Some(luma), Some(chroma(w * h, w, h, 0, 0)), Some(chroma(2 * w * h, w, h, 0, 0))],
            PixelFormat::Nv12 => {
                let uv = Plane { stride: 2 * cw, step: 2, channels: 2, ..chroma(w * h, cw, ch, 1, 1) };
                [Some(luma), Some(uv), None]
            }
            PixelFormat::Yuyv => {
                let packed = |offset, width, step, shift_x, chroma| Plane {
                    offset,
                    stride: 2 * w,
                    width,
                    step,
                    shift_x,
                    chroma,
                    ..luma
                };
                [
                    Some(packed(0, w, 2, 0, false)),
                    Some(packed(1, w / 2, 4, 1, true)),
                    Some(packed(3, w / 2, 4, 1, true)),
                ]
            }
        };
        Planes(list)
    }
}

/// Up to three planes, in order.
#[derive(Clone, Copy, Debug)]
pub struct Planes([Option<Plane>; 3]);

impl IntoIterator for Planes {
    type Item = Plane;
    type IntoIter = std::iter::Flatten<std::array::IntoIter<Option<Plane>, 3>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().flatten()
    }
}

/// Recycles frame buffers, so that a steady stream allocates nothing. Clones share one pool.
#[derive(Clone, Default, Debug)]
pub struct FramePool(Arc<Mutex<Vec<Vec<u8>>>>);

/// How many bytes of idle buffers a pool keeps; more are given back to the system.
const POOL_KEEPS: usize = 64 << 20;

impl FramePool {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    /// A zeroed buffer of exactly `bytes` bytes, wiped and returned to this pool when dropped.
    pub fn take(&self, bytes: usize) -> FrameBuffer {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = idle.iter().position(|b| b.capacity() >= bytes).map(|i| idle.swap_remove(i));
        drop(idle);
        let mut bytes_vec = found.unwrap_or_default();
        bytes_vec.resize(bytes, 0);
        FrameBuffer { bytes: bytes_vec, pool: Some(self.clone()) }
    }
}

/// A buffer that may hold raw pixels: overwritten with zeros when dropped. Not `Clone`, prints no contents.
pub struct FrameBuffer {
    bytes: Vec<u8>,
    pool: Option<FramePool>,
}

impl FrameBuffer {
    /// The bytes, for a source to fill.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<Vec<u8>> for FrameBuffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, pool: None }
    }
}

impl Drop for FrameBuffer {
    fn drop(&mut self) {
        wipe(&mut self.bytes);
        if let Some(pool) = self.pool.take() {
            let bytes = std::mem::take(&mut self.bytes);
            let mut idle = pool.0.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.iter().map(Vec::capacity).sum::<usize>() + bytes.capacity() <= POOL_KEEPS {
                idle.push(bytes);
            }
        }
    }
}

impl std::fmt::Debug for FrameBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FrameBuffer({} bytes)", self.bytes.len())
    }
}

/// Overwrites `bytes` with zeros in a way that the optimiser keeps: it must assume that the zeros are read.
pub(crate) fn wipe<T: Copy + Default>(bytes: &mut [T]) {
    bytes.fill(T::default());
    std::hint::black_box(bytes);
}

/// One frame as it came from a source, not yet safe. See the module's page.
#[derive(Debug)]
pub struct RawFrame {
    index: u64,
    time: Duration,
    geometry: Geometry,
    color: Color,
    buffer: FrameBuffer,
}

impl RawFrame {
    /// Wraps a buffer as frame number `index` (from 0), taken `time` after the stream began.
    ///
    /// # Errors
    /// The buffer's length is not `geometry.bytes()`.
    pub fn new(
        index: u64,
        time: Duration,
        geometry: Geometry,
        color: Color,
        buffer: impl Into<FrameBuffer>,
    ) -> Result<Self, FrameError> {
        let buffer = buffer.into();
        let (expected, actual) = (geometry.bytes(), buffer.bytes.len());
        if expected != actual {
            return Err(FrameError::WrongLength { expected, actual });
        }
        Ok(Self { index, time, geometry, color, buffer })
    }

    /// Its number within the stream, from 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// When it was taken, counted from the stream's first frame.
    pub fn time(&self) -> Duration {
        self.time
    }

    /// Its size and layout.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// How its samples map to colours.
    pub fn color(&self) -> Color {
        self.color
    }

    /// The same samples at another time and with other colours, for sources whose container knows better.
    pub(crate) fn retimed(self, time: Duration, color: Color) -> Self {
        Self { time, color, ..self }
    }

    pub(crate) fn pixels(&self) -> &[u8] {
        self.buffer.as_slice()
    }

    pub(crate) fn pixels_mut(&mut self) -> &mut [u8] {
        self.buffer.as_mut_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_tile_the_buffer_exactly() {
        for format in [
            PixelFormat::I420,
            PixelFormat::I422,
            PixelFormat::I444,
            PixelFormat::Nv12,
            PixelFormat::Yuyv,
            PixelFormat::Rgb8,
            PixelFormat::Grey8,
        ] {
            for (w, h) in [(2, 1), (8, 6), (6, 7), (34, 15)] {
                let g = Geometry::new(format, w, h).unwrap();
                let mut seen = vec![0u8; g.bytes()];
                for p in g.planes() {
                    for y in 0..p.height {
                        for x in 0..p.width {
                            for c in 0..p.channels {
                                seen[p.offset + y * p.stride + x * p.step + c] += 1;
                            }
                        }
                    }
                }
                assert!(seen.iter().all(|&n| n == 1), "{format:?} {w}x{h}");
            }
        }
    }

    #[test]
    fn a_dropped_buffer_comes_back_wiped() {
        let pool = FramePool::new();
        let mut buffer = pool.take(64);
        buffer.as_mut_slice().fill(7);
        drop(buffer);
        let mut idle = pool.0.lock().unwrap();
        let bytes = idle.pop().unwrap();
        assert_eq!(bytes, vec![0; 64]);
    }

    #[test]
    fn sizes_out_of_bounds_are_refused() {
        assert_eq!(Geometry::new(PixelFormat::Rgb8, 0, 4), Err(FrameError::Empty { width: 0, height: 4 }));
        assert!(matches!(Geometry::new(PixelFormat::Rgb8, 100_000, 100_000), Err(FrameError::TooLarge { .. })));
        assert!(matches!(Geometry::new(PixelFormat::Yuyv, 3, 4), Err(FrameError::OddWidth { .. })));
    }
}
