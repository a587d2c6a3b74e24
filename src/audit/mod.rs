//! `volet audit`: evidence for whoever has to believe it. Looks at an enrolled camera, running or not, from outside: its state folder,
//! its programs as the system sees them, its ledgers, a capture of what it sent. Changes nothing.
//!
//! Exit code 0 only if every claim that was examined held.

mod capture;
mod claims;
mod ledgers;
mod packets;
mod page;
mod process;
mod reconcile;
mod selftest;
mod software;
mod state;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use volet_edge::batch::write_whole;
use volet_edge::egress::ledger::Record;

use crate::cli::{AuditArgs, CaptureArgs};
use claims::{Claim, Verdict};
use packets::Mac;
use process::Program;
use reconcile::Reconciled;

/// What was found.
#[derive(Serialize)]
struct Report {
    /// When, in seconds since 1970.
    at: u64,
    /// The camera's public key, hexadecimal.
    camera: String,
    /// Whether every claim that was examined held.
    held: bool,
    claims: Vec<Claim>,
    /// What left the camera, by kind and where to.
    sent: Vec<ledgers::Sent>,
    capture: Option<Reconciled>,
    programs: Vec<Program>,
    sandbox: Option<volet_edge::sandbox::Report>,
    redaction: Option<selftest::Measured>,
    build: software::Build,
}

