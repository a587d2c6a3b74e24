//! The paint of a head of the mesh: skin, lips, lashes, brows, beard and hair on what the mesh shapes; and eyeballs.
//! All in the average head's coordinates, so that paint follows every morph. Knows nothing of a head's true shape.

use glam::{Vec2, Vec3};

use super::head::below_jaw;
use crate::head::{Face, Paint};
use crate::math::{bump, fall, fractal, mix, noise, rgb, smooth};

/// The skin at a point of the average head.
pub(crate) fn skin(face: &Face, p: Vec3) -> Paint {
    let (x, y, z) = (p.x, p.y, p.z);
    let side = x.abs();
    let mottle = noise(x * 22.0 + z * 9.0, y * 22.0 - z * 7.0, face.seed) - 0.5;
    let fine = noise(x * 90.0 + z * 40.0, y * 90.0, face.seed ^ 5) - 0.5;
    let mut colour = face.skin * (1.0 + 0.1 * mottle + 0.07 * fine);
    let (mut occlusion, mut gloss) = (1.0, 1.0);
    let jaw = below_jaw(p);
    face.paint_scalp(p, &mut colour, &mut gloss);
    if jaw < 0.12 {
        face.paint_beard(p, smooth(-0.15, 0.05, z) * smooth(0.12, 0.02, jaw), &mut colour, &mut gloss);
    }
    occlusion -= 0.5 * smooth(-0.03, 0.06, jaw) * smooth(-0.75, -0.4, y) * smooth(-0.2, 0.05, z);
    let front = smooth(0.02, 0.12, z);
    if front <= 0.0 || jaw > 0.1 {
        return Paint { colour, occlusion, gloss };
    }
    let (tip, mouth) = (face.nose_tip, face.mouth_y);
    let red = bump(side - 0.19, 0.09, y + 0.12, 0.08) + 0.8 * bump(x, 0.06, y - tip, 0.05);
    colour *= Vec3::ONE.lerp(Vec3::new(1.06, 0.8, 0.8), (red * face.redness).min(1.0) * front);
    if face.freckles > 0.0 && fractal(x * 45.0, y * 45.0, 2, face.seed ^ 9) > 0.68 {
        let zone = bump(x, 0.24, y + 0.08, 0.1);
        colour *= Vec3::ONE.lerp(Vec3::new(0.75, 0.62, 0.55), zone * face.freckles);
    }
    // Where less of the sky reaches: sockets, beside and under the nose, under the lower lip.
    occlusion -= 0.35 * bump(side - 0.115, 0.07, y - 0.025, 0.035);
    occlusion -= 0.2 * bump(side - 0.055, 0.025, y, 0.05);
    occlusion -= 0.35 * bump(x, 0.06, y + 0.215, 0.018) * smooth(0.52, 0.48, z);
    occlusion -= 0.25 * bump(side - 0.075, 0.02, y + 0.17, 0.03);
    occlusion -= 0.15 * bump(x, 0.06, y + 0.375, 0.02);
    if face.wrinkles > 0.0 {
        let lines = (y * 150.0 + noise(x * 9.0, y * 3.0, face.seed) * 3.0).sin().max(0.0);
        occlusion -= 0.16 * face.wrinkles * lines * bump(x, 0.17, y - 0.2, 0.06);
        occlusion -= 0.2 * face.wrinkles * bump(side - 0.135, 0.06, y + 0.05, 0.012);
        let crow = (y * 220.0 + side * 40.0).sin().max(0.0) * bump(side - 0.225, 0.03, y, 0.035);
        occlusion -= 0.2 * face.wrinkles * crow;
    }
    lids(face, side, y, front, &mut colour, &mut occlusion);
    face.paint_brow(side, y - 0.004, front, &mut colour, &mut gloss);
    lips(face, x, y - mouth, front, &mut colour, &mut gloss);
    Paint { colour, occlusion: occlusion.max(0.15), gloss }
}

