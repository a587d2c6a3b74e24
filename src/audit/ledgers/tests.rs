//! Ledgers that are whole, gone, torn, cut, or not the ones that an earlier audit saw.

use super::super::claims::Verdict;
use super::*;
use std::io::Write;
use volet_edge::egress::ledger::{Entry, Ledger, Limits};
use volet_federated::signing::SigningKey;
use volet_federated::storage::DirStorage;

/// A camera's state folder with ledgers in it.
struct House {
    folder: tempfile::TempDir,
    key: SigningKey,
}

impl House {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), key: SigningKey::from([7; 32]) }
    }

    fn storage(&self, of: impl Fn([(PathBuf, PathBuf); 2]) -> PathBuf) -> DirStorage {
        let path = of(layout::heads_of(self.folder.path()));
        std::fs::create_dir_all(&path).unwrap();
        DirStorage::open(&path).unwrap()
    }

    /// Writes so many entries into the agent's ledger.
    fn write(&self, entries: u64, anchored: bool) {
        let storage = self.storage(|[(ledger, _), _]| ledger);
        let limits = Limits::default();
        let mut ledger = match anchored {
            true => Ledger::open_anchored(storage, self.storage(|[(_, head), _]| head), &self.key, limits).unwrap(),
            false => Ledger::open(storage, &self.key, limits).unwrap(),
        };
        for bytes in 0..entries {
            let (destination, policy) = (String::new(), String::new());
            let entry = Entry { kind: Kind::Wire, destination, bytes, digest: [1; 32], policy, connection: 1 };
            ledger.append(1, entry).unwrap();
        }
        ledger.close().unwrap();
    }

    /// Puts bytes behind the last record that a power cut may have left, or somebody.
    fn tear(&self) {
        let [(ledger, _), _] = layout::heads_of(self.folder.path());
        let segments = walkdir::WalkDir::new(ledger).sort_by_file_name().into_iter().flatten();
        let last = segments.filter(|entry| entry.file_name().to_string_lossy().starts_with("segment-")).last().unwrap();
        let mut file = std::fs::File::options().append(true).open(last.path()).unwrap();
        file.write_all(&[100, 0, 0, 0, 7, 7, 7]).unwrap();
    }

    fn read(&self) -> (Books, Claim) {
        let (books, claims) = read(self.folder.path(), (&self.key).into(), None);
        let [network, files] = <[Claim; 2]>::try_from(claims).unwrap();
        assert_eq!(files.verdict, Verdict::Failed, "this house has none of files");
        (books, network)
    }
}

#[test]
fn a_ledger_that_is_gone_or_whole_is_told_from_another() {
    let house = House::new();
    assert_eq!(house.read().1.verdict, Verdict::Failed);
    house.write(3, false);
    let (books, claim) = house.read();
    assert_eq!((claim.verdict, books.network.len()), (Verdict::Held, 3));
    assert!(claim.seen.contains("no head in a second place"), "{claim:?}");
    let house = House::new();
    house.write(3, true);
    assert!(house.read().1.seen.contains("up to record 3"));
    // The second place is gone, and then the ledger.
    let [(ledger, head), _] = layout::heads_of(house.folder.path());
    let elsewhere = head.with_extension("elsewhere");
    std::fs::rename(&head, &elsewhere).unwrap();
    let claim = house.read().1;
    assert!(claim.verdict == Verdict::Failed && claim.seen.contains("it was removed"), "{claim:?}");
    std::fs::rename(&elsewhere, &head).unwrap();
    assert_eq!(house.read().1.verdict, Verdict::Held);
    std::fs::remove_dir_all(ledger).unwrap();
    assert_eq!(house.read().1.verdict, Verdict::Failed);
}

#[test]
fn bytes_that_are_no_record_are_cleared_by_a_later_head_alone() {
    for anchored in [false, true] {
        let house = House::new();
        house.write(3, anchored);
        house.tear();
        let wanted = if anchored { Verdict::Held } else { Verdict::Failed };
        let claim = house.read().1;
        assert!(claim.verdict == wanted && claim.seen.contains("7 bytes"), "{claim:?}");
        // The camera starts again and says so itself.
        house.write(1, anchored);
        let claim = house.read().1;
        assert!(claim.verdict == wanted && claim.seen.contains("1 power cuts left 7 bytes"), "{claim:?}");
    }
}

#[test]
fn what_was_set_aside_is_no_ledger_that_holds() {
    let house = House::new();
    house.write(3, false);
    let storage = house.storage(|[(ledger, _), _]| ledger);
    drop(Ledger::set_aside(storage, None, &house.key, Limits::default()).unwrap());
    let claim = house.read().1;
    assert!(claim.verdict == Verdict::Failed && claim.seen.contains("set aside"), "{claim:?}");
}

#[test]
fn what_was_seen_is_still_there_unless_somebody_removed_it() {
    let house = House::new();
    house.write(3, false);
    let there = |house: &House, books: &Books, end: End| {
        still_there(house.folder.path(), (&house.key).into(), books, &[end]).verdict
    };
    let (books, _) = house.read();
    let end: End = books.ends[0].to_string().parse().unwrap();
    assert_eq!(end, books.ends[0]);
    house.write(2, false);
    let (books, _) = house.read();
    assert_eq!(there(&house, &books, end), Verdict::Held);
    assert_eq!(there(&house, &books, End { number: 9, ..end }), Verdict::Failed);
    // Another ledger of the same device with as many records.
    let other = House::new();
    other.write(5, false);
    let (books, _) = other.read();
    assert_eq!(there(&other, &books, end), Verdict::Failed);
    let none = still_there(other.folder.path(), (&other.key).into(), &books, &[]);
    assert!(none.verdict == Verdict::NotExamined && none.seen.contains("5:"), "{none:?}");
    for wrong in ["", "5", "5:", "x:00", "5:00"] {
        assert!(wrong.parse::<End>().is_err(), "{wrong}");
    }
}
