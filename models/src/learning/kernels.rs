//! The arithmetic of [`super::ops`] on `flex` tensors: im2col with burn's GEMM, batch-norm passes.
//!
//! Knows no gradients' bookkeeping. Every tensor is f32; shapes are checked by the callers' types and
//! by burn's own matrix product.

use burn::backend::Flex;
use burn::backend::TensorMetadata;
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{Bytes, DType, Shape};

use super::ops::EPSILON;

/// Output cells that one matrix product covers, about.
const GROUP_CELLS: usize = 1024;

/// One picture's geometry under a convolution.
#[derive(Clone, Copy)]
struct Geometry {
    channels: usize,
    height: usize,
    width: usize,
    kernel: usize,
    stride: usize,
    out_height: usize,
    out_width: usize,
}

impl Geometry {
    fn new(x: [usize; 4], weight: [usize; 4], stride: usize) -> Self {
        let kernel = weight[2];
        let out = |side: usize| (side + 2 * (kernel / 2) - kernel) / stride + 1;
        Self { channels: x[1], height: x[2], width: x[3], kernel, stride, out_height: out(x[2]), out_width: out(x[3]) }
    }

    fn rows(&self) -> usize {
        self.channels * self.kernel * self.kernel
    }

    fn cells(&self) -> usize {
        self.out_height * self.out_width
    }

    fn pixels(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Pictures whose columns go through one matrix product: enough that coarse levels keep the GEMM busy,
    /// few enough that the columns stay in cache.
    fn group(&self, batch: usize) -> usize {
        (GROUP_CELLS / self.cells().max(1)).clamp(1, batch.max(1))
    }

    /// Calls `f(column_start, picture_start, count)` for each run of cells in one output row that reads
    /// consecutive pixels (stride 1) or every other one (stride 2) of one picture row; a row of columns is
    /// `wide` long.
    fn runs(&self, wide: usize, mut f: impl FnMut(usize, usize, usize)) {
        let pad = (self.kernel / 2) as isize;
        let stride = self.stride as isize;
        for c in 0..self.channels {
            for ky in 0..self.kernel {
                for kx in 0..self.kernel {
                    let row = ((c * self.kernel + ky) * self.kernel + kx) * wide;
                    let shift = kx as isize - pad;
                    let first = if shift < 0 { (-shift + stride - 1) / stride } else { 0 };
                    let last = ((self.width as isize - 1 - shift) / stride).min(self.out_width as isize - 1);
                    if last < first {
                        continue;
                    }
                    for oy in 0..self.out_height {
                        let iy = oy as isize * stride + ky as isize - pad;
                        if iy < 0 || iy >= self.height as isize {
                            continue;
                        }
                        let pixel = (c * self.height + iy as usize) * self.width;
                        f(
                            row + oy * self.out_width + first as usize,
                            (pixel as isize + first * stride + shift) as usize,
                            (last - first + 1) as usize,
                        );
                    }
                }
            }
        }
    }

    /// Fills `columns` (zero wherever the kernel reaches beyond the picture) from one picture.
    fn gather(&self, columns: &mut [f32], wide: usize, picture: &[f32]) {
        self.runs(wide, |column, pixel, n| {
            let target = &mut columns[column..column + n];
            if self.stride == 1 {
                target.copy_from_slice(&picture[pixel..pixel + n]);
            } else {
                // Pairs vectorise where `step_by` does not; the last pixel may have no neighbour.
                let (pairs, _) = picture[pixel..].as_chunks::<2>();
                for (t, [s, _]) in target[..n - 1].iter_mut().zip(pairs) {
                    *t = *s;
                }
                target[n - 1] = picture[pixel + 2 * (n - 1)];
            }
        });
    }

    /// Adds `columns` back onto the pixels that they came from.
    fn scatter(&self, picture: &mut [f32], columns: &[f32], wide: usize) {
        self.runs(wide, |column, pixel, n| {
            let source = &columns[column..column + n];
            if self.stride == 1 {
                for (p, c) in picture[pixel..pixel + n].iter_mut().zip(source) {
                    *p += c;
                }
            } else {
                let (pairs, _) = picture[pixel..].as_chunks_mut::<2>();
                for ([p, _], c) in pairs.iter_mut().zip(&source[..n - 1]) {
                    *p += c;
                }
                picture[pixel + 2 * (n - 1)] += source[n - 1];
            }
        });
    }
}

fn dims<const D: usize>(x: &FlexTensor) -> [usize; D] {
    x.shape().dims()
}

fn tensor(data: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(data), Layout::contiguous(Shape::from(shape.to_vec())), DType::F32)
}

/// The columns of some consecutive pictures side by side; `buffer` (zeroed once) is refilled.
fn columns(g: &Geometry, pictures: &[f32], buffer: &mut FlexTensor) -> FlexTensor {
    let count = pictures.len() / g.pixels();
    let wide = count * g.cells();
    let target = buffer.storage_mut::<f32>();
    for (i, picture) in pictures.chunks_exact(g.pixels()).enumerate() {
        g.gather(&mut target[i * g.cells()..], wide, picture);
    }
    buffer.clone()
}

