//! Training of the project's own detector, in burn: on the CPU (backend `flex` with autodiff), or on a graphics card
//! ([`Compute`]).
//!
//! A run is a [`Recipe`], a [`SampleSource`] of annotated stills and a folder. The folder holds at any
//! time: `recipe.toml`, `checkpoint.onnx` (everything that resuming needs), `model.onnx` (the averaged
//! weights with folded norms: usable whenever the run is stopped) and `curve.csv`. The same recipe and the
//! same source give the same weights on the same machine, interrupted or not.
//!
//! Knows no renderer: stills come from a trait. Knows no inference engine: what it exports is ONNX.

mod checkpoint;
mod compute;
mod evaluate;
mod loader;
mod mining;
mod model;
mod optim;
mod views;

pub use compute::Compute;
pub use evaluate::detect;
pub use views::Augmentation;

use crate::Sample;
use crate::evaluate::Quality;
use crate::learning::loss;
use crate::net::{Architecture, NetError, Weights, write_model};
use checkpoint::{State, write_atomically};
use mining::Mistake;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::time::Instant;

/// Where stills come from. [`train`] calls it from a background thread.
pub trait SampleSource: Send + Sync {
    /// The still of this seed: a pure function.
    fn sample(&self, seed: u64) -> Sample;
}

/// Everything that determines a run, besides its source of stills.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Seed of every random choice.
    pub seed: u64,
    /// Optimiser steps of the whole run.
    pub steps: u64,
    /// The shapes of batches; each step draws one. Several sizes let the network learn large faces whole and many
    /// small pictures at a time.
    pub shapes: Vec<Shape>,
    /// Stills that a step draws its views from.
    pub window: usize,
    /// Stills that enter the window with each step, and as many leave it; may be a fraction.
    pub fresh: f64,
    /// Highest learning rate (AdamW).
    pub rate: f32,
    /// Steps in which the rate grows to its highest; then it falls to 0 as a cosine.
    pub warm_up: u64,
    /// Decay of the moving average of the weights, below 1.
    pub average: f32,
    /// Weight of each class in the loss, in the architecture's order.
    pub class_weights: Vec<f32>,
    /// Steps between lines of the curve, checkpoints and exports.
    pub every: u64,
    /// Stills that are held out for the curve's quality figures.
    pub validation: usize,
    /// Width and height of the exported network's input, multiples of 32.
    pub export: (usize, usize),
    /// How views are made.
    pub augmentation: Augmentation,
    /// The network.
    pub architecture: Architecture,
}

/// The shape of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Width of a view, a multiple of 32 pixels.
    pub width: usize,
    /// Height of a view, a multiple of 32 pixels.
    pub height: usize,
    /// Views per step.
    pub batch: usize,
    /// How often it is drawn, against the other shapes' numbers.
    pub share: f32,
}

/// A line of the curve.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// Views seen.
    pub views: u64,
    /// Class loss, mean since the last line.
    pub class_loss: f32,
    /// Box loss, mean since the last line.
    pub box_loss: f32,
    /// Mean IoU of positive cells since the last line.
    pub iou: f32,
    /// Norm of the gradient before clipping, mean since the last line.
    pub gradient: f32,
    /// The learning rate of the last step.
    pub rate: f32,
    /// Seconds since this process started the run.
    pub seconds: f64,
    /// Quality on the held-out stills by class; empty when there are none.
    pub quality: Vec<Quality>,
}

/// How to run a recipe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct How {
    /// Go on from the folder's checkpoint, if it has one.
    pub resume: bool,
    /// What computes.
    pub compute: Compute,
    /// Go on although the source makes other stills than the run began with.
    pub other_source: bool,
}

/// A finished run.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The folded, averaged weights.
    pub weights: Weights,
    /// The exported file.
    pub model: PathBuf,
}

/// What can stop a run.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The recipe makes no sense.
    #[error("recipe: {0}")]
    Recipe(String),
    /// A file could not be read or written.
    #[error("{}: {source}; make room or correct the path, then resume", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The checkpoint cannot be resumed from.
    #[error("{}: {why}; resume with the recipe it was made by, or start in an empty folder", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The stills are not those of the run so far.
    #[error(
        "{}: the run so far saw other pictures (another renderer, or other bodies); give the same, or say that they may \
         change",
        .0.display()
    )]
    OtherSource(PathBuf),
    /// The folder already holds a run.
    #[error("{} already holds a run; resume it, or choose another folder", .0.display())]
    Occupied(PathBuf),
    /// The loss is no longer a number.
    #[error("the loss diverged at step {0}; lower the recipe's `rate` and resume")]
    Diverged(u64),
    /// Network or weights.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The tensor library answered what it never should.
    #[error("burn: {0}")]
    Backend(String),
    /// The thread that makes views ended early.
    #[error("the source of stills stopped early; its error is printed above")]
    Source,
}

