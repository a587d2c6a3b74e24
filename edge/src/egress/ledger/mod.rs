//! The egress ledger of a device: everything that left is written down in it before it leaves (guarantee G8).
//!
//! **What it knows.** [`Entry`]s, one folder, and the device's signing key. It knows no sockets, no files that are sent and
//! no clock: time is an argument.
//!
//! **Writing.** [`Ledger::append`] gives a record its number, chains it to the one before by BLAKE3, puts it into the Merkle
//! tree of its segment, signs number, hash and root with the device's Ed25519 key, and syncs the disk. Only when it has
//! returned may the bytes go. Every record's signature is thus a signed head of all that was written before it.
//!
//! **Segments.** Records lie in files of at most 4 MiB. Each begins with a signed opening: the chain's hash, the next
//! number, the sums by kind of all records before, and which segment is the oldest that is kept. So the oldest can go, what
//! is left can still be verified, and nobody can remove a segment without its being seen.
//!
//! **Opening** goes through all hashes and the last segment's signatures. What a power cut left of a last record is kept,
//! and a new segment states how many bytes of it there are; it was never acknowledged. Any other doubt is
//! [`LedgerError::Damaged`], which nothing here repairs.
//!
//! **Reading** ([`verify`], [`records`], [`export`], [`Proof::of`]) wants no secret, no lock and no write access; it works on
//! a folder in use, on a copy, and on an exported file.
//!
//! **Rollback.** Records that were cut off the end, and an earlier copy of the whole folder put back, are found by whoever has
//! a later [`Head`]: the second place ([`Ledger::open_anchored`]) if it was not put back together with the folder, or an
//! exported head or [`Proof`] in somebody else's hands. Folder and second place both put back to the same earlier state is what
//! no software on the device can see. `docs/egress-ledger.md` has the format and all that follows.

mod book;
mod entry;
mod error;
mod export;
mod frame;
mod hash;
mod proof;
mod reader;
mod scan;
#[cfg(test)]
mod tests;

pub use book::{Ledger, Limits};
pub use entry::{Entry, Group, Kind, MAX_NAME, Record, Sum, Sums, ascii, shown};
pub use error::{Finding, LedgerError};
pub use export::{ExportError, export};
pub use frame::{Aside, Head};
pub use hash::{hash_of, is_anchored};
pub use proof::{Proof, ProofError};
pub use reader::{ReadError, Verification, is_begun, read_head, records, verify};
pub use scan::try_segment;
