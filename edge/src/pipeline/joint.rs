//! How a stream hangs together with others on the same source, and how far its stages have come.
//!
//! A tracker covers a frame by what it saw before and after. Where one stream ends and another takes over the same
//! source, neither knows both sides; so the frames next to the joint come out wholly covered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::summary::Stages;

/// Why frames next to a joint are covered.
pub(super) const CUT: &str = "the settings changed at this moment";

/// What is known of a stream besides its frames.
#[derive(Debug, Default)]
pub struct Joint {
    /// How far the stages have come.
    pub meter: Arc<Meter>,
    /// Whether another stream had the source before, whose tracks are not known to this one.
    pub after: bool,
    cut: AtomicBool,
}

impl Joint {
    /// A stream whose stages count on `meter`; `after` another one on the same source, or the first.
    pub fn new(meter: Arc<Meter>, after: bool) -> Self {
        Self { meter, after, cut: AtomicBool::new(false) }
    }

    /// Says that another stream goes on with the source when this one's source says that it is over. Call it before that.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Release);
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }
}

/// How far each stage has come, over all streams that count here.
#[derive(Debug, Default)]
#[allow(missing_docs)] // as in `Stages`
pub struct Meter {
    pub read: Gauge,
    pub search: Gauge,
    pub track: Gauge,
    pub redact: Gauge,
    pub write: Gauge,
}

/// One stage: frames that are through, and the time that they took.
#[derive(Debug, Default)]
pub struct Gauge {
    steps: AtomicU64,
    nanos: AtomicU64,
}

impl Meter {
    /// Milliseconds spent in each stage since the beginning.
    pub fn stages(&self) -> Stages {
        let ms = |gauge: &Gauge| gauge.nanos.load(Ordering::Relaxed) as f64 / 1e6;
        Stages {
            read: ms(&self.read),
            detect: ms(&self.search),
            track: ms(&self.track),
            redact: ms(&self.redact),
            write: ms(&self.write),
        }
    }

    /// Frames that are through each stage, in the order of the stages.
    pub fn steps(&self) -> [u64; 5] {
        [&self.read, &self.search, &self.track, &self.redact, &self.write].map(Gauge::steps)
    }
}

impl Gauge {
    /// Another frame is through, after so long.
    pub fn step(&self, took: Duration) {
        self.steps.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Frames that are through.
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }
}
