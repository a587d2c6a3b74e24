//! Light on surfaces, and the mixing of lit surfaces over a background.
//! Knows surfaces by their paint only.

use glam::{Vec2, Vec3};

use crate::material::Material;
use crate::math::{Rng, hsv, linear};
use crate::raster::{Geometry, Group, NONE, SUB, Visibility};

/// One sun or lamp, light from all around, and a light from behind. Directions in picture coordinates (y down).
#[derive(Clone)]
pub(crate) struct Light {
    pub(crate) key_from: Vec3,
    pub(crate) key: Vec3,
    pub(crate) sky: Vec3,
    pub(crate) ground: Vec3,
    pub(crate) rim_from: Vec3,
    pub(crate) rim: Vec3,
    pub(crate) shadow: f32,
    /// What distance fades to.
    pub(crate) air: Vec3,
}

impl Light {
    pub(crate) fn draw(rng: &mut Rng, mean_background: Vec3) -> Self {
        let warm = |rng: &mut Rng, most: f32| linear(hsv(rng.pick(&[0.35, 0.55, 0.7, 3.6]), rng.f(0.0, most), 1.0));
        let angle = rng.f(-1.5, 1.5);
        let height = rng.f(-0.15, 1.3);
        let front = if rng.chance(0.8) { rng.f(0.25, 1.3) } else { rng.f(-0.4, 0.25) };
        let strength = rng.f(0.15, 1.05);
        let around = rng.f(0.22, 0.8);
        let tint = (mean_background / mean_background.max_element().max(0.02)).max(Vec3::splat(0.3));
        let sky = warm(rng, 0.25) * around;
        Self {
            key_from: Vec3::new(angle.sin(), -height, front).normalize_or(Vec3::Z),
            key: warm(rng, 0.4) * strength,
            sky,
            ground: sky * tint * rng.f(0.25, 0.8),
            rim_from: Vec3::new(rng.pick(&[-1.0, 1.0]), rng.f(-0.8, 0.0), rng.f(-0.9, -0.2)).normalize_or(Vec3::X),
            rim: warm(rng, 0.5) * if rng.chance(0.4) { rng.f(0.2, 1.0) } else { 0.0 },
            shadow: rng.f(0.3, 0.95),
            air: mean_background.lerp(Vec3::ONE, rng.f(0.0, 0.3)),
        }
    }
}

impl Light {
    /// What a white surface that looks at the viewer returns, as one number.
    pub(crate) fn level(&self) -> f32 {
        (self.key * self.key_from.z.max(0.0) + (self.sky + self.ground) * 0.5).element_sum() / 3.0
    }
}

/// Paints all that is visible over `picture` (linear light, row by row, as large as the visibility buffer in pixels).
pub(crate) fn composite(geometry: &Geometry, seen: &Visibility, light: &Light, picture: &mut [Vec3]) {
    let width = seen.width / SUB;
    for (at, pixel) in picture.iter_mut().enumerate() {
        let (x, y) = (at % width, at / width);
        let first = y * SUB * seen.width + x * SUB;
        let samples = [first, first + 1, first + seen.width, first + seen.width + 1];
        if samples.iter().all(|&sample| seen.triangle[sample] == NONE) {
            continue;
        }
        let mut sum = Vec3::ZERO;
        let mut done = [false; 4];
        for s in 0..4 {
            if done[s] {
                continue;
            }
            let index = seen.triangle[samples[s]];
            if index == NONE {
                sum += *pixel;
                continue;
            }
            let triangle = &geometry.triangles[index as usize];
            let part = &geometry.parts[triangle.part as usize];
            let each = matches!(part.group, Group::Head | Group::Hair) && part.unit < 110.0;
            let mut weight = 1.0;
            if !each {
                for t in s + 1..4 {
                    let other = seen.triangle[samples[t]];
                    if other != NONE && !done[t] && geometry.triangles[other as usize].part == triangle.part {
                        done[t] = true;
                        weight += 1.0;
                    }
                }
            }
            let (sx, sy) = (samples[s] % seen.width, samples[s] / seen.width);
            let point = Vec2::new((sx as f32 + 0.5) / SUB as f32, (sy as f32 + 0.5) / SUB as f32);
            let (mut normal, local) = geometry.interpolate(triangle, point.x, point.y);
            if normal.z < -0.2 {
                normal = -normal;
            }
            let paint = part.material.paint(local, &mut normal);
            let skin = matches!(part.material, Material::Face(_) | Material::Skin { .. } | Material::Eye { .. });
            let facing = normal.dot(light.key_from);
            let lit = if facing > -0.25 && light.key_from.z > -0.2 {
                1.0 - light.shadow * shadowed(seen, sx, sy, light.key_from, part.unit)
            } else {
                1.0
            };
            let colour = reflect(paint.colour, paint.occlusion, paint.gloss, normal, skin, lit, light);
            sum += weight * colour.lerp(light.air, part.haze);
        }
        *pixel = sum * 0.25;
    }
}

/// Share of the key light that nearer surfaces keep from a sample: a short march through the depth buffer.
fn shadowed(seen: &Visibility, sx: usize, sy: usize, from: Vec3, unit: f32) -> f32 {
    if unit < 8.0 {
        return 0.0;
    }
    let depth = seen.depth[sy * seen.width + sx];
    let steps = if unit > 60.0 { 7 } else { 4 };
    let reach = unit * 0.55;
    // A different start per sample turns banding into grain.
    let jitter = ((sx * 7 + sy * 13) % 8) as f32 / 8.0;
    let mut hidden: f32 = 0.0;
    for step in 0..steps {
        let t = (step as f32 + 0.35 + 0.6 * jitter) / steps as f32;
        let travelled = reach * t * t;
        let x = sx as f32 + from.x * travelled * SUB as f32;
        let y = sy as f32 + from.y * travelled * SUB as f32;
        if x < 0.0 || y < 0.0 || x >= seen.width as f32 || y >= seen.height as f32 {
            break;
        }
        let there = seen.depth[y as usize * seen.width + x as usize];
        let above = there - (depth + from.z * travelled);
        if above > 0.015 * unit + 0.3 && above < 0.9 * unit {
            hidden = hidden.max(1.0 - 0.5 * t);
        }
    }
    hidden
}

fn reflect(colour: Vec3, occlusion: f32, gloss: f32, normal: Vec3, skin: bool, lit: f32, light: &Light) -> Vec3 {
    let facing = normal.dot(light.key_from);
    let wrap = if skin { Vec3::new(0.32, 0.18, 0.13) } else { Vec3::splat(0.06) };
    let diffuse = ((Vec3::splat(facing) + wrap) / (Vec3::ONE + wrap)).max(Vec3::ZERO);
    let open = occlusion.clamp(0.05, 1.3);
    let ambient = light.ground.lerp(light.sky, 0.5 - 0.5 * normal.y) * (open * (0.75 + 0.25 * normal.z.max(0.0)));
    let rim = normal.dot(light.rim_from).max(0.0) * (1.0 - normal.z.clamp(0.0, 1.0));
    let half = (light.key_from + Vec3::Z).normalize_or(Vec3::Z);
    let h = normal.dot(half).max(0.0);
    let h4 = h * h * h * h;
    let shine = gloss * if gloss > 1.2 { h4 * h4 * h4 * h4 * h4 * 0.4 } else { h4 * h4 * h4 * 0.1 };
    let direct = light.key * (lit * open.min(1.0).sqrt());
    colour * (ambient + direct * diffuse + light.rim * rim)
        + direct * shine * f32::from(facing > 0.0)
        + light.sky * (gloss * 0.02)
}
