//! What things other than people are painted with: labels, dials, rinds, tyres, signs, cardboard, bodywork.
//! Knows points of a thing's own rest shape only.

use glam::Vec3;

use super::coach::Coach;
use super::effigies::cartoon_ink;
use crate::head::Paint;
use crate::material::Material;
use crate::math::{Rng, cell, floor, fract, fractal, linear, mix, noise, rgb, smooth};

/// How three colours share a thing.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Kind {
    /// The first colour, uneven.
    Plain,
    /// A band with writing and a round mark about the y axis, between two heights.
    Label(f32, f32),
    /// A clock or gauge of this radius that looks along z; the two hands' angles.
    Dial(f32, f32, f32),
    /// A fruit with a dimple on top.
    Fruit,
    /// Stripes from pole to pole.
    Segments,
    /// Dark patches on light as on footballs.
    Football,
    /// A ball with three lines round it.
    Seams,
    /// Wood with knots.
    Knots,
    /// Two or three holes in a plate.
    Holes(u8),
    /// A flower's disc: radial streaks round a dark middle, of this radius.
    Petals(f32),
    /// A tyre and its rim, of this radius, with so many spokes.
    Wheel(f32, u8),
    /// A round sign of this radius: a rim and something dark within.
    RoundSign(f32),
    /// Lines of writing on a board of this half width and half height.
    Board(f32, f32),
    /// A picture without people on a board of this half width and half height.
    Scenery(f32, f32),
    /// Cardboard of these half sides with tape, a label and prints.
    Carton(f32, f32, f32),
    /// Something that gives light, brightest where it looks at the viewer.
    Glow,
    /// A weave of holes or bars: speakers, fans, baskets, drains.
    Grille,
    /// Food in a pan or on a plate: lumps of all three colours.
    Lumps,
    /// Short fur with patches of the second colour where noise (0..1) is above this, stripes of the third.
    Coat(f32, f32),
    /// A vehicle's body: paint, plate and trim.
    Bodywork(Coach),
    /// A painted face.
    Cartoon,
}

/// A thing's surface.
#[derive(Clone, Debug)]
pub(crate) struct Surface {
    pub(crate) kind: Kind,
    pub(crate) colours: [Vec3; 3],
    pub(crate) gloss: f32,
    pub(crate) seed: u32,
}

/// Ink (0 or 1) of invented writing: one letter per unit of u, one line per unit of v (downwards).
pub(crate) fn writing(u: f32, v: f32, seed: u32) -> f32 {
    let (column, row) = (floor(u), floor(v));
    let (x, y) = ((fract(u) - 0.1) / 0.72, (fract(v) - 0.18) / 0.64);
    if !(0.0..=1.0).contains(&x) || !(0.0..=1.0).contains(&y) || cell(column, row, seed ^ 1) < 0.17 {
        return 0.0;
    }
    let strokes = crate::math::hash(column, row, seed);
    let has = |bit: u32| strokes >> bit & 1 == 1;
    let near = |d: f32| d.abs() < 0.13;
    let round = ((x - 0.5) * (x - 0.5) * 3.4 + (y - 0.5) * (y - 0.5) * 3.6).sqrt() - 0.82;
    let on = (strokes >> 8 & 3 == 0 && near(round * 0.6) && (has(0) || x < 0.75))
        || (strokes >> 8 & 3 != 0
            && ((has(1) && near(x - 0.1))
                || (has(2) && near(x - 0.9) && (has(3) || y > 0.45))
                || (has(4) && near(y - 0.08))
                || (has(5) && near(y - 0.5))
                || (has(6) && near(y - 0.92))
                || (has(7) && near(x - y))
                || (!has(1) && !has(7) && near(x - 0.5))));
    f32::from(on)
}

impl Surface {
    /// As a material.
    pub(crate) fn of(kind: Kind, colours: [Vec3; 3], gloss: f32, rng: &mut Rng) -> Material {
        Material::Surface(Self { kind, colours, gloss, seed: rng.seed() })
    }

