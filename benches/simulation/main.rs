//! How fast a fleet is simulated whose sites train a convolutional network: 100 sites of 50 pictures each, 10 rounds, one epoch
//! in batches of 10. All of it by the simulator's own rounds; without noise, which costs next to nothing here.
//!
//! `cargo bench --bench simulation`: CPU seconds of all threads, evaluation after every round included, and the accuracy on
//! pictures that no site has. Beside it that of a linear model that sees all sites' pictures at once: that these are no
//! task for one.

#![allow(clippy::unwrap_used)]

#[path = "../../src/bench/workload/mod.rs"]
mod workload;

use std::time::Instant;

use cpu_time::ProcessTime;
use volet_federated::simulation::{Fleet, Settings, Simulation};

use workload::network;
use workload::pictures::{CHANNELS, CLASSES, PIXELS, Picture};
use workload::{Cameras, SITES};

const ROUNDS: u32 = 10;

/// The best accuracy, on the held-out pictures, of logistic regression on all sites' pictures: thirty epochs.
fn linear(cameras: &Cameras) -> f64 {
    let mut weights = vec![[0.0_f32; CLASSES]; CHANNELS * PIXELS];
    let logits = |weights: &[[f32; CLASSES]], picture: &Picture| {
        let mut row = [0.0_f32; CLASSES];
        for (weights, pixel) in weights.iter().zip(&picture.pixels) {
            row.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight * pixel);
        }
        row
    };
    let mut best = 0.0_f64;
    for _ in 0..30 {
        for picture in cameras.sites.iter().flatten() {
            let mut row = logits(&weights, picture);
            network::softmax(&mut row);
            row[picture.class] -= 1.0;
            for (weights, pixel) in weights.iter_mut().zip(&picture.pixels) {
                weights.iter_mut().zip(&row).for_each(|(weight, slope)| *weight -= 1e-4 * slope * pixel);
            }
        }
        let right = |picture: &&Picture| {
            let row = logits(&weights, picture);
            row.iter().all(|v| *v <= row[picture.class])
        };
        best = best.max(cameras.held_out.iter().filter(right).count() as f64 / cameras.held_out.len() as f64);
    }
    best
}

fn main() {
    let cameras = Cameras::new(1);
    let settings =
        Settings { rounds: ROUNDS, epsilon: None, minimum_share: 1.0, clip_norm: 20.0, ..Settings::default() };
    let (cpu, wall) = (ProcessTime::now(), Instant::now());
    let mut simulation = Simulation::new(&cameras, settings).unwrap();
    let (mut accuracy, mut orchestration) = (0.0, 0.0);
    while let Some(record) = simulation.step().unwrap() {
        assert!(record.failure.is_none() && record.clipped_share == 0.0, "{record:?}");
        (accuracy, orchestration) = (record.quality, orchestration + record.orchestration_cpu_s);
        println!("round {:>2}: accuracy {accuracy:.3}", record.round);
    }
    println!(
        "{SITES} sites x {ROUNDS} rounds, {} parameters: accuracy {accuracy:.3} in {:.1} CPU s ({orchestration:.2} s of them \
         orchestration), {:.1} s on the wall",
        cameras.parameters(),
        cpu.elapsed().as_secs_f64(),
        wall.elapsed().as_secs_f64(),
    );
    println!("a linear model of all pictures together: accuracy {:.3}", linear(&cameras));
}
