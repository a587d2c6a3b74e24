//! What an aggregator keeps that does not go into tables: released files by their hash, sums, the optimizer's memory, and the
//! journals of shards.

mod folder;
#[cfg(feature = "cluster")]
mod objects;
#[cfg(feature = "cluster")]
mod segments;

use std::io;

pub use folder::Folder;
pub(super) use folder::put;
#[cfg(feature = "cluster")]
pub use objects::{Bucket, Objects};
#[cfg(feature = "cluster")]
pub use segments::Segments;

use super::register::ShardId;
use crate::round::{Journal, Log};
use crate::storage::DirStorage;

/// Files, each of which is there whole or not at all.
///
/// Names are ASCII letters, digits, `-`, and `/` between them. Calls block; errors are the engine's own.
#[allow(clippy::missing_errors_doc)] // said once, above
pub trait Store: Send + Sync + 'static {
    /// Writes a file in place of what had its name, durable at return.
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// A file's bytes; `None` if there is none.
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Up to `length` bytes of a file from `offset` on, none at its end; `None` if there is no such file.
    fn piece(&self, name: &str, offset: u64, length: usize) -> io::Result<Option<Vec<u8>>>;

    /// Removes a file, if it is there.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Where a shard's journal lies.
    fn journal(&self, shard: ShardId) -> io::Result<Place>;

    /// Removes what is left of a shard's journal.
    fn forget(&self, shard: ShardId) -> io::Result<()>;
}

/// Where a shard's journal lies.
pub enum Place {
    /// In a folder.
    Folder(DirStorage),
    /// In an object store.
    #[cfg(feature = "cluster")]
    Objects(segments::At),
}

/// A shard's journal.
pub enum ShardJournal {
    /// In a folder.
    Folder(Log<DirStorage>),
    /// In an object store.
    #[cfg(feature = "cluster")]
    Objects(Segments),
}

impl Journal for ShardJournal {
    type Place = Place;

    fn open(place: Place, each: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<Self> {
        match place {
            Place::Folder(folder) => Log::open(folder, each).map(Self::Folder),
            #[cfg(feature = "cluster")]
            Place::Objects(at) => Segments::open(at, each).map(Self::Objects),
        }
    }

    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        match self {
            Self::Folder(log) => log.append(record),
            #[cfg(feature = "cluster")]
            Self::Objects(segments) => segments.append(record),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        match self {
            Self::Folder(log) => log.sync(),
            #[cfg(feature = "cluster")]
            Self::Objects(segments) => segments.sync(),
        }
    }

    fn remove(self) -> io::Result<()> {
        match self {
            Self::Folder(log) => log.remove(),
            #[cfg(feature = "cluster")]
            Self::Objects(segments) => segments.remove(),
        }
    }
}
