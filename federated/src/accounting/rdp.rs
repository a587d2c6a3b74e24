//! Renyi differential privacy of the Gaussian on a Poisson sample (Mironov, Talwar and Zhang 2019), and its
//! conversion (Canonne, Kamath and Steinke 2020, Proposition 12).
//!
//! For what-if questions: the ledger claims nothing from sampling.

use super::numerics::{mills, upper_tail};
use super::{AccountingError, Delta, Mechanism, Rounds};

/// The order alpha of a Renyi divergence.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Order(f64);

impl Order {
    /// The largest order.
    pub const MAX: f64 = 4096.0;

    /// An order above 1 and up to [`MAX`](Self::MAX).
    ///
    /// # Errors
    /// [`AccountingError::Order`]: out of that range, or not a number.
    pub fn new(alpha: f64) -> Result<Self, AccountingError> {
        if alpha > 1.0 && alpha <= Self::MAX { Ok(Self(alpha)) } else { Err(AccountingError::Order(alpha)) }
    }

    /// The order.
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// The orders that [`epsilon`] tries, those of other libraries: 1.1 to 10.9 by tenths, 11 to 63, and 128 to 1024 by
/// doubling.
pub fn orders() -> impl Iterator<Item = Order> {
    let tenths = (11..110).map(|n| f64::from(n) / 10.0);
    tenths.chain((11..64).map(f64::from)).chain([128.0, 256.0, 512.0, 1024.0]).map(Order)
}

/// The least epsilon at `delta` that the divergences at [`orders`] give for `rounds` of `mechanism`.
pub fn epsilon(mechanism: Mechanism, rounds: Rounds, delta: Delta) -> f64 {
    if mechanism.rate_and_noise().0 == 0.0 {
        return 0.0;
    }
    let at = |order: Order| {
        let alpha = order.0;
        let terms = [
            rounds.real() * divergence(mechanism, order),
            (delta.log_inverse() - alpha.ln()) / (alpha - 1.0),
            -(1.0 / (alpha - 1.0)).ln_1p(),
        ];
        terms.iter().map(|t| t + 8.0 * f64::EPSILON * t.abs()).sum::<f64>()
    };
    orders().map(at).fold(f64::INFINITY, f64::min).max(0.0)
}

/// The Renyi divergence of one round between neighbours, the larger of both directions (Mironov, Talwar and Zhang
/// 2019, Theorem 5), in nats, raised by its own rounding.
pub fn divergence(mechanism: Mechanism, order: Order) -> f64 {
    let (q, z) = mechanism.rate_and_noise();
    let alpha = order.0;
    let unsampled = alpha / (2.0 * z * z) * (1.0 + 4.0 * f64::EPSILON);
    if q == 0.0 {
        return 0.0;
    }
    if q == 1.0 {
        return unsampled;
    }
    let log_moment = if alpha.fract() == 0.0 { whole(alpha, q, z) } else { fractional(alpha, q, z) };
    // Sampling costs nothing by itself, so that both are bounds.
    (log_moment / (alpha - 1.0)).min(unsampled)
}

/// Logarithms to be added up as what they are the logarithms of, with signs.
#[derive(Default)]
struct LogSum(Vec<LogTerm>);

struct LogTerm {
    sign: f64,
    log: f64,
    /// By how much `log` may be wrong, in units of rounding.
    lost: f64,
}

impl LogSum {
    /// An upper bound of the sum: its factor and the logarithm of its scale.
    fn bound(&self) -> (f64, f64) {
        let scale = self.0.iter().map(|t| t.log).fold(f64::NEG_INFINITY, f64::max);
        let raised = |t: &LogTerm| (t.sign + (t.lost + 8.0) * f64::EPSILON) * (t.log - scale).exp();
        (self.0.iter().map(raised).sum(), scale)
    }
}

/// Section 3.3, whole orders: `ln(1 + sum over k >= 2 of Binomial(alpha, q)(k) (e^((k^2-k)/2z^2) - 1))`. Taking the 1
/// out keeps small divergences exact.
fn whole(alpha: f64, q: f64, z: f64) -> f64 {
    let mut log_choose = alpha.ln();
    let mut sum = LogSum::default();
    let mut k = 2.0;
    while k <= alpha {
        log_choose += ((alpha - k + 1.0) / k).ln();
        let exponent = (k * k - k) / (2.0 * z * z);
        let growth = if exponent > 30.0 { exponent } else { exponent.exp_m1().ln() };
        let parts = [log_choose, k * q.ln(), (alpha - k) * (-q).ln_1p(), growth];
        // Each step of the binomial coefficient rounds once more.
        let lost = k * alpha.ln() + parts.iter().map(|p| p.abs()).sum::<f64>();
        sum.0.push(LogTerm { sign: 1.0, log: parts.iter().sum(), lost });
        k += 1.0;
    }
    let (factor, scale) = sum.bound();
    // ln(1 + e^log) without overflow.
    let log = scale + factor.ln();
    (log.max(0.0) + (-log.abs()).exp().ln_1p()) * (1.0 + 8.0 * f64::EPSILON)
}

/// Section 3.3, any order: two binomial series, one from each side of the point `z0` where both parts of the sampled
/// density are equal.
///
/// With Mills' ratio the exponentials of a term cancel by hand, which the published form leaves to floating point. In
/// both series the terms beyond alpha alternate and shrink, so that the first one left out bounds the rest (Leibniz).
fn fractional(alpha: f64, q: f64, z: f64) -> f64 {
    const MOST_TERMS: u32 = 4096;
    let (log_q, log_rest) = (q.ln(), (-q).ln_1p());
    let z0 = z * z * (log_rest - log_q) + 0.5;
    let half_density = -0.5 * (z0 / z) * (z0 / z) - 0.5 * std::f64::consts::TAU.ln();
    // The part of C(alpha, i) q^e (1-q)^(alpha-e) e^((e^2-e)/2z^2) that lies beyond z0, seen from e.
    let part = |exponent: f64, x: f64| {
        if x >= 0.0 {
            [alpha * log_rest, half_density, mills(x).ln(), 0.0]
        } else {
            let growth = (exponent * exponent - exponent) / (2.0 * z * z);
            [exponent * log_q, (alpha - exponent) * log_rest, growth, upper_tail(x).ln()]
        }
    };
    let mut sum = LogSum::default();
    let (mut sign, mut log_choose, mut most) = (1.0, 0.0, f64::NEG_INFINITY);
    for i in 0..MOST_TERMS + alpha as u32 {
        let i = f64::from(i);
        let mut largest = f64::NEG_INFINITY;
        for (exponent, x) in [(i, (i - z0) / z), (alpha - i, (z0 - alpha + i) / z)] {
            let parts = part(exponent, x);
            let log = log_choose + parts.iter().sum::<f64>();
            // Each step of the binomial coefficient rounds once more.
            let lost = i + log_choose.abs() + parts.iter().map(|p| p.abs()).sum::<f64>();
            sum.0.push(LogTerm { sign, log, lost });
            largest = largest.max(log);
        }
        most = most.max(largest);
        if i > alpha && largest < most - 45.0 {
            break;
        }
        log_choose += ((alpha - i).abs() / (i + 1.0)).ln();
        sign *= (alpha - i).signum();
    }
    // The last terms stand for all that follow, whichever sign they had.
    let last = sum.0.len().saturating_sub(2);
    sum.0.iter_mut().skip(last).for_each(|t| t.sign = 1.0);
    let (factor, scale) = sum.bound();
    (scale + factor.ln()).max(0.0)
}
