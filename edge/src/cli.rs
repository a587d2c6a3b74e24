//! The camera's commands, for programs to offer: `volet-edge` does, and `volet camera`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::Args;

use crate::annotate::Format;
use crate::batch::{self, BatchConfig, BatchError, BatchOptions, Event, Input, Publisher};
use crate::keep::Keeper;
use crate::learn::Lessons;
use crate::models::{Manifest, Model, builtin};
use crate::sandbox::{Confinement, Mode, begin};
use crate::sink::SinkOptions;
use crate::slot::ModelSlot;
use crate::source::OpenOptions;
use crate::summary::KeptFilm;

#[cfg(all(unix, feature = "agent"))]
mod agent;
#[cfg(all(unix, feature = "agent"))]
mod buffer;
#[cfg(all(unix, feature = "agent"))]
mod label;
#[cfg(all(target_os = "linux", feature = "watch"))]
mod program;
mod sandbox;
#[cfg(all(unix, feature = "agent"))]
mod until;
#[cfg(all(unix, feature = "vault"))]
mod vault;
#[cfg(all(target_os = "linux", feature = "watch"))]
mod watch;

#[cfg(all(unix, feature = "agent"))]
use until::{runtime, stop, until_stdin_ends};

/// What can be typed.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Cli {
    #[command(flatten)]
    run: Option<RunArgs>,
    /// Stop after this many frames.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    frames: u64,
    // Not within what is optional: clap does not see there what is flattened twice.
    #[cfg(all(unix, feature = "vault"))]
    #[command(flatten)]
    keep: vault::KeepArgs,
    #[cfg(any(all(unix, any(feature = "agent", feature = "vault")), all(target_os = "linux", feature = "watch")))]
    #[command(subcommand)]
    command: Option<Command>,
}

#[cfg(any(all(unix, any(feature = "agent", feature = "vault")), all(target_os = "linux", feature = "watch")))]
#[derive(Debug, clap::Subcommand)]
enum Command {
    #[cfg(feature = "agent")]
    #[command(flatten)]
    Agent(agent::Command),
    /// The vault: raw film that the owner chose to keep, sealed so that this device cannot read it back.
    #[cfg(feature = "vault")]
    #[command(subcommand)]
    Vault(vault::VaultCommand),
    /// Go on for years: one whole folder of redacted media after the other, whatever becomes of camera, disk and power.
    #[cfg(all(target_os = "linux", feature = "watch"))]
    Watch(Box<watch::WatchArgs>),
    /// Replace this program: signed, whole or not at all, and back where the new one does not prove itself.
    #[cfg(all(target_os = "linux", feature = "watch"))]
    #[command(subcommand)]
    Program(program::ProgramCommand),
}

/// Redacting and annotating what a camera sees.
#[derive(Clone, Debug, Args)]
struct RunArgs {
    /// A camera (/dev/videoN), an rtsp:// address or a file.
    #[arg(long)]
    source: PathBuf,
    /// A new or empty folder for redacted media and annotations; with `watch`, the folder of its segments.
    #[arg(long)]
    out: PathBuf,
    /// Settings as a TOML file.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Manifest of the detector; the built-in one where not given.
    #[arg(long)]
    model: Option<PathBuf>,
    /// State folder of an agent: search with the model that it has in use, and follow it while running.
    #[cfg(all(unix, feature = "agent"))]
    #[arg(long, value_name = "STATE", conflicts_with = "model")]
    model_from: Option<PathBuf>,
    /// A learning buffer (`buffer init`): keep stills there now and then, encrypted for the owner, with labels that the
    /// frames around them agree on. The agent learns from them.
    #[cfg(all(unix, feature = "agent"))]
    #[arg(long, value_name = "BUFFER")]
    lessons: Option<PathBuf>,
    /// Seconds between two such stills, at least.
    #[cfg(all(unix, feature = "agent"))]
    #[arg(long, default_value_t = 60, value_name = "SECONDS", requires = "lessons")]
    lesson_every: u64,
    /// State folder of an enrolled camera: results get into --out only while its owner shares, each after it is in the camera's
    /// ledger of exports. Without it whoever types this is taken for the owner.
    #[cfg(all(unix, feature = "agent"))]
    #[arg(long, value_name = "STATE")]
    shared_by: Option<PathBuf>,
    /// Searches at a time.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    // Arguments in an optional group cannot be in a group of their own.
    /// How far this process locks itself in (docs/sandbox.md).
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    sandbox: Mode,
    /// Started as root, go on as this user: a name or a number.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
}

