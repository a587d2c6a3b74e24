//! `volet demo`, end to end: real processes, real TLS, real learning.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

#[test]
fn four_cameras_learn_in_two_rounds() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("demo");
    let mut command = Command::new(env!("CARGO_BIN_EXE_volet"));
    let output = command.args(["demo", "--cameras", "4", "--rounds", "2", "--exit", "--json", "--dir"]).arg(&dir);
    let output = output.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON object and nothing else");
    assert_eq!((&report["rounds_completed"], &report["rounds_failed"]), (&2.into(), &0.into()), "{report}");
    assert_eq!(report["reports_accepted"], 8);
    let models = report["models"].as_array().unwrap();
    assert_eq!(models.len(), 3);
    assert!(models.iter().all(|model| model["blake3"].as_str().unwrap().len() == 64));
    let epsilon = report["epsilon"]["spent"].as_f64().unwrap();
    assert!(epsilon > 7.0 && epsilon <= 8.0, "{epsilon}");
    assert!(report["dashboard"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    let cameras = report["cameras"].as_array().unwrap();
    assert_eq!(cameras.len(), 4);
    for camera in cameras {
        assert_eq!(camera["rounds"], 2);
        assert!((camera["epsilon_spent"].as_f64().unwrap() - epsilon).abs() < 1e-6);
        let model = &camera["model"];
        assert!(models.iter().any(|released| released["blake3"] == *model), "what is in use was released");
        // What it learned from and judged by, and what it made of the releases.
        let held = |what: &str| camera["buffer"][what].as_u64().unwrap();
        assert!(held("lessons") >= 10 && held("held_out") >= 2 && held("labels") >= held("lessons") / 2, "{camera}");
        assert_eq!(held("taught"), held("lessons"), "{camera}");
        let (used, refused) = (camera["used"].as_array().unwrap(), camera["refused"].as_array().unwrap());
        assert!((1..=2).contains(&(used.len() + refused.len())), "{camera}");
        let latest = used.iter().map(|used| used["release"].as_u64().unwrap()).max().unwrap_or(0);
        assert_eq!(camera["release"], latest, "{camera}");
        let reasons = used.iter().map(|used| &used["why"]).chain(refused);
        reasons.for_each(|why| assert!(why.as_str().unwrap().contains("on this camera's own frames"), "{why}"));
    }
    assert!(told.contains("round 2: the sum of 4 cameras"), "{told}");
    // Lessons are sealed: nothing of a camera's folder but what its pipeline redacted is a picture.
    for camera in 1..=4 {
        let buffer = dir.join(format!("camera-{camera}-lessons"));
        let status = volet_edge::learn::buffer::status(&buffer).unwrap();
        assert_eq!(
            (status.damaged, status.lessons as u64),
            (0, cameras[camera - 1]["buffer"]["lessons"].as_u64().unwrap())
        );
        for file in std::fs::read_dir(&buffer).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(4).any(|part| part == b"IHDR"), "a picture lies open");
        }
    }
    // Nobody is left: every folder's lock can be had.
    for camera in 1..=4 {
        let folder = dir.join(format!("camera-{camera}"));
        volet_federated::storage::DirStorage::open(&folder).unwrap();
    }
}

#[test]
fn what_cannot_be_shown_is_refused_in_words() {
    let demo = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_volet")).arg("demo").args(arguments).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(demo(&["--cameras", "2", "--exit"]).contains("4.."));
    assert!(demo(&["--rounds", "0", "--exit"]).contains("1.."));
    let parent = tempfile::tempdir().unwrap();
    std::fs::write(parent.path().join("something"), b"").unwrap();
    assert!(demo(&["--exit", "--dir", parent.path().to_str().unwrap()]).contains("not empty"));
}
