//! Adaptation: a device trains its model's trainable part on stills of its own, and nothing else of it.
//!
//! The network is cut before the first trainable layer on each path. What lies before runs once per view, in tract; the
//! rest learns for some epochs, in burn, by the loss that trained the whole. Batch norms were folded on export, so
//! there are none. The result is a difference: added to what was learned before ([`crate::Model::learned`]), or sent
//! through federated learning's privacy.
//!
//! Plain SGD with momentum, not Adam: an update is later cut to a norm and drowned in noise together with
//! others, and Adam moves every value by about the same length however little the stills say about it, which spends
//! that norm on nothing. SGD also leaves values alone that have no gradient.
//!
//! Memory: what is handed over takes some 1.3 MB per view of 640x384 with the shipped model, kept until the end. The
//! same model, stills and settings give the same update on the same machine.
//!
//! Knows no camera, no labels' origin, no clock and no server.

mod even;
mod frozen;
mod tail;

use crate::decode::Decoder;
use crate::detector::{DetectError, Model, NetInput};
use crate::learned::LearnedError;
use crate::learning::loss::{Level, Losses, loss};
use crate::learning::random::Random;
use crate::manifest::{Manifest, ManifestError, Recipe};
use crate::net::{STRIDES, read_model};
use crate::sample::{Sample, SampleError};
use frozen::{Frozen, View};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tail::Tail;

/// How a device learns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Seed of the order of views.
    pub seed: u64,
    /// How often every view is seen, 1 to 1000.
    pub epochs: u32,
    /// Steps after which learning ends whatever the epochs, at least 1.
    pub steps: u64,
    /// Views per step, 1 to 256.
    pub batch: usize,
    /// Learning rate, above 0 and below 1.
    pub rate: f32,
    /// Share of the last step's direction that the next one keeps, from 0 to below 1.
    pub momentum: f32,
    /// Longest gradient that counts in full; longer ones are cut to this norm. Above 0.
    pub longest: f32,
    /// Width and height of views, pixels: a size that the network takes, and the one at which the camera searches its
    /// frames, for what is learned at one size makes searches at another worse. Where not given, the size at which stills
    /// like these are searched with the manifest's settings. Stills are fitted in whole, shape kept.
    pub view: Option<(u32, u32)>,
    /// Boxes whose shorter side is less than this many pixels of the view are ignored.
    pub smallest: f32,
    /// Whether every still is seen mirrored too.
    pub mirror: bool,
    /// Weight of each of the manifest's classes, at least 0; empty: all 1. Where nobody labels a class it must weigh 0,
    /// else the network learns that there is none of it.
    pub class_weights: Vec<f32>,
    /// How many positive cells a view is taken to have, above 0: the loss is divided by that. Then a site's update weighs
    /// as much as what it saw, and the mean of many sites' updates is that of all they saw; a site that saw nobody does not
    /// outshout one that saw a crowd. Where not given, the loss is divided by how many there are.
    pub positives: Option<f32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self::of(&Recipe::default())
    }
}

impl Settings {
    /// What a manifest's recipe asks for; the rest is the same for all.
    pub fn of(recipe: &Recipe) -> Self {
        let Recipe { steps, rate, positives } = *recipe;
        Self {
            seed: 0,
            epochs: 3,
            steps,
            batch: 8,
            rate,
            momentum: 0.9,
            longest: 4.0,
            view: None,
            smallest: 5.0,
            mirror: true,
            class_weights: Vec::new(),
            positives,
        }
    }

    /// The most stills that its steps can look at.
    pub fn stills(&self) -> usize {
        let views = usize::try_from(self.steps).unwrap_or(usize::MAX).saturating_mul(self.batch);
        if self.mirror { views.div_ceil(2) } else { views }
    }
}

