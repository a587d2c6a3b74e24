//! What an agent has others do for it: learn from the camera's own pictures, and judge models by them. Both see a model
//! as the vector that is added to its trainable part.

use std::sync::{Arc, Mutex};

use volet_federated::RoundId;

/// Why nothing was learned, or a model not judged.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum TalentError {
    #[error("this model cannot be used: {0}")]
    Unfit(String),
    #[error("learning or judging failed: {0}")]
    Failed(String),
    #[error("not now: {0}")]
    NotNow(String),
    #[error("learning was stopped before its first step: {0}")]
    Stopped(String),
    #[error("learning or judging ended unexpectedly; start the agent again")]
    Lost,
}

impl TalentError {
    pub(super) fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Learns from what the camera saw.
pub trait Learner: Send + 'static {
    /// The update that a round is given: what the model that has learned `active` should learn besides. Computed before
    /// the round begins, and not bound by its clip norm.
    ///
    /// # Errors
    /// A [`TalentError`]: the camera sits the round out. After [`TalentError::NotNow`] it asks again while the round
    /// gathers sites; after [`TalentError::Stopped`] it does not.
    fn update(&mut self, active: &[f32], round: RoundId) -> Result<Vec<f32>, TalentError>;
}

/// Judges models on frames that nothing is learned from.
pub trait Judge: Send + 'static {
    /// How good the model that has learned this is; more is better, and no number is worst.
    ///
    /// # Errors
    /// [`TalentError::Unfit`]: the model is refused. [`TalentError::Failed`]: it is judged again later.
    fn judge(&mut self, learned: &[f32]) -> Result<f64, TalentError>;

    /// How good two models are, on the same frames.
    ///
    /// # Errors
    /// As of [`judge`](Self::judge).
    fn compare(&mut self, present: &[f32], next: &[f32]) -> Result<(f64, f64), TalentError> {
        Ok((self.judge(present)?, self.judge(next)?))
    }
}

/// An agent's talents.
pub struct Talents {
    /// Values in the model's trainable part.
    pub parameters: usize,
    /// Without one the camera follows releases and takes part in no round.
    pub learner: Option<Box<dyn Learner>>,
    /// Judges releases before they are used.
    pub judge: Box<dyn Judge>,
}

/// A talent that may still be at work for somebody who no longer waits for it.
pub(super) struct Shared<T: ?Sized>(Arc<Mutex<Box<T>>>);

impl<T: ?Sized> From<Box<T>> for Shared<T> {
    fn from(talent: Box<T>) -> Self {
        Self(Arc::new(Mutex::new(talent)))
    }
}

impl<T: ?Sized + Send + 'static> Shared<T> {
    /// Lets the talent work on a thread of its own, when it is done with what it was given before.
    pub(super) async fn work<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut T) -> Result<R, TalentError> + Send + 'static,
    ) -> Result<R, TalentError> {
        let talent = self.0.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut talent = talent.lock().map_err(|_| TalentError::Lost)?;
            work(&mut talent)
        });
        done.await.map_err(|_| TalentError::Lost)?
    }
}
