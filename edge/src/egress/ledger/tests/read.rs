//! What is written is read the same: from the folder, from an exported file, and by itself with its proof.

use proptest::prelude::*;

use super::*;

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let name = || "\\PC{0,60}|[\\x00-\\x1f\u{202e}\u{9b}a\"\\\\]{0,20}";
    let kind = prop::sample::select(Kind::ALL.to_vec());
    let entry = (kind, name(), any::<u64>(), any::<[u8; 32]>(), name(), any::<u64>());
    let entry = entry.prop_map(|(kind, destination, bytes, digest, policy, connection)| Entry {
        kind,
        destination,
        bytes,
        digest,
        policy,
        connection,
    });
    prop::collection::vec(entry, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_written_is_read_exported_and_proven(entries in entries(), times in any::<[u64; 4]>()) {
        let limits = Limits { total: 1 << 20, ..SMALL };
        let mut ledger = Ledger::open(MemoryStorage::default(), &key(), limits).unwrap();
        let mut written = Vec::new();
        for (index, entry) in entries.into_iter().enumerate() {
            let at = times[index % 4];
            let number = ledger.append(at, entry.clone()).unwrap();
            written.push(Record { number, at, entry });
        }
        let sums = ledger.sums().clone();
        let head = ledger.head();
        let folder = on_disk(&ledger.close().unwrap().0);
        let out = tempfile::tempdir().unwrap();
        let file = out.path().join("exported");
        export(folder.path(), Some(device()), &[], &file).unwrap();
        for path in [folder.path(), &file] {
            let mut read = Vec::new();
            let all = records(path, None, std::slice::from_ref(&head), &mut |record| read.push(record.clone())).unwrap();
            prop_assert_eq!((&all.findings[..], &read, &all.sums), (&[][..], &written, &sums));
            prop_assert_eq!(all.head.as_ref(), Some(&head));
            let record = &written[written.len() / 2];
            let proof = Proof::of(path, None, record.number).unwrap();
            prop_assert_eq!(&proof.record, record);
            proof.check(&device()).unwrap();
            let json = serde_json::to_vec(&proof).unwrap();
            prop_assert_eq!(Proof::read(&json).unwrap(), proof);
        }
        // Hostile names forge no line and no terminal's commands, in text and in JSON.
        let text = std::fs::read_to_string(&file).unwrap();
        prop_assert!(text.chars().all(|c| c == '\n' || (' '..='~').contains(&c)));
        for record in &written {
            let hostile = ['\n', '\r', '\u{1b}', '\u{9b}', '\u{202e}'];
            prop_assert_eq!(shown(&record.entry.destination).find(hostile), None);
        }
    }

    #[test]
    fn hostile_bytes_are_no_records(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        prop_assert_eq!(try_segment(&bytes, &device()).0, 0);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("segment-00000000000000000001");
        std::fs::write(&file, &bytes).unwrap();
        let sound = verify(folder.path(), Some(device()), &[]).is_ok_and(|all| all.findings.is_empty());
        prop_assert!(!sound);
        prop_assert!(verify(&file, Some(device()), &[]).is_err());
        prop_assert!(Proof::read(&bytes).is_err());
    }
}

#[test]
fn an_altered_export_is_found() {
    let (disk, _) = filled(SMALL, 30);
    let folder = on_disk(&disk);
    let file = folder.path().join("exported");
    export(folder.path(), Some(device()), &[], &file).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let found = |lines: &[String]| {
        std::fs::write(&file, lines.concat()).unwrap();
        verify(&file, Some(device()), &[]).map_or(true, |all| !all.findings.is_empty())
    };
    let owned = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<Vec<_>>();
    assert!(!found(&owned(&lines)));
    for at in 0..lines.len() {
        let mut without = owned(&lines);
        without.remove(at);
        assert!(found(&without), "line {at} removed");
        assert!(found(&owned(&lines[..at])), "cut off at line {at}");
        let mut altered = owned(&lines);
        altered[at] = altered[at].replacen("\"bytes\":", "\"bytes\":1", 1).replacen("\"number\":", "\"number\":1", 1);
        assert!(altered[at] == owned(&lines)[at] || found(&altered), "line {at} altered");
    }
    // A damaged ledger is not exported, and what was there stays.
    std::fs::write(&file, "before").unwrap();
    let name = folder.path().join(book::file_name(verify(folder.path(), None, &[]).unwrap().oldest));
    let mut bytes = std::fs::read(&name).unwrap();
    bytes[800] ^= 1;
    std::fs::write(&name, bytes).unwrap();
    assert!(export(folder.path(), Some(device()), &[], &file).is_err());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "before");
}

#[test]
fn an_altered_proof_does_not_hold() {
    let (disk, head) = filled(SMALL, 30);
    let folder = on_disk(&disk);
    let oldest = verify(folder.path(), None, &[]).unwrap().oldest;
    assert!(oldest > 1, "some were removed");
    let missing = Proof::of(folder.path(), None, oldest - 1);
    assert!(matches!(missing, Err(ReadError::NoRecord { newest: 30, .. })), "{missing:?}");
    for number in oldest..=30 {
        let proof = Proof::of(folder.path(), Some(device()), number).unwrap();
        proof.check(&device()).unwrap();
        let no = |change: &dyn Fn(&mut Proof)| {
            let mut proof = proof.clone();
            change(&mut proof);
            assert!(proof.check(&device()).is_err(), "{proof:?}");
        };
        no(&|p| p.record.number += 1);
        no(&|p| p.record.number = 0);
        no(&|p| p.record.entry.bytes += 1);
        no(&|p| p.record.entry.destination.push('x'));
        no(&|p| p.previous[0] ^= 1);
        no(&|p| p.path.extend([0; 32]));
        no(&|p| p.path.push(0));
        no(&|p| p.path.clear());
        no(&|p| p.head.root[0] ^= 1);
        no(&|p| p.head.number = u64::MAX);
        no(&|p| p.head.signature[0] ^= 1);
        no(&|p| p.head.first = 0);
    }
    let strange = (&SigningKey::from([8; 32])).into();
    let proof = Proof::of(folder.path(), None, 30).unwrap();
    assert!(matches!(proof.check(&strange), Err(ProofError::OtherDevice { .. })));
    assert_eq!(proof.head, head);
}

/// What one append takes without its sync, and what verifying takes. Run by hand: `cargo test --release -- --ignored
/// --nocapture what_it_costs`.
#[test]
#[ignore = "measures"]
fn what_it_costs() {
    let limits = Limits { total: 1 << 30, ..Limits::default() };
    let mut ledger = Ledger::open(MemoryStorage::default(), &key(), limits).unwrap();
    let time = || cpu_time::ProcessTime::now().as_duration();
    let before = time();
    fill(&mut ledger, 1, 100_000);
    println!("append: {:?} of CPU time each", (time() - before) / 100_000);
    let disk = ledger.close().unwrap().0;
    let folder = on_disk(&disk);
    let before = time();
    let all = verify(folder.path(), Some(device()), &[]).unwrap();
    println!("verify 100,000: {:?} of CPU time, {} findings", time() - before, all.findings.len());
    let before = time();
    Ledger::open(disk, &key(), limits).unwrap();
    println!("open 100,000: {:?} of CPU time", time() - before);
}
