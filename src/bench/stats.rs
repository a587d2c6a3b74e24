//! Medians, quartiles, ratios with their uncertainty, and fits. Knows numbers alone.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// The middle of some values, and where half of them lie.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub(super) struct Spread {
    pub(super) n: usize,
    pub(super) median: f64,
    /// The first and third quartile.
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Spread {
    /// Of at least one value, in any order.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |share| quantile(&sorted, share);
        Some(Self { n: sorted.len(), median: at(0.5)?, low: at(0.25)?, high: at(0.75)? })
    }
}

/// The value below which this share of sorted values lies, between two values by proportion (type 7 of Hyndman and Fan 1996).
pub(super) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (*sorted.get(place.floor() as usize)?, *sorted.get(place.ceil() as usize)?);
    Some(low + (high - low) * place.fract())
}

fn median(values: &[f64]) -> Option<f64> {
    Spread::of(values).map(|spread| spread.median)
}

/// A number, and between what it lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub(super) struct Interval {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// How often values are drawn again.
const DRAWS: usize = 2000;

/// The ratio of the medians of `new` to `old`, with the interval of the percentile bootstrap (Efron 1979). Of fewer than some ten values
/// each the interval is too narrow; who decides by it must ask for more than that it leaves out 1.
pub(super) fn ratio(old: &[f64], new: &[f64], seed: u64) -> Option<Interval> {
    let value = median(new)? / median(old)?;
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut drawn = |values: &[f64]| {
        let again: Vec<f64> =
            (0..values.len()).filter_map(|_| values.get(rng.random_range(0..values.len())).copied()).collect();
        median(&again)
    };
    let mut ratios: Vec<f64> = (0..DRAWS).filter_map(|_| Some(drawn(new)? / drawn(old)?)).collect();
    ratios.sort_by(f64::total_cmp);
    let (low, high) = (quantile(&ratios, 0.025)?, quantile(&ratios, 0.975)?);
    value.is_finite().then_some(Interval { value, low, high })
}

/// So many pairs leave their median outside of their range with a probability of at most 2 in 2^6.
const PAIRS: usize = 6;

/// The median of ratios that were measured in turns, and the range in which the ratio lies with 95 % confidence or more: that of all of
/// them (order statistics; Conover 1999, section 3.2), of six or more.
pub(super) fn paired(ratios: &[f64]) -> Option<(f64, Option<Interval>)> {
    let value = median(ratios)?;
    let (low, high) = ratios.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), r| (l.min(*r), h.max(*r)));
    Some((value, (ratios.len() >= PAIRS).then_some(Interval { value, low, high })))
}

/// A straight line through points: `intercept + slope * x`.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub(super) struct Fit {
    pub(super) intercept: f64,
    pub(super) slope: Interval,
    /// The share of the spread that the line explains.
    pub(super) r2: f64,
}

/// Least squares, with Student's t for the slope. None of fewer than three different places.
pub(super) fn line(points: &[(f64, f64)]) -> Option<Fit> {
    let freedom = points.len().checked_sub(2).filter(|freedom| *freedom > 0)?;
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (mx, my) = (mean(|p| p.0), mean(|p| p.1));
    let sum = |of: &dyn Fn(f64, f64) -> f64| points.iter().map(|(x, y)| of(x - mx, y - my)).sum::<f64>();
    let (xx, xy, yy) = (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y));
    if xx <= 0.0 || !(xx + yy).is_finite() {
        return None;
    }
    let value = xy / xx;
    let rest = sum(&|x, y| (y - value * x).powi(2));
    let half = crate::student::quantile(freedom) * (rest / freedom as f64 / xx).sqrt();
    let slope = Interval { value, low: value - half, high: value + half };
    Some(Fit { intercept: my - value * mx, slope, r2: if yy > 0.0 { 1.0 - rest / yy } else { 1.0 } })
}

