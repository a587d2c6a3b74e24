//! The name of a lesson's file: all that may be known of it without the key, and what its content is bound to.
//!
//! Knows nothing of contents.

use std::fmt;
use std::num::NonZeroU32;

/// How a lesson's file name begins.
pub(super) const BEGINNING: &str = "lesson-";

/// A lesson, as its file's name has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Its number in the buffer; later ones are newer.
    pub number: u64,
    /// How often its labels were replaced.
    pub revision: u32,
    /// The day that it was taken on, counted from 1970: times are kept no finer.
    pub day: u32,
    /// Bytes of its file.
    pub length: u32,
    /// Whose teacher has searched it: the first bytes of a hash of that model; none where none has.
    pub taught: Option<NonZeroU32>,
    /// Never learned from, models are judged by it.
    pub held_out: bool,
    /// Its labels are the owner's own.
    pub corrected: bool,
}

impl Entry {
    /// Reads a file's name; none where it is no lesson's.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(BEGINNING)?.split('-');
        let mut next = || parts.next();
        let number = u64::from_str_radix(next()?, 16).ok()?;
        let mut hex = || u32::from_str_radix(next()?, 16).ok();
        let (revision, day, length, taught) = (hex()?, hex()?, hex()?, NonZeroU32::new(hex()?));
        let (held_out, corrected) = match parts.next()? {
            "lm" => (false, false),
            "lo" => (false, true),
            "hm" => (true, false),
            "ho" => (true, true),
            _ => return None,
        };
        let entry = Self { number, revision, day, length, taught, held_out, corrected };
        // One name for one lesson: no sign, no capitals, nothing behind.
        (entry.to_string() == name).then_some(entry)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, revision, day, length, taught, held_out, corrected } = self;
        let (part, by) = (if *held_out { 'h' } else { 'l' }, if *corrected { 'o' } else { 'm' });
        let taught = taught.map_or(0, NonZeroU32::get);
        write!(f, "{BEGINNING}{number:016x}-{revision:08x}-{day:08x}-{length:08x}-{taught:08x}-{part}{by}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_name_says_it_all(
            number: u64, revision: u32, day: u32, length: u32, taught: u32, held_out: bool, corrected: bool,
        ) {
            let taught = NonZeroU32::new(taught);
            let entry = Entry { number, revision, day, length, taught, held_out, corrected };
            prop_assert_eq!(Entry::parse(&entry.to_string()), Some(entry));
        }

        #[test]
        fn whatever_is_read_is_written_the_same(name in "lesson-[0-9a-fA-F+-]{0,60}[lh]?[mo]?.?") {
            if let Some(entry) = Entry::parse(&name) {
                prop_assert_eq!(entry.to_string(), name);
            }
        }
    }
}
