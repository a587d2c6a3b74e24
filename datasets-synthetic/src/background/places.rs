//! More places, painted flat: doorsteps, gardens, house fronts, rows of seats, offices, lights out of focus.
//! Each returns where its ground meets the rest, as a share of the height. Knows nothing of people.

use std::f32::consts::TAU;

use glam::{Vec2, Vec3};

use super::{Canvas, sky};
use crate::fill::Fill;
use crate::math::{Rng, mix, rgb};

fn size(canvas: &Canvas) -> (f32, f32) {
    (canvas.width as f32, canvas.height as f32)
}

fn rough(colour: Vec3, scale: f32, rng: &mut Rng) -> Fill {
    let scale = Vec2::new(scale * rng.f(0.6, 2.0), scale * rng.f(0.3, 1.0)).max(Vec2::splat(1.0));
    Fill::Noise { a: colour * 0.78, b: colour * 1.15, scale, octaves: 3, sharp: 0.4, seed: rng.seed() }
}

/// Brick, render, boards or stone.
fn masonry(rng: &mut Rng, h: f32) -> Fill {
    let tone = rng.pick(&[
        rgb(150, 82, 62),
        rgb(176, 120, 92),
        rgb(205, 196, 180),
        rgb(225, 222, 214),
        rgb(120, 116, 112),
        rgb(190, 170, 130),
    ]);
    let tone = tone * rng.f(0.6, 1.2);
    match rng.weighted(&[0.5, 0.3, 0.2]) {
        0 => {
            let tall = h * rng.log(0.012, 0.06);
            let size = Vec2::new(tall * rng.f(2.0, 3.4), tall);
            let mortar = rgb(180, 172, 160) * rng.f(0.4, 1.1);
            Fill::Brick {
                brick: tone,
                mortar,
                size,
                joint: (0.12 * tall).max(0.7),
                shift: 0.5,
                vary: rng.f(0.1, 0.7),
                seed: rng.seed(),
            }
        }
        1 => rough(tone, h * 0.05, rng),
        _ => Fill::Wood {
            a: tone,
            b: tone * 0.6,
            plank: h * rng.f(0.03, 0.09),
            upright: rng.chance(0.3),
            seed: rng.seed(),
        },
    }
}

fn paving(rng: &mut Rng, h: f32) -> Fill {
    let tone =
        rng.pick(&[rgb(150, 148, 143), rgb(178, 165, 145), rgb(110, 108, 106), rgb(150, 110, 90)]) * rng.f(0.5, 1.2);
    if rng.chance(0.5) {
        let tall = h * rng.f(0.02, 0.09);
        let size = Vec2::new(tall * rng.f(1.0, 3.0), tall);
        return Fill::Brick {
            brick: tone,
            mortar: tone * 0.5,
            size,
            joint: (0.06 * tall).max(0.7),
            shift: rng.pick(&[0.0, 0.5]),
            vary: 0.3,
            seed: rng.seed(),
        };
    }
    rough(tone, h * 0.02, rng)
}

/// A window with a frame, panes and, often, curtains to both sides or a blind: light, dark, light.
fn window(canvas: &mut Canvas, centre: Vec2, half: Vec2, style: u32, rng: &mut Rng) {
    let frame = Fill::Solid(if style & 1 == 0 { Vec3::splat(0.75) } else { rgb(90, 62, 42) });
    canvas.tilted(centre, half * 1.1, 0.0, 0.0, &frame);
    let lit = rng.chance(0.12);
    let glass = if lit { rgb(255, 222, 165) * rng.f(0.5, 1.4) } else { Vec3::new(0.03, 0.04, 0.05) * rng.f(0.5, 3.0) };
    let pane = Fill::Gradient {
        from: glass + Vec3::splat(0.12) * rng.f(0.0, 2.0),
        to: glass,
        angle: 1.2,
        span: half.y * 2.0,
        middle: centre,
    };
    canvas.tilted(centre, half, 0.0, 0.0, &pane);
    let cloth = rng.colour((0.0, 0.4), (0.4, 0.95));
    let folds = Fill::Stripes { a: cloth, b: cloth * 0.6, period: (half.x * 0.16).max(2.0), angle: 0.0, duty: 0.55 };
    match style >> 1 & 3 {
        0 => {
            let wide = half.x * rng.f(0.2, 0.42);
            for side in [-1.0, 1.0] {
                canvas.tilted(
                    centre + Vec2::new(side * (half.x - wide), 0.0),
                    Vec2::new(wide, half.y),
                    0.0,
                    0.0,
                    &folds,
                );
            }
        }
        1 => {
            let drop = half.y * rng.f(0.1, 0.9);
            let blind = Fill::Stripes { a: cloth, b: cloth * 0.75, period: 3.0, angle: 0.25 * TAU, duty: 0.7 };
            canvas.tilted(centre - Vec2::new(0.0, half.y - drop), Vec2::new(half.x, drop), 0.0, 0.0, &blind);
        }
        _ => {}
    }
    let bar = (half.x * 0.05).max(0.6);
    canvas.tilted(centre, Vec2::new(bar, half.y), 0.0, 0.0, &frame);
    if style & 8 == 0 {
        canvas.tilted(centre - Vec2::new(0.0, half.y * 0.2), Vec2::new(half.x, bar), 0.0, 0.0, &frame);
    }
    canvas.tilted(
        centre + Vec2::new(0.0, half.y * 1.15),
        Vec2::new(half.x * 1.25, half.y * 0.06 + 0.6),
        0.0,
        0.0,
        &Fill::Solid(Vec3::splat(0.5)),
    );
}

