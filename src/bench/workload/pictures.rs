//! Pictures of ten classes: stripes in one of five directions and one of two pairs of colours, at any phase, in noise and
//! before any background. The mean picture of a class is grey, so that no linear model tells them apart.

use rand::{Rng, RngExt};

pub(crate) const SIDE: usize = 32;
pub(crate) const PIXELS: usize = SIDE * SIDE;
pub(crate) const CHANNELS: usize = 3;
pub(crate) const CLASSES: usize = 10;

pub(crate) struct Picture {
    /// Plane by plane.
    pub(crate) pixels: Vec<f32>,
    pub(crate) class: usize,
}

pub(crate) fn normal(random: &mut impl Rng) -> f32 {
    let (u, v) = (1.0 - random.random::<f64>(), random.random::<f64>());
    ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
}

impl Picture {
    pub(crate) fn draw(class: usize, random: &mut impl Rng) -> Self {
        let angle = std::f32::consts::PI * ((class % 5) as f32 + random.random_range(-0.2..0.2)) / 5.0;
        let wave = std::f32::consts::TAU / random.random_range(5.0..8.0);
        let phase = random.random_range(0.0..std::f32::consts::TAU);
        let colours: [f32; 3] = if class < 5 { [1.0, -1.0, 0.0] } else { [0.0, 1.0, -1.0] };
        let contrast = random.random_range(0.5..1.0);
        let (ground, noise) = ([0; 3].map(|_| random.random_range(-0.4_f32..0.4)), 0.4);
        let mut pixels = Vec::with_capacity(CHANNELS * PIXELS);
        for (colour, ground) in colours.into_iter().zip(ground) {
            for i in 0..PIXELS {
                let (x, y) = ((i % SIDE) as f32, (i / SIDE) as f32);
                let stripe = (wave * (x * angle.cos() + y * angle.sin()) + phase).sin();
                pixels.push(ground + colour * contrast * stripe + noise * normal(random));
            }
        }
        Self { pixels, class }
    }

    pub(crate) fn many(count: usize, random: &mut impl Rng) -> Vec<Self> {
        (0..count).map(|i| Self::draw(i % CLASSES, random)).collect()
    }
}
