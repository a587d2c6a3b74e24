//! What epsilon is worth: accountants against published values and against an integral, an attacker who counts, and what learning costs.

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

use crate::bench::harness::{Bench, Metric, Subject, alone, run as volet, text, work};
use crate::bench::record::Params;

const GAP: Metric = Metric::lower("largest relative gap to the reference", "").exact();
const ROWS: Metric = Metric::fact("values compared", "");
const QUALITY: Metric = Metric::higher("quality after the last round", "").exact();
const KEPT: Metric = Metric::higher("share of the noiseless gain that is kept", "").exact();
const TIME: Metric = Metric::lower("time", "s");

/// Published values for one release with noise multiplier 1 at delta 1e-5: the exact value (Balle and Wang 2018), and that of zCDP by
/// Proposition 12 of Canonne, Kamath and Steinke 2020; and of a thousand sampled rounds at rate 0.01, by RDP (Opacus) and by PLD.
const PUBLISHED: [(&str, &str, Option<&str>, &str, f64); 4] = [
    ("gdp", "1", None, "1", 4.377_178_095_681_235),
    ("zcdp", "1", None, "1", 4.728_386_984_943_314),
    ("rdp", "1", Some("0.01"), "1000", 2.101_365_271_643_056_4),
    ("pld", "1", Some("0.01"), "1000", 1.828_243_645_585_509),
];

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    published(bench)?;
    integral(bench)?;
    reference(bench)?;
    audits(bench)?;
    accountants(bench)?;
    utility(bench)
}

/// What `volet privacy account` says.
fn account(z: &str, rounds: &str, delta: &str, sampling: Option<&str>) -> anyhow::Result<Value> {
    let mut words =
        vec!["privacy", "account", "--json", "--noise", z, "--rounds", rounds, "--delta", delta, "--mechanism"];
    words.push(if sampling.is_some() { "poisson-gaussian" } else { "gaussian" });
    words.extend(sampling.iter().flat_map(|rate| ["--sampling", *rate]));
    Ok(serde_json::from_str(&volet(words)?.said)?)
}

fn of(account: &Value, accountant: &str) -> anyhow::Result<f64> {
    account.get(accountant).and_then(Value::as_f64).with_context(|| format!("no epsilon by {accountant}"))
}

/// How far off a value is, of its size.
fn gap(value: f64, reference: f64) -> f64 {
    (value / reference - 1.0).abs()
}

fn published(bench: &mut Bench) -> anyhow::Result<()> {
    for (accountant, z, sampling, rounds, value) in PUBLISHED {
        let params = Params::none().with("accountant", accountant);
        bench.once("published values", &params, || {
            Ok(vec![GAP.of(gap(of(&account(z, rounds, "1e-5", sampling)?, accountant)?, value))])
        })?;
    }
    Ok(())
}

/// The exact accountant against the definition: delta is the integral of what the one density has above e^epsilon times the other.
fn integral(bench: &mut Bench) -> anyhow::Result<()> {
    bench.once("definition, integrated", &Params::none().with("accountant", "gdp"), || {
        let mut worst = 0.0_f64;
        for (z, rounds) in [(4.39, 12), (2.0, 10), (1.0, 1)] {
            let delta = 1e-6;
            let epsilon = of(&account(&z.to_string(), &rounds.to_string(), "1e-6", None)?, "gdp")?;
            let mu = f64::from(rounds).sqrt() / z;
            worst = worst.max(gap(delta_of(mu, epsilon), delta));
        }
        Ok(vec![GAP.of(worst), ROWS.of(3.0)])
    })
}

/// By Simpson's rule, over all that is not next to nothing.
fn delta_of(mu: f64, epsilon: f64) -> f64 {
    const STEPS: u32 = 200_000;
    let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    // Only beyond this the first density is above the other times e^epsilon.
    let (from, to) = (epsilon / mu + mu / 2.0, epsilon / mu + mu / 2.0 + 20.0);
    let step = (to - from) / f64::from(STEPS);
    let at = |n: u32| {
        let x = from + step * f64::from(n);
        density(x - mu) - epsilon.exp() * density(x)
    };
    let weight = |n: u32| {
        if n == 0 || n == STEPS {
            1.0
        } else if n % 2 == 1 {
            4.0
        } else {
            2.0
        }
    };
    step / 3.0 * (0..=STEPS).map(|n| weight(n) * at(n)).sum::<f64>()
}

#[derive(Deserialize)]
struct Reference {
    gaussian_composed: Vec<Composed>,
    poisson_gaussian: Vec<Sampled>,
}

#[derive(Deserialize)]
struct Composed {
    z: f64,
    #[serde(rename = "T")]
    rounds: u64,
    delta: f64,
    exact_gdp_eps: f64,
    zcdp_cks20_eps: f64,
}

#[derive(Deserialize)]
struct Sampled {
    q: f64,
    z: f64,
    #[serde(rename = "T")]
    rounds: u64,
    delta: f64,
    opacus_rdp_eps: f64,
    pld_eps: f64,
}

const REFERENCE: &str = "reference table";

