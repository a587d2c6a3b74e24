//! The learning buffer: lessons in a folder, encrypted under the owner's key, bounded, and gone when the owner says so.
//!
//! ```text
//! Writer --Lesson--> sealed to the buffer's public key --> file
//!                                                          file --> opened by the buffer's secret key --> Buffer
//!                                            `key`, which is sealed to the owner --> opened by Identity --^
//! ```
//!
//! A [`Writer`] has no secret: the pipeline that writes lessons cannot read back what it wrote. Learning, judging and
//! correcting want the owner's [`Identity`]. [`wipe`] destroys `key`, one small file, and with it every lesson at once, for
//! whoever has the identity too; the files go after it.
//!
//! Lessons leave a [`Buffer`] within this crate alone: to the trainer, the judge, and the owner's page on this machine. To
//! everyone else it says what the names of files say ([`Entry`]).
//!
//! Several processes use one folder at a time, each for a moment; every write is whole or not there after a power cut.
//! What a folder's files look like, and what a thief can tell from them, is in `docs/agent.md`.

mod content;
mod entry;
mod head;
mod keys;
mod limits;
mod shelf;
#[cfg(test)]
mod tests;

use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use volet_federated::storage::{DirError, DirStorage};
use volet_models::ObjectClass;

use super::lesson::{Label, Lesson};
use super::moment::Moment;
use super::watch::Keep;
use head::HEAD;
use shelf::{By, Shelf};

pub use content::LessonError;
#[cfg(feature = "agent")]
pub(crate) use content::held_out;
pub use entry::Entry;
#[cfg(feature = "vault")]
pub(crate) use keys::stream;
pub use keys::{Identity, IdentityError, Recipient};
pub use limits::Limits;

/// Why a buffer cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum BufferError {
    #[error(transparent)]
    Folder(#[from] DirError),
    #[error("{} holds no learning buffer: make one with `volet-edge buffer init`", .0.display())]
    NotThere(PathBuf),
    #[error("{} holds a learning buffer already: give another folder, or `volet-edge buffer wipe` it", .0.display())]
    Exists(PathBuf),
    #[error("{} holds other files than a buffer's: give a new or an empty folder", .0.display())]
    Strange(PathBuf),
    #[error("{} is damaged ({why}): mend it, or wipe the buffer and make it again", path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("{}: {source}. Mend the disk or make room; what was kept before is kept", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is kept for the owner {owner}, whose identity this is not: give the one that was made with it", path.display())]
    OtherOwner { path: PathBuf, owner: Recipient },
    #[error("{} is for the classes {kept}, and this model has {asked}: make another buffer for it", path.display())]
    Classes { path: PathBuf, kept: String, asked: String },
    #[error(
        "the lesson takes more than this buffer's limits allow ({megabytes} MB in all): raise them in its buffer.toml"
    )]
    TooLarge { megabytes: u32 },
    #[error("{} has run out of numbers: wipe it", .0.display())]
    Full(PathBuf),
    #[error(transparent)]
    Lesson(#[from] LessonError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("the operating system gives no random bytes: {0}")]
    Entropy(getrandom::Error),
}

/// Makes a buffer in a new or empty folder, for whoever has the other half of `owner`, and for a model of these classes.
///
/// # Errors
/// A [`BufferError`].
pub fn init(dir: &Path, owner: Recipient, classes: &[ObjectClass], limits: Limits) -> Result<(), BufferError> {
    let storage = DirStorage::open(dir)?;
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(dir, closed).map_err(|source| BufferError::Io { path: dir.to_owned(), source })?;
    Shelf::make(storage, dir, owner, classes.to_vec(), limits).map(drop)
}

/// Makes an owner's identity in a new file, and a buffer that is kept for it.
///
/// # Errors
/// A [`BufferError`]. An identity that was made for a buffer that could not be is left where it is.
pub fn init_with(
    dir: &Path,
    identity: &Path,
    classes: &[ObjectClass],
    limits: Limits,
) -> Result<Recipient, BufferError> {
    if dir.join(HEAD).exists() {
        return Err(BufferError::Exists(dir.to_owned()));
    }
    // The folder first: whether a file is inside of it can be told when it is there.
    drop(DirStorage::open(dir)?);
    keys::outside(identity, dir)?;
    let owner = Identity::make(identity)?.recipient();
    init(dir, owner, classes, limits).map(|()| owner)
}

