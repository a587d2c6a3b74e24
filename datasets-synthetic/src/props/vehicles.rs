//! Cars, vans, lorries, buses, bicycles and motorbikes. One unit is a metre; the origin is on the ground in the middle,
//! the front looks along z. Knows nothing of where they stand.

use glam::{Mat3, Vec3};

use super::surface::{Kind, Surface, writing};
use crate::body::Builder;
use crate::head::Paint;
use crate::math::{Rng, fract, mix, noise, rgb, smooth};
use crate::raster::{Group, Sheet};

/// What bodywork's paint must know of its shape; metres, `z` from the front backwards, `y` from the ground.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Coach {
    length: f32,
    width: f32,
    clearance: f32,
    belt: f32,
    roof: f32,
    hood: f32,
    /// Foot and top of the windscreen, then top and foot of the rear window.
    glass: [f32; 4],
    /// From here on there are no side windows.
    blind: f32,
    /// Distance between pillars.
    bay: f32,
    axles: [f32; 2],
    wheel: f32,
}

type Outline = &'static [(f32, f32)];

/// Shares of length and height of the upper outline from the front, and the coach.
const SORTS: [(Outline, Coach, f32); 7] = [
    // Saloon.
    (
        &[
            (0.0, 0.36),
            (0.015, 0.48),
            (0.05, 0.55),
            (0.26, 0.65),
            (0.43, 0.98),
            (0.5, 1.0),
            (0.66, 0.98),
            (0.84, 0.7),
            (0.98, 0.66),
            (1.0, 0.4),
        ],
        Coach {
            length: 4.6,
            width: 1.8,
            clearance: 0.2,
            belt: 0.92,
            roof: 1.45,
            hood: 0.92,
            glass: [1.2, 1.98, 3.0, 3.86],
            blind: 9.0,
            bay: 1.0,
            axles: [0.85, 3.6],
            wheel: 0.33,
        },
        0.3,
    ),
    // Hatchback.
    (
        &[
            (0.0, 0.38),
            (0.015, 0.5),
            (0.05, 0.56),
            (0.25, 0.65),
            (0.43, 0.98),
            (0.55, 1.0),
            (0.8, 0.97),
            (0.94, 0.68),
            (0.99, 0.6),
            (1.0, 0.4),
        ],
        Coach {
            length: 3.95,
            width: 1.74,
            clearance: 0.2,
            belt: 0.95,
            roof: 1.5,
            hood: 0.96,
            glass: [1.0, 1.7, 3.15, 3.7],
            blind: 9.0,
            bay: 1.0,
            axles: [0.75, 3.25],
            wheel: 0.31,
        },
        0.25,
    ),
    // Estate and off-road.
    (
        &[
            (0.0, 0.42),
            (0.012, 0.56),
            (0.04, 0.62),
            (0.25, 0.68),
            (0.38, 0.98),
            (0.5, 1.0),
            (0.88, 0.98),
            (0.97, 0.68),
            (0.99, 0.6),
            (1.0, 0.4),
        ],
        Coach {
            length: 4.6,
            width: 1.88,
            clearance: 0.27,
            belt: 1.1,
            roof: 1.7,
            hood: 1.12,
            glass: [1.15, 1.75, 4.05, 4.45],
            blind: 9.0,
            bay: 0.95,
            axles: [0.9, 3.65],
            wheel: 0.37,
        },
        0.2,
    ),
    // Van.
    (
        &[
            (0.0, 0.3),
            (0.01, 0.46),
            (0.04, 0.5),
            (0.15, 0.57),
            (0.29, 0.96),
            (0.36, 1.0),
            (0.97, 0.99),
            (0.99, 0.95),
            (1.0, 0.5),
        ],
        Coach {
            length: 5.2,
            width: 1.95,
            clearance: 0.25,
            belt: 1.2,
            roof: 2.15,
            hood: 1.15,
            glass: [0.78, 1.5, 5.05, 5.2],
            blind: 2.3,
            bay: 1.1,
            axles: [0.95, 4.1],
            wheel: 0.35,
        },
        0.12,
    ),
    // The lorry's cab; its load is a block behind.
    (
        &[(0.0, 0.3), (0.02, 0.9), (0.06, 0.97), (0.2, 1.0), (0.97, 1.0), (1.0, 0.95)],
        Coach {
            length: 2.1,
            width: 2.3,
            clearance: 0.4,
            belt: 1.5,
            roof: 2.6,
            hood: 1.4,
            glass: [0.0, 0.3, 2.0, 2.1],
            blind: 1.5,
            bay: 2.5,
            axles: [0.9, 0.9],
            wheel: 0.48,
        },
        0.06,
    ),
    // Bus.
    (
        &[(0.0, 0.4), (0.005, 0.9), (0.015, 0.97), (0.04, 1.0), (0.98, 1.0), (0.995, 0.96), (1.0, 0.5)],
        Coach {
            length: 11.0,
            width: 2.5,
            clearance: 0.3,
            belt: 1.4,
            roof: 3.0,
            hood: 1.3,
            glass: [0.0, 0.5, 10.8, 11.0],
            blind: 20.0,
            bay: 1.5,
            axles: [2.4, 8.2],
            wheel: 0.48,
        },
        0.05,
    ),
    // Small old car.
    (
        &[
            (0.0, 0.35),
            (0.03, 0.48),
            (0.1, 0.56),
            (0.24, 0.62),
            (0.36, 0.92),
            (0.48, 1.0),
            (0.66, 0.96),
            (0.86, 0.62),
            (0.97, 0.5),
            (1.0, 0.36),
        ],
        Coach {
            length: 3.7,
            width: 1.58,
            clearance: 0.2,
            belt: 0.9,
            roof: 1.46,
            hood: 0.86,
            glass: [0.9, 1.4, 2.5, 3.2],
            blind: 9.0,
            bay: 1.1,
            axles: [0.7, 3.0],
            wheel: 0.3,
        },
        0.06,
    ),
];

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
                turn * Mat3::from_rotation_y(side * 1.5708),
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

