//! Each detector at its own input size (the built-in one's for YuNet-n too) in tract, one thread: ms per picture.
//!
//! `VOLET_MODELS=DIR cargo bench --bench networks`: also those whose manifests lie in DIR.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Instant;

use volet_edge::models::{Model, builtin};

const RUNS: usize = 30;

fn main() {
    let mut models = vec![builtin::default_model().expect("the built-in detector is whole")];
    if let Some(dir) = std::env::var_os("VOLET_MODELS") {
        let manifests = std::fs::read_dir(dir).expect("VOLET_MODELS is a folder").filter_map(|e| Some(e.ok()?.path()));
        let manifests = manifests.filter(|p| p.extension().is_some_and(|e| e == "toml"));
        models.extend(manifests.filter_map(|p| Model::open(&p).ok()));
    }
    println!("{:<28} {:>9}  ms median    min", "model", "input");
    for model in &models {
        let own = (model.manifest().input.width, model.manifest().input.height);
        for size in [own, (640, 384)] {
            let Ok(detector) = model.at(Some(size)) else { continue };
            let input = detector.new_input().expect("memory");
            let mut times: Vec<f64> = (0..RUNS)
                .map(|_| {
                    let start = Instant::now();
                    detector.detect(&input, 0.5).expect("a run");
                    1000.0 * start.elapsed().as_secs_f64()
                })
                .collect();
            times.sort_by(f64::total_cmp);
            let shape = format!("{}x{}", size.0, size.1);
            println!("{:<28} {shape:>9}  {:>9.1} {:>6.1}", model.manifest().name, times[RUNS / 2], times[0]);
        }
    }
}
