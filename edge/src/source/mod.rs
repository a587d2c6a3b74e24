//! Where frames come from: one trait, [`Source`], and one function, [`open`], that picks the reader.
//!
//! A source decodes into a [`RawFrame`] in the layout it has at hand and does nothing else: it may not
//! know detectors, masks or sinks. Whatever a file or a camera does wrong is an error or a lost frame,
//! never a panic.

use std::path::PathBuf;
use std::time::Duration;

use crate::frame::{Color, FrameError, FramePool, Geometry, RawFrame};

/// Frames per second as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Rate {
    /// Frames ...
    pub num: u32,
    /// ... per this many seconds; at least 1.
    pub den: u32,
}

impl Rate {
    /// Frames per second.
    pub fn fps(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    /// When frame `index` is due, counted from the first.
    pub fn time_of(self, index: u64) -> Duration {
        let nanos = u128::from(index) * 1_000_000_000 * u128::from(self.den) / u128::from(self.num.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// What a medium is, so that the output can be of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// A JPEG picture.
    Jpeg,
    /// A PNG picture.
    Png,
    /// A WebP picture.
    Webp,
    /// Uncompressed video, YUV4MPEG2.
    Y4m,
    /// Motion JPEG in AVI.
    Mjpeg,
    /// H.264 in MP4.
    Mp4,
    /// Anything else that the `ffmpeg` program decoded.
    Other,
    /// A live camera.
    Live,
}

impl MediaKind {
    /// Whether it holds one picture.
    pub fn is_still(self) -> bool {
        matches!(self, Self::Jpeg | Self::Png | Self::Webp)
    }
}

/// What is known of a stream before its first frame.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamInfo {
    /// What it was read from.
    pub kind: MediaKind,
    /// Size and layout of every frame.
    pub geometry: Geometry,
    /// How samples map to colours.
    pub color: Color,
    /// Frame rate; stills say 1/1.
    pub rate: Rate,
    /// How many frames there are, where the container says so (a hint, not a promise).
    pub frames: Option<u64>,
}

/// What a source has next.
#[derive(Debug)]
pub enum Next {
    /// A frame.
    Frame(RawFrame),
    /// A frame that was there but could not be read. The stream goes on, and the pipeline puts a covered
    /// frame in its place.
    Lost {
        /// Its number.
        index: u64,
        /// Its time.
        time: Duration,
        /// What went wrong.
        reason: String,
    },
    /// The stream is over.
    End,
}

/// Reads frames, one after the other. Numbers rise by one from 0, lost frames included.
pub trait Source: Send {
    /// What is known of the stream.
    fn info(&self) -> &StreamInfo;

    /// The next frame, in a buffer of `pool`.
    ///
    /// # Errors
    /// The stream cannot go on (truncated container, camera gone, disk error). Frames already given stand.
    fn next(&mut self, pool: &FramePool) -> Result<Next, SourceError>;
}

/// Why a source could not be opened or could not go on. Every message names the file and a remedy.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum SourceError {
    #[error("cannot read {path:?}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path:?} is not a kind of file that is understood ({hint})")]
    Unsupported { path: PathBuf, hint: String },
    #[error("{path:?} is damaged: {reason}; copy it again from where it was made")]
    Corrupt { path: PathBuf, reason: String },
    #[error("{path:?}: {source}")]
    Frame { path: PathBuf, source: FrameError },
    #[error("camera {name}: {reason}")]
    Camera { name: String, reason: String },
}
