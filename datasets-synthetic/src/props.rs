//! Things that are not people: round and skin-coloured things, boxes, lone hands, animals, things in the foreground.
//! Knows nothing of the people they are mistaken for or hide.

use std::f32::consts::TAU;

use glam::{Mat3, Vec3};

use crate::body::{Builder, hand};
use crate::head::skin_tone;
use crate::material::{Cloth, Material, Pattern};
use crate::math::Rng;
use crate::person::View;
use crate::raster::{Geometry, Group, NONE, Sheet};

/// One thing; what it is follows from its seed.
#[derive(Clone)]
pub(crate) struct Prop {
    /// Middle in picture coordinates, with depth.
    pub(crate) at: Vec3,
    /// Height in pixels, about.
    pub(crate) size: f32,
    pub(crate) seed: u32,
    /// Something large that people stand behind: a post, a counter, a board, a case.
    pub(crate) barrier: bool,
}

/// Adds a thing's triangles.
pub(crate) fn add(geometry: &mut Geometry, prop: &Prop) {
    let mut own = Rng::new(u64::from(prop.seed));
    let rng = &mut own;
    let view = View::new(prop.at, prop.size, if prop.barrier { 0.0 } else { rng.f(-0.2, 0.5) }, 20.0);
    let mut builder = Builder { geometry, view, owner: NONE, haze: 0.0 };
    if prop.barrier {
        barrier(&mut builder, rng);
        return;
    }
    let turn = Mat3::from_rotation_z(rng.normal() * 0.3) * Mat3::from_rotation_y(rng.f(0.0, TAU));
    match rng.weighted(&[0.2, 0.28, 0.12, 0.2, 0.12, 0.08]) {
        0 => {
            let part = builder.part(Material::thing(rng), Group::Prop);
            let radii = Vec3::new(rng.f(0.35, 0.55), rng.f(0.35, 0.6), rng.f(0.3, 0.5));
            let segments = builder.segments(1.5, 10, 40);
            builder.ellipsoid(part, Vec3::ZERO, turn, radii, segments);
        }
        1 => turned(&mut builder, rng),
        2 => {
            let part = builder.part(Material::thing(rng), Group::Prop);
            let (wide, deep) = (rng.f(0.2, 0.8), rng.f(0.1, 0.5));
            let stations: Vec<_> =
                [0.5, 0.49, -0.49, -0.5].iter().map(|&y| (turn * Vec3::new(0.0, y, 0.0), wide, deep)).collect();
            builder.tube(part, 4, turn * Vec3::X, &stations);
        }
        3 => lone_hand(&mut builder, rng),
        4 => animal(&mut builder, rng),
        _ => {
            let part = builder.part(Material::thing(rng), Group::Prop);
            let r = rng.f(0.4, 0.6);
            builder.ellipsoid(part, Vec3::ZERO, Mat3::IDENTITY, Vec3::new(r, r * rng.f(0.8, 1.2), 0.03), 24);
            let face = builder.part(Material::thing(rng), Group::Prop);
            builder.ellipsoid(face, Vec3::new(0.0, 0.0, 0.05), Mat3::IDENTITY, Vec3::new(r, r, 0.03) * 0.8, 24);
        }
    }
}

fn barrier(builder: &mut Builder<'_>, rng: &mut Rng) {
    let (half_width, half_height) = match rng.weighted(&[0.35, 0.25, 0.25, 0.15]) {
        0 => (rng.f(0.01, 0.09), 2.5),
        1 => (rng.f(1.0, 3.0), 0.5),
        2 => (rng.f(0.25, 0.8), rng.f(0.25, 0.6)),
        _ => (3.0, rng.f(0.02, 0.08)),
    };
    let material = if rng.chance(0.3) { Material::Cloth(Cloth::draw(rng)) } else { Material::thing(rng) };
    let part = builder.part(material, Group::Prop);
    let turn = Mat3::from_rotation_y(rng.normal() * 0.4) * Mat3::from_rotation_z(rng.normal() * 0.03);
    let view = builder.view;
    let (nu, nv) = (9, 7);
    // A slab with rounded sides rather than a box: its face towards the viewer is all that shows.
    builder.geometry.grid(part, nu, nv, Sheet::Open, |i, j| {
        let (u, v) = (i as f32 / (nu - 1) as f32 * 2.0 - 1.0, j as f32 / (nv - 1) as f32 * 2.0 - 1.0);
        let p = Vec3::new(u * half_width, -v * half_height, -0.3 * half_width.min(half_height) * u.powi(4));
        (view.project(turn * p), p)
    });
}

