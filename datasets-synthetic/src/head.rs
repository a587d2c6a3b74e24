//! The head: its shape as a displaced ellipsoid, and the paint of a face in the head's own coordinates.
//! Knows nothing of where the head is, how it is turned or lit.
//!
//! Head coordinates: origin at the middle between chin and crown, height 1; x to the viewer's right when the
//! face looks at the viewer, y up, z out of the face. Eyes lie at y = 0, as artists' canons have it.

use std::sync::Arc;

use glam::{Vec2, Vec3};

use crate::math::{Rng, bump, fall, fractal, mix, noise, rgb, smooth};
use crate::mesh::{self, HeadMap};

/// Highest and lowest y of the region that counts as face: hairline and chin.
pub(crate) const HAIRLINE: f32 = 0.31;

/// How far the face reaches round the head, radians to each side of its middle: to the ears.
pub(crate) const FACE_LONGITUDE: f32 = 1.5;

/// Everything that tells one face from another and one moment of it from the next.
#[derive(Clone, Debug)]
pub(crate) struct Face {
    pub(crate) width: f32,
    pub(crate) jaw: f32,
    pub(crate) chin: f32,
    pub(crate) nose_length: f32,
    pub(crate) nose_width: f32,
    pub(crate) nose_tip: f32,
    pub(crate) brow_ridge: f32,
    pub(crate) eye_apart: f32,
    pub(crate) eye_size: f32,
    pub(crate) lip: f32,
    pub(crate) mouth_width: f32,
    pub(crate) mouth_y: f32,
    pub(crate) cheek: f32,
    pub(crate) hairline: f32,

    pub(crate) skin: Vec3,
    pub(crate) redness: f32,
    pub(crate) freckles: f32,
    pub(crate) wrinkles: f32,
    pub(crate) brow: Vec3,
    pub(crate) brow_weight: f32,
    pub(crate) iris: Vec3,
    pub(crate) lips: Vec3,
    pub(crate) makeup: f32,
    pub(crate) stubble: f32,
    pub(crate) beard: f32,
    pub(crate) moustache: f32,
    pub(crate) hair: Vec3,
    /// How much of the scalp shows hair colour (0: shaven or bald).
    pub(crate) scalp: f32,
    pub(crate) seed: u32,

    /// 0 closed .. 1 wide open.
    pub(crate) eyes_open: f32,
    pub(crate) gaze: Vec2,
    /// -1 sad .. 1 broad smile.
    pub(crate) smile: f32,
    /// 0 closed .. 1 shouting.
    pub(crate) mouth_open: f32,
    pub(crate) brow_raise: f32,

    /// The shape of a head of the mesh; the built-in shape counts for nothing then.
    pub(crate) map: Option<Arc<HeadMap>>,
}

/// What a painted point of skin looks like.
pub(crate) struct Paint {
    pub(crate) colour: Vec3,
    pub(crate) occlusion: f32,
    pub(crate) gloss: f32,
}

/// Skin in linear light, from very dark (0) to very pale (1), as display bytes of well-lit skin.
pub(crate) fn skin_tone(rng: &mut Rng, tone: f32) -> Vec3 {
    const TONES: [[u8; 3]; 8] = [
        [58, 38, 31],
        [84, 56, 42],
        [116, 78, 58],
        [150, 103, 76],
        [186, 136, 104],
        [210, 163, 133],
        [229, 186, 160],
        [241, 209, 190],
    ];
    let at = tone.clamp(0.0, 0.999) * 7.0;
    let [low, high] = [TONES[at as usize], TONES[at as usize + 1]].map(|[r, g, b]| rgb(r, g, b));
    let colour = low.lerp(high, at.fract());
    let warm = rng.normal() * 0.06;
    (colour * Vec3::new(1.0 + warm, 1.0, 1.0 - warm * 1.3) * (1.0 + 0.1 * rng.normal())).max(Vec3::splat(0.004))
}

