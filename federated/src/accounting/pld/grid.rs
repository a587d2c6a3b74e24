//! One round's privacy losses on a grid.
//!
//! In units of the noise's standard deviation the neighbours' outputs are N(0, 1), and N(1/z, 1) with probability q
//! mixed into it. The loss of an output rises with the output, so that each cell between two grid points is an
//! interval of outputs, whose probabilities under both neighbours are moved to the cell's two ends in the one way
//! that keeps both. The delta of the result is the true one at grid points and the chord between them.

use super::super::numerics::upper_tail;
use super::{MOST_POINTS, STEP};

/// Which neighbour the output was drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the one with the site.
    Remove,
    /// From the one without.
    Add,
}

/// A distribution of losses on multiples of `step`: never less probable than the true one.
#[derive(Debug)]
pub(super) struct Losses {
    /// The distance of points, in units of epsilon.
    pub(super) step: f64,
    /// The first point, in steps.
    pub(super) first: i64,
    /// The probabilities of the points from the first on.
    pub(super) mass: Vec<f64>,
    /// The probability of losses above all points.
    pub(super) beyond: f64,
    /// By how much a loss may lie above its point, from rounding.
    pub(super) shift: f64,
}

/// Outputs cut at grid points of the loss, smallest first.
pub(super) struct Grid {
    q: f64,
    z: f64,
    cut: f64,
    step: f64,
    first: i64,
    edges: Vec<Edge>,
}

/// An output, in standard deviations, with its tails under N(0, 1) and N(1/z, 1).
#[derive(Clone, Copy)]
struct Edge {
    without: Tail,
    with: Tail,
}

/// A place on the line and the probability of the normal distribution on the side away from 0.
#[derive(Clone, Copy)]
struct Tail {
    at: f64,
    outer: f64,
}

/// A probability and how far it may be off.
#[derive(Clone, Copy)]
struct Mass {
    value: f64,
    error: f64,
}

/// The distance of points that does for sampling rate `q` and noise multiplier `z`: at most [`STEP`].
///
/// Moving losses to points spreads them by up to a step in each round. A twentieth of the loss's own standard
/// deviation is little beside it; below a hundred-millionth cells cannot be told apart.
pub(super) fn fine_step(q: f64, z: f64) -> f64 {
    let spread = q * (1.0 / (z * z)).exp_m1().sqrt();
    STEP.min((spread / 20.0).max(1e-8))
}

impl Grid {
    /// For sampling rate `0 < q <= 1` and noise multiplier `z`: all but `cut` of either neighbour's outputs, `step`
    /// apart or as far apart as it takes to have no more than [`MOST_POINTS`].
    pub(super) fn new(q: f64, z: f64, cut: f64, step: f64) -> Self {
        // A normal tail is below e^(-t^2/2).
        let t = (2.0 * (1.0 / cut).ln()).sqrt();
        let loss = |output: f64| log_mix(q, (output - 0.5 / z) / z);
        let (low, high) = (loss(-t), loss(t + 1.0 / z));
        let step = step.max((high - low) / (MOST_POINTS - 3) as f64);
        let (first, last) = ((low / step).floor(), (high / step).ceil().max((low / step).floor() + 1.0));
        let edge = |i: f64| Edge::new(z * log_unmix(q, i * step) + 0.5 / z, z);
        let count = (last - first) as usize;
        let edges = (0..=count).map(|n| edge(first + n as f64)).collect();
        Self { q, z, cut, step, first: first as i64, edges }
    }

    /// The same with points `times` as far apart.
    pub(super) fn coarser(&self, times: f64) -> Self {
        Self::new(self.q, self.z, self.cut, self.step * times)
    }

    /// The losses of outputs of the neighbour that `direction` says.
    pub(super) fn losses(&self, direction: Direction) -> Losses {
        let cells = self.edges.len() - 1;
        let mut mass = vec![0.0; cells + 1];
        for (n, pair) in self.edges.windows(2).enumerate() {
            let &[left, right] = pair else { continue };
            let without = Mass::between(left.without, right.without);
            let shifted = Mass::between(left.with, right.with);
            let with = without.scaled(1.0 - self.q).plus(shifted.scaled(self.q));
            // The cell's lower end as a loss, and where it is in the direction's own order.
            let (drawn, other, point, low) = match direction {
                Direction::Remove => (with, without, self.first + n as i64, n),
                Direction::Add => (without, with, -(self.first + n as i64 + 1), cells - n - 1),
            };
            let (down, up) = connect(drawn, other, point as f64 * self.step, self.step);
            for (to, part) in mass.iter_mut().skip(low).zip([down, up]) {
                *to += part;
            }
        }
        let (first, last) = (self.edges.first(), self.edges.last());
        let below = first.map_or(0.0, |e| self.outside(direction, e.without.below(), e.with.below()));
        let above = last.map_or(0.0, |e| self.outside(direction, e.without.above(), e.with.above()));
        // Of what is left outside, the small losses go up to the first point.
        let (small, beyond) = if direction == Direction::Remove { (below, above) } else { (above, below) };
        mass.iter_mut().take(1).for_each(|m| *m += small);
        let lowest = if direction == Direction::Remove { self.first } else { -(self.first + cells as i64) };
        let largest = self.step * (self.first.unsigned_abs().max((self.first + cells as i64).unsigned_abs()) as f64);
        let shift = 16.0 * f64::EPSILON * (1.0 + largest + 1.0 / (self.z * self.z));
        Losses { step: self.step, first: lowest, mass, beyond, shift }
    }

