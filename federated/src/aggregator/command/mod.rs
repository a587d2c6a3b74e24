//! The commands of the team that trains: make an aggregator, enrol cameras, serve rounds, show what happened. For programs to
//! offer: `volet-aggregator` does.

mod doctor;
mod helper;
mod serve;
mod watch;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};

use super::{Config, Setup, Shared};

/// What can be typed.
#[derive(Debug, Args)]
pub struct Cli {
    /// The aggregator's folder.
    #[arg(long, default_value = "aggregator", global = true)]
    pub dir: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What an aggregator can be asked to do.
#[derive(Debug, Subcommand)]
#[allow(missing_docs)] // what they are is said to whoever types them
pub enum Command {
    /// Makes an aggregator: keys, certificates, configuration.
    Init {
        /// The model file that the lineage starts from.
        #[arg(long, value_name = "FILE")]
        model: PathBuf,
        /// How many of its parameters cameras train.
        #[arg(long, value_name = "N")]
        parameters: u32,
        /// The name that cameras call the server by.
        #[arg(long, default_value = "localhost")]
        name: String,
        /// For several replicas: keep files in this bucket, and tables in PostgreSQL.
        #[arg(long, value_name = "s3://BUCKET/PREFIX")]
        objects: Option<String>,
        /// Where PostgreSQL is, without a password: the variable VOLET_DATABASE_URL takes its place.
        #[arg(long, value_name = "URL", requires = "objects", default_value = "")]
        database: String,
        /// Where the object store is, if not at AWS.
        #[arg(long, value_name = "URL", requires = "objects")]
        endpoint: Option<String>,
        /// The object store's region, if it has any.
        #[arg(long, requires = "objects")]
        region: Option<String>,
    },
    /// Serves cameras until it is stopped; a round that was going on goes on.
    Serve {
        /// End when standard input does: for a program that starts this one.
        #[arg(long, hide = true)]
        until_stdin_ends: bool,
    },
    /// Prints tokens, each of which enrols one camera.
    Enroll {
        /// How many.
        #[arg(long, default_value_t = 1)]
        count: u32,
        /// How long they are good for.
        #[arg(long, default_value_t = 48)]
        hours: u32,
        /// Instead, strike a site off: 64 hexadecimal digits.
        #[arg(long, value_name = "KEY", conflicts_with_all = ["count", "hours"])]
        strike: Option<blake3::Hash>,
    },
    /// Shows the rounds that have ended.
    Rounds {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Shows the releases of the model, or makes one.
    Models {
        /// What to make.
        #[command(subcommand)]
        make: Option<Make>,
    },
    /// The independent helper of buffered rounds: to be run by somebody else, in a folder of its own.
    Helper {
        /// What to do.
        #[command(subcommand)]
        what: Help,
    },
    /// Shows what goes on, as the dashboard does.
    Watch {
        /// Once, and not every second.
        #[arg(long)]
        once: bool,
    },
    /// Looks whether everything is in order; fails where something is not.
    Doctor {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What a helper does.
#[derive(Debug, Subcommand)]
#[allow(missing_docs)]
pub enum Help {
    /// Makes a helper in the folder, and says what goes into config.toml and camera.toml.
    Init {
        /// The aggregator's camera.toml.
        #[arg(long, value_name = "FILE")]
        camera: PathBuf,
        /// A token of the aggregator's `enroll`.
        #[arg(long)]
        token: String,
        /// No masks of fewer reports are opened, whatever the aggregator says.
        #[arg(long, value_name = "N")]
        minimum: u32,
    },
    /// Opens the sum of each round's masks, until it is stopped.
    Serve,
}

/// A release that no round made.
#[derive(Debug, Subcommand)]
#[allow(missing_docs)]
pub enum Make {
    /// Releases the model of an earlier release again.
    Rollback {
        /// Its number.
        number: u64,
    },
    /// Releases what was learned elsewhere.
    Sign {
        /// Values of 4 bytes, little-endian, to be added to the trainable parameters of the first release.
        file: PathBuf,
    },
}

/// Runs a command.
///
/// # Errors
/// For people to read.
pub fn run(Cli { dir, command }: Cli) -> anyhow::Result<()> {
    match command {
        Command::Init { model, parameters, name, objects, database, endpoint, region } => {
            let file = std::fs::read(&model).with_context(|| format!("{}", model.display()))?;
            let stem = model.file_stem().map_or_else(|| "model".into(), |stem| stem.to_string_lossy().into_owned());
            let shared = objects.map(|objects| Shared { url: database, objects, endpoint, region });
            let config =
                Config::example(parameters, &name) + &shared.map(Shared::into_toml).transpose()?.unwrap_or_default();
            Setup::create(&dir, &config, &stem, &file)?;
            println!("{} is made. Edit config.toml in it, then `serve`; print tokens with `enroll`.", dir.display());
            println!("Cameras get camera.toml and a token. Keep the other files to yourself, and a copy of them.");
        }
        Command::Serve { until_stdin_ends } => serve::serve(&dir, until_stdin_ends)?,
        Command::Enroll { strike: Some(site), .. } => {
            let known = Setup::open(&dir)?.book.strike(site.as_bytes())?;
            anyhow::ensure!(known, "no site {site} is enrolled");
        }
        Command::Enroll { count, hours, strike: None } => {
            let setup = Setup::open(&dir)?;
            for _ in 0..count {
                println!("{}", setup.book.token(hours)?);
            }
        }
        Command::Rounds { json } => {
            let rounds = Setup::open(&dir)?.book.rounds()?;
            if json {
                println!("{}", serde_json::to_string(&rounds)?);
            } else {
                println!("{:>8} {:>8}  outcome", "round", "sites");
                for round in rounds {
                    let sites = round.contributors.map_or_else(|| "-".to_owned(), |sites| sites.to_string());
                    println!("{:>8} {sites:>8}  {}", round.number, round.failure.as_deref().unwrap_or("released"));
                }
            }
        }
        Command::Models { make: None } => models(&dir)?,
        Command::Models { make: Some(Make::Rollback { number }) } => {
            let new = Setup::open(&dir)?.book.roll_back(number)?;
            println!("release {new} is the model of release {number} again");
        }
        Command::Models { make: Some(Make::Sign { file }) } => {
            let learned = std::fs::read(&file).with_context(|| format!("{}", file.display()))?;
            let new = Setup::open(&dir)?.book.sign(&learned).with_context(|| format!("{}", file.display()))?;
            println!("release {new} is {}", file.display());
        }
        Command::Helper { what: Help::Init { camera, token, minimum } } => {
            helper::init(&dir, &camera, &token, minimum)?;
        }
        Command::Helper { what: Help::Serve } => helper::serve(&dir)?,
        Command::Watch { once } => watch::watch(&dir, once)?,
        Command::Doctor { json } => {
            anyhow::ensure!(doctor::doctor(&dir, json)?, "something is not in order");
        }
    }
    Ok(())
}

fn models(dir: &Path) -> anyhow::Result<()> {
    for (release, _) in Setup::open(dir)?.book.releases()? {
        let model = blake3::Hash::from_bytes(release.model);
        println!("{:>6}  {model}  after {} rounds", release.number, release.rounds);
    }
    Ok(())
}
