//! What is in the air and on the glass before a lens: rain, snow, fog, drops, dirt, stray light.
//! Knows the picture as light, row by row; knows nothing of what it shows.

use std::f32::consts::TAU;

use glam::{Vec2, Vec3};

use crate::background::Canvas;
use crate::filter::box_blur;
use crate::light::{Light, LightKind};
use crate::math::{Rng, cell, fall, fractal, mix, smooth};

/// Everything between a scene and its lens; the same for every frame of a clip but for what falls.
#[derive(Clone, Default)]
pub(crate) struct Weather {
    rain: Option<Rain>,
    snow: Option<Snow>,
    /// Share of the air's colour at the horizon.
    pub(crate) fog: f32,
    drops: Vec<Drop>,
    /// Strength of a smear on the glass, size of its patches in pixels, seed.
    smudge: Option<(f32, f32, u32)>,
    /// Dark specks on the glass: middle and radius.
    specks: Vec<(Vec2, f32)>,
    flare: Option<Flare>,
    /// Brightness of what falls.
    bright: f32,
}

#[derive(Clone)]
struct Rain {
    count: u32,
    /// From a streak's top to its bottom, in pixels.
    along: Vec2,
    alpha: f32,
    seed: u32,
}

#[derive(Clone)]
struct Snow {
    count: u32,
    /// Pixels a frame.
    drift: Vec2,
    largest: f32,
    seed: u32,
}

#[derive(Clone)]
struct Drop {
    at: Vec2,
    radii: Vec2,
}

#[derive(Clone)]
struct Flare {
    from: Vec2,
    colour: Vec3,
    veil: f32,
    ghosts: Vec<(f32, f32)>,
}

impl Weather {
    pub(crate) fn draw(rng: &mut Rng, light: &Light, width: f32, height: f32) -> Self {
        let mut weather = Self { bright: 0.5 * light.level() + 0.1, ..Self::default() };
        let kind = light.kind();
        let size = Vec2::new(width, height);
        let outside = kind != LightKind::Indoor;
        if outside && rng.chance(0.05) {
            let slant = rng.normal() * 0.25;
            let long = height * rng.log(0.02, 0.12);
            weather.rain = Some(Rain {
                count: (rng.log(0.0008, 0.006) * width * height) as u32,
                along: Vec2::new(slant, 1.0) * long,
                alpha: rng.f(0.08, 0.4),
                seed: rng.seed(),
            });
        } else if outside && rng.chance(0.04) {
            weather.snow = Some(Snow {
                count: (rng.log(0.0005, 0.006) * width * height) as u32,
                drift: Vec2::new(rng.normal() * 2.0, rng.f(1.5, 5.0)) * height / 200.0,
                largest: height * rng.log(0.006, 0.02),
                seed: rng.seed(),
            });
        }
        let wet = weather.rain.is_some() || weather.snow.is_some();
        if outside && rng.chance(if wet { 0.4 } else { 0.06 }) {
            weather.fog = rng.f(0.15, 0.75);
        }
        if rng.chance(if wet { 0.4 } else { 0.03 }) {
            let largest = height * rng.log(0.01, 0.06);
            weather.drops = (0..rng.i(2, 40))
                .map(|_| {
                    let radius = largest * rng.log(0.15, 1.0) + 1.0;
                    Drop {
                        at: Vec2::new(rng.f(0.0, width), rng.f(0.0, height)),
                        radii: Vec2::new(radius, radius * rng.f(0.9, 1.5)),
                    }
                })
                .collect();
        }
        if rng.chance(0.05) {
            weather.smudge = Some((rng.f(0.3, 1.0), height * rng.log(0.1, 0.8), rng.seed()));
        }
        if rng.chance(0.03) {
            weather.specks = (0..rng.i(2, 25))
                .map(|_| (Vec2::new(rng.f(0.0, width), rng.f(0.0, height)), height * rng.log(0.003, 0.02) + 0.7))
                .collect();
        }
        let dazzled = matches!(kind, LightKind::Backlight | LightKind::LowSun | LightKind::Night);
        if rng.chance(if dazzled { 0.25 } else { 0.03 }) {
            weather.flare = Some(Flare {
                from: Vec2::new(rng.f(-0.1, 1.1), rng.f(-0.2, 0.7)) * size,
                colour: if kind == LightKind::Infrared { Vec3::ONE } else { light.tint() },
                veil: rng.log(0.03, 0.35) * (light.level() + 0.2),
                ghosts: (0..rng.i(0, 6)).map(|_| (rng.f(0.3, 1.8), rng.log(0.01, 0.1) * height)).collect(),
            });
        }
        weather
    }

