//! A folder of annotated pictures: picture files and one COCO file, as Volet itself writes them.
//!
//! Pictures and what was drawn in them are handed out apart ([`Picture`], [`Truth`]): whoever is given a picture alone cannot
//! read its boxes.
//!
//! Knows files; not who learns from them or who is measured by them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use image::RgbImage;
use serde::Deserialize;
use volet_models::{BBox, LabelledBox, ObjectClass, Sample};

/// Where a folder's COCO file may lie, and its pictures.
const COCO: [&str; 3] = ["annotations.json", "coco.json", "annotations/coco.json"];
const MEDIA: [&str; 3] = ["", "images", "media"];

/// Why a folder's pictures cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum CocoError {
    #[error("{} holds none of {}; name a folder with pictures and a COCO file", .0.display(), COCO.join(", "))]
    NoFile(PathBuf),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is not a whole COCO file of pictures and boxes: {source}", path.display())]
    Damaged { path: PathBuf, source: serde_json::Error },
    #[error("{} lists {what} twice; leave one out", path.display())]
    Twice { path: PathBuf, what: String },
    #[error("the COCO file names the picture {name:?}, which is not in {}; add it, or leave it out", folder.display())]
    Missing { folder: PathBuf, name: String },
    #[error("{} cannot be decoded: {source}; mend it, or leave it out of the COCO file", path.display())]
    Picture { path: PathBuf, source: image::ImageError },
}

/// The pictures that a folder's COCO file names, in its order, and what was drawn in them.
///
/// # Errors
/// There is no such file, or it is damaged. Pictures themselves are looked for when they are read.
pub fn open(folder: &Path) -> Result<(Vec<Picture>, Truth), CocoError> {
    let path = COCO.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    let path = path.ok_or_else(|| CocoError::NoFile(folder.to_owned()))?;
    let bytes = std::fs::read(&path).map_err(|source| CocoError::Io { path: path.clone(), source })?;
    let file: File =
        serde_json::from_slice(&bytes).map_err(|source| CocoError::Damaged { path: path.clone(), source })?;
    let mut names = BTreeMap::new();
    let mut boxes: BTreeMap<u64, Vec<Annotation>> = BTreeMap::new();
    for image in &file.images {
        let known = names.insert(&image.file_name, ()).is_some() || boxes.insert(image.id, Vec::new()).is_some();
        if known {
            let what = format!("the picture {:?} (id {})", image.file_name, image.id);
            return Err(CocoError::Twice { path, what });
        }
    }
    for annotation in file.annotations {
        if let Some(of_picture) = boxes.get_mut(&annotation.image_id) {
            of_picture.push(annotation);
        }
    }
    let picture = |image: Image| Picture { folder: folder.to_owned(), id: image.id, name: image.file_name };
    let digest = blake3::hash(&bytes);
    let truth = Truth { digest, boxes, categories: file.categories.into_iter().map(|c| (c.id, c.name)).collect() };
    Ok((file.images.into_iter().map(picture).collect(), truth))
}

/// A picture of a folder, without what was drawn in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    folder: PathBuf,
    id: u64,
    name: String,
}

impl Picture {
    /// What the COCO file calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its file.
    ///
    /// # Errors
    /// [`CocoError::Missing`], also for a name that leads out of the folder; [`CocoError::Io`].
    pub fn bytes(&self) -> Result<Vec<u8>, CocoError> {
        let path = self.path()?;
        std::fs::read(&path).map_err(|source| CocoError::Io { path, source })
    }

    /// Its pixels, from its file's bytes.
    ///
    /// # Errors
    /// [`CocoError::Picture`].
    pub fn decode(&self, bytes: &[u8]) -> Result<RgbImage, CocoError> {
        let decoded = image::load_from_memory(bytes);
        decoded.map(image::DynamicImage::into_rgb8).map_err(|source| CocoError::Picture {
            path: self.path().unwrap_or_else(|_| self.folder.join(&self.name)),
            source,
        })
    }

    /// Its pixels, and no boxes.
    ///
    /// # Errors
    /// As of [`bytes`](Self::bytes) and [`decode`](Self::decode).
    pub fn still(&self) -> Result<Sample, CocoError> {
        let rgb = self.decode(&self.bytes()?)?;
        Ok(Sample { width: rgb.width(), height: rgb.height(), rgb: rgb.into_raw(), boxes: Vec::new() })
    }

    fn path(&self) -> Result<PathBuf, CocoError> {
        let name = Path::new(&self.name);
        let within = name.components().all(|part| matches!(part, Component::Normal(_)));
        let found = MEDIA.iter().map(|media| self.folder.join(media).join(name)).find(|path| within && path.is_file());
        found.ok_or_else(|| CocoError::Missing { folder: self.folder.clone(), name: self.name.clone() })
    }
}

