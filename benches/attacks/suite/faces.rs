//! Faces to attack: people made by code, and where they are at hand the photographs of `../shared/faces-dev`.
//!
//! A face is what Volet covers of it by default: its box scaled by 1.4, brought to [`SIDE`] pixels each way.

use std::path::PathBuf;

use image::{RgbImage, imageops};
use rayon::prelude::*;
use volet_edge::models::BBox;
use volet_edge::plan::RedactionConfig;
use volet_synthetic::{Clip, Object, ObjectClass};

pub(crate) const SIDE: u32 = 48;
/// The smallest face that is taken, in pixels of its height.
const SMALLEST: f32 = 24.0;

#[derive(Clone)]
pub(crate) struct Face {
    pub(crate) picture: RgbImage,
    /// Its box in the frame it was taken from.
    pub(crate) bbox: BBox,
    /// Skin, 1 (lightest) to 6 (darkest); 0 where it isn't known.
    pub(crate) skin: u8,
}

/// `count` people, one face each.
pub(crate) fn people(count: usize) -> Vec<Face> {
    let mut faces = Vec::new();
    for block in 0..100u64 {
        let made: Vec<Vec<Face>> = (0..16u64)
            .into_par_iter()
            .map(|i| {
                let still = volet_synthetic::still(block * 16 + i, 320, 240);
                still.objects.iter().filter_map(|o| cut(&still.image, o)).collect()
            })
            .collect();
        faces.extend(made.into_iter().flatten());
        if faces.len() >= count {
            break;
        }
    }
    faces.truncate(count);
    faces
}

/// `count` people who walk about, `frames` faces each; outer order: people.
pub(crate) fn films(count: usize, frames: usize) -> Vec<Vec<Face>> {
    let mut films = Vec::new();
    for seed in 0..100 {
        let clip = Clip::new(seed, 480, 360, 3, 3 * frames as u32);
        let mut tracks: std::collections::BTreeMap<u32, Vec<Face>> = std::collections::BTreeMap::new();
        let made: Vec<_> = (0..clip.len()).into_par_iter().map(|i| clip.frame(i)).collect();
        for still in &made {
            for o in &still.objects {
                if let Some(face) = cut(&still.image, o) {
                    tracks.entry(o.track_id).or_default().push(face);
                }
            }
        }
        films.extend(tracks.into_values().filter(|t| t.len() >= frames).map(|mut t| {
            t.truncate(frames);
            t
        }));
        if films.len() >= count {
            break;
        }
    }
    films.truncate(count);
    films
}

/// At most `count` faces of real photographs, or `None` where the folder is not there.
pub(crate) fn photographs(count: usize) -> Option<Vec<Face>> {
    #[derive(serde::Deserialize)]
    struct Truth {
        images: Vec<Picture>,
        annotations: Vec<Annotation>,
    }
    #[derive(serde::Deserialize)]
    struct Picture {
        id: u64,
        file_name: String,
    }
    #[derive(serde::Deserialize)]
    struct Annotation {
        image_id: u64,
        bbox: [f32; 4],
        ignore: u8,
    }
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/faces-dev");
    let truth: Truth = serde_json::from_slice(&std::fs::read(folder.join("annotations.json")).ok()?).ok()?;
    let mut faces = Vec::new();
    for picture in &truth.images {
        let Ok(image) = image::open(folder.join("images").join(&picture.file_name)) else { continue };
        let image = image.to_rgb8();
        let here = truth.annotations.iter().filter(|a| a.image_id == picture.id && a.ignore == 0);
        faces.extend(here.filter_map(|a| cut_box(&image, a.bbox, 0)));
        if faces.len() >= count {
            break;
        }
    }
    faces.truncate(count);
    Some(faces)
}

fn cut(image: &RgbImage, object: &Object) -> Option<Face> {
    let skin = object.attributes.as_ref().map_or(0, |a| a.skin);
    let is_face = object.class == ObjectClass::Face && !object.ignore && object.visible > 0.7;
    if is_face { cut_box(image, object.bbox, skin) } else { None }
}

fn cut_box(image: &RgbImage, [x, y, w, h]: [f32; 4], skin: u8) -> Option<Face> {
    let bbox = BBox::new(x, y, w, h);
    let covered = bbox.scaled(RedactionConfig::default().scale).clipped(image.width(), image.height())?;
    if h < SMALLEST || w < 0.6 * SMALLEST {
        return None;
    }
    let [x, y, w, h] = [covered.x, covered.y, covered.w, covered.h].map(|v| v as u32);
    let crop = imageops::crop_imm(image, x, y, w.max(1), h.max(1)).to_image();
    let picture = imageops::resize(&crop, SIDE, SIDE, imageops::FilterType::Triangle);
    Some(Face { picture, bbox, skin })
}
