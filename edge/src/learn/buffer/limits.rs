//! How much a buffer keeps, and what goes first. Knows entries, no files.

use serde::{Deserialize, Serialize};

use super::entry::Entry;

/// How much is kept. Whatever limit is reached first holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The most lessons.
    pub lessons: u32,
    /// The most that their files take, in 2^20 bytes.
    pub megabytes: u32,
    /// For how many days one is kept.
    pub days: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { lessons: 1000, megabytes: 512, days: 90 }
    }
}

impl Limits {
    /// The most bytes of files.
    pub fn bytes(&self) -> u64 {
        u64::from(self.megabytes) << 20
    }

    /// What has to go before another lesson of so many bytes is kept on this day; none: before none is. The oldest go
    /// first. Those that the owner corrected go last, unless they take up more than half: there has to be room for what
    /// the camera sees now.
    pub(super) fn surplus(&self, entries: &[Entry], another: Option<u32>, today: u32) -> Vec<Entry> {
        let oldest = today.saturating_sub(self.days);
        let (mut gone, mut kept): (Vec<Entry>, Vec<Entry>) = entries.iter().partition(|entry| entry.day < oldest);
        kept.sort_by_key(|entry| entry.number);
        let most = (self.lessons as usize).saturating_sub(usize::from(another.is_some()));
        let room = self.bytes().saturating_sub(another.unwrap_or(0).into());
        let sum = |entries: &[Entry]| entries.iter().map(|entry| u64::from(entry.length)).sum::<u64>();
        while kept.len() > most || sum(&kept) > room {
            let corrected = kept.iter().filter(|entry| entry.corrected).count();
            let of_machine = |entry: &Entry| !entry.corrected;
            let first = match kept.iter().position(of_machine) {
                Some(first) if 2 * corrected <= kept.len() => first,
                _ => kept.iter().position(|entry| entry.corrected).unwrap_or(0),
            };
            gone.push(kept.remove(first));
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(number: u64, day: u32, corrected: bool) -> Entry {
        Entry { number, revision: 0, day, length: 1 << 20, taught: None, held_out: false, corrected }
    }

    #[test]
    fn the_oldest_go_first_and_corrected_ones_last() {
        let limits = Limits { lessons: 4, megabytes: 100, days: 10 };
        let entries = [entry(1, 50, true), entry(2, 50, false), entry(3, 51, false), entry(4, 51, false)];
        let numbers = |gone: Vec<Entry>| gone.iter().map(|entry| entry.number).collect::<Vec<_>>();
        assert_eq!(numbers(limits.surplus(&entries, None, 52)), [0_u64; 0]);
        assert_eq!(numbers(limits.surplus(&entries, Some(1), 52)), [2]);
        assert_eq!(numbers(limits.surplus(&entries, Some(1), 61)), [1, 2]);
        assert_eq!(numbers(limits.surplus(&entries, Some(1), 62)), [1, 2, 3, 4]);
        assert_eq!(numbers(Limits { megabytes: 2, ..limits }.surplus(&entries, Some(1), 52)), [2, 3, 4]);
        // What the owner corrected does not fill it for ever.
        let corrected = [1, 2, 3, 4].map(|number| entry(number, 50, number > 1));
        assert_eq!(numbers(limits.surplus(&corrected, Some(1), 52)), [2]);
    }

    proptest! {
        #[test]
        fn what_is_left_is_within_the_limits(
            days in prop::collection::vec((0_u32..40, any::<bool>(), 0_u32..3_000_000), 0..60),
            lessons in 1_u32..20, megabytes in 3_u32..20, another: Option<bool>,
        ) {
            let limits = Limits { lessons, megabytes, days: 20 };
            let another = another.map(|big| if big { 3_000_000 } else { 1 });
            let entries: Vec<Entry> = days.iter().zip(0..).map(|(&(day, corrected, length), number)| {
                Entry { length, ..entry(number, day, corrected) }
            }).collect();
            let gone = limits.surplus(&entries, another, 39);
            let left: Vec<&Entry> = entries.iter().filter(|entry| !gone.contains(entry)).collect();
            let bytes: u64 = left.iter().map(|entry| u64::from(entry.length)).sum();
            prop_assert!(left.len() + usize::from(another.is_some()) <= lessons as usize);
            prop_assert!(bytes + u64::from(another.unwrap_or(0)) <= limits.bytes());
            prop_assert!(left.iter().all(|entry| entry.day >= 19));
            // Nothing goes for nothing.
            if entries.len() < lessons as usize && entries.iter().map(|e| u64::from(e.length)).sum::<u64>() < 1 << 20 {
                prop_assert!(gone.iter().all(|entry| entry.day < 19));
            }
        }
    }
}
