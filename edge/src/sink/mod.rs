//! Where redacted frames go: one trait, [`Sink`], and one function, [`create`], that picks the writer.
//!
//! A sink takes [`Redacted`] frames and nothing else, writes into a temporary file beside its target and
//! renames it when finished, so that a file under its final name is whole. It may not know sources,
//! detectors or annotations.

use std::path::PathBuf;

use crate::redact::Redacted;

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
