//! Backgrounds: places and patterns without a single face in them, painted flat, layer upon layer.
//! Knows nothing of people.

mod places;

use std::f32::consts::{PI, TAU};

use glam::{Vec2, Vec3};

use crate::fill::Fill;
use crate::math::{Rng, cell, fractal, mix, rgb, smooth};

/// A picture in linear light, row by row.
pub(crate) struct Canvas {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) pixels: Vec<Vec3>,
}

impl Canvas {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: vec![Vec3::splat(0.2); width * height] }
    }

    /// Fills an upright box.
    pub(crate) fn rect(&mut self, x0: f32, y0: f32, x1: f32, y1: f32, fill: &Fill) {
        let (w, h) = (self.width as f32, self.height as f32);
        let (x0, x1) = (x0.clamp(0.0, w) as usize, x1.clamp(0.0, w) as usize);
        let (y0, y1) = (y0.clamp(0.0, h) as usize, y1.clamp(0.0, h) as usize);
        for y in y0..y1 {
            for x in x0..x1 {
                self.pixels[y * self.width + x] = fill.at(x as f32, y as f32);
            }
        }
    }

    /// Fills the inside of a shape: `depth` is positive inside, about 1 a pixel from the edge.
    fn shape(&mut self, centre: Vec2, reach: f32, fill: &Fill, depth: impl Fn(Vec2) -> f32) {
        let (w, h) = (self.width as f32, self.height as f32);
        let (x0, x1) = ((centre.x - reach).clamp(0.0, w) as usize, (centre.x + reach + 1.0).clamp(0.0, w) as usize);
        let (y0, y1) = ((centre.y - reach).clamp(0.0, h) as usize, (centre.y + reach + 1.0).clamp(0.0, h) as usize);
        for y in y0..y1 {
            for x in x0..x1 {
                let cover = (depth(Vec2::new(x as f32, y as f32) - centre) + 0.5).clamp(0.0, 1.0);
                if cover > 0.0 {
                    let pixel = &mut self.pixels[y * self.width + x];
                    *pixel = pixel.lerp(fill.at(x as f32, y as f32), cover);
                }
            }
        }
    }

    pub(crate) fn ellipse(&mut self, centre: Vec2, radii: Vec2, angle: f32, fill: &Fill) {
        let (sin, cos) = angle.sin_cos();
        let small = radii.min_element().max(0.5);
        self.shape(centre, radii.max_element(), fill, |p| {
            let q = Vec2::new(p.x * cos + p.y * sin, p.y * cos - p.x * sin) / radii.max(Vec2::splat(0.5));
            (1.0 - q.length()) * small
        });
    }

    pub(crate) fn tilted(&mut self, centre: Vec2, half: Vec2, angle: f32, round: f32, fill: &Fill) {
        let (sin, cos) = angle.sin_cos();
        self.shape(centre, half.length(), fill, |p| {
            let q = Vec2::new(p.x * cos + p.y * sin, p.y * cos - p.x * sin).abs() - half + Vec2::splat(round);
            round - q.max(Vec2::ZERO).length() - q.max_element().min(0.0)
        });
    }

    /// As [`Self::rect`], but leaves what is there where the fill is black.
    fn over(&mut self, x0: f32, y0: f32, x1: f32, y1: f32, fill: &Fill) {
        let (w, h) = (self.width as f32, self.height as f32);
        for y in y0.clamp(0.0, h) as usize..y1.clamp(0.0, h) as usize {
            for x in x0.clamp(0.0, w) as usize..x1.clamp(0.0, w) as usize {
                let colour = fill.at(x as f32, y as f32);
                if colour != Vec3::ZERO {
                    self.pixels[y * self.width + x] = colour;
                }
            }
        }
    }

    /// Adds a disc of light with a slightly brighter rim, as a lens out of focus makes of a lamp.
    fn glow(&mut self, centre: Vec2, radius: f32, colour: Vec3) {
        let (w, h) = (self.width as f32, self.height as f32);
        let reach = Vec2::splat(radius + 1.0);
        let (low, high) = ((centre - reach).max(Vec2::ZERO), (centre + reach).min(Vec2::new(w, h)));
        for y in low.y as usize..high.y.max(0.0) as usize {
            for x in low.x as usize..high.x.max(0.0) as usize {
                let away = (Vec2::new(x as f32, y as f32) - centre).length();
                let cover = (radius - away + 0.5).clamp(0.0, 1.0) * (0.75 + 0.25 * smooth(0.6, 1.0, away / radius));
                self.pixels[y * self.width + x] += colour * cover;
            }
        }
    }

    /// Takes up to this share of the light from an ellipse that fades towards its edge.
    pub(crate) fn shade(&mut self, centre: Vec2, radii: Vec2, share: f32) {
        let (w, h) = (self.width as f32, self.height as f32);
        let (low, high) = ((centre - radii).max(Vec2::ZERO), (centre + radii).min(Vec2::new(w, h)));
        for y in low.y as usize..high.y.max(0.0) as usize {
            for x in low.x as usize..high.x.max(0.0) as usize {
                let away = ((Vec2::new(x as f32, y as f32) - centre) / radii).length();
                self.pixels[y * self.width + x] *= 1.0 - share * smooth(1.0, 0.55, away);
            }
        }
    }

    pub(crate) fn mean(&self) -> Vec3 {
        let step = (self.pixels.len() / 500).max(1);
        let (mut sum, mut count) = (Vec3::ZERO, 0.0);
        for pixel in self.pixels.iter().step_by(step) {
            sum += *pixel;
            count += 1.0;
        }
        sum / count
    }

    /// Blurs with two passes of a box of this radius in pixels.
    pub(crate) fn blur(&mut self, radius: usize) {
        if radius > 0 {
            for _ in 0..2 {
                crate::camera::box_blur(&mut self.pixels, self.width, self.height, radius);
            }
        }
    }
}

