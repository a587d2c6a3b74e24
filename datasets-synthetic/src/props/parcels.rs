//! Parcels: cardboard boxes, padded envelopes, paper and plastic bags. One unit is a metre; the origin is on the ground.
//! Knows nothing of where they lie.

use glam::{Mat3, Vec3};

use super::surface::{Kind, Surface};
use crate::body::Builder;
use crate::math::{Rng, noise, rgb};
use crate::raster::Group;

/// Adds one parcel.
pub(crate) fn add(builder: &mut Builder<'_>, rng: &mut Rng, turn: Mat3) {
    let board = match rng.weighted(&[0.7, 0.15, 0.15]) {
        0 => rgb(186, 146, 100) * rng.f(0.55, 1.25),
        1 => Vec3::splat(rng.f(0.6, 0.9)),
        _ => rng.colour((0.2, 0.8), (0.2, 0.8)),
    };
    let tape =
        rng.pick(&[rgb(200, 170, 120), rgb(120, 85, 50), rgb(225, 225, 220), rgb(40, 60, 110), rgb(190, 40, 40)]);
    let ink = rng.pick(&[Vec3::splat(0.01), rgb(40, 50, 90), rgb(60, 40, 25), rgb(150, 30, 30)]);
    match rng.weighted(&[0.68, 0.18, 0.14]) {
        0 => {
            let half = Vec3::new(rng.log(0.09, 0.36), rng.log(0.05, 0.26), rng.log(0.07, 0.28));
            let material = Surface::of(Kind::Carton(half.x, half.y, half.z), [board, tape, ink], 0.1, rng);
            let part = builder.part(material, Group::Prop);
            builder.block(part, turn * Vec3::Y * half.y, turn, half);
            if rng.chance(0.12) {
                // A flap that has come open.
                let flap = turn * Vec3::new(0.0, half.y * 2.0, half.z) + turn * Vec3::new(0.0, 0.25, 0.3) * half.z;
                builder.block(
                    part,
                    flap,
                    turn * Mat3::from_rotation_x(-0.7),
                    Vec3::new(half.x * 0.98, 0.004, 0.42 * half.z),
                );
            }
        }
        1 => {
            // Padded: leaning, or flat on the ground.
            let (wide, tall) = (rng.f(0.11, 0.2), rng.f(0.13, 0.26));
            let paper = [board, tape, ink];
            let material = Surface::of(Kind::Board(wide, tall), paper, 0.4, rng);
            let part = builder.part(material, Group::Prop);
            let lean = rng.pick(&[-1.45, -0.35, -0.3]);
            let frame = turn * Mat3::from_rotation_x(lean);
            let (seed, lift) = (rng.seed(), tall * (lean + std::f32::consts::FRAC_PI_2).sin().abs() + 0.02);
            builder.sheet(part, (9, 9), |u, v| {
                let puff = 0.035 * (1.0 - u.powi(4)) * (1.0 - v.powi(4)) + 0.01 * noise(u * 3.0, v * 3.0, seed);
                let local = Vec3::new(u * wide, -v * tall, puff);
                (turn * Vec3::Y * lift + frame * local, local)
            });
        }
        _ => {
            // A bag with its top rolled or open.
            let half = Vec3::new(rng.f(0.12, 0.2), rng.f(0.15, 0.24), rng.f(0.07, 0.12));
            let material = Surface::of(Kind::Board(half.x, half.y), [board, ink, ink], 0.3, rng);
            let part = builder.part(material, Group::Prop);
            let seed = rng.seed();
            let flat = |y: f32, a: f32, b: f32| {
                let bulge = 1.0 + 0.08 * noise(y * 20.0, 3.0, seed);
                (turn * Vec3::new(0.0, y, 0.0), half.x * a * bulge, half.z * b)
            };
            builder.tube(
                part,
                24,
                turn * Vec3::X,
                &[
                    flat(half.y * 2.0, 0.98, 0.35),
                    flat(half.y * 1.5, 1.0, 0.8),
                    flat(half.y, 1.05, 1.05),
                    flat(0.02, 0.98, 1.0),
                ],
            );
            if rng.chance(0.5) {
                builder.ring(part, turn * Vec3::new(0.0, half.y * 2.05, 0.0), turn, half.x * 0.45, 0.008);
            }
        }
    }
}
