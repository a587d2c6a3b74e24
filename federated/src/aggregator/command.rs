//! The commands of the team that trains: make an aggregator, enrol cameras, serve rounds, show what happened. For programs to
//! offer: `volet-aggregator` does.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};

use super::{Config, Coordinator, Limits, Service, Setup, Shared};

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
    /// Shows the releases of the model.
    Models,
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
        Command::Serve { until_stdin_ends } => serve(&dir, until_stdin_ends)?,
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
        Command::Models => {
            for (release, _) in Setup::open(&dir)?.book.releases()? {
                let model = blake3::Hash::from_bytes(release.model);
                println!("{:>6}  {model}  after {} rounds", release.number, release.rounds);
            }
        }
    }
    Ok(())
}

#[tokio::main]
async fn serve(dir: &Path, until_stdin_ends: bool) -> anyhow::Result<()> {
    let Setup { checked, server, authority, book, peers } = Setup::open(dir)?;
    let _lock = Setup::lock(dir)?;
    let address = checked.config.listen;
    let listener = tokio::net::TcpListener::bind(address).await.with_context(|| format!("{address}"))?;
    println!("listening on {}", listener.local_addr()?);
    let coordinator = Coordinator::start(book.clone())?;
    let again = Duration::from_secs(checked.config.patience.check_in_s);
    let service =
        Service::new(coordinator.clone(), Arc::new(book.clone()), peers, Limits { again, ..Limits::default() });
    if until_stdin_ends {
        // A server that is killed goes on where it was.
        std::thread::spawn(|| {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            std::process::exit(0);
        });
    }
    let stop = async {
        // Without a signal handler the program runs until it is killed, which it survives.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        served = service.serve(listener, &server, &authority, stop) => served?,
        () = coordinator.ended() => anyhow::bail!("the coordinator has stopped: its log says why"),
    }
    // Other replicas need not wait for its leases to run out.
    Ok(book.register().release(book.replica())?)
}
