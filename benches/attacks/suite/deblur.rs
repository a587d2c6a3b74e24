//! The attacker takes what is left for a Gaussian blur and undoes it: Wiener's filter, and the iteration of Richardson
//! (1972) and Lucy (1974). The blur's width is known where there is one, and tried out where there is none.

use image::RgbImage;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

use super::Size;
use super::faces::{Face, SIDE};
use super::hide::{Hiding, STYLES};
use super::matching::{self, Likeness};
use super::report::{Role, Row};
use super::stats;

const N: usize = SIDE as usize;
/// Power of noise over that of the picture, for Wiener: rounding to 8 bits and borders.
const NOISE: f32 = 1e-3;
const STEPS: usize = 20;

#[derive(Clone, Copy, Debug)]
enum Method {
    Wiener,
    RichardsonLucy,
}

/// A picture's luma, 0 to 255.
fn luma(picture: &RgbImage) -> Vec<f32> {
    picture
        .pixels()
        .map(|p| 0.299 * f32::from(p.0[0]) + 0.587 * f32::from(p.0[1]) + 0.114 * f32::from(p.0[2]))
        .collect()
}

pub(crate) fn run(faces: &[Face], size: &Size) -> Vec<Row> {
    let mut rows = Vec::new();
    let originals: Vec<Vec<f32>> = faces.iter().map(|f| luma(&f.picture)).collect();
    let mut average = vec![0.0; N * N];
    originals.iter().for_each(|o| matching::add(&mut average, o));
    average.iter_mut().for_each(|v| *v /= originals.len() as f32);
    let hidings = STYLES.map(Hiding::Volet).into_iter().chain([2.0, 3.0].map(Hiding::Gaussian));
    for (hiding, method) in hidings.flat_map(|h| [(h, Method::Wiener), (h, Method::RichardsonLucy)]) {
        let sigma = if let Hiding::Gaussian(sigma) = hiding { sigma } else { 4.0 };
        let repeats = if hiding.role() == Role::Volet { size.repeats.min(2) } else { 1 };
        let undo = |face: &Face| {
            let hidden = luma(&hiding.whole(&face.picture));
            match method {
                Method::Wiener => wiener(&hidden, sigma),
                Method::RichardsonLucy => richardson_lucy(&hidden, sigma),
            }
        };
        let found: Vec<(usize, Vec<f32>)> =
            (0..repeats).flat_map(|_| faces.iter().map(undo).enumerate().collect::<Vec<_>>()).collect();
        let name = format!("{method:?}");
        let firsts: Vec<Vec<f32>> = found[..faces.len()].iter().map(|(_, f)| f.clone()).collect();
        rows.push(matching::gain(&name, hiding, &firsts, &originals));
        for (measure, quality) in [("PSNR in dB", psnr as fn(&[f32], &[f32]) -> f64), ("SSIM", ssim)] {
            let values: Vec<f64> = found.iter().map(|(t, f)| quality(f, &originals[*t])).collect();
            let floor: Vec<f64> = originals.iter().map(|o| quality(&average, o)).collect();
            let floor = floor.iter().sum::<f64>() / floor.len() as f64;
            // Above the mean face by more than chance?
            let above: Vec<f64> = values.iter().map(|v| v - floor).collect();
            let mut estimate = stats::mean(&values);
            estimate.above_chance = stats::mean(&above).above_chance;
            let role = hiding.role().at_most_shown();
            rows.push(Row::new(&name, hiding.name(), role, measure, estimate, floor));
        }
        let gallery: Vec<_> = originals.iter().map(|o| Likeness::Correlation.prepare(o.clone())).collect();
        let mut random = StdRng::seed_from_u64(2);
        let rank = |(truth, f): &(usize, Vec<f32>)| {
            matching::rank(&Likeness::Correlation.prepare(f.clone()), *truth, &gallery, &mut random)
        };
        let ranks: Vec<usize> = found.iter().map(rank).collect();
        rows.extend(matching::rows(&name, &hiding.name(), hiding, &ranks, faces.len()));
    }
    rows
}

fn psnr(a: &[f32], b: &[f32]) -> f64 {
    let error = a.iter().zip(b).map(|(a, b)| f64::from(a.clamp(0.0, 255.0) - b).powi(2)).sum::<f64>() / a.len() as f64;
    10.0 * (255.0 * 255.0 / error.max(1e-9)).log10()
}

