//! A fleet whose sites learn softmax regression on points drawn from a seed: the cheap one, to check what noise does to
//! many sites before a detector's pictures are waited for.
//!
//! Points of [`CLASSES`] kinds scatter around one centre for each kind. The model that is shipped knows the kinds from a
//! laboratory, where the centres lay elsewhere; what can be learned is where they lie in the field. Sites differ: each
//! has its own mixture of kinds (Dirichlet, as Hsu, Qi and Brown 2019 have it) and sees all points moved by its own offset.
//!
//! Knows points and sites; nothing of noise, rounds' costs, or files.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, Gamma, StandardNormal};
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use volet_federated::simulation::{Fleet, FleetError, Quality};
use volet_synthetic::seed_of;

use super::task::{self, TaskError};

/// How many kinds of points there are.
pub(crate) const CLASSES: usize = 8;
/// The kind that attackers want to be taken for the one after it.
const VICTIM: usize = 0;
const BATCH: usize = 8;
/// How far a kind's centre lies from the middle, where points scatter by 1 in every direction.
const DISTANCE: f32 = 3.5;
/// How far a site's offset moves its points.
const OFFSET: f32 = 1.5;
/// The cosine between where a centre lies in the laboratory and where it lies in the field.
const FAMILIAR: f32 = 0.3;

/// What the sites learn, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Task {
    /// How many values an update has: a multiple of [`CLASSES`], one of them for each kind's bias.
    pub(super) parameters: u32,
    /// How many points a site has.
    pub(super) samples: u32,
    /// The concentration of the Dirichlet distribution of a site's kinds: 0.1 gives it one or two, 100 all alike.
    pub(super) skew: f64,
    /// How often a site passes over its points in a round.
    pub(super) epochs: u32,
    /// How far each batch of eight points moves the weights.
    pub(super) rate: f64,
    /// How many sites are held out to measure quality, with 60 points each.
    pub(super) held_out: u32,
}

impl Default for Task {
    fn default() -> Self {
        Self { parameters: 10_000, samples: 64, skew: 0.5, epochs: 2, rate: 0.05, held_out: 100 }
    }
}

/// Points of a held-out site.
const HELD_OUT_POINTS: u32 = 60;

impl Task {
    /// # Errors
    /// A number is out of bounds.
    pub(super) fn check(&self) -> Result<(), TaskError> {
        let parameters = 2 * CLASSES as u32..=10_000_000;
        let whole = |range: std::ops::RangeInclusive<u32>, value: u32| range.contains(&value);
        let real = |low: f64, high: f64, value: f64| value >= low && value <= high;
        let fits = self.parameters.is_multiple_of(CLASSES as u32) && whole(parameters, self.parameters);
        let numbers = [
            ("parameters", f64::from(self.parameters), fits, "a multiple of 8 from 16 to 10,000,000"),
            ("samples", f64::from(self.samples), whole(1..=100_000, self.samples), "from 1 to 100,000"),
            ("skew", self.skew, real(0.01, 1e6, self.skew), "from 0.01 to 1,000,000"),
            ("epochs", f64::from(self.epochs), whole(1..=1000, self.epochs), "from 1 to 1000"),
            ("rate", self.rate, real(1e-9, 1e3, self.rate), "above 0 and up to 1000"),
            ("held-out", f64::from(self.held_out), whole(1..=100_000, self.held_out), "from 1 to 100,000"),
        ];
        task::check("softmax", numbers)
    }
}

/// One weight for each kind.
type Weights = [f32; CLASSES];

/// The fleet.
pub(super) struct Softmax {
    task: Task,
    seed: u64,
    sites: u32,
    /// Where the kinds lie in the field, by feature.
    centres: Vec<Weights>,
    /// The model that is shipped; the last feature is the bias.
    shipped: Vec<Weights>,
}

/// What a seed is used for.
#[derive(Clone, Copy)]
enum Purpose {
    Centres,
    Site,
    HeldOut,
    Poison,
}

