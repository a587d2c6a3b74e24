//! What keeps segments from being written, and for how long nothing is tried then.
//!
//! Knows errors and pauses; no disk.

use std::error::Error;
use std::io;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// The longest pause between two attempts.
const LONGEST: Duration = Duration::from_secs(30);

/// Pauses that grow to half a minute, for ever.
pub(super) fn pauses() -> ExponentialBackoff {
    let builder = ExponentialBuilder::new().with_min_delay(Duration::from_millis(250)).with_max_delay(LONGEST);
    builder.without_max_times().with_jitter().build()
}

/// What goes wrong, again and again, until a segment is whole.
pub(super) struct Trouble {
    what: Option<String>,
    until: Option<Instant>,
    pauses: ExponentialBackoff,
}

impl Default for Trouble {
    fn default() -> Self {
        Self { what: None, until: None, pauses: pauses() }
    }
}

impl Trouble {
    /// Nothing is begun for a while.
    pub(super) fn wait(&mut self, what: String) {
        if self.what.as_ref() != Some(&what) {
            tracing::error!("nothing is written for now: {what}");
        }
        let pause = self.pauses.next().unwrap_or(LONGEST);
        (self.what, self.until) = (Some(what), Some(Instant::now() + pause));
    }

    /// Whether that while is not over.
    pub(super) fn lasts(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }

    /// For people.
    pub(super) fn what(&self) -> Option<&str> {
        self.what.as_deref()
    }
}

/// Whether it is for want of room that a segment could not be written.
pub(super) fn is_full(error: &(dyn Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.filter_map(|error| error.downcast_ref::<io::Error>()).next().is_some_and(no_space)
}

/// Whether something has to go before this can work.
pub(super) fn no_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
