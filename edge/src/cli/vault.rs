//! `vault init`, `vault status`, `vault open`, `vault wipe`; and `--keep` of the camera itself.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::keep::Keeper;
use crate::vault::{Identity, Limits, Opened, Recipient, Span, apart, init, init_with, keep, open, status, wipe};

/// Raw film for the owner alone.
#[derive(Debug, Args)]
pub(super) struct KeepArgs {
    /// A vault (`vault init`): keep the raw film too, sealed for its owner. This device cannot read it back.
    #[arg(long, value_name = "VAULT")]
    keep: Option<PathBuf>,
    /// The most that kept film takes on the disk, in 2^20 bytes; the oldest goes first.
    #[arg(long, value_name = "N", default_value_t = 4096, requires = "keep", value_parser = clap::value_parser!(u32).range(8..))]
    keep_megabytes: u32,
    /// For how many days film is kept.
    #[arg(long, value_name = "N", default_value_t = Limits::default().days, requires = "keep")]
    keep_days: u32,
    /// How long a clip is at most, in seconds.
    #[arg(long, value_name = "N", default_value_t = 60, requires = "keep", value_parser = clap::value_parser!(u32).range(1..=3600))]
    keep_clip_seconds: u32,
}

impl KeepArgs {
    /// The vault, if raw film is kept.
    pub(super) fn vault(&self) -> Option<&Path> {
        self.keep.as_deref()
    }

    /// Whether film that is redacted into `out` can be kept as was asked for. Begins nothing.
    pub(super) fn check(&self, out: &Path) -> anyhow::Result<()> {
        if let Some(vault) = &self.keep {
            apart(out, vault)?;
            status(vault)?;
        }
        Ok(())
    }

    /// Begins to keep raw film, if that was asked for: by a thread of its own, so not before this process is confined.
    pub(super) fn keeper(&self) -> anyhow::Result<Option<Keeper>> {
        let Some(vault) = &self.keep else { return Ok(None) };
        let clip = Duration::from_secs(self.keep_clip_seconds.into());
        let limits = Limits { bytes: u64::from(self.keep_megabytes) << 20, days: self.keep_days, clip };
        Ok(Some(keep(vault, limits)?))
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum VaultCommand {
    /// Make a vault, kept for an owner's identity: a new one, or one that was made elsewhere.
    Init {
        /// The vault's folder, to be made.
        #[arg(long)]
        dir: PathBuf,
        /// A new file for the owner's identity, outside of the folder. Whoever has it can see what the vault keeps: move it
        /// off this device.
        #[arg(long, value_name = "FILE", required_unless_present = "recipient")]
        owner_identity_out: Option<PathBuf>,
        /// The public half of an identity that was made elsewhere: what `vault status` calls the owner.
        #[arg(long, value_name = "HEX", conflicts_with = "owner_identity_out")]
        recipient: Option<Recipient>,
    },
    /// Say what a vault holds; needs no identity.
    Status {
        /// The vault's folder, or a copy of it.
        #[arg(long)]
        dir: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make ordinary films of a vault's clips, on the owner's machine.
    Open {
        /// The vault's folder or a copy of it, or one clip's file.
        #[arg(long, value_name = "VAULT|FILE")]
        dir: PathBuf,
        /// The owner's identity.
        #[arg(long, value_name = "FILE")]
        identity: PathBuf,
        /// A folder for the films, outside of the vault.
        #[arg(long)]
        out: PathBuf,
        /// Only clips that were begun then or later: 2026-11-23, "2026-11-23 08:30" (this machine's time) or with a zone.
        #[arg(long, value_name = "TIME", value_parser = time)]
        since: Option<Timestamp>,
        /// Only clips that were begun before.
        #[arg(long, value_name = "TIME", value_parser = time)]
        until: Option<Timestamp>,
    },
    /// Remove clips: all, or those that were begun before a time.
    Wipe {
        /// The vault's folder.
        #[arg(long)]
        dir: PathBuf,
        /// Keep what was begun then or later.
        #[arg(long, value_name = "TIME", value_parser = time)]
        before: Option<Timestamp>,
    },
}

pub(super) fn run(command: &VaultCommand) -> anyhow::Result<ExitCode> {
    match command {
        VaultCommand::Init { dir, owner_identity_out, recipient } => {
            let owner = match (owner_identity_out, recipient) {
                (Some(identity), _) => {
                    let owner = init_with(dir, identity)?;
                    eprintln!(
                        "{} is the owner's identity. Move it off this device, and keep a copy.",
                        identity.display()
                    );
                    owner
                }
                (None, Some(owner)) => init(dir, *owner).map(|()| *owner)?,
                (None, None) => bail!("give --owner-identity-out or --recipient"),
            };
            println!("{owner}");
        }
        VaultCommand::Status { dir, json } => {
            let status = status(dir)?;
            if *json {
                println!("{}", serde_json::to_string_pretty(&status)?);
                return Ok(ExitCode::SUCCESS);
            }
            println!("clips     {}\nbytes     {}", status.clips, status.bytes);
            if let Some((oldest, newest)) = status.oldest.zip(status.newest) {
                println!("begun     {oldest} to {newest}");
            }
            println!("owner     {}", status.owner);
        }
        VaultCommand::Open { dir, identity, out, since, until } => {
            let folder = if dir.is_dir() { dir } else { dir.parent().unwrap_or(dir) };
            let identity = Identity::read(identity, folder)?;
            let (mut films, mut troubles) = (0_u64, 0_u64);
            let mut tell = |opened: &Opened| {
                films += u64::from(opened.film.is_some());
                troubles += u64::from(opened.trouble.is_some());
                said(opened);
            };
            open(dir, &identity, out, Span { since: *since, until: *until }, &mut tell)?;
            println!("{films} films in {}", out.display());
            return Ok(if troubles == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        VaultCommand::Wipe { dir, before } => println!("{} clips were removed", wipe(dir, *before)?),
    }
    Ok(ExitCode::SUCCESS)
}

fn said(opened: &Opened) {
    let Opened { clip, film, pictures, left_out, seconds, trouble } = opened;
    if let Some(film) = film {
        println!("{}: {pictures} pictures, {seconds:.1} s", film.display());
    }
    if *left_out > 0 {
        println!("{}: {left_out} pictures in between were not kept, or not read by the camera", clip.display());
    }
    if let Some(trouble) = trouble {
        eprintln!("volet-edge: {}: {trouble}", clip.display());
    }
}

/// A time as people write it: with a zone, or in this machine's.
fn time(text: &str) -> anyhow::Result<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let local: DateTime = text.parse().with_context(|| format!("{text:?} is no time: write it as 2026-11-23 08:30"))?;
    Ok(local.to_zoned(TimeZone::system())?.timestamp())
}
