//! What was found in a frame and in those around it: all that its labels are made from, at once or later, when there is time to
//! look closer.
//!
//! A face does not come and go within a fraction of a second. What the detector found before and after but not in a
//! frame is in it all the same (a hard positive); what flashes up in one frame and is not there in the next is nothing (a
//! hard negative). Between the two lies a confidence: a logistic model of four kinds of evidence, which
//! `cargo bench --bench labels -- --fit` fits to synthetic clips in any light, half of them seen from above.
//! What is neither sure nor ruled out is ignored: nothing is learned there, one way or the other.
//!
//! Knows boxes and scores; no frames, no pixels, no truth.

use serde::{Deserialize, Serialize};
use volet_models::{BBox, Detection, ObjectClass};

use super::lesson::{Label, Source};

/// How much is believed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LabelConfig {
    /// From this confidence on a box is a label, in `(0, 1)`.
    pub sure: f32,
    /// Below this confidence it is background; at most `sure`.
    pub unlikely: f32,
    /// How many frames before and after a frame have a say; 0 for a still of which nothing around is known.
    pub reach: u32,
}

impl Default for LabelConfig {
    fn default() -> Self {
        Self { sure: 0.85, unlikely: 0.1, reach: 2 }
    }
}

/// What speaks for a box, each from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    /// The detector's score in this very frame; 0 where it found nothing.
    pub score: f32,
    /// The mean of its scores there in the frames around, 0 for each in which it found nothing.
    pub around: f32,
    /// The mean score of the track's detections; 0 without a track.
    pub track: f32,
    /// The teacher's score: [`volet_models::Teacher`]. None where there was no time to ask it.
    pub teacher: Option<f32>,
}

impl Evidence {
    /// How sure it is that there is something, from 0 to 1.
    pub fn confidence(&self) -> f32 {
        let terms = |weights: &[f32]| {
            let values = [1.0, self.score, self.around, self.track, self.teacher.unwrap_or(0.0)];
            weights.iter().zip(values).map(|(w, v)| w * v).sum::<f32>()
        };
        let weights = if self.teacher.is_some() { &WITH_TEACHER[..] } else { &ALONE[..] };
        1.0 / (1.0 + (-terms(weights)).exp())
    }
}

/// Weights of a constant, the score, the frames around and the track; fitted, see the module's first lines.
const ALONE: [f32; 4] = [-5.0, 7.66, 2.65, 3.41];
/// The same with the teacher's score as the last.
const WITH_TEACHER: [f32; 5] = [-4.78, -2.06, 2.45, 2.48, 10.75];

/// A box that may be something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// What it would be.
    pub class: ObjectClass,
    /// Where, in pixels of the frame.
    pub bbox: BBox,
    /// Who found it first: in this frame the detector, or the teacher, or else the tracker alone.
    pub source: Source,
    /// What speaks for it.
    pub evidence: Evidence,
}

/// What was found in a frame and around it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moment {
    /// What the detector found in this very frame.
    pub here: Vec<Detection>,
    /// What it found in each of the frames around, as many before as after.
    pub around: Vec<Vec<Detection>>,
    /// The tracks that go through the frame; a score is the mean of a track's.
    pub tracks: Vec<Detection>,
}

/// Boxes that overlap more are the same thing.
const SAME: f32 = 0.3;
/// A thing moves little from frame to frame.
const NEAR: f32 = 0.35;

impl Moment {
    /// Detections below this score say nothing.
    pub const FLOOR: f32 = 0.1;

    /// The labels of the frame; `taught` is what the teacher found in it, `classes` are the model's. Background has none.
    pub fn labels(&self, taught: Option<&[Detection]>, config: &LabelConfig, classes: &[ObjectClass]) -> Vec<Label> {
        let label = |c: Candidate| {
            let (class, confidence) = (classes.iter().position(|k| *k == c.class)?, c.evidence.confidence());
            let ignore = confidence < config.sure;
            (confidence >= config.unlikely).then_some(Label { class, bbox: c.bbox, ignore, source: c.source })
        };
        self.candidates(taught).into_iter().filter_map(label).collect()
    }

    /// What may be in the frame, the surest first and none overlapping; `taught` is what the teacher found in it.
    pub fn candidates(&self, taught: Option<&[Detection]>) -> Vec<Candidate> {
        let loud = |d: &&Detection| d.score >= Self::FLOOR;
        let teacher = taught.unwrap_or_default().iter().filter(loud).map(|d| (d, Source::Teacher));
        let detector = self.here.iter().filter(loud).map(|d| (d, Source::Detector));
        let tracker = self.tracks.iter().map(|d| (d, Source::Tracker));
        let mut candidates: Vec<Candidate> = teacher
            .chain(detector)
            .chain(tracker)
            .map(|(&Detection { class, bbox, .. }, source)| {
                let evidence = self.evidence(taught, class, &bbox);
                // Who looks hardest draws the best box, and takes the credit only where the detector saw nothing.
                let source = if evidence.score > 0.0 { Source::Detector } else { source };
                Candidate { class, bbox, source, evidence }
            })
            .collect();
        // The sort keeps the order of equals: the teacher's box before the detector's before the tracker's.
        candidates.sort_by(|a, b| b.evidence.confidence().total_cmp(&a.evidence.confidence()));
        let mut kept: Vec<Candidate> = Vec::new();
        for candidate in candidates {
            if kept.iter().all(|k| k.class != candidate.class || k.bbox.iou(&candidate.bbox) < SAME) {
                kept.push(candidate);
            }
        }
        kept
    }

    /// The same where the frame is made `scale` times as large.
    pub fn scaled(mut self, scale: f32) -> Self {
        let all = self.here.iter_mut().chain(self.around.iter_mut().flatten()).chain(&mut self.tracks);
        all.for_each(|d| d.bbox = BBox::new(d.bbox.x * scale, d.bbox.y * scale, d.bbox.w * scale, d.bbox.h * scale));
        self
    }

    fn evidence(&self, taught: Option<&[Detection]>, class: ObjectClass, bbox: &BBox) -> Evidence {
        let best = |found: &[Detection], least: f32| {
            let there = found.iter().filter(|d| d.class == class && d.bbox.iou(bbox) > least);
            there.map(|d| d.score).fold(0.0, f32::max)
        };
        let around = self.around.iter().map(|found| best(found, NEAR)).sum::<f32>() / self.around.len().max(1) as f32;
        let (score, track) = (best(&self.here, 0.5), best(&self.tracks, NEAR));
        Evidence { score, around, track, teacher: taught.map(|found| best(found, 0.5)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// More evidence never makes less sure, but for the detector's own score where the teacher has spoken: what its
        /// plain look alone saw is what is there least.
        #[test]
        fn confidence_rises_with_evidence(
            score in 0.0f32..1.0, around in 0.0f32..1.0, track in 0.0f32..1.0, teacher: Option<bool>, more in 0.0f32..0.5
        ) {
            let teacher = teacher.map(|sure| if sure { 0.9 } else { 0.1 });
            let known = Evidence { score, around, track, teacher };
            let base = known.confidence();
            prop_assert!((0.0..=1.0).contains(&base));
            let mut surer = vec![
                Evidence { around: around + more, ..known },
                Evidence { track: track + more, ..known },
                Evidence { teacher: teacher.map(|t| t + more), ..known },
            ];
            if teacher.is_none() {
                surer.push(Evidence { score: score + more, ..known });
            }
            prop_assert!(surer.iter().all(|evidence| evidence.confidence() >= base));
        }
    }
}