    /// One even colour.
    pub(crate) fn plain(colour: Vec3, gloss: f32, rng: &mut Rng) -> Material {
        Self::of(Kind::Plain, [colour; 3], gloss, rng)
    }

    /// A made thing's colour: white, grey, dark, wood or any other.
    pub(crate) fn tone(rng: &mut Rng) -> Vec3 {
        match rng.weighted(&[0.2, 0.15, 0.2, 0.2, 0.25]) {
            0 => rng.colour((0.0, 0.12), (0.75, 0.98)),
            1 => rng.colour((0.0, 0.15), (0.1, 0.6)),
            2 => linear(Vec3::new(rng.f(0.55, 0.95), rng.f(0.4, 0.75), rng.f(0.25, 0.6))),
            3 => rgb(140, 92, 55) * rng.f(0.3, 1.6),
            _ => rng.colour((0.3, 1.0), (0.25, 1.0)),
        }
    }

    pub(crate) fn paint(&self, p: Vec3, normal: &mut Vec3) -> Paint {
        let [a, b, c] = self.colours;
        let seed = self.seed;
        let around = p.x.atan2(p.z);
        let (mut gloss, mut occlusion) = (self.gloss, 1.0);
        let colour = match self.kind {
            Kind::Plain => a * (0.92 + 0.16 * fractal(p.x * 4.0 + p.z * 3.0, p.y * 4.0, 2, seed)),
            Kind::Label(low, high) => {
                let tall = (high - low).max(1e-3);
                let v = (high - p.y) / tall;
                if !(0.0..1.0).contains(&v) { a } else { label(around, v, tall, [b, c, a], seed) }
            }
            Kind::Dial(radius, hour, minute) => dial(p / radius, hour, minute, self.colours),
            Kind::Fruit => {
                let streak = noise(around * 6.0, p.y * 1.5, seed);
                let cheek = smooth(0.35, 0.7, fractal(p.x * 1.5 + p.z, p.y * 1.2, 2, seed ^ 1));
                let speck = f32::from(noise(p.x * 28.0 + p.z * 20.0, p.y * 28.0, seed) > 0.86);
                let hollow = smooth(0.12, 0.0, (p.x * p.x + p.z * p.z).sqrt()) * f32::from(p.y > 0.0);
                occlusion -= 0.5 * hollow;
                a.lerp(b, cheek * (0.6 + 0.4 * streak)).lerp(c, 0.25 * speck + 0.5 * hollow)
            }
            Kind::Segments => {
                let stripe = fract(around * (3 + seed % 5) as f32 / std::f32::consts::TAU * 2.0);
                let wave = 0.12 * (noise(p.y * 7.0, around, seed) - 0.5);
                let groove = ((stripe - 0.5).abs() * 2.0).powi(4);
                occlusion -= 0.35 * groove;
                if stripe + wave < 0.5 { a } else { b }
            }
            Kind::Football => {
                let n = p.normalize_or(Vec3::Y);
                let patch = POLES.iter().fold(0.0_f32, |best, pole| best.max(n.dot(Vec3::from_array(*pole)).abs()));
                let line = (patch - 0.87).abs() < 0.012 || (patch - 0.8).abs() < 0.008;
                if patch > 0.87 {
                    b
                } else if line {
                    c
                } else {
                    a
                }
            }
            Kind::Seams => {
                let n = p.normalize_or(Vec3::Y);
                let curve = (n.x - 0.55 * (n.y * 2.2).cos()).abs();
                let line = n.x.abs().min(n.y.abs()).min(curve) < 0.035;
                let grain = 0.85 + 0.3 * noise(p.x * 40.0, p.y * 40.0, seed);
                if line { b } else { a * grain }
            }
            Kind::Knots => wood(p, a, b, seed),
            Kind::Holes(count) => {
                let hole = |x: f32, y: f32, r: f32| (p.x - x).powi(2) + (p.y - y).powi(2) < r * r;
                let inside = match count {
                    0 => (p.x.abs() < 0.22) && (p.y.abs() < 0.3),
                    2 => hole(-0.16, 0.02, 0.06) || hole(0.16, 0.02, 0.06),
                    3 => hole(-0.15, 0.07, 0.055) || hole(0.15, 0.07, 0.055) || hole(0.0, -0.17, 0.06),
                    _ => [-0.12, 0.12].iter().any(|&x| hole(x, 0.12, 0.07) || hole(x, -0.12, 0.07)),
                };
                let dish = (p.x * p.x + p.y * p.y).sqrt();
                occlusion -= 0.3 * smooth(0.05, 0.02, (dish - 0.34).abs());
                if inside { b } else { a }
            }
            Kind::Petals(radius) => {
                let r = (p.x * p.x + p.y * p.y).sqrt() / radius;
                let turn = p.y.atan2(p.x);
                let heart = 0.22 + 0.2 * cell(1, 2, seed);
                if r < heart {
                    occlusion -= 0.4 * r / heart;
                    c * (0.6 + 0.8 * noise(p.x / radius * 30.0, p.y / radius * 30.0, seed))
                } else {
                    let streak = noise(turn * 9.0, r * 2.0, seed);
                    a.lerp(b, smooth(0.2, 1.0, r) * 0.7 + 0.3 * streak) * (0.75 + 0.3 * r)
                }
            }
            Kind::Wheel(radius, spokes) => {
                let r = (p.x * p.x + p.y * p.y).sqrt() / radius;
                let turn = p.y.atan2(p.x) * f32::from(spokes) / std::f32::consts::TAU;
                let spoke = (fract(turn) - 0.5).abs() < 0.16 + 0.12 * r;
                if r > 0.68 {
                    gloss = 0.1;
                    b * (0.8 + 0.4 * noise(r * 30.0, turn, seed))
                } else if !(0.16..=0.6).contains(&r) || spoke {
                    a
                } else {
                    b * 0.5
                }
            }
            Kind::RoundSign(radius) => {
                let (x, y) = (p.x / radius, p.y / radius);
                let r = (x * x + y * y).sqrt();
                let ink = match seed % 5 {
                    0 => x.abs() < 0.6 && y.abs() < 0.16,
                    1 => y.abs() < 0.32 && x.abs() < 0.62 && writing(x / 0.55, -(y + 0.5), seed) > 0.5,
                    2 => (x - y).abs() < 0.17,
                    3 => (y.abs() < 0.5 && x.abs() < 0.12) || (y - 0.3 + x.abs()).abs() < 0.16,
                    _ => (x.abs() - 0.24).powi(2) + (y + 0.1).powi(2) < 0.06,
                };
                if r > 0.78 {
                    b
                } else if ink && r < 0.72 {
                    c
                } else {
                    a
                }
            }
            Kind::Board(w, h) => {
                let (u, v) = ((p.x / w + 1.0) * 0.5, (1.0 - p.y / h) * 0.5);
                let border = u.min(1.0 - u).min((v.min(1.0 - v)) * h / w) < 0.03 && seed & 1 == 0;
                let rows = 1.0 + (seed >> 3 & 3) as f32 * if seed & 64 == 0 { 1.0 } else { 2.0 };
                let columns = rows * w / h * 1.7;
                let head = seed & 2 == 0 && v < 0.28;
                let mark = seed & 4 == 0 && u < 0.26 && (0.3..0.75).contains(&v);
                let inside = (0.07..0.93).contains(&u) && (0.06..0.94).contains(&v);
                if border {
                    c
                } else if head {
                    if inside && writing(u * columns * 0.6, v / 0.28, seed) > 0.5 { a } else { b }
                } else if mark {
                    let (x, y) = ((u - 0.15) * w / h, v - 0.52);
                    if x * x + y * y < 0.012 { b } else { a }
                } else if inside && writing(u * columns, v * rows, seed ^ 8) > 0.5 {
                    c
                } else {
                    a
                }
            }
            Kind::Scenery(w, h) => scenery(p.x / w, p.y / h, self.colours, seed),
            Kind::Carton(w, h, d) => carton(p, Vec3::new(w, h, d), self.colours, seed, &mut gloss),
            Kind::Bodywork(coach) => return coach.paint(p, self.colours, self.gloss, seed),
            Kind::Cartoon => match cartoon_ink(p, seed) {
                (true, _) => b,
                (_, true) => c,
                _ => a,
            },
            Kind::Glow => a * (0.4 + 1.4 * normal.z.max(0.0)),
            Kind::Grille => {
                let bars = if seed & 1 == 0 {
                    fract((p.x * p.x + p.y * p.y).sqrt() * 14.0) < 0.5
                } else {
                    fract(p.x * 16.0) < 0.45 || (seed & 2 == 0 && fract(p.y * 16.0) < 0.45)
                };
                if bars { a } else { b }
            }
            Kind::Lumps => {
                let n = fractal(p.x * 7.0, p.z * 7.0 + p.y * 7.0, 2, seed);
                let m = cell(floor(p.x * 9.0), floor(p.z * 9.0 + p.y * 9.0), seed);
                normal.x += 0.8 * (n - 0.5);
                *normal = normal.normalize_or(Vec3::Z);
                if m > 0.7 { c } else { a.lerp(b, smooth(0.4, 0.6, n)) }
            }
            Kind::Coat(low, stripes) => {
                let hair = noise(p.x * 40.0 + p.z * 12.0, p.y * 14.0 - p.z * 21.0, seed);
                normal.x += 0.5 * (hair - 0.5);
                normal.y += 0.3 * (noise(p.z * 33.0, p.y * 19.0, seed ^ 2) - 0.5);
                *normal = normal.normalize_or(Vec3::Z);
                let n = fractal(p.x * 2.3 + p.z * 1.7, p.y * 2.3, 2, seed ^ 4);
                let patch = smooth(low - 0.02, low + 0.02, n);
                let bars = smooth(0.62, 0.75, noise(p.x * 1.5 + p.z * 9.0, p.y * 2.0 + p.z * 3.0, seed ^ 6));
                a.lerp(b, patch).lerp(c, bars * stripes) * (0.7 + 0.6 * hair)
            }
        };
        Paint { colour, occlusion: occlusion.max(0.15), gloss }
    }
}

