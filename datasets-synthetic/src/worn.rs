//! The head as triangles, and what grows on it or is worn on it: hair, beards, hats, masks, glasses, scarves.
//! Knows nothing of the body below the neck.

use std::f32::consts::{PI, TAU};
use std::sync::Arc;

use glam::{Mat3, Vec3};

use crate::attributes::{Cover, Glasses, Hair, Hat};
use crate::body::{Builder, body_frame};
use crate::head::{FACE_LONGITUDE, Face, HAIRLINE};
use crate::material::{Cloth, Material, Pattern};
use crate::math::{fall, fractal, mix, noise, smooth};
use crate::mesh;
use crate::person::{Look, Person, SMALLEST_FRAMES};
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
    if let Some(shape) = look.shape.as_ref().filter(|_| unit > MESH_UNIT) {
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
    hair(builder, seat, look, (nu, nv));
    if look.face.beard > 0.6 && builder.view.unit > 14.0 {
        beard(builder, seat, &look.face, (nu, nv));
    }
    cover(builder, seat, person, (nu, nv));
    if look.glasses != Glasses::None {
        glasses(builder, seat, look);
    }
    hat(builder, seat, person, (nu, nv));
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

fn hair(builder: &mut Builder<'_>, seat: &Seat, look: &Look, grid: (usize, usize)) {
    let face = &look.face;
    let thickness = look.hair_thickness;
    if matches!(look.hair, Hair::None | Hair::Cropped) || matches!(look.hat, Hat::Hijab | Hat::Turban | Hat::Hood) {
        return;
    }
    let squashed = matches!(look.hat, Hat::Beanie | Hat::Cap | Hat::Helmet | Hat::Brim);
    let (thick, rough) = match look.hair {
        Hair::Curly => (0.09, 0.07),
        Hair::Afro => (0.2, 0.05),
        Hair::Short => (0.045, 0.02),
        _ => (0.05, 0.012),
    };
    let thick = if squashed { 0.02 } else { thick * thickness };
    let fine = if matches!(look.hair, Hair::Afro | Hair::Curly) { 3.0 } else { 1.0 };
    let material = Material::Hair { colour: face.hair, gloss: 0.8 / fine, fine, seed: face.seed };
    let part = builder.part(material.clone(), Group::Hair);
    let seed = face.seed;
    let parting = (seed % 200) as f32 / 1000.0 - 0.1;
    shell(builder, seat, part, face, grid, |longitude, _, p| {
        let fringe = look.fringe * 0.2 * smooth(0.7, 0.3, longitude.abs()) * smooth(0.0, 0.2, p.z);
        let ragged = 0.05 * (noise(longitude * 9.0, p.y * 3.0, seed) - 0.5);
        let edge = face.scalp_depth(p) + fringe + ragged;
        let lumps = rough * (fractal(longitude * 5.0, p.y * 9.0, 2, seed) - 0.5) * 2.0;
        let crown = 1.0 + 0.5 * smooth(0.2, 0.5, p.y);
        let part_line = 1.0 - 0.5 * fall(((p.x - parting) / 0.03).powi(2)) * smooth(0.3, 0.45, p.y);
        raised(p, edge, (thick * crown + lumps) * part_line)
    });
    let length = match look.hair {
        Hair::Bob => 0.35 + 0.15 * thickness,
        Hair::Long => 0.45 + 0.8 * look.hair_length,
        _ => 0.0,
    };
    if length > 0.0 {
        curtain(builder, seat, material, length, thick.max(0.04), seed, look.hat == Hat::Helmet);
    } else if matches!(look.hair, Hair::Bun | Hair::Tail) {
        let part = builder.part(material, Group::Hair);
        let high = (seed % 7) as f32 / 7.0;
        let centre = Vec3::new(0.0, mix(0.05, 0.5, high), mix(-0.47, -0.2, high));
        let segments = builder.segments(0.7, 8, 24);
        builder.ellipsoid(part, seat.place(centre), seat.turn, Vec3::new(0.16, 0.15, 0.14) * thickness, segments);
        if look.hair == Hair::Tail {
            let stations: Vec<_> = (0..6)
                .map(|i| {
                    let t = i as f32 / 5.0;
                    let p = centre + Vec3::new(0.08 * t, 0.05 - 0.9 * t * look.hair_length, -0.18 * (t * (1.6 - t)));
                    (seat.place(p), 0.11 * (1.0 - 0.5 * t), 0.08 * (1.0 - 0.5 * t))
                })
                .collect();
            builder.tube(part, segments / 2 + 4, seat.turn * Vec3::X, &stations);
        }
    }
}

/// Hair that hangs: an open mantle round the sides and the back.
fn curtain(builder: &mut Builder<'_>, seat: &Seat, material: Material, length: f32, thick: f32, seed: u32, low: bool) {
    let part = builder.part(material, Group::Hair);
    let nu = builder.segments(2.4, 14, 56);
    let nv = 9;
    let opening = 0.95 + 0.35 * ((seed >> 4) % 100) as f32 / 100.0;
    let view = builder.view;
    let top = if low { -0.1 } else { 0.22 };
    builder.geometry.grid(part, nu, nv, Sheet::Open, |i, j| {
        let t = j as f32 / (nv - 1) as f32;
        let s = i as f32 / (nu - 1) as f32;
        let longitude = mix(opening, TAU - opening, s);
        let y = mix(top, -length, t);
        let wave = 0.03 * (noise(s * 12.0, t * 3.0, seed) - 0.5);
        let ragged = 0.1 * (noise(s * 25.0, 0.0, seed ^ 2) - 0.5) * t;
        let r = 1.0 + wave * 2.0 + thick * 1.2 + 0.18 * smooth(0.3, 1.0, t) - 0.1 * smooth(0.4, 0.0, t);
        let p = Vec3::new(longitude.sin() * 0.335 * r, y + ragged, longitude.cos() * 0.42 * r - 0.04 * t);
        // Hanging hair follows gravity more than the head's tilt.
        let placed = seat.place(p);
        (view.project(placed), p)
    });
}

fn beard(builder: &mut Builder<'_>, seat: &Seat, face: &Face, grid: (usize, usize)) {
    let material = Material::Hair { colour: face.brow, gloss: 0.2, fine: 2.5, seed: face.seed ^ 21 };
    let part = builder.part(material, Group::Head);
    let size = (face.beard - 0.6) * 0.3;
    shell(builder, seat, part, face, grid, |longitude, _, p| {
        let zone = face.beard_zone(p) - 0.45;
        let lumps = 0.02 * (noise(longitude * 14.0, p.y * 20.0, face.seed) - 0.5);
        let mut q = raised(p, zone * 0.2, 0.015 + size * 0.3 * smooth(-0.2, -0.5, p.y) + lumps);
        q.y -= size * smooth(-0.38, -0.5, p.y) * smooth(-0.05, 0.1, p.z);
        q
    });
}

fn cover(builder: &mut Builder<'_>, seat: &Seat, person: &Person, grid: (usize, usize)) {
    let look = &person.look;
    let face = &look.face;
    let frame = body_frame(person);
    let cloth = Material::Cloth(look.cover_cloth.clone());
    if look.cover == Cover::Scarf {
        let mut cloth = look.top.clone();
        std::mem::swap(&mut cloth.colour, &mut cloth.second);
        cloth.folds = 1.0;
        let part = builder.part(Material::Cloth(cloth), Group::Head);
        let high = if look.cover_low { -0.42 } else { -0.2 };
        let around = builder.segments(1.2, 12, 36);
        let stations = [(high, 0.34), (-0.4, 0.42), (-0.55, 0.46), (-0.72, 0.48), (-0.8, 0.42)];
        let stations: Vec<_> = stations
            .iter()
            .map(|&(y, r)| {
                let rest = Vec3::new(0.0, y, 0.02);
                (seat.place(rest).lerp(frame * rest, smooth(-0.3, -0.7, y)), r * 0.95, r * 1.03)
            })
            .collect();
        builder.tube(part, around, frame * Vec3::X, &stations);
        return;
    }
    if look.cover == Cover::None {
        return;
    }
    let veil = look.cover == Cover::Veil;
    let part = builder.part(cloth, Group::Head);
    let mut base = face.clone();
    base.nose_width *= 2.2;
    base.nose_length *= 1.08;
    base.lip = 0.0;
    base.map = face.map.as_ref().map(|map| Arc::new(map.draped()));
    base.mouth_open *= 0.5;
    let lowered = if look.cover_low { 0.13 } else { 0.0 };
    let cup = if look.cover == Cover::Cup { 0.07 } else { 0.0 };
    let top = face.nose_tip + 0.1 - lowered;
    // The cloth's own shape of a head of the mesh stands out more than its skin does.
    let hide = if face.map.is_some() { Vec3::new(0.8, 1.0, 0.8) } else { Vec3::ONE };
    shell(builder, seat, part, &base, grid, |longitude, latitude, p| {
        let upper = top - 0.22 * smooth(0.02, 0.25, p.x.abs()) * 0.35 - p.y;
        let reach = if veil { 1.6 } else { 0.98 - 0.25 * smooth(-0.25, -0.1, p.y) + 0.2 * smooth(-0.3, -0.1, p.y) };
        let sideways = (reach - longitude.abs()) * 0.35;
        let depth = upper.min(sideways).min(p.z * 0.8 + 0.02);
        let bulge = cup * fall((p.x / 0.14).powi(2) + ((p.y + 0.24) / 0.13).powi(2));
        // Hidden under the true skin, raised over the smoothed one.
        let hidden = raised(face.rest(longitude, latitude).0, -1.0, 0.0) * hide;
        let mut q = hidden.lerp(raised(p, 1.0, 0.022 + bulge), smooth(-0.015, 0.03, depth));
        if veil {
            q.y -= 0.3 * smooth(-0.35, -0.5, p.y);
            q.z += 0.05 * smooth(-0.3, -0.5, p.y);
        }
        q
    });
    if veil || builder.view.unit < 30.0 {
        return;
    }
    let colour = look.cover_cloth.colour * 0.9;
    let strap = Material::Cloth(Cloth { colour, pattern: Pattern::Plain, ..look.cover_cloth.clone() });
    let part = builder.part(strap, Group::Head);
    for side in [-1.0, 1.0] {
        for (from, to) in [(-0.11, 0.03), (-0.33, -0.1)] {
            let stations: Vec<_> = (0..5)
                .map(|i| {
                    let t = i as f32 / 4.0;
                    let longitude = mix(0.85, 1.6, t);
                    let y = mix(from - lowered * 0.5, to, t);
                    let skin = face.surface(side * longitude, (y * 2.0_f32).clamp(-0.98, 0.98).asin());
                    (seat.place(skin * Vec3::new(1.04, 1.0, 1.03)), 0.009, 0.009)
                })
                .collect();
            builder.tube(part, 4, seat.turn * Vec3::Y, &stations);
        }
    }
}

fn glasses(builder: &mut Builder<'_>, seat: &Seat, look: &Look) {
    let face = &look.face;
    let thing = |colour: Vec3, gloss: f32| Material::Thing {
        colour,
        second: colour,
        pattern: Pattern::Plain,
        scale: 1.0,
        gloss,
        seed: 1,
    };
    let round = 2.0 + (face.seed % 5) as f32 * 0.6;
    let half_width = 0.082 + 0.02 * ((face.seed >> 8) % 10) as f32 / 10.0;
    let half_height = half_width * (0.6 + 0.4 * ((face.seed >> 12) % 10) as f32 / 10.0);
    let bridge = face.surface(0.0, 0.05).z;
    let front = |x: f32, y: f32| Vec3::new(x, y, bridge + 0.02 - 1.0 * x * x);
    let rim_at = |side: f32, angle: f32, scale: f32| {
        let (sin, cos) = angle.sin_cos();
        let r = scale * (cos.abs().powf(round) + sin.abs().powf(round)).powf(-1.0 / round);
        front(side * 0.128 + cos * r * half_width, -0.012 + sin * r * half_height)
    };
    let goggles = look.glasses == Glasses::Goggles;
    let view = builder.view;
    if look.glasses != Glasses::Clear {
        let part = builder.part(thing(look.frame * 0.5 + Vec3::splat(0.004), 3.0), Group::Head);
        for side in [-1.0, 1.0] {
            let scale = if goggles { 1.4 } else { 1.0 };
            builder.geometry.grid(part, 18, 4, Sheet::Ring, |i, j| {
                let p = rim_at(side, TAU * i as f32 / 18.0, scale * j as f32 / 3.0 + 0.01);
                (view.project(seat.place(p)), p)
            });
        }
    }
    if view.unit < SMALLEST_FRAMES {
        return;
    }
    let part = builder.part(thing(look.frame, 1.0), Group::Head);
    let thick = 0.006 + 0.008 * ((face.seed >> 16) % 10) as f32 / 10.0;
    for side in [-1.0, 1.0] {
        let ring: Vec<_> =
            (0..=20).map(|i| (seat.place(rim_at(side, TAU * i as f32 / 20.0, 1.0)), thick, thick)).collect();
        builder.tube(part, 4, seat.turn * Vec3::Z, &ring);
        let hinge = front(side * (0.128 + half_width), 0.02);
        let ear = Vec3::new(side * 0.345 * face.width, 0.03, -0.02);
        let corner = Vec3::new(side * 0.32 * face.width, 0.03, 0.16);
        let temple = [hinge, corner, ear].map(|p| (seat.place(p), thick, thick));
        builder.tube(part, 4, seat.turn * Vec3::Y, &temple);
    }
    let nose = [-0.05, 0.0, 0.05].map(|x| (seat.place(front(x, 0.012)), thick, thick));
    builder.tube(part, 4, seat.turn * Vec3::Y, &nose);
}

fn hat(builder: &mut Builder<'_>, seat: &Seat, person: &Person, grid: (usize, usize)) {
    let look = &person.look;
    let face = &look.face;
    let seed = face.seed;
    if look.hat == Hat::None {
        return;
    }
    let part = builder.part(Material::Cloth(look.hat_cloth.clone()), Group::Hair);
    let frame = body_frame(person);
    if matches!(look.hat, Hat::Hood | Hat::Hijab) {
        let (thick, open) = if look.hat == Hat::Hood { (0.12, 1.12) } else { (0.05, 0.98) };
        shell(builder, seat, part, face, grid, |longitude, _, p| {
            let oval = ((p.x / (0.27 * open)).powi(2) + ((p.y + 0.11) / (0.41 * open)).powi(2)).sqrt() - 1.0;
            let depth = if p.z > 0.0 { oval * 0.25 } else { 0.2 };
            let lumps = 0.02 * noise(longitude * 5.0, p.y * 6.0, seed);
            raised(p, depth, thick + lumps)
        });
        let around = builder.segments(1.6, 14, 40);
        let stations = [(-0.28, 0.37), (-0.5, 0.4), (-0.72, 0.52), (-0.95, 0.8), (-1.2, 0.9)];
        let open_front = look.hat == Hat::Hood;
        let stations: Vec<_> = stations
            .iter()
            .take(if open_front { 3 } else { 5 })
            .map(|&(y, r)| {
                let rest = Vec3::new(0.0, y, if open_front { -0.22 } else { -0.02 });
                (seat.place(rest).lerp(frame * rest, smooth(-0.25, -0.7, y)), r * 0.97, r * 0.92)
            })
            .collect();
        builder.tube(part, around, frame * Vec3::X, &stations);
        return;
    }
    let (front, side, back, thick) = match look.hat {
        Hat::Beanie => (0.2, 0.05, -0.08, 0.07),
        Hat::Cap => (0.23, 0.12, 0.02, 0.05),
        Hat::Brim => (0.22, 0.14, 0.06, 0.06),
        Hat::Helmet => (0.22, -0.1, -0.22, 0.13),
        Hat::Turban => (0.2, 0.06, -0.05, 0.14),
        _ => (0.27, 0.12, 0.1, 0.03),
    };
    let band = look.hat == Hat::Band;
    let tall = match look.hat {
        Hat::Brim => 0.12,
        Hat::Beanie => 0.05 + 0.1 * (seed % 3) as f32 / 2.0,
        _ => 0.0,
    };
    shell(builder, seat, part, face, grid, |longitude, _, p| {
        let turned = longitude.abs() / PI;
        let edge = mix(mix(front, side, smooth(0.1, 0.45, turned)), back, smooth(0.5, 0.85, turned));
        let mut depth = p.y - edge;
        if band {
            depth = depth.min(edge + 0.1 - p.y);
        }
        let mut q = raised(p, depth, thick);
        q.y += tall * smooth(0.25, 0.5, p.y);
        q
    });
    let view = builder.view;
    if matches!(look.hat, Hat::Cap | Hat::Brim) {
        let brim = builder.part(Material::Cloth(Cloth { folds: 0.05, ..look.hat_cloth.clone() }), Group::Hair);
        let whole = look.hat == Hat::Brim;
        let (nu, nv) = (if whole { 32 } else { 13 }, 4);
        let wide = if whole { 0.3 + 0.15 * (seed % 5) as f32 / 5.0 } else { 0.3 };
        builder.geometry.grid(brim, nu, nv, if whole { Sheet::Ring } else { Sheet::Open }, |i, j| {
            let t = j as f32 / (nv - 1) as f32;
            let longitude = if whole { TAU * i as f32 / nu as f32 } else { mix(-1.0, 1.0, i as f32 / (nu - 1) as f32) };
            let out = if whole { wide } else { wide * (longitude * 1.35).cos().max(0.05) };
            let r = 1.03 + t * out / 0.38;
            let y = mix(front, back.max(0.1), smooth(0.5, 3.0, longitude.abs().min(TAU - longitude.abs())));
            let p = Vec3::new(longitude.sin() * 0.35 * r, y + 0.02 - 0.07 * t, longitude.cos() * 0.42 * r);
            (view.project(seat.place(p)), p)
        });
    }
}
