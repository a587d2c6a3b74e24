//! The attacker averages a film in which a face moves over the grid and light changes: what noise and rounding hid in
//! one frame would come out of many. Where the face lies is known to a fraction of a pixel, from the annotations.

use image::{RgbImage, imageops};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use volet_edge::models::BBox;
use volet_edge::redact::Shape;

use super::Size;
use super::faces::{Face, SIDE};
use super::hide::{Hiding, STYLES};
use super::matching::{self, Likeness, add, vector};
use super::report::Row;

/// The frame in which it moves.
const FRAME: u32 = 96;
/// How bright the light may be, 1 on average.
const LIGHT: std::ops::Range<f32> = 0.8..1.2;

/// One frame: the face somewhere, in some light, hidden; cut out where it was, by whole pixels.
fn frame(face: &Face, stream: &mut super::hide::Stream, random: &mut StdRng) -> Vec<f32> {
    let (x, y) = (random.random_range(0..FRAME - SIDE), random.random_range(0..FRAME - SIDE));
    let light = random.random_range(LIGHT);
    let mut scene = RgbImage::from_pixel(FRAME, FRAME, image::Rgb([120, 120, 120]));
    let mut lit = face.picture.clone();
    lit.iter_mut().for_each(|v| *v = (f32::from(*v) * light) as u8);
    imageops::replace(&mut scene, &lit, i64::from(x), i64::from(y));
    let side = SIDE as f32;
    // A detector's box is never quite the same.
    let by = |random: &mut StdRng| random.random_range(0.0..1.0f32);
    let (dx, dy) = (by(random), by(random));
    let bbox = BBox::new(x as f32 - dx, y as f32 - dy, side + dx + by(random), side + dy + by(random));
    let hidden = stream.hide(&scene, bbox, Shape::Rect);
    vector(&imageops::crop_imm(&hidden, x, y, SIDE, SIDE).to_image())
}

fn average(face: &Face, hiding: Hiding, frames: usize, random: &mut StdRng) -> Vec<f32> {
    let mut stream = hiding.stream();
    let mut sum = vec![0.0; (SIDE * SIDE * 3) as usize];
    (0..frames).for_each(|_| add(&mut sum, &frame(face, &mut stream, random)));
    sum.iter_mut().for_each(|v| *v /= frames as f32);
    sum
}

pub(crate) fn run(faces: &[Face], size: &Size) -> Vec<Row> {
    let mut random = StdRng::seed_from_u64(5);
    let originals: Vec<Vec<f32>> = faces.iter().map(|f| vector(&f.picture)).collect();
    let mut rows = Vec::new();
    for hiding in STYLES.map(Hiding::Volet).into_iter().chain([Hiding::Mosaic(16), Hiding::RoundedMean]) {
        for frames in [1, size.film] {
            // One frame of a mean is attacked in `matching`.
            if matches!((hiding, frames), (Hiding::RoundedMean, 1)) {
                continue;
            }
            let all: Vec<(usize, Vec<f32>)> = (0..size.repeats.min(2))
                .flat_map(|_| 0..faces.len())
                .map(|i| (i, average(&faces[i], hiding, frames, &mut random)))
                .collect();
            for likeness in [Likeness::Correlation, Likeness::Distance] {
                // Of a flat colour there is nothing to correlate, and of cells there is more than their mean.
                if matches!(
                    (hiding, likeness),
                    (Hiding::RoundedMean, Likeness::Correlation) | (Hiding::Mosaic(_), Likeness::Distance)
                ) {
                    continue;
                }
                rows.extend(compare(hiding, likeness, frames, &all, &originals));
            }
        }
    }
    rows
}

/// The attacker compares averages with faces as they are; by distance, their mean colours.
fn compare(
    hiding: Hiding,
    likeness: Likeness,
    frames: usize,
    all: &[(usize, Vec<f32>)],
    originals: &[Vec<f32>],
) -> Vec<Row> {
    let prepare = |v: &Vec<f32>| match likeness {
        Likeness::Correlation => likeness.prepare(v.clone()),
        Likeness::Distance => mean_colour(v),
    };
    let gallery: Vec<_> = originals.iter().map(prepare).collect();
    let mut random = StdRng::seed_from_u64(8);
    let ranks: Vec<usize> = all.iter().map(|(i, v)| matching::rank(&prepare(v), *i, &gallery, &mut random)).collect();
    let compared = if let Likeness::Distance = likeness { "mean colour" } else { "correlation" };
    let name = format!("a moving face, average of {frames}, {compared}");
    let mut rows = matching::rows(&name, &hiding.name(), hiding, &ranks, originals.len());
    if let Likeness::Correlation = likeness {
        let found: Vec<Vec<f32>> = all[..originals.len()].iter().map(|(_, v)| v.clone()).collect();
        rows.push(matching::gain(&name, hiding, &found, originals));
    }
    rows
}

fn mean_colour(v: &[f32]) -> Vec<f32> {
    let mut sum = vec![0.0; 3];
    v.chunks_exact(3).for_each(|p| add(&mut sum, p));
    sum.iter().map(|s| s / (v.len() / 3) as f32).collect()
}
