//! `volet ledger show`: one line for each record, and sums.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write, stdout};
use std::process::ExitCode;

use jiff::Timestamp;
use serde::Serialize;
use volet_edge::egress::ledger::{Group, Kind, Record, Sum, ascii, records, shown};

use crate::cli::LedgerShowArgs;

/// Sums of what was shown.
#[derive(Serialize)]
struct Line<'a> {
    group: Group,
    kind: Kind,
    destination: &'a str,
    #[serde(flatten)]
    sum: Sum,
}

pub(crate) fn run(args: &LedgerShowArgs) -> anyhow::Result<ExitCode> {
    let since = args.since.map_or(0, |since| u64::try_from(since.as_millisecond()).unwrap_or(0));
    let mut out = BufWriter::new(stdout().lock());
    let mut sums: BTreeMap<(Group, Kind, String), Sum> = BTreeMap::new();
    let mut written = Ok(());
    let all = records(&args.source.path, args.source.key, &[], &mut |record| {
        if record.at < since || args.kind.is_some_and(|kind| kind != record.entry.kind) || written.is_err() {
            return;
        }
        if args.sums {
            let kind = record.entry.kind;
            let key = (kind.group(), kind, record.entry.destination.clone());
            sums.entry(key).or_default().add(record.entry.bytes);
        } else if args.json {
            written = serde_json::to_string(record)
                .map_err(anyhow::Error::from)
                .and_then(|json| Ok(writeln!(out, "{}", ascii(&json))?));
        } else {
            written = writeln!(out, "{}", line(record)).map_err(anyhow::Error::from);
        }
    })?;
    written?;
    if args.sums {
        let lines = sums.iter().map(|((group, kind, destination), sum)| Line {
            group: *group,
            kind: *kind,
            destination,
            sum: *sum,
        });
        if args.json {
            writeln!(out, "{}", ascii(&serde_json::to_string_pretty(&lines.collect::<Vec<_>>())?))?;
        } else {
            writeln!(out, "{:<14} {:>10} {:>16}  destination", "kind", "records", "bytes")?;
            for Line { kind, destination, sum, .. } in lines {
                writeln!(out, "{kind:<14} {:>10} {:>16}  {}", sum.entries, sum.bytes, shown(destination))?;
            }
        }
    }
    out.flush()?;
    for finding in &all.findings {
        eprintln!("volet: {finding}");
    }
    if all.findings.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("volet: the ledger does not hold: only records that the device signed are shown");
    Ok(ExitCode::FAILURE)
}

/// A record in a line that no name in it can break.
pub(super) fn line(record: &Record) -> String {
    let at = i64::try_from(record.at).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
    let at = at.map_or_else(|| format!("{} ms", record.at), |at| format!("{at:.3}"));
    let entry = &record.entry;
    let digest: String = entry.digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let (number, kind, bytes, connection) = (record.number, entry.kind, entry.bytes, entry.connection);
    let (destination, policy) = (shown(&entry.destination), shown(&entry.policy));
    format!("{number:>8}  {at}  {kind:<13} {bytes:>9}  {digest}  {connection:>5}  {destination}  {policy}")
}
