//! The folder of a simulation: its settings, what each run has come to so far, and what is shown at the end.
//!
//! Whoever kills the program finds every file whole or absent. The same settings go on with the same folder where it was;
//! other settings are told what differs.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use borsh::{BorshDeserialize, BorshSerialize};
use volet_federated::storage::{DirError, DirStorage, Storage, put};

use super::outcome::{Judged, Round, Took};
use super::settings::Choices;

const SETTINGS: &str = "settings.toml";
const STATE: &str = "state";
/// What a file is called until it is whole.
const PARTIAL: &str = ".tmp";
/// Far above what any run's state takes.
const LARGEST: u64 = 1 << 32;

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum FolderError {
    #[error("{} is not empty and holds no simulation; choose a new folder", .0.display())]
    NotOurs(PathBuf),
    #[error("{} holds a simulation with other settings: {differs}; choose a new folder, or the same settings", path.display())]
    Other { path: PathBuf, differs: String },
    #[error("{} is damaged; remove it, and the run begins anew", .0.display())]
    Damaged(PathBuf),
    #[error("{} cannot be written or read", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Dir(#[from] DirError),
    #[error(transparent)]
    Write(#[from] volet_edge::batch::BatchError),
    #[error("the settings cannot be written down: {0}")]
    Settings(String),
}

/// Where a run is.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Saved {
    pub(super) before: Judged,
    pub(super) now: Judged,
    pub(super) rounds: Vec<Round>,
    pub(super) took: Took,
    /// The engine's own.
    pub(super) engine: Vec<u8>,
}

/// A folder that this process alone writes.
pub(super) struct Folder {
    path: PathBuf,
    state: DirStorage,
}

impl Folder {
    /// Opens the folder of these settings, or makes it.
    ///
    /// # Errors
    /// It is somebody else's, in use, of other settings, or cannot be written.
    pub(super) fn open(path: &Path, settings: &Choices) -> Result<Self, FolderError> {
        let io = |source| FolderError::Io { path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(io)?;
        let there = path.join(SETTINGS);
        if !there.exists() && !is_new(path).map_err(io)? {
            return Err(FolderError::NotOurs(path.to_owned()));
        }
        let state = DirStorage::open(&path.join(STATE))?;
        match std::fs::read_to_string(&there) {
            Ok(text) => {
                let differs = differences(&text, settings)?;
                if !differs.is_empty() {
                    return Err(FolderError::Other { path: path.to_owned(), differs });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let text = toml::to_string(settings).map_err(|e| FolderError::Settings(e.to_string()))?;
                volet_edge::batch::write_whole(&there, text.as_bytes())?;
            }
            Err(source) => return Err(FolderError::Io { path: there, source }),
        }
        remove_partial(path).map_err(io)?;
        Ok(Self { path: path.to_owned(), state })
    }

    /// Where a run was left; none if it has not begun.
    ///
    /// # Errors
    /// The file cannot be read, or is not what was written.
    pub(super) fn load(&self, run: usize) -> Result<Option<Saved>, FolderError> {
        let path = self.path.join(STATE).join(name(run));
        let bytes = self.state.read(&name(run), LARGEST);
        let Some(bytes) = bytes.map_err(|source| FolderError::Io { path: path.clone(), source })? else {
            return Ok(None);
        };
        let whole = bytes.split_first_chunk::<32>().filter(|(hash, rest)| blake3::hash(rest) == **hash);
        let saved = whole.and_then(|(_, rest)| borsh::from_slice(rest).ok());
        saved.map(Some).ok_or(FolderError::Damaged(path))
    }

    /// Keeps where a run is. It is durable at return.
    ///
    /// # Errors
    /// The disk's; what was kept before is still there.
    pub(super) fn save(&mut self, run: usize, saved: &Saved) -> Result<(), FolderError> {
        let path = self.path.join(STATE).join(name(run));
        let io = |source| FolderError::Io { path: path.clone(), source };
        let rest = borsh::to_vec(saved).map_err(io)?;
        let bytes = [&blake3::hash(&rest).as_bytes()[..], &rest].concat();
        put(&mut self.state, &name(run), &bytes).map_err(io)
    }

    /// Writes a file for people, whole or not at all.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        Ok(volet_edge::batch::write_whole(&self.path.join(name), bytes)?)
    }
}

fn name(run: usize) -> String {
    format!("run-{}", run + 1)
}

/// Whether nobody has kept anything here, but for what a simulation leaves that was killed before it began.
fn is_new(path: &Path) -> io::Result<bool> {
    for entry in std::fs::read_dir(path)? {
        let name = entry?.file_name();
        let ours = name == STATE
            && std::fs::read_dir(path.join(STATE))
                .is_ok_and(|mut all| all.all(|entry| entry.is_ok_and(|entry| entry.file_name() == "lock")));
        if !ours && !name.to_string_lossy().starts_with(PARTIAL) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes what was being written when an earlier process was killed.
fn remove_partial(path: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PARTIAL) && entry.file_type()?.is_file() {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Which keys differ, in words; empty if none do.
fn differences(there: &str, settings: &Choices) -> Result<String, FolderError> {
    let unreadable = |e: &dyn std::fmt::Display| FolderError::Settings(e.to_string());
    let there: toml::Table = there.parse().map_err(|e| unreadable(&e))?;
    let here = settings.table().map_err(|e| unreadable(&e))?;
    let (there, here) = (flat(&there), flat(&here));
    let keys: std::collections::BTreeSet<&String> = there.keys().chain(here.keys()).collect();
    let told = |value: Option<&String>| value.cloned().unwrap_or_else(|| "not given".to_owned());
    let differs = keys.into_iter().filter(|key| there.get(*key) != here.get(*key));
    let differs =
        differs.map(|key| format!("{key} is {} there and {} here", told(there.get(key)), told(here.get(key))));
    Ok(differs.collect::<Vec<_>>().join("; "))
}

/// Tables within tables as keys with dots.
fn flat(table: &toml::Table) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => all.extend(flat(inner).into_iter().map(|(k, v)| (format!("{key}.{k}"), v))),
            other => drop(all.insert(key.clone(), other.to_string())),
        }
    }
    all
}
