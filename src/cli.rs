//! What can be typed: every flag, declared once. Here the commands and what several of them share; the flags of each beside.

#[cfg(target_os = "linux")]
mod bench;
#[cfg(unix)]
mod evidence;
mod learning;
mod pictures;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

#[cfg(target_os = "linux")]
pub(crate) use bench::*;
#[cfg(unix)]
pub(crate) use evidence::*;
pub(crate) use learning::*;
pub(crate) use pictures::*;

/// Covers every face before a frame may leave, and writes the annotations itself.
///
/// Without a command: makes a short synthetic clip, redacts and annotates it, and leaves the result in a new folder.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Redact and annotate pictures, videos, cameras.
    Redact(Box<RedactArgs>),
    /// Find faces in the pictures of a COCO file and write COCO results.
    Detect(DetectArgs),
    /// Say how good results are: precision, recall, recall by size and by every attribute of the truth.
    Score(ScoreArgs),
    /// Render pictures and clips of people who do not exist, with their truth.
    Synth(SynthArgs),
    /// List, check and add detectors.
    Models(ModelsArgs),
    /// Say what learning from many sites costs in privacy, and plan for it.
    Privacy(PrivacyArgs),
    /// Show and verify what a device wrote down of all that left it.
    #[cfg(unix)]
    Ledger(LedgerArgs),
    /// Sign programs that cameras take in place of the one they came with.
    #[cfg(target_os = "linux")]
    Program(ProgramArgs),
    /// Say what a fleet would learn before it is rolled out: many sites in one process, with noise, dropouts and attackers.
    #[cfg(unix)]
    Simulate(Box<SimulateArgs>),
    /// Learn together: an aggregator and some cameras as processes on this machine, with synthetic pictures.
    #[cfg(unix)]
    Demo(DemoArgs),
    /// Judge what was learned by annotated pictures, as an aggregator's `[evaluate]` does.
    #[cfg(unix)]
    Judge(JudgeArgs),
    /// Look at a camera from outside: what left it, to whom, what it may and whether all that it claims is so.
    #[cfg(target_os = "linux")]
    Audit(AuditArgs),
    /// Capture what goes over this machine's networks, for `volet audit --capture`.
    #[cfg(target_os = "linux")]
    Capture(CaptureArgs),
    /// Measure speed, memory, leaks, privacy and the rest, beside other software, and say what became of every figure to reach.
    #[cfg(target_os = "linux")]
    Bench(BenchArgs),
    /// One piece of work that measures itself.
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    BenchWork(BenchWorkArgs),
    /// One hot kernel, run again and again.
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    BenchKernel(BenchKernelArgs),
    /// Starts a process and writes down what it took.
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    BenchChild(BenchChildArgs),
    /// The camera's commands, as `volet-edge` has them.
    #[command(hide = true)]
    Camera(volet_edge::cli::Cli),
    /// The aggregator's commands, as `volet-aggregator` has them.
    #[command(hide = true)]
    Aggregator(volet_federated::aggregator::command::Cli),
    /// Train a detector on synthetic people.
    #[cfg(feature = "train")]
    Train(TrainArgs),
}

/// Which detector, and how thoroughly it looks.
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// Manifest (TOML) of the detector, or the name of a built-in one.
    #[arg(long, value_name = "MANIFEST")]
    pub(crate) model: Option<PathBuf>,
    /// Longer side of the network's input in pixels; more finds smaller faces and takes longer.
    #[arg(long, value_name = "PIXELS")]
    pub(crate) long_side: Option<u32>,
    /// Besides the whole frame, search N x N overlapping tiles.
    #[arg(long, value_name = "N")]
    pub(crate) tiles: Option<u32>,
    /// Smallest score that counts, between 0 and 1; the manifest's where not given.
    #[arg(long, value_name = "S")]
    pub(crate) min_score: Option<f32>,
}

/// Reads a word as the configuration file would.
pub(crate) fn serde_word<T: serde::de::DeserializeOwned>(word: &str) -> Result<T, String> {
    let value: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
        serde::de::IntoDeserializer::into_deserializer(word);
    T::deserialize(value).map_err(|e| e.to_string())
}

fn share(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|v| *v > 0.0 && *v <= 1.0)
        .ok_or_else(|| "a number above 0 and up to 1 is needed".to_owned())
}

fn rate(text: &str) -> Result<f32, String> {
    text.parse().ok().filter(|v| *v > 0.0 && *v <= 1e6).ok_or_else(|| "a number above 0 is needed".to_owned())
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let side = |s: &str| s.trim().parse().ok().filter(|side| volet_synthetic::SIDES.contains(side));
    let both = text.split_once('x').and_then(|(w, h)| Some((side(w)?, side(h)?)));
    let (low, high) = (volet_synthetic::SIDES.start(), volet_synthetic::SIDES.end());
    both.ok_or_else(|| format!("two sides from {low} to {high} are needed, as in 640x384"))
}

fn zone(text: &str) -> Result<[f32; 4], String> {
    let numbers: Result<Vec<f32>, _> = text.split(',').map(|n| n.trim().parse()).collect();
    let numbers = numbers.map_err(|e| format!("{e}: four numbers are needed, as in 0,0,0.25,0.5"))?;
    numbers.try_into().map_err(|_| "four numbers are needed, as in 0,0,0.25,0.5".to_owned())
}
