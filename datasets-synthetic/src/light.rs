//! Light on surfaces, and the mixing of lit surfaces over a background.
//! Knows surfaces by their paint only.

use glam::{Vec2, Vec3};

use crate::infrared;
use crate::material::Material;
use crate::math::{Rng, fall, fractal, hsv, linear, mix, rgb, smooth};
use crate::raster::{Geometry, Group, NONE, SUB, Visibility};

/// The circumstances under which a picture is taken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum LightKind {
    /// A sun or lamp from anywhere, with light from all around.
    Day,
    /// A grey sky and next to no shadows.
    Overcast,
    /// A warm sun near the horizon with hard shadows.
    LowSun,
    /// The light comes from behind: faces are dark before windows or the sky.
    Backlight,
    /// Little, bluish light, and the first lamps.
    Dusk,
    /// Lamps, headlights, a porch.
    Night,
    /// Lamps under a ceiling, perhaps with a window.
    Indoor,
    /// A camera's own infrared illuminator, seen by a monochrome sensor.
    Infrared,
}

/// A spot that a lamp lights, in picture coordinates: full at the middle, next to nothing at twice the radii.
#[derive(Clone)]
pub(crate) struct Pool {
    pub(crate) at: Vec2,
    pub(crate) radii: Vec2,
    pub(crate) colour: Vec3,
}

/// One sun or lamp, light from all around, and a light from behind. Directions in picture coordinates (y down).
#[derive(Clone)]
pub(crate) struct Light {
    kind: LightKind,
    pub(crate) key_from: Vec3,
    pub(crate) key: Vec3,
    pub(crate) sky: Vec3,
    pub(crate) ground: Vec3,
    pub(crate) rim_from: Vec3,
    pub(crate) rim: Vec3,
    pub(crate) shadow: f32,
    /// What distance fades to.
    pub(crate) air: Vec3,
    /// What is left of all this where no pool lies, if there are pools.
    pub(crate) between: f32,
    pub(crate) pools: Vec<Pool>,
    /// Shade of leaves or railings: scale in pixels, depth 0..1, seed.
    pub(crate) dapple: Option<(Vec2, f32, u32)>,
    /// Pixels per head at which infrared light is at its full strength.
    reference: f32,
    /// Middle of the picture, and its reciprocal half diagonal squared.
    middle: Vec2,
    reach: f32,
}

/// What a light must know of a picture: its size, its mean colour, and how large its people are in pixels per head.
pub(crate) struct Setting {
    pub(crate) size: Vec2,
    pub(crate) mean: Vec3,
    pub(crate) heads: Vec<(Vec2, f32)>,
}

fn warm(rng: &mut Rng, most: f32) -> Vec3 {
    linear(hsv(rng.pick(&[0.35, 0.55, 0.7, 3.6]), rng.f(0.0, most), 1.0))
}

/// The light of a street lamp, a headlight, a porch or a room, brightest channel 1.
fn lamp_colour(rng: &mut Rng) -> Vec3 {
    let colour =
        rng.pick(&[rgb(255, 205, 130), rgb(255, 180, 90), rgb(255, 235, 205), rgb(235, 242, 255), rgb(240, 255, 225)]);
    colour.lerp(Vec3::ONE, rng.f(0.0, 0.6))
}

impl Light {
    pub(crate) fn draw(rng: &mut Rng, setting: &Setting) -> Self {
        use LightKind::{Backlight, Day, Dusk, Indoor, Infrared, LowSun, Night, Overcast};
        let kinds = [Day, Overcast, LowSun, Backlight, Dusk, Night, Indoor, Infrared];
        let kind = kinds[rng.weighted(&[0.28, 0.15, 0.09, 0.09, 0.06, 0.1, 0.13, 0.1])];
        Self::of_kind(rng, kind, setting)
    }

