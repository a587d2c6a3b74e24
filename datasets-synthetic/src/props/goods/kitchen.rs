//! What stands on tables and kitchen shelves: crockery, bottles, tins, candles, packets. Knows nothing of tables.

use std::f32::consts::TAU;

use glam::{Mat3, Vec3};

use super::super::surface::{Kind, Surface};
use super::{any_turn, part, plain, shine, three, upright};
use crate::body::Builder;
use crate::math::{Rng, rgb};

pub(super) fn mug(builder: &mut Builder<'_>, rng: &mut Rng) {
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

pub(super) fn bowl(builder: &mut Builder<'_>, rng: &mut Rng) {
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
pub(super) fn dish(builder: &mut Builder<'_>, rng: &mut Rng) {
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

pub(super) fn bottle(builder: &mut Builder<'_>, rng: &mut Rng) {
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

pub(super) fn can(builder: &mut Builder<'_>, rng: &mut Rng) {
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

pub(super) fn candle(builder: &mut Builder<'_>, rng: &mut Rng) {
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

pub(super) fn teapot(builder: &mut Builder<'_>, rng: &mut Rng) {
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

/// A packet with a picture and writing, as on a shop's shelf.
pub(super) fn carton(builder: &mut Builder<'_>, rng: &mut Rng) {
    let half = Vec3::new(rng.f(0.2, 0.5), 0.5, rng.f(0.08, 0.25));
    let kind = if rng.chance(0.5) { Kind::Board(half.x, 0.5) } else { Kind::Scenery(half.x, 0.5) };
    let material = Surface::of(kind, three(rng), 0.7, rng);
    let part = part(builder, material);
    builder.block(part, Vec3::ZERO, Mat3::from_rotation_y(rng.normal() * 0.4), half);
}
