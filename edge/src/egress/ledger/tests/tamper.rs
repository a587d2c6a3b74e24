//! Whatever is done to a ledger's files without the device's key is found.

use super::book::{file_name, first_of};
use super::*;

/// Three segments and some, none removed.
const LIMITS: Limits = Limits { total: 1 << 20, ..SMALL };

fn verified(disk: &MemoryStorage, heads: &[Head]) -> Vec<Finding> {
    verify(on_disk(disk).path(), Some(device()), heads).map_or(vec![Finding::Opening { first: 0 }], |all| all.findings)
}

/// The same without a folder, for many.
fn scanned(disk: &MemoryStorage, head: &Head) -> Vec<Finding> {
    let mut scan = scan::Scan::new(device(), scan::Depth::All, false, std::slice::from_ref(head));
    let firsts = firsts(disk);
    for first in &firsts {
        scan.segment(*first, &bytes(disk, *first), Some(first) == firsts.last(), &mut |_| {});
    }
    scan.finish();
    scan.findings
}

fn bytes(disk: &MemoryStorage, first: u64) -> Vec<u8> {
    disk.read(&file_name(first), u64::MAX).unwrap().unwrap()
}

fn replaced(disk: &MemoryStorage, first: u64, bytes: &[u8]) -> MemoryStorage {
    let mut disk = disk.clone();
    disk.remove(&file_name(first)).unwrap();
    disk.write(&file_name(first), 0, bytes).unwrap();
    disk
}

fn firsts(disk: &MemoryStorage) -> Vec<u64> {
    disk.list().unwrap().iter().filter_map(|name| first_of(name)).collect()
}

/// The frames of a segment, by their lengths.
fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut rest = bytes;
    while let Some(item) = frame::Item::read(rest) {
        frames.push(rest[..item.length].to_vec());
        rest = &rest[item.length..];
    }
    assert!(rest.is_empty());
    frames
}

/// What an owner's device does with such a disk, with its anchor as it was.
fn opens(disk: &MemoryStorage, head: &Head) -> bool {
    let mut anchor = MemoryStorage::default();
    anchor.write("head.json", 0, &serde_json::to_vec(head).unwrap()).unwrap();
    Ledger::open_anchored(disk.clone(), anchor, &key(), LIMITS).is_ok()
}

#[test]
fn every_flipped_bit_is_found() {
    let (disk, head) = filled(LIMITS, 30);
    assert_eq!(verified(&disk, std::slice::from_ref(&head)), []);
    assert!(opens(&disk, &head));
    let newest = *firsts(&disk).last().unwrap();
    for first in firsts(&disk) {
        let whole = bytes(&disk, first);
        let step = if first == newest { 1 } else { 3 };
        for at in (0..whole.len()).step_by(step) {
            let mut altered = whole.clone();
            altered[at] ^= 1 << (at % 8);
            let disk = replaced(&disk, first, &altered);
            assert_ne!(scanned(&disk, &head), [], "byte {at} of segment {first}");
            // Opening leaves the trees and signatures of older segments to those who verify.
            assert!(first != newest || !opens(&disk, &head), "byte {at} of segment {first}");
        }
    }
}

#[test]
fn every_truncation_is_found_with_the_anchor() {
    let (disk, head) = filled(LIMITS, 30);
    for first in firsts(&disk) {
        let whole = bytes(&disk, first);
        for length in 0..whole.len() {
            let disk = replaced(&disk, first, &whole[..length]);
            assert_ne!(scanned(&disk, &head), [], "segment {first} cut to {length}");
            assert!(!opens(&disk, &head), "segment {first} cut to {length}");
        }
    }
}

#[test]
fn records_that_are_moved_removed_or_there_twice_are_named() {
    let (disk, head) = filled(LIMITS, 30);
    let first = firsts(&disk)[1];
    let frames = frames(&bytes(&disk, first));
    let number = first + 2;
    let with = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut changed = frames.clone();
        change(&mut changed);
        let disk = replaced(&disk, first, &changed.concat());
        assert!(!opens(&disk, &head));
        verified(&disk, &[])
    };
    // The opening is frame 0, record `first` frame 1.
    assert_eq!(with(&|f| drop(f.remove(3))), [Finding::Missing { from: number, to: number }]);
    let swapped = with(&|f| f.swap(3, 4));
    assert_eq!(swapped[1], Finding::OutOfPlace { number, expected: number + 2 }, "{swapped:?}");
    let twice = with(&|f| f.insert(4, f[3].clone()));
    assert_eq!(twice, [Finding::OutOfPlace { number, expected: number + 1 }]);
    let opening = with(&|f| drop(f.remove(0)));
    assert_eq!(opening[0], Finding::Opening { first });
    assert!(with(&|f| f.truncate(3)).contains(&Finding::Missing { from: number, to: firsts(&disk)[2] - 1 }));
    // One altered record makes no other doubtful.
    assert_eq!(with(&|f| f[3][60] ^= 1), [Finding::Altered { number }]);
}

