//! The helper of buffered rounds, durable: it opens each report once, and gives the same answer to whoever missed it.
//!
//! Who runs it must be independent of whoever runs the aggregator: both together read every update
//! ([`split`](crate::secagg::split)). Knows no network and no clock.

use std::collections::HashSet;
use std::io;

use borsh::{BorshDeserialize, BorshSerialize};
use prost::Message;
use volet_proto::v1;

use crate::CohortSize;
use crate::round::{Journal, Log};
use crate::secagg::{Authority, Refusal, split};
use crate::storage::{Storage, put};

/// Why a batch is not answered.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum HelperError {
    #[error("the helper's folder cannot be written or read: {0}. Make room, or mend the disk")]
    Io(#[from] io::Error),
    #[error("the helper's folder is damaged: bring it back from a copy that is as new as the last answer")]
    Damaged,
    #[error("the batch is not answered: {0}")]
    Refused(#[from] Refusal),
    #[error("the helper failed earlier: open its folder again")]
    Failed,
}

/// The last answer, for an aggregator that missed it.
#[derive(BorshSerialize, BorshDeserialize)]
struct Answer {
    batch: [u8; 32],
    opened: Vec<[u8; 32]>,
    /// How many reports were opened in all, these included: a log that has lost some is found out.
    all: u64,
    packed: Vec<u8>,
}

const ANSWER: &str = "answer";
/// The greatest answer, bytes: the sum of the longest vectors, and the largest cohort's hashes.
const LARGEST: u64 = 256 << 20;

/// A helper and what it has opened.
pub struct DurableHelper<S, J> {
    helper: split::Helper,
    answers: S,
    opened: Log<J>,
    last: Option<Answer>,
    failed: bool,
}

impl<S: Storage, J: Storage> DurableHelper<S, J> {
    /// The helper with this X25519 secret, whose last answer and whose log of opened reports lie in these folders; see
    /// [`split::Helper::new`].
    ///
    /// # Errors
    /// [`HelperError::Io`], [`HelperError::Damaged`].
    pub fn open(
        secret: [u8; 32],
        authority: Authority,
        minimum: CohortSize,
        answers: S,
        opened: J,
    ) -> Result<Self, HelperError> {
        let mut known = HashSet::new();
        let mut whole = true;
        let opened = Log::open(opened, &mut |record| {
            let (hashes, rest) = record.as_chunks::<32>();
            whole &= rest.is_empty();
            known.extend(hashes.iter().copied());
            Ok(())
        })?;
        let last = match answers.read(ANSWER, LARGEST)? {
            Some(bytes) => Some(borsh::from_slice::<Answer>(&bytes).map_err(|_| HelperError::Damaged)?),
            None => None,
        };
        if !whole {
            return Err(HelperError::Damaged);
        }
        // The answer is written first: what it opened may not be in the log yet.
        let missing = last.iter().flat_map(|last| &last.opened).any(|hash| !known.contains(hash));
        known.extend(last.iter().flat_map(|last| &last.opened).copied());
        // Whoever forgets what it has opened opens it twice.
        if last.as_ref().map_or(0, |last| last.all) != known.len() as u64 {
            return Err(HelperError::Damaged);
        }
        let helper = split::Helper::new(secret, authority, minimum, known);
        let mut own = Self { helper, answers, opened, last, failed: false };
        if missing {
            own.log()?;
        }
        Ok(own)
    }

    /// The public key that sites seal to.
    pub fn public(&self) -> [u8; 32] {
        self.helper.public()
    }

    /// The sum of a batch's masks, which nobody will be told of a second batch with one of these reports. Durable at return.
    ///
    /// # Errors
    /// A [`HelperError`].
    pub fn sum(&mut self, batch: &v1::SeedBatch) -> Result<v1::MaskSum, HelperError> {
        if self.failed {
            return Err(HelperError::Failed);
        }
        let name = *blake3::hash(&batch.encode_to_vec()).as_bytes();
        if let Some(last) = self.last.as_ref().filter(|last| last.batch == name) {
            return Ok(v1::MaskSum { packed: last.packed.clone() });
        }
        let before = self.helper.opened().clone();
        let sum = self.helper.sum(batch)?;
        let opened = self.helper.opened().difference(&before).copied().collect();
        let all = self.helper.opened().len() as u64;
        let answer = Answer { batch: name, opened, all, packed: sum.packed.clone() };
        let kept = borsh::to_vec(&answer).and_then(|bytes| put(&mut self.answers, ANSWER, &bytes));
        self.last = Some(answer);
        if let Err(error) = kept.and_then(|()| self.log()) {
            // Whether it is on the disk is not known.
            self.failed = true;
            return Err(error.into());
        }
        Ok(sum)
    }

    fn log(&mut self) -> io::Result<()> {
        let opened = self.last.iter().flat_map(|last| &last.opened);
        let record: Vec<u8> = opened.flatten().copied().collect();
        self.opened.append(&record)?;
        self.opened.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secagg::{Identity, Modulus, Risk, Terms, enrol};
    use crate::signing::SigningKey;
    use crate::storage::MemoryStorage;
    use crate::{RoundId, TaskId};

    type InMemory = DurableHelper<MemoryStorage, MemoryStorage>;

    fn authority() -> SigningKey {
        SigningKey::from([42; 32])
    }

    fn open(answers: MemoryStorage, opened: MemoryStorage) -> InMemory {
        let minimum = CohortSize::new(2).unwrap();
        DurableHelper::open([9; 32], Authority((&authority()).into()), minimum, answers, opened).unwrap()
    }

    fn batch(round: u64, sites: std::ops::Range<u8>, helper: &InMemory) -> v1::SeedBatch {
        let round = RoundId::new(TaskId::from_bytes([3; 16]), round).unwrap();
        let risk = Risk::new(0, 300, 40, 10).unwrap();
        let terms = Terms::new(round, 3, Modulus::FULL, CohortSize::new(2).unwrap(), risk).unwrap();
        let seeds = sites.map(|site| {
            let key = SigningKey::from([site + 1; 32]);
            let identity = Identity::new(key, enrol(&authority(), &(&key).into()));
            split::report_unprotected(&terms, &identity, &helper.public(), &[1; 3]).unwrap().seed.unwrap()
        });
        let seeds = seeds.collect();
        v1::SeedBatch { terms: Some(terms.into()), seeds }
    }

    /// Also where the power fails between the answer and the log of what it opened.
    #[test]
    fn an_answer_is_given_again_and_no_other_is() {
        let mut helper = open(MemoryStorage::default(), MemoryStorage::default());
        let (first, second) = (batch(1, 0..3, &helper), batch(1, 1..4, &helper));
        let sum = helper.sum(&first).unwrap();
        for opened in [MemoryStorage::default(), helper.opened.into_storage()] {
            let mut again = open(helper.answers.clone(), opened);
            assert_eq!(again.sum(&first).unwrap(), sum);
            assert!(matches!(again.sum(&second), Err(HelperError::Refused(Refusal::Opened(0)))));
            let next = batch(2, 0..3, &again);
            assert!(again.sum(&next).is_ok());
            assert!(matches!(again.sum(&first), Err(HelperError::Refused(Refusal::Opened(0)))));
            // Its log is lost, and only the last answer says what was opened.
            let (answers, minimum) = (again.answers, CohortSize::new(2).unwrap());
            let authority = Authority((&authority()).into());
            let forgetful = InMemory::open([9; 32], authority, minimum, answers, MemoryStorage::default());
            assert!(matches!(forgetful, Err(HelperError::Damaged)));
        }
    }
}
