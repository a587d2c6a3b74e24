//! `volet audit`: evidence for whoever has to believe it. Looks at an enrolled camera, running or not, from outside: its state folder,
//! its programs as the system sees them, its ledgers, a capture of what it sent. Changes nothing.
//!
//! Exit code 0 only if every claim held; 1 where one did not; 3 where none failed and some were not examined.

mod capture;
mod check;
mod claims;
mod consent;
mod expected;
mod explained;
mod layout;
mod ledgers;
mod locked;
mod packets;
mod page;
mod process;
mod reconcile;
mod running;
mod selftest;
mod software;
mod state;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use volet_edge::batch::write_whole;

use crate::cli::{AuditArgs, CaptureArgs};
use claims::{Claim, Outcome, Verdict};
pub(crate) use expected::Expected;
pub(crate) use ledgers::End;
use process::Program;
use reconcile::Reconciled;

/// What was found.
#[derive(Serialize)]
struct Report {
    /// When, in seconds since 1970.
    at: u64,
    /// The camera's public key, hexadecimal.
    camera: String,
    /// What came of all claims.
    verdict: Outcome,
    /// Whether every claim held.
    held: bool,
    claims: Vec<Claim>,
    /// What left the camera, by kind and where to.
    sent: Vec<ledgers::Sent>,
    /// The last record of each ledger, which a later audit can ask for again.
    heads: Vec<End>,
    capture: Option<Reconciled>,
    programs: Vec<Program>,
    sandbox: Option<volet_edge::sandbox::Report>,
    redaction: Option<selftest::Measured>,
    build: software::Build,
}

pub(crate) fn run(args: &AuditArgs) -> anyhow::Result<ExitCode> {
    if let Some(page) = &args.check {
        return check::run(page, args.key);
    }
    let report = examine(args)?;
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
    Ok(report.verdict.code(args.allow_unexamined))
}

fn examine(args: &AuditArgs) -> anyhow::Result<Report> {
    let camera = state::Camera::read(&args.state)?;
    // Before the ledgers: what a program does now is in them then.
    let programs = process::holding(&layout::locks(&args.state))?;
    let (books, verified) = ledgers::read(&args.state, camera.key, args.anchor.as_deref());

    let mut claims = state::claims(&camera, &books.network);
    claims.extend(verified);
    claims.push(ledgers::still_there(&args.state, camera.key, &books, &args.heads));
    claims.push(consent::claim(&books.network));
    claims.push(ledgers::files(&books, args.files.as_deref()));
    let capture = explained::explained(args, &camera, &books)?;
    claims.push(explained::claim(capture.as_ref()));
    let reach = running::Reach::of(camera.aggregator(), &books.network);
    claims.extend(running::claims(&programs, &layout::programs(&args.state), &reach, args.expect.as_ref()));
    let (sandbox, confined) = locked::sandbox(&args.state, &programs);
    claims.push(confined);
    let redaction = if args.quick { None } else { Some(selftest::run(&camera.folder)?) };
    claims.push(selftest::claim(redaction.as_ref()));

    let verdict = Outcome::of(&claims);
    Ok(Report {
        at: std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs(),
        camera: blake3::Hash::from_bytes(camera.key.to_bytes()).to_string(),
        verdict,
        held: verdict == Outcome::Held,
        sent: ledgers::sums(&books),
        heads: books.ends,
        claims,
        capture,
        programs,
        sandbox,
        redaction,
        build: software::build(),
    })
}

/// `volet capture`: into a file until standard input ends, or for so long.
pub(crate) fn record(args: &CaptureArgs) -> anyhow::Result<ExitCode> {
    let ended = Arc::new(AtomicBool::new(false));
    if args.seconds.is_none() {
        let ended = ended.clone();
        std::thread::spawn(move || {
            std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()).ok();
            ended.store(true, Ordering::Relaxed);
        });
    }
    let stop = || ended.load(Ordering::Relaxed);
    let lasts = args.seconds.map(Duration::from_secs);
    let captured = capture::capture(&args.out, lasts, || println!("capturing"), &stop)?;
    // Whoever started this may not listen any more.
    writeln!(std::io::stdout(), "{} packets, {} lost", captured.packets, captured.lost).ok();
    anyhow::ensure!(
        captured.lost == 0,
        "{} packets came faster than they could be written and are not in {}: it is no evidence of what was not sent. Capture again, onto a \
         faster disk or for a shorter time",
        captured.lost,
        args.out.display()
    );
    Ok(ExitCode::SUCCESS)
}

fn print(report: &Report) {
    let count = |verdict| report.claims.iter().filter(|claim| claim.verdict == verdict).count();
    let (held, failed, open) = (count(Verdict::Held), count(Verdict::Failed), count(Verdict::NotExamined));
    match report.verdict {
        Outcome::Held => println!("all {held} claims held\n"),
        Outcome::Failed => println!("{failed} claims FAILED, {held} held, {open} were not examined\n"),
        Outcome::NotAllExamined => {
            println!("{open} claims were NOT EXAMINED, of which this shows nothing; the other {held} held\n");
        }
    }
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
    for head in &report.heads {
        println!("head    {head}");
    }
}