#[test]
fn segments_that_are_removed_or_put_there_are_named() {
    let (disk, head) = filled(LIMITS, 40);
    let (other, _) = filled(LIMITS, 40);
    let all = firsts(&disk);
    assert!(all.len() > 3);
    for (index, &first) in all.iter().enumerate() {
        let mut without = disk.clone();
        without.remove(&file_name(first)).unwrap();
        assert_ne!(verified(&without, std::slice::from_ref(&head)), []);
        assert!(!opens(&without, &head));
        // Not even the second place is wanted, but for the newest.
        assert!(index + 1 == all.len() || !verified(&without, &[]).is_empty());
        let put = replaced(&disk, first, &bytes(&other, first));
        assert_ne!(verified(&put, std::slice::from_ref(&head)), []);
        assert!(!opens(&put, &head));
    }
    let middle = verified(&replaced(&disk, all[1], &bytes(&other, all[1])), &[]);
    assert_eq!(middle[0], Finding::OtherLedger { first: all[1] });
    let mut renamed = disk.clone();
    renamed.rename(&file_name(all[1]), &file_name(all[1] + 1)).unwrap();
    assert!(verified(&renamed, &[]).contains(&Finding::Renamed { name: all[1] + 1, first: all[1] }));
}

#[test]
fn a_stranger_s_key_signs_nothing() {
    let (disk, head) = filled(LIMITS, 30);
    let strange = SigningKey::from([8; 32]);
    let mut ledger = Ledger::open(MemoryStorage::default(), &strange, LIMITS).unwrap();
    fill(&mut ledger, 1, 30);
    let strange_head = ledger.head();
    let theirs = ledger.close().unwrap().0;
    let found = verify(on_disk(&theirs).path(), Some(device()), &[]).unwrap().findings;
    assert!(matches!(found[0], Finding::OtherDevice { .. }), "{found:?}");
    // Without a key all that can be said is that it is of one hand, and it says so.
    let alone = verify(on_disk(&theirs).path(), None, &[]).unwrap();
    assert!(alone.own_word && alone.findings.is_empty());
    let newest = *firsts(&disk).last().unwrap();
    let (mut ours, frames) = (bytes(&disk, newest), frames(&bytes(&theirs, newest)));
    ours.extend(&frames[1]);
    ours.extend(&frames[2]);
    assert_ne!(verified(&replaced(&disk, newest, &ours), &[]), []);
    assert_eq!(verified(&disk, &[strange_head]), [Finding::StrangeHead]);
    assert!(matches!(Ledger::open(disk.clone(), &strange, LIMITS), Err(LedgerError::Damaged(_))));
    let altered = Head { number: head.number + 1, ..head };
    assert_eq!(verified(&disk, &[altered]), [Finding::StrangeHead]);
}

#[test]
fn a_ledger_put_back_is_found_by_whoever_has_a_later_head() {
    let mut ledger = Ledger::open(MemoryStorage::default(), &key(), LIMITS).unwrap();
    fill(&mut ledger, 1, 12);
    let (early, _) = ledger.close().unwrap();
    let mut ledger = Ledger::open(early.clone(), &key(), LIMITS).unwrap();
    fill(&mut ledger, 13, 20);
    let later = ledger.head();
    assert_eq!(verified(&early, std::slice::from_ref(&later)), [Finding::Short { signed: 20, last: 12 }]);
    // It goes on from there, and says the same number of other things.
    let mut again = Ledger::open(early.clone(), &key(), LIMITS).unwrap();
    for n in 13..=20 {
        again.append(0, entry(n + 1)).unwrap();
    }
    let (again, _) = again.close().unwrap();
    assert_eq!(verified(&again, &[]), [], "no software sees it without a later head");
    assert_eq!(verified(&again, std::slice::from_ref(&later)), [Finding::Rewritten { number: 20 }]);
    let new = filled(LIMITS, 30).0;
    assert_eq!(verified(&new, std::slice::from_ref(&later)), [Finding::Begun { number: 20 }]);
    // The anchor's absence is found, and so is the ledger's.
    let open = |disk, anchor| Ledger::open_anchored(disk, anchor, &key(), LIMITS);
    let mut ledger = open(MemoryStorage::default(), MemoryStorage::default()).unwrap();
    fill(&mut ledger, 1, 2);
    let (disk, anchor) = ledger.close().unwrap();
    let gone = open(disk, MemoryStorage::default()).unwrap_err();
    assert!(matches!(gone, LedgerError::Damaged(Finding::NoAnchor)), "{gone}");
    let gone = open(MemoryStorage::default(), anchor.unwrap()).unwrap_err();
    assert!(matches!(gone, LedgerError::Damaged(Finding::Gone { records: 2 })), "{gone}");
}

#[test]
fn a_damaged_ledger_is_set_aside_and_the_new_one_says_so() {
    let disk = Disk::default();
    let anchor = Disk::default();
    let open = || Ledger::open_anchored(disk.clone(), anchor.clone(), &key(), LIMITS);
    let mut ledger = open().unwrap();
    fill(&mut ledger, 1, 30);
    ledger.close().unwrap();
    disk.borrow_mut().write(&file_name(1), 700, b"altered").unwrap();
    assert!(matches!(open(), Err(LedgerError::Damaged(_))));
    let mut ledger = Ledger::set_aside(disk.clone(), Some(anchor.clone()), &key(), LIMITS).unwrap();
    fill(&mut ledger, 1, 30);
    ledger.close().unwrap();
    let mut ledger = open().unwrap();
    fill(&mut ledger, 31, 31);
    ledger.close().unwrap();
    let all = verify(on_disk(&*disk.borrow()).path(), Some(device()), &[]).unwrap();
    assert_eq!(all.findings, []);
    assert_eq!(all.aside.unwrap().records, Some(30));
    assert!(disk.borrow().list().unwrap().iter().any(|name| name.starts_with("aside-1-segment-")));
}
