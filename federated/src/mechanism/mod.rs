//! The privacy of an update, before it leaves the device: clipped in integers, noised in integers.
//!
//! 1. **Clip.** The update is scaled so that the clip norm C becomes B = 2^14, rounded, and kept only if the sum of its
//!    squares is at most B^2 *in integers*. That check is the proof of sensitivity: nothing computed in floating point is
//!    part of it, and rounding comes before it.
//! 2. **Noise.** Each site adds a discrete Gaussian share (Canonne, Kamath and Steinke 2020) of variance
//!    z^2 B^2 / (n_min - f), rounded up: any n_min sites, of whom f tell the server their noise, leave at least z^2 B^2.
//! 3. **Decode.** The server divides the sum by constants that were public before the round.
//!
//! A sum of discrete Gaussians is nearly one, not exactly (Kairouz, Liu and Steinke 2021, Proposition 14): from shares of
//! sigma 8 on, the difference is below e^-600 and disappears in any delta. Smaller shares are refused.
//!
//! What this may not know: servers, keys, masks. Noise comes from the operating system's generator, never from a seed.

mod clip;
mod noise;
mod quantile;

#[cfg(test)]
mod audit;

pub use clip::Clipped;
pub use noise::SMALLEST_SHARE;
pub use quantile::{QuantileClip, QuantileError};

use crate::budget::Reservation;
use crate::secagg::{Modulus, Sum};
use crate::{ClipNorm, CohortSize, NoiseMultiplier, PrivacyError, Rho};

/// B: what the clip norm becomes in integers.
pub const BOUND: i32 = 1 << 14;

/// Why a mechanism cannot be, or cannot run.
#[derive(Debug, thiserror::Error, PartialEq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum MechanismError {
    #[error(transparent)]
    Privacy(#[from] PrivacyError),
    #[error("of {minimum} sites {corrupt} may collude; their noise does not count, and nobody else's is left")]
    AllCorrupt { minimum: u32, corrupt: u32 },
    #[error(
        "a site's share of the noise has sigma {sigma:.2}, below {least}: sums of such shares are no Gaussian; \
         take a higher noise multiplier or a smaller minimum",
        least = SMALLEST_SHARE
    )]
    SmallShare { sigma: f64 },
    #[error(
        "the sum of {most} sites needs {need} bits, and the terms give it {bits}; take more bits or smaller shards"
    )]
    Overflow { most: u32, need: u32, bits: u32 },
    #[error("an update has {have} values, and the task says {need}")]
    Length { have: usize, need: usize },
    #[error("the budget was reserved for another mechanism: {what} differs")]
    NotReserved { what: &'static str },
    #[error("the generator of noise failed: {0}")]
    Noise(String),
}

/// How updates of one round are made private, with every number in it public.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mechanism {
    clip: ClipNorm,
    noise: NoiseMultiplier,
    minimum: CohortSize,
    corrupt: u32,
    dimension: usize,
    adaptive: bool,
    share: noise::Scale,
}

impl Mechanism {
    /// Clip norm `clip` and noise multiplier `noise` for sums over at least `minimum` sites, `corrupt` of whom may
    /// collude with the server; `dimension` values per update. With `adaptive`, whether the norm was below the clip norm
    /// travels as one more coordinate (see [`QuantileClip`]), inside the same sensitivity.
    ///
    /// # Errors
    /// [`MechanismError::AllCorrupt`], [`MechanismError::SmallShare`].
    pub fn new(
        clip: ClipNorm,
        noise: NoiseMultiplier,
        minimum: CohortSize,
        corrupt: u32,
        dimension: usize,
        adaptive: bool,
    ) -> Result<Self, MechanismError> {
        let honest = minimum.get().checked_sub(corrupt).filter(|&honest| honest > 0);
        let honest = honest.ok_or(MechanismError::AllCorrupt { minimum: minimum.get(), corrupt })?;
        let share = noise::Scale::of_share(noise, BOUND, honest)?;
        Ok(Self { clip, noise, minimum, corrupt, dimension, adaptive, share })
    }

    /// What one release of a sum costs: 1 / (2 z^2).
    ///
    /// # Errors
    /// The noise is next to none.
    pub fn cost(&self) -> Result<Rho, PrivacyError> {
        self.noise.cost()
    }

    /// What one update would cost if masks failed and the server saw it alone: this site's share is all its noise.
    ///
    /// # Errors
    /// The share is next to none.
    pub fn local_cost(&self) -> Result<Rho, PrivacyError> {
        NoiseMultiplier::new(self.share.sigma() / f64::from(BOUND))?.cost()
    }