/// What a door's own camera, or one across the street, has before it.
pub(super) fn doorstep(rng: &mut Rng, canvas: &mut Canvas) -> f32 {
    let (w, h) = size(canvas);
    let horizon = rng.f(0.55, 0.85);
    let wall = masonry(rng, h);
    canvas.rect(0.0, 0.0, w, h, &wall);
    let ground = paving(rng, h);
    canvas.rect(0.0, h * horizon, w, h, &ground);
    let tall = h * horizon * rng.f(0.6, 1.0);
    let half = Vec2::new(tall * rng.f(0.2, 0.28), tall * 0.5);
    let centre = Vec2::new(w * rng.f(0.15, 0.85), h * horizon - half.y);
    let paint = rng.colour((0.1, 0.9), (0.1, 0.85));
    canvas.tilted(centre, half * 1.12, 0.0, 0.0, &Fill::Solid(Vec3::splat(rng.f(0.3, 0.85))));
    canvas.tilted(centre, half, 0.0, 0.0, &rough(paint, h * 0.1, rng));
    let (columns, rows) = (rng.i(1, 2), rng.i(1, 3));
    let glazed = rng.chance(0.5);
    for i in 0..columns {
        for j in 0..rows {
            let cell = Vec2::new(half.x / columns as f32, half.y / rows as f32);
            let at = centre - half + Vec2::new(2.0 * i as f32 + 1.0, 2.0 * j as f32 + 1.0) * cell;
            let dark = if glazed && j == 0 { Vec3::splat(0.05) } else { paint * 0.6 };
            let inside =
                Fill::Gradient { from: dark * 1.6, to: dark * 0.6, angle: 0.8, span: cell.y * 2.0, middle: at };
            canvas.tilted(at, cell * 0.72, 0.0, cell.x * 0.1, &inside);
        }
    }
    let brass = Fill::Solid(rgb(210, 175, 95));
    canvas.ellipse(centre + Vec2::new(half.x * 0.82, half.y * 0.05), Vec2::splat(half.x * 0.07), 0.0, &brass);
    canvas.tilted(centre + Vec2::new(0.0, half.y * 0.15), Vec2::new(half.x * 0.25, half.x * 0.05), 0.0, 0.0, &brass);
    canvas.tilted(
        centre + Vec2::new(0.0, half.y * 1.08),
        Vec2::new(half.x * 1.3, h * 0.02),
        0.0,
        0.0,
        &Fill::Solid(Vec3::splat(0.35)),
    );
    let mat = Fill::Crumbs { ground: rgb(90, 65, 45), size: 3.0, seed: rng.seed(), saturation: 0.1 };
    canvas.tilted(centre + Vec2::new(0.0, half.y * 1.2), Vec2::new(half.x * 0.9, h * 0.025), 0.0, 0.0, &mat);
    let style = rng.seed();
    for side in [-1.0, 1.0] {
        if rng.chance(0.6) {
            let at = centre + Vec2::new(side * half.x * rng.f(2.3, 3.5), -half.y * 0.2);
            window(canvas, at, half * Vec2::new(rng.f(0.7, 1.2), 0.45), style, rng);
        }
        if rng.chance(0.4) {
            let lamp = centre + Vec2::new(side * half.x * 1.5, -half.y * 0.5);
            canvas.ellipse(lamp, Vec2::splat(half.x * 0.16), 0.0, &Fill::Solid(Vec3::splat(rng.f(0.5, 2.0))));
        }
    }
    if rng.chance(0.5) {
        foliage_edge(rng, canvas, h * horizon);
    }
    horizon
}

