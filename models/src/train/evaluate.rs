//! What a network in training finds in held-out stills, computed by burn: it need not be exported to be judged.

use super::TrainError;
use super::model::infer;
use super::views::planes;
use crate::evaluate::{FLOOR, Quality, by_class};
use crate::learning::loss::decode;
use crate::net::{Architecture, STRIDES, Weights};
use crate::{Detection, Sample, non_maximum_suppression};

/// Boxes of one class that overlap more are one.
const SAME: f32 = 0.45;
/// Most boxes kept per still before suppression.
const MOST: usize = 1500;

/// What a folded network finds in a still whose sides are cut to multiples of 32; sorted by score.
pub fn detect(architecture: &Architecture, folded: &Weights, still: &Sample) -> Result<Vec<Detection>, TrainError> {
    let (width, height) = (still.width as usize, still.height as usize);
    let (w, h) = (width / 32 * 32, height / 32 * 32);
    let rows = still.rgb.chunks_exact(width.max(1) * 3).take(h);
    let cut: Vec<u8> = rows.flat_map(|row| row[..w * 3].iter().copied()).collect();
    let levels = infer(architecture, folded, planes(&cut), (w, h))?;
    let classes = architecture.classes.len();
    let mut found = Vec::new();
    for (level, stride) in levels.iter().zip(STRIDES) {
        let cells = level.height * level.width;
        for cell in 0..cells {
            for (k, &class) in architecture.classes.iter().enumerate() {
                let score = 1.0 / (1.0 + (-level.data[k * cells + cell]).exp());
                if score >= FLOOR {
                    let v = [0, 1, 2, 3].map(|side| level.data[(classes + side) * cells + cell]);
                    let bbox = decode(stride as f32, cell % level.width, cell / level.width, v);
                    found.push(Detection { class, bbox, score });
                }
            }
        }
    }
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found.truncate(MOST);
    Ok(non_maximum_suppression(found, SAME))
}

/// The quality on each class, in the architecture's order.
pub(super) fn evaluate(
    architecture: &Architecture,
    folded: &Weights,
    stills: &[Sample],
) -> Result<Vec<Quality>, TrainError> {
    let found = stills.iter().map(|s| detect(architecture, folded, s)).collect::<Result<Vec<_>, _>>()?;
    Ok(by_class(&architecture.classes, stills, &found))
}
