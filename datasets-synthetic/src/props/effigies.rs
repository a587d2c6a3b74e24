//! Faces that are none: posters, photographs, screens, statues, busts, dolls, painted faces. They are drawn with the
//! parts of real people, and stated in the truth as faces to be ignored. Knows nothing of where they hang or stand.

use glam::{Mat3, Vec3};

use super::surface::{Kind, Surface};
use super::{Marked, Prop};
use crate::ObjectClass;
use crate::body::{self, Builder};
use crate::head::Paint;
use crate::material::Material;
use crate::math::{Rng, fractal, mix, rgb};
use crate::person::{Habits, Look, Person, Pose, View};
use crate::raster::{Geometry, Group, Part};

/// What print, screen or stone makes of a person's colours.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tone {
    /// From the first colour in the shadows to the second in the lights.
    Between(Vec3, Vec3),
    /// As on a screen or in sunlight.
    Bright(f32),
    /// One solid matter with its gloss.
    Solid(Vec3, f32, u32),
}

impl Tone {
    pub(crate) fn apply(self, paint: Paint, p: Vec3) -> Paint {
        let level = paint.colour.dot(Vec3::new(0.3, 0.55, 0.15)).max(0.0).sqrt();
        match self {
            Self::Between(dark, light) => Paint { colour: dark.lerp(light, level.min(1.0)), ..paint },
            Self::Bright(by) => Paint { colour: paint.colour * by, gloss: 0.3, ..paint },
            Self::Solid(colour, gloss, seed) => {
                let grain = 0.85 + 0.3 * fractal(p.x * 9.0 + p.z * 5.0, p.y * 9.0 - p.z * 4.0, 3, seed);
                Paint { colour: colour * grain, occlusion: paint.occlusion * mix(0.8, 1.0, level), gloss }
            }
        }
    }
}

fn someone(rng: &mut Rng, view: View) -> Person {
    let habits = Habits::draw(rng);
    let (look, pose) = (Look::draw(rng, &habits), Pose::draw(rng, 0.9));
    Person { look, pose, view, haze: 0.0 }
}

/// Adds one effigy.
pub(crate) fn add(geometry: &mut Geometry, rng: &mut Rng, prop: &Prop, owner: u32) -> Vec<Marked> {
    match rng.weighted(&[0.5, 0.22, 0.1, 0.1, 0.08]) {
        0 => portrait(geometry, rng, prop, owner),
        1 => statue(geometry, rng, prop, owner),
        2 => doll(geometry, rng, prop, owner),
        3 => mannequin(geometry, rng, prop, owner),
        _ => cartoon(geometry, rng, prop, owner),
    }
}

fn retone(parts: &mut [Part], tone: Tone) {
    for part in parts {
        let plain = Material::Skin { colour: Vec3::ONE, shade: 0.0, seed: 0 };
        let of = Box::new(std::mem::replace(&mut part.material, plain));
        part.material = Material::Toned { of, tone };
    }
}

/// A face to be ignored, and the person it is drawn on.
fn ignored(owner: u32, face: Vec<u32>, all: std::ops::Range<u32>) -> Vec<Marked> {
    vec![
        Marked { owner, class: ObjectClass::Face, triangles: face, ignore: true },
        Marked { owner, class: ObjectClass::Person, triangles: all.collect(), ignore: true },
    ]
}

