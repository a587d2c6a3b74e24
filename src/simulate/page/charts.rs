//! Which pictures a page has, by what was run.

use std::collections::BTreeMap;

use maud::Markup;

use crate::page::figure::{Look, Named, figure};
use crate::page::plot::{COLOURS, Line, short};
use crate::simulate::numbers::Target;
use crate::simulate::outcome::Outcome;
use crate::simulate::sweep::Axis;

/// # Errors
/// A picture cannot be drawn.
pub(super) fn all(outcomes: &[Outcome]) -> anyhow::Result<Vec<Markup>> {
    let mut charts = vec![rounds(outcomes)?];
    charts.extend(epsilon(outcomes)?);
    charts.extend(spread(outcomes)?);
    charts.extend(poison(outcomes)?);
    Ok(charts)
}

fn rounds(outcomes: &[Outcome]) -> anyhow::Result<Markup> {
    let lines = each(outcomes, Outcome::curve);
    let band: Vec<(f64, f64, f64)> = match outcomes {
        [only] => only.rounds.iter().filter_map(|r| Some((f64::from(r.number), r.p5?, r.p95?))).collect(),
        _ => Vec::new(),
    };
    let shaded = if band.is_empty() { "" } else { " The shade holds nine tenths of the held-out sites." };
    let caption = format!("Quality after each round; at 0 is the model as it is shipped.{shaded}");
    let look = Look { band: &band, ..Look::default() };
    figure("Quality over rounds", &caption, ("rounds", "quality"), lines, &look)
}

/// Quality by epsilon, where several were tried.
fn epsilon(outcomes: &[Outcome]) -> anyhow::Result<Option<Markup>> {
    let mut lines = Vec::new();
    for (name, group) in groups(outcomes, Axis::Epsilon) {
        let aims = group.iter().filter_map(|outcome| match outcome.run.settings.epsilon {
            Target::Epsilon(epsilon) => Some((epsilon.get().log2(), outcome.after.value)),
            Target::None => None,
        });
        let mut points: Vec<(f64, f64)> = aims.collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let Some((first, last)) = points.first().zip(points.last()).filter(|(a, b)| a.0 < b.0) else { continue };
        let colour = (lines.len() / 2).min(COLOURS.len() - 1);
        if let Some(free) = group.iter().find(|outcome| outcome.run.settings.epsilon == Target::None) {
            let level = vec![(first.0, free.after.value), (last.0, free.after.value)];
            let line = Line { colour, points: level, dashed: true, dots: false };
            lines.push(Named { name: joined(&name, "without noise"), line });
        }
        lines.push(Named {
            name: joined(&name, "with noise"),
            line: Line { colour, points, dashed: false, dots: true },
        });
    }
    if lines.is_empty() {
        return Ok(None);
    }
    let before: Vec<f64> = outcomes.iter().take(1).map(|outcome| outcome.before.value).collect();
    // Halves and doubles alone: what lies between is no round number.
    let tick = |x: f64| if (x - x.round()).abs() < 1e-6 { short(x.exp2()) } else { String::new() };
    let caption = "Quality after the last round by the epsilon that was aimed at. The lower end of the picture is the model as it is shipped.";
    let look = Look { tick: &tick, ticks: 6, include: &before, ..Look::default() };
    figure("What privacy costs", caption, ("epsilon", "quality after"), lines, &look).map(Some)
}

/// Sites from worst to best, before and after.
fn spread(outcomes: &[Outcome]) -> anyhow::Result<Option<Markup>> {
    let ranked = |sorted: Vec<f64>| -> Vec<(f64, f64)> {
        let last = sorted.len().saturating_sub(1).max(1) as f64;
        sorted.into_iter().enumerate().map(|(n, quality)| (100.0 * n as f64 / last, quality)).collect()
    };
    let Some(first) = outcomes.first().filter(|outcome| outcome.before.per_site.len() > 1) else { return Ok(None) };
    let before = Line { colour: COLOURS.len() - 1, points: ranked(first.before.sorted()), dashed: true, dots: false };
    let mut lines = each(outcomes, |outcome| ranked(outcome.after.sorted()));
    for named in &mut lines {
        named.name = joined(&named.name, "after");
        named.line.dashed = false;
    }
    lines.insert(0, Named { name: "before".to_owned(), line: before });
    let caption = "Held-out sites in the order of their quality: how many percent of them are worse off than that.";
    figure("Who gains", caption, ("percent of held-out sites", "quality of the site"), lines, &Look::default())
        .map(Some)
}

