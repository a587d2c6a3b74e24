//! What can be typed about evidence: ledgers, audits, captures; and programs that are signed for cameras.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::serde_word;

#[cfg(unix)]
#[derive(Debug, Args)]
pub(crate) struct LedgerArgs {
    #[command(subcommand)]
    pub(crate) command: LedgerCommand,
}

/// Which ledger, and whose.
#[cfg(unix)]
#[derive(Debug, Args)]
pub(crate) struct LedgerSource {
    /// The ledger's folder, which is only read, also while the device uses it; or an exported file.
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// The device's public key, 64 hexadecimal digits. Without it the ledger's own word is taken.
    #[arg(long, value_parser = crate::ledger::key, value_name = "HEX")]
    pub(crate) key: Option<volet_federated::signing::VerifyingKey>,
}

#[cfg(unix)]
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Say what holds and what does not; the exit code is 1 if anything does not.
    Verify {
        #[command(flatten)]
        source: LedgerSource,
        /// A head that was signed before, to compare with: the ledger's second place, its head.json, or a proof.
        #[arg(long, value_name = "PATH")]
        anchor: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show records, or sums by kind and destination.
    Show(LedgerShowArgs),
    /// Write a ledger that holds to a file of JSON lines, whole or not at all; it can be verified again elsewhere.
    Export {
        #[command(flatten)]
        source: LedgerSource,
        /// The file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Prove that one record is in the ledger, without showing the others.
    Prove {
        #[command(flatten)]
        source: LedgerSource,
        /// The record's number.
        #[arg(value_name = "NUMBER")]
        number: u64,
        /// Where to write the proof (JSON).
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Check a proof, without the ledger.
    Check {
        /// The proof.
        #[arg(value_name = "FILE")]
        proof: PathBuf,
        /// The device's public key, 64 hexadecimal digits.
        #[arg(long, value_parser = crate::ledger::key, value_name = "HEX")]
        key: volet_federated::signing::VerifyingKey,
        /// Print the record as JSON.
        #[arg(long)]
        json: bool,
    },
}

#[cfg(unix)]
#[derive(Debug, Args)]
pub(crate) struct LedgerShowArgs {
    #[command(flatten)]
    pub(crate) source: LedgerSource,
    /// Only records from this time on, by the device's clock: 2026-11-23T14:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<jiff::Timestamp>,
    /// Only records of this kind, such as wire, update, media, refused.
    #[arg(long, value_parser = serde_word::<volet_edge::egress::ledger::Kind>, value_name = "KIND")]
    pub(crate) kind: Option<volet_edge::egress::ledger::Kind>,
    /// Print JSON: a line for each record, or a list of sums.
    #[arg(long)]
    pub(crate) json: bool,
    /// Sums by kind and destination instead of records.
    #[arg(long)]
    pub(crate) sums: bool,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// The camera's state folder.
    #[arg(long, default_value = "/var/lib/volet-camera/agent", value_name = "STATE")]
    pub(crate) state: PathBuf,
    /// Watch this machine's networks for so many seconds, and hold what it sends against the ledger; takes root.
    #[arg(long, value_name = "SECONDS", conflicts_with = "capture")]
    pub(crate) live: Option<u64>,
    /// A capture (pcap) that was made before, here or on the camera's network.
    #[arg(long, value_name = "FILE")]
    pub(crate) capture: Option<PathBuf>,
    /// The camera's network cards, as 02:00:00:00:00:01; all that the machine sent that captured, where none is given.
    #[arg(long = "card", value_name = "ADDRESS")]
    pub(crate) cards: Vec<String>,
    /// The folder in which the camera puts files for others.
    #[arg(long, value_name = "DIR")]
    pub(crate) files: Option<PathBuf>,
    /// The camera's program: its SHA-256, as its maker or a build of your own says it is, or that build's file.
    #[arg(long, value_name = "HASH|FILE")]
    pub(crate) expect: Option<crate::audit::Expected>,
    /// A later head of the agent's ledger, in place of the one in its second place (docs/egress-ledger.md).
    #[arg(long, value_name = "FILE")]
    pub(crate) anchor: Option<PathBuf>,
    /// The end of a ledger as an earlier audit printed it: it has to be in it still.
    #[arg(long = "head", value_name = "NUMBER:HASH")]
    pub(crate) heads: Vec<crate::audit::End>,
    /// Leave the trial of the redaction out, which takes some seconds.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Exit with 0 although claims were not examined, where none failed.
    #[arg(long)]
    pub(crate) allow_unexamined: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write a page for people, signed by the camera.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write the bill of materials of this program, which is not the camera's (CycloneDX, JSON).
    #[arg(long, value_name = "FILE")]
    pub(crate) sbom: Option<PathBuf>,
    /// Look at no camera: check the signature of a page that an audit wrote, and say what is signed on it.
    #[arg(
        long,
        value_name = "PAGE",
        conflicts_with_all = ["live", "capture", "cards", "files", "expect", "anchor", "heads", "quick", "json", "html", "sbom"]
    )]
    pub(crate) check: Option<PathBuf>,
    /// With --check: the camera's key, as `volet-edge status` prints it.
    #[arg(long, value_name = "CAMERA", requires = "check", value_parser = crate::ledger::key)]
    pub(crate) key: Option<volet_federated::signing::VerifyingKey>,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
pub(crate) struct CaptureArgs {
    /// The file to write (pcap).
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// End after so long; when standard input does, where not given.
    #[arg(long)]
    pub(crate) seconds: Option<u64>,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
pub(crate) struct ProgramArgs {
    #[command(subcommand)]
    pub(crate) command: ProgramCommand,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Subcommand)]
pub(crate) enum ProgramCommand {
    /// Make the key that signs programs, and print its public half: cameras are given that one.
    Key {
        /// A new file for the secret half. Whoever has it can put any program on every camera: keep it off networks.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign a program.
    Sign {
        /// The program: `volet-edge`, as it was built for the cameras' processor.
        #[arg(value_name = "PROGRAM")]
        program: PathBuf,
        /// The secret half of the key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The release's number, greater than that of every one before; cameras take no smaller one.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        number: u64,
        /// The release's name, for people.
        #[arg(long, value_name = "TEXT")]
        version: String,
        /// The new file for what is signed. It goes with the program.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}
