//! What else could carry a face: the colour that is left, the length of encoded pictures, the box.

use image::{RgbImage, imageops};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use volet_edge::models::BBox;
use volet_edge::redact::Shape;
use volet_edge::sink::SinkOptions;
use volet_edge::source::MediaKind;

use super::faces::{Face, SIDE};
use super::hide::{Hiding, STYLES};
use super::matching;
use super::report::{Role, Row};
use super::residue::{encode, unredacted};
use super::stats;

/// The renderer's skin, in sixths, from the mean colour of what is left: the nearest of the means of the other people.
pub(crate) fn skin(faces: &[Face]) -> Vec<Row> {
    let known: Vec<&Face> = faces.iter().filter(|f| f.skin > 0).collect();
    let of = |hiding: Hiding| {
        let colours: Vec<[f64; 3]> = known.iter().map(|f| mean_colour(&hiding.whole(&f.picture))).collect();
        let mut classes = [([0.0; 3], 0.0f64); 7];
        for (f, colour) in known.iter().zip(&colours) {
            let (sum, count) = &mut classes[usize::from(f.skin)];
            (0..3).for_each(|c| sum[c] += colour[c]);
            *count += 1.0;
        }
        let guess = |f: &Face, colour: &[f64; 3]| {
            let distance = |class: usize| {
                let (mut sum, mut count) = classes[class];
                if usize::from(f.skin) == class {
                    // Without the face in question.
                    (0..3).for_each(|c| sum[c] -= colour[c]);
                    count -= 1.0;
                }
                if count < 1.0 { f64::MAX } else { (0..3).map(|c| (sum[c] / count - colour[c]).powi(2)).sum() }
            };
            (1..7).min_by(|&a, &b| distance(a).total_cmp(&distance(b))).unwrap_or(1)
        };
        let guesses: Vec<usize> = known.iter().zip(&colours).map(|(f, c)| guess(f, c)).collect();
        let hits = known.iter().zip(&guesses).filter(|(f, g)| usize::from(f.skin) == **g).count();
        // What the same guesses would hit if they were dealt out at random.
        let n = known.len() as f64;
        let share = |class: usize| known.iter().filter(|f| usize::from(f.skin) == class).count() as f64 / n;
        let said = |class: usize| guesses.iter().filter(|g| **g == class).count() as f64 / n;
        let chance = (1..7).map(|c| share(c) * said(c)).sum();
        let name = format!("skin in sixths, {} people", known.len());
        // Light of all kinds lies between skin and colour: nothing is demanded of a planted fault.
        let role = hiding.role().at_most_shown();
        Row::new(name, hiding.name(), role, "told rightly", stats::rate(hits, known.len(), chance), chance)
    };
    STYLES.map(Hiding::Volet).into_iter().chain([Hiding::RoundedMean]).map(of).collect()
}

fn mean_colour(picture: &RgbImage) -> [f64; 3] {
    let sum = picture.pixels().fold([0.0; 3], |s, p| std::array::from_fn(|c| s[c] + f64::from(p.0[c])));
    sum.map(|s| s / (picture.width() * picture.height()) as f64)
}

/// Two pictures of each face before one background, with a sensor's noise of their own: if lengths carried
/// something of the face, the two lengths would agree.
pub(crate) fn lengths(faces: &[Face]) -> Vec<Row> {
    let mut rows = Vec::new();
    for kind in [MediaKind::Jpeg, MediaKind::Mp4] {
        let ordinary = [Hiding::Mosaic(8), Hiding::Gaussian(3.0)];
        for hiding in STYLES.map(Hiding::Volet).into_iter().chain(ordinary) {
            let mut random = StdRng::seed_from_u64(6);
            let mut turn =
                || -> Vec<f64> { faces.iter().map(|f| length(f, hiding, kind, &mut random) as f64).collect() };
            let (first, second) = (turn(), turn());
            let name = format!("length of a {} file", kind.extension());
            let agreement = stats::pearson(&first, &second);
            rows.push(Row::new(name, hiding.name(), hiding.role(), "correlation", agreement, 0.0));
        }
    }
    rows
}

fn length(face: &Face, hiding: Hiding, kind: MediaKind, random: &mut StdRng) -> usize {
    let mut stream = hiding.stream();
    let side = SIDE as f32;
    let frames: Vec<RgbImage> = (0..if kind == MediaKind::Mp4 { 3 } else { 1 })
        .map(|i| {
            let mut scene = RgbImage::from_fn(96, 80, |x, y| {
                let v = 60 + x + y / 2 + random.random_range(0..4);
                image::Rgb([v as u8, v as u8, (v / 2) as u8])
            });
            imageops::replace(&mut scene, &face.picture, 16 + 2 * i, 16);
            stream.hide(&scene, BBox::new((16 + 2 * i) as f32, 16.0, side, side), Shape::Rect)
        })
        .collect();
    let options = SinkOptions::default();
    encode(kind, &options, frames.iter().map(unredacted)).len()
}

/// People by their boxes alone, which annotations hold anyway: the size and place of one half of a film against the other.
pub(crate) fn boxes(films: &[Vec<Face>]) -> Vec<Row> {
    type Measures = fn(&BBox) -> Vec<f32>;
    let kinds: [(&str, Measures); 2] = [
        ("box: its proportions alone", |b| vec![b.w / b.h]),
        ("box: size and place in the frame", |b| vec![b.x, b.y, b.w, b.h]),
    ];
    kinds
        .map(|(name, measures)| {
            let mean = |from: usize, film: &[Face]| {
                let all: Vec<Vec<f32>> = film.iter().skip(from).step_by(2).map(|f| measures(&f.bbox)).collect();
                let mut sum = vec![0.0; all[0].len()];
                all.iter().for_each(|v| matching::add(&mut sum, v));
                sum.iter().map(|s| s / all.len() as f32).collect::<Vec<f32>>()
            };
            let gallery: Vec<_> = films.iter().map(|f| mean(0, f)).collect();
            let mut random = StdRng::seed_from_u64(7);
            let found = |(i, f): (usize, &Vec<Face>)| matching::rank(&mean(1, f), i, &gallery, &mut random) == 1;
            let hits = films.iter().enumerate().map(found).filter(|h| *h).count();
            let chance = 1.0 / films.len() as f64;
            let estimate = stats::rate(hits, films.len(), chance);
            Row::new(name, "any mask", Role::Shown, "rank 1", estimate, chance)
        })
        .into()
}
