//! Two fused operations with hand-written gradients for burn's `flex` backend: a 3x3 or 1x1
//! convolution, and a batch norm with an optional ReLU.
//!
//! Knows nothing of networks. Why not burn's own: its weight gradient is a convolution whose kernel
//! is the whole picture, and its batch norm is some fifteen passes over memory; measured, these two
//! make a training step several times shorter. A test holds them to burn's own operations, which other devices use.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
#[cfg(any(test, feature = "cuda", feature = "wgpu"))]
use burn::tensor::{activation, module::conv2d, ops::ConvOptions};
use std::sync::{Arc, Mutex};

use super::kernels;

/// Added to a variance before its root is taken.
pub(crate) const EPSILON: f32 = 1e-5;

/// Where a norm leaves each channel's mean and variance in its batch.
pub(crate) type BatchStatistics = Arc<Mutex<(Vec<f32>, Vec<f32>)>>;

/// The operations, as burn's dispatch routes them.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait BlockOps: Backend {
    /// Convolution of `[N, C, H, W]` by `[O, C, k, k]`, padding `k / 2`, no bias.
    fn block_conv(x: FloatTensor<Self>, weight: FloatTensor<Self>, stride: usize) -> FloatTensor<Self>;

    /// Batch norm of `[N, C, L]` by its own statistics, then a ReLU when `relu`.
    fn block_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        relu: bool,
        statistics: BatchStatistics,
    ) -> FloatTensor<Self>;
}

/// Convolution of `[N, C, H, W]` by `[O, C, k, k]`, padding `k / 2`, no bias; burn's own, on any device.
#[cfg(any(test, feature = "cuda", feature = "wgpu"))]
pub(crate) fn plain_conv(x: Tensor<4>, weight: Tensor<4>, stride: usize) -> Tensor<4> {
    let pad = weight.dims()[2] / 2;
    conv2d(x, weight, None, ConvOptions::new([stride, stride], [pad, pad], [1, 1], 1))
}

/// What [`norm`] computes, of burn's own operations, on any device.
#[cfg(any(test, feature = "cuda", feature = "wgpu"))]
pub(crate) fn plain_norm(
    x: Tensor<3>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    relu: bool,
    statistics: &BatchStatistics,
) -> Tensor<3> {
    let channels = x.dims()[1];
    let mean = x.clone().mean_dim(0).mean_dim(2);
    let centred = x - mean.clone();
    let variance = (centred.clone() * centred.clone()).mean_dim(0).mean_dim(2);
    let numbers = |t: &Tensor<3>| t.clone().inner().into_data().try_into_vec::<f32>().unwrap_or_default();
    leave(statistics, (numbers(&mean), numbers(&variance)));
    let unit = centred / (variance + EPSILON).sqrt();
    let y = unit * gamma.reshape([1, channels, 1]) + beta.reshape([1, channels, 1]);
    if relu { activation::relu(y) } else { y }
}

/// Convolution of `[N, C, H, W]` by `[O, C, k, k]`, padding `k / 2`, no bias.
pub(crate) fn conv(x: Tensor<4>, weight: Tensor<4>, stride: usize) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::block_conv(x.into_dispatch(), weight.into_dispatch(), stride))
}

/// Batch norm of `[N, C, L]` by its own statistics, which are left in `statistics`; a ReLU when `relu`.
pub(crate) fn norm(
    x: Tensor<3>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    relu: bool,
    statistics: BatchStatistics,
) -> Tensor<3> {
    let (x, gamma, beta) = (x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch());
    Tensor::from_dispatch(Dispatch::block_norm(x, gamma, beta, relu, statistics))
}

impl BlockOps for Flex {
    fn block_conv(x: FloatTensor<Self>, weight: FloatTensor<Self>, stride: usize) -> FloatTensor<Self> {
        kernels::conv(&x, &weight, stride)
    }

    fn block_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        relu: bool,
        statistics: BatchStatistics,
    ) -> FloatTensor<Self> {
        let moments = kernels::moments(&x);
        let y = kernels::norm(&x, &gamma, &beta, relu, &moments);
        leave(&statistics, moments);
        y
    }
}

fn leave(statistics: &BatchStatistics, moments: (Vec<f32>, Vec<f32>)) {
    match statistics.lock() {
        Ok(mut slot) => *slot = moments,
        Err(poisoned) => *poisoned.into_inner() = moments,
    }
}

impl<C: CheckpointStrategy> BlockOps for Autodiff<Flex, C> {
    fn block_conv(x: FloatTensor<Self>, weight: FloatTensor<Self>, stride: usize) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct ConvBackward;

        impl Backward<Flex, 2> for ConvBackward {
            type State = (FloatTensor<Flex>, FloatTensor<Flex>, usize);

            fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
                let [of_x, of_weight] = ops.parents;
                let grad = grads.consume::<Flex>(&ops.node);
                let (x, weight, stride) = ops.state;
                let (dx, dw) = kernels::conv_backward(&x, &weight, &grad, stride, of_x.is_some());
                if let (Some(node), Some(dx)) = (of_x, dx) {
                    grads.register::<Flex>(node.id, dx);
                }
                if let Some(node) = of_weight {
                    grads.register::<Flex>(node.id, dw);
                }
            }
        }

        let prepared = ConvBackward.prepare::<C>([x.node(), weight.node()]).compute_bound().stateful();
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let y = kernels::conv(&x, &weight, stride);
        match prepared {
            OpsKind::Tracked(prep) => prep.finish((x, weight, stride), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn block_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        relu: bool,
        statistics: BatchStatistics,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct NormBackward;

        #[derive(Clone, Debug)]
        struct Saved {
            x: FloatTensor<Flex>,
            gamma: FloatTensor<Flex>,
            beta: FloatTensor<Flex>,
            relu: bool,
            moments: (Vec<f32>, Vec<f32>),
        }

        impl Backward<Flex, 3> for NormBackward {
            type State = Saved;

            fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
                let [of_x, of_gamma, of_beta] = ops.parents;
                let grad = grads.consume::<Flex>(&ops.node);
                let s = ops.state;
                let [dx, dgamma, dbeta] = kernels::norm_backward(&s.x, &s.gamma, &s.beta, s.relu, &s.moments, &grad);
                for (node, value) in [(of_x, dx), (of_gamma, dgamma), (of_beta, dbeta)] {
                    if let Some(node) = node {
                        grads.register::<Flex>(node.id, value);
                    }
                }
            }
        }

        let prepared = NormBackward.prepare::<C>([x.node(), gamma.node(), beta.node()]).compute_bound().stateful();
        let (x, gamma, beta) = (x.into_primitive(), gamma.into_primitive(), beta.into_primitive());
        let moments = kernels::moments(&x);
        let y = kernels::norm(&x, &gamma, &beta, relu, &moments);
        leave(&statistics, moments.clone());
        match prepared {
            OpsKind::Tracked(prep) => prep.finish(Saved { x, gamma, beta, relu, moments }, y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn noise(shape: &[usize], seed: u64) -> TensorData {
        let mut random = crate::learning::random::Random::new(seed);
        let n = shape.iter().product();
        TensorData::new((0..n).map(|_| random.normal()).collect::<Vec<f32>>(), shape.to_vec())
    }

    fn close<const D: usize>(a: Tensor<D>, b: Tensor<D>) {
        let worst = (a - b).abs().max().into_scalar::<f32>();
        assert!(worst < 2e-3, "differs by {worst}");
    }

    #[test]
    fn values_and_gradients_are_those_of_burns_own_operations() {
        let device = Device::flex().autodiff();
        for (kernel, stride, side) in [(3, 1, 8), (3, 2, 8), (1, 1, 8), (3, 1, 2), (3, 2, 28), (3, 1, 30)] {
            let leaf = |shape: &[usize], seed| Tensor::<4>::from_data(noise(shape, seed), &device).require_grad();
            let vector = |seed| Tensor::<1>::from_data(noise(&[5], seed), &device).require_grad();
            let (x, w) = (leaf(&[3, 3, side, side], 1), leaf(&[5, 3, kernel, kernel], 2));
            let (gamma, beta) = (vector(3), vector(4));

            let ours = conv(x.clone(), w.clone(), stride);
            let theirs = plain_conv(x.clone(), w.clone(), stride);
            close(ours.clone().inner(), theirs.clone().inner());

            let [n, c, h, v] = ours.dims();
            let flat = ours.reshape([n, c, h * v]);
            let [left, theirs_left] = [BatchStatistics::default(), BatchStatistics::default()];
            let ours = norm(flat, gamma.clone(), beta.clone(), true, left.clone());
            let theirs = theirs.reshape([n, c, h * v]);
            let theirs = plain_norm(theirs, gamma.clone(), beta.clone(), true, &theirs_left);
            let (left, theirs_left) = (left.lock().unwrap(), theirs_left.lock().unwrap());
            for (a, b) in left.0.iter().chain(&left.1).zip(theirs_left.0.iter().chain(&theirs_left.1)) {
                assert!((a - b).abs() < 1e-3 * (1.0 + b.abs()), "{a} {b}");
            }
            close(ours.clone().inner(), theirs.clone().inner());

            let pull = Tensor::<3>::from_data(noise(&[n, c, h * v], 9), &device);
            let a = (ours * pull.clone()).sum().backward();
            let b = (theirs * pull).sum().backward();
            close(x.grad(&a).unwrap(), x.grad(&b).unwrap());
            close(w.grad(&a).unwrap(), w.grad(&b).unwrap());
            close(gamma.grad(&a).unwrap(), gamma.grad(&b).unwrap());
            close(beta.grad(&a).unwrap(), beta.grad(&b).unwrap());
        }
    }
}
