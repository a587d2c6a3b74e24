//! Learning from a folder of annotated pictures ([`coco`]), and judging models by it.
//!
//! Every fifth picture, by the hash of its file, is held out: nothing is learned from it. Where a folder of its own is
//! named for judging, all of the other is learned from.

use std::path::{Path, PathBuf};

use volet_models::{Model, Sample};

use super::stills::{Part, Stills, Turn};
use super::talents::{Judge, TalentError};
use crate::learn::buffer::held_out;
use crate::learn::coco::{self, CocoError};

/// The most pictures that are learned from or judged by: what fits a small camera's memory.
const MOST: usize = 64;

/// A folder of annotated pictures.
pub struct Pictures {
    folder: PathBuf,
    part: Part,
}

impl Pictures {
    /// Part of a folder's.
    pub fn new(folder: PathBuf, part: Part) -> Self {
        Self { folder, part }
    }
}

impl Stills for Pictures {
    fn read(&mut self, model: &Model, turn: Option<Turn>) -> Result<Vec<Sample>, TalentError> {
        read(&self.folder, self.part, model, turn)
    }

    fn place(&self) -> String {
        self.folder.display().to_string()
    }
}

/// Lets pass whatever can be run: for cameras that have no pictures to judge by.
pub struct Runs(Model);

impl Runs {
    /// Judges what is learned of `model`'s file.
    pub fn new(model: Model) -> Self {
        Self(model)
    }
}

impl Judge for Runs {
    fn judge(&mut self, learned: &[f32]) -> Result<f64, TalentError> {
        let model = self.0.learned(learned).map_err(|error| TalentError::Unfit(error.to_string()))?;
        model.at(None).map_err(|error| TalentError::Unfit(error.to_string()))?;
        Ok(0.0)
    }
}