    fn outside(&self, direction: Direction, without: Mass, with: Mass) -> f64 {
        match direction {
            Direction::Remove => without.scaled(1.0 - self.q).plus(with.scaled(self.q)).bound(),
            Direction::Add => without.bound(),
        }
    }
}

/// The two ends' shares of a cell whose lower end is `low`: the upper one is
/// `(P - e^low Q)/(1 - e^-step)`, which rounding may only raise.
fn connect(drawn: Mass, other: Mass, low: f64, step: f64) -> (f64, f64) {
    let all = drawn.bound();
    let factor = low.exp();
    let times = |mass: f64| match factor {
        f if f < 1e200 => f * mass,
        // The factor may be too large for what the product still is.
        _ if mass > 0.0 => (low + mass.ln()).exp(),
        _ => 0.0,
    };
    let other = Mass { value: times(other.value), error: times(other.error) + 8.0 * f64::EPSILON * all };
    let rounding = 4.0 * f64::EPSILON * (2.0 + low.abs()) * (all + other.value);
    let share = (drawn.value - other.value + drawn.error + other.error + rounding) / -(-step).exp_m1();
    let up = share.clamp(0.0, all);
    (all - up, up)
}

/// The loss `ln(1 - q + q e^u)` of an output whose loss without sampling is `u`.
fn log_mix(q: f64, u: f64) -> f64 {
    if q == 1.0 {
        u
    } else if u > 30.0 {
        u + q.ln() + ((1.0 - q) / q * (-u).exp()).ln_1p()
    } else if u > -0.5 || q < 0.5 {
        // Also where q is next to nothing: such losses are tiny, and not 0.
        (q * u.exp_m1()).ln_1p()
    } else {
        (1.0 - q + q * u.exp()).ln()
    }
}

/// The u at which [`log_mix`] is `loss`; minus infinity at losses that no output has.
fn log_unmix(q: f64, loss: f64) -> f64 {
    if q == 1.0 {
        loss
    } else if loss > 30.0 {
        loss - q.ln() + (-(1.0 - q) * (-loss).exp()).ln_1p()
    } else if loss > -0.5 {
        (loss.exp_m1() / q).max(-1.0).ln_1p()
    } else {
        ((loss.exp() - (1.0 - q)) / q).max(0.0).ln()
    }
}

impl Edge {
    fn new(output: f64, z: f64) -> Self {
        Self { without: Tail::new(output), with: Tail::new(output - 1.0 / z) }
    }
}

impl Tail {
    fn new(at: f64) -> Self {
        Self { at, outer: upper_tail(at.abs()) }
    }

    /// Bounded where the probability is too small to be told from 0.
    fn error(self) -> f64 {
        let square = if self.outer > 0.0 { self.at * self.at } else { 0.0 };
        f64::EPSILON * (4.0 + square) * self.outer + f64::MIN_POSITIVE
    }

    fn below(self) -> Mass {
        let value = if self.at < 0.0 { self.outer } else { 1.0 - self.outer };
        Mass { value, error: self.error() }
    }

    fn above(self) -> Mass {
        Self { at: -self.at, ..self }.below()
    }
}

impl Mass {
    /// The probability of an interval, from whichever tails are small.
    fn between(left: Tail, right: Tail) -> Self {
        let value = if right.at <= 0.0 {
            right.outer - left.outer
        } else if left.at >= 0.0 {
            left.outer - right.outer
        } else {
            1.0 - left.outer - right.outer
        };
        Self { value: value.max(0.0), error: left.error() + right.error() }
    }

    fn scaled(self, by: f64) -> Self {
        let error = (self.error + f64::EPSILON * self.value) * by + f64::MIN_POSITIVE;
        Self { value: self.value * by, error }
    }

    fn plus(self, other: Self) -> Self {
        Self { value: self.value + other.value, error: self.error + other.error }
    }

    fn bound(self) -> f64 {
        self.value + self.error
    }
}