/// Half of an icosahedron's corners.
const POLES: [[f32; 3]; 6] = [
    [0.0, 0.5257, 0.8507],
    [0.0, -0.5257, 0.8507],
    [0.5257, 0.8507, 0.0],
    [-0.5257, 0.8507, 0.0],
    [0.8507, 0.0, 0.5257],
    [-0.8507, 0.0, 0.5257],
];

/// A band with writing; `v` runs down from 0 to 1.
fn label(around: f32, v: f32, tall: f32, [paper, ink, other]: [Vec3; 3], seed: u32) -> Vec3 {
    let along = around * 0.4 / tall;
    let style = seed % 6;
    let (x, y) = (along, v - 0.45);
    let inside = x * x + y * y;
    match style {
        0 if inside < 0.05 => ink,
        0 if inside < 0.07 => other,
        // A mark of two round things and a bar, as many are.
        1 if (x.abs() - 0.16).powi(2) + y * y < 0.008 => ink,
        1 if x.abs() < 0.25 && (v - 0.7).abs() < 0.035 => ink,
        2 if (v - 0.3).abs() < 0.18 => ink.lerp(paper, writing(along * 4.0, (v - 0.12) / 0.36, seed)),
        3 if fract(along * 2.0 + v) < 0.3 => other,
        4 if !(0.15..=0.85).contains(&v) => ink,
        _ => {
            let rows = 2.0 + (seed >> 4 & 3) as f32;
            let big = writing(along * rows * 1.3, v * rows, seed) > 0.5 && (0.1..0.9).contains(&v);
            if big { ink } else { paper }
        }
    }
}

