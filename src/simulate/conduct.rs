//! One run from where it was left to its end, kept after every round.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use volet_federated::simulation::{Fleet, FleetError, Quality, Record, Simulation};

use super::folder::{Folder, Saved};
use super::gallery::Gallery;
use super::outcome::{Judged, Outcome, Took};
use super::pictures;
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

    fn round(&self, run: &Run, record: &Record) {
        self.0.inc(1);
        self.0.set_message(format!("{run}: quality {:.4}", record.quality));
        if let Some(why) = &record.failure {
            let line = format!("volet: round {} of the run {run} taught nothing: {why}", record.round);
            if self.0.is_hidden() { eprintln!("{line}") } else { self.0.println(line) }
        }
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
    let listening = Listening { fleet, last: Mutex::default() };
    let settings = run.settings.of_rounds();
    let mut saved = folder.load(number)?.unwrap_or_default();
    let mut simulation = if saved.engine.is_empty() {
        Simulation::new(&listening, settings)?
    } else {
        let state =
            borsh::from_slice(&saved.engine).context("the state of a run is another version's; take a new folder")?;
        Simulation::resume(&listening, settings, state)?
    };
    progress.begin(run, saved.rounds.len());
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let begun = Instant::now();
        let Some(record) = simulation.step()? else { break };
        saved.now = listening.last();
        saved.took.add(&Took {
            seconds: begun.elapsed().as_secs_f64(),
            sites_cpu_s: record.sites_cpu_s,
            orchestration_cpu_s: record.orchestration_cpu_s,
            quality_cpu_s: record.quality_cpu_s,
        });
        if record.round == 0 {
            saved.before = saved.now.clone();
        } else {
            progress.round(run, &record);
            saved.rounds.push(record.into());
        }
        saved.engine = borsh::to_vec(simulation.state())?;
        folder.save(number, &saved)?;
    }
    let Saved { before, now: after, rounds, took, .. } = saved;
    Ok(Some(Outcome { run: run.clone(), before, after, rounds, took }))
}

/// A fleet whose last quality is kept, with all that a record leaves out.
struct Listening<'a> {
    fleet: &'a dyn Fleet,
    last: Mutex<Judged>,
}

impl Listening<'_> {
    fn last(&self) -> Judged {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Fleet for Listening<'_> {
    fn sites(&self) -> u32 {
        self.fleet.sites()
    }

    fn parameters(&self) -> usize {
        self.fleet.parameters()
    }

    fn update(&self, site: u32, round: u32, learned: &[f32]) -> Result<Vec<f32>, FleetError> {
        self.fleet.update(site, round, learned)
    }

    fn poison(&self, site: u32, round: u32, learned: &[f32]) -> Result<Vec<f32>, FleetError> {
        self.fleet.poison(site, round, learned)
    }

    fn quality(&self, learned: &[f32]) -> Result<Quality, FleetError> {
        let quality = self.fleet.quality(learned)?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = quality.clone().into();
        Ok(quality)
    }
}

/// A fleet's sizes alone: enough to see whether a run can be.
struct Sizes {
    sites: u32,
    parameters: usize,
}

impl Fleet for Sizes {
    fn sites(&self) -> u32 {
        self.sites
    }

    fn parameters(&self) -> usize {
        self.parameters
    }

    fn update(&self, _: u32, _: u32, _: &[f32]) -> Result<Vec<f32>, FleetError> {
        Err(FleetError("nobody is there".to_owned()))
    }

    fn quality(&self, _: &[f32]) -> Result<Quality, FleetError> {
        Err(FleetError("nobody is there".to_owned()))
    }
}

/// Whether a run can be, with sites made of this gallery if it has one.
///
/// # Errors
/// Why not.
pub(super) fn check(run: &Run, gallery: Option<&Gallery>) -> anyhow::Result<()> {
    if let Some(gallery) = gallery {
        pictures::split(&run.settings.pictures, gallery, run.settings.sites.get(), run.settings.seed)?;
    }
    let sizes = Sizes { sites: run.settings.sites.get(), parameters: run.settings.parameters()? };
    Simulation::new(&sizes, run.settings.of_rounds())?;
    Ok(())
}
