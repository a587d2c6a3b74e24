//! A camera's state folder: which files there are, and how they are read and written. Knows no network and no models.
//!
//! Every file is written whole, durably, in place of the one before. One process has the folder at a time.
//!
//! What an agent at work writes lies in folders within, and what only the owner says and makes does not: so its sandbox can
//! keep it from the owner's consent and the camera's key. A camera that follows the agent's model reads `model/` and no more.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use volet_federated::signing::SigningKey;
use volet_federated::storage::{DirError, DirStorage, Storage, put};

use crate::egress::{self, private_folder};

/// Whom to call and whom to believe.
pub(super) const CAMERA: &str = "camera.toml";
/// The camera's signing key.
pub(super) const KEY: &str = "device.key";
/// The secret that the budget ledger is chained under.
pub(super) const SECRET: &str = "device.secret";
/// The certificate (DER).
pub(super) const CERTIFICATE: &str = "agent/certificate";
/// The authority's signature over the camera's key.
pub(super) const ENROLMENT: &str = "enrolment";
/// The manifest of the lineage's first model.
pub(super) const MANIFEST: &str = "model/manifest.toml";
/// The latest release that was accepted, as it was signed.
pub(super) const RELEASE: &str = "agent/release";
/// Which model is in use. Written last at enrolment: where it is missing, nothing was finished.
pub(super) const ACTIVE: &str = "model/active";
/// The task of the round that goes on, as it was signed.
pub(super) const TASK: &str = "agent/task";
/// The terms of the buffered round that a report is made for.
pub(super) const REPORT: &str = "agent/report";
/// What the agent remembers of what it did.
pub(super) const JOURNAL: &str = "agent/journal.json";
/// What the agent's sandbox claims since its last start.
pub(super) const SANDBOX: &str = "agent/sandbox.json";
/// Folders of the ledger, its counter, and the round that goes on.
pub(super) const BUDGET: &str = "budget";
pub(super) const COUNTER: &str = "counter";
pub(super) const ROUND: &str = "round";
/// Folders of models, and of what the agent remembers.
pub(super) const MODELS: &str = "model";
const OWN: &str = "agent";
/// The file that whoever has a folder to itself holds; every program of the camera's has one of them open.
pub(super) const LOCK: &str = "lock";
/// What an agent at work writes, all of it.
pub(super) const WRITTEN: [&str; 7] = [MODELS, OWN, BUDGET, COUNTER, ROUND, egress::LEDGER, egress::HEADS];

/// The greatest file but models, bytes.
const SMALL: u64 = 1 << 20;
/// The greatest model, bytes.
const LARGE: u64 = 256 << 20;

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum StateError {
    #[error(transparent)]
    Folder(#[from] DirError),
    #[error("{} holds no enrolled camera: enrol it with `volet-edge enrol`", .0.display())]
    NotEnrolled(PathBuf),
    #[error("{} holds an enrolled camera: give another folder, or go on with `volet-edge agent`", .0.display())]
    Enrolled(PathBuf),
    #[error("{}: {source}. Mend the disk or make room; nothing is lost", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is damaged or missing: put it back from a copy, or enrol the camera anew in another folder", .0.display())]
    Damaged(PathBuf),
}

/// Which model is in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Active {
    /// The number of its release.
    pub release: u64,
    /// BLAKE3 of its file, hexadecimal.
    pub model: String,
}

/// A state folder that this process alone uses.
#[derive(Debug)]
pub(super) struct State {
    /// What is written once, at enrolment.
    top: DirStorage,
    models: DirStorage,
    own: DirStorage,
    path: PathBuf,
}

impl State {
    /// Opens a folder, or makes it.
    pub(super) fn open(path: &Path) -> Result<Self, StateError> {
        let top = DirStorage::open(path)?;
        // It may have been made by hand; keys and pictures' traces are nobody else's business.
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(path, closed).map_err(at(path))?;
        // Before a sandbox is there that would not have them made.
        WRITTEN.iter().try_for_each(|name| private_folder(&path.join(name))).map_err(at(path))?;
        let inner = |name| DirStorage::open(&path.join(name));
        Ok(Self { top, models: inner(MODELS)?, own: inner(OWN)?, path: path.to_owned() })
    }

