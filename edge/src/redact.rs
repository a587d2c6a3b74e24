//! The redactor: the only maker of [`Redacted`].

use crate::frame::{Color, Geometry, RawFrame};
use std::time::Duration;

/// A frame whose masked regions are destroyed. Only the redactor makes it.
#[derive(Debug)]
pub struct Redacted {
    frame: RawFrame,
}

impl Redacted {
    /// Its number within the stream, from 0.
    pub fn index(&self) -> u64 {
        self.frame.index()
    }

    /// When it was taken, counted from the stream's first frame.
    pub fn time(&self) -> Duration {
        self.frame.time()
    }

    /// Size and layout.
    pub fn geometry(&self) -> Geometry {
        self.frame.geometry()
    }

    /// How samples map to colours.
    pub fn color(&self) -> Color {
        self.frame.color()
    }

    /// The samples, laid out as [`Geometry::planes`] says.
    pub fn samples(&self) -> &[u8] {
        self.frame.pixels()
    }
}

#[cfg(test)]
impl Redacted {
    /// For the tests of sinks only: takes a frame as it is.
    pub(crate) fn for_tests(frame: RawFrame) -> Self {
        Self { frame }
    }
}