/// What people drew in a folder's pictures.
#[derive(Debug)]
pub struct Truth {
    digest: blake3::Hash,
    boxes: BTreeMap<u64, Vec<Annotation>>,
    categories: BTreeMap<u64, String>,
}

impl Truth {
    /// The hash of the COCO file.
    pub fn digest(&self) -> &blake3::Hash {
        &self.digest
    }

    /// A picture's boxes of these classes, which are the model's; others, and boxes that are empty, are left out.
    pub fn of(&self, picture: &Picture, classes: &[ObjectClass]) -> Vec<LabelledBox> {
        let class_of = |id: u64| {
            let class: ObjectClass = self.categories.get(&id)?.parse().ok()?;
            classes.iter().position(|c| *c == class)
        };
        let labelled = |annotation: &Annotation| {
            let [x, y, w, h] = annotation.bbox;
            let (class, bbox) = (class_of(annotation.category_id)?, BBox::new(x, y, w, h));
            let ignore = annotation.iscrowd != 0 || annotation.ignore != 0;
            bbox.is_valid().then_some(LabelledBox { class, bbox, ignore })
        };
        self.boxes.get(&picture.id).into_iter().flatten().filter_map(labelled).collect()
    }
}

#[derive(Deserialize)]
struct File {
    images: Vec<Image>,
    #[serde(default)]
    annotations: Vec<Annotation>,
    #[serde(default)]
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
    file_name: String,
}

#[derive(Debug, Deserialize)]
struct Annotation {
    image_id: u64,
    category_id: u64,
    bbox: [f32; 4],
    #[serde(default)]
    iscrowd: u8,
    #[serde(default)]
    ignore: u8,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    name: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn folder(coco: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("coco.json"), coco).unwrap();
        std::fs::create_dir(folder.path().join("media")).unwrap();
        image::RgbImage::new(40, 32).save(folder.path().join("media/a.png")).unwrap();
        std::fs::write(folder.path().join("media/b.png"), b"\x89PNG\r\n\x1a\nno").unwrap();
        folder
    }

    #[test]
    fn a_picture_has_pixels_and_the_truth_has_boxes() {
        let boxes = json!([
            {"image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4]},
            {"image_id": 7, "category_id": 2, "bbox": [5, 6, 7, 8], "ignore": 1},
            {"image_id": 7, "category_id": 2, "bbox": [5, 6, 0, 8]},
            {"image_id": 7, "category_id": 9, "bbox": [1, 1, 1, 1]},
            {"image_id": 8, "category_id": 2, "bbox": [1, 1, 1, 1]},
        ]);
        let categories = json!([{"id": 2, "name": "face"}, {"id": 9, "name": "horse"}]);
        let images = json!([{"id": 7, "file_name": "a.png"}]);
        let folder = folder(&json!({"images": images, "annotations": boxes, "categories": categories}).to_string());
        let (pictures, truth) = open(folder.path()).unwrap();
        let still = pictures[0].still().unwrap();
        assert_eq!((pictures.len(), still.width, still.height, still.boxes.len()), (1, 40, 32, 0));
        let boxes = truth.of(&pictures[0], &[ObjectClass::Person, ObjectClass::Face]);
        let told: Vec<_> = boxes.iter().map(|b| (b.class, b.bbox.x, b.ignore)).collect();
        assert_eq!(told, [(1, 1.0, false), (1, 5.0, true)]);
        assert!(truth.of(&pictures[0], &[ObjectClass::Person]).is_empty());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let told = |coco: &str, with: &str| {
            let folder = folder(coco);
            let result = open(folder.path()).and_then(|(pictures, _)| pictures[0].still());
            let error = result.unwrap_err().to_string();
            assert!(error.contains(with), "{coco}: {error}");
        };
        told("{\"images\": [", "coco.json is not a whole COCO file");
        told("[]", "coco.json is not a whole COCO file");
        let one = |name: &str| json!({"images": [{"id": 1, "file_name": name}]}).to_string();
        told(&one("gone.png"), "\"gone.png\", which is not in");
        told(&one("../coco.json"), "\"../coco.json\", which is not in");
        told(&one("b.png"), "media/b.png cannot be decoded");
        let two = |a: &str, b: u32| json!({"images": [{"id": 1, "file_name": "a.png"}, {"id": b, "file_name": a}]});
        told(&two("a.png", 2).to_string(), "\"a.png\" (id 2) twice");
        told(&two("b.png", 1).to_string(), "\"b.png\" (id 1) twice");
        let empty = tempfile::tempdir().unwrap();
        assert!(matches!(open(empty.path()), Err(CocoError::NoFile(_))));
    }
}
