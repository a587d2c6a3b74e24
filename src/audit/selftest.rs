//! Redaction, tried out on people who do not exist: a short synthetic clip goes through a pipeline with the model that the camera uses,
//! and what stayed uncovered is counted by the clip's exact truth.
//!
//! It is this program's own pipeline, with the settings that it has where none are named: it shows what the model does, not which
//! settings a camera was started with, which no camera writes down.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde::Serialize;
use volet_edge::agent::load_active;
use volet_edge::batch::{self, BatchOptions, Input};
use volet_edge::slot::ModelSlot;
use volet_synthetic::{Clip, ObjectClass};

use super::claims::Claim;
use crate::cover::{COVERED, Mask, Region};
use crate::synthetic::Synthetic;

/// The clip: its seeds, size, frames a second, frames.
const SEEDS: [u64; 2] = [11, 12];
const SIZE: (u32, u32) = (640, 384);
const FPS: u32 = 10;
const FRAMES: u32 = 12;
/// Faces lower than this, in pixels, are not counted.
const LEAST: f32 = 16.0;
/// More uncovered faces than this, or more of the picture covered, is a fault. The built-in detector leaves 11 of 143 uncovered on these
/// clips (0.077), of which four in a hundred faces more is what another lineage may well differ by.
const MOST_LEAKS: f64 = 0.12;
const MOST_COVER: f64 = 0.5;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Measured {
    frames: u32,
    /// Faces of at least 16 pixels, counted in every frame.
    faces: u32,
    /// Of them, those whose box is covered to less than 90 %.
    leaks: u32,
    leak_rate: f64,
    /// The share of all pixels that is covered.
    cover_rate: f64,
}

/// Measures with the model that the camera uses.
///
/// # Errors
/// The model cannot be loaded or run, or there is no room for a few pictures.
pub(crate) fn run(state: &Path) -> anyhow::Result<Measured> {
    let model = ModelSlot::from(load_active(state)?.1);
    let folder = tempfile::tempdir()?;
    let (mut faces, mut leaks, mut covered) = (0, 0, 0.0);
    for seed in SEEDS {
        let clip = || Clip::new(seed, SIZE.0, SIZE.1, FPS, FRAMES);
        let regions = folder.path().join(format!("{seed}.json"));
        let options = BatchOptions {
            formats: Vec::new(),
            regions: Some(regions.clone()),
            ..crate::redact::default_options(&model.get())
        };
        let source = Synthetic::new(clip(), SIZE, FPS)?;
        let input = vec![Input::Stream("a synthetic clip".to_owned(), Box::new(source))];
        let stop = AtomicBool::new(false);
        let out = folder.path().join(seed.to_string());
        let done = batch::run(input, Vec::new(), &out, model.clone(), &options, &stop, &|_| {})?;
        anyhow::ensure!(done.totals.counts.frames == u64::from(FRAMES), "frames were lost");
        let regions: Vec<Region> = serde_json::from_slice(&std::fs::read(&regions)?)?;
        for index in 0..FRAMES {
            let mask = Mask::of(SIZE, regions.iter().filter(|region| region.image_id == u64::from(index) + 1));
            covered += mask.cover();
            let truth = clip().frame(index);
            let counted =
                |o: &&volet_synthetic::Object| o.class == ObjectClass::Face && !o.ignore && o.bbox[3] >= LEAST;
            for face in truth.objects.iter().filter(counted) {
                faces += 1;
                leaks += u32::from(mask.share(face.bbox) < COVERED);
            }
        }
    }
    let frames = FRAMES * SEEDS.len() as u32;
    let leak_rate = f64::from(leaks) / f64::from(faces.max(1));
    Ok(Measured { frames, faces, leaks, leak_rate, cover_rate: covered / f64::from(frames) })
}

/// What follows from it.
pub(crate) fn claim(measured: Option<&Measured>) -> Claim {
    let claim = "the camera's model covers people who do not exist, in this program's pipeline with its usual settings";
    let Some(m) = measured else { return Claim::skipped(claim, "it was not asked for (--quick)") };
    let held = m.faces > 0 && m.leak_rate <= MOST_LEAKS && m.cover_rate <= MOST_COVER;
    Claim::of(
        claim,
        held,
        format!(
            "leak rate {:.3}: {} of {} faces uncovered in {} synthetic frames (a fault above {MOST_LEAKS}), {:.1} % of the picture covered (a \
             fault above {:.0} %). With which settings the camera itself was started is not examined",
            m.leak_rate,
            m.leaks,
            m.faces,
            m.frames,
            100.0 * m.cover_rate,
            100.0 * MOST_COVER
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_leaks_or_too_much_cover_is_a_fault() {
        let measured = |leak_rate, cover_rate| Measured { frames: 1, faces: 10, leaks: 1, leak_rate, cover_rate };
        let verdict = |leaks, cover| claim(Some(&measured(leaks, cover))).verdict;
        use super::super::claims::Verdict;
        assert_eq!(verdict(0.1, 0.2), Verdict::Held);
        assert_eq!((verdict(0.13, 0.2), verdict(0.1, 1.0)), (Verdict::Failed, Verdict::Failed));
        assert_eq!(claim(None).verdict, Verdict::NotExamined);
    }
}
