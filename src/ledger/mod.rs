//! `volet ledger`: reads what a device wrote down of all that left it. Needs no secret and writes nothing to the ledger.

mod show;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;
use volet_edge::egress::ledger::{
    Finding, Head, Kind, Proof, Sum, Sums, Verification, ascii, export, read_head, verify,
};
use volet_federated::SiteId;
use volet_federated::signing::VerifyingKey;

use crate::cli::{LedgerArgs, LedgerCommand, LedgerSource};

pub(crate) fn run(args: &LedgerArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        LedgerCommand::Verify { source, anchor, json } => check_all(source, anchor.as_deref(), *json),
        LedgerCommand::Show(args) => show::run(args),
        LedgerCommand::Export { source, out } => {
            let all = export(&source.path, source.key, &[], out)?;
            println!("{} records are in {}", all.records, out.display());
            own_word(&all);
            Ok(ExitCode::SUCCESS)
        }
        LedgerCommand::Prove { source, number, out } => prove(source, *number, out),
        LedgerCommand::Check { proof, key, json } => check(proof, key, *json),
    }
}

/// A public key of 64 hexadecimal digits.
pub(crate) fn key(text: &str) -> Result<VerifyingKey, String> {
    let site: SiteId = text.parse().map_err(|error: volet_federated::IdError| error.to_string())?;
    VerifyingKey::from_bytes(site.as_bytes()).ok_or_else(|| "these 64 digits are no Ed25519 key".to_owned())
}

/// A line of sums.
#[derive(Serialize)]
struct KindSum {
    kind: Kind,
    #[serde(flatten)]
    sum: Sum,
}

#[derive(Serialize)]
struct Report<'a> {
    holds: bool,
    device: String,
    key_is_the_ledgers_own_word: bool,
    oldest: u64,
    records: u64,
    removed: Vec<KindSum>,
    sums: Vec<KindSum>,
    unfinished_bytes: usize,
    power_cuts: u64,
    power_cut_bytes: u64,
    aside: Option<&'a volet_edge::egress::ledger::Aside>,
    findings: Vec<String>,
    head: Option<&'a Head>,
}

fn listed(sums: &Sums) -> Vec<KindSum> {
    sums.iter().map(|(kind, sum)| KindSum { kind: *kind, sum: *sum }).collect()
}

fn check_all(source: &LedgerSource, anchor: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
    let head = anchor.map(read_head).transpose()?;
    let all = verify(&source.path, source.key, head.as_slice())?;
    if json {
        let report = Report {
            holds: all.findings.is_empty(),
            device: hex(&all),
            key_is_the_ledgers_own_word: all.own_word,
            oldest: all.oldest,
            records: all.records,
            removed: listed(&all.removed),
            sums: listed(&all.sums),
            unfinished_bytes: all.unfinished,
            power_cuts: all.cuts,
            power_cut_bytes: all.cut_bytes,
            aside: all.aside.as_ref(),
            findings: all.findings.iter().map(Finding::to_string).collect(),
            head: all.head.as_ref(),
        };
        println!("{}", ascii(&serde_json::to_string_pretty(&report)?));
    } else {
        print(&all, anchor.is_some());
    }
    Ok(if all.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(all: &Verification, anchored: bool) {
    println!("device   {}", hex(all));
    let last = all.head.as_ref().map_or(0, |head| head.number);
    match (all.records, all.oldest) {
        (0, oldest) if oldest <= 1 => println!("records  none"),
        (records, oldest) => println!("records  {records}, from {oldest} to {last}"),
    }
    if !all.removed.is_empty() {
        println!("         records before {} are no longer kept; their sums are", all.oldest);
    }
    if let Some(aside) = &all.aside {
        let records = aside.records.map_or_else(String::new, |records| format!(" of {records} records"));
        println!("         a damaged ledger{records} was set aside before this one was begun");
    }
    if all.cuts > 0 {
        println!("         {} power cuts left {} bytes of records that were not acknowledged", all.cuts, all.cut_bytes);
    }
    if all.unfinished > 0 {
        println!(
            "         {} bytes at the end are no record: one that is being written, what a power cut left of one, or a last \
             record that was altered. A later head (--anchor) tells",
            all.unfinished
        );
    }
    println!("\n{:<14} {:>10} {:>16}", "", "records", "bytes");
    for (kind, sum) in &all.sums {
        println!("{kind:<14} {:>10} {:>16}", sum.entries, sum.bytes);
    }
    println!();
    if all.findings.is_empty() {
        println!(
            "holds: every record is signed by the device, in its place, and none is missing between the first and the last"
        );
        if !anchored {
            println!("whether records were cut off the end, or the whole put back, only a later head shows (--anchor)");
        }
    } else {
        println!("DOES NOT HOLD:");
        all.findings.iter().for_each(|finding| println!("- {finding}"));
    }
    own_word(all);
}

/// Says what a key that the ledger itself names is worth.
fn own_word(all: &Verification) {
    if all.own_word {
        println!("that this is the device's key is only the ledger's own word: give the key that you know (--key)");
    }
}

fn hex(all: &Verification) -> String {
    SiteId::from_bytes(all.device.to_bytes()).to_string()
}

fn prove(source: &LedgerSource, number: u64, out: &Path) -> anyhow::Result<ExitCode> {
    let proof = Proof::of(&source.path, source.key, number)?;
    std::fs::write(out, ascii(&serde_json::to_string_pretty(&proof)?) + "\n")
        .with_context(|| format!("{} cannot be written", out.display()))?;
    println!("the proof of record {number} is in {}", out.display());
    Ok(ExitCode::SUCCESS)
}

fn check(path: &Path, key: &VerifyingKey, json: bool) -> anyhow::Result<ExitCode> {
    let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let proof = Proof::read(&bytes)?;
    proof.check(key)?;
    if json {
        println!("{}", ascii(&serde_json::to_string(&proof.record)?));
    } else {
        println!("{}", show::line(&proof.record));
        println!("holds: the device signed a ledger with this record in it, up to record {}", proof.head.number);
    }
    Ok(ExitCode::SUCCESS)
}
