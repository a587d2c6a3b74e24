//! `volet program`: what whoever makes cameras does before one of them takes another program. The cameras' part is `volet-edge program`.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use volet_edge::agent::{make_owner, read_owner};
use volet_edge::program::Release;
use volet_federated::signing::VerifyingKey;

use crate::cli::{ProgramArgs, ProgramCommand};

pub(crate) fn run(args: &ProgramArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        ProgramCommand::Key { out } => {
            let key = VerifyingKey::from(&make_owner(out)?);
            println!("{}", blake3::Hash::from_bytes(key.to_bytes()));
        }
        ProgramCommand::Sign { program, key, number, version, out } => {
            let key = read_owner(key)?;
            let bytes = read(program)?;
            let release = Release::of(&bytes, *number, version).with_context(|| program.display().to_string())?;
            let signed = release.sign(&key)?;
            write_new(out, &signed)
                .with_context(|| format!("{}: give a new file that can be written", out.display()))?;
            println!("{}: release {number}, {} bytes for {}", out.display(), release.size, release.processor);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(program: &Path) -> anyhow::Result<Vec<u8>> {
    let size = std::fs::metadata(program).with_context(|| program.display().to_string())?.len();
    ensure!(size <= Release::MAX_SIZE, "{}: no program is larger than 256 MiB", program.display());
    std::fs::read(program).with_context(|| program.display().to_string())
}

/// What was signed once is not replaced: two programs under one number are a mistake.
fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::options().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
