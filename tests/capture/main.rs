//! The capture test: a camera and an aggregator in two networks of their own, everything on the wire between them captured and held
//! against the camera's ledger by `volet audit`. And the same with leaks planted, each of which has to be seen.
//!
//! `cargo test --release --test capture -- --nocapture` prints explained bytes, packets, and planted leaks caught. It takes root for the
//! networks, and says "skipped" without.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test

mod evidence;
mod house;
mod networks;
mod planted;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use house::{Agent, House};
use networks::{AGGREGATOR, Networks, STRANGER};
use serde_json::Value;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let parts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // This program is also what it starts in the networks.
    let part = match parts.as_slice() {
        ["names", file] => planted::names(Path::new(file)),
        ["listener", address, file, ports @ ..] => {
            let ports: Vec<u16> = ports.iter().map(|port| port.parse().unwrap()).collect();
            planted::listener(address, &ports, Path::new(file))
        }
        ["planted", kind, port, out, ..] => {
            return planted::camera(kind, port.parse().unwrap(), Path::new(out), &arguments[4..]).unwrap_or_else(
                |error| {
                    eprintln!("{error:#}");
                    ExitCode::FAILURE
                },
            );
        }
        // What `cargo test` asks of any test program.
        _ if parts.contains(&"--list") => {
            println!("capture: test");
            return ExitCode::SUCCESS;
        }
        _ => match Networks::make() {
            Err(why) => {
                println!("capture: skipped: {why:#}");
                return ExitCode::SUCCESS;
            }
            Ok(networks) => scenario(&networks),
        },
    };
    match part {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("capture: FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// How long it is watched that nothing is said: a camera asks every second here.
const WATCH: Duration = Duration::from_secs(4);

fn scenario(networks: &Networks) -> anyhow::Result<()> {
    let house = House::build(networks)?;
    honest(&house)?;
    evidence::evidence(&house)?;
    hijacked(&house)?;
    leaks(&house)
}

/// Rounds, consent off and on, a crash, exports: every byte is explained, and none goes where there is no consent.
fn honest(house: &House<'_>) -> anyhow::Result<()> {
    let capture = house.networks.capture(&house.path("honest.pcap"))?;
    house.enrol("camera")?;
    let page = house.path("audit.html");
    let new = house.look("camera", &["--html", page.to_str().unwrap()])?;
    let failed = |told: &Value| {
        let claims = told["claims"].as_array().into_iter().flatten().cloned();
        claims.filter(|claim| claim["verdict"] == "failed").collect::<Vec<_>>()
    };
    anyhow::ensure!(failed(&new).is_empty() && new["redaction"]["faces"].as_u64() > Some(0), "{new}");
    // Nothing runs and nothing was captured yet, of which it is no evidence.
    anyhow::ensure!(new["verdict"] == "not-all-examined" && new["held"] == false, "{new}");
    anyhow::ensure!(
        std::fs::read_to_string(&page)?.contains("claims were not examined: of those this page shows nothing"),
        "the page says otherwise"
    );
    house.consent("camera", "--learning", "off")?;
    let silent = house.networks.capture(&house.path("silent.pcap"))?;
    let mut agent = house.agent("camera", None)?;
    agent.says("silent")?;
    std::thread::sleep(WATCH);
    let before = house.packets(silent)?;
    // What was agreed to holds at once, and so does taking it back.
    house.consent("camera", "--learning", "on")?;
    agent.says("took part in round 1")?;
    agent.kill()?;
    let mut agent = house.agent("camera", None)?;
    agent.says("took part in round 2")?;
    house.consent("camera", "--learning", "off")?;
    agent.says("silent")?;
    // The system closes the connection: an empty packet or two.
    std::thread::sleep(Duration::from_secs(1));
    let silent = house.networks.capture(&house.path("silent-again.pcap"))?;
    std::thread::sleep(WATCH);
    let after = house.packets(silent)?;
    house.consent("camera", "--learning", "on")?;
    agent.says("took part in round 3")?;
    // Files for others.
    let refused = house.watch("camera")?;
    anyhow::ensure!(!refused, "files were given out although their owner does not share");
    house.consent("camera", "--sharing", "on")?;
    anyhow::ensure!(house.watch("camera")?, "files were not given out");
    // What noise alone taught its model is not worth a trial.
    let running = house.live("camera", WATCH)?;
    agent.kill()?;
    let file = capture.end()?;
    let told = house.audit("camera", &file, &["--files", house.path("out").to_str().unwrap()])?;
    show("a run with rounds, a crash, consent off and on, files", &told);
    println!("consent off: {before} packets; withdrawn in a run: {after} packets");
    anyhow::ensure!(before == 0 && after == 0, "packets went without consent");
    let capture = &told["capture"];
    anyhow::ensure!(capture["bytes"].as_u64() > Some(40_000), "next to nothing was captured: {capture}");
    anyhow::ensure!(capture["explained_bytes"] == capture["bytes"], "not all bytes are explained: {capture}");
    anyhow::ensure!(capture["unexplained_packets"] == 0 && capture["late_bytes"] == 0, "{capture}");
    for told in [&running, &told] {
        anyhow::ensure!(told["claims"].as_array().is_some_and(|claims| !claims.is_empty()), "there are no claims");
        anyhow::ensure!(failed(told).is_empty(), "{:?}", failed(told));
    }
    let examined = |word: &str| {
        let claims = running["claims"].as_array().into_iter().flatten();
        claims
            .filter(|claim| claim["claim"].as_str().is_some_and(|text| text.contains(word)))
            .any(|claim| claim["verdict"] == "held")
    };
    anyhow::ensure!(
        [
            "no open port",
            "its aggregator",
            "system calls are filtered",
            "says that it locked itself in",
            "while it was watched"
        ]
        .iter()
        .all(|word| examined(word)),
        "{running}"
    );
    Ok(())
}

/// Somebody answers the camera's question for its aggregator with an address of theirs: they hear TLS's greeting, and nothing else.
fn hijacked(house: &House<'_>) -> anyhow::Result<()> {
    house.resolve_to(STRANGER)?;
    let capture = house.networks.capture(&house.path("hijacked.pcap"))?;
    let mut agent = house.agent("camera", None)?;
    agent.says("tries again")?;
    agent.kill()?;
    house.resolve_to(AGGREGATOR)?;
    let told = house.audit("camera", &capture.end()?, &[])?;
    show("a hijacked name server", &told);
    anyhow::ensure!(told["capture"]["explained_bytes"] == told["capture"]["bytes"], "{}", told["capture"]);
    anyhow::ensure!(told["capture"]["unexplained_packets"] == 0, "{}", told["capture"]);
    let heard = std::fs::read(house.path("stranger"))?;
    // A TLS record of the kind "handshake" each, the client's hello; and perhaps an alert.
    anyhow::ensure!(heard.first() == Some(&22) && heard.len() < 16 << 10, "the stranger heard {} bytes", heard.len());
    std::fs::remove_file(house.path("stranger"))?;
    Ok(())
}

/// Each kind of leak, with the camera locked in and not.
fn leaks(house: &House<'_>) -> anyhow::Result<()> {
    let mut caught = 0;
    for kind in planted::KINDS {
        for locked in [false, true] {
            let capture = house.networks.capture(&house.path("leak.pcap"))?;
            let mut agent: Agent = house.agent("camera", Some((kind, locked)))?;
            let leaked = agent.says_one_of(&["leaked", "held back"])? == 0;
            // What was sent is on the wire before the program says so.
            let told = house.audit("camera", &capture.end()?, &["--files", house.path("out").to_str().unwrap()])?;
            agent.kill()?;
            let seen = told["claims"].as_array().context("there are claims")?;
            let seen = seen.iter().filter(|c| c["verdict"] == "failed").any(|c| {
                let claim = c["claim"].as_str().unwrap_or_default();
                claim.contains("while it was watched") || claim.contains("folder for others")
            });
            std::fs::remove_file(house.path("out").join("sound.raw")).ok();
            let lock = if locked { "locked in" } else { "not locked in" };
            println!(
                "leak {kind}, {lock}: {}, {}",
                if leaked { "sent" } else { "held back by the system" },
                if seen { "seen by the audit" } else { "not seen by the audit" }
            );
            anyhow::ensure!(seen == leaked, "{kind}: {}", told["capture"]);
            anyhow::ensure!(locked || leaked, "the leak {kind} was not planted well");
            caught += u32::from(locked && (seen || !leaked));
        }
    }
    println!("planted leaks caught: {caught} of {}", planted::KINDS.len());
    anyhow::ensure!(caught as usize == planted::KINDS.len(), "a leak was missed");
    Ok(())
}

fn show(what: &str, told: &Value) {
    let capture = &told["capture"];
    let (explained, bytes) = (capture["explained_bytes"].as_u64().unwrap_or(0), capture["bytes"].as_u64().unwrap_or(0));
    println!(
        "{what}: explained bytes {} ({explained} of {bytes}), {} packets, {} unexplained",
        if explained == bytes { "1".to_owned() } else { format!("{:.6}", explained as f64 / bytes as f64) },
        capture["packets"],
        capture["unexplained_packets"]
    );
}
