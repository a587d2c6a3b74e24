//! `volet bench`: measures everything that is claimed, beside others who do the same, and says what became of every figure to reach.
//!
//! How it hangs together: `suites` say what is measured and `harness` takes turns; each piece of work is a process of its own (`process`), this
//! program's own pieces among them (`work`), or a peer's (`peers`). Every raw run becomes a line of the results file (`record`). All that is shown of a
//! run is computed from that file: `summary` has medians and ratios, `growth` fits, `goals` verdicts, `compare` changes; `page` and `markdown` show
//! them. `--from` does this last half again. What was measured elsewhere, by what no suite runs, is written in `goals` with its command and date, and
//! is shown as such.

mod compare;
mod footage;
mod goals;
mod growth;
mod harness;
mod kernels;
mod machine;
mod markdown;
mod page;
mod peers;
mod process;
mod record;
mod stats;
mod stream;
mod suites;
mod summary;
mod work;
mod workload;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use volet_edge::batch::write_whole;

use crate::cli::{BenchArgs, BenchChildArgs, BenchKernelArgs, BenchWorkArgs};
use compare::Comparison;
use harness::{Bench, Stopped};
use peers::Peers;
use record::{Recorder, Results};
use suites::{SUITES, Suite};
use summary::Report;

/// Turns of each case that count, where nothing was said.
const ROUNDS: (u32, u32) = (3, 7);

pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    // Whatever cannot be read is known before anything is measured.
    let old = args.compare.as_deref().map(Results::read).transpose()?;
    let (path, code) = match &args.from {
        Some(path) => (path.clone(), ExitCode::SUCCESS),
        None => measure(args)?,
    };
    let results = Results::read(&path)?;
    if results.torn {
        eprintln!("volet: the last line of {} is cut off; what is before it is shown", path.display());
    } else if !results.whole {
        eprintln!("volet: the run of {} was stopped; what was measured by then is shown", path.display());
    }
    let report = Report::of(&results);
    if let Some(out) = &args.out {
        show(out, &path, &report)?;
    }
    let comparison = old.map(|old| Comparison::of(&old, &results));
    if args.json {
        let mut json = serde_json::to_value(&report)?;
        if let (Some(object), Some(comparison)) = (json.as_object_mut(), &comparison) {
            object.insert("comparison".to_owned(), serde_json::to_value(comparison)?);
        }
        println!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        print(&report, args.out.as_deref());
        comparison.iter().for_each(Comparison::print);
    }
    let worse = comparison.is_some_and(|comparison| comparison.worse() > 0);
    Ok(if worse && args.fail_on_regression { ExitCode::FAILURE } else { code })
}

pub(crate) fn work(args: &BenchWorkArgs) -> anyhow::Result<ExitCode> {
    work::work(args)
}

pub(crate) fn kernel(args: &BenchKernelArgs) -> anyhow::Result<ExitCode> {
    work::kernel(args)
}

pub(crate) fn child(args: &BenchChildArgs) -> anyhow::Result<ExitCode> {
    process::child(args)
}

/// The suites that were named, in their own order.
fn chosen(names: &[String]) -> anyhow::Result<Vec<Suite>> {
    let all = SUITES.map(|suite| suite.name);
    if let Some(name) = names.iter().find(|name| *name != "all" && !all.contains(&name.as_str())) {
        anyhow::bail!("there is no suite {name:?}; there are {}, and all", all.join(", "));
    }
    let every = names.is_empty() || names.iter().any(|name| name == "all");
    Ok(SUITES.into_iter().filter(|suite| every || names.iter().any(|name| name == suite.name)).collect())
}

/// Runs suites; where the results are, and whether all went well.
fn measure(args: &BenchArgs) -> anyhow::Result<(PathBuf, ExitCode)> {
    let suites = chosen(&args.suites)?;
    let out =
        args.out.as_deref().context("--out DIR says where the results go; --from RESULTS.jsonl shows earlier ones")?;
    let peers = Peers::find(args.peers.as_deref())?;
    let rounds = args.rounds.unwrap_or(if args.quick { ROUNDS.0 } else { ROUNDS.1 });
    let header = record::Header {
        quick: args.quick,
        seed: args.seed,
        rounds,
        suites: suites.iter().map(|suite| suite.name.to_owned()).collect(),
        peers: peers.versions.clone(),
        ..machine::header()
    };
    let recorder = Recorder::create(out, &header)?;
    crate::stop::watch()?;
    let path = recorder.path().to_owned();
    let work = tempfile::Builder::new().prefix("volet-bench-").tempdir()?;
    let mut bench = Bench {
        quick: args.quick,
        seed: args.seed,
        rounds,
        work: work.path().to_owned(),
        shared: machine::shared(),
        peers,
        recorder,
        suite: "",
        failures: 0,
        bar: harness::bar(args.json),
    };
    for suite in suites {
        bench.suite = suite.name;
        match (suite.run)(&mut bench) {
            Ok(()) => {}
            Err(error) if error.is::<Stopped>() => {
                bench.bar.finish_and_clear();
                eprintln!("volet: {error}");
                return Ok((path, ExitCode::from(crate::stop::CODE)));
            }
            Err(error) => bench.failed(record::Skipped::SUITE, &error)?,
        }
    }
    bench.recorder.end()?;
    bench.bar.finish_and_clear();
    Ok((path, if bench.failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}

/// Writes the page and the Markdown, and the results beside them where they are elsewhere.
fn show(out: &Path, results: &Path, report: &Report<'_>) -> anyhow::Result<()> {
    let (page, markdown) = (page::page(report)?, markdown::markdown(report));
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let (own, raw) = (out.join(record::FILE), std::fs::read(results)?);
    match std::fs::read(&own) {
        Ok(there) if there == raw => {}
        Ok(_) => anyhow::bail!("{} holds other results; choose a new folder", out.display()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => write_whole(&own, &raw)?,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", own.display())),
    }
    write_whole(&out.join("benchmarks.md"), markdown.as_bytes())?;
    write_whole(&out.join("index.html"), page.as_bytes())?;
    Ok(())
}

fn print(report: &Report<'_>, out: Option<&Path>) {
    for ratio in &report.ratios {
        let (times, work) = (page::number(ratio.times_better), format!("{}: {}", ratio.case, ratio.metric));
        let mark = if ratio.loaded > 0 { ", on a loaded machine" } else { "" };
        let said = format!("{} ({work}; {}){mark}", ratio.peer, ratio.params);
        println!("{times:>8} times as good as {}", said.escape_debug());
    }
    for goal in report.goals.iter().filter(|goal| goal.measured.is_some()) {
        let measured = goal.measured.map_or_else(String::new, page::number);
        println!(
            "{:8} issue {}: {}: {measured} {} ({})",
            goal.state.word(),
            goal.issue,
            goal.what,
            goal.unit,
            goal.goal
        );
    }
    let failed = report.skipped.iter().filter(|skip| skip.failed).count();
    println!("{} numbers, {} left out, {failed} of them failed", report.summaries.len(), report.skipped.len());
    if let Some(out) = out {
        println!("{}", out.join("index.html").display());
    }
}
