//! The files of a buffer, over any [`Storage`], for as long as one process has the folder to itself: a moment.
//!
//! Opening puts in order what a power cut left. A folder whose `key` is gone was wiped, or was being wiped: the rest of its
//! lessons is removed, and it starts anew under another key.

use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use volet_federated::storage::{Storage, put};
use volet_models::ObjectClass;

use super::super::lesson::{Label, Lesson};
use super::super::moment::Moment;
use super::BufferError;
use super::content::{Content, Packed};
use super::entry::{BEGINNING, Entry};
use super::head::{HEAD, Head, KEY, KEY_LENGTH, MAGIC as KEY_MAGIC, Version};
use super::keys::{Identity, OVERHEAD, Opener, Recipient};
use super::limits::Limits;

/// How a lesson's file begins.
const MAGIC: [u8; 8] = *b"VOLETLS\x02";
/// Counts lessons that were found damaged.
const DAMAGED: &str = "damaged";
/// How files end that are being written.
const UNFINISHED: &str = ".new";
/// The greatest head, bytes.
const SMALL: u64 = 1 << 16;

pub(super) struct Shelf<S> {
    storage: S,
    path: PathBuf,
    head: Head,
    entries: Vec<Entry>,
}

/// Whose labels take the place of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Owner,
    /// The teacher of this model.
    Teacher(NonZeroU32),
}

impl<S: Storage> Shelf<S> {
    /// Makes a buffer in a folder that holds none.
    pub(super) fn make(
        mut storage: S,
        path: &Path,
        owner: Recipient,
        classes: Vec<ObjectClass>,
        limits: Limits,
    ) -> Result<Self, BufferError> {
        if storage.read(HEAD, SMALL).map_err(at(path, HEAD))?.is_some() {
            return Err(BufferError::Exists(path.to_owned()));
        }
        alone(&storage, path)?;
        // What a wiping that was never finished left has no key that would open it.
        destroy_key(&mut storage, path)?;
        // A first key, which nothing is ever sealed to.
        let key = Opener::make().map_err(BufferError::Entropy)?.recipient();
        let head = Head { version: Version, owner, key, classes, limits };
        let mut shelf = Self { storage, path: path.to_owned(), head, entries: Vec::new() };
        shelf.list()?;
        shelf.begin_anew()?;
        Ok(shelf)
    }

    /// Opens a buffer, and puts it in order.
    pub(super) fn open(storage: S, path: &Path) -> Result<Self, BufferError> {
        let head = storage.read(HEAD, SMALL).map_err(at(path, HEAD))?;
        let head = head.ok_or_else(|| BufferError::NotThere(path.to_owned()))?;
        let damaged = |why: String| BufferError::Damaged { path: path.join(HEAD), why };
        let head = std::str::from_utf8(&head).map_err(|error| damaged(error.to_string()))?;
        let head = toml::from_str(head).map_err(|error| damaged(error.message().to_owned()))?;
        let mut shelf = Self { storage, path: path.to_owned(), head, entries: Vec::new() };
        shelf.list()?;
        if !shelf.key()?.is_some_and(|key| shelf.head.has_key(&key)) {
            shelf.begin_anew()?;
        }
        Ok(shelf)
    }

    /// Destroys the key, and then the lessons; starts anew. From the first moment on a restart ends it.
    pub(super) fn wipe(mut storage: S, path: &Path) -> Result<Self, BufferError> {
        destroy_key(&mut storage, path)?;
        Self::open(storage, path)
    }

    /// Destroys a buffer whose head is damaged. It has to be made again.
    pub(super) fn clear(mut storage: S, path: &Path) -> Result<(), BufferError> {
        destroy_key(&mut storage, path)?;
        let mut names = storage.list().map_err(at(path, ""))?;
        names.retain(|name| name.starts_with(BEGINNING) || [HEAD, DAMAGED].contains(&name.as_str()));
        remove(&mut storage, path, names.into_iter())
    }

    pub(super) fn head(&self) -> &Head {
        &self.head
    }

    /// The lessons, oldest first.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Removes what has been kept long enough.
    pub(super) fn expire(&mut self, today: u32) -> Result<(), BufferError> {
        let gone = self.head.limits.surplus(&self.entries, None, today);
        self.remove(&gone)
    }

    /// Keeps a lesson, durably at return.
    pub(super) fn add(&mut self, lesson: &Packed, today: u32) -> Result<Entry, BufferError> {
        let length = self.fits(lesson)?;
        let gone = self.head.limits.surplus(&self.entries, Some(length), today);
        self.remove(&gone)?;
        let last = self.entries.last().map_or(0, |entry| entry.number);
        let number = last.checked_add(1).ok_or_else(|| BufferError::Full(self.path.clone()))?;
        let Packed { held_out, corrected, .. } = *lesson;
        self.write(lesson, Entry { number, revision: 0, day: today, length, taught: None, held_out, corrected })
    }

