//! How often an agent looks at its aggregator, at most: a server that has a camera call again and again would fill the camera's
//! ledger with that, until what is older has no more room in it. Knows no network; time is an argument.

use std::time::{Duration, Instant};

/// So many looks may come one behind the other.
const MOST: f64 = 1000.0;
/// And then one in so long.
const EACH: Duration = Duration::from_secs(60);

/// What is left of them.
pub(super) struct Looks {
    left: f64,
    since: Instant,
}

impl Looks {
    /// All are left.
    pub(super) fn new(now: Instant) -> Self {
        Self { left: MOST, since: now }
    }

    /// After a look: how long to wait at least before the next.
    pub(super) fn look(&mut self, now: Instant) -> Duration {
        let regained = now.saturating_duration_since(self.since).as_secs_f64() / EACH.as_secs_f64();
        let left = (self.left + regained).min(MOST) - 1.0;
        *self = Self { left: left.max(0.0), since: now };
        if left < 1.0 { EACH } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_looks_are_free_and_then_one_a_minute_is() {
        let start = Instant::now();
        let mut looks = Looks::new(start);
        let free = (0..5000).take_while(|_| looks.look(start).is_zero()).count();
        assert_eq!(free, 999, "the thousandth has to be waited after");
        // Whoever waits as they were told has one each time, and no more.
        for minute in 1..10 {
            assert_eq!(looks.look(start + minute * EACH), EACH, "{minute}");
        }
        // An hour's rest gives an hour's looks; a month's no more than all.
        let rested = start + 9 * EACH + 60 * EACH;
        assert_eq!((0..5000).take_while(|_| looks.look(rested).is_zero()).count(), 59);
        let month = rested + 43_200 * EACH;
        assert_eq!((0..5000).take_while(|_| looks.look(month).is_zero()).count(), 999);
    }
}
