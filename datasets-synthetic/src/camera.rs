//! What a camera does to light on its way to a file: lens, exposure, sensor, processing, compression.
//! Knows nothing of what is in the picture.

use std::io::Cursor;

use glam::Vec3;
use image::{ImageFormat, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::math::{Rng, hash};

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
    shrink: f32,
    noise: f32,
    coarse: bool,
    sharpen: f32,
    grey: bool,
    qualities: Vec<u8>,
}

impl Camera {
    /// `smallest` is the height in pixels of the smallest face that must stay visible: blur is kept in proportion.
    /// Exposure follows the background's `mean` in part and what a half-bright surface returns under `light` in part.
    pub(crate) fn draw(rng: &mut Rng, mean: Vec3, light: f32, smallest: f32) -> Self {
        let share = rng.f(0.1, 0.6);
        let level = (share * mean.element_sum() / 3.0 + (1.0 - share) * 0.35 * light).clamp(0.02, 1.0);
        let target = rng.f(0.14, 0.42);
        let auto = (target / level).clamp(0.4, 4.0);
        let limit = (smallest / 9.0).clamp(0.35, 6.0);
        let grey = rng.chance(0.09);
        let poor = rng.chance(0.35);
        Self {
            exposure: auto.powf(rng.f(0.6, 1.0)) * rng.log(0.72, 1.35),
            balance: Vec3::new(1.0 + 0.09 * rng.normal(), 1.0 + 0.03 * rng.normal(), 1.0 + 0.11 * rng.normal())
                .max(Vec3::splat(0.5)),
            contrast: rng.f(-0.35, 0.65),
            saturation: if grey { 0.0 } else { rng.f(0.45, 1.3) },
            lift: if rng.chance(0.2) { rng.f(0.0, 0.1) } else { 0.0 },
            vignette: if rng.chance(0.4) { rng.f(0.0, 0.55) } else { 0.0 },
            glow: if rng.chance(0.2) { rng.f(0.05, 0.25) } else { 0.0 },
            defocus: if rng.chance(0.2) { rng.f(0.0, limit + 0.8) as usize } else { 0 },
            motion: if rng.chance(0.12) {
                let (angle, length) = (rng.f(0.0, std::f32::consts::TAU), rng.f(0.5, 1.0) * 1.6 * limit);
                (angle.cos() * length, angle.sin() * length)
            } else {
                (0.0, 0.0)
            },
            shrink: if rng.chance(0.45) { 1.0 / rng.f(1.0, (0.8 + 0.55 * limit).clamp(1.15, 3.2)) } else { 1.0 },
            noise: if poor { rng.log(0.015, 0.055) } else { rng.log(0.002, 0.02) },
            coarse: rng.chance(0.5),
            sharpen: if rng.chance(0.45) { rng.f(0.1, 1.3) } else { 0.0 },
            grey,
            qualities: match rng.weighted(&[0.1, 0.65, 0.25]) {
                0 => vec![],
                1 => vec![rng.f(35.0, 95.0) as u8],
                _ => vec![rng.f(25.0, 90.0) as u8, rng.f(60.0, 95.0) as u8],
            },
        }
    }

    /// A steadier camera for clips: no smear of the whole picture, modest noise.
    pub(crate) fn steady(mut self) -> Self {
        self.defocus = 0;
        self.motion = (0.0, 0.0);
        self.shrink = self.shrink.max(0.7);
        self.noise = self.noise.min(0.025);
        self
    }

