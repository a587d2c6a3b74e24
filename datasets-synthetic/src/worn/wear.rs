//! What is worn on a head: masks, veils and scarves, glasses, hats.

use std::f32::consts::{PI, TAU};
use std::sync::Arc;

use glam::Vec3;

use super::{Seat, raised, shell};
use crate::attributes::{Cover, Glasses, Hat};
use crate::body::{Builder, body_frame};
use crate::material::{Cloth, Material, Pattern};
use crate::math::{fall, mix, noise, smooth};
use crate::person::{Look, Person, SMALLEST_FRAMES};
use crate::raster::{Group, Sheet};

pub(super) fn cover(builder: &mut Builder<'_>, seat: &Seat, person: &Person, grid: (usize, usize)) {
    let look = &person.look;
    let face = &look.face;
    let frame = body_frame(person);
    let cloth = Material::Cloth(look.cover_cloth.clone());
    if look.cover == Cover::Scarf {
        let mut cloth = look.top.clone();
        std::mem::swap(&mut cloth.colour, &mut cloth.second);
        cloth.folds = 1.0;
        let part = builder.part(Material::Cloth(cloth), Group::Head);
        let high = if look.cover_low { -0.42 } else { -0.2 };
        let around = builder.segments(1.2, 12, 36);
        let stations = [(high, 0.34), (-0.4, 0.42), (-0.55, 0.46), (-0.72, 0.48), (-0.8, 0.42)];
        let stations: Vec<_> = stations
            .iter()
            .map(|&(y, r)| {
                let rest = Vec3::new(0.0, y, 0.02);
                (seat.place(rest).lerp(frame * rest, smooth(-0.3, -0.7, y)), r * 0.95, r * 1.03)
            })
            .collect();
        builder.tube(part, around, frame * Vec3::X, &stations);
        return;
    }
    if look.cover == Cover::None {
        return;
    }
    let veil = look.cover == Cover::Veil;
    let part = builder.part(cloth, Group::Head);
    let mut base = face.clone();
    base.nose_width *= 2.2;
    base.nose_length *= 1.08;
    base.lip = 0.0;
    base.map = face.map.as_ref().map(|map| Arc::new(map.draped()));
    base.mouth_open *= 0.5;
    let lowered = if look.cover_low { 0.13 } else { 0.0 };
    let cup = if look.cover == Cover::Cup { 0.07 } else { 0.0 };
    let top = face.nose_tip + 0.1 - lowered;
    // The cloth's own shape of a head of the mesh stands out more than its skin does.
    let hide = if face.map.is_some() { Vec3::new(0.8, 1.0, 0.8) } else { Vec3::ONE };
    shell(builder, seat, part, &base, grid, |longitude, latitude, p| {
        let upper = top - 0.22 * smooth(0.02, 0.25, p.x.abs()) * 0.35 - p.y;
        let reach = if veil { 1.6 } else { 0.98 - 0.25 * smooth(-0.25, -0.1, p.y) + 0.2 * smooth(-0.3, -0.1, p.y) };
        let sideways = (reach - longitude.abs()) * 0.35;
        let depth = upper.min(sideways).min(p.z * 0.8 + 0.02);
        let bulge = cup * fall((p.x / 0.14).powi(2) + ((p.y + 0.24) / 0.13).powi(2));
        // Hidden under the true skin, raised over the smoothed one.
        let hidden = raised(face.rest(longitude, latitude).0, -1.0, 0.0) * hide;
        let mut q = hidden.lerp(raised(p, 1.0, 0.022 + bulge), smooth(-0.015, 0.03, depth));
        if veil {
            q.y -= 0.3 * smooth(-0.35, -0.5, p.y);
            q.z += 0.05 * smooth(-0.3, -0.5, p.y);
        }
        q
    });
    if veil || builder.view.unit < 30.0 {
        return;
    }
    let colour = look.cover_cloth.colour * 0.9;
    let strap = Material::Cloth(Cloth { colour, pattern: Pattern::Plain, ..look.cover_cloth.clone() });
    let part = builder.part(strap, Group::Head);
    for side in [-1.0, 1.0] {
        for (from, to) in [(-0.11, 0.03), (-0.33, -0.1)] {
            let stations: Vec<_> = (0..5)
                .map(|i| {
                    let t = i as f32 / 4.0;
                    let longitude = mix(0.85, 1.6, t);
                    let y = mix(from - lowered * 0.5, to, t);
                    let skin = face.surface(side * longitude, (y * 2.0_f32).clamp(-0.98, 0.98).asin());
                    (seat.place(skin * Vec3::new(1.04, 1.0, 1.03)), 0.009, 0.009)
                })
                .collect();
            builder.tube(part, 4, seat.turn * Vec3::Y, &stations);
        }
    }
}