/// Leaves that hang or grow into the picture from a side.
fn foliage_edge(rng: &mut Rng, canvas: &mut Canvas, base: f32) {
    let (w, h) = size(canvas);
    let x = rng.pick(&[0.0, 1.0]) * w;
    for _ in 0..rng.i(2, 6) {
        let fill = Fill::foliage(h * rng.f(0.012, 0.045), None, rng);
        let radius = h * rng.f(0.1, 0.35);
        canvas.ellipse(
            Vec2::new(x + rng.normal() * 0.1 * w, base - h * rng.f(0.0, 0.5)),
            Vec2::new(radius, radius * rng.f(0.6, 1.3)),
            0.0,
            &fill,
        );
    }
}

/// Trees against the sky, hedges, a lawn, a fence, beds of flowers.
pub(super) fn garden(rng: &mut Rng, canvas: &mut Canvas) -> f32 {
    let (w, h) = size(canvas);
    let horizon = rng.f(0.35, 0.75);
    let behind = sky(rng);
    canvas.rect(0.0, 0.0, w, h, &behind);
    if rng.chance(0.75) {
        // A crown through which the sky shows.
        let leaves = Fill::foliage(h * rng.log(0.01, 0.06), Some(rng.f(0.1, 0.5)), rng);
        canvas.over(0.0, 0.0, w, h * horizon, &leaves);
    }
    for _ in 0..rng.i(0, 3) {
        let (x, wide) = (rng.f(0.0, w), h * rng.f(0.015, 0.08));
        let bark = rough(rgb(95, 75, 58) * rng.f(0.4, 1.2), wide * 0.5, rng);
        canvas.rect(x, 0.0, x + wide, h * (horizon + 0.06), &bark);
    }
    match rng.weighted(&[0.35, 0.3, 0.2, 0.15]) {
        0 => {
            let tall = rng.f(0.1, 0.4);
            let hedge = Fill::foliage(h * rng.f(0.01, 0.03), None, rng);
            canvas.rect(0.0, h * (horizon - tall), w, h * (horizon + 0.02), &hedge);
        }
        1 => {
            let tone = rng.pick(&[rgb(140, 105, 70), rgb(170, 165, 155), rgb(90, 70, 52)]);
            let plank = (h * rng.f(0.02, 0.07)).max(2.0);
            let fence = Fill::Wood { a: tone, b: tone * 0.6, plank, upright: true, seed: rng.seed() };
            canvas.rect(0.0, h * (horizon - rng.f(0.12, 0.35)), w, h * horizon, &fence);
        }
        2 => {
            let wall = masonry(rng, h);
            canvas.rect(0.0, h * (horizon - rng.f(0.1, 0.4)), w, h * horizon, &wall);
        }
        _ => {}
    }
    let grass = rng.pick(&[rgb(95, 125, 55), rgb(120, 135, 70), rgb(80, 100, 50), rgb(150, 140, 95)]) * rng.f(0.5, 1.2);
    canvas.rect(0.0, h * horizon, w, h, &rough(grass, h * 0.012, rng));
    if rng.chance(0.5) {
        let (a, b) = (rng.f(0.1, 0.6), rng.f(0.15, 0.5));
        let path = paving(rng, h);
        canvas.rect(w * a, h * horizon, w * (a + b), h, &path);
    }
    for _ in 0..rng.i(0, 5) {
        let bed = Fill::foliage(h * rng.f(0.008, 0.025), None, rng);
        let at = Vec2::new(rng.f(0.0, w), h * rng.f(horizon, 1.0));
        let radii = Vec2::new(h * rng.f(0.1, 0.5), h * rng.f(0.03, 0.12));
        canvas.ellipse(at, radii, 0.0, &bed);
        let petal = Fill::Solid(rng.colour((0.3, 0.9), (0.6, 1.0)));
        for _ in 0..rng.i(0, 40) {
            let p = at + Vec2::new(rng.normal() * 0.4, rng.normal() * 0.4) * radii;
            canvas.ellipse(p, Vec2::splat(h * rng.f(0.003, 0.014)), 0.0, &petal);
        }
    }
    horizon
}