    /// Develops a picture in linear light.
    pub(crate) fn develop(&self, mut pixels: Vec<Vec3>, width: usize, height: usize, seed: u32) -> RgbImage {
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
        if self.defocus > 0 {
            box_blur(&mut pixels, width, height, self.defocus);
            box_blur(&mut pixels, width, height, self.defocus);
        }
        if self.motion != (0.0, 0.0) {
            pixels = smear(&pixels, width, height, self.motion);
        }
        for pixel in &mut pixels {
            *pixel = self.tone(*pixel);
        }
        if self.shrink < 0.97 {
            let (w, h) = ((width as f32 * self.shrink) as usize, (height as f32 * self.shrink) as usize);
            let (w, h) = (w.max(1), h.max(1));
            let mut small = resize(&pixels, width, height, w, h);
            self.disturb(&mut small, w, h, seed);
            pixels = resize(&small, w, h, width, height);
        } else {
            self.disturb(&mut pixels, width, height, seed);
        }
        let mut bytes = Vec::with_capacity(width * height * 3);
        for pixel in &pixels {
            let p = (*pixel * 255.0 + 0.5).clamp(Vec3::ZERO, Vec3::splat(255.0));
            bytes.extend_from_slice(&[p.x as u8, p.y as u8, p.z as u8]);
        }
        let mut image = RgbImage::from_raw(width as u32, height as u32, bytes).unwrap_or_default();
        for quality in &self.qualities {
            image = recompress(image, *quality);
        }
        image
    }

    fn tone(&self, light: Vec3) -> Vec3 {
        // Highlights roll off rather than clip.
        let soft = light / (Vec3::ONE + (light - Vec3::splat(0.6)).max(Vec3::ZERO) * 0.6);
        let p = soft.max(Vec3::ZERO).min(Vec3::splat(1.3));
        let p = Vec3::new(p.x.sqrt(), p.y.sqrt(), p.z.sqrt());
        let curved = p.lerp(p * p * (Vec3::splat(3.0) - 2.0 * p), self.contrast);
        let luma = curved.dot(Vec3::new(0.299, 0.587, 0.114));
        Vec3::splat(luma).lerp(curved, self.saturation) * (1.0 - self.lift) + Vec3::splat(self.lift)
    }

    fn disturb(&self, pixels: &mut [Vec3], width: usize, height: usize, seed: u32) {
        let add = |pixels: &mut [Vec3], amount: f32| {
            for (index, pixel) in pixels.iter_mut().enumerate() {
                let bits = hash(index as i32, 77, seed);
                let more = hash(index as i32, 78, seed);
                let byte = |bits: u32, shift: u32| ((bits >> shift) & 255) as f32;
                let triangle = |b: u32| (byte(b, 0) + byte(b, 8) + byte(b, 16) - 382.5) / 128.0;
                let luma = triangle(bits);
                let chroma = if self.grey { 0.0 } else { 1.0 };
                let own = Vec3::new(byte(more, 0) - 127.5, byte(more, 8) - 127.5, byte(more, 16) - 127.5) / 74.0;
                *pixel += (Vec3::splat(luma * 0.8) + own * (0.7 * chroma)) * amount;
            }
        };
        if self.coarse {
            // Noise before the smoothing of demosaicing and denoising: blotches rather than grain.
            add(pixels, self.noise * 1.6);
            light_blur(pixels, width, height);
        } else {
            add(pixels, self.noise);
        }
        if self.sharpen > 0.0 {
            let mut soft = pixels.to_vec();
            light_blur(&mut soft, width, height);
            for (pixel, soft) in pixels.iter_mut().zip(soft) {
                *pixel += (*pixel - soft) * self.sharpen;
            }
        }
    }
}

fn recompress(image: RgbImage, quality: u8) -> RgbImage {
    let (Ok(width), Ok(height)) = (u16::try_from(image.width()), u16::try_from(image.height())) else { return image };
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    // Cameras keep colour at half resolution.
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    if encoder.encode(&image, width, height, ColorType::Rgb).is_err() {
        return image;
    }
    match image::load(Cursor::new(bytes), ImageFormat::Jpeg) {
        Ok(decoded) => decoded.into_rgb8(),
        Err(_) => image,
    }
}

/// The 1-2-1 kernel in both directions.
fn light_blur(pixels: &mut [Vec3], width: usize, height: usize) {
    for row in pixels.chunks_exact_mut(width) {
        let mut before = row[0];
        for x in 0..width {
            let here = row[x];
            row[x] = (before + here * 2.0 + row[(x + 1).min(width - 1)]) * 0.25;
            before = here;
        }
    }
    let mut above = pixels[..width].to_vec();
    for y in 0..height {
        for x in 0..width {
            let here = pixels[y * width + x];
            let below = pixels[(y + 1).min(height - 1) * width + x];
            pixels[y * width + x] = (above[x] + here * 2.0 + below) * 0.25;
            above[x] = here;
        }
    }
}

