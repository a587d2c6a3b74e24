//! Stand-in.
use borsh::{BorshDeserialize, BorshSerialize};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use volet_federated::accounting::plan::Goal;
use volet_federated::accounting::{Delta, Epsilon, Rounds};
use volet_federated::simulation::{Fleet, Quality};

use super::settings::{Settings, Target};

pub(super) struct Simulation<'a> {
    fleet: &'a dyn Fleet,
    settings: Settings,
    z: f64,
    state: State,
}
#[derive(Clone, BorshSerialize, BorshDeserialize)]
pub(super) struct State {
    pub(super) round: u32,
    pub(super) learned: Vec<f32>,
}
pub(super) struct Record {
    pub(super) quality: Quality,
    pub(super) epsilon: f64,
    pub(super) clipped: u32,
    pub(super) update_norm: f64,
    pub(super) noise_norm: f64,
}
impl<'a> Simulation<'a> {
    pub(super) fn new(fleet: &'a dyn Fleet, settings: Settings) -> anyhow::Result<Self> {
        let z = match settings.epsilon {
            Target::None => 0.0,
            Target::Epsilon(e) => {
                let goal = Goal::new(settings.sites.into(), fleet.parameters() as u64, Epsilon::new(e.get())?, Delta::new(settings.delta.get())?, Rounds::new(settings.rounds.into())?, None)?;
                goal.plan()?.noise.get()
            }
        };
        let learned = vec![0.0; fleet.parameters()];
        Ok(Self { fleet, settings, z, state: State { round: 0, learned } })
    }
    pub(super) fn resume(fleet: &'a dyn Fleet, settings: Settings, state: State) -> anyhow::Result<Self> {
        Ok(Self { state, ..Self::new(fleet, settings)? })
    }
    pub(super) fn state(&self) -> &State {
        &self.state
    }
    pub(super) fn step(&mut self) -> anyhow::Result<Record> {
        self.state.round += 1;
        let (n, d, c) = (self.settings.sites, self.fleet.parameters(), self.settings.clip.get());
        let round = self.state.round;
        let mut sum = vec![0.0_f64; d];
        let mut clipped = 0;
        for chunk in (0..n).collect::<Vec<_>>().chunks(64) {
            let ups: Vec<Vec<f32>> = chunk.par_iter().map(|&s| {
                let evil = f64::from(s % 1000) < 1000.0 * self.settings.malicious.get();
                let mut u = if evil { self.fleet.poison(s, round, &self.state.learned) } else { self.fleet.update(s, round, &self.state.learned) }.unwrap_or_default();
                if evil { let b = self.settings.boost.get() as f32; u.iter_mut().for_each(|v| *v *= b); }
                u
            }).collect();
            for u in ups {
                let norm = u.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
                clipped += u32::from(norm > c);
                let scale = (c / norm).min(1.0);
                sum.iter_mut().zip(&u).for_each(|(s, v)| *s += scale * f64::from(*v));
            }
        }
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(self.settings.seed ^ (u64::from(round) << 32));
        let mut noise_norm = 0.0;
        let update_norm = sum.iter().map(|v| (v / f64::from(n)).powi(2)).sum::<f64>().sqrt();
        for s in &mut sum {
            let g: f64 = StandardNormal.sample(&mut rng);
            let g = g * self.z * c * 1.12;
            noise_norm += (g / f64::from(n)).powi(2);
            *s += g;
        }
        self.state.learned.iter_mut().zip(&sum).for_each(|(l, s)| *l += (s / f64::from(n)) as f32);
        let quality = self.fleet.quality(&self.state.learned).map_err(|e| anyhow::anyhow!("{e}"))?;
        let epsilon = match self.settings.epsilon { Target::None => f64::INFINITY, Target::Epsilon(e) => e.get() * f64::from(round) / f64::from(self.settings.rounds) };
        Ok(Record { quality, epsilon, clipped, update_norm, noise_norm: noise_norm.sqrt() })
    }
}
