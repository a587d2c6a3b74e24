//! `benchmarks.md`: the page's tables as Markdown, for the documentation. A function of the report.

use std::fmt::Write;

use super::page::{LOADED, between, command, facts, fits, number, stopped};
use super::suites::SUITES;
use super::summary::{Report, Summary};

/// A table: its head and its rows.
fn table(out: &mut String, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let line =
        |cells: Vec<String>| format!("| {} |\n", cells.iter().map(|cell| plain(cell)).collect::<Vec<_>>().join(" | "));
    out.push_str(&line(head.iter().map(|cell| (*cell).to_owned()).collect()));
    out.push_str(&format!("|{}\n", "---|".repeat(head.len())));
    rows.for_each(|cells| out.push_str(&line(cells)));
    out.push('\n');
}

/// Text as text: bars would end a cell and lines a table, and what looks like HTML would be some.
fn plain(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.replace('|', "\\|").replace('<', "&lt;")
}

/// The report as Markdown.
pub(super) fn markdown(report: &Report<'_>) -> String {
    let mut out = String::from("# Benchmarks\n\n");
    // Writing to text does not fail.
    let _ = writeln!(
        out,
        "Made by `{}` from the raw runs beside it. {LOADED}: others took more than a tenth of the processors.\n",
        command(report.header)
    );
    if report.stopped {
        let _ = writeln!(out, "{}\n", plain(&stopped(report)));
    }
    table(&mut out, &["", ""], facts(report.header).into_iter().map(|(name, value)| vec![name.to_owned(), value]));
    if !report.ratios.is_empty() {
        out.push_str("## Beside others, in the same run\n\n");
        let rows = report.ratios.iter().map(|r| {
            let work = format!("{}: {} ({})", r.case, r.metric, r.params);
            vec![
                work,
                r.peer.clone(),
                format!("{}{}", number(r.times_better), if r.loaded > 0 { LOADED } else { "" }),
                between(r),
                number(r.ours),
                number(r.theirs),
                r.unit.clone(),
            ]
        });
        table(&mut out, &["work", "beside", "times as good", "95 % interval", "volet", "the other", "unit"], rows);
    }
    out.push_str("## Figures to reach\n\n");
    let rows = report.goals.iter().map(|goal| {
        let mark = if goal.loaded > 0 { LOADED } else { "" };
        let said = |value| format!("{} {}{mark}", number(value), goal.unit);
        let measured = goal.measured.map_or_else(|| "-".to_owned(), said);
        let elsewhere = goal.elsewhere.clone().unwrap_or_else(|| "-".to_owned());
        let word = |text: &str| text.to_owned();
        vec![
            goal.issue.to_string(),
            word(goal.what),
            goal.goal.clone(),
            measured,
            word(goal.state.word()),
            elsewhere,
            word(goal.why),
        ]
    });
    table(&mut out, &["issue", "what", "goal", "this run", "verdict", "measured elsewhere", "why not"], rows);
    if !report.growth.is_empty() {
        out.push_str("## How cost grows\n\n");
        let rows = report.growth.iter().map(|growth| {
            let ends = growth.points.first().zip(growth.points.last());
            let ends = ends.map_or_else(String::new, |(a, b)| {
                format!("{} at {}, {} at {}", number(a.1), number(a.0), number(b.1), number(b.0))
            });
            vec![
                growth.title.clone(),
                growth.params.to_string(),
                format!("{} over {}", growth.y, growth.x),
                ends,
                fits(growth),
            ]
        });
        table(&mut out, &["what", "of", "axes", "ends", "fits"], rows);
    }
    for suite in SUITES {
        let of: Vec<&Summary> = report.summaries.iter().filter(|s| s.suite == suite.name).collect();
        if of.is_empty() {
            continue;
        }
        let _ = writeln!(out, "## {}\n", suite.title);
        let rows = of.into_iter().map(|s| {
            let mark = if s.loaded > 0 { LOADED } else { "" };
            let median = format!("{}{mark}", number(s.spread.median));
            let spread = format!("{} to {}", number(s.spread.low), number(s.spread.high));
            let params = s.params.to_string();
            vec![
                s.case.clone(),
                params,
                s.subject.clone(),
                s.metric.clone(),
                median,
                spread,
                s.spread.n.to_string(),
                s.unit.clone(),
            ]
        });
        table(&mut out, &["case", "of", "who", "what", "median", "half lie between", "runs", "unit"], rows);
    }
    if !report.skipped.is_empty() {
        out.push_str("## What was not measured\n\n");
        for skip in report.skipped {
            let failed = if skip.failed { "failed: " } else { "" };
            let _ = writeln!(out, "- {failed}{}, {}: {}", plain(&skip.suite), plain(&skip.case), plain(&skip.why));
        }
    }
    out
}
