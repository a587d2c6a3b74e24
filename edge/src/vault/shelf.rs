//! The files of a vault, over any [`Storage`], for as long as one process has the folder to itself: a moment.
//!
//! A clip grows at its end, and each growth is on the disk before the next: whatever cuts it off, what was there stays as it was.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use volet_federated::storage::{Storage, put};

use super::VaultError;
use super::clip::Sealed;
use super::entry::Entry;
use super::limits::Limits;
use crate::learn::buffer::Recipient;

/// The file that makes a folder a vault.
pub(super) const HEAD: &str = "vault.toml";
/// The greatest head, bytes.
const SMALL: u64 = 1 << 16;
/// How files end that have no name of their own yet.
pub(super) const UNFINISHED: &str = ".new";

/// What `vault.toml` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: u32,
    /// Whom clips are sealed for.
    owner: Recipient,
}

pub(super) struct Shelf<S> {
    storage: S,
    path: PathBuf,
}

impl<S: Storage> Shelf<S> {
    pub(super) fn over(storage: S, path: &Path) -> Self {
        Self { storage, path: path.to_owned() }
    }

    /// Makes a vault in a folder that holds nothing else.
    pub(super) fn make(&mut self, owner: Recipient) -> Result<(), VaultError> {
        let names = self.storage.list().map_err(self.at(""))?;
        if names.iter().any(|name| name == HEAD) {
            return Err(VaultError::Exists(self.path.clone()));
        }
        let ours = |name: &String| name == "lock" || *name == format!("{HEAD}{UNFINISHED}");
        if !names.iter().all(ours) {
            return Err(VaultError::Strange(self.path.clone()));
        }
        let head = toml::to_string(&Head { version: 1, owner });
        let head = head.map_err(|error| VaultError::Damaged { path: self.path.join(HEAD), why: error.to_string() })?;
        put(&mut self.storage, HEAD, head.as_bytes()).map_err(self.at(HEAD))
    }

    /// Whom it is kept for.
    pub(super) fn owner(&self) -> Result<Recipient, VaultError> {
        let head = self.storage.read(HEAD, SMALL).map_err(self.at(HEAD))?;
        owner(&self.path, &head.ok_or_else(|| VaultError::NotThere(self.path.clone()))?)
    }

    /// The clips and their bytes, oldest first.
    pub(super) fn clips(&self) -> Result<Vec<(Entry, u64)>, VaultError> {
        let names = self.storage.list().map_err(self.at(""))?;
        let mut clips = Vec::new();
        for entry in names.iter().filter_map(|name| Entry::parse(name)) {
            let name = entry.to_string();
            clips.push((entry, self.storage.length(&name).map_err(self.at(&name))?.unwrap_or(0)));
        }
        clips.sort_unstable();
        Ok(clips)
    }

    /// Whether a clip is there as it was left, with so many bytes: it may have been wiped meanwhile.
    pub(super) fn holds(&self, entry: Entry, length: u64) -> Result<bool, VaultError> {
        let name = entry.to_string();
        Ok(self.storage.length(&name).map_err(self.at(&name))? == Some(length))
    }

    /// Removes what has to go before `more` bytes are written, and says how many all clips have then.
    pub(super) fn make_room(
        &mut self,
        limits: &Limits,
        current: Option<Entry>,
        more: u64,
        free: Option<u64>,
        now: Timestamp,
    ) -> Result<u64, VaultError> {
        let clips = self.clips()?;
        let gone = limits.surplus(&clips, current, more, free, now);
        let gone = gone.map_err(|_| VaultError::NoRoom(self.path.clone()))?;
        self.tidy()?;
        self.remove(&gone)?;
        Ok(clips.iter().filter(|(entry, _)| !gone.contains(entry)).map(|(_, length)| length).sum())
    }

    /// Writes on at the end of a clip, which is made if it has no bytes yet. Durable at return.
    pub(super) fn append(&mut self, entry: Entry, at: u64, sealed: &Sealed) -> Result<(), VaultError> {
        let name = entry.to_string();
        let written = self.grow(&name, at, sealed.as_bytes());
        if written.is_err() {
            // What was written of it takes room that others need. Where that fails too, whoever opens the clip sees it.
            let _ = if at == 0 { self.tidy().ok() } else { self.storage.truncate(&name, at).ok() };
        }
        written.map_err(self.at(&name))
    }

    fn grow(&mut self, name: &str, at: u64, bytes: &[u8]) -> io::Result<()> {
        if at == 0 {
            // A name that a power cut leaves has its header.
            return put(&mut self.storage, name, bytes);
        }
        self.storage.write(name, at, bytes)?;
        self.storage.sync(name)
    }

    /// Removes clips that were never begun to the end.
    fn tidy(&mut self) -> Result<(), VaultError> {
        let names = self.storage.list().map_err(self.at(""))?;
        for name in names.iter().filter(|name| name.strip_suffix(UNFINISHED).and_then(Entry::parse).is_some()) {
            self.storage.remove(name).map_err(self.at(name))?;
        }
        Ok(())
    }

    /// Removes clips, durably at return.
    pub(super) fn remove(&mut self, gone: &[Entry]) -> Result<(), VaultError> {
        for entry in gone {
            let name = entry.to_string();
            self.storage.remove(&name).map_err(self.at(&name))?;
        }
        if gone.is_empty() { Ok(()) } else { self.storage.sync_dir().map_err(self.at("")) }
    }

    fn at(&self, name: &str) -> impl FnOnce(io::Error) -> VaultError + use<S> {
        let path = self.path.join(name);
        move |source| VaultError::Io { path, source }
    }
}

/// Whom a vault is kept for, by its head.
pub(super) fn owner(path: &Path, head: &[u8]) -> Result<Recipient, VaultError> {
    let damaged = |why: String| VaultError::Damaged { path: path.join(HEAD), why };
    let head = std::str::from_utf8(head).map_err(|error| damaged(error.to_string()))?;
    let head: Head = toml::from_str(head).map_err(|error| damaged(error.message().to_owned()))?;
    match head.version {
        1 => Ok(head.owner),
        other => Err(damaged(format!("this program reads version 1 of vaults, not {other}"))),
    }
}
