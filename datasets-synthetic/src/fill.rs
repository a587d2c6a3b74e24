//! Fills: the colours and textures that flat shapes of a background are painted with.
//! Knows nothing of the shapes or of what they stand for.

use std::f32::consts::TAU;

use glam::{Vec2, Vec3};

use crate::math::{Rng, cell, floor, fract, fractal, noise, rgb, smooth};

/// How an area is filled; lengths in pixels.
#[derive(Clone)]
pub(crate) enum Fill {
    Solid(Vec3),
    Gradient {
        from: Vec3,
        to: Vec3,
        angle: f32,
        span: f32,
        middle: Vec2,
    },
    Noise {
        a: Vec3,
        b: Vec3,
        scale: Vec2,
        octaves: u32,
        sharp: f32,
        seed: u32,
    },
    Brick {
        brick: Vec3,
        mortar: Vec3,
        size: Vec2,
        joint: f32,
        shift: f32,
        vary: f32,
        seed: u32,
    },
    Windows {
        wall: Vec3,
        glass: Vec3,
        size: Vec2,
        share: Vec2,
        lit: f32,
        seed: u32,
    },
    Leaves {
        dark: Vec3,
        light: Vec3,
        size: f32,
        seed: u32,
    },
    Text {
        paper: Vec3,
        ink: Vec3,
        line: f32,
        seed: u32,
    },
    Stripes {
        a: Vec3,
        b: Vec3,
        period: f32,
        angle: f32,
        duty: f32,
    },
    Wood {
        a: Vec3,
        b: Vec3,
        plank: f32,
        upright: bool,
        seed: u32,
    },
    Crumbs {
        ground: Vec3,
        size: f32,
        seed: u32,
        saturation: f32,
    },
    /// Single leaves, each lit its own way; nothing (black) in the gaps, which take this share.
    Foliage {
        green: Vec3,
        size: f32,
        gaps: f32,
        seed: u32,
    },
}

