//! A small convolutional network and its gradient by hand, on matrix products: two 3x3 convolutions, each with a ReLU and a
//! maximum over 2x2, and two dense layers. Knows no fleet.

#![allow(clippy::unwrap_used)] // all shapes are its own

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

use super::pictures::{CHANNELS, CLASSES, PIXELS, Picture, SIDE};

const FIRST: usize = 16;
const SECOND: usize = 32;
const HIDDEN: usize = 32;
const FLAT: usize = SECOND * (SIDE / 4) * (SIDE / 4);
const TAPS: usize = 9;

/// Sizes of weights and biases, layer by layer.
const LAYERS: [(usize, usize); 4] = [
    (FIRST * CHANNELS * TAPS, FIRST),
    (SECOND * FIRST * TAPS, SECOND),
    (HIDDEN * FLAT, HIDDEN),
    (CLASSES * HIDDEN, CLASSES),
];

/// How many parameters there are.
pub(crate) fn parameters() -> usize {
    LAYERS.iter().map(|(weights, biases)| weights + biases).sum()
}

/// He's initial weights; biases are 0.
pub(crate) fn initial(mut normal: impl FnMut() -> f32) -> Vec<f32> {
    let inputs = [CHANNELS * TAPS, FIRST * TAPS, FLAT, HIDDEN];
    let mut all = Vec::with_capacity(parameters());
    for ((weights, biases), inputs) in LAYERS.into_iter().zip(inputs) {
        let scale = (2.0 / inputs as f32).sqrt();
        all.extend((0..weights).map(|_| scale * normal()));
        all.extend(std::iter::repeat_n(0.0, biases));
    }
    all
}

/// Weights and biases of each layer.
fn split(all: &[f32]) -> [(&[f32], &[f32]); 4] {
    let mut rest = all;
    LAYERS.map(|(weights, biases)| {
        let (layer, after) = rest.split_at(weights + biases);
        rest = after;
        layer.split_at(weights)
    })
}

fn split_mut(all: &mut [f32]) -> [(&mut [f32], &mut [f32]); 4] {
    let mut rest = all;
    LAYERS.map(|(weights, biases)| {
        let (layer, after) = std::mem::take(&mut rest).split_at_mut(weights + biases);
        rest = after;
        layer.split_at_mut(weights)
    })
}

/// `c = beta c + a b`; `a` is rows x inner, or that transposed, and so on.
fn product(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>, beta: f32, c: &mut [f32]) {
    let shape = (a.nrows(), b.ncols());
    general_mat_mul(1.0, &a, &b, beta, &mut ArrayViewMut2::from_shape(shape, c).unwrap());
}

fn matrix(data: &[f32], rows: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, data.len() / rows), data).unwrap()
}

/// A convolution, its ReLU and its maximum over 2x2, with all that the way back needs. Planes lie channel by channel, in each
/// picture by picture; memory is used again for the next batch.
struct Block {
    inputs: usize,
    outputs: usize,
    side: usize,
    /// What each output cell sees: taps by cells. Where a tap lies outside of its picture nothing is ever written.
    columns: Vec<f32>,
    y: Vec<f32>,
    /// Which of its four cells each output is of; 4 where none was above 0.
    largest: Vec<u8>,
    out: Vec<f32>,
    dy: Vec<f32>,
    dcolumns: Vec<f32>,
    dx: Vec<f32>,
}

impl Block {
    fn new(inputs: usize, outputs: usize, side: usize) -> Self {
        let [columns, y, out, dy, dcolumns, dx] = [const { Vec::new() }; 6];
        Self { inputs, outputs, side, columns, y, largest: Vec::new(), out, dy, dcolumns, dx }
    }

