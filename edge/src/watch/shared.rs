//! Segments in several hands: the pipeline's, whose sink they are, and those of whoever looks after the process.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use super::segments::Segments;
use crate::annotate::FrameRecord;
use crate::redact::Redacted;
use crate::sink::{Sink, SinkError};

/// Segments in several hands: the pipeline's writer, and whoever ends the process.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Segments>>);

impl Shared {
    pub(super) fn new(segments: Segments) -> Self {
        Self(Arc::new(Mutex::new(segments)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Segments> {
        match self.0.lock() {
            Ok(segments) => segments,
            Err(poisoned) => {
                self.0.clear_poison();
                let mut segments = poisoned.into_inner();
                // Who knows where in it a panic came.
                segments.discard();
                segments
            }
        }
    }

    /// What it is doing, unless it is busy.
    pub(super) fn status(&self) -> Option<String> {
        self.0.try_lock().ok().map(|segments| segments.status())
    }

    pub(super) fn record(&self, frame: &FrameRecord) {
        self.lock().record(frame);
    }
}

impl Sink for Shared {
    fn write(&mut self, frame: &Redacted) -> Result<(), SinkError> {
        self.lock().write(frame);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<PathBuf, SinkError> {
        let mut segments = self.lock();
        segments.end_stream(true);
        Ok(segments.folder().to_owned())
    }
}
