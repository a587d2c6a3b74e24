//! `label`: the owner's corrections, on a page of this machine or in words.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::learn::buffer::{Buffer, Identity};
use crate::learn::desk::{Correction, Desk, Loopback, correct, list, show};
use crate::sandbox::Confinement;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct LabelArgs {
    #[command(flatten)]
    page: Option<PageArgs>,
    // Not within what is optional: clap does not see there what is flattened twice.
    #[command(flatten)]
    sandbox: super::sandbox::SandboxArgs,
    #[command(subcommand)]
    command: Option<LabelCommand>,
}

/// Which buffer, and who asks.
#[derive(Debug, Args)]
struct Owned {
    /// The buffer's folder.
    #[arg(long)]
    dir: PathBuf,
    /// The owner's identity.
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
}

#[derive(Debug, Args)]
struct PageArgs {
    /// The buffer's folder.
    #[arg(long)]
    dir: PathBuf,
    /// The owner's identity.
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
    /// The port on 127.0.0.1; any that is free where not given.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// End when standard input does: for a program that starts this one.
    #[arg(long, hide = true)]
    until_stdin_ends: bool,
}

#[derive(Debug, Subcommand)]
enum LabelCommand {
    /// Print the lessons as JSON.
    List {
        #[command(flatten)]
        owned: Owned,
    },
    /// Print a lesson's labels as JSON. Pixels are shown on the page alone.
    Show {
        #[command(flatten)]
        owned: Owned,
        /// The lesson's number.
        lesson: u64,
    },
    /// Replace a lesson's labels by those that standard input holds, as `show` prints them.
    Set {
        #[command(flatten)]
        owned: Owned,
        /// The lesson's number.
        lesson: u64,
    },
}

pub(super) fn run(args: &LabelArgs) -> anyhow::Result<()> {
    match &args.command {
        None => page(args.page.as_ref().context("give --dir and --identity")?, &args.sandbox),
        Some(LabelCommand::List { owned }) => say(&list(&owned.open()?)?),
        Some(LabelCommand::Show { owned, lesson }) => say(&show(&owned.open()?, *lesson)?),
        Some(LabelCommand::Set { owned, lesson }) => {
            let mut text = String::new();
            std::io::stdin().take(LONGEST).read_to_string(&mut text)?;
            let correction: Correction = serde_json::from_str(&text)
                .context(r#"labels are due, as {"labels": [{"class": "face", "box": [left, top, width, height]}]}"#)?;
            say(&correct(&owned.open()?, *lesson, &correction)?)
        }
    }
}

/// The longest correction, bytes.
const LONGEST: u64 = 256 << 10;

impl Owned {
    fn open(&self) -> anyhow::Result<Buffer> {
        open(&self.dir, &self.identity)
    }
}

fn open(dir: &Path, identity: &Path) -> anyhow::Result<Buffer> {
    Ok(Buffer::open(dir, Identity::read(identity, dir)?)?)
}

fn say(what: &impl serde::Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(what)?);
    Ok(())
}

fn page(args: &PageArgs, sandbox: &super::sandbox::SandboxArgs) -> anyhow::Result<()> {
    let begun = sandbox.begin()?;
    let buffer = open(&args.dir, &args.identity)?;
    let listener = Loopback::bind(args.port).with_context(|| format!("cannot listen on 127.0.0.1:{}", args.port))?;
    let (desk, address) = Desk::new(buffer, &listener)?;
    let runtime = super::runtime()?;
    // It listens already, and can listen on nothing else from here on.
    super::sandbox::confine(begun, &Confinement::new().keeps(&args.dir).accepts())?;
    if args.until_stdin_ends {
        super::until_stdin_ends();
    }
    let done = runtime.block_on(async {
        println!("{address}");
        eprintln!("Open it in a browser on this machine, once; Ctrl-C ends it.");
        tokio::select! {
            served = desk.serve(listener) => served,
            () = super::stop() => Ok(()),
        }
    });
    runtime.shutdown_background();
    Ok(done?)
}
