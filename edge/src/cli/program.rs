//! `program`: this program, replaced by a newer one.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use volet_federated::signing::VerifyingKey;

use crate::program::{Installed, Proof, TRIES, back, install, launch, show};

/// Starting what was installed.
#[derive(Debug, Args)]
pub(super) struct LaunchArgs {
    /// The folder of installed programs (`program install`): become the one that is to run there.
    #[arg(long, value_name = "DIR", requires = "program_key")]
    program: Option<PathBuf>,
    /// File with the public key of whoever signs programs, 64 hexadecimal digits. Keep it where this process cannot write.
    #[arg(long, value_name = "FILE", requires = "program")]
    program_key: Option<PathBuf>,
}

impl LaunchArgs {
    /// Becomes the program that is to run, if that is another one. Before anything is opened.
    pub(super) fn launch(&self, user: Option<&str>) -> anyhow::Result<Option<Proof>> {
        let (Some(folder), Some(file)) = (&self.program, &self.program_key) else { return Ok(None) };
        if let Some(user) = user {
            bail!("--program with --user {user}: start it as that user instead, who has to own {}", folder.display());
        }
        Ok(launch(folder, &key(file)?)?)
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum ProgramCommand {
    /// Put a program where `watch --program DIR` finds it. It is tried from the next start on.
    Install {
        #[command(flatten)]
        place: Place,
        /// The program.
        program: PathBuf,
        /// What its maker signed of it (`volet program sign`).
        release: PathBuf,
    },
    /// Say what is installed.
    Show {
        #[command(flatten)]
        place: Place,
    },
    /// Go one step back, from the next start on: from what is on trial to what ran before, and in the end to what came with the system.
    Back {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
pub(super) struct Place {
    /// The folder of installed programs; made if need be.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// File with the public key of whoever signs programs, 64 hexadecimal digits.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

pub(super) fn run(command: &ProgramCommand) -> anyhow::Result<ExitCode> {
    match command {
        ProgramCommand::Install { place, program, release } => {
            let release = install(&place.dir, &key(&place.key)?, program, release)?;
            println!("release {} ({}) is tried from the next start on", release.number, release.version);
        }
        ProgramCommand::Show { place } => print(place)?,
        ProgramCommand::Back { place } => {
            back(&place.dir)?;
            print(place)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(place: &Place) -> anyhow::Result<()> {
    let programs = show(&place.dir, &key(&place.key)?)?;
    match &programs.proven {
        Some(installed) => println!("runs      {}", named(installed)),
        None => println!("runs      what came with the system"),
    }
    if let Some(installed) = &programs.before {
        println!("before    {}", named(installed));
    }
    if let Some((installed, starts)) = &programs.trial {
        println!("on trial  {}, after {starts} of {TRIES} starts", named(installed));
    }
    println!("newer than release {} is what can be installed", programs.floor);
    Ok(())
}

fn named(installed: &Installed) -> String {
    match &installed.release {
        Some(release) => format!("release {} ({})", release.number, release.version),
        None => format!("damaged, or signed by another key, in slot {:?}", installed.slot),
    }
}

fn key(file: &Path) -> anyhow::Result<VerifyingKey> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
    let bytes = blake3::Hash::from_hex(text.trim()).ok();
    let key = bytes.and_then(|bytes| VerifyingKey::from_bytes(bytes.as_bytes()));
    key.with_context(|| format!("{}: no public key of 64 hexadecimal digits", file.display()))
}