impl Face {
    /// Draws a face; `age` in years, `male` as a share between two habits of shape, `hair` in linear light.
    pub(crate) fn draw(rng: &mut Rng, age: f32, male: f32, skin: Vec3, hair: Vec3) -> Self {
        let child = 1.0 - smooth(4.0, 17.0, age);
        let old = smooth(40.0, 80.0, age);
        let dark = hair * rng.f(0.3, 0.8);
        let lips = skin * Vec3::new(rng.f(0.75, 1.0), rng.f(0.42, 0.68), rng.f(0.45, 0.75));
        let painted = rng.chance(0.35 * (1.0 - male) * (1.0 - child));
        let bearded = age > 18.0 && male > 0.5 && rng.chance(0.5 * male);
        Self {
            width: 1.0 + 0.06 * rng.normal() + 0.07 * child,
            jaw: (0.16 - 0.12 * male + 0.07 * rng.normal() - 0.05 * child).clamp(-0.1, 0.32),
            chin: (0.6 + 0.5 * male + 0.3 * rng.normal()) * (1.0 - 0.6 * child),
            nose_length: (0.9 + 0.18 * male + 0.16 * rng.normal()) * (1.0 - 0.4 * child),
            nose_width: 1.0 + 0.2 * rng.normal() + 0.1 * child,
            nose_tip: -0.165 + 0.015 * rng.normal() + 0.02 * child,
            brow_ridge: 0.6 + 0.6 * male + 0.3 * rng.normal() - 0.5 * child,
            eye_apart: 0.137 + 0.009 * rng.normal() + 0.01 * child,
            eye_size: 1.0 + 0.12 * rng.normal() + 0.25 * child,
            lip: 1.0 + 0.25 * rng.normal(),
            mouth_width: 0.112 + 0.012 * rng.normal() - 0.015 * child,
            mouth_y: -0.29 + 0.012 * rng.normal(),
            cheek: 0.8 + 0.5 * rng.normal() + 0.8 * child,
            hairline: HAIRLINE + 0.02 * rng.normal() + 0.02 * child + 0.05 * old * male,
            skin,
            redness: rng.f(0.0, 1.0),
            freckles: if rng.chance(0.15) { rng.f(0.2, 0.8) } else { 0.0 },
            wrinkles: old * rng.f(0.4, 1.0),
            brow: dark,
            brow_weight: mix(0.7, 1.15, male) * rng.f(0.7, 1.3) * (1.0 - 0.3 * child),
            iris: rng.pick(&[rgb(60, 40, 25), rgb(45, 28, 18), rgb(90, 70, 40), rgb(80, 105, 125), rgb(80, 100, 75)]),
            lips: if painted { rng.pick(&[rgb(170, 30, 45), rgb(190, 70, 90), rgb(120, 30, 50)]) } else { lips },
            makeup: if painted { rng.f(0.3, 1.0) } else { 0.0 },
            stubble: if age > 17.0 && male > 0.5 { male * rng.f(0.0, 0.7) } else { 0.0 },
            beard: if bearded && rng.chance(0.6) { rng.f(0.4, 1.0) } else { 0.0 },
            moustache: if bearded { rng.f(0.4, 1.0) } else { 0.0 },
            hair,
            scalp: 1.0,
            seed: rng.seed(),
            eyes_open: if rng.chance(0.07) { 0.05 } else { rng.f(0.55, 1.1) },
            gaze: Vec2::new(rng.normal() * 0.4, rng.normal() * 0.25),
            smile: if rng.chance(0.4) { rng.f(0.3, 1.0) } else { rng.f(-0.4, 0.3) },
            mouth_open: if rng.chance(0.25) { rng.f(0.1, 1.0) } else { 0.0 },
            brow_raise: rng.normal() * 0.4,
            map: None,
        }
    }

    /// Where the eyes' height sits: children's eyes lie lower in the head.
    fn eye_y(&self) -> f32 {
        -0.02 * (self.eye_size - 1.0).max(0.0)
    }

