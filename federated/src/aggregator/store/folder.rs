//! Files in a folder of this machine.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{Place, Store};
use crate::aggregator::register::ShardId;
use crate::storage::{DirStorage, sync_parent};

/// A folder's files.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The files in this folder, which is made if need be.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(root: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(root)?;
        Ok(Self { root: root.to_owned() })
    }

    fn shard(&self, ShardId { round, shard }: ShardId) -> PathBuf {
        self.root.join("rounds").join(format!("{round}-{shard}"))
    }
}

impl Store for Folder {
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.root.join(name);
        if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
            std::fs::create_dir_all(parent)?;
            sync_parent(parent)?;
        }
        put(&path, bytes)
    }

    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        found(std::fs::read(self.root.join(name)))
    }

    fn piece(&self, name: &str, offset: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
        let Some(mut file) = found(File::open(self.root.join(name)))? else { return Ok(None) };
        file.seek(SeekFrom::Start(offset))?;
        let mut piece = Vec::new();
        file.take(length as u64).read_to_end(&mut piece)?;
        Ok(Some(piece))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        found(std::fs::remove_file(self.root.join(name))).map(drop)
    }

    fn journal(&self, shard: ShardId) -> io::Result<Place> {
        let path = self.shard(shard);
        if let Some(rounds) = path.parent().filter(|rounds| !rounds.exists()) {
            std::fs::create_dir_all(rounds)?;
            sync_parent(rounds)?;
        }
        DirStorage::open(&path).map(Place::Folder).map_err(io::Error::other)
    }

    fn forget(&self, shard: ShardId) -> io::Result<()> {
        found(std::fs::remove_dir_all(self.shard(shard))).map(drop)
    }
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file, whole or not at all, durably at return.
pub(in crate::aggregator) fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(new, path)?;
    sync_parent(path)
}
