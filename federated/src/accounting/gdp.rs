//! Gaussian differential privacy (Dong, Roth and Su 2022), by the exact curve of Balle and Wang 2018, Theorem 8.
//!
//! Exact for the continuous Gaussian alone. The discrete Gaussian that sites draw can cost a little more where its
//! standard deviation is a few integer steps, so that a ledger counts with [`super::zcdp`]; at the thousands of
//! steps of a real round the two cannot be told apart.

use super::numerics::{density, least_real, mills, upper_tail};
use super::{AccountingError, Delta, Epsilon, Mechanism, Rounds};
use crate::NoiseMultiplier;

/// How far apart neighbours are: as two normal distributions of variance 1 whose means differ by mu.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Mu(f64);

impl Mu {
    /// The least and the largest mu.
    pub const RANGE: (f64, f64) = (1e-12, 1e10);

    /// A mu.
    ///
    /// # Errors
    /// [`AccountingError::Mu`]: out of [`RANGE`](Self::RANGE), or not a number.
    pub fn new(mu: f64) -> Result<Self, AccountingError> {
        let (least, most) = Self::RANGE;
        if (least..=most).contains(&mu) { Ok(Self(mu)) } else { Err(AccountingError::Mu(mu)) }
    }

    /// The root of the rounds over z (Dong, Roth and Su 2022, Corollary 3.3), rounded up. A sampling rate is
    /// ignored: everybody takes part.
    pub fn of_rounds(mechanism: Mechanism, rounds: Rounds) -> Self {
        Self::of(mechanism.noise(), rounds)
    }

    fn of(noise: NoiseMultiplier, rounds: Rounds) -> Self {
        // Within the range by the bounds of both.
        Self(rounds.real().sqrt() / noise.get() * (1.0 + 4.0 * f64::EPSILON))
    }

    /// The mu.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// The delta at `epsilon`.
    pub fn delta(self, epsilon: Epsilon) -> f64 {
        delta(self.0, epsilon.get())
    }

    /// The least epsilon at `delta`; 0 where `delta` alone is enough.
    pub fn epsilon(self, at: Delta) -> f64 {
        let mu = self.0;
        // 22 standard deviations above the mean loss leave less than the least delta.
        let high = mu * (0.5 * mu + 22.0) * (1.0 + 1e-6);
        least_real(high, |epsilon| delta(mu, epsilon) <= at.get())
    }
}

/// The least noise for `epsilon` and `delta` over `rounds`, for the continuous Gaussian, rounded up.
///
/// # Errors
/// [`AccountingError::NoBudget`]: the noise would be beyond what can be stated.
pub fn noise(epsilon: Epsilon, at: Delta, rounds: Rounds) -> Result<NoiseMultiplier, AccountingError> {
    // Less privacy than this mu gives cannot be asked for: its mean loss is above the largest epsilon.
    let too_much = least_real(1e4, |mu| mu > 0.0 && delta(mu, epsilon.get()) > at.get());
    let mu = f64::from_bits(too_much.to_bits() - 1);
    let z = rounds.real().sqrt() / mu;
    // What the curve is raised by for its rounding is not the same everywhere, so that a mu a little smaller may be
    // told a larger epsilon. The noise goes up until what is told of it is the target.
    for steps in (3..30).map(|doubling| f64::from(1 << doubling)) {
        let noise = NoiseMultiplier::new(z * (1.0 + steps * f64::EPSILON))
            .map_err(|_| AccountingError::NoBudget { rounds: rounds.get() })?;
        if Mu::of(noise, rounds).epsilon(at) <= epsilon.get() {
            return Ok(noise);
        }
    }
    Err(AccountingError::NoBudget { rounds: rounds.get() })
}

/// `P(N > a) - e^epsilon P(N > b)` with `a = epsilon/mu - mu/2` and `b = a + mu`, raised by its own rounding.
///
/// As `e^epsilon density(b) = density(a)`, the difference is `density(a) (mills(a) - mills(b))`, in which nothing
/// overflows.
fn delta(mu: f64, epsilon: f64) -> f64 {
    let (a, b) = (epsilon / mu - 0.5 * mu, epsilon / mu + 0.5 * mu);
    if a > 60.0 {
        return f64::MIN_POSITIVE; // The truth is far below.
    }
    let (value, lost) = if mu <= 0.125 {
        // Close to each other the two ratios differ by an integral of their slope, in which nothing cancels.
        (density(a) * mean_fall(a, b) * mu, 4.0 * b * b)
    } else if a >= 0.0 {
        let (near, far) = (mills(a), mills(b));
        (density(a) * (near - far), 4.0 * near / (near - far))
    } else {
        (upper_tail(a) - density(a) * mills(b), 8.0)
    };
    // a is rounded by as much as its terms are, and the density feels that a-fold.
    let lost = lost + 64.0 + 8.0 * (a.abs() + 1.0) * (epsilon / mu + mu);
    (value * (1.0 + lost * f64::EPSILON) + f64::MIN_POSITIVE).min(1.0)
}

/// The mean of `1 - x mills(x)`, which is what Mills' ratio falls by, from `a` to `b`: by the rule of Gauss and
/// Legendre with five points, exact to rounding over so short a way.
fn mean_fall(a: f64, b: f64) -> f64 {
    const RULE: [(f64, f64); 5] = [
        (-0.906_179_845_938_664, 0.236_926_885_056_189_08),
        (-0.538_469_310_105_683_1, 0.478_628_670_499_366_47),
        (0.0, 0.568_888_888_888_888_9),
        (0.538_469_310_105_683_1, 0.478_628_670_499_366_47),
        (0.906_179_845_938_664, 0.236_926_885_056_189_08),
    ];
    let (middle, half) = (0.5 * (a + b), 0.5 * (b - a));
    let fall = |x: f64| 1.0 - x * if x >= 0.0 { mills(x) } else { upper_tail(x) / density(x) };
    RULE.iter().map(|(at, weight)| 0.5 * weight * fall(middle + at * half)).sum()
}
