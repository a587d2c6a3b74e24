//! Lessons from a stream: now and then a still is kept that the frames around it tell something about.
//!
//! Stands beside the pipeline and hears what its detector found. A frame that is to be a lesson is copied when it comes
//! by, and labelled some frames later. Nothing here can make the pipeline fail.
//!
//! Knows frames, boxes and times; not where lessons are kept.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use volet_models::{Detection, ObjectClass};

use super::labels::Labeller;
use super::lesson::Lesson;
use super::moment::{LabelConfig, Moment};
use crate::frame::RawFrame;
use crate::sample::Sampler;

/// Whoever keeps lessons.
pub trait Keep: fmt::Debug + Send + Sync {
    /// Keeps one, and what its labels were made from.
    ///
    /// # Errors
    /// Why it could not, for people to read.
    fn keep(&self, lesson: &Lesson, moment: &Moment) -> Result<(), String>;
}

/// How lessons are taken from streams.
#[derive(Clone, Debug)]
pub struct Lessons {
    /// Who keeps them.
    pub keep: Arc<dyn Keep>,
    /// The model's classes: what labels are numbered by.
    pub classes: Vec<ObjectClass>,
    /// How much time of the stream passes between two lessons, at least.
    pub every: Duration,
    /// How much is believed.
    pub labels: LabelConfig,
}

/// The longer side of a lesson's still, pixels, at most: more than most searches see, so that a teacher can look closer.
const LONGEST: u32 = 960;

/// Frames that are heard of are at least so far apart: closer ones say the same again. The labels' evidence was weighed at
/// five frames a second.
const SPACING: Duration = Duration::from_millis(150);

/// Watches one stream.
pub(crate) struct Watcher {
    lessons: Lessons,
    labeller: Labeller,
    sampler: Sampler,
    /// From when on the next lesson may be taken.
    due: Duration,
    /// When a frame was last heard of.
    heard: Option<Duration>,
    /// The frame that is to be a lesson, and pixels of it per pixel of the stream's.
    held: Option<(u64, Lesson, f32)>,
    failing: bool,
}

impl Watcher {
    pub(crate) fn new(lessons: Lessons) -> Self {
        let labeller = Labeller::new(lessons.labels);
        Self {
            lessons,
            labeller,
            sampler: Sampler::new(),
            due: Duration::ZERO,
            heard: None,
            held: None,
            failing: false,
        }
    }

    /// Takes a frame that was searched, and what was found in it; frames rise.
    pub(crate) fn observe(&mut self, index: u64, time: Duration, frame: &RawFrame, found: &[Detection]) {
        if self.heard.is_some_and(|heard| time < heard + SPACING) {
            return;
        }
        self.heard = Some(time);
        self.labeller.observe(index, found);
        // A still with nothing in it teaches little.
        let promising = found.iter().any(|d| d.score >= Labeller::FLOOR);
        if self.held.is_none() && time >= self.due && promising && self.labeller.has_past() {
            let (width, height, rgb) = self.sampler.picture(frame, LONGEST);
            let scale = width as f32 / frame.geometry().width() as f32;
            self.held = Some((index, Lesson { width, height, rgb, labels: Vec::new() }, scale));
            self.due = time + self.lessons.every;
        }
        let Some(ready) = self.labeller.ready() else { return };
        let held = self.held.take_if(|(held, ..)| *held <= ready);
        if let Some((_, lesson, scale)) = held.filter(|(held, ..)| *held == ready) {
            self.hand_in(lesson, scale);
        }
    }

    /// Another scene begins with this frame: what was held is about the one before.
    pub(crate) fn cut(&mut self, index: u64) {
        self.labeller.cut(index);
        self.held = None;
    }

