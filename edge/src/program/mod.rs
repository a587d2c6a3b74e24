//! The program itself, replaced: signed, whole or not at all, and given up where it does not prove itself.
//!
//! ```text
//! install --signature, hash--> slots/a or b --trial--> launch: counted, checked, executed --segment whole--> proven
//!                                                 '--3 starts without one--> the one that proved itself, or the system's
//! ```
//!
//! The program that came with the system starts first, always, from where nothing of this can write. It reads which of two slots is
//! to run, checks that slot's signature and hash through the descriptor that it then executes, and becomes that program. Whatever is
//! wrong with a slot, the one before it runs; and where all is lost, the system's.
//!
//! Knows the slots' folder and a key; no network (how a release comes to the device is its maker's affair, since only the signature
//! counts), and no camera.

mod launch;
mod release;
mod state;
#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use volet_federated::signing::VerifyingKey;
use volet_federated::storage::{DirError, DirStorage, Storage, put};

pub use launch::{Proof, launch};
pub use release::{Release, ReleaseError};
use state::Register;
pub use state::{Slot, TRIES};

/// How much of a program is read at a time.
const PIECE: usize = 1 << 20;

/// Why a program cannot be installed, or the state of programs not be told.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum ProgramError {
    #[error(transparent)]
    Release(#[from] ReleaseError),
    #[error(
        "release {offered} is not newer than {floor}, which proved itself here: install a newer one, or go `back` by hand"
    )]
    Older { offered: u64, floor: u64 },
    #[error("the program is not the one that was signed: it was damaged on its way, get it again")]
    NotTheOne,
    #[error(transparent)]
    Dir(#[from] DirError),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} belongs to user {user}: do this as that user (runuser -u NAME -- ...), or the camera cannot use what is put there", path.display())]
    Owner { path: PathBuf, user: u32 },
    #[error("the slot holds another release than the one on trial there")]
    Another,
    #[error("the folder of programs cannot be used: {0}; give it a disk with room, or make it anew")]
    Storage(io::Error),
}

/// What the folder of programs holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// The greatest number that proved itself.
    pub floor: u64,
    /// What runs, if it is not the system's.
    pub proven: Option<Installed>,
    /// What ran before it, where that is still there.
    pub before: Option<Installed>,
    /// What is on trial, and how many starts it had.
    pub trial: Option<(Installed, u32)>,
}

/// A program in a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Where it lies.
    pub slot: Slot,
    /// What its maker signed; nothing where that is damaged or by another key.
    pub release: Option<Release>,
}

/// Puts a program of at most [`Release::MAX_SIZE`] bytes into the free slot, to be tried from the next start on. Whatever goes wrong, what
/// ran before runs on.
///
/// # Errors
/// See [`ProgramError`].
pub fn install(folder: &Path, key: &VerifyingKey, program: &Path, release: &Path) -> Result<Release, ProgramError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ProgramError::Io { path, source }
    };
    let mut signed = Vec::new();
    let file = std::fs::File::open(release).map_err(io(release))?;
    // One byte more than there may be, so that a longer file does not look like a whole one.
    file.take(Release::MAX_LENGTH + 1).read_to_end(&mut signed).map_err(io(release))?;
    let file = std::fs::File::open(program).map_err(io(program))?;
    own(folder)?;
    std::fs::create_dir_all(folder).map_err(io(folder))?;
    let (mut slots, mut register) = open(folder)?;
    install_in(&mut slots, &mut register, key, file, &signed)
}

/// What is installed in a folder.
///
/// # Errors
/// The folder cannot be used.
pub fn show(folder: &Path, key: &VerifyingKey) -> Result<Programs, ProgramError> {
    own(folder)?;
    let (slots, register) = open(folder)?;
    let state = register.state();
    let installed = |slot: Slot| Installed { slot, release: signed(&slots, slot, key).ok() };
    Ok(Programs {
        floor: state.floor,
        proven: state.proven.map(installed),
        before: state.before.map(installed),
        trial: state.trial.map(|trial| (installed(trial.slot), trial.starts)),
    })
}

/// One step back, by hand: from what is on trial to what proved itself, from that to what did before, and from that to the system's.
///
/// # Errors
/// The folder cannot be used.
pub fn back(folder: &Path) -> Result<(), ProgramError> {
    own(folder)?;
    let (_, mut register) = open(folder)?;
    register.back().map_err(ProgramError::Storage)
}

