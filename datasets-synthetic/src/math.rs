//! Seeded randomness, lattice noise and small numeric helpers for the renderer.
//! Knows nothing of people, pictures or cameras.

use glam::Vec3;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// The one source of chance: everything drawn from it follows from its seed.
#[derive(Clone)]
pub(crate) struct Rng(Pcg64Mcg);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Pcg64Mcg::seed_from_u64(seed))
    }

    /// An independent stream: what is drawn from it does not shift what its parent draws next.
    pub(crate) fn fork(&mut self) -> Self {
        Self::new(self.0.random::<u64>())
    }

    pub(crate) fn seed(&mut self) -> u32 {
        self.0.random::<u32>()
    }

    pub(crate) fn f(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.0.random::<f32>()
    }

    /// Log-uniform between two positive bounds.
    pub(crate) fn log(&mut self, low: f32, high: f32) -> f32 {
        low * (high / low).powf(self.0.random::<f32>())
    }

    /// Whole number, both ends included.
    pub(crate) fn i(&mut self, low: i32, high: i32) -> i32 {
        self.0.random_range(low..=high.max(low))
    }

    pub(crate) fn chance(&mut self, p: f32) -> bool {
        self.0.random::<f32>() < p
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.random_range(0..of.len())]
    }

    /// Index drawn with the given weights.
    pub(crate) fn weighted(&mut self, weights: &[f32]) -> usize {
        let mut left = self.f(0.0, weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return index;
            }
        }
        weights.len() - 1
    }

    /// Nearly normal, mean 0, deviation 1, never beyond 3.5.
    pub(crate) fn normal(&mut self) -> f32 {
        let sum: f32 = (0..4).map(|_| self.0.random::<f32>()).sum();
        (sum - 2.0) * 1.732
    }

    /// A colour in display (gamma) space with bounded saturation and value, as linear light.
    /// Strong colours are rare, as they are in the world, and reds, browns and blues commoner than the rest.
    pub(crate) fn colour(&mut self, saturation: (f32, f32), value: (f32, f32)) -> Vec3 {
        let h =
            if self.chance(0.55) { self.pick(&[0.0, 0.5, 0.7, 3.6]) + 0.35 * self.normal() } else { self.f(0.0, 6.0) };
        let t = self.f(0.0, 1.0);
        let s = saturation.0 + (saturation.1 - saturation.0) * t * t * 0.9;
        let (h, v) = (h.rem_euclid(6.0), self.f(value.0, value.1));
        linear(hsv(h, s, v))
    }
}

/// Hue in 0..6.
pub(crate) fn hsv(hue: f32, saturation: f32, value: f32) -> Vec3 {
    let channel = |n: f32| {
        let k = (n + hue) % 6.0;
        value - value * saturation * k.min(4.0 - k).clamp(0.0, 1.0)
    };
    Vec3::new(channel(5.0), channel(3.0), channel(1.0))
}

/// Display space to linear light. The whole renderer uses gamma 2: close to sRGB, and a square root to undo.
pub(crate) fn linear(display: Vec3) -> Vec3 {
    display * display
}

/// Display colour from three bytes, as linear light.
pub(crate) fn rgb(r: u8, g: u8, b: u8) -> Vec3 {
    linear(Vec3::new(f32::from(r), f32::from(g), f32::from(b)) / 255.0)
}

pub(crate) fn smooth(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

pub(crate) fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// exp(-x), for x >= 0, to about 2 %: cheap enough for dozens of bumps per vertex and pixel.
#[inline]
pub(crate) fn fall(x: f32) -> f32 {
    if x > 8.0 {
        return 0.0;
    }
    let t = 1.0 / (1.0 + x * (0.125 + x * (0.0078 + x * 0.00036)));
    let t2 = t * t;
    let t4 = t2 * t2;
    t4 * t4
}

/// A Gaussian bump of unit height.
#[inline]
pub(crate) fn bump(dx: f32, sx: f32, dy: f32, sy: f32) -> f32 {
    let (a, b) = (dx / sx, dy / sy);
    fall(a * a + b * b)
}

#[inline]
pub(crate) fn hash(x: i32, y: i32, seed: u32) -> u32 {
    let mut h = (x as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77) ^ seed;
    h ^= h >> 15;
    h = h.wrapping_mul(0x2C1B_3C6D);
    h ^= h >> 12;
    h = h.wrapping_mul(0x297A_2D39);
    h ^ (h >> 15)
}

/// Uniform in 0..1 for a lattice point.
#[inline]
pub(crate) fn cell(x: i32, y: i32, seed: u32) -> f32 {
    (hash(x, y, seed) >> 8) as f32 / 16_777_216.0
}

/// Largest whole number not above; much faster than the library's where the target has no rounding instruction.
#[inline]
pub(crate) fn floor(x: f32) -> i32 {
    let i = x as i32;
    i.wrapping_sub(i32::from(x < i as f32))
}

/// Smallest whole number not below.
#[inline]
pub(crate) fn ceil(x: f32) -> i32 {
    let i = x as i32;
    i.wrapping_add(i32::from(x > i as f32))
}

/// The part behind the point of [`floor`]: 0..1.
#[inline]
pub(crate) fn fract(x: f32) -> f32 {
    x - floor(x) as f32
}

/// Value noise, 0..1, lattice spacing 1.
#[inline]
pub(crate) fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let (ix, iy) = (floor(x), floor(y));
    let (tx, ty) = (x - ix as f32, y - iy as f32);
    let (tx, ty) = (tx * tx * (3.0 - 2.0 * tx), ty * ty * (3.0 - 2.0 * ty));
    let top = mix(cell(ix, iy, seed), cell(ix.wrapping_add(1), iy, seed), tx);
    let low = mix(cell(ix, iy.wrapping_add(1), seed), cell(ix.wrapping_add(1), iy.wrapping_add(1), seed), tx);
    mix(top, low, ty)
}

/// Several octaves of [`noise`], 0..1.
pub(crate) fn fractal(x: f32, y: f32, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut weight, mut total, mut scale) = (0.0, 0.5, 0.0, 1.0);
    for octave in 0..octaves {
        sum += weight * noise(x * scale, y * scale, seed.wrapping_add(octave * 7919));
        total += weight;
        weight *= 0.5;
        scale *= 2.1;
    }
    sum / total
}
