//! What several seeds say together: the mean gain of runs that differ in their seed alone, and how sure it is.
//!
//! Knows outcomes; nothing of how they are shown.

use serde::Serialize;

use super::outcome::Outcome;

/// Runs that differ in their seed alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct OverSeeds {
    /// What the runs have in common.
    pub(super) runs: String,
    pub(super) seeds: usize,
    pub(super) mean_quality_before: f64,
    pub(super) mean_gain: f64,
    /// The 95 % confidence interval of the mean gain, by Student's t: of seeds that were drawn like these.
    pub(super) gain_low: f64,
    pub(super) gain_high: f64,
}

impl OverSeeds {
    /// For all runs of which there are several seeds, in the order of the first of them.
    pub(super) fn of(outcomes: &[Outcome]) -> Vec<Self> {
        let mut groups: Vec<Vec<&Outcome>> = Vec::new();
        for outcome in outcomes {
            let alike =
                |group: &&mut Vec<&Outcome>| group.first().is_some_and(|first| first.run.same_but_seed(&outcome.run));
            match groups.iter_mut().find(alike) {
                Some(group) => group.push(outcome),
                None => groups.push(vec![outcome]),
            }
        }
        groups.into_iter().filter_map(|group| Self::group(&group)).collect()
    }

    fn group(group: &[&Outcome]) -> Option<Self> {
        let first = group.first()?;
        let gains: Vec<f64> = group.iter().map(|outcome| outcome.gain()).collect();
        let before: Vec<f64> = group.iter().map(|outcome| outcome.before.value).collect();
        let (mean_gain, half) = interval(&gains)?;
        Some(Self {
            runs: first.run.but_seed(),
            seeds: group.len(),
            mean_quality_before: mean(&before),
            mean_gain,
            gain_low: mean_gain - half,
            gain_high: mean_gain + half,
        })
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The mean of these values, and half the width of its 95 % confidence interval; none of fewer than two.
fn interval(values: &[f64]) -> Option<(f64, f64)> {
    let freedom = values.len().checked_sub(1).filter(|freedom| *freedom > 0)?;
    let mean = mean(values);
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / freedom as f64;
    Some((mean, crate::student::quantile(freedom) * (variance / values.len() as f64).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_interval_of_a_case_worked_by_hand() {
        // Mean 3, variance 2.5, so that half the width is 2.776 * sqrt(2.5 / 5).
        let (mean, half) = interval(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert!((mean - 3.0).abs() < 1e-12 && (half - 2.776 * 0.5f64.sqrt()).abs() < 1e-12);
        assert_eq!((interval(&[1.0]), interval(&[])), (None, None));
        assert_eq!(interval(&[0.5; 4]), Some((0.5, 0.0)));
    }

    proptest! {
        /// Of many samples of a normal distribution, some 95 % have the true mean in their interval.
        #[test]
        fn intervals_hold_what_they_promise(seed: u64, count in 2usize..8) {
            use rand::SeedableRng;
            use rand_distr::{Distribution, StandardNormal};
            let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
            let held = (0..2000).filter(|_| {
                let values: Vec<f64> = (0..count).map(|_| StandardNormal.sample(&mut rng)).collect();
                interval(&values).is_some_and(|(mean, half)| mean.abs() <= half)
            });
            // Within five standard deviations.
            let held = held.count();
            prop_assert!((1851..=1949).contains(&held), "{held}");
        }
    }
}
