//! The camera's own program: one source in, redacted media and annotations out. No demo, no training, no server.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::Parser;
use volet_edge::annotate::Format;
use volet_edge::batch::{self, BatchConfig, BatchError, BatchOptions, Event, Input};
use volet_edge::models::{Model, builtin};
use volet_edge::sink::SinkOptions;
use volet_edge::source::OpenOptions;

/// Redacts and annotates what a camera sees.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// A camera (/dev/videoN), an rtsp:// address or a file.
    #[arg(long)]
    source: PathBuf,
    /// A new or empty folder for redacted media and annotations.
    #[arg(long)]
    out: PathBuf,
    /// Settings as a TOML file.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Manifest of the detector; the built-in one where not given.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Searches at a time.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Stop after this many frames.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    frames: u64,
}

static STOP: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("VOLET_LOG"))
        .with_writer(std::io::stderr)
        .init();
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("volet-edge: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let model = match &args.model {
        Some(path) => Model::open(path).with_context(|| format!("cannot use the model {path:?}"))?,
        None => builtin::default_model()?,
    };
    let mut config = BatchConfig::for_model(model.manifest());
    if let Some(path) = &args.config {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path:?}"))?;
        config = BatchConfig::from_toml(&text, model.manifest()).with_context(|| format!("{path:?}"))?;
    }
    let options = BatchOptions {
        config,
        formats: vec![Format::Coco],
        regions: None,
        keep_names: false,
        threads: args.threads,
        // A camera runs no other programs.
        open: OpenOptions { ffmpeg: false, ..OpenOptions::default() },
        sink: SinkOptions::default(),
        max_frames: args.frames,
    };
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })?;
    let inputs = vec![Input::Path(args.source.clone())];
    let tell = |event: Event<'_>| {
        if let Event::Problem(name, message) = event {
            eprintln!("volet-edge: {name}: {message}");
        }
    };
    let summary = match batch::run(inputs, Vec::new(), &args.out, &Arc::new(model), &options, &STOP, &tell) {
        Ok(summary) => summary,
        Err(BatchError::Stopped { written }) => {
            println!("stopped; {written} outputs are whole");
            return Ok(ExitCode::SUCCESS);
        }
        Err(e) => return Err(e.into()),
    };
    println!("{} frames, {:.2} % covered", summary.totals.counts.frames, 100.0 * summary.totals.cover_rate);
    Ok(if summary.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
