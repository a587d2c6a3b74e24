//! What a demonstration came to.

use serde::Serialize;

use volet_edge::agent::{Kind, Used};
use volet_federated::aggregator::DELTA;

use super::lessons::Held;
use super::stage::Stage;

#[derive(Serialize)]
pub(super) struct Report {
    aggregator: String,
    dashboard: Option<String>,
    /// Rounds that ended in a release.
    pub(super) rounds_completed: u64,
    rounds_failed: u64,
    /// Cameras' parts in sums, all rounds together.
    reports_accepted: u64,
    /// The releases, first to last.
    models: Vec<Released>,
    epsilon: Spent,
    cameras: Vec<Camera>,
}

#[derive(Serialize)]
struct Released {
    release: u64,
    blake3: String,
    rounds: u64,
}

#[derive(Serialize)]
struct Spent {
    /// What the rounds that were held cost a camera that took part in all.
    spent: f64,
    delta: f64,
    noise_multiplier: f64,
}

#[derive(Serialize)]
struct Camera {
    identity: String,
    rounds: usize,
    epsilon_spent: f64,
    /// The release in use: an older one where the newer ones were worse.
    release: u64,
    model: String,
    /// What it learns from.
    buffer: Held,
    /// Releases that it put in use, and why.
    used: Vec<Used>,
    /// Releases that it did not put in use, and why.
    refused: Vec<String>,
}

impl Report {
    pub(super) fn of(stage: &Stage) -> anyhow::Result<Self> {
        let rounds = stage.book.rounds()?;
        let completed = rounds.iter().filter(|round| round.failure.is_none()).count() as u64;
        let released = stage.book.releases()?.into_iter().map(|(release, _)| Released {
            release: release.number,
            blake3: volet_federated::budget::LineageId::from_bytes(release.model).to_string(),
            rounds: release.rounds,
        });
        let releases = |refused: volet_edge::agent::Refused| (refused.kind == Kind::Release).then_some(refused.why);
        let cameras = stage.cameras()?.into_iter().zip(stage.held()?).map(|(status, buffer)| Camera {
            identity: status.identity,
            rounds: status.rounds,
            epsilon_spent: status.budget.map_or(0.0, |budget| budget.lifetime_spent),
            release: status.release,
            model: status.model,
            buffer,
            used: status.used,
            refused: status.refusals.into_iter().filter_map(releases).collect(),
        });
        Ok(Self {
            aggregator: stage.address.clone(),
            dashboard: stage.dashboard(),
            rounds_completed: completed,
            rounds_failed: rounds.len() as u64 - completed,
            reports_accepted: rounds.iter().filter_map(|round| round.contributors).map(u64::from).sum(),
            models: released.collect(),
            epsilon: Spent { spent: stage.epsilon(rounds.len() as u64)?, delta: DELTA, noise_multiplier: stage.noise },
            cameras: cameras.collect(),
        })
    }

    pub(super) fn print(&self) {
        let Self { rounds_completed, rounds_failed, reports_accepted, epsilon, .. } = self;
        println!("{rounds_completed} rounds, {rounds_failed} failed; {reports_accepted} reports in their sums");
        println!("epsilon {:.3} at delta {:e} for a camera that took part in all", epsilon.spent, epsilon.delta);
        for model in &self.models {
            println!("release {}  {}", model.release, model.blake3);
        }
        for camera in &self.cameras {
            let identity = camera.identity.get(..16).unwrap_or(&camera.identity);
            println!(
                "camera {identity}  {} rounds, epsilon {:.3}, release {} in use",
                camera.rounds, camera.epsilon_spent, camera.release
            );
            println!("  buffer: {}", camera.buffer);
            camera.used.iter().for_each(|used| println!("  release {} is used: {}", used.release, used.why));
            camera.refused.iter().for_each(|why| println!("  {why}"));
        }
    }
}
