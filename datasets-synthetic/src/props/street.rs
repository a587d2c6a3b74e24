//! Things that stand in streets: signs, bins, hydrants, lamps, traffic lights, posts. One unit is about their height.
//! Knows nothing of where they stand.

use std::f32::consts::TAU;

use glam::{Mat3, Vec3};

use super::surface::{Kind, Surface};
use crate::body::Builder;
use crate::math::{Rng, rgb};
use crate::raster::Group;

/// Adds one of them; its foot is at y = -0.5.
pub(crate) fn add(builder: &mut Builder<'_>, rng: &mut Rng) {
    let turn = Mat3::from_rotation_y(rng.normal() * 0.5);
    match rng.weighted(&[0.24, 0.2, 0.16, 0.1, 0.12, 0.1, 0.08]) {
        0 => {
            pole(builder, rng, 0.3);
            let rim = rng.pick(&[rgb(190, 25, 30), rgb(190, 25, 30), rgb(25, 70, 150), Vec3::splat(0.6)]);
            let paper = rng.pick(&[
                Vec3::splat(0.85),
                Vec3::splat(0.85),
                rgb(40, 90, 170),
                rgb(200, 30, 35),
                rgb(240, 200, 40),
            ]);
            let ink = if paper.element_sum() > 1.2 { Vec3::splat(0.02) } else { Vec3::splat(0.85) };
            let material = Surface::of(Kind::RoundSign(0.17), [paper, rim, ink], 0.7, rng);
            let part = builder.part(material, Group::Prop);
            if rng.chance(0.7) {
                builder.plate(part, Vec3::new(0.0, 0.35, 0.03), turn, (0.17, 0.17), 0.012);
            } else {
                builder.block(
                    part,
                    Vec3::new(0.0, 0.35, 0.03),
                    turn * Mat3::from_rotation_z(0.785),
                    Vec3::new(0.13, 0.13, 0.01),
                );
            }
        }
        1 => {
            pole(builder, rng, 0.3);
            board(builder, turn, Vec3::new(0.0, 0.35, 0.04), rng.f(0.15, 0.45), rng.f(0.08, 0.2), rng);
        }
        2 => {
            // A bin: a drum with a lid and an opening.
            let tone =
                rng.pick(&[rgb(45, 70, 50), rgb(70, 75, 80), rgb(190, 110, 40), rgb(40, 60, 120), rgb(30, 30, 32)]);
            let kind = if rng.chance(0.5) { Kind::Label(-0.2, 0.15) } else { Kind::Plain };
            let material = Surface::of(kind, [tone, Vec3::splat(0.7), tone * 0.5], 0.5, rng);
            let part = builder.part(material, Group::Prop);
            builder.lathe(
                part,
                Vec3::ZERO,
                turn,
                &[(0.5, 0.0), (0.46, 0.2), (0.36, 0.3), (0.34, 0.27), (-0.48, 0.23), (-0.5, 0.0)],
                1.0,
            );
            let material = Surface::plain(Vec3::splat(0.01), 0.1, rng);
            let hole = builder.part(material, Group::Prop);
            builder.plate(hole, Vec3::new(0.0, 0.27, 0.26), Mat3::IDENTITY, (0.13, 0.06), 0.02);
        }
        3 => {
            let tone = rng.pick(&[rgb(190, 40, 35), rgb(210, 170, 40), rgb(150, 150, 150)]);
            let material = Surface::plain(tone, 0.8, rng);
            let part = builder.part(material, Group::Prop);
            builder.lathe(
                part,
                Vec3::ZERO,
                turn,
                &[
                    (0.5, 0.0),
                    (0.47, 0.1),
                    (0.34, 0.19),
                    (0.32, 0.22),
                    (0.28, 0.17),
                    (-0.4, 0.17),
                    (-0.42, 0.24),
                    (-0.5, 0.24),
                    (-0.5, 0.0),
                ],
                1.0,
            );
            for side in [-1.0_f32, 0.0, 1.0] {
                let out = turn * Mat3::from_rotation_y(side * 1.57) * Vec3::Z;
                builder.rod(part, out * 0.1 + Vec3::Y * 0.08, out * 0.27 + Vec3::Y * 0.08, 0.09);
            }
        }
        4 => {
            pole(builder, rng, 0.1);
            let material = Surface::plain(Vec3::splat(0.015), 0.4, rng);
            let part = builder.part(material, Group::Prop);
            builder.block(part, Vec3::new(0.0, 0.3, 0.0), turn, Vec3::new(0.085, 0.2, 0.06));
            let on = rng.i(0, 2);
            for (i, colour) in [rgb(255, 40, 30), rgb(255, 180, 30), rgb(60, 255, 140)].into_iter().enumerate() {
                let lit = i as i32 == on;
                let colour = colour * if lit { 2.0 } else { 0.06 };
                let material = Surface::of(if lit { Kind::Glow } else { Kind::Plain }, [colour; 3], 0.8, rng);
                let part = builder.part(material, Group::Prop);
                builder.plate(part, turn * Vec3::new(0.0, 0.43 - 0.13 * i as f32, 0.06), turn, (0.052, 0.052), 0.02);
            }
        }
        5 => {
            pole(builder, rng, 0.35);
            let lit = rng.chance(0.4);
            let material = Surface::of(
                if lit { Kind::Glow } else { Kind::Plain },
                [Vec3::new(1.0, 0.93, 0.8) * if lit { 1.8 } else { 0.7 }; 3],
                1.5,
                rng,
            );
            let part = builder.part(material, Group::Prop);
            for i in 0..rng.pick(&[1, 1, 2, 3]) {
                let x = rng.pick(&[0.0, 0.12]) * i as f32 * if i % 2 == 0 { 1.0 } else { -1.0 };
                builder.ellipsoid(part, Vec3::new(x, 0.42, 0.0), Mat3::IDENTITY, Vec3::splat(0.07), 16);
            }
        }
        _ => {
            // Cones and bollards.
            let tone = rng.pick(&[rgb(235, 95, 30), rgb(120, 118, 115), rgb(40, 42, 45), rgb(200, 40, 40)]);
            let material = Surface::of(Kind::Label(-0.1, 0.2), [tone, Vec3::splat(0.8), Vec3::splat(0.8)], 0.4, rng);
            let part = builder.part(material, Group::Prop);
            if rng.chance(0.5) {
                builder.lathe(
                    part,
                    Vec3::ZERO,
                    turn,
                    &[(0.5, 0.03), (-0.42, 0.24), (-0.44, 0.34), (-0.5, 0.34), (-0.5, 0.0)],
                    1.0,
                );
            } else {
                builder.lathe(
                    part,
                    Vec3::ZERO,
                    turn,
                    &[(0.5, 0.0), (0.47, 0.12), (0.38, 0.15), (-0.5, 0.15), (-0.5, 0.0)],
                    1.0,
                );
            }
        }
    }
}

