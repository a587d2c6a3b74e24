//! The ledger's records and how they lie in its file: framed, numbered, chained under a key. Knows no budgets.
//!
//! A frame is the entry's length (4 bytes, little-endian), the entry, and its hash (32 bytes): BLAKE3 of the entry,
//! keyed. An entry has its number, the hash of the one before (zeros for the first) and a record. The hash of the one
//! before stands there in full, so that order and gaps can be seen without the key, too.

use borsh::{BorshDeserialize, BorshSerialize};
use zeroize::Zeroizing;

use super::error::Damage;
use super::ledger::Terms;
use super::policy::{Day, SignedPolicy};
use super::secret::DeviceSecret;
use crate::RoundId;

/// The version of the records.
pub(super) const FORMAT: u16 = 2;
/// The most bytes of a frame: a policy and some.
pub(super) const MAX_FRAME: usize = SignedPolicy::MAX_BYTES + 1024;
const LENGTH: usize = 4;
const HASH: usize = 32;

/// What happened.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) enum Record {
    /// The ledger was made. Whole with its policy, so that no ledger is ever without one.
    Genesis { format: u16, device: [u8; 32], owner: [u8; 32], policy: SignedPolicy },
    /// Another policy holds from here on.
    Policy { policy: SignedPolicy },
    /// A round's cost is spent.
    Reserve { day: Day, terms: Terms },
    /// A round's payload is what it is.
    Sealed { round: RoundId, payload: Payload },
    /// A round is over and its payload, if there was one, no longer kept.
    Forgotten { round: RoundId },
}

/// Which bytes a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Payload {
    /// Their BLAKE3 hash.
    pub digest: [u8; 32],
    /// How many they are.
    pub length: u64,
}

impl Payload {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { digest: *blake3::hash(bytes).as_bytes(), length: bytes.len() as u64 }
    }
}

#[derive(BorshSerialize, BorshDeserialize)]
struct Entry {
    number: u64,
    previous: [u8; HASH],
    record: Record,
}

/// The end of a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// How many records there are.
    pub(super) count: u64,
    /// The last one's hash.
    pub(super) hash: [u8; HASH],
}

/// The key of a chain.
pub(super) struct ChainKey(Zeroizing<[u8; 32]>);

impl ChainKey {
    pub(super) fn new(secret: &DeviceSecret) -> Self {
        Self(secret.chain_key())
    }

    /// The frame of the record after `head`, and the new head; `None` if it would be too long.
    pub(super) fn frame(&self, head: Head, record: Record) -> Option<(Vec<u8>, Head)> {
        let count = head.count.checked_add(1)?;
        let entry = borsh::to_vec(&Entry { number: count, previous: head.hash, record }).ok()?;
        let hash = self.hash(&entry);
        let length = u32::try_from(entry.len()).ok()?.to_le_bytes();
        let frame = [&length[..], &entry, &hash].concat();
        (frame.len() <= MAX_FRAME).then_some((frame, Head { count, hash }))
    }

    fn hash(&self, entry: &[u8]) -> [u8; HASH] {
        *blake3::keyed_hash(&self.0, entry).as_bytes()
    }
}

/// The records that can be read from a log's start, each following from the one before.
pub(super) struct Scan {
    pub(super) records: Vec<Record>,
    pub(super) head: Head,
    /// The head before the last record.
    pub(super) before: Head,
    /// Where the last record ends: what follows is not a record.
    pub(super) end: usize,
}

/// Reads a log up to its end or to the first thing that is not the next record. Without a key, hashes are only
/// compared with one another.
pub(super) fn scan(log: &[u8], key: Option<&ChainKey>) -> Scan {
    let start = Head::default();
    let mut scan = Scan { records: Vec::new(), head: start, before: start, end: 0 };
    while let Some((entry, hash, length)) = log.get(scan.end..).and_then(split) {
        // Of hashes, blake3's type compares in constant time.
        let genuine = key.is_none_or(|key| blake3::Hash::from_bytes(key.hash(entry)) == *hash);
        let Some(entry) = genuine.then(|| borsh::from_slice::<Entry>(entry).ok()).flatten() else { break };
        if entry.previous != scan.head.hash || Some(entry.number) != scan.head.count.checked_add(1) {
            break;
        }
        scan.before = std::mem::replace(&mut scan.head, Head { count: entry.number, hash: *hash });
        scan.records.push(entry.record);
        scan.end += length;
    }
    scan
}

/// The first frame's entry and hash, and the frame's length.
fn split(log: &[u8]) -> Option<(&[u8], &[u8; HASH], usize)> {
    let (length, rest) = log.split_first_chunk::<LENGTH>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (entry, rest) = rest.split_at_checked(length)?;
    let hash = rest.first_chunk::<HASH>()?;
    Some((entry, hash, LENGTH + length + HASH))
}

/// For a log of which nothing can be read: whether it says why.
pub(super) fn explain_unreadable(log: &[u8], secret: &DeviceSecret) -> Result<(), Damage> {
    let entry = split(log).and_then(|(entry, _, _)| borsh::from_slice::<Entry>(entry).ok());
    match entry.map(|entry| entry.record) {
        Some(Record::Genesis { format, .. }) if format != FORMAT => Err(Damage::Format { found: format }),
        Some(Record::Genesis { device, .. }) if device != secret.fingerprint() => Err(Damage::WrongSecret),
        _ => Ok(()),
    }
}
