//! Batches of views from a rolling window of stills, prepared ahead by one background thread.
//!
//! What step s gets is a pure function of the recipe and s: the window of stills that step s draws from
//! is `[first(s), first(s) + window)`, and every choice is seeded by (seed, s). Timing decides nothing.

use super::random::Random;
use super::views::{View, view};
use super::{LabelledBox, Recipe, Sample, SampleSource};
use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;

/// One step's views.
pub(super) struct Batch {
    pub(super) pixels: Vec<f32>,
    pub(super) boxes: Vec<Vec<LabelledBox>>,
}

/// Batches that may wait.
pub(super) const AHEAD: usize = 4;

/// The seed of the still with this index; validation stills have another `kind`.
pub(super) fn still_seed(recipe: &Recipe, kind: u64, index: u64) -> u64 {
    Random::of(recipe.seed, &[2, kind, index]).bits()
}

/// First still of the window at a step.
fn first(recipe: &Recipe, step: u64) -> u64 {
    step.saturating_mul(recipe.batch as u64) / recipe.views_per_still.max(1) as u64
}

/// Sends the batches of steps `from..recipe.steps` until they end or nobody listens.
pub(super) fn serve(recipe: &Recipe, source: &dyn SampleSource, from: u64, to: &SyncSender<Batch>) {
    let mut window: VecDeque<Sample> = VecDeque::new();
    let mut start = first(recipe, from);
    for step in from..recipe.steps {
        while start < first(recipe, step) {
            window.pop_front();
            start += 1;
        }
        while window.len() < recipe.window.max(1) {
            window.push_back(source.sample(still_seed(recipe, 0, start + window.len() as u64)));
        }
        if to.send(batch(recipe, &window, step)).is_err() {
            return;
        }
    }
}

fn batch(recipe: &Recipe, window: &VecDeque<Sample>, step: u64) -> Batch {
    let done = step as f32 / recipe.steps.max(1) as f32;
    let ramp = if recipe.augmentation.ramp > 0.0 { (done / recipe.augmentation.ramp).min(1.0) } else { 1.0 };
    let strength = recipe.augmentation.strength * (0.25 + 0.75 * ramp);
    let (width, height) = recipe.crop;
    let mut batch = Batch { pixels: Vec::with_capacity(recipe.batch * 3 * width * height), boxes: Vec::new() };
    for i in 0..recipe.batch {
        let mut random = Random::of(recipe.seed, &[3, step, i as u64]);
        let still = &window[random.below(window.len())];
        let View { pixels, boxes } = view(still, recipe.crop, &recipe.augmentation, strength, &mut random);
        batch.pixels.extend(pixels);
        batch.boxes.push(boxes);
    }
    batch
}
