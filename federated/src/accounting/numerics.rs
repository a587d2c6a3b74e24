//! The normal distribution and a search, as accurate as the tails that privacy is about need them.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use pxfm::{f_erfc, f_erfcx};

/// The density of the standard normal distribution at `x`.
pub(super) fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
}

/// The probability of the standard normal distribution above `x`: relative error at most
/// `(4 + x^2) f64::EPSILON`, of which the square comes from rounding `x` over the root of 2.
pub(crate) fn upper_tail(x: f64) -> f64 {
    0.5 * f_erfc(x * FRAC_1_SQRT_2)
}

/// Mills' ratio, tail over density, for `x >= 0`: falls from the root of pi/2, as 1/x in the end.
pub(super) fn mills(x: f64) -> f64 {
    (PI / 2.0).sqrt() * f_erfcx(x * FRAC_1_SQRT_2)
}

/// The least number from `low` to `high` at which `holds`, for what holds from some number on; `high` where it
/// never does. Whatever is returned below `high` was tried, and so was what precedes it, above `low`.
pub(super) fn least(mut low: u64, mut high: u64, holds: impl Fn(u64) -> bool) -> u64 {
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    high
}

/// [`least`] over the floating-point numbers from 0 to `high`, all of them: their bits are in their order.
pub(super) fn least_real(high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    f64::from_bits(least(0, high.to_bits(), |bits| holds(f64::from_bits(bits))))
}
