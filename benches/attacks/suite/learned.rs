//! The attacker has seen half of each person's film redacted, with names, and names the people in the other half: the
//! nearest mean of a person, and ridge regression. Train and test are streams of their own, as two recordings are.

use image::imageops;
use rand::SeedableRng;
use rand::rngs::StdRng;
use volet_edge::models::BBox;
use volet_edge::redact::Shape;

use super::faces::{Face, SIDE};
use super::hide::{Hiding, STYLES, Stream};
use super::matching::{self, add, vector};
use super::report::{Role, Row};
use super::{Size, stats};

/// What the classifiers see of a hidden face: a quarter of its pixels, in colour.
fn seen(stream: &mut Stream, face: &Face) -> Vec<f32> {
    let side = SIDE as f32;
    let hidden = stream.hide(&face.picture, BBox::new(0.0, 0.0, side, side), Shape::Rect);
    vector(&imageops::resize(&hidden, SIDE / 2, SIDE / 2, imageops::FilterType::Triangle))
}

pub(crate) fn run(films: &[Vec<Face>], _: &Size) -> Vec<Row> {
    let ordinary = [Hiding::Mosaic(8), Hiding::Mosaic(12), Hiding::Gaussian(4.0)];
    let mut rows = Vec::new();
    for hiding in STYLES.map(Hiding::Volet).into_iter().chain(ordinary) {
        rows.extend(attack(films, hiding));
    }
    rows.extend(linked(films));
    rows
}

fn attack(films: &[Vec<Face>], hiding: Hiding) -> Vec<Row> {
    let mut train: Vec<(usize, Vec<f32>)> = Vec::new();
    let mut test: Vec<Vec<Vec<f32>>> = Vec::new();
    for (who, film) in films.iter().enumerate() {
        // A stream for each frame to learn from, so that no texture comes twice.
        train.extend(film.iter().step_by(2).map(|f| (who, seen(&mut hiding.stream(), f))));
        let mut stream = hiding.stream();
        test.push(film.iter().skip(1).step_by(2).map(|f| seen(&mut stream, f)).collect());
    }
    let averages: Vec<Vec<f32>> = test.iter().map(|t| mean(t.iter())).collect();
    let singles = || test.iter().enumerate().flat_map(|(who, t)| t.iter().map(move |v| (who, v)));
    let classes: Vec<Vec<f32>> =
        (0..films.len()).map(|who| mean(train.iter().filter(|(w, _)| *w == who).map(|(_, v)| v))).collect();
    let mut random = StdRng::seed_from_u64(3);
    let mut rows = Vec::new();
    let mut add_rows = |name: &str, ranks: Vec<usize>| {
        let name = format!("{name}, {} people", films.len());
        rows.extend(matching::rows(&name, &hiding.name(), hiding, &ranks, films.len()));
    };
    let nearest = |who, v: &[f32], random: &mut StdRng| matching::rank(v, who, &classes, random);
    add_rows("nearest mean, a frame", singles().map(|(who, v)| nearest(who, v, &mut random)).collect());
    add_rows(
        "nearest mean, a film's average",
        averages.iter().enumerate().map(|(who, v)| nearest(who, v, &mut random)).collect(),
    );
    let ridge = Ridge::fit(&train, films.len());
    let guess = |who: usize, v: &[f32], random: &mut StdRng| {
        // As a distance, so that ranks are counted in one place.
        let gallery: Vec<Vec<f32>> = ridge.scores(v).into_iter().map(|s| vec![4.0 - s]).collect();
        matching::rank(&[0.0], who, &gallery, random)
    };
    add_rows("ridge regression, a frame", singles().map(|(who, v)| guess(who, v, &mut random)).collect());
    rows
}

