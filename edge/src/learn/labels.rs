//! Labels from agreement over time: a detector is followed through a stream, and some frames later what it found around a frame
//! says what is in it ([`Moment`]).
//!
//! Knows boxes, scores and frame numbers; no pixels, no truth.

use std::collections::VecDeque;

use volet_models::{Detection, ObjectClass};

use super::lesson::Label;
use super::moment::{Candidate, LabelConfig, Moment};
use crate::track::{TrackedBox, Tracker, TrackerConfig};

/// Follows a stream, and says of a frame some frames later what is in it.
pub struct Labeller {
    config: LabelConfig,
    tracker: Tracker,
    recent: VecDeque<(u64, Vec<Detection>)>,
}

/// Detections of at least this score begin a track; weaker ones go on with one.
const BIRTH: f32 = 0.2;

impl Labeller {
    /// Detections below this score say nothing.
    pub const FLOOR: f32 = Moment::FLOOR;

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

    /// What was found in and around the frame that is [`ready`](Self::ready); none where none is.
    pub fn moment(&self) -> Option<Moment> {
        let frame = self.ready()?;
        let found = |same: bool| self.recent.iter().filter(move |(at, _)| (*at == frame) == same);
        let track = |t: TrackedBox| Detection { class: t.class, bbox: t.bbox, score: t.mean_score };
        Some(Moment {
            here: found(true).flat_map(|(_, found)| found).copied().collect(),
            around: found(false).map(|(_, found)| found.clone()).collect(),
            tracks: self.tracker.boxes_at(frame).map(track).collect(),
        })
    }

    /// As [`Moment::candidates`] of the frame that is ready; nothing where none is.
    pub fn candidates(&self, taught: Option<&[Detection]>) -> Vec<Candidate> {
        self.moment().map_or_else(Vec::new, |moment| moment.candidates(taught))
    }

    /// As [`Moment::labels`] of the frame that is ready; nothing where none is.
    pub fn labels(&self, taught: Option<&[Detection]>, classes: &[ObjectClass]) -> Vec<Label> {
        self.moment().map_or_else(Vec::new, |moment| moment.labels(taught, &self.config, classes))
    }
}

#[cfg(test)]
mod tests {
    use super::super::lesson::Source;
    use super::*;
    use proptest::prelude::*;
    use volet_models::BBox;

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
        #[test]
        fn labels_do_not_overlap_whatever_is_found(
            frames in prop::collection::vec(prop::collection::vec((0.0f32..90.0, 0.0f32..1.0), 0..8), 5),
            taught in prop::option::of(prop::collection::vec((0.0f32..90.0, 0.0f32..1.0), 0..8)),
        ) {
            let frame = |boxes: &Vec<(f32, f32)>| boxes.iter().map(|b| found(b.0, b.1)).collect::<Vec<_>>();
            let frames: Vec<_> = frames.iter().map(frame).collect();
            let all = labels(&frames, taught.as_ref().map(frame).as_deref());
            for (i, a) in all.iter().enumerate() {
                prop_assert!(all[..i].iter().all(|b| a.bbox.iou(&b.bbox) < 0.3));
            }
        }
    }
}
