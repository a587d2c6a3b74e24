//! The page in a browser, the metrics and the terminal's view, by a server that runs.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod house;

use std::process::Command;

use house::{House, Serving, refused, said};

fn get(url: &str) -> String {
    ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap()
}

/// The state, once the first round has begun.
fn state(serving: &Serving) -> serde_json::Value {
    for _ in 0..10_000 {
        let state: serde_json::Value = serde_json::from_str(&get(&format!("{}/api/state", serving.dashboard))).unwrap();
        if state["round"]["shards"].as_array().is_some_and(|shards| !shards.is_empty()) {
            return state;
        }
    }
    panic!("no round begins")
}

/// The text between an element's tags, by its id.
fn text<'a>(page: &'a str, id: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no element {id}"));
    rest.split_once('>').unwrap().1.split_once("</").unwrap().0
}

#[test]
fn a_browser_shows_what_goes_on() {
    let Some(browser) = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|browser| Command::new(browser).arg("--version").output().is_ok_and(|output| output.status.success()))
    else {
        println!("skipped: no Chromium on this machine");
        return;
    };
    let house = House::new(1000, &[]);
    let serving = house.serve();
    state(&serving);
    // A release beside the first one.
    let learned = house.beside("learned");
    std::fs::write(&learned, [0; 4000]).unwrap();
    said(house.program(&["models", "sign", learned.to_str().unwrap()]));
    let profile = tempfile::tempdir().unwrap();
    let arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"];
    let output = Command::new(browser)
        .args(arguments)
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(&serving.dashboard)
        .output()
        .unwrap();
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(page.contains("data-state=\"ready\""), "{page}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text(&page, "round-number"), "1");
    assert!(text(&page, "round-step").to_lowercase().contains("gather"), "{}", text(&page, "round-step"));
    assert_eq!(text(&page, "epsilon-spent").parse(), Ok(0.0));
    assert!(text(&page, "epsilon-budget").parse::<f64>().is_ok_and(|budget| (4.0..4.1).contains(&budget)));
    assert_eq!(text(&page, "sites-enrolled"), "0");
    let lineage = page.split_once("id=\"lineage-table\"").unwrap().1;
    let hash = blake3::hash(&[0; 4000]).to_string();
    assert!(lineage.contains(&hash[..8]), "{lineage}");
}

#[test]
fn metrics_and_the_terminal_say_the_same() {
    let house = House::new(1000, &[]);
    refused(house.program(&["watch", "--once"]), "serve");
    let serving = house.serve();
    let state = state(&serving);
    let metrics = get(&format!("{}/metrics", serving.dashboard));
    for line in ["volet_round_number 1", "volet_sites_enrolled 0", "volet_epsilon_spent 0", "volet_release_number 0"] {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }
    assert!(metrics.contains("process_resident_memory_bytes"));
    // The page runs nothing but its own.
    let page = ureq::get(&serving.dashboard).call().unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    assert_eq!((&state["round"]["number"], &state["task"]["parameters"]), (&1.into(), &1000.into()));
    // Nothing of it names a site, an address, or a file.
    assert!(!state.to_string().contains("127.0.0.1") && !state.to_string().contains('/'), "{state}");
}

#[test]
fn the_doctor_finds_what_is_wrong() {
    let house = House::new(1000, &[]);
    let report = said(house.program(&["doctor", "--json"]));
    let findings: serde_json::Value = serde_json::from_str(&report).unwrap();
    let verdict = |what: &str| {
        findings.as_array().unwrap().iter().find(|finding| finding["what"] == what).unwrap()["verdict"].clone()
    };
    assert_eq!(
        (verdict("register"), verdict("keys"), verdict("server")),
        ("good".into(), "good".into(), "warning".into())
    );
    let key = house.folder().join("team.key");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    refused(house.program(&["doctor"]), "not in order");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    said(house.program(&["doctor"]));
    std::fs::write(house.folder().join("server.pem"), "nothing").unwrap();
    refused(house.program(&["doctor"]), "not in order");
}

#[test]
fn models_are_signed_and_rolled_back() {
    let house = House::new(1000, &[]);
    let learned = house.beside("learned");
    std::fs::write(&learned, [0; 3999]).unwrap();
    refused(house.program(&["models", "sign", learned.to_str().unwrap()]), "1000 values");
    std::fs::write(&learned, [0xff; 4000]).unwrap();
    refused(house.program(&["models", "sign", learned.to_str().unwrap()]), "no numbers");
    std::fs::write(&learned, [0; 4000]).unwrap();
    said(house.program(&["models", "sign", learned.to_str().unwrap()]));
    refused(house.program(&["models", "rollback", "7"]), "no release 7");
    refused(house.program(&["models", "rollback", "1"]), "latest");
    said(house.program(&["models", "rollback", "0"]));
    let models = said(house.program(&["models"]));
    let hashes: Vec<&str> = models.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert!(hashes.len() == 3 && hashes[0] == hashes[2] && hashes[0] != hashes[1], "{models}");
}