/// Paints one of the kinds of place, or only such as one could `stand` in; returns where the ground meets the rest, as
/// a share of the height.
pub(crate) fn paint(rng: &mut Rng, canvas: &mut Canvas, stand: bool) -> f32 {
    let kind = match stand {
        true => [0, 1, 2, 7, 8, 9, 11][rng.weighted(&[0.3, 0.12, 0.1, 0.12, 0.12, 0.16, 0.08])],
        false => rng.weighted(&[0.13, 0.13, 0.06, 0.09, 0.07, 0.04, 0.07, 0.09, 0.1, 0.09, 0.04, 0.06, 0.04]),
    };
    let horizon = match kind {
        0 => street(rng, canvas),
        1 => room(rng, canvas),
        2 => nature(rng, canvas),
        3 => collage(rng, canvas),
        4 => studio(rng, canvas),
        5 => night(rng, canvas),
        6 => shelves(rng, canvas),
        7 => places::doorstep(rng, canvas),
        8 => places::garden(rng, canvas),
        9 => places::houses(rng, canvas),
        10 => places::seats(rng, canvas),
        11 => places::office(rng, canvas),
        _ => places::lights(rng, canvas),
    };
    let litter = if stand {
        0
    } else if rng.chance(0.78) {
        rng.i(0, 7)
    } else {
        rng.i(8, 45)
    };
    for _ in 0..litter {
        clutter(rng, canvas);
    }
    stain(rng, canvas);
    horizon
}

