//! `index.html`: what was measured, for people. Ratios first, then the figures to reach, pictures, tables, what was skipped, the machine.
//!
//! A function of the report, which is one of the results file.

mod charts;

pub(super) use charts::fits;

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::goals::{State, Verdict};
use super::harness::VOLET;
use super::record::{Header, Params};
use super::suites::SUITES;
use super::summary::{Ratio, Report, Summary};
use crate::page::{STYLE, document, recoloured};

const OWN: &str = include_str!("style.css");

/// The page of a report.
///
/// # Errors
/// A picture cannot be drawn.
pub(super) fn page(report: &Report<'_>) -> anyhow::Result<String> {
    let (curves, growth) = (charts::curves(&report.summaries)?, charts::growth(&report.growth)?);
    let header = html! {
        h1 { "Volet: benchmarks" }
        p.headline { (headline(report)) }
    };
    let main = html! {
        (tiles(&report.goals))
        @if report.stopped { section.wide.warning { p { (stopped(report)) } } }
        section.wide aria-labelledby="ratios" { h2 #ratios { "Beside others, in the same run" } (ratios(&report.ratios)) }
        section.wide aria-labelledby="goals" { h2 #goals { "Figures to reach" } (goals(&report.goals)) }
        @for chart in &curves { (chart) }
        @if !growth.is_empty() {
            section.wide {
                h2 { "How cost grows" }
                p.quiet { "Medians, a straight line and a power law through them, each with a 95 % interval by Student's t; a limit is what this machine can do at best, measured in the same run. "
                    "Exponents of three or four points are rough." }
            }
        }
        @for chart in &growth { (chart) }
        @for suite in SUITES {
            @let of: Vec<&Summary> = report.summaries.iter().filter(|s| s.suite == suite.name).collect();
            @if !of.is_empty() { section.wide { details open[of.len() < 40] { summary { h2 { (suite.title) } } (table(&of)) } } }
        }
        section.wide aria-labelledby="skipped" { h2 #skipped { "What was not measured" } (skipped(report)) }
        section.wide aria-labelledby="machine" { h2 #machine { "The machine and the run" } (machine(report.header)) }
        section.wide aria-labelledby="again" {
            h2 #again { "Run it again" }
            pre { (command(report.header)) }
            p.quiet { "Every number but those under " em { "measured elsewhere" } " is computed from the raw runs in " a href="results.jsonl" { "results.jsonl" } ": " code { "volet bench --from results.jsonl --out NEW" }
                " makes this page again, and " code { "volet bench --from NEW.jsonl --compare OLD.jsonl" } " says what changed beyond the noise. A run during which others took more than a tenth of the processors is marked with " (LOADED) "." }
        }
    };
    Ok(document("Volet: benchmarks", &[STYLE, &recoloured(), OWN], &header, &main))
}

/// Marks what was measured on a loaded machine.
pub(super) const LOADED: &str = "\u{2020}";

/// What to type to get such results.
pub(super) fn command(header: &Header) -> String {
    let mut words = vec!["volet".to_owned(), "bench".to_owned()];
    match header.suites.len() == SUITES.len() {
        true => words.push("all".to_owned()),
        false => words.extend(header.suites.iter().cloned()),
    }
    words.extend(header.quick.then(|| "--quick".to_owned()));
    words.extend(["--seed".to_owned(), header.seed.to_string(), "--rounds".to_owned(), header.rounds.to_string()]);
    if !header.peers.is_empty() {
        words.extend(["--peers".to_owned(), "benches/peers/.venv/bin/python".to_owned()]);
    }
    words.extend(["--out".to_owned(), "NEW".to_owned()]);
    words.join(" ")
}

/// A number with as many digits as a reader can use.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1e6 || (size > 0.0 && size < 1e-4) { format!("{value:.3e}") } else { crate::page::plot::short(value) }
}

fn headline(report: &Report<'_>) -> String {
    let count = |state| report.goals.iter().filter(|goal| goal.state == state).count();
    let (reached, missed) = (count(State::Reached), count(State::Missed));
    let failed = report.skipped.iter().filter(|skip| skip.failed).count();
    let failed = if failed > 0 { format!(" {failed} measurements failed.") } else { String::new() };
    let mut peers: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for ratio in report.ratios.iter().filter(|r| r.metric.contains("CPU")) {
        let ends = peers.entry(&ratio.peer).or_insert((f64::INFINITY, 0.0));
        *ends = (ends.0.min(ratio.times_better), ends.1.max(ratio.times_better));
    }
    let ends = |(peer, (low, high)): (&&str, &(f64, f64))| format!("{} to {} of {peer}", number(*low), number(*high));
    let beside = match peers.is_empty() {
        true => String::new(),
        false => {
            format!(" Of processor time, times as good: {}.", peers.iter().map(ends).collect::<Vec<_>>().join(", "))
        }
    };
    format!("{reached} figures reached and {missed} missed in this run.{failed}{beside}")
}

fn tiles(goals: &[Verdict]) -> Markup {
    let all = [
        State::Reached,
        State::Missed,
        State::Failed,
        State::ReachedElsewhere,
        State::MissedElsewhere,
        State::NotMeasured,
    ];
    html! {
        dl.tiles {
            @for state in all {
                div { dt { (state.word()) } dd { (goals.iter().filter(|goal| goal.state == state).count()) } }
            }
        }
    }
}

fn ratios(ratios: &[Ratio]) -> Markup {
    html! {
        @if ratios.is_empty() {
            p { "No peers were there. " code { "benches/peers/setup" } " installs them, and " code { "--peers benches/peers/.venv/bin/python" } " names them." }
        } @else {
            div.scroll { table.runs {
                thead { tr { th { "work" } th { "beside" } th { "times as good" } th { "95 % interval" } th { "volet" } th { "the other" } th { "unit" } } }
                tbody { @for r in ratios { tr {
                    td { (r.case) ": " (r.metric) (bracketed(&r.params)) }
                    td { (r.peer) }
                    td { strong { (number(r.times_better)) } @if r.loaded > 0 { (LOADED) } }
                    td { (between(r)) }
                    td { (number(r.ours)) } td { (number(r.theirs)) } td { (r.unit) }
                } } }
            } }
            p.quiet { "In turns (A B, A B) on one machine: the median of the ratios of all turns, and between what they all lie. Of six turns or more that holds the ratio with 95 % confidence; of fewer nothing is said." }
        }
    }
}

/// Between what a ratio lies, or how little is known of that.
pub(super) fn between(ratio: &Ratio) -> String {
    match ratio.interval {
        Some(interval) => format!("{} to {}", number(interval.low), number(interval.high)),
        None => format!("{} turns", ratio.turns.len()),
    }
}

/// What a page of a run that was stopped begins with.
pub(super) fn stopped(report: &Report<'_>) -> String {
    let missing = match report.missing.as_slice() {
        [] => String::new(),
        suites => format!(" Of these suites there is nothing: {}.", suites.join(", ")),
    };
    format!("The run was stopped: what is here is what was measured by then.{missing}")
}

fn bracketed(params: &Params) -> String {
    if params.0.is_empty() { String::new() } else { format!(" ({params})") }
}

fn goals(goals: &[Verdict]) -> Markup {
    html! {
        div.scroll { table.goals {
            thead { tr { th { "issue" } th { "what" } th { "goal" } th { "this run" } th { "verdict" } th { "measured elsewhere" } th { "why not" } } }
            tbody { @for goal in goals { tr class=(class(goal.state)) {
                td { (goal.issue) }
                td { (goal.what) }
                td { (goal.goal) }
                td { (goal.measured.map_or_else(|| "-".to_owned(), |value| format!("{} {}", number(value), goal.unit))) @if goal.loaded > 0 { (LOADED) } }
                td { span.mark { (goal.state.word()) } }
                td { (goal.elsewhere.as_deref().unwrap_or("-")) }
                td { (goal.why) }
            } } }
        } }
    }
}

fn class(state: State) -> &'static str {
    match state {
        State::Reached => "reached",
        State::Missed | State::Failed => "missed",
        State::ReachedElsewhere | State::MissedElsewhere | State::NotMeasured => "open",
    }
}

fn table(summaries: &[&Summary]) -> Markup {
    html! {
        div.scroll { table.runs {
            thead { tr { th { "case" } th { "who" } th { "what" } th { "median" } th { "half lie between" } th { "runs" } th { "unit" } } }
            tbody { @for s in summaries { tr {
                td { (s.case) (bracketed(&s.params)) }
                td { (s.subject) }
                td { (s.metric) }
                td { (number(s.spread.median)) @if s.loaded > 0 { (LOADED) } }
                td { @if s.spread.n > 1 { (number(s.spread.low)) " to " (number(s.spread.high)) } }
                td { (s.spread.n) @if s.loaded > 0 { ", " (s.loaded) " " (LOADED) } }
                td { (s.unit) }
            } } }
        } }
    }
}

fn skipped(report: &Report<'_>) -> Markup {
    html! {
        @if report.skipped.is_empty() { p { "Nothing was left out." } }
        @else {
            ul { @for skip in report.skipped { li { @if skip.failed { strong { "failed: " } } (skip.suite) ", " (skip.case) ": " (skip.why) } } }
        }
    }
}

fn machine(header: &Header) -> Markup {
    html! { dl.settings { @for (name, value) in facts(header) { div { dt { (name) } dd { (value) } } } } }
}

/// What is known of the machine and the run.
pub(super) fn facts(header: &Header) -> Vec<(&'static str, String)> {
    let peers: Vec<String> = header.peers.iter().map(|(name, version)| format!("{name} {version}")).collect();
    vec![
        ("processor", header.cpu.clone()),
        ("processors that may be used", header.cores.to_string()),
        ("memory", format!("{:.1} GB", header.memory_bytes as f64 / 1e9)),
        ("kernel", header.kernel.clone()),
        ("governor", header.governor.clone().unwrap_or_else(|| "not told".to_owned())),
        ("load before the first run", format!("{:.2}", header.load_at_start)),
        ("begun", header.started.clone()),
        (VOLET, format!("{}, commit {}, {} build", header.volet, header.commit, header.profile)),
        ("compiler", header.rustc.clone()),
        (
            "run",
            format!(
                "{}, {} turns each, seed {}",
                if header.quick { "quick" } else { "full" },
                header.rounds,
                header.seed
            ),
        ),
        ("suites", header.suites.join(", ")),
        ("peers", if peers.is_empty() { "none".to_owned() } else { peers.join(", ") }),
    ]
}
