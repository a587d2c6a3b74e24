//! Hair and beards, as shells over the head's surface and as mantles that hang from it.

use std::f32::consts::TAU;

use glam::Vec3;

use super::{Seat, raised, shell};
use crate::attributes::{Hair, Hat};
use crate::body::Builder;
use crate::head::Face;
use crate::material::Material;
use crate::math::{fall, fractal, mix, noise, smooth};
use crate::person::Look;
use crate::raster::{Group, Sheet};

pub(super) fn hair(builder: &mut Builder<'_>, seat: &Seat, look: &Look, grid: (usize, usize)) {
    let face = &look.face;
    let thickness = look.hair_thickness;
    if matches!(look.hair, Hair::None | Hair::Cropped) || matches!(look.hat, Hat::Hijab | Hat::Turban | Hat::Hood) {
        return;
    }
    let squashed = matches!(look.hat, Hat::Beanie | Hat::Cap | Hat::Helmet | Hat::Brim);
    let (thick, rough) = match look.hair {
        Hair::Curly => (0.09, 0.07),
        Hair::Afro => (0.2, 0.05),
        Hair::Short => (0.045, 0.02),
        _ => (0.05, 0.012),
    };
    let thick = if squashed { 0.02 } else { thick * thickness };
    let fine = if matches!(look.hair, Hair::Afro | Hair::Curly) { 3.0 } else { 1.0 };
    let material = Material::Hair { colour: face.hair, gloss: 0.8 / fine, fine, seed: face.seed };
    let part = builder.part(material.clone(), Group::Hair);
    let seed = face.seed;
    let parting = (seed % 200) as f32 / 1000.0 - 0.1;
    shell(builder, seat, part, face, grid, |longitude, _, p| {
        let fringe = look.fringe * 0.2 * smooth(0.7, 0.3, longitude.abs()) * smooth(0.0, 0.2, p.z);
        let ragged = 0.05 * (noise(longitude * 9.0, p.y * 3.0, seed) - 0.5);
        let edge = face.scalp_depth(p) + fringe + ragged;
        let lumps = rough * (fractal(longitude * 5.0, p.y * 9.0, 2, seed) - 0.5) * 2.0;
        let crown = 1.0 + 0.5 * smooth(0.2, 0.5, p.y);
        let part_line = 1.0 - 0.5 * fall(((p.x - parting) / 0.03).powi(2)) * smooth(0.3, 0.45, p.y);
        raised(p, edge, (thick * crown + lumps) * part_line)
    });
    let length = match look.hair {
        Hair::Bob => 0.35 + 0.15 * thickness,
        Hair::Long => 0.45 + 0.8 * look.hair_length,
        _ => 0.0,
    };
    if length > 0.0 {
        curtain(builder, seat, material, length, thick.max(0.04), seed, look.hat == Hat::Helmet);
    } else if matches!(look.hair, Hair::Bun | Hair::Tail) {
        let part = builder.part(material, Group::Hair);
        let high = (seed % 7) as f32 / 7.0;
        let centre = Vec3::new(0.0, mix(0.05, 0.5, high), mix(-0.47, -0.2, high));
        let segments = builder.segments(0.7, 8, 24);
        builder.ellipsoid(part, seat.place(centre), seat.turn, Vec3::new(0.16, 0.15, 0.14) * thickness, segments);
        if look.hair == Hair::Tail {
            let stations: Vec<_> = (0..6)
                .map(|i| {
                    let t = i as f32 / 5.0;
                    let p = centre + Vec3::new(0.08 * t, 0.05 - 0.9 * t * look.hair_length, -0.18 * (t * (1.6 - t)));
                    (seat.place(p), 0.11 * (1.0 - 0.5 * t), 0.08 * (1.0 - 0.5 * t))
                })
                .collect();
            builder.tube(part, segments / 2 + 4, seat.turn * Vec3::X, &stations);
        }
    }
}

/// Hair that hangs: an open mantle round the sides and the back.
fn curtain(builder: &mut Builder<'_>, seat: &Seat, material: Material, length: f32, thick: f32, seed: u32, low: bool) {
    let part = builder.part(material, Group::Hair);
    let nu = builder.segments(2.4, 14, 56);
    let nv = 9;
    let opening = 0.95 + 0.35 * ((seed >> 4) % 100) as f32 / 100.0;
    let view = builder.view;
    let top = if low { -0.1 } else { 0.22 };
    builder.geometry.grid(part, nu, nv, Sheet::Open, |i, j| {
        let t = j as f32 / (nv - 1) as f32;
        let s = i as f32 / (nu - 1) as f32;
        let longitude = mix(opening, TAU - opening, s);
        let y = mix(top, -length, t);
        let wave = 0.03 * (noise(s * 12.0, t * 3.0, seed) - 0.5);
        let ragged = 0.1 * (noise(s * 25.0, 0.0, seed ^ 2) - 0.5) * t;
        let r = 1.0 + wave * 2.0 + thick * 1.2 + 0.18 * smooth(0.3, 1.0, t) - 0.1 * smooth(0.4, 0.0, t);
        let p = Vec3::new(longitude.sin() * 0.335 * r, y + ragged, longitude.cos() * 0.42 * r - 0.04 * t);
        // Hanging hair follows gravity more than the head's tilt.
        let placed = seat.place(p);
        (view.project(placed), p)
    });
}

pub(super) fn beard(builder: &mut Builder<'_>, seat: &Seat, face: &Face, grid: (usize, usize)) {
    let material = Material::Hair { colour: face.brow, gloss: 0.2, fine: 2.5, seed: face.seed ^ 21 };
    let part = builder.part(material, Group::Head);
    let size = (face.beard - 0.6) * 0.3;
    shell(builder, seat, part, face, grid, |longitude, _, p| {
        let zone = face.beard_zone(p) - 0.45;
        let lumps = 0.02 * (noise(longitude * 14.0, p.y * 20.0, face.seed) - 0.5);
        let mut q = raised(p, zone * 0.2, 0.015 + size * 0.3 * smooth(-0.2, -0.5, p.y) + lumps);
        q.y -= size * smooth(-0.38, -0.5, p.y) * smooth(-0.05, 0.1, p.z);
        q
    });
}