impl Coach {
    /// Paint, glass, lamps, grille and joints at a point of the body.
    pub(crate) fn paint(&self, p: Vec3, [coat, plate, trim]: [Vec3; 3], shine: f32, seed: u32) -> Paint {
        let (x, y, z) = (p.x.abs(), p.y, p.z);
        let half = 0.5 * self.width;
        let painted =
            Paint { colour: coat * (0.97 + 0.06 * noise(p.x * 2.0, z * 2.0, seed)), occlusion: 1.0, gloss: shine };
        let of = |colour: Vec3, gloss: f32| Paint { colour, occlusion: 1.0, gloss };
        let up = ((y - self.belt) / (self.roof - self.belt)).clamp(0.0, 1.0);
        let lean = if self.roof < 2.0 { 0.17 * up } else { 0.0 };
        let side = x > 0.86 * half * (1.0 - lean);
        let [foot, top, rear_top, rear_foot] = self.glass;
        let glass = |deep: f32| {
            let seat = (x - 0.36).abs() < 0.16 && (0.25..0.62).contains(&up);
            let tone = Vec3::new(0.03, 0.04, 0.05) * if seat { 0.4 } else { 1.0 };
            let sky = smooth(0.3, 1.0, up) * 0.12 + 0.1 * noise(p.x * 1.5 + z, up * 2.0, seed ^ 5);
            of(tone + Vec3::new(0.8, 0.9, 1.0) * sky * deep, 2.6)
        };
        let flat_front = top - foot < 0.55;
        if y > self.belt + 0.05 && y < self.roof - 0.1 {
            let start = mix(foot, top, up) + 0.1;
            let end = mix(rear_foot, rear_top, up) - 0.1;
            let bay = fract((z - top) / self.bay + 0.05);
            if side && z > start && z < end && z < self.blind && bay > 0.08 {
                return glass(1.0);
            }
            let front = z > foot && z < top + 0.02 || (flat_front && z < 0.12);
            if !side && x < 0.84 * half && front {
                return glass(1.3);
            }
            if !side && x < 0.8 * half && z > rear_top && z < rear_foot.max(rear_top + 0.1) && self.blind > 8.0 {
                return glass(0.8);
            }
        }
        let wheel = self.axles.iter().map(|axle| (z - axle).hypot(y - self.wheel)).fold(9.0, f32::min);
        if x > 0.6 * half && wheel < self.wheel * 1.18 {
            return of(Vec3::splat(0.006), 0.05);
        }
        if z < 0.3 && !side || z < 0.12 {
            let v = (y - self.clearance) / (self.hood - self.clearance);
            let u = x / half;
            let lamp = (u - 0.7).hypot((v - 0.7) * 0.8);
            if (seed & 1 == 0 && lamp < 0.17) || (seed & 1 == 1 && (0.5..0.9).contains(&u) && (0.58..0.8).contains(&v))
            {
                let bulb = lamp < 0.07;
                return of(Vec3::splat(if bulb { 0.95 } else { 0.45 + 0.2 * noise(u * 20.0, v * 9.0, seed) }), 2.6);
            }
            if u < 0.3 && (0.2..0.34).contains(&v) {
                return plated(p.x / (0.3 * half), (v - 0.2) / 0.14, plate, seed);
            }
            if u < 0.46 && (0.44..0.74).contains(&v) {
                let logo = (p.x / half).hypot((v - 0.6) * 0.7) < 0.07;
                let bar = fract(v * 14.0) < 0.35 || (seed & 2 == 0 && fract(u * 12.0) < 0.3);
                return of(
                    Vec3::splat(if logo {
                        0.7
                    } else if bar {
                        0.22
                    } else {
                        0.012
                    }),
                    1.4,
                );
            }
            if (0.05..0.2).contains(&v) && u < 0.75 {
                return of(Vec3::splat(0.015), 0.4);
            }
        }
        if z > self.length - 0.3 && !side || z > self.length - 0.12 {
            let v = (y - self.clearance) / (self.belt - self.clearance);
            let u = x / half;
            if u > 0.62 && (0.6..0.92).contains(&v) {
                return of(Vec3::new(0.42, 0.02, 0.02), 2.4);
            }
            if u < 0.3 && (0.5..0.66).contains(&v) {
                return plated(p.x / (0.3 * half), (v - 0.5) / 0.16, plate, seed);
            }
        }
        if y < self.clearance + 0.13 {
            return of(trim * 0.6, 0.4);
        }
        let joint = fract((z - top) / self.bay + 0.05) < 0.02 && z > foot && z < self.axles[1];
        let handle =
            side && (y - self.belt + 0.12).abs() < 0.025 && (0.8..0.95).contains(&fract((z - top) / self.bay + 0.05));
        if side && (joint || handle) {
            return Paint { colour: if handle { Vec3::splat(0.15) } else { coat * 0.25 }, occlusion: 0.8, gloss: 1.0 };
        }
        painted
    }
}

fn plated(u: f32, v: f32, plate: Vec3, seed: u32) -> Paint {
    let ink = writing((u + 1.0) * 3.6, 1.0 - v, seed) > 0.5 && u.abs() < 0.93;
    Paint { colour: if ink { Vec3::splat(0.01) } else { plate }, occlusion: 1.0, gloss: 0.5 }
}

/// A ring with spokes, upright, across the heading.
fn spoked(builder: &mut Builder<'_>, tyre: u32, metal: u32, at: Vec3, turn: Mat3, radius: f32, thick: f32) {
    let axes = turn * Mat3::from_rotation_y(1.5708);
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
    builder.plate(metal, pedals, turn * Mat3::from_rotation_y(1.5708), (0.1, 0.1), 0.015);
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
        builder.plate(metal, hub, turn * Mat3::from_rotation_y(1.5708), (0.12, 0.12), 0.06);
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
