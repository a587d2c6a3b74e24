//! The figures of issue 3: the detector. What was recorded is in docs/benchmarks.md and docs/model-card.md.

use super::{Goal, Limit, reached};
use crate::bench::record::Params;
use crate::bench::summary::Ours;

fn built_in(params: &Params) -> bool {
    params.is("model", "built in")
}

/// Recall of faces of this height.
fn answer(params: &Params, height: &str) -> bool {
    params.is("group", "height") && params.is("answer", height)
}

fn against_yunet(ours: &Ours<'_>) -> Option<f64> {
    let time = |name: &str| {
        ours.where_params("detector", "network alone at 640x384", "CPU per picture", |p| p.is("model", name))
    };
    Some(time("built in")? / time("YuNet-n")?)
}

pub(super) const GOALS: &[Goal] = &[
    Goal {
        issue: 3,
        what: "recall at 1 false positive per picture (the goal is for a set that is not here; measured on faces-dev)",
        limit: Limit::AtLeast(0.41),
        unit: "",
        measured: |ours| {
            ours.where_params("detector", "photographs", "recall", |p| {
                built_in(p) && p.number("false positives per picture") == Some(1.0)
            })
        },
        recorded: reached(".876", "volet detect, volet score", "2026-11-22"),
        why: "",
    },
    Goal {
        issue: 3,
        what: "the same, faces of 16 to 32 px",
        limit: Limit::AtLeast(0.5),
        unit: "",
        measured: |ours| {
            ours.where_params("detector", "photographs", "recall at 1 false positive per picture", |p| {
                built_in(p) && answer(p, "16-32")
            })
        },
        recorded: reached(".911", "volet detect, volet score", "2026-11-22"),
        why: "",
    },
    Goal {
        issue: 3,
        what: "the same, faces of 32 to 64 px",
        limit: Limit::AtLeast(0.8),
        unit: "",
        measured: |ours| {
            ours.where_params("detector", "photographs", "recall at 1 false positive per picture", |p| {
                built_in(p) && answer(p, "32-64")
            })
        },
        recorded: reached(".952", "volet detect, volet score", "2026-11-22"),
        why: "",
    },
    Goal {
        issue: 3,
        what: "the same, faces of 64 px and more",
        limit: Limit::AtLeast(0.94),
        unit: "",
        measured: |ours| {
            ours.where_params("detector", "photographs", "recall at 1 false positive per picture", |p| {
                built_in(p) && answer(p, ">=64")
            })
        },
        recorded: reached(".983", "volet detect, volet score", "2026-11-22"),
        why: "",
    },
    Goal {
        issue: 3,
        what: "average precision at IoU 0.3, faces-dev",
        limit: Limit::AtLeast(0.57),
        unit: "",
        measured: |ours| {
            ours.where_params("detector", "photographs", "average precision", |p| {
                built_in(p) && p.number("IoU") == Some(0.3)
            })
        },
        recorded: reached(".902", "volet detect, volet score", "2026-11-22"),
        why: "",
    },
    Goal {
        issue: 3,
        what: "recall at 1 false positive per picture, people with masks",
        limit: Limit::AtLeast(0.8),
        unit: "",
        measured: |_| None,
        recorded: reached(".864", "docs/model-card.md", "2026-11-22"),
        why: "",
    },
    Goal {
        issue: 3,
        what: "time at 640x384 in tract against YuNet-n's",
        limit: Limit::AtMost(1.0),
        unit: "times",
        measured: |ours| against_yunet(ours),
        recorded: reached("0.73", "cargo bench --bench networks", "2026-11-22"),
        why: "",
    },
    Goal {
        issue: 3,
        what: "parameters",
        limit: Limit::AtMost(300.0),
        unit: "thousand",
        measured: |_| None,
        recorded: reached("293.2", "docs/model-card.md", "2026-11-22"),
        why: "",
    },
];
