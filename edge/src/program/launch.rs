//! Becoming another program: what the system's own does first of all.
//!
//! Knows processes; which program it is to be is the register's affair.

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::fexecve;
use volet_federated::signing::VerifyingKey;
use volet_federated::storage::DirStorage;

use super::state::Slot;
use super::{ProgramError, Release, hash, register, signed};

/// Says to a program which slot it was started from, and that it is not to start another.
const STARTED: &str = "VOLET_PROGRAM_SLOT";

/// What a program on trial says once it did its work.
#[derive(Clone, Debug)]
pub struct Proof {
    folder: PathBuf,
    slot: Slot,
}

impl Proof {
    /// The folder that this writes.
    pub fn folder(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// It did: it runs from here on, and nothing older is installed any more. One that cannot say so is tried again.
    pub fn give(&self) {
        match register(&self.folder).and_then(|mut register| register.proves(self.slot).map_err(ProgramError::Storage))
        {
            Ok(true) => tracing::info!("this program proved itself, and runs from here on"),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "this program proved itself, and that cannot be written down"),
        }
    }
}

/// Becomes the program that is to run, with this process's arguments, if that is another one; returns where it is this one already,
/// with what that one has to prove if it came out of a slot. Call it before anything is opened.
pub fn launch(folder: &Path, key: &VerifyingKey) -> Option<Proof> {
    if let Some(slot) = std::env::var(STARTED).ok().as_deref().and_then(Slot::named) {
        return Some(Proof { folder: folder.to_owned(), slot });
    }
    // Nothing was ever installed.
    if !folder.exists() {
        return None;
    }
    if let Err(error) = try_launch(folder, key) {
        tracing::error!(%error, "the program that came with the system runs");
    }
    None
}

/// Tries what is to run, one after the other; returns where nothing of it can be.
fn try_launch(folder: &Path, key: &VerifyingKey) -> Result<(), ProgramError> {
    let path = folder.join("slots");
    let slots = DirStorage::open_patiently(&path)?;
    let mut register = register(folder)?;
    let own = File::open("/proc/self/exe").and_then(|own| hash(own, |_, _| Ok(()))).map_err(ProgramError::Storage)?;
    register.beside(own.1).map_err(ProgramError::Storage)?;
    // The one on trial, and the one that proved itself.
    for _ in 0..2 {
        let Some(slot) = register.start() else { return Ok(()) };
        let checked = signed(&slots, slot, key).and_then(|release| {
            let program = path.join(slot.name());
            let file = checked(&program, &release).map_err(|source| ProgramError::Io { path: program, source })?;
            Ok((file, release))
        });
        let error = match checked {
            Ok((file, release)) => {
                tracing::info!(release = release.number, version = release.version, "this becomes another program");
                let Err(error) = become_program(&file, slot);
                error.to_string()
            }
            Err(error) => error.to_string(),
        };
        tracing::error!(error, ?slot, "a program cannot be run: the one before it runs");
        if register.state().trial.is_none() {
            break;
        }
        register.fails(slot);
    }
    Ok(())
}

/// A program's file, opened, after its bytes were checked. What is executed is this descriptor, whatever its name is by then.
fn checked(path: &Path, release: &Release) -> io::Result<File> {
    let file = File::open(path)?;
    let (length, hash) = hash(&file, |_, _| Ok(()))?;
    if length != release.size || hash != release.blake3 {
        return Err(io::Error::other("it is not the program that was signed"));
    }
    // A slot's files are made for their owner to read and write.
    if file.metadata()?.permissions().mode() & 0o100 == 0 {
        file.set_permissions(Permissions::from_mode(0o700))?;
    }
    Ok(file)
}

fn become_program(file: &File, slot: Slot) -> io::Result<Infallible> {
    let text = |text: OsString| CString::new(text.into_vec()).map_err(io::Error::other);
    let arguments = std::env::args_os().map(text).collect::<io::Result<Vec<_>>>()?;
    let ours = (OsString::from(STARTED), OsString::from(slot.name()));
    let variables = std::env::vars_os().chain([ours]).map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        text(name)
    });
    Ok(fexecve(file, &arguments, &variables.collect::<io::Result<Vec<_>>>()?)?)
}
