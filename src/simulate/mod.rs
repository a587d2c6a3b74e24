//! `volet simulate`: a fleet in one process, before anyone rolls one out. What it would learn, what that would cost in
//! privacy, and what malicious sites would do to it.
//!
//! The rounds are `volet_federated::simulation`'s; here is what surrounds them: settings and sweeps, a folder that survives
//! being killed, tables and a page.

mod conduct;
mod detector;
mod folder;
mod gallery;
mod judged;
mod numbers;
mod outcome;
mod page;
mod pattern;
mod pictures;
mod seeds;
mod settings;
mod softmax;
mod summary;
mod sweep;
mod table;
mod task;

use std::process::ExitCode;

use anyhow::Context;
use volet_federated::simulation::Fleet;

use crate::cli::SimulateArgs;
use conduct::{Progress, check, conduct};
use detector::Cameras;
use folder::Folder;
use gallery::Gallery;
use outcome::Outcome;
use pictures::Pictures;
use settings::{FleetKind, Settings};
use softmax::Softmax;
use summary::Summary;
use sweep::Sweep;

pub(crate) use settings::Choices;
pub(crate) use sweep::Along;

pub(crate) fn run(args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    let (choices, gallery) = chosen(args)?;
    let runs = choices.sweep.runs(&choices)?;
    // What cannot be is refused before a folder is made.
    let check = |run| check(run, gallery.as_ref());
    runs.iter().try_for_each(|run| check(run).with_context(|| format!("{run} cannot be simulated")))?;
    let mut folder = Folder::open(&args.out, &choices)?;
    let stop = crate::stop::watch()?;
    let rounds = runs.iter().map(|run| u64::from(run.settings.rounds.get())).sum();
    let progress = Progress::new(rounds, args.json);
    let mut outcomes = Vec::new();
    let mut fleet = Kept { gallery, last: None };
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

/// Flags, then the file, then what holds by default; and the pictures of `--faces`, if that was given.
fn chosen(args: &SimulateArgs) -> anyhow::Result<(Choices, Option<Gallery>)> {
    let mut choices = args.choices.clone();
    if !args.sweep.is_empty() {
        choices.sweep = Sweep::of(&args.sweep);
    }
    if let Some(path) = &args.config {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path:?}"))?;
        let file: Choices = toml::from_str(&text).with_context(|| format!("{path:?} holds no settings"))?;
        choices = choices.or(&file)?;
    }
    let gallery = shown(&mut choices)?;
    Ok((choices.or(&choices.by_default())?, gallery))
}

/// Opens the folder of `--faces` and chooses what follows from it: the fleet, and how many sites it has.
fn shown(choices: &mut Choices) -> anyhow::Result<Option<Gallery>> {
    let Some(folder) = &mut choices.faces else {
        let pictures = choices.fleet == Some(FleetKind::Pictures);
        anyhow::ensure!(
            !pictures,
            "the fleet `pictures` is made of a folder of annotated pictures; name it with --faces"
        );
        return Ok(None);
    };
    let fleet = *choices.fleet.get_or_insert(FleetKind::Pictures);
    anyhow::ensure!(
        fleet == FleetKind::Pictures,
        "--faces makes a fleet of its own, `pictures`; leave out --faces or the fleet"
    );
    let task = choices.pictures.clone().unwrap_or_default();
    task.check()?;
    // Whoever goes on from another place in the file system means the same folder.
    *folder = folder.canonicalize().with_context(|| format!("cannot read {folder:?}"))?;
    let gallery = Gallery::open(folder)?;
    let digest = choices.faces_digest.get_or_insert_with(|| gallery.digest().to_owned());
    anyhow::ensure!(
        digest == gallery.digest(),
        "the pictures in {folder:?} are not those that the settings were made for; leave out `faces-digest` to take them"
    );
    if choices.sites.is_none() {
        choices.sites = i64::try_from(task.sites(&gallery)).ok().and_then(|sites| sites.try_into().ok());
    }
    Ok(Some(gallery))
}

/// The fleet of the run before: most runs of a sweep have the same one, and some take long to make.
struct Kept {
    /// What a fleet of pictures is made of.
    gallery: Option<Gallery>,
    last: Option<(Settings, Box<dyn Fleet>)>,
}

impl Kept {
    fn of(&mut self, settings: &Settings) -> anyhow::Result<&dyn Fleet> {
        let kept = self.last.take().filter(|(before, _)| before.same_fleet(settings));
        let fleet = kept.map_or_else(|| self.fleet(settings), |(_, fleet)| Ok(fleet))?;
        Ok(&*self.last.insert((settings.clone(), fleet)).1)
    }

    fn fleet(&self, settings: &Settings) -> anyhow::Result<Box<dyn Fleet>> {
        let (sites, seed) = (settings.sites.get(), settings.seed);
        Ok(match settings.fleet {
            FleetKind::Softmax => Box::new(Softmax::new(settings.softmax.clone(), sites, seed)?),
            FleetKind::Detector => Box::new(Cameras::new(settings.detector.clone(), sites, seed)?),
            FleetKind::Pictures => {
                let gallery = self.gallery.as_ref().context("the fleet `pictures` takes --faces")?;
                Box::new(Pictures::new(settings.pictures.clone(), gallery, sites, seed)?)
            }
        })
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
