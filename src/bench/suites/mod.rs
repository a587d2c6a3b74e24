//! The suites: what is measured, each a module. A suite that cannot go on is said so, and the next begins.

mod camera;
mod detector;
mod egress;
mod federated;
mod kernels;
mod leak;
mod privacy;

use super::harness::Bench;

/// A suite.
#[derive(Clone, Copy)]
pub(super) struct Suite {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) run: fn(&mut Bench) -> anyhow::Result<()>,
}

/// All of them, in the order of a run.
pub(super) const SUITES: [Suite; 7] = [
    Suite { name: "camera", title: "Camera: speed, memory, start", run: camera::run },
    Suite { name: "leak", title: "Leaks: what stays uncovered", run: leak::run },
    Suite { name: "detector", title: "Detectors", run: detector::run },
    Suite { name: "privacy", title: "Privacy: what epsilon is worth", run: privacy::run },
    Suite { name: "federated", title: "Learning together", run: federated::run },
    Suite { name: "egress", title: "What leaves", run: egress::run },
    Suite { name: "kernels", title: "Hot kernels", run: kernels::run },
];
