//! `volet` without a command: a synthetic clip through the whole pipeline.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use volet_edge::batch::Input;
use volet_synthetic::Clip;

use crate::synthetic::Synthetic;

const SEED: u64 = 11;
const WIDTH: u32 = 960;
const HEIGHT: u32 = 540;
const FPS: u32 = 12;
const FRAMES: u32 = 60;

pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let model = crate::models::open(None)?;
    let out = new_folder(Path::new("volet-out"))?;
    eprintln!("A synthetic clip of {} seconds, redacted and annotated into {}", FRAMES / FPS, out.display());
    eprintln!("(no real person is in it; `volet redact INPUT... --out DIR` does the same with your files)");
    let source = Synthetic::new(Clip::new(SEED, WIDTH, HEIGHT, FPS, FRAMES), (WIDTH, HEIGHT), FPS)?;
    let inputs = vec![Input::Stream("synthetic clip".to_owned(), Box::new(source))];
    crate::redact::run_batch(inputs, Vec::new(), &out, &model, &crate::redact::default_options(&model), false)
}

/// The first of `base`, `base-2`, `base-3`, ... that does not exist.
fn new_folder(base: &Path) -> anyhow::Result<PathBuf> {
    for n in 1..10_000u32 {
        let path = if n == 1 { base.to_owned() } else { PathBuf::from(format!("{}-{n}", base.display())) };
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => {
                return Err(e).with_context(|| format!("cannot make {path:?}; go to a folder that you may write to"));
            }
        }
    }
    anyhow::bail!("there are too many folders {base:?}-N; remove some")
}
