//! Where redacted frames wait to be pulled: as many slots as were asked for, used again and again, and the sink that
//! fills them.
//!
//! Knows redacted frames and what was found in them; raw ones never come here (guarantee G1).

use std::collections::VecDeque;
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use volet_edge::annotate::{AnnotateError, FrameRecord};
use volet_edge::redact::Redacted;
use volet_edge::sink::{Sink, SinkError};

use crate::patience::Patience;
use crate::types::VoletAnnotation;

/// The slots, and how the stream ended.
pub(crate) struct Outlet {
    state: Mutex<State>,
    changed: Condvar,
    most: usize,
}

#[derive(Default)]
struct State {
    idle: Vec<Slot>,
    /// Slots that exist, wherever they are.
    made: usize,
    /// A frame whose annotations are still to come.
    staged: Option<Slot>,
    ready: VecDeque<Slot>,
    ended: Option<Result<(), String>>,
    stopped: bool,
}

/// A redacted frame and what is known of it. Its memory is used again.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) index: u64,
    pub(crate) time: Duration,
    /// Plane after plane, without padding.
    pub(crate) samples: Vec<u8>,
    /// Why all of it is covered, if it is.
    pub(crate) covered_because: Option<CString>,
    pub(crate) covered_pixels: u64,
    pub(crate) annotations: Vec<VoletAnnotation>,
}

/// What a pull gave.
#[derive(Debug)]
pub(crate) enum Pulled {
    Frame(Slot),
    /// Nothing yet.
    Empty,
    /// No more frames come.
    End,
}

impl Outlet {
    /// At most so many frames are ready or lent at a time.
    pub(crate) fn new(most: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), most }
    }

    /// The next frame, in order.
    ///
    /// # Errors
    /// The stream broke off, and why. Frames before that come first.
    pub(crate) fn pull(&self, patience: Patience) -> Result<Pulled, String> {
        let mut state =
            patience.wait(&self.changed, self.lock(), |s| s.ready.is_empty() && s.ended.is_none() && !s.stopped);
        if state.stopped {
            return Ok(Pulled::End);
        }
        match (state.ready.pop_front(), &state.ended) {
            (Some(slot), _) => Ok(Pulled::Frame(slot)),
            (None, None) => Ok(Pulled::Empty),
            (None, Some(ended)) => ended.clone().map(|()| Pulled::End),
        }
    }

    /// Takes a slot back.
    pub(crate) fn take_back(&self, slot: Slot) {
        self.lock().idle.push(slot);
        self.changed.notify_all();
    }

    /// Nobody pulls any more: frames that are ready are dropped, and no more are taken.
    pub(crate) fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        state.ready.clear();
        state.idle.clear();
        self.changed.notify_all();
    }

    /// No more frames come, because the stream is over or broke off.
    pub(crate) fn end(&self, how: Result<(), String>) {
        self.lock().ended.get_or_insert(how);
        self.changed.notify_all();
    }

    /// Why no more frames come, if the stream broke off. Waits until it has ended or was stopped.
    pub(crate) fn broken(&self) -> Option<String> {
        let state = Patience::Forever.wait(&self.changed, self.lock(), |s| s.ended.is_none() && !s.stopped);
        if state.stopped { None } else { state.ended.clone().and_then(Result::err) }
    }

    /// Copies a frame into a slot, once one is free.
    fn stage(&self, frame: &Redacted) -> Result<(), Stopped> {
        let mut slot = self.slot()?;
        slot.index = frame.index();
        slot.time = frame.time();
        slot.samples.clear();
        slot.samples.extend_from_slice(frame.samples());
        slot.covered_because = frame.covered_because().map(text);
        slot.covered_pixels = frame.covered_pixels();
        self.lock().staged = Some(slot);
        Ok(())
    }

    fn slot(&self) -> Result<Slot, Stopped> {
        let none = |s: &State| s.idle.is_empty() && s.made >= self.most;
        let mut state = Patience::Forever.wait(&self.changed, self.lock(), |s| none(s) && !s.stopped);
        if state.stopped {
            return Err(Stopped);
        }
        Ok(state.idle.pop().unwrap_or_else(|| {
            state.made += 1;
            Slot::default()
        }))
    }

    /// Adds what was found to the frame that was staged, and lets it be pulled.
    ///
    /// # Errors
    /// It is not the frame that was staged.
    pub(crate) fn publish(&self, record: &FrameRecord) -> Result<(), AnnotateError> {
        let mut state = self.lock();
        let staged = state.staged.take().filter(|slot| slot.index == record.index);
        let mut slot = staged.ok_or(AnnotateError::Order("a record came without its frame"))?;
        slot.annotations.clear();
        slot.annotations.extend(record.objects.iter().map(VoletAnnotation::from));
        if !state.stopped {
            state.ready.push_back(slot);
        }
        self.changed.notify_all();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Text for C, which ends at the first zero.
pub(crate) fn text(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).unwrap_or_default()
}

struct Stopped;

/// The pipeline's side of the outlet.
pub(crate) struct ToOutlet(pub(crate) Arc<Outlet>);

impl Sink for ToOutlet {
    fn write(&mut self, frame: &Redacted) -> Result<(), SinkError> {
        let stopped =
            |Stopped| SinkError::Encode { path: PathBuf::from("camera"), reason: "it was stopped".to_owned() };
        self.0.stage(frame).map_err(stopped)
    }

    fn finish(self: Box<Self>) -> Result<PathBuf, SinkError> {
        Ok(PathBuf::new())
    }
}
