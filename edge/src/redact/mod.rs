//! The redactor: the only maker of [`Redacted`], and thereby the only way for pixels to leave (guarantee G1).
//!
//! It consumes a [`RawFrame`], destroys the samples inside the given regions, in place and in the sensor's own
//! layout, and touches nothing else. It knows neither detectors nor files: what to cover is decided elsewhere,
//! and when that decision failed, [`Redactor::cover`] hides the whole frame (guarantee G2).

mod kernel;
mod region;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::frame::{Color, FrameBuffer, Geometry, PixelFormat, Range, RawFrame};
use kernel::{Paint, Scratch};

pub use region::{Region, Shape};

/// What is put in place of a region. All of them destroy what was there (guarantee G3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Style {
    /// Black. Nothing at all remains.
    Solid,
    /// Coarse cells in shades of grey, which are noise; nothing at all remains.
    #[default]
    Mosaic,
    /// The same shades, running into each other.
    Blur,
}

/// Cells along the shorter side of a region in mosaic and blur.
const CELLS: u32 = 6;
/// Shades differ from grey by up to this many levels of 256, up or down: enough to be seen as a texture.
const NOISE: i16 = 28;
/// The same in chroma planes, where more would look like confetti.
const CHROMA_NOISE: i16 = 6;

/// Why a redactor could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the system gave no random numbers ({0}); the noise that hides faces needs them")]
pub struct NoRandomness(getrandom::Error);

/// A frame in which every region that was asked for is destroyed.
///
/// It can be made in no other way than by a [`Redactor`]:
///
/// ```compile_fail
/// # use volet_edge::{frame::RawFrame, redact::Redacted};
/// fn smuggle(frame: RawFrame) -> Redacted {
///     Redacted { frame, covered_pixels: 0, regions: Vec::new(), reason: None }
/// }
/// ```
#[derive(Debug)]
pub struct Redacted {
    frame: RawFrame,
    covered_pixels: u64,
    regions: Vec<Region>,
    reason: Option<String>,
}

impl Redacted {
    /// Its number within the stream, from 0.
    pub fn index(&self) -> u64 {
        self.frame.index()
    }

    /// When it was taken, counted from the stream's first frame.
    pub fn time(&self) -> Duration {
        self.frame.time()
    }

    /// Size and layout.
    pub fn geometry(&self) -> Geometry {
        self.frame.geometry()
    }

    /// How samples map to colours.
    pub fn color(&self) -> Color {
        self.frame.color()
    }

    /// The samples, laid out as [`Geometry::planes`] says.
    pub fn samples(&self) -> &[u8] {
        self.frame.pixels()
    }

    /// What was destroyed. Empty when the whole frame was.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Why the whole frame is covered, if it is.
    pub fn covered_because(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Number of pixels that were destroyed.
    pub fn covered_pixels(&self) -> u64 {
        self.covered_pixels
    }
}

/// Destroys regions of frames. One per stream: its noise is drawn once from the system and never repeats elsewhere.
pub struct Redactor {
    style: Style,
    key: [u8; 32],
    scratch: Scratch,
    spans: Vec<std::ops::Range<usize>>,
    /// For the next frame's regions; empty.
    regions: Vec<Region>,
}

impl Redactor {
    /// A redactor with fresh noise.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn new(style: Style) -> Result<Self, NoRandomness> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(NoRandomness)?;
        Ok(Self { style, key, scratch: Scratch::default(), spans: Vec::new(), regions: Vec::new() })
    }

    /// The same redactor with the same noise and nothing left of what it last did.
    pub(crate) fn renewed(&self) -> Self {
        Self { scratch: Scratch::default(), spans: Vec::new(), regions: Vec::new(), ..*self }
    }

