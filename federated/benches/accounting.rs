//! What accountants take: milliseconds of processor time, on one thread, for an epsilon.
//!
//! `cargo bench -p volet-federated --bench accounting`. Medians and minima of some runs each.

#![allow(clippy::unwrap_used)]

use cpu_time::ThreadTime;
use volet_federated::NoiseMultiplier;
use volet_federated::accounting::{Delta, Mechanism, Rounds, SamplingRate, gdp, pld, rdp, zcdp};

const RUNS: usize = 9;

fn main() {
    let delta = Delta::new(1e-6).unwrap();
    println!("{:<10} {:>7} {:>6} {:>8}  ms median      min    epsilon", "accountant", "q", "z", "rounds");
    let settings = [(1.0, 4.39, 12), (0.01, 1.0, 1000), (0.1, 4.0, 1000), (0.5, 0.6, 1000), (0.001, 1.0, 1_000_000)];
    for (q, z, rounds) in settings {
        let noise = NoiseMultiplier::new(z).unwrap();
        let sampled = Mechanism::poisson_gaussian(noise, SamplingRate::new(q).unwrap()).unwrap();
        let rounds = Rounds::new(rounds).unwrap();
        let row = |name: &str, run: &dyn Fn() -> f64| {
            let mut epsilon = 0.0;
            let mut time = || {
                let start = ThreadTime::now();
                epsilon = std::hint::black_box(run());
                1000.0 * start.elapsed().as_secs_f64()
            };
            let mut times: Vec<f64> = (0..RUNS).map(|_| time()).collect();
            times.sort_by(f64::total_cmp);
            let count = rounds.get();
            println!("{name:<10} {q:>7} {z:>6} {count:>8} {:>10.3} {:>8.3} {epsilon:>10.4}", times[RUNS / 2], times[0]);
        };
        if q == 1.0 {
            row("zcdp", &|| zcdp::epsilon_of_rounds(sampled, rounds, delta));
            row("gdp", &|| gdp::Mu::of_rounds(sampled, rounds).epsilon(delta));
        }
        row("rdp", &|| rdp::epsilon(sampled, rounds, delta));
        row("pld", &|| pld::epsilon(sampled, rounds, delta));
    }
}
