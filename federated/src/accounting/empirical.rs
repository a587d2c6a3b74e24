//! Lower bounds for a mechanism's privacy from what came out of it: counted errors of an attacker, not arguments.
//!
//! A Gaussian mechanism's two error rates lie on the curve of some mu (Dong, Roth and Su 2022), so a lower bound for mu
//! from counted errors is one for epsilon (Nasr et al. 2023). Knows counts and numbers; nothing of mechanisms.

use super::numerics::upper_tail;

/// A lower bound for mu that holds with 95 %: of values seen `absent` and with the site `present`, an attacker takes those above `threshold`,
/// which was fixed beforehand, for the latter. Half the level goes to either error rate.
pub fn mu_at_least(absent: &[f64], present: &[f64], threshold: f64) -> f64 {
    let above = |values: &[f64]| values.iter().filter(|&&v| v > threshold).count();
    let false_alarm = upper_rate(above(absent), absent.len(), 0.025);
    let missed = upper_rate(present.len() - above(present), present.len(), 0.025);
    -(quantile(false_alarm) + quantile(missed))
}

/// Where the normal distribution has this much below it.
fn quantile(rate: f64) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if upper_tail(-middle) < rate { low = middle } else { high = middle }
    }
    low
}

/// Upper confidence bound of a rate (Clopper and Pearson), by bisection on the exact binomial tail.
fn upper_rate(hits: usize, of: usize, level: f64) -> f64 {
    let log_choose: Vec<f64> = (0..hits)
        .scan(0.0, |log, i| {
            *log += ((of - i) as f64 / (i + 1) as f64).ln();
            Some(*log)
        })
        .collect();
    let tail = |p: f64| {
        let term = |i: usize, choose: f64| (choose + i as f64 * p.ln() + (of - i) as f64 * (-p).ln_1p()).exp();
        term(0, 0.0) + log_choose.iter().zip(1..).map(|(choose, i)| term(i, *choose)).sum::<f64>()
    };
    let (mut low, mut high) = (0.0, 1.0 - 1e-12);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if tail(middle) > level { low = middle } else { high = middle }
    }
    high
}