/// Uneven light and fine wear over everything: no wall is one colour.
fn stain(rng: &mut Rng, canvas: &mut Canvas) {
    const SIDE: usize = 192;
    let seed = rng.seed();
    let texture: Vec<f32> = (0..SIDE * SIDE)
        .map(|at| fractal((at % SIDE) as f32 / 24.0, (at / SIDE) as f32 / 24.0, 3, seed) - 0.5)
        .collect();
    // Mirrored at its edges, so that it can go on for ever.
    let fold = |v: usize| if (v / SIDE).is_multiple_of(2) { v % SIDE } else { SIDE - 1 - v % SIDE };
    let (fine, broad) = (rng.f(0.0, 0.5), rng.f(0.1, 0.7));
    let (step, far) = (rng.log(0.3, 3.0), SIDE as f32 * rng.f(0.5, 2.0) / canvas.width.max(canvas.height) as f32);
    for y in 0..canvas.height {
        let (near_row, far_row) = (fold((y as f32 * step) as usize), fold((y as f32 * far) as usize));
        for x in 0..canvas.width {
            let a = texture[near_row * SIDE + fold((x as f32 * step) as usize)];
            let b = texture[far_row * SIDE + fold((x as f32 * far) as usize)];
            canvas.pixels[y * canvas.width + x] *= 1.0 + fine * a + broad * b;
        }
    }
}

/// One flat thing somewhere; many are round and coloured like skin.
fn clutter(rng: &mut Rng, canvas: &mut Canvas) {
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    let centre = Vec2::new(rng.f(0.0, w), rng.f(0.0, h));
    let size = rng.log(3.0, 0.2 * h.max(40.0));
    let skin = linear_skin(rng);
    let fill = match rng.weighted(&[0.15, 0.35, 0.5]) {
        0 => Fill::Solid(skin),
        // Shaded as a round thing is.
        1 => {
            let colour = if rng.chance(0.5) { skin } else { rng.colour((0.0, 0.8), (0.1, 1.0)) };
            Fill::Gradient {
                from: colour * rng.f(1.0, 1.5),
                to: colour * rng.f(0.1, 0.6),
                angle: rng.f(0.0, TAU),
                span: size * rng.f(1.2, 3.0),
                middle: centre,
            }
        }
        _ => Fill::draw(rng, size),
    };
    match rng.weighted(&[0.3, 0.3, 0.2, 0.2]) {
        0 => canvas.ellipse(centre, Vec2::new(size, size * rng.f(0.5, 1.3)), rng.f(0.0, PI), &fill),
        1 => canvas.tilted(
            centre,
            Vec2::new(size, size * rng.f(0.2, 2.0)),
            rng.normal() * 0.15,
            rng.f(0.0, 0.3) * size,
            &fill,
        ),
        2 => canvas.tilted(centre, Vec2::new(rng.f(1.0, 5.0), size * 3.0), rng.normal() * 0.8, 0.5, &fill),
        _ => {
            // A blob with spots: what a weak detector takes for a face.
            let radii = Vec2::new(size * 0.8, size);
            canvas.ellipse(centre, radii, rng.normal() * 0.3, &fill);
            let dark = Fill::Solid(rng.colour((0.0, 0.5), (0.0, 0.3)));
            for _ in 0..rng.i(1, 5) {
                let spot = centre + Vec2::new(rng.f(-0.6, 0.6), rng.f(-0.7, 0.7)) * size;
                canvas.ellipse(spot, Vec2::new(rng.f(0.05, 0.3), rng.f(0.05, 0.2)) * size, rng.f(0.0, PI), &dark);
            }
            if rng.chance(0.5) {
                canvas.ellipse(centre, radii * 0.7, 0.0, &fill);
            }
        }
    }
}

fn linear_skin(rng: &mut Rng) -> Vec3 {
    let tone = rng.f(0.0, 1.0);
    crate::head::skin_tone(rng, tone)
}

fn sky(rng: &mut Rng) -> Fill {
    let low = rng.pick(&[rgb(225, 232, 238), rgb(235, 220, 200), rgb(200, 205, 210), rgb(180, 205, 235)]);
    let high = rng.pick(&[rgb(110, 160, 220), rgb(190, 200, 212), rgb(150, 160, 175), rgb(80, 120, 190)]);
    if rng.chance(0.4) {
        return Fill::Noise {
            a: high,
            b: low,
            scale: Vec2::new(120.0, 50.0),
            octaves: 3,
            sharp: 0.2,
            seed: rng.seed(),
        };
    }
    Fill::Gradient { from: high, to: low, angle: 0.25 * TAU, span: 300.0, middle: Vec2::new(0.0, 100.0) }
}