    /// Destroys `regions` of `frame`; parts beyond the border are ignored.
    ///
    /// A region whose box is not finite or empty could hide nothing, so it covers the whole frame instead.
    pub fn redact(&mut self, mut frame: RawFrame, regions: &[Region]) -> Redacted {
        if regions.iter().any(|r| !r.bbox.is_valid()) {
            return self.cover(frame, "a region to be covered had no valid box");
        }
        let (geometry, color) = (frame.geometry(), frame.color());
        let data = frame.pixels_mut();
        for region in regions {
            let mut noise = Noise::new(&self.key, region);
            for plane in geometry.planes() {
                match self.style {
                    Style::Solid => kernel::fill(data, &plane, region, black(geometry, color, plane.chroma)),
                    Style::Mosaic | Style::Blur => {
                        let how = if self.style == Style::Blur { Paint::Blur } else { Paint::Mosaic };
                        let reach = if plane.chroma { CHROMA_NOISE } else { NOISE };
                        kernel::paint(data, &plane, region, how, CELLS, &mut || noise.next(reach), &mut self.scratch);
                    }
                }
            }
        }
        let covered_pixels = match geometry.planes().into_iter().next() {
            Some(luma) => region::covered_pixels(&luma, regions, &mut self.spans),
            None => 0,
        };
        let mut destroyed = std::mem::take(&mut self.regions);
        destroyed.extend_from_slice(regions);
        Redacted { frame, covered_pixels, regions: destroyed, reason: None }
    }

    /// Takes back a frame that has gone where it was to go, for the memory of the next one.
    pub(crate) fn reclaim(&mut self, redacted: Redacted) {
        self.regions = redacted.regions;
        self.regions.clear();
    }

    /// Destroys the whole frame, because of `reason`.
    pub fn cover(&mut self, mut frame: RawFrame, reason: impl Into<String>) -> Redacted {
        let (geometry, color) = (frame.geometry(), frame.color());
        let data = frame.pixels_mut();
        for plane in geometry.planes() {
            let value = black(geometry, color, plane.chroma);
            if plane.step == plane.channels {
                data[plane.offset..plane.offset + plane.stride * plane.height].fill(value);
            } else {
                data[plane.offset..].iter_mut().step_by(plane.step).for_each(|v| *v = value);
            }
        }
        let covered_pixels = geometry.pixels();
        Redacted { frame, covered_pixels, regions: Vec::new(), reason: Some(reason.into()) }
    }

    /// A covered frame in the place of one that was lost: nothing of any picture was ever in it.
    ///
    /// # Errors
    /// The buffer is not as long as the geometry says.
    pub fn blank(
        &mut self,
        index: u64,
        time: Duration,
        geometry: Geometry,
        color: Color,
        buffer: FrameBuffer,
        reason: impl Into<String>,
    ) -> Result<Redacted, crate::frame::FrameError> {
        Ok(self.cover(RawFrame::new(index, time, geometry, color, buffer)?, reason))
    }
}

/// The sample value of black (luma, RGB) or of no colour (chroma).
fn black(geometry: Geometry, color: Color, chroma: bool) -> u8 {
    match (chroma, geometry.format(), color.range) {
        (true, _, _) => 128,
        (false, PixelFormat::Rgb8, _) | (false, _, Range::Full) => 0,
        (false, _, Range::Limited) => 16,
    }
}

/// Noise of one region: BLAKE3's output stream under the redactor's key, named by the track.
struct Noise {
    stream: blake3::OutputReader,
    block: [u8; 64],
    used: usize,
}

impl Noise {
    fn new(key: &[u8; 32], region: &Region) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(key);
        hasher.update(&region.track_id.map_or(u64::MAX, u64::from).to_le_bytes());
        Self { stream: hasher.finalize_xof(), block: [0; 64], used: 64 }
    }

    /// Uniform in `-reach..=reach`, up to a bias of less than 2 ^ -9.
    fn next(&mut self, reach: i16) -> i16 {
        if self.used == self.block.len() {
            self.stream.fill(&mut self.block);
            self.used = 0;
        }
        let pair = u16::from_le_bytes([self.block[self.used], self.block[self.used + 1]]);
        self.used += 2;
        (pair % (2 * reach as u16 + 1)) as i16 - reach
    }
}

#[cfg(test)]
impl Redacted {
    /// For the tests of sinks only: takes a frame as it is.
    pub(crate) fn for_tests(frame: RawFrame) -> Self {
        Self { frame, covered_pixels: 0, regions: Vec::new(), reason: None }
    }
}

#[cfg(test)]
mod tests;
