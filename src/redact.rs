//! `volet redact`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use volet_edge::annotate::Format;
use volet_edge::batch::{self, BatchConfig, BatchError, BatchOptions, Input};
use volet_edge::models::Model;
use volet_edge::sink::SinkOptions;
use volet_edge::source::{OpenOptions, SourceError, discover};
use volet_edge::summary::Summary;

use crate::cli::RedactArgs;
use crate::progress::Progress;

/// Set by Ctrl-C.
pub(crate) fn run(args: &RedactArgs) -> anyhow::Result<ExitCode> {
    let model = crate::models::open(args.search.model.as_deref())?;
    let options = options(args, &model)?;
    let (paths, unreadable) = discover(&args.inputs);
    let inputs = paths.into_iter().map(Input::Path).collect();
    run_batch(inputs, unreadable, &args.out, &model, &options, args.json)
}

/// Runs a batch with progress and summary; the exit code tells whether all went well.
pub(crate) fn run_batch(
    inputs: Vec<Input>,
    unreadable: Vec<SourceError>,
    out: &Path,
    model: &Arc<Model>,
    options: &BatchOptions,
    json: bool,
) -> anyhow::Result<ExitCode> {
    if inputs.is_empty() && unreadable.is_empty() {
        anyhow::bail!("there is nothing to redact: no pictures or videos were found in what was named");
    }
    let stop = crate::stop::watch()?;
    let progress = Progress::new(inputs.len() as u64 + unreadable.len() as u64, json);
    let result = batch::run(inputs, unreadable, out, model, options, stop, &|event| progress.on(&event));
    progress.end();
    match result {
        Ok(summary) => {
            if json {
                serde_json::to_writer_pretty(std::io::stdout().lock(), &summary).context("cannot write the summary")?;
                println!();
            } else {
                print_summary(&summary, out);
            }
            Ok(if summary.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(e @ BatchError::Stopped { .. }) => {
            eprintln!("volet: {e}");
            Ok(ExitCode::from(crate::stop::CODE))
        }
        Err(e) => Err(e.into()),
    }
}

/// All formats, all cores, every default.
pub(crate) fn default_options(model: &Model) -> BatchOptions {
    BatchOptions {
        config: BatchConfig::for_model(model.manifest()),
        formats: Format::ALL.to_vec(),
        regions: None,
        keep_names: false,
        threads: cores(),
        lessons: None,
        keep: None,
        open: OpenOptions::default(),
        sink: SinkOptions::default(),
        max_frames: 0,
        publisher: None,
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn options(args: &RedactArgs, model: &Model) -> anyhow::Result<BatchOptions> {
    let mut config = match &args.config {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path:?}"))?;
            BatchConfig::from_toml(&text, model.manifest()).with_context(|| format!("{path:?}"))?
        }
        None => BatchConfig::for_model(model.manifest()),
    };
    config.search.long_side = args.search.long_side.unwrap_or(config.search.long_side);
    config.search.tiles = args.search.tiles.unwrap_or(config.search.tiles);
    if let Some(score) = args.search.min_score {
        config.use_threshold(score);
    }
    let pipeline = &mut config.pipeline;
    let redaction = &mut pipeline.redaction;
    redaction.style = args.style.unwrap_or(redaction.style);
    redaction.shape = args.shape.unwrap_or(redaction.shape);
    redaction.scale = args.scale.unwrap_or(redaction.scale);
    redaction.paranoid |= args.paranoid;
    redaction.zones.extend(&args.zones);
    if !args.cover.is_empty() {
        redaction.classes.clone_from(&args.cover);
    }
    pipeline.every = args.every.unwrap_or(pipeline.every);
    pipeline.deadline_ms = args.deadline_ms.unwrap_or(pipeline.deadline_ms);
    Ok(BatchOptions {
        config,
        formats: if args.formats.is_empty() { Format::ALL.to_vec() } else { args.formats.clone() },
        regions: args.regions.clone(),
        keep_names: args.keep_names,
        threads: args.threads.unwrap_or_else(cores).clamp(1, 256),
        lessons: None,
        keep: None,
        open: OpenOptions { ffmpeg: !args.no_ffmpeg, ..OpenOptions::default() },
        sink: SinkOptions::default(),
        max_frames: args.frames,
        publisher: None,
    })
}

fn print_summary(summary: &Summary, out: &Path) {
    let (t, s) = (&summary.totals, &summary.stages_ms);
    let cpu = summary.cpu_s.map(|s| format!(", {s:.1} s of processor time")).unwrap_or_default();
    println!(
        "{} frames in {} outputs, {:.1} s{cpu} ({:.1} frames/s)",
        t.counts.frames, t.media, summary.wall_s, summary.frames_per_second
    );
    println!(
        "{} faces and {} persons; {:.2} % of all pixels covered; {} frames covered wholly",
        t.counts.face_tracks,
        t.counts.person_tracks,
        100.0 * t.cover_rate,
        t.counts.covered_frames
    );
    for (reason, times) in &t.counts.covered_reasons {
        println!("  {times} x {reason}");
    }
    let frames = (t.counts.frames.max(1)) as f64;
    let stages: Vec<String> = s.each().iter().map(|(name, ms)| format!("{name} {:.1}", ms / frames)).collect();
    println!("ms per frame: {}", stages.join(", "));
    if summary.model.quality == "preview" {
        println!("The detector {} is a preview: look through the result before you pass it on.", summary.model.name);
    }
    if !summary.errors.is_empty() {
        println!("{} problems; see above", summary.errors.len());
    }
    println!("{}", out.join("index.html").display());
}
