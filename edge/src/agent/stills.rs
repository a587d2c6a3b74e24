//! Learning from stills and judging by them, wherever they come from: a folder of pictures, or the learning buffer.

use volet_federated::RoundId;
use volet_models::adapt::{AdaptError, Settings, adapt};
use volet_models::evaluate::quality;
use volet_models::{Model, Sample, StillError};

use super::pace::Pace;
use super::talents::{Judge, Learner, TalentError};

/// Which stills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All.
    All,
    /// All but every fifth.
    Learned,
    /// Every fifth.
    HeldOut,
}

impl Part {
    /// Whether these are some of them.
    pub(super) fn has(self, held_out: bool) -> bool {
        self == Self::All || (self == Self::HeldOut) == held_out
    }
}

/// Whose turn it is in a round, of more stills than one round learns from.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// Each round has an order of its own.
    pub round: RoundId,
    /// The most stills.
    pub most: usize,
}

impl Turn {
    /// The place of a still's number: an order of chance, the same one whenever it is asked for.
    pub(super) fn of(&self, number: u64) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.round.task().as_bytes()).update(&self.round.number().to_le_bytes());
        hasher.update(&number.to_le_bytes()).finalize().into()
    }
}

/// Where annotated stills come from.
pub trait Stills: Send + 'static {
    /// As they are now, with boxes of the model's classes; for a round, those whose turn it is.
    ///
    /// # Errors
    /// [`TalentError::NotNow`] where there are too few to learn from, [`TalentError::Failed`].
    fn read(&mut self, model: &Model, turn: Option<Turn>) -> Result<Vec<Sample>, TalentError>;

    /// Improves their labels by a closer look with the model in use, as long as `on` says so.
    fn improve(&mut self, _model: &Model, _round: RoundId, _on: &dyn Fn() -> bool) {}

    /// Where they lie, in words.
    fn place(&self) -> String;
}

/// Learns from stills, as they are when a round begins.
pub struct StillLearner<S> {
    model: Model,
    stills: S,
    pace: Pace,
}

/// Judges by stills, as they are when a release comes.
pub struct StillJudge<S> {
    model: Model,
    stills: S,
}

/// The share of a learning's time that better labels may take; what they leave undone another learning does.
const TEACHING: f64 = 0.25;

impl<S: Stills> StillLearner<S> {
    /// Learns the trainable part of `model`'s file from stills, as fast as it may.
    pub fn new(model: Model, stills: S, pace: Pace) -> Self {
        Self { model, stills, pace }
    }
}

impl<S: Stills> StillJudge<S> {
    /// Judges what is learned of `model`'s file by stills.
    pub fn new(model: Model, stills: S) -> Self {
        Self { model, stills }
    }

    /// The average precision of faces; 0 for every model where there is no still to judge by.
    fn by(&self, learned: &[f32], samples: &[Sample]) -> Result<f64, TalentError> {
        let unfit = |error: &dyn std::fmt::Display| TalentError::Unfit(error.to_string());
        let model = self.model.learned(learned).map_err(|error| unfit(&error))?;
        model.at(None).map_err(|error| unfit(&error))?;
        match quality(&model, samples) {
            Ok(quality) => Ok(f64::from(quality.average_precision)),
            Err(StillError::NoSamples | StillError::NoFaces(_)) => Ok(0.0),
            Err(error @ (StillError::Load(_) | StillError::Detect(_))) => Err(unfit(&error)),
            Err(error) => Err(TalentError::failed(error)),
        }
    }
}

impl<S: Stills> Learner for StillLearner<S> {
    fn update(&mut self, active: &[f32], round: RoundId) -> Result<Vec<f32>, TalentError> {
        let going = self.pace.begin()?;
        let present = self.model.learned(active).map_err(TalentError::failed)?;
        self.stills.improve(&present, round, &|| going.within(TEACHING));
        let recipe = Settings::of(&self.model.manifest().trainable.recipe);
        let samples = self.stills.read(&self.model, Some(Turn { round, most: recipe.stills() }))?;
        // A class that nobody labels must weigh nothing, or the network learns that there is none of it.
        let labels = |class: usize| samples.iter().any(|sample| sample.boxes.iter().any(|b| b.class == class));
        let weight = |class| if labels(class) { 1.0 } else { 0.0 };
        let class_weights: Vec<f32> = (0..self.model.manifest().classes.len()).map(weight).collect();
        if class_weights.iter().all(|weight| *weight == 0.0) {
            return Err(TalentError::failed(format!("{} holds no labels to learn from", self.stills.place())));
        }
        let settings = Settings { class_weights, seed: round.number(), ..recipe };
        let learned = adapt(&self.model, active, &samples, &settings, &|| going.on());
        learned.map_err(|error| match error {
            AdaptError::Stopped => TalentError::Stopped(going.why()),
            error => TalentError::failed(error),
        })
    }
}

impl<S: Stills> Judge for StillJudge<S> {
    fn judge(&mut self, learned: &[f32]) -> Result<f64, TalentError> {
        let samples = self.stills.read(&self.model, None)?;
        self.by(learned, &samples)
    }

    fn compare(&mut self, present: &[f32], next: &[f32]) -> Result<(f64, f64), TalentError> {
        let samples = self.stills.read(&self.model, None)?;
        Ok((self.by(present, &samples)?, self.by(next, &samples)?))
    }
}
