//! What a run came to, and what it is compared with.
//!
//! Knows numbers; nothing of how they were made or how they are shown.

use borsh::{BorshDeserialize, BorshSerialize};
use volet_federated::simulation::Quality;

use super::settings::Target;
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
    /// The quality that so large a share of the held-out sites does not reach; none where sites are not told apart.
    pub(super) fn percentile(&self, share: f64) -> Option<f64> {
        let sorted = self.sorted();
        let last = sorted.len().checked_sub(1)?;
        let at = share * last as f64;
        let (low, high) = (sorted.get(at.floor() as usize)?, sorted.get(at.ceil() as usize)?);
        Some(low + (high - low) * at.fract())
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
    pub(super) dropped: u32,
    pub(super) late: u32,
    pub(super) participants: u32,
    pub(super) malicious: u32,
    pub(super) clip_norm: f64,
    pub(super) clipped: u32,
    pub(super) update_norm: f64,
    pub(super) noise_norm: f64,
    /// What a site that took part in all rounds so far has spent: infinite without noise.
    pub(super) epsilon: f64,
    pub(super) quality: f64,
    pub(super) p5: Option<f64>,
    pub(super) p50: Option<f64>,
    pub(super) p95: Option<f64>,
    pub(super) blind_spot: Option<f64>,
}

/// A run that has ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) run: Run,
    pub(super) before: Judged,
    pub(super) after: Judged,
    pub(super) rounds: Vec<Round>,
    pub(super) seconds: f64,
}

impl Outcome {
    pub(super) fn gain(&self) -> f64 {
        self.after.value - self.before.value
    }

    /// What all rounds together cost a site that took part in all of them.
    pub(super) fn epsilon(&self) -> f64 {
        self.rounds.last().map_or(0.0, |round| round.epsilon)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_the_sites_they_lie_between() {
        let judged = Judged { per_site: vec![0.4, 0.0, 0.1, 0.3, 0.2], ..Judged::default() };
        let near = |share: f64, need: f64| (judged.percentile(share).unwrap() - need).abs() < 1e-12;
        assert!(near(0.0, 0.0) && near(0.5, 0.2) && near(1.0, 0.4) && near(0.05, 0.02));
        assert_eq!(Judged::default().percentile(0.5), None);
    }
}
