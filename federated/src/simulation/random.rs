//! Everything that is random in a simulation: streams that follow from its seed, and the noise of sums drawn from them.
//!
//! **Never for a camera.** Noise that follows from a seed protects nobody who knows the seed. This module is private to the
//! feature `simulation`; what a site sends takes its noise from [`mechanism`](crate::mechanism), which has no seed to be given.

use chacha20::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};

/// What a stream is for: each use has its own, so that one more draw here changes nothing there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// Who means harm; once for all rounds.
    Malice,
    /// Who is asked, and in which shard.
    Cohort,
    /// Who vanishes or is late.
    Fate,
    /// The noise of one shard's sum.
    Noise,
    /// Keys of sites that run the protocol.
    Keys,
}

/// The stream of this purpose in a round, for the n-th of its kind.
pub(super) fn stream(seed: u64, purpose: Purpose, round: u32, n: u32) -> ChaCha8Rng {
    ChaCha8Rng::from_seed(bytes(seed, purpose, round, n))
}

/// The 32 bytes that the stream comes from.
pub(super) fn bytes(seed: u64, purpose: Purpose, round: u32, n: u32) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("volet 2026-11 simulation: streams of random numbers");
    hasher.update(&seed.to_le_bytes()).update(&[purpose as u8]);
    *hasher.update(&round.to_le_bytes()).update(&n.to_le_bytes()).finalize().as_bytes()
}

/// A discrete Gaussian, by rejection from a discrete Laplace distribution: Canonne, Kamath and Steinke 2020 ("The Discrete
/// Gaussian for Differential Privacy"), algorithm 3. In floating point, so that probabilities are right to eleven digits
/// or so: here nobody's privacy hangs on the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gaussian {
    sigma: f64,
    /// The Laplace distribution's scale, t.
    scale: f64,
}

impl Gaussian {
    /// With the parameter `sigma`, above 0.
    pub(super) fn new(sigma: f64) -> Self {
        Self { sigma, scale: sigma.floor() + 1.0 }
    }

    /// One draw, modulo 2^32 as all sums are.
    pub(super) fn draw(self, random: &mut impl Rng) -> i32 {
        let variance = self.sigma * self.sigma;
        loop {
            // From 0 to below 1; its complement has a logarithm.
            let geometric = (-(1.0 - random.random::<f64>()).ln() * self.scale).floor();
            let negative = random.random::<bool>();
            if negative && geometric == 0.0 {
                continue;
            }
            let off = geometric - variance / self.scale;
            if random.random::<f64>() < (-off * off / (2.0 * variance)).exp() {
                let magnitude = geometric as i64;
                return if negative { -magnitude as i32 } else { magnitude as i32 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mechanism::Mechanism;
    use crate::{ClipNorm, CohortSize, NoiseMultiplier};

    const DRAWS: usize = 100_000;

    fn draws(sigma: f64) -> Vec<i32> {
        let (gaussian, mut random) = (Gaussian::new(sigma), stream(1, Purpose::Noise, 2, 3));
        (0..DRAWS).map(|_| gaussian.draw(&mut random)).collect()
    }

    /// Seven sites' noise, from the operating system, and its standard deviation.
    fn on_a_camera() -> (Vec<i32>, f64) {
        let (clip, z) = (ClipNorm::new(1.0).unwrap(), NoiseMultiplier::new(1.0).unwrap());
        let mechanism = Mechanism::new(clip, z, CohortSize::new(6).unwrap(), 1, DRAWS, false).unwrap();
        (mechanism.noise_of_sum(7).unwrap(), mechanism.sum_sigma(7))
    }

    fn variance(draws: &[i32]) -> f64 {
        draws.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / draws.len() as f64
    }

    /// The largest distance between two empirical distribution functions (Kolmogorov and Smirnov).
    fn apart(a: &[i32], b: &[i32]) -> f64 {
        let sorted = |draws: &[i32]| {
            let mut draws = draws.to_vec();
            draws.sort_unstable();
            draws
        };
        let (a, b) = (sorted(a), sorted(b));
        let below = |draws: &[i32], v: i32| draws.partition_point(|&d| d <= v) as f64 / draws.len() as f64;
        a.iter().chain(&b).map(|&v| (below(&a, v) - below(&b, v)).abs()).fold(0.0, f64::max)
    }

    /// The quotient of two variances of 100,000 draws each has a standard deviation of 0.0064: 0.042 is more than 6.5 of them,
    /// a false alarm in ten billion runs. Five in a hundred less noise is 0.098, nine away. Either empirical distribution
    /// function is within 0.0113 of the true one but once in ten billion runs (Massart 1990); Laplace's is 0.05 away.
    #[test]
    fn seeded_noise_has_the_distribution_of_a_cameras() {
        let (real, sigma) = on_a_camera();
        let seeded = draws(sigma);
        let off = |draws: &[i32]| (variance(draws) / variance(&real) - 1.0).abs();
        assert!(off(&seeded) < 0.042, "{}", off(&seeded));
        assert!(off(&draws(0.95 * sigma)) > 0.042);
        assert!(apart(&seeded, &real) < 2.0 * 0.0113, "{}", apart(&seeded, &real));
        let laplace: Vec<i32> = laplace(sigma);
        assert!(off(&laplace) < 0.042 && apart(&laplace, &real) > 2.0 * 0.0113, "{}", apart(&laplace, &real));
    }

    /// The planted fault: the right variance, and the wrong shape.
    fn laplace(sigma: f64) -> Vec<i32> {
        let mut random = stream(5, Purpose::Noise, 0, 0);
        let mut draw = || {
            let exponential = -(1.0 - random.random::<f64>()).ln() * sigma / 2.0_f64.sqrt();
            if random.random() { exponential as i32 } else { -exponential as i32 }
        };
        (0..DRAWS).map(|_| draw()).collect()
    }

    /// Where integers are coarse: the distribution function itself, within 0.0113 of 100,000 draws but once in ten billion
    /// runs (Massart 1990). Five in a hundred more or
    /// less noise is hard to see so; one in ten is not.
    #[test]
    fn small_noise_is_the_discrete_gaussian_itself() {
        for sigma in [1.0, 8.0] {
            let mass = |v: i32| (-f64::from(v).powi(2) / (2.0 * sigma * sigma)).exp();
            let total: f64 = (-100..=100).map(mass).sum();
            let furthest = |drawn: &[i32]| {
                let (mut below, mut furthest) = (0.0, 0.0_f64);
                for v in -60..=60 {
                    below += mass(v) / total;
                    let share = drawn.iter().filter(|&&d| d <= v).count() as f64 / DRAWS as f64;
                    furthest = furthest.max((share - below).abs());
                }
                furthest
            };
            assert!(furthest(&draws(sigma)) < 0.0113, "{sigma}: {}", furthest(&draws(sigma)));
            assert!(furthest(&draws(0.9 * sigma)) > 0.0113);
        }
    }

    #[test]
    fn streams_differ_by_all_that_they_are_for() {
        let first = |seed, purpose, round, n| stream(seed, purpose, round, n).next_u64();
        let base = first(1, Purpose::Noise, 2, 3);
        assert_eq!(base, first(1, Purpose::Noise, 2, 3));
        let others = [
            first(2, Purpose::Noise, 2, 3),
            first(1, Purpose::Fate, 2, 3),
            first(1, Purpose::Noise, 3, 3),
            first(1, Purpose::Noise, 2, 4),
        ];
        assert!(others.iter().all(|&other| other != base));
    }
}
