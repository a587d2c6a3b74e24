//! Balls, lamps, clocks, clothes without anyone in them, sockets, bags. Knows nothing of rooms.

use std::f32::consts::TAU;

use glam::{Mat3, Vec3};

use super::super::surface::{Kind, Surface};
use super::{any_turn, part, plain, shine, three, upright};
use crate::body::Builder;
use crate::head::skin_tone;
use crate::material::{Cloth, Material};
use crate::math::{Rng, linear, noise, rgb};

pub(super) fn ball(builder: &mut Builder<'_>, rng: &mut Rng) {
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

pub(super) fn balloon(builder: &mut Builder<'_>, rng: &mut Rng) {
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

pub(super) fn lamp(builder: &mut Builder<'_>, rng: &mut Rng) {
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

pub(super) fn clock(builder: &mut Builder<'_>, rng: &mut Rng) {
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

/// A cap, a brimmed hat, a helmet: on a shelf or a hook, with nobody beneath.
pub(super) fn hat(builder: &mut Builder<'_>, rng: &mut Rng) {
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

pub(super) fn bag(builder: &mut Builder<'_>, rng: &mut Rng) {
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

pub(super) fn socket(builder: &mut Builder<'_>, rng: &mut Rng) {
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

pub(super) fn button(builder: &mut Builder<'_>, rng: &mut Rng) {
    let tone = Surface::tone(rng);
    let material = Surface::of(Kind::Holes(rng.pick(&[2, 4])), [tone, tone * 0.1, tone], 1.2, rng);
    let part = part(builder, material);
    let turn = Mat3::from_rotation_y(rng.normal() * 0.5) * Mat3::from_rotation_z(rng.f(0.0, TAU));
    builder.plate(part, Vec3::ZERO, turn, (0.45, 0.45), 0.08);
}

pub(super) fn cushion(builder: &mut Builder<'_>, rng: &mut Rng) {
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
pub(super) fn shirt(builder: &mut Builder<'_>, rng: &mut Rng) {
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

pub(super) fn wheel(builder: &mut Builder<'_>, rng: &mut Rng) {
    let metal = rng.pick(&[Vec3::splat(0.5), Vec3::splat(0.2), rgb(200, 195, 185), rgb(130, 90, 50)]);
    let material =
        Surface::of(Kind::Wheel(0.5, rng.pick(&[4, 5, 5, 6, 8, 12])), [metal, Vec3::splat(0.02), metal], 1.2, rng);
    let part = part(builder, material);
    let turn = Mat3::from_rotation_y(rng.normal() * 0.6);
    builder.plate(part, Vec3::ZERO, turn, (0.5, 0.5), 0.12);
}

pub(super) fn speaker(builder: &mut Builder<'_>, rng: &mut Rng) {
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

/// A ball of hair or wool: a wig, a brush, hair from behind.
pub(super) fn tuft(builder: &mut Builder<'_>, rng: &mut Rng) {
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