/// Values of other accountants, where the table of them is there; which of its columns to trust is by its own notes.
fn reference(bench: &mut Bench) -> anyhow::Result<()> {
    let Some(path) = bench.shared.as_ref().map(|dir| dir.join("dp/reference.json")).filter(|path| path.is_file())
    else {
        return bench.skip(REFERENCE, "the table of reference values is not here (../shared/dp/reference.json)");
    };
    let table: Reference = serde_json::from_slice(&std::fs::read(&path)?).with_context(|| text(&path))?;
    let Reference { gaussian_composed: plain, poisson_gaussian: sampled } = &table;
    let composed = |row: &Composed| account(&row.z.to_string(), &row.rounds.to_string(), &row.delta.to_string(), None);
    let drawn = |row: &Sampled| {
        account(&row.z.to_string(), &row.rounds.to_string(), &row.delta.to_string(), Some(&row.q.to_string()))
    };
    gaps(bench, "gdp", plain, |row| Ok(gap(of(&composed(row)?, "gdp")?, row.exact_gdp_eps)))?;
    gaps(bench, "zcdp", plain, |row| Ok(gap(of(&composed(row)?, "zcdp")?, row.zcdp_cks20_eps)))?;
    gaps(bench, "rdp", sampled, |row| Ok(gap(of(&drawn(row)?, "rdp")?, row.opacus_rdp_eps)))?;
    gaps(bench, "pld", sampled, |row| Ok(gap(of(&drawn(row)?, "pld")?, row.pld_eps)))
}

/// The largest of the gaps in a column.
fn gaps<T>(
    bench: &mut Bench,
    accountant: &str,
    rows: &[T],
    gap: impl Fn(&T) -> anyhow::Result<f64>,
) -> anyhow::Result<()> {
    bench.once(REFERENCE, &Params::none().with("accountant", accountant), || {
        let gaps = rows.iter().map(&gap).collect::<anyhow::Result<Vec<f64>>>()?;
        Ok(vec![GAP.of(gaps.iter().copied().fold(0.0, f64::max)), ROWS.of(gaps.len() as f64)])
    })
}

/// An attacker who counts, on a mechanism that keeps its word and on one with half the noise.
fn audits(bench: &mut Bench) -> anyhow::Result<()> {
    let runs = bench.pick("20000", "100000");
    for (case, z) in [("audit, sound", "1.1901"), ("audit, half the noise planted", "0.59505")] {
        let words = [("z", z.to_owned()), ("claimed", "1.1901".to_owned()), ("runs", runs.to_owned())];
        bench.once(case, &Params::none(), || work("audit", &words))?;
    }
    Ok(())
}

/// What an epsilon costs to compute, beside dp-accounting.
fn accountants(bench: &mut Bench) -> anyhow::Result<()> {
    for (sigma, steps, rate) in [("4.39", "12", "1"), ("1.0", "1000", "0.01")] {
        let mut words = vec![("sigma", sigma.to_owned()), ("steps", steps.to_owned()), ("delta", "1e-6".to_owned())];
        // To the peer, everybody in every round is another mechanism and not a rate.
        let sampled = [("mechanism", "poisson-gaussian".to_owned()), ("rate", rate.to_owned())];
        let asked = words.iter().cloned().chain(sampled.into_iter().filter(|_| rate != "1")).collect();
        let peer = bench.peer("dp_accounting", "epsilon", asked)?;
        words.extend([("rate", rate.to_owned()), ("accountant", "pld".to_owned())]);
        let own = Subject::volet(|| alone("epsilon", &words));
        let number = |text: &str| text.parse::<f64>();
        let params =
            Params::none().with("sigma", number(sigma)?).with("steps", number(steps)?).with("rate", number(rate)?);
        bench.interleave("epsilon by PLD", &params, std::iter::once(own).chain(peer).collect())?;
    }
    Ok(())
}

/// A small simulated fleet at several epsilons.
fn utility(bench: &mut Bench) -> anyhow::Result<()> {
    let (sites, rounds) = bench.pick(("300", "6"), ("1000", "12"));
    let (out, seed) = (bench.folder("utility-")?, bench.seed.to_string());
    let mut words =
        vec!["simulate", "--sites", sites, "--rounds", rounds, "--seed", &seed, "--json", "--fleet", "softmax"];
    let epsilons = "epsilon=none,1,2,4,8";
    let out = text(&out.join("fleet"));
    words.extend(["--sweep", epsilons, "--out", &out]);
    let params = Params::none().with("sites", sites.parse::<f64>()?).with("rounds", rounds.parse::<f64>()?);
    bench.once("utility", &params, || {
        let took = volet(&words)?;
        let summary: Value = serde_json::from_str(&took.said)?;
        let runs = summary.get("runs").and_then(Value::as_array).context("the simulation says nothing of its runs")?;
        let mut samples = vec![TIME.of(took.wall_s)];
        for run in runs {
            let number = |key: &str| run.get(key).and_then(Value::as_f64);
            let name = run.get("run").and_then(Value::as_str).unwrap_or_default();
            let epsilon = name.strip_prefix("epsilon ").unwrap_or(name);
            let at = match epsilon.parse::<f64>() {
                Ok(epsilon) => Params::none().with("epsilon", epsilon),
                Err(_) => Params::none().with("epsilon", epsilon),
            };
            samples.extend(number("quality_after").map(|value| QUALITY.of(value).at(&at)));
            samples.extend(number("gain_kept").map(|value| KEPT.of(value).at(&at)));
        }
        Ok(samples)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exact epsilon of one release with noise 1 at delta 1e-5, as published.
    #[test]
    fn the_integral_gives_the_published_delta() {
        assert!(gap(delta_of(1.0, 4.377_178_095_681_235), 1e-5) < 1e-9);
    }
}
