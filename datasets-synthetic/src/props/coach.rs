//! Bodywork: the shapes of cars, vans, lorries and buses, and what is painted on them, windows and lamps included.
//! Knows nothing of triangles.

use glam::Vec3;

use super::surface::writing;
use crate::head::Paint;
use crate::math::{fract, mix, noise, smooth};

/// What bodywork's paint must know of its shape; metres, `z` from the front backwards, `y` from the ground.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Coach {
    pub(super) length: f32,
    pub(super) width: f32,
    pub(super) clearance: f32,
    pub(super) belt: f32,
    pub(super) roof: f32,
    pub(super) hood: f32,
    /// Foot and top of the windscreen, then top and foot of the rear window.
    pub(super) glass: [f32; 4],
    /// From here on there are no side windows.
    pub(super) blind: f32,
    /// Distance between pillars.
    pub(super) bay: f32,
    pub(super) axles: [f32; 2],
    pub(super) wheel: f32,
}

pub(super) type Outline = &'static [(f32, f32)];

/// Shares of length and height of the upper outline from the front, and the coach.
pub(super) const SORTS: [(Outline, Coach, f32); 7] = [
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
