//! How long a call may wait. Knows clocks by `Condvar` alone.

use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a call may wait for others.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    AtMost(Duration),
    Forever,
}

impl Patience {
    /// As C says it: milliseconds, 0 for not at all, negative for ever.
    pub(crate) fn from_ms(timeout_ms: i32) -> Self {
        u64::try_from(timeout_ms).map_or(Self::Forever, |ms| Self::AtMost(Duration::from_millis(ms)))
    }

    /// Waits while `blocked` holds. It may still hold afterwards: then the time is over.
    pub(crate) fn wait<'a, T>(
        self,
        changed: &Condvar,
        state: MutexGuard<'a, T>,
        blocked: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        match self {
            Self::Forever => changed.wait_while(state, blocked).unwrap_or_else(PoisonError::into_inner),
            Self::AtMost(limit) => {
                changed.wait_timeout_while(state, limit, blocked).unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }
}
