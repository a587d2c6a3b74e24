//! A handful of threads that search frames, and their findings in the order of the frames.
//!
//! A search that panics or overruns the deadline is a failed search. A thread that does not come back is left to
//! itself, with the frame that it holds; it is asked again when it has returned.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use volet_models::Detection;

use crate::detect::Detect;
use crate::frame::RawFrame;

/// A frame after its turn with the searchers.
pub(super) struct Verdict {
    pub(super) index: u64,
    pub(super) time: Duration,
    /// The frame, or why there is none.
    pub(super) frame: Result<RawFrame, String>,
    /// What was found or why nothing could be; `None` where no search was due.
    pub(super) found: Option<Result<Vec<Detection>, String>>,
    pub(super) searched: Duration,
}

struct Answer {
    frame: RawFrame,
    found: Result<Vec<Detection>, String>,
    searched: Duration,
}

struct Searcher {
    jobs: SyncSender<RawFrame>,
    answers: Receiver<Answer>,
    /// The frame it was given and has not brought back in time.
    late: bool,
    /// Until when it rests from its last search.
    rests: Option<Instant>,
}

enum InFlight {
    Ready(Verdict),
    Searching { searcher: usize, index: u64, time: Duration, since: Instant },
}

pub(super) struct Searchers {
    searchers: Vec<Searcher>,
    deadline: Option<Duration>,
    /// The share of its time that a searcher may work, in `(0, 1]`.
    share: f32,
    in_flight: VecDeque<InFlight>,
    /// Done, and not taken yet.
    through: VecDeque<Verdict>,
    next: usize,
}

impl Searchers {
    /// Starts a thread for each detector.
    pub(super) fn start(
        detectors: Vec<Box<dyn Detect>>,
        deadline: Option<Duration>,
        share: f32,
    ) -> std::io::Result<Self> {
        let started = detectors.into_iter().enumerate().map(|(i, mut detector)| {
            let (jobs, todo) = sync_channel::<RawFrame>(1);
            let (done, answers) = sync_channel(1);
            // Not scoped: a search that never returns must not keep the stream from ending.
            std::thread::Builder::new().name(format!("search-{i}")).spawn(move || {
                for frame in todo {
                    let start = Instant::now();
                    let found = match catch_unwind(AssertUnwindSafe(|| detector.detect(&frame))) {
                        Ok(found) => found.map_err(|e| format!("detection failed: {e}")),
                        Err(_) => Err("detection panicked".to_owned()),
                    };
                    if done.send(Answer { frame, found, searched: start.elapsed() }).is_err() {
                        return;
                    }
                }
            })?;
            Ok(Searcher { jobs, answers, late: false, rests: None })
        });
        let searchers = started.collect::<std::io::Result<Vec<_>>>()?;
        if searchers.is_empty() {
            return Err(std::io::Error::other("no detector was given"));
        }
        Ok(Self { searchers, deadline, share, in_flight: VecDeque::new(), through: VecDeque::new(), next: 0 })
    }

    /// Takes the next frame in; others may be [through](Self::through) by it.
    pub(super) fn submit(&mut self, frame: RawFrame, search: bool) {
        let (index, time) = (frame.index(), frame.time());
        if !search {
            let verdict = Verdict { index, time, frame: Ok(frame), found: None, searched: Duration::ZERO };
            self.in_flight.push_back(InFlight::Ready(verdict));
        } else {
            let searcher = loop {
                if let Some(free) = self.free_searcher() {
                    break Some(free);
                }
                match self.next_in_order() {
                    Some(verdict) => self.through.push_back(verdict),
                    // All searchers are late with frames that were already given up.
                    None => break None,
                }
            };
            // Resting is waiting here: whoever gives frames is held up with it, and a camera leaves some out.
            if let Some(until) = searcher.and_then(|i| self.searchers[i].rests.take()) {
                std::thread::sleep(until.saturating_duration_since(Instant::now()));
            }
            let refused = match searcher {
                Some(i) => self.searchers[i].jobs.try_send(frame).err().map(|e| match e {
                    std::sync::mpsc::TrySendError::Full(f) | std::sync::mpsc::TrySendError::Disconnected(f) => f,
                }),
                None => Some(frame),
            };
            self.in_flight.push_back(match (refused, searcher) {
                (None, Some(searcher)) => InFlight::Searching { searcher, index, time, since: Instant::now() },
                (frame, _) => InFlight::Ready(Verdict {
                    index,
                    time,
                    frame: frame.ok_or_else(|| "the frame was lost".to_owned()),
                    found: Some(Err("no search was free in time".to_owned())),
                    searched: Duration::ZERO,
                }),
            });
        }
    }

