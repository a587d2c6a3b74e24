//! Many rounds' losses: one round's, convolved with themselves by fast Fourier transform.
//!
//! A transform's rounding is relative to the largest probability, while delta lives in the tail. So the losses are
//! weighted by `e^(x loss)` first, with Chernoff's exponent x for a delta near the one asked for: weighted sums are
//! the sums of weighted losses, and the tail is now in the middle. A bound on what the transform may have mixed up is
//! added to delta, as is all that lies outside the window of sums that is looked at.

use rustfft::FftPlanner;
use rustfft::num_complex::Complex64;

use super::super::Delta;
use super::grid::Losses;
use super::tail::{Groups, What};

/// The delta of many rounds at each grid point of a window.
pub(super) struct Composed {
    step: f64,
    first: i64,
    /// Bounds of delta at the points from the first on, falling; at the last and beyond, `floor` alone.
    deltas: Vec<f64>,
    /// An epsilon that is right whatever the window says.
    fallback: f64,
    /// By how much a loss may lie above its point, from rounding.
    shift: f64,
}

/// What a window of sums is, in steps.
struct Window {
    first: i64,
    points: usize,
    /// Bounds the probability of sums above the window.
    beyond: f64,
}

impl Composed {
    /// The losses of `rounds` rounds, most exact around the epsilon of `delta`.
    ///
    /// # Errors
    /// How many points it would take, where those are more than `most`.
    pub(super) fn new(one: &Losses, rounds: u32, delta: Delta, most: usize) -> Result<Self, usize> {
        let count = f64::from(rounds);
        let log_inverse = delta.log_inverse();
        let groups = Groups::new(one);
        let cut = one.beyond * count;
        // What is cut off takes its share of delta; cuts are far below it.
        let fallback = groups.bound(What::Delta, count, -(delta.get() - cut).ln()).loss;
        if rounds == 1 {
            let window = Window { first: one.first, points: one.mass.len(), beyond: cut };
            let deltas = deltas(one.mass.clone(), one.step, &window, |_| 0.0);
            return Ok(Self { step: one.step, first: one.first, deltas, fallback, shift: one.shift });
        }
        // A delta some thousand times larger is near enough for the transform, and asks for less of a window.
        let near = (log_inverse - 1e4f64.ln()).max(log_inverse.min(10f64.ln()));
        let x = groups.bound(What::Delta, count, near).exponent;
        // Sums outside the window are mistaken for others within. Those above it come out far too probable, so that a
        // hundred-millionth of the weighted sums has to do; besides, they are missed: a millionth of delta, unweighted.
        // Those below it come out far less probable than they are, above all epsilons asked for.
        let weighted = groups.tilted(x);
        let missed = groups.bound(What::Tail, count, log_inverse + 1e6f64.ln()).loss;
        let high = weighted.bound(What::Tail, count, 1e8f64.ln()).loss.max(missed);
        let low = -weighted.mirrored().bound(What::Tail, count, 1e4f64.ln()).loss;
        let first = (low / one.step).floor();
        let points = ((high / one.step).ceil() - first).max(1.0) + 1.0;
        if points > most as f64 {
            return Err(points.min(1e18) as usize);
        }
        let points = (points as usize).next_power_of_two().max(1024);
        let window = Window { first: first as i64, points, beyond: cut + 1e-6 * delta.get() };

        let tilt = Tilt::new(one, x);
        let (sums, mixed_up) = power(&tilt.weights, one.first, rounds, &window);
        // What a weighted sum's weight was.
        let scale = |n: f64| (count * tilt.log_mean - x * (window.first as f64 + n) * one.step).exp();
        let masses = sums.iter().enumerate().map(|(n, sum)| sum.max(0.0) * scale(n as f64)).collect();
        // Weights fall with e^(-x loss) and count with 1 - e^-distance: this is their largest product.
        let worst = (x * -(1.0 / x).ln_1p()).exp() / (1.0 + x);
        let deltas = deltas(masses, one.step, &window, |n| mixed_up * scale(n) * worst);
        // Every round's weights are rounded, by as much as their exponents are large.
        let raise = 1.0 + f64::EPSILON * count * (256.0 + 8.0 * tilt.largest_exponent);
        let deltas = deltas.into_iter().map(|d| d * raise).collect();
        Ok(Self { step: one.step, first: window.first, deltas, fallback, shift: one.shift * count })
    }

