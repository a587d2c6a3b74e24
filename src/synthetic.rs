//! A synthetic clip as a stream. Knows nothing of what is done with it.

use std::path::PathBuf;

use volet_edge::frame::{Color, FramePool, Geometry, PixelFormat, RawFrame};
use volet_edge::source::{MediaKind, Next, Rate, Source, SourceError, StreamInfo};
use volet_synthetic::Clip;

/// A clip of synthetic people as a camera would give it.
pub(crate) struct Synthetic {
    clip: Clip,
    info: StreamInfo,
    next: u32,
}

impl Synthetic {
    /// A clip of frames of this size, so many a second.
    pub(crate) fn new(clip: Clip, (width, height): (u32, u32), fps: u32) -> anyhow::Result<Self> {
        let info = StreamInfo {
            kind: MediaKind::Mp4,
            geometry: Geometry::new(PixelFormat::Rgb8, width, height)?,
            color: Color::untagged(height),
            rate: Rate { num: fps, den: 1 },
            frames: Some(u64::from(clip.len())),
        };
        Ok(Self { clip, info, next: 0 })
    }
}

impl Source for Synthetic {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    fn next(&mut self, _pool: &FramePool) -> Result<Next, SourceError> {
        if self.next >= self.clip.len() {
            return Ok(Next::End);
        }
        let index = u64::from(self.next);
        let rgb = self.clip.frame(self.next).image.into_raw();
        self.next += 1;
        RawFrame::new(index, self.info.rate.time_of(index), self.info.geometry, self.info.color, rgb)
            .map(Next::Frame)
            .map_err(|source| SourceError::Frame { path: PathBuf::from("synthetic clip"), source })
    }
}