    fn forward(&mut self, x: &[f32], weights: &[f32], biases: &[f32]) {
        let Self { inputs, outputs, side, columns, y, largest, out, .. } = self;
        let (cells, side) = (x.len() / *inputs, *side);
        if columns.len() != *inputs * TAPS * cells {
            *columns = vec![0.0; *inputs * TAPS * cells];
            *y = vec![0.0; *outputs * cells];
        }
        for (plane, rows) in x.chunks_exact(cells).zip(columns.chunks_exact_mut(TAPS * cells)) {
            for (tap, row) in rows.chunks_exact_mut(cells).enumerate() {
                runs(tap, side, cells, |to, from, n| row[to..to + n].copy_from_slice(&plane[from..from + n]));
            }
        }
        product(matrix(weights, *outputs), matrix(columns, *inputs * TAPS), 0.0, y);
        largest.clear();
        out.clear();
        for (plane, bias) in y.chunks_exact(cells).zip(biases) {
            for rows in plane.chunks_exact(2 * side) {
                let (upper, lower) = rows.split_at(side);
                for (a, b) in upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0) {
                    let (mut most, mut at) = (-bias, 4);
                    for (i, v) in [a[0], a[1], b[0], b[1]].into_iter().enumerate() {
                        (most, at) = if v > most { (v, i as u8) } else { (most, at) };
                    }
                    largest.push(at);
                    out.push(most + bias);
                }
            }
        }
    }

    /// From the slope of its output: writes those of weights and biases.
    fn backward(&mut self, slope: &[f32], (of_weights, of_biases): (&mut [f32], &mut [f32])) {
        let Self { inputs, outputs, side, columns, largest, dy, .. } = self;
        dy.clear();
        dy.resize(4 * slope.len(), 0.0);
        let half = *side / 2;
        let rows = dy.chunks_exact_mut(2 * *side).zip(slope.chunks_exact(half)).zip(largest.chunks_exact(half));
        for ((rows, slopes), largest) in rows {
            for (i, (slope, at)) in slopes.iter().zip(largest).enumerate() {
                if *at < 4 {
                    rows[2 * i + usize::from(at & 1) + usize::from(at >> 1) * *side] = *slope;
                }
            }
        }
        for (bias, row) in of_biases.iter_mut().zip(dy.chunks_exact(dy.len() / *outputs)) {
            *bias = row.iter().sum();
        }
        product(matrix(dy, *outputs), matrix(columns, *inputs * TAPS).reversed_axes(), 0.0, of_weights);
    }

    /// After [`backward`](Self::backward): the slope of the input.
    fn input_slope(&mut self, weights: &[f32]) -> &[f32] {
        let Self { inputs, outputs, side, dy, dcolumns, dx, .. } = self;
        let cells = dy.len() / *outputs;
        dcolumns.resize(*inputs * TAPS * cells, 0.0);
        product(matrix(weights, *outputs).reversed_axes(), matrix(dy, *outputs), 0.0, dcolumns);
        dx.clear();
        dx.resize(*inputs * cells, 0.0);
        for (plane, rows) in dx.chunks_exact_mut(cells).zip(dcolumns.chunks_exact(TAPS * cells)) {
            for (tap, row) in rows.chunks_exact(cells).enumerate() {
                runs(tap, *side, cells, |to, from, n| {
                    plane[from..from + n].iter_mut().zip(&row[to..to + n]).for_each(|(x, c)| *x += c);
                });
            }
        }
        dx
    }
}

/// Calls `f(cell, pixel, count)` for each run of cells whose tap reads consecutive pixels inside its picture.
fn runs(tap: usize, side: usize, cells: usize, mut f: impl FnMut(usize, usize, usize)) {
    let (dy, dx) = (tap / 3, tap % 3);
    let (first, count) = (usize::from(dx == 0), side - usize::from(dx != 1));
    for picture in (0..cells).step_by(side * side) {
        for y in usize::from(dy == 0)..side - usize::from(dy == 2) {
            let cell = picture + y * side + first;
            f(cell, cell + dy * side + dx - side - 1, count);
        }
    }
}

/// Pictures side by side: channel by channel, in each picture by picture.
fn planes(pictures: &[Picture]) -> Vec<f32> {
    let mut x = Vec::with_capacity(pictures.len() * CHANNELS * PIXELS);
    for c in 0..CHANNELS {
        pictures.iter().for_each(|picture| x.extend_from_slice(&picture.pixels[c * PIXELS..(c + 1) * PIXELS]));
    }
    x
}

