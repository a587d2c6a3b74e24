//! Learning from what the camera saw: lessons, whose labels no stranger drew.
//!
//! Pixels stay on the device here: nothing of this module can be handed to the release gate or the transport.

mod labels;
mod lesson;

pub use labels::{Candidate, Evidence, LabelConfig, Labeller};
pub use lesson::{Label, Lesson, Source};