/// Lathe work: bowls, cans, candles, vases, bottles, lamps.
fn turned(builder: &mut Builder<'_>, rng: &mut Rng) {
    let part = builder.part(Material::thing(rng), Group::Prop);
    let straight = rng.chance(0.5);
    let base = rng.f(0.15, 0.5);
    let rows = if straight { 3 } else { 7 };
    let mut r = base;
    let stations: Vec<_> = (0..rows)
        .map(|i| {
            if !straight {
                r = (r + 0.12 * rng.normal()).clamp(0.06, 0.6);
            }
            (Vec3::new(0.0, 0.5 - i as f32 / (rows - 1) as f32, 0.0), r, r)
        })
        .collect();
    builder.tube(part, 24, Vec3::X, &stations);
    if rng.chance(0.4) {
        let lid = builder.part(Material::thing(rng), Group::Prop);
        let r = stations[0].1;
        builder.ellipsoid(lid, Vec3::new(0.0, 0.5, 0.0), Mat3::IDENTITY, Vec3::new(r, rng.f(0.05, 0.3), r), 20);
    }
}

fn lone_hand(builder: &mut Builder<'_>, rng: &mut Rng) {
    let tone = rng.f(0.0, 1.0);
    let colour = skin_tone(rng, tone);
    let skin = Material::Skin { colour, shade: 0.0, seed: rng.seed() };
    let turn = Mat3::from_rotation_z(rng.f(0.0, TAU)) * Mat3::from_rotation_x(rng.normal() * 0.6);
    let along = turn * Vec3::Y;
    let side = Mat3::from_rotation_y(rng.f(0.0, TAU)) * Vec3::X;
    let wrist = -along * 0.3;
    let part = builder.part(if rng.chance(0.5) { skin.clone() } else { Material::thing(rng) }, Group::Prop);
    let long = rng.f(0.3, 1.6);
    let stations = [(wrist - along * long, 0.17, 0.17), (wrist - along * (long * 0.4), 0.16, 0.16), (wrist, 0.11, 0.1)];
    builder.tube(part, 14, side, &stations);
    let curl = if rng.chance(0.5) { rng.f(0.75, 1.0) } else { rng.f(0.0, 0.75) };
    let unit = builder.view.unit;
    builder.view.unit = unit * 1.2;
    hand(builder, skin, wrist, along, side, 1.0, curl);
    builder.view.unit = unit;
}

/// A furry head with a snout, ears and two dark eyes, on a furry body.
fn animal(builder: &mut Builder<'_>, rng: &mut Rng) {
    let colour = rng.colour((0.0, 0.6), (0.1, 0.9));
    let second = rng.colour((0.0, 0.3), (0.1, 1.0));
    let fur = Material::Thing { colour, second, pattern: Pattern::Fur, scale: 1.0, gloss: 0.1, seed: rng.seed() };
    let part = builder.part(fur, Group::Prop);
    let turn = Mat3::from_rotation_y(rng.normal() * 0.7) * Mat3::from_rotation_x(rng.normal() * 0.2);
    builder.ellipsoid(part, turn * Vec3::new(0.0, -0.7, -0.7), turn, Vec3::new(0.45, 0.5, 0.9), 20);
    builder.ellipsoid(part, Vec3::ZERO, turn, Vec3::new(rng.f(0.33, 0.45), 0.36, 0.36), 20);
    let snout = rng.f(0.1, 0.35);
    builder.ellipsoid(part, turn * Vec3::new(0.0, -0.12, 0.28 + 0.3 * snout), turn, Vec3::new(0.17, 0.14, snout), 14);
    let tall = rng.f(0.1, 0.4);
    for side in [-1.0, 1.0] {
        builder.ellipsoid(part, turn * Vec3::new(side * 0.26, 0.3, -0.03), turn, Vec3::new(0.11, tall, 0.06), 10);
    }
    let dark = Vec3::splat(0.008);
    let eye = Material::Thing { colour: dark, second: dark, pattern: Pattern::Plain, scale: 1.0, gloss: 2.0, seed: 1 };
    let part = builder.part(eye, Group::Prop);
    for side in [-1.0, 1.0] {
        builder.ellipsoid(part, turn * Vec3::new(side * 0.15, 0.06, 0.31), turn, Vec3::splat(0.05), 8);
    }
    builder.ellipsoid(part, turn * Vec3::new(0.0, -0.08, 0.28 + 1.28 * snout), turn, Vec3::new(0.07, 0.05, 0.05), 8);
}