pub(super) fn glasses(builder: &mut Builder<'_>, seat: &Seat, look: &Look) {
    let face = &look.face;
    let thing = |colour: Vec3, gloss: f32| Material::Thing {
        colour,
        second: colour,
        pattern: Pattern::Plain,
        scale: 1.0,
        gloss,
        seed: 1,
    };
    let round = 2.0 + (face.seed % 5) as f32 * 0.6;
    let half_width = 0.082 + 0.02 * ((face.seed >> 8) % 10) as f32 / 10.0;
    let half_height = half_width * (0.6 + 0.4 * ((face.seed >> 12) % 10) as f32 / 10.0);
    let bridge = face.surface(0.0, 0.05).z;
    let front = |x: f32, y: f32| Vec3::new(x, y, bridge + 0.02 - 1.0 * x * x);
    let rim_at = |side: f32, angle: f32, scale: f32| {
        let (sin, cos) = angle.sin_cos();
        let r = scale * (cos.abs().powf(round) + sin.abs().powf(round)).powf(-1.0 / round);
        front(side * 0.128 + cos * r * half_width, -0.012 + sin * r * half_height)
    };
    let goggles = look.glasses == Glasses::Goggles;
    let view = builder.view;
    if look.glasses != Glasses::Clear {
        let part = builder.part(thing(look.frame * 0.5 + Vec3::splat(0.004), 3.0), Group::Head);
        for side in [-1.0, 1.0] {
            let scale = if goggles { 1.4 } else { 1.0 };
            builder.geometry.grid(part, 18, 4, Sheet::Ring, |i, j| {
                let p = rim_at(side, TAU * i as f32 / 18.0, scale * j as f32 / 3.0 + 0.01);
                (view.project(seat.place(p)), p)
            });
        }
    }
    if view.unit < SMALLEST_FRAMES {
        return;
    }
    let part = builder.part(thing(look.frame, 1.0), Group::Head);
    let thick = 0.006 + 0.008 * ((face.seed >> 16) % 10) as f32 / 10.0;
    for side in [-1.0, 1.0] {
        let ring: Vec<_> =
            (0..=20).map(|i| (seat.place(rim_at(side, TAU * i as f32 / 20.0, 1.0)), thick, thick)).collect();
        builder.tube(part, 4, seat.turn * Vec3::Z, &ring);
        let hinge = front(side * (0.128 + half_width), 0.02);
        let ear = Vec3::new(side * 0.345 * face.width, 0.03, -0.02);
        let corner = Vec3::new(side * 0.32 * face.width, 0.03, 0.16);
        let temple = [hinge, corner, ear].map(|p| (seat.place(p), thick, thick));
        builder.tube(part, 4, seat.turn * Vec3::Y, &temple);
    }
    let nose = [-0.05, 0.0, 0.05].map(|x| (seat.place(front(x, 0.012)), thick, thick));
    builder.tube(part, 4, seat.turn * Vec3::Y, &nose);
}

