//! The name of a clip's file: its number and when it was begun, which is all that may be known of it without the owner's
//! identity. Knows nothing of contents.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// How a clip's file name begins.
pub(super) const BEGINNING: &str = "clip-";
const TIME: &str = "%Y%m%dT%H%M%SZ";

/// A clip, as its file's name has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    number: u64,
    /// Whole seconds, from 1970 on.
    begun: Timestamp,
}

impl Entry {
    /// A clip that begins now, by this device's clock; times before 1970 count as 1970.
    pub(super) fn new(number: u64, now: Timestamp) -> Self {
        Self { number, begun: Timestamp::from_second(now.as_second()).unwrap_or_default().max(Timestamp::UNIX_EPOCH) }
    }

    /// Its number in the vault; later ones are newer.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// When it was begun, to the second.
    pub fn begun(&self) -> Timestamp {
        self.begun
    }

    /// Reads a file's name; none where it is no clip's.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (number, begun) = name.strip_prefix(BEGINNING)?.split_once('-')?;
        let begun = DateTime::strptime(TIME, begun).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
        let entry = Self { number: number.parse().ok()?, begun };
        // One name for one clip: no sign, no missing zeros, nothing behind.
        (begun >= Timestamp::UNIX_EPOCH && entry.to_string() == name).then_some(entry)
    }

    /// As a clip's header has it.
    pub(super) fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.number.to_le_bytes());
        bytes[8..].copy_from_slice(&self.begun.as_second().to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        let both = u128::from_le_bytes(bytes);
        let second = i64::try_from(both >> 64).ok()?;
        // The number is the lower half.
        Some(Self { number: both as u64, begun: Timestamp::from_second(second).ok()? })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BEGINNING}{:010}-{}", self.number, self.begun.strftime(TIME))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_name_and_a_header_say_it_all(number: u64, second in 0_i64..253_000_000_000) {
            let entry = Entry::new(number, Timestamp::from_second(second).unwrap());
            prop_assert_eq!(Entry::parse(&entry.to_string()), Some(entry));
            prop_assert_eq!(Entry::from_bytes(entry.to_bytes()), Some(entry));
        }

        #[test]
        fn whatever_is_read_is_written_the_same(
            name in "clip-[+0]?[0-9]{1,22}-[0-9]{8}[T ]?[0-9]{6}Z?.?", bytes: [u8; 16],
        ) {
            if let Some(entry) = Entry::parse(&name) {
                prop_assert_eq!(entry.to_string(), name);
            }
            if let Some(entry) = Entry::from_bytes(bytes) {
                prop_assert_eq!(entry.to_bytes(), bytes);
            }
        }
    }

    #[test]
    fn names_are_for_people_and_sort_by_age() {
        let at = |number, second| Entry::new(number, Timestamp::from_second(second).unwrap()).to_string();
        assert_eq!(at(7, 1_795_398_152), "clip-0000000007-20261123T014232Z");
        assert_eq!(at(7, -5), "clip-0000000007-19700101T000000Z");
        for name in
            ["clip-7-20261123T014232Z", "clip-0000000007-20261323T014232Z", "clip-0000000007-20261123T014232Z.avi"]
        {
            assert_eq!(Entry::parse(name), None, "{name}");
        }
    }
}