impl Fill {
    pub(crate) fn at(&self, x: f32, y: f32) -> Vec3 {
        match *self {
            Self::Solid(colour) => colour,
            Self::Gradient { from, to, angle, span, middle } => {
                let along = (x - middle.x) * angle.cos() + (y - middle.y) * angle.sin();
                from.lerp(to, smooth(-0.5, 0.5, along / span))
            }
            Self::Noise { a, b, scale, octaves, sharp, seed } => {
                let n = fractal(x / scale.x, y / scale.y, octaves, seed);
                a.lerp(b, smooth(0.5 - sharp, 0.5 + sharp, n))
            }
            Self::Brick { brick, mortar, size, joint, shift, vary, seed } => {
                let row = floor(y / size.y) as f32;
                let across = x / size.x + row * shift;
                let (u, v) = (fract(across) * size.x, fract(y / size.y) * size.y);
                if u < joint || v < joint {
                    return mortar;
                }
                let tone = 1.0 + vary * (cell(floor(across), row as i32, seed) - 0.5);
                brick * (tone + 0.15 * (noise(x * 0.4, y * 0.4, seed) - 0.5))
            }
            Self::Windows { wall, glass, size, share, lit, seed } => {
                let (i, j) = (floor(x / size.x) as f32, floor(y / size.y) as f32);
                let (u, v) = (x / size.x - i, y / size.y - j);
                if u > share.x || v > share.y {
                    return wall * (0.92 + 0.16 * noise(x * 0.08, y * 0.08, seed));
                }
                let chance = cell(i as i32, j as i32, seed);
                if chance < lit {
                    return rgb(255, 225, 160) * (0.4 + chance);
                }
                let cross = (u - share.x * 0.5).abs() * size.x < 0.7;
                if cross { wall * 0.6 } else { glass * (0.5 + 0.9 * chance) + Vec3::splat(0.1 * v) }
            }
            Self::Leaves { dark, light, size, seed } => {
                let warp = noise(x / size * 0.7, y / size * 0.7, seed) * 1.5;
                let a = noise(x / size + warp, y / size - warp, seed ^ 1);
                let b = noise(x / size * 2.7 - warp, y / size * 2.7, seed ^ 2);
                let clump = noise(x / size * 0.16, y / size * 0.16, seed ^ 3);
                dark.lerp(light, smooth(0.25, 0.85, 0.45 * a + 0.3 * b + 0.35 * clump - 0.05))
            }
            Self::Text { paper, ink, line, seed } => {
                let row = floor(y / line) as f32;
                let v = y / line - row;
                let letter = line * 0.45;
                let column = floor(x / letter) as f32;
                let long = cell(row as i32, 7, seed) * 60.0 + 4.0;
                if !(0.25..0.8).contains(&v) || column.rem_euclid(long + 6.0) > long {
                    return paper;
                }
                let (i, j) = (floor(x / letter * 3.0), (v * 9.0) as i32 + row as i32 * 31);
                let gap = cell(column as i32, row as i32, seed ^ 1) < 0.16;
                if !gap && cell(i, j, seed) < 0.45 { ink } else { paper }
            }
            Self::Stripes { a, b, period, angle, duty } => {
                let t = fract((x * angle.cos() + y * angle.sin()) / period);
                if t < duty { a } else { b }
            }
            Self::Wood { a, b, plank, upright, seed } => {
                let (along, across) = if upright { (y, x) } else { (x, y) };
                let board = floor(across / plank) as f32;
                if across / plank - board < 0.04 {
                    return a * 0.35;
                }
                let tone = cell(board as i32, 3, seed);
                let grain = noise(along * 0.02 + tone * 50.0, across * 0.45, seed);
                a.lerp(b, 0.6 * grain + 0.4 * tone)
            }
            Self::Foliage { green, size, gaps, seed } => {
                let (u, v) = (x / size, y / size);
                let (i, j) = (floor(u), floor(v));
                // How dense it is here: leaves come in clumps.
                let clump = noise(u * 0.13, v * 0.13, seed ^ 8);
                let mut best = (0.0, 0_u32);
                for (di, dj) in [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)] {
                    let (ci, cj) = (i + di, j + dj);
                    let h = crate::math::hash(ci, cj, seed);
                    let [a, b, c, _] = h.to_le_bytes().map(|byte| f32::from(byte) / 255.0);
                    let (dx, dy) = (u - ci as f32 - a, v - cj as f32 - b);
                    let (sin, cos) = (c * TAU).sin_cos();
                    let (p, q) = (dx * cos + dy * sin, (dy * cos - dx * sin) * 2.0);
                    let inside = 0.75 - p * p - q * q;
                    if inside > 0.0 && c + inside * 0.01 > best.0 {
                        best = (c + inside * 0.01, h);
                    }
                }
                let open = smooth(1.0 - gaps - 0.1, 1.0 - gaps + 0.1, clump);
                if best.0 <= 0.0 {
                    return if open > 0.5 { Vec3::ZERO } else { green * 0.08 };
                }
                if open > 0.5 && best.0 < 0.6 {
                    return Vec3::ZERO;
                }
                let lit = (best.1 >> 24) as f32 / 255.0;
                green * (0.2 + 1.2 * lit * lit + 0.25 * clump) + Vec3::splat(0.25) * smooth(0.93, 1.0, lit)
            }
            Self::Crumbs { ground, size, seed, saturation } => {
                let (i, j) = (floor(x / size), floor(y / size));
                let mut best = (f32::INFINITY, 0);
                for (di, dj) in [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)] {
                    let (ci, cj) = (i + di, j + dj);
                    let centre = Vec2::new(ci as f32 + cell(ci, cj, seed), cj as f32 + cell(ci, cj, seed ^ 1));
                    let distance = centre.distance_squared(Vec2::new(x, y) / size);
                    if distance < best.0 {
                        best = (distance, crate::math::hash(ci, cj, seed ^ 2));
                    }
                }
                let [r, g, b, level] = best.1.to_le_bytes().map(|byte| f32::from(byte) / 255.0);
                let tint = Vec3::splat(0.5).lerp(Vec3::new(r, g, b), saturation);
                if best.0 > 0.35 { ground } else { tint * (0.2 + level) * (1.0 - best.0) }
            }
        }
    }

    /// Any fill at all, with details of about `size` pixels.
    pub(crate) fn draw(rng: &mut Rng, size: f32) -> Self {
        let a = rng.colour((0.0, 0.7), (0.05, 1.0));
        let b = if rng.chance(0.5) { a * rng.f(0.3, 1.6) } else { rng.colour((0.0, 0.7), (0.05, 1.0)) };
        let seed = rng.seed();
        match rng.weighted(&[0.16, 0.13, 0.2, 0.11, 0.08, 0.09, 0.06, 0.06, 0.06, 0.05]) {
            0 => Self::Solid(a),
            1 => Self::Gradient {
                from: a,
                to: b,
                angle: rng.f(0.0, TAU),
                span: size * rng.f(3.0, 20.0),
                middle: Vec2::new(rng.f(0.0, 600.0), rng.f(0.0, 400.0)),
            },
            2 => Self::Noise {
                a,
                b,
                scale: Vec2::new(size * rng.log(0.3, 4.0), size * rng.log(0.3, 4.0)),
                octaves: rng.i(1, 4) as u32,
                sharp: rng.f(0.02, 0.5),
                seed,
            },
            3 => {
                let tall = size * rng.log(0.5, 2.0);
                Self::Brick {
                    brick: a,
                    mortar: b,
                    size: Vec2::new(tall * rng.f(1.0, 3.0), tall),
                    joint: (tall * rng.f(0.04, 0.12)).max(0.8),
                    shift: rng.pick(&[0.0, 0.5, 0.33]),
                    vary: rng.f(0.0, 0.6),
                    seed,
                }
            }
            4 => Self::Windows {
                wall: a,
                glass: rng.colour((0.1, 0.5), (0.1, 0.5)),
                size: Vec2::new(size * rng.f(0.8, 2.0), size * rng.f(0.8, 2.0)),
                share: Vec2::new(rng.f(0.4, 0.9), rng.f(0.4, 0.8)),
                lit: if rng.chance(0.3) { rng.f(0.1, 0.6) } else { 0.0 },
                seed,
            },
            5 => Self::leaves(rng, size),
            6 => Self::Text { paper: a, ink: b, line: (size * rng.f(0.3, 1.2)).max(3.0), seed },
            7 => Self::Stripes {
                a,
                b,
                period: (size * rng.log(0.2, 2.0)).max(2.0),
                angle: rng.pick(&[0.0, 0.25 * TAU, 0.125 * TAU, 1.2, 0.3]),
                duty: rng.f(0.1, 0.6),
            },
            8 => {
                let wood = rng.pick(&[rgb(150, 100, 60), rgb(90, 58, 35), rgb(200, 165, 120), rgb(120, 110, 100)]);
                Self::Wood {
                    a: wood,
                    b: wood * rng.f(0.3, 0.8),
                    plank: size * rng.f(0.7, 3.0),
                    upright: rng.chance(0.5),
                    seed,
                }
            }
            _ => Self::Crumbs {
                ground: a * 0.4,
                size: (size * rng.log(0.2, 1.0)).max(3.0),
                seed,
                saturation: rng.f(0.1, 1.0),
            },
        }
    }

    /// Leaves of about this size in pixels; without `gaps` nothing shows through.
    pub(crate) fn foliage(size: f32, gaps: Option<f32>, rng: &mut Rng) -> Self {
        let green =
            rng.pick(&[rgb(95, 125, 60), rgb(120, 135, 75), rgb(70, 95, 55), rgb(140, 125, 70), rgb(150, 95, 60)]);
        Self::Foliage {
            green: green * rng.f(0.4, 1.1),
            size: size.max(2.0),
            gaps: gaps.unwrap_or(-1.0),
            seed: rng.seed(),
        }
    }

    pub(crate) fn leaves(rng: &mut Rng, size: f32) -> Self {
        let green =
            rng.pick(&[rgb(88, 105, 62), rgb(112, 125, 75), rgb(66, 80, 55), rgb(125, 112, 72), rgb(130, 95, 62)]);
        Self::Leaves {
            dark: green * 0.12,
            light: green * rng.f(0.8, 1.6),
            size: (size * rng.f(0.15, 0.5)).max(2.0),
            seed: rng.seed(),
        }
    }
}
