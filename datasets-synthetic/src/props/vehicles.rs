//! Cars, vans, lorries, buses, bicycles and motorbikes. One unit is a metre; the origin is on the ground in the middle,
//! the front looks along z. Knows nothing of where they stand.

use std::f32::consts::FRAC_PI_2;

use glam::{Mat3, Vec3};

use super::coach::SORTS;
use super::surface::{Kind, Surface};
use crate::body::Builder;
use crate::math::{Rng, mix, rgb, smooth};
use crate::raster::{Group, Sheet};

/// Adds a vehicle that heads `turn` * z. Two-wheelers lean a little, as parked ones do.
pub(crate) fn add(builder: &mut Builder<'_>, rng: &mut Rng, turn: Mat3) {
    let lean = Mat3::from_rotation_z(rng.normal() * 0.08);
    match rng.weighted(&[0.72, 0.18, 0.1]) {
        0 => car(builder, rng, turn),
        1 => bicycle(builder, rng, turn * lean),
        _ => motorbike(builder, rng, turn * lean),
    }
}

fn car(builder: &mut Builder<'_>, rng: &mut Rng, turn: Mat3) {
    let sort = rng.weighted(&SORTS.map(|(_, _, often)| often));
    let (outline, coach, _) = SORTS[sort];
    let coat = match rng.weighted(&[0.2, 0.2, 0.2, 0.12, 0.28]) {
        0 => Vec3::splat(rng.f(0.7, 0.9)),
        1 => Vec3::splat(rng.f(0.005, 0.03)),
        2 => rgb(150, 153, 158) * rng.f(0.3, 1.3),
        3 => rgb(165, 25, 28) * rng.f(0.5, 1.2),
        _ => rng.colour((0.2, 0.9), (0.2, 0.85)),
    };
    let plate = rng.pick(&[Vec3::splat(0.8), Vec3::splat(0.8), rgb(235, 190, 40)]);
    let trim = if rng.chance(0.4) { Vec3::splat(0.02) } else { coat * 0.8 };
    let material = Surface::of(Kind::Bodywork(coach), [coat, plate, trim], rng.f(1.3, 2.4), rng);
    let part = builder.part(material, Group::Prop);
    let middle = 0.5 * coach.length;
    let height = |z: f32| {
        let t = z / coach.length;
        outline.windows(2).find(|pair| t <= pair[1].0).map_or(outline[outline.len() - 1].1, |pair| {
            let ((a, ya), (b, yb)) = (pair[0], pair[1]);
            mix(ya, yb, ((t - a) / (b - a)).clamp(0.0, 1.0))
        }) * coach.roof
    };
    let around = builder.segments(coach.length * 1.4, 16, 48);
    let stations: Vec<f32> = station_rows(outline, coach.length);
    let view = builder.view;
    builder.geometry.grid(part, around, stations.len(), Sheet::Solid, |i, j| {
        let z = stations[j];
        let (sin, cos) = (std::f32::consts::TAU * i as f32 / around as f32).sin_cos();
        let round = |v: f32| v.signum() * v.abs().powf(0.42);
        let (low, high) = (coach.clearance, height(z));
        let closed = if j == 0 || j + 1 == stations.len() { 0.02 } else { 1.0 };
        let y = mix(low, high, 0.5) + 0.5 * (high - low) * round(sin) * closed;
        let corner = 1.0 - 0.14 * smooth(0.35, 0.0, z) - 0.1 * smooth(coach.length - 0.3, coach.length, z);
        let lean = 1.0 - 0.17 * smooth(coach.belt, coach.roof, y) * f32::from(coach.roof < 2.0);
        let x = 0.5 * coach.width * round(cos) * corner * lean * closed;
        (view.project(turn * Vec3::new(x, y, middle - z)), Vec3::new(x, y, z))
    });
    let rim = [Vec3::splat(rng.f(0.1, 0.55)), Vec3::splat(0.012), Vec3::splat(0.3)];
    let spokes = rng.pick(&[5, 5, 6, 7, 10]);
    let material = Surface::of(Kind::Wheel(coach.wheel, spokes), rim, 1.2, rng);
    let tyre = builder.part(material, Group::Prop);
    let rear = if sort == 4 { Some(4.6) } else { None };
    for z in coach.axles.into_iter().chain(rear) {
        for side in [-1.0, 1.0] {
            let at = Vec3::new(side * (0.5 * coach.width - 0.1), coach.wheel, middle - z);
            builder.plate(
                tyre,
                turn * at,
                turn * Mat3::from_rotation_y(side * FRAC_PI_2),
                (coach.wheel, coach.wheel),
                0.13,
            );
        }
    }
    if sort == 4 {
        let material = match rng.chance(0.5) {
            true => {
                Surface::of(Kind::Board(1.2, 1.2), [Vec3::splat(rng.f(0.4, 0.85)), coat, Surface::tone(rng)], 0.5, rng)
            }
            false => Surface::plain(Surface::tone(rng), 0.4, rng),
        };
        let load = builder.part(material, Group::Prop);
        builder.block(load, turn * Vec3::new(0.0, 1.9, middle - 4.3), turn, Vec3::new(1.2, 1.2, 2.1));
    } else if sort != 5 {
        let mirror = Surface::plain(trim, 1.0, rng);
        let part = builder.part(mirror, Group::Prop);
        for side in [-1.0, 1.0] {
            let at = Vec3::new(side * (0.5 * coach.width + 0.08), coach.belt + 0.08, middle - coach.glass[0] - 0.45);
            builder.ellipsoid(part, turn * at, turn, Vec3::new(0.12, 0.075, 0.06), 9);
        }
    }
}

