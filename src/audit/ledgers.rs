//! The camera's own books: what left it, as it wrote down before; whether that holds, and whether the files that are there for others
//! are those in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;
use volet_edge::egress::ledger::{self, Group, Kind, ReadError, Record};
use volet_edge::report::grouped;
use volet_federated::signing::VerifyingKey;

use super::claims::Claim;

/// The ledgers of a camera, read.
#[derive(Default)]
pub(crate) struct Books {
    /// Of the agent: what left over the network.
    pub(crate) network: Vec<Record>,
    /// Of the camera's pipeline: files.
    pub(crate) files: Vec<Record>,
}

/// What left, by kind and where it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Sent {
    pub(crate) kind: Kind,
    pub(crate) destination: String,
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

/// Reads and verifies both ledgers of a state folder.
pub(crate) fn read(state: &Path, key: VerifyingKey) -> (Books, Vec<Claim>) {
    let mut books = Books::default();
    let claims = vec![
        verified(
            "everything that left over a network was written down before, and nobody has altered that",
            state.join("egress"),
            true,
            key,
            &mut books.network,
        ),
        verified(
            "every file that was given out was written down before, and nobody has altered that",
            state.join("exports"),
            false,
            key,
            &mut books.files,
        ),
    ];
    (books, claims)
}

fn verified(claim: &'static str, path: PathBuf, must: bool, key: VerifyingKey, records: &mut Vec<Record>) -> Claim {
    // Enrolling alone leaves entries in the agent's.
    let none = || match must {
        true => {
            Claim::of(claim, false, "an enrolled camera has such a ledger, and this one has none: somebody removed it")
        }
        false => Claim::skipped(claim, "there is no such ledger: nothing of the kind was ever let out"),
    };
    if !path.exists() {
        return none();
    }
    match ledger::records(&path, Some(key), &[], &mut |record| records.push(record.clone())) {
        Ok(found) if found.findings.is_empty() => Claim::of(
            claim,
            true,
            format!(
                "{} records, each signed by this camera, none missing between {} and the last",
                grouped(found.records),
                found.oldest
            ),
        ),
        Ok(found) => {
            let findings: Vec<String> = found.findings.iter().map(ToString::to_string).collect();
            Claim::of(claim, false, findings.join("; "))
        }
        Err(ReadError::NotThere(_)) => none(),
        Err(error) => Claim::of(claim, false, error.to_string()),
    }
}

/// Sums over records that are no notes.
pub(crate) fn sums(books: &Books) -> Vec<Sent> {
    let mut sums: BTreeMap<(Kind, String), (u64, u64)> = BTreeMap::new();
    for record in books.network.iter().chain(&books.files) {
        let entry = &record.entry;
        let destination = match entry.kind.group() {
            Group::Note => continue,
            // One line for all files of a kind.
            Group::File => "files".to_owned(),
            Group::Wire | Group::Message => entry.destination.clone(),
        };
        let sum = sums.entry((entry.kind, destination)).or_default();
        *sum = (sum.0 + 1, sum.1 + entry.bytes);
    }
    let sent = |((kind, destination), (count, bytes))| Sent { kind, destination, count, bytes };
    sums.into_iter().map(sent).collect()
}

/// Nothing went over the network while the owner did not agree to learning, as the ledger itself has it.
pub(crate) fn consent(books: &Books) -> Claim {
    let claim = "nothing left over the network while the owner had learning switched off";
    let (mut agreed, mut enrols, mut against, mut changes) = (true, false, 0, 0);
    for Record { entry, .. } in &books.network {
        match entry.kind {
            // Enrolling is the owner's own doing.
            Kind::Started => enrols = entry.policy.ends_with("Enrolment"),
            Kind::Consent => {
                (agreed, changes) = (entry.policy.starts_with("learning on"), changes + 1);
            }
            kind if !agreed && !enrols && kind.group() != Group::Note => against += 1,
            _ => {}
        }
    }
    Claim::of(
        claim,
        against == 0,
        format!("{changes} times consent was looked up or changed; {against} entries went against it"),
    )
}

/// Every file in a folder for others is in the ledger, unaltered.
pub(crate) fn files(books: &Books, folder: Option<&Path>) -> Claim {
    let claim = "every file in the folder for others is one that the camera let out";
    let Some(folder) = folder else { return Claim::skipped(claim, "no folder was named (--files)") };
    let known: BTreeSet<(&str, [u8; 32])> = books
        .files
        .iter()
        .filter(|record| record.entry.kind.group() == Group::File)
        .map(|record| (record.entry.destination.as_str(), record.entry.digest))
        .collect();
    let strangers = || -> anyhow::Result<(usize, Vec<String>)> {
        let (mut count, mut strangers) = (0, Vec::new());
        for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
            let entry = entry?;
            if entry.file_type().is_dir() {
                continue;
            }
            count += 1;
            let name = entry.path().strip_prefix(folder).unwrap_or(entry.path()).to_string_lossy().into_owned();
            let mut hasher = blake3::Hasher::new();
            let file = std::fs::File::open(entry.path()).with_context(|| format!("cannot read {name}"))?;
            hasher.update_reader(file)?;
            if !known.contains(&(name.as_str(), hasher.finalize().into())) {
                strangers.push(name);
            }
        }
        Ok((count, strangers))
    };
    match strangers() {
        Ok((count, strangers)) if strangers.is_empty() => {
            Claim::of(claim, true, format!("{count} files, all in the ledger as they are"))
        }
        Ok((count, strangers)) => {
            let shown: Vec<String> = strangers.iter().take(5).map(|name| ledger::shown(name)).collect();
            Claim::of(
                claim,
                false,
                format!("{} of {count} files are not in the ledger as they are: {}", strangers.len(), shown.join(", ")),
            )
        }
        Err(error) => Claim::of(claim, false, format!("{error:#}")),
    }
}
