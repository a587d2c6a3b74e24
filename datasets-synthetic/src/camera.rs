//! What a camera does to light on its way to a file: lens, exposure, sensor, processing, compression.
//! Knows nothing of what is in the picture.

use glam::Vec3;
use image::RgbImage;

use crate::codec::Chain;
use crate::filter::smear;
pub(crate) use crate::filter::{box_blur, resize};
use crate::light::{Light, LightKind};
use crate::math::Rng;
use crate::sensor::{Finish, LUMA, Sensor};

/// Share of cameras that leave a picture nearly as the light was.
const CLEAN: f32 = 0.35;

/// A face whose darkest and brightest parts differ by less than this, of 255, cannot be seen.
const FAINT: u32 = 12;

/// All settings of one camera; the same for every frame of a clip but for the noise.
#[derive(Clone)]
pub(crate) struct Camera {
    exposure: f32,
    balance: Vec3,
    contrast: f32,
    saturation: f32,
    lift: f32,
    vignette: f32,
    glow: f32,
    defocus: usize,
    motion: (f32, f32),
    /// Sides of the sensor as a share of the picture's.
    shrink: f32,
    sensor: Sensor,
    finish: Finish,
    grey: bool,
    chain: Chain,
}

impl Camera {
    /// `smallest` is the height in pixels of the smallest face that must stay visible: blur is kept in proportion.
    /// Exposure follows the background's `mean` in part and what a half-bright surface returns under `light` in part.
    pub(crate) fn draw(rng: &mut Rng, mean: Vec3, light: &Light, smallest: f32) -> Self {
        let kind = light.kind();
        // Automatic exposure that falls for what shines behind leaves faces dark.
        let share = if kind == LightKind::Backlight { rng.f(0.3, 0.8) } else { rng.f(0.1, 0.6) };
        let level = (share * mean.element_sum() / 3.0 + (1.0 - share) * 0.35 * light.level()).clamp(0.02, 1.0);
        let target = if kind == LightKind::Night { rng.f(0.06, 0.3) } else { rng.f(0.14, 0.42) };
        let auto = (target / level).clamp(0.4, 6.0);
        let grey = kind == LightKind::Infrared || rng.chance(0.07);
        // White balance takes most of the light's colour away.
        let neutral = Vec3::ONE.lerp(Vec3::ONE / light.tint(), rng.f(0.2, 0.95));
        let base = Self {
            exposure: auto.powf(rng.f(0.6, 1.0)) * rng.log(0.72, 1.35),
            balance: Vec3::new(1.0 + 0.09 * rng.normal(), 1.0 + 0.03 * rng.normal(), 1.0 + 0.11 * rng.normal())
                .max(Vec3::splat(0.5))
                * (neutral / neutral.y.max(0.1)),
            contrast: rng.f(-0.35, 0.65),
            saturation: if grey { 0.0 } else { rng.f(0.45, 1.3) },
            lift: if rng.chance(0.2) { rng.f(0.0, 0.1) } else { 0.0 },
            vignette: if rng.chance(0.4) { rng.f(0.0, 0.55) } else { 0.0 },
            glow: if rng.chance(0.2) { rng.f(0.05, 0.25) } else { 0.0 },
            defocus: 0,
            motion: (0.0, 0.0),
            shrink: 1.0,
            sensor: Sensor::draw(rng, 0.0, false, grey),
            finish: Finish { chroma: 0, luma: 0.0, sharpen: 0.0, halo: 1 },
            grey,
            chain: Chain::default(),
        };
        let dark = matches!(kind, LightKind::Dusk | LightKind::Night | LightKind::Infrared);
        if rng.chance(if dark { 0.5 * CLEAN } else { CLEAN }) {
            base.clean(rng)
        } else {
            base.spoilt(rng, smallest, if dark { 0.75 } else { 0.35 })
        }
    }

    /// A good camera, or a picture made much smaller since.
    fn clean(mut self, rng: &mut Rng) -> Self {
        let noise = rng.log(0.001, 0.006);
        let mosaic = rng.chance(0.25);
        self.sensor = Sensor::draw(rng, noise, mosaic, self.grey);
        self.finish.sharpen = if rng.chance(0.5) { rng.f(0.1, 0.9) } else { 0.0 };
        self.chain = Chain::clean(rng);
        self
    }

