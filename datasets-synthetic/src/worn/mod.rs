//! The head as triangles; what grows on it is in `hair`, what is worn on it in `wear`.
//! Knows nothing of the body below the neck.

mod hair;
mod wear;

use std::f32::consts::{PI, TAU};

use glam::{Mat3, Vec3};

use crate::attributes::Glasses;
use crate::body::{Builder, body_frame};
use crate::head::{FACE_LONGITUDE, Face, HAIRLINE};
use crate::material::Material;
use crate::math::{mix, smooth};
use crate::mesh;
use crate::person::Person;
use crate::raster::{Group, Sheet, Triangle};

/// Turns head coordinates into the person's space: the neck's joint stays where it is.
#[derive(Clone, Copy)]
struct Seat {
    turn: Mat3,
}

/// Heads of fewer pixels are built-in ones: of the mesh's shape nothing would be seen.
const MESH_UNIT: f32 = 28.0;

const JOINT: Vec3 = Vec3::new(0.0, -0.42, -0.1);

impl Seat {
    fn place(&self, p: Vec3) -> Vec3 {
        JOINT + self.turn * (p - JOINT)
    }
}

/// Longitude and latitude of a grid point: denser at the front, where the features are.
fn direction(i: usize, nu: usize, j: usize, nv: usize) -> (f32, f32) {
    let s = 2.0 * i as f32 / nu as f32 - 1.0;
    (PI * s * (0.45 + 0.55 * s * s), PI * (0.5 - j as f32 / (nv - 1) as f32))
}

/// Builds head, hair and everything worn; returns the face's triangles and how far it looks towards the viewer.
pub(crate) fn head(builder: &mut Builder<'_>, person: &Person) -> (Vec<u32>, f32) {
    let look = &person.look;
    let turn = person.head_turn();
    let seat = Seat { turn };
    let towards = (builder.view.turn * turn * Vec3::Z).z;
    let unit = builder.view.unit;
    let nu = ((unit * 0.7) as usize).clamp(16, 110);
    let nv = nu * 3 / 4;
    if let Some(shape) = look.shape.as_ref().filter(|_| look.one_head || unit > MESH_UNIT) {
        let frame = body_frame(person);
        let (face, painted) = mesh::build(builder, shape, &look.face, |p| seat.place(p), frame);
        let mut person = person.clone();
        person.look.face = painted;
        worn(builder, &seat, &person, (nu, nv));
        return (face, towards);
    }

    let part = builder.part(Material::Face(Box::new(look.face.clone())), Group::Head);
    shell(builder, &seat, part, &look.face, (nu, nv), |_, _, p| p);
    let face = outline(builder, &seat, &look.face);
    neck_and_ears(builder, &seat, person);
    worn(builder, &seat, person, (nu, nv));
    (face, towards)
}

/// The region that annotators call the face, hairline to chin and ear to ear, in as many triangles at any size, so
/// that its box does not depend on how finely the head is drawn.
fn outline(builder: &mut Builder<'_>, seat: &Seat, face: &Face) -> Vec<u32> {
    const POINTS: (usize, usize) = (17, 15);
    let view = builder.view;
    let part = builder.part(Material::Skin { colour: face.skin, shade: 0.0, seed: 0 }, Group::Outline);
    let first = builder.geometry.triangles.len();
    let hairline = (2.0 * HAIRLINE).asin();
    builder.geometry.grid(part, POINTS.0, POINTS.1, Sheet::Open, |i, j| {
        let longitude = FACE_LONGITUDE * (2.0 * i as f32 / (POINTS.0 - 1) as f32 - 1.0);
        let latitude = mix(hairline, -1.5, j as f32 / (POINTS.1 - 1) as f32);
        let p = open_jaw(face, face.surface(longitude, latitude));
        (view.project(seat.place(p)), p)
    });
    (first as u32..builder.geometry.triangles.len() as u32).collect()
}

/// The jaw drops when the mouth opens; the paint goes with it.
fn open_jaw(face: &Face, p: Vec3) -> Vec3 {
    let drop = face.mouth_open * 0.07 * smooth(face.mouth_y + 0.03, face.mouth_y - 0.06, p.y);
    p - Vec3::Y * (drop * smooth(-0.15, 0.1, p.z))
}

