//! The pictures: trade-offs and curves, and how cost grows.

use maud::{Markup, html};

use super::number;
use crate::bench::growth::Growth;
use crate::bench::harness::VOLET;
use crate::bench::record::{Params, Value};
use crate::bench::stats::Fit;
use crate::bench::summary::Summary;
use crate::page::figure::{Look, Named, figure};
use crate::page::plot::{COLOURS, Line, short};

/// Where a point stands on the x axis.
#[derive(Clone, Copy)]
enum X {
    Parameter(&'static str),
    /// Another number of the same case and parameters.
    Metric(&'static str),
    Megapixels,
}

/// A picture of one number over something.
struct Curve {
    title: &'static str,
    caption: &'static str,
    suite: &'static str,
    /// Cases whose names begin so.
    cases: &'static [&'static str],
    x: X,
    metric: &'static str,
    labels: (&'static str, &'static str),
    /// Halves and doubles of x lie equally far apart.
    log: bool,
}

const CURVES: [Curve; 6] = [
    Curve {
        title: "Leaks against over-redaction",
        caption: "Each point is a scale of the masks. Lower and further to the left is better: a black screen leaks nothing and is worth nothing.",
        suite: "leak",
        cases: &["synthetic clips", "clip of photographs"],
        x: X::Metric("over-redaction"),
        metric: "leak rate",
        labels: ("share of the rest that is covered", "leak rate"),
        log: false,
    },
    Curve {
        title: "Recall against false positives: synthetic pictures",
        caption: "Pictures by code, with seeds that no training used.",
        suite: "detector",
        cases: &["synthetic pictures"],
        x: X::Parameter("false positives per picture"),
        metric: "recall",
        labels: ("false positives per picture", "recall at IoU 0.3"),
        log: true,
    },
    Curve {
        title: "Recall against false positives: photographs",
        caption: "Annotated photographs that played no part in training.",
        suite: "detector",
        cases: &["photographs"],
        x: X::Parameter("false positives per picture"),
        metric: "recall",
        labels: ("false positives per picture", "recall at IoU 0.3"),
        log: true,
    },
    Curve {
        title: "Quality against epsilon",
        caption: "A small simulated fleet after its last round. The same sites without noise are in the table.",
        suite: "privacy",
        cases: &["utility"],
        x: X::Parameter("epsilon"),
        metric: "quality after the last round",
        labels: ("epsilon", "quality"),
        log: true,
    },
    Curve {
        title: "Speed against resolution",
        caption: "One processor. NV12 as a sensor gives it, and H.264 in and out with all annotations.",
        suite: "camera",
        cases: &["nv12", "h264"],
        x: X::Megapixels,
        metric: "frames per CPU second",
        labels: ("megapixels", "frames per CPU second"),
        log: false,
    },
    Curve {
        title: "Speed against cores",
        caption: "Searches at a time, 1280x720; two threads of one core are not two cores.",
        suite: "camera",
        cases: &["threads"],
        x: X::Parameter("threads"),
        metric: "frames per second",
        labels: ("searches at a time", "frames per second"),
        log: false,
    },
];

impl X {
    fn of(self, summary: &Summary, all: &[Summary]) -> Option<(f64, Params)> {
        let params = &summary.params;
        match self {
            Self::Parameter(name) => Some((params.number(name)?, params.but(name))),
            Self::Megapixels => {
                let pixels = params.number("width")? * params.number("height")?;
                Some((pixels / 1e6, params.but("width").but("height")))
            }
            Self::Metric(name) => {
                let same = |s: &&Summary| s.case == summary.case && s.subject == summary.subject && s.params == *params;
                let other = all.iter().filter(same).find(|s| s.metric == name)?;
                Some((other.spread.median, Params::none()))
            }
        }
    }
}

/// The curves of which there are two points or more.
///
/// # Errors
/// One cannot be drawn.
pub(super) fn curves(summaries: &[Summary]) -> anyhow::Result<Vec<Markup>> {
    let mut drawn = Vec::new();
    for curve in &CURVES {
        let lines = lines(curve, summaries);
        if lines.iter().any(|named| named.line.points.len() > 1) {
            let places = lines.iter().flat_map(|named| &named.line.points).map(|p| p.0);
            let log = curve.log.then(|| Log::of(places, f64::log2, f64::exp2)).flatten();
            drawn.push(on_axes(curve.title, curve.caption, curve.labels, lines, (log, None), &[])?);
        }
    }
    Ok(drawn)
}

fn lines(curve: &Curve, summaries: &[Summary]) -> Vec<Named> {
    let mut groups: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    let wanted = |s: &&Summary| {
        s.suite == curve.suite && s.metric == curve.metric && curve.cases.iter().any(|case| s.case.starts_with(case))
    };
    for summary in summaries.iter().filter(wanted) {
        let Some((x, others)) = curve.x.of(summary, summaries) else { continue };
        let name = name(curve, summary, &others);
        let point = (x, summary.spread.median);
        match groups.iter_mut().find(|(other, _)| *other == name) {
            Some((_, points)) => points.push(point),
            None => groups.push((name, vec![point])),
        }
    }
    let line = |(n, (name, mut points)): (usize, (String, Vec<(f64, f64)>))| {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Named { name, line: Line { colour: n.min(COLOURS.len() - 1), points, dashed: false, dots: true } }
    };
    groups.into_iter().enumerate().map(line).collect()
}

/// What a line is called: its case where there are several, its parameters, and whose it is.
fn name(curve: &Curve, summary: &Summary, others: &Params) -> String {
    let mut parts = Vec::new();
    if curve.cases.len() > 1 {
        parts.push(summary.case.clone());
    }
    for (name, value) in &others.0 {
        parts.push(match value {
            Value::Word(word) => word.clone(),
            other => format!("{name} {other}"),
        });
    }
    if summary.subject != VOLET {
        parts.push(summary.subject.clone());
    }
    if parts.is_empty() { VOLET.to_owned() } else { parts.join(", ") }
}

/// An axis on which equal steps multiply.
#[derive(Clone, Copy)]
struct Log {
    to: fn(f64) -> f64,
    from: fn(f64) -> f64,
}

impl Log {
    /// None where a place is not above 0.
    fn of(mut places: impl Iterator<Item = f64>, to: fn(f64) -> f64, from: fn(f64) -> f64) -> Option<Self> {
        places.all(|place| place > 0.0).then_some(Self { to, from })
    }
}

fn on_axes(
    title: &str,
    caption: &str,
    labels: (&str, &str),
    mut lines: Vec<Named>,
    (x, y): (Option<Log>, Option<Log>),
    include: &[f64],
) -> anyhow::Result<Markup> {
    for point in lines.iter_mut().flat_map(|named| &mut named.line.points) {
        point.0 = x.map_or(point.0, |log| (log.to)(point.0));
        point.1 = y.map_or(point.1, |log| (log.to)(point.1));
    }
    let written =
        |log: Option<Log>| move |place: f64| log.map_or_else(|| short(place), |log| number((log.from)(place)));
    let (tick, y_tick) = (written(x), written(y));
    let look = Look { tick: &tick, ticks: 5, y_tick: &y_tick, include, ..Look::default() };
    figure(title, caption, labels, lines, &look)
}

/// Cost along every axis, those with the same title in one picture.
///
/// # Errors
/// One cannot be drawn.
pub(super) fn growth(all: &[Growth]) -> anyhow::Result<Vec<Markup>> {
    let mut titles: Vec<&str> = all.iter().map(|growth| growth.title.as_str()).collect();
    titles.dedup();
    titles.into_iter().map(|title| grown(&all.iter().filter(|g| g.title == title).collect::<Vec<_>>())).collect()
}

fn grown(group: &[&Growth]) -> anyhow::Result<Markup> {
    let Some(first) = group.first() else { return Ok(html! {}) };
    let mut lines: Vec<Named> = Vec::new();
    for (n, growth) in group.iter().enumerate() {
        let colour = n.min(COLOURS.len() - 2);
        let name = if growth.params.0.is_empty() { VOLET.to_owned() } else { growth.params.to_string() };
        lines.push(Named { name, line: Line { colour, points: growth.points.clone(), dashed: false, dots: true } });
    }
    // One limit where all have the same; else each has its own, in its colour.
    let mut limits: Vec<(usize, &Growth)> = group.iter().enumerate().map(|(n, growth)| (n, *growth)).collect();
    limits.dedup_by(|b, a| a.1.limit == b.1.limit);
    let several = limits.len() > 1;
    for (n, growth) in limits {
        let Some((name, points)) = growth.limit.clone() else { continue };
        let colour = if several { n.min(COLOURS.len() - 2) } else { COLOURS.len() - 1 };
        let of = if several { format!(" ({})", growth.params) } else { String::new() };
        let line = Line { colour, points, dashed: true, dots: false };
        lines.push(Named { name: format!("limit{of}: {name}"), line });
    }
    let wide = |of: fn(&(f64, f64)) -> f64| {
        let values = || lines.iter().flat_map(|named| &named.line.points).map(of);
        let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
        (low > 0.0 && high / low > 4.0).then_some(Log { to: f64::log10, from: |v| 10f64.powf(v) })
    };
    let axes = (wide(|p| p.0), wide(|p| p.1));
    let include: &[f64] = if axes.1.is_some() { &[] } else { &[0.0] };
    let caption = if axes.0.is_some() && axes.1.is_some() {
        "Both axes multiply by equal steps: a power law is a straight line."
    } else {
        ""
    };
    let picture = on_axes(&first.title, caption, (&first.x, &first.y), lines, axes, include)?;
    Ok(html! {
        div.grown {
            (picture)
            ul.fits { @for growth in group { li {
                @if !growth.params.0.is_empty() { (growth.params) ": " }
                (fits(growth))
            } } }
        }
    })
}

/// Both fits in words.
pub(in crate::bench) fn fits(growth: &Growth) -> String {
    let straight = |fit: &Fit| {
        format!(
            "{} + {} ({} to {}) for each of {}",
            number(fit.intercept),
            number(fit.slope.value),
            number(fit.slope.low),
            number(fit.slope.high),
            growth.x
        )
    };
    let power = |fit: &Fit| format!("exponent {:.2} ({:.2} to {:.2})", fit.slope.value, fit.slope.low, fit.slope.high);
    match (&growth.line, &growth.power) {
        (Some(line), Some(law)) => format!("{}; {}", straight(line), power(law)),
        (Some(line), None) => straight(line),
        _ => "two places are too few for a fit".to_owned(),
    }
}
