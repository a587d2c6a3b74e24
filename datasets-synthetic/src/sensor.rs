//! The sensor and the processing right behind it: colour mosaic, noise, demosaicing, denoising, sharpening.
//! Knows nothing of lenses, tones or files.

use glam::Vec3;

use crate::filter::{box_blur, light_blur};
use crate::math::{Rng, hash};

/// Weights of the three colours in brightness (ITU-R BT.601).
pub(crate) const LUMA: Vec3 = Vec3::new(0.299, 0.587, 0.114);

/// How light becomes numbers.
#[derive(Clone)]
pub(crate) struct Sensor {
    /// Deviation in display space that the counting of photons causes; the same at all levels, for the display's
    /// curve is a square root.
    shot: f32,
    /// Deviation in linear light that the electronics add; it shows in the dark.
    read: f32,
    /// Noise that a whole row shares, as a share of `read`.
    banding: f32,
    /// How much more than green the colours red and blue are amplified.
    gains: (f32, f32),
    mosaic: Option<Mosaic>,
}

/// One colour a pixel, and the way back to three.
#[derive(Clone, Copy)]
struct Mosaic {
    /// Which of the four cells of the pattern the first pixel is.
    phase: (usize, usize),
    /// Whether green is interpolated along edges rather than across.
    along_edges: bool,
}

impl Sensor {
    /// A sensor with so much noise (deviation in display space); `grey` ones have no mosaic.
    pub(crate) fn draw(rng: &mut Rng, noise: f32, mosaic: bool, grey: bool) -> Self {
        let gains = if grey { (1.0, 1.0) } else { (rng.f(1.1, 2.1), rng.f(1.1, 2.2)) };
        let phase = (rng.i(0, 1) as usize, rng.i(0, 1) as usize);
        let along_edges = rng.chance(0.5);
        Self {
            shot: noise,
            read: noise * rng.f(0.02, 0.35),
            banding: if rng.chance(0.2) { rng.f(0.1, 0.6) } else { 0.0 },
            gains,
            mosaic: (mosaic && !grey).then_some(Mosaic { phase, along_edges }),
        }
    }

    /// The same with at most so much noise.
    pub(crate) fn quieter(mut self, most: f32) -> Self {
        let share = (most / self.shot.max(1e-6)).min(1.0);
        self.shot *= share;
        self.read *= share;
        self
    }

    /// Turns light (linear) into what is read out, as light again; `grey` sensors see brightness alone.
    pub(crate) fn read_out(&self, pixels: &mut [Vec3], width: usize, height: usize, seed: u32, grey: bool) {
        if width < 4 || height < 4 {
            return;
        }
        match self.mosaic {
            Some(mosaic) => {
                let raw = self.raw(pixels, width, height, seed, mosaic);
                demosaic(&raw, pixels, width, height, mosaic);
            }
            None => {
                for (at, pixel) in pixels.iter_mut().enumerate() {
                    let row = self.row_noise(at / width, seed);
                    if grey {
                        *pixel = Vec3::splat(self.count(pixel.dot(LUMA), 1.0, hash(at as i32, 77, seed), row));
                    } else {
                        let each = |channel, value, gain| self.count(value, gain, hash(at as i32, channel, seed), row);
                        let (red, blue) = self.gains;
                        *pixel = Vec3::new(each(77, pixel.x, red), each(78, pixel.y, 1.0), each(79, pixel.z, blue));
                    }
                }
            }
        }
    }

    /// One reading: light plus noise in proportion to its square root, plus noise whatever the light.
    fn count(&self, light: f32, gain: f32, bits: u32, row: f32) -> f32 {
        let light = light.max(0.0);
        // d(sqrt l) = dl / (2 sqrt l): a deviation `shot` in display space is this in light.
        let variance = 4.0 * self.shot * self.shot * gain * light + (self.read * gain) * (self.read * gain);
        light + variance.sqrt() * nearly_normal(bits) + row
    }

