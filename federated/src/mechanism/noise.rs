//! Shares of discrete Gaussian noise, sized in integers and drawn by opendp.

use dashu::integer::{IBig, UBig};
use dashu::rational::RBig;
use opendp::traits::samplers::sample_discrete_gaussian;

use super::{MechanismError, NoiseMultiplier};

/// The smallest standard deviation of one site's share.
pub const SMALLEST_SHARE: f64 = 8.0;

/// Scales are whole numbers of these: coarse enough for fast exact arithmetic, fine enough to waste nothing.
const STEPS: u32 = 16;

/// A standard deviation, as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    /// In sixteenths.
    steps: u32,
}

impl Scale {
    /// The share of one of `honest` sites in noise of multiplier `noise` on a sensitivity of `bound`.
    pub(super) fn of_share(noise: NoiseMultiplier, bound: i32, honest: u32) -> Result<Self, MechanismError> {
        let sigma = noise.get() * f64::from(bound) / f64::from(honest).sqrt();
        if sigma < SMALLEST_SHARE {
            return Err(MechanismError::SmallShare { sigma });
        }
        let steps = (sigma * f64::from(STEPS) * (1.0 + 8.0 * f64::EPSILON)).ceil();
        if steps > f64::from(1 << 28) {
            return Err(MechanismError::Noise(format!("a share of sigma {sigma:.0} leaves no room for an update")));
        }
        Ok(Self { steps: steps as u32 })
    }

    /// The scale of the sum of so many draws, rounded up.
    pub(super) fn of_sum(self, sites: u32) -> Self {
        let steps = (f64::from(self.steps) * f64::from(sites).sqrt()).ceil();
        Self { steps: steps.min(f64::from(u32::MAX)) as u32 }
    }

    pub(super) fn sigma(self) -> f64 {
        f64::from(self.steps) / f64::from(STEPS)
    }

    /// One draw, modulo 2^32 as all sums are.
    pub(super) fn sample(self) -> Result<i32, MechanismError> {
        let scale = RBig::from_parts(IBig::from(self.steps), UBig::from(STEPS));
        let drawn = sample_discrete_gaussian(scale).map_err(|e| MechanismError::Noise(e.to_string()))?;
        i64::try_from(drawn).map(|noise| noise as i32).map_err(|e| MechanismError::Noise(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn z(z: f64) -> NoiseMultiplier {
        NoiseMultiplier::new(z).unwrap()
    }

    proptest! {
        /// `honest * share^2 >= z^2 B^2`, in integers, for z = p / 2^10.
        #[test]
        fn shares_are_never_too_small(p in 100_u64..20_000, honest in 1_u32..2000) {
            let Ok(scale) = Scale::of_share(z(p as f64 / 1024.0), 1 << 14, honest) else { return Ok(()) };
            let left = u128::from(honest) * u128::from(scale.steps).pow(2);
            let right = u128::from(p * 16 * STEPS as u64).pow(2);
            prop_assert!(left >= right, "{left} {right}");
            prop_assert!(left as f64 <= right as f64 * 1.02);
        }
    }

    #[test]
    fn small_shares_are_refused() {
        assert!(matches!(Scale::of_share(z(0.01), 1 << 14, 500), Err(MechanismError::SmallShare { .. })));
        assert!(Scale::of_share(z(0.02), 1 << 14, 1000).is_ok());
        assert!(Scale::of_share(z(1e9), 1 << 14, 1).is_err());
    }

    /// The second and fourth moments of 20,000 draws, within six standard errors: a false alarm in ten million runs or so.
    #[test]
    fn draws_have_the_moments_of_their_scale() {
        let moments = |drawn: Scale| {
            let n = 20_000;
            let draws: Vec<f64> = (0..n).map(|_| f64::from(drawn.sample().unwrap()) / 40.0).collect();
            [1, 2, 4].map(|k| draws.iter().map(|v| v.powi(k)).sum::<f64>() / f64::from(n))
        };
        let error = |variance: f64| 6.0 * (variance / 20_000.0).sqrt();
        let fits = |[mean, second, fourth]: [f64; 3]| {
            mean.abs() < error(1.0) && (second - 1.0).abs() < error(2.0) && (fourth - 3.0).abs() < error(96.0)
        };
        assert!(fits(moments(Scale { steps: 40 * STEPS })));
        // Planted fault: nine tenths of the noise.
        assert!(!fits(moments(Scale { steps: 36 * STEPS })));
    }
}
