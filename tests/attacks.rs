//! Guarantee G3 at a small size: every attack of `benches/attacks` fails against Volet's masks and succeeds against the
//! ordinary ones beside it. The bench's first page says what they are; `docs/redaction-attacks.md` what they gave.
//!
//! An attack counts as a success where chance does as well less often than once in 200,000 times; there are some 110
//! such questions, so that a sound program fails this test less often than once in a thousand runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../benches/attacks/suite/mod.rs"]
mod suite;

use std::process::Command;

use suite::{Size, carriers, report};

#[test]
fn every_attack_goes_as_it_should() {
    let (rows, skipped) = suite::run(&Size::SMALL);
    println!("{}", report::plain(&rows));
    skipped.iter().for_each(|s| println!("{s}"));
    let wrong: Vec<_> = rows.iter().filter(|r| !r.is_as_expected()).cloned().collect();
    assert!(wrong.is_empty(), "\n{}", report::plain(&wrong));
    assert_eq!(report::markdown(&rows).lines().count(), rows.len() + 2);
    assert!(rows.iter().filter(|r| r.role == report::Role::Planted).count() >= 20, "too few planted faults");
}

/// The built program, on a picture that carries a thumbnail in its EXIF and a comment.
#[test]
fn what_a_picture_carries_besides_its_pixels_does_not_come_out() {
    const MARK: &[u8] = b"a face before it was covered";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    volet_synthetic::still(1, 320, 240).image.save(&path).unwrap();
    let plain = std::fs::read(&path).unwrap();
    let segment = |marker: u8, head: &[u8]| {
        let content = [head, MARK].concat();
        let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
        [&[0xff, marker][..], &length, &content].concat()
    };
    let carriers = [segment(0xe1, b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"), segment(0xe2, b"MPF\0"), segment(0xfe, b"")];
    let with = [&plain[..2], &carriers.concat(), &plain[2..], MARK].concat();
    assert!(carriers::in_jpeg(&with) > 3, "the attack itself is blind");
    std::fs::write(&path, with).unwrap();
    let out = folder.path().join("out");
    let mut volet = Command::new(env!("CARGO_BIN_EXE_volet"));
    let done = volet.arg("redact").arg(&path).arg("--out").arg(&out).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut written = 0;
    for file in walk(&out) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(MARK.len()).any(|w| w == MARK), "{file:?} carries it");
        if file.extension().is_some_and(|e| e == "jpg") {
            assert_eq!(carriers::in_jpeg(&bytes), 0, "{file:?}");
            written += 1;
        }
    }
    assert_eq!(written, 1);
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    entries.flat_map(|p| if p.is_dir() { walk(&p) } else { vec![p] }).collect()
}