    fn row_noise(&self, y: usize, seed: u32) -> f32 {
        if self.banding > 0.0 { self.banding * self.read * nearly_normal(hash(y as i32, 5, !seed)) } else { 0.0 }
    }

    /// One reading a pixel, with a border of one that mirrors the pattern.
    fn raw(&self, pixels: &[Vec3], width: usize, height: usize, seed: u32, mosaic: Mosaic) -> Vec<f32> {
        let wide = width + 2;
        let mut raw = vec![0.0; wide * (height + 2)];
        for y in 0..height {
            let row = self.row_noise(y, seed);
            let lower = (y + mosaic.phase.1) % 2 == 1;
            for x in 0..width {
                let right = (x + mosaic.phase.0) % 2 == 1;
                let pixel = pixels[y * width + x];
                let (value, gain) = match (lower, right) {
                    (false, false) => (pixel.x, self.gains.0),
                    (true, true) => (pixel.z, self.gains.1),
                    _ => (pixel.y, 1.0),
                };
                let bits = hash((y * width + x) as i32, 77, seed);
                raw[(y + 1) * wide + x + 1] = self.count(value, gain, bits, row);
            }
        }
        for y in 1..=height {
            raw[y * wide] = raw[y * wide + 2];
            raw[y * wide + width + 1] = raw[y * wide + width - 1];
        }
        raw.copy_within(2 * wide..3 * wide, 0);
        raw.copy_within((height - 1) * wide..height * wide, (height + 1) * wide);
        raw
    }
}

/// Mean 0, deviation 1, from 32 random bits.
fn nearly_normal(bits: u32) -> f32 {
    let [a, b, c, d] = bits.to_le_bytes().map(f32::from);
    (a + b + c + d - 510.0) / 147.8
}

/// Bilinear demosaicing; green along the weaker gradient if asked.
fn demosaic(raw: &[f32], pixels: &mut [Vec3], width: usize, height: usize, mosaic: Mosaic) {
    let wide = width + 2;
    for y in 0..height {
        let lower = (y + mosaic.phase.1) % 2 == 1;
        for x in 0..width {
            let right = (x + mosaic.phase.0) % 2 == 1;
            let at = (y + 1) * wide + x + 1;
            let (left, next, above, below) = (raw[at - 1], raw[at + 1], raw[at - wide], raw[at + wide]);
            let (level, upright) = (0.5 * (left + next), 0.5 * (above + below));
            pixels[y * width + x] = if lower != right {
                // Green has red beside it in the upper row of the pattern, and blue in the lower.
                if lower { Vec3::new(upright, raw[at], level) } else { Vec3::new(level, raw[at], upright) }
            } else {
                let across = (left - next).abs() - (above - below).abs();
                let green = match mosaic.along_edges {
                    true if across < 0.0 => level,
                    true => upright,
                    false => 0.5 * (level + upright),
                };
                let corners =
                    0.25 * (raw[at - wide - 1] + raw[at - wide + 1] + raw[at + wide - 1] + raw[at + wide + 1]);
                if lower { Vec3::new(corners, green, raw[at]) } else { Vec3::new(raw[at], green, corners) }
            };
        }
    }
}

/// What the camera's processor does in display space.
#[derive(Clone)]
pub(crate) struct Finish {
    /// Radius in pixels over which colour, but not brightness, is averaged.
    pub(crate) chroma: usize,
    /// Differences of brightness below this are taken for noise and smoothed away.
    pub(crate) luma: f32,
    /// How much of what a blur takes away is added: edges get halos.
    pub(crate) sharpen: f32,
    /// Passes of that blur.
    pub(crate) halo: usize,
}