fn buffer(g: &Geometry, pictures: usize) -> FlexTensor {
    let shape = [g.rows(), pictures * g.cells()];
    tensor(vec![0.0; shape[0] * shape[1]], &shape)
}

/// Exchanges the first two dimensions of `[a, b, length]`.
fn exchange(data: &[f32], a: usize, b: usize, length: usize) -> Vec<f32> {
    let rows = (0..b).flat_map(|j| (0..a).map(move |i| (i * b + j) * length));
    let mut out = Vec::with_capacity(data.len());
    rows.for_each(|start| out.extend_from_slice(&data[start..start + length]));
    out
}

/// See [`super::ops::BlockOps::block_conv`].
pub(crate) fn conv(x: &FlexTensor, weight: &FlexTensor, stride: usize) -> FlexTensor {
    let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
    let ([batch, ..], [outputs, ..]) = (dims::<4>(&x), dims::<4>(&weight));
    let g = Geometry::new(dims(&x), dims(&weight), stride);
    let matrix = weight.reshape(Shape::from(vec![outputs, g.rows()]));
    let mut y = Vec::with_capacity(batch * outputs * g.cells());
    let mut scratch: Option<FlexTensor> = None;
    for pictures in x.storage::<f32>().chunks(g.group(batch) * g.pixels()) {
        let count = pictures.len() / g.pixels();
        let mut zeroed = match scratch.take() {
            Some(b) if dims::<2>(&b)[1] == count * g.cells() => b,
            _ => buffer(&g, count),
        };
        let product = Flex::float_matmul(matrix.clone(), columns(&g, pictures, &mut zeroed));
        let product = product.storage::<f32>();
        if count == 1 {
            y.extend_from_slice(product);
        } else {
            y.extend(exchange(product, outputs, count, g.cells()));
        }
        scratch = Some(zeroed);
    }
    tensor(y, &[batch, outputs, g.out_height, g.out_width])
}

/// Gradients of [`conv`] for its input (when `need_x`) and its weight.
pub(crate) fn conv_backward(
    x: &FlexTensor,
    weight: &FlexTensor,
    grad: &FlexTensor,
    stride: usize,
    need_x: bool,
) -> (Option<FlexTensor>, FlexTensor) {
    let (x, weight, grad) = (x.to_contiguous(), weight.to_contiguous(), grad.to_contiguous());
    let ([batch, ..], [outputs, ..]) = (dims::<4>(&x), dims::<4>(&weight));
    let g = Geometry::new(dims(&x), dims(&weight), stride);
    let transposed = weight.reshape(Shape::from(vec![outputs, g.rows()])).transpose(0, 1);
    let mut dw = vec![0.0f32; outputs * g.rows()];
    let mut dx = if need_x { vec![0.0f32; batch * g.pixels()] } else { Vec::new() };
    let mut scratch: Option<FlexTensor> = None;
    let group = g.group(batch);
    let slopes = grad.storage::<f32>().chunks(group * outputs * g.cells());
    for (i, (pictures, slopes)) in x.storage::<f32>().chunks(group * g.pixels()).zip(slopes).enumerate() {
        let count = pictures.len() / g.pixels();
        let wide = count * g.cells();
        let mut zeroed = match scratch.take() {
            Some(b) if dims::<2>(&b)[1] == wide => b,
            _ => buffer(&g, count),
        };
        let dy = tensor(exchange(slopes, count, outputs, g.cells()), &[outputs, wide]);
        let part = Flex::float_matmul(dy.clone(), columns(&g, pictures, &mut zeroed).transpose(0, 1));
        for (sum, v) in dw.iter_mut().zip(part.storage::<f32>()) {
            *sum += v;
        }
        if need_x {
            let dcolumns = Flex::float_matmul(transposed.clone(), dy);
            let source = dcolumns.storage::<f32>();
            let targets = dx[i * group * g.pixels()..].chunks_exact_mut(g.pixels());
            for (n, target) in targets.take(count).enumerate() {
                g.scatter(target, &source[n * g.cells()..], wide);
            }
        }
        scratch = Some(zeroed);
    }
    let dx = need_x.then(|| tensor(dx, &dims::<4>(&x)));
    (dx, tensor(dw, &dims::<4>(&weight)))
}

/// Sum of `f(i)` over a slice, in 16 lanes so that it vectorises.
fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; 16];
    let (chunks, rest) = x.as_chunks::<16>();
    for chunk in chunks {
        for (l, v) in lanes.iter_mut().zip(chunk) {
            *l += f(*v);
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|v| f(*v)).sum::<f32>()
}

