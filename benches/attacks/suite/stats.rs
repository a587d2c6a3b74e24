//! How sure a figure is: exact intervals of rates, and intervals of means and correlations. Knows no pictures.

/// Half the width of a 95 % interval, in standard deviations.
const Z: f64 = 1.96;
/// An attack counts as a success if chance alone does this well less often than once in 200,000 times: a run asks
/// some 110 times of Volet, so that it cries wolf in fewer than one of a thousand runs.
const ALARM: f64 = 5e-6;
/// The same for means and correlations, in standard deviations. Chance alone does this once in ten million times where
/// the mean is normal; the margin beyond [`ALARM`] is for the heavier tails of Student's distribution at 30 faces.
const ALARM_Z: f64 = 6.0;

/// A figure with its 95 % interval, and whether it is more than chance explains.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimate {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) above_chance: bool,
}

/// `hits` of `trials` (Clopper and Pearson 1934), against what guessing gives.
pub(crate) fn rate(hits: usize, trials: usize, chance: f64) -> Estimate {
    let low = if hits == 0 { 0.0 } else { bisect(|p| tail(hits, trials, p) < 0.025) };
    let high = if hits == trials { 1.0 } else { bisect(|p| 1.0 - tail(hits + 1, trials, p) > 0.025) };
    let value = hits as f64 / trials.max(1) as f64;
    Estimate { value, low, high, above_chance: hits > 0 && tail(hits, trials, chance) < ALARM }
}

/// The mean of `values`, against a chance of 0.
pub(crate) fn mean(values: &[f64]) -> Estimate {
    let n = values.len().max(2) as f64;
    let value = values.iter().sum::<f64>() / n;
    let deviation = (values.iter().map(|v| (v - value).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let error = deviation / n.sqrt();
    let above_chance = value > ALARM_Z * error && value > 1e-9;
    Estimate { value, low: value - Z * error, high: value + Z * error, above_chance }
}

/// Pearson's correlation with Fisher's interval, against a chance of 0; 0 where one side is constant.
pub(crate) fn pearson(a: &[f64], b: &[f64]) -> Estimate {
    let value = correlation(a, b);
    let error = 1.0 / (a.len().max(5) as f64 - 3.0).sqrt();
    let z = value.clamp(-1.0 + 1e-9, 1.0 - 1e-9).atanh();
    Estimate { value, low: (z - Z * error).tanh(), high: (z + Z * error).tanh(), above_chance: z > ALARM_Z * error }
}

/// Pearson's correlation; 0 where one side is constant.
pub(crate) fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len().max(1) as f64;
    let (ma, mb) = (mean(a), mean(b));
    let sum = |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(a, b)| f(a - ma, b - mb)).sum::<f64>();
    let scale = (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt();
    if scale < 1e-9 { 0.0 } else { sum(&|a, b| a * b) / scale }
}

/// The chance of `hits` or more in `trials` of probability `p`.
fn tail(hits: usize, trials: usize, p: f64) -> f64 {
    if hits == 0 || p >= 1.0 {
        return 1.0;
    }
    if p <= 0.0 {
        return 0.0;
    }
    let mut log_choose = 0.0;
    let mut below = 0.0;
    let mut above = 0.0;
    for i in 0..=trials {
        let term = (log_choose + i as f64 * p.ln() + (trials - i) as f64 * (-p).ln_1p()).exp();
        if i < hits {
            below += term
        } else {
            above += term
        }
        if i < trials {
            log_choose += ((trials - i) as f64 / (i + 1) as f64).ln();
        }
    }
    // Each sum is exact where it is small.
    if above < 0.5 { above } else { 1.0 - below }
}

/// The largest `p` in 0..1 for which `holds`, of those that come before it fails.
fn bisect(holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..50 {
        let middle = 0.5 * (low + high);
        if holds(middle) { low = middle } else { high = middle }
    }
    low
}
