//! What surfaces look like: colour, occlusion and gloss at a point in a part's own coordinates.
//! Knows nothing of light, camera or where the part is.

use glam::{Vec2, Vec3};

use crate::head::{Face, Paint};
use crate::math::{Rng, cell, floor, fract, fractal, linear, mix, noise, rgb, smooth};
use crate::mesh;
use crate::props::{Surface, Tone};

/// A kind of surface.
#[derive(Clone)]
pub(crate) enum Material {
    /// The head's skin with all that is painted on it.
    Face(Box<Face>),
    /// Skin without a face: necks, hands, arms, legs, ears. `shade` darkens towards local y = 0..-0.4 (a neck).
    Skin { colour: Vec3, shade: f32, seed: u32 },
    /// An eyeball, in coordinates from its centre in radii.
    Eye { iris: Vec3, gaze: Vec2, seed: u32 },
    /// Strands along the local y axis.
    Hair { colour: Vec3, gloss: f32, fine: f32, seed: u32 },
    /// Woven or knitted things, with folds.
    Cloth(Cloth),
    /// Smooth or rough things.
    Thing { colour: Vec3, second: Vec3, pattern: Pattern, scale: f32, gloss: f32, seed: u32 },
    /// Things with more to them.
    Surface(Surface),
    /// Another surface as print, screen or stone shows it.
    Toned { of: Box<Material>, tone: Tone },
}

/// How two colours share a surface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pattern {
    Plain,
    Across,
    Along,
    Plaid,
    Dots,
    Patches,
    Print,
    Front,
    Pleats,
    Fur,
    Wood,
    TwoSpots,
}

#[derive(Clone)]
pub(crate) struct Cloth {
    pub(crate) colour: Vec3,
    pub(crate) second: Vec3,
    pub(crate) pattern: Pattern,
    pub(crate) scale: f32,
    pub(crate) folds: f32,
    pub(crate) gloss: f32,
    pub(crate) seed: u32,
    /// Skin colour and depth of an open neck.
    pub(crate) neckline: Option<(Vec3, f32)>,
}

impl Cloth {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let tone = |rng: &mut Rng| match rng.weighted(&[0.3, 0.25, 0.15, 0.3]) {
            0 => rng.colour((0.0, 0.25), (0.05, 0.3)),
            1 => rng.colour((0.2, 0.8), (0.15, 0.6)),
            2 => rng.colour((0.0, 0.12), (0.7, 0.97)),
            _ => rng.colour((0.1, 0.95), (0.35, 0.95)),
        };
        let pattern = match rng.weighted(&[0.42, 0.1, 0.05, 0.1, 0.04, 0.04, 0.13, 0.12]) {
            0 => Pattern::Plain,
            1 => Pattern::Across,
            2 => Pattern::Along,
            3 => Pattern::Plaid,
            4 => Pattern::Dots,
            5 => Pattern::Patches,
            6 => Pattern::Print,
            _ => Pattern::Front,
        };
        Self {
            colour: tone(rng),
            second: tone(rng),
            pattern,
            scale: rng.log(2.0, 14.0),
            folds: rng.f(0.1, 1.0),
            gloss: if rng.chance(0.15) { rng.f(0.3, 0.9) } else { 0.05 },
            seed: rng.seed(),
            neckline: None,
        }
    }

    pub(crate) fn plain(rng: &mut Rng, colour: Vec3) -> Self {
        let mut cloth = Self::draw(rng);
        cloth.colour = colour;
        cloth.pattern = Pattern::Plain;
        cloth
    }
}

fn share(pattern: Pattern, p: Vec3, scale: f32, seed: u32) -> f32 {
    let (u, v) = (p.x * scale, p.y * scale);
    match pattern {
        Pattern::Plain | Pattern::Fur => 0.0,
        Pattern::Across => f32::from(fract(v) < 0.4),
        Pattern::Along => f32::from(fract(u) < 0.35),
        Pattern::Plaid => 0.5 * f32::from(fract(v) < 0.4) + 0.5 * f32::from(fract(u) < 0.4),
        Pattern::Dots => {
            let (a, b) = (fract(u) - 0.5, fract(v) - 0.5);
            f32::from(a * a + b * b < 0.07)
        }
        Pattern::Patches => smooth(0.48, 0.54, fractal(u, v, 3, seed)),
        Pattern::Print => {
            let (x, y) = (p.x / 0.42, (p.y + 1.45) / 0.3);
            if x.abs() > 1.0 || y.abs() > 1.0 || p.z < 0.0 {
                return 0.0;
            }
            f32::from(cell(floor(x * scale), floor(y * scale * 0.5), seed) > 0.5)
        }
        Pattern::Front => {
            if p.z < 0.0 {
                return 0.0;
            }
            f32::from(p.x.abs() < 0.05 + 0.18 * smooth(-1.6, -0.8, p.y))
        }
        Pattern::Pleats => 0.35 * smooth(0.6, 0.9, fract(p.y * 24.0)),
        Pattern::Wood => {
            let ring = v * 0.3 + 2.5 * noise(u * 0.2, v * 0.7, seed);
            smooth(0.2, 0.8, fract(ring))
        }
        Pattern::TwoSpots => {
            let (a, b) = (p.x.abs() - 0.32, p.y - 0.12);
            f32::from(p.z > 0.0 && a * a + b * b < 0.02)
        }
    }
}

