//! Where pushed frames wait for the pipeline: a queue of bounded length, and the source that reads it.
//!
//! Knows frames, not their samples, and nothing of what becomes of them.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use volet_edge::frame::{FrameError, FramePool, RawFrame};
use volet_edge::source::{Next, Source, SourceError, StreamInfo};

use crate::patience::Patience;

/// The queue.
pub(crate) struct Intake {
    state: Mutex<State>,
    changed: Condvar,
    most: usize,
}

struct State {
    waiting: VecDeque<RawFrame>,
    /// Places that were promised to frames which are being copied.
    promised: usize,
    /// The number of the next frame.
    next: u64,
    door: Door,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    Open,
    /// No more frames come; those that wait are still read.
    Finished,
    /// Nobody reads any more.
    Shut,
}

/// Why there was no place for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Finished,
    Shut,
}

/// Room for one frame, given back when dropped.
pub(crate) struct Place<'a>(&'a Intake);

impl Intake {
    /// A queue in which at most so many frames wait.
    pub(crate) fn new(most: usize) -> Self {
        let state = State { waiting: VecDeque::with_capacity(most), promised: 0, next: 0, door: Door::Open };
        Self { state: Mutex::new(state), changed: Condvar::new(), most }
    }

    /// Waits for room. Samples are copied once there is some, and not for nothing.
    pub(crate) fn place(&self, patience: Patience) -> Result<Place<'_>, Refused> {
        let full = |s: &State| s.waiting.len() + s.promised >= self.most;
        let mut state = patience.wait(&self.changed, self.lock(), |s| s.door == Door::Open && full(s));
        match state.door {
            Door::Finished => Err(Refused::Finished),
            Door::Shut => Err(Refused::Shut),
            Door::Open if full(&state) => Err(Refused::Full),
            Door::Open => {
                state.promised += 1;
                Ok(Place(self))
            }
        }
    }

    /// No more frames come.
    pub(crate) fn finish(&self) {
        let mut state = self.lock();
        if state.door == Door::Open {
            state.door = Door::Finished;
        }
        self.changed.notify_all();
    }

    /// Nobody reads any more: frames that wait are dropped, and wiped with it.
    pub(crate) fn shut(&self) {
        let mut state = self.lock();
        state.door = Door::Shut;
        state.waiting.clear();
        self.changed.notify_all();
    }

    /// The next frame; `None` once no more come.
    fn next(&self) -> Option<RawFrame> {
        let to_come = |s: &mut State| match s.door {
            Door::Open => true,
            Door::Finished => s.promised > 0,
            Door::Shut => false,
        };
        let mut state = Patience::Forever.wait(&self.changed, self.lock(), |s| s.waiting.is_empty() && to_come(s));
        let frame = state.waiting.pop_front();
        self.changed.notify_all();
        frame
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Puts a frame there, made for the number that it gets.
    ///
    /// # Errors
    /// It could not be made. Where nobody reads any more it is dropped.
    pub(crate) fn fill(self, make: impl FnOnce(u64) -> Result<RawFrame, FrameError>) -> Result<(), FrameError> {
        let mut state = self.0.lock();
        let frame = make(state.next)?;
        if state.door != Door::Shut {
            state.next += 1;
            state.waiting.push_back(frame);
        }
        Ok(())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.lock().promised -= 1;
        self.0.changed.notify_all();
    }
}

/// The pipeline's side of the queue.
pub(crate) struct Pushed {
    intake: Arc<Intake>,
    info: StreamInfo,
}

impl Pushed {
    pub(crate) fn new(intake: Arc<Intake>, info: StreamInfo) -> Self {
        Self { intake, info }
    }
}

impl Source for Pushed {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    fn next(&mut self, _: &FramePool) -> Result<Next, SourceError> {
        Ok(self.intake.next().map_or(Next::End, Next::Frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use volet_edge::frame::{Color, Geometry, PixelFormat};

    const AT_ONCE: Patience = Patience::AtMost(Duration::ZERO);

    fn frame(index: u64) -> Result<RawFrame, FrameError> {
        let geometry = Geometry::new(PixelFormat::Grey8, 2, 2)?;
        RawFrame::new(index, Duration::ZERO, geometry, Color::default(), vec![0; 4])
    }

    fn push(intake: &Intake) -> Result<(), Refused> {
        intake.place(AT_ONCE).map(|place| place.fill(frame).unwrap())
    }

    #[test]
    fn no_more_wait_than_may_and_they_are_read_in_order() {
        let intake = Intake::new(2);
        push(&intake).unwrap();
        let promised = intake.place(AT_ONCE).unwrap();
        assert_eq!(push(&intake), Err(Refused::Full), "a promised place is taken");
        drop(promised);
        push(&intake).unwrap();
        assert_eq!(push(&intake), Err(Refused::Full));
        assert_eq!(intake.next().map(|f| f.index()), Some(0));
        push(&intake).unwrap();
        intake.finish();
        assert_eq!(push(&intake), Err(Refused::Finished));
        let rest: Vec<u64> = std::iter::from_fn(|| intake.next()).map(|f| f.index()).collect();
        assert_eq!(rest, [1, 2]);
    }

    #[test]
    fn a_copy_under_way_is_waited_for_at_the_end() {
        let intake = Intake::new(2);
        let place = intake.place(AT_ONCE).unwrap();
        intake.finish();
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| intake.next().map(|f| f.index()));
            place.fill(frame).unwrap();
            assert_eq!(reading.join().unwrap(), Some(0));
        });
        assert!(intake.next().is_none());
    }

    #[test]
    fn shutting_wakes_who_waits_and_drops_what_waits() {
        let intake = Intake::new(1);
        push(&intake).unwrap();
        std::thread::scope(|scope| {
            let pushing = scope.spawn(|| intake.place(Patience::Forever).map(drop));
            intake.shut();
            assert_eq!(pushing.join().unwrap(), Err(Refused::Shut));
        });
        assert!(intake.next().is_none());
        intake.finish();
        assert_eq!(push(&intake), Err(Refused::Shut), "to finish does not open it again");
    }
}
