//! SCRFD (Guo et al., "Sample and Computation Redistribution for Efficient Face Detection", 2021), as InsightFace
//! exports it: for S strides, outputs 0..S are scores, S..2S are distances left, up, right and down in cells;
//! landmarks, if any, follow. The anchors of a cell lie at its top-left corner.

use super::{Context, DecodeError, Detection, Output, cells, push};
use crate::geometry::BBox;

pub(super) fn decode(
    strides: &[u32],
    anchors: u32,
    outputs: &[Output<'_>],
    context: Context<'_>,
    found: &mut Vec<Detection>,
) -> Result<(), DecodeError> {
    let anchors = anchors as usize;
    for (level, &stride) in strides.iter().enumerate() {
        let (columns, rows) = cells(&context, stride);
        let count = columns * rows * anchors;
        let scores = Output::by_position(outputs, level)?.finite(count)?;
        let distances = Output::by_position(outputs, strides.len() + level)?.finite(4 * count)?;
        let stride = stride as f32;
        for (i, &score) in scores.iter().enumerate() {
            if score >= context.min_score {
                let cell = i / anchors;
                let (cx, cy) = ((cell % columns) as f32 * stride, (cell / columns) as f32 * stride);
                let d = &distances[4 * i..4 * i + 4];
                let bbox =
                    BBox::from_corners(cx - d[0] * stride, cy - d[1] * stride, cx + d[2] * stride, cy + d[3] * stride);
                push(found, context.classes[0], bbox, score)?;
            }
        }
    }
    Ok(())
}
