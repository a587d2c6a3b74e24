//! The command `volet`: parses, calls a crate, prints.

#[cfg(target_os = "linux")]
mod audit;
#[cfg(target_os = "linux")]
mod bench;
mod cli;
#[cfg(target_os = "linux")]
mod cover;
#[cfg(feature = "train")]
mod curve;
mod demo;
mod detect;
#[cfg(unix)]
mod fleet;
#[cfg(unix)]
mod judge;
#[cfg(unix)]
mod ledger;
mod models;
#[cfg(unix)]
mod page;
mod picture;
mod privacy;
#[cfg(target_os = "linux")]
mod program;
mod progress;
mod redact;
mod score;
#[cfg(unix)]
mod simulate;
mod stop;
#[cfg(unix)]
mod student;
mod synth;
mod synthetic;
#[cfg(feature = "train")]
mod train;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("VOLET_LOG"))
        .with_writer(std::io::stderr)
        .init();
    // A stage that panics is caught and its frame covered; the report counts it, so no backtrace in between.
    std::panic::set_hook(Box::new(|info| tracing::error!("caught a panic: {info}")));
    let result = match cli::Cli::parse().command {
        None => demo::run(),
        Some(cli::Command::Redact(args)) => redact::run(&args),
        Some(cli::Command::Detect(args)) => detect::run(&args),
        Some(cli::Command::Score(args)) => score::run(&args),
        Some(cli::Command::Synth(args)) => synth::run(&args),
        Some(cli::Command::Models(args)) => models::run(&args),
        Some(cli::Command::Privacy(args)) => privacy::run(&args),
        #[cfg(unix)]
        Some(cli::Command::Ledger(args)) => ledger::run(&args),
        #[cfg(target_os = "linux")]
        Some(cli::Command::Program(args)) => program::run(&args),
        #[cfg(unix)]
        Some(cli::Command::Judge(args)) => judge::run(&args),
        #[cfg(unix)]
        Some(cli::Command::Demo(args)) => fleet::run(&args),
        #[cfg(unix)]
        Some(cli::Command::Simulate(args)) => simulate::run(&args),
        #[cfg(target_os = "linux")]
        Some(cli::Command::Audit(args)) => audit::run(&args),
        #[cfg(target_os = "linux")]
        Some(cli::Command::Capture(args)) => audit::record(&args),
        #[cfg(target_os = "linux")]
        Some(cli::Command::Bench(args)) => bench::run(&args),
        #[cfg(target_os = "linux")]
        Some(cli::Command::BenchWork(args)) => bench::work(&args),
        #[cfg(target_os = "linux")]
        Some(cli::Command::BenchKernel(args)) => bench::kernel(&args),
        #[cfg(target_os = "linux")]
        Some(cli::Command::BenchChild(args)) => bench::child(&args),
        Some(cli::Command::Camera(cli)) => volet_edge::cli::run(&cli),
        Some(cli::Command::Aggregator(cli)) => {
            volet_federated::aggregator::command::run(cli).map(|()| ExitCode::SUCCESS)
        }
        #[cfg(feature = "train")]
        Some(cli::Command::Train(args)) => train::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(e) => {
            eprintln!("volet: {e:#}");
            ExitCode::FAILURE
        }
    }
}
