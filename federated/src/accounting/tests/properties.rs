//! What holds whatever is asked: order among accountants and along each parameter, and answers to hostile questions.

use proptest::prelude::*;

use super::super::numerics::{density, upper_tail};
use super::super::{
    Account, AccountingError, Delta, Epsilon, Mechanism, Rounds, SamplingRate, account, gdp, pld, rdp, zcdp,
};
use super::{delta, epsilon, gaussian, rounds, sampled};
use crate::{NoiseMultiplier, Rho};

/// Numbers of all sizes in between, evenly in logarithms.
fn scales(low: f64, high: f64) -> impl Strategy<Value = f64> {
    (low.log10()..high.log10()).prop_map(|e| 10f64.powf(e))
}

fn check(got: Account) {
    for value in [got.zcdp, got.gdp, Some(got.rdp), Some(got.pld)].into_iter().flatten() {
        assert!(value.is_finite() && value >= 0.0, "{got:?}");
    }
}

proptest! {
    #[test]
    fn conversions_of_rho_are_inverse(units in 1u64..1_000_000_000_000_000, d in scales(1e-30, 0.1)) {
        let spent = Rho::from_trillionths(units).unwrap();
        let cost = zcdp::epsilon(spent, delta(d));
        if let Ok(target) = Epsilon::new(cost) {
            prop_assert!(zcdp::largest_rho(target, delta(d)) >= spent);
            prop_assert!(cost == 0.0 || (zcdp::delta(spent, target) / d - 1.0).abs() < 1e-6 * (1.0 + cost));
        }
    }

    #[test]
    fn a_budget_is_kept_and_used_up(e in scales(1e-3, 100.0), d in scales(1e-30, 0.1)) {
        let budget = zcdp::largest_rho(epsilon(e), delta(d));
        prop_assert!(zcdp::epsilon(budget, delta(d)) <= e);
        if let Some(more) = budget.checked_add(Rho::from_trillionths(1).unwrap()) {
            prop_assert!(zcdp::epsilon(more, delta(d)) > e);
        }
    }

    #[test]
    fn noise_meets_its_target_and_no_less_does(e in scales(1e-3, 100.0), d in scales(1e-30, 0.1), t in 1u64..100_000) {
        let z = gdp::noise(epsilon(e), delta(d), rounds(t)).unwrap().get();
        prop_assert!(gdp::Mu::of_rounds(gaussian(z), rounds(t)).epsilon(delta(d)) <= e);
        prop_assert!(gdp::Mu::of_rounds(gaussian(z * (1.0 - 1e-8)), rounds(t)).epsilon(delta(d)) > e);
    }

    /// Here the curve passes from one formula to another, whose roundings are not raised alike.
    #[test]
    fn noise_meets_its_target_where_formulas_meet(d in 0.059_f64..0.060, t in 1u64..10) {
        let e = 0.014_659_101_665_315_64;
        let z = gdp::noise(epsilon(e), delta(d), rounds(t)).unwrap().get();
        prop_assert!(gdp::Mu::of_rounds(gaussian(z), rounds(t)).epsilon(delta(d)) <= e);
    }

    /// One sum with rho is as two with half of it, in the ledger's integers and in mu.
    #[test]
    fn costs_add_up(z in scales(0.5, 1e3), a in 1u64..1000, b in 1u64..1000) {
        let noise = NoiseMultiplier::new(z).unwrap();
        let both = zcdp::rho(noise, rounds(a)).ok().zip(zcdp::rho(noise, rounds(b)).ok());
        let sum = both.and_then(|(a, b)| a.checked_add(b));
        prop_assert_eq!(zcdp::rho(noise, rounds(a + b)).ok(), sum);
        let mu = |t| gdp::Mu::of_rounds(gaussian(z), rounds(t)).get();
        prop_assert!((mu(a).hypot(mu(b)) / mu(a + b) - 1.0).abs() < 1e-14);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Exact below PLD below RDP; zCDP is RDP at the best of all orders, so that neither it is above.
    #[test]
    fn accountants_are_ordered(z in scales(0.3, 100.0), t in scales(1.0, 1e4), d in scales(1e-12, 0.1)) {
        let got = account(gaussian(z), rounds(t as u64), delta(d));
        let (exact, zero) = (got.gdp.unwrap(), got.zcdp.unwrap());
        prop_assert!(exact <= got.pld && got.pld <= exact * (1.0 + 1e-4) + 1e-7, "{got:?}");
        prop_assert!(got.pld <= zero * (1.0 + 1e-4) + 1e-7 && zero <= got.rdp * (1.0 + 1e-12), "{got:?}");
    }

    #[test]
    fn full_sampling_is_none(z in scales(0.3, 100.0), t in 1u64..1000, d in scales(1e-12, 0.1)) {
        let (whole, all) = (account(gaussian(z), rounds(t), delta(d)), account(sampled(1.0, z), rounds(t), delta(d)));
        prop_assert_eq!((whole.rdp, whole.pld), (all.rdp, all.pld));
    }

    #[test]
    fn sampled_accountants_are_ordered(
        q in scales(1e-5, 0.99), z in scales(0.4, 20.0), t in scales(1.0, 1e4), d in scales(1e-20, 0.01),
    ) {
        let (count, at) = (rounds(t as u64), delta(d));
        let got = account(sampled(q, z), count, at);
        let exact = gdp::Mu::of_rounds(gaussian(z), count).epsilon(at);
        prop_assert!(got.pld <= got.rdp * (1.0 + 1e-6) + 1e-6, "{got:?}");
        prop_assert!(got.pld <= exact * (1.0 + 1e-4) + 1e-7, "{got:?} {exact}");
    }

    /// More noise costs less; more rounds, a smaller delta and more sampling cost more.
    #[test]
    fn epsilon_is_monotone(
        q in scales(1e-4, 0.5), z in scales(0.5, 10.0), t in scales(1.0, 5e3), d in scales(1e-10, 1e-3),
        more in 1.1f64..2.0,
    ) {
        let t = t as u64;
        let at = |q, z, t, d| {
            let (what, count, at) = (sampled(q, z), rounds(t), delta(d));
            (pld::epsilon(what, count, at), rdp::epsilon(what, count, at))
        };
        let here = at(q, z, t, d);
        let longer = (t as f64 * more).ceil() as u64;
        let dearer = [at(q * more, z, t, d), at(q, z / more, t, d), at(q, z, longer, d), at(q, z, t, d / more)];
        for there in dearer {
            // Grids differ, so that an epsilon may be a little further above the truth than another.
            prop_assert!(there.0 >= here.0 * (1.0 - 1e-3) - 1e-7, "{here:?} {there:?}");
            prop_assert!(there.1 >= here.1 * (1.0 - 1e-9) - 1e-9, "{here:?} {there:?}");
        }
        let whole = |z, t, d| {
            let (what, count, at) = (gaussian(z), rounds(t), delta(d));
            (zcdp::epsilon_of_rounds(what, count, at), gdp::Mu::of_rounds(what, count).epsilon(at))
        };
        let here = whole(z, t, d);
        for there in [whole(z / more, t, d), whole(z, t * 2, d), whole(z, t, d / more)] {
            prop_assert!(there.0 > here.0 && there.1 > here.1, "{here:?} {there:?}");
        }
    }

    /// Every question that can be asked has a finite answer. That none takes long is seen by this test's ending.
    #[test]
    fn all_questions_are_answered(
        q in prop_oneof![scales(1e-300, 1.0), (0.0..=1.0), scales(1e-16, 0.1).prop_map(|p| 1.0 - p)],
        z in scales(1e-6, 1e9), t in scales(1.0, 1e6),
        d in prop_oneof![scales(1e-99, 0.99), scales(1e-15, 0.1).prop_map(|p| 1.0 - p)],
    ) {
        check(account(sampled(q, z), rounds(t as u64), delta(d)));
        check(account(gaussian(z), rounds(t as u64), delta(d)));
    }
}

/// The delta of one round in closed form, of a site removed or added, at any loss: both neighbours' tails beyond the
/// output with that loss.
fn one_round(q: f64, z: f64, removed: bool, e: f64) -> f64 {
    let place = |loss: f64| z * ((loss.exp() - 1.0 + q) / q).ln() + 0.5 / z;
    if removed && e.exp() > 1.0 - q {
        let x = place(e);
        (1.0 - q - e.exp()) * upper_tail(x) + q * upper_tail(x - 1.0 / z)
    } else if removed {
        1.0 - e.exp()
    } else if (-e).exp() > 1.0 - q {
        let x = place(-e);
        (1.0 - e.exp() * (1.0 - q)) * upper_tail(-x) - e.exp() * q * upper_tail(1.0 / z - x)
    } else {
        0.0
    }
}

/// The delta of two rounds: the first one's output by the trapezoidal rule, the second in closed form.
fn two_rounds(q: f64, z: f64, removed: bool, e: f64) -> f64 {
    let step = 1e-3;
    let at = |n: i32| {
        let x = f64::from(n) * step;
        let with = (1.0 - q) * density(x) + q * density(x - 1.0 / z);
        let loss = (with / density(x)).ln();
        if removed { with * one_round(q, z, true, e - loss) } else { density(x) * one_round(q, z, false, e + loss) }
    };
    (-12_000..15_000).map(at).sum::<f64>() * step
}

#[test]
fn few_sampled_rounds_are_exact() {
    for (q, z, at) in [(0.5, 1.0, 1e-3), (0.1, 2.0, 1e-4), (0.9, 0.7, 1e-6), (0.03, 0.5, 1e-9)] {
        type Truth = fn(f64, f64, bool, f64) -> f64;
        for (count, truth) in [(1, one_round as Truth), (2, two_rounds)] {
            let got = pld::epsilon(sampled(q, z), rounds(count), delta(at));
            let truth = |e| truth(q, z, true, e).max(truth(q, z, false, e));
            assert!(truth(got) <= at * (1.0 + 1e-6), "{got}: {} for {at}", truth(got));
            assert!(truth(got * (1.0 - 1e-3)) > at, "{got}");
        }
    }
}

/// Far smaller deltas than a transform's rounding: the exact answer is known without sampling.
#[test]
fn tiny_deltas_are_told_apart() {
    let got = account(sampled(0.01, 1.0), rounds(1000), delta(1e-40));
    assert!(got.pld < got.rdp && got.pld > 0.9 * got.rdp, "{got:?}");
}

#[test]
fn what_is_no_question_is_refused() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300] {
        assert!(Delta::new(bad).is_err() && Epsilon::new(bad).is_err() && SamplingRate::new(bad).is_err(), "{bad}");
        assert!(rdp::Order::new(bad).is_err() && gdp::Mu::new(bad).is_err(), "{bad}");
        assert!(NoiseMultiplier::new(bad).is_err() || Mechanism::gaussian(NoiseMultiplier::new(bad).unwrap()).is_err());
    }
    for bad in [0.0, 1.0, 1e-101] {
        assert_eq!(Delta::new(bad), Err(AccountingError::Delta(bad)));
    }
    assert!(rdp::Order::new(1.0).is_err() && gdp::Mu::new(0.0).is_err());
    for bad in [0, 1_000_001, u64::MAX] {
        assert_eq!(Rounds::new(bad), Err(AccountingError::Rounds(bad)));
    }
    // Beyond what a ledger can count.
    assert!(zcdp::rho(NoiseMultiplier::new(0.1).unwrap(), rounds(100)).is_err());
}

#[test]
fn no_sampling_at_all_costs_nothing() {
    let got = account(sampled(0.0, 0.5), rounds(1000), delta(1e-9));
    assert_eq!((got.pld, got.rdp), (0.0, 0.0));
}