impl Finish {
    pub(crate) fn apply(&self, pixels: &mut [Vec3], width: usize, height: usize) {
        if self.chroma == 0 && self.luma <= 0.0 && self.sharpen <= 0.0 {
            return;
        }
        let mut luma: Vec<f32> = pixels.iter().map(|p| p.dot(LUMA)).collect();
        for (pixel, luma) in pixels.iter_mut().zip(&luma) {
            *pixel -= Vec3::splat(*luma);
        }
        if self.chroma > 0 {
            box_blur(pixels, width, height, self.chroma);
        }
        if self.luma > 0.0 {
            luma = sigma_filter(&luma, width, height, self.luma);
        }
        if self.sharpen > 0.0 {
            let mut soft = luma.clone();
            for _ in 0..self.halo.max(1) {
                light_blur(&mut soft, width, height);
            }
            for (luma, soft) in luma.iter_mut().zip(soft) {
                *luma += (*luma - soft) * self.sharpen;
            }
        }
        for (pixel, luma) in pixels.iter_mut().zip(&luma) {
            *pixel += Vec3::splat(*luma);
        }
    }
}

/// Mean of those neighbours that differ by less than `limit`: flat areas become smooth, edges stay.
fn sigma_filter(plane: &[f32], width: usize, height: usize, limit: f32) -> Vec<f32> {
    let mut out = plane.to_vec();
    let steps = [-1, 0, 1].map(|dy: isize| dy * width as isize);
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            let at = y * width + x;
            let here = plane[at];
            let (mut sum, mut count) = (0.0, 0.0);
            for step in steps {
                let middle = at.wrapping_add_signed(step);
                for value in &plane[middle - 1..=middle + 1] {
                    let near = f32::from((value - here).abs() < limit);
                    sum += near * value;
                    count += near;
                }
            }
            out[at] = sum / count;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deviation(values: impl Iterator<Item = f32> + Clone) -> (f32, f32) {
        let count = values.clone().count() as f32;
        let mean = values.clone().sum::<f32>() / count;
        (mean, (values.map(|v| (v - mean) * (v - mean)).sum::<f32>() / count).sqrt())
    }

    #[test]
    fn a_mosaic_keeps_flat_colours_and_their_noise_grows_with_light() {
        let colour = Vec3::new(0.5, 0.3, 0.1);
        let mut before = 0.0;
        for level in [0.05, 0.4, 1.0] {
            let mut rng = Rng::new(4);
            let sensor = Sensor::draw(&mut rng, 0.03, true, false);
            let mut pixels = vec![colour * level; 120 * 80];
            sensor.read_out(&mut pixels, 120, 80, 11, false);
            let (red, _) = deviation(pixels.iter().map(|p| p.x));
            let (blue, _) = deviation(pixels.iter().map(|p| p.z));
            let (green, noise) = deviation(pixels.iter().map(|p| p.y));
            for (found, wanted) in [(red, 0.5 * level), (green, 0.3 * level), (blue, 0.1 * level)] {
                assert!((found - wanted).abs() < 0.05 * wanted + 0.004, "{found} for {wanted}");
            }
            assert!(noise > before, "{noise} after {before}");
            before = noise;
        }
    }

    #[test]
    fn a_mosaic_colours_fine_grey_lines() {
        let mut rng = Rng::new(4);
        let sensor = Sensor::draw(&mut rng, 0.0, true, false);
        let mut pixels: Vec<Vec3> = (0..64 * 64).map(|at| Vec3::splat((at % 2) as f32)).collect();
        sensor.read_out(&mut pixels, 64, 64, 1, false);
        let most = pixels.iter().map(|p| (p.x - p.z).abs()).fold(0.0, f32::max);
        assert!(most > 0.3, "{most}");
    }

    #[test]
    fn sharpening_overshoots_at_edges_only() {
        let finish = Finish { chroma: 0, luma: 0.0, sharpen: 1.5, halo: 1 };
        let mut pixels: Vec<Vec3> = (0..32 * 32).map(|at| Vec3::splat(if at % 32 < 16 { 0.2 } else { 0.7 })).collect();
        finish.apply(&mut pixels, 32, 32);
        let row = &pixels[16 * 32..17 * 32];
        assert!(row[15].x < 0.15 && row[16].x > 0.75, "{row:?}");
        assert!((row[4].x - 0.2).abs() < 1e-3 && (row[28].x - 0.7).abs() < 1e-3, "{row:?}");
    }
}
