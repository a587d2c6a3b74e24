//! What it came to: as JSON for programs, as lines for people.

use serde::Serialize;

use super::numbers::Target;
use super::outcome::{Outcome, Took};
use super::seeds::OverSeeds;

/// All runs, and what they took.
#[derive(Serialize)]
pub(super) struct Summary {
    /// The run's own figures, where there was one alone.
    #[serde(flatten)]
    only: Option<RunSummary>,
    runs: Vec<RunSummary>,
    /// Runs that differ in their seed alone, together.
    over_seeds: Vec<OverSeeds>,
    #[serde(flatten)]
    took: Took,
    /// The most memory that this process had; none where the system does not say.
    peak_memory_bytes: Option<u64>,
}

#[derive(Clone, Serialize)]
struct RunSummary {
    run: String,
    sites: u32,
    rounds: usize,
    failed_rounds: usize,
    quality_before: f64,
    quality_after: f64,
    gain: f64,
    /// The share of the noiseless run's gain, where there is such a run.
    gain_kept: Option<f64>,
    /// What all rounds cost a site; none without noise.
    epsilon: Option<f64>,
    delta: f64,
    blind_spot: Option<f64>,
}

impl Summary {
    pub(super) fn of(outcomes: &[Outcome]) -> Self {
        let mut took = Took::default();
        outcomes.iter().for_each(|outcome| took.add(&outcome.took));
        let runs: Vec<RunSummary> = outcomes.iter().map(|outcome| RunSummary::of(outcome, outcomes)).collect();
        Self {
            only: if let [only] = &runs[..] { Some(only.clone()) } else { None },
            runs,
            over_seeds: OverSeeds::of(outcomes),
            took,
            peak_memory_bytes: peak_memory(),
        }
    }

    /// Tells people.
    pub(super) fn print(&self) {
        for run in &self.runs {
            let kept = run
                .gain_kept
                .map_or_else(String::new, |kept| format!(", {:.0} % of the gain without noise", 100.0 * kept));
            let cost = run
                .epsilon
                .map_or_else(|| "no noise".to_owned(), |e| format!("epsilon {e:.3} at delta {:e}", run.delta));
            println!(
                "{}: quality {:.4} before, {:.4} after {} rounds ({:+.4}{kept}); {cost}",
                run.run, run.quality_before, run.quality_after, run.rounds, run.gain
            );
        }
        for over in &self.over_seeds {
            println!(
                "{}, over {} seeds: mean gain {:+.4}, 95 % confidence interval {:+.4} to {:+.4}; quality {:.4} before",
                over.runs, over.seeds, over.mean_gain, over.gain_low, over.gain_high, over.mean_quality_before
            );
        }
    }
}

impl RunSummary {
    fn of(outcome: &Outcome, all: &[Outcome]) -> Self {
        let settings = &outcome.run.settings;
        let noisy = settings.epsilon != Target::None;
        Self {
            run: outcome.run.to_string(),
            sites: settings.sites.get(),
            rounds: outcome.rounds.len(),
            failed_rounds: outcome.failed().map_or(0, |(rounds, _)| rounds),
            quality_before: outcome.before.value,
            quality_after: outcome.after.value,
            gain: outcome.gain(),
            gain_kept: outcome.kept(all).filter(|_| noisy),
            epsilon: outcome.epsilon(),
            delta: settings.delta.get(),
            blind_spot: outcome.after.blind_spot,
        }
    }
}

/// The largest resident set so far, as Linux tells it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
