//! What is told of a round.

use serde::{Deserialize, Serialize};

use super::Quality;

/// One round, as a line of a table. Round 0 is the model before anybody learned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Which round.
    pub round: u32,
    /// How good the model is after it; see [`Quality::value`].
    pub quality: f64,
    /// How that differs from site to site, if the fleet says.
    pub per_site: Option<Spread>,
    /// How good it is where attackers want it blind, if the fleet says.
    pub blind_spot: Option<f64>,
    /// What the rounds up to this one cost, as epsilon at the settings' delta; none without noise. A round that failed is
    /// counted too: its sites had sent their updates.
    pub epsilon: Option<f64>,
    /// Sites that were asked.
    pub asked: u32,
    /// Sites in a sum. Those of sums that failed are not.
    pub participants: u32,
    /// Asked sites that vanished.
    pub dropped: u32,
    /// Asked sites that answered after the deadline.
    pub late: u32,
    /// Sites in a sum whose fleet had no update for them: they took part with zeros.
    pub silent: u32,
    /// Sums that were begun.
    pub shards: u32,
    /// Sums that failed for want of sites.
    pub failed_shards: u32,
    /// Why the round taught nothing, if so.
    pub failure: Option<String>,
    /// The clip norm of this round.
    pub clip_norm: f64,
    /// The share of honest sites' updates that were longer than it.
    pub clipped_share: f64,
    /// The norm of the mean of the sums, had there been no noise: in the units of the model's parameters.
    pub update_norm: f64,
    /// The norm of the noise in that mean.
    pub noise_norm: f64,
    /// CPU seconds of the whole process while sites made their updates, all threads together.
    pub sites_cpu_s: f64,
    /// CPU seconds of everything between: choosing, clipping, adding, noise, protocol, combining, the server's step.
    pub orchestration_cpu_s: f64,
    /// CPU seconds that it took to say how good the model is.
    pub quality_cpu_s: f64,
}

/// How a quality differs between sites.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Of twenty sites, one has less.
    pub p5: f64,
    /// The median.
    pub p50: f64,
    /// Of twenty sites, one has more.
    pub p95: f64,
}

impl Spread {
    /// None of no sites. Between two sites it is interpolated.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * sorted.len().checked_sub(1)? as f64;
            let (low, high) = (sorted.get(place.floor() as usize)?, sorted.get(place.ceil() as usize)?);
            Some(low + (high - low) * place.fract())
        };
        Some(Self { p5: at(0.05)?, p50: at(0.5)?, p95: at(0.95)? })
    }
}

impl Record {
    pub(super) fn judged(mut self, quality: &Quality, cpu_s: f64) -> Self {
        self.quality = quality.value;
        self.per_site = Spread::of(&quality.per_site);
        self.blind_spot = quality.blind_spot;
        self.quality_cpu_s = cpu_s;
        self
    }

    /// Without what differs from run to run: the CPU seconds.
    pub fn timeless(self) -> Self {
        Self { sites_cpu_s: 0.0, orchestration_cpu_s: 0.0, quality_cpu_s: 0.0, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_are_those_of_sorted_values() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[2.0]), Some(Spread { p5: 2.0, p50: 2.0, p95: 2.0 }));
        let falling: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!(Spread::of(&falling), Some(Spread { p5: 5.0, p50: 50.0, p95: 95.0 }));
        assert_eq!(Spread::of(&[1.0, 2.0]).map(|spread| spread.p50), Some(1.5));
    }
}
