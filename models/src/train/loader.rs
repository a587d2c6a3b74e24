//! Batches of views from a rolling window of stills, prepared ahead by one background thread.
//!
//! What step s gets is a pure function of the recipe and s: the window of stills that step s draws from
//! is `[first(s), first(s) + window)`, every choice is seeded by (seed, s), and the mistakes that some views go back to
//! are those of steps long enough before s. Timing decides nothing.

use super::mining::{LAG, Mistake, Pool};
use super::views::{Frame, View, view};
use super::{Recipe, SampleSource, Shape};
use crate::learning::random::Random;
use crate::{LabelledBox, Sample};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender};

/// One step's views.
pub(super) struct Batch {
    pub(super) shape: Shape,
    pub(super) pixels: Vec<f32>,
    pub(super) boxes: Vec<Vec<LabelledBox>>,
    /// Each view's still, by index, and its place there.
    pub(super) origins: Vec<(u64, Frame)>,
}

/// Batches that may wait.
pub(super) const AHEAD: usize = 4;

/// The seed of the still with this index; validation stills have another `kind`.
pub(super) fn still_seed(recipe: &Recipe, kind: u64, index: u64) -> u64 {
    Random::of(recipe.seed, &[2, kind, index]).bits()
}

/// First still of the window at a step.
pub(super) fn first(recipe: &Recipe, step: u64) -> u64 {
    (step as f64 * recipe.fresh) as u64
}

/// Sends the batches of steps `from..recipe.steps` until they end or nobody listens. `mistakes` gives what each step,
/// from `from` on, did wrong; `pool` holds what the steps before did.
pub(super) fn serve(
    recipe: &Recipe,
    source: &dyn SampleSource,
    from: u64,
    mut pool: Pool,
    mistakes: &Receiver<Vec<Mistake>>,
    to: &SyncSender<Batch>,
) {
    let mut window: VecDeque<Sample> = VecDeque::new();
    let mut start = first(recipe, from);
    let mut known = from;
    for step in from..recipe.steps {
        while start < first(recipe, step) {
            window.pop_front();
            start += 1;
        }
        pool.forget(start, step);
        while window.len() < recipe.window.max(1) {
            window.push_back(source.sample(still_seed(recipe, 0, start + window.len() as u64)));
        }
        while known + LAG <= step {
            let Ok(found) = mistakes.recv() else { return };
            pool.add(found);
            known += 1;
        }
        if to.send(batch(recipe, &window, start, &pool, step)).is_err() {
            return;
        }
    }
}

/// The shape that a step draws.
fn shape(recipe: &Recipe, step: u64) -> Shape {
    let mut left = Random::of(recipe.seed, &[4, step]).unit() * recipe.shapes.iter().map(|s| s.share).sum::<f32>();
    let drawn = recipe.shapes.iter().find(|s| {
        left -= s.share;
        left < 0.0
    });
    *drawn.unwrap_or(&recipe.shapes[recipe.shapes.len() - 1])
}

fn batch(recipe: &Recipe, window: &VecDeque<Sample>, start: u64, pool: &Pool, step: u64) -> Batch {
    let done = step as f32 / recipe.steps.max(1) as f32;
    let how = &recipe.augmentation;
    let ramp = if how.ramp > 0.0 { (done / how.ramp).min(1.0) } else { 1.0 };
    let strength = how.strength * (0.25 + 0.75 * ramp);
    let shape = shape(recipe, step);
    let (width, height) = (shape.width, shape.height);
    let pixels = Vec::with_capacity(shape.batch * 3 * width * height);
    let mut batch = Batch { shape, pixels, boxes: Vec::new(), origins: Vec::new() };
    for i in 0..shape.batch {
        let mut random = Random::of(recipe.seed, &[3, step, i as u64]);
        let mistake = if random.chance(how.mined) {
            pool.pick(step, start..start + window.len() as u64, &mut random)
        } else {
            None
        };
        let (index, towards) = match mistake {
            Some(m) => (m.still, Some((m.x, m.y))),
            None => (start + random.below(window.len()) as u64, None),
        };
        let still = &window[(index - start) as usize];
        let View { pixels, boxes, frame } = view(still, (width, height), how, strength, towards, &mut random);
        batch.pixels.extend(pixels);
        batch.boxes.push(boxes);
        batch.origins.push((index, frame));
    }
    batch
}