/// Within one stream a texture is the mark of its track, as the track's number in the annotations is. This tells how well.
fn linked(films: &[Vec<Face>]) -> Vec<Row> {
    use std::time::Duration;
    use volet_edge::frame::{Color, Geometry, PixelFormat, RawFrame};
    use volet_edge::redact::{Redactor, Region, Style};
    let mut redactor = Redactor::new(Style::Mosaic).unwrap();
    let mut hide = |face: &Face, track: usize| {
        let geometry = Geometry::new(PixelFormat::Rgb8, SIDE, SIDE).unwrap();
        let raw = face.picture.as_raw().clone();
        let frame = RawFrame::new(0, Duration::ZERO, geometry, Color::JPEG, raw).unwrap();
        let bbox = BBox::new(0.0, 0.0, SIDE as f32, SIDE as f32);
        let region = Region { bbox, shape: Shape::Rect, track_id: Some(track as u32) };
        redactor.redact(frame, &[region]).samples().iter().map(|&v| f32::from(v)).collect::<Vec<f32>>()
    };
    let gallery: Vec<Vec<f32>> = films.iter().enumerate().map(|(i, f)| hide(&f[0], i)).collect();
    let mut random = StdRng::seed_from_u64(4);
    let ranks: Vec<usize> =
        films.iter().enumerate().map(|(i, f)| matching::rank(&hide(&f[1], i), i, &gallery, &mut random)).collect();
    let (hits, chance) = (ranks.iter().filter(|&&r| r == 1).count(), 1.0 / films.len() as f64);
    let name = "same track in one stream, by its texture";
    vec![Row::new(name, "Volet mosaic", Role::Shown, "rank 1", stats::rate(hits, ranks.len(), chance), chance)]
}

fn mean<'a>(vectors: impl Iterator<Item = &'a Vec<f32>>) -> Vec<f32> {
    let mut sum: Vec<f32> = Vec::new();
    let mut count = 0.0;
    for v in vectors {
        sum.resize(v.len(), 0.0);
        add(&mut sum, v);
        count += 1.0;
    }
    sum.iter_mut().for_each(|v| *v /= count);
    sum
}

/// Ridge regression from pixels to people, in its dual form: one weight a training picture.
struct Ridge {
    centre: Vec<f32>,
    train: Vec<Vec<f32>>,
    /// By training picture, then person.
    weights: Vec<Vec<f64>>,
}

impl Ridge {
    fn fit(train: &[(usize, Vec<f32>)], people: usize) -> Self {
        let centre = mean(train.iter().map(|(_, v)| v));
        let centred: Vec<Vec<f32>> =
            train.iter().map(|(_, v)| v.iter().zip(&centre).map(|(v, c)| v - c).collect()).collect();
        let n = centred.len();
        let mut gram: Vec<Vec<f64>> = centred.iter().map(|a| centred.iter().map(|b| dot(a, b)).collect()).collect();
        let ridge = 0.1 * (0..n).map(|i| gram[i][i]).sum::<f64>() / n as f64 + 1e-6;
        (0..n).for_each(|i| gram[i][i] += ridge);
        let mut weights: Vec<Vec<f64>> =
            train.iter().map(|(who, _)| (0..people).map(|p| f64::from(u8::from(p == *who))).collect()).collect();
        solve(&mut gram, &mut weights);
        Self { centre, train: centred, weights }
    }

    fn scores(&self, v: &[f32]) -> Vec<f32> {
        let v: Vec<f32> = v.iter().zip(&self.centre).map(|(v, c)| v - c).collect();
        let mut scores = vec![0.0; self.weights[0].len()];
        for (picture, weights) in self.train.iter().zip(&self.weights) {
            let likeness = dot(picture, &v);
            scores.iter_mut().zip(weights).for_each(|(s, w)| *s += (likeness * w) as f32);
        }
        scores
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    f64::from(a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>())
}

/// Solves `a x = b` in place of `b`, by Cholesky's factors in place of `a`, which is symmetric and positive.
fn solve(a: &mut [Vec<f64>], b: &mut [Vec<f64>]) {
    let n = a.len();
    for i in 0..n {
        for j in 0..=i {
            let (head, tail) = a.split_at(i);
            let row_j = if j == i { &tail[0] } else { &head[j] };
            let sum = a_minus(&tail[0], row_j, j);
            a[i][j] = if i == j { sum.max(1e-12).sqrt() } else { sum / a[j][j] };
        }
    }
    for i in 0..n {
        for k in 0..i {
            let (head, tail) = b.split_at_mut(i);
            tail[0].iter_mut().zip(&head[k]).for_each(|(x, y)| *x -= a[i][k] * y);
        }
        b[i].iter_mut().for_each(|x| *x /= a[i][i]);
    }
    for i in (0..n).rev() {
        for (k, row) in a.iter().enumerate().skip(i + 1) {
            let (head, tail) = b.split_at_mut(k);
            head[i].iter_mut().zip(&tail[0]).for_each(|(x, y)| *x -= row[i] * y);
        }
        b[i].iter_mut().for_each(|x| *x /= a[i][i]);
    }
}

/// What is left of entry `j` of a row after the columns before it.
fn a_minus(row: &[f64], other: &[f64], j: usize) -> f64 {
    row[j] - row[..j].iter().zip(&other[..j]).map(|(x, y)| x * y).sum::<f64>()
}
