//! Against what other libraries answered: `../shared/dp/reference.json` beside the project, and a few of its rows here.

use std::cell::RefCell;
use std::path::Path;

use serde_json::Value;

use super::super::{account, gdp, pld, rdp, zcdp};
use super::{delta, epsilon, gaussian, rounds, sampled};
use crate::Rho;

/// Rows of one table; none, with a word, where the file is not there.
fn table(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/dp/reference.json");
    let Ok(text) = std::fs::read(&path) else {
        eprintln!("skipped: ../shared/dp/reference.json is not there");
        return Vec::new();
    };
    let mut all: Value = serde_json::from_slice(&text).unwrap();
    let rows: Vec<Value> = serde_json::from_value(all[name].take()).unwrap();
    assert!(!rows.is_empty(), "{name}");
    rows
}

fn number(row: &Value, key: &str) -> f64 {
    row[key].as_f64().unwrap_or_else(|| panic!("{key} of {row}"))
}

/// Signed relative deviations from reference values, each within bounds; the extremes are printed.
struct Deviations {
    name: &'static str,
    allowed: (f64, f64),
    seen: RefCell<(f64, f64)>,
}

impl Deviations {
    fn new(name: &'static str, low: f64, high: f64) -> Self {
        Self { name, allowed: (low, high), seen: RefCell::new((f64::INFINITY, f64::NEG_INFINITY)) }
    }

    fn check(&self, got: f64, expected: f64, row: impl std::fmt::Debug) {
        let off = (got - expected) / expected.abs();
        let (low, high) = self.allowed;
        assert!((low..=high).contains(&off), "{}: {got} for {expected}, {off:e} off: {row:?}", self.name);
        self.seen.replace_with(|(l, h)| (l.min(off), h.max(off)));
    }
}

impl Drop for Deviations {
    fn drop(&mut self) {
        let (low, high) = *self.seen.borrow();
        eprintln!("{}: {low:+.1e} to {high:+.1e}", self.name);
    }
}

fn rho(value: f64) -> Rho {
    // Reference values have no more digits than that.
    format!("{value:.12}").parse().unwrap()
}

#[test]
fn gaussian_rounds() {
    let (exact, zero, renyi) = (
        Deviations::new("gaussian_composed, GDP", -1e-9, 1e-9),
        Deviations::new("gaussian_composed, zCDP", -1e-9, 1e-9),
        Deviations::new("gaussian_composed, RDP", -1e-9, 1e-6),
    );
    let grid = Deviations::new("gaussian_composed, PLD", -1e-8, 1e-3);
    for row in table("gaussian_composed") {
        let of = |key| number(&row, key);
        let got = account(gaussian(of("z")), rounds(of("T") as u64), delta(of("delta")));
        exact.check(got.gdp.unwrap(), of("exact_gdp_eps"), &row);
        zero.check(got.zcdp.unwrap(), of("zcdp_cks20_eps"), &row);
        renyi.check(got.rdp, of("rdp_eps"), &row);
        grid.check(got.pld, of("pld_eps"), &row);
        assert!(got.pld >= of("exact_gdp_eps"), "{row}");
    }
}

#[test]
fn sampled_rounds() {
    let renyi = Deviations::new("poisson_gaussian, RDP", -1e-9, 1e-6);
    let grid = Deviations::new("poisson_gaussian, PLD", -1e-3, 1e-3);
    let unsampled = Deviations::new("poisson_gaussian, GDP without sampling", -1e-9, 1e-9);
    for row in table("poisson_gaussian") {
        let of = |key| number(&row, key);
        let (count, at) = (rounds(of("T") as u64), delta(of("delta")));
        let got = account(sampled(of("q"), of("z")), count, at);
        assert_eq!((got.zcdp, got.gdp), (None, None));
        renyi.check(got.rdp, of("opacus_rdp_eps"), &row);
        grid.check(got.pld, of("pld_eps"), &row);
        let bracket: [f64; 3] = serde_json::from_value(row["prv_eps_lower_est_upper"].clone()).unwrap();
        assert!((bracket[0]..=bracket[2]).contains(&got.pld), "{} {row}", got.pld);
        let whole = gdp::Mu::of_rounds(gaussian(of("z")), count).epsilon(at);
        unsampled.check(whole, of("no_amplification_exact_eps"), &row);
    }
}