/// What grows on a head or is worn on it.
fn worn(builder: &mut Builder<'_>, seat: &Seat, person: &Person, (nu, nv): (usize, usize)) {
    let look = &person.look;
    hair::hair(builder, seat, look, (nu, nv));
    if look.face.beard > 0.6 && builder.view.unit > 14.0 {
        hair::beard(builder, seat, &look.face, (nu, nv));
    }
    wear::cover(builder, seat, person, (nu, nv));
    if look.glasses != Glasses::None {
        wear::glasses(builder, seat, look);
    }
    wear::hat(builder, seat, person, (nu, nv));
}

/// The head's own surface, moved point by point; local coordinates stay those of the skin beneath.
fn shell(
    builder: &mut Builder<'_>,
    seat: &Seat,
    part: u32,
    face: &Face,
    (nu, nv): (usize, usize),
    moved: impl Fn(f32, f32, Vec3) -> Vec3,
) {
    let view = builder.view;
    let mut hidden = vec![false; nu * nv];
    let (base, first) = (builder.geometry.vertices.len(), builder.geometry.triangles.len());
    builder.geometry.grid(part, nu, nv, Sheet::Solid, |i, j| {
        let (longitude, latitude) = direction(i, nu, j, nv);
        let (skin, shift) = face.rest(longitude, latitude);
        let mut p = moved(longitude, latitude, skin);
        if face.map.is_some() {
            // A shell that goes under the skin must not come out in a groove.
            let under = smooth(0.01, 0.028, (skin - p).dot(skin.normalize_or(Vec3::Y)));
            p += (p - skin) * under;
            hidden[j * nu + i] = under > 0.95;
        }
        p += shift;
        (view.project(seat.place(open_jaw(face, p))), skin)
    });
    if face.map.is_some() {
        // Nor may what is under the skin all over show in an open mouth.
        let kept = |triangle: &Triangle| !triangle.corners.iter().all(|corner| hidden[*corner as usize - base]);
        let shell = builder.geometry.triangles.split_off(first);
        builder.geometry.triangles.extend(shell.into_iter().filter(kept));
    }
}

/// Raises a shell by `thickness` where `depth` is positive and hides it under the skin elsewhere.
fn raised(p: Vec3, depth: f32, thickness: f32) -> Vec3 {
    let cover = smooth(-0.015, 0.035, depth);
    let out = (p - Vec3::new(0.0, 0.02, 0.02)).normalize_or(Vec3::Y);
    p + out * mix(-0.03, thickness, cover)
}

fn neck_and_ears(builder: &mut Builder<'_>, seat: &Seat, person: &Person) {
    let face = &person.look.face;
    let frame = body_frame(person);
    let skin = Material::Skin { colour: face.skin, shade: 0.55, seed: face.seed };
    let part = builder.part(skin, Group::Body);
    let radius = 0.205 * (0.75 + 0.25 * person.look.build);
    let around = builder.segments(0.8, 8, 28);
    let view = builder.view;
    let rows = 7;
    builder.geometry.grid(part, around, rows, Sheet::Solid, |i, j| {
        let t = j as f32 / (rows - 1) as f32;
        let (sin, cos) = (TAU * i as f32 / around as f32).sin_cos();
        let r = radius * (1.0 + 0.25 * smooth(0.5, 1.0, t));
        let rest = Vec3::new(cos * r, -0.3 - 0.42 * t, sin * r - 0.07 - 0.04 * t);
        let p = seat.place(rest).lerp(frame * rest, smooth(0.1, 0.8, t));
        (view.project(p), rest)
    });
    if builder.view.unit < 9.0 {
        return;
    }
    let skin = Material::Skin { colour: face.skin * Vec3::new(1.0, 0.85, 0.82), shade: 0.0, seed: face.seed };
    let part = builder.part(skin, Group::Head);
    for side in [-1.0, 1.0] {
        let centre = seat.place(Vec3::new(side * 0.335 * face.width, -0.03, -0.03));
        let axes = seat.turn * Mat3::from_rotation_y(side * 0.45);
        let segments = builder.segments(0.4, 7, 16);
        builder.ellipsoid(part, centre, axes, Vec3::new(0.03, 0.095, 0.06), segments);
    }
}
