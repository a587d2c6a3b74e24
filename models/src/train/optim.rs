//! AdamW (Loshchilov and Hutter 2019) with gradient clipping, and the moving average of the weights.

use super::model::Network;
use crate::net::{Tensor, Weights};
use std::collections::BTreeMap;

const BETA: (f32, f32) = (0.9, 0.99);
const EPSILON: f32 = 1e-8;
/// Applied to convolution weights only, per unit of learning rate.
const WEIGHT_DECAY: f32 = 0.02;
/// Largest norm of a whole gradient.
const CLIP: f32 = 8.0;

/// First and second moments of the gradients, by tensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Moments {
    pub(super) first: Weights,
    pub(super) second: Weights,
}

impl Moments {
    pub(super) fn new(trained: &Weights) -> Self {
        let mut zero = trained.clone();
        zero.tensors.values_mut().for_each(|t| t.data.fill(0.0));
        Self { first: zero.clone(), second: zero }
    }

    /// One step at learning rate `rate`; `step` counts from 1. Returns the gradient's norm before clipping.
    pub(super) fn step(
        &mut self,
        trained: &mut Weights,
        grads: &BTreeMap<String, Vec<f32>>,
        rate: f32,
        step: u64,
    ) -> f32 {
        let norm = grads.values().flatten().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>().sqrt() as f32;
        if !norm.is_finite() {
            return norm;
        }
        let scale = (CLIP / norm.max(CLIP)).min(1.0);
        let t = step.min(100_000) as i32;
        let (correct1, correct2) = (1.0 - BETA.0.powi(t), 1.0 - BETA.1.powi(t));
        for (name, weight) in &mut trained.tensors {
            let (Some(grad), Some(first), Some(second)) =
                (grads.get(name), self.first.tensors.get_mut(name), self.second.tensors.get_mut(name))
            else {
                continue;
            };
            let decay = if weight.shape.len() == 4 { rate * WEIGHT_DECAY } else { 0.0 };
            for (((w, g), m), v) in weight.data.iter_mut().zip(grad).zip(&mut first.data).zip(&mut second.data) {
                let g = g * scale;
                *m = BETA.0 * *m + (1.0 - BETA.0) * g;
                *v = BETA.1 * *v + (1.0 - BETA.1) * g * g;
                *w -= decay * *w + rate * (*m / correct1) / ((*v / correct2).sqrt() + EPSILON);
            }
        }
        norm
    }
}

/// Moves `average` towards `network`; early steps count for more, so that the average is never stale.
pub(super) fn average(average: &mut Network, network: &Network, decay: f32, step: u64) {
    let decay = decay.min((1.0 + step as f32) / (10.0 + step as f32));
    let blend = |into: &mut Weights, from: &Weights| {
        for (a, b) in into.tensors.values_mut().zip(from.tensors.values()) {
            mix(a, b, decay);
        }
    };
    blend(&mut average.trained, &network.trained);
    blend(&mut average.statistics, &network.statistics);
}

fn mix(into: &mut Tensor, from: &Tensor, decay: f32) {
    for (a, b) in into.data.iter_mut().zip(&from.data) {
        *a = decay * *a + (1.0 - decay) * b;
    }
}