#[test]
fn divergences_by_quadrature() {
    let off = Deviations::new("rdp_points_poisson_gaussian", -1e-9, 1e-6);
    for row in table("rdp_points_poisson_gaussian") {
        let of = |key| number(&row, key);
        let order = rdp::Order::new(of("alpha")).unwrap();
        off.check(rdp::divergence(sampled(of("q"), of("z")), order), of("quadrature_rdp"), &row);
    }
}

#[test]
fn deltas_of_gaussian_differential_privacy() {
    let off = Deviations::new("gdp_delta_points", -1e-9, 1e-9);
    for row in table("gdp_delta_points") {
        let of = |key| number(&row, key);
        off.check(gdp::Mu::new(of("mu")).unwrap().delta(epsilon(of("eps"))), of("delta"), &row);
    }
}

#[test]
fn conversions_of_rho() {
    let off = Deviations::new("zcdp_points_cks20", -1e-9, 1e-9);
    for row in table("zcdp_points_cks20") {
        let of = |key| number(&row, key);
        off.check(zcdp::epsilon(rho(of("rho")), delta(of("delta"))), of("eps"), &row);
    }
    // The reference gives these rho with more than twelve digits.
    let off = Deviations::new("tree_aggregation", -1e-9, 1e-9);
    for row in table("tree_aggregation") {
        let of = |key| number(&row, key);
        off.check(zcdp::epsilon(rho(of("rho")), delta(of("delta"))), of("zcdp_cks20_eps"), &row);
    }
}

#[test]
fn calibration() {
    let off = Deviations::new("calibration, exact", -1e-9, 1e-9);
    let grid = Deviations::new("calibration, epsilon by PLD", -1e-3, 1e-3);
    for row in table("calibration") {
        let of = |key| number(&row, key);
        let (count, at) = (rounds(of("T") as u64), delta(of("delta")));
        match row["z_exact"].as_f64() {
            Some(z) => off.check(gdp::noise(epsilon(of("target_eps")), at, count).unwrap().get(), z, &row),
            None => grid.check(pld::epsilon(sampled(of("q"), of("z_pld")), count, at), of("target_eps"), &row),
        }
    }
}

/// zCDP holds for the discrete Gaussian, whose exact epsilons these are; Gaussian differential privacy is not quite
/// enough for it, and from 64 steps on cannot be told from it.
#[test]
fn the_discrete_gaussian() {
    let off = Deviations::new("discrete_gaussian_1d, zCDP", -1e-9, 1e-9);
    let mut undercut = 0;
    for row in table("discrete_gaussian_1d").iter().filter(|r| r["q"].is_null()) {
        let of = |key| number(row, key);
        let got = account(gaussian(of("sigma")), rounds(of("T") as u64), delta(of("delta")));
        off.check(got.zcdp.unwrap(), of("zcdp_cks20_eps"), row);
        assert!(got.zcdp.unwrap() >= of("pld_eps"), "{row}");
        undercut += u32::from(got.gdp.unwrap() < of("pld_eps"));
        if of("sigma") >= 64.0 {
            assert!((got.gdp.unwrap() / of("pld_eps") - 1.0).abs() < 1e-5, "{row}");
        }
    }
    eprintln!("discrete_gaussian_1d: {undercut} rows above the continuous Gaussian's epsilon");
}

/// Correlated noise is one Gaussian with mu = 1/z; rounded vectors are a Gaussian with less noise.
#[test]
fn other_mechanisms_that_are_gaussian() {
    let off = Deviations::new("blt_dpftrl, GDP", -1e-9, 1e-9);
    for row in table("blt_dpftrl") {
        for point in row["eps_at"].as_array().unwrap() {
            let of = |key| number(point, key);
            off.check(gdp::Mu::new(1.0 / of("z")).unwrap().epsilon(delta(of("delta"))), of("eps"), point);
        }
    }
    let off = Deviations::new("ddgauss_q1, GDP", -1e-9, 1e-9);
    for row in table("ddgauss_q1") {
        let of = |key| number(&row, key);
        let at = |z| gdp::Mu::of_rounds(gaussian(z), rounds(of("T") as u64)).epsilon(delta(of("delta")));
        off.check(at(of("z_central")), of("cont_gaussian_exact_eps_no_rounding"), &row);
        off.check(at(of("z_central") / of("inflation")), of("cont_gaussian_exact_eps_with_rounding"), &row);
    }
}