/// Destroys every lesson of a buffer, for everyone and for ever, and starts it anew: the same owner, another key. Killed
/// at any instant, it is ended by whoever opens the folder next.
///
/// # Errors
/// A [`BufferError`]. Where `buffer.toml` was damaged, all is destroyed, and the buffer has to be made again.
pub fn wipe(dir: &Path) -> Result<(), BufferError> {
    match Shelf::wipe(patient(dir)?, dir) {
        // Nobody can say who it was kept for.
        Err(lost @ (BufferError::Damaged { .. } | BufferError::NotThere(_))) => {
            Shelf::clear(patient(dir)?, dir)?;
            Err(lost)
        }
        wiped => wiped.map(drop),
    }
}

/// What a buffer holds, as far as it can be told without its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Lessons.
    pub lessons: usize,
    /// Bytes of their files.
    pub bytes: u64,
    /// The day of the oldest, counted from 1970.
    pub oldest: Option<u32>,
    /// The day of the newest.
    pub newest: Option<u32>,
    /// Lessons that models are judged by, and nothing is learned from.
    pub held_out: usize,
    /// Lessons that the owner labelled.
    pub labelled: usize,
    /// Lessons that a teacher has searched.
    pub taught: usize,
    /// Lessons that were found damaged and removed, since the buffer was made or wiped.
    pub damaged: u64,
    /// How much is kept.
    pub limits: Limits,
    /// Whom it is kept for.
    pub owner: Recipient,
    /// What labels may say.
    pub classes: Vec<ObjectClass>,
}

/// What a buffer holds. Needs no identity.
///
/// # Errors
/// A [`BufferError`].
pub fn status(dir: &Path) -> Result<Status, BufferError> {
    let shelf = open(dir)?;
    let (entries, head) = (shelf.entries(), shelf.head());
    let days = entries.iter().map(|entry| entry.day);
    Ok(Status {
        lessons: entries.len(),
        bytes: entries.iter().map(|entry| u64::from(entry.length)).sum(),
        oldest: days.clone().min(),
        newest: days.max(),
        held_out: entries.iter().filter(|entry| entry.held_out).count(),
        labelled: entries.iter().filter(|entry| entry.corrected).count(),
        taught: entries.iter().filter(|entry| entry.taught.is_some()).count(),
        damaged: shelf.lost()?,
        limits: head.limits,
        owner: head.owner,
        classes: head.classes.clone(),
    })
}

/// Adds lessons, and can read none.
#[derive(Debug)]
pub struct Writer {
    dir: PathBuf,
    classes: Vec<ObjectClass>,
}

impl Writer {
    /// Keeps a lesson, durably at return, with what its labels were made from, if that is known; what the limits leave no room
    /// for goes. It takes the folder for a few syncs of the disk.
    ///
    /// # Errors
    /// A [`BufferError`]: this lesson is not kept, and nothing else is lost by it.
    pub fn add(&self, lesson: &Lesson, moment: Option<&Moment>) -> Result<Entry, BufferError> {
        let packed = content::pack(lesson, moment, self.classes.len())?;
        open_for(&self.dir, &self.classes)?.add(&packed, today())
    }
}

impl Keep for Writer {
    fn keep(&self, lesson: &Lesson, moment: &Moment) -> Result<(), String> {
        self.add(lesson, Some(moment)).map(drop).map_err(|error| error.to_string())
    }
}

/// A buffer and its owner's identity: lessons can be read, within this crate.
#[derive(Debug)]
pub struct Buffer {
    dir: PathBuf,
    identity: Identity,
    classes: Vec<ObjectClass>,
}

#[cfg_attr(not(feature = "agent"), allow(dead_code))] // who reads lessons is the agent and its owner
impl Buffer {
    /// Who adds lessons to a folder, with the labels of a model of these classes. Needs no identity.
    ///
    /// # Errors
    /// A [`BufferError`].
    pub fn writer(dir: &Path, classes: &[ObjectClass]) -> Result<Writer, BufferError> {
        open_for(dir, classes)?;
        Ok(Writer { dir: dir.to_owned(), classes: classes.to_vec() })
    }

