//! How good a model is on annotated stills: average precision, and recall at one false positive per still.
//!
//! Every still is searched as a camera's pipeline searches a frame, by tract, at the manifest's size. Knows no files
//! and no training.

use crate::detector::Model;
use crate::sample::Sample;
use crate::score::{FoundBox, Scores, TrueBox};
use crate::search::{StillError, search};
use crate::{Detection, ObjectClass};

/// Scores below this are not looked at.
pub(crate) const FLOOR: f32 = 0.02;

/// The quality on one class.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quality {
    /// Average precision at IoU 0.5, all-point; 0 to 1.
    pub average_precision: f32,
    /// Recall at IoU 0.3 where one false positive is made per still; 0 to 1.
    pub recall_at_one: f32,
    /// True boxes that count.
    pub boxes: usize,
}

/// The quality of `model` on the faces of annotated stills.
///
/// # Errors
/// No stills, a damaged one, a model that knows no faces or cannot be run.
pub fn quality(model: &Model, samples: &[Sample]) -> Result<Quality, StillError> {
    let face = model.manifest().classes.iter().position(|c| *c == ObjectClass::Face);
    let face = face.ok_or_else(|| StillError::NoFaces(model.manifest().name.clone()))?;
    Ok(quality_by_class(model, samples)?.get(face).copied().unwrap_or_default())
}

/// The quality of `model` on each of its manifest's classes, in their order.
///
/// # Errors
/// No stills, a damaged one, a model that cannot be run.
pub fn quality_by_class(model: &Model, samples: &[Sample]) -> Result<Vec<Quality>, StillError> {
    quality_at(model, samples, None)
}

/// As [`quality_by_class`], where stills are searched at this size, which the network must take; `None`: at the
/// manifest's.
///
/// # Errors
/// As [`quality_by_class`].
pub fn quality_at(model: &Model, samples: &[Sample], size: Option<(u32, u32)>) -> Result<Vec<Quality>, StillError> {
    let classes = &model.manifest().classes;
    if samples.is_empty() {
        return Err(StillError::NoSamples);
    }
    for (index, sample) in samples.iter().enumerate() {
        sample.check(index, classes.len())?;
    }
    let found = samples.iter().map(|s| search(model, s, size, false, FLOOR)).collect::<Result<Vec<_>, _>>()?;
    Ok(by_class(classes, samples, &found))
}

/// The quality on each class, given what was found in each still.
pub(crate) fn by_class(classes: &[ObjectClass], stills: &[Sample], found: &[Vec<Detection>]) -> Vec<Quality> {
    let of_class = |(index, class): (usize, &ObjectClass)| {
        let pictures: Vec<(Vec<TrueBox>, Vec<FoundBox>)> = stills
            .iter()
            .zip(found)
            .map(|(still, found)| {
                let truth = still.boxes.iter().filter(|b| b.class == index);
                let truth = truth.map(|b| TrueBox { bbox: b.bbox, ignore: b.ignore, groups: Vec::new() }).collect();
                let found = found.iter().filter(|d| d.class == *class).map(|d| (d.bbox, d.score)).collect();
                (truth, found)
            })
            .collect();
        let at = |iou| Scores::new(pictures.iter().map(|(t, f)| (&t[..], &f[..])), iou);
        let strict = at(0.5);
        Quality {
            average_precision: strict.average_precision(),
            recall_at_one: at(0.3).recall_at(1.0),
            boxes: strict.boxes(),
        }
    };
    classes.iter().enumerate().map(of_class).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::SampleError;
    use crate::{BBox, LabelledBox, builtin};

    #[test]
    fn what_cannot_be_measured_is_an_error() {
        let model = builtin::default_model().unwrap();
        assert!(matches!(quality(&model, &[]), Err(StillError::NoSamples)));
        let still = Sample { width: 64, height: 48, rgb: vec![90; 64 * 48 * 3], boxes: vec![] };
        assert_eq!(quality(&model, std::slice::from_ref(&still)).unwrap(), Quality::default());
        let short = Sample { rgb: vec![0; 5], ..still.clone() };
        assert!(matches!(quality(&model, &[short]), Err(StillError::Sample(SampleError::Bytes { index: 0, .. }))));
        let bbox = BBox::new(0.0, 0.0, 9.0, 9.0);
        let boxes = vec![LabelledBox { class: 2, bbox, ignore: false }];
        let other = quality(&model, &[still.clone(), Sample { boxes, ..still }]);
        assert!(matches!(other, Err(StillError::Sample(SampleError::Class { index: 1, .. }))));
    }
}