    /// Opens an enrolled camera's folder, and makes none.
    pub(super) fn enrolled(path: &Path) -> Result<Self, StateError> {
        if !path.join(ACTIVE).is_file() {
            return Err(StateError::NotEnrolled(path.to_owned()));
        }
        Self::open(path)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A folder in this one.
    pub(super) fn inner(&self, name: &str) -> Result<DirStorage, StateError> {
        Ok(DirStorage::open(&self.path.join(name))?)
    }

    pub(super) fn find(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.read_at_most(name, SMALL)
    }

    fn read_at_most(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StateError> {
        let storage = match folder_of(name) {
            MODELS => &self.models,
            OWN => &self.own,
            _ => &self.top,
        };
        storage.read(file_of(name), limit).map_err(at(&self.path(name)))
    }

    fn storage(&mut self, name: &str) -> &mut DirStorage {
        match folder_of(name) {
            MODELS => &mut self.models,
            OWN => &mut self.own,
            _ => &mut self.top,
        }
    }

    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, StateError> {
        self.find(name)?.ok_or_else(|| StateError::Damaged(self.path(name)))
    }

    pub(super) fn text(&self, name: &str) -> Result<String, StateError> {
        String::from_utf8(self.read(name)?).map_err(|_| StateError::Damaged(self.path(name)))
    }

    /// 32 bytes that were written as hexadecimal digits.
    pub(super) fn hex(&self, name: &str) -> Result<[u8; 32], StateError> {
        let hash = blake3::Hash::from_hex(self.text(name)?.trim());
        hash.map(<[u8; 32]>::from).map_err(|_| StateError::Damaged(self.path(name)))
    }

    pub(super) fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let path = self.path(name);
        put(self.storage(name), file_of(name), bytes).map_err(at(&path))
    }

    pub(super) fn remove(&mut self, name: &str) -> Result<(), StateError> {
        let path = self.path(name);
        self.storage(name).remove(file_of(name)).map_err(at(&path))
    }

    /// A model file, if it is there and what its name says.
    pub(super) fn model(&self, hash: &blake3::Hash) -> Result<Option<Vec<u8>>, StateError> {
        let bytes = self.read_at_most(&model_name(hash), LARGE)?;
        Ok(bytes.filter(|bytes| blake3::hash(bytes) == *hash))
    }

    /// The file that a download goes on in; what other downloads left is removed.
    pub(super) fn partial(&mut self, hash: &blake3::Hash) -> Result<File, StateError> {
        let name = partial_name(hash);
        self.keep_only(PARTIAL, &[&name])?;
        let path = self.path(&name);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&path).map_err(at(&path))
    }

    /// A download is whole: it becomes a model file.
    pub(super) fn finish(&mut self, hash: &blake3::Hash, partial: &File) -> Result<(), StateError> {
        let (from, to) = (partial_name(hash), model_name(hash));
        let models = &mut self.models;
        let finished = partial.sync_all().and_then(|()| models.rename(file_of(&from), file_of(&to)));
        finished.and_then(|()| models.sync_dir()).map_err(at(&self.path(&to)))
    }

    /// A download is worth nothing.
    pub(super) fn discard(&mut self, hash: &blake3::Hash) -> Result<(), StateError> {
        self.remove(&partial_name(hash))
    }

    /// Removes all models but these.
    pub(super) fn prune(&mut self, keep: &[&blake3::Hash]) -> Result<(), StateError> {
        let names: Vec<String> = keep.iter().map(|hash| model_name(hash)).collect();
        self.keep_only(MODEL, &names.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn keep_only(&mut self, beginning: &str, keep: &[&str]) -> Result<(), StateError> {
        let names = self.models.list().map_err(at(&self.path(MODELS)))?;
        let mut names: Vec<String> = names.into_iter().map(|name| format!("{MODELS}/{name}")).collect();
        names.retain(|name| name.starts_with(beginning) && !keep.contains(&name.as_str()));
        names.iter().try_for_each(|name| self.remove(name))
    }
}

/// The files by which the camera's programs are known: each has one of them open, and nobody else has a use for them.
pub fn locks(folder: &Path) -> Vec<PathBuf> {
    let own = ["", MODELS, OWN, BUDGET, COUNTER, ROUND].map(|name| folder.join(name));
    let ledgers = egress::ledgers(folder).into_iter().flat_map(|(ledger, head)| [ledger, head]);
    own.into_iter().chain(ledgers).map(|folder| folder.join(LOCK)).collect()
}

/// Where the models that an agent follows are, and which is in use: what a camera has to read of a state folder.
pub fn models(folder: &Path) -> PathBuf {
    folder.join(MODELS)
}

/// Where an agent keeps what its sandbox claims since its last start.
pub fn sandbox_report(folder: &Path) -> PathBuf {
    folder.join(SANDBOX)
}

/// The device's key, read beside an agent that has the folder.
pub(super) fn device_key(folder: &Path) -> Result<SigningKey, StateError> {
    let path = folder.join(KEY);
    let text = zeroize::Zeroizing::new(std::fs::read_to_string(&path).map_err(at(&path))?);
    let bytes = blake3::Hash::from_hex(text.trim()).map_err(|_| StateError::Damaged(path))?;
    Ok(SigningKey::from(<[u8; 32]>::from(bytes)))
}

/// The folder that a name begins with, and what comes behind it.
fn folder_of(name: &str) -> &str {
    name.split_once('/').map_or("", |(folder, _)| folder)
}

fn file_of(name: &str) -> &str {
    name.split_once('/').map_or(name, |(_, file)| file)
}

const MODEL: &str = "model/model-";
const PARTIAL: &str = "model/partial-";

/// The name of a model's file, with its folder.
pub(super) fn model_name(hash: &blake3::Hash) -> String {
    format!("{MODEL}{}", hash.to_hex())
}

fn partial_name(hash: &blake3::Hash) -> String {
    format!("{PARTIAL}{}", hash.to_hex())
}

/// The values in a released vector; none where it is no vector of finite numbers.
pub(super) fn values(bytes: &[u8]) -> Option<Vec<f32>> {
    let (words, rest) = bytes.as_chunks::<4>();
    let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
    (rest.is_empty() && values.iter().all(|value| value.is_finite())).then_some(values)
}

/// Says where an error of the disk came from.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> StateError + '_ {
    |source| StateError::Io { path: path.to_owned(), source }
}
