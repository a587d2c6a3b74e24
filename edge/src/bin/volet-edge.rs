//! The camera's own program: one source in, redacted media and annotations out; and the agent that learns with others. No
//! demo, no server.

use std::process::ExitCode;

use clap::Parser;

/// Redacts and annotates what a camera sees.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    cli: volet_edge::cli::Cli,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("VOLET_LOG"))
        .with_writer(std::io::stderr)
        .init();
    match volet_edge::cli::run(&Args::parse().cli) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("volet-edge: {e:#}");
            ExitCode::FAILURE
        }
    }
}
