//! The project's own network: one output per level, `[1, K + 4, rows, columns]`: K class logits, then how far
//! the box reaches left, up, right and down from the cell's centre, as `stride * exp(v)` (cf. FCOS, Tian et al. 2019).

use super::{Context, DecodeError, Detection, Output, cells, push, sigmoid};
use crate::geometry::BBox;

/// Bounds of `v` in `exp(v)`: 1/55 to 148 cells.
const EXPONENT: std::ops::RangeInclusive<f32> = -4.0..=5.0;

pub(super) fn decode(
    strides: &[u32],
    outputs: &[Output<'_>],
    context: Context<'_>,
    found: &mut Vec<Detection>,
) -> Result<(), DecodeError> {
    let classes = context.classes.len();
    // Comparing logits spares the exponential in nearly every cell.
    let min_score = context.min_score.clamp(1e-6, 1.0 - 1e-6);
    let min_logit = (min_score / (1.0 - min_score)).ln();
    for (level, &stride) in strides.iter().enumerate() {
        let (columns, rows) = cells(&context, stride);
        let plane = columns * rows;
        let values = Output::by_position(outputs, level)?.finite((classes + 4) * plane)?;
        let (logits, distances) = values.split_at(classes * plane);
        let reach = |side: usize, cell: usize| {
            stride as f32 * distances[side * plane + cell].clamp(*EXPONENT.start(), *EXPONENT.end()).exp()
        };
        for (k, &class) in context.classes.iter().enumerate() {
            for (cell, &logit) in logits[k * plane..][..plane].iter().enumerate() {
                if logit >= min_logit {
                    let cx = ((cell % columns) as f32 + 0.5) * stride as f32;
                    let cy = ((cell / columns) as f32 + 0.5) * stride as f32;
                    let bbox = BBox::from_corners(
                        cx - reach(0, cell),
                        cy - reach(1, cell),
                        cx + reach(2, cell),
                        cy + reach(3, cell),
                    );
                    push(found, class, bbox, sigmoid(logit))?;
                }
            }
        }
    }
    Ok(())
}