/// Mean and biased variance of each channel of `[N, C, L]`.
pub(crate) fn moments(x: &FlexTensor) -> (Vec<f32>, Vec<f32>) {
    let x = x.to_contiguous();
    let [batch, channels, length] = dims(&x);
    let data = x.storage::<f32>();
    let count = (batch * length).max(1) as f64;
    let per_channel = |c: usize, f: &dyn Fn(&[f32]) -> f32| {
        (0..batch).map(|n| f(&data[(n * channels + c) * length..][..length]) as f64).sum::<f64>() / count
    };
    (0..channels)
        .map(|c| {
            let mean = per_channel(c, &|row| sum(row, |v| v)) as f32;
            let variance = per_channel(c, &|row| sum(row, |v| (v - mean) * (v - mean))) as f32;
            (mean, variance)
        })
        .unzip()
}

/// See [`super::ops::BlockOps::block_norm`], given the moments.
pub(crate) fn norm(
    x: &FlexTensor,
    gamma: &FlexTensor,
    beta: &FlexTensor,
    relu: bool,
    moments: &(Vec<f32>, Vec<f32>),
) -> FlexTensor {
    let (x, gamma, beta) = (x.to_contiguous(), gamma.to_contiguous(), beta.to_contiguous());
    let [batch, channels, length] = dims(&x);
    let (gamma, beta, data) = (gamma.storage::<f32>(), beta.storage::<f32>(), x.storage::<f32>());
    let mut y = Vec::with_capacity(data.len());
    let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
    for (row, source) in data.chunks_exact(length.max(1)).enumerate().take(batch * channels) {
        let c = row % channels;
        let scale = gamma[c] / (moments.1[c] + EPSILON).sqrt();
        let shift = beta[c] - moments.0[c] * scale;
        y.extend(source.iter().map(|v| (v * scale + shift).max(floor)));
    }
    tensor(y, &[batch, channels, length])
}

/// Gradients of [`norm`] for x, gamma and beta, its statistics' dependence on x included.
pub(crate) fn norm_backward(
    x: &FlexTensor,
    gamma: &FlexTensor,
    beta: &FlexTensor,
    relu: bool,
    moments: &(Vec<f32>, Vec<f32>),
    grad: &FlexTensor,
) -> [FlexTensor; 3] {
    let (x, gamma, beta, grad) = (x.to_contiguous(), gamma.to_contiguous(), beta.to_contiguous(), grad.to_contiguous());
    let [batch, channels, length] = dims(&x);
    let (data, upstream) = (x.storage::<f32>(), grad.storage::<f32>());
    let (gamma, beta) = (gamma.storage::<f32>(), beta.storage::<f32>());
    let count = (batch * length).max(1) as f32;
    let mut dx = vec![0.0f32; data.len()];
    let (mut dgamma, mut dbeta) = (vec![0.0f32; channels], vec![0.0f32; channels]);
    for c in 0..channels {
        let (mean, inverse) = (moments.0[c], 1.0 / (moments.1[c] + EPSILON).sqrt());
        let scale = gamma[c] * inverse;
        let shift = beta[c] - mean * scale;
        let (mut sum_g, mut sum_gx) = (0.0f64, 0.0f64);
        for n in 0..batch {
            let range = (n * channels + c) * length..(n * channels + c + 1) * length;
            let (mut lanes_g, mut lanes_gx) = ([0.0f32; 16], [0.0f32; 16]);
            let (xs, gs, ds) = (&data[range.clone()], &upstream[range.clone()], &mut dx[range]);
            let mask = |x: f32, g: f32| if relu && x * scale + shift <= 0.0 { 0.0 } else { g };
            let ((xs, x_rest), (gs, g_rest)) = (xs.as_chunks::<16>(), gs.as_chunks::<16>());
            let (ds, d_rest) = ds.as_chunks_mut::<16>();
            for ((xs, gs), ds) in xs.iter().zip(gs).zip(ds) {
                for i in 0..16 {
                    let g = mask(xs[i], gs[i]);
                    ds[i] = g;
                    lanes_g[i] += g;
                    lanes_gx[i] += g * (xs[i] - mean);
                }
            }
            for ((x, g), d) in x_rest.iter().zip(g_rest).zip(d_rest) {
                *d = mask(*x, *g);
                lanes_g[0] += *d;
                lanes_gx[0] += *d * (x - mean);
            }
            sum_g += lanes_g.iter().sum::<f32>() as f64;
            sum_gx += lanes_gx.iter().sum::<f32>() as f64;
        }
        dbeta[c] = sum_g as f32;
        dgamma[c] = sum_gx as f32 * inverse;
        let (of_mean, of_x) = (dbeta[c] / count, dgamma[c] * inverse / count);
        for n in 0..batch {
            let range = (n * channels + c) * length..(n * channels + c + 1) * length;
            for (d, x) in dx[range.clone()].iter_mut().zip(&data[range]) {
                *d = scale * (*d - of_mean - (x - mean) * of_x);
            }
        }
    }
    [tensor(dx, &[batch, channels, length]), tensor(dgamma, &[channels]), tensor(dbeta, &[channels])]
}
