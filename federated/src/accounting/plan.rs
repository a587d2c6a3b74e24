//! Before a roll-out: how much noise a target needs, what can be learned through it, and what would be left of the
//! privacy if secure aggregation were broken.
//!
//! The noise follows from the target by zCDP, the ledger's own accountant. What can be learned is a rule of thumb
//! from simulated and real training, the [`Gain`]; it knows nothing of a particular model or its data.

use std::fmt;

use super::{AccountingError, Delta, Epsilon, Mechanism, Rounds, gdp, zcdp};
use crate::mechanism::BOUND;
use crate::{CohortSize, NoiseMultiplier, Rho};

/// The fewest and the most sites that a plan is for.
pub const SITES: (u64, u64) = (CohortSize::MIN as u64, 1_000_000_000);

/// The most parameters that a plan is for.
pub const MAX_PARAMETERS: u64 = 1_000_000_000_000;

/// The norm of the mean clipped update over the clip norm, c: the least and the most that was seen in training.
const SIGNAL: (f64, f64) = (0.22, 0.26);

/// By how much sites add more noise than is accounted for, so that enough is left when a tenth of them drops out and
/// a tenth gives none: the root of 1/0.8.
const SPARE_NOISE: f64 = 1.12;

/// What is planned for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    sites: u64,
    parameters: u64,
    epsilon: Epsilon,
    delta: Delta,
    rounds: Rounds,
    cohort: CohortSize,
}

impl Goal {
    /// A plan for `sites` that train `parameters`, each in `rounds` at most, `cohort` of them in each round: all
    /// sites, or as many as a cohort may have, where none is named.
    ///
    /// # Errors
    /// [`AccountingError::Sites`], [`AccountingError::Parameters`]: out of bounds. [`AccountingError::Cohort`]: more
    /// than there are sites.
    pub fn new(
        sites: u64,
        parameters: u64,
        epsilon: Epsilon,
        delta: Delta,
        rounds: Rounds,
        cohort: Option<CohortSize>,
    ) -> Result<Self, AccountingError> {
        if !(SITES.0..=SITES.1).contains(&sites) {
            return Err(AccountingError::Sites(sites));
        }
        if !(1..=MAX_PARAMETERS).contains(&parameters) {
            return Err(AccountingError::Parameters(parameters));
        }
        let all = u32::try_from(sites).unwrap_or(u32::MAX).min(CohortSize::MAX);
        let cohort = cohort.map_or_else(|| CohortSize::new(all), Ok)?;
        if u64::from(cohort.get()) > sites {
            return Err(AccountingError::Cohort { cohort: cohort.get(), sites });
        }
        Ok(Self { sites, parameters, epsilon, delta, rounds, cohort })
    }

    /// How many sites take part over time.
    pub const fn sites(&self) -> u64 {
        self.sites
    }

    /// How many sites take part in a round.
    pub const fn cohort(&self) -> CohortSize {
        self.cohort
    }

    /// The plan.
    ///
    /// # Errors
    /// [`AccountingError::NoBudget`]: a round's share of the budget is less than a ledger can count.
    pub fn plan(&self) -> Result<Plan, AccountingError> {
        let no_budget = || AccountingError::NoBudget { rounds: self.rounds.get() };
        let budget = zcdp::largest_rho(self.epsilon, self.delta);
        let rho_per_round = Rho::from_trillionths(budget.trillionths() / u64::from(self.rounds.get()))?;
        let noise = noise_for(rho_per_round).ok_or_else(no_budget)?;
        let single = gdp::noise(self.epsilon, self.delta, Rounds::new(1)?)?;
        let rho_total = zcdp::rho(noise, self.rounds)?;
        Ok(Plan { goal: *self, noise, rho_per_round: noise.cost()?, rho_total, single, local: self.local(noise)? })
    }

    /// How many of a cohort's sites add the noise that is counted on: `n_min - f`, with n_min nine tenths of the cohort
    /// and f a tenth, both rounded to the side of more noise.
    fn honest(&self) -> u32 {
        let n = self.cohort.get();
        n - n / 10 - n / 10
    }

    fn local(&self, noise: NoiseMultiplier) -> Result<Local, AccountingError> {
        let share = NoiseMultiplier::new(noise.get() / f64::from(self.honest()).sqrt())?;
        let alone = Mechanism::gaussian(share)?;
        Ok(Local {
            noise: share,
            zcdp: zcdp::epsilon_of_rounds(alone, self.rounds, self.delta),
            gdp: gdp::Mu::of_rounds(alone, self.rounds).epsilon(self.delta),
        })
    }
}

/// What a goal needs and what it leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    goal: Goal,
    /// The noise multiplier z of every round's sum, by zCDP.
    pub noise: NoiseMultiplier,
    /// What a round costs.
    pub rho_per_round: Rho,
    /// What all rounds cost: a site's budget.
    pub rho_total: Rho,
    /// z1: the noise of a single release with the same epsilon and delta, exact for the Gaussian.
    pub single: NoiseMultiplier,
    /// The privacy of one site's update alone.
    pub local: Local,
}

/// One site's masked update alone, over all rounds: what holds if secure aggregation were broken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Local {
    /// The noise multiplier of one site's share.
    pub noise: NoiseMultiplier,
    /// Epsilon by zCDP.
    pub zcdp: f64,
    /// Epsilon by Gaussian differential privacy, for the continuous Gaussian.
    pub gdp: f64,
}

impl Plan {
    /// What was planned for.
    pub const fn goal(&self) -> &Goal {
        &self.goal
    }

