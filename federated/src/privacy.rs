//! The quantities of differential privacy. Budgets are exact, and costs are rounded up: what was spent is
//! never stated too low.

use std::fmt;
use std::str::FromStr;

/// Why a number is not a quantity of privacy.
#[derive(Debug, thiserror::Error, PartialEq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum PrivacyError {
    #[error("a {what} is a finite number above 0, not {given}")]
    NotPositive { what: &'static str, given: f64 },
    #[error("rho is a number from 0 to {max} with at most 12 digits after the point, not {given}", max = Rho::MAX)]
    Rho { given: String },
}

fn positive(what: &'static str, given: f64) -> Result<f64, PrivacyError> {
    // What is not a normal number would lose digits in the arithmetic that follows.
    if given.is_normal() && given > 0.0 { Ok(given) } else { Err(PrivacyError::NotPositive { what, given }) }
}

/// The clip norm C: the largest L2 norm of a site's update, in the units of the model's parameters. Public.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct ClipNorm(f64);

impl ClipNorm {
    /// A clip norm.
    ///
    /// # Errors
    /// Not a finite number above 0.
    pub fn new(norm: f64) -> Result<Self, PrivacyError> {
        positive("clip norm", norm).map(Self)
    }

    /// The norm.
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// The noise multiplier z: the standard deviation of a sum's noise over the sensitivity. A
/// multiplier of the whole sum, not of one site's share.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct NoiseMultiplier(f64);

impl NoiseMultiplier {
    /// A noise multiplier.
    ///
    /// # Errors
    /// Not a finite number above 0.
    pub fn new(z: f64) -> Result<Self, PrivacyError> {
        positive("noise multiplier", z).map(Self)
    }

    /// The multiplier.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// What one sum with this noise costs: `1 / (2 z^2)` (Bun and Steinke 2016, Proposition 1.6; for the
    /// discrete Gaussian Canonne, Kamath and Steinke 2020, Theorem 4), rounded up.
    ///
    /// # Errors
    /// The cost is above [`Rho::MAX`]: there is next to no noise.
    pub fn cost(self) -> Result<Rho, PrivacyError> {
        // Three roundings of half an epsilon each: four epsilons more are never too little.
        Rho::at_least(1.0 / (2.0 * self.0 * self.0) * (1.0 + 4.0 * f64::EPSILON))
    }
}

/// A budget or a cost of zero-concentrated differential privacy: rho.
///
/// It is a whole number of trillionths (10^-12), so that adding up is exact in any order. Budgets are read
/// from decimal text and printed as such, exactly; costs that come from floating point are rounded up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rho(u64);

const TRILLION: u64 = 1_000_000_000_000;

impl Rho {
    /// Nothing spent.
    pub const ZERO: Self = Self(0);
    /// The largest value, 1,000: far beyond any privacy.
    pub const MAX: Self = Self(1000 * TRILLION);

    /// For a cost that was computed: the value rounded up, at most two trillionths above `rho`.
    ///
    /// # Errors
    /// Not a number, negative, or above [`MAX`](Self::MAX).
    pub fn at_least(rho: f64) -> Result<Self, PrivacyError> {
        if !(0.0..=1000.0).contains(&rho) {
            return Err(PrivacyError::Rho { given: rho.to_string() });
        }
        // Below 2^52 the product's error is less than its distance to the next whole number above.
        let units = (rho * TRILLION as f64).floor() + 1.0;
        Ok(Self((units as u64).min(Self::MAX.0)))
    }

    /// From a whole number of trillionths, as [`trillionths`](Self::trillionths) gives it.
    ///
    /// # Errors
    /// Above [`MAX`](Self::MAX).
    pub fn from_trillionths(count: u64) -> Result<Self, PrivacyError> {
        let rho = Self(count);
        if rho <= Self::MAX { Ok(rho) } else { Err(PrivacyError::Rho { given: rho.to_string() }) }
    }

    /// The value in trillionths: what is stored and compared.
    pub const fn trillionths(self) -> u64 {
        self.0
    }

    /// Two costs one after the other, whatever the second was chosen after (Bun and Steinke 2016,
    /// Lemma 1.7); `None` above [`MAX`](Self::MAX).
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).filter(|&sum| sum <= Self::MAX.0).map(Self)
    }

    /// What is left of a budget after a cost; `None` where it does not suffice.
    pub fn checked_sub(self, cost: Self) -> Option<Self> {
        self.0.checked_sub(cost.0).map(Self)
    }
}

