//! What an agent remembers beside its ledger: when it last called, what it put in use, and what it refused, so that it does
//! not think twice about the same. Losing it costs nothing but that.

use serde::{Deserialize, Serialize};
use volet_federated::budget::Day;

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A task, or a round of one: looked at again on another day, when there may be budget again.
    Task,
    /// A release: for good.
    Release,
}

/// One refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// What it was.
    pub kind: Kind,
    /// BLAKE3 of it, hexadecimal.
    pub id: String,
    /// In words.
    pub why: String,
    /// In seconds since the epoch.
    pub at: u64,
}

/// A release that was put in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Its number.
    pub release: u64,
    /// In words.
    pub why: String,
    /// In seconds since the epoch.
    pub at: u64,
}

/// The journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Journal {
    /// When the aggregator last answered, in seconds since the epoch.
    pub last_check_in: Option<u64>,
    /// When the certificate is to be renewed, in seconds since the epoch.
    pub renew_at: Option<u64>,
    /// The latest refusals, first to last.
    pub refusals: Vec<Refused>,
    /// The latest releases that were put in use, first to last.
    pub used: Vec<Used>,
}

impl Journal {
    /// The most of each that are kept.
    const MOST: usize = 64;

    /// What was written, or nothing where it cannot be read: it is no more than a memory.
    pub(super) fn read(bytes: Option<&[u8]>) -> Self {
        bytes.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default()
    }

    /// Whether this was refused, and still is at this time.
    pub(super) fn refuses(&self, kind: Kind, id: &blake3::Hash, now: u64) -> bool {
        let id = id.to_string();
        let holds = |r: &Refused| kind == Kind::Release || day(r.at) == day(now);
        self.refusals.iter().any(|r| r.kind == kind && r.id == id && holds(r))
    }

    pub(super) fn refuse(&mut self, kind: Kind, id: &blake3::Hash, why: String, now: u64) {
        let id = id.to_string();
        self.refusals.retain(|r| r.id != id);
        self.refusals.push(Refused { kind, id, why, at: now });
        let surplus = self.refusals.len().saturating_sub(Self::MOST);
        self.refusals.drain(..surplus);
    }

    pub(super) fn uses(&mut self, release: u64, why: String, now: u64) {
        self.used.push(Used { release, why, at: now });
        let surplus = self.used.len().saturating_sub(Self::MOST);
        self.used.drain(..surplus);
    }
}

/// The day of a time in seconds since the epoch.
pub(super) fn day(seconds: u64) -> Day {
    Day(u32::try_from(seconds / 86_400).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_looked_at_again_on_another_day_and_releases_never() {
        let (task, release) = (blake3::hash(b"a task"), blake3::hash(b"a release"));
        let mut journal = Journal::default();
        journal.refuse(Kind::Task, &task, "over budget".to_owned(), 1000);
        journal.refuse(Kind::Release, &release, "worse".to_owned(), 1000);
        assert!(journal.refuses(Kind::Task, &task, 2000) && !journal.refuses(Kind::Task, &task, 90_000));
        assert!(journal.refuses(Kind::Release, &release, 90_000));
        assert!(!journal.refuses(Kind::Release, &task, 1000));
        let written = serde_json::to_vec(&journal).unwrap();
        assert_eq!(Journal::read(Some(&written)), journal);
        assert_eq!(Journal::read(Some(b"rubbish")), Journal::default());
    }

    #[test]
    fn it_does_not_grow_without_bound() {
        let mut journal = Journal::default();
        for n in 0..200_u32 {
            journal.refuse(Kind::Task, &blake3::hash(&n.to_le_bytes()), String::new(), 0);
            journal.uses(n.into(), String::new(), 0);
        }
        assert_eq!((journal.refusals.len(), journal.used.len()), (Journal::MOST, Journal::MOST));
        assert_eq!(journal.used.last().unwrap().release, 199);
        assert!(journal.refuses(Kind::Task, &blake3::hash(&199_u32.to_le_bytes()), 0));
    }
}
