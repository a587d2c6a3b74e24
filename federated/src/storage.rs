//! The few operations on files that ledgers and logs are made of, small enough that tests can cut the power between any two
//! of them. Knows nothing of records.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

#[cfg(unix)]
mod dir;
#[cfg(unix)]
pub(crate) use dir::read_file;
#[cfg(all(unix, feature = "aggregator"))]
pub(crate) use dir::sync_parent;
#[cfg(unix)]
pub use dir::{DirError, DirStorage};

/// A folder of files that one ledger or log has to itself. Nothing is durable before its sync has returned; names are ASCII
/// letters, digits, `-` and `.`.
///
/// Errors are the storage's own (no space, input/output); after one, whether the operation happened is not known.
#[allow(clippy::missing_errors_doc)] // said once, above
pub trait Storage {
    /// A file's bytes; `None` if there is no such file. One longer than `limit` bytes is an error.
    fn read(&self, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>>;

    /// Fills `bytes` from `offset` of a file on, as far as the file goes; how many were there.
    fn read_at(&self, name: &str, offset: u64, bytes: &mut [u8]) -> io::Result<usize>;

    /// A file's length in bytes; `None` if there is no such file.
    fn length(&self, name: &str) -> io::Result<Option<u64>> {
        Ok(self.read(name, u64::MAX)?.map(|bytes| bytes.len() as u64))
    }

    /// Writes `bytes` at `offset` of a file, which is made if need be. Durable after [`sync`](Self::sync).
    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts a file to `length` bytes. Durable after [`sync`](Self::sync).
    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()>;

    /// Makes a file's content and length durable, not its name.
    fn sync(&mut self, name: &str) -> io::Result<()>;

    /// Gives a file another name, atomically, in place of what had it. Durable after [`sync_dir`](Self::sync_dir).
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file, if it is there. Durable after [`sync_dir`](Self::sync_dir).
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Makes the names durable.
    fn sync_dir(&mut self) -> io::Result<()>;

    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;
}

/// Replaces a file by `bytes`, durably at return. A power cut leaves the old file or the new one.
///
/// # Errors
/// The storage's.
pub fn put(storage: &mut impl Storage, name: &str, bytes: &[u8]) -> io::Result<()> {
    let new = format!("{name}.new");
    storage.write(&new, 0, bytes)?;
    // What an earlier attempt left may be longer.
    storage.truncate(&new, bytes.len() as u64)?;
    storage.sync(&new)?;
    storage.rename(&new, name)?;
    storage.sync_dir()
}

/// A storage that forgets everything when the program ends, for simulated devices.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    files: BTreeMap<String, Vec<u8>>,
}

impl Storage for MemoryStorage {
    fn read(&self, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
        match self.files.get(name) {
            Some(bytes) if bytes.len() as u64 > limit => Err(io::ErrorKind::FileTooLarge.into()),
            bytes => Ok(bytes.cloned()),
        }
    }

    fn read_at(&self, name: &str, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let file = self.files.get(name).ok_or(io::ErrorKind::NotFound)?;
        let rest = usize::try_from(offset).ok().and_then(|offset| file.get(offset..)).unwrap_or_default();
        let there = rest.len().min(bytes.len());
        bytes.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        Ok(there)
    }

    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let file = self.files.entry(name.to_owned()).or_default();
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let end = start.checked_add(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        if file.len() < end {
            file.resize(end, 0);
        }
        if let Some(place) = file.get_mut(start..end) {
            place.copy_from_slice(bytes);
        }
        Ok(())
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        let file = self.files.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        file.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(())
    }

    fn sync(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let file = self.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.files.remove(name);
        Ok(())
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files.keys().cloned().collect())
    }
}

/// One storage in several hands, one after the other: a simulated device's disk, which outlives its process.
impl<S: Storage> Storage for Rc<RefCell<S>> {
    fn read(&self, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
        self.borrow().read(name, limit)
    }

    fn read_at(&self, name: &str, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        self.borrow().read_at(name, offset, bytes)
    }

    fn length(&self, name: &str) -> io::Result<Option<u64>> {
        self.borrow().length(name)
    }

    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.borrow_mut().write(name, offset, bytes)
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        self.borrow_mut().truncate(name, length)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.borrow_mut().sync(name)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.borrow_mut().rename(from, to)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.borrow_mut().remove(name)
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.borrow_mut().sync_dir()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.borrow().list()
    }
}
