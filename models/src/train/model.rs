//! The network while it learns: its tensors by name, its forward passes in burn, and its folding for export.
//!
//! Knows no loss and no data.

use super::TrainError;
use super::compute::Compute;
use crate::learning::loss::Level;
use crate::learning::ops::{self, BatchStatistics, EPSILON};
use crate::learning::random::Random;
use crate::net::{After, Architecture, Conv, NetError, STRIDES, Tensor as Array, Weights};
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Tensor, TensorData, activation};
use std::collections::BTreeMap;

/// Share of the old value that a running statistic keeps at each step.
const STATISTICS_DECAY: f32 = 0.95;
/// Score that an untrained cell gives: negatives start with little loss (RetinaNet's prior).
const PRIOR: f32 = 0.01;

/// What training changes, and the running statistics of the norms.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Network {
    /// `NAME.weight`, and `NAME.gamma`, `NAME.beta` or `NAME.bias`.
    pub(super) trained: Weights,
    /// `NAME.mean`, `NAME.variance`.
    pub(super) statistics: Weights,
}

impl Network {
    /// A network before its first step (He initialisation).
    pub(super) fn new(architecture: &Architecture, seed: u64) -> Self {
        let (mut trained, mut statistics) = (Weights::default(), Weights::default());
        let mut random = Random::of(seed, &[1]);
        let vector = |n: usize, value: f32| Array { shape: vec![n], data: vec![value; n] };
        for conv in architecture.convs() {
            let shape = conv.weight_shape();
            let fan_in = (shape[1] * shape[2] * shape[3]) as f32;
            let gain: f32 = if conv.after == After::NormRelu { 2.0 } else { 0.5 };
            let data = (0..shape.iter().product()).map(|_| random.normal() * (gain / fan_in).sqrt()).collect();
            trained.tensors.insert(conv.weight_name(), Array { shape: shape.to_vec(), data });
            if conv.after == After::Bias {
                let mut bias = vector(conv.outputs, 0.0);
                bias.data[..architecture.classes.len()].fill((PRIOR / (1.0 - PRIOR)).ln());
                trained.tensors.insert(conv.bias_name(), bias);
            } else {
                trained.tensors.insert(format!("{}.gamma", conv.name), vector(conv.outputs, 1.0));
                trained.tensors.insert(format!("{}.beta", conv.name), vector(conv.outputs, 0.0));
                statistics.tensors.insert(format!("{}.mean", conv.name), vector(conv.outputs, 0.0));
                statistics.tensors.insert(format!("{}.variance", conv.name), vector(conv.outputs, 1.0));
            }
        }
        Self { trained, statistics }
    }

    /// The weights that the exported network has: every norm folded into its convolution.
    pub(super) fn fold(&self, architecture: &Architecture) -> Result<Weights, NetError> {
        let mut folded = Weights::default();
        for conv in architecture.convs() {
            let mut weight = self.trained.get(&conv.weight_name(), &conv.weight_shape())?.clone();
            let vector = |from: &Weights, what: &str| {
                from.get(&format!("{}.{what}", conv.name), &[conv.outputs]).map(|t| t.data.clone())
            };
            let bias = if conv.after == After::Bias {
                vector(&self.trained, "bias")?
            } else {
                let (gamma, beta) = (vector(&self.trained, "gamma")?, vector(&self.trained, "beta")?);
                let (mean, variance) = (vector(&self.statistics, "mean")?, vector(&self.statistics, "variance")?);
                let per_output = weight.data.len() / conv.outputs;
                let scales = gamma.iter().zip(&variance).map(|(g, v)| g / (v + EPSILON).sqrt());
                weight
                    .data
                    .chunks_exact_mut(per_output)
                    .zip(scales)
                    .zip(beta.iter().zip(&mean))
                    .map(|((kernel, scale), (beta, mean))| {
                        kernel.iter_mut().for_each(|w| *w *= scale);
                        beta - mean * scale
                    })
                    .collect()
            };
            folded.tensors.insert(conv.weight_name(), weight);
            folded.tensors.insert(conv.bias_name(), Array { shape: vec![conv.outputs], data: bias });
        }
        Ok(folded)
    }
}

/// A training step's forward pass, ready for its gradient.
pub(super) struct Pass {
    device: Device,
    leaves: BTreeMap<String, Leaf>,
    outputs: Vec<Tensor<4>>,
    statistics: Vec<(String, BatchStatistics)>,
}

enum Leaf {
    Kernel(Tensor<4>),
    Vector(Tensor<1>),
}