/// `y = c x^exponent` through points, by a line through their logarithms; the slope is the exponent. None where a coordinate is not above 0.
pub(super) fn power(points: &[(f64, f64)]) -> Option<Fit> {
    if points.iter().any(|(x, y)| *x <= 0.0 || *y <= 0.0) {
        return None;
    }
    line(&points.iter().map(|(x, y)| (x.ln(), y.ln())).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cases_worked_by_hand() {
        let spread = Spread::of(&[4.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!((spread.median, spread.low, spread.high), (2.5, 1.75, 3.25));
        assert_eq!(Spread::of(&[]), None);
        let fit = line(&[(1.0, 3.0), (2.0, 5.0), (3.0, 7.0), (4.0, 9.0)]).unwrap();
        assert!((fit.intercept - 1.0).abs() < 1e-12 && (fit.slope.value - 2.0).abs() < 1e-12 && fit.r2 > 0.999_999);
        assert_eq!(line(&[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)]), None, "all at one place");
        assert!(power(&[(1.0, 0.0), (2.0, 1.0), (3.0, 2.0)]).is_none());
    }

    proptest! {
        #[test]
        fn quartiles_are_in_order_and_follow_the_scale(values in prop::collection::vec(1e-3..1e6f64, 1..40), by in 0.1..10f64) {
            let spread = Spread::of(&values).unwrap();
            prop_assert!(spread.low <= spread.median && spread.median <= spread.high);
            let scaled = Spread::of(&values.iter().map(|v| v * by).collect::<Vec<_>>()).unwrap();
            prop_assert!((scaled.median / (by * spread.median) - 1.0).abs() < 1e-9);
        }

        /// Of seven turns with the same noise on both sides the range holds the ratio, but for chance.
        #[test]
        fn paired_turns_hold_their_ratio(seed: u64) {
            use rand_distr::{Distribution, StandardNormal};
            let mut rng = Pcg64Mcg::seed_from_u64(seed);
            let held = (0..1000).filter(|_| {
                let turns: Vec<f64> = (0..7).map(|_| { let noise: f64 = StandardNormal.sample(&mut rng); 3.0 * noise.exp() }).collect();
                paired(&turns).and_then(|(_, interval)| interval).is_some_and(|i| i.low <= 3.0 && 3.0 <= i.high)
            }).count();
            // 984.4 of 1000 are due, give or take 3.9; a wrong alarm in 10^9.
            prop_assert!((960..=1000).contains(&held), "{held}");
            prop_assert_eq!(paired(&[1.0; 5]), Some((1.0, None)));
        }

        #[test]
        fn a_ratio_lies_in_its_interval_and_nothing_changed_is_one(values in prop::collection::vec(0.9..1.1f64, 3..12), seed: u64) {
            let same = ratio(&values, &values, seed).unwrap();
            prop_assert!(same.value == 1.0 && same.low <= 1.0 && 1.0 <= same.high);
            let twice = ratio(&values, &values.iter().map(|v| 2.0 * v).collect::<Vec<_>>(), seed).unwrap();
            prop_assert!((twice.value - 2.0).abs() < 1e-12 && twice.low > 1.5);
            prop_assert_eq!(ratio(&values, &values, seed), Some(same));
        }

        /// Points of a power law give its exponent; with a little noise the interval holds it, but for chance.
        #[test]
        fn a_power_law_is_found(exponent in -2.0..3.0f64, factor in 0.01..100f64) {
            let points: Vec<(f64, f64)> = (1..8).map(|x| (f64::from(x), factor * f64::from(x).powf(exponent))).collect();
            let fit = power(&points).unwrap();
            prop_assert!((fit.slope.value - exponent).abs() < 1e-9);
            prop_assert!((fit.intercept.exp() / factor - 1.0).abs() < 1e-9);
        }

        #[test]
        fn a_line_with_noise_has_its_slope_in_the_interval(seed: u64) {
            use rand_distr::{Distribution, StandardNormal};
            let mut rng = Pcg64Mcg::seed_from_u64(seed);
            let held = (0..1000).filter(|_| {
                let points: Vec<(f64, f64)> = (0..6)
                    .map(|x| { let noise: f64 = StandardNormal.sample(&mut rng); (f64::from(x), 5.0 + 3.0 * f64::from(x) + noise) })
                    .collect();
                line(&points).is_some_and(|fit| fit.slope.low <= 3.0 && 3.0 <= fit.slope.high)
            }).count();
            prop_assert!((915..=985).contains(&held), "{held}");
        }
    }
}
