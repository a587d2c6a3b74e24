//! A lesson: a still that the camera took, with labels that no stranger drew.
//!
//! Knows boxes and pixels; not how labels come about, nor where lessons are kept.

use volet_models::{BBox, LabelledBox, Sample};

/// Why a box is believed, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The detector found it, and the frames around agree.
    Detector,
    /// The detector missed it in this frame, and found it before and after.
    Tracker,
    /// The detector found it over several scales and flips, when there was time.
    Teacher,
    /// The camera's owner said so.
    Owner,
}

/// One thing in a still.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Label {
    /// Index into the model's classes.
    pub class: usize,
    /// Where, in pixels of the still.
    pub bbox: BBox,
    /// Too uncertain to be learnt, one way or the other.
    pub ignore: bool,
    /// Why it is there.
    pub source: Source,
}

impl Label {
    /// Whether it is a box that has something in a picture of this size.
    pub(crate) fn is_inside(&self, width: u32, height: u32) -> bool {
        self.bbox.is_valid() && self.bbox.clipped(width, height).is_some()
    }
}

/// A still and what is in it. What has no label is taken for background.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Interleaved RGB, `width * height * 3` bytes.
    pub rgb: Vec<u8>,
    /// What is in it.
    pub labels: Vec<Label>,
}

impl Lesson {
    /// What training and judging want of it.
    pub fn sample(&self) -> Sample {
        let boxes =
            self.labels.iter().map(|l| LabelledBox { class: l.class, bbox: l.bbox, ignore: l.ignore }).collect();
        Sample { width: self.width, height: self.height, rgb: self.rgb.clone(), boxes }
    }
}