impl Softmax {
    /// Sites whose points follow from the seed.
    ///
    /// # Errors
    /// The task cannot be.
    pub(super) fn new(task: Task, sites: u32, seed: u64) -> Result<Self, TaskError> {
        task.check()?;
        let features = task.parameters as usize / CLASSES - 1;
        let mut rng = Pcg64Mcg::seed_from_u64(seed_of(seed, Purpose::Centres as u64));
        let length = DISTANCE / (features as f32).sqrt();
        let mut place = || -> Vec<Weights> { (0..features).map(|_| normal(&mut rng, length)).collect() };
        let (centres, elsewhere) = (place(), place());
        let strange = (1.0 - FAMILIAR * FAMILIAR).sqrt();
        let mut shipped: Vec<Weights> = centres
            .iter()
            .zip(&elsewhere)
            .map(|(here, there)| std::array::from_fn(|k| FAMILIAR * here[k] + strange * there[k]))
            .collect();
        shipped.push([0.0; CLASSES]);
        Ok(Self { task, seed, sites, centres, shipped })
    }

    fn rng(&self, purpose: Purpose, site: u32) -> Pcg64Mcg {
        Pcg64Mcg::seed_from_u64(seed_of(seed_of(self.seed, purpose as u64), site.into()))
    }

    /// A site's points: drawn anew each time, since ten thousand sites' would fill the memory.
    fn points(&self, purpose: Purpose, site: u32, count: u32) -> Result<Points, FleetError> {
        let mut rng = self.rng(purpose, site);
        let gamma = Gamma::new(self.task.skew, 1.0).map_err(|e| FleetError(e.to_string()))?;
        let mixture: [f64; CLASSES] = match purpose {
            Purpose::Poison => std::array::from_fn(|k| f64::from(u8::from(k == VICTIM))),
            _ => std::array::from_fn(|_| gamma.sample(&mut rng).max(f64::MIN_POSITIVE)),
        };
        let features = self.centres.len();
        let moved = OFFSET / (features as f32).sqrt();
        let offset: Vec<f32> = (0..features).map(|_| moved * normal_one(&mut rng)).collect();
        let mut points = Points { features: Vec::with_capacity(features * count as usize), kinds: Vec::new() };
        for _ in 0..count {
            let kind = choose(&mixture, &mut rng);
            points.kinds.push(kind);
            let centres = self.centres.iter().zip(&offset);
            points.features.extend(centres.map(|(centre, offset)| centre[kind] + offset + normal_one(&mut rng)));
        }
        Ok(points)
    }

    /// The shipped model with what was learned on top.
    fn model(&self, learned: &[f32]) -> Result<Vec<Weights>, FleetError> {
        let (rows, rest) = learned.as_chunks::<CLASSES>();
        if rows.len() != self.shipped.len() || !rest.is_empty() {
            let (have, need) = (learned.len(), self.shipped.len() * CLASSES);
            return Err(FleetError(format!("what was learned has {have} values and the task {need}")));
        }
        Ok(self.shipped.iter().zip(rows).map(|(a, b)| std::array::from_fn(|k| a[k] + b[k])).collect())
    }

    /// What passes over these points change in the model.
    fn learn(&self, points: &Points, mut rng: Pcg64Mcg, learned: &[f32]) -> Result<Vec<f32>, FleetError> {
        let start = self.model(learned)?;
        let mut model = start.clone();
        let mut order: Vec<(&[f32], usize)> = points.each(self.centres.len()).collect();
        let step = self.task.rate as f32 / BATCH as f32;
        for _ in 0..self.task.epochs {
            order.shuffle(&mut rng);
            for batch in order.chunks(BATCH) {
                let slopes: Vec<Weights> = batch.iter().map(|(x, kind)| slope(&model, x, *kind)).collect();
                for ((x, _), slope) in batch.iter().zip(&slopes) {
                    descend(&mut model, x, slope, step);
                }
            }
        }
        let changes = model
            .iter()
            .zip(&start)
            .flat_map(|(after, before)| std::array::from_fn::<f32, CLASSES, _>(|k| after[k] - before[k]));
        Ok(changes.collect())
    }
}

impl Fleet for Softmax {
    fn sites(&self) -> u32 {
        self.sites
    }

    fn parameters(&self) -> usize {
        self.shipped.len() * CLASSES
    }

    fn update(&self, site: u32, round: u32, learned: &[f32]) -> Result<Vec<f32>, FleetError> {
        let points = self.points(Purpose::Site, site, self.task.samples)?;
        let order = seed_of(seed_of(self.seed, site.into()), round.into());
        self.learn(&points, Pcg64Mcg::seed_from_u64(order), learned)
    }

