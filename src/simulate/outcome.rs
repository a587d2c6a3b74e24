//! What a run came to, and what it is compared with.
//!
//! Knows numbers; nothing of how they were made or how they are shown.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::Serialize;
use volet_federated::simulation::{Quality, Record, Spread};

use super::numbers::Target;
use super::sweep::Run;

/// [`Quality`], as it is kept.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Judged {
    pub(super) value: f64,
    pub(super) per_site: Vec<f64>,
    pub(super) blind_spot: Option<f64>,
}

impl From<Quality> for Judged {
    fn from(quality: Quality) -> Self {
        Self { value: quality.value, per_site: quality.per_site, blind_spot: quality.blind_spot }
    }
}

impl Judged {
    /// How it differs from site to site, if sites are told apart.
    pub(super) fn spread(&self) -> Option<Spread> {
        Spread::of(&self.per_site)
    }

    /// From the site that is worst off to the one that is best off.
    pub(super) fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.per_site.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// One round, as a table has it.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Round {
    pub(super) number: u32,
    pub(super) asked: u32,
    pub(super) participants: u32,
    pub(super) dropped: u32,
    pub(super) late: u32,
    pub(super) silent: u32,
    pub(super) shards: u32,
    pub(super) failed_shards: u32,
    /// Why the round taught nothing, if so.
    pub(super) failure: Option<String>,
    pub(super) clip_norm: f64,
    pub(super) clipped: f64,
    pub(super) update_norm: f64,
    pub(super) noise_norm: f64,
    /// What a site that took part in all rounds so far has spent; none without noise.
    pub(super) epsilon: Option<f64>,
    pub(super) quality: f64,
    pub(super) p5: Option<f64>,
    pub(super) p50: Option<f64>,
    pub(super) p95: Option<f64>,
    pub(super) blind_spot: Option<f64>,
}

impl From<Record> for Round {
    fn from(record: Record) -> Self {
        let spread = record.per_site;
        Self {
            number: record.round,
            asked: record.asked,
            participants: record.participants,
            dropped: record.dropped,
            late: record.late,
            silent: record.silent,
            shards: record.shards,
            failed_shards: record.failed_shards,
            failure: record.failure,
            clip_norm: record.clip_norm,
            clipped: record.clipped_share,
            update_norm: record.update_norm,
            noise_norm: record.noise_norm,
            epsilon: record.epsilon,
            quality: record.quality,
            p5: spread.map(|spread| spread.p5),
            p50: spread.map(|spread| spread.p50),
            p95: spread.map(|spread| spread.p95),
            blind_spot: record.blind_spot,
        }
    }
}

/// What rounds took, restarts left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, BorshSerialize, BorshDeserialize)]
pub(super) struct Took {
    /// By the clock.
    pub(super) seconds: f64,
    /// Of processors, while sites made their updates.
    pub(super) sites_cpu_s: f64,
    /// Of processors, for all between sites and model.
    pub(super) orchestration_cpu_s: f64,
    /// Of processors, to tell quality.
    pub(super) quality_cpu_s: f64,
}

impl Took {
    pub(super) fn add(&mut self, other: &Self) {
        self.seconds += other.seconds;
        self.sites_cpu_s += other.sites_cpu_s;
        self.orchestration_cpu_s += other.orchestration_cpu_s;
        self.quality_cpu_s += other.quality_cpu_s;
    }
}

/// A run that has ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) run: Run,
    pub(super) before: Judged,
    pub(super) after: Judged,
    pub(super) rounds: Vec<Round>,
    pub(super) took: Took,
}

impl Outcome {
    pub(super) fn gain(&self) -> f64 {
        self.after.value - self.before.value
    }

    /// What all rounds together cost a site that took part in all of them; none without noise.
    pub(super) fn epsilon(&self) -> Option<f64> {
        self.rounds.last().and_then(|round| round.epsilon)
    }

    /// How many rounds taught nothing, and why the first of them did.
    pub(super) fn failed(&self) -> Option<(usize, &str)> {
        let first = self.rounds.iter().find_map(|round| round.failure.as_deref())?;
        Some((self.rounds.iter().filter(|round| round.failure.is_some()).count(), first))
    }

    /// The quality before the first round and after each.
    pub(super) fn curve(&self) -> Vec<(f64, f64)> {
        let rounds = self.rounds.iter().map(|round| (f64::from(round.number), round.quality));
        std::iter::once((0.0, self.before.value)).chain(rounds).collect()
    }

    /// The run with the same settings and no noise, if it is among these.
    pub(super) fn noiseless<'a>(&self, all: &'a [Self]) -> Option<&'a Self> {
        let mut settings = self.run.settings.clone();
        settings.epsilon = Target::None;
        all.iter().find(|other| other.run.settings == settings)
    }

    /// How much of the gain without noise this run kept, where that is known and there was one.
    pub(super) fn kept(&self, all: &[Self]) -> Option<f64> {
        let most = self.noiseless(all)?.gain();
        (most > 0.0).then(|| self.gain() / most)
    }
}
