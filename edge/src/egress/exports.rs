//! Files for others: redacted media, annotations, reports. A file is made where nobody takes it from, and gets its name in the
//! folder that others read only while the owner shares, and after it is in the ledger.
//!
//! Knows files and their hashes, not what is in them: that only redacted frames get into a file is the sinks' types' doing.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use volet_federated::signing::SigningKey;

use super::consent::Consent;
use super::gate::{millis, note_of};
use super::ledger::{Entry, Kind};
use super::place::{EXPORTS, Opened, Place, PlaceError};
use crate::batch::{Product, Publisher};

/// Why a file was not given out. It is still where it was made.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("{0}: its owner does not share; `volet-edge consent --dir STATE --sharing on` is theirs to say")]
    NotShared(String),
    #[error("{name}: {why}; nothing is given out that cannot be written down")]
    Ledger { name: String, why: String },
    #[error("{}: {source}; make room or mend the disk", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Gives out files, and writes down which.
pub struct Exports {
    folder: PathBuf,
    ledger: Mutex<Opened>,
}

impl std::fmt::Debug for Exports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exports").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Publisher for Exports {
    fn publish(&self, product: Product, made: &Path, target: &Path, name: &str) -> Result<(), String> {
        let kind = match product {
            Product::Media => Kind::Media,
            Product::Annotations => Kind::Annotations,
            Product::Report => Kind::Report,
        };
        self.give(kind, made, target, name).map_err(|error| error.to_string())?;
        if let Err(error) = self.ledger.lock().unwrap_or_else(PoisonError::into_inner).rest() {
            tracing::warn!(%error, "the second place does not know of all that was given out");
        }
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.shares()
    }
}

impl Exports {
    /// The door for files of the camera with this state folder.
    ///
    /// # Errors
    /// A [`PlaceError`]: the ledger is missing, damaged or cannot be written, or another process has it.
    pub fn open(folder: &Path, key: &SigningKey) -> Result<Self, PlaceError> {
        let ledger = Place::of(folder, EXPORTS).open(key, false, &mut |_| {})?;
        Ok(Self { folder: folder.to_owned(), ledger: Mutex::new(ledger) })
    }

    /// Makes the ledger of a camera that is being enrolled, where that is not done yet.
    ///
    /// # Errors
    /// A [`PlaceError`].
    pub(crate) fn begin(folder: &Path, key: &SigningKey) -> Result<(), PlaceError> {
        Place::of(folder, EXPORTS).open(key, true, &mut |_| {}).map(drop)
    }

    /// Whether the owner shares now.
    pub fn shares(&self) -> bool {
        Consent::read(&self.folder).sharing
    }