/// Rows along the body: the outline's own, and more between.
fn station_rows(outline: &[(f32, f32)], length: f32) -> Vec<f32> {
    let mut rows = vec![0.0];
    for pair in outline.windows(2) {
        let (a, b) = (pair[0].0 * length, pair[1].0 * length);
        let steps = (((b - a) / 0.35) as usize).clamp(1, 12);
        rows.extend((0..steps).map(|i| mix(a, b, i as f32 / steps as f32)));
    }
    rows.extend([length, length]);
    rows
}

/// A ring with spokes, upright, across the heading.
fn spoked(builder: &mut Builder<'_>, tyre: u32, metal: u32, at: Vec3, turn: Mat3, radius: f32, thick: f32) {
    let axes = turn * Mat3::from_rotation_y(FRAC_PI_2);
    builder.ring(tyre, at, axes, radius - thick, thick);
    if builder.view.unit > 25.0 {
        for i in 0..7 {
            let angle = i as f32 * 0.449;
            let out = axes * Vec3::new(angle.cos(), angle.sin(), 0.0) * (radius - thick);
            builder.rod(metal, at - out, at + out, 0.006);
        }
    }
}

fn bicycle(builder: &mut Builder<'_>, rng: &mut Rng, turn: Mat3) {
    let frame = Surface::plain(rng.colour((0.1, 1.0), (0.1, 0.9)), 1.6, rng);
    let [dark, metal] = [Vec3::splat(0.012), Vec3::splat(0.35)].map(|tone| Surface::plain(tone, 0.8, rng));
    let [frame, dark, metal] = [frame, dark, metal].map(|material| builder.part(material, Group::Prop));
    let r = 0.34;
    let at = |y: f32, z: f32| turn * Vec3::new(0.0, y, z);
    let (rear, fore, pedals, saddle, head) =
        (at(r, -0.53), at(r, 0.53), at(0.28, -0.1), at(0.92, -0.25), at(0.86, 0.36));
    for hub in [rear, fore] {
        spoked(builder, dark, metal, hub, turn, r, 0.022);
    }
    let seat_post = pedals.lerp(saddle, 0.75);
    for (a, b) in [
        (pedals, seat_post),
        (pedals, at(0.7, 0.41)),
        (seat_post, head),
        (rear, pedals),
        (rear, seat_post),
        (fore, at(0.98, 0.33)),
    ] {
        builder.rod(frame, a, b, 0.018);
    }
    builder.ellipsoid(dark, saddle, turn, Vec3::new(0.07, 0.03, 0.13), 9);
    builder.rod(metal, seat_post, saddle, 0.013);
    let bar = at(1.0, 0.36);
    builder.rod(metal, bar - turn * Vec3::X * 0.28, bar + turn * Vec3::X * 0.28, 0.014);
    builder.plate(metal, pedals, turn * Mat3::from_rotation_y(FRAC_PI_2), (0.1, 0.1), 0.015);
    builder.rod(dark, pedals + turn * Vec3::new(0.12, -0.16, 0.05), pedals - turn * Vec3::new(0.12, -0.16, 0.05), 0.02);
    if rng.chance(0.3) {
        let material = Surface::of(Kind::Grille, [rgb(150, 110, 70), Vec3::splat(0.02), Vec3::ZERO], 0.2, rng);
        let basket = builder.part(material, Group::Prop);
        builder.block(basket, at(0.9, 0.58), turn, Vec3::new(0.17, 0.12, 0.13));
    }
}

fn motorbike(builder: &mut Builder<'_>, rng: &mut Rng, turn: Mat3) {
    let coat = rng.colour((0.2, 1.0), (0.1, 0.8));
    let tones = [coat, Vec3::splat(0.012), Vec3::splat(0.4), Vec3::splat(0.85)];
    let [coat, dark, metal, lamp] =
        tones.map(|tone| Surface::plain(tone, 2.0, rng)).map(|material| builder.part(material, Group::Prop));
    let at = |y: f32, z: f32| turn * Vec3::new(0.0, y, z);
    for hub in [at(0.32, -0.68), at(0.32, 0.72)] {
        spoked(builder, dark, metal, hub, turn, 0.32, 0.06);
        builder.plate(metal, hub, turn * Mat3::from_rotation_y(FRAC_PI_2), (0.12, 0.12), 0.06);
    }
    builder.ellipsoid(coat, at(0.86, 0.2), turn, Vec3::new(0.17, 0.15, 0.32), 16);
    builder.ellipsoid(dark, at(0.82, -0.35), turn, Vec3::new(0.15, 0.08, 0.42), 14);
    builder.ellipsoid(coat, at(0.68, -0.65), turn, Vec3::new(0.12, 0.07, 0.3), 12);
    builder.block(metal, at(0.5, 0.05), turn, Vec3::new(0.16, 0.2, 0.25));
    for x in [-0.09, 0.09] {
        builder.rod(metal, turn * Vec3::new(x, 0.32, 0.72), turn * Vec3::new(x, 1.0, 0.45), 0.03);
    }
    builder.rod(metal, turn * Vec3::new(0.17, 0.32, -0.1), turn * Vec3::new(0.2, 0.36, -0.85), 0.05);
    builder.rod(dark, turn * Vec3::new(-0.36, 1.04, 0.38), turn * Vec3::new(0.36, 1.04, 0.38), 0.022);
    builder.plate(lamp, at(0.88, 0.6), turn, (0.1, 0.1), 0.06);
    if rng.chance(0.5) {
        builder.ellipsoid(coat, at(0.6, 0.75), turn, Vec3::new(0.09, 0.05, 0.28), 10);
        for x in [-0.4, 0.4] {
            builder.ellipsoid(dark, turn * Vec3::new(x, 1.2, 0.36), turn, Vec3::new(0.07, 0.05, 0.02), 8);
        }
    }
}
