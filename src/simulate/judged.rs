//! How good a detector is at places where nobody learns: recall at one false positive per picture, over all of them and at
//! each, and of faces that bear the attackers' pattern.
//!
//! Knows a network, stills and their truth.

use std::borrow::Cow;

use rayon::prelude::*;
use volet_edge::models::score::{FoundBox, Scores, TrueBox};
use volet_edge::models::{BBox, LabelledBox, Model, ObjectClass, Sample};
use volet_federated::simulation::Quality;
use volet_synthetic::Still;

use super::pattern;

/// Stills of a place that is held out.
pub(super) const STILLS: u32 = 3;
/// Scores below this are not looked at.
const FLOOR: f32 = 0.02;
/// What a face must overlap to be found (IoU), and the false positives per picture.
const OVERLAP: f32 = 0.3;
const RATE: f32 = 1.0;

/// A place where nobody learns.
pub(super) trait Place: Sync {
    /// Its stills and their truth, in which only faces are.
    ///
    /// # Errors
    /// They cannot be read.
    fn stills(&self) -> anyhow::Result<Cow<'_, [Sample]>>;
}

/// A place whose stills are in memory.
pub(super) struct Judged(Vec<Sample>);

impl Judged {
    pub(super) fn new(stills: Vec<Sample>) -> Self {
        Self(stills)
    }
}

impl Place for Judged {
    fn stills(&self) -> anyhow::Result<Cow<'_, [Sample]>> {
        Ok(Cow::Borrowed(&self.0))
    }
}

/// The truth about a still's faces.
pub(super) fn faces(still: &Still, class: usize) -> Vec<LabelledBox> {
    let faces = still.objects.iter().filter(|object| object.class == volet_synthetic::ObjectClass::Face);
    let label = |object: &volet_synthetic::Object| {
        let [x, y, w, h] = object.bbox;
        LabelledBox { class, bbox: BBox::new(x, y, w, h), ignore: object.ignore }
    };
    faces.map(label).collect()
}

/// A still's truth and what was found in it.
type Picture = (Vec<TrueBox>, Vec<FoundBox>);

/// How good `model` is that has learned this, at the places that are held out. Their stills are searched at this size; none:
/// each as a camera's pipeline searches frames of its shape.
///
/// # Errors
/// It cannot be run, or a place cannot be seen.
pub(super) fn quality(
    model: &Model,
    learned: &[f32],
    held_out: &[impl Place],
    size: impl Into<Option<(u32, u32)>>,
) -> anyhow::Result<Quality> {
    let (model, size) = (model.learned(learned)?, size.into());
    let place = |place: &_| -> anyhow::Result<[Vec<Picture>; 2]> {
        let mut stills = Place::stills(place)?;
        let plain = search(&model, &stills, size)?;
        stills.to_mut().iter_mut().for_each(bear);
        Ok([plain, search(&model, &stills, size)?])
    };
    let found = held_out.par_iter().map(place).collect::<anyhow::Result<Vec<_>>>()?;
    let all = Scores::new(found.iter().flat_map(|[plain, _]| plain).map(|(t, f)| (&t[..], &f[..])), OVERLAP);
    let threshold = all.threshold_at(RATE);
    let per_site = found.iter().filter_map(|[plain, _]| recall(plain, threshold));
    let patterned: Vec<&Picture> = found.iter().flat_map(|[_, patterned]| patterned).collect();
    Ok(Quality {
        value: all.recall_at(RATE).into(),
        per_site: per_site.collect(),
        blind_spot: recall(patterned, threshold),
    })
}

/// Paints the pattern over every face that counts.
fn bear(still: &mut Sample) {
    for label in still.boxes.iter().filter(|label| !label.ignore) {
        pattern::paint(&mut still.rgb, (still.width, still.height), &label.bbox);
    }
}

fn search(model: &Model, stills: &[Sample], size: Option<(u32, u32)>) -> anyhow::Result<Vec<Picture>> {
    let picture = |still: &Sample| {
        let found = model.search(still, size, FLOOR)?;
        let found = found.iter().filter(|d| d.class == ObjectClass::Face).map(|d| (d.bbox, d.score)).collect();
        let truth = |b: &LabelledBox| TrueBox { bbox: b.bbox, ignore: b.ignore, groups: Vec::new() };
        Ok((still.boxes.iter().map(truth).collect(), found))
    };
    stills.iter().map(picture).collect()
}

/// The share of faces that are found with at least this score; none where there is no face.
fn recall<'a>(pictures: impl IntoIterator<Item = &'a Picture>, threshold: f32) -> Option<f64> {
    let (mut found, mut faces) = (0u32, 0u32);
    for (truth, boxes) in pictures {
        for face in truth.iter().filter(|face| !face.ignore) {
            faces += 1;
            let hit = boxes.iter().any(|(bbox, score)| *score >= threshold && bbox.iou(&face.bbox) >= OVERLAP);
            found += u32::from(hit);
        }
    }
    (faces > 0).then(|| f64::from(found) / f64::from(faces))
}
