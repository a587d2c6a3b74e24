//! The vault: raw film that the owner chose to keep, sealed to the owner's public key, so that the camera itself cannot read it back.
//!
//! ```text
//! RawFrame --copy--> keep::Tap --queue--> Recorder --JPEG--> Sealer --Sealed--> file        (on the camera)
//! file --Identity--> Picture --> film                                                     (on the owner's machine)
//! ```
//!
//! The camera has the public half of the owner's identity and nothing else: once a clip is ended, the key it was sealed with is
//! gone. Neither the camera nor its agent nor whoever takes its disk can open it. Opening wants the owner's [`Identity`], which
//! the learning buffer knows too ([`learn::buffer`](crate::learn::buffer)).
//!
//! Nobody holds the folder: the camera opens it for each second of film, and the owner can look and wipe meanwhile. What the
//! files look like, and what a thief can tell from them, is in `docs/vault.md`.

mod clip;
mod content;
mod entry;
mod limits;
mod open;
mod picture;
mod place;
mod plain;
mod recorder;
mod shelf;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use volet_federated::storage::{DirError, DirStorage};

pub use crate::learn::buffer::{Identity, IdentityError, Recipient};
pub use clip::Sealed;
pub(crate) use content::Picture;
pub use entry::Entry;
pub use limits::Limits;
pub use open::{Opened, Span, Trouble, is_chunk, is_clip, open};
pub use place::apart;

use crate::keep::Keeper;
use recorder::{Place, Recorder};
use shelf::{HEAD, Shelf};

/// Why a vault cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum VaultError {
    #[error(transparent)]
    Folder(#[from] DirError),
    #[error("{} holds no vault: make one with `volet-edge vault init`", .0.display())]
    NotThere(PathBuf),
    #[error("{} holds a vault already: give another folder", .0.display())]
    Exists(PathBuf),
    #[error("{} holds other files than a vault's: give a new or an empty folder", .0.display())]
    Strange(PathBuf),
    #[error("{} is damaged ({why}): mend it; the clips beside it are as they were", path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("{}: {source}. Mend the disk or make room; what was kept before is kept", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("there is no room for more in {}: free some of its disk, or allow more by --keep-megabytes", .0.display())]
    NoRoom(PathBuf),
    #[error("{} has run out of numbers: make another", .0.display())]
    Full(PathBuf),
    #[error("a second of film takes more than 256 MB: scale the pictures down")]
    TooLarge,
    #[error("{} and the vault {} lie one in the other: what is sealed must not lie among what is given away, give another folder", folder.display(), vault.display())]
    Within { folder: PathBuf, vault: PathBuf },
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("the operating system gives no random bytes: {0}")]
    Entropy(getrandom::Error),
    #[error("no thread could be started: {0}")]
    Thread(io::Error),
}

/// Makes a vault in a new or empty folder, for whoever has the other half of `owner`.
///
/// # Errors
/// A [`VaultError`].
pub fn init(dir: &Path, owner: Recipient) -> Result<(), VaultError> {
    let storage = DirStorage::open(dir)?;
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(dir, closed).map_err(|source| VaultError::Io { path: dir.to_owned(), source })?;
    Shelf::over(storage, dir).make(owner)
}

/// Makes an owner's identity in a new file, and a vault that is kept for it.
///
/// # Errors
/// A [`VaultError`]. An identity that was made for a vault that could not be is left where it is.
pub fn init_with(dir: &Path, identity: &Path) -> Result<Recipient, VaultError> {
    if dir.join(HEAD).exists() {
        return Err(VaultError::Exists(dir.to_owned()));
    }
    // The folder first: whether a file is inside of it can be told when it is there.
    drop(DirStorage::open(dir)?);
    let owner = Identity::make_outside(identity, dir)?.recipient();
    init(dir, owner).map(|()| owner)
}

/// Begins to keep raw film in a vault. Hand the keeper to the batch whose film it is.
///
/// # Errors
/// A [`VaultError`]: there is no vault, or it cannot be used. What goes wrong later stops nothing, and is logged.
pub fn keep(dir: &Path, limits: Limits) -> Result<Keeper, VaultError> {
    let owner = Shelf::over(patient(dir)?, dir).owner()?;
    let disk = Disk(dir.to_owned());
    let path = dir.to_owned();
    Keeper::start(move |counts| Recorder::new(disk, path, owner, limits, counts)).map_err(VaultError::Thread)
}

/// What a vault holds, as far as it can be told without its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Clips, the one in work among them.
    pub clips: usize,
    /// Bytes of their files.
    pub bytes: u64,
    /// When the oldest was begun.
    pub oldest: Option<String>,
    /// When the newest was begun.
    pub newest: Option<String>,
    /// Whom they are sealed for.
    pub owner: Recipient,
}

/// What a vault holds. Needs no identity and writes nothing, so that it works on a copy too.
///
/// # Errors
/// A [`VaultError`].
pub fn status(dir: &Path) -> Result<Status, VaultError> {
    let head = std::fs::read(dir.join(HEAD)).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => VaultError::NotThere(dir.to_owned()),
        _ => VaultError::Io { path: dir.join(HEAD), source },
    })?;
    let owner = shelf::owner(dir, &head)?;
    let mut clips: Vec<Entry> = files(dir)?.iter().filter_map(|name| Entry::parse(name)).collect();
    clips.sort_unstable();
    // One that was removed meanwhile takes none.
    let length = |entry: &Entry| std::fs::metadata(dir.join(entry.to_string())).map_or(0, |file| file.len());
    let begun = |entry: Option<&Entry>| entry.map(|entry| entry.begun().to_string());
    Ok(Status {
        clips: clips.len(),
        bytes: clips.iter().map(length).sum(),
        oldest: begun(clips.iter().min_by_key(|entry| entry.begun())),
        newest: begun(clips.iter().max_by_key(|entry| entry.begun())),
        owner,
    })
}

/// Removes the clips that were begun before a time, or all; how many there were. The camera may go on meanwhile.
///
/// # Errors
/// A [`VaultError`]: what is left can be wiped by another try.
pub fn wipe(dir: &Path, before: Option<Timestamp>) -> Result<usize, VaultError> {
    let mut shelf = Shelf::over(patient(dir)?, dir);
    let clips = shelf.clips()?.into_iter().map(|(entry, _)| entry);
    let gone: Vec<Entry> = clips.filter(|entry| before.is_none_or(|before| entry.begun() < before)).collect();
    shelf.remove(&gone).map(|()| gone.len())
}

/// The names of what are clips, or were, in order.
fn files(dir: &Path) -> Result<Vec<String>, VaultError> {
    let io = |source| VaultError::Io { path: dir.to_owned(), source };
    let mut names = Vec::new();
    for file in std::fs::read_dir(dir).map_err(io)? {
        names.extend(file.map_err(io)?.file_name().into_string().ok().filter(|name| open::is_meant(name)));
    }
    names.sort_unstable();
    Ok(names)
}

/// The folder, once nobody else has it: others have it for moments.
fn patient(dir: &Path) -> Result<DirStorage, VaultError> {
    if !dir.join(HEAD).exists() {
        return Err(VaultError::NotThere(dir.to_owned()));
    }
    Ok(DirStorage::open_patiently(dir)?)
}

/// A folder of this device's.
struct Disk(PathBuf);

impl Place for Disk {
    type Storage = DirStorage;

    fn open(&mut self) -> Result<DirStorage, VaultError> {
        patient(&self.0)
    }

    fn free(&self) -> Option<u64> {
        crate::room::disk(&self.0).map(|(free, _)| free)
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
