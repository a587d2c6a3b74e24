//! Becoming another program: what the system's own does first of all.
//!
//! Knows processes; which program it is to be is the register's affair.

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::fs::{File, Permissions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::fexecve;
use rustix::fs::OFlags;
use volet_federated::signing::VerifyingKey;
use volet_federated::storage::{DirError, DirStorage};

use super::state::Slot;
use super::{ProgramError, Release, hash, register, signed};

/// Says to a program which slot it was started from and as which release, and that it is not to start another.
const STARTED: &str = "VOLET_PROGRAM_SLOT";

/// What a program on trial says once it did its work.
#[derive(Clone, Debug)]
pub struct Proof {
    folder: PathBuf,
    slot: Slot,
    number: u64,
}

impl Proof {
    /// The folder that this writes.
    pub fn folder(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// It did: it runs from here on, and nothing older is installed any more. Whether that is written down; where not, say it again.
    pub fn give(&self) -> bool {
        // Not patiently: frames wait for this.
        let proved = register(DirStorage::open, &self.folder)
            .and_then(|mut register| register.proves(self.slot, self.number).map_err(ProgramError::Storage));
        match proved {
            Ok(true) => tracing::info!(release = self.number, "this program proved itself, and runs from here on"),
            Ok(false) => {}
            Err(ref error) => {
                tracing::error!(%error, "this program proved itself, and that cannot be written down yet")
            }
        }
        proved.is_ok()
    }
}

/// Becomes the program that is to run, with this process's arguments, if that is another one; returns where it is this one already,
/// with what that one has to prove if it came out of a slot. Call it before anything is opened.
///
/// # Errors
/// A program is being installed at this moment: start again. Whatever else goes wrong, the system's program runs.
pub fn launch(folder: &Path, key: &VerifyingKey) -> Result<Option<Proof>, ProgramError> {
    if let Some(proof) = started(folder) {
        return Ok(Some(proof));
    }
    // Nothing was ever installed.
    if !folder.exists() {
        return Ok(None);
    }
    match try_launch(folder, key) {
        Err(error @ ProgramError::Dir(DirError::InUse { .. })) => return Err(error),
        Err(error) => tracing::error!(%error, "the program that came with the system runs"),
        Ok(()) => {}
    }
    Ok(None)
}

/// What this process has to prove, if it was started from a slot: says so, and is the file that lies there.
fn started(folder: &Path) -> Option<Proof> {
    let said = std::env::var(STARTED).ok()?;
    let (slot, number) = said.split_once(':')?;
    let (slot, number) = (Slot::named(slot)?, number.parse().ok()?);
    let file = |path: &Path| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    let own = file(Path::new("/proc/self/exe"))?;
    let there = file(&folder.join("slots").join(slot.name()))?;
    (own == there).then(|| Proof { folder: folder.to_owned(), slot, number })
}

/// Becomes what is to run; returns where nothing but the system's program can be.
fn try_launch(folder: &Path, key: &VerifyingKey) -> Result<(), ProgramError> {
    let path = folder.join("slots");
    let slots = DirStorage::open_patiently(&path)?;
    let mut register = register(DirStorage::open_patiently, folder)?;
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ProgramError::Io { path, source }
    };
    let exe = Path::new("/proc/self/exe");
    let (_, own) = File::open(exe).and_then(|own| hash(own, |_, _| Ok(()))).map_err(io(exe))?;
    register.beside(own).map_err(ProgramError::Storage)?;
    let never = register.run(|slot, number| {
        let release = signed(&slots, slot, key)?;
        if number.is_some_and(|number| number != release.number) {
            return Err(ProgramError::Another);
        }
        let program = path.join(slot.name());
        let file = checked(&program, &release).map_err(io(&program))?;
        tracing::info!(release = release.number, version = release.version, "this becomes another program");
        become_program(&file, slot, release.number).map_err(io(&program))
    });
    match never {
        Some(never) => match never {},
        None => Ok(()),
    }
}

/// A program's file, opened, after its bytes were checked. What is executed is this descriptor, whatever its name is by then.
fn checked(path: &Path, release: &Release) -> io::Result<File> {
    // Nothing that waits for a writer, and nothing that lies elsewhere.
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    let wrong = || io::Error::other("it is not the program that was signed");
    if !found.is_file() || found.len() != release.size {
        return Err(wrong());
    }
    let (length, hash) = hash((&file).take(release.size + 1), |_, _| Ok(()))?;
    if length != release.size || hash != release.blake3 {
        return Err(wrong());
    }
    // A slot's files are made for their owner to read and write.
    if found.permissions().mode() & 0o100 == 0 {
        file.set_permissions(Permissions::from_mode(0o700))?;
    }
    Ok(file)
}

fn become_program(file: &File, slot: Slot, number: u64) -> io::Result<Infallible> {
    let text = |text: OsString| CString::new(text.into_vec()).map_err(io::Error::other);
    let arguments = std::env::args_os().map(text).collect::<io::Result<Vec<_>>>()?;
    let ours = (OsString::from(STARTED), OsString::from(format!("{}:{number}", slot.name())));
    let variables = std::env::vars_os().filter(|(name, _)| name != STARTED).chain([ours]).map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        text(name)
    });
    Ok(fexecve(file, &arguments, &variables.collect::<io::Result<Vec<_>>>()?)?)
}
