//! `volet judge`: what something that was learned is worth on annotated pictures. An aggregator's `[evaluate]` can call it.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use volet_edge::agent::{Judge, Part, Pictures, StillJudge};

use crate::cli::JudgeArgs;

pub(crate) fn run(args: &JudgeArgs) -> anyhow::Result<ExitCode> {
    let model = Arc::into_inner(crate::models::open(args.model.as_deref())?).context("the model is in use")?;
    let learned = match &args.learned {
        None => vec![0.0; model.trainable_len()?],
        Some(path) => {
            let bytes = std::fs::read(path).with_context(|| format!("{}", path.display()))?;
            let (words, rest) = bytes.as_chunks::<4>();
            anyhow::ensure!(rest.is_empty(), "{} does not hold values of 4 bytes", path.display());
            words.iter().map(|word| f32::from_le_bytes(*word)).collect()
        }
    };
    let quality = StillJudge::new(model, Pictures::new(args.pictures.clone(), Part::All)).judge(&learned)?;
    println!("{}", serde_json::json!({ "quality": quality }));
    Ok(ExitCode::SUCCESS)
}