fn dial(p: Vec3, hour: f32, minute: f32, [face, ink, rim]: [Vec3; 3]) -> Vec3 {
    let r = (p.x * p.x + p.y * p.y).sqrt();
    let turn = p.x.atan2(p.y);
    if r > 0.9 {
        return rim;
    }
    let step = fract(turn * 12.0 / std::f32::consts::TAU + 0.5) - 0.5;
    if (0.7..0.84).contains(&r) && step.abs() * r < 0.06 {
        return ink;
    }
    let hand = |angle: f32, long: f32, wide: f32| {
        let (sin, cos) = angle.sin_cos();
        let (along, across) = (p.x * sin + p.y * cos, p.x * cos - p.y * sin);
        (-0.1..long).contains(&along) && across.abs() < wide
    };
    if hand(hour, 0.45, 0.05) || hand(minute, 0.7, 0.035) || r < 0.06 { ink } else { face * (1.0 - 0.1 * r) }
}

fn wood(p: Vec3, a: Vec3, b: Vec3, seed: u32) -> Vec3 {
    let (u, v) = (p.x * 1.3, p.y * 1.3 + p.z);
    let (i, j) = (floor(u), floor(v));
    let knot = glam::Vec2::new(cell(i, j, seed), cell(i, j, seed ^ 1)) * 0.6 + 0.2;
    let d = (glam::Vec2::new(fract(u), fract(v)) - knot) * glam::Vec2::new(1.0, 1.8);
    let near = if cell(i, j, seed ^ 2) < 0.6 { (-d.length_squared() * 40.0).exp() } else { 0.0 };
    let grain = fract(v * 5.0 + 1.4 * near + 0.8 * noise(u * 0.7, v * 4.0, seed));
    let tone = a.lerp(b, 0.6 * grain);
    tone.lerp(b * 0.25, smooth(0.5, 0.9, near))
}