    fn hand_in(&mut self, mut lesson: Lesson, scale: f32) {
        let Some(moment) = self.labeller.moment().map(|moment| moment.scaled(scale)) else { return };
        lesson.labels = moment.labels(None, &self.lessons.labels, &self.lessons.classes);
        // A track may lead out of the picture.
        lesson.labels.retain(|label| label.is_inside(lesson.width, lesson.height));
        // Without a label of its own a still tells that there is nothing, which may be wrong.
        if lesson.labels.is_empty() {
            return;
        }
        let kept = self.lessons.keep.keep(&lesson, &moment);
        if let (Err(error), false) = (&kept, self.failing) {
            tracing::warn!(%error, "a lesson could not be kept; the stream goes on");
        }
        self.failing = kept.is_err();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::frame::{Color, Geometry, PixelFormat};
    use crate::learn::Source;
    use volet_models::BBox;

    const CLASSES: [ObjectClass; 2] = [ObjectClass::Person, ObjectClass::Face];

    #[derive(Debug, Default)]
    struct Drawer {
        lessons: Mutex<Vec<Lesson>>,
        full: bool,
    }

    impl Keep for Drawer {
        fn keep(&self, lesson: &Lesson, moment: &Moment) -> Result<(), String> {
            assert_eq!(moment.labels(None, &LabelConfig::default(), &CLASSES), lesson.labels);
            self.lessons.lock().unwrap().push(lesson.clone());
            if self.full { Err("the drawer is full".to_owned()) } else { Ok(()) }
        }
    }

    fn frame(width: u32, height: u32) -> RawFrame {
        let geometry = Geometry::new(PixelFormat::Rgb8, width, height).unwrap();
        let grey = vec![90_u8; (width * height * 3) as usize];
        RawFrame::new(0, Duration::ZERO, geometry, Color::untagged(height), grey).unwrap()
    }

    fn face(x: f32, score: f32) -> Detection {
        Detection { class: ObjectClass::Face, bbox: BBox::new(x, 40.0, 60.0, 60.0), score }
    }

    /// Lessons of a stream of so many frames a second, with one due every ten seconds.
    fn watched(seconds: u64, fps: u64, full: bool, found: impl Fn(u64) -> Vec<Detection>) -> Vec<Lesson> {
        let drawer = Arc::new(Drawer { full, ..Drawer::default() });
        let keep: Arc<dyn Keep> = drawer.clone();
        let every = Duration::from_secs(10);
        let classes = CLASSES.to_vec();
        let mut watcher = Watcher::new(Lessons { keep, classes, every, labels: LabelConfig::default() });
        let frame = frame(1920, 480);
        for index in 0..seconds * fps {
            watcher.observe(index, Duration::from_millis(index * 1000 / fps), &frame, &found(index));
        }
        drop(watcher);
        Arc::into_inner(drawer).unwrap().lessons.into_inner().unwrap()
    }

    #[test]
    fn lessons_are_as_far_apart_as_was_asked_and_small() {
        let lessons = watched(35, 30, false, |_| vec![face(100.0, 0.9)]);
        assert_eq!(lessons.len(), 4);
        for lesson in &lessons {
            assert_eq!((lesson.width, lesson.height, lesson.rgb.len()), (960, 240, 960 * 240 * 3));
            assert!(lesson.rgb.iter().all(|v| *v == 90));
            let label = lesson.labels[0];
            assert_eq!((label.class, label.ignore, label.bbox), (1, false, BBox::new(50.0, 20.0, 30.0, 30.0)));
        }
    }

    #[test]
    fn a_miss_between_two_finds_is_a_face_and_a_flash_is_none() {
        // The third frame is the first that has two before it, and the next lesson is due ten seconds later.
        let missed = |index| if index == 12 { vec![face(400.0, 0.15)] } else { vec![face(100.0, 0.9)] };
        let lessons = watched(16, 1, false, missed);
        let labels = &lessons[1].labels;
        assert!(labels.iter().any(|l| l.source == Source::Tracker && l.bbox.x == 50.0), "{labels:?}");
        assert!(labels.iter().all(|l| l.ignore || l.bbox.x < 100.0), "{labels:?}");
    }

    #[test]
    fn nothing_is_kept_where_nothing_is_and_a_full_drawer_stops_nobody() {
        assert!(watched(30, 5, false, |_| Vec::new()).is_empty());
        assert_eq!(watched(25, 5, true, |_| vec![face(9.0, 0.9)]).len(), 3);
    }
}