fn pole(builder: &mut Builder<'_>, rng: &mut Rng, top: f32) {
    let material = Surface::plain(Vec3::splat(rng.f(0.02, 0.4)), 0.8, rng);
    let part = builder.part(material, Group::Prop);
    builder.rod(part, Vec3::new(0.0, top, -0.02), Vec3::new(0.0, -0.5, -0.02), rng.f(0.008, 0.02));
}

/// A board with writing: shop signs, street names, notices.
pub(crate) fn board(builder: &mut Builder<'_>, turn: Mat3, at: Vec3, wide: f32, tall: f32, rng: &mut Rng) {
    let paper = if rng.chance(0.5) { Vec3::splat(rng.f(0.6, 0.9)) } else { rng.colour((0.2, 1.0), (0.1, 0.9)) };
    let ink = if paper.element_sum() > 1.0 {
        rng.colour((0.0, 0.9), (0.0, 0.35))
    } else {
        rng.colour((0.0, 0.4), (0.7, 1.0))
    };
    let material = Surface::of(Kind::Board(wide, tall), [paper, Surface::tone(rng), ink], 0.6, rng);
    let part = builder.part(material, Group::Prop);
    builder.block(part, at, turn, Vec3::new(wide, tall, 0.012));
}

/// A bush: a lump of leaves, some with berries or blossom.
pub(crate) fn bush(builder: &mut Builder<'_>, rng: &mut Rng) {
    let green = rng.pick(&[rgb(60, 85, 45), rgb(85, 110, 55), rgb(45, 65, 40), rgb(110, 95, 50)]);
    let (leaves, wide) = ((builder.view.unit * 0.9).clamp(10.0, 90.0) as i32, rng.f(0.4, 0.8));
    let dark = Surface::plain(green * 0.25, 0.05, rng);
    let core = builder.part(dark, Group::Prop);
    builder.ellipsoid(core, Vec3::ZERO, Mat3::IDENTITY, Vec3::new(wide * 0.85, 0.44, 0.4), 14);
    let tones = [0.6, 1.0, 1.5].map(|t| Surface::plain(green * t, 0.4, rng));
    let parts = tones.map(|material| builder.part(material, Group::Prop));
    let blossom = rng.chance(0.4).then(|| {
        let colour = rng.pick(&[rgb(240, 235, 225), rgb(225, 100, 130), rgb(200, 50, 45), rgb(240, 200, 70)]);
        let material = Surface::plain(colour, 0.4, rng);
        builder.part(material, Group::Prop)
    });
    for _ in 0..leaves {
        let (t, y) = (rng.f(0.0, TAU), rng.f(-1.0, 1.0));
        let r = (1.0 - y * y).max(0.0).sqrt();
        let n = Vec3::new(r * t.sin(), y, r * t.cos());
        let at = n * Vec3::new(wide, 0.5, 0.45);
        if let Some(part) = blossom.filter(|_| rng.chance(0.12)) {
            builder.ellipsoid(part, at * 1.05, Mat3::IDENTITY, Vec3::splat(rng.f(0.03, 0.06)), 7);
            continue;
        }
        let size = rng.f(0.06, 0.13);
        let turn = Mat3::from_rotation_z(rng.f(0.0, TAU)) * Mat3::from_rotation_x(rng.f(-0.9, 0.9));
        builder.sheet(rng.pick(&parts), (3, 4), |u, v| {
            let wide = (1.0 - v * v).max(0.0) * 0.45 + 0.02;
            let local = Vec3::new(u * wide, v, 0.1 * u.abs()) * size;
            (at + turn * local, local)
        });
    }
}
