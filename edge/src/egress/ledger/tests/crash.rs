//! The disk dies or fails at every single operation, also while the ledger recovers.

use super::disk::{Disk, FAULTS, Fault};
use super::*;

/// Entries enough for several segments, of which the oldest go.
const ENTRIES: u64 = 24;

fn open(disk: &Disk) -> Result<Ledger<Disk>, LedgerError> {
    Ledger::open_anchored(disk.clone(), disk.second(), &key(), Limits { anchor_every: 4, ..SMALL })
}

/// Writes until all is written, or the disk fails: then what was acknowledged.
fn write(disk: &Disk, acknowledged: u64, attempt: u64) -> Result<u64, (u64, LedgerError)> {
    let mut done = acknowledged;
    let mut ledger = open(disk).map_err(|error| (done, error))?;
    while ledger.head().number < ENTRIES {
        let number = ledger.head().number + 1;
        let entry = Entry { connection: attempt, ..entry(number) };
        assert_eq!(ledger.append(number, entry).map_err(|error| (done, error))?, number);
        done = number;
    }
    let all = ledger.head().number;
    ledger.close().map_err(|error| (done, error))?;
    Ok(all)
}

/// All that was acknowledged is there, once, and nothing but at most one entry beyond; and the ledger is sound.
fn check(disk: &Disk, acknowledged: u64, what: &str) {
    let ledger = open(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    let last = ledger.head().number;
    assert!((acknowledged..=acknowledged + 1).contains(&last), "{what}: {acknowledged} acknowledged, {last} there");
    let entries: u64 = ledger.sums().values().map(|sum| sum.entries).sum();
    assert_eq!(entries, last, "{what}: totals over the life");
    let (storage, anchor) = ledger.close().unwrap();
    let (folder, second) = (on_disk(&storage), on_disk(&anchor.unwrap()));
    let mut numbers = Vec::new();
    let head = read_head(second.path()).unwrap();
    let all = records(folder.path(), Some(device()), &[head], &mut |record| numbers.push(record.number)).unwrap();
    assert_eq!(all.findings, [], "{what}");
    assert_eq!(numbers, (all.oldest..=last).collect::<Vec<_>>(), "{what}");
    let removed: u64 = all.removed.values().map(|sum| sum.entries).sum();
    assert_eq!(removed + 1, all.oldest, "{what}: the sums of what was removed");
}

#[test]
fn nothing_acknowledged_is_lost_at_any_operation() {
    let sound = Disk::new(None);
    assert_eq!(write(&sound, 0, 0).unwrap(), ENTRIES);
    check(&sound, ENTRIES, "without faults");
    let (operations, mut failed) = (sound.operations(), 0);
    for at in 0..operations {
        for fault in FAULTS {
            let (disk, what) = (Disk::new(Some((at, fault))), format!("{fault:?} at {at}"));
            let Err((acknowledged, error)) = write(&disk, 0, 1) else { continue };
            failed += 1;
            assert!(matches!(error, LedgerError::Storage { .. }), "{what}: {error}");
            disk.restart();
            check(&disk, acknowledged, &what);
            disk.cut();
            check(&disk, acknowledged, &format!("{what}, and the power cut after it was mended"));
            assert_eq!(write(&disk, acknowledged, 2).unwrap_or_else(|(_, error)| panic!("{what}: {error}")), ENTRIES);
            check(&disk, ENTRIES, &what);
        }
    }
    assert!(failed > operations, "faults have to hit");
}

#[test]
fn recovery_can_be_interrupted_anywhere() {
    // A record that a power cut left in half, and a rotation that was cut off before the oldest segment went.
    for at in (44..76).step_by(3) {
        for fault in [Fault::Kept, Fault::Full] {
            for again in (0..26).step_by(2) {
                for second in FAULTS {
                    let disk = Disk::new(Some((at, fault)));
                    let Err((acknowledged, _)) = write(&disk, 0, 1) else { continue };
                    disk.restart();
                    let next = disk.operations() + again;
                    disk.plan(next, second);
                    let opened = open(&disk).map(drop);
                    disk.restart();
                    let what = format!("{fault:?} at {at}, {second:?} at {again} of recovery ({opened:?})");
                    check(&disk, acknowledged, &what);
                }
            }
        }
    }
}

#[test]
fn after_an_error_nothing_is_written_until_opened_again() {
    let disk = Disk::new(None);
    let mut ledger = open(&disk).unwrap();
    fill(&mut ledger, 1, 3);
    disk.plan(disk.operations(), Fault::Full);
    assert!(matches!(ledger.append(0, entry(4)), Err(LedgerError::Storage { .. })));
    disk.restart();
    assert!(matches!(ledger.append(0, entry(4)), Err(LedgerError::Reopen)));
    assert!(matches!(ledger.close(), Err(LedgerError::Reopen)));
    let mut ledger = open(&disk).unwrap();
    assert_eq!(ledger.head().number, 3);
    fill(&mut ledger, 4, 4);
    // A name that is too long has no effect.
    let long = Entry { policy: "p".repeat(256), ..entry(5) };
    assert!(matches!(ledger.append(0, long), Err(LedgerError::TooLong { bytes: 256, .. })));
    fill(&mut ledger, 5, 5);
}

#[test]
fn a_torn_record_that_looks_whole_is_stated_and_does_no_harm() {
    let disk = Disk::new(None);
    let mut ledger = open(&disk).unwrap();
    fill(&mut ledger, 1, 3);
    let (mut storage, _) = ledger.close().unwrap();
    let name = book::file_name(1);
    let end = storage.read(&name, u64::MAX).unwrap().unwrap().len() as u64;
    let mut ledger = open(&disk).unwrap();
    fill(&mut ledger, 4, 4);
    // The disk wrote the sectors of the record but for those of its signature; the head in the second place is of before.
    drop(ledger);
    let whole = storage.read(&name, u64::MAX).unwrap().unwrap().len() as u64;
    assert!(whole > end);
    storage.write(&name, whole - 64, &[0; 64]).unwrap();
    let mut ledger = open(&disk).unwrap();
    assert_eq!(ledger.head().number, 3);
    fill(&mut ledger, 4, 6);
    drop(ledger);
    // The segment with the torn record is no longer the last, and its signatures are not all checked at opening.
    let mut ledger = open(&disk).unwrap();
    fill(&mut ledger, 7, 7);
    check(&disk, 7, "a torn record that looks whole");
    let all = verify(on_disk(&ledger.close().unwrap().0).path(), Some(device()), &[]).unwrap();
    assert_eq!((all.cuts, all.cut_bytes), (1, whole - end));
}
