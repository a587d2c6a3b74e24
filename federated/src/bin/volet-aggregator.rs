//! The program of the team that trains: makes an aggregator, enrols cameras, serves rounds, shows what happened.

use std::process::ExitCode;

use clap::Parser;
use volet_federated::aggregator::command;

/// Sums what cameras have learned, without seeing what any of them has.
#[derive(Parser)]
#[command(version)]
struct Program {
    #[command(flatten)]
    cli: command::Cli,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("VOLET_LOG"))
        .with_writer(std::io::stderr)
        .init();
    match command::run(Program::parse().cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("volet-aggregator: {error:#}");
            ExitCode::FAILURE
        }
    }
}
