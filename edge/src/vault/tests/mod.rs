//! Disks that fail at every single operation, files that were tampered with, colours; and what they have in common.

mod faults;
mod pictures;
mod strangers;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use volet_federated::storage::Storage;

use super::clip::Reader;
use super::open::{Found, scan};
use super::plain::Plain;
use super::recorder::{Place, Recorder};
use super::*;
use crate::frame::{Color, Geometry, PixelFormat, RawFrame};
use crate::keep::{Counts, Keep, Kept};
use crate::source::Rate;

/// Two seconds of film in a clip, and room for as many clips as there are.
const LIMITS: Limits = Limits { bytes: 1 << 20, days: 7, clip: Duration::from_secs(2) };
const NOW: i64 = 1_795_398_152;

fn identity() -> Identity {
    let folder = tempfile::tempdir().unwrap();
    Identity::make(&folder.path().join("identity")).unwrap()
}

/// A frame of a film of four a second, like no other.
fn frame(index: u64) -> RawFrame {
    let geometry = Geometry::new(PixelFormat::Grey8, 16, 16).unwrap();
    let mut bytes = vec![0; geometry.bytes()];
    blake3::Hasher::new().update(&index.to_le_bytes()).finalize_xof().fill(&mut bytes);
    RawFrame::new(index, Duration::from_millis(250 * index), geometry, Color::JPEG, bytes).unwrap()
}

fn kept(index: u64) -> Kept {
    Kept { stream: 0, rate: Rate { num: 4, den: 1 }, frame: frame(index) }
}

fn jpeg(frame: &RawFrame) -> Vec<u8> {
    let mut jpeg = Plain::default();
    picture::encode(frame, &mut jpeg).unwrap();
    jpeg.as_slice().to_vec()
}

/// A vault on a disk of tests, at a standing time.
struct Desk<S> {
    storage: S,
    free: Option<u64>,
}

impl<S: Storage + Clone> Place for Desk<S> {
    type Storage = S;

    fn open(&mut self) -> Result<S, VaultError> {
        Ok(self.storage.clone())
    }

    fn free(&self) -> Option<u64> {
        self.free
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_second(NOW).unwrap()
    }
}

fn recorder<S: Storage + Clone>(storage: &S, owner: &Identity, limits: Limits) -> (Recorder<Desk<S>>, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    let desk = Desk { storage: storage.clone(), free: None };
    (Recorder::new(desk, PathBuf::from("a-vault"), owner.recipient(), limits, counts.clone()), counts)
}

/// Records so many frames, to the end.
fn record<S: Storage + Clone>(
    storage: &S,
    owner: &Identity,
    limits: Limits,
    frames: std::ops::Range<u64>,
) -> Arc<Counts> {
    let (mut recorder, counts) = recorder(storage, owner, limits);
    frames.for_each(|index| recorder.frame(kept(index)));
    recorder.finish();
    counts
}

/// The clips of a storage, by name.
fn clips(storage: &impl Storage) -> std::io::Result<BTreeMap<String, Vec<u8>>> {
    let mut clips = BTreeMap::new();
    for name in storage.list()?.into_iter().filter(|name| Entry::parse(name).is_some()) {
        let file = storage.read(&name, u64::MAX)?.unwrap_or_default();
        clips.insert(name, file);
    }
    Ok(clips)
}

/// What of a clip is genuine: each picture has to be the one that was recorded under its number.
fn genuine(file: &[u8], owner: &Identity) -> Result<(Found, Vec<u64>), Trouble> {
    let mut numbers = Vec::new();
    let found = scan(file, owner, u64::MAX, &mut |_, picture| {
        let original = frame(picture.index);
        assert_eq!(
            (picture.jpeg(), picture.time),
            (&jpeg(&original)[..], original.time()),
            "a picture is not what it was"
        );
        numbers.push(picture.index);
        Ok(())
    })?;
    Ok((found, numbers))
}
