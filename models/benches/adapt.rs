//! What it costs a device to learn with the shipped model: processor time of one training step on 8 views, and peak memory of a
//! whole adaptation to 8 stills and their mirror images, at two sizes of views.
//!
//! `cargo bench -p volet-models --features adapt --bench adapt`
//!
//! The adaptation runs in a process of its own, this program with `--child`, so that nothing else counts.

use std::process::{Command, ExitCode};
use std::time::Instant;

use cpu_time::ProcessTime;
use volet_models::adapt::{School, Settings};
use volet_models::{BBox, LabelledBox, Sample, builtin};

type Failure = Box<dyn std::error::Error>;

const SIZES: [(u32, u32); 2] = [(320, 256), (640, 384)];
const STILLS: u32 = 8;
const STEPS: usize = 60;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let size = arguments.windows(2).find(|pair| pair[0] == "--child").map(|pair| pair[1].clone());
    let done = match size {
        Some(size) => adaptation(&size),
        // `cargo test --benches` only wants to know that it runs; it is slow.
        None if !arguments.iter().any(|argument| argument == "--bench") => Ok(()),
        None => SIZES.into_iter().try_for_each(measured),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measured(size: (u32, u32)) -> Result<(), Failure> {
    println!("views of {}x{}", size.0, size.1);
    let model = builtin::default_model()?;
    let learned = vec![0.0; model.trainable_len()?];
    let school = School::new(&model, size)?;
    let settings = settings(size);
    let stills: Vec<Sample> = (0..STILLS).map(|seed| still(seed, size)).collect();
    let begun = ProcessTime::try_now()?;
    let views = school.see(&stills, &settings, &|| true)?;
    println!("  frozen part: {:.1} ms of processor time a view", milliseconds(begun)? / views.len() as f64);
    let batch = views.pick(0..8);
    let one = Settings { steps: 1, mirror: false, ..settings };
    let (mut cpu, mut clock) = (Vec::new(), Vec::new());
    for _ in 0..STEPS {
        let (begun, began) = (ProcessTime::try_now()?, Instant::now());
        school.learn(&batch, &learned, &one, &|| true)?;
        cpu.push(milliseconds(begun)?);
        clock.push(1000.0 * began.elapsed().as_secs_f64());
    }
    println!("  step on 8 views: {} of processor time, {} by the clock", spread(cpu), spread(clock));
    let child = Command::new(std::env::current_exe()?).args(["--child", &format!("{}x{}", size.0, size.1)]).output()?;
    if !child.status.success() {
        return Err(String::from_utf8_lossy(&child.stderr).into_owned().into());
    }
    print!("{}", String::from_utf8(child.stdout)?);
    Ok(())
}

/// A whole adaptation, and what it takes in memory.
fn adaptation(size: &str) -> Result<(), Failure> {
    let (width, height) = size.split_once('x').ok_or("a size is WIDTHxHEIGHT")?;
    let size = (width.parse()?, height.parse()?);
    let model = builtin::default_model()?;
    let learned = vec![0.0; model.trainable_len()?];
    let stills: Vec<Sample> = (0..STILLS).map(|seed| still(seed, size)).collect();
    println!("  peak memory: {} MB with model and stills", peak()?);
    let settings = settings(size);
    let school = School::new(&model, size)?;
    // With one view only: what it takes to run the network, and hardly any of what it hands over.
    school.see(stills.get(..1).unwrap_or_default(), &Settings { mirror: false, ..settings.clone() }, &|| true)?;
    println!("               {} MB with the frozen part run on one view", peak()?);
    let views = school.see(&stills, &settings, &|| true)?;
    println!("               {} MB with what it hands over for {} views", peak()?, views.len());
    school.learn(&views, &learned, &settings, &|| true)?;
    println!("               {} MB for all, {} epochs learned", peak()?, settings.epochs);
    Ok(())
}

fn settings(size: (u32, u32)) -> Settings {
    Settings { view: Some(size), batch: 8, ..Settings::default() }
}

/// A still of noise with a flat box in it; the time does not depend on what is seen.
fn still(seed: u32, (width, height): (u32, u32)) -> Sample {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let rgb = (0..width * height * 3).map(|_| next()).collect();
    let bbox = BBox::new(f32::from(next()), f32::from(next() / 2), 40.0, 50.0);
    Sample { width, height, rgb, boxes: vec![LabelledBox { class: 0, bbox, ignore: false }] }
}

fn milliseconds(begun: ProcessTime) -> Result<f64, Failure> {
    Ok(1000.0 * begun.try_elapsed()?.as_secs_f64())
}

/// The median, and the range of the middle 80 of 100.
fn spread(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or(f64::NAN);
    format!("{:.1} ms ({:.1} to {:.1})", at(50), at(10), at(90))
}

/// The most memory that this process held so far, in 10^6 bytes.
fn peak() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("the system tells no peak memory")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim_end().parse()?;
    Ok(kibibytes * 1024 / 1_000_000)
}
