//! The program of the team that trains: makes an aggregator, enrols cameras, serves rounds, shows what happened.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Parser, Subcommand};
use volet_federated::aggregator::{Config, Coordinator, Limits, Service, Setup};

/// Sums what cameras have learned, without seeing what any of them has.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// The aggregator's folder.
    #[arg(long, default_value = "aggregator", global = true)]
    dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
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
    },
    /// Serves cameras until it is stopped; a round that was going on goes on.
    Serve,
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

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("VOLET_LOG"))
        .with_writer(std::io::stderr)
        .init();
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("volet-aggregator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(Cli { dir, command }: Cli) -> anyhow::Result<()> {
    match command {
        Command::Init { model, parameters, name } => {
            let file = std::fs::read(&model).with_context(|| format!("{}", model.display()))?;
            let stem = model.file_stem().map_or_else(|| "model".into(), |stem| stem.to_string_lossy().into_owned());
            Setup::create(&dir, &Config::example(parameters, &name), &stem, &file)?;
            println!("{} is made. Edit config.toml in it, then `serve`; print tokens with `enroll`.", dir.display());
            println!("Cameras get camera.toml and a token. Keep the other files to yourself, and a copy of them.");
        }
        Command::Serve => serve(&dir)?,
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
            for release in Setup::open(&dir)?.book.releases()? {
                let model = blake3::Hash::from_bytes(release.model);
                println!("{:>6}  {model}  after {} rounds", release.number, release.rounds);
            }
        }
    }
    Ok(())
}

#[tokio::main]
async fn serve(dir: &std::path::Path) -> anyhow::Result<()> {
    let Setup { checked, server, authority, book } = Setup::open(dir)?;
    let book = Arc::new(book);
    let address = checked.config.listen;
    let listener = tokio::net::TcpListener::bind(address).await.with_context(|| format!("{address}"))?;
    println!("listening on {}", listener.local_addr()?);
    let coordinator = Coordinator::start(book.clone())?;
    let service = Service::new(coordinator.clone(), book, Limits::default());
    let stop = async {
        // Without a signal handler the program runs until it is killed, which it survives.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        served = service.serve(listener, &server, &authority, stop) => Ok(served?),
        () = coordinator.ended() => anyhow::bail!("the coordinator has stopped: its log says why"),
    }
}