    /// Reads a lesson, and what its labels were made from, if that is known; none where it is gone, or damaged, which removes
    /// it.
    pub(super) fn read(
        &mut self,
        entry: &Entry,
        opener: &Opener,
    ) -> Result<Option<(Lesson, Option<Moment>)>, BufferError> {
        let classes = self.head.classes.len();
        match self.content(entry, opener) {
            Err(()) => Ok(None),
            Ok(content) => match content.and_then(|content| content.lesson(entry.held_out, classes)) {
                Some(lesson) => Ok(Some(lesson)),
                None => self.damaged(entry).map(|()| None),
            },
        }
    }

    /// Puts other labels in place; none where the lesson is gone. The owner's stay where they are not the owner's.
    pub(super) fn relabel(
        &mut self,
        number: u64,
        labels: &[Label],
        by: By,
        opener: &Opener,
    ) -> Result<Option<Entry>, BufferError> {
        let corrected = by == By::Owner;
        let found = self.entries.iter().find(|entry| entry.number == number).copied();
        let Some(old) = found.filter(|entry| corrected || !entry.corrected) else { return Ok(found) };
        let Ok(Some(mut content)) = self.content(&old, opener) else { return Ok(None) };
        content.relabel(labels, self.head.classes.len())?;
        let lesson = content.pack(corrected)?;
        let revision = old.revision.checked_add(1).ok_or_else(|| BufferError::Full(self.path.clone()))?;
        let taught = if let By::Teacher(model) = by { Some(model) } else { old.taught };
        let new = Entry { revision, length: self.fits(&lesson)?, taught, corrected, ..old };
        self.write(&lesson, new)?;
        self.remove(&[old])?;
        // It may have grown.
        let gone = self.head.limits.surplus(&self.entries, None, old.day);
        self.remove(&gone)?;
        Ok(Some(new))
    }

    /// The buffer's key.
    pub(super) fn unlock(&self, identity: &Identity) -> Result<Opener, BufferError> {
        let opened = self.key()?.and_then(|key| self.head.unlock(&key, identity));
        opened.ok_or_else(|| BufferError::OtherOwner { path: self.path.clone(), owner: self.head.owner })
    }

    /// How many lessons were found damaged and removed.
    pub(super) fn lost(&self) -> Result<u64, BufferError> {
        let text = self.storage.read(DAMAGED, 64).map_err(at(&self.path, DAMAGED))?;
        let text = text.and_then(|text| String::from_utf8(text).ok());
        Ok(text.and_then(|text| text.trim().parse().ok()).unwrap_or(0))
    }

    /// The bytes of a lesson's file, if there is room for them at all.
    fn fits(&self, lesson: &Packed) -> Result<u32, BufferError> {
        let length = MAGIC.len() + OVERHEAD + lesson.bytes.len();
        let length = u32::try_from(length).ok().filter(|length| u64::from(*length) <= self.head.limits.bytes());
        let room = self.head.limits.lessons > 0;
        length.filter(|_| room).ok_or(BufferError::TooLarge { megabytes: self.head.limits.megabytes })
    }

    fn write(&mut self, lesson: &Packed, entry: Entry) -> Result<Entry, BufferError> {
        let name = entry.to_string();
        let sealed = self.head.key.seal(&lesson.bytes, name.as_bytes()).map_err(BufferError::Entropy)?;
        let file = [&MAGIC[..], &sealed].concat();
        if let Err(error) = put(&mut self.storage, &name, &file) {
            // Whatever was written of it takes room that others need.
            let _ = self.storage.remove(&format!("{name}{UNFINISHED}"));
            return Err(at(&self.path, &name)(error));
        }
        self.entries.push(entry);
        self.entries.sort_by_key(|entry| entry.number);
        Ok(entry)
    }

    /// An opened lesson; none where it is damaged, an error where it cannot be read just now or is gone.
    fn content(&self, entry: &Entry, opener: &Opener) -> Result<Option<Content>, ()> {
        if !self.entries.contains(entry) {
            return Err(());
        }
        let name = entry.to_string();
        let file = match self.storage.read(&name, entry.length.into()) {
            Ok(Some(file)) => file,
            Ok(None) => return Err(()),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => return Ok(None),
            Err(error) => {
                tracing::warn!(%name, %error, "a lesson cannot be read, and is left out");
                return Err(());
            }
        };
        let sealed = file.strip_prefix(&MAGIC[..]).filter(|_| file.len() == entry.length as usize);
        let opened = sealed.and_then(|sealed| opener.open(sealed, name.as_bytes()));
        Ok(opened.and_then(|bytes| Content::read(&bytes)))
    }

    fn damaged(&mut self, entry: &Entry) -> Result<(), BufferError> {
        tracing::warn!(name = %entry, "a lesson is damaged, and is removed");
        self.remove(&[*entry])?;
        self.count(1)
    }

