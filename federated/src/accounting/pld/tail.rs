//! Chernoff's bounds on the sum of many rounds' losses: no transform, no grid of sums, and right at any delta.

use super::super::numerics::least_real;
use super::grid::Losses;

/// Losses in some thousands of groups, each at its two ends in the one way that keeps its mean: the mean of no convex
/// function becomes smaller, and that of `e^(x loss)` is all that is asked for here.
///
/// Each group has some probability, so that the one that matters most is always found, however small it is.
pub(super) struct Groups {
    losses: Vec<f64>,
    log_mass: Vec<f64>,
}

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The probability that the sum exceeds a loss (Chernoff).
    Tail,
    /// Delta at that loss, which is less (Canonne, Kamath and Steinke 2020, Proposition 12, at the best of all orders).
    Delta,
}

/// A bound and the exponent that gives it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    /// The loss at which what is bounded is at most as large as asked for.
    pub(super) loss: f64,
    /// Chernoff's exponent x: the order of a Renyi divergence, less 1.
    pub(super) exponent: f64,
}

impl Groups {
    /// Groups of points far from 0 are at most this wide, in units of epsilon, or this part of all losses.
    const WIDTH: f64 = 0.01;
    const PART: f64 = 1.0 / 4096.0;
    /// Groups near 0, where nearly all losses of a sampled round are, are at most this part of their distance wide.
    const NEAR: f64 = 0.02;

    pub(super) fn new(of: &Losses) -> Self {
        let at = |n: usize| (of.first + n as i64) as f64 * of.step;
        let widest = Self::WIDTH.max(Self::PART * of.step * of.mass.len() as f64);
        let (mut losses, mut masses) = (vec![at(0)], vec![of.mass.first().copied().unwrap_or(0.0)]);
        // The group's lower end, its probability beyond that end, and the mean of its losses from there on.
        let (mut low, mut sum, mut moment) = (0, 0.0, 0.0);
        for (n, mass) in of.mass.iter().enumerate().skip(1) {
            sum += mass;
            moment += mass * (n - low) as f64;
            let next = at(n + 1) - at(low);
            if n + 1 == of.mass.len() || next > widest || next > Self::NEAR * at(n).abs() {
                let up = (moment / (n - low) as f64).min(sum);
                masses.last_mut().into_iter().for_each(|m| *m += sum - up);
                losses.push(at(n));
                masses.push(up);
                (low, sum, moment) = (n, 0.0, 0.0);
            }
        }
        let some = losses.into_iter().zip(masses).filter(|(_, mass)| mass.is_nan() || *mass > 0.0);
        let (losses, log_mass) = some.map(|(loss, mass)| (loss, mass.ln())).unzip();
        Self { losses, log_mass }
    }

    /// The least bound on the loss at which the tail or the delta of the sum of `rounds` losses is at most
    /// `e^-log_inverse`, over all exponents.
    ///
    /// With K for the logarithm of the mean of `e^(x loss)`, that is `(rounds K(x) + log_inverse)/x` for the tail.
    pub(super) fn bound(&self, what: What, rounds: f64, log_inverse: f64) -> Bound {
        let (low, high) = (self.losses.first().copied().unwrap_or(0.0), self.losses.last().copied().unwrap_or(0.0));
        let needed = |x: f64| if what == What::Delta { log_inverse - x.ln_1p() } else { log_inverse };
        // K is convex, so that this rises; where it never reaches its end, all large exponents do nearly as well.
        let past = |x: f64| {
            let (k, slope) = self.cumulant(x);
            rounds * (x * slope - k) >= needed(x)
        };
        let exponent = least_real(1e6 / (high - low).max(1e-9), past).max(1e-9);
        let saved = if what == What::Delta { (1.0 / exponent).ln_1p() } else { 0.0 };
        // Logarithms of probabilities are above -745. Those of tilted groups need not be: their bounds choose where to look,
        // and no epsilon rests on them.
        let rounding = 64.0 * f64::EPSILON * (745.0 + exponent * low.abs().max(high.abs()));
        let k = self.cumulant(exponent).0 + rounding;
        let loss = (rounds * k + needed(exponent)) / exponent - saved;
        // What is no number bounds nothing.
        let loss = if loss.is_nan() { f64::INFINITY } else { loss.min(rounds * high) };
        Bound { loss, exponent }
    }

    /// These losses with `e^(x loss)` as weights, which makes the tail the middle.
    pub(super) fn tilted(&self, x: f64) -> Self {
        let k = self.cumulant(x).0;
        let log_mass = self.losses.iter().zip(&self.log_mass).map(|(l, m)| m + x * l - k).collect();
        Self { losses: self.losses.clone(), log_mass }
    }

    /// Gains for losses, so that [`bound`](Self::bound) finds their lower end.
    pub(super) fn mirrored(&self) -> Self {
        let (losses, log_mass) = self.losses.iter().zip(&self.log_mass).rev().map(|(l, m)| (-l, m)).unzip();
        Self { losses, log_mass }
    }

    /// K and its derivative at `x >= 0`.
    fn cumulant(&self, x: f64) -> (f64, f64) {
        let weights = || self.losses.iter().zip(&self.log_mass).map(|(loss, mass)| (loss, mass + x * loss));
        let top = weights().map(|(_, weight)| weight).fold(f64::NEG_INFINITY, f64::max);
        let (mut sum, mut first) = (0.0, 0.0);
        for (loss, weight) in weights() {
            let weight = (weight - top).exp();
            sum += weight;
            first += weight * loss;
        }
        (top + sum.ln(), first / sum)
    }
}