impl Recipe {
    /// Checks the numbers.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] naming the field, or [`TrainError::Net`].
    pub fn check(&self) -> Result<(), TrainError> {
        self.architecture.check()?;
        let fail = |why: &str| Err(TrainError::Recipe(why.to_owned()));
        let side = |s: usize| s.is_multiple_of(32) && (32..=4096).contains(&s);
        let sides = self.shapes.iter().flat_map(|s| [s.width, s.height]).chain([self.export.0, self.export.1]);
        if !sides.into_iter().all(side) {
            return fail("the sides of `shapes` and `export` must be multiples of 32 from 32 to 4096");
        }
        let shares = self.shapes.iter().all(|s| s.share > 0.0 && s.share.is_finite());
        if self.shapes.is_empty() || !shares || !self.shapes.iter().all(|s| (1..=1024).contains(&s.batch)) {
            return fail("`shapes` must hold at least one, each with a `batch` of 1 to 1024 and a positive `share`");
        }
        if self.steps == 0 || self.every == 0 || !(1..=100_000).contains(&self.window) {
            return fail("`steps` and `every` must be at least 1, and `window` 1 to 100000");
        }
        if !(0.0..=1000.0).contains(&self.fresh) {
            return fail("`fresh` must be 0 to 1000");
        }
        if self.rate <= 0.0 || !(0.0..1.0).contains(&self.rate) || !(0.0..1.0).contains(&self.average) {
            return fail("`rate` must be between 0 and 1 and `average` from 0 to below 1");
        }
        let weights = &self.class_weights;
        if weights.len() != self.architecture.classes.len() || !weights.iter().all(|w| w.is_finite() && *w >= 0.0) {
            return fail("`class_weights` must hold one number of at least 0 per class");
        }
        let Augmentation { zoom, aimed, mined, strength, ramp, smallest } = self.augmentation;
        let zooms = zoom.0 >= 0.05 && zoom.0 <= zoom.1 && zoom.1 <= 20.0;
        if !zooms || !(0.0..=1e4).contains(&smallest) {
            return fail("`augmentation.zoom` must be an ascending pair from 0.05 to 20, `smallest` at least 0");
        }
        if ![aimed, mined, strength, ramp].iter().all(|v| (0.0..=1.0).contains(v)) {
            return fail("`augmentation.aimed`, `mined`, `strength` and `ramp` must be 0 to 1");
        }
        Ok(())
    }

    /// The learning rate of a step, counted from 0.
    fn rate_at(&self, step: u64) -> f32 {
        if step < self.warm_up {
            return self.rate * (step + 1) as f32 / self.warm_up as f32;
        }
        let rest = self.steps.saturating_sub(self.warm_up).max(1);
        let done = (step - self.warm_up) as f32 / rest as f32;
        self.rate * 0.5 * (1.0 + (std::f32::consts::PI * done.min(1.0)).cos())
    }
}

/// Trains, or goes on training when `how.resume` and `out` holds a checkpoint. `observer` is called at each
/// line of the curve. A resumed run may change the recipe except for its architecture; with the recipe
/// unchanged it ends with the weights of an uninterrupted one.
///
/// # Errors
/// Any [`TrainError`]; what was written before stays usable.
pub fn train(
    recipe: &Recipe,
    source: &dyn SampleSource,
    out: &Path,
    how: How,
    observer: &mut dyn FnMut(Progress),
) -> Result<Trained, TrainError> {
    recipe.check()?;
    std::fs::create_dir_all(out).map_err(|source| TrainError::Io { path: out.to_owned(), source })?;
    let saved = out.join("checkpoint.onnx");
    let mut state = match (saved.exists(), how.resume) {
        (true, false) => return Err(TrainError::Occupied(out.to_owned())),
        (true, true) => State::read(&saved, &recipe.architecture)?,
        (false, _) => State::new(&recipe.architecture, recipe.seed),
    };
    let fingerprint = fingerprint(source);
    if state.source.as_ref().is_some_and(|s| *s != fingerprint) {
        if !how.other_source {
            return Err(TrainError::OtherSource(saved));
        }
        // What was found in other pictures is nowhere in these.
        state.mistakes = mining::Pool::default();
    }
    state.source = Some(fingerprint);
    let text = toml::to_string(recipe).map_err(|e| TrainError::Recipe(e.to_string()))?;
    write_atomically(&out.join("recipe.toml"), text.as_bytes())?;
    std::thread::scope(|scope| {
        let (to, batches) = sync_channel(loader::AHEAD);
        let (mistakes, found) = channel();
        let (begin, pool) = (state.step, state.mistakes.clone());
        let loader = scope.spawn(move || loader::serve(recipe, source, begin, pool, &found, &to));
        let run = Run { recipe, out, compute: how.compute, state, mistakes, started: Instant::now() };
        // Both ends are dropped before the loader is joined, so that it ends when training fails.
        let trained = run.finish(source, batches, observer);
        loader.join().map_err(|_| TrainError::Source).and(trained)
    })
}

