//! What the owner of a camera has agreed to: learning, and sharing redacted pictures; each can be withdrawn at once.
//!
//! It stands in a file of the camera's state folder and is read anew whenever something is about to leave, so that nothing has to
//! be told that it changed. A file that is missing or damaged is no consent. The file has a folder of its own, which the programs
//! that it binds may read and not write. Knows nothing of what leaves.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::place::private_folder;

/// The folder in a state folder, and the file in that.
const FOLDER: &str = "consent";
const FILE: &str = "consent.toml";

/// What was agreed to, and how much may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// Taking part in learning, and everything that needs the network.
    pub learning: bool,
    /// Giving redacted pictures, and what was found in them, to others.
    pub sharing: bool,
    /// The most that may leave on one day over the network, in 2^20 bytes; all of it counts, TLS and lookups of names too.
    #[serde(default = "most")]
    pub megabytes_per_day: u32,
    /// When this was said, in seconds since the epoch.
    pub since: u64,
}

const fn most() -> u32 {
    64
}

impl Consent {
    /// None: nothing may leave.
    pub const NONE: Self = Self { learning: false, sharing: false, megabytes_per_day: 0, since: 0 };

    /// This, said now.
    pub fn new(learning: bool, sharing: bool) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { learning, sharing, megabytes_per_day: most(), since }
    }

    /// What stands in a state folder.
    pub fn read(state: &Path) -> Self {
        let text = std::fs::read_to_string(Self::folder(state).join(FILE)).ok();
        text.and_then(|text| toml::from_str(&text).ok()).unwrap_or(Self::NONE)
    }

    /// Where it stands in a state folder.
    pub fn folder(state: &Path) -> PathBuf {
        state.join(FOLDER)
    }

    /// Puts it in place, whole or not at all, durably at return.
    ///
    /// # Errors
    /// [`ConsentError`].
    pub fn write(&self, state: &Path) -> Result<(), ConsentError> {
        let folder = Self::folder(state);
        let io = |source| ConsentError { path: folder.join(FILE), source };
        let text = toml::to_string(self).map_err(|e| io(std::io::Error::other(e)))?;
        // Root may say it for a camera that runs as somebody else, who has to be able to read it.
        let owner = std::fs::metadata(state).map_err(io)?;
        let own = |file: &File| fchown(file, Some(owner.uid()), Some(owner.gid()));
        private_folder(&folder).map_err(io)?;
        let opened = File::open(&folder).map_err(io)?;
        own(&opened).map_err(io)?;
        let mut file = tempfile::NamedTempFile::new_in(&folder).map_err(io)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| own(file.as_file()));
        written.and_then(|()| file.as_file().sync_all()).map_err(io)?;
        file.persist(folder.join(FILE)).map_err(|e| io(e.error))?;
        opened.sync_all().and_then(|()| File::open(state)?.sync_all()).map_err(io)
    }
}

impl fmt::Display for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |given| if given { "on" } else { "off" };
        let (learning, sharing) = (word(self.learning), word(self.sharing));
        write!(
            f,
            "learning {learning}, sharing {sharing}, at most {} MiB a day, since {}",
            self.megabytes_per_day, self.since
        )
    }
}

/// Consent could not be written down. What was there before holds.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}. What was agreed to before still holds: make room or mend the disk, or stop the camera", path.display())]
pub struct ConsentError {
    path: PathBuf,
    source: std::io::Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_no_consent() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Consent::read(folder.path()), Consent::NONE);
        let given = Consent::new(true, false);
        given.write(folder.path()).unwrap();
        assert_eq!(Consent::read(folder.path()), given);
        let file = Consent::folder(folder.path()).join(FILE);
        let whole = std::fs::read_to_string(&file).unwrap();
        for damaged in ["", "learning = true", "learning = \"yes\"", &format!("{whole}more = 1")] {
            std::fs::write(&file, damaged).unwrap();
            assert_eq!(Consent::read(folder.path()), Consent::NONE, "{damaged}");
        }
        let error = given.write(&folder.path().join("missing")).unwrap_err().to_string();
        assert!(error.contains("still holds"), "{error}");
    }
}
