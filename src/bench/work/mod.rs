//! `volet bench-work CASE --param KEY=VALUE`: one piece of work in a process of its own that measures itself, and says a sample a line,
//! as peers do. Hidden: `volet bench` calls it.

mod audit;
pub(super) mod federated;
pub(super) mod limits;
pub(super) mod secagg;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context;
use cpu_time::ProcessTime;
use volet_edge::egress::ledger::{self, Ledger};
use volet_edge::frame::{Geometry, PixelFormat};
use volet_federated::signing::SigningKey;
use volet_federated::storage::DirStorage;

use super::harness::{Metric, Sample};
use super::stream::{Case, stream};
use crate::cli::{BenchKernelArgs, BenchWorkArgs};

pub(super) const FRAMES_PER_CPU: Metric = Metric::higher("frames per CPU second", "1/s");
pub(super) const FRAMES_PER_SECOND: Metric = Metric::higher("frames per second", "1/s");
pub(super) const TO_FIRST: Metric = Metric::lower("first frame in to first redacted frame out", "s");
pub(super) const SEARCHES: Metric = Metric::context("time in searches, by the clock, per CPU second", "");
pub(super) const MASKS: Metric = Metric::fact("masks per frame", "");
pub(super) const CPU_PER_PICTURE: Metric = Metric::lower("CPU per picture", "s");
pub(super) const CPU_PER_ENTRY: Metric = Metric::lower("CPU per entry", "s");
pub(super) const WALL_PER_ENTRY: Metric = Metric::lower("time per entry", "s");
pub(super) const CPU_PER_RUN: Metric = Metric::lower("CPU per run", "s");

/// The parameters of a piece of work.
struct Given(BTreeMap<String, String>);

impl Given {
    fn of(params: &[String]) -> anyhow::Result<Self> {
        let pair = |text: &String| {
            let (name, value) = text.split_once('=').with_context(|| format!("{text:?} is no KEY=VALUE"))?;
            Ok((name.to_owned(), value.to_owned()))
        };
        Ok(Self(params.iter().map(pair).collect::<anyhow::Result<_>>()?))
    }

    fn get<T: FromStr>(&self, name: &str) -> anyhow::Result<T>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.0.get(name).with_context(|| format!("--param {name}=VALUE is needed"))?;
        text.parse().map_err(|error| anyhow::anyhow!("{name}={text}: {error}"))
    }
}

/// Runs a piece of work once.
pub(super) fn work(args: &BenchWorkArgs) -> anyhow::Result<ExitCode> {
    let given = Given::of(&args.params)?;
    let samples = match args.case.as_str() {
        "stream" => camera(&given),
        "forward" => forward(&given),
        "append" => append(&given),
        "audit" => audit::audit(&given),
        "secagg" => secagg::round(&given),
        "rounds" => federated::rounds(&given),
        "aggregate" => federated::aggregate(&given),
        "epsilon" => federated::epsilon(&given),
        "copy" => limits::copy(&given),
        "gemm" => limits::gemm(&given),
        other => anyhow::bail!("there is no work {other:?}"),
    };
    for sample in samples? {
        println!("{}", serde_json::to_string(&sample)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a kernel N times.
pub(super) fn kernel(args: &BenchKernelArgs) -> anyhow::Result<ExitCode> {
    let all = super::kernels::KERNELS;
    let names = || all.map(|kernel| format!("{} ({})", kernel.name, kernel.does)).join(", ");
    let kernel = all.iter().find(|kernel| kernel.name == args.name);
    let mut once =
        (kernel.with_context(|| format!("there is no kernel {:?}; there are {}", args.name, names()))?.set_up)()?;
    // Caches and memory that is had for the first time are not what is asked.
    once()?;
    let start = ProcessTime::now();
    for _ in 0..args.times {
        once()?;
    }
    let spent = start.elapsed().as_secs_f64() / f64::from(args.times.max(1));
    println!("{}", serde_json::to_string(&CPU_PER_RUN.of(spent))?);
    Ok(ExitCode::SUCCESS)
}

/// NV12 pictures, all in one file, through the pipeline.
fn camera(given: &Given) -> anyhow::Result<Vec<Sample>> {
    let (width, height): (u32, u32) = (given.get("width")?, given.get("height")?);
    let bytes = Geometry::new(PixelFormat::Nv12, width, height)?.bytes();
    let file: PathBuf = given.get("file")?;
    let all = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let pictures: Vec<Vec<u8>> = all.chunks_exact(bytes).map(<[u8]>::to_vec).collect();
    anyhow::ensure!(!pictures.is_empty(), "{} holds no picture of {width}x{height}", file.display());
    let model = Arc::new(volet_edge::models::builtin::default_model()?);
    let case = Case {
        pictures: Arc::new(pictures),
        width,
        height,
        every: given.get("every")?,
        frames: given.get("frames")?,
        threads: given.get("threads")?,
    };
    // The first makes the network ready, which is not what is asked.
    let few = Case { frames: 2 * u64::from(case.every), ..case.clone() };
    stream(&model, &few)?;
    let took = stream(&model, &case)?;
    let frames = case.frames as f64;
    Ok(vec![
        FRAMES_PER_CPU.of(frames / took.cpu_s),
        FRAMES_PER_SECOND.of(frames / took.wall_s),
        TO_FIRST.of(took.first_s),
        MASKS.of(took.masks),
        SEARCHES.of(took.search_s / took.cpu_s),
    ])
}

/// A network alone and what makes boxes of its outputs, on an input that is ready: one thread.
fn forward(given: &Given) -> anyhow::Result<Vec<Sample>> {
    let path: String = given.get("model")?;
    let model = crate::models::open((path != "builtin").then(|| path.as_ref()))?;
    let (width, height): (u32, u32) = (given.get("width")?, given.get("height")?);
    let detector = model.at(Some((width, height)))?;
    let mut input = detector.new_input()?;
    input.fill_rgb(volet_synthetic::still(5, width, height).image.as_raw())?;
    let least = model.manifest().thresholds.score;
    detector.detect(&input, least)?;
    let repeats: u32 = given.get("repeats")?;
    let start = ProcessTime::now();
    for _ in 0..repeats {
        std::hint::black_box(detector.detect(&input, least)?);
    }
    Ok(vec![CPU_PER_PICTURE.of(start.elapsed().as_secs_f64() / f64::from(repeats.max(1)))])
}

/// Entries of the egress ledger, each on the disk before the next.
fn append(given: &Given) -> anyhow::Result<Vec<Sample>> {
    let (folder, entries): (PathBuf, u64) = (given.get("dir")?, given.get("entries")?);
    let key = SigningKey::from([7; 32]);
    let mut ledger = Ledger::open(DirStorage::open(&folder)?, &key, ledger::Limits::default())?;
    let (start, cpu) = (std::time::Instant::now(), ProcessTime::now());
    for n in 0..entries {
        ledger.append(1_780_000_000_000 + 1000 * n, super::kernels::entry())?;
    }
    let each = |seconds: f64| seconds / entries.max(1) as f64;
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu.elapsed().as_secs_f64());
    ledger.close()?;
    Ok(vec![CPU_PER_ENTRY.of(each(cpu)), WALL_PER_ENTRY.of(each(wall))])
}
