//! Better labels for a buffer's lessons: the teacher looks at each closer than the camera had time to, with the model in use now.
//!
//! A lesson's file says whose teacher has searched it, so that nothing is done twice for one model, whenever it is
//! interrupted; another model is another teacher. What the owner corrected is left alone. A lesson at a time is in memory.

use std::num::NonZeroU32;

use volet_federated::RoundId;
use volet_models::{Model, Sample, StillError, Teacher};

use super::stills::Turn;
use crate::learn::LabelConfig;
use crate::learn::buffer::{Buffer, BufferError, Entry};

/// Why lessons stay as they are.
#[derive(Debug, thiserror::Error)]
pub(super) enum TeachError {
    #[error(transparent)]
    Buffer(#[from] BufferError),
    #[error(transparent)]
    Still(#[from] StillError),
    #[error("a lesson of {width}x{height} is too large to be searched closely in {megabytes} MB")]
    Memory { width: u32, height: u32, megabytes: usize },
}

/// Bytes of a network's input for each of its pixels.
const PER_PIXEL: usize = 12;

/// Has the model's teacher search lessons that it has not, while `on` says so, within so many bytes for a lesson and the
/// network's input; how many it did. First come those that no teacher has ever searched, and among them those whose turn it
/// is in `round`.
pub(super) fn teach(
    buffer: &Buffer,
    model: &Model,
    round: RoundId,
    most: usize,
    on: &dyn Fn() -> bool,
) -> Result<usize, TeachError> {
    let name = name(model);
    let mut due = buffer.entries()?;
    due.retain(|entry| !entry.corrected && entry.taught != Some(name));
    let turn = Turn { round, most: usize::MAX };
    due.sort_by_cached_key(|entry| (entry.taught.is_some(), turn.of(entry.number)));
    let mut done = 0;
    for entry in &due {
        if !on() {
            break;
        }
        done += usize::from(one(buffer, model, name, most, entry)?);
    }
    Ok(done)
}

/// Improves one lesson, if it is there and whole.
fn one(buffer: &Buffer, model: &Model, name: NonZeroU32, most: usize, entry: &Entry) -> Result<bool, TeachError> {
    let Some((lesson, moment)) = buffer.recall(entry)? else { return Ok(false) };
    // What its labels were made from is unknown, and what the teacher sees alone is less than they say.
    let Some(moment) = moment else { return Ok(buffer.improve(entry.number, &lesson.labels, name)?.is_some()) };
    let teacher = Teacher::of_stills(model, None, lesson.width, lesson.height);
    let (width, height) = teacher.largest(model, lesson.width, lesson.height);
    if lesson.rgb.len() + width as usize * height as usize * PER_PIXEL > most {
        let (width, height) = (lesson.width, lesson.height);
        return Err(TeachError::Memory { width, height, megabytes: most >> 20 });
    }
    let still = Sample { width: lesson.width, height: lesson.height, rgb: lesson.rgb, boxes: Vec::new() };
    let taught = teacher.search(model, &still)?;
    let mut labels = moment.labels(Some(&taught), &LabelConfig::default(), &model.manifest().classes);
    // A track may lead out of the picture.
    labels.retain(|label| label.is_inside(still.width, still.height));
    Ok(buffer.improve(entry.number, &labels, name)?.is_some())
}

/// What a model's teacher is called in a lesson's file.
fn name(model: &Model) -> NonZeroU32 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(model.manifest().blake3.to_string().as_bytes());
    model.trained().unwrap_or_default().iter().for_each(|value| {
        hasher.update(&value.to_le_bytes());
    });
    let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
    NonZeroU32::new(u32::from_le_bytes([a, b, c, d])).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::agent::pace::tests::Fake;
    use crate::agent::{Learner, Learning, Lessons, Pace, Part, StillLearner};
    use crate::learn::buffer::{Identity, Limits, init_with, status};
    use crate::learn::{Label, Lesson, Moment, Source};
    use volet_federated::TaskId;
    use volet_models::{BBox, Detection, ObjectClass, builtin};

    const FACE: BBox = BBox::new(20.0, 10.0, 24.0, 30.0);

    fn round(number: u64) -> RoundId {
        RoundId::new(TaskId::from_bytes([7; 16]), number).unwrap()
    }

    /// What was found where a face was seen all the time; the still is noise, in which no teacher finds any.
    fn moment() -> Moment {
        let found = vec![Detection { class: ObjectClass::Face, bbox: FACE, score: 0.6 }];
        Moment { here: found.clone(), around: vec![found.clone(); 4], tracks: found }
    }

    fn lesson(seed: u32) -> Lesson {
        let mut rgb = vec![0; 96 * 64 * 3];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut rgb);
        let labels = vec![Label { class: 0, bbox: FACE, ignore: false, source: Source::Detector }];
        Lesson { width: 96, height: 64, rgb, labels }
    }

    /// A buffer with this many lessons.
    fn filled(parent: &Path, lessons: u32) -> Buffer {
        let (dir, classes) = (parent.join("buffer"), builtin::default_model().unwrap().manifest().classes.clone());
        init_with(&dir, &parent.join("identity"), &classes, Limits::default()).unwrap();
        let writer = Buffer::writer(&dir, &classes).unwrap();
        (0..lessons).for_each(|seed| assert!(writer.add(&lesson(seed), Some(&moment())).is_ok()));
        opened(parent)
    }

    /// As a process that starts finds it.
    fn opened(parent: &Path) -> Buffer {
        let dir = parent.join("buffer");
        Buffer::open(&dir, Identity::read(&parent.join("identity"), &dir).unwrap()).unwrap()
    }