impl Pass {
    /// Runs `images` (`[N, 3, H, W]`) through the network, recording what the gradient needs.
    pub(super) fn forward(
        architecture: &Architecture,
        network: &Network,
        images: (Vec<f32>, [usize; 4]),
        compute: Compute,
    ) -> Result<Self, NetError> {
        let device = compute.device().autodiff();
        let mut leaves = BTreeMap::new();
        for (name, array) in &network.trained.tensors {
            let data = TensorData::new(array.data.clone(), array.shape.clone());
            let leaf = if array.shape.len() == 4 {
                Leaf::Kernel(Tensor::from_data(data, &device).require_grad())
            } else {
                Leaf::Vector(Tensor::from_data(data, &device).require_grad())
            };
            leaves.insert(name.clone(), leaf);
        }
        let kernel = |name: String| match leaves.get(&name) {
            Some(Leaf::Kernel(t)) => Ok(t.clone()),
            _ => Err(NetError::Tensor { name, expected: vec![0; 4], found: "none".to_owned() }),
        };
        let vector = |name: String| match leaves.get(&name) {
            Some(Leaf::Vector(t)) => Ok(t.clone()),
            _ => Err(NetError::Tensor { name, expected: vec![0], found: "none".to_owned() }),
        };
        let mut statistics = Vec::new();
        let x = Tensor::from_data(TensorData::new(images.0, images.1), &device);
        let outputs = pyramid(architecture, x, &mut |conv, inputs| {
            let weight = kernel(conv.weight_name())?;
            let linear = inputs.into_iter().map(|x| compute.conv(x, weight.clone(), conv.stride));
            if conv.after == After::Bias {
                let bias = vector(conv.bias_name())?.reshape([1, conv.outputs, 1, 1]);
                return Ok(linear.map(|y| y + bias.clone()).collect());
            }
            let slot = BatchStatistics::default();
            statistics.push((conv.name.clone(), slot.clone()));
            let (gamma, beta) = (vector(format!("{}.gamma", conv.name))?, vector(format!("{}.beta", conv.name))?);
            Ok(jointly(linear.collect(), |x| compute.norm(x, gamma, beta, conv.after == After::NormRelu, slot)))
        })?;
        Ok(Self { device, leaves, outputs, statistics })
    }

    /// The raw outputs, finest level first.
    pub(super) fn levels(&self) -> Result<[Level; 3], TrainError> {
        let mut levels = self.outputs.iter().map(level);
        let mut next = || levels.next().unwrap_or_else(|| Err(TrainError::Backend("a level is missing".to_owned())));
        Ok([next()?, next()?, next()?])
    }

    /// The gradient of every trained tensor, by name, given the loss's gradient on the outputs.
    pub(super) fn backward(self, slopes: [Vec<f32>; 3]) -> Result<BTreeMap<String, Vec<f32>>, TrainError> {
        let mut pulled: Option<Tensor<1>> = None;
        for (output, slope) in self.outputs.iter().zip(slopes) {
            let slope = Tensor::<4>::from_data(TensorData::new(slope, output.dims()), &self.device);
            let part = (output.clone() * slope).sum();
            pulled = Some(match pulled {
                None => part,
                Some(sum) => sum + part,
            });
        }
        let pulled = pulled.ok_or_else(|| TrainError::Backend("the network has no output".to_owned()))?;
        let grads = pulled.backward();
        let mut named = BTreeMap::new();
        for (name, leaf) in self.leaves {
            let grad = match leaf {
                Leaf::Kernel(t) => t.grad(&grads).map(Tensor::into_data),
                Leaf::Vector(t) => t.grad(&grads).map(Tensor::into_data),
            };
            let grad = grad.ok_or_else(|| TrainError::Backend(format!("no gradient for {name}")))?;
            named.insert(name, values(grad)?);
        }
        Ok(named)
    }

    /// Moves the running statistics towards those of this pass's batch.
    pub(super) fn update_statistics(&self, statistics: &mut Weights) {
        for (name, slot) in &self.statistics {
            let Ok(moments) = slot.lock() else { continue };
            for (what, values) in [("mean", &moments.0), ("variance", &moments.1)] {
                if let Some(running) = statistics.tensors.get_mut(&format!("{name}.{what}")) {
                    for (r, v) in running.data.iter_mut().zip(values) {
                        *r = STATISTICS_DECAY * *r + (1.0 - STATISTICS_DECAY) * v;
                    }
                }
            }
        }
    }
}