/// Of `[channels, pictures, cells]` to `[pictures, channels, cells]`, and back with the first two numbers exchanged.
fn exchange(x: &[f32], a: usize, b: usize) -> Vec<f32> {
    let length = x.len() / (a * b);
    let mut out = Vec::with_capacity(x.len());
    for j in 0..b {
        for i in 0..a {
            out.extend_from_slice(&x[(i * b + j) * length..][..length]);
        }
    }
    out
}

fn dense(x: &[f32], n: usize, weights: &[f32], biases: &[f32]) -> Vec<f32> {
    let mut y = biases.repeat(n);
    product(matrix(x, n), matrix(weights, biases.len()).reversed_axes(), 1.0, &mut y);
    y
}

fn dense_back(slope: &[f32], x: &[f32], n: usize, weights: &[f32], of: (&mut [f32], &mut [f32])) -> Vec<f32> {
    let outputs = of.1.len();
    product(matrix(slope, n).reversed_axes(), matrix(x, n), 0.0, of.0);
    of.1.fill(0.0);
    slope.chunks_exact(outputs).for_each(|row| of.1.iter_mut().zip(row).for_each(|(sum, v)| *sum += v));
    let mut dx = vec![0.0; x.len()];
    product(matrix(slope, n), matrix(weights, outputs), 0.0, &mut dx);
    dx
}

/// The network at work: parameters are lent, memory is its own.
pub(crate) struct Network {
    first: Block,
    second: Block,
    flat: Vec<f32>,
    hidden: Vec<f32>,
}

impl Network {
    /// One that has seen nothing yet.
    pub(crate) fn new() -> Self {
        let (first, second) = (Block::new(CHANNELS, FIRST, SIDE), Block::new(FIRST, SECOND, SIDE / 2));
        Self { first, second, flat: Vec::new(), hidden: Vec::new() }
    }

    /// Which class each picture is taken for.
    pub(crate) fn classes(&mut self, all: &[f32], pictures: &[Picture]) -> Vec<usize> {
        let of = |row: &[f32]| row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(class, _)| class);
        self.forward(all, pictures).chunks_exact(CLASSES).map(of).collect()
    }

    /// Writes the gradient of the mean cross entropy.
    pub(crate) fn gradient(&mut self, all: &[f32], pictures: &[Picture], of: &mut [f32]) {
        let n = pictures.len();
        let mut logits = self.forward(all, pictures);
        for (row, picture) in logits.chunks_exact_mut(CLASSES).zip(pictures) {
            softmax(row);
            row[picture.class] -= 1.0;
            row.iter_mut().for_each(|v| *v /= n as f32);
        }
        let [_, (w2, _), (w3, _), (w4, _)] = split(all);
        let [d1, d2, d3, d4] = split_mut(of);
        let mut slope = dense_back(&logits, &self.hidden, n, w4, d4);
        slope.iter_mut().zip(&self.hidden).for_each(|(s, h)| *s = if *h > 0.0 { *s } else { 0.0 });
        let slope = dense_back(&slope, &self.flat, n, w3, d3);
        self.second.backward(&exchange(&slope, n, SECOND), d2);
        self.first.backward(self.second.input_slope(w2), d1);
    }

    fn forward(&mut self, all: &[f32], pictures: &[Picture]) -> Vec<f32> {
        let n = pictures.len();
        let [(w1, b1), (w2, b2), (w3, b3), (w4, b4)] = split(all);
        self.first.forward(&planes(pictures), w1, b1);
        self.second.forward(&self.first.out, w2, b2);
        self.flat = exchange(&self.second.out, SECOND, n);
        self.hidden = dense(&self.flat, n, w3, b3);
        self.hidden.iter_mut().for_each(|v| *v = v.max(0.0));
        dense(&self.hidden, n, w4, b4)
    }
}

/// Of logits, probabilities.
pub(crate) fn softmax(row: &mut [f32]) {
    let most = row.iter().copied().fold(f32::MIN, f32::max);
    row.iter_mut().for_each(|v| *v = (*v - most).exp());
    let total: f32 = row.iter().sum();
    row.iter_mut().for_each(|v| *v /= total);
}