    pub(crate) fn of_kind(rng: &mut Rng, kind: LightKind, setting: &Setting) -> Self {
        let mut light = Self::day(rng, setting);
        light.kind = kind;
        match kind {
            LightKind::Day => {
                if rng.chance(0.12) {
                    light.dapple = Some(dapple(rng, setting, 0.7));
                }
            }
            LightKind::Overcast => {
                light.key = Vec3::splat(rng.f(0.0, 0.15));
                light.sky = warm(rng, 0.12) * rng.f(0.5, 0.95);
                light.ground = light.sky * rng.f(0.25, 0.7);
                light.shadow = 0.3;
            }
            LightKind::LowSun => light.low_sun(rng, setting),
            LightKind::Backlight => {
                let behind = Vec3::new(rng.f(-0.8, 0.8), rng.f(-0.9, 0.1), rng.f(-1.0, -0.45));
                light.key_from = behind.normalize_or(Vec3::NEG_Z);
                light.key = warm(rng, 0.3) * rng.f(0.5, 1.6);
                light.rim_from = Vec3::new(behind.x.signum(), -0.4, -0.5).normalize_or(Vec3::X);
                light.rim = light.key * rng.f(0.3, 1.2);
                light.sky = warm(rng, 0.2) * rng.f(0.16, 0.42);
                light.ground = light.sky * rng.f(0.3, 0.9);
            }
            LightKind::Dusk => {
                let blue = linear(Vec3::new(rng.f(0.6, 0.8), rng.f(0.7, 0.88), 1.0));
                light.key *= 0.15;
                light.sky = blue * rng.f(0.3, 0.6);
                light.ground = light.sky * rng.f(0.2, 0.6);
                light.between = rng.f(0.4, 0.8);
                light.lamps(rng, setting, 3);
            }
            LightKind::Night => {
                light.key = lamp_colour(rng) * rng.f(0.5, 1.1);
                // Lamps hang above, headlights shine from below and from the front.
                let height = if rng.chance(0.3) { rng.f(-0.5, 0.0) } else { rng.f(0.2, 1.4) };
                light.key_from = Vec3::new(rng.normal() * 0.7, -height, rng.f(0.0, 1.0)).normalize_or(Vec3::Z);
                light.sky = light.key * rng.f(0.08, 0.35);
                light.ground = light.sky * rng.f(0.3, 1.0);
                light.shadow = rng.f(0.6, 1.0);
                light.between = rng.log(0.08, 0.4);
                light.air = Vec3::splat(0.02);
                light.lamps(rng, setting, 5);
            }
            LightKind::Indoor => {
                let colour = lamp_colour(rng);
                light.key = colour * rng.f(0.2, 0.8);
                light.key_from = Vec3::new(rng.normal() * 0.5, -rng.f(0.2, 1.5), rng.f(0.0, 1.0)).normalize_or(Vec3::Z);
                light.sky = colour * rng.f(0.25, 0.7);
                light.ground = light.sky * setting.tint() * rng.f(0.3, 0.8);
                if rng.chance(0.4) {
                    // A window, or a screen, of another colour.
                    light.rim = linear(Vec3::new(0.75, 0.88, 1.0)) * rng.f(0.2, 1.2);
                }
                if rng.chance(0.6) {
                    light.between = rng.f(0.3, 0.8);
                    light.lamps(rng, setting, 2);
                }
            }
            LightKind::Infrared => {
                light.key_from = Vec3::new(rng.normal() * 0.08, rng.normal() * 0.08, 1.0).normalize_or(Vec3::Z);
                light.key = Vec3::splat(rng.f(0.8, 1.0));
                light.sky = Vec3::splat(rng.f(0.02, 0.16));
                light.ground = light.sky;
                light.rim = Vec3::ZERO;
                light.shadow = rng.f(0.0, 0.25);
                light.air = Vec3::splat(0.01);
                let largest = setting.heads.iter().map(|head| head.1).fold(0.0, f32::max);
                light.reference = largest.max(0.06 * setting.size.y) * rng.f(0.7, 1.2);
            }
        }
        light
    }

    fn day(rng: &mut Rng, setting: &Setting) -> Self {
        let angle = rng.f(-1.5, 1.5);
        let height = rng.f(-0.15, 1.3);
        let front = if rng.chance(0.8) { rng.f(0.25, 1.3) } else { rng.f(-0.4, 0.25) };
        let strength = rng.f(0.15, 1.05);
        let around = rng.f(0.22, 0.8);
        let sky = warm(rng, 0.25) * around;
        Self {
            kind: LightKind::Day,
            key_from: Vec3::new(angle.sin(), -height, front).normalize_or(Vec3::Z),
            key: warm(rng, 0.4) * strength,
            sky,
            ground: sky * setting.tint() * rng.f(0.25, 0.8),
            rim_from: Vec3::new(rng.pick(&[-1.0, 1.0]), rng.f(-0.8, 0.0), rng.f(-0.9, -0.2)).normalize_or(Vec3::X),
            rim: warm(rng, 0.5) * if rng.chance(0.4) { rng.f(0.2, 1.0) } else { 0.0 },
            shadow: rng.f(0.3, 0.95),
            air: setting.mean.lerp(Vec3::ONE, rng.f(0.0, 0.3)),
            between: 1.0,
            pools: Vec::new(),
            dapple: None,
            reference: 1.0,
            middle: setting.size * 0.5,
            reach: (0.25 * setting.size.length_squared()).max(1.0).recip(),
        }
    }