/// Runs one picture (`[3, H, W]` planes) through a folded network, no gradient.
pub(super) fn infer(
    architecture: &Architecture,
    folded: &Weights,
    planes: Vec<f32>,
    (width, height): (usize, usize),
) -> Result<[Level; 3], TrainError> {
    let device = Device::flex();
    let x = Tensor::from_data(TensorData::new(planes, [1, 3, height, width]), &device);
    let outputs = pyramid(architecture, x, &mut |conv, inputs| {
        let weight = folded.get(&conv.weight_name(), &conv.weight_shape())?;
        let bias = folded.get(&conv.bias_name(), &[conv.outputs])?;
        let weight = Tensor::<4>::from_data(TensorData::new(weight.data.clone(), conv.weight_shape()), &device);
        let bias = Tensor::<4>::from_data(TensorData::new(bias.data.clone(), [1, conv.outputs, 1, 1]), &device);
        let affine = inputs.into_iter().map(|x| ops::conv(x, weight.clone(), conv.stride) + bias.clone());
        if conv.after == After::NormRelu { Ok(affine.map(activation::relu).collect()) } else { Ok(affine.collect()) }
    })?;
    let mut levels = outputs.iter().map(level);
    let mut next = || levels.next().unwrap_or_else(|| Err(TrainError::Backend("a level is missing".to_owned())));
    Ok([next()?, next()?, next()?])
}

fn level(output: &Tensor<4>) -> Result<Level, TrainError> {
    let [_, _, height, width] = output.dims();
    Ok(Level { data: values(output.clone().inner().into_data())?, height, width })
}

fn values(data: TensorData) -> Result<Vec<f32>, TrainError> {
    data.try_into_vec::<f32>().map_err(|e| TrainError::Backend(format!("{e:?}")))
}

/// One convolution and what follows it, on every level that shares it.
type Layer<'a> = dyn FnMut(&Conv, Vec<Tensor<4>>) -> Result<Vec<Tensor<4>>, NetError> + 'a;

/// The network's graph; `layer` says how a convolution is computed. Outputs finest level first.
fn pyramid(architecture: &Architecture, image: Tensor<4>, layer: &mut Layer<'_>) -> Result<Vec<Tensor<4>>, NetError> {
    let convs = architecture.convs();
    let named = |start: &str| convs.iter().filter(|c| c.name.starts_with(start)).collect::<Vec<_>>();
    let mut one = |conv: &Conv, x: Tensor<4>| {
        let found = layer(conv, vec![x])?.pop();
        found.ok_or_else(|| NetError::Architecture(format!("layer {} gave nothing", conv.name)))
    };
    let mut x = image;
    for conv in named("stem.") {
        x = one(conv, x)?;
    }
    let mut levels = Vec::new();
    for stride in STRIDES {
        for conv in named(&format!("stage{stride}.")) {
            x = one(conv, x)?;
        }
        levels.push(x.clone());
    }
    let mut merged: Vec<Tensor<4>> = Vec::new();
    for (conv, end) in named("lateral").into_iter().zip(levels).rev() {
        let lateral = one(conv, end)?;
        let sum = match merged.last() {
            None => lateral,
            Some(above) => {
                let twice = InterpolateOptions::new(InterpolateMode::Nearest).with_scale_factor([2.0, 2.0]);
                lateral + interpolate(above.clone(), twice)
            }
        };
        merged.push(sum);
    }
    merged.reverse();
    for conv in named("head") {
        merged = layer(conv, merged)?;
    }
    let mut outputs = Vec::new();
    for (conv, x) in named("out").into_iter().zip(merged) {
        outputs.extend(layer(conv, vec![x])?);
    }
    Ok(outputs)
}

/// Applies `f` to all levels at once, so that they share its statistics.
fn jointly(levels: Vec<Tensor<4>>, f: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Vec<Tensor<4>> {
    let shapes: Vec<[usize; 4]> = levels.iter().map(|l| l.dims()).collect();
    let mut flat: Vec<Tensor<3>> =
        levels.into_iter().zip(&shapes).map(|(l, [n, c, h, w])| l.reshape([*n, *c, h * w])).collect();
    let single = if flat.len() == 1 { flat.pop() } else { None };
    let joined = f(single.unwrap_or_else(|| Tensor::cat(flat, 2)));
    if let [shape] = shapes.as_slice() {
        return vec![joined.reshape(*shape)];
    }
    let mut start = 0;
    let parts = shapes.into_iter().map(|shape| {
        let length = shape[2] * shape[3];
        let part = joined.clone().narrow(2, start, length).reshape(shape);
        start += length;
        part
    });
    parts.collect()
}
