//! The head of the mesh: which triangles are what, and one person's head as triangles.
//! Knows nothing of the body below the neck, nor of what is worn.

use std::collections::BTreeSet;
use std::sync::Arc;

use glam::{Mat3, Vec2, Vec3};

use super::BodiesError;
use super::map::{self, Cell, HeadMap};
use super::read::{Obj, broken};
use super::shape::Shape;
use crate::body::Builder;
use crate::head::{Face, HAIRLINE};
use crate::material::Material;
use crate::math::{mix, rgb, smooth};
use crate::raster::{Group, Triangle, Vertex};

const EYES: [&str; 2] = ["helper-l-eye", "helper-r-eye"];
const TEETH: [&str; 2] = ["helper-upper-teeth", "helper-lower-teeth"];
const SKIN: &str = "body";

/// Head heights per decimetre, and the head's middle, of the average head.
const SCALE: f32 = 1.0 / 2.156;
const MIDDLE: Vec3 = Vec3::new(0.0, 7.338, 0.4765);
/// Half the width of a face between the ears, on the average head.
const EAR: f32 = 0.308;
/// Radius of an eyeball in head heights.
const EYEBALL: f32 = 0.067;

/// Which vertices are kept, and for each vertex of the file its number among them.
pub(super) fn choose(file: &str, obj: &Obj) -> Result<(Vec<u32>, Vec<Option<u32>>), BodiesError> {
    let mut wanted = BTreeSet::new();
    for corner in obj.group(file, SKIN)?.iter().flatten() {
        let p = obj.vertices[*corner as usize];
        if p.y > 5.4 && p.x.abs() < 0.95 {
            wanted.insert(*corner);
        }
    }
    for name in EYES.iter().chain(&TEETH) {
        wanted.extend(obj.group(file, name)?.iter().flatten());
    }
    let kept: Vec<u32> = wanted.into_iter().collect();
    let mut order = vec![None; obj.vertices.len()];
    for (number, vertex) in kept.iter().enumerate() {
        order[*vertex as usize] = Some(number as u32);
    }
    Ok((kept, order))
}

/// What the triangles of the head are, found once on the average head.
pub(super) struct Topology {
    /// Each vertex in the coordinates that materials paint in; eyeballs' are their own, from centre and radius.
    local: Vec<Vec3>,
    /// 0 where a vertex goes with the head .. 1 where it goes with the body.
    neck: Vec<f32>,
    /// 1 where the neck must be inside the torso.
    foot: Vec<f32>,
    skin: Vec<[u32; 3]>,
    below: Vec<[u32; 3]>,
    ears: Vec<[u32; 3]>,
    inside: Vec<[u32; 3]>,
    teeth: Vec<[u32; 3]>,
    eyes: Vec<[u32; 3]>,
    /// Vertices of the mouth's and nostrils' inner walls alone.
    walls: Vec<u32>,
    /// For each triangle of the skin whether annotators call it face.
    face: Vec<bool>,
    chin: Vec<u32>,
    skull: Vec<u32>,
    cells: Vec<Cell>,
    rest: Arc<Vec<Vec3>>,
}

/// How far a point of the average head lies below the line from the nape round the jaw's edge under the chin.
pub(super) fn below_jaw(p: Vec3) -> f32 {
    -0.22 - 0.36 * (p.z / 0.3).clamp(0.0, 1.0) - p.y
}

/// An ear, roughly: what stands out from the head's side.
fn is_ear(p: Vec3) -> bool {
    let (y, z) = (p.y + 0.09, p.z + 0.03);
    let (y, z) = (y + 0.35 * z, z - 0.3 * y);
    let inside = (y / 0.135).powi(2) + (z / 0.062).powi(2) < 1.0;
    inside && p.x.abs() > 0.3
}

