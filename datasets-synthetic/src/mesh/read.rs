//! Reads the files of the human mesh: a gzipped Wavefront OBJ and gzipped lists of vertex offsets.
//! Trusts none of them: sizes are bounded, every index and number is checked. Knows nothing of what the vertices mean.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

use flate2::read::GzDecoder;
use glam::Vec3;

use super::BodiesError;

/// No file of the mesh is larger than this when unpacked, in bytes.
const MOST: u64 = 16 << 20;
/// No coordinate of it is farther from 0, in the mesh's unit (decimetres).
const FAR: f32 = 100.0;

/// Unpacks a file; what it holds must be text.
pub(super) fn text(folder: &Path, name: &str) -> Result<String, BodiesError> {
    let path = folder.join(name);
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => BodiesError::Missing { path: path.clone() },
        _ => BodiesError::Unreadable { path: path.clone(), source },
    };
    let mut unpacked = String::new();
    let file = File::open(&path).map_err(failed)?;
    GzDecoder::new(file).take(MOST + 1).read_to_string(&mut unpacked).map_err(failed)?;
    match unpacked.len() as u64 > MOST {
        true => Err(broken(name, "larger than 16 MiB")),
        false => Ok(unpacked),
    }
}

pub(super) fn broken(file: &str, what: impl Into<String>) -> BodiesError {
    BodiesError::Broken { file: file.to_owned(), what: what.into() }
}

/// The mesh as the file has it: all vertices, and each group's quadrangles.
pub(super) struct Obj {
    pub(super) vertices: Vec<Vec3>,
    groups: BTreeMap<String, Vec<[u32; 4]>>,
}

/// More vertices or faces than this are another mesh, or a trap: work grows with their product.
const LARGEST: usize = 40_000;

impl Obj {
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, BodiesError> {
        let mut obj = Self { vertices: Vec::new(), groups: BTreeMap::new() };
        let mut group = String::new();
        let mut faces = 0;
        for (at, line) in text.lines().enumerate() {
            let torn = || broken(file, format!("line {} is torn", at + 1));
            if obj.vertices.len().max(faces) > LARGEST {
                return Err(broken(file, format!("has more than {LARGEST} vertices or faces; the real one has fewer")));
            }
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("v") => obj.vertices.push(point(&mut words).ok_or_else(torn)?),
                Some("g") => group = words.next().unwrap_or_default().to_owned(),
                Some("f") => {
                    let mut corners = [0; 4];
                    for corner in &mut corners {
                        let number = words.next().and_then(|word| word.split('/').next()).ok_or_else(torn)?;
                        let number: u32 = number.parse().map_err(|_| torn())?;
                        *corner = number.checked_sub(1).ok_or_else(torn)?;
                    }
                    faces += 1;
                    obj.groups.entry(group.clone()).or_default().push(corners);
                }
                _ => {}
            }
        }
        let count = obj.vertices.len();
        match obj.groups.values().flatten().flatten().all(|corner| (*corner as usize) < count) {
            true => Ok(obj),
            false => Err(broken(file, "a face names a vertex that is not there")),
        }
    }

    /// The quadrangles of a group that the mesh must have.
    pub(super) fn group(&self, file: &str, name: &str) -> Result<&[[u32; 4]], BodiesError> {
        self.groups.get(name).map(Vec::as_slice).ok_or_else(|| broken(file, format!("has no group {name}")))
    }
}

/// Offsets of a morph target: vertex number and where it goes; some of them move nothing. Vertices past `count` make the file broken.
pub(super) fn offsets(file: &str, text: &str, count: usize) -> Result<Vec<(u32, Vec3)>, BodiesError> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let torn = || broken(file, format!("line {} is torn", at + 1));
        let mut words = line.split_ascii_whitespace();
        let Some(first) = words.next().filter(|word| !word.starts_with('#')) else { continue };
        let vertex: u32 = first.parse().map_err(|_| torn())?;
        if vertex as usize >= count {
            return Err(broken(file, format!("line {} moves a vertex that is not there", at + 1)));
        }
        found.push((vertex, point(&mut words).ok_or_else(torn)?));
    }
    Ok(found)
}

fn point<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Vec3> {
    let mut number = || words.next().and_then(|word| f32::from_str(word).ok()).filter(|value| value.abs() < FAR);
    Some(Vec3::new(number()?, number()?, number()?))
}
