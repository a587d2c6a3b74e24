//! Fruit, flowers, leaves, stones and planks. Knows nothing of gardens.

use std::f32::consts::{PI, TAU};

use glam::{Mat3, Vec3};

use super::super::surface::{Kind, Surface};
use super::{any_turn, part, plain, shine, three, upright};
use crate::body::Builder;
use crate::math::{Rng, noise, rgb};

pub(super) fn fruit(builder: &mut Builder<'_>, rng: &mut Rng) {
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

pub(super) fn vase(builder: &mut Builder<'_>, rng: &mut Rng) {
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

pub(super) fn flower(builder: &mut Builder<'_>, rng: &mut Rng) {
    let stem = plain(builder, rgb(75, 105, 50), 0.2, rng);
    builder.rod(stem, Vec3::ZERO, Vec3::new(rng.normal() * 0.2, -1.6, -0.2), 0.03);
    for _ in 0..rng.i(0, 4) {
        let at = Vec3::new(rng.normal() * 0.25, rng.f(-1.2, -0.3), -0.1);
        leaf(builder, at, 0.35, rng);
    }
    bloom(builder, Vec3::ZERO, 0.5, rng);
}

pub(super) fn stone(builder: &mut Builder<'_>, rng: &mut Rng) {
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

pub(super) fn plank(builder: &mut Builder<'_>, rng: &mut Rng) {
    let tone = rng.pick(&[rgb(165, 120, 75), rgb(120, 85, 55), rgb(200, 170, 125), rgb(130, 122, 112)]);
    let material = Surface::of(Kind::Knots, [tone, tone * 0.5, tone], 0.1, rng);
    let part = part(builder, material);
    let turn = Mat3::from_rotation_z(rng.pick(&[0.0, 0.5 * PI]) + rng.normal() * 0.05);
    builder.block(part, Vec3::ZERO, turn, Vec3::new(rng.f(0.5, 2.0), rng.f(0.3, 0.6), 0.1));
}
