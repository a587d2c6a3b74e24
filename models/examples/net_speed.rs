//! Milliseconds per picture in tract, one thread, of a few candidate networks and of YuNet at 640x384.
//!
//! `cargo run --release -p volet-models --example net_speed [FILE.onnx...]`: of those files instead, in 32-bit floats (or as their numbers
//! are), and in 16-bit ones.

use std::path::Path;
use std::time::Instant;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::floats::FloatPrecisionTranslator;
use tract_onnx::tract_core::transform::ModelTransform;
use volet_models::ObjectClass;
use volet_models::net::{Architecture, Stage, Weights};

const SIZE: (usize, usize) = (640, 384);

fn main() -> TractResult<()> {
    let yunet = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/detectors/yunet_n_640_640.onnx");
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    let mut plans = Vec::new();
    for file in &files {
        let model = onnx().model_for_path(file)?.into_typed()?.into_decluttered()?;
        let half = FloatPrecisionTranslator::new(DatumType::F32, DatumType::F16).transform_into(model.clone())?;
        let (cast, half) = (half.input_fact(0)?.datum_type, half.into_optimized()?.into_runnable()?);
        let name = file.to_string_lossy();
        plans.push((format!("{name}, as it is"), DatumType::F32, model.into_optimized()?.into_runnable()?));
        plans.push((format!("{name}, 16-bit floats"), cast, half));
    }
    if files.is_empty() && yunet.is_file() {
        let fact = f32::fact([1, 3, SIZE.1, SIZE.0]);
        let model = onnx().with_ignore_output_shapes(true).with_ignore_value_info(true).model_for_path(&yunet)?;
        let plan = model.with_input_fact(0, fact.into())?.into_optimized()?.into_runnable()?;
        plans.push(("YuNet-n".to_owned(), DatumType::F32, plan));
    }
    let candidates = [
        ([16, 32], [(64, 1), (64, 1), (64, 1)], 64),
        ([8, 32], [(64, 1), (64, 1), (64, 1)], 64),
        ([8, 32], [(64, 2), (64, 1), (64, 1)], 64),
        ([8, 32], [(64, 1), (64, 2), (64, 1)], 64),
        ([8, 32], [(64, 1), (64, 1), (64, 1)], 48),
        ([8, 24], [(64, 2), (64, 2), (64, 1)], 48),
        ([16, 32], [(64, 2), (64, 1), (64, 1)], 64),
    ];
    for (stem, stages, head) in candidates.into_iter().filter(|_| files.is_empty()) {
        let architecture = Architecture {
            classes: vec![ObjectClass::Face, ObjectClass::Person],
            stem,
            stages: stages.map(|(channels, blocks)| Stage { channels, blocks }),
            head,
        };
        let mut n = 0.0f32;
        let weights = Weights::filled(&architecture, || {
            n = (n * 31.0 + 0.37) % 1.0;
            (n - 0.5) * 0.1
        });
        let model = architecture.to_onnx(SIZE, &weights)?;
        let plan = onnx().model_for_proto_model(&model)?.into_optimized()?.into_runnable()?;
        let name = format!("stem {stem:?} stages {stages:?} head {head}, {} parameters", architecture.parameters());
        plans.push((name, DatumType::F32, plan));
    }
    let image = Tensor::zero::<f32>(&[1, 3, SIZE.1, SIZE.0])?;
    let mut best = vec![f64::INFINITY; plans.len()];
    // 16-bit floats take seconds where a processor has none.
    for _ in 0..if files.is_empty() { 25 } else { 5 } {
        for ((_, numbers, plan), best) in plans.iter().zip(&mut best) {
            let input = image.cast_to_dt(*numbers)?.into_owned();
            let start = Instant::now();
            plan.run(tvec!(input.into()))?;
            *best = best.min(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    for ((name, ..), ms) in plans.iter().zip(best) {
        println!("{ms:7.2} ms  {name}");
    }
    Ok(())
}