    fn low_sun(&mut self, rng: &mut Rng, setting: &Setting) {
        let side = rng.pick(&[-1.0, 1.0]) * rng.f(0.3, 1.3);
        self.key_from = Vec3::new(side, -rng.f(-0.05, 0.4), rng.f(-0.1, 0.9)).normalize_or(Vec3::X);
        self.key = linear(Vec3::new(1.0, rng.f(0.78, 0.94), rng.f(0.5, 0.8))) * rng.f(0.9, 1.7);
        self.sky = linear(Vec3::new(rng.f(0.7, 0.9), rng.f(0.8, 0.95), 1.0)) * rng.f(0.12, 0.35);
        self.ground = self.sky * setting.tint() * rng.f(0.3, 0.8);
        self.shadow = rng.f(0.85, 1.0);
        if rng.chance(0.5) {
            self.dapple = Some(dapple(rng, setting, 0.85));
        }
    }

    /// Pools of light: some anywhere, some where people are, for cameras hang where there is something to see.
    fn lamps(&mut self, rng: &mut Rng, setting: &Setting, most: i32) {
        let size = setting.size;
        for _ in 0..rng.i(1, most) {
            let at = match setting.heads.len() {
                0 => Vec2::new(rng.f(0.0, 1.0), rng.f(0.2, 1.0)) * size,
                count if rng.chance(0.7) => setting.heads[rng.i(0, count as i32 - 1) as usize].0,
                _ => Vec2::new(rng.f(0.0, 1.0), rng.f(0.2, 1.0)) * size,
            };
            let at = at + Vec2::new(rng.normal(), rng.normal()) * size.y * 0.08;
            let radii = Vec2::new(rng.f(0.18, 0.7), rng.f(0.25, 0.8)) * size.y;
            self.pools.push(Pool { at, radii, colour: lamp_colour(rng) * rng.f(0.5, 1.2) });
        }
    }

    /// Under which circumstances the picture is taken.
    pub(crate) fn kind(&self) -> LightKind {
        self.kind
    }

    /// What a white surface that looks at the viewer returns, as one number.
    pub(crate) fn level(&self) -> f32 {
        let here = match self.pools.is_empty() {
            true => 1.0,
            false => mix(self.between, 1.0, 0.6),
        };
        here * (self.key * self.key_from.z.max(0.0) + (self.sky + self.ground) * 0.5).element_sum() / 3.0
    }

    /// The colour of the light as a whole, brightest channel 1.
    pub(crate) fn tint(&self) -> Vec3 {
        let sum = self.key * 0.6 + self.sky + self.ground * 0.5;
        (sum / sum.max_element().max(1e-3)).max(Vec3::splat(0.2))
    }

    /// How much of all light there is at a point of the picture, on things of `unit` pixels per head (0: unknown).
    pub(crate) fn share_at(&self, p: Vec2, unit: f32) -> Vec3 {
        let mut share = Vec3::ONE;
        if self.kind == LightKind::Infrared {
            let hot = 1.0 - 0.65 * ((p - self.middle).length_squared() * self.reach).min(1.0);
            // Light that goes there and comes back thins out with the square of the distance; exposure evens it out.
            let near = if unit > 0.0 { (unit / self.reference).powf(1.7).clamp(0.06, 2.0) } else { 1.0 };
            return share * (hot * near);
        }
        if !self.pools.is_empty() {
            share = Vec3::splat(self.between);
            for pool in &self.pools {
                share += pool.colour * fall(((p - pool.at) / pool.radii).length_squared());
            }
        }
        if let Some((scale, depth, seed)) = self.dapple {
            let n = fractal(p.x / scale.x, p.y / scale.y, 2, seed);
            share *= 1.0 - depth * smooth(0.44, 0.56, n);
        }
        share
    }
}

impl Setting {
    fn tint(&self) -> Vec3 {
        (self.mean / self.mean.max_element().max(0.02)).max(Vec3::splat(0.3))
    }
}

fn dapple(rng: &mut Rng, setting: &Setting, most: f32) -> (Vec2, f32, u32) {
    let scale = setting.size.y * rng.log(0.03, 0.35);
    // Trunks and railings throw long shadows, leaves round ones.
    let long = if rng.chance(0.3) { rng.f(3.0, 12.0) } else { 1.0 };
    (Vec2::new(scale, scale * long), rng.f(0.4, most), rng.seed())
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
            let mut paint = part.material.paint(local, &mut normal);
            if light.kind == LightKind::Infrared {
                infrared::repaint(&part.material, local, &mut paint);
            }
            let skin = matches!(part.material, Material::Face(_) | Material::Skin { .. } | Material::Eye { .. });
            let facing = normal.dot(light.key_from);
            let lit = if facing > -0.25 && light.key_from.z > -0.2 {
                1.0 - light.shadow * shadowed(seen, sx, sy, light.key_from, part.unit)
            } else {
                1.0
            };
            let unit = if part.owner == NONE { 0.0 } else { part.unit };
            let colour = reflect(paint.colour, paint.occlusion, paint.gloss, normal, skin, lit, light)
                * light.share_at(point, unit);
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
