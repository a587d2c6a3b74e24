//! Models of Volet: what a detector is, how its file is trusted, and how its numbers become boxes.
//!
//! A model is an ONNX file plus a [`Manifest`] (TOML) that names its BLAKE3 hash, its input, and the
//! decoder that turns its tensors into [`Detection`]s. A file whose hash is not the manifest's is
//! refused. Inference is tract-onnx, with one optimised plan per [`Detector`].
//!
//! This crate knows no network, no camera and no file formats for pictures: callers fill a
//! [`NetInput`] and read detections in that input's own pixels.

#[cfg(feature = "adapt")]
pub mod adapt;
pub mod builtin;
pub mod decode;
mod detector;
pub mod evaluate;
mod fit;
mod geometry;
mod learned;
// Training alone uses all of it.
#[cfg(feature = "adapt")]
#[cfg_attr(not(feature = "train"), allow(dead_code))]
mod learning;
mod manifest;
pub mod net;
mod sample;
pub mod score;
mod search;
#[cfg(feature = "train")]
pub mod train;

pub use detector::{DetectError, Detector, LoadError, Model, NetInput, PixelWriter};
pub use geometry::{BBox, Detection, ObjectClass, non_maximum_suppression};
pub use learned::LearnedError;
pub use manifest::{ChannelOrder, Digest, InputSpec, Manifest, ManifestError, Quality, Recipe, Thresholds, Trainable};
pub use sample::{LabelledBox, Sample, SampleError};
pub use search::{StillError, Teacher};
