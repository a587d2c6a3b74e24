//! The ledger as its one writer has it: what becomes durable in which order.

mod anchor;
mod limits;
mod recover;

use std::io;

use volet_federated::signing::SigningKey;
use volet_federated::storage::{Storage, put};

use super::entry::{Entry, MAX_NAME, Record, Sums};
use super::error::LedgerError;
use super::frame::{Aside, Body, End, FORMAT, Head, Opening};
use anchor::write_anchor;

pub(super) use anchor::HEAD;
pub use limits::Limits;
pub(super) use limits::MAX_SEGMENT;

const SEGMENT: &str = "segment-";

/// A segment's file: its first record's number, and its bytes.
struct Segment {
    first: u64,
    bytes: u64,
}

/// A device's egress ledger, in the hands of its one writer; see the [module's page](super).
pub struct Ledger<S> {
    storage: S,
    anchor: Option<S>,
    key: SigningKey,
    limits: Limits,
    end: End,
    /// Of all records.
    sums: Sums,
    /// What was set aside when this one was begun.
    aside: Option<Aside>,
    /// Oldest first; the last one is written to.
    segments: Vec<Segment>,
    /// The head that is durable in the second place.
    anchored: Option<Head>,
    /// False while and after an operation whose outcome on the disk is not known.
    sound: bool,
}

impl<S: Storage> Ledger<S> {
    /// Opens a device's ledger, or makes one where there is none, and finishes what a power cut interrupted.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Storage`], or no random bytes for a new one.
    pub fn open(storage: S, key: &SigningKey, limits: Limits) -> Result<Self, LedgerError> {
        Self::open_at(storage, None, key, limits, &mut |_| {})
    }