/// A folder's annotated pictures, of the model's classes: those whose turn it is, or the first.
fn read(folder: &Path, part: Part, model: &Model, turn: Option<Turn>) -> Result<Vec<Sample>, TalentError> {
    let (pictures, truth) = coco::open(folder).map_err(TalentError::failed)?;
    let mut order: Vec<_> = (0_u64..).zip(&pictures).collect();
    if let Some(turn) = turn {
        order.sort_by_cached_key(|(number, _)| turn.of(*number));
    }
    let most = turn.map_or(MOST, |turn| turn.most.min(MOST));
    let mut samples = Vec::new();
    for (_, picture) in order {
        if samples.len() >= most {
            break;
        }
        let bytes = match picture.bytes() {
            Err(CocoError::Missing { .. }) => continue,
            read => read.map_err(TalentError::failed)?,
        };
        if !part.has(held_out(&blake3::hash(&bytes))) {
            continue;
        }
        // One damaged picture is no reason to learn from none.
        let Ok(rgb) = picture.decode(&bytes) else {
            tracing::warn!(name = picture.name(), "a picture cannot be read, and is left out");
            continue;
        };
        let boxes = truth.of(picture, &model.manifest().classes);
        samples.push(Sample { width: rgb.width(), height: rgb.height(), rgb: rgb.into_raw(), boxes });
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::super::{Learner, Learning, Pace, StillJudge, StillLearner};
    use super::*;
    use crate::agent::Device;
    use volet_federated::{RoundId, TaskId};
    use volet_models::{BBox, builtin};

    fn folder(pictures: u8) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("images")).unwrap();
        let (mut images, mut annotations) = (Vec::new(), Vec::new());
        for n in 0..pictures {
            let name = format!("{n}.png");
            let shade = |x: u32, y: u32| image::Rgb([n.wrapping_mul(7), x as u8, y as u8]);
            image::RgbImage::from_fn(96, 64, shade).save(folder.path().join("images").join(&name)).unwrap();
            images.push(serde_json::json!({"id": n, "file_name": name}));
            annotations.push(serde_json::json!({"image_id": n, "category_id": 1, "bbox": [10, 10, 20, 24]}));
        }
        images.push(serde_json::json!({"id": 1000, "file_name": "../../etc/passwd"}));
        let categories = [serde_json::json!({"id": 1, "name": "face"})];
        let coco = serde_json::json!({"images": images, "annotations": annotations, "categories": categories});
        std::fs::write(folder.path().join("annotations.json"), coco.to_string()).unwrap();
        folder
    }

    #[test]
    fn every_fifth_picture_is_held_out_and_the_parts_make_the_whole() {
        let (folder, model) = (folder(60), builtin::default_model().unwrap());
        let [all, learned, held] =
            [Part::All, Part::Learned, Part::HeldOut].map(|part| read(folder.path(), part, &model, None).unwrap());
        assert_eq!(all.len(), 60);
        assert_eq!(learned.len() + held.len(), 60);
        assert!((2..30).contains(&held.len()), "{}", held.len());
        assert!(held.iter().all(|sample| !learned.contains(sample)));
        assert_eq!(all[0].boxes[0].bbox, BBox::new(10.0, 10.0, 20.0, 24.0));
    }

    #[test]
    fn each_round_learns_from_others_and_only_from_what_its_steps_can_see() {
        let (folder, model) = (folder(20), builtin::default_model().unwrap());
        let task = TaskId::from_bytes([3; 16]);
        let shades = |round, most| -> Vec<u8> {
            let turn = Turn { round: RoundId::new(task, round).unwrap(), most };
            let samples = read(folder.path(), Part::All, &model, Some(turn)).unwrap();
            samples.iter().map(|sample| sample.rgb[0] / 7).collect()
        };
        assert_eq!(shades(1, 6), shades(1, 6));
        assert_eq!(shades(1, 6).len(), 6);
        let rounds: std::collections::BTreeSet<u8> = (1..=12).flat_map(|round| shades(round, 6)).collect();
        assert!(rounds.len() >= 15, "{rounds:?}");
        let mut all = shades(1, 100);
        all.sort_unstable();
        assert_eq!(all, Vec::from_iter(0..20));
    }

    #[test]
    fn a_camera_learns_as_its_manifest_asks() {
        let (folder, model) = (folder(8), builtin::default_model().unwrap());
        crate::egress::Consent::new(true, false).write(folder.path()).unwrap();
        let file = include_bytes!("../../../models/weights/volet-1.onnx");
        let length = |steps, rate| {
            let mut manifest = model.manifest().clone();
            (manifest.trainable.recipe.steps, manifest.trainable.recipe.rate) = (steps, rate);
            let model = Model::new(manifest, file.to_vec()).unwrap();
            let limits = Learning { celsius: 150.0, ..Learning::default() };
            let pace = Pace::new(limits, Box::new(Device::of(folder.path())));
            let round = RoundId::new(TaskId::from_bytes([0; 16]), 1).unwrap();
            let mut learner = StillLearner::new(model, Pictures::new(folder.path().to_owned(), Part::All), pace);
            let update = learner.update(&[0.0; 38_098], round).unwrap();
            update.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
        };
        let once = length(1, 0.002);
        assert!(once > 0.0 && (length(1, 0.001) / once - 0.5).abs() < 0.01);
        assert!(length(2, 0.002) > 1.2 * once);
    }

    #[test]
    fn a_folder_teaches_and_judges() {
        let folder = folder(5);
        let model = || builtin::default_model().unwrap();
        let round = RoundId::new(TaskId::from_bytes([0; 16]), 1).unwrap();
        let pictures = |folder: &Path| Pictures::new(folder.to_owned(), Part::All);
        crate::egress::Consent::new(true, false).write(folder.path()).unwrap();
        let pace = |limits| Pace::new(limits, Box::new(Device::of(folder.path())));
        let unhurried = || pace(Learning { celsius: 150.0, ..Learning::default() });
        let mut learner = StillLearner::new(model(), pictures(folder.path()), unhurried());
        let zeros = vec![0.0; 38_098];
        let update = learner.update(&zeros, round).unwrap();
        assert!(update.len() == 38_098 && update.iter().any(|value| *value != 0.0));
        let mut judge = StillJudge::new(model(), pictures(folder.path()));
        assert!(judge.judge(&zeros).unwrap() >= 0.0);
        assert_eq!(judge.compare(&zeros, &zeros).unwrap().0, judge.judge(&zeros).unwrap());
        assert!(matches!(judge.judge(&[0.0; 3]), Err(TalentError::Unfit(_))));
        let nowhere = folder.path().join("nowhere");
        let error = StillLearner::new(model(), pictures(&nowhere), unhurried()).update(&zeros, round).unwrap_err();
        assert!(error.to_string().contains("annotations.json"), "{error}");
        // With no time at all nothing is learned, and the round is sat out.
        let never = pace(Learning { seconds: 0, celsius: 150.0, ..Learning::default() });
        let error = StillLearner::new(model(), pictures(folder.path()), never).update(&zeros, round).unwrap_err();
        assert!(matches!(&error, TalentError::Stopped(why) if why.contains("seconds")), "{error}");
    }
}
