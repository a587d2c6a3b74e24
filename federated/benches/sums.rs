//! How fast plain updates are averaged, beside reading the same memory; and what noise costs.
//!
//! `cargo bench -p volet-federated --bench sums`. CPU time of one thread; medians of some runs.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use cpu_time::ThreadTime;
use volet_federated::average::weighted_mean;
use volet_federated::mechanism::Mechanism;
use volet_federated::{ClipNorm, CohortSize, NoiseMultiplier};

fn median(mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..7)
        .map(|_| {
            let start = ThreadTime::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[3]
}

fn main() {
    let (n, d) = (1000, 1_000_000);
    let memory: Vec<f32> = (0..n * d).map(|i| (i % 1000) as f32).collect();
    let updates: Vec<(&[f32], f32)> = memory.chunks_exact(d).map(|v| (v, 1.0)).collect();
    let gigabytes = (n * d * 4) as f64 / 1e9;
    let read = median(|| {
        let words = memory.iter().map(|v| v.to_bits());
        black_box(pulp::Arch::new().dispatch(|| words.clone().fold(0, |a: u32, b| a.wrapping_add(b))));
    });
    let mean = median(|| drop(black_box(weighted_mean(&updates).unwrap())));
    println!(
        "{n} updates of {d} values: mean {:.1} GB/s, reading alone {:.1} GB/s",
        gigabytes / mean,
        gigabytes / read
    );
    drop(updates);
    drop(memory);

    let cohort = CohortSize::new(900).unwrap();
    let (clip, z) = (ClipNorm::new(1.0).unwrap(), NoiseMultiplier::new(4.39).unwrap());
    let mechanism = Mechanism::new(clip, z, cohort, 100, 100_000, false).unwrap();
    let noise = median(|| drop(black_box(mechanism.noise_of_sum(1).unwrap())));
    println!("noise for 100,000 integers, sigma {:.0}: {noise:.3} s", mechanism.share_sigma());
}