    /// Gives out a file, or everything in a folder in the order of names; folders are made. Where that fails, what came before is
    /// out, and neither this nor what follows is.
    fn give(&self, kind: Kind, made: &Path, target: &Path, name: &str) -> Result<(), ExportError> {
        let (from, to) = (made.join(name), target.join(name));
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| ExportError::Io { path, source }
        };
        if from.is_dir() {
            std::fs::create_dir_all(&to).map_err(io(&to))?;
            let entries =
                std::fs::read_dir(&from).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(io(&from))?;
            let mut names: Vec<_> = entries.into_iter().map(|entry| entry.file_name()).collect();
            names.sort();
            for inner in names {
                self.give(kind, made, target, &format!("{name}/{}", inner.to_string_lossy()))?;
            }
            return Ok(());
        }
        let consent = Consent::read(&self.folder);
        if !consent.sharing {
            let policy = "the owner does not share".to_owned();
            self.append(Entry { destination: name.to_owned(), policy, ..note_of(Kind::Refused) })?;
            return Err(ExportError::NotShared(name.to_owned()));
        }
        let file = File::open(&from).map_err(io(&from))?;
        let mut hasher = blake3::Hasher::new();
        let bytes = hasher.update_reader(&file).map_err(io(&from))?.count();
        file.sync_all().map_err(io(&from))?;
        self.append(Entry {
            kind,
            destination: name.to_owned(),
            bytes,
            digest: hasher.finalize().into(),
            policy: format!("consent to sharing, of {}", consent.since),
            connection: 0,
        })?;
        let folder = to.parent().unwrap_or(target);
        std::fs::create_dir_all(folder).map_err(io(folder))?;
        std::fs::rename(&from, &to).map_err(io(&to))?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io(folder))
    }

    fn append(&self, entry: Entry) -> Result<(), ExportError> {
        let name = entry.destination.clone();
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let appended = ledger.append(millis(), entry);
        appended.map_err(|error| ExportError::Ledger { name, why: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger;
    use super::*;

    struct House {
        state: tempfile::TempDir,
        made: tempfile::TempDir,
        target: tempfile::TempDir,
        exports: Exports,
    }

    impl House {
        fn new(sharing: bool) -> Self {
            let [state, made, target] = [(); 3].map(|()| tempfile::tempdir().unwrap());
            Consent::new(false, sharing).write(state.path()).unwrap();
            std::fs::create_dir(made.path().join("annotations")).unwrap();
            for (name, text) in [("film.mp4", "a film"), ("annotations/b.json", "b"), ("annotations/a.json", "a")] {
                std::fs::write(made.path().join(name), text).unwrap();
            }
            let key = SigningKey::from([7; 32]);
            assert!(matches!(Exports::open(state.path(), &key), Err(PlaceError::Missing(_))));
            Exports::begin(state.path(), &key).unwrap();
            let exports = Exports::open(state.path(), &key).unwrap();
            Self { state, made, target, exports }
        }

        fn publish(&self, product: Product, name: &str) -> Result<(), String> {
            self.exports.publish(product, self.made.path(), self.target.path(), name)
        }

        fn entries(&self) -> Vec<Entry> {
            let mut entries = Vec::new();
            let path = self.state.path().join(EXPORTS);
            ledger::records(&path, None, &[], &mut |record| entries.push(record.entry.clone())).unwrap();
            entries
        }
    }

    #[test]
    fn what_is_given_out_is_in_the_ledger_as_it_is() {
        let house = House::new(true);
        house.publish(Product::Media, "film.mp4").unwrap();
        house.publish(Product::Annotations, "annotations").unwrap();
        assert_eq!(std::fs::read(house.target.path().join("film.mp4")).unwrap(), b"a film");
        assert!(!house.made.path().join("film.mp4").exists());
        let entries = house.entries();
        let names: Vec<_> = entries.iter().map(|entry| (entry.kind, entry.destination.as_str())).collect();
        let annotations = Kind::Annotations;
        assert_eq!(
            names,
            [(Kind::Media, "film.mp4"), (annotations, "annotations/a.json"), (annotations, "annotations/b.json")]
        );
        assert_eq!((entries[0].bytes, entries[0].digest), (6, *blake3::hash(b"a film").as_bytes()));
    }

    #[test]
    fn nothing_is_given_out_without_consent_nor_from_when_it_was_withdrawn() {
        let house = House::new(false);
        let why = house.publish(Product::Media, "film.mp4").unwrap_err();
        assert!(why.contains("does not share") && !house.target.path().join("film.mp4").exists(), "{why}");
        assert_eq!(house.entries().iter().map(|entry| entry.kind).collect::<Vec<_>>(), [Kind::Refused]);
        let house = House::new(true);
        house.publish(Product::Media, "film.mp4").unwrap();
        Consent::new(true, false).write(house.state.path()).unwrap();
        assert!(!house.exports.is_open() && house.publish(Product::Annotations, "annotations").is_err());
        assert!(!house.target.path().join("annotations/a.json").exists());
    }

    #[test]
    fn what_cannot_be_written_down_stays() {
        let house = House::new(true);
        let long = "x".repeat(254);
        std::fs::create_dir(house.made.path().join(&long)).unwrap();
        std::fs::write(house.made.path().join(&long).join("file"), b"x").unwrap();
        let why = house.publish(Product::Report, &long).unwrap_err();
        assert!(why.contains("written down"), "{why}");
        assert!(house.made.path().join(&long).join("file").exists());
        assert!(house.publish(Product::Media, "missing.mp4").unwrap_err().contains("missing.mp4"));
    }
}
