//! Counters that only go up: the ledger's commit mark, and what tells an old ledger file from the present one.

use std::io;

use crate::storage::{Storage, put};

/// What a counter notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollbackProtection {
    /// Hardware that keeps the [`Mark`] whole, as RPMB does: who writes the device's disk can put nothing back and
    /// replace nothing.
    Anchor,
    /// Hardware that only counts, as a TPM 2.0 NV counter does. Putting an earlier ledger back is noticed. Who cuts
    /// the power between a record's write and its count, puts the disk of before back, and later that with the
    /// uncounted record, replaces **one** record by another, and can repeat that.
    Counter,
    /// A file. Loss of and damage to the ledger's own file are noticed; a copy of the whole disk that is put back,
    /// ledger and counter together, is **not**. Who can do that can spend the budget again.
    File,
}

/// How far a ledger has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// How many records it has.
    pub count: u64,
    /// The hash of the last; `None` from a counter that only counts, or has not counted yet.
    pub head: Option<[u8; 32]>,
}

/// A counter for one ledger alone. It starts at 0, goes up by one, and never down.
pub trait MonotonicCounter {
    /// Where the counter stands. Once read, no power cut takes it back.
    ///
    /// # Errors
    /// The counter cannot be read. The ledger does not open.
    fn read(&mut self) -> io::Result<Mark>;

    /// Adds one and keeps `head` with it if it can, both or neither, durably at return; gives the new count.
    ///
    /// # Errors
    /// Whether the counter went up is not known. The ledger has to be opened again, which finds out.
    fn advance(&mut self, head: [u8; 32]) -> io::Result<u64>;

    /// What this counter notices.
    fn protection(&self) -> RollbackProtection;
}

/// A counter in a file, for devices without a hardware counter. It is the ledger's commit mark as any counter is,
/// but [`RollbackProtection::File`] is all it can protect. It needs a storage of its own; on another partition
/// than the ledger's, restoring that partition alone is noticed.
#[derive(Debug)]
pub struct FileCounter<S> {
    storage: S,
    /// The value, if it is known to be durable.
    durable: Option<Mark>,
}

const NAME: &str = "counter";

impl<S: Storage> FileCounter<S> {
    /// The counter in `storage`, at 0 if there is none.
    pub fn new(storage: S) -> Self {
        Self { storage, durable: None }
    }

    fn write(&mut self, count: u64, head: [u8; 32]) -> io::Result<Mark> {
        self.durable = None;
        put(&mut self.storage, NAME, &borsh::to_vec(&(count, head))?)?;
        Ok(*self.durable.insert(Mark { count, head: Some(head) }))
    }
}

impl<S: Storage> MonotonicCounter for FileCounter<S> {
    fn read(&mut self) -> io::Result<Mark> {
        if let Some(mark) = self.durable {
            return Ok(mark);
        }
        let Some(bytes) = self.storage.read(NAME, 8 + 32)? else { return Ok(Mark::default()) };
        let (count, head) = borsh::from_slice(&bytes)?;
        // What is read may stand in the system's cache alone, after an advance whose sync failed.
        self.write(count, head)
    }

    fn advance(&mut self, head: [u8; 32]) -> io::Result<u64> {
        let next = self.read()?.count.checked_add(1).ok_or(io::ErrorKind::QuotaExceeded)?;
        Ok(self.write(next, head)?.count)
    }

    fn protection(&self) -> RollbackProtection {
        RollbackProtection::File
    }
}
