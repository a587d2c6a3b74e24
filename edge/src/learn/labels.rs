//! Labels from agreement over time: what a detector finds in one frame, seen with what it finds in the frames around.
//!
//! A face does not come and go within a fraction of a second. What the detector found before and after but not in a
//! frame is in it all the same (a hard positive); what flashes up in one frame and is not there in the next is nothing (a
//! hard negative). Between the two lies a confidence: a logistic model of four kinds of evidence, which
//! `cargo bench --bench labels -- --fit` fits to synthetic clips in any light, half of them seen from above.
//! What is neither sure nor ruled out is ignored: nothing is learned there, one way or the other.
//!
//! Knows boxes, scores and frame numbers; no pixels, no truth.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use volet_models::{BBox, Detection, ObjectClass};

use super::lesson::{Label, Source};
use crate::track::{TrackedBox, Tracker, TrackerConfig};

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

/// Follows a stream, and says of a frame some frames later what is in it.
pub struct Labeller {
    config: LabelConfig,
    tracker: Tracker,
    recent: VecDeque<(u64, Vec<Detection>)>,
}

/// Boxes that overlap more are the same thing.
const SAME: f32 = 0.3;
/// A thing moves little from frame to frame.
const NEAR: f32 = 0.35;
/// Detections of at least this score begin a track; weaker ones go on with one.
const BIRTH: f32 = 0.2;

impl Labeller {
    /// Detections below this score say nothing.
    pub const FLOOR: f32 = 0.1;

    /// A labeller that has seen nothing.
    pub fn new(config: LabelConfig) -> Self {
        let tracker = TrackerConfig {
            birth_score: BIRTH,
            sure_score: BIRTH,
            min_hits: 1,
            delay: config.reach,
            hold: 2 * config.reach + 1,
            back_fill: 0,
            hold_once: 0,
            growth: 0.0,
        };
        Self { config, tracker: Tracker::new(tracker), recent: VecDeque::new() }
    }

    /// Takes what the detector found in `frame`, scores of at least [`Self::FLOOR`]; frames must rise.
    pub fn observe(&mut self, frame: u64, found: &[Detection]) {
        let found: Vec<Detection> = found.iter().filter(|d| d.score >= Self::FLOOR).copied().collect();
        self.tracker.observe(frame, &found);
        self.recent.push_back((frame, found));
        while self.recent.len() > 2 * self.config.reach as usize + 1 {
            self.recent.pop_front();
        }
        if let Some((oldest, _)) = self.recent.front() {
            self.tracker.forget_before(*oldest);
        }
    }

    /// Takes note that `frame` is the first of another scene.
    pub fn cut(&mut self, frame: u64) {
        self.tracker.cut(frame);
        self.recent.clear();
    }

    /// The frame that can be labelled now: the one with as many frames after it as count.
    pub fn ready(&self) -> Option<u64> {
        let reach = self.config.reach as usize;
        (self.recent.len() == 2 * reach + 1).then(|| self.recent.get(reach).map(|(frame, _)| *frame)).flatten()
    }

    /// Whether the latest frame has as many frames before it as count, so that it can be labelled in time.
    pub(crate) fn has_past(&self) -> bool {
        self.recent.len() > self.config.reach as usize
    }

