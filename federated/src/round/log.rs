//! A file of records, one after the other, of which a power cut leaves the first so many.
//!
//! A frame is the record's length (4 bytes, little-endian), half of its BLAKE3 hash, chained to that of the frame before,
//! and the record. What follows the first frame that is not whole was never synced.
//!
//! Opening copies the whole frames to a new file. After a sync that failed, Linux calls pages clean that are on no disk, and
//! the next sync says nothing of them: what is read may not be there after a power cut, what is written anew is.

use std::io;

use super::Journal;
use crate::storage::Storage;

const NAME: &str = "log";
const COPY: &str = "log.new";
const HEADER: usize = 20;
/// The greatest record, bytes: far beyond any message.
const LARGEST: usize = 256 << 20;

/// A journal in one file of a folder.
pub struct Log<S> {
    storage: S,
    end: End,
    /// Whether the file's name is durable.
    named: bool,
}

/// Where the next frame begins, and the hash of the last one.
#[derive(Clone, Copy, Default)]
struct End {
    offset: u64,
    hash: [u8; 16],
}

impl<S: Storage> Log<S> {
    #[cfg(test)]
    pub(crate) fn into_storage(self) -> S {
        self.storage
    }

    /// Removes the log, for good, and gives the storage back.
    pub(crate) fn give_back(mut self) -> io::Result<S> {
        self.storage.remove(NAME)?;
        self.storage.sync_dir()?;
        Ok(self.storage)
    }
}

impl<S: Storage> Journal for Log<S> {
    type Place = S;

    fn open(mut storage: S, each: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<Self> {
        let named = storage.list()?.iter().any(|name| name == NAME);
        let mut end = End::default();
        if named {
            let copied = copy(&mut storage, each);
            // A copy that a full disk has cut short takes the room that others need.
            end = copied.inspect_err(|_| drop(storage.remove(COPY)))?;
        }
        Ok(Self { storage, end, named })
    }

    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.end = self.end.write(&mut self.storage, NAME, record)?;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.storage.sync(NAME)?;
        if !self.named {
            self.storage.sync_dir()?;
            self.named = true;
        }
        Ok(())
    }

    fn remove(self) -> io::Result<()> {
        self.give_back().map(drop)
    }
}

/// Copies the whole records, handing them out, and puts the copy in the log's place; where it ends.
fn copy(storage: &mut impl Storage, each: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<End> {
    let mut end = End::default();
    while let Some(record) = end.read(storage)? {
        each(&record)?;
        end = end.write(storage, COPY, &record)?;
    }
    // Also makes the file, where not one record is whole.
    storage.write(COPY, end.offset, &[])?;
    storage.truncate(COPY, end.offset)?;
    storage.sync(COPY)?;
    storage.rename(COPY, NAME)?;
    storage.sync_dir()?;
    Ok(end)
}

impl End {
    /// The record that begins here, if it is whole.
    fn read(self, storage: &impl Storage) -> io::Result<Option<Vec<u8>>> {
        let mut header = [0; HEADER];
        if storage.read_at(NAME, self.offset, &mut header)? < HEADER {
            return Ok(None);
        }
        let [l0, l1, l2, l3, hash @ ..] = header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if length > LARGEST {
            return Ok(None);
        }
        let mut record = vec![0; length];
        let whole = storage.read_at(NAME, self.offset + HEADER as u64, &mut record)? == length;
        Ok((whole && self.chain(&record) == hash).then_some(record))
    }

    /// Writes a record here; where the next one begins.
    fn write(self, storage: &mut impl Storage, name: &str, record: &[u8]) -> io::Result<Self> {
        if record.len() > LARGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let hash = self.chain(record);
        let header = [&(record.len() as u32).to_le_bytes()[..], &hash].concat();
        storage.write(name, self.offset, &header)?;
        storage.write(name, self.offset + HEADER as u64, record)?;
        Ok(Self { offset: self.offset + (HEADER + record.len()) as u64, hash })
    }

    fn chain(self, record: &[u8]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_derive_key("volet 2026-11 round log: chained record");
        hasher.update(&self.hash).update(record);
        let mut hash = [0; 16];
        hasher.finalize_xof().fill(&mut hash);
        hash
    }
}