impl Topology {
    pub(super) fn new(file: &str, obj: &Obj, order: &[Option<u32>], rest: &[Vec3]) -> Result<Self, BodiesError> {
        let mut local: Vec<Vec3> = rest.iter().map(|p| (*p - MIDDLE) * SCALE).collect();
        let neck = local.iter().map(|p| smooth(0.0, 0.36, below_jaw(*p))).collect();
        let foot = local.iter().map(|p| smooth(-0.4, -0.58, p.y) * smooth(0.02, 0.12, below_jaw(*p))).collect();
        let triangles = |name: &str| -> Result<Vec<[u32; 3]>, BodiesError> {
            let quads = obj.group(file, name)?.iter();
            let kept = quads.filter_map(|quad| {
                let [a, b, c, d] = quad.map(|corner| order.get(corner as usize).copied().flatten());
                Some([[a?, b?, c?], [a?, c?, d?]])
            });
            Ok(kept.flatten().collect())
        };
        let whole = triangles(SKIN)?;
        let front = FrontMap::new(&local, &whole);
        let (mut skin, mut below, mut ears, mut inside) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for triangle in whole {
            let corners = triangle.map(|corner| local[corner as usize]);
            let middle = (corners[0] + corners[1] + corners[2]) / 3.0;
            if corners.iter().all(|p| front.hides(*p)) {
                inside.push(triangle);
            } else if is_ear(middle) {
                ears.push(triangle);
            } else if below_jaw(middle) > 0.0 {
                below.push(triangle);
            } else {
                skin.push(triangle);
            }
        }
        let seen: BTreeSet<u32> = skin.iter().flatten().copied().collect();
        let walls: BTreeSet<u32> = inside.iter().flatten().copied().filter(|wall| !seen.contains(wall)).collect();
        let (mut eyes, mut teeth) = (Vec::new(), Vec::new());
        for name in EYES {
            let eye = triangles(name)?;
            let corners: BTreeSet<u32> = eye.iter().flatten().copied().collect();
            let points = corners.iter().map(|corner| local[*corner as usize]);
            let (low, high) = points.fold((Vec3::MAX, Vec3::MIN), |(low, high), p| (low.min(p), high.max(p)));
            let centre = (low + high) * 0.5;
            for corner in corners {
                let p = &mut local[corner as usize];
                *p = (*p - centre) / EYEBALL;
            }
            eyes.extend(eye);
        }
        for (name, up) in TEETH.into_iter().zip([-1.0, 1.0]) {
            let row = triangles(name)?;
            let points: Vec<Vec3> = row.iter().flatten().map(|corner| local[*corner as usize]).collect();
            for triangle in row {
                // The crowns' outsides; what is farther from the biting edge at its place in the row is gum, and what
                // looks inwards is never so bright.
                let [a, b, c] = triangle.map(|corner| local[corner as usize]);
                let middle = (a + b + c) / 3.0;
                let near = points.iter().filter(|p| (**p - middle).with_y(0.0).length() < 0.035);
                let edge = near.map(|p| up * p.y).fold(f32::MIN, f32::max);
                let outside = (b - a).cross(c - a).dot(middle.with_y(0.0) - Vec3::new(0.0, 0.0, 0.25)) > 0.0;
                let crown = outside && up * middle.y > edge - 0.05;
                let kind = if crown { &mut teeth } else { &mut inside };
                kind.push(triangle);
            }
        }
        let numbers = |triangles: &[[u32; 3]], fits: &dyn Fn(Vec3) -> bool| -> Vec<u32> {
            let all: BTreeSet<u32> = triangles.iter().flatten().copied().collect();
            all.into_iter().filter(|vertex| fits(local[*vertex as usize])).collect()
        };
        let chin = numbers(&skin, &|p| p.x.abs() < 0.05 && p.z > 0.25 && p.y < -0.4);
        let skull = numbers(&skin, &|p| p.y > 0.05);
        let outer: Vec<[u32; 3]> = skin.iter().chain(&below).copied().collect();
        let cells = map::cells(&local, &outer);
        let found = map::places(&cells, &local);
        if chin.is_empty() || skull.len() < 50 || eyes.is_empty() || found.contains(&Vec3::ZERO) {
            return Err(broken(file, "is not the head it should be"));
        }
        // By corners at the neck and the ears; at the hairline, where triangles are large, so that they end there on
        // the whole.
        let is_face = |triangle: &[u32; 3]| {
            let corners = triangle.map(|corner| local[corner as usize]);
            let edge = corners.iter().all(|p| p.z > 0.03 && p.x.abs() < EAR && below_jaw(*p) < 0.02);
            edge && corners.iter().map(|p| p.y).sum::<f32>() < 3.0 * (HAIRLINE - 0.03)
        };
        let face = skin.iter().map(is_face).collect();
        Ok(Self {
            neck,
            foot,
            skin,
            below,
            ears,
            inside,
            teeth,
            eyes,
            walls: walls.into_iter().collect(),
            face,
            chin,
            skull,
            cells,
            rest: Arc::new(found),
            local,
        })
    }

    /// Moves a person's points into head coordinates.
    fn fit(&self, points: &[Vec3]) -> (Vec3, f32) {
        let skull = self.skull.iter().map(|vertex| points[*vertex as usize]);
        let (low, high) = skull.fold((Vec3::MAX, Vec3::MIN), |(low, high), p| (low.min(p), high.max(p)));
        let chin = self.chin.iter().map(|vertex| points[*vertex as usize].y).fold(f32::MAX, f32::min);
        let tall = (high.y - chin).max(0.5);
        (Vec3::new(0.0, 0.5 * (high.y + chin), 0.5 * (low.z + high.z)), 1.0 / tall)
    }
}

/// What of the average head is seen from the front: tells the inside of mouth and nostrils from the skin.
struct FrontMap(Vec<f32>);

impl FrontMap {
    const SIDE: usize = 96;

    fn cell(p: Vec2) -> Option<(f32, f32)> {
        let side = Self::SIDE as f32;
        let at = ((p.x + 0.16) / 0.32 * side, (0.0 - p.y) / 0.48 * side);
        (at.0 >= 0.0 && at.1 >= 0.0 && at.0 < side && at.1 < side).then_some(at)
    }

