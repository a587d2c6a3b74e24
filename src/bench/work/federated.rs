//! Work that other people's software does too: rounds of a simulated fleet, the mean of updates, epsilon.

use std::hint::black_box;
use std::time::Instant;

use cpu_time::ProcessTime;
use volet_federated::NoiseMultiplier;
use volet_federated::accounting::{Delta, Mechanism, Rounds, SamplingRate, gdp, pld, rdp, zcdp};
use volet_federated::average::weighted_mean;
use volet_federated::simulation::{Settings, Simulation};

use super::Given;
use crate::bench::harness::{Metric, Sample};
use crate::bench::workload::Cameras;

pub(crate) const ROUNDS_CPU: Metric = Metric::lower("CPU per round", "s");
pub(crate) const ROUNDS_WALL: Metric = Metric::lower("time per round", "s");
pub(crate) const ACCURACY: Metric = Metric::higher("accuracy", "").exact();
pub(crate) const AGGREGATION: Metric = Metric::lower("CPU per aggregation", "s");
pub(crate) const THROUGHPUT: Metric = Metric::higher("updates read per CPU second", "GB/s");
pub(crate) const EPSILON: Metric = Metric::fact("epsilon", "");
pub(crate) const EPSILON_CPU: Metric = Metric::lower("CPU per epsilon", "s");

/// Rounds of the shared workload, by the simulator's own machines; without noise, as the others run it.
pub(super) fn rounds(given: &Given) -> anyhow::Result<Vec<Sample>> {
    let (rounds, seed): (u32, u64) = (given.get("rounds")?, given.get("seed")?);
    let cameras = Cameras::new(seed);
    let settings = Settings { rounds, epsilon: None, minimum_share: 1.0, clip_norm: 20.0, ..Settings::default() };
    let (cpu, wall) = (ProcessTime::now(), Instant::now());
    let mut simulation = Simulation::new(&cameras, settings)?;
    let mut accuracy = 0.0;
    while let Some(record) = simulation.step()? {
        anyhow::ensure!(record.failure.is_none(), "a round failed: {:?}", record.failure);
        accuracy = record.quality;
    }
    let each = |seconds: f64| seconds / f64::from(rounds.max(1));
    Ok(vec![
        ROUNDS_CPU.of(each(cpu.elapsed().as_secs_f64())),
        ROUNDS_WALL.of(each(wall.elapsed().as_secs_f64())),
        ACCURACY.of(accuracy),
    ])
}

/// The weighted mean of plain updates.
pub(super) fn aggregate(given: &Given) -> anyhow::Result<Vec<Sample>> {
    let (clients, parameters): (usize, usize) = (given.get("clients")?, given.get("parameters")?);
    let memory: Vec<f32> = (0..clients * parameters).map(|i| (i % 1000) as f32).collect();
    let updates: Vec<(&[f32], f32)> = memory.chunks_exact(parameters.max(1)).map(|update| (update, 1.0)).collect();
    let mut times = Vec::new();
    // The first touches the memory.
    for _ in 0..4 {
        let start = ProcessTime::now();
        black_box(weighted_mean(black_box(&updates))?);
        times.push(start.elapsed().as_secs_f64());
    }
    times.remove(0);
    times.sort_by(f64::total_cmp);
    let seconds = times.get(1).copied().unwrap_or(f64::NAN);
    let gigabytes = 4e-9 * (clients * parameters) as f64;
    Ok(vec![AGGREGATION.of(seconds), THROUGHPUT.of(gigabytes / seconds)])
}

/// Epsilon of so many rounds by one accountant.
pub(super) fn epsilon(given: &Given) -> anyhow::Result<Vec<Sample>> {
    let noise = NoiseMultiplier::new(given.get("sigma")?)?;
    let (rate, delta): (f64, f64) = (given.get("rate")?, given.get("delta")?);
    let (rounds, delta) = (Rounds::new(given.get("steps")?)?, Delta::new(delta)?);
    let sampled = rate < 1.0;
    let mechanism = match sampled {
        true => Mechanism::poisson_gaussian(noise, SamplingRate::new(rate)?)?,
        false => Mechanism::gaussian(noise)?,
    };
    let by: String = given.get("accountant")?;
    let start = ProcessTime::now();
    let epsilon = match by.as_str() {
        "pld" => pld::epsilon(mechanism, rounds, delta),
        "rdp" => rdp::epsilon(mechanism, rounds, delta),
        "zcdp" if !sampled => zcdp::epsilon_of_rounds(mechanism, rounds, delta),
        "gdp" if !sampled => gdp::Mu::of_rounds(mechanism, rounds).epsilon(delta),
        other => anyhow::bail!("{other} does not account for this"),
    };
    Ok(vec![EPSILON.of(epsilon), EPSILON_CPU.of(start.elapsed().as_secs_f64())])
}
