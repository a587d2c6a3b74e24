//! A second source of people: the CC0 human mesh of the MakeHuman project, morphed anew for every person.
//! Used only when its folder is given. Knows nothing of scenes, light or cameras.

mod head;
mod map;
mod paint;
mod read;
mod shape;

use std::path::{Path, PathBuf};
use std::{fmt, io};

use glam::Vec3;
use rayon::prelude::*;

pub(crate) use head::build;
pub(crate) use map::HeadMap;
pub(crate) use paint::{eye, skin};
pub(crate) use shape::Shape;

use head::Topology;
use read::Obj;
use shape::Catalogue;

/// Why the human mesh cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BodiesError {
    /// A file is not where it should be.
    #[error(
        "{path} is not there; the folder must hold base.obj.gz and targets/ of the human mesh (CC0): the folder \
         src/mpfb/data of https://github.com/makehumancommunity/mpfb2 at commit 80919fa, with 3dobjs/base.obj gzipped"
    )]
    Missing {
        /// What is missing.
        path: PathBuf,
    },
    /// A file cannot be read or unpacked.
    #[error("{path} cannot be read")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system or the unpacking says.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{file} of the human mesh is broken: {what}")]
    Broken {
        /// Which file, inside the folder.
        file: String,
        /// What is wrong with it.
        what: String,
    },
}

/// A morph: which vertices go where, ordered by vertex.
struct Target {
    vertices: Vec<u32>,
    offsets: Vec<Vec3>,
}

/// The human mesh and its morphs, shared by all people made of it.
pub struct Bodies {
    hash: blake3::Hash,
    /// The mesh nobody looks like: what the morphs are added to. In the mesh's own unit, decimetres.
    base: Vec<Vec3>,
    targets: Vec<Target>,
    catalogue: Catalogue,
    topology: Topology,
}

impl fmt::Debug for Bodies {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Bodies({} vertices, {} morphs, {})", self.base.len(), self.targets.len(), self.hash)
    }
}

const OBJ: &str = "base.obj.gz";

impl Bodies {
    /// Reads `base.obj.gz` and the needed ones of `targets/**/*.target.gz` in a folder; takes about half a second.
    pub fn load(folder: &Path) -> Result<Self, BodiesError> {
        let (catalogue, names) = Catalogue::new();
        let text = read::text(folder, OBJ)?;
        let obj = Obj::parse(OBJ, &text)?;
        let (kept, order) = head::choose(OBJ, &obj)?;
        let loaded: Vec<(Target, blake3::Hash)> = names
            .par_iter()
            .map(|name| {
                let file = format!("targets/{name}.target.gz");
                let text = read::text(folder, &file)?;
                let mut moved: Vec<(u32, Vec3)> = read::offsets(&file, &text, order.len())?
                    .into_iter()
                    .filter_map(|(vertex, offset)| Some((order.get(vertex as usize).copied().flatten()?, offset)))
                    .collect();
                moved.sort_unstable_by_key(|(vertex, _)| *vertex);
                let (vertices, offsets) = moved.into_iter().unzip();
                Ok((Target { vertices, offsets }, blake3::hash(text.as_bytes())))
            })
            .collect::<Result<_, BodiesError>>()?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(blake3::hash(text.as_bytes()).as_bytes());
        let mut targets = Vec::with_capacity(loaded.len());
        for (target, hash) in loaded {
            hasher.update(hash.as_bytes());
            targets.push(target);
        }
        let base: Vec<Vec3> = kept.iter().map(|vertex| obj.vertices[*vertex as usize]).collect();
        let mut rest = base.clone();
        for (target, weight) in catalogue.average() {
            add(&mut rest, &targets[target as usize], weight);
        }
        let topology = Topology::new(OBJ, &obj, &order, &rest)?;
        Ok(Self { hash: hasher.finalize(), base, targets, catalogue, topology })
    }

    /// BLAKE3 over all that was read, unpacked, in a fixed order; for data set cards.
    pub fn hash(&self) -> String {
        self.hash.to_string()
    }

    /// The mesh with these morphs, in its own unit.
    fn morphed(&self, weights: &[(u16, f32)]) -> Vec<Vec3> {
        let mut points = self.base.clone();
        for &(target, weight) in weights {
            add(&mut points, &self.targets[usize::from(target)], weight);
        }
        points
    }
}

fn add(points: &mut [Vec3], target: &Target, weight: f32) {
    for (vertex, offset) in target.vertices.iter().zip(&target.offsets) {
        points[*vertex as usize] += *offset * weight;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use glam::{Mat3, Vec2, Vec3};

    use super::*;
    use crate::body::Builder;
    use crate::math::Rng;
    use crate::person::{Habits, Look, View};
    use crate::raster::Geometry;

    #[test]
    fn every_vertex_of_every_head_is_a_head_s_size() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/humans-cc0");
        let folder = std::env::var_os("VOLET_HUMANS").map_or(folder, PathBuf::from);
        if !folder.is_dir() {
            return eprintln!("skipped: ../shared/humans-cc0 is not there");
        }
        let bodies = Arc::new(Bodies::load(&folder).expect("the mesh is whole"));
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let habits = Habits::draw(&mut rng);
            let mut look = Look::draw(&mut rng, &habits);
            // The most a clip's moments ask of a face.
            look.face.mouth_open = rng.f(0.0, 1.0);
            look.face.eyes_open = rng.f(0.0, 1.3);
            look.face.gaze = Vec2::new(rng.normal(), rng.normal());
            let shape = Shape::draw(&bodies, rng.seed(), look.age, look.male, look.build, look.face.skin);
            let mut geometry = Geometry::default();
            let view = View::new(Vec3::ZERO, 1.0, 0.0, 1e6);
            let mut builder = Builder { geometry: &mut geometry, view, owner: 0, haze: 0.0 };
            let (face, _) = build(&mut builder, &shape, &look.face, |p| p, Mat3::IDENTITY);
            assert!(face.len() > 500, "seed {seed}: {} triangles of face", face.len());
            for vertex in &geometry.vertices {
                let sound = vertex.pos.is_finite() && vertex.normal.is_finite() && vertex.pos.abs().max_element() < 1.1;
                assert!(sound, "seed {seed}: {} {}", vertex.pos, vertex.normal);
            }
        }
    }
}
