//! One run from where it was left to its end, kept after every round.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use volet_federated::simulation::Fleet;

use super::engine::{Record, Simulation};
use super::folder::{Folder, Saved};
use super::outcome::{Judged, Outcome, Round};
use super::sweep::Run;

/// A bar of the rounds of all runs.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// `quiet`: draws nothing.
    pub(super) fn new(rounds: u64, quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(rounds), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} rounds, {eta} left {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(std::time::Duration::from_millis(250));
        Self(bar)
    }

    /// A run begins with so many rounds behind it.
    fn begin(&self, run: &Run, rounds: usize) {
        self.0.inc(rounds as u64);
        self.0.reset_eta();
        self.0.set_message(run.to_string());
    }

    fn round(&self, run: &Run, quality: f64) {
        self.0.inc(1);
        self.0.set_message(format!("{run}: quality {quality:.4}"));
    }

    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// Runs one run of the folder to its end; none if it was asked to stop before. Each round is durable before the next.
///
/// # Errors
/// The fleet's, the engine's, the disk's: the rounds before are kept.
pub(super) fn conduct(
    fleet: &dyn Fleet,
    run: &Run,
    number: usize,
    folder: &mut Folder,
    progress: &Progress,
    stop: &AtomicBool,
) -> anyhow::Result<Option<Outcome>> {
    let settings = run.settings.clone();
    let (mut simulation, mut saved) = match folder.load(number)? {
        Some(saved) => {
            let state = borsh::from_slice(&saved.engine).context("the state of a run is not this version's")?;
            (Simulation::resume(fleet, settings, state)?, saved)
        }
        None => {
            let before: Judged = fleet.quality(&vec![0.0; fleet.parameters()])?.into();
            let now = before.clone();
            (Simulation::new(fleet, settings)?, Saved { before, now, rounds: Vec::new(), seconds: 0.0, engine: Vec::new() })
        }
    };
    progress.begin(run, saved.rounds.len());
    while (saved.rounds.len() as u64) < u64::from(run.settings.rounds) {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let begun = Instant::now();
        let record = simulation.step()?;
        saved.now = record.quality.clone().into();
        saved.rounds.push(round(saved.rounds.len() as u32 + 1, run, record, &saved.now));
        saved.engine = borsh::to_vec(simulation.state())?;
        saved.seconds += begun.elapsed().as_secs_f64();
        folder.save(number, &saved)?;
        progress.round(run, saved.now.value);
    }
    let Saved { before, now: after, rounds, seconds, .. } = saved;
    Ok(Some(Outcome { run: run.clone(), before, after, rounds, seconds }))
}

fn round(number: u32, run: &Run, record: Record, quality: &Judged) -> Round {
    Round {
        number,
        asked: run.settings.cohort,
        dropped: 0,
        late: 0,
        participants: run.settings.cohort,
        malicious: 0,
        clip_norm: run.settings.clip.get(),
        clipped: record.clipped,
        update_norm: record.update_norm,
        noise_norm: record.noise_norm,
        epsilon: record.epsilon,
        quality: quality.value,
        p5: quality.percentile(0.05),
        p50: quality.percentile(0.5),
        p95: quality.percentile(0.95),
        blind_spot: quality.blind_spot,
    }
}