pub(crate) fn run(args: &AuditArgs) -> anyhow::Result<ExitCode> {
    let camera = state::Camera::read(&args.state)?;
    let mut claims = Vec::new();
    let (books, verified) = ledgers::read(&args.state, camera.key);
    let locks = ["lock", "egress/lock", "exports/lock"].map(|lock| args.state.join(lock));
    let programs = process::holding(&locks)?;

    claims.extend(state::claims(&camera, &args.state));
    claims.extend(verified);
    claims.push(ledgers::consent(&books));
    claims.push(ledgers::files(&books, args.files.as_deref()));
    let capture = captured(args, &books.network)?;
    claims.push(explained(capture.as_ref()));
    claims.extend(running(&programs, &camera, args.expect.as_deref()));
    let (sandbox, confined) = state::sandbox(&args.state);
    claims.push(confined);
    let redaction = if args.quick { None } else { Some(selftest::run(&camera.folder)?) };
    claims.push(selftest::claim(redaction.as_ref()));

    let report = Report {
        at: std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs(),
        camera: blake3::Hash::from_bytes(camera.key.to_bytes()).to_string(),
        held: claims.iter().all(|claim| claim.verdict != Verdict::Failed),
        sent: ledgers::sums(&books),
        claims,
        capture,
        programs,
        sandbox,
        redaction,
        build: software::build(),
    };
    let json = serde_json::to_string_pretty(&report)?;
    if let Some(file) = &args.sbom {
        write_whole(file, software::bill()?.as_bytes())?;
    }
    if let Some(file) = &args.html {
        write_whole(file, page::page(&report, &json, &args.state)?.as_bytes())?;
    }
    if args.json {
        println!("{json}");
    } else {
        print(&report);
    }
    Ok(if report.held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `volet capture`: into a file until standard input ends, or for so long.
pub(crate) fn record(args: &CaptureArgs) -> anyhow::Result<ExitCode> {
    let ended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    if args.seconds.is_none() {
        let ended = ended.clone();
        std::thread::spawn(move || {
            std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()).ok();
            ended.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
    let stop = || ended.load(std::sync::atomic::Ordering::Relaxed);
    let count = capture::capture(&args.out, args.seconds.map(Duration::from_secs), || println!("capturing"), &stop)?;
    // Whoever started this may not listen any more.
    writeln!(std::io::stdout(), "{count} packets").ok();
    Ok(ExitCode::SUCCESS)
}

/// What was captured, held against the ledger.
fn captured(args: &AuditArgs, records: &[Record]) -> anyhow::Result<Option<Reconciled>> {
    let cards = |given: &[String]| -> anyhow::Result<BTreeSet<Mac>> {
        if given.is_empty() {
            return Ok(capture::cards());
        }
        let card = |text: &String| capture::parse(text).with_context(|| format!("{text} is no card's address"));
        given.iter().map(card).collect()
    };
    let held = |file: &Path| -> anyhow::Result<Reconciled> {
        let file = std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        let packets = packets::sent(std::io::BufReader::new(file), &cards(&args.cards)?)?;
        Ok(reconcile::reconcile(&packets, records))
    };
    if let Some(file) = &args.capture {
        return held(file).map(Some);
    }
    let Some(seconds) = args.live else { return Ok(None) };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("live.pcap");
    capture::capture(&file, Some(Duration::from_secs(seconds)), || {}, &|| false)?;
    // What was written down while it was captured has to be read too.
    let (books, _) = ledgers::read(&args.state, state::Camera::read(&args.state)?.key);
    let file = std::fs::File::open(&file)?;
    let packets = packets::sent(std::io::BufReader::new(file), &cards(&args.cards)?)?;
    Ok(Some(reconcile::reconcile(&packets, &books.network)))
}

fn explained(capture: Option<&Reconciled>) -> Claim {
    let claim = "every byte that this machine sent while it was watched is one that the ledger says would go";
    let Some(capture) = capture else {
        return Claim::skipped(claim, "nothing was captured (--live SECONDS as root, or --capture FILE)");
    };
    let mut seen = format!(
        "explained bytes {} ({} of {}), {} packets, {} of them unexplained",
        capture.share(),
        capture.explained_bytes,
        capture.bytes,
        capture.packets,
        capture.unexplained_packets
    );
    for (to, strange) in capture.unexplained.iter().take(5) {
        seen.push_str(&format!("; to {to}: {} packets, {} bytes", strange.packets, strange.bytes));
    }
    if capture.late_bytes > 0 {
        seen.push_str(&format!("; {} bytes were written down after they had gone", capture.late_bytes));
    }
    Claim::of(claim, capture.holds(), seen)
}

/// What the system says of the camera's programs.
fn running(programs: &[Program], camera: &state::Camera, expected: Option<&str>) -> Vec<Claim> {
    const OPEN: &str = "the camera's programs wait for nobody to call: no open port";
    const WHERE: &str = "the camera's programs are connected to nobody but its aggregator";
    const LOCKED: &str = "the camera's programs have locked themselves in: filtered system calls, no rights, not root";
    const SAME: &str = "the camera's programs are the files that were named";
    if programs.is_empty() {
        let why = "no program of this camera's runs, or this user may not see it";
        return [OPEN, WHERE, LOCKED, SAME].map(|claim| Claim::skipped(claim, why)).into();
    }
    let names: Vec<String> = programs.iter().map(|p| format!("{} (process {})", p.file.display(), p.pid)).collect();
    let names = names.join(", ");
    let of = |claim, faults: Vec<String>| {
        Claim::of(claim, faults.is_empty(), if faults.is_empty() { names.clone() } else { faults.join("; ") })
    };
    let open = programs
        .iter()
        .flat_map(|p| p.listening.iter().chain(&p.strange).map(move |socket| format!("process {}: {socket}", p.pid)));
    let away = programs.iter().flat_map(|p| {
        let strange = p.connected.iter().filter(|address| !camera.may_reach(address));
        strange.map(move |address| format!("process {} to {address}", p.pid))
    });
    let loose = programs.iter().filter(|p| p.user == 0 || p.capabilities != 0 || !p.no_new_privileges || !p.filtered);
    let loose = loose.map(|p| {
        format!(
            "process {}: user {}, capabilities {:x}, no new privileges: {}, system calls filtered: {}",
            p.pid, p.user, p.capabilities, p.no_new_privileges, p.filtered
        )
    });
    let same = match expected {
        None => {
            let hashes: Vec<String> =
                programs.iter().map(|p| p.blake3.clone().unwrap_or_else(|| "unreadable".to_owned())).collect();
            Claim::skipped(SAME, format!("no hash was named (--expect); they are {}", hashes.join(", ")))
        }
        Some(expected) => {
            let other = programs.iter().filter(|p| p.blake3.as_deref() != Some(expected));
            of(
                SAME,
                other
                    .map(|p| format!("process {} is {}", p.pid, p.blake3.as_deref().unwrap_or("unreadable")))
                    .collect(),
            )
        }
    };
    vec![of(OPEN, open.collect()), of(WHERE, away.collect()), of(LOCKED, loose.collect()), same]
}

fn print(report: &Report) {
    for claim in &report.claims {
        let mark = match claim.verdict {
            Verdict::Held => "held   ",
            Verdict::Failed => "FAILED ",
            Verdict::NotExamined => "-      ",
        };
        println!("{mark} {}\n         {}", claim.claim, claim.seen);
    }
    for sent in &report.sent {
        println!(
            "sent    {:?} to {}: {} times, {} bytes",
            sent.kind,
            volet_edge::egress::ledger::shown(&sent.destination),
            sent.count,
            sent.bytes
        );
    }
    let count = |verdict| report.claims.iter().filter(|claim| claim.verdict == verdict).count();
    println!(
        "{} claims held, {} failed, {} were not examined",
        count(Verdict::Held),
        count(Verdict::Failed),
        count(Verdict::NotExamined)
    );
}