/// Whether the folder is this user's, or the first one above it that is there: what root made there the camera's user could not use.
fn own(folder: &Path) -> Result<(), ProgramError> {
    let absolute =
        std::path::absolute(folder).map_err(|source| ProgramError::Io { path: folder.to_owned(), source })?;
    let owner = absolute.ancestors().find_map(|path| Some((path, std::fs::metadata(path).ok()?.uid())));
    match owner {
        Some((path, user)) if user != nix::unistd::geteuid().as_raw() => {
            Err(ProgramError::Owner { path: path.to_owned(), user })
        }
        _ => Ok(()),
    }
}

fn open(folder: &Path) -> Result<(DirStorage, Register<DirStorage>), ProgramError> {
    let slots = DirStorage::open_patiently(&folder.join("slots"))?;
    Ok((slots, register(DirStorage::open_patiently, folder)?))
}

/// Apart from the slots, so that the program at work can be let write this and nothing that is executed.
fn register(
    open: fn(&Path) -> Result<DirStorage, DirError>,
    folder: &Path,
) -> Result<Register<DirStorage>, ProgramError> {
    let state = open(&folder.join("state"))?;
    Register::open(state).map_err(ProgramError::Storage)
}

fn install_in<S: Storage, T: Storage>(
    slots: &mut S,
    register: &mut Register<T>,
    key: &VerifyingKey,
    program: impl Read,
    signed: &[u8],
) -> Result<Release, ProgramError> {
    let release = Release::verify(signed, key)?.for_here()?;
    let floor = register.state().floor;
    if release.number <= floor {
        return Err(ProgramError::Older { offered: release.number, floor });
    }
    let slot = register.spare();
    // Beside what is there, which may be what is running.
    let new = format!("{}.new", slot.name());
    let copied = copy(slots, &new, program, &release);
    if !matches!(copied, Ok(true)) {
        // What is left of it is only in the way.
        let _ = slots.remove(&new);
    }
    if !copied.map_err(ProgramError::Storage)? {
        return Err(ProgramError::NotTheOne);
    }
    // Only now that the new one is whole is the one given up that may be on trial there.
    register.empty(slot).map_err(ProgramError::Storage)?;
    slots.rename(&new, slot.name()).map_err(ProgramError::Storage)?;
    // Makes both names durable.
    put(slots, &paper(slot), signed).map_err(ProgramError::Storage)?;
    register.try_out(slot, release.number).map_err(ProgramError::Storage)?;
    Ok(release)
}

/// Writes a program into a slot, durably; whether it is the one that was signed.
fn copy(slots: &mut impl Storage, name: &str, program: impl Read, release: &Release) -> io::Result<bool> {
    // One byte more than there may be, so that a longer file does not look like a whole one, and no more of an endless one.
    let (length, hash) = hash(program.take(release.size + 1), |offset, piece| slots.write(name, offset, piece))?;
    if length != release.size || hash != release.blake3 {
        return Ok(false);
    }
    // What an earlier attempt left may be longer.
    slots.truncate(name, length)?;
    slots.sync(name)?;
    Ok(true)
}

/// The length and the hash of what can be read, while `each` has every piece and where it begins.
fn hash(mut from: impl Read, mut each: impl FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<(u64, blake3::Hash)> {
    let mut hasher = blake3::Hasher::new();
    let (mut piece, mut length) = (vec![0; PIECE], 0);
    loop {
        let read = match from.read(&mut piece) {
            Ok(0) => return Ok((length, hasher.finalize())),
            Ok(read) => piece.get(..read).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(read);
        each(length, read)?;
        length += read.len() as u64;
    }
}

/// What the maker signed of the program in a slot.
fn signed(slots: &impl Storage, slot: Slot, key: &VerifyingKey) -> Result<Release, ProgramError> {
    let file = slots.read(&paper(slot), Release::MAX_LENGTH).map_err(ProgramError::Storage)?;
    Ok(Release::verify(&file.unwrap_or_default(), key)?.for_here()?)
}

fn paper(slot: Slot) -> String {
    format!("{}.release", slot.name())
}
