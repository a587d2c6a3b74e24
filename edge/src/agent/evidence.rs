//! What an auditor needs of a camera's state folder besides its [`Status`](super::Status): what is signed, and what was spent by the
//! ledger as the camera itself would check it. Read while the agent works; knows no lock and writes nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use prost::Message;
use volet_federated::budget::{DeviceSecret, FileCounter, Ledger, Statement, Trust, explain_unverified};
use volet_federated::camera::Camera;
use volet_federated::lineage::Release;
use volet_federated::signing::VerifyingKey;
use volet_federated::storage::{MemoryStorage, Storage};
use volet_proto::v1;
use zeroize::Zeroizing;

use super::AgentError;
use super::state::{self, StateError, at};
use super::status::report_digest;

/// The latest release that the camera has accepted, if the team's key has signed it.
///
/// # Errors
/// An [`AgentError`]: it is not so, or a file is missing or damaged.
pub fn latest_release(folder: &Path) -> Result<Release, AgentError> {
    let damaged = |name: &str| StateError::Damaged(folder.join(name));
    let camera = String::from_utf8(read(&folder.join(state::CAMERA))?).map_err(|_| damaged(state::CAMERA))?;
    let camera: Camera = toml::from_str(&camera).map_err(|_| damaged(state::CAMERA))?;
    let release = v1::SignedRelease::decode(read(&folder.join(state::RELEASE))?.as_slice());
    let release = release.map_err(|_| damaged(state::RELEASE))?;
    Ok(Release::verify(&release, &camera.team()?)?.0)
}

/// What a camera's budget ledger says, checked.
#[derive(Clone, Debug)]
pub struct Spent {
    /// What was spent, by records that the device's secret chained and the counter counted.
    pub statement: Statement,
    /// Bytes behind the last record that are none: never acknowledged, or altered.
    pub unread: usize,
}

/// Checks a camera's budget ledger as the camera does when it starts, on a copy in memory.
///
/// # Errors
/// An [`AgentError`]: the ledger is damaged or rolled back, or this user may not read the device's secret.
pub fn spent(folder: &Path) -> Result<Spent, AgentError> {
    let (budget, counter, secret) =
        (folder.join(state::BUDGET), folder.join(state::COUNTER), folder.join(state::SECRET));
    let text = Zeroizing::new(read(&secret)?);
    let bytes = blake3::Hash::from_hex(text.trim_ascii()).map_err(|_| StateError::Damaged(secret))?;
    let secret = DeviceSecret::from_bytes(bytes.into());
    let mut tries = 0..TRIES;
    loop {
        let last = tries.next().is_none();
        let before = files(&counter)?;
        let log = files(&budget)?;
        let unread = match explain_unverified(&budget)?.trust {
            Trust::Unverified { unread } => unread,
            Trust::Verified(_) => 0,
        };
        // An agent at work may have written in between: then it is looked again.
        if !last && (unread > 0 || before != files(&counter)?) {
            continue;
        }
        let ledger = Ledger::open(copy(log)?, FileCounter::new(copy(before)?), &secret);
        match ledger {
            Err(_) if !last => {}
            ledger => return Ok(Spent { statement: ledger?.explain(), unread }),
        }
    }
}

/// Whether the camera with this key has signed this report ([`sign_report`](super::sign_report)).
pub fn is_signed_report(key: &VerifyingKey, report: &[u8], signature: &[u8; 64]) -> bool {
    key.signed(&report_digest(report), signature)
}

/// How often a ledger is read that changes meanwhile.
const TRIES: usize = 20;
/// The greatest file, bytes: a ledger of 64 MiB.
const GREATEST: u64 = 64 << 20;

fn read(path: &Path) -> Result<Vec<u8>, StateError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(GREATEST + 1).read_to_end(&mut bytes));
    read.and_then(|length| if length as u64 > GREATEST { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(()) })
        .map_err(at(path))?;
    Ok(bytes)
}

/// The files in a folder. What goes while it is looked at is not there.
fn files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, StateError> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(at(folder))? {
        let entry = entry.map_err(at(folder))?;
        let (Ok(name), true) = (entry.file_name().into_string(), entry.path().is_file()) else { continue };
        match read(&entry.path()) {
            Err(StateError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            bytes => drop(files.insert(name, bytes?)),
        }
    }
    Ok(files)
}

fn copy(files: BTreeMap<String, Vec<u8>>) -> Result<MemoryStorage, StateError> {
    let mut storage = MemoryStorage::default();
    for (name, bytes) in files {
        storage.write(&name, 0, &bytes).map_err(at(Path::new(&name)))?;
    }
    Ok(storage)
}