pub(super) fn hat(builder: &mut Builder<'_>, seat: &Seat, person: &Person, grid: (usize, usize)) {
    let look = &person.look;
    let face = &look.face;
    let seed = face.seed;
    if look.hat == Hat::None {
        return;
    }
    let part = builder.part(Material::Cloth(look.hat_cloth.clone()), Group::Hair);
    let frame = body_frame(person);
    if matches!(look.hat, Hat::Hood | Hat::Hijab) {
        let (thick, open) = if look.hat == Hat::Hood { (0.12, 1.12) } else { (0.05, 0.98) };
        shell(builder, seat, part, face, grid, |longitude, _, p| {
            let oval = ((p.x / (0.27 * open)).powi(2) + ((p.y + 0.11) / (0.41 * open)).powi(2)).sqrt() - 1.0;
            let depth = if p.z > 0.0 { oval * 0.25 } else { 0.2 };
            let lumps = 0.02 * noise(longitude * 5.0, p.y * 6.0, seed);
            raised(p, depth, thick + lumps)
        });
        let around = builder.segments(1.6, 14, 40);
        let stations = [(-0.28, 0.37), (-0.5, 0.4), (-0.72, 0.52), (-0.95, 0.8), (-1.2, 0.9)];
        let open_front = look.hat == Hat::Hood;
        let stations: Vec<_> = stations
            .iter()
            .take(if open_front { 3 } else { 5 })
            .map(|&(y, r)| {
                let rest = Vec3::new(0.0, y, if open_front { -0.22 } else { -0.02 });
                (seat.place(rest).lerp(frame * rest, smooth(-0.25, -0.7, y)), r * 0.97, r * 0.92)
            })
            .collect();
        builder.tube(part, around, frame * Vec3::X, &stations);
        return;
    }
    let (front, side, back, thick) = match look.hat {
        Hat::Beanie => (0.2, 0.05, -0.08, 0.07),
        Hat::Cap => (0.23, 0.12, 0.02, 0.05),
        Hat::Brim => (0.22, 0.14, 0.06, 0.06),
        Hat::Helmet => (0.22, -0.1, -0.22, 0.13),
        Hat::Turban => (0.2, 0.06, -0.05, 0.14),
        _ => (0.27, 0.12, 0.1, 0.03),
    };
    let band = look.hat == Hat::Band;
    let tall = match look.hat {
        Hat::Brim => 0.12,
        Hat::Beanie => 0.05 + 0.1 * (seed % 3) as f32 / 2.0,
        _ => 0.0,
    };
    shell(builder, seat, part, face, grid, |longitude, _, p| {
        let turned = longitude.abs() / PI;
        let edge = mix(mix(front, side, smooth(0.1, 0.45, turned)), back, smooth(0.5, 0.85, turned));
        let mut depth = p.y - edge;
        if band {
            depth = depth.min(edge + 0.1 - p.y);
        }
        let mut q = raised(p, depth, thick);
        q.y += tall * smooth(0.25, 0.5, p.y);
        q
    });
    let view = builder.view;
    if matches!(look.hat, Hat::Cap | Hat::Brim) {
        let brim = builder.part(Material::Cloth(Cloth { folds: 0.05, ..look.hat_cloth.clone() }), Group::Hair);
        let whole = look.hat == Hat::Brim;
        let (nu, nv) = (if whole { 32 } else { 13 }, 4);
        let wide = if whole { 0.3 + 0.15 * (seed % 5) as f32 / 5.0 } else { 0.3 };
        builder.geometry.grid(brim, nu, nv, if whole { Sheet::Ring } else { Sheet::Open }, |i, j| {
            let t = j as f32 / (nv - 1) as f32;
            let longitude = if whole { TAU * i as f32 / nu as f32 } else { mix(-1.0, 1.0, i as f32 / (nu - 1) as f32) };
            let out = if whole { wide } else { wide * (longitude * 1.35).cos().max(0.05) };
            let r = 1.03 + t * out / 0.38;
            let y = mix(front, back.max(0.1), smooth(0.5, 3.0, longitude.abs().min(TAU - longitude.abs())));
            let p = Vec3::new(longitude.sin() * 0.35 * r, y + 0.02 - 0.07 * t, longitude.cos() * 0.42 * r);
            (view.project(seat.place(p)), p)
        });
    }
}