/// Tells sources apart by what they make.
fn fingerprint(source: &dyn SampleSource) -> String {
    let mut hasher = blake3::Hasher::new();
    for seed in [3, 11] {
        let sample = source.sample(seed);
        hasher.update(&sample.rgb);
        for b in &sample.boxes {
            hasher.update(format!("{b:?}").as_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
}

struct Run<'a> {
    recipe: &'a Recipe,
    out: &'a Path,
    compute: Compute,
    state: State,
    mistakes: Sender<Vec<Mistake>>,
    started: Instant,
}

impl Run<'_> {
    fn finish(
        mut self,
        source: &dyn SampleSource,
        batches: Receiver<loader::Batch>,
        observer: &mut dyn FnMut(Progress),
    ) -> Result<Trained, TrainError> {
        let recipe = self.recipe;
        let held_out: Vec<Sample> =
            (0..recipe.validation as u64).map(|i| source.sample(loader::still_seed(recipe, 1, i))).collect();
        let mut line = Progress::default();
        let mut since = 0u32;
        while self.state.step < recipe.steps {
            let batch = batches.recv().map_err(|_| TrainError::Source)?;
            self.step(batch, &mut line)?;
            since += 1;
            if self.state.step.is_multiple_of(recipe.every) || self.state.step == recipe.steps {
                for mean in [&mut line.class_loss, &mut line.box_loss, &mut line.iou, &mut line.gradient] {
                    *mean /= since as f32;
                }
                since = 0;
                let folded = self.save()?;
                if !held_out.is_empty() {
                    line.quality = evaluate::evaluate(&recipe.architecture, &folded, &held_out)?;
                }
                line.step = self.state.step;
                line.steps = recipe.steps;
                line.views = self.state.views;
                line.seconds = self.started.elapsed().as_secs_f64();
                self.append(&line)?;
                observer(std::mem::take(&mut line));
            }
        }
        let weights = self.save()?;
        Ok(Trained { weights, model: self.out.join("model.onnx") })
    }

    fn step(&mut self, batch: loader::Batch, line: &mut Progress) -> Result<(), TrainError> {
        let recipe = self.recipe;
        let Shape { width, height, batch: views, .. } = batch.shape;
        let images = (batch.pixels, [views, 3, height, width]);
        let pass = model::Pass::forward(&recipe.architecture, &self.state.network, images, self.compute)?;
        let levels = pass.levels()?;
        let (losses, slopes) = loss::loss(&levels, &batch.boxes, &recipe.class_weights, None);
        let worst = |n: usize| mining::worst(&levels, n, &batch.boxes[n], recipe.architecture.classes.len());
        let found = batch.origins.iter().enumerate().filter_map(|(n, (still, frame))| {
            let (x, y) = worst(n).map(|(x, y)| frame.backward(x, y))?;
            Some(Mistake { step: self.state.step, still: *still, x, y })
        });
        let found: Vec<Mistake> = found.collect();
        self.state.mistakes.add(found.iter().copied());
        // A loader that has made its last batch listens no more.
        let _ = self.mistakes.send(found);
        pass.update_statistics(&mut self.state.network.statistics);
        let grads = pass.backward(slopes)?;
        let rate = recipe.rate_at(self.state.step);
        self.state.step += 1;
        self.state.views += views as u64;
        let State { step, network, moments, .. } = &mut self.state;
        let norm = moments.step(&mut network.trained, &grads, rate, *step);
        if !norm.is_finite() || !losses.class.is_finite() || !losses.bbox.is_finite() {
            return Err(TrainError::Diverged(*step));
        }
        optim::average(&mut self.state.average, &self.state.network, recipe.average, self.state.step);
        line.class_loss += losses.class;
        line.box_loss += losses.bbox;
        line.iou += losses.iou;
        line.gradient += norm;
        line.rate = rate;
        Ok(())
    }

    /// Writes checkpoint and model; returns the model's weights.
    fn save(&mut self) -> Result<Weights, TrainError> {
        let recipe = self.recipe;
        self.state.mistakes.forget(loader::first(recipe, self.state.step), self.state.step);
        let folded = self.state.average.fold(&recipe.architecture)?;
        let model = recipe.architecture.to_onnx(recipe.export, &folded)?;
        self.state.write(&self.out.join("checkpoint.onnx"), &recipe.architecture)?;
        write_atomically(&self.out.join("model.onnx"), &write_model(&model))?;
        Ok(folded)
    }

    fn append(&self, line: &Progress) -> Result<(), TrainError> {
        let path = self.out.join("curve.csv");
        let mut text = String::new();
        if !path.exists() {
            text.push_str("step,views,seconds,rate,class_loss,box_loss,iou,gradient");
            for class in &self.recipe.architecture.classes {
                text.push_str(&format!(",{class}_ap50,{class}_recall_at_1"));
            }
            text.push('\n');
        }
        text.push_str(&format!(
            "{},{},{:.0},{:.6},{:.4},{:.4},{:.4},{:.3}",
            line.step, line.views, line.seconds, line.rate, line.class_loss, line.box_loss, line.iou, line.gradient
        ));
        for q in &line.quality {
            text.push_str(&format!(",{:.4},{:.4}", q.average_precision, q.recall_at_one));
        }
        text.push('\n');
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|source| TrainError::Io { path: path.clone(), source })?;
        file.write_all(text.as_bytes()).map_err(|source| TrainError::Io { path, source })
    }
}

#[cfg(test)]
mod tests;
