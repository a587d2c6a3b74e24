//! Disks that fail at every single operation, writers that are killed, files of strangers; and what they have in common.

mod contents;
mod faults;
mod folders;
mod strangers;

use std::path::PathBuf;

use volet_federated::storage::Storage;
use volet_models::{BBox, Detection, ObjectClass};

use super::super::lesson::{Label, Lesson, Source};
use super::super::moment::Moment;
use super::content::pack;
use super::shelf::Shelf;
use super::*;

const CLASSES: [ObjectClass; 2] = [ObjectClass::Face, ObjectClass::Person];
const TODAY: u32 = 20_000;
const MODEL: NonZeroU32 = NonZeroU32::MAX;
const FEW: Limits = Limits { lessons: 4, megabytes: 1, days: 30 };

fn label(x: f32, source: Source) -> Label {
    Label { class: 0, bbox: BBox::new(x, 4.0, 8.0, 9.5), ignore: false, source }
}

/// A still of noise that is like no other's, with one label.
fn lesson(seed: u32) -> Lesson {
    sized(seed, 40, 32)
}

fn sized(seed: u32, width: u32, height: u32) -> Lesson {
    let mut rgb = vec![0; (3 * width * height) as usize];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut rgb);
    Lesson { width, height, rgb, labels: vec![label(seed as f32 % 20.0, Source::Detector)] }
}

/// What such labels may have been made from.
fn moment() -> Moment {
    let found = |class, x: f32, score| Detection { class, bbox: BBox::new(x, 4.0, 8.0, 9.5), score };
    let face = |score| found(ObjectClass::Face, 3.0, score);
    let around = vec![vec![face(0.9)], vec![], vec![face(0.2), found(ObjectClass::Person, -2.0, 1.0)], vec![face(0.4)]];
    Moment { here: vec![face(0.7)], around, tracks: vec![face(0.6)] }
}

fn identity() -> Identity {
    let folder = tempfile::tempdir().unwrap();
    Identity::make(&folder.path().join("identity")).unwrap()
}

fn path() -> PathBuf {
    PathBuf::from("a-buffer")
}

fn made<S: Storage>(storage: S, owner: &Identity, limits: Limits) -> Result<Shelf<S>, BufferError> {
    Shelf::make(storage, &path(), owner.recipient(), CLASSES.to_vec(), limits)
}

fn add<S: Storage>(shelf: &mut Shelf<S>, lesson: &Lesson) -> Result<Entry, BufferError> {
    shelf.add(&pack(lesson, Some(&moment()), CLASSES.len())?, TODAY)
}

/// All that an owner can read, with their numbers.
fn all<S: Storage>(shelf: &mut Shelf<S>, owner: &Identity) -> Result<Vec<(u64, Lesson)>, BufferError> {
    let opener = shelf.unlock(owner)?;
    let entries = shelf.entries().to_vec();
    let mut read = Vec::new();
    for entry in entries {
        read.extend(shelf.read(&entry, &opener)?.map(|(lesson, _)| (entry.number, lesson)));
    }
    Ok(read)
}
