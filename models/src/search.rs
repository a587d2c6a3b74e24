//! Searching single stills: once at one size, or slowly and thoroughly.
//!
//! [`Teacher`] is the same network with more time: it looks at several sizes, and at mirror images too. What most looks
//! agree on is surer than any single look. Knows no labels and no training.

use crate::detector::{DetectError, LoadError, Model};
use crate::fit::fit;
use crate::sample::{Sample, SampleError};
use crate::{BBox, Detection};

/// Why stills could not be searched, or a model not be measured on them.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum StillError {
    #[error(transparent)]
    Sample(#[from] SampleError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Detect(#[from] DetectError),
    #[error("there are no stills to measure on; give at least one")]
    NoSamples,
    #[error("model {0} does not find faces; measure its classes with `quality_by_class`")]
    NoFaces(String),
}

impl Model {
    /// What it finds in a still with scores of at least `least`, best first, in pixels of the still; its boxes say nothing
    /// here. It is fitted into `size`, which the network must take; `None`: searched as a camera's pipeline searches a frame.
    ///
    /// # Errors
    /// A damaged still, a model that cannot be run.
    pub fn search(&self, still: &Sample, size: Option<(u32, u32)>, least: f32) -> Result<Vec<Detection>, StillError> {
        still.check(0, self.manifest().classes.len())?;
        search(self, still, size, false, least)
    }
}

/// What `model` finds in a still with scores of at least `least`, in pixels of the still. It is searched at `size`, which
/// the network must take; `None`: as a camera's pipeline searches a frame. The still has been checked.
pub(crate) fn search(
    model: &Model,
    still: &Sample,
    size: Option<(u32, u32)>,
    mirrored: bool,
    least: f32,
) -> Result<Vec<Detection>, StillError> {
    let size = size.unwrap_or_else(|| model.manifest().input.size_for(still.width, still.height));
    let detector = model.at(Some(size))?;
    let mut input = detector.new_input()?;
    let fitted = fit(still, mirrored, &mut input)?;
    let mut found = detector.detect(&input, least)?;
    found.iter_mut().for_each(|d| d.bbox = fitted.to_still(&d.bbox));
    Ok(found)
}

/// A slow and thorough search by the same model.
#[derive(Clone, Debug, PartialEq)]
pub struct Teacher {
    /// Sizes to search at, as multiples of the size at which the camera searches; each at least 0.25 and at most 4.
    pub scales: Vec<f32>,
    /// The size at which the camera searches; `None`: the manifest's.
    pub size: Option<(u32, u32)>,
    /// Scores below this are not looked at, before looks are joined.
    pub least: f32,
}

/// How much larger than the camera's search the closer look is at least, and at most.
const CLOSER: (f32, f32) = (1.5, 2.0);

impl Default for Teacher {
    fn default() -> Self {
        Self { scales: vec![1.0, CLOSER.0], size: None, least: 0.05 }
    }
}

/// Boxes of two looks that overlap more are the same thing.
const SAME: f32 = 0.5;
/// Of joined boxes that overlap more, the surest stays.
const DISTINCT: f32 = 0.3;

impl Teacher {
    /// A teacher of stills of `width` x `height` pixels that a camera searches at `size` (`None`: as its pipeline searches a frame): its
    /// closer look has as many pixels as the still has, within bounds. What the sensor saw beyond the search is what it
    /// can know more; beyond twice the search it found less (docs/adaptation.md).
    pub fn of_stills(model: &Model, size: Option<(u32, u32)>, width: u32, height: u32) -> Self {
        let searched = size.unwrap_or_else(|| model.manifest().input.size_for(width, height));
        let still = (width as f32 / searched.0.max(1) as f32).max(height as f32 / searched.1.max(1) as f32);
        Self { scales: vec![1.0, still.clamp(CLOSER.0, CLOSER.1)], size, ..Self::default() }
    }

    /// What all looks together find in a still: boxes are means weighted by score, a score is the mean over all looks, 0
    /// where one saw nothing (weighted boxes fusion, Solovyev et al. 2021, section 3). The surest comes first.
    ///
    /// # Errors
    /// A damaged still, a model that cannot be run.
    pub fn search(&self, model: &Model, still: &Sample) -> Result<Vec<Detection>, StillError> {
        still.check(0, model.manifest().classes.len())?;
        let mut looks = Vec::new();
        for &scale in &self.scales {
            let size = self.size_at(model, still.width, still.height, scale);
            for mirrored in [false, true] {
                looks.push(search(model, still, Some(size), mirrored, self.least)?);
            }
        }
        Ok(join(looks))
    }

    /// Width and height of the largest input that a still of this size is searched at, pixels.
    pub fn largest(&self, model: &Model, width: u32, height: u32) -> (u32, u32) {
        let sizes = self.scales.iter().map(|scale| self.size_at(model, width, height, *scale));
        sizes.max_by_key(|(width, height)| u64::from(*width) * u64::from(*height)).unwrap_or_default()
    }

