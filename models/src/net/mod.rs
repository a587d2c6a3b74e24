//! The project's own detector network: its shape, its tensors, its ONNX file.
//!
//! An anchor-free, fully convolutional detector with three output levels (strides 8, 16, 32) and a
//! top-down pyramid of plain 3x3 convolutions: the operators that tract runs fastest. Batch
//! norms are folded into the convolutions before a network leaves training, so this module knows no
//! norm, no gradient and no training; it is always compiled.
//!
//! **Input** `image`: `[1, 3, H, W]`, RGB, each value `(byte - INPUT_MEAN) * INPUT_SCALE`.
//! **Outputs** `p8`, `p16`, `p32`: `[1, K + 4, H / s, W / s]`; first K class logits (one sigmoid each),
//! then l, t, r, b: the distance in pixels from the cell's centre `((i + 0.5) * s, (j + 0.5) * s)` to
//! that side of the box is `s * exp(v)`, v clamped to [`LOG_DISTANCE`].

mod onnx;
mod weights;

pub use onnx::{read_model, write_model};
pub use weights::{Tensor, Weights};
pub(crate) use weights::{read as read_tensor, write as write_tensor};

use crate::ObjectClass;
use serde::{Deserialize, Serialize};

/// The strides of the output levels, finest first, in pixels.
pub const STRIDES: [usize; 3] = [8, 16, 32];
/// What is subtracted from every byte of the picture.
pub const INPUT_MEAN: f32 = 127.5;
/// What the difference is multiplied by.
pub const INPUT_SCALE: f32 = 1.0 / 64.0;
/// The range that a predicted log-distance is clamped to.
pub const LOG_DISTANCE: (f32, f32) = (-4.0, 5.0);

/// What can be wrong with a network's description or file.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The architecture makes no sense.
    #[error("architecture: {0}; correct the recipe's [architecture] table")]
    Architecture(String),
    /// A tensor is absent or has another shape.
    #[error("tensor {name:?}: expected shape {expected:?}, found {found}; the weights belong to another architecture")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// The shape that the architecture asks for.
        expected: Vec<usize>,
        /// What there was instead.
        found: String,
    },
    /// The input size does not fit the strides.
    #[error("input of {0}x{1} px: both sides must be multiples of 32 between 32 and 8192")]
    InputSize(usize, usize),
    /// The file is no ONNX model, or one without usable initialisers.
    #[error("not a usable ONNX model: {0}")]
    Onnx(String),
}

/// One stage of the backbone: a 3x3 convolution of stride 2, then `blocks` of stride 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Channels of all its convolutions.
    pub channels: usize,
    /// 3x3 convolutions after the one that halves the resolution.
    pub blocks: usize,
}

/// The shape of a detector network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// What it finds, in the order of the logits.
    pub classes: Vec<ObjectClass>,
    /// Channels at stride 2 and at stride 4.
    pub stem: [usize; 2],
    /// The stages that end at strides 8, 16 and 32.
    pub stages: [Stage; 3],
    /// Channels of the pyramid and of the head that all levels share.
    pub head: usize,
}

/// What follows a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// A batch norm in training (folded on export), then a ReLU.
    NormRelu,
    /// A batch norm in training (folded on export), nothing else.
    Norm,
    /// A bias alone.
    Bias,
}

/// One convolution of the network. Its tensors are `NAME.weight` and `NAME.bias`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Name, unique in the network.
    pub name: String,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Side of the square kernel, 1 or 3; the padding is half of it.
    pub kernel: usize,
    /// Stride, 1 or 2.
    pub stride: usize,
    /// What follows.
    pub after: After,
}

impl Architecture {
    /// Checks that the numbers make a network of sane size.
    ///
    /// # Errors
    /// [`NetError::Architecture`], naming the field.
    pub fn check(&self) -> Result<(), NetError> {
        let fail = |why: &str| Err(NetError::Architecture(why.to_owned()));
        let mut classes = self.classes.clone();
        classes.sort();
        classes.dedup();
        if classes.is_empty() || classes.len() != self.classes.len() {
            return fail("`classes` must name each class once, and one at least");
        }
        let widths = self.stem.iter().chain(self.stages.iter().map(|s| &s.channels)).chain([&self.head]);
        if widths.into_iter().any(|c| !(1..=1024).contains(c)) {
            return fail("channels in `stem`, `stages` and `head` must be 1 to 1024");
        }
        if self.stages.iter().any(|s| s.blocks > 32) {
            return fail("a stage has at most 32 blocks");
        }
        Ok(())
    }

    /// Channels of each output: class logits and four distances.
    pub fn outputs(&self) -> usize {
        self.classes.len() + 4
    }

    /// Every convolution: stem, then each stage's, then laterals, the shared head, and one output per level.
    pub fn convs(&self) -> Vec<Conv> {
        let mut convs = Vec::new();
        let mut push = |name: String, inputs, outputs, kernel, stride, after| {
            convs.push(Conv { name, inputs, outputs, kernel, stride, after });
        };
        let mut channels = 3;
        for (i, &width) in self.stem.iter().enumerate() {
            push(format!("stem.{i}"), channels, width, 3, 2, After::NormRelu);
            channels = width;
        }
        for (stage, stride) in self.stages.iter().zip(STRIDES) {
            push(format!("stage{stride}.down"), channels, stage.channels, 3, 2, After::NormRelu);
            channels = stage.channels;
            for i in 0..stage.blocks {
                push(format!("stage{stride}.{i}"), channels, channels, 3, 1, After::NormRelu);
            }
        }
        for (stage, stride) in self.stages.iter().zip(STRIDES) {
            push(format!("lateral{stride}"), stage.channels, self.head, 1, 1, After::Norm);
        }
        push("head".to_owned(), self.head, self.head, 3, 1, After::NormRelu);
        for stride in STRIDES {
            push(format!("out{stride}"), self.head, self.outputs(), 1, 1, After::Bias);
        }
        convs
    }

    /// Number of trained values in the exported network (weights and biases).
    pub fn parameters(&self) -> usize {
        self.convs().iter().map(|c| c.weight_shape().iter().product::<usize>() + c.outputs).sum()
    }
}

impl Conv {
    /// Shape of the weight: `[outputs, inputs, kernel, kernel]`.
    pub fn weight_shape(&self) -> [usize; 4] {
        [self.outputs, self.inputs, self.kernel, self.kernel]
    }

    /// Name of the weight tensor.
    pub fn weight_name(&self) -> String {
        format!("{}.weight", self.name)
    }

    /// Name of the bias tensor.
    pub fn bias_name(&self) -> String {
        format!("{}.bias", self.name)
    }
}