/// Structural similarity (Wang et al. 2004), its mean over windows of 8 x 8 pixels.
fn ssim(a: &[f32], b: &[f32]) -> f64 {
    let (c1, c2) = ((0.01f64 * 255.0).powi(2), (0.03f64 * 255.0).powi(2));
    let mut sum = 0.0;
    let corners = || (0..=N - 8).step_by(4);
    for (y, x) in corners().flat_map(|y| corners().map(move |x| (y, x))) {
        let window = |v: &[f32]| -> Vec<f64> {
            (0..64).map(|i| f64::from(v[(y + i / 8) * N + x + i % 8].clamp(0.0, 255.0))).collect()
        };
        let (a, b) = (window(a), window(b));
        let mean = |v: &[f64]| v.iter().sum::<f64>() / 64.0;
        let (ma, mb) = (mean(&a), mean(&b));
        let product = |p: &[f64], mp: f64, q: &[f64], mq: f64| {
            p.iter().zip(q).map(|(p, q)| (p - mp) * (q - mq)).sum::<f64>() / 63.0
        };
        let (va, vb, vab) = (product(&a, ma, &a, ma), product(&b, mb, &b, mb), product(&a, ma, &b, mb));
        sum += (2.0 * ma * mb + c1) * (2.0 * vab + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
    }
    sum / (corners().count() as f64).powi(2)
}

/// Divides by the blur's spectrum where that says something.
fn wiener(hidden: &[f32], sigma: f32) -> Vec<f32> {
    // Mirrored both ways, so that opposite borders do not meet.
    let wide = 2 * N;
    let mirror = |i: usize| if i < N { i } else { wide - 1 - i };
    let mut field: Vec<Complex<f32>> =
        (0..wide * wide).map(|i| Complex::new(hidden[mirror(i / wide) * N + mirror(i % wide)], 0.0)).collect();
    transform(&mut field, wide, false);
    let response = |k: usize| {
        let f = k.min(wide - k) as f32 / wide as f32;
        (-2.0 * (std::f32::consts::PI * sigma * f).powi(2)).exp()
    };
    for (i, v) in field.iter_mut().enumerate() {
        let h = response(i / wide) * response(i % wide);
        *v *= h / (h * h + NOISE) * (1.0 + NOISE);
    }
    transform(&mut field, wide, true);
    (0..N * N).map(|i| field[i / N * wide + i % N].re / (wide * wide) as f32).collect()
}

fn transform(field: &mut [Complex<f32>], side: usize, back: bool) {
    let mut planner = FftPlanner::new();
    let fft = if back { planner.plan_fft_inverse(side) } else { planner.plan_fft_forward(side) };
    // Rows, then columns: the second turn puts rows where they were.
    for _ in 0..2 {
        field.chunks_exact_mut(side).for_each(|row| fft.process(row));
        for y in 0..side {
            (0..y).for_each(|x| field.swap(y * side + x, x * side + y));
        }
    }
}

fn richardson_lucy(hidden: &[f32], sigma: f32) -> Vec<f32> {
    let mut guess = vec![128.0; N * N];
    for _ in 0..STEPS {
        let again = gaussian(&guess, sigma);
        let ratio: Vec<f32> = hidden.iter().zip(&again).map(|(h, a)| h.max(0.5) / a.max(0.5)).collect();
        guess.iter_mut().zip(gaussian(&ratio, sigma)).for_each(|(g, r)| *g *= r);
    }
    guess
}

/// A Gaussian blur, borders repeated.
fn gaussian(v: &[f32], sigma: f32) -> Vec<f32> {
    let reach = (3.0 * sigma).ceil() as isize;
    let kernel: Vec<f32> = (-reach..=reach).map(|d| (-0.5 * (d as f32 / sigma).powi(2)).exp()).collect();
    let total: f32 = kernel.iter().sum();
    let mut now = v.to_vec();
    for (step, other) in [(1, N), (N, 1)] {
        let before = now.clone();
        for (a, b) in (0..N).flat_map(|a| (0..N).map(move |b| (a, b))) {
            let at = |d: isize| before[a * other + (b as isize + d).clamp(0, N as isize - 1) as usize * step];
            now[a * other + b] = (-reach..=reach).zip(&kernel).map(|(d, k)| k * at(d)).sum::<f32>() / total;
        }
    }
    now
}
