//! Small things of rooms, shops and gardens that detectors mistake for faces: crockery, fruit, balls, lamps, clocks,
//! flowers, sockets, hats and bags without anyone in them. One unit is about the height of the thing.
//! Knows nothing of where the things stand.

use std::f32::consts::{PI, TAU};

use glam::{Mat3, Vec3};

use super::surface::{Kind, Surface};
use crate::body::Builder;
use crate::head::skin_tone;
use crate::material::{Cloth, Material};
use crate::math::{Rng, linear, noise, rgb};
use crate::raster::Group;

/// Where a thing is at home.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Table,
    Shelf,
    Wall,
    Ground,
    Garden,
    Anywhere,
}

type Maker = fn(&mut Builder<'_>, &mut Rng);

/// What there is, where it is found, and how often.
const ALL: [(Maker, &[Place], f32); 26] = [
    (ball, &[Place::Ground, Place::Garden, Place::Shelf], 1.2),
    (fruit, &[Place::Table, Place::Shelf, Place::Garden], 1.3),
    (balloon, &[], 0.8),
    (mug, &[Place::Table, Place::Shelf], 1.0),
    (bowl, &[Place::Table, Place::Shelf], 1.2),
    (dish, &[Place::Table, Place::Wall, Place::Shelf], 1.0),
    (bottle, &[Place::Table, Place::Shelf], 1.2),
    (can, &[Place::Table, Place::Shelf], 1.5),
    (candle, &[Place::Table, Place::Shelf], 0.8),
    (lamp, &[Place::Table, Place::Shelf], 0.9),
    (clock, &[Place::Wall, Place::Shelf], 1.2),
    (vase, &[Place::Table, Place::Shelf, Place::Garden], 0.9),
    (flower, &[Place::Garden], 1.8),
    (teapot, &[Place::Table, Place::Shelf], 0.6),
    (hat, &[Place::Shelf, Place::Wall, Place::Table], 1.1),
    (bag, &[Place::Ground, Place::Shelf, Place::Table], 0.9),
    (socket, &[Place::Wall], 1.3),
    (button, &[], 0.5),
    (cushion, &[Place::Ground], 0.7),
    (shirt, &[Place::Wall], 1.3),
    (wheel, &[Place::Ground, Place::Garden], 0.8),
    (speaker, &[Place::Shelf, Place::Wall, Place::Ground], 0.7),
    (stone, &[Place::Garden, Place::Ground], 0.9),
    (plank, &[Place::Garden], 0.6),
    (tuft, &[Place::Shelf], 0.7),
    (carton, &[Place::Shelf, Place::Table], 1.0),
];

/// Adds one thing of those at home in a place.
pub(crate) fn add(builder: &mut Builder<'_>, rng: &mut Rng, place: Place) {
    let weight = |(_, places, weight): &(Maker, &[Place], f32)| {
        if place == Place::Anywhere || places.contains(&place) { *weight } else { 0.0 }
    };
    ALL[rng.weighted(&ALL.each_ref().map(weight))].0(builder, rng);
}

fn any_turn(rng: &mut Rng) -> Mat3 {
    Mat3::from_rotation_z(rng.f(0.0, TAU))
        * Mat3::from_rotation_x(rng.f(0.0, TAU))
        * Mat3::from_rotation_y(rng.f(0.0, TAU))
}

fn upright(rng: &mut Rng) -> Mat3 {
    Mat3::from_rotation_z(rng.normal() * 0.03) * Mat3::from_rotation_y(rng.f(0.0, TAU))
}

fn shine(rng: &mut Rng) -> f32 {
    if rng.chance(0.5) { rng.f(0.6, 2.4) } else { 0.15 }
}

fn three(rng: &mut Rng) -> [Vec3; 3] {
    [Surface::tone(rng), Surface::tone(rng), Surface::tone(rng)]
}

fn part(builder: &mut Builder<'_>, material: Material) -> u32 {
    builder.part(material, Group::Prop)
}

fn plain(builder: &mut Builder<'_>, colour: Vec3, gloss: f32, rng: &mut Rng) -> u32 {
    let material = Surface::plain(colour, gloss, rng);
    part(builder, material)
}

fn ball(builder: &mut Builder<'_>, rng: &mut Rng) {
    let (kind, colours, gloss) = match rng.weighted(&[0.25, 0.25, 0.2, 0.3]) {
        0 => (Kind::Football, [Vec3::splat(0.8), Vec3::splat(0.01), Vec3::splat(0.3)], 0.8),
        1 => {
            let skin = [rgb(200, 98, 50), rgb(150, 70, 40), rgb(190, 200, 60), rgb(225, 220, 205)];
            (Kind::Seams, [rng.pick(&skin), Vec3::splat(0.02), Vec3::ZERO], 0.3)
        }
        2 => (Kind::Segments, three(rng), 1.2),
        _ => (Kind::Plain, three(rng), shine(rng)),
    };
    let material = Surface::of(kind, colours, gloss, rng);
    let part = part(builder, material);
    let segments = builder.segments(1.6, 12, 40);
    builder.ellipsoid(part, Vec3::ZERO, any_turn(rng), Vec3::splat(0.5), segments);
}

fn fruit(builder: &mut Builder<'_>, rng: &mut Rng) {
    const SORTS: [[[u8; 3]; 2]; 8] = [
        [[190, 40, 35], [220, 180, 70]],
        [[225, 130, 40], [235, 150, 50]],
        [[120, 160, 50], [170, 60, 45]],
        [[235, 195, 150], [210, 110, 70]],
        [[230, 205, 90], [190, 180, 60]],
        [[185, 130, 75], [150, 100, 60]],
        [[205, 110, 30], [225, 135, 45]],
        [[90, 40, 60], [60, 25, 50]],
    ];
    let sort = rng.i(0, 7) as usize;
    let [a, b] = SORTS[sort].map(|[r, g, b]| rgb(r, g, b));
    let lobed = sort == 6 || rng.chance(0.12);
    let kind = if lobed { Kind::Segments } else { Kind::Fruit };
    let colours = if lobed { [a, a * 0.75, a] } else { [a, b, rgb(120, 100, 60)] };
    let count = if rng.chance(0.3) { rng.i(2, 5) } else { 1 };
    for i in 0..count {
        let material = Surface::of(kind, colours, rng.f(0.3, 1.6), rng);
        let part = part(builder, material);
        let radius = if count > 1 { rng.f(0.24, 0.3) } else { 0.5 };
        let at = Vec3::new(
            (i as f32 - 0.5 * (count - 1) as f32) * 0.5,
            -0.5 + radius,
            rng.f(-0.3, 0.3) * f32::from(count > 1),
        );
        let turn = Mat3::from_rotation_z(rng.normal() * 0.4) * Mat3::from_rotation_x(rng.f(-0.6, 1.2));
        let segments = builder.segments(1.4, 10, 36);
        builder.ellipsoid(part, at, turn, Vec3::new(radius, radius * rng.f(0.82, 1.1), radius), segments);
        if rng.chance(0.6) {
            let stalk = plain(builder, rgb(80, 62, 38), 0.1, rng);
            let foot = at + turn * Vec3::Y * radius * 0.9;
            builder.rod(stalk, foot, foot + turn * Vec3::new(0.05, 0.2, 0.03) * radius, 0.07 * radius);
        }
    }
}

fn balloon(builder: &mut Builder<'_>, rng: &mut Rng) {
    for _ in 0..rng.i(1, 4) {
        let at = Vec3::new(rng.normal() * 0.35, rng.normal() * 0.3, rng.normal() * 0.3);
        let colour =
            if rng.chance(0.3) { linear(Vec3::new(0.9, 0.72, 0.6)) } else { rng.colour((0.2, 1.0), (0.4, 1.0)) };
        let skin = plain(builder, colour, 2.2, rng);
        let tilt = Mat3::from_rotation_z(rng.normal() * 0.3);
        builder.lathe(
            skin,
            at,
            tilt,
            &[
                (0.5, 0.0),
                (0.48, 0.12),
                (0.38, 0.3),
                (0.18, 0.42),
                (-0.05, 0.4),
                (-0.28, 0.25),
                (-0.46, 0.06),
                (-0.52, 0.05),
                (-0.55, 0.0),
            ],
            1.0,
        );
        let string = plain(builder, Vec3::splat(0.5), 0.1, rng);
        builder.rod(
            string,
            at + tilt * Vec3::new(0.0, -0.5, 0.0),
            at + Vec3::new(rng.normal() * 0.2, -2.2, 0.0),
            0.008,
        );
    }
}

fn mug(builder: &mut Builder<'_>, rng: &mut Rng) {
    let colours = three(rng);
    let kind = if rng.chance(0.6) { Kind::Label(-0.3, 0.3) } else { Kind::Plain };
    let material = Surface::of(kind, colours, 1.6, rng);
    let outside = part(builder, material);
    let turn = Mat3::from_rotation_y(rng.f(0.0, TAU));
    let (top, foot) = (rng.f(0.34, 0.5), rng.f(0.24, 0.42));
    builder.lathe(
        outside,
        Vec3::ZERO,
        turn,
        &[(0.5, top), (0.46, top), (0.0, (top + foot) * 0.52), (-0.45, foot), (-0.5, foot * 0.85), (-0.5, 0.0)],
        1.0,
    );
    let drink = rng.pick(&[rgb(60, 35, 20), rgb(120, 75, 40), rgb(225, 215, 200), colours[0]]);
    let inside = plain(builder, drink, 1.0, rng);
    builder.lathe(inside, Vec3::ZERO, turn, &[(0.5, top * 0.92), (0.47, top * 0.6), (0.46, 0.0)], 1.0);
    if rng.chance(0.8) {
        let ear = Mat3::from_rotation_y(rng.f(0.0, TAU));
        builder.ring(outside, ear * Vec3::new(top, 0.0, 0.0), ear, 0.24, 0.055);
    }
}

fn bowl(builder: &mut Builder<'_>, rng: &mut Rng) {
    let tone = Surface::tone(rng);
    let other = Surface::tone(rng);
    let material =
        Surface::of(if rng.chance(0.3) { Kind::Segments } else { Kind::Plain }, [tone, other, tone], shine(rng), rng);
    let shell = part(builder, material);
    let deep = rng.f(0.3, 0.7);
    let profile: Vec<_> = (0..7)
        .map(|i| (i as f32 / 6.0).sqrt())
        .map(|t| (0.25 - deep * t, 0.6 * (1.0 - 0.75 * t * t)))
        .chain([(0.25 - deep, 0.0)])
        .collect();
    builder.lathe(shell, Vec3::ZERO, Mat3::IDENTITY, &profile, 1.0);
    let material = Surface::of(
        if rng.chance(0.7) { Kind::Lumps } else { Kind::Plain },
        [tone * 0.8, Surface::tone(rng), Surface::tone(rng)],
        0.5,
        rng,
    );
    let food = part(builder, material);
    builder.lathe(food, Vec3::ZERO, Mat3::IDENTITY, &[(0.2 + rng.f(0.0, 0.3), 0.0), (0.26, 0.3), (0.25, 0.56)], 1.0);
}

/// A plate, a pizza, a pan, a target: round and seen from above or hung up.
fn dish(builder: &mut Builder<'_>, rng: &mut Rng) {
    let tilt = Mat3::from_rotation_y(rng.normal() * 0.5)
        * Mat3::from_rotation_x(-rng.f(0.0, 1.2))
        * Mat3::from_rotation_z(rng.f(0.0, TAU));
    let tone = Surface::tone(rng);
    let rim = plain(builder, tone, shine(rng), rng);
    builder.plate(rim, Vec3::ZERO, tilt, (0.5, 0.5), 0.05);
    let kind = [Kind::Lumps, Kind::Plain, Kind::Petals(0.4), Kind::Fruit][rng.weighted(&[0.5, 0.2, 0.15, 0.15])];
    let material = Surface::of(kind, [rgb(205, 160, 90), Surface::tone(rng), Surface::tone(rng)], 0.5, rng);
    let food = part(builder, material);
    builder.plate(food, tilt * Vec3::Z * 0.03, tilt, (0.38, 0.38), 0.05);
    for _ in 0..rng.i(0, 5) {
        let spot = plain(builder, Surface::tone(rng), 1.0, rng);
        let (r, t) = (rng.f(0.0, 0.26), rng.f(0.0, TAU));
        builder.plate(spot, tilt * Vec3::new(r * t.cos(), r * t.sin(), 0.07), tilt, (0.08, 0.07), 0.03);
    }
}

fn bottle(builder: &mut Builder<'_>, rng: &mut Rng) {
    let glass = rng.pick(&[rgb(40, 70, 40), rgb(70, 40, 20), rgb(150, 170, 175), rgb(220, 220, 215), rgb(180, 60, 40)])
        * rng.f(0.5, 1.2);
    let colours = [glass, Surface::tone(rng), Surface::tone(rng)];
    let material = Surface::of(Kind::Label(-0.35, 0.05), colours, 2.0, rng);
    let body = part(builder, material);
    let (wide, neck) = (rng.f(0.12, 0.24), rng.f(0.035, 0.07));
    let shoulder = rng.f(0.05, 0.3);
    builder.lathe(
        body,
        Vec3::ZERO,
        upright(rng),
        &[
            (0.46, neck),
            (shoulder + 0.12, neck),
            (shoulder, wide * 0.8),
            (shoulder - 0.1, wide),
            (-0.47, wide),
            (-0.5, wide * 0.9),
            (-0.5, 0.0),
        ],
        1.0,
    );
    let cap = plain(builder, Surface::tone(rng), 0.8, rng);
    builder.lathe(
        cap,
        Vec3::ZERO,
        Mat3::IDENTITY,
        &[(0.52, 0.0), (0.52, neck * 1.2), (0.43, neck * 1.2), (0.43, 0.0)],
        1.0,
    );
}

fn can(builder: &mut Builder<'_>, rng: &mut Rng) {
    let material = Surface::of(Kind::Label(-0.42, 0.42), three(rng), 1.4, rng);
    let body = part(builder, material);
    let wide = rng.f(0.25, 0.5);
    let turn = if rng.chance(0.1) { any_turn(rng) } else { upright(rng) };
    builder.lathe(
        body,
        Vec3::ZERO,
        turn,
        &[(0.5, wide * 0.9), (0.46, wide), (0.0, wide), (-0.46, wide), (-0.5, wide * 0.9), (-0.5, 0.0)],
        1.0,
    );
    let metal = plain(builder, Vec3::splat(0.45), 2.0, rng);
    builder.lathe(metal, Vec3::ZERO, turn, &[(0.48, 0.0), (0.49, wide * 0.8), (0.5, wide * 0.9)], 1.0);
}

fn candle(builder: &mut Builder<'_>, rng: &mut Rng) {
    for _ in 0..rng.i(1, 3) {
        let (tall, wide) = (rng.f(0.3, 0.9), rng.f(0.08, 0.3));
        let at = Vec3::new(rng.normal() * 0.4, -0.5, rng.normal() * 0.2);
        let wax = rng.pick(&[rgb(235, 225, 200), rgb(200, 60, 50), rgb(225, 190, 150), rgb(120, 130, 100)]);
        let body = plain(builder, wax, 0.8, rng);
        builder.lathe(
            body,
            at,
            Mat3::IDENTITY,
            &[
                (tall * 0.97, 0.0),
                (tall, wide * 0.8),
                (tall * 0.97, wide),
                (tall * 0.5, wide),
                (0.0, wide * 1.03),
                (0.0, 0.0),
            ],
            1.0,
        );
        if rng.chance(0.7) {
            let material = Surface::of(Kind::Glow, [Vec3::new(2.6, 1.7, 0.6); 3], 0.0, rng);
            let flame = part(builder, material);
            builder.ellipsoid(
                flame,
                at + Vec3::new(0.0, tall + 0.1, 0.0),
                Mat3::IDENTITY,
                Vec3::new(0.035, 0.1, 0.035),
                8,
            );
        }
    }
}

fn lamp(builder: &mut Builder<'_>, rng: &mut Rng) {
    let shade =
        rng.pick(&[rgb(240, 225, 195), rgb(230, 190, 140), rgb(245, 240, 230), rgb(170, 60, 50), rgb(90, 110, 120)]);
    let lit = rng.chance(0.5);
    let material =
        Surface::of(if lit { Kind::Glow } else { Kind::Plain }, [if lit { shade * 1.4 } else { shade }; 3], 0.2, rng);
    let cover = part(builder, material);
    if rng.chance(0.35) {
        let segments = builder.segments(1.0, 10, 36);
        builder.ellipsoid(
            cover,
            Vec3::new(0.0, 0.2, 0.0),
            Mat3::IDENTITY,
            Vec3::new(0.34, 0.34 * rng.f(0.7, 1.1), 0.34),
            segments,
        );
    } else {
        let (top, low) = (rng.f(0.12, 0.34), rng.f(0.3, 0.46));
        builder.lathe(
            cover,
            Vec3::ZERO,
            Mat3::IDENTITY,
            &[(0.5, top), (0.25, (top + low) * 0.5), (0.0, low), (0.02, low * 0.9)],
            1.0,
        );
    }
    let foot = plain(builder, Surface::tone(rng), shine(rng), rng);
    let bulge = rng.f(0.04, 0.2);
    builder.lathe(
        foot,
        Vec3::ZERO,
        Mat3::IDENTITY,
        &[(0.05, 0.03), (-0.1, bulge * 0.6), (-0.25, bulge), (-0.42, 0.05), (-0.46, 0.2), (-0.5, 0.2), (-0.5, 0.0)],
        1.0,
    );
}

fn clock(builder: &mut Builder<'_>, rng: &mut Rng) {
    let face = if rng.chance(0.7) { rng.colour((0.0, 0.2), (0.75, 1.0)) } else { Surface::tone(rng) };
    let ink = if face.element_sum() > 0.8 { Vec3::splat(0.01) } else { Vec3::splat(0.8) };
    let turn = Mat3::from_rotation_y(rng.normal() * 0.35) * Mat3::from_rotation_x(rng.normal() * 0.1);
    let rim = Surface::tone(rng);
    let frame = plain(builder, rim, shine(rng), rng);
    if rng.chance(0.2) {
        builder.block(frame, Vec3::ZERO, turn, Vec3::new(0.52, 0.52, 0.08));
    } else {
        builder.plate(frame, Vec3::ZERO, turn, (0.54, 0.54), 0.09);
    }
    let material = Surface::of(Kind::Dial(0.47, rng.f(0.0, TAU), rng.f(0.0, TAU)), [face, ink, rim], 0.6, rng);
    let front = part(builder, material);
    builder.plate(front, turn * Vec3::Z * 0.07, turn, (0.47, 0.47), 0.03);
    if rng.chance(0.15) {
        for side in [-1.0, 1.0] {
            builder.ellipsoid(frame, turn * Vec3::new(side * 0.3, 0.55, 0.0), turn, Vec3::new(0.2, 0.13, 0.12), 12);
        }
    }
}

fn vase(builder: &mut Builder<'_>, rng: &mut Rng) {
    let material =
        Surface::of(if rng.chance(0.3) { Kind::Label(-0.4, -0.1) } else { Kind::Plain }, three(rng), shine(rng), rng);
    let body = part(builder, material);
    let (belly, neck) = (rng.f(0.14, 0.32), rng.f(0.06, 0.26));
    builder.lathe(
        body,
        Vec3::ZERO,
        upright(rng),
        &[(0.08, neck * 1.2), (0.0, neck), (-0.2, belly), (-0.36, belly * 0.85), (-0.5, belly * 0.55), (-0.5, 0.0)],
        1.0,
    );
    let kind = rng.i(0, 2);
    for _ in 0..rng.i(3, 9) {
        let tip = Vec3::new(rng.normal() * 0.28, rng.f(0.2, 0.6), rng.normal() * 0.2);
        let stem = plain(builder, rgb(70, 100, 45), 0.2, rng);
        builder.rod(stem, Vec3::new(0.0, 0.0, 0.0), tip, 0.012);
        match kind {
            0 => bloom(builder, tip, 0.13, rng),
            1 => leaf(builder, tip, 0.2, rng),
            _ if rng.chance(0.5) => bloom(builder, tip, 0.1, rng),
            _ => leaf(builder, tip, 0.16, rng),
        }
    }
}

fn leaf(builder: &mut Builder<'_>, at: Vec3, size: f32, rng: &mut Rng) {
    let green = rng.pick(&[rgb(70, 105, 50), rgb(95, 130, 60), rgb(50, 80, 45), rgb(130, 120, 50)]) * rng.f(0.6, 1.3);
    let part = plain(builder, green, 0.5, rng);
    let turn = any_turn(rng);
    builder.sheet(part, (4, 6), |u, v| {
        let wide = (1.0 - v * v).max(0.0).powf(0.8) * 0.4;
        let local = Vec3::new(u * wide, v, 0.15 * u.abs() - 0.25 * v * v) * size;
        (at + turn * local, local)
    });
}

/// One flower head: petals round a heart, or a dense ball of them.
fn bloom(builder: &mut Builder<'_>, at: Vec3, radius: f32, rng: &mut Rng) {
    let petal = rng.pick(&[
        rgb(240, 235, 225),
        rgb(245, 200, 60),
        rgb(220, 90, 120),
        rgb(190, 40, 40),
        rgb(150, 110, 190),
        rgb(240, 170, 140),
        rgb(235, 140, 50),
    ]);
    let heart = rng.pick(&[rgb(240, 190, 50), rgb(90, 55, 30), rgb(60, 40, 30), rgb(120, 130, 60)]);
    let colours = [petal, petal * rng.f(0.5, 1.0), heart];
    let turn = Mat3::from_rotation_y(rng.normal() * 0.6)
        * Mat3::from_rotation_x(rng.normal() * 0.6)
        * Mat3::from_rotation_z(rng.f(0.0, TAU));
    let material = Surface::of(Kind::Petals(radius), colours, 0.2, rng);
    let part = part(builder, material);
    if rng.chance(0.25) {
        let segments = builder.segments(radius * 3.0, 7, 20);
        builder.ellipsoid(part, at, turn, Vec3::splat(radius * 0.8), segments);
        return;
    }
    let (petals, deep) = (rng.pick(&[4, 5, 5, 6, 8, 13, 21]), rng.f(0.05, 0.45));
    let (nu, cup) = (builder.segments(radius * 8.0, petals * 2, 84).max(petals * 2), rng.f(-0.2, 0.5));
    builder.sheet(part, (nu + 1, 5), |u, v| {
        let (angle, r) = ((u + 1.0) * PI, (v + 1.0) * 0.5 * radius);
        let edge = 1.0 - deep * (0.5 + 0.5 * (angle * petals as f32).cos());
        let local = Vec3::new(angle.cos() * r * edge, angle.sin() * r * edge, cup * r * r / radius);
        (at + turn * local, local)
    });
}

fn flower(builder: &mut Builder<'_>, rng: &mut Rng) {
    let stem = plain(builder, rgb(75, 105, 50), 0.2, rng);
    builder.rod(stem, Vec3::ZERO, Vec3::new(rng.normal() * 0.2, -1.6, -0.2), 0.03);
    for _ in 0..rng.i(0, 4) {
        let at = Vec3::new(rng.normal() * 0.25, rng.f(-1.2, -0.3), -0.1);
        leaf(builder, at, 0.35, rng);
    }
    bloom(builder, Vec3::ZERO, 0.5, rng);
}

fn teapot(builder: &mut Builder<'_>, rng: &mut Rng) {
    let tone = Surface::tone(rng);
    let body = plain(builder, tone, shine(rng), rng);
    let turn = Mat3::from_rotation_y(rng.f(0.0, TAU));
    builder.lathe(
        body,
        Vec3::ZERO,
        turn,
        &[(0.42, 0.0), (0.4, 0.07), (0.33, 0.05), (0.3, 0.2), (0.1, 0.42), (-0.15, 0.45), (-0.42, 0.3), (-0.45, 0.0)],
        1.0,
    );
    builder.tube(
        body,
        12,
        Vec3::Z,
        &[
            (turn * Vec3::new(0.35, -0.15, 0.0), 0.12, 0.12),
            (turn * Vec3::new(0.6, 0.05, 0.0), 0.07, 0.07),
            (turn * Vec3::new(0.72, 0.25, 0.0), 0.05, 0.05),
        ],
    );
    builder.ring(body, turn * Vec3::new(-0.45, 0.05, 0.0), turn, 0.22, 0.045);
}

/// A cap, a brimmed hat, a helmet: on a shelf or a hook, with nobody beneath.
fn hat(builder: &mut Builder<'_>, rng: &mut Rng) {
    let mut cloth = Cloth::draw(rng);
    cloth.folds *= 0.4;
    let turn = Mat3::from_rotation_x(rng.f(-0.3, 0.5)) * Mat3::from_rotation_y(rng.f(0.0, TAU));
    let kind = rng.i(0, 2);
    if kind == 2 {
        let colours = three(rng);
        let material =
            Surface::of(if rng.chance(0.5) { Kind::Label(0.05, 0.35) } else { Kind::Plain }, colours, 2.2, rng);
        let shell = part(builder, material);
        builder.lathe(
            shell,
            Vec3::ZERO,
            turn,
            &[(0.42, 0.0), (0.4, 0.16), (0.3, 0.33), (0.1, 0.43), (-0.15, 0.45), (-0.3, 0.42), (-0.36, 0.36)],
            1.15,
        );
        if rng.chance(0.6) {
            let visor = plain(builder, Vec3::splat(0.015), 2.5, rng);
            builder.sheet(visor, (12, 5), |u, v| {
                let local = Vec3::new(0.46 * (u * 1.1).sin(), 0.02 + 0.15 * v, 0.53 * (u * 1.1).cos());
                (turn * local, local)
            });
        }
        return;
    }
    let part = part(builder, Material::Cloth(cloth));
    let tall = rng.f(0.25, 0.5);
    builder.lathe(
        part,
        Vec3::ZERO,
        turn,
        &[(tall, 0.0), (tall * 0.97, 0.2), (tall * 0.7, 0.34), (0.05, 0.4), (-0.08, 0.41)],
        1.15,
    );
    if kind == 0 {
        builder.sheet(part, (9, 5), |u, v| {
            let out = (v + 1.0) * 0.17;
            let local =
                Vec3::new((0.38 + 0.2 * out) * u, -0.06 - 0.1 * u * u - 0.25 * out, 0.44 * (1.0 - 0.5 * u * u) + out);
            (turn * local, local)
        });
    } else {
        let wide = rng.f(0.6, 0.85);
        builder.lathe(part, Vec3::ZERO, turn, &[(-0.02, 0.38), (-0.1, wide), (-0.13, wide), (-0.08, 0.38)], 1.1);
    }
}

fn bag(builder: &mut Builder<'_>, rng: &mut Rng) {
    let colours = three(rng);
    let kind = if rng.chance(0.5) { Kind::Board(0.4, 0.4) } else { Kind::Plain };
    let material = Surface::of(kind, colours, shine(rng), rng);
    let body = part(builder, material);
    let turn = Mat3::from_rotation_y(rng.normal() * 0.7);
    let (wide, deep) = (rng.f(0.28, 0.5), rng.f(0.1, 0.25));
    let stations: Vec<_> = [(0.22, 0.75, 0.4), (0.15, 0.9, 0.7), (-0.1, 1.0, 1.0), (-0.4, 1.0, 1.0), (-0.48, 0.9, 0.9)]
        .map(|(y, a, b)| (turn * Vec3::new(0.0, y, 0.0), wide * a, deep * b))
        .to_vec();
    builder.tube(body, 20, turn * Vec3::X, &stations);
    builder.ring(body, turn * Vec3::new(0.0, 0.2, 0.0), turn, wide * 0.5, 0.025);
    if rng.chance(0.6) {
        for x in [-0.5, 0.5] {
            let buckle = plain(builder, rgb(190, 160, 90), 2.0, rng);
            builder.plate(buckle, turn * Vec3::new(x * wide, 0.05, deep * 1.02), turn, (0.05, 0.05), 0.03);
        }
    }
}

fn socket(builder: &mut Builder<'_>, rng: &mut Rng) {
    let tone = rng.colour((0.0, 0.15), (0.6, 1.0));
    let holes = rng.pick(&[0, 2, 2, 3, 3, 4]);
    let turn = Mat3::from_rotation_y(rng.normal() * 0.4);
    let count = rng.pick(&[1, 1, 2, 3]);
    for i in 0..count {
        let material = Surface::of(Kind::Holes(holes), [tone, tone * 0.06, tone], 0.7, rng);
        let part = part(builder, material);
        let at = turn * Vec3::new((i as f32 - 0.5 * (count - 1) as f32) * 0.95, 0.0, 0.0);
        builder.block(part, at, turn, Vec3::new(0.46, 0.46, 0.06));
    }
}

fn button(builder: &mut Builder<'_>, rng: &mut Rng) {
    let tone = Surface::tone(rng);
    let material = Surface::of(Kind::Holes(rng.pick(&[2, 4])), [tone, tone * 0.1, tone], 1.2, rng);
    let part = part(builder, material);
    let turn = Mat3::from_rotation_y(rng.normal() * 0.5) * Mat3::from_rotation_z(rng.f(0.0, TAU));
    builder.plate(part, Vec3::ZERO, turn, (0.45, 0.45), 0.08);
}

fn cushion(builder: &mut Builder<'_>, rng: &mut Rng) {
    let part = part(builder, Material::Cloth(Cloth::draw(rng)));
    let turn = Mat3::from_rotation_z(rng.normal() * 0.3)
        * Mat3::from_rotation_y(rng.normal() * 0.5)
        * Mat3::from_rotation_x(rng.f(-0.6, 0.1));
    builder.sheet(part, (13, 13), |u, v| {
        let pinch = |t: f32| 1.0 - 0.12 * (1.0 - t * t);
        let thick = 0.25 * ((1.0 - u.powi(4)) * (1.0 - v.powi(4))).max(0.0).sqrt();
        let local = Vec3::new(0.55 * u * pinch(v), -0.5 * v * pinch(u), thick);
        (turn * local, local)
    });
}

/// A shirt, dress or towel on a hanger or a line, printed as shirts are.
fn shirt(builder: &mut Builder<'_>, rng: &mut Rng) {
    let colours = three(rng);
    let material = match rng.weighted(&[0.4, 0.25, 0.35]) {
        0 => Surface::of(Kind::Board(0.35, 0.4), colours, 0.05, rng),
        1 => Surface::of(Kind::Scenery(0.45, 0.5), colours, 0.05, rng),
        _ => Material::Cloth(Cloth::draw(rng)),
    };
    let part = part(builder, material);
    let turn = Mat3::from_rotation_y(rng.normal() * 0.5);
    let (sleeves, seed, flare) = (rng.chance(0.6), rng.seed(), rng.f(-0.05, 0.15));
    builder.sheet(part, (18, 14), |u, v| {
        let fold = 0.09 * (noise(u * 3.0, v * 0.7, seed) - 0.5) * (v + 1.2);
        let shoulder = 0.08 * u.abs() + if u.abs() < 0.25 && v < -0.9 { 0.06 } else { 0.0 };
        let sleeve = if sleeves && v < -0.3 && u.abs() > 0.8 { 0.22 } else { 0.0 };
        let wide = 0.36 + flare * (v + 1.0) * 0.5 + sleeve;
        let local = Vec3::new(u * wide, -0.5 * v - shoulder - sleeve * 0.5, fold + 0.12 * (1.0 - u * u));
        (turn * local, local)
    });
}

fn wheel(builder: &mut Builder<'_>, rng: &mut Rng) {
    let metal = rng.pick(&[Vec3::splat(0.5), Vec3::splat(0.2), rgb(200, 195, 185), rgb(130, 90, 50)]);
    let material =
        Surface::of(Kind::Wheel(0.5, rng.pick(&[4, 5, 5, 6, 8, 12])), [metal, Vec3::splat(0.02), metal], 1.2, rng);
    let part = part(builder, material);
    let turn = Mat3::from_rotation_y(rng.normal() * 0.6);
    builder.plate(part, Vec3::ZERO, turn, (0.5, 0.5), 0.12);
}

fn speaker(builder: &mut Builder<'_>, rng: &mut Rng) {
    let dark = if rng.chance(0.7) { Vec3::splat(rng.f(0.01, 0.06)) } else { Surface::tone(rng) };
    let case = plain(builder, dark, 0.4, rng);
    let turn = Mat3::from_rotation_y(rng.normal() * 0.4);
    builder.block(case, Vec3::ZERO, turn, Vec3::new(0.32, 0.5, 0.2));
    for (y, r) in [(-0.17, 0.24), (0.28, 0.13)] {
        let ring = plain(builder, dark * rng.f(1.5, 5.0), 1.0, rng);
        builder.plate(ring, turn * Vec3::new(0.0, y, 0.2), turn, (r, r), 0.03);
        let material = Surface::of(Kind::Grille, [dark * 2.0, dark * 0.4, dark], 0.3, rng);
        let cone = part(builder, material);
        builder.plate(cone, turn * Vec3::new(0.0, y, 0.22), turn, (r * 0.8, r * 0.8), 0.03);
    }
}

fn stone(builder: &mut Builder<'_>, rng: &mut Rng) {
    let tone =
        rng.pick(&[rgb(150, 145, 138), rgb(180, 160, 130), rgb(120, 95, 75), rgb(205, 190, 170)]) * rng.f(0.4, 1.2);
    let part = plain(builder, tone, 0.1, rng);
    let (seed, turn) = (rng.seed(), any_turn(rng));
    let radii = Vec3::new(rng.f(0.4, 0.6), rng.f(0.3, 0.5), rng.f(0.3, 0.5));
    let (view, nu, nv) = (builder.view, 22, 14);
    builder.geometry.grid(part, nu, nv, crate::raster::Sheet::Solid, |i, j| {
        let (sin, cos) = (TAU * i as f32 / nu as f32).sin_cos();
        let (up, out) = (PI * (0.5 - j as f32 / (nv - 1) as f32)).sin_cos();
        let n = Vec3::new(out * sin, up, out * cos);
        let lump = 0.8 + 0.45 * noise(n.x * 1.8 + n.z * 2.3 + 9.0, n.y * 1.8 + n.z + 9.0, seed);
        let local = n * radii * lump;
        (view.project(turn * local), local)
    });
}

fn plank(builder: &mut Builder<'_>, rng: &mut Rng) {
    let tone = rng.pick(&[rgb(165, 120, 75), rgb(120, 85, 55), rgb(200, 170, 125), rgb(130, 122, 112)]);
    let material = Surface::of(Kind::Knots, [tone, tone * 0.5, tone], 0.1, rng);
    let part = part(builder, material);
    let turn = Mat3::from_rotation_z(rng.pick(&[0.0, 0.5 * PI]) + rng.normal() * 0.05);
    builder.block(part, Vec3::ZERO, turn, Vec3::new(rng.f(0.5, 2.0), rng.f(0.3, 0.6), 0.1));
}

/// A ball of hair or wool: a wig, a brush, hair from behind.
fn tuft(builder: &mut Builder<'_>, rng: &mut Rng) {
    let colour = rng.pick(&[rgb(25, 20, 18), rgb(70, 48, 34), rgb(150, 112, 70), rgb(190, 185, 180), rgb(130, 62, 34)]);
    let tone = rng.f(0.0, 1.0);
    let skin = skin_tone(rng, tone);
    let part = part(builder, Material::Hair { colour, gloss: 0.7, fine: rng.pick(&[1.0, 3.0]), seed: rng.seed() });
    let segments = builder.segments(1.5, 12, 36);
    builder.ellipsoid(part, Vec3::ZERO, upright(rng), Vec3::new(0.4, 0.5, 0.42), segments);
    if rng.chance(0.5) {
        let neck = plain(builder, skin, 0.5, rng);
        builder.lathe(neck, Vec3::ZERO, Mat3::IDENTITY, &[(-0.3, 0.2), (-0.7, 0.22), (-0.9, 0.5), (-1.0, 0.0)], 0.7);
    }
}

/// A packet with a picture and writing, as on a shop's shelf.
fn carton(builder: &mut Builder<'_>, rng: &mut Rng) {
    let half = Vec3::new(rng.f(0.2, 0.5), 0.5, rng.f(0.08, 0.25));
    let kind = if rng.chance(0.5) { Kind::Board(half.x, 0.5) } else { Kind::Scenery(half.x, 0.5) };
    let material = Surface::of(kind, three(rng), 0.7, rng);
    let part = part(builder, material);
    builder.block(part, Vec3::ZERO, Mat3::from_rotation_y(rng.normal() * 0.4), half);
}
