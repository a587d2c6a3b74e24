//! How well a network does on held-out stills: average precision, and recall at one false positive per still.

use super::loss::decode;
use super::model::infer;
use super::views::planes;
use super::{Sample, TrainError};
use crate::net::{Architecture, STRIDES, Weights};
use crate::score::{FoundBox, Scores, TrueBox};
use crate::{Detection, ObjectClass, non_maximum_suppression};

/// Scores below this are not looked at.
const FLOOR: f32 = 0.02;
/// Boxes of one class that overlap more are one.
const SAME: f32 = 0.45;
/// Most boxes kept per still before suppression.
const MOST: usize = 1500;

/// The quality on one class.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quality {
    /// Average precision at IoU 0.5, all-point.
    pub average_precision: f32,
    /// Recall at IoU 0.3 where one false positive is made per still.
    pub recall_at_one: f32,
}

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
    let of_class = |(index, class): (usize, &ObjectClass)| {
        let pictures: Vec<(Vec<TrueBox>, Vec<FoundBox>)> = stills
            .iter()
            .zip(&found)
            .map(|(still, found)| {
                let truth = still.boxes.iter().filter(|b| b.class == index);
                let truth = truth.map(|b| TrueBox { bbox: b.bbox, ignore: b.ignore, groups: Vec::new() }).collect();
                let found = found.iter().filter(|d| d.class == *class).map(|d| (d.bbox, d.score)).collect();
                (truth, found)
            })
            .collect();
        let at = |iou| Scores::new(pictures.iter().map(|(t, f)| (&t[..], &f[..])), iou);
        Quality { average_precision: at(0.5).average_precision(), recall_at_one: at(0.3).recall_at(1.0) }
    };
    Ok(architecture.classes.iter().enumerate().map(of_class).collect())
}
