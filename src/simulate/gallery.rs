//! A folder of annotated pictures, split by a seed into those that are learned from and those that are held out.
//!
//! Everything that is wrong with the folder is found when it is opened, before anything is written. The split follows from the
//! pictures' names and the seed alone, and pictures are handed out without what was drawn in them.
//!
//! Knows files and their truth; nothing of networks or sites.

use std::collections::BTreeMap;
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;
use volet_edge::learn::coco::{self, CocoError, Picture, Truth};
use volet_edge::models::{LabelledBox, ObjectClass, Sample, SampleError};

/// Two sites that learn from a picture each, and as many pictures that are held out.
const FEWEST: usize = 4;

/// Why a folder cannot be learned from.
#[derive(Debug, thiserror::Error)]
pub(super) enum GalleryError {
    #[error(transparent)]
    Coco(#[from] CocoError),
    #[error(
        "the COCO file in {folder:?} lists {there} pictures; at least {FEWEST} are needed, half of which are held out"
    )]
    Few { folder: std::path::PathBuf, there: usize },
    #[error("the picture {name:?} cannot be searched: {source}")]
    Unfit { name: String, source: SampleError },
    #[error("{one:?} and {other:?} are the same picture, which could be learned from and held out; leave one out")]
    Same { one: String, other: String },
}

/// A folder of pictures that can all be read.
pub(super) struct Gallery {
    /// By name.
    pictures: Vec<Shot>,
    truth: Truth,
    digest: String,
}

/// A picture, and its width and height in pixels.
#[derive(Clone, Debug)]
pub(super) struct Shot {
    pub(super) picture: Picture,
    pub(super) size: (u32, u32),
}

/// A folder in two halves.
pub(super) struct Split {
    pub(super) learning: Vec<Shot>,
    pub(super) held_out: Vec<Shot>,
}

impl Gallery {
    /// Reads every picture once.
    ///
    /// # Errors
    /// The file or picture that is missing, damaged or there twice; too few pictures.
    pub(super) fn open(folder: &Path) -> Result<Self, GalleryError> {
        let (mut pictures, truth) = coco::open(folder)?;
        if pictures.len() < FEWEST {
            return Err(GalleryError::Few { folder: folder.to_owned(), there: pictures.len() });
        }
        pictures.sort_by(|a, b| a.name().cmp(b.name()));
        let read: Vec<(blake3::Hash, Shot)> = pictures.into_par_iter().map(read).collect::<Result<_, _>>()?;
        let mut digest = blake3::Hasher::new();
        digest.update(truth.digest().as_bytes());
        let mut known: BTreeMap<[u8; 32], &str> = BTreeMap::new();
        for (hash, shot) in &read {
            let name = shot.picture.name();
            if let Some(one) = known.insert(*hash.as_bytes(), name) {
                return Err(GalleryError::Same { one: one.to_owned(), other: name.to_owned() });
            }
            digest.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes()).update(hash.as_bytes());
        }
        let digest = digest.finalize().to_hex()[..32].to_owned();
        Ok(Self { pictures: read.into_iter().map(|(_, shot)| shot).collect(), truth, digest })
    }

    /// A name for these very pictures and annotations.
    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    /// Half of at most so many pictures, chosen by the seed, to be learned from, and the other half.
    pub(super) fn split(&self, most: usize, seed: u64) -> Split {
        let mut chosen: Vec<Shot> = self.pictures.clone();
        chosen.shuffle(&mut Pcg64Mcg::seed_from_u64(seed));
        chosen.truncate(most.max(FEWEST));
        let held_out = chosen.split_off(chosen.len() / 2);
        Split { learning: chosen, held_out }
    }

    /// How many pictures are learned from, whatever the seed.
    pub(super) fn learning(&self, most: usize) -> usize {
        self.pictures.len().min(most.max(FEWEST)) / 2
    }

    /// The faces that people drew in a picture, all of class 0.
    pub(super) fn faces(&self, shot: &Shot) -> Vec<LabelledBox> {
        self.truth.of(&shot.picture, &[ObjectClass::Face])
    }
}

fn read(picture: Picture) -> Result<(blake3::Hash, Shot), GalleryError> {
    let bytes = picture.bytes()?;
    let rgb = picture.decode(&bytes)?;
    let size = rgb.dimensions();
    let sample = Sample { width: size.0, height: size.1, rgb: rgb.into_raw(), boxes: Vec::new() };
    let fit = sample.check(0, 0);
    fit.map_err(|source| GalleryError::Unfit { name: picture.name().to_owned(), source })?;
    Ok((blake3::hash(&bytes), Shot { picture, size }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let images: Vec<_> = (0..13u8)
            .map(|n| {
                let name = format!("{n}.png");
                image::RgbImage::from_pixel(40, 32, image::Rgb([n; 3])).save(folder.path().join(&name)).unwrap();
                serde_json::json!({"id": n, "file_name": name})
            })
            .collect();
        let coco = serde_json::json!({"images": images}).to_string();
        std::fs::write(folder.path().join("annotations.json"), coco).unwrap();
        folder
    });

    proptest! {
        #[test]
        fn halves_share_nothing_and_leave_nothing_out(seed: u64, most in 0usize..20) {
            let gallery = Gallery::open(FOLDER.path()).unwrap();
            let split = gallery.split(most, seed);
            prop_assert_eq!(split.learning.len(), gallery.learning(most));
            let mut names: Vec<&str> =
                split.learning.iter().chain(&split.held_out).map(|shot| shot.picture.name()).collect();
            names.sort_unstable();
            names.dedup();
            prop_assert_eq!(names.len(), most.clamp(FEWEST, 13));
            prop_assert!(split.held_out.len().abs_diff(split.learning.len()) <= 1);
        }
    }
}