    /// `poor` is the chance of a noisy sensor.
    fn spoilt(mut self, rng: &mut Rng, smallest: f32, poor: f32) -> Self {
        let limit = (smallest / 9.0).clamp(0.35, 6.0);
        // All shrinking together leaves the smallest face this share of its size.
        let least = 1.0 / (0.8 + 0.55 * limit).clamp(1.15, 3.2);
        let poor = rng.chance(poor);
        let noise = if poor { rng.log(0.012, 0.05) } else { rng.log(0.002, 0.016) };
        if rng.chance(0.2) {
            // Slightly out of focus far more often than wholly.
            self.defocus = (rng.f(0.0, 1.0).powi(2) * (limit + 1.2)) as usize;
        }
        if rng.chance(0.12) {
            let (angle, length) = (rng.f(0.0, std::f32::consts::TAU), rng.f(0.5, 1.0) * 1.6 * limit);
            self.motion = (angle.cos() * length, angle.sin() * length);
        }
        if rng.chance(0.3) {
            self.shrink = rng.f(least, 1.0);
        }
        let mosaic = rng.chance(0.6);
        self.sensor = Sensor::draw(rng, noise, mosaic, self.grey);
        self.finish = Finish {
            chroma: if rng.chance(0.5) { rng.i(1, if poor { 5 } else { 2 }) as usize } else { 0 },
            luma: if rng.chance(0.4) { noise * rng.f(1.0, 4.0) } else { 0.0 },
            sharpen: if rng.chance(0.6) { rng.log(0.2, 2.2) } else { 0.0 },
            halo: rng.i(1, 2) as usize,
        };
        self.chain = Chain::draw(rng, (least / self.shrink).min(1.0));
        self
    }

    /// A steadier camera for clips: no smear of the whole picture, modest noise.
    pub(crate) fn steady(mut self) -> Self {
        self.defocus = 0;
        self.motion = (0.0, 0.0);
        self.shrink = self.shrink.max(0.7);
        self.sensor = self.sensor.quieter(0.025);
        self.chain = self.chain.steady();
        self
    }

    /// Develops a picture in linear light.
    pub(crate) fn develop(&self, mut pixels: Vec<Vec3>, width: usize, height: usize, seed: u32) -> RgbImage {
        self.expose(&mut pixels, width, height);
        if self.defocus > 0 {
            box_blur(&mut pixels, width, height, self.defocus);
            box_blur(&mut pixels, width, height, self.defocus);
        }
        if self.motion != (0.0, 0.0) {
            pixels = smear(&pixels, width, height, self.motion);
        }
        if self.shrink < 0.97 {
            let (w, h) = ((width as f32 * self.shrink) as usize, (height as f32 * self.shrink) as usize);
            let (w, h) = (w.max(1), h.max(1));
            let mut small = resize(&pixels, width, height, w, h);
            self.process(&mut small, w, h, seed);
            pixels = resize(&small, w, h, width, height);
        } else {
            self.process(&mut pixels, width, height, seed);
        }
        let mut bytes = Vec::with_capacity(width * height * 3);
        for pixel in &pixels {
            let p = (*pixel * 255.0 + 0.5).clamp(Vec3::ZERO, Vec3::splat(255.0));
            bytes.extend_from_slice(&[p.x as u8, p.y as u8, p.z as u8]);
        }
        let image = RgbImage::from_raw(width as u32, height as u32, bytes).unwrap_or_default();
        let mut image = self.chain.run(image);
        if self.grey {
            // Codecs round each colour by itself.
            for pixel in image.pixels_mut() {
                pixel.0 = [pixel.0[1]; 3];
            }
        }
        image
    }

    fn expose(&self, pixels: &mut [Vec3], width: usize, height: usize) {
        let (cx, cy) = (width as f32 * 0.5, height as f32 * 0.5);
        let far = (cx * cx + cy * cy).recip();
        for y in 0..height {
            for x in 0..width {
                let (dx, dy) = (x as f32 - cx, y as f32 - cy);
                let corner = 1.0 - self.vignette * (dx * dx + dy * dy) * far;
                pixels[y * width + x] *= self.balance * (self.exposure * corner);
            }
        }
        if self.glow > 0.0 {
            let mut halo: Vec<Vec3> = pixels.iter().map(|p| (*p - Vec3::splat(0.7)).max(Vec3::ZERO)).collect();
            let radius = (width / 40).max(1);
            box_blur(&mut halo, width, height, radius);
            box_blur(&mut halo, width, height, radius);
            for (pixel, halo) in pixels.iter_mut().zip(halo) {
                *pixel += halo * (self.glow * 4.0);
            }
        }
    }

