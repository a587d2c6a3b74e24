//! Boxes come frame by frame; some formats want them track by track. This is the turntable: samples wait
//! in a scratch file in blocks of one track each, so that memory holds a few bytes per block.
//!
//! Knows boxes and tracks, no format.

use std::collections::BTreeMap;
use std::path::Path;

use volet_models::{BBox, ObjectClass};

use super::draft::Draft;
use super::{AnnotateError, Annotated, Origin};

/// A box of a track in one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) frame: u64,
    pub(super) bbox: BBox,
    pub(super) score: f32,
    pub(super) origin: Origin,
}

/// What a track is called. Boxes without a track share one key per class: each stands for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) track_id: Option<u32>,
    pub(super) class: ObjectClass,
}

pub(super) struct Tracks {
    file: Draft,
    tracks: BTreeMap<Key, Track>,
    swept: u64,
}

#[derive(Default)]
struct Track {
    /// Where blocks lie, and how many samples each holds.
    blocks: Vec<(u64, u32)>,
    pending: Vec<u8>,
    last: u64,
}

/// Bytes of a sample on disk.
const SAMPLE: usize = 8 + 5 * 4 + 1;
/// Samples per full block.
const BLOCK: usize = 64;
/// A track that was not seen for this many frames gives its memory back.
const STALE: u64 = 256;

impl Tracks {
    pub(super) fn create(folder: &Path, about: &Path) -> Result<Self, AnnotateError> {
        Ok(Self { file: Draft::scratch(folder, about)?, tracks: BTreeMap::new(), swept: 0 })
    }

    /// Adds a box; frames come in rising order.
    pub(super) fn add(&mut self, frame: u64, object: &Annotated) -> Result<(), AnnotateError> {
        if frame >= self.swept + STALE {
            self.swept = frame;
            for track in self.tracks.values_mut().filter(|t| t.last + STALE <= frame) {
                track.flush(&mut self.file)?;
                track.pending = Vec::new();
            }
        }
        let track = self.tracks.entry(Key { track_id: object.track_id, class: object.class }).or_default();
        track.last = frame;
        encode(&Sample { frame, bbox: object.bbox, score: object.score, origin: object.origin }, &mut track.pending);
        if track.pending.len() >= BLOCK * SAMPLE { track.flush(&mut self.file) } else { Ok(()) }
    }

    /// Every track's name, in order.
    pub(super) fn keys(&self) -> Vec<Key> {
        self.tracks.keys().copied().collect()
    }

    /// Hands the samples of a track to `visit`, in the order they came.
    pub(super) fn read(
        &mut self,
        key: Key,
        mut visit: impl FnMut(Sample) -> Result<(), AnnotateError>,
    ) -> Result<(), AnnotateError> {
        let Some(track) = self.tracks.get(&key) else { return Ok(()) };
        let mut bytes = Vec::new();
        for &(offset, count) in &track.blocks {
            bytes.resize(count as usize * SAMPLE, 0);
            self.file.read_at(offset, &mut bytes)?;
            bytes.chunks_exact(SAMPLE).filter_map(decode).try_for_each(&mut visit)?;
        }
        track.pending.chunks_exact(SAMPLE).filter_map(decode).try_for_each(&mut visit)
    }
}

impl Track {
    fn flush(&mut self, file: &mut Draft) -> Result<(), AnnotateError> {
        if !self.pending.is_empty() {
            self.blocks.push((file.len(), (self.pending.len() / SAMPLE) as u32));
            file.bytes(&self.pending)?;
            self.pending.clear();
        }
        Ok(())
    }
}

fn encode(sample: &Sample, out: &mut Vec<u8>) {
    out.extend_from_slice(&sample.frame.to_le_bytes());
    for v in [sample.bbox.x, sample.bbox.y, sample.bbox.w, sample.bbox.h, sample.score] {
        out.extend_from_slice(&v.to_le_bytes());
    }
    out.push(Origin::ALL.iter().position(|o| *o == sample.origin).unwrap_or_default() as u8);
}

fn decode(bytes: &[u8]) -> Option<Sample> {
    let (frame, rest) = bytes.split_first_chunk()?;
    let mut floats = rest.chunks_exact(4).filter_map(|c| c.try_into().ok()).map(f32::from_le_bytes);
    let bbox = BBox::new(floats.next()?, floats.next()?, floats.next()?, floats.next()?);
    let score = floats.next()?;
    let origin = *Origin::ALL.get(usize::from(*bytes.last()?))?;
    Some(Sample { frame: u64::from_le_bytes(*frame), bbox, score, origin })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the order of tracks, each gives back its own samples in order, over block and
        /// staleness borders.
        #[test]
        fn samples_come_back_by_track(
            events in prop::collection::vec((0u64..40, prop::option::of(0u32..5), 0usize..2), 0..600)
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut tracks = Tracks::create(folder.path(), folder.path()).unwrap();
            let mut expected: BTreeMap<Key, Vec<Sample>> = BTreeMap::new();
            let mut frame = 0;
            for (i, (step, track_id, class)) in events.into_iter().enumerate() {
                frame += step;
                let class = ObjectClass::ALL[class];
                let bbox = BBox::new(i as f32, 1.5, 2.5, 3.5);
                let object = Annotated { class, bbox, score: 0.25, track_id, origin: Origin::ALL[i % 4] };
                tracks.add(frame, &object).unwrap();
                let sample = Sample { frame, bbox, score: 0.25, origin: object.origin };
                expected.entry(Key { track_id, class }).or_default().push(sample);
            }
            prop_assert_eq!(tracks.keys(), expected.keys().copied().collect::<Vec<_>>());
            for (key, samples) in expected {
                let mut read = Vec::new();
                tracks.read(key, |s| { read.push(s); Ok(()) }).unwrap();
                prop_assert_eq!(read, samples);
            }
        }
    }
}