/// Hills, a sun, a house, a still life or an abstract: what hangs on walls. x and y in -1..1.
fn scenery(x: f32, y: f32, [a, b, c]: [Vec3; 3], seed: u32) -> Vec3 {
    if x.abs() > 0.9 || y.abs() > 0.9 {
        return if seed & 8 == 0 { c * 0.4 } else { Vec3::splat(0.85) };
    }
    match seed % 6 {
        0 => {
            let hill = -0.1 + 0.5 * (fractal(x * 1.7, 0.0, 3, seed) - 0.5);
            let sun = (x - 0.3).powi(2) + (y - 0.5).powi(2) < 0.03;
            if y < hill {
                a * (0.6 + 0.5 * noise(x * 9.0, y * 9.0, seed))
            } else if sun {
                Vec3::new(1.1, 0.9, 0.5)
            } else {
                b.lerp(Vec3::ONE, 0.4 + 0.4 * y)
            }
        }
        1 => {
            let n = floor(x * 3.0 + 2.0 * noise(y * 2.0, 1.0, seed)) + floor(y * 2.0) * 7;
            [a, b, c, a * 0.3][(crate::math::hash(n, 3, seed) % 4) as usize]
        }
        2 => {
            // Round things on a table.
            let (i, t) = (floor(x * 2.5), fract(x * 2.5) - 0.5);
            let r = 0.25 + 0.2 * cell(i, 0, seed);
            let d = t * t + (y + 0.25 - r * 0.5).powi(2) * 4.0;
            if d < r * r {
                a.lerp(b, cell(i, 1, seed)) * (1.3 - 4.0 * d)
            } else if y < -0.3 {
                c * 0.5
            } else {
                c
            }
        }
        3 => a.lerp(b, smooth(0.3, 0.7, fractal(x * 2.0, y * 2.0, 4, seed))).lerp(c, f32::from(y > 0.6)),
        4 => {
            let r = (x * x + y * y).sqrt();
            if r < 0.3 {
                c
            } else if fract(y.atan2(x) * 1.6 + r) < 0.5 {
                a
            } else {
                b
            }
        }
        _ => {
            let ink = writing((x + 1.0) * 4.0, (1.0 - y) * 3.0, seed) > 0.5 && y < 0.2;
            if ink {
                c
            } else if y > 0.3 {
                a.lerp(b, 0.5 - 0.5 * x)
            } else {
                Vec3::splat(0.8)
            }
        }
    }
}