    /// Takes note of a frame that never was; where it was due for a search, that search has failed.
    pub(super) fn submit_lost(&mut self, index: u64, time: Duration, reason: String, due: bool) {
        let found = due.then(|| Err(reason.clone()));
        let verdict = Verdict { index, time, frame: Err(reason), found, searched: Duration::ZERO };
        self.in_flight.push_back(InFlight::Ready(verdict));
    }

    /// The oldest frame, if there is no waiting for it.
    pub(super) fn through(&mut self) -> Option<Verdict> {
        if let Some(verdict) = self.through.pop_front() {
            return Some(verdict);
        }
        matches!(self.in_flight.front(), Some(InFlight::Ready(_))).then(|| self.next_in_order()).flatten()
    }

    /// The oldest frame, once its search has ended or its deadline has passed.
    pub(super) fn next_in_order(&mut self) -> Option<Verdict> {
        match self.in_flight.pop_front()? {
            InFlight::Ready(verdict) => Some(verdict),
            InFlight::Searching { searcher, index, time, since } => {
                let lost = |reason: &str| Verdict {
                    index,
                    time,
                    frame: Err(reason.to_owned()),
                    found: Some(Err(reason.to_owned())),
                    searched: since.elapsed(),
                };
                let from = &mut self.searchers[searcher];
                let answer = match self.deadline {
                    Some(limit) => from.answers.recv_timeout(limit.saturating_sub(since.elapsed())),
                    None => from.answers.recv().map_err(|_| RecvTimeoutError::Disconnected),
                };
                Some(match answer {
                    Ok(Answer { frame, found, searched }) => {
                        from.rests = rest(searched, self.share).map(|rest| Instant::now() + rest);
                        Verdict { index, time, frame: Ok(frame), found: Some(found), searched }
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        from.late = true;
                        lost("detection overran its deadline")
                    }
                    Err(RecvTimeoutError::Disconnected) => {
                        from.late = true;
                        lost("detection ended unexpectedly")
                    }
                })
            }
        }
    }

    /// A searcher that has nothing to do, taken in turn.
    fn free_searcher(&mut self) -> Option<usize> {
        let count = self.searchers.len();
        for i in (0..count).map(|k| (self.next + k) % count) {
            let busy =
                self.in_flight.iter().any(|f| matches!(f, InFlight::Searching { searcher, .. } if *searcher == i));
            let s = &mut self.searchers[i];
            if s.late && s.answers.try_recv().is_ok() {
                // The answer is for a frame that was given up: it is dropped, and its pixels wiped with it.
                s.late = false;
            }
            if !busy && !s.late && !matches!(s.answers.try_recv(), Err(TryRecvError::Disconnected)) {
                self.next = (i + 1) % count;
                return Some(i);
            }
        }
        None
    }
}

/// How long a searcher rests after a search, to work that share of its time and no more.
fn rest(searched: Duration, share: f32) -> Option<Duration> {
    (share > 0.0 && share < 1.0).then(|| searched.mul_f32(1.0 / share - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_searcher_rests_as_long_as_its_share_says() {
        let search = Duration::from_millis(10);
        assert_eq!(rest(search, 1.0), None);
        assert_eq!(rest(search, 0.5), Some(search));
        assert!(rest(search, 0.25).unwrap().abs_diff(3 * search) < Duration::from_micros(10));
    }
}
