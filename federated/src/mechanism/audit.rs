//! Does the release path give the privacy that it claims? Measured, not argued.
//!
//! The attacker knows everything but whether one site took part, and looks at the sum where that site's update points.
//! A Gaussian mechanism's two error rates lie on the curve of some mu (Dong, Roth and Su 2022), so a lower bound for mu
//! from counted errors is one for epsilon (Nasr et al. 2023). Every bound here holds with 95 %; tests that rest on
//! several say how often they are wrong.

use super::*;
use crate::accounting::Delta;
use crate::accounting::empirical::mu_at_least;
use crate::accounting::gdp::Mu;
use crate::secagg::Modulus;

/// Runs with and without the site: four times as many where mu is smallest.
const RUNS: usize = 40_000;
/// Sites in a sum; each with its share of the noise.
const SITES: u32 = 4;
/// What the attacker takes for a sum with the site in it.
const THRESHOLD: f64 = 0.5 * BOUND as f64;

fn mechanism(z: f64, claimed: f64) -> (Mechanism, Mechanism) {
    let of = |z| {
        let (clip, noise) = (ClipNorm::new(1.0).unwrap(), NoiseMultiplier::new(z).unwrap());
        Mechanism::new(clip, noise, CohortSize::new(SITES).unwrap(), 0, 1, false).unwrap()
    };
    (of(z), of(claimed))
}

/// What the attacker sees of one sum: the coordinate that the update points to.
fn observe(mechanism: &Mechanism, present: bool) -> f64 {
    let updates = [[if present { 3.0 } else { 0.0 }], [0.0], [0.0], [0.0]];
    updates.iter().map(|u| i64::from(mechanism.noised(u).unwrap()[0])).sum::<i64>() as f64
}

/// The audited and the claimed epsilon at delta 1e-6.
fn audit(z: f64, claimed: f64) -> (f64, f64) {
    let (real, claim) = mechanism(z, claimed);
    let runs = if z > 4.0 { 4 * RUNS } else { RUNS };
    let draw = |present| (0..runs).map(|_| observe(&real, present)).collect::<Vec<_>>();
    let mu = mu_at_least(&draw(false), &draw(true), THRESHOLD);
    let epsilon = |mu: f64| Mu::new(mu).unwrap().epsilon(Delta::new(1e-6).unwrap());
    (epsilon(mu), epsilon(1.0 / claim.noise.get()))
}

/// Each bound lies above the truth in 2.5 % of runs or less. So that the test cries wolf less often than once in ten
/// thousand runs, the claim is allowed two more standard errors of mu (0.009 each); half the noise is 60 away. The lower
/// limit is four standard errors or more below what a sound mechanism gives: once in thirty thousand.
#[test]
fn the_release_path_keeps_its_claim_and_no_less() {
    // z for epsilon 1, 2, 4 and 8 in one release, from the reference values.
    for z in [4.2247, 2.2303, 1.1901, 0.6499] {
        let (bound, claim) = audit(z, z);
        println!("claimed {claim:.2}, audited at least {bound:.2}");
        assert!(bound <= claim + 2.0 * slack(z), "{bound} {claim}");
        assert!(bound >= 0.8 * claim, "the auditor sees too little: {bound} {claim}");
    }
}

#[test]
fn half_the_noise_is_caught() {
    let (bound, claim) = audit(1.1901 / 2.0, 1.1901);
    assert!(bound > claim + 10.0 * slack(1.1901), "{bound} {claim}");
}

/// What one standard error of mu is in epsilon, near the claim.
fn slack(z: f64) -> f64 {
    let epsilon = |mu: f64| Mu::new(mu).unwrap().epsilon(Delta::new(1e-6).unwrap());
    epsilon(1.0 / z + 0.009) - epsilon(1.0 / z)
}

/// Nothing to find: the auditor must not find it.
#[test]
fn the_null_audit_reads_nothing() {
    let (real, _) = mechanism(1.0, 1.0);
    let draw = || (0..RUNS).map(|_| observe(&real, false)).collect::<Vec<_>>();
    let mu = mu_at_least(&draw(), &draw(), THRESHOLD);
    assert!(mu < 0.02, "{mu}");
}

/// An update of a last layer gives its input away: the gradient of each row is the input times the row's error.
mod inversion {
    use super::*;

    const SIDE: usize = 16;

    fn picture() -> Vec<f32> {
        (0..SIDE * SIDE).map(|i| if (i / SIDE / 4 + i % SIDE / 4).is_multiple_of(2) { 0.9 } else { 0.1 }).collect()
    }

    /// One step of logistic regression on one picture: weights, then bias.
    fn gradient() -> Vec<f32> {
        picture().into_iter().chain([1.0]).map(|x| -0.5 * x).collect()
    }

    fn likeness(a: &[f32], b: &[f32]) -> f64 {
        let mean = |v: &[f32]| v.iter().map(|&x| f64::from(x)).sum::<f64>() / v.len() as f64;
        let (ma, mb) = (mean(a), mean(b));
        let pairs = || a.iter().zip(b).map(|(&x, &y)| (f64::from(x) - ma, f64::from(y) - mb));
        let dot: f64 = pairs().map(|(x, y)| x * y).sum();
        let squares = pairs().fold((0.0, 0.0), |(xx, yy), (x, y)| (xx + x * x, yy + y * y));
        dot / (squares.0 * squares.1).sqrt().max(1e-12)
    }

    fn invert(update: &[i32]) -> Vec<f32> {
        let (weights, bias) = update.split_at(SIDE * SIDE);
        weights.iter().map(|&w| w as f32 / (bias[0] as f32).abs().max(1.0)).map(|x| -x).collect()
    }

    /// Without noise the picture is there; with the sum's noise it is not, even for who knows all other updates. The
    /// likeness of noise to a picture of 256 pixels has a standard deviation of 1/16: 0.5 is eight of them.
    #[test]
    fn inversion_works_without_noise_and_fails_with_it() {
        let clip = ClipNorm::new(1.0).unwrap();
        let bare = Clipped::of(&gradient(), clip, false);
        assert!(likeness(&invert(bare.values()), &picture()) > 0.99);
        let noise = NoiseMultiplier::new(1.1901).unwrap();
        let mechanism = Mechanism::new(clip, noise, CohortSize::new(20).unwrap(), 2, SIDE * SIDE + 1, false).unwrap();
        let mut sum = mechanism.noised(&gradient()).unwrap();
        for _ in 1..18 {
            let other = mechanism.noised(&[0.0; SIDE * SIDE + 1]).unwrap();
            sum.iter_mut().zip(other).for_each(|(s, o)| *s += o);
        }
        let seen = likeness(&invert(&sum), &picture()).abs();
        assert!(seen < 0.5, "{seen}");
    }
}

#[test]
fn sums_that_do_not_fit_are_refused_with_what_they_need() {
    let (clip, noise) = (ClipNorm::new(1.0).unwrap(), NoiseMultiplier::new(4.39).unwrap());
    let sites = CohortSize::new(256).unwrap();
    let mechanism = Mechanism::new(clip, noise, sites, 25, 50_000, true).unwrap();
    assert!(mechanism.fits(Modulus::new(24).unwrap(), sites).is_ok());
    let small = mechanism.fits(Modulus::new(16).unwrap(), sites).unwrap_err();
    assert_eq!(small, MechanismError::Overflow { most: 256, need: 24, bits: 16 });
    assert!(mechanism.local_cost().unwrap() > mechanism.cost().unwrap());
    assert!(Mechanism::new(clip, noise, sites, 256, 1, false).is_err());
}