    /// The epsilon that the rounds cost together, by zCDP: at most the goal's.
    pub fn epsilon(&self) -> f64 {
        zcdp::epsilon(self.rho_total, self.goal.delta)
    }

    /// The standard deviation of a sum's noise that is accounted for, z B, in integer steps.
    pub fn sigma(&self) -> f64 {
        self.noise.get() * f64::from(BOUND)
    }

    /// The variance of one site's share of the noise, `z^2 B^2/(n_min - f)`, in integer steps squared, rounded up.
    pub fn share_variance(&self) -> f64 {
        (self.sigma().powi(2) / f64::from(self.goal.honest())).ceil()
    }

    /// What can be expected to be learned.
    pub fn gain(&self) -> Gain {
        self.gain_with(self.goal.sites)
    }

    /// How many sites it takes for S to be 1, the same share of them in each round: the fewest and the most, as
    /// signals differ.
    pub fn sites_needed(&self) -> (u64, u64) {
        let gain = self.gain();
        let needed = |s: f64| (self.goal.sites as f64 / s).ceil() as u64;
        (needed(gain.high), needed(gain.low))
    }

    /// The most parameters at which S is 1 for the sites at hand: for weak and for strong signals.
    pub fn largest_model(&self) -> (u64, u64) {
        let gain = self.gain();
        let most = |s: f64| (self.goal.parameters as f64 * s * s).floor() as u64;
        (most(gain.low), most(gain.high))
    }

    /// The gain by the number of sites, the same share of them in each round: from a thirtieth to thirty times those at
    /// hand, evenly in logarithms.
    pub fn gain_by_sites(&self) -> Vec<(u64, Gain)> {
        let at = |n: i32| (self.goal.sites as f64 * 30f64.powf(f64::from(n) / 40.0)).round() as u64;
        let mut sites: Vec<u64> = (-40..=40).map(at).filter(|&n| n >= SITES.0).collect();
        sites.dedup();
        sites.into_iter().map(|n| (n, self.gain_with(n))).collect()
    }

    /// The epsilon after each of some rounds with `times` the plan's noise, to twice as many rounds as planned for.
    ///
    /// # Errors
    /// That is no noise an accountant takes.
    pub fn epsilon_by_rounds(&self, times: f64) -> Result<Vec<(u32, f64)>, AccountingError> {
        let mechanism = Mechanism::gaussian(NoiseMultiplier::new(self.noise.get() * times)?)?;
        let end = (u64::from(self.goal.rounds.get()) * 2).min(Rounds::MAX);
        let mut after: Vec<u64> = (0..=100).map(|n| (end * n).div_ceil(100).max(1)).collect();
        after.dedup();
        let epsilon = |n| {
            let rounds = Rounds::new(n)?;
            Ok((rounds.get(), zcdp::epsilon_of_rounds(mechanism, rounds, self.goal.delta)))
        };
        after.into_iter().map(epsilon).collect()
    }

    /// S for both signals, with other numbers of sites and as large a share of them in each round.
    fn gain_with(&self, sites: u64) -> Gain {
        let goal = &self.goal;
        let share = f64::from(goal.cohort.get()) / goal.sites as f64;
        let noise = SPARE_NOISE * self.single.get() * (goal.parameters as f64).sqrt();
        let s = |signal: f64| sites as f64 * signal / noise * share.sqrt();
        Gain { low: s(SIGNAL.0), high: s(SIGNAL.1) }
    }
}

/// S, the strength of what is learned beside the noise: `S = N c / (1.12 z1 sqrt(d)) sqrt(n/N)`, for N sites of which n
/// take part in a round, d parameters, c the norm of the mean clipped update over the clip norm, and z1 the noise of a
/// single release. The number of rounds cancels. From simulations and training; S differs with c, 0.22 to 0.26.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gain {
    /// S where updates agree little.
    pub low: f64,
    /// S where they agree well.
    pub high: f64,
}

impl Gain {
    /// In words, from the lower end.
    pub fn verdict(&self) -> Verdict {
        match self.low {
            s if s >= 1.0 => Verdict::Most,
            s if s >= 0.5 => Verdict::MoreThanHalf,
            s if s >= 0.3 => Verdict::Half,
            s if s >= 0.1 => Verdict::LessThanHalf,
            _ => Verdict::Little,
        }
    }
}

/// How much of the gain of learning without noise is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// S is below 0.1.
    Little,
    /// S is 0.1 to 0.3.
    LessThanHalf,
    /// S is 0.3 to 0.5.
    Half,
    /// S is 0.5 to 1.
    MoreThanHalf,
    /// S is 1 or more.
    Most,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Most => "about 90 % of the gain of learning without noise is kept",
            Self::MoreThanHalf => "more than half of the gain of learning without noise is kept",
            Self::Half => "about half of the gain of learning without noise is kept",
            Self::LessThanHalf => "less than half of the gain of learning without noise is kept",
            Self::Little => "little of the gain of learning without noise is kept",
        })
    }
}

/// The least noise whose cost is at most `rho`, to within rounding.
fn noise_for(rho: Rho) -> Option<NoiseMultiplier> {
    // Costs are rounded up by at most two trillionths.
    let cost = rho.trillionths().checked_sub(2).filter(|&units| units > 0)?;
    let z = (1e12 / (2.0 * cost as f64)).sqrt() * (1.0 + 8.0 * f64::EPSILON);
    NoiseMultiplier::new(z).ok().filter(|noise| noise.cost().is_ok_and(|c| c <= rho))
}