    /// Surface point in the direction given by longitude (0 at the face's middle, positive to x) and latitude.
    pub(crate) fn surface(&self, longitude: f32, latitude: f32) -> Vec3 {
        if let Some(map) = &self.map {
            let (rest, shift) = map.at(longitude, latitude);
            return rest + shift;
        }
        let (sin_lat, cos_lat) = latitude.sin_cos();
        let (sin_lon, cos_lon) = longitude.sin_cos();
        let ring = cos_lat.max(0.0).powf(0.75);
        let y = 0.5 * sin_lat;
        let low = smooth(0.0, -0.5, y);
        let mut x = 0.335 * self.width * ring * sin_lon * (1.0 - self.jaw * low);
        let mut z = 0.42 * ring * cos_lon;
        z = z * (1.0 - 0.55 * low) + 0.28 * low;
        let front = smooth(0.02, 0.2, z);
        if front <= 0.0 {
            return Vec3::new(x, y, z);
        }
        let side = x.abs();
        let (ey, tip) = (self.eye_y(), self.nose_tip);
        // The front of a face is flatter than an ellipsoid.
        let mut dz = -0.02 * bump(x, 0.16, y - 0.1, 0.4);
        dz += 0.022 * self.brow_ridge * bump(side - 0.11, 0.1, y - ey - 0.085, 0.035);
        dz -= 0.05 * bump(side - self.eye_apart, 0.07, y - ey - 0.005, 0.05);
        dz += 0.026 * bump(side - self.eye_apart, 0.045, y - ey, 0.032);
        let along = ((0.05 - y) / (0.05 - tip)).clamp(-0.3, 1.0);
        let under = if y < tip { fall(((y - tip) / 0.035).powi(2)) } else { 1.0 };
        let ridge = (0.25 + 0.75 * along).max(0.0) * under * smooth(0.12, 0.03, y);
        let across = (0.035 + 0.022 * along.max(0.0)) * self.nose_width;
        dz += 0.125 * self.nose_length * ridge * fall((x / across).powi(2));
        dz += 0.035 * bump(side - 0.052 * self.nose_width, 0.025, y - tip + 0.005, 0.028);
        let mouth = self.mouth_y;
        dz += 0.022 * bump(x, 0.11, y - mouth, 0.07);
        dz += 0.014 * self.lip * (bump(x, 0.07, y - mouth - 0.018, 0.014) + bump(x, 0.07, y - mouth + 0.024, 0.018));
        dz -= 0.012 * self.lip.min(1.0) * bump(x, 0.09, y - mouth, 0.01);
        dz -= 0.016 * self.lip.min(1.0) * bump(x, 0.08, y - mouth + 0.075, 0.025);
        dz += 0.03 * self.chin * bump(x, 0.085, y + 0.43, 0.05);
        let cheek = bump(side - 0.2, 0.09, y + 0.085, 0.08) * (self.cheek + 0.8 * self.smile.max(0.0));
        dz += 0.018 * cheek;
        x += 0.012 * cheek * x.signum();
        Vec3::new(x, y, z + dz * front)
    }

    /// A surface point where paint has it, and from there to where it is: for the built-in head the same place.
    pub(crate) fn rest(&self, longitude: f32, latitude: f32) -> (Vec3, Vec3) {
        match &self.map {
            Some(map) => map.at(longitude, latitude),
            None => (self.surface(longitude, latitude), Vec3::ZERO),
        }
    }