    /// Standard deviation of one site's share, in integer units.
    pub fn share_sigma(&self) -> f64 {
        self.share.sigma()
    }

    /// Values in a contribution: the update's, and one more where the clip norm adapts.
    pub const fn coordinates(&self) -> usize {
        self.dimension + self.adaptive as usize
    }

    /// Whether sums over up to `most` sites fit into `modulus`: but for a chance of 2^-40, all coordinates together.
    ///
    /// # Errors
    /// [`MechanismError::Overflow`], with the bits that are needed.
    pub fn fits(&self, modulus: Modulus, most: CohortSize) -> Result<(), MechanismError> {
        let sites = f64::from(most.get());
        // Gaussian tail: P[|x| > t sigma] <= 2 exp(-t^2 / 2), for each of the coordinates.
        let tail = (2.0 * (41.0 * std::f64::consts::LN_2 + (self.coordinates().max(1) as f64).ln())).sqrt();
        let largest = sites * f64::from(BOUND) + tail * self.share.sigma() * sites.sqrt();
        let need = largest.log2().floor() as u32 + 2;
        if need > modulus.bits() {
            return Err(MechanismError::Overflow { most: most.get(), need, bits: modulus.bits() });
        }
        Ok(())
    }

    /// Makes an update private, once: the budget's reservation goes into what comes out.
    ///
    /// Values that are not finite count as 0. The update may be all zeros: a site without anything to say sends noise.
    ///
    /// # Errors
    /// [`MechanismError::Length`], [`MechanismError::NotReserved`], [`MechanismError::Noise`].
    pub fn privatise(&self, update: &[f32], reservation: Reservation) -> Result<Noised, MechanismError> {
        let reserved = reservation.terms();
        let same = [
            ("the noise multiplier", reserved.noise == self.noise),
            ("the clip norm", reserved.clip == self.clip),
            ("the minimum", reserved.cohort == self.minimum),
            ("the cost", self.cost().is_ok_and(|cost| reserved.cost >= cost)),
        ];
        if let Some((what, _)) = same.into_iter().find(|(_, same)| !same) {
            return Err(MechanismError::NotReserved { what });
        }
        let values = self.noised(update)?;
        Ok(Noised { values, corrupt: self.corrupt, reservation })
    }

    /// The mechanism itself.
    fn noised(&self, update: &[f32]) -> Result<Vec<i32>, MechanismError> {
        if update.len() != self.dimension {
            return Err(MechanismError::Length { have: update.len(), need: self.dimension });
        }
        let clipped = Clipped::of(update, self.clip, self.adaptive);
        clipped.values().iter().map(|&value| Ok(value.wrapping_add(self.share.sample()?))).collect()
    }

    /// The noise that a sum over `sites` has, drawn once: for simulators, which need no masks.
    ///
    /// # Errors
    /// [`MechanismError::Noise`].
    pub fn noise_of_sum(&self, sites: u32) -> Result<Vec<i32>, MechanismError> {
        let scale = self.share.of_sum(sites);
        (0..self.coordinates()).map(|_| scale.sample()).collect()
    }

    /// The standard deviation of that noise.
    #[cfg(feature = "simulation")]
    pub(crate) fn sum_sigma(&self, sites: u32) -> f64 {
        self.share.of_sum(sites).sigma()
    }

    /// The mean update that a sum stands for: divided by `sites`, a number that was public before the round, and brought
    /// back to the units of the clip norm. With an adaptive clip norm the second value is the share of updates whose norm
    /// was below it, noise included.
    ///
    /// # Errors
    /// [`MechanismError::Length`]: the sum is another mechanism's.
    pub fn decode(&self, sum: &Sum, sites: CohortSize) -> Result<(Vec<f32>, Option<f64>), MechanismError> {
        let have = sum.values().len();
        if have != self.coordinates() {
            return Err(MechanismError::Length { have, need: self.coordinates() });
        }
        let (update, bit) = sum.values().split_at(self.dimension);
        let unit = self.clip.get() / (f64::from(BOUND) * f64::from(sites.get()));
        let mean = update.iter().map(|&v| (f64::from(v) * unit) as f32).collect();
        Ok((mean, bit.first().map(|&bit| quantile::fraction(bit, sites))))
    }
}

/// A private update and the reservation that pays for it. It can be masked, and nothing else.
#[derive(Debug)]
pub struct Noised {
    pub(crate) values: Vec<i32>,
    /// How many sites its noise reckons with as colluding.
    pub(crate) corrupt: u32,
    pub(crate) reservation: Reservation,
}