/// A picture of a person on a wall, a screen or a box: the person flattened and cut off at its edges.
fn portrait(geometry: &mut Geometry, rng: &mut Rng, prop: &Prop, owner: u32) -> Vec<Marked> {
    let first = geometry.triangles.len() as u32;
    let view = View::new(prop.at, prop.size, 0.0, 25.0);
    let turn = Mat3::from_rotation_y(rng.normal() * 0.45) * Mat3::from_rotation_z(rng.normal() * 0.03);
    let (wide, tall) = (rng.f(0.3, 0.75), 0.5);
    let colours = [Surface::tone(rng), Surface::tone(rng), Surface::tone(rng)];
    let mut builder = Builder { geometry, view, owner, haze: 0.0 };
    let frame = Surface::plain(Surface::tone(rng), 0.8, rng);
    let frame = builder.part(frame, Group::Prop);
    let rim = rng.f(0.005, 0.05);
    builder.block(frame, Vec3::ZERO, turn, Vec3::new(wide + rim, tall + rim, 0.03));
    let kind = if rng.chance(0.5) { Kind::Plain } else { Kind::Scenery(wide * 1.2, tall * 1.2) };
    let paper = Surface::of(kind, colours, 0.2, rng);
    let paper = builder.part(paper, Group::Prop);
    builder.block(paper, turn * Vec3::Z * 0.012, turn, Vec3::new(wide, tall, 0.024));
    let written = rng.chance(0.4);
    let low = if written { -0.3 } else { -0.5 };
    if written {
        let strip = Surface::of(Kind::Board(wide, 0.1), colours, 0.2, rng);
        let strip = builder.part(strip, Group::Prop);
        builder.block(strip, turn * Vec3::new(0.0, -0.4, 0.012), turn, Vec3::new(wide, 0.1, 0.03));
    }
    let head = rng.log(0.16, 0.75);
    let middle = Vec3::new(rng.normal() * 0.2 * wide, rng.f(0.02, 0.3) * (1.0 - head), 0.0);
    // Drawn about the origin in the picture's pixels, then laid onto the board.
    let mut flat = View::new(Vec3::new(middle.x, -middle.y, 0.0) * prop.size, head * prop.size, 0.0, 15.0);
    flat.turn = Mat3::from_rotation_x(rng.normal() * 0.08);
    let person = someone(rng, flat);
    let (vertices, parts) = (builder.geometry.vertices.len(), builder.geometry.parts.len());
    let built = body::build(builder.geometry, &person, owner);
    for vertex in &mut builder.geometry.vertices[vertices..] {
        let p = vertex.pos / prop.size;
        let depth = 0.04 + 0.004 * (p.z / head).clamp(-4.0, 3.0);
        let on = Vec3::new(p.x.clamp(-wide, wide), (-p.y).clamp(low, tall), depth);
        vertex.pos = view.project(turn * on);
    }
    let tone = match rng.weighted(&[0.35, 0.25, 0.12, 0.14, 0.14]) {
        0 => None,
        1 => Some(Tone::Between(Vec3::splat(0.01), Vec3::splat(0.85))),
        2 => Some(Tone::Between(rgb(40, 25, 15), rgb(235, 210, 170))),
        3 => Some(Tone::Between(colours[0] * 0.15, colours[1])),
        _ => Some(Tone::Bright(rng.f(1.2, 2.2))),
    };
    if let Some(tone) = tone {
        retone(&mut geometry.parts[parts..], tone);
    }
    ignored(owner, built.face, first..geometry.triangles.len() as u32)
}

/// A figure or a bust of stone, bronze, plaster, wood or wax.
fn statue(geometry: &mut Geometry, rng: &mut Rng, prop: &Prop, owner: u32) -> Vec<Marked> {
    let first = geometry.triangles.len() as u32;
    let bust = rng.chance(0.6);
    let unit = prop.size * if bust { 0.5 } else { 0.14 };
    let raise = Vec3::new(0.0, prop.size * if bust { 0.25 } else { 0.43 }, 0.0);
    let view = View::new(prop.at - raise, unit, rng.f(-0.3, 0.2), rng.f(10.0, 30.0));
    let mut person = someone(rng, view);
    person.look.glasses = crate::attributes::Glasses::None;
    let (parts, vertices) = (geometry.parts.len(), geometry.vertices.len());
    let built = body::build(geometry, &person, owner);
    let matter = rng.pick(&[
        rgb(190, 186, 176),
        rgb(225, 222, 214),
        rgb(120, 105, 70),
        rgb(55, 50, 42),
        rgb(85, 120, 105),
        rgb(150, 105, 70),
        rgb(200, 160, 70),
    ]);
    retone(
        &mut geometry.parts[parts..],
        Tone::Solid(matter * rng.f(0.6, 1.2), rng.pick(&[0.05, 0.3, 1.6, 2.2]), rng.seed()),
    );
    if bust {
        let breast = -rng.f(1.0, 1.5);
        let cut = view.project(Vec3::new(0.0, breast, 0.0)).y;
        for vertex in &mut geometry.vertices[vertices..] {
            if vertex.pos.y > cut {
                vertex.pos.y = cut + 0.02 * (vertex.pos.y - cut).min(unit);
                vertex.pos.x = view.origin.x + (vertex.pos.x - view.origin.x) * 0.7;
            }
        }
        let mut builder = Builder { geometry, view, owner, haze: 0.0 };
        let plinth = Surface::plain(matter * 0.6, 0.4, rng);
        let plinth = builder.part(plinth, Group::Prop);
        builder.block(plinth, Vec3::new(0.0, breast - 0.4, -0.1), Mat3::IDENTITY, Vec3::new(0.42, 0.4, 0.35));
    }
    ignored(owner, built.face, first..geometry.triangles.len() as u32)
}

/// A doll: a child's proportions and more, of smooth plastic or cloth.
fn doll(geometry: &mut Geometry, rng: &mut Rng, prop: &Prop, owner: u32) -> Vec<Marked> {
    let first = geometry.triangles.len() as u32;
    let view = View::new(prop.at - Vec3::new(0.0, prop.size * 0.3, 0.0), prop.size * 0.36, rng.f(-0.2, 0.5), 20.0);
    let mut person = someone(rng, view);
    person.look.heads = rng.f(2.9, 4.2);
    let face = &mut person.look.face;
    (face.eye_size, face.nose_length, face.mouth_width) = (rng.f(1.5, 2.1), rng.f(0.1, 0.5), rng.f(0.05, 0.09));
    (face.beard, face.moustache, face.stubble, face.wrinkles) = (0.0, 0.0, 0.0, 0.0);
    let parts = geometry.parts.len();
    let built = body::build(geometry, &person, owner);
    if rng.chance(0.7) {
        retone(&mut geometry.parts[parts..], Tone::Bright(rng.f(1.0, 1.3)));
    }
    ignored(owner, built.face, first..geometry.triangles.len() as u32)
}