    /// The skin, and everything painted on it, at a point of the surface.
    pub(crate) fn paint(&self, p: Vec3) -> Paint {
        if self.map.is_some() {
            return mesh::skin(self, p);
        }
        let (x, y, z) = (p.x, p.y, p.z);
        let side = x.abs();
        let mottle = noise(x * 22.0 + z * 9.0, y * 22.0 - z * 7.0, self.seed) - 0.5;
        let fine = noise(x * 90.0 + z * 40.0, y * 90.0, self.seed ^ 5) - 0.5;
        let mut colour = self.skin * (1.0 + 0.10 * mottle + 0.07 * fine);
        let (mut occlusion, mut gloss) = (1.0, 1.0);
        self.paint_scalp(p, &mut colour, &mut gloss);
        self.paint_beard(p, smooth(-0.15, 0.05, z), &mut colour, &mut gloss);
        if z < 0.02 {
            return Paint { colour, occlusion: 1.0 - 0.5 * smooth(-0.25, -0.5, y), gloss };
        }
        let front = smooth(0.02, 0.12, z);
        let (ey, tip, mouth_y) = (self.eye_y(), self.nose_tip, self.mouth_y);
        let apart = self.eye_apart;

        let red = bump(side - 0.19, 0.09, y + 0.12, 0.08) + 0.8 * bump(x, 0.06, y - tip, 0.05);
        colour *= Vec3::ONE.lerp(Vec3::new(1.06, 0.8, 0.8), (red * self.redness).min(1.0) * front);
        if self.freckles > 0.0 && fractal(x * 45.0, y * 45.0, 2, self.seed ^ 9) > 0.68 {
            let zone = bump(x, 0.24, y + 0.08, 0.1);
            colour *= Vec3::ONE.lerp(Vec3::new(0.75, 0.62, 0.55), zone * self.freckles);
        }

        occlusion -= 0.5 * bump(side - apart + 0.015, 0.08, y - ey - 0.018, 0.05);
        occlusion -= 0.2 * bump(side - 0.06, 0.03, y - ey + 0.01, 0.05);
        occlusion -= 0.38 * bump(x, 0.07, y - tip + 0.045, 0.022);
        occlusion -= 0.22 * bump(x, 0.06, y - mouth_y + 0.07, 0.02);
        occlusion -= 0.35 * smooth(-0.42, -0.5, y);
        occlusion -= 0.12 * bump(side - 0.075, 0.03, y - tip, 0.05);
        let nostril = bump(side - 0.032 * self.nose_width, 0.018, y - tip + 0.032, 0.012);
        occlusion -= 0.6 * nostril;

        let fold = (side - 0.075 - (tip - y) * 0.35).abs();
        if y < tip + 0.02 && y > mouth_y - 0.05 {
            let depth = 0.12 + 0.25 * self.wrinkles + 0.25 * self.smile.max(0.0);
            occlusion -= depth * fall((fold / 0.014).powi(2)) * smooth(mouth_y - 0.05, mouth_y + 0.02, y);
        }
        if self.wrinkles > 0.0 {
            let lines = (y * 150.0 + noise(x * 9.0, y * 3.0, self.seed) * 3.0).sin().max(0.0);
            occlusion -= 0.16 * self.wrinkles * lines * bump(x, 0.17, y - 0.2, 0.06);
            occlusion -= 0.25 * self.wrinkles * bump(side - apart, 0.06, y - ey + 0.06, 0.015);
        }

        self.paint_eye(side - apart, y - ey, x.signum(), &mut colour, &mut occlusion, &mut gloss, front);
        self.paint_brow(side, y - ey, front, &mut colour, &mut gloss);
        self.paint_mouth(x, y - mouth_y, front, &mut colour, &mut occlusion, &mut gloss);
        Paint { colour, occlusion: occlusion.max(0.12), gloss }
    }

    /// How far a point lies inside the hair-bearing scalp, in head units; negative on the face.
    pub(crate) fn scalp_depth(&self, p: Vec3) -> f32 {
        let behind = smooth(0.22, -0.05, p.z);
        let temple = smooth(0.12, 0.3, p.x.abs()) * (1.0 - behind);
        let edge = mix(self.hairline - 0.06 * temple, 0.0, smooth(0.3, 0.12, p.z));
        let edge = mix(edge, -0.36, smooth(-0.02, -0.2, p.z));
        p.y - edge
    }

