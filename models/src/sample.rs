//! Annotated stills: what is learnt from and what quality is measured on. Knows no files and no networks.

use crate::BBox;

/// One annotated box of a still.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelledBox {
    /// Index into the network's classes: those of the manifest, or of the architecture in training.
    pub class: usize,
    /// Where, in pixels of the still.
    pub bbox: BBox,
    /// Neither right nor wrong to find: nothing of this class is learnt inside it.
    pub ignore: bool,
}

/// An annotated still.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Width in pixels, at least 32.
    pub width: u32,
    /// Height in pixels, at least 32.
    pub height: u32,
    /// Interleaved RGB, `width * height * 3` bytes.
    pub rgb: Vec<u8>,
    /// What is in it.
    pub boxes: Vec<LabelledBox>,
}

/// What can be wrong with an annotated still.
#[derive(Debug, thiserror::Error, PartialEq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum SampleError {
    #[error("still {index} is {width}x{height} pixels; sides of 32 to 16384 are accepted, scale it or leave it out")]
    Size { index: usize, width: u32, height: u32 },
    #[error(
        "still {index} has {actual} bytes where {expected} are due; it must be interleaved RGB, three bytes a pixel"
    )]
    Bytes { index: usize, expected: usize, actual: usize },
    #[error("still {index} has a box of class {class}, the model knows {classes}; number classes as the manifest does")]
    Class { index: usize, class: usize, classes: usize },
    #[error("still {index} has a box that is empty or not finite; leave it out")]
    Box { index: usize },
}

/// The sides that are accepted, pixels.
const SIDES: std::ops::RangeInclusive<u32> = 32..=16_384;

impl Sample {
    /// Checks sizes, and boxes against the number of `classes`; `index` is what errors call the still.
    ///
    /// # Errors
    /// See [`SampleError`].
    pub fn check(&self, index: usize, classes: usize) -> Result<(), SampleError> {
        let (width, height) = (self.width, self.height);
        if !SIDES.contains(&width) || !SIDES.contains(&height) {
            return Err(SampleError::Size { index, width, height });
        }
        let expected = width as usize * height as usize * 3;
        if self.rgb.len() != expected {
            return Err(SampleError::Bytes { index, expected, actual: self.rgb.len() });
        }
        if let Some(b) = self.boxes.iter().find(|b| b.class >= classes) {
            return Err(SampleError::Class { index, class: b.class, classes });
        }
        if self.boxes.iter().any(|b| !b.bbox.is_valid()) {
            return Err(SampleError::Box { index });
        }
        Ok(())
    }
}
