//! `buffer init`, `buffer status`, `buffer wipe`.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::learn::buffer::{Limits, Recipient, Status, init, init_with, status, wipe};
use crate::learn::desk::day;
use crate::models::{Manifest, builtin};

#[derive(Debug, Subcommand)]
pub(super) enum BufferCommand {
    /// Make a buffer, kept for an owner's identity: a new one, or one that was made elsewhere.
    Init(InitArgs),
    /// Say what a buffer holds; needs no identity.
    Status {
        /// The buffer's folder.
        #[arg(long)]
        dir: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Destroy every lesson for everyone and for ever, and start the buffer anew.
    Wipe {
        /// The buffer's folder.
        #[arg(long)]
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The buffer's folder, to be made.
    #[arg(long)]
    dir: PathBuf,
    /// A new file for the owner's identity, outside of the folder. Whoever has it and this device can see the lessons.
    #[arg(long, value_name = "FILE", required_unless_present = "recipient")]
    owner_identity_out: Option<PathBuf>,
    /// The public half of an identity that was made elsewhere: what `buffer status` calls the owner.
    #[arg(long, value_name = "HEX", conflicts_with = "owner_identity_out")]
    recipient: Option<Recipient>,
    /// Manifest of the model that learns; the built-in one where not given.
    #[arg(long, value_name = "MANIFEST")]
    model: Option<PathBuf>,
    /// The most lessons.
    #[arg(long, value_name = "N", default_value_t = Limits::default().lessons)]
    lessons: u32,
    /// The most that they take on the disk, in 2^20 bytes.
    #[arg(long, value_name = "N", default_value_t = Limits::default().megabytes)]
    megabytes: u32,
    /// For how many days each is kept.
    #[arg(long, value_name = "N", default_value_t = Limits::default().days)]
    days: u32,
}

pub(super) fn run(command: &BufferCommand) -> anyhow::Result<()> {
    match command {
        BufferCommand::Init(args) => make(args),
        BufferCommand::Status { dir, json } => {
            let status = status(dir)?;
            if *json {
                println!("{}", serde_json::to_string_pretty(&status)?);
            } else {
                print(&status);
            }
            Ok(())
        }
        BufferCommand::Wipe { dir } => {
            wipe(dir)?;
            println!("wiped; {} starts anew", dir.display());
            Ok(())
        }
    }
}

fn make(args: &InitArgs) -> anyhow::Result<()> {
    let InitArgs { dir, owner_identity_out, recipient, model, lessons, megabytes, days } = args;
    let manifest = match model {
        Some(path) => Manifest::read(path).with_context(|| format!("{}", path.display()))?.0,
        None => Manifest::parse(builtin::default_files().0)?,
    };
    let limits = Limits { lessons: *lessons, megabytes: *megabytes, days: *days };
    let owner = match (owner_identity_out, recipient) {
        (Some(identity), _) => {
            let owner = init_with(dir, identity, &manifest.classes, limits)?;
            eprintln!("{} is the owner's identity. Keep a copy of it off this device.", identity.display());
            owner
        }
        (None, Some(owner)) => init(dir, *owner, &manifest.classes, limits).map(|()| *owner)?,
        (None, None) => anyhow::bail!("give --owner-identity-out or --recipient"),
    };
    println!("{owner}");
    Ok(())
}

fn print(status: &Status) {
    let Status { lessons, bytes, oldest, newest, held_out, labelled, taught, damaged, limits, owner, classes } = status;
    let Limits { lessons: most, megabytes, days } = limits;
    let words: Vec<&str> = classes.iter().map(|class| class.name()).collect();
    println!("lessons   {lessons} of {most}, {held_out} of them held out, {labelled} labelled by the owner");
    println!("teacher   {taught} were looked at closely since they were taken");
    println!("bytes     {bytes} of {}", limits.bytes());
    match oldest.zip(*newest) {
        Some((oldest, newest)) => println!("days      {} to {}; each is kept for {days}", day(oldest), day(newest)),
        None => println!("days      each lesson is kept for {days}"),
    }
    println!("damaged   {damaged} were found, and removed");
    println!("owner     {owner}\nclasses   {}", words.join(", "));
    if *lessons as u64 >= u64::from(*most) || *bytes + (1 << 20) > u64::from(*megabytes) << 20 {
        println!("It is full: the oldest give way to new ones.");
    }
}
