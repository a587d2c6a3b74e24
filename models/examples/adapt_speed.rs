//! Seconds and peak memory of one adaptation on a device: 20 stills of 640x384 and their mirror images, 3 epochs.
//!
//! `cargo run --release -p volet-models --features adapt --example adapt_speed`

use std::time::Instant;
use volet_models::adapt::{Settings, adapt};
use volet_models::{BBox, LabelledBox, Sample, builtin};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = builtin::default_model()?;
    let samples: Vec<Sample> = (0..20).map(still).collect();
    let learned = vec![0.0; model.trainable_len()?];
    println!("before: {}", peak());
    for epochs in [1, 3] {
        let begun = Instant::now();
        let settings = Settings { epochs, ..Settings::default() };
        let update = adapt(&model, &learned, &samples, &settings, &|| true)?;
        let norm = update.iter().map(|v| v * v).sum::<f32>().sqrt();
        println!("{epochs} epochs: {:.2} s, norm {norm:.4}, {}", begun.elapsed().as_secs_f64(), peak());
    }
    Ok(())
}

/// A still of noise with a flat box in it; the time does not depend on what is seen.
fn still(seed: u32) -> Sample {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let rgb = (0..640 * 384 * 3).map(|_| next()).collect();
    let bbox = BBox::new(f32::from(next()), f32::from(next()), 40.0, 50.0);
    Sample { width: 640, height: 384, rgb, boxes: vec![LabelledBox { class: 0, bbox, ignore: false }] }
}

/// The most memory that this process held so far, where the system says so.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM"));
    line.map_or_else(|| "peak memory unknown".to_owned(), |l| l.split_whitespace().collect::<Vec<_>>().join(" "))
}
