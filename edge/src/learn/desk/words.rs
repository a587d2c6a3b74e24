//! Lessons and labels as an owner reads and writes them: JSON, without a pixel. Knows no network.

use serde::{Deserialize, Serialize};
use volet_models::{BBox, ObjectClass};

use super::super::buffer::{Buffer, BufferError, Entry};
use super::super::lesson::{Label, Lesson, Source};

/// A lesson in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its number.
    pub lesson: u64,
    /// The day that it was taken on, as in 2026-11-22.
    pub day: String,
    /// Whether models are judged by it, and nothing is learned from it.
    pub held_out: bool,
    /// Whether its labels are the owner's own.
    pub corrected: bool,
    /// Whether a teacher has looked at it since it was taken.
    pub taught: bool,
    /// Bytes of its file.
    pub bytes: u32,
}

/// A lesson's labels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shown {
    #[serde(flatten)]
    listed: Listed,
    width: u32,
    height: u32,
    labels: Vec<Said>,
}

/// A label.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    class: ObjectClass,
    /// Left, top, width, height, in pixels of the still.
    #[serde(rename = "box")]
    bbox: [f32; 4],
    /// Too uncertain to be learnt, one way or the other.
    #[serde(default)]
    ignore: bool,
    /// Why it is there. What an owner sends is the owner's, whatever this says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
}

/// What an owner says is in a lesson; what else [`Shown`] has may stand beside it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Correction {
    labels: Vec<Said>,
}

/// Why a correction is not taken.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum CorrectionError {
    #[error("there is no lesson {0} any more: `volet-edge label list` says which there are")]
    Gone(u64),
    #[error("{} is no class of this buffer; it has {has}", .class.name())]
    Class { class: ObjectClass, has: String },
    #[error(transparent)]
    Buffer(#[from] BufferError),
}

impl Shown {
    /// How many labels it has that are learned from, and how many that are too uncertain.
    pub fn labels(&self) -> (usize, usize) {
        let unsure = self.labels.iter().filter(|label| label.ignore).count();
        (self.labels.len() - unsure, unsure)
    }
}

impl Listed {
    fn of(entry: &Entry) -> Self {
        let Entry { number, held_out, corrected, taught, length, .. } = *entry;
        let taught = taught.is_some();
        Self { lesson: number, day: day(entry.day), held_out, corrected, taught, bytes: length }
    }
}

/// A day counted from 1970, as in 2026-11-22.
pub fn day(day: u32) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(i64::from(day) * 86_400);
    at.map_or_else(|_| day.to_string(), |at| at.date().to_string())
}

/// The lessons of a buffer, oldest first.
///
/// # Errors
/// A [`BufferError`].
pub fn list(buffer: &Buffer) -> Result<Vec<Listed>, BufferError> {
    Ok(buffer.entries()?.iter().map(Listed::of).collect())
}

/// A lesson's labels.
///
/// # Errors
/// A [`CorrectionError`].
pub fn show(buffer: &Buffer, number: u64) -> Result<Shown, CorrectionError> {
    let (entry, lesson) = find(buffer, number)?;
    let labels = lesson.labels.iter().filter_map(|label| {
        let BBox { x, y, w, h } = label.bbox;
        let class = *buffer.classes().get(label.class)?;
        Some(Said { class, bbox: [x, y, w, h], ignore: label.ignore, source: Some(label.source) })
    });
    let (width, height, labels) = (lesson.width, lesson.height, labels.collect());
    Ok(Shown { listed: Listed::of(&entry), width, height, labels })
}

/// Puts the owner's labels in place of whatever a lesson had. What has none is background from then on.
///
/// # Errors
/// A [`CorrectionError`].
pub fn correct(buffer: &Buffer, number: u64, correction: &Correction) -> Result<Listed, CorrectionError> {
    let label = |said: &Said| {
        let class = buffer.classes().iter().position(|class| *class == said.class);
        let has = || buffer.classes().iter().map(|class| class.name()).collect::<Vec<_>>().join(", ");
        let class = class.ok_or_else(|| CorrectionError::Class { class: said.class, has: has() })?;
        let [x, y, w, h] = said.bbox;
        Ok(Label { class, bbox: BBox::new(x, y, w, h), ignore: said.ignore, source: Source::Owner })
    };
    let labels = correction.labels.iter().map(label).collect::<Result<Vec<_>, CorrectionError>>()?;
    let entry = buffer.correct(number, &labels)?;
    entry.map(|entry| Listed::of(&entry)).ok_or(CorrectionError::Gone(number))
}

pub(super) fn find(buffer: &Buffer, number: u64) -> Result<(Entry, Lesson), CorrectionError> {
    let gone = || CorrectionError::Gone(number);
    let entry = buffer.entries()?.into_iter().find(|entry| entry.number == number).ok_or_else(gone)?;
    let lesson = buffer.read(&entry)?.ok_or_else(gone)?;
    Ok((entry, lesson))
}
