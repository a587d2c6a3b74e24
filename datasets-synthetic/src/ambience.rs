//! Puts a place that was painted in even light under a scene's light: dusk, night, a low sun, infrared.
//! Knows the painted place as pixels and where its ground begins; knows nothing of people.

use glam::{Vec2, Vec3};

use crate::background::Canvas;
use crate::fill::Fill;
use crate::light::{Light, LightKind};
use crate::math::{Rng, cell, fall, linear, mix, smooth};
use crate::sensor::LUMA;

/// Lights a place; `horizon` is where the ground begins as a share of the height.
pub(crate) fn apply(rng: &mut Rng, canvas: &mut Canvas, light: &Light, horizon: f32) {
    match light.kind() {
        LightKind::Day | LightKind::Overcast => each(canvas, |p, pixel| pixel * light.share_at(p, 0.0)),
        LightKind::LowSun => low_sun(rng, canvas, light),
        LightKind::Backlight => backlight(rng, canvas, horizon),
        LightKind::Dusk | LightKind::Night => dark(rng, canvas, light, horizon),
        LightKind::Indoor => {
            let colour = light.tint() * rng.f(0.6, 1.1);
            each(canvas, |p, pixel| pixel * colour * light.share_at(p, 0.0));
        }
        LightKind::Infrared => infrared(rng, canvas, light, horizon),
    }
}

fn each(canvas: &mut Canvas, paint: impl Fn(Vec2, Vec3) -> Vec3) {
    for (at, pixel) in canvas.pixels.iter_mut().enumerate() {
        let p = Vec2::new((at % canvas.width) as f32 + 0.5, (at / canvas.width) as f32 + 0.5);
        *pixel = paint(p, *pixel);
    }
}

/// Warm light with the straight-edged shadows of what stands outside the picture.
fn low_sun(rng: &mut Rng, canvas: &mut Canvas, light: &Light) {
    let size = Vec2::new(canvas.width as f32, canvas.height as f32);
    let warm = light.tint() * rng.f(0.9, 1.4);
    let shade = light.sky * rng.f(0.6, 1.4);
    // Each shadow is a band between two parallel edges.
    let bands: Vec<(Vec2, f32, f32)> = (0..rng.i(0, 4))
        .map(|_| {
            let slope = rng.f(-1.2, 1.2);
            let across = Vec2::new(slope.cos(), slope.sin());
            let from = across.dot(Vec2::new(rng.f(-0.2, 1.0), rng.f(0.0, 1.0)) * size);
            (across, from, from + size.x * rng.log(0.02, 0.5))
        })
        .collect();
    each(canvas, |p, pixel| {
        let inside = |(across, from, to): &(Vec2, f32, f32)| {
            let t = p.dot(*across);
            smooth(from - 1.5, from + 1.5, t) * smooth(to + 1.5, to - 1.5, t)
        };
        let shadow = bands.iter().map(inside).fold(0.0, f32::max);
        pixel * (warm * light.share_at(p, 0.0)).lerp(shade, shadow)
    });
}

/// A bright sky, a window, or the sun itself behind everyone.
fn backlight(rng: &mut Rng, canvas: &mut Canvas, horizon: f32) {
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    let rest = rng.f(0.35, 0.9);
    let bright = Vec3::new(rng.f(0.9, 1.0), rng.f(0.92, 1.0), rng.f(0.9, 1.05)) * rng.f(1.2, 3.0);
    match rng.weighted(&[0.4, 0.4, 0.2]) {
        0 => {
            let edge = h * mix(horizon, 0.5, 0.5);
            each(canvas, |p, pixel| {
                let sky = smooth(edge * 1.15, edge * 0.6, p.y);
                pixel.lerp(pixel * 0.3 + bright * 0.8, sky * 0.85) * mix(rest, 1.0, sky)
            });
        }
        1 => {
            let (left, wide) = (rng.f(-0.2, 0.7) * w, rng.f(0.2, 1.0) * w);
            let (top, tall) = (rng.f(-0.2, 0.3) * h, rng.f(0.4, 1.1) * h);
            let panes = Vec2::new(wide / rng.i(1, 5) as f32, tall / rng.i(1, 3) as f32);
            let bar = rng.f(0.01, 0.06) * panes.x.min(panes.y) + 1.0;
            each(canvas, |p, pixel| {
                let q = p - Vec2::new(left, top);
                let inside = q.x > 0.0 && q.y > 0.0 && q.x < wide && q.y < tall;
                let frame = q.x % panes.x < bar || q.y % panes.y < bar;
                if inside && !frame { pixel * 0.4 + bright * 0.8 } else { pixel * rest }
            });
        }
        _ => {
            let at = Vec2::new(rng.f(0.0, 1.0) * w, rng.f(-0.1, horizon) * h);
            let (disc, glow) = (rng.f(0.01, 0.05) * h, rng.f(0.2, 0.9) * h);
            let warm = linear(Vec3::new(1.0, rng.f(0.8, 1.0), rng.f(0.6, 1.0)));
            each(canvas, |p, pixel| {
                let far = p.distance(at);
                let halo = fall((far / glow).powi(2)) * 1.5 + 8.0 * smooth(disc + 2.0, disc, far);
                pixel * rest + warm * halo
            });
        }
    }
}