    /// Whether anything differs from frame to frame.
    #[cfg(test)]
    pub(crate) fn falls(&self) -> bool {
        self.rain.as_ref().is_some_and(|rain| rain.count > 0) || self.snow.as_ref().is_some_and(|snow| snow.count > 0)
    }

    /// Lays fog over a place whose ground begins at `horizon`, a share of the height.
    pub(crate) fn veil(&self, canvas: &mut Canvas, air: Vec3, horizon: f32) {
        if self.fog <= 0.0 {
            return;
        }
        let edge = horizon * canvas.height as f32;
        let ground = (canvas.height as f32 - edge).max(1.0);
        for (at, pixel) in canvas.pixels.iter_mut().enumerate() {
            let near = (((at / canvas.width) as f32 - edge) / ground).clamp(0.0, 1.0);
            *pixel = pixel.lerp(air, self.fog * (1.0 - 0.9 * near.sqrt()));
        }
    }

    /// Lays all but the fog over a picture.
    pub(crate) fn apply(&self, pixels: &mut [Vec3], width: usize, height: usize, frame: u32) {
        if let Some(rain) = &self.rain {
            rain.fall(pixels, width, height, frame, self.bright);
        }
        if let Some(snow) = &self.snow {
            snow.fall(pixels, width, height, frame, self.bright * 1.6);
        }
        if !self.drops.is_empty() {
            let behind = pixels.to_vec();
            for drop in &self.drops {
                drop.bend(&behind, pixels, width, height);
            }
        }
        if let Some((strength, scale, seed)) = self.smudge {
            smear(pixels, width, height, strength, scale, seed);
        }
        for &(at, radius) in &self.specks {
            near(pixels, width, height, at, radius * 2.5, |p, pixel| {
                *pixel *= 1.0 - 0.75 * fall((p.distance(at) / radius).powi(2));
            });
        }
        if let Some(flare) = &self.flare {
            flare.shine(pixels, width, height);
        }
    }
}

/// Visits the pixels of a square around a point.
fn near(
    pixels: &mut [Vec3],
    width: usize,
    height: usize,
    at: Vec2,
    reach: f32,
    mut visit: impl FnMut(Vec2, &mut Vec3),
) {
    let (w, h) = (width as f32, height as f32);
    let (x0, x1) = ((at.x - reach).clamp(0.0, w) as usize, (at.x + reach + 1.0).clamp(0.0, w) as usize);
    let (y0, y1) = ((at.y - reach).clamp(0.0, h) as usize, (at.y + reach + 1.0).clamp(0.0, h) as usize);
    for y in y0..y1 {
        for x in x0..x1 {
            visit(Vec2::new(x as f32 + 0.5, y as f32 + 0.5), &mut pixels[y * width + x]);
        }
    }
}

impl Rain {
    fn fall(&self, pixels: &mut [Vec3], width: usize, height: usize, frame: u32, bright: f32) {
        let seed = self.seed ^ frame.wrapping_mul(0x9E37_79B9);
        for index in 0..self.count as i32 {
            let far = cell(index, 2, seed);
            let along = self.along * mix(0.35, 1.3, far * far);
            let from = Vec2::new(cell(index, 0, seed) * 1.2 - 0.1, cell(index, 1, seed) * 1.2 - 0.2);
            let from = from * Vec2::new(width as f32, height as f32);
            let alpha = self.alpha * mix(0.3, 1.0, far);
            let steps = along.y.max(1.0) as i32;
            for step in 0..steps {
                let p = from + along * (step as f32 / steps as f32);
                // A streak between two columns shows in both.
                let left = (p.x - 0.5).floor();
                for (x, share) in [(left, 1.0 - (p.x - 0.5 - left)), (left + 1.0, p.x - 0.5 - left)] {
                    if x >= 0.0 && p.y >= 0.0 && (x as usize) < width && (p.y as usize) < height {
                        let pixel = &mut pixels[p.y as usize * width + x as usize];
                        *pixel = pixel.lerp(*pixel * 0.6 + Vec3::splat(bright), alpha * share);
                    }
                }
            }
        }
    }
}