fn street(rng: &mut Rng, canvas: &mut Canvas) -> f32 {
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    let horizon = rng.f(0.15, 0.6);
    let fill = sky(rng);
    canvas.rect(0.0, 0.0, w, h * horizon, &fill);
    let mut x = rng.f(-0.2, 0.0) * w;
    while x < w {
        let wide = rng.f(0.1, 0.45) * w;
        let top = if rng.chance(0.75) { rng.f(-0.2, 0.7) * horizon * h } else { horizon * h };
        let size = h * rng.log(0.03, 0.16);
        let wall = rng.colour((0.0, 0.45), (0.25, 0.95));
        let fill = if rng.chance(0.7) {
            Fill::Windows {
                wall,
                glass: rng.colour((0.1, 0.5), (0.1, 0.6)),
                size: Vec2::new(size, size * rng.f(1.0, 1.8)),
                share: Vec2::new(rng.f(0.35, 0.9), rng.f(0.4, 0.85)),
                lit: if rng.chance(0.15) { 0.3 } else { 0.0 },
                seed: rng.seed(),
            }
        } else {
            Fill::draw(rng, size)
        };
        canvas.rect(x, top, x + wide, h * (horizon + 0.08), &fill);
        if rng.chance(0.5) {
            let shop = Fill::draw(rng, size * 0.5);
            canvas.rect(x, h * (horizon - 0.16), x + wide * rng.f(0.5, 1.0), h * (horizon + 0.05), &shop);
            let sign = Fill::Text {
                paper: rng.colour((0.2, 1.0), (0.2, 0.9)),
                ink: rng.colour((0.0, 0.9), (0.6, 1.0)),
                line: h * 0.06,
                seed: rng.seed(),
            };
            canvas.rect(x, h * (horizon - 0.22), x + wide * 0.9, h * (horizon - 0.15), &sign);
        }
        x += wide;
    }
    let grey = Vec3::splat(rng.f(0.06, 0.45)) * rng.colour((0.0, 0.1), (0.9, 1.0));
    let road = if rng.chance(0.4) {
        Fill::draw(rng, h * 0.08)
    } else {
        Fill::Noise {
            a: grey * 0.8,
            b: grey * 1.15,
            scale: Vec2::new(9.0, 3.0),
            octaves: 3,
            sharp: 0.4,
            seed: rng.seed(),
        }
    };
    canvas.rect(0.0, h * horizon, w, h, &road);
    if rng.chance(0.3) {
        let stripe = Fill::Solid(Vec3::splat(0.7));
        for i in 0..8 {
            let y = h * (horizon + 0.06 + 0.012 * (i * i) as f32);
            canvas.rect(rng.f(0.0, 0.1) * w, y, w * rng.f(0.6, 1.0), y + 1.5 + i as f32, &stripe);
        }
    }
    for _ in 0..rng.i(0, 6) {
        let base = Vec2::new(rng.f(0.0, w), h * (horizon + rng.f(-0.25, 0.05)));
        let size = h * rng.f(0.06, 0.28);
        let fill = Fill::leaves(rng, h * 0.05);
        for _ in 0..4 {
            let at = base + Vec2::new(rng.normal(), rng.normal() * 0.6) * size * 0.5;
            canvas.ellipse(at, Vec2::new(size, size * rng.f(0.6, 1.0)) * 0.7, 0.0, &fill);
        }
    }
    for _ in 0..rng.i(0, 4) {
        let fill = Fill::Solid(rng.colour((0.0, 0.4), (0.1, 0.8)));
        let x = rng.f(0.0, w);
        canvas.rect(x, h * rng.f(0.0, horizon), x + rng.f(2.0, 9.0), h * (horizon + rng.f(0.02, 0.3)), &fill);
    }
    horizon
}

