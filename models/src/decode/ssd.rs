//! SSD heads over prior boxes (Liu et al., "SSD: Single Shot MultiBox Detector", 2016, section 2.2), as Ultra-Light
//! (RFB-320) exports them: `scores` [1, N, 1 + K] after the softmax, background first; `boxes` [1, N, 4].

use serde::{Deserialize, Serialize};

use super::{Context, DecodeError, Detection, Output, cells, push};
use crate::geometry::BBox;

/// The prior boxes of an SSD network and how its boxes refer to them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SsdAnchors {
    /// Name of the output with the class probabilities.
    #[serde(default = "scores_name")]
    pub scores: String,
    /// Name of the output with the boxes.
    #[serde(default = "boxes_name")]
    pub boxes: String,
    /// What the boxes are.
    #[serde(default)]
    pub encoding: BoxEncoding,
    /// Pixels per cell of each level. Only for `deltas`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strides: Vec<u32>,
    /// Sides of the square priors of each level, in pixels. Only for `deltas`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sides: Vec<Vec<f32>>,
    /// What offsets and log sizes are multiplied with.
    #[serde(default = "variances")]
    pub variances: [f32; 2],
}

/// What an SSD network's box output holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BoxEncoding {
    /// Corners as shares of the input's sides: the file decodes for itself.
    #[default]
    Corners,
    /// Centre offsets and log sizes relative to the prior boxes.
    Deltas,
}

fn scores_name() -> String {
    "scores".to_owned()
}

fn boxes_name() -> String {
    "boxes".to_owned()
}

fn variances() -> [f32; 2] {
    [0.1, 0.2]
}

impl SsdAnchors {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.encoding == BoxEncoding::Corners {
            return Ok(());
        }
        if self.strides.is_empty() || self.strides.len() > 8 || self.strides.len() != self.sides.len() {
            return Err("name 1 to 8 strides, and the sides of the priors for each".to_owned());
        }
        if self.strides.iter().any(|&s| !(1..=256).contains(&s)) {
            return Err("strides must be 1 to 256 pixels".to_owned());
        }
        let sides_ok = |s: &Vec<f32>| (1..=16).contains(&s.len()) && s.iter().all(|v| v.is_finite() && *v > 0.0);
        if !self.sides.iter().all(sides_ok) || !self.variances.iter().all(|v| v.is_finite()) {
            return Err("each level needs 1 to 16 sides above 0, and variances must be finite".to_owned());
        }
        Ok(())
    }

    pub(super) fn decode(
        &self,
        outputs: &[Output<'_>],
        context: Context<'_>,
        found: &mut Vec<Detection>,
    ) -> Result<(), DecodeError> {
        let scores = Output::by_name(outputs, &self.scores)?;
        let per_box = context.classes.len() + 1;
        let count = match self.encoding {
            BoxEncoding::Corners => scores.values.len() / per_box,
            BoxEncoding::Deltas => {
                let per_level = self.strides.iter().zip(&self.sides).map(|(&stride, sides)| {
                    let (columns, rows) = cells(&context, stride);
                    columns * rows * sides.len()
                });
                per_level.sum()
            }
        };
        let scores = scores.finite(count * per_box)?;
        let boxes = Output::by_name(outputs, &self.boxes)?.finite(4 * count)?;
        let mut priors = Priors::default();
        for i in 0..count {
            let of_box = &scores[i * per_box + 1..][..context.classes.len()];
            if of_box.iter().all(|&s| s < context.min_score) {
                continue;
            }
            let b = &boxes[4 * i..4 * i + 4];
            let (w, h) = (context.width as f32, context.height as f32);
            let bbox = match self.encoding {
                BoxEncoding::Corners => BBox::from_corners(b[0] * w, b[1] * h, b[2] * w, b[3] * h),
                BoxEncoding::Deltas => {
                    let Some((cx, cy, side)) = priors.get(self, &context, i) else { continue };
                    let (x, y) = (cx + b[0] * self.variances[0] * side, cy + b[1] * self.variances[0] * side);
                    let (bw, bh) = (side * (b[2] * self.variances[1]).exp(), side * (b[3] * self.variances[1]).exp());
                    BBox::new(x - bw / 2.0, y - bh / 2.0, bw, bh)
                }
            };
            for (&class, &score) in context.classes.iter().zip(of_box) {
                if score >= context.min_score {
                    push(found, class, bbox, score)?;
                }
            }
        }
        Ok(())
    }
}

/// Walks the prior boxes of all levels in the order of the outputs.
#[derive(Default)]
struct Priors {
    level: usize,
    first: usize,
}

impl Priors {
    /// Centre and side of prior `i` (rising from call to call), in pixels.
    fn get(&mut self, ssd: &SsdAnchors, context: &Context<'_>, i: usize) -> Option<(f32, f32, f32)> {
        loop {
            let (&stride, sides) = (ssd.strides.get(self.level)?, ssd.sides.get(self.level)?);
            let (columns, rows) = cells(context, stride);
            let here = i - self.first;
            if here < columns * rows * sides.len() {
                let (cell, stride) = (here / sides.len(), stride as f32);
                let cx = ((cell % columns) as f32 + 0.5) * stride;
                let cy = ((cell / columns) as f32 + 0.5) * stride;
                return Some((cx, cy, sides[here % sides.len()]));
            }
            self.first += columns * rows * sides.len();
            self.level += 1;
        }
    }
}
