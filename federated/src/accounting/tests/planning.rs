//! Plans: the design's own default, the rule's figures, and goals that cannot be met.

use proptest::prelude::*;

use super::super::plan::{Gain, Goal, Verdict};
use super::super::{AccountingError, gdp, zcdp};
use super::{delta, epsilon, gaussian, rounds};
use crate::{CohortSize, Rho};

fn goal(sites: u64, parameters: u64, target: f64, count: u64) -> Goal {
    Goal::new(sites, parameters, epsilon(target), delta(1e-6), rounds(count), None).unwrap()
}

#[test]
fn the_default_of_the_design() {
    let plan = goal(1000, 20_000, 4.0, 12).plan().unwrap();
    assert!((plan.noise.get() - 4.39).abs() < 5e-3, "{plan:?}");
    assert!((plan.single.get() - 1.19).abs() < 5e-3, "{plan:?}");
    let budget: Rho = "0.3111".parse().unwrap();
    assert!(plan.rho_total.trillionths().abs_diff(budget.trillionths()) < 100_000_000, "{plan:?}");
    assert!(plan.epsilon() <= 4.0 && plan.epsilon() > 4.0 - 1e-6);
    // 1000 * 0.22 / (1.12 * 1.1935 * 141.42) and its rest.
    let gain = plan.gain();
    assert!((gain.low - 1.1638).abs() < 1e-3 && (gain.high - 1.3754).abs() < 1e-3, "{gain:?}");
    assert_eq!(gain.verdict(), Verdict::Most);
    let (fewest, most) = plan.sites_needed();
    assert_eq!((fewest, most), (728, 860));
    let (weak, strong) = plan.largest_model();
    assert!(weak > 27_000 && weak < 27_200 && strong > weak, "{weak} {strong}");
    // 800 sites' noise is counted on: each adds an eight-hundredth of the variance.
    let share = (plan.noise.get() * 16_384.0).powi(2) / 800.0;
    assert!(plan.share_variance() >= share && plan.share_variance() < share + 1.0);
    let alone = gaussian(plan.noise.get() / 800f64.sqrt());
    assert_eq!(plan.local.gdp, gdp::Mu::of_rounds(alone, rounds(12)).epsilon(delta(1e-6)));
    assert!(plan.local.zcdp > plan.local.gdp && plan.local.gdp > 100.0, "{plan:?}");
}

#[test]
fn the_rules_own_noise() {
    for (target, z1) in [(1.0, 4.22), (2.0, 2.23), (4.0, 1.19), (8.0, 0.65)] {
        let plan = goal(1000, 1000, target, 1).plan().unwrap();
        assert!((plan.single.get() - z1).abs() < 0.006, "{plan:?}");
    }
}

#[test]
fn verdicts_have_their_bands() {
    let words = [
        (0.05, Verdict::Little),
        (0.1, Verdict::LessThanHalf),
        (0.4, Verdict::Half),
        (0.5, Verdict::MoreThanHalf),
        (1.0, Verdict::Most),
    ];
    for (low, verdict) in words {
        assert_eq!(Gain { low, high: 10.0 }.verdict(), verdict);
    }
}

#[test]
fn goals_that_cannot_be() {
    let make = |sites, parameters, cohort: Option<u32>| {
        let cohort = cohort.map(|n| CohortSize::new(n).unwrap());
        Goal::new(sites, parameters, epsilon(4.0), delta(1e-6), rounds(12), cohort)
    };
    assert_eq!(make(1, 10, None), Err(AccountingError::Sites(1)));
    assert_eq!(make(u64::MAX, 10, None), Err(AccountingError::Sites(u64::MAX)));
    assert_eq!(make(10, 0, None), Err(AccountingError::Parameters(0)));
    assert_eq!(make(10, 10, Some(11)), Err(AccountingError::Cohort { cohort: 11, sites: 10 }));
    assert_eq!(make(1_000_000, 10, None).unwrap().cohort().get(), CohortSize::MAX);
    for target in [0.0, 1e-12] {
        let plan = Goal::new(10, 10, epsilon(target), delta(1e-6), rounds(1_000_000), None).unwrap().plan();
        assert_eq!(plan, Err(AccountingError::NoBudget { rounds: 1_000_000 }));
    }
}

proptest! {
    /// A plan's noise keeps to its target, the least that does to within what a ledger's rounding costs.
    #[test]
    fn plans_keep_to_their_targets(
        sites in 2u64..100_000_000, parameters in 1u64..1_000_000_000_000, target in 0.1f64..50.0,
        count in 1u64..10_000, share in 0.0f64..1.0,
    ) {
        let cohort = CohortSize::new((share * sites as f64).clamp(2.0, 65_536.0) as u32).unwrap();
        let goal = Goal::new(sites, parameters, epsilon(target), delta(1e-6), rounds(count), Some(cohort));
        let plan = goal.unwrap().plan().unwrap();
        prop_assert!(plan.epsilon() <= target);
        let less = crate::NoiseMultiplier::new(plan.noise.get() * 0.999).unwrap();
        prop_assert!(zcdp::epsilon(zcdp::rho(less, rounds(count)).unwrap(), delta(1e-6)) > target);
        prop_assert!(plan.local.gdp <= plan.local.zcdp && plan.local.gdp >= plan.epsilon() * 0.9);
        // As many sites as are said to be needed give S = 1, and one fewer do not.
        let (_, needed) = plan.sites_needed();
        let s = |n: u64| plan.gain().low * n as f64 / sites as f64;
        prop_assert!(s(needed) >= 1.0 - 1e-9 && s(needed - 1) < 1.0 + 1e-9);
        prop_assert!(plan.gain_by_sites().windows(2).all(|w| w[0].0 < w[1].0 && w[0].1.low < w[1].1.low));
        let curve = plan.epsilon_by_rounds(1.25).unwrap();
        prop_assert!(curve.len() <= 101 && curve.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 < w[1].1));
    }
}