/// Runs what was typed.
///
/// # Errors
/// For people to read.
pub fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    #[cfg(any(all(unix, any(feature = "agent", feature = "vault")), all(target_os = "linux", feature = "watch")))]
    match &cli.command {
        #[cfg(feature = "agent")]
        Some(Command::Agent(command)) => return agent::run(command),
        #[cfg(feature = "vault")]
        Some(Command::Vault(command)) => return vault::run(command),
        #[cfg(all(target_os = "linux", feature = "watch"))]
        Some(Command::Watch(args)) => return watch::run(args),
        #[cfg(all(target_os = "linux", feature = "watch"))]
        Some(Command::Program(command)) => return program::run(command),
        None => {}
    }
    let args = cli.run.as_ref().context("give --source and --out")?;
    redact(cli, args)
}

static STOP: AtomicBool = AtomicBool::new(false);

fn redact(cli: &Cli, args: &RunArgs) -> anyhow::Result<ExitCode> {
    // What the owner gave is opened first; what a camera sees and strangers send comes after.
    let begun = begin(args.sandbox, args.user.as_deref())?;
    let searched = Searched::open(args)?;
    let model = searched.slot();
    let manifest = model.get();
    let manifest = manifest.manifest();
    let options = BatchOptions {
        config: config(args, manifest)?,
        formats: vec![Format::Coco],
        regions: None,
        keep_names: false,
        threads: args.threads,
        lessons: lessons(args, manifest)?,
        keep: None,
        // A camera runs no other programs.
        open: OpenOptions { ffmpeg: false, ..OpenOptions::default() },
        sink: SinkOptions::default(),
        max_frames: cli.frames,
        publisher: None,
    };
    let exports = exports(args)?;
    #[cfg(all(unix, feature = "vault"))]
    cli.keep.check(&args.out)?;
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    sandbox::confine(begun, &needs(cli, args)?)?;
    searched.follow()?;
    let options = BatchOptions { publisher: watched(exports)?, keep: keeper(cli)?, ..options };
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
    let ran = batch::run(inputs, Vec::new(), &args.out, model, &options, &STOP, &tell);
    // Where the batch broke off, what was kept is to be whole all the same.
    if let Some(keeper) = &options.keep {
        keeper.finish();
    }
    let summary = match ran {
        Ok(summary) => summary,
        Err(BatchError::Stopped { written }) => {
            println!("stopped; {written} outputs are whole");
            return Ok(ExitCode::SUCCESS);
        }
        Err(e) => return Err(e.into()),
    };
    println!("{} frames, {:.2} % covered", summary.totals.counts.frames, 100.0 * summary.totals.cover_rate);
    if let Some(KeptFilm { clips, frames, left_out }) = summary.kept {
        println!("raw film was kept, sealed for its owner: {clips} clips, {frames} frames");
        if left_out > 0 {
            eprintln!(
                "volet-edge: {left_out} frames of raw film were not kept: the disk or the processor did not keep up"
            );
        }
    }
    Ok(if summary.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The settings.
fn config(args: &RunArgs, manifest: &Manifest) -> anyhow::Result<BatchConfig> {
    let Some(path) = &args.config else { return Ok(BatchConfig::for_model(manifest)) };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path:?}"))?;
    BatchConfig::from_toml(&text, manifest).with_context(|| format!("{path:?}"))
}

/// Who lets results out, if it is not whoever typed this.
#[cfg(all(unix, feature = "agent"))]
fn exports(args: &RunArgs) -> anyhow::Result<Option<crate::egress::Exports>> {
    let Some(folder) = &args.shared_by else { return Ok(None) };
    let exports = crate::agent::exports(folder)?;
    anyhow::ensure!(
        exports.shares(),
        "the owner of this camera does not share; `volet-edge consent --dir {} --sharing on` is theirs to say",
        folder.display()
    );
    Ok(Some(exports))
}

/// When the owner no longer shares, the batch is stopped.
#[cfg(all(unix, feature = "agent"))]
fn watched(exports: Option<crate::egress::Exports>) -> anyhow::Result<Option<Arc<dyn Publisher>>> {
    let Some(exports) = exports.map(Arc::new) else { return Ok(None) };
    let watched = exports.clone();
    std::thread::Builder::new().name("consent".to_owned()).spawn(move || {
        while watched.shares() {
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
        STOP.store(true, Ordering::Relaxed);
    })?;
    Ok(Some(exports))
}

#[cfg(not(all(unix, feature = "agent")))]
fn exports(_: &RunArgs) -> anyhow::Result<Option<std::convert::Infallible>> {
    Ok(None)
}

#[cfg(not(all(unix, feature = "agent")))]
fn watched(_: Option<std::convert::Infallible>) -> anyhow::Result<Option<Arc<dyn Publisher>>> {
    Ok(None)
}

/// How lessons are taken, if they are.
#[cfg(all(unix, feature = "agent"))]
fn lessons(args: &RunArgs, manifest: &Manifest) -> anyhow::Result<Option<Lessons>> {
    let Some(folder) = &args.lessons else { return Ok(None) };
    let classes = manifest.classes.clone();
    let keep = std::sync::Arc::new(crate::learn::buffer::Buffer::writer(folder, &classes)?);
    let every = std::time::Duration::from_secs(args.lesson_every);
    Ok(Some(Lessons { keep, classes, every, labels: crate::learn::LabelConfig::default() }))
}

#[cfg(not(all(unix, feature = "agent")))]
fn lessons(_: &RunArgs, _: &Manifest) -> anyhow::Result<Option<Lessons>> {
    Ok(None)
}

/// Who keeps raw film, if anybody does.
#[cfg(all(unix, feature = "vault"))]
fn keeper(cli: &Cli) -> anyhow::Result<Option<Keeper>> {
    cli.keep.keeper()
}

#[cfg(not(all(unix, feature = "vault")))]
fn keeper(_: &Cli) -> anyhow::Result<Option<Keeper>> {
    Ok(None)
}

/// What the camera needs once it is at work.
#[allow(unused_variables)] // `cli` where there is no vault
fn needs(cli: &Cli, args: &RunArgs) -> anyhow::Result<Confinement> {
    let needs = folders(args);
    #[cfg(all(unix, feature = "vault"))]
    let needs = cli.keep.vault().into_iter().fold(needs, |needs, vault| needs.keeps(vault));
    if crate::source::is_rtsp(&args.source) {
        let (host, port) = crate::source::rtsp_host(&args.source)?;
        return Ok(needs.calls(&host, port));
    }
    Ok(if is_device(&args.source) { needs.uses(&args.source) } else { needs.reads(&args.source) })
}

/// What it needs besides its source and a vault.
fn folders(args: &RunArgs) -> Confinement {
    let needs = Confinement::new().writes(&args.out);
    #[cfg(all(unix, feature = "agent"))]
    let needs = {
        let needs = args.lessons.iter().fold(needs, |needs, buffer| needs.keeps(buffer));
        // Of an agent's folder no more than that: its keys are there too.
        let needs = args.model_from.iter().fold(needs, |needs, state| needs.reads(crate::agent::models(state)));
        args.shared_by.iter().fold(needs, |needs, state| {
            let needs = needs.reads(crate::egress::Consent::folder(state));
            crate::egress::exports(state).iter().fold(needs, |needs, folder| needs.keeps(folder))
        })
    };
    needs
}

#[cfg(unix)]
fn is_device(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_char_device())
}

#[cfg(not(unix))]
fn is_device(_: &Path) -> bool {
    false
}

/// The model that was asked for, and whoever keeps it up to date.
enum Searched {
    Fixed(ModelSlot),
    #[cfg(all(unix, feature = "agent"))]
    Followed(crate::agent::Follower),
}

impl Searched {
    fn open(args: &RunArgs) -> anyhow::Result<Self> {
        #[cfg(all(unix, feature = "agent"))]
        if let Some(folder) = &args.model_from {
            let follower = crate::agent::Follower::new(folder).with_context(|| format!("{}", folder.display()))?;
            return Ok(Self::Followed(follower));
        }
        Ok(Self::Fixed(match &args.model {
            Some(path) => Model::open(path).with_context(|| format!("cannot use the model {path:?}"))?.into(),
            None => builtin::default_model()?.into(),
        }))
    }

    fn slot(&self) -> ModelSlot {
        match self {
            Self::Fixed(slot) => slot.clone(),
            #[cfg(all(unix, feature = "agent"))]
            Self::Followed(follower) => follower.slot(),
        }
    }

    /// Looks for other models from now on, on a thread of its own.
    fn follow(self) -> std::io::Result<()> {
        match self {
            Self::Fixed(_) => Ok(()),
            #[cfg(all(unix, feature = "agent"))]
            Self::Followed(follower) => follower.start(),
        }
    }
}
