//! The redaction kernels beside the peers that others would use for the same: nanoseconds per masked pixel.
//!
//! `cargo bench --bench redaction`. An RGB picture of 640x480, all of it masked; runs in turn, medians of processor
//! time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use volet_edge::frame::{Color, FramePool, Geometry, PixelFormat, RawFrame};
use volet_edge::models::BBox;
use volet_edge::redact::{Redactor, Region, Shape, Style};

const W: u32 = 640;
const H: u32 = 480;
const RUNS: usize = 41;

fn main() {
    let rgb: Vec<u8> = (0..W * H * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let pool = FramePool::new();
    let geometry = Geometry::new(PixelFormat::Rgb8, W, H).expect("a size");
    let region = Region { bbox: BBox::new(0.0, 0.0, W as f32, H as f32), shape: Shape::Rect, track_id: Some(1) };
    let mut redactors: Vec<(Style, Redactor)> = [Style::Solid, Style::Mosaic, Style::Blur]
        .map(|s| (s, Redactor::new(s).expect("randomness")))
        .into_iter()
        .collect();
    let mut rows: Vec<(String, Vec<f64>)> = Vec::new();
    let mut add = |name: &str, time: Duration| {
        let ns = time.as_secs_f64() * 1e9 / f64::from(W * H);
        match rows.iter_mut().find(|(n, _)| n == name) {
            Some((_, all)) => all.push(ns),
            None => rows.push((name.to_owned(), vec![ns])),
        }
    };
    for _ in 0..RUNS {
        for (style, redactor) in &mut redactors {
            let mut buffer = pool.take(geometry.bytes());
            buffer.as_mut_slice().copy_from_slice(&rgb);
            let frame = RawFrame::new(0, Duration::ZERO, geometry, Color::JPEG, buffer).expect("a frame");
            let mut done = None;
            add(&format!("volet {style:?}").to_lowercase(), timed(|| done = Some(redactor.redact(frame, &[region]))));
            std::hint::black_box(&done);
        }
        let mut data = rgb.clone();
        add("plain mosaic, cells of 80 pixels", timed(|| plain_mosaic(&mut data)));
        let mut data = rgb.clone();
        add("libblur stack blur, radius 25", timed(|| stack_blur(&mut data)));
        std::hint::black_box(&data);
    }
    println!("ns per masked RGB pixel (median; min)");
    for (name, mut all) in rows {
        all.sort_by(f64::total_cmp);
        println!("{name:<34} {:>7.2} {:>7.2}", all[all.len() / 2], all[0]);
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = cpu_time::ThreadTime::now();
    work();
    start.elapsed()
}

/// The mosaic that most programs use: each cell its true mean.
fn plain_mosaic(data: &mut [u8]) {
    const CELL: usize = 80;
    let row = W as usize * 3;
    for (cy, cx) in (0..H as usize).step_by(CELL).flat_map(|y| (0..W as usize).step_by(CELL).map(move |x| (y, x))) {
        let mut sum = [0u32; 3];
        for y in cy..cy + CELL {
            for p in data[y * row + cx * 3..][..CELL * 3].chunks_exact(3) {
                (0..3).for_each(|c| sum[c] += u32::from(p[c]));
            }
        }
        let mean = sum.map(|s| (s / (CELL * CELL) as u32) as u8);
        for y in cy..cy + CELL {
            data[y * row + cx * 3..][..CELL * 3].chunks_exact_mut(3).for_each(|p| p.copy_from_slice(&mean));
        }
    }
}

fn stack_blur(data: &mut [u8]) {
    use libblur::{AnisotropicRadius, BlurImageMut, FastBlurChannels, ThreadingPolicy};
    let mut image = BlurImageMut::borrow(data, W, H, FastBlurChannels::Channels3);
    libblur::stack_blur(&mut image, AnisotropicRadius::new(25), ThreadingPolicy::Single).expect("a blur");
}
