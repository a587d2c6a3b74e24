//! How good a detector is at places where nobody learns: recall at one false positive per picture, over all of them and at
//! each, and of faces that bear the attackers' pattern.
//!
//! Knows a network, stills and their truth.

use rayon::prelude::*;
use volet_edge::models::score::{FoundBox, Scores, TrueBox};
use volet_edge::models::{BBox, Detector, LabelledBox, Model, ObjectClass, Sample};
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

/// A place and its truth, without the pattern and with it.
pub(super) struct Judged {
    plain: Vec<Sample>,
    patterned: Vec<Sample>,
}

impl Judged {
    pub(super) fn new(plain: Vec<Sample>) -> Self {
        let mut patterned = plain.clone();
        for sample in &mut patterned {
            let size = (sample.width, sample.height);
            for label in sample.boxes.iter().filter(|label| !label.ignore) {
                pattern::paint(&mut sample.rgb, size, &label.bbox);
            }
        }
        Self { plain, patterned }
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

/// How good `model` is that has learned this, at the places that are held out.
///
/// # Errors
/// It cannot be run.
pub(super) fn quality(
    model: &Model,
    learned: &[f32],
    held_out: &[Judged],
    size: (u32, u32),
) -> anyhow::Result<Quality> {
    let detector = model.learned(learned)?.at(Some(size))?;
    let search = |samples: &[Sample]| samples.iter().map(|s| picture(&detector, s)).collect::<anyhow::Result<Vec<_>>>();
    let found: anyhow::Result<Vec<[Vec<Picture>; 2]>> =
        held_out.par_iter().map(|place| Ok([search(&place.plain)?, search(&place.patterned)?])).collect();
    let found = found?;
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

fn picture(detector: &Detector, sample: &Sample) -> anyhow::Result<Picture> {
    let mut input = detector.new_input()?;
    input.fill_rgb(&sample.rgb)?;
    let found = detector.detect(&input, FLOOR)?;
    let found = found.iter().filter(|d| d.class == ObjectClass::Face).map(|d| (d.bbox, d.score)).collect();
    let truth = sample.boxes.iter().map(|b| TrueBox { bbox: b.bbox, ignore: b.ignore, groups: Vec::new() }).collect();
    Ok((truth, found))
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
