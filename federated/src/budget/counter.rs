//! Counters that only go up: the ledger's commit mark, and what tells an old ledger file from the present one.

use std::io;

use super::storage::{Storage, put};

/// What a counter notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollbackProtection {
    /// The counter cannot be turned back by who can write the device's disk: TPM 2.0 NV counter, RPMB, secure
    /// element. Every rollback of the ledger is noticed.
    Hardware,
    /// The counter is a file. Loss of and damage to the ledger's own file are noticed; a copy of the whole disk that
    /// is put back, ledger and counter together, is **not**. Who can do that can spend the budget again.
    File,
}

/// A counter for one ledger alone. It starts at 0, goes up by one, and never down.
pub trait MonotonicCounter {
    /// The value; 0 before the first [`advance`](Self::advance). Once read, no power cut takes it back.
    ///
    /// # Errors
    /// The counter cannot be read. The ledger does not open.
    fn read(&mut self) -> io::Result<u64>;

    /// Adds one, durably at return, and gives the new value.
    ///
    /// # Errors
    /// Whether the counter went up is not known. The ledger has to be opened again, which finds out.
    fn advance(&mut self) -> io::Result<u64>;

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
    durable: Option<u64>,
}

const NAME: &str = "counter";

impl<S: Storage> FileCounter<S> {
    /// The counter in `storage`, at 0 if there is none.
    pub fn new(storage: S) -> Self {
        Self { storage, durable: None }
    }

    fn write(&mut self, value: u64) -> io::Result<u64> {
        self.durable = None;
        put(&mut self.storage, NAME, &value.to_le_bytes())?;
        Ok(*self.durable.insert(value))
    }
}

impl<S: Storage> MonotonicCounter for FileCounter<S> {
    fn read(&mut self) -> io::Result<u64> {
        if let Some(value) = self.durable {
            return Ok(value);
        }
        let Some(bytes) = self.storage.read(NAME, 8)? else { return Ok(0) };
        let bytes = <[u8; 8]>::try_from(bytes);
        let bytes = bytes.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the counter is not 8 bytes"))?;
        // What is read may stand in the system's cache alone, after an advance whose sync failed.
        self.write(u64::from_le_bytes(bytes))
    }

    fn advance(&mut self) -> io::Result<u64> {
        let next = self.read()?.checked_add(1).ok_or(io::ErrorKind::QuotaExceeded)?;
        self.write(next)
    }

    fn protection(&self) -> RollbackProtection {
        RollbackProtection::File
    }
}
