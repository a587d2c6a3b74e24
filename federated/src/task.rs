//! Tasks: what a team asks devices to learn, signed, and whether a round is one of its rounds (G7).
//!
//! Knows no policy: whether a device may take part is its [`budget`](crate::budget)'s to say.

use prost::Message;
use volet_proto::v1;

use crate::budget::{self, LineageId};
use crate::mechanism::{Mechanism, MechanismError};
use crate::secagg;
use crate::signing::{SigningKey, VerifyingKey};
use crate::{ClipNorm, CohortSize, IdError, NoiseMultiplier, PrivacyError, RoundId, TaskId};

/// Why a task does not count, or a round is none of its rounds.
#[derive(Debug, thiserror::Error, PartialEq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum TaskError {
    #[error("the task is not signed by the key that this device trusts")]
    Signature,
    #[error("the task cannot be read: {0}")]
    Malformed(&'static str),
    #[error("the task cannot be: {0}")]
    Id(#[from] IdError),
    #[error("the task cannot be: {0}")]
    Privacy(#[from] PrivacyError),
    #[error("the task cannot be: {0}")]
    Mechanism(#[from] MechanismError),
    #[error("the round is not as its task says: its {what} is {offered}, and the task's {signed}")]
    Round { what: &'static str, offered: u64, signed: u64 },
    #[error("the round is of task {offered}, and what is signed is task {signed}")]
    Other { offered: TaskId, signed: TaskId },
}

/// What is to be learned, and at what price.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Which task.
    pub id: TaskId,
    /// The model that learns.
    pub lineage: LineageId,
    /// Values in an update.
    pub parameters: u32,
    /// The clip norm C.
    pub clip: ClipNorm,
    /// The noise multiplier z of a sum.
    pub noise: NoiseMultiplier,
    /// How many colluding sites a site's share of the noise is sized for.
    pub corrupt: u32,
    /// The fewest sites in a sum.
    pub minimum: CohortSize,
    /// How many rounds there are to be.
    pub rounds: u64,
    /// Whether rounds are buffered: one report under a split mask, and a helper that opens the masks' sum.
    pub buffered: bool,
}

impl Task {
    /// Signs the task.
    pub fn sign(&self, key: &SigningKey) -> v1::SignedTask {
        let task = v1::Task {
            id: Some(v1::TaskId { id: self.id.as_bytes().to_vec() }),
            lineage: self.lineage.as_bytes().to_vec(),
            parameters: self.parameters,
            clip_norm: self.clip.get(),
            noise_multiplier: self.noise.get(),
            corrupt: self.corrupt,
            minimum: self.minimum.get(),
            rounds: self.rounds,
            buffered: self.buffered,
        };
        let task = task.encode_to_vec();
        let signature = key.sign(&message(&task)).to_bytes().to_vec();
        v1::SignedTask { task, signature }
    }

    /// The task, if this key signed it and it can be.
    ///
    /// # Errors
    /// All but [`TaskError::Round`] and [`TaskError::Other`].
    pub fn verify(signed: &v1::SignedTask, key: &VerifyingKey) -> Result<Self, TaskError> {
        if !key.signed(&message(&signed.task), &signed.signature) {
            return Err(TaskError::Signature);
        }
        let task = v1::Task::decode(signed.task.as_slice()).map_err(|_| TaskError::Malformed("it is no task"))?;
        let id = task.id.and_then(|id| <[u8; 16]>::try_from(id.id).ok());
        let lineage = <[u8; 32]>::try_from(task.lineage).map_err(|_| TaskError::Malformed("its lineage is no hash"))?;
        let task = Self {
            id: TaskId::from_bytes(id.ok_or(TaskError::Malformed("its id is none"))?),
            lineage: LineageId::from_bytes(lineage),
            parameters: task.parameters,
            clip: ClipNorm::new(task.clip_norm)?,
            noise: NoiseMultiplier::new(task.noise_multiplier)?,
            corrupt: task.corrupt,
            minimum: CohortSize::new(task.minimum)?,
            rounds: task.rounds,
            buffered: task.buffered,
        };
        task.mechanism()?;
        Ok(task)
    }

    /// How updates of this task are made private.
    ///
    /// # Errors
    /// See [`Mechanism::new`].
    pub fn mechanism(&self) -> Result<Mechanism, MechanismError> {
        Mechanism::new(self.clip, self.noise, self.minimum, self.corrupt, self.parameters as usize, false)
    }

    /// What a ledger is asked for where this device takes part in a round with these terms, if they are those of a round of
    /// this task.
    ///
    /// # Errors
    /// [`TaskError::Round`], [`TaskError::Other`].
    pub fn reservation(&self, terms: &secagg::Terms) -> Result<budget::Terms, TaskError> {
        let round: RoundId = terms.round();
        if round.task() != self.id {
            return Err(TaskError::Other { offered: round.task(), signed: self.id });
        }
        let smallest = u64::from(self.minimum.get());
        for (what, offered, signed, holds) in [
            ("length", terms.dimension() as u64, u64::from(self.parameters), u64::eq as fn(&u64, &u64) -> bool),
            ("smallest number of sites", terms.minimum().get().into(), smallest, u64::ge),
            ("number", round.number(), self.rounds, u64::le),
        ] {
            if !holds(&offered, &signed) {
                return Err(TaskError::Round { what, offered, signed });
            }
        }
        let Self { lineage, noise, clip, minimum, .. } = *self;
        Ok(budget::Terms { round, lineage, cost: noise.cost()?, noise, clip, cohort: minimum })
    }
}

/// What is signed. The prefix keeps a task's signature from being one of anything else that the key signs.
fn message(task: &[u8]) -> Vec<u8> {
    [b"Volet task v1\0", task].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secagg::{Modulus, Risk, Terms};
    use proptest::prelude::*;

    fn task() -> Task {
        Task {
            id: TaskId::from_bytes([3; 16]),
            lineage: LineageId::from_bytes([7; 32]),
            parameters: 1000,
            clip: ClipNorm::new(1.0).unwrap(),
            noise: NoiseMultiplier::new(4.39).unwrap(),
            corrupt: 1,
            minimum: CohortSize::new(6).unwrap(),
            rounds: 12,
            buffered: true,
        }
    }

    fn key() -> SigningKey {
        SigningKey::from([1; 32])
    }

    fn terms(id: u8, number: u64, dimension: u32, minimum: u32) -> Terms {
        let round = RoundId::new(TaskId::from_bytes([id; 16]), number).unwrap();
        let risk = Risk::new(100, 200, 80, 10).unwrap();
        Terms::new(round, dimension, Modulus::FULL, CohortSize::new(minimum).unwrap(), risk).unwrap()
    }

    #[test]
    fn a_task_survives_signing_and_asks_for_its_cost() {
        let read = Task::verify(&task().sign(&key()), &(&key()).into()).unwrap();
        assert_eq!(read, task());
        let asked = read.reservation(&terms(3, 12, 1000, 6)).unwrap();
        assert_eq!((asked.cost, asked.round.number()), (task().noise.cost().unwrap(), 12));
        assert!(read.reservation(&terms(3, 1, 1000, 7)).is_ok());
    }

    #[test]
    fn what_is_no_task_or_no_round_of_it_is_refused() {
        let stranger = SigningKey::from([2; 32]);
        assert_eq!(Task::verify(&task().sign(&stranger), &(&key()).into()), Err(TaskError::Signature));
        let bad = Task { corrupt: 6, ..task() }.sign(&key());
        assert!(matches!(Task::verify(&bad, &(&key()).into()), Err(TaskError::Mechanism(_))));
        // A signature of another kind of thing is none.
        let release =
            v1::SignedTask { task: vec![], signature: key().sign(b"Volet model release v1\0").to_bytes().to_vec() };
        assert_eq!(Task::verify(&release, &(&key()).into()), Err(TaskError::Signature));
        for (terms, what) in [
            (terms(3, 13, 1000, 6), "number"),
            (terms(3, 1, 1001, 6), "length"),
            (terms(3, 1, 1000, 5), "smallest number of sites"),
        ] {
            assert!(matches!(task().reservation(&terms), Err(TaskError::Round { what: found, .. }) if found == what));
        }
        assert!(matches!(task().reservation(&terms(4, 1, 1000, 6)), Err(TaskError::Other { .. })));
    }

    proptest! {
        #[test]
        fn no_altered_task_is_accepted(at in 0_usize..200, bit in 0_u32..8) {
            let mut signed = task().sign(&key());
            let bytes = if at % 2 == 0 { &mut signed.task } else { &mut signed.signature };
            let at = at / 2 % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(Task::verify(&signed, &(&key()).into()), Err(TaskError::Signature));
        }
    }
}