    /// From light on the sensor to display colours.
    fn process(&self, pixels: &mut [Vec3], width: usize, height: usize, seed: u32) {
        self.sensor.read_out(pixels, width, height, seed, self.grey);
        for pixel in pixels.iter_mut() {
            *pixel = self.tone(*pixel);
        }
        self.finish.apply(pixels, width, height);
    }

    fn tone(&self, light: Vec3) -> Vec3 {
        // Highlights roll off rather than clip.
        let soft = light / (Vec3::ONE + (light - Vec3::splat(0.6)).max(Vec3::ZERO) * 0.6);
        let p = soft.max(Vec3::ZERO).min(Vec3::splat(1.3));
        let p = Vec3::new(p.x.sqrt(), p.y.sqrt(), p.z.sqrt());
        let curved = p.lerp(p * p * (Vec3::splat(3.0) - 2.0 * p), self.contrast);
        let luma = curved.dot(LUMA);
        Vec3::splat(luma).lerp(curved, self.saturation) * (1.0 - self.lift) + Vec3::splat(self.lift)
    }
}

/// Whether next to nothing can be told apart in a face's box (x, y, width, height): too dark, too bright, lost in fog.
/// Its corners are left out: a black head before a bright window is still black.
pub(crate) fn drowned(image: &RgbImage, [x, y, w, h]: [f32; 4]) -> bool {
    let [x, y, w, h] = [x + 0.17 * w, y + 0.12 * h, 0.66 * w, 0.76 * h];
    let (x0, x1) = (x as u32, ((x + w) as u32).min(image.width()));
    let (y0, y1) = (y as u32, ((y + h) as u32).min(image.height()));
    let (mut low, mut high) = (255, 0);
    // Means over cells of several pixels, for noise alone is not something to see.
    let cells = if w.min(h) < 18.0 { 3 } else { 6 };
    let cell = (((y1.saturating_sub(y0)) / cells).max(2), ((x1.saturating_sub(x0)) / cells).max(2));
    for top in (y0..y1).step_by(cell.0 as usize) {
        for left in (x0..x1).step_by(cell.1 as usize) {
            let (mut sum, mut count) = (0, 0);
            for row in top..(top + cell.0).min(y1) {
                for column in left..(left + cell.1).min(x1) {
                    let [r, g, b] = image.get_pixel(column, row).0.map(u32::from);
                    sum += 3 * r + 6 * g + b;
                    count += 10;
                }
            }
            (low, high) = (low.min(sum / count.max(1)), high.max(sum / count.max(1)));
        }
    }
    high < low + FAINT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_in_the_dark_is_nothing_to_see_and_a_pale_patch_is() {
        let mut image = RgbImage::from_fn(60, 60, |x, y| {
            let noise = (crate::math::hash(x as i32, y as i32, 3) % 16) as u8;
            image::Rgb([noise; 3])
        });
        assert!(drowned(&image, [5.0, 5.0, 50.0, 50.0]));
        for x in 20..34 {
            for y in 20..34 {
                image.put_pixel(x, y, image::Rgb([50; 3]));
            }
        }
        assert!(!drowned(&image, [5.0, 5.0, 50.0, 50.0]));
        assert!(drowned(&image, [100.0, 100.0, 10.0, 10.0]));
        assert!(drowned(&image, [40.0, 40.0, 8.0, 9.0]), "a small face in noise");
        // A silhouette: bright at the corners only.
        for (x, y) in [(5, 5), (50, 5), (5, 50), (50, 50)] {
            for (dx, dy) in (0..25).map(|i| (i % 5, i / 5)) {
                image.put_pixel(x + dx, y + dy, image::Rgb([250; 3]));
            }
        }
        for x in 20..34 {
            for y in 20..34 {
                image.put_pixel(x, y, image::Rgb([8; 3]));
            }
        }
        assert!(drowned(&image, [5.0, 5.0, 50.0, 50.0]));
    }
}
