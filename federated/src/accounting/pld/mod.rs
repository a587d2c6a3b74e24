//! Privacy loss distributions of the Gaussian and of the Gaussian on a Poisson sample: the tightest of the accountants
//! for sampled rounds, from above.
//!
//! * `grid`: one round's losses, put on a grid so that no delta becomes smaller ("connect the dots",
//!   Doroshenko, Ghazi, Kamath, Kumar and Manurangsi 2022);
//! * `tail`: Chernoff's bound on many rounds' losses, which says where to look;
//! * `compose`: many rounds by fast Fourier transform.
//!
//! Both directions are accounted for, a site added and a site removed, and the larger epsilon is told. For what-if
//! questions: distributions of losses do not add up when later questions depend on earlier answers.

mod compose;
mod grid;
mod tail;

use self::compose::Composed;
use self::grid::{Direction, Grid, fine_step};
use super::{Delta, Mechanism, Rounds, rdp};

/// The distance of grid points, in units of epsilon, where a round's loss spreads over many of them. Finer where it
/// does not, coarser where there would be too many.
pub const STEP: f64 = 1e-4;

/// What one direction's rounds may take up: grid points of one round and of all rounds.
const MOST_POINTS: usize = 1 << 19;
const MOST_COMPOSED: usize = 1 << 19;

/// The least epsilon at `delta` for `rounds` of `mechanism`.
pub fn epsilon(mechanism: Mechanism, rounds: Rounds, delta: Delta) -> f64 {
    let (q, z) = mechanism.rate_and_noise();
    if q == 0.0 {
        return 0.0;
    }
    // Outputs with and without a site differ with a probability of at most q in each round: delta at epsilon 0.
    if q * rounds.real() <= delta.get() * (1.0 - 1e-9) {
        return 0.0;
    }
    // What is cut off in all rounds together may raise delta by a ten-millionth of itself.
    let cut = 1e-7 * delta.get();
    if q == 1.0 {
        // Rounds of the Gaussian are one round with less noise: nothing need be composed, and both directions are one.
        let once = z / rounds.real().sqrt() * (1.0 - 4.0 * f64::EPSILON);
        return one_way(&Grid::new(1.0, once, cut, fine_step(1.0, once)), 1, delta, Direction::Remove);
    }
    let grid = Grid::new(q, z, cut / rounds.real(), fine_step(q, z));
    let way = |direction| one_way(&grid, rounds.get(), delta, direction);
    let least = way(Direction::Remove).max(way(Direction::Add));
    // At rates and deltas that no grid's arithmetic can tell from 0, Renyi's bound is what is known.
    if least.is_finite() { least } else { rdp::epsilon(mechanism, rounds, delta) }
}

/// The epsilon of one direction, on this grid or on the first coarser one whose sums fit.
fn one_way(grid: &Grid, rounds: u32, delta: Delta, direction: Direction) -> f64 {
    match Composed::new(&grid.losses(direction), rounds, delta, MOST_COMPOSED) {
        Ok(composed) => composed.epsilon(delta),
        // Sums spread by no more than the root of the rounds in steps, so that this ends on some grid.
        Err(points) => {
            let grid = grid.coarser(1.05 * points as f64 / MOST_COMPOSED as f64);
            one_way(&grid, rounds, delta, direction)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_grid_knows_nothing_renyi_does() {
        let noise = crate::NoiseMultiplier::new(0.559_945_660_289_792_3).unwrap();
        let rate = crate::accounting::SamplingRate::new(3.076_757_764_890_031e-74).unwrap();
        let mechanism = Mechanism::poisson_gaussian(noise, rate).unwrap();
        let (once, delta) = (Rounds::new(1).unwrap(), Delta::new(4.051_167_920_306_578e-88).unwrap());
        let least = epsilon(mechanism, once, delta);
        assert!(least.is_finite() && least <= rdp::epsilon(mechanism, once, delta));
    }

    /// Connected dots lie above the curve, the higher the coarser the grid is, and here not by much: also where a
    /// round's losses are as fine as the usual grid, and where a few large losses are all there is.
    #[test]
    fn finer_grids_lower_epsilon_a_little() {
        for (q, z, rounds, delta) in
            [(0.01, 1.0, 1000, 1e-6), (1e-4, 2.0, 100_000, 1e-8), (1e-3, 0.7, 100, 1e-6), (0.3, 1.0, 2, 1e-9)]
        {
            let delta = Delta::new(delta).unwrap();
            for direction in [Direction::Remove, Direction::Add] {
                let cut = 1e-7 * delta.get() / f64::from(rounds);
                let at = |step| one_way(&Grid::new(q, z, cut, step), rounds, delta, direction);
                let step = fine_step(q, z);
                let [coarse, here, fine] = [at(4.0 * step), at(step), at(step / 4.0)];
                assert!(coarse >= here * (1.0 - 1e-6) && here >= fine * (1.0 - 1e-6), "{coarse} {here} {fine}");
                assert!(here <= fine * (1.0 + 1e-3), "{q} {z} {here} {fine}");
            }
        }
    }
}