    /// Opens a buffer for its owner.
    ///
    /// # Errors
    /// A [`BufferError`], [`BufferError::OtherOwner`] among them.
    pub fn open(dir: &Path, identity: Identity) -> Result<Self, BufferError> {
        let mut shelf = open(dir)?;
        shelf.unlock(&identity)?;
        shelf.expire(today())?;
        let classes = shelf.head().classes.clone();
        Ok(Self { dir: dir.to_owned(), identity, classes })
    }

    /// Where it lies.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The classes that labels number.
    pub fn classes(&self) -> &[ObjectClass] {
        &self.classes
    }

    /// The lessons that are there now, oldest first.
    ///
    /// # Errors
    /// A [`BufferError`].
    pub fn entries(&self) -> Result<Vec<Entry>, BufferError> {
        let mut shelf = open_for(&self.dir, &self.classes)?;
        shelf.expire(today())?;
        Ok(shelf.entries().to_vec())
    }

    /// A lesson; none where it has gone, or cannot be read.
    ///
    /// # Errors
    /// A [`BufferError`].
    pub(crate) fn read(&self, entry: &Entry) -> Result<Option<Lesson>, BufferError> {
        Ok(self.recall(entry)?.map(|(lesson, _)| lesson))
    }

    /// A lesson, and what its labels were made from, if that is known; none where it has gone, or cannot be read.
    ///
    /// # Errors
    /// A [`BufferError`].
    pub(crate) fn recall(&self, entry: &Entry) -> Result<Option<(Lesson, Option<Moment>)>, BufferError> {
        let mut shelf = open_for(&self.dir, &self.classes)?;
        let opener = shelf.unlock(&self.identity)?;
        shelf.read(entry, &opener)
    }

    /// Puts the owner's labels in place of whatever a lesson had; none where there is no such lesson any more.
    ///
    /// # Errors
    /// A [`BufferError`].
    pub(crate) fn correct(&self, number: u64, labels: &[Label]) -> Result<Option<Entry>, BufferError> {
        self.relabel(number, labels, By::Owner)
    }

    /// Puts better labels in place, found by the teacher of this model; the owner's stay. None where there is no such lesson
    /// any more.
    ///
    /// # Errors
    /// A [`BufferError`].
    pub(crate) fn improve(
        &self,
        number: u64,
        labels: &[Label],
        model: NonZeroU32,
    ) -> Result<Option<Entry>, BufferError> {
        self.relabel(number, labels, By::Teacher(model))
    }

    fn relabel(&self, number: u64, labels: &[Label], by: By) -> Result<Option<Entry>, BufferError> {
        let mut shelf = open_for(&self.dir, &self.classes)?;
        let opener = shelf.unlock(&self.identity)?;
        shelf.relabel(number, labels, by, &opener)
    }
}

/// Whether a file of this name and these bytes, once opened, would be taken for a lesson of a buffer of `classes` classes.
/// For fuzzers: nothing of it is given out.
pub fn is_lesson(name: &str, opened: &[u8], classes: usize) -> bool {
    let held_out = Entry::parse(name).map(|entry| entry.held_out);
    held_out.is_some_and(|held_out| {
        content::Content::read(opened).is_some_and(|content| content.lesson(held_out, classes).is_some())
    })
}

fn open(dir: &Path) -> Result<Shelf<DirStorage>, BufferError> {
    Shelf::open(patient(dir)?, dir)
}

/// Opens a buffer for a model of these classes.
fn open_for(dir: &Path, classes: &[ObjectClass]) -> Result<Shelf<DirStorage>, BufferError> {
    let shelf = open(dir)?;
    let kept = &shelf.head().classes;
    if kept != classes {
        let words = |classes: &[ObjectClass]| classes.iter().map(|class| class.name()).collect::<Vec<_>>().join(", ");
        return Err(BufferError::Classes { path: dir.to_owned(), kept: words(kept), asked: words(classes) });
    }
    Ok(shelf)
}

/// The folder, once nobody else has it: others have it for moments.
fn patient(dir: &Path) -> Result<DirStorage, BufferError> {
    let magic = |key: Vec<u8>| key.starts_with(&head::MAGIC);
    if !dir.join(HEAD).exists() && !std::fs::read(dir.join(head::KEY)).is_ok_and(magic) {
        return Err(BufferError::NotThere(dir.to_owned()));
    }
    Ok(DirStorage::open_patiently(dir)?)
}

/// The day, counted from 1970, by this device's clock.
fn today() -> u32 {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    u32::try_from(seconds / 86_400).unwrap_or(u32::MAX)
}
