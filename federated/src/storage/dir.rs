//! A folder on a disk as a [`Storage`]: POSIX files, with a lock so that two processes never have the same one.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Storage;

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum DirError {
    #[error("{} is in use by another process: stop that one, or give this one another folder", path.display())]
    InUse { path: PathBuf },
    #[error("{} cannot be used: give this process a folder it may write, on a disk with room", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// How long a lock is waited for, in milliseconds: a program that this process is just starting holds copies of all its files
/// until it runs.
const PATIENCE: [u64; 6] = [1, 3, 10, 30, 100, 200];

/// How often that is waited for somebody who is patient.
const TRIES: usize = 30;

/// A folder that this process alone uses while the value lives. Files are readable by the process's user only.
#[derive(Debug)]
pub struct DirStorage {
    path: PathBuf,
    dir: File,
    /// The file written last. A sync through the descriptor that wrote is told of every error; one through a
    /// descriptor opened later may not be.
    written: Option<(String, File)>,
    _lock: File,
}

impl DirStorage {
    /// Opens a folder, or makes it; its parent has to exist.
    ///
    /// # Errors
    /// Another process has it, or it cannot be opened, made, locked or synced.
    pub fn open(path: &Path) -> Result<Self, DirError> {
        let io = |source| DirError::Io { path: path.to_owned(), source };
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io(error)),
            // A folder whose own name is lost in a power cut would be a lost ledger; and one that is there may have
            // been made just before a power cut.
            _ => sync_parent(path).map_err(io)?,
        }
        let dir = File::open(path).map_err(io)?;
        let lock = create(&path.join("lock")).map_err(io)?;
        let mut patience = PATIENCE.into_iter();
        loop {
            match (lock.try_lock(), patience.next()) {
                (Ok(()), _) => return Ok(Self { path: path.to_owned(), dir, written: None, _lock: lock }),
                (Err(TryLockError::WouldBlock), Some(milliseconds)) => {
                    std::thread::sleep(Duration::from_millis(milliseconds));
                }
                (Err(TryLockError::WouldBlock), None) => return Err(DirError::InUse { path: path.to_owned() }),
                (Err(TryLockError::Error(error)), _) => return Err(io(error)),
            }
        }
    }

    /// The same, where others have the folder for moments: waits until they do not, some ten seconds at most.
    ///
    /// # Errors
    /// As of [`open`](Self::open).
    pub fn open_patiently(path: &Path) -> Result<Self, DirError> {
        for _ in 0..TRIES {
            match Self::open(path) {
                Err(DirError::InUse { .. }) => {}
                opened => return opened,
            }
        }
        Self::open(path)
    }

    /// The file to write to, with the descriptor kept for its sync.
    fn writable(&mut self, name: &str) -> io::Result<&File> {
        let file = match self.written.take() {
            Some((written, file)) if written == name => file,
            _ => create(&self.path.join(name))?,
        };
        Ok(&self.written.insert((name.to_owned(), file)).1)
    }
}

/// A file's bytes; `None` if there is none. One longer than `limit` bytes is an error.
pub(crate) fn read_file(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(Some(bytes)) }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Makes the names in the folder that this path is in durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

impl Storage for DirStorage {
    fn read(&self, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
        read_file(&self.path.join(name), limit)
    }

    fn read_at(&self, name: &str, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let mut file = File::open(self.path.join(name))?;
        file.seek(SeekFrom::Start(offset))?;
        let (mut there, most) = (0, bytes.len());
        while let Some(rest) = bytes.get_mut(there..).filter(|_| there < most) {
            match file.read(rest) {
                Ok(0) => break,
                Ok(more) => there += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(there)
    }

    fn length(&self, name: &str) -> io::Result<Option<u64>> {
        match std::fs::metadata(self.path.join(name)) {
            Ok(file) => Ok(Some(file.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.writable(name)?.write_all_at(bytes, offset)
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        self.writable(name)?.set_len(length)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let path = self.path.join(name);
        let file = self.writable(name)?;
        file.sync_all()?;
        // Where somebody put another file in its place, what was written is on the disk, and nobody will ever find it.
        let (written, named) = (file.metadata()?, std::fs::symlink_metadata(path)?);
        if (written.dev(), written.ino()) == (named.dev(), named.ino()) {
            Ok(())
        } else {
            Err(io::Error::other("another file was put in its place while it was written to"))
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        // The descriptor would go by a name that is no longer its own.
        self.written = None;
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.written = None;
        match std::fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.dir.sync_all()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        // A name that is not Unicode is not one of ours.
        let names = std::fs::read_dir(&self.path)?.map(|entry| entry.map(|entry| entry.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }
}
