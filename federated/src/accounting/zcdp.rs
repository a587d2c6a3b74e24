//! Zero-concentrated differential privacy (Bun and Steinke 2016): what the ledger counts with.
//!
//! A sum with noise multiplier z costs rho = 1/(2 z^2), for the Gaussian and for the discrete Gaussian alike
//! (Canonne, Kamath and Steinke 2020, Theorem 4); costs add up. This module turns sums of costs into
//! (epsilon, delta) and back. [`Rho`] itself, with its exact sums, is the crate's.

use super::numerics::{least, least_real};
use super::{AccountingError, Delta, Epsilon, Mechanism, Rounds};
use crate::{NoiseMultiplier, Rho};

/// What `rounds` sums with the same noise cost, as a ledger counts it: the cost of one, rounded up, times
/// their number.
///
/// # Errors
/// [`AccountingError::Privacy`]: above [`Rho::MAX`].
pub fn rho(noise: NoiseMultiplier, rounds: Rounds) -> Result<Rho, AccountingError> {
    let each = noise.cost()?.trillionths();
    // A cost is at most 1e15 and rounds are at most 1e6; what saturates is refused as too large.
    Ok(Rho::from_trillionths(each.saturating_mul(rounds.get().into()))?)
}

/// The least epsilon that rho-zCDP is known to give at `delta`: Canonne, Kamath and Steinke 2020,
/// Proposition 12, at the best order.
pub fn epsilon(rho: Rho, delta: Delta) -> f64 {
    epsilon_of(real(rho), delta)
}

/// The epsilon of `rounds` of an unsampled `mechanism`, at any cost: [`Rho::MAX`] does not bound it, and nothing
/// is rounded to trillionths in between. A sampling rate is ignored: everybody takes part.
pub fn epsilon_of_rounds(mechanism: Mechanism, rounds: Rounds, delta: Delta) -> f64 {
    let z = mechanism.noise().get();
    epsilon_of(rounds.real() / (2.0 * z * z) * (1.0 + 4.0 * f64::EPSILON), delta)
}

/// The least delta that rho-zCDP is known to give at `epsilon`: the same proposition, read the other way.
pub fn delta(rho: Rho, epsilon: Epsilon) -> f64 {
    if rho == Rho::ZERO {
        return 0.0;
    }
    let (rho, epsilon) = (real(rho), epsilon.get());
    // With u for the order less 1: the exponent's derivative rises through 0 once, below this bound.
    let u = least_real((epsilon + 1.0) / rho + 1.0, |u| (2.0 * u + 1.0) * rho >= epsilon + (1.0 / u).ln_1p());
    let terms = [u * (1.0 + u) * rho, -u * epsilon, -u.ln(), -(1.0 + u) * (1.0 / u).ln_1p()];
    raised(&terms).exp().min(1.0)
}

/// The largest cost that may be spent for `epsilon` at `delta`: a budget.
pub fn largest_rho(target: Epsilon, at: Delta) -> Rho {
    let fits = |units| Rho::from_trillionths(units).is_ok_and(|rho| epsilon(rho, at) <= target.get());
    let too_much = least(1, Rho::MAX.trillionths() + 1, |units| !fits(units));
    Rho::from_trillionths(too_much - 1).unwrap_or(Rho::ZERO)
}

fn real(rho: Rho) -> f64 {
    rho.trillionths() as f64 / 1e12
}

/// `min over u > 0 of (1+u) rho + (ln(1/delta) - ln(1+u))/u - ln(1 + 1/u)`, where u is the order less 1.
///
/// Its derivative is `rho - (ln(1/delta) - ln(1+u))/u^2`, which changes sign once. Any u gives a bound, so that
/// the search need not be exact to be right.
fn epsilon_of(rho: f64, delta: Delta) -> f64 {
    let log = delta.log_inverse();
    let u = least_real(1.0 / delta.get(), |u| rho * u * u >= log - u.ln_1p());
    let terms = [(1.0 + u) * rho, log / u, -u.ln_1p() / u, -(1.0 / u).ln_1p()];
    raised(&terms).max(0.0)
}

/// A sum that is not below the true one: raised by what its terms may have lost in rounding.
fn raised(terms: &[f64]) -> f64 {
    terms.iter().sum::<f64>() + 8.0 * f64::EPSILON * terms.iter().map(|t| t.abs()).sum::<f64>()
}