fn carton(p: Vec3, half: Vec3, [board, tape, ink]: [Vec3; 3], seed: u32, gloss: &mut f32) -> Vec3 {
    let q = p / half.max(Vec3::splat(1e-3));
    let side = q.abs();
    let grain = 0.86 + 0.28 * fractal(p.x * 3.0 + p.z * 5.0, p.y * 3.0 + p.z, 3, seed);
    let edge = {
        // The two coordinates that run over the face.
        let mut s = side.to_array();
        s.sort_by(f32::total_cmp);
        s[1]
    };
    let mut colour = board * grain * (1.0 - 0.25 * smooth(0.94, 1.0, edge));
    let top = side.y >= side.x.max(side.z);
    let front = !top && side.z >= side.x;
    let taped = if seed & 1 == 0 { q.z.abs() } else { q.x.abs() };
    if seed & 6 != 6 && taped < 0.13 && (top || (side.y > 0.72 && (front == (seed & 1 == 1)))) {
        colour = colour.lerp(tape, 0.75);
        *gloss = 1.0;
    }
    let (u, v) = if top {
        (p.x / half.x, p.z / half.z)
    } else if front {
        (q.x, q.y)
    } else {
        (q.z, q.y)
    };
    let wide = if front || top { half.x } else { half.z };
    let (cx, cy) = (0.5 * cell(1, 1, seed) - 0.1, 0.5 * cell(2, 2, seed) - 0.25);
    let (lx, ly) = ((u - cx) * wide / half.min_element().max(1e-3), v - cy);
    let labelled = (top && seed & 16 == 0) || (front && seed & 32 == 0);
    if labelled && lx.abs() < 0.55 && ly.abs() < 0.4 {
        let bars = (-0.3..-0.02).contains(&ly) && lx.abs() < 0.45;
        let dark = if bars {
            cell(floor(lx * 40.0), 5, seed) > 0.5
        } else {
            ly > 0.05 && writing(lx * 12.0, ly * 9.0, seed) > 0.5
        };
        colour = if dark { Vec3::splat(0.02) } else { Vec3::splat(0.82) };
        *gloss = 0.6;
    } else if !top && seed & 64 == 0 && (u - 0.6).abs() < 0.22 && (v + 0.55).abs() < 0.28 {
        colour = colour.lerp(ink, 0.8 * writing((u - 0.38) * 6.0, (0.83 - v) * 2.0 / 0.56, seed));
    } else if front && seed & 128 == 0 && (q.x * q.x * 0.5 + (q.y - 0.1).powi(2)) < 0.12 && seed & 32 != 0 {
        colour = colour.lerp(ink, 0.7 * f32::from(fract(q.x * 3.0 + q.y) < 0.6));
    }
    mix3(colour, colour * 0.6, smooth(0.55, 0.75, fractal(p.x * 1.5, p.y * 2.0 + p.z, 2, seed ^ 9)) * 0.3)
}

fn mix3(a: Vec3, b: Vec3, t: f32) -> Vec3 {
    Vec3::new(mix(a.x, b.x, t), mix(a.y, b.y, t), mix(a.z, b.z, t))
}
