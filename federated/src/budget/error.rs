//! What can go wrong with a budget, and what to do next.

use std::io;

use super::policy::{Day, LineageId, PolicyError};
use crate::{ClipNorm, CohortSize, PrivacyError, Rho, RoundId, TaskId};

/// Why the ledger did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum BudgetError {
    #[error("there is no budget ledger yet: make one when the device is enrolled")]
    NotCreated,
    #[error("there is a budget ledger, or what is left of one: open it; it is made only once")]
    Exists,
    #[error(
        "the privacy budget counts as spent for good, because {0}. Learning stays off. Keep the files for whoever \
         looks into it. For the device to learn again the owner has to enrol it anew, with a new secret and a new \
         counter; what was spent before adds to what is spent then"
    )]
    Exhausted(#[from] Damage),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error("the ledger could not {doing}: make room or repair the disk, then open the ledger again; nothing is lost")]
    Storage { doing: &'static str, source: io::Error },
    #[error("an earlier error left open what is on the disk: open the ledger again")]
    Reopen,
}

/// Why a ledger can no longer be believed. Nothing repairs it, and it repairs nothing.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum Damage {
    #[error("the counter says {counter} records were written and the ledger's file is gone")]
    Missing { counter: u64 },
    #[error(
        "the counter says {counter} records were written and {readable} can be read: the file was altered, cut off or \
         replaced by an earlier copy"
    )]
    Lost { counter: u64, readable: u64 },
    #[error("the ledger has {readable} records and the counter says {counter}: the counter was reset or is another's")]
    Counter { counter: u64, readable: u64 },
    #[error("record {number} is not the one that was counted: the disk was put back to an earlier state")]
    Replaced { number: u64 },
    #[error("the ledger names another device secret than this one")]
    WrongSecret,
    #[error("the ledger's format is {found}, which this version of Volet cannot read")]
    Format { found: u16 },
    #[error("{bytes} bytes follow the last record, more than a power cut can leave")]
    Tail { bytes: usize },
    #[error("record {number} contradicts those before it: {what}")]
    Contradiction { number: u64, what: &'static str },
}

/// Which limit of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // as in `Limits`
pub enum LimitKind {
    Round,
    Day(Day),
    Lineage(LineageId),
    Lifetime,
}

impl std::fmt::Display for LimitKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Round => f.write_str("one round"),
            Self::Day(day) => day.fmt(f),
            Self::Lineage(lineage) => write!(f, "lineage {lineage}"),
            Self::Lifetime => f.write_str("the device's lifetime"),
        }
    }
}

/// Why a device does not take part in a round. The ledger is sound and other rounds may do.
#[derive(Debug, thiserror::Error, PartialEq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum Refusal {
    #[error("round {round} costs rho {cost}; of the limit for {limit}, {left} is left. Sit this round out")]
    Over { round: RoundId, limit: LimitKind, cost: Rho, left: Rho },
    #[error("the limit for {limit} was lowered below what is spent: nothing is sent until the owner allows more")]
    Overdrawn { limit: LimitKind },
    #[error("a sum over {offered} sites is offered, the owner asks for {least}: wait for a larger cohort",
        offered = offered.get(), least = least.get())]
    Cohort { offered: CohortSize, least: CohortSize },
    #[error("a clip norm of {} is offered, the owner allows {}: the task is not for this device", offered.get(), most.get())]
    Clip { offered: ClipNorm, most: ClipNorm },
    #[error("the owner's policy allows neither task {task} nor lineage {lineage}: have a policy signed that does")]
    Scope { task: TaskId, lineage: LineageId },
    #[error("the policy ended on {last} and it is {today}: check the clock, or have a new policy signed")]
    Ended { today: Day, last: Day },
    #[error("cost {cost} is below {least}, what its own noise costs: the task's parameters are wrong")]
    TooCheap { cost: Rho, least: Rho },
    #[error(transparent)]
    Noise(#[from] PrivacyError),
    #[error("round {0} is reserved under other terms: it is taken part in as it was, or not at all")]
    Changed(RoundId),
    #[error("round {0} is not reserved: reserve it first")]
    NotReserved(RoundId),
    #[error("round {0} is sealed already: reserve it again to get its payload")]
    Sealed(RoundId),
    #[error("round {0} is spent and its payload no longer kept: sit it out")]
    Forgotten(RoundId),
    #[error("round {0} is spent, and its payload is missing or altered, never to be made again: sit it out")]
    PayloadLost(RoundId),
    #[error("a payload of {bytes} bytes is offered, at most {most} are kept: let less of the model learn")]
    PayloadTooLarge { bytes: u64, most: u64 },
    #[error("the ledger has reached its greatest length, {bytes} bytes: no more rounds fit")]
    Full { bytes: u64 },
}