/// House fronts with windows large enough to show curtains.
pub(super) fn houses(rng: &mut Rng, canvas: &mut Canvas) -> f32 {
    let (w, h) = size(canvas);
    let horizon = rng.f(0.5, 0.85);
    let above = sky(rng);
    canvas.rect(0.0, 0.0, w, h, &above);
    let mut x = -rng.f(0.0, 0.3) * w;
    while x < w {
        let wide = w * rng.f(0.25, 0.7);
        let top = h * horizon * rng.f(-0.3, 0.3);
        let wall = masonry(rng, h);
        canvas.rect(x, top, x + wide, h * horizon, &wall);
        let (columns, rows, style) = (rng.i(1, 5), rng.i(1, 4), rng.seed());
        let cell = Vec2::new(wide / columns as f32, (h * horizon - top) / rows as f32);
        let share = Vec2::new(rng.f(0.22, 0.36), rng.f(0.25, 0.36));
        for i in 0..columns {
            for j in 0..rows {
                let at = Vec2::new(x + (i as f32 + 0.5) * cell.x, top + (j as f32 + 0.45) * cell.y);
                window(canvas, at, cell * share, style, rng);
            }
        }
        x += wide + if rng.chance(0.3) { rng.f(0.0, 0.2) * w } else { 0.0 };
    }
    let ground = paving(rng, h);
    canvas.rect(0.0, h * horizon, w, h, &ground);
    let kerb = h * mix(horizon, 1.0, rng.f(0.2, 0.7));
    let road = rough(Vec3::splat(rng.f(0.04, 0.3)), h * 0.012, rng);
    canvas.rect(0.0, kerb, w, h, &road);
    canvas.rect(0.0, kerb, w, kerb + h * 0.012, &Fill::Solid(Vec3::splat(0.45)));
    horizon
}

/// Empty seats, row behind row: halls, stands, buses, lecture rooms.
pub(super) fn seats(rng: &mut Rng, canvas: &mut Canvas) -> f32 {
    let (w, h) = size(canvas);
    let horizon = rng.f(0.1, 0.45);
    let back = Fill::draw(rng, h * 0.1);
    canvas.rect(0.0, 0.0, w, h, &back);
    let floor = rng.colour((0.0, 0.4), (0.1, 0.6));
    canvas.rect(0.0, h * horizon, w, h, &Fill::Solid(floor));
    let tone = rng.colour((0.2, 0.95), (0.15, 0.85));
    let other = rng.chance(0.3).then(|| rng.colour((0.2, 0.95), (0.15, 0.85)));
    let (mut y, round) = (h * horizon, rng.f(0.1, 0.5));
    let (mut scale, growth) = (h * rng.log(0.012, 0.05), rng.f(1.0, 1.16));
    while y < h * 1.1 {
        let step = scale * rng.f(2.0, 2.3);
        let mut x = -rng.f(0.0, 1.0) * step;
        while x < w + step {
            let colour = other.filter(|_| rng.chance(0.25)).unwrap_or(tone) * rng.f(0.85, 1.1);
            let at = Vec2::new(x, y);
            let fill = Fill::Gradient {
                from: colour * 1.25,
                to: colour * 0.35,
                angle: 0.25 * TAU,
                span: scale * 2.6,
                middle: at,
            };
            canvas.tilted(at, Vec2::new(scale * 0.85, scale), 0.0, scale * round, &fill);
            x += step;
        }
        y += scale * 1.7;
        scale *= growth;
    }
    horizon
}