/// A shop-window figure whose head is an egg: a body, and no face at all.
fn mannequin(geometry: &mut Geometry, rng: &mut Rng, prop: &Prop, owner: u32) -> Vec<Marked> {
    let first = geometry.triangles.len();
    let whole = rng.chance(0.5);
    let unit = prop.size * if whole { 0.14 } else { 0.4 };
    let raise = Vec3::new(0.0, prop.size * 0.4, 0.0);
    let view = View::new(prop.at - raise, unit, rng.f(-0.1, 0.3), 20.0);
    let person = someone(rng, view);
    let parts = geometry.parts.len();
    body::build(geometry, &person, owner);
    let matter = Surface::plain(
        rng.pick(&[Vec3::splat(0.8), Vec3::splat(0.02), rgb(215, 180, 150), rgb(150, 150, 150)]),
        1.2,
        rng,
    );
    let headed = rng.chance(0.7);
    let all = &geometry.parts;
    let mut kept = geometry.triangles.split_off(first);
    kept.retain(|triangle| !matches!(all[triangle.part as usize].group, Group::Head | Group::Hair | Group::Outline));
    geometry.triangles.append(&mut kept);
    for part in &mut geometry.parts[parts..] {
        if matches!(part.material, Material::Skin { .. }) {
            part.material = matter.clone();
        }
    }
    let mut builder = Builder { geometry, view, owner, haze: 0.0 };
    if headed {
        let part = builder.part(matter, Group::Prop);
        let turn = Mat3::from_rotation_x(rng.normal() * 0.15);
        builder.lathe(
            part,
            Vec3::ZERO,
            turn,
            &[
                (0.5, 0.0),
                (0.46, 0.16),
                (0.32, 0.29),
                (0.1, 0.335),
                (-0.15, 0.3),
                (-0.35, 0.21),
                (-0.47, 0.1),
                (-0.5, 0.0),
            ],
            1.15,
        );
    }
    let triangles = (first as u32..builder.geometry.triangles.len() as u32).collect();
    vec![Marked { owner, class: ObjectClass::Person, triangles, ignore: true }]
}

/// A face as children, stickers and balloons have it.
fn cartoon(geometry: &mut Geometry, rng: &mut Rng, prop: &Prop, owner: u32) -> Vec<Marked> {
    let first = geometry.triangles.len() as u32;
    let view = View::new(prop.at, prop.size, rng.normal() * 0.15, 20.0);
    let mut builder = Builder { geometry, view, owner, haze: 0.0 };
    let ground = rng.pick(&[
        rgb(250, 205, 60),
        rgb(250, 205, 60),
        rgb(240, 200, 170),
        Vec3::splat(0.85),
        rgb(235, 130, 40),
        rgb(110, 170, 90),
    ]);
    let material = Surface::of(
        Kind::Cartoon,
        [ground, Vec3::splat(0.01), rng.colour((0.3, 1.0), (0.3, 1.0))],
        rng.f(0.1, 1.5),
        rng,
    );
    let part = builder.part(material, Group::Prop);
    let turn = Mat3::from_rotation_y(rng.normal() * 0.4) * Mat3::from_rotation_z(rng.normal() * 0.15);
    let deep = rng.pick(&[0.04, 0.04, 0.45]);
    let segments = builder.segments(1.6, 14, 44);
    builder.ellipsoid(part, Vec3::ZERO, turn, Vec3::new(0.5, 0.5, deep), segments);
    let triangles = (first..builder.geometry.triangles.len() as u32).collect();
    vec![Marked { owner, class: ObjectClass::Face, triangles, ignore: true }]
}

/// Two eyes and a mouth in a disc of half a unit: the share of the ink and of the second colour.
pub(crate) fn cartoon_ink(p: Vec3, seed: u32) -> (bool, bool) {
    if p.z < 0.0 {
        return (false, false);
    }
    let (x, y) = (p.x.abs(), p.y);
    let wide = 0.035 + 0.03 * (seed % 4) as f32 / 3.0;
    let eye = ((x - 0.17) / wide).powi(2) + ((y - 0.12) / (wide * if seed & 4 == 0 { 1.0 } else { 1.7 })).powi(2);
    let bend = if seed & 16 == 0 { 1.0 } else { -0.5 };
    let mouth = y + 0.2 - bend * (x * x * 3.0 - 0.05);
    let grin = seed & 8 == 0;
    let smile = x < 0.26 && (mouth.abs() < 0.022 || (grin && mouth > 0.0 && y < -0.12));
    let nose = seed & 32 == 0 && x.hypot(y + 0.02) < 0.035;
    let rim = (x.hypot(y) - 0.47).abs() < 0.015 && seed & 64 == 0;
    (eye < 1.0 || smile || rim, nose || (seed & 128 == 0 && (x - 0.27).hypot(y + 0.06) < 0.06))
}