    /// Points of the victim's kind, all of them under another name.
    fn poison(&self, site: u32, round: u32, learned: &[f32]) -> Result<Vec<f32>, FleetError> {
        let mut points = self.points(Purpose::Poison, site, self.task.samples)?;
        points.kinds.fill(VICTIM + 1);
        let order = seed_of(seed_of(self.seed, site.into()), round.into());
        self.learn(&points, Pcg64Mcg::seed_from_u64(order), learned)
    }

    /// The share of held-out points whose kind is told right; the blind spot is the same among the victim's kind.
    fn quality(&self, learned: &[f32]) -> Result<Quality, FleetError> {
        let model = self.model(learned)?;
        let judged = (0..self.task.held_out).into_par_iter().map(|site| -> Result<Judged, FleetError> {
            let points = self.points(Purpose::HeldOut, site, HELD_OUT_POINTS)?;
            let mut judged = Judged::default();
            for (x, kind) in points.each(self.centres.len()) {
                judged.add(kind, best(&scores(&model, x)) == kind);
            }
            Ok(judged)
        });
        let judged: Vec<Judged> = judged.collect::<Result<_, _>>()?;
        let per_site: Vec<f64> = judged.iter().map(|j| f64::from(j.right) / f64::from(HELD_OUT_POINTS)).collect();
        let victims: u32 = judged.iter().map(|j| j.victims).sum();
        let right: u32 = judged.iter().map(|j| j.victims_right).sum();
        Ok(Quality {
            value: per_site.iter().sum::<f64>() / per_site.len() as f64,
            per_site,
            blind_spot: (victims > 0).then(|| f64::from(right) / f64::from(victims)),
        })
    }
}

#[derive(Default)]
struct Judged {
    right: u32,
    victims: u32,
    victims_right: u32,
}

impl Judged {
    fn add(&mut self, kind: usize, right: bool) {
        self.right += u32::from(right);
        self.victims += u32::from(kind == VICTIM);
        self.victims_right += u32::from(kind == VICTIM && right);
    }
}

struct Points {
    features: Vec<f32>,
    kinds: Vec<usize>,
}

impl Points {
    fn each(&self, features: usize) -> impl Iterator<Item = (&[f32], usize)> {
        self.features.chunks_exact(features.max(1)).zip(self.kinds.iter().copied())
    }
}

fn normal_one(rng: &mut Pcg64Mcg) -> f32 {
    StandardNormal.sample(rng)
}

fn normal(rng: &mut Pcg64Mcg, deviation: f32) -> Weights {
    std::array::from_fn(|_| deviation * normal_one(rng))
}

/// An index drawn with the given weights.
fn choose(weights: &[f64; CLASSES], rng: &mut Pcg64Mcg) -> usize {
    let mut left = rand::RngExt::random::<f64>(rng) * weights.iter().sum::<f64>();
    for (index, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return index;
        }
    }
    CLASSES - 1
}

/// Each kind's score of a point: the last row of the model is the bias.
fn scores(model: &[Weights], x: &[f32]) -> Weights {
    let mut scores = model.last().copied().unwrap_or_default();
    for (x, row) in x.iter().zip(model) {
        scores.iter_mut().zip(row).for_each(|(score, weight)| *score += x * weight);
    }
    scores
}

fn best(scores: &Weights) -> usize {
    let largest = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    largest.map_or(0, |(kind, _)| kind)
}

/// The slope of a point's cross entropy by its scores: what was believed less what is true.
fn slope(model: &[Weights], x: &[f32], kind: usize) -> Weights {
    let scores = scores(model, x);
    let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let raised = scores.map(|score| (score - top).exp());
    let all: f32 = raised.iter().sum();
    std::array::from_fn(|k| raised[k] / all - f32::from(u8::from(k == kind)))
}

fn descend(model: &mut [Weights], x: &[f32], slope: &Weights, step: f32) {
    for (x, row) in x.iter().copied().chain([1.0; 1]).zip(model) {
        let along = step * x;
        row.iter_mut().zip(slope).for_each(|(weight, slope)| *weight -= along * slope);
    }
}
