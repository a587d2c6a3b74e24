//! How a caller's samples lie in memory, and the copy of them into a frame of ours.
//!
//! Knows rows and planes; may not know pointers, pipelines or result codes.

use volet_edge::frame::{FrameError, Geometry, PixelFormat};

use crate::types::VoletFormat;

/// A frame's size, and the planes in which its samples are handed over. In a frame of ours they follow each other
/// without padding.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    format: VoletFormat,
    geometry: Geometry,
    planes: Vec<Rows>,
}

/// The rows of one plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    /// Bytes of samples in each.
    pub(crate) length: usize,
    /// How many; at least 1.
    pub(crate) count: usize,
}

/// A plane of a caller's picture: at least [`Rows::span`] bytes.
pub(crate) struct Samples<'a> {
    bytes: &'a [u8],
    stride: usize,
}

impl Layout {
    /// Planes of a picture of this size, in pixels.
    ///
    /// # Errors
    /// The size is out of bounds, or odd in YUYV.
    pub(crate) fn new(format: VoletFormat, width: u32, height: u32) -> Result<Self, FrameError> {
        let geometry = Geometry::new(pixel_format(format), width, height)?;
        let (w, h) = (width as usize, height as usize);
        let (half_w, half_h) = (w.div_ceil(2), h.div_ceil(2));
        let rows = |length, count| Rows { length, count };
        let planes = match format {
            VoletFormat::Nv12 => vec![rows(w, h), rows(2 * half_w, half_h)],
            VoletFormat::I420 => vec![rows(w, h), rows(half_w, half_h), rows(half_w, half_h)],
            VoletFormat::Yuyv => vec![rows(2 * w, h)],
            VoletFormat::Grey => vec![rows(w, h)],
        };
        Ok(Self { format, geometry, planes })
    }

    pub(crate) fn format(&self) -> VoletFormat {
        self.format
    }

    pub(crate) fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The planes, luma first; one to three.
    pub(crate) fn planes(&self) -> &[Rows] {
        &self.planes
    }

    /// Copies a picture into a frame's buffer of [`Geometry::bytes`].
    pub(crate) fn copy(&self, picture: &[Samples<'_>], to: &mut [u8]) {
        let mut rest = to;
        for (rows, samples) in self.planes.iter().zip(picture) {
            let (plane, after) = rest.split_at_mut(rows.length * rows.count);
            rest = after;
            if samples.stride == rows.length {
                plane.copy_from_slice(&samples.bytes[..plane.len()]);
            } else {
                for (to, from) in plane.chunks_exact_mut(rows.length).zip(samples.bytes.chunks(samples.stride)) {
                    to.copy_from_slice(&from[..rows.length]);
                }
            }
        }
    }
}

impl Rows {
    /// Bytes from the first sample to the end of the last row, which needs no padding; `None` where rows `stride` bytes
    /// apart would overlap, or be more than memory can hold.
    pub(crate) fn span(self, stride: usize) -> Option<usize> {
        let span = stride.checked_mul(self.count - 1)?.checked_add(self.length)?;
        (stride >= self.length && isize::try_from(span).is_ok()).then_some(span)
    }

    /// These rows in `bytes`; `None` where they are not all there.
    pub(crate) fn of(self, bytes: &[u8], stride: usize) -> Option<Samples<'_>> {
        (bytes.len() >= self.span(stride)?).then_some(Samples { bytes, stride })
    }
}

fn pixel_format(format: VoletFormat) -> PixelFormat {
    match format {
        VoletFormat::Nv12 => PixelFormat::Nv12,
        VoletFormat::I420 => PixelFormat::I420,
        VoletFormat::Yuyv => PixelFormat::Yuyv,
        VoletFormat::Grey => PixelFormat::Grey8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FORMATS: [VoletFormat; 4] = [VoletFormat::Nv12, VoletFormat::I420, VoletFormat::Yuyv, VoletFormat::Grey];

    proptest! {
        /// Whatever the padding, a frame holds the samples in order and nothing of the padding.
        #[test]
        fn padded_planes_become_a_frame(format in 0usize..4, w in 1u32..40, h in 1u32..40, padding in 0usize..20) {
            let Ok(layout) = Layout::new(FORMATS[format], w, h) else {
                prop_assert!(w % 2 == 1 && format == 2);
                return Ok(());
            };
            let mut next = 0;
            let mut expected = Vec::new();
            let padded: Vec<(Vec<u8>, usize)> = layout.planes().iter().map(|rows| {
                let stride = rows.length + padding;
                let mut bytes = vec![255; rows.span(stride).unwrap()];
                for row in bytes.chunks_mut(stride) {
                    for sample in &mut row[..rows.length] {
                        *sample = next;
                        expected.push(next);
                        next = (next + 1) % 251;
                    }
                }
                (bytes, stride)
            }).collect();
            let picture: Vec<Samples<'_>> =
                layout.planes().iter().zip(&padded).map(|(rows, (bytes, stride))| rows.of(bytes, *stride).unwrap()).collect();
            let mut frame = vec![0; layout.geometry().bytes()];
            layout.copy(&picture, &mut frame);
            prop_assert_eq!(frame, expected);
            // A sample fewer is a plane that is not there.
            for (rows, (bytes, stride)) in layout.planes().iter().zip(&padded) {
                prop_assert!(rows.of(&bytes[1..], *stride).is_none());
            }
        }
    }

    #[test]
    fn strides_that_overlap_or_overflow_are_refused() {
        let rows = Rows { length: 640, count: 360 };
        assert_eq!(rows.span(640), Some(640 * 360));
        assert_eq!(rows.span(1024), Some(1024 * 359 + 640));
        assert_eq!(rows.span(639), None);
        assert_eq!(rows.span(usize::MAX), None);
        assert_eq!(rows.span(usize::MAX / 359), None);
        assert_eq!(rows.span(isize::MAX as usize / 359 + 1), None);
    }
}