/// Some rows of the file, for checkouts without it.
#[test]
fn rows_that_are_always_here() {
    let near = Deviations::new("exact rows", -1e-9, 1e-9);
    for (z, count, at, exact, zero) in [
        (1.0, 1, 1e-5, 4.377178095681235, 4.728386984943314),
        (4.0, 100, 1e-6, 14.45077696599135, 15.327529574826322),
        (100.0, 10_000, 1e-9, 6.173935046670912, 6.4740700207264865),
    ] {
        let got = account(gaussian(z), rounds(count), delta(at));
        near.check(got.gdp.unwrap(), exact, z);
        near.check(got.zcdp.unwrap(), zero, z);
    }
    near.check(zcdp::epsilon(rho(0.005), delta(1e-10)), 0.6035361289797431, "rho");
    near.check(gdp::Mu::new(0.25).unwrap().delta(epsilon(8.0)), 2.3030265327525806e-225, "mu 0.25");
    near.check(gdp::Mu::new(4.0).unwrap().delta(epsilon(0.1)), 0.9521780438554351, "mu 4");
    near.check(gdp::noise(epsilon(4.0), delta(1e-6), rounds(1)).unwrap().get(), 1.1935185871579832, "z1");
    let (renyi, grid) = (Deviations::new("RDP rows", -1e-9, 1e-6), Deviations::new("PLD rows", -1e-3, 1e-3));
    for (q, z, count, at, opacus, low, pld_eps, high) in [
        (0.01, 1.0, 1000, 1e-5, 2.1013652716430564, 1.8244486356614946, 1.8282436455855091, 1.8320256153462657),
        (0.001, 1.0, 10_000, 1e-6, 0.9795416255105658, 0.5531072939555451, 0.5553923387110606, 0.5571729184451526),
        (0.5, 2.0, 20, 1e-5, 6.2284173254307245, 5.67775371875709, 5.689457788816484, 5.701164895174238),
    ] {
        let got = account(sampled(q, z), rounds(count), delta(at));
        renyi.check(got.rdp, opacus, (q, z));
        grid.check(got.pld, pld_eps, (q, z));
        assert!((low..=high).contains(&got.pld));
    }
}

/// To twenty digits, by arithmetic with sixty: nothing is told too low.
#[test]
#[allow(clippy::excessive_precision)] // as they were computed
fn nothing_is_below_the_truth() {
    let above = Deviations::new("twenty digits", 0.0, 1e-9);
    for (mu, at, truth) in [
        (0.01, 0.05, 5.4814402007468725614e-10),
        (0.1, 0.5, 6.8565824558387371436e-9),
        (0.125, 1.0, 1.5530843865025792176e-17),
        (0.2, 2.0, 4.0437035667649202358e-25),
        (1.0, 4.0, 0.000047122412007931198674),
        (10.0, 60.0, 0.13683538039646126522),
        (100.0, 5000.0, 0.49601097601864319002),
    ] {
        above.check(gdp::Mu::new(mu).unwrap().delta(epsilon(at)), truth, (mu, at));
    }
    for (q, z, alpha, truth) in [
        (0.01, 1.0, 3.5, 0.00031311663858379341461),
        (0.25, 0.5, 1.25, 0.37718964535506843006),
        (0.75, 2.0, 4.75, 0.39458673409839420682),
        (0.5, 1.0, 2.5, 0.51056038092363164895),
        (0.125, 4.0, 8.0, 0.0042117537574860481493),
        (0.9375, 0.75, 6.5, 5.7015094473772939996),
    ] {
        above.check(rdp::divergence(sampled(q, z), rdp::Order::new(alpha).unwrap()), truth, (q, z, alpha));
    }
    for (spent, at, truth) in [
        (0.3111, 1e-6, 4.000251299827886665),
        (0.000001, 1e-6, 0.0044964939806486117092),
        (50.0, 1e-30, 166.26069709794829413),
        (0.5, 0.01, 2.7530495483253115133),
    ] {
        above.check(zcdp::epsilon(rho(spent), delta(at)), truth, (spent, at));
    }
}
