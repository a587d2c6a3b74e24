//! A source that outlives its streams: each has it lent, until the source is over or another stream is to go on with it.
//!
//! Where everything is to be covered, frames end here: no stage behind ever has one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::frame::FramePool;
use crate::pipeline::Joint;
use crate::source::{Next, Source, SourceError, StreamInfo};

/// An open source.
#[derive(Clone)]
pub(super) struct Held {
    info: StreamInfo,
    source: Arc<Mutex<Place>>,
}

struct Place {
    source: Box<dyn Source>,
    over: bool,
}

impl Held {
    pub(super) fn new(source: Box<dyn Source>) -> Self {
        let info = source.info().clone();
        Self { info, source: Arc::new(Mutex::new(Place { source, over: false })) }
    }

    pub(super) fn info(&self) -> &StreamInfo {
        &self.info
    }

    /// Whether no more frames come: it has ended, or failed, or panicked.
    pub(super) fn is_over(&self) -> bool {
        self.source.lock().map_or(true, |place| place.over)
    }

    /// For one stream, which ends when `turn` is set; wholly covered for the reason given, if one is.
    pub(super) fn lend(&self, turn: Arc<AtomicBool>, joint: Arc<Joint>, cover: Option<String>) -> Box<dyn Source> {
        Box::new(Lent { held: self.clone(), turn, joint, cover })
    }
}

struct Lent {
    held: Held,
    turn: Arc<AtomicBool>,
    joint: Arc<Joint>,
    cover: Option<String>,
}

impl Source for Lent {
    fn info(&self) -> &StreamInfo {
        &self.held.info
    }

    fn next(&mut self, pool: &FramePool) -> Result<Next, SourceError> {
        if self.turn.load(Ordering::Acquire) {
            self.joint.cut();
            return Ok(Next::End);
        }
        // One that panicked is not asked again: who holds it sees that it is over.
        let mut place = self.held.source.lock().unwrap_or_else(PoisonError::into_inner);
        let next = place.source.next(pool);
        place.over = matches!(next, Ok(Next::End) | Err(_));
        Ok(match (next?, &self.cover) {
            (Next::Frame(frame), Some(reason)) => {
                Next::Lost { index: frame.index(), time: frame.time(), reason: reason.clone() }
            }
            (Next::Lost { index, time, .. }, Some(reason)) => Next::Lost { index, time, reason: reason.clone() },
            (next, _) => next,
        })
    }
}