/// Lashes along the lids' edges, the crease above, shadow and liner.
fn lids(face: &Face, side: f32, y: f32, front: f32, colour: &mut Vec3, occlusion: &mut f32) {
    let t = (side - 0.1405) / 0.054;
    if t.abs() > 1.6 || y.abs() > 0.09 {
        return;
    }
    let arc = (1.0 - t * t).max(0.0).powf(0.6);
    let (upper, lower) = (0.0185 * arc, -0.0142 * arc);
    if face.makeup > 0.0 {
        let shade = bump(t, 1.1, y - 0.035, 0.02) * face.makeup * front;
        *colour = colour.lerp(*colour * Vec3::new(0.45, 0.35, 0.4), shade);
    }
    let ends = smooth(1.15, 0.9, t.abs()) * front;
    // Skin between the edges is the lids' inner side.
    let within = smooth(lower - 0.002, lower + 0.002, y) * smooth(upper + 0.002, upper - 0.002, y) * ends;
    *colour = colour.lerp(*colour * Vec3::new(0.85, 0.55, 0.52), within * 0.8);
    let lash = fall(((y - upper - 0.001) / 0.0055).powi(2)) * ends;
    *colour = colour.lerp(face.brow * 0.25, lash * (0.72 + 0.28 * face.makeup));
    let rim = fall(((y - lower + 0.001) / 0.004).powi(2)) * ends;
    *colour = colour.lerp(*colour * Vec3::new(0.55, 0.42, 0.42), rim * (0.6 + 0.4 * face.makeup));
    *occlusion -= 0.2 * fall(((y - upper - 0.02) / 0.006).powi(2)) * ends;
}

/// The red of the lips; `y` from the line between them.
fn lips(face: &Face, x: f32, y: f32, front: f32, colour: &mut Vec3, gloss: &mut f32) {
    let t = x / face.mouth_width;
    if t.abs() > 1.15 || y.abs() > 0.09 {
        return;
    }
    let arc = (1.0 - t * t).max(0.0);
    let bow = 1.0 - 0.14 * bump(x, 0.012, 0.0, 1.0);
    let (upper, lower) = (0.041 * arc.powf(0.62) * bow, -0.056 * arc.powf(0.6));
    let cover = smooth(upper + 0.004, upper - 0.005, y) * smooth(lower - 0.005, lower + 0.006, y);
    let cover = cover * smooth(1.04, 0.93, t.abs()) * front;
    let lines = 0.9 + 0.2 * noise(x * 160.0, y * 12.0, face.seed ^ 23);
    *colour = colour.lerp(face.lips * lines, cover);
    *gloss = mix(*gloss, 1.5, cover);
    let line = fall((y / 0.005).powi(2)) * smooth(1.1, 0.95, t.abs()) * front;
    *colour = colour.lerp(*colour * Vec3::new(0.35, 0.22, 0.22), line);
}

/// An eyeball at a point given from its centre in radii; z looks ahead.
pub(crate) fn eye(iris: Vec3, gaze: Vec2, seed: u32, p: Vec3) -> Paint {
    let p = p.normalize_or(Vec3::Z);
    let (dx, dy) = (p.x - 0.3 * gaze.x, p.y - 0.14 * gaze.y);
    let radius = (dx * dx + dy * dy).sqrt();
    let veins = noise(p.x * 14.0, p.y * 14.0, seed ^ 31);
    let corner = smooth(0.35, 0.85, p.x.abs());
    let mut colour =
        rgb(214, 205, 198) * Vec3::new(1.0, 1.0 - 0.12 * veins - 0.25 * corner, 1.0 - 0.12 * veins - 0.25 * corner);
    if radius < 0.4 && p.z > 0.0 {
        let rays = 0.75 + 0.5 * noise(dy.atan2(dx) * 9.0, radius * 6.0, seed);
        colour = iris * rays * mix(1.0, 0.45, smooth(0.3, 0.4, radius));
        if radius < 0.16 {
            colour = Vec3::splat(0.004);
        }
    }
    if bump(dx - 0.12, 0.08, dy - 0.13, 0.08) > 0.5 && p.z > 0.0 {
        colour = Vec3::splat(0.85);
    }
    // The upper lid and its lashes shade the ball.
    let occlusion = 0.9 - 0.5 * smooth(0.0, 0.3, p.y) - 0.25 * corner;
    Paint { colour, occlusion, gloss: 0.4 }
}