/// Mean over a square window of `2 radius + 1`, in place.
pub(crate) fn box_blur(pixels: &mut [Vec3], width: usize, height: usize, radius: usize) {
    let radius = radius.min(width.saturating_sub(1)).min(height.saturating_sub(1));
    if radius == 0 {
        return;
    }
    let scale = 1.0 / (2 * radius + 1) as f32;
    let mut line = vec![Vec3::ZERO; width];
    for row in pixels.chunks_exact_mut(width) {
        line.copy_from_slice(row);
        let mut sum = line[0] * radius as f32;
        for value in line.iter().take(radius + 1) {
            sum += *value;
        }
        for x in 0..width {
            row[x] = sum * scale;
            sum += line[(x + radius + 1).min(width - 1)] - line[x.saturating_sub(radius)];
        }
    }
    let source = pixels.to_vec();
    let mut sums: Vec<Vec3> = source[..width].iter().map(|p| *p * radius as f32).collect();
    for y in 0..=radius {
        for x in 0..width {
            sums[x] += source[y * width + x];
        }
    }
    for y in 0..height {
        let enter = (y + radius + 1).min(height - 1) * width;
        let leave = y.saturating_sub(radius) * width;
        for x in 0..width {
            pixels[y * width + x] = sums[x] * scale;
            sums[x] += source[enter + x] - source[leave + x];
        }
    }
}

fn smear(pixels: &[Vec3], width: usize, height: usize, (dx, dy): (f32, f32)) -> Vec<Vec3> {
    let steps = (dx.abs().max(dy.abs()).ceil() as usize).clamp(2, 16);
    let offsets: Vec<(isize, isize)> = (0..steps)
        .map(|i| {
            let t = i as f32 / (steps - 1) as f32 - 0.5;
            ((dx * t).round() as isize, (dy * t).round() as isize)
        })
        .collect();
    let mut out = Vec::with_capacity(pixels.len());
    for y in 0..height as isize {
        for x in 0..width as isize {
            let mut sum = Vec3::ZERO;
            for (ox, oy) in &offsets {
                let (sx, sy) = ((x + ox).clamp(0, width as isize - 1), (y + oy).clamp(0, height as isize - 1));
                sum += pixels[sy as usize * width + sx as usize];
            }
            out.push(sum / steps as f32);
        }
    }
    out
}

/// Bilinear resize, averaging where it shrinks.
pub(crate) fn resize(pixels: &[Vec3], width: usize, height: usize, to_width: usize, to_height: usize) -> Vec<Vec3> {
    let taps = |from: usize, to: usize| -> Vec<(usize, usize, f32)> {
        let scale = from as f32 / to as f32;
        (0..to)
            .map(|i| {
                let at = ((i as f32 + 0.5) * scale - 0.5).clamp(0.0, from as f32 - 1.0);
                let low = at as usize;
                (low, (low + 1).min(from - 1), at - low as f32)
            })
            .collect()
    };
    let source;
    let pixels = if to_width * 10 < width * 7 {
        let mut soft = pixels.to_vec();
        box_blur(&mut soft, width, height, (width / to_width / 2).max(1));
        source = soft;
        &source[..]
    } else {
        pixels
    };
    let (columns, rows) = (taps(width, to_width), taps(height, to_height));
    let mut out = Vec::with_capacity(to_width * to_height);
    for &(y0, y1, ty) in &rows {
        for &(x0, x1, tx) in &columns {
            let top = pixels[y0 * width + x0].lerp(pixels[y0 * width + x1], tx);
            let low = pixels[y1 * width + x0].lerp(pixels[y1 * width + x1], tx);
            out.push(top.lerp(low, ty));
        }
    }
    out
}
