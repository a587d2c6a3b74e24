//! Where redacted frames go: one trait, [`Sink`], and one function, [`create`], that picks the writer.
//!
//! A sink takes [`Redacted`] frames and nothing else, writes into a temporary file beside its target and
//! renames it when finished, so that a file under its final name is whole. Nothing of the source but its frames
//! and their times is written: no EXIF, GPS, XMP, names or dates. It may not know sources' files, detectors or
//! annotations.

mod avi;
#[cfg(all(unix, feature = "vault"))]
mod film;
#[cfg(feature = "h264")]
mod mp4;
mod partial;
mod pixels;
mod still;
mod y4m;

use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use crate::frame::Geometry;
use crate::redact::Redacted;
use crate::source::{MediaKind, StreamInfo};
#[cfg(all(unix, feature = "vault"))]
pub(crate) use film::Film;
use partial::Partial;

/// Writes redacted frames to one medium.
pub trait Sink: Send {
    /// Appends a frame.
    ///
    /// # Errors
    /// The disk or the encoder refused; what was written so far is removed when the sink is dropped.
    fn write(&mut self, frame: &Redacted) -> Result<(), SinkError>;

    /// Completes the medium and gives it its final name. Dropping a sink instead leaves nothing behind.
    ///
    /// # Errors
    /// The disk or the encoder refused.
    fn finish(self: Box<Self>) -> Result<PathBuf, SinkError>;
}

/// Why a frame could not be written. Every message names the file and a remedy.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum SinkError {
    #[error("cannot write {path:?}: {source}; check that the disk has room and is writable")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("cannot encode {path:?}: {reason}")]
    Encode { path: PathBuf, reason: String },
    #[error("{path:?}: frame is {actual} but the stream is {expected}")]
    Changed { path: PathBuf, expected: String, actual: String },
}

/// How to write.
#[derive(Clone, Debug)]
pub struct SinkOptions {
    /// JPEG pictures and Motion JPEG: 1 (worst) to 100.
    pub jpeg_quality: u8,
    /// H.264: bits per second on average; constant quality (quantiser 26) where `None`.
    pub bitrate: Option<u32>,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self { jpeg_quality: 92, bitrate: None }
    }
}

/// Starts a medium of `kind` that will be named `path`; `info` describes the frames to come. An existing file is
/// replaced when the sink is finished, not before. `MediaKind::Other` and `Live` become MP4.
///
/// MP4 takes frames of 16x16 to 3840x2160 (or upright). H.264 stores even sizes only: an odd one gains a column or
/// row, a copy of its neighbour.
///
/// # Errors
/// The folder cannot be written to, or the kind cannot hold such frames.
pub fn create(
    path: &Path,
    kind: MediaKind,
    info: &StreamInfo,
    options: &SinkOptions,
) -> Result<Box<dyn Sink>, SinkError> {
    let mut out = Partial::create(path)?;
    let encoder = encoder(kind, info, options, &mut out).map_err(|f| f.at(path))?;
    Ok(Box::new(FileSink { path: path.to_path_buf(), geometry: info.geometry, out, encoder }))
}

fn encoder(
    kind: MediaKind,
    info: &StreamInfo,
    options: &SinkOptions,
    out: &mut dyn Out,
) -> Result<Box<dyn Encode>, Fail> {
    match kind {
        MediaKind::Jpeg | MediaKind::Png | MediaKind::Webp => {
            Ok(Box::new(still::Still::new(kind, info.geometry, options.jpeg_quality)))
        }
        MediaKind::Y4m => Ok(Box::new(y4m::Y4m::new(info, out)?)),
        MediaKind::Mjpeg => Ok(Box::new(avi::Avi::new(info, options.jpeg_quality, out)?)),
        #[cfg(feature = "h264")]
        MediaKind::Mp4 | MediaKind::Other | MediaKind::Live => Ok(Box::new(mp4::Mp4::new(info, options, out)?)),
        #[cfg(not(feature = "h264"))]
        MediaKind::Mp4 | MediaKind::Other | MediaKind::Live => {
            Err(Fail::Encode("this program was built without the h264 feature; write Y4M or Motion JPEG".into()))
        }
    }
}

/// Where an encoder writes: the temporary file, or anything in tests.
trait Out: Write + Seek {}
impl<T: Write + Seek> Out for T {}

/// One format. It sees frames of one geometry only.
trait Encode: Send {
    fn write(&mut self, frame: &Redacted, out: &mut dyn Out) -> Result<(), Fail>;
    fn finish(&mut self, out: &mut dyn Out) -> Result<(), Fail>;
}

/// A [`SinkError`] without the file's name.
#[derive(Debug)]
enum Fail {
    Io(std::io::Error),
    Encode(String),
}

impl Fail {
    fn at(self, path: &Path) -> SinkError {
        let path = path.to_path_buf();
        match self {
            Self::Io(source) => SinkError::Io { path, source },
            Self::Encode(reason) => SinkError::Encode { path, reason },
        }
    }
}

impl From<std::io::Error> for Fail {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

struct FileSink {
    path: PathBuf,
    geometry: Geometry,
    out: Partial,
    encoder: Box<dyn Encode>,
}

impl Sink for FileSink {
    fn write(&mut self, frame: &Redacted) -> Result<(), SinkError> {
        if frame.geometry() != self.geometry {
            let show = |g: Geometry| format!("{}x{} {:?}", g.width(), g.height(), g.format());
            return Err(SinkError::Changed {
                path: self.path.clone(),
                expected: show(self.geometry),
                actual: show(frame.geometry()),
            });
        }
        self.encoder.write(frame, &mut self.out).map_err(|f| f.at(&self.path))
    }

    fn finish(mut self: Box<Self>) -> Result<PathBuf, SinkError> {
        self.encoder.finish(&mut self.out).map_err(|f| f.at(&self.path))?;
        self.out.persist(&self.path)
    }
}

#[cfg(test)]
mod tests;
