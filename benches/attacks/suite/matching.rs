//! The attacker holds the very picture among others, puts each through the same program, and takes the one that
//! comes out most alike. A stronger position than any real one: nothing has to be bridged but the redaction.

use image::RgbImage;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Size;
use super::faces::Face;
use super::hide::{Hiding, STYLES};
use super::report::{Role, Row};
use super::stats;

/// How two pictures are compared.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Likeness {
    /// Normalised correlation: blind to brightness and contrast.
    Correlation,
    /// Euclidean distance: sees colours.
    Distance,
}

impl Likeness {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Correlation => "correlation",
            Self::Distance => "distance",
        }
    }

    /// A vector of which the squared distance to others is what is compared.
    pub(crate) fn prepare(self, mut v: Vec<f32>) -> Vec<f32> {
        if let Self::Correlation = self {
            let mean = v.iter().sum::<f32>() / v.len() as f32;
            v.iter_mut().for_each(|x| *x -= mean);
            let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt();
            // What is flat is like nothing.
            v.iter_mut().for_each(|x| *x = if norm < 1e-3 { 0.0 } else { *x / norm });
        }
        v
    }
}

pub(crate) fn vector(picture: &RgbImage) -> Vec<f32> {
    picture.as_raw().iter().map(|&v| f32::from(v)).collect()
}

pub(crate) fn add(sum: &mut [f32], v: &[f32]) {
    sum.iter_mut().zip(v).for_each(|(s, v)| *s += v);
}

/// The rank, from 1, that `truth` has among the prepared `gallery` by nearness to `probe`. Ties are broken by lot.
pub(crate) fn rank(probe: &[f32], truth: usize, gallery: &[Vec<f32>], random: &mut StdRng) -> usize {
    let distance = |g: &Vec<f32>| probe.iter().zip(g).map(|(p, g)| (p - g) * (p - g)).sum::<f32>();
    let all: Vec<f32> = gallery.iter().map(distance).collect();
    let mine = all[truth];
    let margin = 1e-6 * (1.0 + mine.abs());
    let nearer = all.iter().filter(|&&d| d < mine - margin).count();
    let ties = all.iter().filter(|&&d| (d - mine).abs() <= margin).count();
    1 + nearer + random.random_range(0..ties.max(1))
}

/// Rows of rank 1 and rank 5 for the ranks that an attack gave in a gallery of `of`.
pub(crate) fn rows(attack: &str, against: &str, hiding: Hiding, ranks: &[usize], of: usize) -> Vec<Row> {
    [(1, "rank 1"), (5, "rank 5")]
        .map(|(top, measure)| {
            let chance = top as f64 / of as f64;
            let hits = ranks.iter().filter(|&&r| r <= top).count();
            // Few people have no five that chance could miss: of planted faults rank 1 is demanded.
            let role = if top == 1 { hiding.role() } else { hiding.role().at_most_shown() };
            Row::new(attack, against, role, measure, stats::rate(hits, ranks.len(), chance), chance)
        })
        .into()
}

pub(crate) fn run(faces: &[Face], whose: &str, size: &Size) -> Vec<Row> {
    let correlation = [Hiding::Mosaic(8), Hiding::Mosaic(16), Hiding::Gaussian(3.0), Hiding::Gaussian(6.0)];
    let mut all = Vec::new();
    for hiding in STYLES.map(Hiding::Volet).into_iter().chain(correlation) {
        all.extend(attack(faces, whose, hiding, Likeness::Correlation, size));
    }
    for hiding in STYLES.map(Hiding::Volet).into_iter().chain([Hiding::Mosaic(16), Hiding::RoundedMean]) {
        all.extend(attack(faces, whose, hiding, Likeness::Distance, size));
    }
    all
}

fn attack(faces: &[Face], whose: &str, hiding: Hiding, likeness: Likeness, size: &Size) -> Vec<Row> {
    let mut random = StdRng::seed_from_u64(1);
    // What the program makes of each face on average: the attacker can't know a stream's key.
    let expected = |face: &Face| {
        let mut sum = vec![0.0; vector(&face.picture).len()];
        (0..size.guesses).for_each(|_| add(&mut sum, &vector(&hiding.whole(&face.picture))));
        sum.iter_mut().for_each(|v| *v /= size.guesses as f32);
        likeness.prepare(sum)
    };
    let gallery: Vec<_> = faces.iter().map(expected).collect();
    let mut ranks = Vec::new();
    // Ordinary redactions come out the same each time.
    let repeats = if hiding.role() == Role::Volet { size.repeats } else { 1 };
    for _ in 0..repeats {
        for (truth, face) in faces.iter().enumerate() {
            let probe = likeness.prepare(vector(&hiding.whole(&face.picture)));
            ranks.push(rank(&probe, truth, &gallery, &mut random));
        }
    }
    let name = format!("templates by {}, {whose} ({})", likeness.name(), faces.len());
    let mut rows = rows(&name, &hiding.name(), hiding, &ranks, faces.len());
    if let Hiding::RoundedMean = hiding {
        // Above chance, but at the small size not by enough to be sure: over films it is demanded (`moving`).
        rows.iter_mut().for_each(|row| row.role = row.role.at_most_shown());
    }
    rows
}

/// How much more what was `found` is like its own face than like the others'; in the order of `originals`.
pub(crate) fn gain(attack: &str, hiding: Hiding, found: &[Vec<f32>], originals: &[Vec<f32>]) -> Row {
    let double = |v: &Vec<f32>| v.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>();
    let originals: Vec<Vec<f64>> = originals.iter().map(double).collect();
    let gain = |(truth, f): (usize, &Vec<f32>)| {
        let f = double(f);
        let like: Vec<f64> = originals.iter().map(|o| stats::correlation(&f, o)).collect();
        like[truth] - (like.iter().sum::<f64>() - like[truth]) / (like.len() - 1) as f64
    };
    let gains: Vec<f64> = found.iter().enumerate().map(gain).collect();
    Row::new(attack, hiding.name(), hiding.role(), "correlation beyond strangers'", stats::mean(&gains), 0.0)
}