    fn count(&mut self, more: u64) -> Result<(), BufferError> {
        let count = self.lost()?.saturating_add(more).to_string();
        put(&mut self.storage, DAMAGED, count.as_bytes()).map_err(at(&self.path, DAMAGED))
    }

    fn remove(&mut self, gone: &[Entry]) -> Result<(), BufferError> {
        self.entries.retain(|entry| !gone.contains(entry));
        remove(&mut self.storage, &self.path, gone.iter().map(Entry::to_string))
    }

    fn key(&self) -> Result<Option<Vec<u8>>, BufferError> {
        match self.storage.read(KEY, KEY_LENGTH as u64) {
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Ok(None),
            key => key.map_err(at(&self.path, KEY)),
        }
    }

    /// Finds the lessons; removes what was never finished, labels that were replaced, and names that are none.
    fn list(&mut self) -> Result<(), BufferError> {
        let names = self.storage.list().map_err(at(&self.path, ""))?;
        let (mut gone, mut strange): (Vec<String>, u64) = (Vec::new(), 0);
        for name in names {
            match Entry::parse(&name) {
                Some(entry) => self.entries.push(entry),
                None if name.ends_with(UNFINISHED) => gone.push(name),
                None if name.starts_with(BEGINNING) => {
                    strange += 1;
                    gone.push(name);
                }
                None => {}
            }
        }
        self.entries.sort_by_key(|entry| (entry.number, entry.revision));
        let newer = self.entries.iter().skip(1).map(|entry| Some(entry.number)).chain([None]);
        let replaced = self.entries.iter().zip(newer).filter(|(entry, next)| *next == Some(entry.number));
        gone.extend(replaced.map(|(entry, _)| entry.to_string()));
        self.entries.retain(|entry| !gone.contains(&entry.to_string()));
        remove(&mut self.storage, &self.path, gone.into_iter())?;
        if strange > 0 { self.count(strange) } else { Ok(()) }
    }

    /// Removes all lessons, which nothing opens, and makes another key.
    fn begin_anew(&mut self) -> Result<(), BufferError> {
        let gone = self.entries.clone();
        self.remove(&gone)?;
        remove(&mut self.storage, &self.path, [DAMAGED.to_owned()].into_iter())?;
        let opener = Opener::make().map_err(BufferError::Entropy)?;
        self.head.key = opener.recipient();
        let head = toml::to_string(&self.head)
            .map_err(|error| BufferError::Damaged { path: self.path.join(HEAD), why: error.to_string() })?;
        let key = self.head.lock_up(&opener).map_err(BufferError::Entropy)?;
        // Cut off in between, there is no key for this head, and all this is done once more.
        put(&mut self.storage, HEAD, head.as_bytes()).map_err(at(&self.path, HEAD))?;
        put(&mut self.storage, KEY, &key).map_err(at(&self.path, KEY))
    }
}

/// Refuses a folder with files that are nobody's but their owner's.
fn alone(storage: &impl Storage, path: &Path) -> Result<(), BufferError> {
    let names = storage.list().map_err(at(path, ""))?;
    let ours = |name: &String| {
        name.starts_with(BEGINNING) || name.ends_with(UNFINISHED) || ["lock", KEY, DAMAGED].contains(&name.as_str())
    };
    let mut magic = [0; 8];
    let there = names.iter().any(|name| name == KEY);
    let read = if there { storage.read_at(KEY, 0, &mut magic).map_err(at(path, KEY))? } else { 0 };
    let own_key = read == 0 || magic == KEY_MAGIC || magic == [0; 8];
    if names.iter().all(ours) && own_key { Ok(()) } else { Err(BufferError::Strange(path.to_owned())) }
}

/// Overwrites the sealed key where it lies, and removes it. What is sealed to it is noise from then on.
fn destroy_key(storage: &mut impl Storage, path: &Path) -> Result<(), BufferError> {
    let mut gone = Vec::new();
    for name in [KEY.to_owned(), format!("{KEY}{UNFINISHED}")] {
        let there = storage.list().map_err(at(path, ""))?.contains(&name);
        if there {
            storage.write(&name, 0, &[0; KEY_LENGTH]).map_err(at(path, &name))?;
            storage.sync(&name).map_err(at(path, &name))?;
            gone.push(name);
        }
    }
    remove(storage, path, gone.into_iter())
}

fn remove(storage: &mut impl Storage, path: &Path, names: impl Iterator<Item = String>) -> Result<(), BufferError> {
    let mut any = false;
    for name in names {
        storage.remove(&name).map_err(at(path, &name))?;
        any = true;
    }
    if any { storage.sync_dir().map_err(at(path, "")) } else { Ok(()) }
}

fn at(path: &Path, name: &str) -> impl FnOnce(io::Error) -> BufferError + use<> {
    let path = path.join(name);
    move |source| BufferError::Io { path, source }
}