/// What malicious sites do, and what helps.
fn poison(outcomes: &[Outcome]) -> anyhow::Result<Vec<Markup>> {
    let mut charts = Vec::new();
    if outcomes.iter().all(|outcome| outcome.run.settings.malicious.get() == 0.0) {
        return Ok(charts);
    }
    let by_share = |of: fn(&Outcome) -> Option<f64>| -> Vec<Named> {
        let mut lines = Vec::new();
        for (name, group) in groups(outcomes, Axis::Malicious) {
            let at = |o: &&Outcome| Some((100.0 * o.run.settings.malicious.get(), of(o)?));
            let mut points: Vec<(f64, f64)> = group.iter().filter_map(at).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            if points.len() > 1 {
                let name = if name.is_empty() { "all runs".to_owned() } else { name };
                lines.push(Named { name, line: Line { colour: lines.len(), points, dashed: false, dots: true } });
            }
        }
        lines
    };
    let lines = by_share(|outcome| Some(outcome.after.value));
    if !lines.is_empty() {
        let caption = "Quality after the last round by the share of malicious sites.";
        charts.push(figure(
            "Poisoning: quality",
            caption,
            ("percent of malicious sites", "quality after"),
            lines,
            &Look::default(),
        )?);
    }
    let lines = by_share(|outcome| outcome.after.blind_spot);
    if !lines.is_empty() {
        let caption = "Quality, after the last round, on just what malicious sites want the model to miss.";
        charts.push(figure(
            "Poisoning: blind spot",
            caption,
            ("percent of malicious sites", "blind spot"),
            lines,
            &Look::default(),
        )?);
    } else if outcomes.iter().any(|outcome| outcome.after.blind_spot.is_some()) {
        let lines = each(outcomes, |outcome| {
            let start = outcome.before.blind_spot.map(|value| (0.0, value));
            start
                .into_iter()
                .chain(outcome.rounds.iter().filter_map(|r| Some((f64::from(r.number), r.blind_spot?))))
                .collect()
        });
        let caption = "Quality, after each round, on just what malicious sites want the model to miss.";
        charts.push(figure("Poisoning: blind spot", caption, ("rounds", "blind spot"), lines, &Look::default())?);
    }
    Ok(charts)
}

/// A line for each run; those without noise are dashed, if others have noise.
fn each(outcomes: &[Outcome], points: impl Fn(&Outcome) -> Vec<(f64, f64)>) -> Vec<Named> {
    let free = |outcome: &Outcome| outcome.run.settings.epsilon == Target::None;
    let mixed = !outcomes.iter().all(free);
    let line = |(n, outcome): (usize, &Outcome)| Named {
        name: outcome.run.to_string(),
        line: Line {
            colour: n.min(COLOURS.len() - 1),
            points: points(outcome),
            dashed: mixed && free(outcome),
            dots: false,
        },
    };
    outcomes.iter().enumerate().map(line).collect()
}

/// Runs that differ along this axis alone, by what they have in common of the other axes.
fn groups(outcomes: &[Outcome], axis: Axis) -> BTreeMap<String, Vec<&Outcome>> {
    let mut groups: BTreeMap<String, Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        let others = outcome.run.differs.iter().filter(|(other, _)| *other != axis);
        let name: Vec<String> = others.map(|(other, value)| format!("{} {value}", other.name())).collect();
        groups.entry(name.join(", ")).or_default().push(outcome);
    }
    groups
}

fn joined(first: &str, second: &str) -> String {
    if first.is_empty() { second.to_owned() } else { format!("{first}, {second}") }
}
