//! Where a camera's two ledgers lie in its state folder, and where each has the second place that shows whether it was cut short.
//!
//! The second places lie in a folder of their own, so that it can be a mount of another disk, or a link to one. Knows no entries.

use std::path::{Path, PathBuf};

use volet_federated::signing::SigningKey;
use volet_federated::storage::{DirError, DirStorage};

use super::ledger::{self, Entry, Ledger, LedgerError, Limits, Record};

/// Folder of the agent's ledger in a state folder.
pub(crate) const LEDGER: &str = "egress";
/// Folder of the ledger of files. It is not the agent's: each is written by one process.
pub(crate) const EXPORTS: &str = "exports";
/// Folder of second places.
pub(crate) const HEADS: &str = "heads";

/// Why a camera's ledger is not there to write to. Nothing leaves.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum PlaceError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Folder(#[from] DirError),
    #[error(
        "{} is missing, where an enrolled camera writes down what leaves: put it back from a copy, or have a new one begun that \
         says so (`volet-edge begin-ledger`)", .0.display()
    )]
    Missing(PathBuf),
    #[error("{}: {source}. Mend the disk or make room", path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

/// One of a camera's ledgers.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// The folder of its second place.
    pub(crate) head: PathBuf,
}

impl Place {
    /// Of the camera with this state folder, the ledger of this name.
    pub(crate) fn of(state: &Path, name: &str) -> Self {
        Self { folder: state.join(name), head: state.join(HEADS).join(name) }
    }

    /// Opens it, and hands out what is in it. One that is not there is made only where it `may` be `begun`: at enrolment.
    pub(super) fn open(
        self,
        key: &SigningKey,
        may_begin: bool,
        each: &mut dyn FnMut(&Record),
    ) -> Result<Opened, PlaceError> {
        let ledger = self.ledger(key, may_begin, each)?;
        Ok(Opened { place: self, key: *key, ledger: Some(ledger) })
    }

    fn ledger(
        &self,
        key: &SigningKey,
        may_begin: bool,
        each: &mut dyn FnMut(&Record),
    ) -> Result<Ledger<DirStorage>, PlaceError> {
        if !may_begin && !ledger::is_begun(&self.folder) {
            return Err(PlaceError::Missing(self.folder.clone()));
        }
        let (storage, head) = self.storages()?;
        Ok(Ledger::open_telling(storage, head, key, Limits::default(), each)?)
    }

    /// Begins a new one, which says that another was there. The old one stays in the folder as evidence.
    pub(crate) fn begin_anew(&self, key: &SigningKey) -> Result<(), PlaceError> {
        let (storage, head) = self.storages()?;
        Ledger::set_aside(storage, Some(head), key, Limits::default())?;
        Ok(())
    }

    fn storages(&self) -> Result<(DirStorage, DirStorage), PlaceError> {
        let heads = self.head.parent().unwrap_or(&self.head);
        let io = |source| PlaceError::Io { path: heads.to_owned(), source };
        private_folder(heads).map_err(io)?;
        Ok((DirStorage::open(&self.folder)?, DirStorage::open(&self.head)?))
    }
}

/// A ledger of a camera's, open.
pub(super) struct Opened {
    place: Place,
    key: SigningKey,
    /// None after an error of the disk's, until it is opened again.
    ledger: Option<Ledger<DirStorage>>,
}

impl Opened {
    /// Writes an entry down, durably at return; `at` is milliseconds since 1970. Where an earlier one failed and may have left
    /// anything on the disk, the ledger is opened and mended first.
    pub(super) fn append(&mut self, at: u64, entry: Entry) -> Result<(), PlaceError> {
        let mut ledger = match self.ledger.take() {
            Some(ledger) => ledger,
            None => self.place.ledger(&self.key, false, &mut |_| {})?,
        };
        match ledger.append(at, entry) {
            Err(error @ (LedgerError::Storage { .. } | LedgerError::Reopen)) => Err(error.into()),
            appended => {
                self.ledger = Some(ledger);
                Ok(appended.map(drop)?)
            }
        }
    }

    /// Keeps the head in the second place: nothing is going on just now, and what was written is not to be cut off unseen.
    pub(super) fn rest(&mut self) -> Result<(), PlaceError> {
        if let Some(mut ledger) = self.ledger.take() {
            ledger.keep_head()?;
            self.ledger = Some(ledger);
        }
        Ok(())
    }
}

/// Makes a folder for the process's user alone, where there is none.
pub(crate) fn private_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The folders that whoever gives out files writes besides theirs: the ledger's, and its second place.
pub fn exports(state: &Path) -> [PathBuf; 2] {
    let Place { folder, head } = Place::of(state, EXPORTS);
    [folder, head]
}

/// The folders of a camera's ledgers, and those of their second places.
pub fn ledgers(state: &Path) -> [(PathBuf, PathBuf); 2] {
    [LEDGER, EXPORTS].map(|name| {
        let Place { folder, head } = Place::of(state, name);
        (folder, head)
    })
}
