//! What the machine itself can do, measured beside the rest: a copy of memory, and a product of matrices. One thread.

use std::hint::black_box;

use cpu_time::ThreadTime;
use ndarray::Array2;

use super::Given;
use crate::bench::harness::{Metric, Sample};

pub(crate) const COPY: Metric = Metric::higher("memory bandwidth, read and written", "GB/s");
pub(crate) const GEMM: Metric = Metric::higher("product of matrices", "GFLOP/s");

/// The best of some runs: a limit is what can be had, not what others leave.
fn best(runs: u32, mut work: impl FnMut()) -> f64 {
    let run = |_| {
        let start = ThreadTime::now();
        work();
        start.elapsed().as_secs_f64()
    };
    (0..runs).map(run).fold(f64::INFINITY, f64::min)
}

/// Copies a buffer far larger than any cache.
pub(super) fn copy(given: &Given) -> anyhow::Result<Vec<Sample>> {
    let megabytes: usize = given.get("megabytes")?;
    let bytes = megabytes * 1_000_000;
    let (from, mut to) = (vec![1_u8; bytes], vec![0_u8; bytes]);
    let seconds = best(5, || black_box(&mut to).copy_from_slice(black_box(&from)));
    Ok(vec![COPY.of(2.0 * bytes as f64 / 1e9 / seconds)])
}

/// Multiplies square matrices of 32-bit floats (ndarray, by `matrixmultiply`).
pub(super) fn gemm(given: &Given) -> anyhow::Result<Vec<Sample>> {
    let side: usize = given.get("side")?;
    let value = |(row, column): (usize, usize)| ((row * 31 + column * 17) % 13) as f32 - 6.0;
    let (a, b) = (Array2::from_shape_fn((side, side), value), Array2::from_shape_fn((side, side), value));
    let seconds = best(5, || drop(black_box(a.dot(&b))));
    Ok(vec![GEMM.of(2.0 * (side as f64).powi(3) / 1e9 / seconds)])
}