    fn new(local: &[Vec3], triangles: &[[u32; 3]]) -> Self {
        let mut depth = vec![f32::MIN; Self::SIDE * Self::SIDE];
        for triangle in triangles {
            let [a, b, c] = triangle.map(|corner| local[corner as usize]);
            // Fine enough that no cell within the triangle is missed.
            let steps = 12;
            for i in 0..=steps {
                for j in 0..=steps - i {
                    let p = a + (b - a) * (i as f32 / steps as f32) + (c - a) * (j as f32 / steps as f32);
                    if let Some((x, y)) = Self::cell(p.truncate()) {
                        let cell = &mut depth[y as usize * Self::SIDE + x as usize];
                        *cell = cell.max(p.z);
                    }
                }
            }
        }
        Self(depth)
    }

    fn hides(&self, p: Vec3) -> bool {
        let mouth = p.y > -0.44 && p.y < -0.08 && p.x.abs() < 0.15 && p.z > -0.18;
        mouth
            && Self::cell(p.truncate()).is_some_and(|(x, y)| self.0[y as usize * Self::SIDE + x as usize] > p.z + 0.02)
    }
}

/// The face as it is painted on the average head: all that has shape is in the mesh.
fn painted(face: &Face, map: HeadMap) -> Face {
    Face {
        width: 1.0,
        jaw: 0.05,
        nose_width: 1.0,
        nose_tip: -0.157,
        eye_apart: 0.1415,
        eye_size: 1.0,
        lip: 1.0,
        mouth_width: 0.106,
        mouth_y: -0.303,
        smile: 0.0,
        mouth_open: 0.0,
        brow_raise: 0.0,
        map: Some(Arc::new(map)),
        ..face.clone()
    }
}

/// Draws the foot of the neck in, so that it ends inside the torso.
fn slim(point: &mut Vec3, share: f32) {
    if share > 0.0 {
        let axis = Vec3::new(0.0, point.y, -0.09);
        let out = *point - axis;
        let most = mix(0.32, 0.2, share);
        if out.length() > most {
            *point = axis + out * (most / out.length());
        }
    }
}

/// Adds a person's head and neck; `seat` turns head coordinates as the head is turned, `frame` as the body is.
/// Returns the triangles of the face, and the face as what is worn over it must know it.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    shape: &Shape,
    face: &Face,
    seat: impl Fn(Vec3) -> Vec3,
    frame: Mat3,
) -> (Vec<u32>, Face) {
    let topology = &shape.bodies.topology;
    let mut points = shape.calm();
    let (middle, scale) = topology.fit(&points);
    shape.express(face, &mut points);
    for point in &mut points {
        *point = (*point - middle) * scale;
    }
    // Inner walls must not come out through the skin of a face that is flatter than most.
    for wall in &topology.walls {
        points[*wall as usize].z -= 0.03;
    }
    for (point, foot) in points.iter_mut().zip(&topology.foot) {
        slim(point, *foot);
    }
    let look = painted(face, HeadMap::new(&topology.rest, &topology.cells, &points));

    let base = builder.geometry.vertices.len() as u32;
    let view = builder.view;
    for ((point, local), neck) in points.iter().zip(&topology.local).zip(&topology.neck) {
        let placed = seat(*point);
        let placed = if *neck > 0.0 { placed.lerp(frame * *point, *neck) } else { placed };
        builder.geometry.vertices.push(Vertex { pos: view.project(placed), normal: Vec3::ZERO, local: *local });
    }
    let skin = Material::Face(Box::new(look.clone()));
    let teeth = Material::Skin { colour: rgb(205, 195, 180), shade: 0.0, seed: face.seed };
    let inside = Material::Skin { colour: rgb(70, 26, 24), shade: 0.0, seed: face.seed };
    let ears = Material::Skin { colour: face.skin * Vec3::new(1.0, 0.86, 0.83), shade: 0.0, seed: face.seed };
    let eyes = Material::Eye { iris: face.iris, gaze: face.gaze, seed: face.seed };
    let mut found = Vec::new();
    let parts: [(Material, Group, &[[u32; 3]]); 6] = [
        (skin.clone(), Group::Head, &topology.skin),
        (skin, Group::Body, &topology.below),
        (ears, Group::Head, &topology.ears),
        (inside, Group::Head, &topology.inside),
        (teeth, Group::Head, &topology.teeth),
        (eyes, Group::Head, &topology.eyes),
    ];
    for (at, (material, group, triangles)) in parts.into_iter().enumerate() {
        let part = builder.part(material, group);
        for (index, triangle) in triangles.iter().enumerate() {
            let corners = triangle.map(|corner| corner + base);
            let vertices = &mut builder.geometry.vertices;
            let [a, b, c] = corners.map(|corner| vertices[corner as usize].pos);
            let normal = (c - a).cross(b - a);
            for corner in corners {
                vertices[corner as usize].normal += normal;
            }
            // Nearly edge-on ones would add nothing but depths that are mostly rounding.
            if normal.z > 0.03 * normal.length() {
                if at == 0 && topology.face[index] {
                    found.push(builder.geometry.triangles.len() as u32);
                }
                builder.geometry.triangles.push(Triangle { corners, part });
            }
        }
    }
    for vertex in &mut builder.geometry.vertices[base as usize..] {
        vertex.normal = vertex.normal.normalize_or(Vec3::Z);
    }
    (found, look)
}
