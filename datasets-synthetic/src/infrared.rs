//! How near infrared light changes the look of surfaces: dyes and most pigments vanish in it.
//! Knows materials; knows nothing of cameras.

use glam::Vec3;

use crate::head::{Face, Paint};
use crate::material::Material;
use crate::math::{cell, mix};
use crate::sensor::LUMA;

/// Turns a surface's looks in visible light at `local` into those at 850 nm, as grey.
pub(crate) fn repaint(material: &Material, local: Vec3, paint: &mut Paint) {
    let luma = paint.colour.dot(LUMA).max(0.0);
    let value = match material {
        Material::Face(face) => {
            paint.gloss *= 0.5;
            // Blood lies deep and bright in infrared: folds and sockets show less.
            paint.occlusion = mix(1.0, paint.occlusion, 0.75);
            eye(face, local).unwrap_or_else(|| skin(face.skin, luma))
        }
        Material::Skin { colour, .. } => {
            paint.gloss *= 0.5;
            skin(*colour, luma)
        }
        // Melanin absorbs far less than in visible light.
        Material::Hair { colour, .. } => {
            let base = colour.dot(LUMA).max(0.004);
            (0.16 + 0.3 * base.sqrt()) * (luma / base).clamp(0.3, 2.0).sqrt()
        }
        Material::Cloth(cloth) => {
            let own = mix(0.22, 0.75, cell(cloth.seed as i32, 3, 71));
            // One cloth in five keeps its pattern: carbon black and metal do not fade.
            let keeps = if cell(cloth.seed as i32, 4, 71) < 0.2 { 0.8 } else { 0.15 };
            own * mix(1.0, luma.sqrt() / 0.45, keeps).clamp(0.12, 1.5)
        }
        Material::Eye { .. } => mix(0.04, 0.12, luma.sqrt()),
        Material::Surface(surface) => mix(mix(0.1, 0.7, cell(surface.seed as i32, 5, 71)), luma.sqrt(), 0.5),
        // The inner material has painted already; what is left to do is to lose its colour.
        Material::Toned { .. } => luma,
        Material::Thing { seed, .. } => mix(mix(0.1, 0.7, cell(*seed as i32, 5, 71)), luma.sqrt(), 0.5),
    };
    paint.colour = Vec3::splat(value);
}

/// Skin of all tones is bright and even; what is painted on it (lips, brows, stubble) pales.
fn skin(own: Vec3, luma: f32) -> f32 {
    let base = own.dot(LUMA).max(0.01);
    mix(0.5, 0.64, base.sqrt()) * (luma / base).clamp(0.02, 2.0).powf(0.38)
}

/// Eyeballs are dark, and pupils send the illuminator's light straight back.
fn eye(face: &Face, p: Vec3) -> Option<f32> {
    let dx = p.x.abs() - face.eye_apart;
    let t = dx / (0.066 * face.eye_size);
    let open = face.eyes_open * face.eye_size;
    if p.z < 0.05 || t.abs() >= 1.0 || open < 0.15 {
        return None;
    }
    let curve = (1.0 - t * t).powf(0.7);
    let y = p.y + 0.02 * (face.eye_size - 1.0).max(0.0);
    if y > 0.031 * open * curve || y < -0.016 * open.min(1.0) * curve {
        return None;
    }
    let ix = dx * p.x.signum() - face.gaze.x * 0.022;
    let iy = y - 0.004 - face.gaze.y * 0.01;
    let radius = (ix * ix + iy * iy).sqrt();
    // How much comes back depends on where the eye looks.
    let back = (1.0 - face.gaze.length()).clamp(0.1, 1.0) * mix(0.4, 2.5, cell(face.seed as i32, 6, 71));
    Some(if radius < 0.016 { back } else { mix(0.1, 0.24, (radius / 0.05).min(1.0)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::skin_tone;
    use crate::math::Rng;

    #[test]
    fn skins_of_all_tones_look_alike_and_lips_pale() {
        let mut rng = Rng::new(1);
        let [dark, pale] = [0.02, 0.98].map(|tone| skin_tone(&mut rng, tone));
        let value = |colour: Vec3, painted: Vec3| {
            let mut paint = Paint { colour: painted, occlusion: 1.0, gloss: 1.0 };
            repaint(&Material::Skin { colour, shade: 0.0, seed: 0 }, Vec3::ZERO, &mut paint);
            assert!(paint.colour.x == paint.colour.y && paint.colour.y == paint.colour.z);
            paint.colour.x
        };
        assert!(dark.dot(LUMA) < 0.1 * pale.dot(LUMA));
        let (a, b) = (value(dark, dark), value(pale, pale));
        assert!(a > 0.45 && a > 0.75 * b && b < 0.8, "{a} {b}");
        assert!(value(pale, pale * 0.4) > 0.6 * b);
    }

    #[test]
    fn eyes_are_dark_and_pupils_glow() {
        let mut rng = Rng::new(3);
        let mut face = Face::draw(&mut rng, 30.0, 0.0, Vec3::splat(0.4), Vec3::splat(0.05));
        (face.eyes_open, face.gaze, face.eye_size) = (1.0, glam::Vec2::ZERO, 1.0);
        let at = |dx: f32| eye(&face, Vec3::new(face.eye_apart + dx, 0.004, 0.3));
        assert!(at(0.0).unwrap() > at(0.04).unwrap());
        assert!(at(0.04).unwrap() < 0.3);
        assert!(at(0.09).is_none());
        face.eyes_open = 0.05;
        assert!(eye(&face, Vec3::new(face.eye_apart, 0.004, 0.3)).is_none());
    }
}
