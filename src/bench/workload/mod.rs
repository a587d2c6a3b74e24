//! The workload that simulators of other people are compared on: 100 sites of 50 pictures each train a convolutional network of
//! 70,986 parameters, one epoch a round in batches of 10. Used by `volet bench` and by `cargo bench --bench simulation`.
//!
//! Knows no rounds and no clocks.

pub(crate) mod network;
pub(crate) mod pictures;

use std::cell::RefCell;

use rand::SeedableRng;
use rand::rngs::StdRng;
use volet_federated::simulation::{Fleet, FleetError, Quality};

use network::Network;
use pictures::{Picture, normal};

pub(crate) const SITES: u32 = 100;
const OWN: usize = 50;
const HELD_OUT: usize = 1000;
const BATCH: usize = 10;
const RATE: f32 = 0.03;
const MOMENTUM: f32 = 0.9;

thread_local! {
    static NETWORK: RefCell<Network> = RefCell::new(Network::new());
}

/// The sites, and pictures that none of them has.
pub(crate) struct Cameras {
    start: Vec<f32>,
    pub(crate) sites: Vec<Vec<Picture>>,
    pub(crate) held_out: Vec<Picture>,
}

impl Cameras {
    /// The same seed draws the same pictures and the same initial weights.
    pub(crate) fn new(seed: u64) -> Self {
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
            for batch in self.sites.get(site as usize).into_iter().flat_map(|own| own.chunks(BATCH)) {
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