fn room(rng: &mut Rng, canvas: &mut Canvas) -> f32 {
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    let horizon = rng.f(0.5, 1.05);
    let wall = if rng.chance(0.55) {
        let colour = rng.colour((0.0, 0.35), (0.35, 0.98));
        Fill::Gradient {
            from: colour,
            to: colour * rng.f(0.35, 0.9),
            angle: rng.f(0.0, TAU),
            span: w,
            middle: Vec2::new(w, h) * 0.5,
        }
    } else {
        Fill::draw(rng, h * 0.12)
    };
    canvas.rect(0.0, 0.0, w, h, &wall);
    let floor = Fill::draw(rng, h * 0.1);
    canvas.rect(0.0, h * horizon, w, h, &floor);
    for _ in 0..rng.i(1, 9) {
        let half = Vec2::new(rng.f(0.03, 0.2) * w, rng.f(0.05, 0.3) * h);
        let centre = Vec2::new(rng.f(0.0, w), rng.f(0.1, horizon.min(0.95)) * h);
        let frame = Fill::Solid(rng.colour((0.0, 0.6), (0.05, 0.95)));
        canvas.tilted(centre, half, 0.0, 0.0, &frame);
        let inside = if rng.chance(0.3) {
            Fill::Solid(Vec3::splat(rng.f(0.6, 1.6)))
        } else {
            let detail = half.y * rng.f(0.1, 0.7);
            Fill::draw(rng, detail)
        };
        canvas.tilted(centre, half * rng.f(0.75, 0.96), 0.0, 0.0, &inside);
    }
    for _ in 0..rng.i(0, 7) {
        let half = Vec2::new(rng.f(0.04, 0.22) * w, rng.f(0.05, 0.25) * h);
        let centre = Vec2::new(rng.f(0.0, w), h * horizon.min(1.0) + half.y * rng.f(-0.8, 0.5));
        let fill = Fill::draw(rng, half.y * 0.5);
        canvas.tilted(centre, half, 0.0, half.y * rng.f(0.0, 0.5), &fill);
    }
    horizon.min(0.95)
}

fn nature(rng: &mut Rng, canvas: &mut Canvas) -> f32 {
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    let horizon = rng.f(0.1, 0.7);
    let fill = sky(rng);
    canvas.rect(0.0, 0.0, w, h, &fill);
    for layer in 0..3 {
        let fill = Fill::leaves(rng, h * 0.06 * (layer + 1) as f32);
        let base = h * (horizon - 0.12 + 0.06 * layer as f32);
        for _ in 0..rng.i(0, 12) {
            let size = h * rng.f(0.05, 0.3);
            canvas.ellipse(Vec2::new(rng.f(0.0, w), base), Vec2::new(size, size * rng.f(0.5, 1.3)), 0.0, &fill);
        }
    }
    let ground =
        rng.pick(&[rgb(90, 110, 50), rgb(170, 150, 110), rgb(120, 110, 95), rgb(225, 228, 232), rgb(70, 100, 120)]);
    let fill = Fill::Noise {
        a: ground * 0.6,
        b: ground * 1.2,
        scale: Vec2::new(rng.f(6.0, 40.0), rng.f(3.0, 12.0)),
        octaves: 3,
        sharp: 0.4,
        seed: rng.seed(),
    };
    canvas.rect(0.0, h * horizon, w, h, &fill);
    horizon
}