/// Why a device could not learn.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum AdaptError {
    #[error("the setting `{field}` is not valid: {reason}")]
    Setting { field: &'static str, reason: &'static str },
    #[error("there are no stills to learn from; wait until there are some")]
    NoSamples,
    #[error(transparent)]
    Sample(#[from] SampleError),
    #[error("model {0} has no trainable part; name it in the manifest's `trainable.initializers`")]
    Nothing(String),
    #[error("model {0} cannot learn on a device: that takes the decoder `anchor-free` with strides 8, 16 and 32")]
    Decoder(String),
    #[error("model {model} cannot learn on a device: at {node:?}: {reason}")]
    Tail { model: String, node: String, reason: String },
    #[error("model {model}: the frozen part cannot be run ({reason})")]
    Network { model: String, reason: String },
    #[error(transparent)]
    Learned(#[from] LearnedError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Detect(#[from] DetectError),
    #[error("the loss diverged at step {0}; lower `rate` and try again")]
    Diverged(u64),
    #[error("learning was stopped before its first step; try again when there is more time")]
    Stopped,
    #[error("burn: {0}")]
    Backend(String),
}

/// Learns from `samples`, beginning with `learned` added to the model's file (what `model` itself had learned does not
/// count). Returns the update: what `learned` should change by, as long as [`Model::trainable_len`], all finite.
///
/// `keep_going` is asked before every view and every step. When it says no, what was learnt so far is returned.
///
/// # Errors
/// Any [`AdaptError`]: no or damaged samples, settings out of range, a model whose trainable part is none or not its
/// end, divergence, or a stop before the first step.
pub fn adapt(
    model: &Model,
    learned: &[f32],
    samples: &[Sample],
    settings: &Settings,
    keep_going: &dyn Fn() -> bool,
) -> Result<Vec<f32>, AdaptError> {
    settings.check(model.manifest())?;
    let school = School::new(model, settings.view.unwrap_or_else(|| working_size(model.manifest(), samples)))?;
    let views = school.see(samples, settings, keep_going)?;
    school.learn(&views, learned, settings, keep_going)
}

/// A model cut in two at one size of views: what it takes to learn from many sets of stills, many times.
pub struct School {
    manifest: Manifest,
    size: (u32, u32),
    frozen: Frozen,
    tail: Tail,
}

/// Stills as the part that learns sees them, and what is to be found in them. Cheap to pick from.
pub struct Views(Vec<Arc<View>>);

impl Views {
    /// Those of these numbers; numbers that there are none of are left out.
    pub fn pick(&self, numbers: impl IntoIterator<Item = usize>) -> Self {
        Self(numbers.into_iter().filter_map(|n| self.0.get(n).cloned()).collect())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Views> for Views {
    /// All of them together. They must be of one school.
    fn from_iter<I: IntoIterator<Item = Self>>(all: I) -> Self {
        Self(all.into_iter().flat_map(|views| views.0).collect())
    }
}

impl School {
    /// Cuts `model` in two, for views of this size. What the model had learned does not count.
    ///
    /// # Errors
    /// A model whose trainable part is none or not its end; a size that it does not take.
    pub fn new(model: &Model, size: (u32, u32)) -> Result<Self, AdaptError> {
        let manifest = model.manifest();
        let (proto, tail) = split(model)?;
        let frozen = Frozen::new(manifest, proto, size)?;
        Ok(Self { manifest: manifest.clone(), size, frozen, tail })
    }

    /// Runs the frozen part on every still, and on its mirror image where `settings` say so.
    ///
    /// # Errors
    /// [`AdaptError::NoSamples`], [`AdaptError::Sample`], [`AdaptError::Stopped`] when `keep_going` says no.
    pub fn see(
        &self,
        samples: &[Sample],
        settings: &Settings,
        keep_going: &dyn Fn() -> bool,
    ) -> Result<Views, AdaptError> {
        if samples.is_empty() {
            return Err(AdaptError::NoSamples);
        }
        for (index, sample) in samples.iter().enumerate() {
            sample.check(index, self.manifest.classes.len())?;
        }
        let mut input = NetInput::new(&self.manifest.input, self.size.0, self.size.1)?;
        let sides = if settings.mirror { &[false, true][..] } else { &[false] };
        let mut views = Vec::with_capacity(samples.len() * sides.len());
        for sample in samples {
            for &mirrored in sides {
                if !keep_going() {
                    return Err(AdaptError::Stopped);
                }
                views.push(Arc::new(self.frozen.view(sample, mirrored, settings.smallest, &mut input)?));
            }
        }
        Ok(Views(views))
    }

    /// As [`adapt`], from what was seen before.
    ///
    /// # Errors
    /// As [`adapt`].
    pub fn learn(
        &self,
        views: &Views,
        learned: &[f32],
        settings: &Settings,
        keep_going: &dyn Fn() -> bool,
    ) -> Result<Vec<f32>, AdaptError> {
        settings.check(&self.manifest)?;
        if views.is_empty() {
            return Err(AdaptError::NoSamples);
        }
        let mut learner = Learner::new(self, views, learned, settings)?;
        let mut order: Vec<usize> = (0..views.0.len()).collect();
        'all: for epoch in 0..settings.epochs {
            shuffle(&mut order, &mut Random::of(settings.seed, &[u64::from(epoch)]));
            for batch in order.chunks(settings.batch) {
                if learner.step >= settings.steps || !keep_going() {
                    break 'all;
                }
                let losses = learner.learn(batch)?;
                tracing::trace!(step = learner.step, class = losses.class, bbox = losses.bbox, "learnt");
            }
        }
        if learner.step == 0 {
            return Err(AdaptError::Stopped);
        }
        let update: Vec<f32> = learner.learned.iter().zip(learned).map(|(new, old)| new - old).collect();
        if update.iter().all(|v| v.is_finite()) { Ok(update) } else { Err(AdaptError::Diverged(learner.step)) }
    }
}

/// A tail that learns from views.
struct Learner<'a> {
    settings: &'a Settings,
    size: (u32, u32),
    weights: Vec<f32>,
    tail: Tail,
    /// What it has learned, and the model before it.
    learned: Vec<f32>,
    views: &'a [Arc<View>],
    velocity: Vec<f32>,
    step: u64,
}

impl<'a> Learner<'a> {
    fn new(school: &School, views: &'a Views, learned: &[f32], settings: &'a Settings) -> Result<Self, AdaptError> {
        let tail = school.tail.with(&school.manifest.name, learned)?;
        let weights = match settings.class_weights.as_slice() {
            [] => vec![1.0; school.manifest.classes.len()],
            given => given.to_vec(),
        };
        let velocity = vec![0.0; learned.len()];
        Ok(Self {
            settings,
            size: school.size,
            weights,
            tail,
            learned: learned.to_vec(),
            views: &views.0,
            velocity,
            step: 0,
        })
    }

    /// One step on the views of these numbers.
    fn learn(&mut self, batch: &[usize]) -> Result<Losses, AdaptError> {
        self.step += 1;
        let views: Vec<&View> = batch.iter().filter_map(|&i| self.views.get(i).map(|view| &**view)).collect();
        let boxes: Vec<_> = views.iter().map(|v| v.boxes.clone()).collect();
        let pass = self.tail.forward(frozen::join(&views))?;
        let levels = levels(pass.levels()?, self.size, self.weights.len() + 4, views.len())?;
        let (losses, slopes) = loss(&levels, &boxes, &self.weights, self.settings.positives);
        let slope = pass.backward(slopes.into(), &self.tail.parts)?;
        let norm = slope.iter().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>().sqrt() as f32;
        if !norm.is_finite() || !losses.class.is_finite() || !losses.bbox.is_finite() {
            return Err(AdaptError::Diverged(self.step));
        }
        let scale = (self.settings.longest / norm.max(self.settings.longest)).min(1.0);
        for (v, g) in self.velocity.iter_mut().zip(&slope) {
            *v = self.settings.momentum * *v + scale * g;
        }
        for (value, v) in self.learned.iter_mut().zip(&self.velocity) {
            *value -= self.settings.rate * v;
        }
        self.tail.learn(&self.learned);
        Ok(losses)
    }
}

/// The size that holds all these stills as each is searched with the manifest's settings.
fn working_size(manifest: &Manifest, samples: &[Sample]) -> (u32, u32) {
    let sizes = samples.iter().map(|s| manifest.input.size_for(s.width, s.height));
    let own = (manifest.input.width, manifest.input.height);
    sizes.reduce(|a, b| (a.0.max(b.0), a.1.max(b.1))).unwrap_or(own)
}

/// A model's frozen part and its tail, both as the file has them.
fn split(model: &Model) -> Result<(tract_onnx::pb::ModelProto, Tail), AdaptError> {
    let manifest = model.manifest();
    if manifest.trainable.is_empty() {
        return Err(AdaptError::Nothing(manifest.name.clone()));
    }
    match &manifest.output {
        Decoder::AnchorFree { strides } if strides.iter().map(|s| *s as usize).eq(STRIDES) => (),
        _ => return Err(AdaptError::Decoder(manifest.name.clone())),
    }
    let file = |source| LearnedError::File { model: manifest.name.clone(), source };
    tail::cut(manifest, read_model(model.file()).map_err(file)?)
}

/// Raw outputs as the loss wants them.
fn levels(
    found: Vec<Level>,
    (width, height): (u32, u32),
    channels: usize,
    views: usize,
) -> Result<[Level; 3], AdaptError> {
    let fits = |(level, stride): (&Level, usize)| {
        let (columns, rows) = (width as usize / stride, height as usize / stride);
        (level.width, level.height) == (columns, rows) && level.data.len() == views * channels * columns * rows
    };
    let good = found.len() == STRIDES.len() && found.iter().zip(STRIDES).all(fits);
    let three: Option<[Level; 3]> = if good { found.try_into().ok() } else { None };
    three.ok_or_else(|| AdaptError::Backend("the outputs are not those of an anchor-free network".to_owned()))
}

/// Fisher and Yates's shuffle.
fn shuffle(order: &mut [usize], random: &mut Random) {
    for i in (1..order.len()).rev() {
        order.swap(i, random.below(i + 1));
    }
}

impl Settings {
    /// Checks every number, for the model of this manifest.
    ///
    /// # Errors
    /// [`AdaptError::Setting`] naming the field, or a view that the network does not take.
    pub fn check(&self, manifest: &Manifest) -> Result<(), AdaptError> {
        let fail = |field, reason| Err(AdaptError::Setting { field, reason });
        if !(1..=1000).contains(&self.epochs) {
            return fail("epochs", "it must be 1 to 1000");
        }
        let Self { steps, rate, positives, .. } = *self;
        Recipe { steps, rate, positives }.check().or_else(|(field, reason)| fail(field, reason))?;
        if !(1..=256).contains(&self.batch) {
            return fail("batch", "it must be 1 to 256");
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return fail("momentum", "it must be from 0 to below 1");
        }
        if !(self.longest > 0.0 && self.longest.is_finite()) {
            return fail("longest", "it must be a number above 0");
        }
        if !(0.0..=1e4).contains(&self.smallest) {
            return fail("smallest", "it must be 0 to 10000 pixels");
        }
        let weights = &self.class_weights;
        let right = weights.iter().all(|w| w.is_finite() && *w >= 0.0) && weights.iter().any(|w| *w > 0.0);
        if !weights.is_empty() && (weights.len() != manifest.classes.len() || !right) {
            return fail("class_weights", "give one number of at least 0 per class of the manifest, not all of them 0");
        }
        let Some((width, height)) = self.view else { return Ok(()) };
        if !width.is_multiple_of(32) || !height.is_multiple_of(32) || width.max(height) > 2048 {
            return fail("view", "both sides must be multiples of 32 of at most 2048 pixels");
        }
        Ok(manifest.input.check_size(width, height)?)
    }
}

#[cfg(test)]
mod tests;
