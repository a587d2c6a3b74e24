//! One trainable tensor, and how learned values change it: each of its values by one of its own, or each window of a kernel
//! evenly.
//!
//! Evenly: a kernel of shape `[out, in, k, k]` learns `[out, in]` values, each of which moves all `k * k` of its window
//! alike, by `1 / k` of itself, so that lengths stay what they are. It is as if a 1x1 convolution of the blurred input were added.
//! Noise for privacy grows with the root of how many values there are, and what cameras have to teach each other lies mostly
//! here: in the updates of 320 synthetic sites a ninth of the values held 77 % of the energy of their mean, and 53 % of
//! what sites differ by (docs/adaptation.md).
//!
//! Knows numbers and shapes; no file and no training.

use crate::net::Tensor;

/// A trainable tensor as the model's file has it.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) tensor: Tensor,
    /// How many values in a row share a learned one: 1, or those of a kernel's window.
    pub(crate) window: usize,
}

impl Part {
    /// All of a tensor's values learn for themselves.
    pub(crate) fn whole(name: String, tensor: Tensor) -> Self {
        Self { name, tensor, window: 1 }
    }

    /// The windows of a kernel learn evenly. None where the tensor is no kernel of a convolution.
    pub(crate) fn evenly(name: String, tensor: Tensor) -> Option<Self> {
        match *tensor.shape.as_slice() {
            [_, _, height, width] => Some(Self { name, tensor, window: (height * width).max(1) }),
            _ => None,
        }
    }

    /// How many learned values it takes.
    pub(crate) fn len(&self) -> usize {
        self.tensor.data.len() / self.window
    }

    /// The tensor changed by `learned`, as many as [`Part::len`]. Zeros leave every value as it is, to the bit.
    pub(crate) fn with(&self, learned: &[f32]) -> Tensor {
        let (mut tensor, share) = (self.tensor.clone(), self.share());
        // -0 + 0 would be +0.
        for (window, more) in tensor.data.chunks_exact_mut(self.window).zip(learned).filter(|(_, more)| **more != 0.0) {
            window.iter_mut().for_each(|value| *value += more * share);
        }
        tensor
    }

    /// How far each value of a window moves with its learned one.
    pub(crate) fn share(&self) -> f32 {
        1.0 / (self.window as f32).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kernel(outputs: usize, inputs: usize, side: usize, value: impl Fn(usize) -> f32) -> Part {
        let data = (0..outputs * inputs * side * side).map(value).collect();
        Part::evenly("kernel".to_owned(), Tensor { shape: vec![outputs, inputs, side, side], data }).unwrap()
    }

    #[test]
    fn a_window_moves_evenly_and_no_other_does() {
        let part = kernel(2, 3, 3, |i| i as f32);
        assert_eq!(part.len(), 6);
        let mut learned = vec![0.0; 6];
        learned[4] = 3.0;
        let moved = part.with(&learned);
        for (at, (before, after)) in part.tensor.data.iter().zip(&moved.data).enumerate() {
            assert_eq!(after - before, if (36..45).contains(&at) { 1.0 } else { 0.0 }, "{at}");
        }
        let bias = Tensor { shape: vec![4], data: vec![0.0; 4] };
        assert!(Part::evenly("bias".to_owned(), bias).is_none());
    }

    proptest! {
        /// What is learned keeps its length, and nothing learned changes nothing.
        #[test]
        fn a_kernel_moves_as_far_as_what_it_learns(
            outputs in 1usize..4, inputs in 1usize..5, side in 1usize..4, seed in 1u32..1000
        ) {
            let number = |i: usize, of: u32| ((i as u32 * 37 + of * seed) % 101) as f32 / 50.0 - 1.0;
            let part = kernel(outputs, inputs, side, |i| number(i, 3));
            let learned: Vec<f32> = (0..part.len()).map(|i| number(i, 5)).collect();
            let change: Vec<f32> = part.with(&learned).data.iter().zip(&part.tensor.data).map(|(a, b)| a - b).collect();
            let length = |values: &[f32]| values.iter().map(|v| v * v).sum::<f32>().sqrt();
            prop_assert!((length(&change) - length(&learned)).abs() < 1e-3 * (1.0 + length(&learned)));
            prop_assert_eq!(part.with(&vec![0.0; part.len()]).data, part.tensor.data);
        }
    }
}
