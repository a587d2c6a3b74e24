//! `watch`: a camera that runs for years.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, value_parser};

use super::{RunArgs, Searched, config, folders, is_device, lessons, sandbox};
use crate::annotate::Format;
use crate::batch::{BatchConfig, Publisher};
use crate::models::Manifest;
use crate::program::Proof;
use crate::sandbox::{Begun as Confined, Confinement, begin};
use crate::sink::SinkOptions;
use crate::source::{OpenOptions, is_rtsp, rtsp_host};
use crate::watch::{Asked, Begun, Limits, Manager, Ready, SegmentOptions, Setup, WatchOptions};

/// A camera that goes on.
#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    #[command(flatten)]
    run: RunArgs,
    #[cfg(feature = "vault")]
    #[command(flatten)]
    keep: super::vault::KeepArgs,
    /// How long a segment is, in seconds.
    #[arg(long, value_name = "N", default_value_t = 600, value_parser = value_parser!(u32).range(1..=86_400))]
    segment_seconds: u32,
    /// The most that all segments take on the disk, in 2^20 bytes; the oldest goes first.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = value_parser!(u32).range(1..))]
    media_megabytes: u32,
    /// For how many days a segment is kept; 0: as long as there is room.
    #[arg(long, value_name = "N", default_value_t = 30)]
    media_days: u32,
    /// The most that is written in 24 hours of running, in 2^20 bytes: flash wears out by it.
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    megabytes_per_day: Option<u32>,
    /// After so many starts in a row that made no segment whole, cover everything until one is.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..))]
    restarts: u32,
    #[command(flatten)]
    program: super::program::LaunchArgs,
}

pub(super) fn run(args: &WatchArgs) -> anyhow::Result<ExitCode> {
    // Before anything is opened: what becomes another program ends here.
    let proof = args.program.launch(args.run.user.as_deref())?;
    let confined = begin(args.run.sandbox, args.run.user.as_deref())?;
    let asked = Asked::by_signals()?;
    let begun = Begun::new(&args.run.out, options(args), args.restarts)?.on_trial(proof.clone());
    let setup = Arc::new(Opener(args.run.clone()));
    let Prepared { ready, publisher, manager } = match prepare(args, confined, &setup, &begun, proof.as_ref()) {
        Ok(prepared) => prepared,
        Err(error) => {
            begun.excuse();
            return Err(error);
        }
    };
    #[cfg(feature = "vault")]
    let keep = args.keep.keeper();
    #[cfg(not(feature = "vault"))]
    let keep: anyhow::Result<_> = Ok(None);
    let keep = match keep {
        Ok(keep) => keep,
        Err(error) => {
            begun.excuse();
            return Err(error);
        }
    };
    begun.watch(setup, ready, (publisher, keep), manager, asked)?;
    println!("stopped; every segment in {} is whole", args.run.out.display());
    Ok(ExitCode::SUCCESS)
}

fn options(args: &WatchArgs) -> WatchOptions {
    let segments = SegmentOptions {
        length: Duration::from_secs(args.segment_seconds.into()),
        limits: Limits { bytes: u64::from(args.media_megabytes) << 20, days: args.media_days },
        per_day: args.megabytes_per_day.map(|megabytes| u64::from(megabytes) << 20),
        sink: SinkOptions::default(),
        formats: vec![Format::Coco],
    };
    // A camera runs no other programs.
    let open = OpenOptions { ffmpeg: false, ..OpenOptions::default() };
    WatchOptions { source: args.run.source.clone(), open, threads: args.run.threads, segments }
}

struct Prepared {
    ready: Option<Ready>,
    publisher: Option<Arc<dyn Publisher>>,
    manager: Manager,
}

/// Opens what the owner gave, and then locks the process in.
fn prepare(
    args: &WatchArgs,
    confined: Confined,
    setup: &Opener,
    begun: &Begun,
    proof: Option<&Proof>,
) -> anyhow::Result<Prepared> {
    // Where starts come to nothing, what searching takes may be the reason.
    let ready = if begun.covered().is_none() { Some(setup.open()?) } else { None };
    let publisher = publisher(&args.run)?;
    #[cfg(feature = "vault")]
    args.keep.check(&args.run.out)?;
    let manager = Manager::connect();
    let needs = needs(args)?;
    let needs = proof.iter().fold(needs, |needs, proof| needs.keeps(&proof.folder()));
    sandbox::confine(confined, &needs)?;
    Ok(Prepared { ready, publisher, manager })
}

/// What it needs once it is at work. What is opened again later is found by its folder: a camera that comes back is another file.
fn needs(args: &WatchArgs) -> anyhow::Result<Confinement> {
    let needs = folders(&args.run);
    #[cfg(feature = "vault")]
    let needs = args.keep.vault().into_iter().fold(needs, |needs, vault| needs.keeps(vault));
    let files = [&args.run.config, &args.run.model].into_iter().flatten();
    let needs = files.fold(needs, |needs, file| needs.reads(folder(file)));
    let source = &args.run.source;
    if is_rtsp(source) {
        let (host, port) = rtsp_host(source)?;
        return Ok(needs.calls(&host, port));
    }
    if is_device(source) || source.starts_with("/dev") {
        return Ok(needs.uses(folder(source)));
    }
    Ok(if source.exists() { needs.reads(source) } else { needs.reads(folder(source)) })
}

fn folder(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

/// Who lets results out, if it is not whoever typed this. Its owner may share later.
#[cfg(feature = "agent")]
fn publisher(args: &RunArgs) -> anyhow::Result<Option<Arc<dyn Publisher>>> {
    let Some(folder) = &args.shared_by else { return Ok(None) };
    Ok(Some(Arc::new(crate::agent::exports(folder)?)))
}

#[cfg(not(feature = "agent"))]
fn publisher(_: &RunArgs) -> anyhow::Result<Option<Arc<dyn Publisher>>> {
    Ok(None)
}

/// Opens what was typed.
struct Opener(RunArgs);

impl Opener {
    fn open(&self) -> anyhow::Result<Ready> {
        let searched = Searched::open(&self.0)?;
        let slot = searched.slot();
        let model = slot.get();
        let manifest = model.manifest();
        let config = config(&self.0, manifest)?;
        config.check(manifest)?;
        let lessons = lessons(&self.0, manifest)?;
        Ok(Ready { model: slot, config, lessons, start: Box::new(move || searched.follow()) })
    }
}

impl Setup for Opener {
    fn ready(&self) -> Result<Ready, String> {
        self.open().map_err(|error| format!("{error:#}"))
    }

    fn config(&self, manifest: &Manifest) -> Result<BatchConfig, String> {
        let read = config(&self.0, manifest).and_then(|config| {
            config.check(manifest)?;
            Ok(config)
        });
        read.map_err(|error| format!("{error:#}"))
    }
}
