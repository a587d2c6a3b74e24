//! Ledgers in memory, cut off at any operation, altered at any byte. Signatures and hashes are the real ones.

mod crash;
mod disk;
mod read;
mod tamper;

use std::cell::RefCell;
use std::rc::Rc;

use volet_federated::signing::{SigningKey, VerifyingKey};
use volet_federated::storage::{MemoryStorage, Storage};

use super::*;

pub(super) type Disk = Rc<RefCell<MemoryStorage>>;

/// Small segments, so that a few entries make several; the head is kept at every entry.
pub(super) const SMALL: Limits = Limits { segment: 2048, total: 5_000, anchor_every: 1 };

pub(super) fn key() -> SigningKey {
    SigningKey::from([7; 32])
}

pub(super) fn device() -> VerifyingKey {
    (&key()).into()
}

pub(super) fn entry(n: u64) -> Entry {
    let kind = Kind::ALL[usize::try_from(n).unwrap() % Kind::ALL.len()];
    let destination = format!("server.example:{n}");
    Entry { kind, destination, bytes: n * 10, digest: [n as u8; 32], policy: "owner's".to_owned(), connection: n }
}

/// Appends entries from `from` to `to`; number n is made of n.
pub(super) fn fill<S: Storage>(ledger: &mut Ledger<S>, from: u64, to: u64) {
    for n in from..=to {
        assert_eq!(ledger.append(1_000 + n, entry(n)).unwrap(), n);
    }
}

/// A folder on a real disk with what a disk in memory holds.
pub(super) fn on_disk(disk: &impl Storage) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in disk.list().unwrap() {
        let bytes = disk.read(&name, u64::MAX).unwrap().unwrap();
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

/// Opens a ledger without a second place, fills it, and gives what its disk holds.
pub(super) fn filled(limits: Limits, entries: u64) -> (MemoryStorage, Head) {
    let mut ledger = Ledger::open(MemoryStorage::default(), &key(), limits).unwrap();
    fill(&mut ledger, 1, entries);
    let head = ledger.head();
    (ledger.close().unwrap().0, head)
}
