//! `volet ledger` over the built program: a ledger that the library wrote is verified, shown, exported, proven; tampering is named.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use volet_edge::egress::ledger::{Entry, Kind, Ledger, Limits};
use volet_federated::SiteId;
use volet_federated::signing::{SigningKey, VerifyingKey};
use volet_federated::storage::DirStorage;

const HOSTILE: &str = "evil\n\u{1b}[2J\u{202e}       1  forged";

fn ledger(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_volet")).arg("ledger").args(arguments).current_dir(folder).output().unwrap()
}

fn said(arguments: &[&str], folder: &Path, well: bool) -> String {
    let output = ledger(arguments, folder);
    let (out, error) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
    assert_eq!(output.status.code(), Some(if well { 0 } else { 1 }), "{arguments:?}: {out}{error}");
    assert!((out.clone() + &error).chars().all(|c| c == '\n' || (' '..='~').contains(&c)), "{out}{error}");
    out + &error
}

fn open(folder: &Path) -> Ledger<DirStorage> {
    let storage = |name| DirStorage::open(&folder.join(name)).unwrap();
    Ledger::open_anchored(storage("ledger"), storage("anchor"), &SigningKey::from([7; 32]), Limits::default()).unwrap()
}

#[test]
fn a_ledger_is_verified_shown_exported_and_proven() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut writer = open(folder);
    for n in 1..=20u64 {
        let kind = if n % 2 == 0 { Kind::Wire } else { Kind::CheckIn };
        let destination = if n == 5 { HOSTILE.to_owned() } else { "server.example:8443".to_owned() };
        let entry =
            Entry { kind, destination, bytes: n, digest: [1; 32], policy: "learning".to_owned(), connection: 1 };
        writer.append(1_780_000_000_000 + n * 1000, entry).unwrap();
    }
    let key = SiteId::from_bytes(VerifyingKey::from(&SigningKey::from([7; 32])).to_bytes()).to_string();

    // While the writer holds its folder.
    let verified = said(&["verify", "ledger", "--key", &key], folder, true);
    assert!(verified.contains("holds:") && verified.contains("20, from 1 to 20"), "{verified}");
    writer.close().unwrap();
    assert!(said(&["verify", "ledger"], folder, true).contains("own word"));
    let json = said(&["verify", "ledger", "--key", &key, "--anchor", "anchor", "--json"], folder, true);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["holds"], &json["records"], &json["head"]["number"]), (&true.into(), &20.into(), &20.into()));

    assert_eq!(said(&["show", "ledger"], folder, true).lines().count(), 20);
    let filter = ["show", "ledger", "--json", "--kind", "wire", "--since", "2026-05-28T20:26:50Z"];
    let shown = said(&filter, folder, true);
    let records: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        records.iter().map(|record| record["number"].as_u64().unwrap()).collect::<Vec<_>>(),
        [10, 12, 14, 16, 18, 20]
    );
    let sums = said(&["show", "ledger", "--sums", "--json"], folder, true);
    let sums: Value = serde_json::from_str(&sums).unwrap();
    let bytes: u64 = sums.as_array().unwrap().iter().map(|line| line["bytes"].as_u64().unwrap()).sum();
    assert_eq!(bytes, 210);
    assert!(sums.as_array().unwrap().iter().any(|line| line["destination"] == HOSTILE));
    said(&["show", "ledger", "--sums"], folder, true);

    said(&["export", "ledger", "--out", "exported", "--key", &key], folder, true);
    assert!(said(&["verify", "exported", "--key", &key, "--anchor", "anchor"], folder, true).contains("holds:"));
    said(&["prove", "ledger", "5", "--out", "proof.json"], folder, true);
    assert!(said(&["check", "proof.json", "--key", &key], folder, true).contains("holds:"));
    said(&["verify", "ledger", "--anchor", "proof.json"], folder, true);
    said(&["prove", "ledger", "21", "--out", "none.json"], folder, false);
    assert!(!folder.join("none.json").exists());

    // Another's key, another's words, and a ledger cut short.
    let other = SiteId::from_bytes(VerifyingKey::from(&SigningKey::from([8; 32])).to_bytes()).to_string();
    assert!(said(&["verify", "ledger", "--key", &other], folder, false).contains("another device"));
    assert!(said(&["check", "proof.json", "--key", &other], folder, false).contains("another device"));
    let proof = std::fs::read_to_string(folder.join("proof.json")).unwrap();
    std::fs::write(folder.join("proof.json"), proof.replace("\"bytes\": 5", "\"bytes\": 6")).unwrap();
    assert!(said(&["check", "proof.json", "--key", &key], folder, false).contains("altered"));
    let segment = folder.join("ledger/segment-00000000000000000001");
    let whole = std::fs::read(&segment).unwrap();
    let mut altered = whole.clone();
    altered[2000] ^= 1;
    std::fs::write(&segment, &altered).unwrap();
    assert!(said(&["verify", "ledger", "--key", &key], folder, false).contains("DOES NOT HOLD"));
    said(&["show", "ledger"], folder, false);
    said(&["export", "ledger", "--out", "damaged"], folder, false);
    assert!(!folder.join("damaged").exists());
    std::fs::write(&segment, &whole[..whole.len() - 100]).unwrap();
    said(&["verify", "ledger", "--key", &key], folder, true);
    let cut = said(&["verify", "ledger", "--key", &key, "--anchor", "anchor"], folder, false);
    assert!(cut.contains("20 records were written, and the last one here is 19"), "{cut}");
    said(&["verify", "anchor"], folder, false);
}