    /// The same with the head kept in a second place too, best on another partition: a ledger that was cut short is then
    /// found out. The second place is this ledger's alone.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_anchored(storage: S, anchor: S, key: &SigningKey, limits: Limits) -> Result<Self, LedgerError> {
        Self::open_at(storage, Some(anchor), key, limits, &mut |_| {})
    }

    /// The same, and hands out every record that is kept, first to last.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_telling(
        storage: S,
        anchor: S,
        key: &SigningKey,
        limits: Limits,
        each: &mut dyn FnMut(&Record),
    ) -> Result<Self, LedgerError> {
        Self::open_at(storage, Some(anchor), key, limits, each)
    }

    /// Writes an entry down, durably at return: only then may the bytes go. `at` is milliseconds since 1970 by the
    /// device's clock. Gives the record's number.
    ///
    /// # Errors
    /// [`LedgerError::TooLong`], without any effect. [`LedgerError::Storage`]: whether the entry was written is not known,
    /// and all later calls fail until the ledger is opened again.
    pub fn append(&mut self, at: u64, entry: Entry) -> Result<u64, LedgerError> {
        if !self.sound {
            return Err(LedgerError::Reopen);
        }
        for (what, name) in [("destination", &entry.destination), ("policy's name", &entry.policy)] {
            if name.len() > MAX_NAME {
                return Err(LedgerError::TooLong { what, bytes: name.len() });
            }
        }
        let failed = failed("write an entry");
        let number = self.end.head.number.checked_add(1).ok_or_else(|| failed(io::ErrorKind::QuotaExceeded.into()))?;
        let (kind, bytes) = (entry.kind, entry.bytes);
        let mut body = Body::Record { previous: self.end.head.hash, record: Record { number, at, entry } };
        self.sound = false;
        let frame = super::frame::length(&body).map_err(failed)?;
        let file = self.segments.last().map_or(0, |segment| segment.bytes);
        if file.saturating_add(frame) > self.limits.segment {
            self.rotate(0)?;
            if let Body::Record { previous, .. } = &mut body {
                *previous = self.end.head.hash;
            }
        }
        let frame = self.end.push(&body, &self.key).map_err(failed)?;
        let Some(segment) = self.segments.last_mut() else { return Err(LedgerError::Reopen) };
        let name = file_name(segment.first);
        self.storage.write(&name, segment.bytes, &frame).map_err(failed)?;
        self.storage.sync(&name).map_err(failed)?;
        segment.bytes = segment.bytes.saturating_add(frame.len() as u64);
        self.sums.entry(kind).or_default().add(bytes);
        let anchored = self.anchored.as_ref().map_or(0, |head| head.number);
        if number.saturating_sub(anchored) >= self.limits.anchor_every {
            self.keep_head()?;
        }
        self.sound = true;
        Ok(number)
    }

    /// The signed end of the ledger: in somebody else's hands it shows whether the ledger is put back later.
    pub fn head(&self) -> Head {
        self.end.head.clone()
    }

    /// Sums by kind over the whole life of the ledger, also of what is no longer kept.
    pub fn sums(&self) -> &Sums {
        &self.sums
    }

    /// Keeps the head in the second place and gives the storages back.
    ///
    /// # Errors
    /// [`LedgerError::Storage`], [`LedgerError::Reopen`]. All entries that were acknowledged are durable nevertheless.
    pub fn close(mut self) -> Result<(S, Option<S>), LedgerError> {
        if !self.sound {
            return Err(LedgerError::Reopen);
        }
        self.keep_head()?;
        Ok((self.storage, self.anchor))
    }

    /// Begins the next segment, behind so many bytes that are no record, and removes the oldest that are too much.
    fn rotate(&mut self, torn: u32) -> Result<(), LedgerError> {
        let failed = failed("begin a file");
        let Head { device, ledger, number, hash, .. } = self.end.head;
        let first = number.checked_add(1).ok_or_else(|| failed(io::ErrorKind::QuotaExceeded.into()))?;
        let mut total =
            self.segments.iter().fold(self.limits.segment, |sum, segment| sum.saturating_add(segment.bytes));
        let mut kept = self.segments.iter().peekable();
        while let Some(oldest) = kept.next_if(|_| total > self.limits.total) {
            total = total.saturating_sub(oldest.bytes);
        }
        let opening = Opening {
            format: FORMAT,
            ledger,
            device,
            first,
            previous: hash,
            sums: self.sums.clone(),
            kept_from: kept.peek().map_or(first, |segment| segment.first),
            torn,
            anchored: self.anchor.is_some(),
            aside: self.aside.clone(),
        };
        let kept_from = opening.kept_from;
        let (end, frame) = End::begin(opening, &self.key).map_err(failed)?;
        put(&mut self.storage, &file_name(first), &frame).map_err(failed)?;
        self.segments.push(Segment { first, bytes: frame.len() as u64 });
        self.end = end;
        self.keep_head()?;
        self.forget(kept_from).map_err(failed)
    }

    /// Removes the segments before `kept_from`, the oldest first, and one durably before the next.
    fn forget(&mut self, kept_from: u64) -> io::Result<()> {
        while let Some(oldest) = self.segments.first().filter(|segment| segment.first < kept_from) {
            self.storage.remove(&file_name(oldest.first))?;
            self.storage.sync_dir()?;
            self.segments.remove(0);
        }
        Ok(())
    }

    /// Keeps the head in the second place now. What comes later may be cut off without notice until it is kept again, which is
    /// after every [`Limits::anchor_every`] records, at the latest.
    ///
    /// # Errors
    /// [`LedgerError::Storage`]. All entries that were acknowledged are durable nevertheless.
    pub fn keep_head(&mut self) -> Result<(), LedgerError> {
        let head = &self.end.head;
        match &mut self.anchor {
            Some(anchor) if self.anchored.as_ref() != Some(head) => write_anchor(anchor, head)?,
            Some(_) => return Ok(()),
            None => {}
        }
        self.anchored = Some(head.clone());
        Ok(())
    }
}

impl<S> std::fmt::Debug for Ledger<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("records", &self.end.head.number).finish_non_exhaustive()
    }
}

/// The name of the segment that begins with a record.
pub(super) fn file_name(first: u64) -> String {
    format!("{SEGMENT}{first:020}")
}

/// The record that a segment of this name begins with.
pub(super) fn first_of(name: &str) -> Option<u64> {
    let first = name.strip_prefix(SEGMENT)?.parse().ok()?;
    (file_name(first) == name).then_some(first)
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> LedgerError + Copy {
    move |source| LedgerError::Storage { doing, source }
}
