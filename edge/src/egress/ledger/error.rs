//! What can be wrong with a ledger, and what to do next.

use std::io;

use super::entry::MAX_NAME;

/// Why a ledger did not do what it was asked. Nothing may be sent on the strength of such an entry.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum LedgerError {
    #[error(
        "the egress ledger is damaged: {0}. Nothing is sent. Copy its folder to another place as evidence, then have a \
         new ledger begun that says so (`volet-edge begin-ledger`)"
    )]
    Damaged(#[from] Finding),
    #[error("the egress ledger could not {doing}: make room or mend the disk, then open it again. Nothing is lost")]
    Storage { doing: &'static str, source: io::Error },
    #[error("an earlier error left open what is on the disk: open the egress ledger again")]
    Reopen,
    #[error("a {what} of {bytes} bytes is too long to be written down: give one of at most {MAX_NAME}")]
    TooLong { what: &'static str, bytes: usize },
    #[error("the operating system gives no random bytes: {0}")]
    Entropy(getrandom::Error),
}

/// What does not hold. Numbers are those of records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum Finding {
    #[error("record {number} is not what the device signed: it was altered, or another key signed it")]
    Altered { number: u64 },
    #[error("where record {from} should be there are bytes that are no record: it was altered, or the disk is faulty")]
    Unreadable { from: u64 },
    #[error("records {from} to {to} are missing")]
    Missing { from: u64, to: u64 },
    #[error("record {number} stands where record {expected} should be: it was moved or is there twice")]
    OutOfPlace { number: u64, expected: u64 },
    #[error("record {number} does not follow from the one before: one of the two is from another copy of the ledger")]
    Unchained { number: u64 },
    #[error(
        "record {number} is signed with a tree that does not hold the records before it: the device's software is faulty"
    )]
    WrongRoot { number: u64 },
    #[error("the opening of the segment of record {first} is missing or is not what the device signed: it was altered")]
    Opening { first: u64 },
    #[error("the file named for record {name} begins with record {first}: it was renamed")]
    Renamed { name: u64, first: u64 },
    #[error("the segment of record {first} is of another ledger of this device: it was put there")]
    OtherLedger { first: u64 },
    #[error("the ledger is of another device, {device}: it was replaced, or the wrong key was given")]
    OtherDevice { device: String },
    #[error(
        "the sums that are stated before record {first} are not those of the records: the device's software is faulty"
    )]
    Sums { first: u64 },
    #[error(
        "{bytes} bytes before record {first} are no record, and the device stated {stated}: they were altered or put there"
    )]
    Tail { first: u64, bytes: usize, stated: u32 },
    #[error("the file of record {first} is longer than any segment: something was put there")]
    TooLong { first: u64 },
    #[error("the format is {found}, which this version of Volet cannot read: use a newer one")]
    Format { found: u16 },
    #[error(
        "a head says that {signed} records were written, and the last one here is {last}: the rest was cut off, or an earlier copy put back"
    )]
    Short { signed: u64, last: u64 },
    #[error(
        "record {number} is not the one that a head was signed for: the ledger was put back to an earlier state and went on from there"
    )]
    Rewritten { number: u64 },
    #[error("a head is of another ledger of this device, of {number} records: this one was begun in its place")]
    Begun { number: u64 },
    #[error("the head to compare with is not signed by this device: it was altered, or is another's")]
    StrangeHead,
    #[error("a head says that {records} records were written, and there is no ledger: it was removed")]
    Gone { records: u64 },
    #[error("the ledger says that its head is kept in a second place, and there is none: it was removed")]
    NoAnchor,
    #[error("the head in the second place cannot be read: it was altered, or the disk is faulty")]
    Anchor,
}