/// An office, a shop or a waiting room: a ceiling with lamps, a back wall, desks and screens.
pub(super) fn office(rng: &mut Rng, canvas: &mut Canvas) -> f32 {
    let (w, h) = size(canvas);
    let (ceiling, horizon) = (rng.f(0.05, 0.3), rng.f(0.5, 0.75));
    let wall = rng.colour((0.0, 0.25), (0.5, 0.95));
    canvas.rect(
        0.0,
        0.0,
        w,
        h,
        &Fill::Gradient {
            from: wall,
            to: wall * rng.f(0.4, 0.9),
            angle: rng.f(0.0, TAU),
            span: w,
            middle: Vec2::new(w, h) * 0.5,
        },
    );
    let tile = Vec2::new(h * rng.f(0.08, 0.2), h * rng.f(0.03, 0.07));
    let grid = Fill::Brick {
        brick: Vec3::splat(0.65),
        mortar: Vec3::splat(0.4),
        size: tile,
        joint: 1.0,
        shift: 0.0,
        vary: 0.05,
        seed: rng.seed(),
    };
    canvas.rect(0.0, 0.0, w, h * ceiling, &grid);
    for _ in 0..rng.i(2, 9) {
        let lamp = Fill::Solid(Vec3::splat(rng.f(1.0, 2.5)));
        let at = Vec2::new(rng.f(0.0, w), h * ceiling * rng.f(0.1, 0.95));
        if rng.chance(0.5) {
            canvas.tilted(at, Vec2::new(h * rng.f(0.03, 0.12), h * 0.012), 0.0, 0.0, &lamp);
        } else {
            canvas.ellipse(at, Vec2::new(h * 0.025, h * 0.014), 0.0, &lamp);
        }
    }
    let style = rng.seed();
    for _ in 0..rng.i(0, 4) {
        let at = Vec2::new(rng.f(0.0, w), h * rng.f(ceiling + 0.1, horizon - 0.12));
        let half = Vec2::new(h * rng.f(0.06, 0.2), h * rng.f(0.06, 0.16));
        window(canvas, at, half, style, rng);
    }
    for _ in 0..rng.i(0, 2) {
        // Books or files, upright, close together.
        let (x, y, wide, tall) =
            (rng.f(0.0, w), h * rng.f(ceiling, horizon - 0.1), h * rng.f(0.2, 0.7), h * rng.f(0.05, 0.1));
        for row in 0..rng.i(1, 4) {
            let base = y + row as f32 * tall * 1.2;
            let mut at = x;
            while at < x + wide {
                let thick = tall * rng.f(0.08, 0.3);
                let spine = Fill::Solid(rng.colour((0.0, 0.8), (0.1, 0.9)));
                canvas.rect(at, base - tall * rng.f(0.7, 1.0), at + thick, base, &spine);
                at += thick;
            }
            canvas.rect(x, base, x + wide, base + tall * 0.12 + 1.0, &Fill::Solid(rgb(120, 90, 62)));
        }
    }
    let floor = Fill::draw(rng, h * 0.08);
    canvas.rect(0.0, h * horizon, w, h, &floor);
    let desk =
        Fill::Wood { a: rgb(190, 160, 120), b: rgb(150, 120, 85), plank: h * 0.2, upright: false, seed: rng.seed() };
    for _ in 0..rng.i(0, 6) {
        let at = Vec2::new(rng.f(0.0, w), h * rng.f(horizon, 0.98));
        let half = Vec2::new(h * rng.f(0.1, 0.3), h * rng.f(0.02, 0.08));
        canvas.tilted(at, half, 0.0, 2.0, &desk);
        if rng.chance(0.7) {
            let screen = at - Vec2::new(half.x * rng.f(-0.5, 0.5), half.y + h * 0.05);
            let side = Vec2::new(h * 0.08, h * 0.05);
            canvas.tilted(screen, side * 1.12, 0.0, 2.0, &Fill::Solid(Vec3::splat(0.02)));
            let shown = Fill::draw(rng, h * 0.03);
            canvas.tilted(screen, side, 0.0, 0.0, &shown);
        }
        if rng.chance(0.5) {
            let chair = Fill::Solid(rng.colour((0.0, 0.6), (0.03, 0.4)));
            canvas.tilted(
                at + Vec2::new(half.x * rng.f(-1.0, 1.0), -half.y),
                Vec2::new(h * 0.045, h * 0.06),
                0.0,
                h * 0.03,
                &chair,
            );
        }
    }
    horizon
}

/// Lights out of focus: large soft discs over the dark, some over a street.
pub(super) fn lights(rng: &mut Rng, canvas: &mut Canvas) -> f32 {
    let (w, h) = size(canvas);
    let horizon = rng.f(0.4, 0.75);
    let dark = rng.colour((0.0, 0.7), (0.05, 0.3));
    canvas.rect(
        0.0,
        0.0,
        w,
        h,
        &Fill::Gradient { from: dark, to: dark * 0.25, angle: 0.25 * TAU, span: h, middle: Vec2::new(0.0, 0.5 * h) },
    );
    if rng.chance(0.6) {
        let size = Vec2::new(h * rng.f(0.03, 0.1), h * rng.f(0.04, 0.12));
        let fill = Fill::Windows {
            wall: dark * 0.6,
            glass: dark * 0.3,
            size,
            share: Vec2::new(0.6, 0.6),
            lit: rng.f(0.1, 0.6),
            seed: rng.seed(),
        };
        canvas.rect(0.0, h * rng.f(0.0, 0.3), w, h * horizon, &fill);
        canvas.blur((h * rng.f(0.0, 0.02)) as usize);
    }
    let radius = h * rng.log(0.008, 0.07);
    let hue = rng.chance(0.5).then(|| rgb(255, 200, 130));
    for _ in 0..rng.i(10, 70) {
        let colour = hue.unwrap_or_else(|| rng.colour((0.1, 1.0), (0.6, 1.0))) * rng.f(0.08, 1.3);
        let at = Vec2::new(rng.f(0.0, w), h * (horizon - 0.5 * rng.f(-0.6, 1.0)));
        canvas.glow(at, radius * rng.f(0.5, 1.4), colour);
    }
    horizon
}