    fn size_at(&self, model: &Model, width: u32, height: u32, scale: f32) -> (u32, u32) {
        let input = &model.manifest().input;
        let (width, height) = self.size.unwrap_or_else(|| input.size_for(width, height));
        let side = |side: u32| {
            let scaled = (side as f32 * scale.clamp(0.25, 4.0)) as u32;
            scaled.max(1).next_multiple_of(input.multiple_of.max(1))
        };
        if input.multiple_of == 0 { (width, height) } else { (side(width), side(height)) }
    }
}

/// Joins what several looks found.
fn join(looks: Vec<Vec<Detection>>) -> Vec<Detection> {
    let count = looks.len().max(1) as f32;
    let mut all: Vec<(usize, Detection)> = Vec::new();
    for (look, found) in looks.into_iter().enumerate() {
        all.extend(found.into_iter().map(|d| (look, d)));
    }
    all.sort_by(|a, b| b.1.score.total_cmp(&a.1.score));
    let mut groups: Vec<Vec<(usize, Detection)>> = Vec::new();
    for (look, found) in all {
        let same = |g: &&mut Vec<(usize, Detection)>| {
            g.first().is_some_and(|(_, d)| d.class == found.class && d.bbox.iou(&found.bbox) > SAME)
        };
        match groups.iter_mut().find(same) {
            Some(group) if group.iter().any(|(own, _)| *own == look) => (),
            Some(group) => group.push((look, found)),
            None => groups.push(vec![(look, found)]),
        }
    }
    let mean = |group: Vec<(usize, Detection)>| {
        let total: f32 = group.iter().map(|(_, d)| d.score).sum();
        let of = |side: fn(&BBox) -> f32| group.iter().map(|(_, d)| d.score * side(&d.bbox)).sum::<f32>() / total;
        let bbox = BBox::new(of(|b| b.x), of(|b| b.y), of(|b| b.w), of(|b| b.h));
        group.first().map(|(_, d)| Detection { class: d.class, bbox, score: total / count })
    };
    let mut joined: Vec<Detection> = groups.into_iter().filter_map(mean).collect();
    joined.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Detection> = Vec::new();
    for found in joined {
        if kept.iter().all(|k| k.class != found.class || k.bbox.iou(&found.bbox) < DISTINCT) {
            kept.push(found);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ObjectClass::{Face, Person};
    use proptest::prelude::*;

    fn found(class: crate::ObjectClass, x: f32, score: f32) -> Detection {
        Detection { class, bbox: BBox::new(x, 10.0, 20.0, 20.0), score }
    }

    #[test]
    fn what_looks_agree_on_is_joined_and_what_one_saw_alone_is_doubted() {
        let looks = vec![
            vec![found(Face, 10.0, 0.8), found(Face, 100.0, 0.6)],
            vec![found(Face, 12.0, 0.4), found(Person, 11.0, 0.9)],
        ];
        let joined = join(looks);
        assert_eq!(joined.len(), 3);
        assert!((joined[0].score - 0.6).abs() < 1e-6 && (joined[0].bbox.x - 10.666_667).abs() < 1e-4, "{joined:?}");
        assert_eq!((joined[1].class, joined[2].bbox.x), (Person, 100.0));
        assert!((joined[2].score - 0.3).abs() < 1e-6);
    }

    #[test]
    fn the_closer_look_has_as_many_pixels_as_the_still_within_bounds() {
        let model = crate::builtin::default_model().unwrap();
        let closest =
            |size, width, height| Teacher::of_stills(&model, size, width, height).largest(&model, width, height);
        assert_eq!(closest(None, 640, 360), (960, 576));
        assert_eq!(closest(None, 960, 540), (960, 576));
        assert_eq!(closest(None, 1120, 630), (1120, 672));
        assert_eq!(closest(None, 4000, 2250), (1280, 768));
        assert_eq!(closest(Some((320, 192)), 320, 192), (480, 288));
        assert_eq!(closest(Some((320, 192)), 640, 384), (640, 384));
    }

    proptest! {
        #[test]
        fn joined_boxes_are_distinct_and_no_surer_than_the_surest(
            looks in prop::collection::vec(prop::collection::vec((0.0f32..200.0, 0.01f32..1.0), 0..12), 1..6)
        ) {
            let most = looks.iter().flatten().map(|d| d.1).fold(0.0, f32::max);
            let joined = join(looks.iter().map(|l| l.iter().map(|d| found(Face, d.0, d.1)).collect()).collect());
            for (i, a) in joined.iter().enumerate() {
                prop_assert!(a.score <= most + 1e-6 && a.bbox.is_valid());
                prop_assert!(joined[..i].iter().all(|b| a.bbox.iou(&b.bbox) < DISTINCT && b.score >= a.score));
            }
        }
    }
}