    pub(crate) fn paint_scalp(&self, p: Vec3, colour: &mut Vec3, gloss: &mut f32) {
        if self.scalp <= 0.0 {
            return;
        }
        let ragged = 0.03 * (noise(p.x * 30.0 + p.z * 20.0, p.y * 14.0, self.seed ^ 3) - 0.5);
        let cover = smooth(-0.02, 0.02, self.scalp_depth(p) + ragged) * self.scalp;
        *colour = colour.lerp(self.hair, cover);
        *gloss *= 1.0 - 0.7 * cover;
    }

    pub(crate) fn paint_brow(&self, side: f32, y: f32, front: f32, colour: &mut Vec3, gloss: &mut f32) {
        let along = (side - 0.05) / 0.17;
        if !(-0.1..=1.1).contains(&along) {
            return;
        }
        let arch = 0.075 + 0.02 * self.brow_raise + 0.03 * (1.0 - (along * 2.0 - 1.1).powi(2)) * 0.8;
        let thick = 0.025 * self.brow_weight * (1.0 - 0.55 * along.max(0.0));
        let ends = smooth(-0.08, 0.1, along) * smooth(1.1, 0.8, along);
        let cover = fall(((y - arch) / thick).powi(2)) * ends * front * self.brow_weight.min(1.0);
        *colour = colour.lerp(self.brow, cover * 0.85);
        *gloss *= 1.0 - 0.6 * cover;
    }

    #[allow(clippy::too_many_arguments)]
    fn paint_eye(
        &self,
        dx: f32,
        y: f32,
        sign: f32,
        colour: &mut Vec3,
        occlusion: &mut f32,
        gloss: &mut f32,
        front: f32,
    ) {
        let half = 0.066 * self.eye_size;
        let t = dx / half;
        if t.abs() > 1.7 || y.abs() > 0.09 {
            return;
        }
        let curve = (1.0 - t * t).max(0.0).powf(0.7);
        let open = self.eyes_open * self.eye_size;
        let upper = 0.031 * open * curve;
        let lower = -0.016 * open.min(1.0) * curve;
        if self.makeup > 0.0 {
            let shade = bump(dx, half, y - 0.035, 0.02) * self.makeup * front;
            *colour = colour.lerp(*colour * Vec3::new(0.45, 0.35, 0.4), shade);
        }
        if t.abs() < 1.0 && y < upper && y > lower {
            *occlusion = 1.0 - 0.55 * smooth(upper - 0.014, upper, y) - 0.12;
            let ix = dx * sign - self.gaze.x * 0.022;
            let iy = y - 0.004 - self.gaze.y * 0.01;
            let radius = (ix * ix + iy * iy).sqrt();
            let mut eye = rgb(205, 196, 190) * (1.0 - 0.3 * t * t);
            if radius < 0.026 {
                eye = self.iris * (0.6 + 0.4 * smooth(0.026, 0.012, radius));
                if radius < 0.011 {
                    eye = Vec3::splat(0.004);
                }
            }
            if bump(ix - 0.008, 0.006, iy - 0.008, 0.006) > 0.5 {
                eye = Vec3::splat(0.9);
            }
            *colour = eye;
            *gloss = 1.4;
            return;
        }
        let lash = fall(((y - upper) / 0.010).powi(2)) * smooth(1.12, 0.9, t.abs());
        let strength = 0.75 + 0.25 * self.makeup;
        *colour = colour.lerp(self.brow * 0.3, lash * strength * front);
        let rim = fall(((y - lower) / 0.006).powi(2)) * smooth(1.05, 0.8, t.abs());
        *colour = colour.lerp(*colour * Vec3::new(0.6, 0.45, 0.45), rim * 0.7 * front);
        let crease = fall(((y - upper - 0.018) / 0.006).powi(2)) * smooth(1.2, 0.8, t.abs());
        *occlusion -= 0.25 * crease;
    }

