//! `volet simulate`: a fleet in one process, before anyone rolls one out. What it would learn, what that would cost in
//! privacy, and what malicious sites would do to it.
//!
//! The rounds are `volet_federated::simulation`'s; here is what surrounds them: settings and sweeps, a folder that survives
//! being killed, tables and a page.

mod conduct;
mod detector;
mod folder;
mod judged;
mod outcome;
mod page;
mod pattern;
mod settings;
mod softmax;
mod summary;
mod sweep;
mod table;

use std::process::ExitCode;

use anyhow::Context;
use volet_federated::optimizer::Rule;
use volet_federated::simulation::Fleet;

use crate::cli::SimulateArgs;
use conduct::{Progress, check, conduct};
use detector::Cameras;
use folder::Folder;
use outcome::Outcome;
use settings::{FleetKind, Settings};
use softmax::Softmax;
use summary::Summary;
use sweep::Sweep;

pub(crate) use settings::Choices;
pub(crate) use sweep::Along;

pub(crate) fn run(args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    let choices = chosen(args)?;
    let here = choices.faces.is_none();
    anyhow::ensure!(here, "no fleet can learn from a folder of faces yet; leave out --faces (docs/simulation.md)");
    let runs = choices.sweep.runs(&choices)?;
    // What cannot be is refused before a folder is made.
    runs.iter().try_for_each(|run| check(run).with_context(|| format!("{run} cannot be simulated")))?;
    let mut folder = Folder::open(&args.out, &choices)?;
    let stop = crate::stop::watch()?;
    let rounds = runs.iter().map(|run| u64::from(run.settings.rounds.get())).sum();
    let progress = Progress::new(rounds, args.json);
    let mut outcomes = Vec::new();
    let mut fleet = Kept::default();
    for (number, run) in runs.iter().enumerate() {
        let Some(outcome) = conduct(fleet.of(&run.settings)?, run, number, &mut folder, &progress, stop)? else {
            progress.end();
            eprintln!("volet: stopped; all rounds so far are kept, and the same command goes on from there");
            return Ok(ExitCode::from(crate::stop::CODE));
        };
        outcomes.push(outcome);
    }
    progress.end();
    write(&folder, &choices, &outcomes).context("the runs are kept, but not all that shows them could be written")?;
    let summary = Summary::of(&outcomes);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        summary.print();
        println!("{}", args.out.join("index.html").display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Flags, then the file, then what holds by default.
fn chosen(args: &SimulateArgs) -> anyhow::Result<Choices> {
    let mut choices = args.choices.clone();
    if !args.sweep.is_empty() {
        choices.sweep = Sweep::of(&args.sweep);
    }
    if let Some(path) = &args.config {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path:?}"))?;
        let file: Choices = toml::from_str(&text).with_context(|| format!("{path:?} holds no settings"))?;
        choices = choices.or(&file)?;
    }
    Ok(choices.or(&Choices::by_default(choices.optimizer.unwrap_or(Rule::Average)))?)
}

/// The fleet of the run before: most runs of a sweep have the same one, and some take long to make.
#[derive(Default)]
struct Kept(Option<(Settings, Box<dyn Fleet>)>);

impl Kept {
    fn of(&mut self, settings: &Settings) -> anyhow::Result<&dyn Fleet> {
        let kept = self.0.take().filter(|(before, _)| before.same_fleet(settings));
        let fleet = kept.map_or_else(|| fleet(settings), |(_, fleet)| Ok(fleet))?;
        Ok(&*self.0.insert((settings.clone(), fleet)).1)
    }
}

fn fleet(settings: &Settings) -> anyhow::Result<Box<dyn Fleet>> {
    match settings.fleet {
        FleetKind::Softmax => {
            Ok(Box::new(Softmax::new(settings.softmax.clone(), settings.sites.get(), settings.seed)?))
        }
        FleetKind::Detector => {
            Ok(Box::new(Cameras::new(settings.detector.clone(), settings.sites.get(), settings.seed)?))
        }
    }
}

fn write(folder: &Folder, choices: &Choices, outcomes: &[Outcome]) -> anyhow::Result<()> {
    folder.write("rounds.parquet", &table::rounds_parquet(outcomes)?)?;
    folder.write("sites.csv", &table::sites_csv(outcomes)?)?;
    folder.write("index.html", page::page(choices, outcomes)?.as_bytes())?;
    // Last, so that where it is all the rest is.
    folder.write("rounds.csv", &table::rounds_csv(outcomes)?)?;
    Ok(())
}
