//! A clip norm that follows a quantile of the updates' norms (Andrew, Thakkar, McMahan and Ramaswamy 2021).
//!
//! Each site says whether its norm lay within the clip norm, as one more coordinate of its vector: plus or minus
//! [`WEIGHT`]. The update is clipped to what that leaves of B, so the coordinate is paid for inside the same sensitivity
//! and costs no budget of its own, whether a site is compared with none or with one that sends zeros.

use super::BOUND;
use crate::{ClipNorm, CohortSize, PrivacyError};

/// The coordinate's size: an eighth of B, which shortens updates by three in a hundred.
pub(super) const WEIGHT: i32 = BOUND / 8;

/// Why a rule is none.
#[derive(Debug, thiserror::Error, PartialEq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum QuantileError {
    #[error("the {what} is between 0 and 1, not {given}")]
    Share { what: &'static str, given: f64 },
    #[error(transparent)]
    Privacy(#[from] PrivacyError),
}

/// The rule by which the clip norm moves from round to round: public state at the server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantileClip {
    clip: ClipNorm,
    target: f64,
    rate: f64,
}

impl QuantileClip {
    /// Starts at `clip` and moves to where a share `target` of norms lies below, by a factor of at most e^`rate` a round.
    /// The paper takes 0.5 and 0.2.
    ///
    /// # Errors
    /// [`QuantileError::Share`].
    pub fn new(clip: ClipNorm, target: f64, rate: f64) -> Result<Self, QuantileError> {
        for (what, given) in [("target quantile", target), ("learning rate of the clip norm", rate)] {
            if !(given > 0.0 && given < 1.0) {
                return Err(QuantileError::Share { what, given });
            }
        }
        Ok(Self { clip, target, rate })
    }

    /// The clip norm of the next round.
    pub const fn clip(&self) -> ClipNorm {
        self.clip
    }

    /// Learns from the noisy share of norms that lay within the present clip norm. Noise can take the share outside of 0
    /// to 1; it counts as the nearer end.
    ///
    /// # Errors
    /// The clip norm has left all bounds.
    pub fn observe(&mut self, fraction: f64) -> Result<(), QuantileError> {
        let fraction = if fraction.is_finite() { fraction.clamp(0.0, 1.0) } else { self.target };
        self.clip = ClipNorm::new(self.clip.get() * (-self.rate * (fraction - self.target)).exp())?;
        Ok(())
    }
}

/// The share of sites within, from the sum of their coordinates.
pub(super) fn fraction(sum: i32, sites: CohortSize) -> f64 {
    0.5 + f64::from(sum) / (2.0 * f64::from(WEIGHT) * f64::from(sites.get()))
}

#[cfg(test)]
mod tests {
    use super::super::Mechanism;
    use super::*;
    use crate::NoiseMultiplier;

    /// 400 sites with norms from 0 to 4: the clip norm finds the quantile from either side, through the noise. The noise of
    /// the share is 0.02 a round.
    #[test]
    fn the_clip_norm_finds_its_quantile() {
        let sites = CohortSize::new(400).unwrap();
        for (start, target) in [(0.1, 0.5), (30.0, 0.5), (1.0, 0.8)] {
            let mut rule = QuantileClip::new(ClipNorm::new(start).unwrap(), target, 0.2).unwrap();
            for _ in 0..80 {
                let noise = NoiseMultiplier::new(2.0).unwrap();
                let mechanism = Mechanism::new(rule.clip(), noise, sites, 0, 1, true).unwrap();
                let noise = mechanism.noise_of_sum(400).unwrap()[1];
                let within = (0..400).filter(|i| f64::from(*i) * 0.01 <= rule.clip().get()).count() as i32;
                rule.observe(fraction((2 * within - 400) * WEIGHT + noise, sites)).unwrap();
            }
            assert!((rule.clip().get() - 4.0 * target).abs() < 0.4, "{start}: {:?}", rule.clip());
        }
    }

    #[test]
    fn nonsense_is_refused_or_ignored() {
        let clip = ClipNorm::new(1.0).unwrap();
        assert!(QuantileClip::new(clip, 0.0, 0.2).is_err() && QuantileClip::new(clip, 0.5, f64::NAN).is_err());
        let mut rule = QuantileClip::new(clip, 0.5, 0.2).unwrap();
        rule.observe(f64::NAN).unwrap();
        assert_eq!(rule.clip(), clip);
        rule.observe(1e9).unwrap();
        assert!(rule.clip().get() > 0.9);
    }
}