    fn paint_mouth(&self, x: f32, y: f32, front: f32, colour: &mut Vec3, occlusion: &mut f32, gloss: &mut f32) {
        let half = self.mouth_width * (1.0 + 0.22 * self.smile.max(0.0) - 0.15 * self.mouth_open);
        let t = x / half;
        if t.abs() > 1.25 || y.abs() > 0.17 {
            return;
        }
        let y = y - 0.035 * self.smile * (t * t - 0.4);
        let curve = (1.0 - t * t).max(0.0);
        let gap = curve.sqrt() * (0.062 * self.mouth_open + 0.012 * (self.smile - 0.45).max(0.0) * 2.0);
        let bow = 1.0 - 0.35 * bump(x, 0.014, 0.0, 1.0) + 0.2 * bump(x.abs() - 0.025, 0.018, 0.0, 1.0);
        let upper = 0.024 * self.lip * curve.sqrt() * bow;
        let lower = 0.034 * self.lip * curve.sqrt();
        let (top, bottom) = (gap * 0.4, -gap);
        if t.abs() < 1.0 && y < top && y > bottom {
            let teeth = self.smile > 0.2 || self.mouth_open > 0.4;
            let edge = bottom + (top - bottom) * if self.mouth_open > 0.3 { 0.55 } else { 0.1 };
            let tooth = teeth && y > edge && t.abs() < 0.82;
            *colour = if tooth { rgb(200, 188, 170) * (1.0 - 0.6 * t * t) } else { rgb(62, 22, 22) };
            *occlusion = if tooth { 0.75 } else { 0.4 };
            *gloss = 0.5;
            return;
        }
        let cover = if y >= top {
            smooth(top + upper + 0.005, top + upper - 0.005, y)
        } else {
            smooth(bottom - lower - 0.006, bottom - lower + 0.006, y)
        } * smooth(1.05, 0.9, t.abs());
        *colour = colour.lerp(self.lips, cover * front);
        *gloss = mix(*gloss, 1.5, cover);
        let line = fall(((y - (top + bottom) * 0.5).abs() / 0.006).powi(2)) * smooth(1.12, 0.95, t.abs());
        if gap < 0.006 {
            *colour = colour.lerp(*colour * Vec3::new(0.22, 0.14, 0.14), line * front);
        }
        *occlusion -= 0.25 * bump(t.abs() - 1.0, 0.14, y, 0.014);
    }

    /// How much beard grows at a point: 0..1, for paint and for the volume over it.
    pub(crate) fn beard_zone(&self, p: Vec3) -> f32 {
        let side = p.x.abs();
        let mouth = self.mouth_y;
        let cheek_line = mouth + 0.06 + smooth(0.12, 0.3, side) * 0.22;
        let cheeks = smooth(cheek_line, cheek_line - 0.04, p.y) * smooth(-0.12, 0.0, p.z);
        let bare = bump(p.x, 0.1, p.y - mouth - 0.02, 0.045);
        let under_nose = bump(p.x, 0.1, p.y - mouth - 0.055, 0.02);
        (cheeks * (1.0 - bare).max(0.0) * self.beard.ceil()).max(under_nose * self.moustache.ceil())
    }

    pub(crate) fn paint_beard(&self, p: Vec3, front: f32, colour: &mut Vec3, gloss: &mut f32) {
        let mouth = self.mouth_y;
        if p.y > mouth + 0.26 {
            return;
        }
        let strands = 0.7 + 0.6 * noise(p.x * 70.0, p.y * 35.0, self.seed ^ 17);
        let zone = self.beard_zone(p) * self.beard.max(self.moustache);
        let cover = (zone * 1.3 * strands).min(0.95) * front;
        *colour = colour.lerp(self.brow * (0.7 + 0.5 * strands), cover);
        *gloss *= 1.0 - 0.7 * cover;
        if self.stubble > 0.0 {
            let cheeks = smooth(mouth + 0.14, mouth + 0.04, p.y - smooth(0.15, 0.3, p.x.abs()) * 0.1);
            let lip = 1.0 - bump(p.x, 0.1, p.y - mouth, 0.03);
            *colour = colour.lerp(self.brow, 0.33 * self.stubble * cheeks * lip * strands * front);
        }
    }
}
