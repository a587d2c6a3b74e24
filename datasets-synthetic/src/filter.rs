//! Blurring and scaling of pictures held as colours in floating point.
//! Knows nothing of cameras or of what is in a picture.

use std::ops::{Add, Mul};

use glam::Vec3;

/// The 1-2-1 kernel in both directions.
pub(crate) fn light_blur<T>(pixels: &mut [T], width: usize, height: usize)
where
    T: Copy + Add<Output = T> + Mul<f32, Output = T>,
{
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

pub(crate) fn smear(pixels: &[Vec3], width: usize, height: usize, (dx, dy): (f32, f32)) -> Vec<Vec3> {
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
