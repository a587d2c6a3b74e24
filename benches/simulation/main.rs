//! How fast a fleet is simulated whose sites train a convolutional network: 100 sites of 50 pictures each, 10 rounds, one epoch
//! in batches of 10. All of it by the simulator's own rounds; without noise, which costs next to nothing here.
//!
//! `cargo bench --bench simulation`: CPU seconds of all threads, evaluation after every round included, and the accuracy on
//! pictures that no site has. Beside it that of a linear model that sees all sites' pictures at once: that these are no
//! task for one.

#![allow(clippy::unwrap_used)]

mod network;
mod pictures;

use std::cell::RefCell;
use std::time::Instant;

use cpu_time::ProcessTime;
use rand::SeedableRng;
use rand::rngs::StdRng;
use volet_federated::simulation::{Fleet, FleetError, Quality, Settings, Simulation};

use network::Network;
use pictures::{CHANNELS, CLASSES, PIXELS, Picture, normal};

const SITES: u32 = 100;
const OWN: usize = 50;
const HELD_OUT: usize = 1000;
const ROUNDS: u32 = 10;
const BATCH: usize = 10;
const RATE: f32 = 0.03;
const MOMENTUM: f32 = 0.9;

thread_local! {
    static NETWORK: RefCell<Network> = RefCell::new(Network::new());
}

struct Cameras {
    start: Vec<f32>,
    sites: Vec<Vec<Picture>>,
    held_out: Vec<Picture>,
}

impl Cameras {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let sites = (0..SITES).map(|_| Picture::many(OWN, &mut random)).collect();
        let held_out = Picture::many(HELD_OUT, &mut random);
        Self { start: network::initial(|| normal(&mut random)), sites, held_out }
    }

    fn model(&self, learned: &[f32]) -> Vec<f32> {
        self.start.iter().zip(learned).map(|(start, learned)| start + learned).collect()
    }
}

impl Fleet for Cameras {
    fn sites(&self) -> u32 {
        SITES
    }

    fn parameters(&self) -> usize {
        network::parameters()
    }

    fn update(&self, site: u32, _: u32, learned: &[f32]) -> Result<Vec<f32>, FleetError> {
        let before = self.model(learned);
        let mut own = before.clone();
        let (mut slope, mut running) = (vec![0.0; own.len()], vec![0.0; own.len()]);
        NETWORK.with_borrow_mut(|network| {
            for batch in self.sites[site as usize].chunks(BATCH) {
                network.gradient(&own, batch, &mut slope);
                for ((own, running), slope) in own.iter_mut().zip(&mut running).zip(&slope) {
                    *running = MOMENTUM * *running + slope;
                    *own -= RATE * *running;
                }
            }
        });
        own.iter_mut().zip(&before).for_each(|(own, before)| *own -= before);
        Ok(own)
    }

    fn quality(&self, learned: &[f32]) -> Result<Quality, FleetError> {
        let model = self.model(learned);
        let hits = |batch: &[Picture]| {
            let taken_for = NETWORK.with_borrow_mut(|network| network.classes(&model, batch));
            taken_for.iter().zip(batch).filter(|(class, picture)| **class == picture.class).count()
        };
        let hits: usize = self.held_out.chunks(BATCH).map(hits).sum();
        Ok(Quality { value: hits as f64 / HELD_OUT as f64, ..Quality::default() })
    }
}

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
        best = best.max(cameras.held_out.iter().filter(right).count() as f64 / HELD_OUT as f64);
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
