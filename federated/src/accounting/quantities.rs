//! What accountants are asked with: numbers that were checked when they were made, so that every question has
//! an answer.

use std::num::NonZeroU32;

use crate::{IdError, NoiseMultiplier, PrivacyError};

/// Why there is no account.
#[derive(Debug, thiserror::Error, PartialEq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum AccountingError {
    #[error("delta is a number from {min:e} to below 1, not {0:?}; 1e-6 is usual", min = Delta::MIN)]
    Delta(f64),
    #[error("a target epsilon is a number from 0 to {max:e}, not {0:?}; 1 to 8 is usual", max = Epsilon::MAX)]
    Epsilon(f64),
    #[error("rounds are 1 to {max}, not {0}", max = Rounds::MAX)]
    Rounds(u64),
    #[error("a sampling rate is the probability that a site takes part, from 0 to 1, not {0:?}")]
    SamplingRate(f64),
    #[error("accountants take noise multipliers from {min:e} to {max:e}, not {0:?}",
        min = Mechanism::NOISE.0, max = Mechanism::NOISE.1)]
    Noise(f64),
    #[error("an order of Renyi divergence is above 1 and up to {max}, not {0:?}", max = super::rdp::Order::MAX)]
    Order(f64),
    #[error("mu of Gaussian differential privacy is a number from {min:e} to {max:e}, not {0:?}",
        min = super::gdp::Mu::RANGE.0, max = super::gdp::Mu::RANGE.1)]
    Mu(f64),
    #[error("a plan is for {min} to {max:e} sites, not {0}", min = super::plan::SITES.0, max = super::plan::SITES.1)]
    Sites(u64),
    #[error("a model has 1 to {max:e} parameters that learn, not {0}", max = super::plan::MAX_PARAMETERS)]
    Parameters(u64),
    #[error("a cohort of {cohort} sites cannot be drawn from {sites}; name a smaller cohort")]
    Cohort { cohort: u32, sites: u64 },
    #[error("no noise is enough for this epsilon and delta over {rounds} rounds; allow more epsilon or fewer rounds")]
    NoBudget { rounds: u32 },
    #[error(transparent)]
    Id(#[from] IdError),
    #[error(transparent)]
    Privacy(#[from] PrivacyError),
}

/// The delta of (epsilon, delta): the probability with which epsilon may not hold.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Delta(f64);

impl Delta {
    /// The least delta. Smaller ones mean nothing more, and this keeps all that follows in normal numbers.
    pub const MIN: f64 = 1e-100;

    /// A delta from [`MIN`](Self::MIN) to below 1.
    ///
    /// # Errors
    /// [`AccountingError::Delta`]: out of that range, or not a number.
    pub fn new(delta: f64) -> Result<Self, AccountingError> {
        if (Self::MIN..1.0).contains(&delta) { Ok(Self(delta)) } else { Err(AccountingError::Delta(delta)) }
    }

    /// The probability.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// `ln(1/delta)`, above 0.
    pub(super) fn log_inverse(self) -> f64 {
        -self.0.ln()
    }
}

/// An epsilon to be met, or one to find the delta of.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Epsilon(f64);

impl Epsilon {
    /// The largest epsilon that can be asked for: far beyond any privacy.
    pub const MAX: f64 = 1e6;

    /// An epsilon from 0 to [`MAX`](Self::MAX).
    ///
    /// # Errors
    /// [`AccountingError::Epsilon`]: out of that range, or not a number.
    pub fn new(epsilon: f64) -> Result<Self, AccountingError> {
        if (0.0..=Self::MAX).contains(&epsilon) { Ok(Self(epsilon)) } else { Err(AccountingError::Epsilon(epsilon)) }
    }

    /// The epsilon.
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// In how many rounds one site takes part at most: 1 to [`MAX`](Self::MAX).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rounds(NonZeroU32);

impl Rounds {
    /// The most rounds that are accounted for.
    pub const MAX: u64 = 1_000_000;

    /// So many rounds.
    ///
    /// # Errors
    /// [`AccountingError::Rounds`]: none, or too many.
    pub fn new(rounds: u64) -> Result<Self, AccountingError> {
        let count = u32::try_from(rounds).ok().filter(|_| rounds <= Self::MAX).and_then(NonZeroU32::new);
        count.map(Self).ok_or(AccountingError::Rounds(rounds))
    }

    /// How many.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// How many, for arithmetic.
    pub(super) fn real(self) -> f64 {
        f64::from(self.get())
    }
}

/// The probability q with which each site takes part in a round, independently (Poisson sampling).
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct SamplingRate(f64);

impl SamplingRate {
    /// A rate from 0 to 1.
    ///
    /// # Errors
    /// [`AccountingError::SamplingRate`]: out of that range, or not a number.
    pub fn new(rate: f64) -> Result<Self, AccountingError> {
        if (0.0..=1.0).contains(&rate) { Ok(Self(rate)) } else { Err(AccountingError::SamplingRate(rate)) }
    }

    /// The probability.
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// What is done in each round: Gaussian noise on a sum, over everybody or over a Poisson sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mechanism {
    noise: NoiseMultiplier,
    sampling: Option<SamplingRate>,
}

impl Mechanism {
    /// The least and the largest noise multiplier that accountants take.
    pub const NOISE: (f64, f64) = (1e-6, 1e9);

    /// The Gaussian mechanism with noise multiplier z.
    ///
    /// # Errors
    /// [`AccountingError::Noise`]: z is out of [`NOISE`](Self::NOISE).
    pub fn gaussian(noise: NoiseMultiplier) -> Result<Self, AccountingError> {
        let (least, most) = Self::NOISE;
        let fits = (least..=most).contains(&noise.get());
        if fits { Ok(Self { noise, sampling: None }) } else { Err(AccountingError::Noise(noise.get())) }
    }

    /// The Gaussian mechanism on a Poisson sample.
    ///
    /// # Errors
    /// [`AccountingError::Noise`]: z is out of [`NOISE`](Self::NOISE).
    pub fn poisson_gaussian(noise: NoiseMultiplier, sampling: SamplingRate) -> Result<Self, AccountingError> {
        Ok(Self { sampling: Some(sampling), ..Self::gaussian(noise)? })
    }

    /// The noise multiplier z.
    pub const fn noise(self) -> NoiseMultiplier {
        self.noise
    }

    /// The sampling rate; none where everybody takes part.
    pub const fn sampling(self) -> Option<SamplingRate> {
        self.sampling
    }

    /// Probability of taking part and z, for arithmetic.
    pub(super) fn rate_and_noise(self) -> (f64, f64) {
        (self.sampling.map_or(1.0, SamplingRate::get), self.noise.get())
    }
}
