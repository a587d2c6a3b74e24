//! A camera's case: NV12 frames in, NV12 frames out, through the whole pipeline with the built-in detector (or the
//! manifest in `VOLET_MODEL`). Prints frames per second of processor time, and for comparison the detector alone.
//!
//! `cargo bench --bench camera`. Frames are synthetic people, made before the clock starts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../src/bench/stream.rs"]
mod stream;

use std::sync::Arc;

use stream::{Case, nv12};
use volet_edge::models::{Model, builtin};

const FRAMES: u64 = 150;
/// Distinct pictures; they are given in turn.
const PICTURES: u32 = 8;

fn main() {
    let model = match std::env::var_os("VOLET_MODEL") {
        Some(path) => Model::open(path.as_ref()).expect("VOLET_MODEL is a manifest"),
        None => builtin::default_model().expect("the built-in detector is whole"),
    };
    let model = Arc::new(model);
    println!("model {}", model.manifest().name);
    println!("size       every  frames/cpu-s  ms/frame  of which search  ms to the first  masks");
    for (width, height) in [(1280, 720), (1920, 1080)] {
        let clip = volet_synthetic::Clip::new(3, width, height, 15, PICTURES);
        let pictures = Arc::new((0..PICTURES).map(|i| nv12(&clip.frame(i).image)).collect::<Vec<_>>());
        for every in [1, 2, 3] {
            let case = Case { pictures: Arc::clone(&pictures), width, height, every, frames: FRAMES, threads: 1 };
            let runs = (0..4).map(|_| stream::stream(&model, &case).expect("a run"));
            let mut runs: Vec<stream::Streamed> = runs.skip(1).collect();
            runs.sort_by(|a, b| a.cpu_s.total_cmp(&b.cpu_s));
            let run = runs[runs.len() / 2];
            let n = FRAMES as f64;
            println!(
                "{width}x{height:<5} {every:>5}  {:>12.1}  {:>8.2}  {:>15.2}  {:>15.1}  {:>5.1}",
                n / run.cpu_s,
                1000.0 * run.cpu_s / n,
                1000.0 * run.search_s / n,
                1000.0 * run.first_s,
                run.masks,
            );
            assert!(run.wall_s > 0.0);
        }
    }
}