impl Material {
    /// Looks at a point, and bends the normal where the surface has relief.
    pub(crate) fn paint(&self, p: Vec3, normal: &mut Vec3) -> Paint {
        match self {
            Self::Face(face) => face.paint(p),
            Self::Eye { iris, gaze, seed } => mesh::eye(*iris, *gaze, *seed, p),
            Self::Surface(surface) => surface.paint(p, normal),
            Self::Toned { of, tone } => tone.apply(of.paint(p, normal), p),
            Self::Skin { colour, shade, seed } => {
                let mottle = noise(p.x * 14.0 + p.z * 9.0, p.y * 14.0, *seed) - 0.5;
                let occlusion = 1.0 - shade * smooth(-0.75, -0.35, p.y);
                Paint { colour: *colour * (1.0 + 0.14 * mottle), occlusion, gloss: 0.8 }
            }
            Self::Hair { colour, gloss, fine, seed } => {
                let around = p.x.atan2(p.z) * 14.0 * fine + p.y * 2.0;
                let strand = noise(around, p.y * 4.0, *seed);
                let fine_strand = noise(around * 4.0, p.y * 7.0, seed ^ 1);
                normal.x += 0.5 * (strand - 0.5);
                normal.y += 0.25 * (fine_strand - 0.5);
                *normal = normal.normalize_or(Vec3::Z);
                Paint { colour: *colour * (0.45 + 0.7 * strand + 0.4 * fine_strand), occlusion: 1.0, gloss: *gloss }
            }
            Self::Cloth(cloth) => {
                if let Some((skin, depth)) = cloth.neckline {
                    let edge = -0.72 - depth * (1.0 - (p.x / 0.36).powi(2));
                    if p.z > -0.12 && p.y > edge && p.x.abs() < 0.36 {
                        return Paint { colour: skin, occlusion: 1.0 - 0.5 * smooth(-0.72, -0.6, p.y), gloss: 0.7 };
                    }
                }
                let fold_a = noise(p.x * 2.6 + p.z, p.y * 4.0 + p.x * 2.0, cloth.seed) - 0.5;
                let fold_b = noise(p.x * 6.0, p.y * 8.0 - p.x * 5.0 + p.z, cloth.seed ^ 1) - 0.5;
                normal.x += cloth.folds * (0.8 * fold_a + 0.4 * fold_b);
                normal.y += cloth.folds * (0.5 * fold_b - 0.6 * fold_a);
                *normal = normal.normalize_or(Vec3::Z);
                let weave = noise(p.x * 40.0, p.y * 40.0, cloth.seed ^ 2) - 0.5;
                let mixed = share(cloth.pattern, p, cloth.scale, cloth.seed);
                Paint {
                    colour: cloth.colour.lerp(cloth.second, mixed) * (1.0 + 0.12 * weave),
                    occlusion: 1.0 + cloth.folds * (0.35 * fold_a + 0.2 * fold_b),
                    gloss: cloth.gloss,
                }
            }
            Self::Thing { colour, second, pattern, scale, gloss, seed } => {
                let mixed = share(*pattern, p, *scale, *seed);
                let mut tone = colour.lerp(*second, mixed);
                tone *= 0.85 + 0.3 * fractal(p.x * 5.0 + p.z * 2.0, p.y * 5.0, 2, *seed);
                if *pattern == Pattern::Fur {
                    let hair = noise(p.x * 25.0, p.y * 9.0 + p.z * 9.0, *seed);
                    normal.x += 0.7 * (hair - 0.5);
                    *normal = normal.normalize_or(Vec3::Z);
                    let patch = smooth(0.5, 0.6, fractal(p.x * 2.0 + p.z, p.y * 2.0, 2, seed ^ 4));
                    tone = tone.lerp(*second, patch) * (0.6 + 0.8 * hair);
                }
                Paint { colour: tone, occlusion: 1.0, gloss: *gloss }
            }
        }
    }

    /// A random solid thing; a good part of them skin-coloured, for those are mistaken for faces.
    pub(crate) fn thing(rng: &mut Rng) -> Self {
        let colour = match rng.weighted(&[0.35, 0.3, 0.2, 0.15]) {
            0 => linear(Vec3::new(rng.f(0.55, 0.95), rng.f(0.4, 0.75), rng.f(0.25, 0.6))),
            1 => rng.colour((0.0, 1.0), (0.2, 1.0)),
            2 => rng.colour((0.0, 0.15), (0.5, 1.0)),
            _ => rgb(120, 75, 40) * rng.f(0.4, 1.5),
        };
        let second = colour * rng.f(0.05, 0.6) + rng.colour((0.0, 1.0), (0.0, 0.8)) * rng.f(0.0, 0.6);
        let pattern = match rng.weighted(&[0.4, 0.15, 0.08, 0.07, 0.12, 0.1, 0.08]) {
            0 => Pattern::Plain,
            1 => Pattern::Across,
            2 => Pattern::Along,
            3 => Pattern::Dots,
            4 => Pattern::Patches,
            5 => Pattern::TwoSpots,
            _ => Pattern::Wood,
        };
        let shine = if rng.chance(0.5) { rng.f(0.5, 2.5) } else { 0.1 };
        Self::Thing { colour, second, pattern, scale: rng.log(1.0, 9.0), gloss: mix(shine, 0.3, 0.2), seed: rng.seed() }
    }
}
