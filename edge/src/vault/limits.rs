//! How much a vault keeps, and what goes first. Knows names and lengths, no files.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::entry::Entry;
use crate::room::{NoRoom, Room};

/// How much is kept. Whatever limit is reached first holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes that all clips take together.
    pub bytes: u64,
    /// For how many days a clip is kept.
    pub days: u32,
    /// How long a clip is at most.
    pub clip: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 4096 << 20, days: 7, clip: Duration::from_secs(60) }
    }
}

/// Bytes of the disk that keeping leaves to others: redacted media among them.
const RESERVE: u64 = 128 << 20;

impl Limits {
    /// What has to go before `more` bytes are written, with so many bytes of the disk free, if that is known: the oldest
    /// first. `current` is written to and stays.
    pub(super) fn surplus(
        &self,
        clips: &[(Entry, u64)],
        current: Option<Entry>,
        more: u64,
        free: Option<u64>,
        now: Timestamp,
    ) -> Result<Vec<Entry>, NoRoom> {
        let age = SignedDuration::from_hours(24 * i64::from(self.days));
        let oldest = now.checked_sub(age).unwrap_or(Timestamp::MIN);
        let others = clips.iter().filter(|(entry, _)| Some(*entry) != current);
        let taken = clips.iter().map(|(_, length)| length).sum();
        self.room(taken, more, free).surplus(others.map(|(entry, length)| (*entry, *length, entry.begun() < oldest)))
    }

    /// Whether that has to be asked at all, as far as is known.
    pub(super) fn is_tight(&self, all: u64, more: u64, free: Option<u64>) -> bool {
        self.room(all, more, free).is_tight()
    }

    fn room(&self, taken: u64, more: u64, free: Option<u64>) -> Room {
        Room { bytes: self.bytes, taken, more, lack: free.map_or(0, |free| (more + RESERVE).saturating_sub(free)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: i64 = 86_400;

    fn clip(number: u64, day: i64, length: u64) -> (Entry, u64) {
        (Entry::new(number, Timestamp::from_second(day * DAY).unwrap()), length)
    }

    #[test]
    fn the_oldest_go_first_and_only_as_many_as_have_to() {
        let limits = Limits { bytes: 100, days: 7, ..Limits::default() };
        let clips = [clip(1, 50, 30), clip(2, 51, 30), clip(3, 52, 30)];
        let current = Some(clips[2].0);
        let gone = |more, free, day| {
            let now = Timestamp::from_second(day * DAY).unwrap();
            let gone = limits.surplus(&clips, current, more, free, now);
            gone.map(|gone| gone.iter().map(Entry::number).collect::<Vec<_>>())
        };
        assert_eq!(gone(10, None, 52), Ok(vec![]));
        assert_eq!(gone(11, None, 52), Ok(vec![1]));
        assert_eq!(gone(70, None, 52), Ok(vec![1, 2]));
        assert_eq!(gone(71, None, 52), Err(NoRoom));
        assert_eq!(gone(1, None, 57), Ok(vec![]));
        assert_eq!(gone(1, None, 58), Ok(vec![1]));
        assert_eq!(gone(1, Some(RESERVE + 1), 52), Ok(vec![]));
        assert_eq!(gone(1, Some(RESERVE), 52), Ok(vec![1]));
        assert_eq!(gone(1, Some(RESERVE - 59), 52), Ok(vec![1, 2]));
        assert_eq!(gone(1, Some(RESERVE - 60), 52), Err(NoRoom));
    }

    proptest! {
        #[test]
        fn what_is_left_is_within_the_limits(
            lengths in prop::collection::vec((0_i64..40, 0_u64..300), 0..40),
            bytes in 1_u64..3000, more in 0_u64..400, free in prop::option::of(RESERVE - 1000..RESERVE + 1000),
        ) {
            let clips: Vec<_> = lengths.iter().zip(1..).map(|(&(day, length), n)| clip(n, day, length)).collect();
            let limits = Limits { bytes, days: 20, ..Limits::default() };
            let current = clips.last().map(|(entry, _)| *entry);
            let now = Timestamp::from_second(39 * DAY).unwrap();
            let sum = |clips: &[(Entry, u64)]| clips.iter().map(|(_, length)| length).sum::<u64>();
            if let Ok(gone) = limits.surplus(&clips, current, more, free, now) {
                prop_assert!(current.is_none_or(|current| !gone.contains(&current)));
                let left: Vec<_> = clips.iter().copied().filter(|(entry, _)| !gone.contains(entry)).collect();
                prop_assert!(sum(&left) + more <= bytes);
                prop_assert!(free.is_none_or(|free| free + sum(&clips) - sum(&left) >= more + RESERVE));
                if !limits.is_tight(sum(&clips), more, free) {
                    prop_assert!(gone.iter().all(|entry| entry.begun().as_second() < 19 * DAY));
                }
            }
        }
    }
}