impl Snow {
    fn fall(&self, pixels: &mut [Vec3], width: usize, height: usize, frame: u32, bright: f32) {
        for index in 0..self.count as i32 {
            let of = |what: i32| cell(index, what, self.seed);
            // Far flakes are many, small and slow.
            let size = of(2).powi(4);
            let radius = mix(0.6, self.largest.max(0.7), size);
            let moved = self.drift * frame as f32 * mix(0.3, 1.0, size);
            let sway = (frame as f32 * 0.15 + of(3) * TAU).sin() * radius * 2.0;
            let span = Vec2::new(width as f32, height as f32) + 4.0 * radius;
            let start = Vec2::new(of(0), of(1)) * span + moved + Vec2::new(sway, 0.0);
            let at = Vec2::new(start.x.rem_euclid(span.x), start.y.rem_euclid(span.y)) - 2.0 * radius;
            let alpha = mix(0.9, 0.35, size);
            near(pixels, width, height, at, radius * 1.5 + 1.0, |p, pixel| {
                let cover = alpha * fall((p.distance(at) / radius).powi(2) * 1.2);
                *pixel = pixel.lerp(Vec3::splat(bright), cover);
            });
        }
    }
}

impl Drop {
    /// A drop is a small lens: the world in it stands on its head.
    fn bend(&self, behind: &[Vec3], pixels: &mut [Vec3], width: usize, height: usize) {
        let sample = |p: Vec2| {
            let (x, y) = (p.x.clamp(0.0, width as f32 - 1.0), p.y.clamp(0.0, height as f32 - 1.0));
            behind[y as usize * width + x as usize]
        };
        near(pixels, width, height, self.at, self.radii.max_element() + 1.0, |p, pixel| {
            let q = (p - self.at) / self.radii;
            let r = q.length_squared();
            let cover = smooth(1.05, 0.85, r);
            if cover <= 0.0 {
                return;
            }
            let through = self.at - (p - self.at) * mix(2.0, 7.0, r.min(1.0));
            let spread = self.radii * 0.4;
            // Four looks instead of one: drops do not focus.
            let mut seen = Vec3::ZERO;
            for side in [Vec2::ONE, Vec2::NEG_ONE, Vec2::new(1.0, -1.0), Vec2::new(-1.0, 1.0)] {
                seen += sample(through + side * spread) * 0.25;
            }
            let rim = 1.0 - 0.5 * smooth(0.5, 1.0, r);
            let shine = fall((q - Vec2::new(-0.3, -0.4)).length_squared() * 25.0) * seen.max_element();
            *pixel = pixel.lerp(seen * rim + Vec3::splat(shine), cover * 0.9);
        });
    }
}

/// Grease: patches in which the picture is soft and pale.
fn smear(pixels: &mut [Vec3], width: usize, height: usize, strength: f32, scale: f32, seed: u32) {
    let mut soft = pixels.to_vec();
    let radius = (height / 60).max(1);
    box_blur(&mut soft, width, height, radius);
    box_blur(&mut soft, width, height, radius);
    for (at, (pixel, soft)) in pixels.iter_mut().zip(soft).enumerate() {
        let (x, y) = ((at % width) as f32, (at / width) as f32);
        // Fingers wipe in one direction.
        let n = fractal((x + 0.4 * y) / scale, (y - 0.4 * x) / (0.3 * scale), 2, seed);
        // The blurred part stays the smaller one: what is behind must remain to be seen.
        let cover = 0.65 * strength * smooth(0.5, 0.75, n);
        *pixel = pixel.lerp(soft * 0.92 + Vec3::splat(0.03), cover);
    }
}

impl Flare {
    fn shine(&self, pixels: &mut [Vec3], width: usize, height: usize) {
        let size = Vec2::new(width as f32, height as f32);
        let reach = size.y * 0.9;
        for (at, pixel) in pixels.iter_mut().enumerate() {
            let p = Vec2::new((at % width) as f32, (at / width) as f32);
            *pixel += self.colour * (self.veil * (0.35 + fall((p - self.from).length_squared() / (reach * reach))));
        }
        let axis = size * 0.5 - self.from;
        for (index, &(along, radius)) in self.ghosts.iter().enumerate() {
            let middle = self.from + axis * along;
            let hue = [Vec3::new(1.0, 0.7, 0.5), Vec3::new(0.5, 1.0, 0.7), Vec3::new(0.6, 0.7, 1.0)][index % 3];
            let grey = self.colour.max_element() - self.colour.min_element() < 1e-4;
            let colour = if grey { self.colour } else { hue * self.colour } * (self.veil * 0.5);
            near(pixels, width, height, middle, radius + 1.0, |p, pixel| {
                *pixel += colour * smooth(radius + 1.0, radius - 1.0, p.distance(middle));
            });
        }
    }
}