fn collage(rng: &mut Rng, canvas: &mut Canvas) -> f32 {
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    let fill = Fill::draw(rng, h * 0.15);
    canvas.rect(0.0, 0.0, w, h, &fill);
    for _ in 0..rng.i(0, 18) {
        let size = rng.log(0.04, 0.5) * h;
        let fill = Fill::draw(rng, size * 0.3);
        let centre = Vec2::new(rng.f(0.0, w), rng.f(0.0, h));
        if rng.chance(0.5) {
            canvas.ellipse(centre, Vec2::new(size, size * rng.f(0.3, 1.2)), rng.f(0.0, PI), &fill);
        } else {
            canvas.tilted(centre, Vec2::new(size, size * rng.f(0.3, 1.2)), rng.f(0.0, PI), 0.0, &fill);
        }
    }
    rng.f(0.2, 0.8)
}

fn studio(rng: &mut Rng, canvas: &mut Canvas) -> f32 {
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    let from = rng.colour((0.0, 0.6), (0.05, 1.0));
    let fill = Fill::Gradient {
        from,
        to: from * rng.f(0.3, 1.5),
        angle: rng.f(0.0, TAU),
        span: w * rng.f(0.4, 1.5),
        middle: Vec2::new(rng.f(0.0, w), rng.f(0.0, h)),
    };
    canvas.rect(0.0, 0.0, w, h, &fill);
    0.8
}

fn night(rng: &mut Rng, canvas: &mut Canvas) -> f32 {
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    let dark = rng.colour((0.0, 0.6), (0.03, 0.25));
    let fill = Fill::Noise {
        a: dark,
        b: dark * 0.2,
        scale: Vec2::new(w * 0.2, h * 0.2),
        octaves: 3,
        sharp: 0.4,
        seed: rng.seed(),
    };
    canvas.rect(0.0, 0.0, w, h, &fill);
    for _ in 0..rng.i(5, 60) {
        let size = rng.log(1.5, 0.05 * h + 3.0);
        let fill = Fill::Solid(rng.colour((0.0, 0.8), (0.4, 1.0)) * rng.f(0.3, 2.0));
        canvas.ellipse(Vec2::new(rng.f(0.0, w), rng.f(0.0, h)), Vec2::splat(size), 0.0, &fill);
    }
    0.7
}

fn shelves(rng: &mut Rng, canvas: &mut Canvas) -> f32 {
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    let back = Fill::draw(rng, h * 0.2);
    canvas.rect(0.0, 0.0, w, h, &back);
    let board = Fill::Solid(rng.colour((0.1, 0.6), (0.2, 0.9)));
    let step = h * rng.f(0.1, 0.35);
    let mut y = rng.f(0.2, 1.0) * step;
    while y < h + step {
        let mut x = rng.f(-10.0, 10.0);
        let like = rng.chance(0.5).then(|| (rng.f(0.15, 0.5) * step, linear_skin(rng), rng.i(0, 2)));
        while x < w {
            let (size, colour, kind) =
                like.unwrap_or_else(|| (rng.f(0.12, 0.48) * step, rng.colour((0.0, 0.9), (0.1, 1.0)), rng.i(0, 2)));
            let tall = size * rng.f(0.8, 1.6);
            let centre = Vec2::new(x + size, y - tall.min(step * 0.5));
            let fill =
                Fill::Gradient { from: colour * 1.2, to: colour * 0.3, angle: 0.4, span: size * 2.0, middle: centre };
            match kind {
                0 => canvas.ellipse(centre, Vec2::new(size, tall), 0.0, &fill),
                1 => canvas.tilted(centre, Vec2::new(size * 0.8, tall), 0.0, size * 0.2, &fill),
                _ => {
                    canvas.tilted(centre, Vec2::new(size * mix(0.2, 0.5, cell(x as i32, 1, 3)), tall), 0.0, 0.0, &fill)
                }
            }
            if rng.chance(0.4) {
                let label = Fill::draw(rng, size * 0.4);
                canvas.tilted(centre, Vec2::new(size * 0.6, tall * 0.35), 0.0, 1.0, &label);
            }
            x += size * rng.f(1.6, 3.0);
        }
        canvas.rect(0.0, y, w, y + step * 0.07 + 1.0, &board);
        y += step;
    }
    0.9
}