/// What daylight showed, by lamps; with the lamps themselves, lit windows and headlights.
fn dark(rng: &mut Rng, canvas: &mut Canvas, light: &Light, horizon: f32) {
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    let night = light.kind() == LightKind::Night;
    let colour = light.tint() * if night { rng.f(0.25, 0.7) } else { rng.f(0.35, 0.8) };
    let sky = if night { rng.log(0.03, 0.5) } else { rng.f(0.6, 1.5) };
    let edge = horizon * h;
    each(canvas, |p, pixel| {
        // The sky gets none of the lamps' light; nor do far walls get much.
        let high = smooth(edge, edge * 0.4, p.y);
        pixel * colour * light.share_at(p, 0.0) * mix(1.0, sky, high)
    });
    let glare = rng.f(0.02, 0.12) * h;
    let lamp = |rng: &mut Rng, canvas: &mut Canvas, at: Vec2, size: f32, colour: Vec3| {
        canvas.ellipse(at, Vec2::splat(size), 0.0, &Fill::Solid(colour * 4.0));
        let reach = glare * rng.f(0.5, 1.5) + size;
        each_near(canvas, at, reach * 2.5, |p, pixel| pixel + colour * (0.5 * fall((p.distance(at) / reach).powi(2))));
    };
    for pool in &light.pools {
        if rng.chance(0.6) {
            let at = Vec2::new(pool.at.x, pool.at.y - pool.radii.y * rng.f(0.6, 1.3));
            let size = rng.log(0.006, 0.025) * h + 0.5;
            lamp(rng, canvas, at, size, pool.colour);
        }
    }
    if rng.chance(0.3) {
        let at = Vec2::new(rng.f(0.0, 1.0) * w, h * (horizon + rng.f(0.0, 0.15)));
        let apart = rng.f(0.02, 0.15) * w;
        let size = apart * rng.f(0.08, 0.2) + 0.5;
        for side in [-0.5, 0.5] {
            lamp(rng, canvas, at + Vec2::new(side * apart, 0.0), size, Vec3::new(1.0, 0.95, 0.85));
        }
    }
    if rng.chance(0.5) {
        let seed = rng.seed();
        for index in 0..rng.i(2, 25) {
            let at = Vec2::new(cell(index, 0, seed) * w, cell(index, 1, seed) * edge.max(0.2 * h));
            let half = Vec2::new(rng.log(1.0, 0.03 * h + 1.5), rng.log(1.0, 0.04 * h + 1.5));
            let colour = Vec3::new(1.0, rng.f(0.6, 0.95), rng.f(0.3, 0.9)) * rng.f(0.2, 1.0);
            canvas.tilted(at, half, 0.0, 0.0, &Fill::Solid(colour));
        }
    }
}

fn each_near(canvas: &mut Canvas, at: Vec2, reach: f32, paint: impl Fn(Vec2, Vec3) -> Vec3) {
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    let (x0, x1) = ((at.x - reach).clamp(0.0, w) as usize, (at.x + reach).clamp(0.0, w) as usize);
    let (y0, y1) = ((at.y - reach).clamp(0.0, h) as usize, (at.y + reach).clamp(0.0, h) as usize);
    for y in y0..y1 {
        for x in x0..x1 {
            let pixel = &mut canvas.pixels[y * canvas.width + x];
            *pixel = paint(Vec2::new(x as f32 + 0.5, y as f32 + 0.5), *pixel);
        }
    }
}

/// Colours gone, contrasts low, near ground bright, far things lost in the dark.
fn infrared(rng: &mut Rng, canvas: &mut Canvas, light: &Light, horizon: f32) {
    let far = rng.log(0.015, 0.5);
    let contrast = rng.f(0.25, 0.9);
    let edge = horizon * canvas.height as f32;
    let ground = (canvas.height as f32 - edge).max(0.05 * canvas.height as f32);
    each(canvas, |p, pixel| {
        let luma = pixel.dot(LUMA).clamp(0.0, 1.5);
        // Green leaves shine in infrared.
        let leaf = (pixel.y - pixel.x.max(pixel.z)).clamp(0.0, 0.2) * 1.5;
        let value = mix(0.35, luma.sqrt(), contrast) * 0.6 + leaf;
        let near = ((p.y - edge) / ground).max(0.0);
        Vec3::splat(value) * light.share_at(p, 0.0) * (far + (0.9 - far).max(0.0) * near * near)
    });
}