    /// What may be in the frame that is [`ready`](Self::ready), the surest first and none overlapping; `taught` is what
    /// the teacher found in it. Nothing where no frame is ready.
    pub fn candidates(&self, taught: Option<&[Detection]>) -> Vec<Candidate> {
        let Some(frame) = self.ready() else { return Vec::new() };
        let reach = self.config.reach as usize;
        let here = self.recent.get(reach).map_or(&[][..], |(_, found)| found);
        let tracks = self.tracker.boxes_at(frame);
        let boxes = |found: &[Detection], source| {
            let loud = found.iter().filter(|d| d.score >= Self::FLOOR);
            loud.map(|d| (d.class, d.bbox, source)).collect::<Vec<(ObjectClass, BBox, Source)>>()
        };
        let mut all = boxes(taught.unwrap_or_default(), Source::Teacher);
        all.extend(boxes(here, Source::Detector));
        all.extend(tracks.iter().map(|t| (t.class, t.bbox, Source::Tracker)));
        let mut candidates: Vec<Candidate> = all
            .into_iter()
            .map(|(class, bbox, source)| {
                let evidence = self.evidence(here, &tracks, taught, class, &bbox);
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

    /// The labels of the frame that is ready; `classes` are the model's. Background has none.
    pub fn labels(&self, taught: Option<&[Detection]>, classes: &[ObjectClass]) -> Vec<Label> {
        let label = |c: Candidate| {
            let (class, confidence) = (classes.iter().position(|k| *k == c.class)?, c.evidence.confidence());
            let ignore = confidence < self.config.sure;
            (confidence >= self.config.unlikely).then_some(Label { class, bbox: c.bbox, ignore, source: c.source })
        };
        self.candidates(taught).into_iter().filter_map(label).collect()
    }

    fn evidence(
        &self,
        here: &[Detection],
        tracks: &[TrackedBox],
        taught: Option<&[Detection]>,
        class: ObjectClass,
        bbox: &BBox,
    ) -> Evidence {
        let reach = self.config.reach as usize;
        let best = |found: &[Detection], least: f32| {
            let there = found.iter().filter(|d| d.class == class && d.bbox.iou(bbox) > least);
            there.map(|d| d.score).fold(0.0, f32::max)
        };
        let others = self.recent.iter().enumerate().filter(|(at, _)| *at != reach).map(|(_, (_, found))| found);
        let around = others.map(|found| best(found, NEAR)).sum::<f32>() / (2 * reach).max(1) as f32;
        let own = tracks.iter().filter(|t| t.class == class && t.bbox.iou(bbox) > NEAR);
        let track = own.map(|t| t.mean_score).fold(0.0, f32::max);
        Evidence { score: best(here, 0.5), around, track, teacher: taught.map(|found| best(found, 0.5)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLASSES: [ObjectClass; 2] = [ObjectClass::Face, ObjectClass::Person];

    fn found(x: f32, score: f32) -> Detection {
        Detection { class: ObjectClass::Face, bbox: BBox::new(x, 20.0, 30.0, 30.0), score }
    }

    fn labels(frames: &[Vec<Detection>], taught: Option<&[Detection]>) -> Vec<Label> {
        let mut labeller = Labeller::new(LabelConfig::default());
        for (index, found) in (0..).zip(frames) {
            labeller.observe(index, found);
        }
        labeller.labels(taught, &CLASSES)
    }

    #[test]
    fn what_frames_agree_on_is_a_label() {
        let same = vec![vec![found(10.0, 0.7)]; 5];
        let all = labels(&same, None);
        assert!(matches!(&all[..], [Label { class: 0, ignore: false, source: Source::Detector, .. }]), "{all:?}");
        // Too early, and after another scene has begun, nothing can be said.
        assert!(labels(&same[..4], None).is_empty());
        let mut labeller = Labeller::new(LabelConfig::default());
        (0..5).for_each(|index| labeller.observe(index, &[found(10.0, 0.7)]));
        labeller.cut(5);
        assert_eq!((labeller.ready(), labeller.labels(None, &CLASSES).len()), (None, 0));
    }

    #[test]
    fn a_miss_is_filled_a_flash_is_doubted_and_a_faint_one_is_nothing() {
        let face = || vec![found(10.0, 0.9)];
        let missed = labels(&[face(), face(), vec![], face(), face()], None);
        assert!(matches!(&missed[..], [Label { source: Source::Tracker, .. }]), "{missed:?}");
        let flash = |score| labels(&[vec![], vec![], vec![found(10.0, score)], vec![], vec![]], None);
        assert!(flash(0.5).iter().all(|label| label.ignore) && flash(0.12).is_empty(), "{:?}", flash(0.5));
    }

    #[test]
    fn the_teacher_finds_what_the_detector_missed_and_draws_the_box() {
        let taught = [found(60.0, 0.8), found(12.0, 0.7)];
        let frames = vec![vec![found(10.0, 0.6)]; 5];
        let all = labels(&frames, Some(&taught));
        let at = |x: f32| all.iter().find(|label| label.bbox.x == x).map(|label| (label.ignore, label.source));
        assert_eq!(at(60.0), Some((false, Source::Teacher)), "{all:?}");
        assert_eq!(at(12.0), Some((false, Source::Detector)), "{all:?}");
        assert_eq!(all.len(), 2);
    }

    /// Its own search never makes a still's boxes sure: that takes the teacher, and more of it than where frames agree.
    #[test]
    fn a_still_alone_is_labelled_by_the_teacher() {
        let label = |score: f32, taught: f32| {
            let mut labeller = Labeller::new(LabelConfig { reach: 0, ..LabelConfig::default() });
            labeller.observe(0, &[found(10.0, score)]);
            labeller.labels(Some(&[found(11.0, taught)]), &CLASSES).first().map(|label| (label.bbox.x, label.ignore))
        };
        assert_eq!(label(0.7, 0.7), Some((11.0, false)));
        assert_eq!(label(0.9, 0.4), Some((11.0, true)));
        assert_eq!(label(0.2, 0.1), None);
        let around = labels(&vec![vec![found(10.0, 0.9)]; 5], Some(&[found(11.0, 0.4)]));
        assert!(!around[0].ignore, "{around:?}");
    }

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

        #[test]
        fn labels_do_not_overlap_whatever_is_found(
            frames in prop::collection::vec(prop::collection::vec((0.0f32..90.0, 0.0f32..1.0), 0..8), 5),
            taught in prop::option::of(prop::collection::vec((0.0f32..90.0, 0.0f32..1.0), 0..8)),
        ) {
            let frame = |boxes: &Vec<(f32, f32)>| boxes.iter().map(|b| found(b.0, b.1)).collect::<Vec<_>>();
            let frames: Vec<_> = frames.iter().map(frame).collect();
            let all = labels(&frames, taught.as_ref().map(frame).as_deref());
            for (i, a) in all.iter().enumerate() {
                prop_assert!(all[..i].iter().all(|b| a.bbox.iou(&b.bbox) < SAME));
            }
        }
    }
}
