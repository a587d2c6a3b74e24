//! The budget ledger of a device: the file that makes "the privacy budget cannot be overspent" true through
//! crashes, power cuts, replays and a server that chooses any schedule.
//!
//! **What it knows.** Rounds, costs, the owner's [`Policy`] and one folder. It knows neither updates nor noise,
//! masks or servers: a payload is bytes. It has no clock (the day is an argument) and no randomness.
//!
//! **The way of one round.**
//!
//! 1. [`Ledger::reserve`] checks the [`Terms`] against the policy and everything spent, and makes the cost
//!    durable. Only then may noise be drawn.
//! 2. The caller computes the noisy, masked payload. Nothing has left the device.
//! 3. [`Ledger::seal`] makes the exact bytes durable and hands them back as a [`Release`], the only type that
//!    what leaves the device may be taken from.
//! 4. [`Ledger::forget`] drops the bytes once the server has acknowledged them. The cost stays.
//!
//! The same round asked again before step 3 continues under the same reservation; after step 3 it gets the same
//! bytes. A payload is bound to the masks it was made with: a round that fails after step 3 is lost with its cost,
//! for the same noise under other masks could end in two sums that differ by it. Neither costs anything: a mechanism's cost is that of its *output*, and one reservation has at most one
//! output. Noise that was lost in a crash before step 3 was seen by nobody, so drawing afresh is one run of the
//! mechanism, provided that whether the device crashes does not depend on the noise.
//!
//! **The file.** `ledger` holds records, each framed by its length, numbered, with the hash of the one before and
//! its own, which is BLAKE3 keyed from the [`DeviceSecret`]. Records are [borsh](https://borsh.io): a published
//! format in which a value has exactly one encoding, as hashes and signatures need; prost promises no such thing,
//! and a serde format would be a second dependency for it.
//!
//! **The commit mark** is a [`MonotonicCounter`] beside the file. Record n is written, synced, and then the
//! counter goes from n-1 to n; only then does a call return. Hence, with v readable records and the counter at c:
//!
//! | on opening | means | so |
//! |---|---|---|
//! | v = c | the usual; bytes beyond record v were never acknowledged | they are cut off |
//! | v = c + 1 | power failed between write and count | the record is kept, written again, and counted |
//! | v < c | acknowledged records are damaged, cut off or rolled back | exhausted |
//! | v > c + 1 | no crash leaves this: another counter | exhausted |
//! | the hash of record c is not the counter's, where it keeps one | another record c was acknowledged | exhausted |
//!
//! A power cut leaves only the first two, so the ledger opens after it; all else leaves the last two, or a record
//! that contradicts those before it, and stays [`Damage`]. What a rollback of file and counter together does
//! depends on the counter: see [`RollbackProtection`].
//!
//! **Assumed of the disk**: a sync that returned is true, and a write does not damage bytes beside those it writes.
//! Where either is false the ledger turns out exhausted, unless the counter's own disk lied in the same way.

mod account;
mod chain;
mod counter;
mod encoding;
mod error;
mod ledger;
mod policy;
mod secret;
mod statement;

pub use chain::Payload;
pub use counter::{FileCounter, Mark, MonotonicCounter, RollbackProtection};
pub use error::{BudgetError, Damage, LimitKind, Refusal};
pub use ledger::{Grant, Ledger, Release, Reservation, Terms};
pub use policy::{Day, Limits, LineageId, Policy, PolicyError, Scope, SignedPolicy};
pub use secret::DeviceSecret;
#[cfg(unix)]
pub use statement::explain_unverified;
pub use statement::{Account, RoundState, RoundStatement, Statement, Trust};