    fn until(times: usize) -> impl Fn() -> bool {
        let asked = std::cell::Cell::new(0);
        move || asked.replace(asked.get() + 1) < times
    }

    const AMPLE: usize = 64 << 20;

    #[test]
    fn what_was_interrupted_goes_on_and_another_model_begins_anew() {
        let parent = tempfile::tempdir().unwrap();
        let (buffer, model) = (filled(parent.path(), 5), builtin::default_model().unwrap());
        assert_eq!(teach(&buffer, &model, round(1), AMPLE, &until(2)).unwrap(), 2);
        drop(buffer);
        let buffer = opened(parent.path());
        let taught = || buffer.entries().unwrap().iter().filter(|entry| entry.taught.is_some()).count();
        assert_eq!(taught(), 2);
        assert_eq!(teach(&buffer, &model, round(2), AMPLE, &|| true).unwrap(), 3);
        assert_eq!((taught(), status(buffer.dir()).unwrap().taught), (5, 5));
        assert_eq!(teach(&buffer, &model, round(3), AMPLE, &|| true).unwrap(), 0);
        // Nothing learned is the same model; a release is another.
        let zeros = vec![0.0; model.trainable_len().unwrap()];
        assert_eq!(teach(&buffer, &model.learned(&zeros).unwrap(), round(3), AMPLE, &|| true).unwrap(), 0);
        let next = model.learned(&vec![0.001; zeros.len()]).unwrap();
        let writer = Buffer::writer(buffer.dir(), buffer.classes()).unwrap();
        let new = writer.add(&lesson(9), Some(&moment())).unwrap().number;
        // One that nobody has seen comes before those that are to be seen again.
        assert_eq!(teach(&buffer, &next, round(4), AMPLE, &until(1)).unwrap(), 1);
        let of_next = |entry: &Entry| entry.taught == Some(name(&next));
        let seen: Vec<u64> = buffer.entries().unwrap().iter().filter(|e| of_next(e)).map(|e| e.number).collect();
        assert_eq!(seen, [new]);
        assert_eq!(teach(&buffer, &next, round(5), AMPLE, &|| true).unwrap(), 5);
    }

    #[test]
    fn labels_follow_from_all_that_is_known_and_the_owner_s_stay() {
        let parent = tempfile::tempdir().unwrap();
        let (buffer, model) = (filled(parent.path(), 3), builtin::default_model().unwrap());
        let writer = Buffer::writer(buffer.dir(), buffer.classes()).unwrap();
        let unknown = writer.add(&lesson(7), None).unwrap().number;
        let owners = [Label { bbox: BBox::new(1.0, 1.0, 9.0, 9.0), ignore: false, class: 0, source: Source::Owner }];
        let corrected = buffer.correct(1, &owners).unwrap().unwrap();
        assert_eq!(teach(&buffer, &model, round(1), AMPLE, &|| true).unwrap(), 3);
        for entry in buffer.entries().unwrap() {
            let (found, kept) = buffer.recall(&entry).unwrap().unwrap();
            if entry.number == corrected.number {
                assert_eq!((entry, &found.labels[..]), (corrected, &owners[..]));
            } else if entry.number == unknown {
                assert_eq!((found.labels, kept), (lesson(7).labels, None));
            } else {
                let taught = Teacher::default().search(&model, &found.sample()).unwrap();
                let config = LabelConfig::default();
                assert_eq!(found.labels, moment().labels(Some(&taught), &config, buffer.classes()));
                assert_ne!(found.labels, moment().labels(None, &config, buffer.classes()), "the teacher sees none");
                assert_eq!(kept, Some(moment()), "the next teacher begins with the same");
            }
        }
    }

    #[test]
    fn one_that_is_damaged_is_left_out_and_the_rest_goes_on() {
        let parent = tempfile::tempdir().unwrap();
        let (buffer, model) = (filled(parent.path(), 4), builtin::default_model().unwrap());
        let file = buffer.dir().join(buffer.entries().unwrap()[1].to_string());
        let mut bytes = std::fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(teach(&buffer, &model, round(1), AMPLE, &|| true).unwrap(), 3);
        let status = status(buffer.dir()).unwrap();
        assert_eq!((status.lessons, status.taught, status.damaged), (3, 3, 1));
    }

    #[test]
    fn time_and_memory_are_kept_to() {
        let parent = tempfile::tempdir().unwrap();
        let (buffer, model) = (filled(parent.path(), 8), builtin::default_model().unwrap());
        let before = buffer.entries().unwrap();
        assert_eq!(teach(&buffer, &model, round(1), AMPLE, &|| false).unwrap(), 0);
        assert!(matches!(teach(&buffer, &model, round(1), 20_000, &|| true), Err(TeachError::Memory { .. })));
        assert_eq!(buffer.entries().unwrap(), before);
        // A second goes by with every look at the clock: the teacher has five of twenty, and what is left is learned in.
        let limits = Learning { lessons: 1, seconds: 20, celsius: 150.0, ..Learning::default() };
        let lessons = Lessons::new(std::sync::Arc::new(buffer), Part::All, &limits);
        let pace = Pace::new(limits, Box::new(Fake::ticking(1)));
        let zeros = vec![0.0; model.trainable_len().unwrap()];
        let mut learner = StillLearner::new(model, lessons, pace);
        let taught = || status(&parent.path().join("buffer")).unwrap().taught;
        let _ = learner.update(&zeros, round(1));
        assert!((3..=5).contains(&taught()), "{}", taught());
        let _ = learner.update(&zeros, round(2));
        assert_eq!(taught(), 8);
    }
}
