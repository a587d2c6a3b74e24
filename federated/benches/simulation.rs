//! What simulating a fleet costs beside what its sites do: sites whose updates cost next to nothing.
//!
//! `cargo bench -p volet-federated --bench simulation`; with a number of sites as argument, that many. CPU seconds of all
//! threads, seconds on the wall, and the most memory that the process had so far.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;

use cpu_time::ThreadTime;
use volet_federated::ClipNorm;
use volet_federated::mechanism::Clipped;
use volet_federated::simulation::{Fleet, FleetError, Quality, Settings, Simulation};

/// Each site sends a piece of the same numbers, from another place on.
struct Free {
    sites: u32,
    parameters: usize,
    numbers: Vec<f32>,
}

impl Free {
    fn new(sites: u32, parameters: usize) -> Self {
        let number = |i: u64| (scattered(i) % 2001) as f32 / 1e5 - 0.01;
        Self { sites, parameters, numbers: (0..parameters as u64 + 4096).map(number).collect() }
    }
}

fn scattered(i: u64) -> u64 {
    i.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 33
}

impl Fleet for Free {
    fn sites(&self) -> u32 {
        self.sites
    }

    fn parameters(&self) -> usize {
        self.parameters
    }

    fn update(&self, site: u32, round: u32, _: &[f32]) -> Result<Vec<f32>, FleetError> {
        let from = (site + round) as usize % 4096;
        Ok(self.numbers[from..from + self.parameters].to_vec())
    }

    fn quality(&self, learned: &[f32]) -> Result<Quality, FleetError> {
        Ok(Quality { value: f64::from(learned[0]), ..Quality::default() })
    }
}

/// MB at the most so far, where the system tells.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e3
}

fn run(sites: u32, parameters: usize, rounds: u32, combine: &str) {
    let fleet = Free::new(sites, parameters);
    let settings = Settings { rounds, combine: combine.parse().unwrap(), ..Settings::default() };
    let start = Instant::now();
    let mut simulation = Simulation::new(&fleet, settings).unwrap();
    let (mut orchestration, mut learning) = (0.0, 0.0);
    while let Some(record) = simulation.step().unwrap() {
        assert_eq!(record.failure, None);
        orchestration += record.orchestration_cpu_s;
        learning += record.sites_cpu_s;
    }
    let clients = f64::from(sites) * f64::from(rounds);
    println!(
        "{sites} sites x {parameters} values x {rounds} rounds, {combine}: orchestration {:.1} us a client ({orchestration:.1} s), \
         sites {learning:.1} s, wall {:.1} s, at most {:.0} MB",
        1e6 * orchestration / clients,
        start.elapsed().as_secs_f64(),
        peak(),
    );
}

fn main() {
    let fleet = Free::new(1, 10_000);
    let clip = ClipNorm::new(1.0).unwrap();
    let update = fleet.update(0, 0, &[]).unwrap();
    let start = ThreadTime::now();
    for _ in 0..1000 {
        black_box(Clipped::of(black_box(&update), clip, false));
    }
    println!("the clip alone, 10000 values: {:.1} us", 1e3 * start.elapsed().as_secs_f64());
    let named = std::env::args().nth(1).and_then(|sites| sites.parse().ok());
    let sites = named.unwrap_or(10_000);
    run(sites, 10_000, 12, "mean");
    run(sites, 10_000, 12, "median");
    run(10 * sites, 40_000, 1, "mean");
}
