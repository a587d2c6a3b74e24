//! How well a network does on held-out stills: average precision, and recall at one false positive per still.

use super::loss::decode;
use super::model::infer;
use super::views::planes;
use super::{Sample, TrainError};
use crate::net::{Architecture, STRIDES, Weights};
use crate::{Detection, non_maximum_suppression};

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
    let classes = 0..architecture.classes.len();
    Ok(classes
        .map(|class| {
            let name = architecture.classes[class];
            let of_class = |iou: f32| {
                let mut marks = Vec::new();
                let mut truths = 0;
                for (still, found) in stills.iter().zip(&found) {
                    let found: Vec<&Detection> = found.iter().filter(|d| d.class == name).collect();
                    truths += matches(still, class, &found, iou, &mut marks);
                }
                marks.sort_by(|a: &(f32, bool), b| b.0.total_cmp(&a.0));
                (marks, truths)
            };
            let (marks, truths) = of_class(0.5);
            let average_precision = average_precision(&marks, truths);
            let (marks, truths) = of_class(0.3);
            let mut wrong = 0;
            let hits = marks
                .iter()
                .take_while(|m| {
                    wrong += usize::from(!m.1);
                    wrong <= stills.len()
                })
                .filter(|m| m.1)
                .count();
            Quality { average_precision, recall_at_one: hits as f32 / truths.max(1) as f32 }
        })
        .collect())
}

/// Marks each detection of one still right or wrong, best score first; returns the number of truths.
fn matches(still: &Sample, class: usize, found: &[&Detection], iou: f32, marks: &mut Vec<(f32, bool)>) -> usize {
    let boxes: Vec<_> = still.boxes.iter().filter(|b| b.class == class).collect();
    let mut used = vec![false; boxes.len()];
    for d in found {
        let best = boxes
            .iter()
            .enumerate()
            .filter(|(i, b)| !b.ignore && !used[*i] && b.bbox.iou(&d.bbox) >= iou)
            .max_by(|a, b| a.1.bbox.iou(&d.bbox).total_cmp(&b.1.bbox.iou(&d.bbox)));
        if let Some((i, _)) = best {
            used[i] = true;
            marks.push((d.score, true));
            continue;
        }
        let excused = boxes
            .iter()
            .any(|b| b.ignore && (b.bbox.iou(&d.bbox) >= iou || b.bbox.intersection(&d.bbox) >= 0.5 * d.bbox.area()));
        if !excused {
            marks.push((d.score, false));
        }
    }
    boxes.iter().filter(|b| !b.ignore).count()
}

fn average_precision(marks: &[(f32, bool)], truths: usize) -> f32 {
    let mut hits = 0usize;
    let mut points: Vec<(f32, f32)> = marks
        .iter()
        .enumerate()
        .map(|(i, m)| {
            hits += usize::from(m.1);
            (hits as f32 / truths.max(1) as f32, hits as f32 / (i + 1) as f32)
        })
        .collect();
    let mut best = 0.0f32;
    for p in points.iter_mut().rev() {
        best = best.max(p.1);
        p.1 = best;
    }
    let mut area = 0.0;
    let mut recall = 0.0;
    for (r, p) in points {
        area += (r - recall) * p;
        recall = r;
    }
    area
}
