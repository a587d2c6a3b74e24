//! The statistical audit: an attacker who knows all but whether one site took part looks at sums, and the errors that are counted bound
//! epsilon from below. With `z` the noise that is drawn and `claimed` what is said of it, half the noise has to be found.

use volet_federated::accounting::empirical::mu_at_least;
use volet_federated::accounting::{Delta, gdp};
use volet_federated::mechanism::{BOUND, Clipped, Mechanism};
use volet_federated::{ClipNorm, CohortSize, NoiseMultiplier};

use super::Given;
use crate::bench::harness::{Metric, Sample};

pub(in crate::bench) const CLAIMED: Metric = Metric::fact("epsilon claimed", "");
pub(in crate::bench) const AUDITED: Metric = Metric::context("epsilon, 95 % lower bound from counted errors", "");

/// Sites in a sum.
const SITES: u32 = 4;
const DELTA: f64 = 1e-6;

pub(super) fn audit(given: &Given) -> anyhow::Result<Vec<Sample>> {
    let (z, claimed): (f64, f64) = (given.get("z")?, given.get("claimed")?);
    let runs: usize = given.get("runs")?;
    let clip = ClipNorm::new(1.0)?;
    // Every coordinate of one draw is a sum of its own.
    let mechanism = Mechanism::new(clip, NoiseMultiplier::new(z)?, CohortSize::new(SITES)?, 0, runs, false)?;
    let update: Vec<f64> = Clipped::of(&[3.0], clip, false).values().iter().map(|v| f64::from(*v)).collect();
    let update = update.first().copied().unwrap_or(f64::from(BOUND));
    let sums = |site: f64| -> anyhow::Result<Vec<f64>> {
        Ok(mechanism.noise_of_sum(SITES)?.into_iter().map(|noise| f64::from(noise) + site).collect())
    };
    let mu = mu_at_least(&sums(0.0)?, &sums(update)?, 0.5 * f64::from(BOUND));
    let epsilon = |mu: f64| -> anyhow::Result<f64> { Ok(gdp::Mu::new(mu)?.epsilon(Delta::new(DELTA)?)) };
    Ok(vec![CLAIMED.of(epsilon(1.0 / claimed)?), AUDITED.of(epsilon(mu.max(1e-6))?)])
}
