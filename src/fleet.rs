//! `volet demo`: an aggregator and some cameras as processes of this very program on this machine, learning together.

mod lessons;
mod report;
mod stage;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use volet_federated::aggregator::{DELTA, Setup};

use crate::cli::DemoArgs;
use report::Report;
use stage::Stage;

/// Between two looks at what has happened.
const LOOK: Duration = Duration::from_millis(200);
/// How long the last release may take to reach all cameras, and a camera to judge it.
const LAST: Duration = Duration::from_secs(180);

pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let stop = crate::stop::watch()?;
    let scratch;
    let folder = match &args.dir {
        Some(dir) => dir.as_path(),
        None => {
            scratch = tempfile::Builder::new().prefix("volet-demo-").tempdir()?;
            scratch.path()
        }
    };
    let begun = Instant::now();
    let mut stage = Stage::set(folder, args, stop)?;
    eprintln!(
        "{} cameras and an aggregator in {}; noise multiplier {:.2}, so that {} rounds cost epsilon {:.2} at delta {:e}",
        args.cameras,
        folder.display(),
        stage.noise,
        args.rounds,
        stage.epsilon(args.rounds)?,
        DELTA
    );
    eprintln!("(so few cameras learn nothing through so much noise: what they show is the protocol, and that a camera");
    eprintln!("keeps its old model where the new one is worse; `volet privacy plan` says what takes how many)");
    stage.start()?;
    eprintln!("each has watched clips of its own and labelled its lessons; {:.0} s", begun.elapsed().as_secs_f64());
    match stage.dashboard() {
        Some(dashboard) => eprintln!("the aggregator is at {}, its dashboard at {dashboard}", stage.address),
        None => eprintln!("the aggregator is at {}", stage.address),
    }
    let finished = rounds(&mut stage, args, stop)? && last_release(&mut stage, stop)?;
    let report = Report::of(&stage)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        report.print();
    }
    if finished && !args.exit {
        eprintln!("the aggregator goes on until Ctrl-C; `--exit` ends after the rounds");
        while !stop.load(Ordering::Relaxed) {
            stage.check()?;
            std::thread::sleep(LOOK);
        }
    }
    if stop.load(Ordering::Relaxed) && args.exit {
        return Ok(ExitCode::from(crate::stop::CODE));
    }
    Ok(if report.rounds_completed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits for the rounds and tells of each; whether they have ended before somebody stopped it.
fn rounds(stage: &mut Stage, args: &DemoArgs, stop: &AtomicBool) -> anyhow::Result<bool> {
    let mut told = 0;
    while !stop.load(Ordering::Relaxed) {
        stage.check()?;
        let rounds = stage.book.rounds()?;
        for round in rounds.iter().skip(told) {
            match (&round.failure, round.contributors) {
                (None, Some(sites)) => eprintln!("round {}: the sum of {sites} cameras, and a release", round.number),
                (failure, _) => {
                    eprintln!("round {} failed: {}", round.number, failure.as_deref().unwrap_or("no sum"));
                }
            }
        }
        told = rounds.len();
        if told as u64 >= args.rounds {
            return Ok(true);
        }
        std::thread::sleep(LOOK);
    }
    Ok(false)
}

/// Waits until every camera has made up its mind about the last release.
fn last_release(stage: &mut Stage, stop: &AtomicBool) -> anyhow::Result<bool> {
    let latest = stage.book.releases()?.last().map_or(0, |(release, _)| release.number);
    let begun = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        stage.check()?;
        let all = stage.cameras()?;
        let decided = all.iter().all(|camera| {
            let refused = camera.refusals.iter().any(|r| r.why.starts_with(&format!("release {latest} ")));
            camera.release == latest || refused
        });
        if decided {
            return Ok(true);
        }
        anyhow::ensure!(
            begun.elapsed() < LAST,
            "release {latest} has not reached all cameras; camera-N.log in the folder given by --dir says why"
        );
        std::thread::sleep(LOOK);
    }
    Ok(false)
}

/// Opens the aggregator's folder.
fn open(folder: &std::path::Path) -> anyhow::Result<Setup> {
    Setup::open(folder).with_context(|| format!("{}", folder.display()))
}