    /// The least epsilon at `delta`.
    pub(super) fn epsilon(&self, delta: Delta) -> f64 {
        // What is no number is no bound.
        let holds = |d: f64| d <= delta.get();
        let enough = self.deltas.iter().rposition(|&d| !holds(d)).map_or(0, |n| n + 1);
        let at = |n: usize| (self.first as f64 + n as f64) * self.step;
        let window = match (enough.checked_sub(1).and_then(|n| self.deltas.get(n)), self.deltas.get(enough)) {
            // Between two points delta is a chord in e^epsilon.
            (Some(more), Some(less)) if self.step < 30.0 => {
                at(enough - 1) + ((more - delta.get()) / (more - less) * self.step.exp_m1()).ln_1p()
            }
            // Below the window nothing is known.
            (_, Some(_)) => at(enough),
            (_, None) => f64::INFINITY,
        };
        let epsilon = if window.is_nan() { self.fallback } else { window.min(self.fallback) };
        let epsilon = epsilon + 8.0 * f64::EPSILON * epsilon.abs() + self.shift;
        if epsilon.is_nan() { f64::INFINITY } else { epsilon.max(0.0) }
    }
}

/// Delta at each point of a window, from the probabilities of the points.
fn deltas(mass: Vec<f64>, step: f64, window: &Window, mixed_up: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut deltas = mass;
    let (down, share) = ((-step).exp(), -(-step).exp_m1());
    let (mut above, mut delta) = (0.0, 0.0);
    for (n, slot) in deltas.iter_mut().enumerate().rev() {
        let here = *slot;
        *slot = delta + window.beyond + mixed_up(n as f64);
        // One step down, all losses above are one step further off.
        above += here;
        delta = down * delta + share * above;
    }
    deltas
}

/// Losses weighted by `e^(x loss)`, whose sum is 1.
struct Tilt {
    weights: Vec<f64>,
    /// The logarithm of the mean of `e^(x loss)`.
    log_mean: f64,
    /// The largest `x |loss|`.
    largest_exponent: f64,
}

impl Tilt {
    fn new(one: &Losses, x: f64) -> Self {
        let at = |n: usize| x * (one.first + n as i64) as f64 * one.step;
        let logs = |(n, m): (usize, &f64)| m.ln() + at(n);
        let top = one.mass.iter().enumerate().map(logs).fold(f64::NEG_INFINITY, f64::max);
        let mut weights: Vec<f64> = one.mass.iter().enumerate().map(|(n, m)| m * (at(n) - top).exp()).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= sum);
        let largest_exponent = at(0).abs().max(at(weights.len()).abs());
        Self { weights, log_mean: top + sum.ln(), largest_exponent }
    }
}

/// The weights of the sums in a window, and a bound on the sum of all their errors.
///
/// Sums outside the window come back within it, a whole number of windows off.
fn power(weights: &[f64], first: i64, rounds: u32, window: &Window) -> (Vec<f64>, f64) {
    let points = window.points;
    let place = |index: i64| index.rem_euclid(points as i64) as usize;
    let mut buffer = vec![Complex64::default(); points];
    for (n, weight) in weights.iter().enumerate() {
        if let Some(slot) = buffer.get_mut(place(first + n as i64)) {
            slot.re += weight;
        }
    }
    let mut planner = FftPlanner::new();
    planner.plan_fft_forward(points).process(&mut buffer);
    // Each output of a transform is a sum of weights (1 in all) over so many levels of additions.
    let rounding = 8.0 * (points as f64).log2() * f64::EPSILON;
    let count = f64::from(rounds);
    let mut mixed_up = 0.0;
    for value in &mut buffer {
        let size = value.norm() + rounding;
        // A power of (value + error) is off by at most rounds times the size's power less one times the error, and
        // what remains is rounded once more on the way back.
        let log = (count - 1.0) * size.ln();
        if log < -100.0 {
            mixed_up += log.exp();
            *value = Complex64::default();
        } else {
            mixed_up += (2.0 * count + 2.0) * rounding * log.exp();
            *value = value.powu(rounds);
        }
    }
    planner.plan_fft_inverse(points).process(&mut buffer);
    let start = place(window.first);
    let (tail, head) = buffer.split_at(start);
    let sums = head.iter().chain(tail).map(|v| v.re / points as f64).collect();
    (sums, mixed_up)
}
