//! `volet privacy` end to end: figures that anyone can check, and a real ledger explained.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use volet_federated::budget::{Day, DeviceSecret, FileCounter, Ledger, Limits, LineageId, Policy, Scope, Terms};
use volet_federated::secagg::Demands;
use volet_federated::signing::SigningKey;
use volet_federated::storage::DirStorage;
use volet_federated::{ClipNorm, CohortSize, NoiseMultiplier, RoundId, TaskId};

fn privacy(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_volet")).arg("privacy").args(args).output().expect("volet runs")
}

fn json(args: &[&str]) -> Value {
    let out = privacy(args);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).expect("JSON")
}

fn refused(args: &[&str], with: &str) {
    let out = privacy(args);
    let error = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && error.contains(with), "{error}");
    assert!(out.stdout.is_empty());
}

fn close(value: &Value, expected: f64, by: f64) {
    let got = value.as_f64().unwrap_or(f64::NAN);
    assert!((got / expected - 1.0).abs() < by, "{got} {expected}");
}

/// Against published values: exact Gaussian DP for mu 1 at 1e-5, and a sampled setting of the reference table.
#[test]
fn accounts_agree_with_published_values() {
    let account = ["account", "--rounds", "1", "--delta", "1e-5", "--noise", "1", "--json"];
    let plain = json(&[&account[..], &["--mechanism", "gaussian"]].concat());
    close(&plain["gdp"], 4.377_178_095_681, 1e-9);
    close(&plain["zcdp"], 4.728_386_984_943, 1e-9);
    close(&plain["pld"], 4.377_178_1, 1e-3);
    let sampled = ["account", "--mechanism", "poisson-gaussian", "--sampling", "0.01", "--noise", "1"];
    let sampled = json(&[&sampled[..], &["--rounds", "1000", "--delta", "1e-5", "--json"]].concat());
    close(&sampled["rdp"], 2.101_365_271_643, 1e-6);
    close(&sampled["pld"], 1.828_243_6, 1e-3);
    assert!(sampled["zcdp"].is_null() && sampled["gdp"].is_null());
}

#[test]
fn plans_say_what_will_be_learned_and_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let plot = folder.path().join("plan.svg");
    let plan = |sites: &str| {
        let common = ["--parameters", "20000", "--epsilon", "4", "--delta", "1e-6", "--rounds", "12", "--json"];
        json(&[&["plan", "--sites", sites, "--plot", plot.to_str().unwrap()], &common[..]].concat())
    };
    let enough = plan("1000");
    close(&enough["noise_multiplier"], 4.39, 1e-2);
    assert!(enough["gain_low"].as_f64().unwrap() > 1.0);
    assert!(plan("50")["gain_high"].as_f64().unwrap() < 0.1);
    assert!(std::fs::read_to_string(plot).unwrap().starts_with("<svg"));
}

#[test]
fn nonsense_is_refused_with_a_reason() {
    let account = |noise, rounds| ["account", "--mechanism", "gaussian", "--noise", noise, "--rounds", rounds];
    refused(&account("0", "12"), "noise multiplier");
    refused(&account("NaN", "12"), "noise multiplier");
    refused(&account("1", "0"), "round");
    refused(&["account", "--mechanism", "poisson-gaussian", "--noise", "1", "--rounds", "1"], "--sampling");
    refused(&["explain", "/no/such/folder"], "no budget ledger");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ledger"), b"certainly no ledger").unwrap();
    refused(&["explain", folder.path().to_str().unwrap()], "volet:");
}

fn ledger(folder: &Path) -> Ledger<DirStorage, FileCounter<DirStorage>> {
    let storage = DirStorage::open(&folder.join("ledger")).unwrap();
    let counter = FileCounter::new(DirStorage::open(&folder.join("counter")).unwrap());
    let owner = SigningKey::from([7; 32]);
    let rho = |text: &str| text.parse().unwrap();
    let policy = Policy {
        version: 3,
        limits: Limits { round: rho("0.1"), day: rho("0.1"), lineage: rho("0.3111"), lifetime: rho("1") },
        max_clip: ClipNorm::new(2.0).unwrap(),
        demands: Demands { minimum: CohortSize::new(900).unwrap(), corrupt_per_mille: 100, security_bits: 40 },
        scope: Scope::Tasks([TaskId::from_bytes([1; 16])].into()),
        last_day: Day(30_000),
    };
    let signed = policy.sign(&owner).unwrap();
    Ledger::create(storage, counter, &DeviceSecret::from_bytes([9; 32]), &(&owner).into(), signed).unwrap()
}

#[test]
fn a_ledger_is_explained_while_it_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = ledger(folder.path());
    for number in 1..=2 {
        let noise = NoiseMultiplier::new(4.4).unwrap();
        let terms = Terms {
            round: RoundId::new(TaskId::from_bytes([1; 16]), number).unwrap(),
            lineage: LineageId::from_bytes([5; 32]),
            cost: noise.cost().unwrap(),
            noise,
            clip: ClipNorm::new(0.5).unwrap(),
            cohort: CohortSize::new(900).unwrap(),
        };
        let _ = ledger.reserve(terms, Day(20_000 + number as u32)).unwrap();
    }
    let path = folder.path().join("ledger");
    let said = json(&["explain", path.to_str().unwrap(), "--json"]);
    assert_eq!(said["verified"], false);
    assert_eq!(said["rounds"].as_array().unwrap().len(), 2);
    assert_eq!(said["rounds"][1]["noise_multiplier"], 4.4);
    assert_eq!(said["rounds"][1]["state"], "spent, nothing has left");
    let spent: f64 = said["lifetime"]["spent"].as_str().unwrap().parse().unwrap();
    assert!((spent - 2.0 / (2.0 * 4.4 * 4.4)).abs() < 1e-9, "{spent}");
    assert!(said["lifetime"]["spent_epsilon"].as_f64().unwrap() > 1.0);
    let text = privacy(&["explain", path.join("ledger").to_str().unwrap()]);
    assert!(text.status.success());
    assert!(String::from_utf8_lossy(&text.stdout).contains("rounds: 2"));
}
