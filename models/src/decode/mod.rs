//! Decoders: from a detector's raw tensors to boxes in pixels of its input.
//!
//! One module per family of networks, chosen by `output.decoder` in the manifest. They do arithmetic on
//! slices and nothing else; numbers that are not finite, and tensors of the wrong length, are errors, so that
//! a broken network cannot pass for one that saw nothing (guarantee G2).

mod anchor_free;
mod centernet;
mod scrfd;
mod ssd;
mod yunet;

use serde::{Deserialize, Serialize};

use crate::geometry::{BBox, Detection, ObjectClass};

pub use ssd::{BoxEncoding, SsdAnchors};

/// How a network's outputs are to be read, with what the family leaves open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decoder", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Decoder {
    /// The project's own network: per level one tensor of class logits and box distances.
    AnchorFree {
        /// Pixels per cell of each output, in the order of the outputs.
        strides: Vec<u32>,
    },
    /// YuNet (Wu et al. 2023): `cls_S`, `obj_S`, `bbox_S` for each stride S.
    Yunet {
        /// Pixels per cell.
        strides: Vec<u32>,
    },
    /// CenterFace (Xu et al. 2019): heat map, scale, offset.
    Centernet {
        /// Pixels per cell.
        stride: u32,
    },
    /// SCRFD (Guo et al. 2021): per stride scores, distances and, if any, landmarks.
    Scrfd {
        /// Pixels per cell.
        strides: Vec<u32>,
        /// Anchors at each cell.
        anchors: u32,
    },
    /// SSD with prior boxes (Liu et al. 2016), as Ultra-Light uses it.
    SsdAnchors(SsdAnchors),
}

/// One output tensor of a network.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    /// Its name in the ONNX file.
    pub name: &'a str,
    /// Its dimensions.
    pub shape: &'a [usize],
    /// Its values, row-major.
    pub values: &'a [f32],
}

/// What a decoder needs to know besides the tensors.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Input width, pixels.
    pub width: u32,
    /// Input height, pixels.
    pub height: u32,
    /// Classes in the order of the network's outputs.
    pub classes: &'a [ObjectClass],
    /// Scores below this are dropped.
    pub min_score: f32,
}

/// Why outputs could not be read.
#[derive(Debug, thiserror::Error, PartialEq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum DecodeError {
    #[error("the network has no output {0}; is `output.decoder` right for this file?")]
    Missing(String),
    #[error("output {name} holds {actual} values where {expected} are due; is `output.decoder` right for this file?")]
    Length { name: String, expected: usize, actual: usize },
    #[error("output {0} holds values that are not numbers; the model file is damaged")]
    NotFinite(String),
}

impl Decoder {
    /// Reads `outputs` as detections, before suppression of doubles.
    ///
    /// # Errors
    /// An output is missing, of the wrong length, or holds NaN or infinity.
    pub fn decode(&self, outputs: &[Output<'_>], context: Context<'_>) -> Result<Vec<Detection>, DecodeError> {
        let mut found = Vec::new();
        match self {
            Self::AnchorFree { strides } => anchor_free::decode(strides, outputs, context, &mut found)?,
            Self::Yunet { strides } => yunet::decode(strides, outputs, context, &mut found)?,
            Self::Centernet { stride } => centernet::decode(*stride, outputs, context, &mut found)?,
            Self::Scrfd { strides, anchors } => scrfd::decode(strides, *anchors, outputs, context, &mut found)?,
            Self::SsdAnchors(ssd) => ssd.decode(outputs, context, &mut found)?,
        }
        Ok(found)
    }

    /// Checks the decoder's own fields.
    pub(crate) fn check(&self, classes: usize) -> Result<(), String> {
        let strides_ok = |s: &[u32]| {
            if s.is_empty() || s.len() > 8 || s.iter().any(|&s| !(1..=256).contains(&s)) {
                Err("name 1 to 8 strides of 1 to 256 pixels".to_owned())
            } else {
                Ok(())
            }
        };
        let one_class = || if classes == 1 { Ok(()) } else { Err("this decoder finds exactly one class".to_owned()) };
        match self {
            Self::AnchorFree { strides } => strides_ok(strides),
            Self::Yunet { strides } => strides_ok(strides).and_then(|()| one_class()),
            Self::Centernet { stride } => strides_ok(&[*stride]).and_then(|()| one_class()),
            Self::Scrfd { strides, anchors } => {
                if !(1..=16).contains(anchors) {
                    return Err("name 1 to 16 anchors per cell".to_owned());
                }
                strides_ok(strides).and_then(|()| one_class())
            }
            Self::SsdAnchors(ssd) => ssd.check(),
        }
    }
}

impl<'a> Output<'a> {
    fn by_name<'b>(outputs: &'b [Self], name: &str) -> Result<&'b Self, DecodeError> {
        outputs.iter().find(|o| o.name == name).ok_or_else(|| DecodeError::Missing(name.to_owned()))
    }

    fn by_position(outputs: &[Self], position: usize) -> Result<&Self, DecodeError> {
        outputs.get(position).ok_or_else(|| DecodeError::Missing(format!("number {position}")))
    }

    fn expect_len(&self, expected: usize) -> Result<&'a [f32], DecodeError> {
        if self.values.len() == expected {
            Ok(self.values)
        } else {
            Err(DecodeError::Length { name: self.name.to_owned(), expected, actual: self.values.len() })
        }
    }

    /// The values, if there are `expected` of them and all are finite.
    fn finite(&self, expected: usize) -> Result<&'a [f32], DecodeError> {
        let values = self.expect_len(expected)?;
        // x * 0 is 0 for every finite x and NaN for all others: one branch-free sum over the tensor.
        if values.iter().map(|v| v * 0.0).sum::<f32>() == 0.0 {
            Ok(values)
        } else {
            Err(DecodeError::NotFinite(self.name.to_owned()))
        }
    }
}

/// Cells of a level: `(columns, rows)` of an input at `stride`, rounded up as strided convolutions do.
fn cells(context: &Context<'_>, stride: u32) -> (usize, usize) {
    (context.width.div_ceil(stride) as usize, context.height.div_ceil(stride) as usize)
}

/// Adds a detection unless its box encloses nothing.
///
/// # Errors
/// The box overflowed: something was seen, and nobody can tell where.
fn push(found: &mut Vec<Detection>, class: ObjectClass, bbox: BBox, score: f32) -> Result<(), DecodeError> {
    if ![bbox.x, bbox.y, bbox.w, bbox.h].iter().all(|v| v.is_finite()) {
        return Err(DecodeError::NotFinite("(boxes)".to_owned()));
    }
    if bbox.is_valid() {
        found.push(Detection { class, bbox, score: score.clamp(0.0, 1.0) });
    }
    Ok(())
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}
