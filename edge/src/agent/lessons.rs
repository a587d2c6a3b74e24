//! The learning buffer as stills to learn from and to judge by.

use std::sync::Arc;

use volet_federated::RoundId;
use volet_models::{Model, Sample};

use super::limits::Learning;
use super::stills::{Part, Stills, Turn};
use super::talents::TalentError;
use super::teach::teach;
use crate::learn::buffer::Buffer;

/// What learning keeps of a still besides its pixels: two views, that is it and its mirror image, as they come out of the
/// shipped model's frozen part, 1.3 MB each at 640 x 384, and twice that where its head learns evenly
/// (`volet_models::adapt`). Bytes per pixel of a view, rounded up.
const PER_PIXEL: usize = 2 * 11;

/// The lessons of a buffer: as many as the memory allows.
pub struct Lessons {
    buffer: Arc<Buffer>,
    part: Part,
    /// The fewest that are learned from.
    fewest: usize,
    /// The most bytes that they may take in memory.
    most: usize,
}

impl Lessons {
    /// Part of a buffer's lessons, within the owner's limits.
    pub fn new(buffer: Arc<Buffer>, part: Part, limits: &Learning) -> Self {
        Self { buffer, part, fewest: limits.lessons, most: (limits.megabytes as usize) << 20 }
    }
}

impl Stills for Lessons {
    /// Has the model's teacher look at lessons that it has not seen, whatever part they are in: models are judged by its labels
    /// too. Learning does not hang on it.
    fn improve(&mut self, model: &Model, round: RoundId, on: &dyn Fn() -> bool) {
        // Reading says what is wrong.
        if self.buffer.classes() != model.manifest().classes {
            return;
        }
        match teach(&self.buffer, model, round, self.most, on) {
            Ok(0) => {}
            Ok(searched) => tracing::info!(searched, "the teacher has looked at lessons"),
            Err(error) => tracing::warn!(%error, "the teacher could not look at lessons; their labels stay"),
        }
    }

    /// For a round: those that the owner labelled first, then others, other ones in every round. To judge by: the
    /// newest first.
    fn read(&mut self, model: &Model, turn: Option<Turn>) -> Result<Vec<Sample>, TalentError> {
        if self.buffer.classes() != model.manifest().classes {
            let why = "holds lessons for a model of other classes: make another buffer for this one";
            return Err(TalentError::failed(format!("{} {why}", self.place())));
        }
        let mut entries = self.buffer.entries().map_err(TalentError::failed)?;
        entries.retain(|entry| self.part.has(entry.held_out));
        if turn.is_some() && entries.len() < self.fewest {
            let (have, need) = (entries.len(), self.fewest);
            return Err(TalentError::NotNow(format!("{have} lessons are there to learn from, and {need} are due")));
        }
        match turn {
            Some(turn) => entries.sort_by_cached_key(|entry| (!entry.corrected, turn.of(entry.number))),
            None => entries.reverse(),
        }
        let (mut samples, mut pixels, mut largest) = (Vec::new(), 0, 0);
        let most = turn.map_or(usize::MAX, |turn| turn.most);
        for entry in &entries {
            if samples.len() >= most {
                break;
            }
            // One that went meanwhile, or is damaged, is no reason to learn from none.
            let Some(lesson) = self.buffer.read(entry).map_err(TalentError::failed)? else { continue };
            // All views have one size, that of the largest.
            let (width, height) = model.manifest().input.size_for(lesson.width, lesson.height);
            (pixels, largest) = (pixels + lesson.rgb.len(), largest.max(width as usize * height as usize));
            if pixels + (samples.len() + 1) * largest * PER_PIXEL > self.most {
                break;
            }
            samples.push(lesson.sample());
        }
        Ok(samples)
    }

    fn place(&self) -> String {
        self.buffer.dir().display().to_string()
    }
}
