//! What a gate writes down, and counts of it. Where the ledger cannot be written, nothing that asked for it may leave.

use volet_federated::signing::SigningKey;

use super::super::consent::Consent;
use super::super::ledger::{Entry, Kind, Record};
use super::super::place::{Opened, Place, PlaceError};
use super::{millis, note_of, now};

/// A gate's ledger, and what of it has to be known.
pub(super) struct Book {
    ledger: Opened,
    today: Day,
    /// What the owner agrees to, as it was written down last.
    consent: Option<Consent>,
    /// The refusal that was written down last, so that a loop does not fill the ledger.
    refused: Option<(String, u64)>,
}

/// A day, and the bytes that left on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Day {
    pub(super) number: u64,
    pub(super) bytes: u64,
}

/// The same refusal is written down again after so many seconds.
const AGAIN: u64 = 3600;
/// Seconds.
const DAY: u64 = 86_400;

impl Book {
    /// Opens a ledger. One that is not there is made only where it `may` be `begun`.
    pub(super) fn open(place: Place, key: &SigningKey, may_begin: bool) -> Result<Self, PlaceError> {
        let mut today = Day::default();
        let ledger = place.open(key, may_begin, &mut |record| today = today.after(record))?;
        Ok(Self { ledger, today, consent: None, refused: None })
    }

    /// Counts bytes that are about to go as today's, if no more than `most` go.
    pub(super) fn spend(&mut self, bytes: u64, most: u64) -> Result<(), String> {
        let today = self.today.and(now() / DAY, bytes);
        if today.bytes > most {
            return Err(format!("no more than {most} bytes may leave on one day"));
        }
        self.today = today;
        Ok(())
    }

    /// Writes down what the owner agrees to, where that is not what it was.
    pub(super) fn heed(&mut self, consent: &Consent) -> Result<(), PlaceError> {
        if self.consent.as_ref() != Some(consent) {
            self.append(Entry { policy: consent.to_string(), ..note_of(Kind::Consent) })?;
            self.consent = Some(*consent);
        }
        Ok(())
    }

    /// Writes an entry down, durably at return.
    pub(super) fn append(&mut self, entry: Entry) -> Result<(), PlaceError> {
        self.ledger.append(millis(), entry)
    }

    /// Has the ledger's second place know of everything that was written.
    pub(super) fn rest(&mut self) -> Result<(), PlaceError> {
        self.ledger.rest()
    }

    /// Writes a refusal down, as far as that is possible: nothing leaves either way.
    pub(super) fn refuse(&mut self, destination: &str, why: &str) {
        let same = format!("{destination} {why}");
        if self.refused.as_ref().is_some_and(|(last, at)| *last == same && now() < at + AGAIN) {
            return;
        }
        tracing::warn!(destination, why, "not let out");
        let entry = Entry { destination: destination.to_owned(), policy: why.to_owned(), ..note_of(Kind::Refused) };
        if let Err(error) = self.append(entry) {
            tracing::warn!(%error, "the refusal is not in the ledger");
        }
        self.refused = Some((same, now()));
    }
}

impl Day {
    /// With so many bytes more on this day. A clock that was put back gives no day twice.
    pub(super) fn and(self, day: u64, bytes: u64) -> Self {
        if day > self.number {
            Self { number: day, bytes }
        } else {
            Self { number: self.number, bytes: self.bytes.saturating_add(bytes) }
        }
    }

    /// With what left before a restart.
    fn after(self, record: &Record) -> Self {
        match record.entry.kind {
            Kind::Wire | Kind::Lookup => self.and(record.at / 1000 / DAY, record.entry.bytes),
            _ => self,
        }
    }
}
