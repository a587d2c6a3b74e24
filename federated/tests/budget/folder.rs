//! The same on a real disk.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use volet_federated::budget::{BudgetError, Day, FileCounter, Ledger, Statement, Trust, explain_unverified};
use volet_federated::storage::{DirError, DirStorage};

use crate::{limits, owner, released, reserved, rho, round, secret, signed, terms};

type OnDisk = Ledger<DirStorage, FileCounter<DirStorage>>;

fn storages(folder: &Path) -> (DirStorage, FileCounter<DirStorage>) {
    let open = |name| DirStorage::open(&folder.join(name)).unwrap();
    (open("ledger"), FileCounter::new(open("counter")))
}

fn open(folder: &Path) -> Result<OnDisk, BudgetError> {
    let (storage, counter) = storages(folder);
    Ledger::open(storage, counter, &secret())
}

#[test]
fn a_round_survives_restarts() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(open(folder.path()), Err(BudgetError::NotCreated)));
    let (storage, counter) = storages(folder.path());
    let policy = signed(1, limits("1", "1", "1", "1"));
    drop(Ledger::create(storage, counter, &secret(), &(&owner()).into(), policy).unwrap());

    // The process dies after the reservation, and after the payload is sealed.
    let _ = reserved(open(folder.path()).unwrap().reserve(terms(1, "0.1"), Day(1)).unwrap());
    let mut ledger = open(folder.path()).unwrap();
    let reservation = reserved(ledger.reserve(terms(1, "0.1"), Day(1)).unwrap());
    ledger.seal(reservation, vec![5; 100_000]).unwrap();
    drop(ledger);
    let mut ledger = open(folder.path()).unwrap();
    assert_eq!(released(ledger.reserve(terms(1, "0.1"), Day(2)).unwrap()).payload(), [5; 100_000]);

    // An auditor reads while the device runs.
    let read = explain_unverified(&folder.path().join("ledger")).unwrap();
    assert_eq!(read.trust, Trust::Unverified { unread: 0 });
    assert_eq!(Statement { trust: ledger.explain().trust, ..read }, ledger.explain());

    ledger.forget(round(1, 1)).unwrap();
    drop(ledger);
    assert_eq!(open(folder.path()).unwrap().explain().lifetime.spent, rho("0.1"));
    let mut files: Vec<_> =
        std::fs::read_dir(folder.path().join("ledger")).unwrap().map(|file| file.unwrap()).collect();
    files.sort_by_key(|file| file.file_name());
    assert_eq!(files.iter().map(|file| file.file_name()).collect::<Vec<_>>(), ["ledger", "lock"]);
    assert!(files.iter().all(|file| file.metadata().unwrap().permissions().mode() & 0o077 == 0));
}

#[test]
fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let first = DirStorage::open(&path).unwrap();
    assert!(matches!(DirStorage::open(&path), Err(DirError::InUse { .. })));
    drop(first);
    assert!(DirStorage::open(&path).is_ok());
}

#[test]
fn a_folder_that_cannot_be_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = DirStorage::open(&folder.path().join("no/such")).unwrap_err();
    assert!(matches!(error, DirError::Io { .. }), "{error}");
    assert!(matches!(explain_unverified(folder.path()), Err(BudgetError::NotCreated)));
}
