//! How cost grows with the work: a straight line and a power law through the medians along one parameter, with their uncertainty, beside what
//! the machine itself can do.
//!
//! Knows summaries; nothing of pages.

use serde::Serialize;

use super::harness::VOLET;
use super::record::Params;
use super::stats::{Fit, line, power};
use super::summary::{Ours, Summary};

/// What grows along what.
struct Axis {
    title: &'static str,
    suite: &'static str,
    case: &'static str,
    metric: &'static str,
    /// What is drawn to the right.
    along: Along,
    x: &'static str,
    y: &'static str,
    /// From the metric to what is drawn.
    cost: fn(f64) -> f64,
    /// What no implementation can go below on this machine, at a place of the axis.
    limit: Option<Limit>,
}

/// What stands on the axis.
enum Along {
    Parameter(&'static str),
    /// Width times height, in millions.
    Pixels,
}

/// A limit's name, and its cost at a place.
struct Limit {
    name: &'static str,
    at: fn(&Ours<'_>, f64, &Params) -> Option<f64>,
}

/// Cost along one axis.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Growth {
    pub(super) title: String,
    pub(super) x: String,
    pub(super) y: String,
    /// Other parameters of these points.
    pub(super) params: Params,
    pub(super) points: Vec<(f64, f64)>,
    /// Cost as a fixed part and a part for each unit of work.
    pub(super) line: Option<Fit>,
    /// Cost as a power of the work; the slope is the exponent.
    pub(super) power: Option<Fit>,
    pub(super) limit: Option<(String, Vec<(f64, f64)>)>,
}

const SAME: fn(f64) -> f64 = |cost| cost;
/// Milliseconds of one where the metric is so many a second.
const INVERSE_MS: fn(f64) -> f64 = |rate| 1000.0 / rate;

/// Bandwidth in bytes a second.
fn bandwidth(ours: &Ours<'_>) -> Option<f64> {
    ours.median("camera", "limits", "memory bandwidth, read and written", &[]).map(|gigabytes| 1e9 * gigabytes)
}

/// Multiplications and additions of the built-in detector's convolutions at 640x384, counted from its file, in GFLOP.
const SEARCH_GFLOP: f64 = 1.186;

const AXES: [Axis; 13] = [
    Axis {
        title: "A sensor's frames, over resolution",
        suite: "camera",
        case: "nv12",
        metric: "frames per CPU second",
        along: Along::Pixels,
        x: "megapixels",
        y: "CPU ms per frame",
        cost: INVERSE_MS,
        limit: Some(Limit {
            name: "searches at the speed of a product of large matrices (matrixmultiply), and one copy of the frame",
            at: |ours, megapixels, params| {
                let gemm = ours.median("camera", "limits", "product of matrices", &[])?;
                let searches = 1.0 / params.number("every").unwrap_or(1.0);
                Some(1000.0 * (searches * SEARCH_GFLOP / gemm + 2.0 * 1.5e6 * megapixels / bandwidth(ours)?))
            },
        }),
    },
    Axis {
        title: "H.264 in and out, over resolution",
        suite: "camera",
        case: "h264",
        metric: "frames per CPU second",
        along: Along::Pixels,
        x: "megapixels",
        y: "CPU ms per frame",
        cost: INVERSE_MS,
        limit: Some(Limit {
            name: "decoding alone (ffmpeg)",
            at: |ours, megapixels, _| {
                let decoding = |s: &&Summary| s.subject == "ffmpeg" && s.case == "decode only";
                let near = |s: &&Summary| pixels(&s.params).is_some_and(|p| (p - megapixels).abs() < 1e-6);
                ours.all.iter().filter(decoding).find(near).map(|s| 1000.0 / s.spread.median)
            },
        }),
    },
    Axis {
        title: "Peak memory, over resolution",
        suite: "camera",
        case: "h264",
        metric: "peak memory",
        along: Along::Pixels,
        x: "megapixels",
        y: "MB",
        cost: SAME,
        limit: None,
    },
    Axis {
        title: "Faces in a frame of 1280x720",
        suite: "camera",
        case: "faces",
        metric: "CPU per frame",
        along: Along::Parameter("faces"),
        x: "faces",
        y: "CPU ms per frame",
        cost: SAME,
        limit: None,
    },
    Axis {
        title: "Memory over the length of a film",
        suite: "camera",
        case: "length",
        metric: "peak memory",
        along: Along::Parameter("frames"),
        x: "frames",
        y: "MB",
        cost: SAME,
        limit: None,
    },
    Axis {
        title: "Speed over threads",
        suite: "camera",
        case: "threads",
        metric: "frames per second",
        along: Along::Parameter("threads"),
        x: "threads",
        y: "frames per second",
        cost: SAME,
        limit: None,
    },
    Axis {
        title: "Secure sums, over sites: the server",
        suite: "federated",
        case: "secure sum",
        metric: "server CPU per report",
        along: Along::Parameter("sites"),
        x: "sites",
        y: "CPU ms per report",
        cost: SAME,
        limit: None,
    },
    Axis {
        title: "Secure sums, over values: the server",
        suite: "federated",
        case: "secure sum",
        metric: "server CPU per report",
        along: Along::Parameter("values"),
        x: "values",
        y: "CPU ms per report",
        cost: SAME,
        limit: Some(Limit {
            name: "one addition of the vector, by memory bandwidth",
            at: |ours, values, _| Some(1000.0 * 12.0 * values / bandwidth(ours)?),
        }),
    },
    Axis {
        title: "Secure sums, over values: a site, noise left out",
        suite: "federated",
        case: "secure sum",
        metric: "site CPU, noise left out",
        along: Along::Parameter("values"),
        x: "values",
        y: "CPU ms",
        cost: SAME,
        limit: None,
    },
    Axis {
        title: "Plain sums, over values",
        suite: "federated",
        case: "plain sum",
        metric: "CPU per aggregation",
        along: Along::Parameter("values"),
        x: "values",
        y: "CPU ms",
        cost: |seconds| 1000.0 * seconds,
        limit: Some(Limit {
            name: "reading all updates once, by memory bandwidth",
            at: |ours, values, params| Some(1000.0 * 4.0 * params.number("clients")? * values / bandwidth(ours)?),
        }),
    },
    Axis {
        title: "Plain sums, over clients",
        suite: "federated",
        case: "plain sum",
        metric: "CPU per aggregation",
        along: Along::Parameter("clients"),
        x: "clients",
        y: "CPU ms",
        cost: |seconds| 1000.0 * seconds,
        limit: Some(Limit {
            name: "reading all updates once, by memory bandwidth",
            at: |ours, clients, params| Some(1000.0 * 4.0 * clients * params.number("values")? / bandwidth(ours)?),
        }),
    },
    Axis {
        title: "A round over TLS, over replicas: all servers together",
        suite: "federated",
        case: "replicas over TLS",
        metric: "server CPU per report",
        along: Along::Parameter("replicas"),
        x: "replicas",
        y: "CPU ms per report",
        cost: SAME,
        limit: None,
    },
    Axis {
        title: "Verifying the egress ledger",
        suite: "egress",
        case: "ledger",
        metric: "verifying, CPU",
        along: Along::Parameter("entries"),
        x: "entries",
        y: "CPU s",
        cost: SAME,
        limit: None,
    },
];

fn pixels(params: &Params) -> Option<f64> {
    Some(params.number("width")? * params.number("height")? / 1e6)
}

impl Along {
    fn of(&self, params: &Params) -> Option<(f64, Params)> {
        match self {
            Self::Parameter(name) => Some((params.number(name)?, params.but(name))),
            Self::Pixels => Some((pixels(params)?, params.but("width").but("height"))),
        }
    }
}

/// Every axis along which something was measured at two places or more.
pub(super) fn all(summaries: &[Summary]) -> Vec<Growth> {
    AXES.iter().flat_map(|axis| along(axis, summaries)).collect()
}

fn along(axis: &Axis, summaries: &[Summary]) -> Vec<Growth> {
    let ours = summaries.iter().filter(|s| s.subject == VOLET && s.suite == axis.suite && s.case == axis.case);
    let mut groups: Vec<(Params, Vec<(f64, f64)>)> = Vec::new();
    for summary in ours.filter(|s| s.metric == axis.metric) {
        let Some((x, others)) = axis.along.of(&summary.params) else { continue };
        let point = (x, (axis.cost)(summary.spread.median));
        match groups.iter_mut().find(|(params, _)| *params == others) {
            Some((_, points)) => points.push(point),
            None => groups.push((others, vec![point])),
        }
    }
    let grown = groups.into_iter().filter(|(_, points)| points.len() > 1);
    grown
        .map(|(params, mut points)| {
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            let limit = axis.limit.as_ref().and_then(|limit| {
                let at = |x: f64| Some((x, (limit.at)(&Ours::new(summaries), x, &params)?));
                let places: Vec<(f64, f64)> = points.iter().filter_map(|(x, _)| at(*x)).collect();
                (!places.is_empty()).then(|| (limit.name.to_owned(), places))
            });
            Growth {
                title: axis.title.to_owned(),
                x: axis.x.to_owned(),
                y: axis.y.to_owned(),
                params,
                line: line(&points),
                power: power(&points),
                limit,
                points,
            }
        })
        .collect()
}