impl fmt::Display for Rho {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:012}", self.0 / TRILLION, self.0 % TRILLION);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl fmt::Debug for Rho {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rho({self})")
    }
}

impl FromStr for Rho {
    type Err = PrivacyError;

    /// Reads decimal text exactly: `0.3111`.
    fn from_str(s: &str) -> Result<Self, PrivacyError> {
        let error = || PrivacyError::Rho { given: format!("{s:?}") };
        let (whole, part) = s.split_once('.').unwrap_or((s, "0"));
        let digits = |t: &str| !t.is_empty() && t.len() <= 12 && t.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(part) {
            return Err(error());
        }
        let units: u128 = format!("{whole}{part:0<12}").parse().map_err(|_| error())?;
        let units = u64::try_from(units).map_err(|_| error())?;
        Self::from_trillionths(units).map_err(|_| error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_is_exact(units in 0..=1000 * TRILLION) {
            let rho = Rho::from_trillionths(units).unwrap();
            prop_assert_eq!(rho.to_string().parse(), Ok(rho));
        }

        #[test]
        fn adding_up_is_exact_in_any_order(mut units in prop::collection::vec(0..TRILLION, 1..50)) {
            let sum = |units: &[u64]| units.iter().try_fold(Rho::ZERO, |s, &u| s.checked_add(Rho(u)));
            let forth = sum(&units);
            units.reverse();
            prop_assert_eq!(forth, sum(&units));
            prop_assert_eq!(forth.map(Rho::trillionths), Some(units.iter().sum()));
        }

        /// A fraction p/2^k is exact in floating point, and its cost can be checked in integers.
        #[test]
        fn a_cost_is_never_too_low(p in 0u64..1 << 50, k in 41u32..60) {
            let rho = p as f64 / (1u64 << k) as f64;
            prop_assume!(rho <= 1000.0);
            let got = u128::from(Rho::at_least(rho).unwrap().trillionths()) << k;
            let truth = u128::from(p) * u128::from(TRILLION);
            prop_assert!(got >= truth.min((1000 * u128::from(TRILLION)) << k));
            prop_assert!(got <= truth + (2 << k));
        }

        /// `2 z^2 rho >= 1` in integers, for z = p/2^20.
        #[test]
        fn the_cost_of_noise_covers_its_definition(p in 1u64 << 16..1 << 30) {
            let cost = NoiseMultiplier::new(p as f64 / (1u64 << 20) as f64).unwrap().cost().unwrap();
            let left = 2 * u128::from(p) * u128::from(p) * u128::from(cost.trillionths());
            prop_assert!(left >= u128::from(TRILLION) << 40);
        }
    }

    #[test]
    fn twelve_rounds_of_the_default_fit_their_budget() {
        // The design's default: rho 0.3111 over 12 rounds; z = 4.392 is the least with three digits.
        let budget: Rho = "0.3111".parse().unwrap();
        let spend = |z| {
            let cost = NoiseMultiplier::new(z).unwrap().cost().unwrap();
            (0..12).try_fold(budget, |left, _| left.checked_sub(cost))
        };
        assert!(spend(4.392).is_some());
        assert_eq!(spend(4.391), None);
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e-310] {
            assert!(ClipNorm::new(bad).is_err(), "{bad}");
            assert!(NoiseMultiplier::new(bad).is_err(), "{bad}");
        }
        for bad in [-1e-300, 1000.1, f64::NAN, f64::INFINITY] {
            assert!(Rho::at_least(bad).is_err(), "{bad}");
        }
        for bad in
            ["", ".", "1.", ".5", "-1", "+1", "1e3", "1001", "0.0000000000001", "9999999999999", "NaN", "\u{661}"]
        {
            assert!(bad.parse::<Rho>().is_err(), "{bad}");
        }
        assert!(Rho::from_trillionths(1000 * TRILLION + 1).is_err());
        assert!(Rho::MAX.checked_add(Rho(1)).is_none());
    }

    #[test]
    fn extremes_of_noise_cost_something_or_are_refused() {
        assert_eq!(NoiseMultiplier::new(1e200).unwrap().cost(), Ok(Rho(1)));
        assert!(NoiseMultiplier::new(1e-200).unwrap().cost().is_err());
        assert_eq!(Rho::at_least(1000.0), Ok(Rho::MAX));
    }
}
