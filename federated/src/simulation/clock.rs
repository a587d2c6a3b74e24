//! CPU time by what it was spent on. Where the system does not tell, it is 0.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cpu_time::{ProcessTime, ThreadTime};

/// CPU time that several threads spent on one thing.
#[derive(Debug, Default)]
pub(super) struct Clock(AtomicU64);

impl Clock {
    /// Runs something on this thread, and counts it. It must not wait for other threads: rayon would do their work here.
    pub(super) fn count<T>(&self, work: impl FnOnce() -> T) -> T {
        let start = ThreadTime::try_now();
        let done = work();
        let spent = start.and_then(|start| start.try_elapsed()).unwrap_or_default();
        self.0.fetch_add(spent.as_nanos() as u64, Ordering::Relaxed);
        done
    }

    pub(super) fn seconds(&self) -> f64 {
        Duration::from_nanos(self.0.load(Ordering::Relaxed)).as_secs_f64()
    }
}

/// What something took in all threads of the process.
pub(super) fn of_process<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = ProcessTime::try_now();
    let done = work();
    let spent = start.and_then(|start| start.try_elapsed()).unwrap_or_default();
    (done, spent.as_secs_f64())
}
