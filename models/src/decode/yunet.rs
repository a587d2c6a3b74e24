//! YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023), as OpenCV's FaceDetectorYN reads it.

use super::{Context, DecodeError, Detection, Output, cells, push};
use crate::geometry::BBox;

pub(super) fn decode(
    strides: &[u32],
    outputs: &[Output<'_>],
    context: Context<'_>,
    found: &mut Vec<Detection>,
) -> Result<(), DecodeError> {
    for &stride in strides {
        let (columns, rows) = cells(&context, stride);
        let level = |kind: &str| Output::by_name(outputs, &format!("{kind}_{stride}"));
        let classes = level("cls")?.finite(columns * rows)?;
        let objects = level("obj")?.finite(columns * rows)?;
        let boxes = level("bbox")?.finite(4 * columns * rows)?;
        let stride = stride as f32;
        for cell in 0..columns * rows {
            let score = (classes[cell].clamp(0.0, 1.0) * objects[cell].clamp(0.0, 1.0)).sqrt();
            if score >= context.min_score {
                let b = &boxes[4 * cell..4 * cell + 4];
                let cx = ((cell % columns) as f32 + b[0]) * stride;
                let cy = ((cell / columns) as f32 + b[1]) * stride;
                let (w, h) = (b[2].exp() * stride, b[3].exp() * stride);
                push(found, context.classes[0], BBox::new(cx - w / 2.0, cy - h / 2.0, w, h), score)?;
            }
        }
    }
    Ok(())
}
