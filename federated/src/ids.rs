//! Who takes part in what.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use volet_proto::v1;

/// Why something is not an identity or a size of a cohort.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum IdError {
    #[error("{what} is {digits} hexadecimal digits, not {given:?}")]
    NotHex { what: &'static str, digits: usize, given: String },
    #[error("{what} is {expected} bytes, not {actual}")]
    Length { what: &'static str, expected: usize, actual: usize },
    #[error("a message lacks its {0}")]
    Missing(&'static str),
    #[error("rounds count from 1")]
    RoundZero,
    #[error("a cohort is {min} to {max} sites, not {0}", min = CohortSize::MIN, max = CohortSize::MAX)]
    Cohort(u32),
}

/// A site: one household, be it one camera or a hub that sums its cameras. It is the Ed25519 key that its certificates are
/// for, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteId([u8; 32]);

impl SiteId {
    /// A site from its key.
    pub const fn from_bytes(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SiteId({self})")
    }
}

impl FromStr for SiteId {
    type Err = IdError;

    fn from_str(s: &str) -> Result<Self, IdError> {
        let hash = blake3::Hash::from_hex(s);
        hash.map(|h| Self(*h.as_bytes())).map_err(|_| IdError::NotHex {
            what: "a site's key",
            digits: 64,
            given: s.to_owned(),
        })
    }
}

/// A task: one model that learns from one kind of label. 16 random bytes, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId([u8; 16]);

impl TaskId {
    /// A task from its bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({self})")
    }
}

impl FromStr for TaskId {
    type Err = IdError;

    fn from_str(s: &str) -> Result<Self, IdError> {
        let error = || IdError::NotHex { what: "a task's id", digits: 32, given: s.to_owned() };
        // from_str_radix alone would take a leading plus sign.
        if s.len() != 32 || !s.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(error());
        }
        u128::from_str_radix(s, 16).map(|n| Self(n.to_be_bytes())).map_err(|_| error())
    }
}

/// A round of a task. A round that is resumed after a crash keeps its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoundId {
    task: TaskId,
    number: NonZeroU64,
}

impl RoundId {
    /// Round `number` of `task`.
    ///
    /// # Errors
    /// [`IdError::RoundZero`]: rounds count from 1.
    pub fn new(task: TaskId, number: u64) -> Result<Self, IdError> {
        Ok(Self { task, number: NonZeroU64::new(number).ok_or(IdError::RoundZero)? })
    }

    /// The task.
    pub const fn task(&self) -> TaskId {
        self.task
    }

    /// The number within the task, from 1.
    pub const fn number(&self) -> u64 {
        self.number.get()
    }

    /// The round after this one; `None` after the last that has a number.
    pub fn next(&self) -> Option<Self> {
        Some(Self { number: self.number.checked_add(1)?, ..*self })
    }
}

impl fmt::Display for RoundId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.task, self.number)
    }
}

impl From<RoundId> for v1::RoundId {
    fn from(round: RoundId) -> Self {
        let task = v1::TaskId { id: round.task.0.to_vec() };
        Self { task: Some(task), number: round.number() }
    }
}

impl TryFrom<v1::RoundId> for RoundId {
    type Error = IdError;

    fn try_from(message: v1::RoundId) -> Result<Self, IdError> {
        let task = message.task.ok_or(IdError::Missing("task"))?;
        let task = <[u8; 16]>::try_from(task.id).map_err(|id| IdError::Length {
            what: "a task's id",
            expected: 16,
            actual: id.len(),
        })?;
        Self::new(TaskId(task), message.number)
    }
}

/// How many sites a sum is over: 2 to 65,536.
///
/// Below two a sum hides nobody. Above 2^16 a sum of values of up to B = 2^14 each could leave the 32 bits
/// that masks work in: 2^16 sites fill 2^30, which leaves the sign and as much again for noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CohortSize(u32);

impl CohortSize {
    /// The smallest cohort.
    pub const MIN: u32 = 2;
    /// The largest cohort.
    pub const MAX: u32 = 1 << 16;

    /// A cohort of `sites`.
    ///
    /// # Errors
    /// [`IdError::Cohort`]: too few or too many.
    pub const fn new(sites: u32) -> Result<Self, IdError> {
        if sites < Self::MIN || sites > Self::MAX { Err(IdError::Cohort(sites)) } else { Ok(Self(sites)) }
    }

    /// How many sites.
    pub const fn get(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_survive_text_and_the_wire(site: [u8; 32], task: [u8; 16], number in 1u64..) {
            let site = SiteId::from_bytes(site);
            prop_assert_eq!(site.to_string().parse(), Ok(site));
            let task = TaskId::from_bytes(task);
            prop_assert_eq!(task.to_string().parse(), Ok(task));
            let round = RoundId::new(task, number).unwrap();
            prop_assert_eq!(RoundId::try_from(v1::RoundId::from(round)), Ok(round));
        }

        #[test]
        fn text_that_is_no_id_is_an_error(text in "\\PC{0,70}") {
            prop_assert!(text.len() == 64 || text.parse::<SiteId>().is_err());
            prop_assert!(text.len() == 32 || text.parse::<TaskId>().is_err());
        }
    }

    #[test]
    fn near_misses_are_refused() {
        for text in ["", "+0000000000000000000000000000001", "g0000000000000000000000000000001"] {
            assert!(text.parse::<TaskId>().is_err(), "{text:?}");
        }
        assert!("0".repeat(63).parse::<SiteId>().is_err());
        assert!(format!("{}g", "0".repeat(63)).parse::<SiteId>().is_err());
    }

    #[test]
    fn messages_of_the_wrong_shape_are_refused() {
        let task = |n: usize| Some(v1::TaskId { id: vec![0; n] });
        let read = |task, number| RoundId::try_from(v1::RoundId { task, number });
        assert_eq!(read(None, 1), Err(IdError::Missing("task")));
        assert_eq!(read(task(16), 0), Err(IdError::RoundZero));
        let length = IdError::Length { what: "a task's id", expected: 16, actual: 17 };
        assert_eq!(read(task(17), 1), Err(length));
    }

    #[test]
    fn rounds_follow_each_other_to_the_last() {
        let task = TaskId::from_bytes([1; 16]);
        let first = RoundId::new(task, 1).unwrap();
        assert_eq!(first.next().map(|r| (r.number(), r.task())), Some((2, task)));
        assert_eq!(RoundId::new(task, u64::MAX).unwrap().next(), None);
    }

    #[test]
    fn cohorts_have_bounds() {
        assert_eq!(CohortSize::new(1), Err(IdError::Cohort(1)));
        assert_eq!(CohortSize::new(2).map(CohortSize::get), Ok(2));
        assert_eq!(CohortSize::new(1 << 16).map(CohortSize::get), Ok(1 << 16));
        assert!(CohortSize::new((1 << 16) + 1).is_err());
        // The largest sum of clipped values stays within half of what is positive in 32 bits.
        assert!(u64::from(CohortSize::MAX) * (1 << 14) <= 1 << 30);
    }
}
