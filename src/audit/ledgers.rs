//! The camera's own books: what left it, as it wrote down before; whether that holds, and whether the files that are there for others
//! are those in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use volet_edge::egress::ledger::{
    self, Group, Head, Kind, ReadError, Record, Verification, hash_of, is_anchored, read_head,
};
use volet_edge::report::grouped;
use volet_federated::signing::VerifyingKey;

use super::claims::Claim;
use super::layout;

#[cfg(test)]
mod tests;

/// The ledgers of a camera, read.
#[derive(Default)]
pub(crate) struct Books {
    /// Of the agent: what left over the network.
    pub(crate) network: Vec<Record>,
    /// Of the camera's pipeline: files.
    pub(crate) files: Vec<Record>,
    /// The last record of each.
    pub(crate) ends: Vec<End>,
}

/// A record by its number and the hash that stands for it and all before it: what a later audit looks for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    number: u64,
    hash: blake3::Hash,
}

/// What left, by kind and where it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Sent {
    pub(crate) kind: Kind,
    pub(crate) destination: String,
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

/// Reads and verifies both ledgers of a state folder, against the heads in their second places, or this one for the agent's.
pub(crate) fn read(state: &Path, key: VerifyingKey, anchor: Option<&Path>) -> (Books, Vec<Claim>) {
    let mut books = Books::default();
    let [(network, network_head), (files, files_head)] = layout::heads_of(state);
    let head = |folder: PathBuf| folder.exists().then_some(folder);
    let network = Place {
        claim: "everything that left over a network was written down before, and nobody has altered that",
        path: network,
        head: anchor.map(Path::to_owned).or_else(|| head(network_head)),
    };
    let files = Place {
        claim: "every file that was given out was written down before, and nobody has altered that",
        path: files,
        head: head(files_head),
    };
    let claims = vec![
        network.verified(key, &mut books.network, &mut books.ends),
        files.verified(key, &mut books.files, &mut books.ends),
    ];
    (books, claims)
}

/// Where a ledger is, and what is claimed of it.
struct Place {
    claim: &'static str,
    path: PathBuf,
    /// Its second place.
    head: Option<PathBuf>,
}

/// How often a ledger is read whose last record is just being written, and how long it is waited in between.
const TRIES: usize = 10;
const PAUSE: Duration = Duration::from_millis(50);

impl Place {
    fn verified(&self, key: VerifyingKey, records: &mut Vec<Record>, ends: &mut Vec<End>) -> Claim {
        for more in (0..TRIES).rev() {
            // Before the ledger, which may go on meanwhile.
            let head = match self.head.as_deref().map(read_head).transpose() {
                Ok(head) => head,
                Err(error) => return Claim::failed(self.claim, error),
            };
            records.clear();
            match ledger::records(&self.path, Some(key), head.as_slice(), &mut |record| records.push(record.clone())) {
                Ok(found) if found.unfinished > 0 && more > 0 => std::thread::sleep(PAUSE),
                Ok(found) => {
                    let end = found.head.as_ref().filter(|head| head.number > 0);
                    ends.extend(end.map(|head| End { number: head.number, hash: head.hash.into() }));
                    let mut faults = faults(&found, head.as_ref());
                    if head.is_none() && is_anchored(&self.path, Some(key)).unwrap_or(false) {
                        faults.push(ledger::Finding::NoAnchor.to_string());
                    }
                    return Claim::unless(self.claim, &faults, seen(&found, head.as_ref()));
                }
                Err(error) => {
                    let gone = matches!(error, ReadError::NotThere(_)) || !self.path.exists();
                    let removed = match head {
                        Some(_) => "its head is in the second place, and the ledger is gone: somebody removed it",
                        // Both are made at enrolment.
                        None => "an enrolled camera has such a ledger, and this one has none: somebody removed it",
                    };
                    return match gone {
                        true => Claim::failed(self.claim, removed),
                        false => Claim::failed(self.claim, error),
                    };
                }
            }
        }
        Claim::skipped(self.claim, "it was written to all the time: audit again")
    }
}

/// What speaks against a ledger.
fn faults(found: &Verification, head: Option<&Head>) -> Vec<String> {
    let mut faults: Vec<String> = found.findings.iter().map(ToString::to_string).collect();
    if let Some(aside) = &found.aside {
        let records = aside.records.map_or_else(String::new, |records| format!(" with {records} records"));
        faults.push(format!(
            "a damaged ledger{records} was set aside before this one was begun: what it held is not here"
        ));
    }
    let last = found.head.as_ref().map_or(0, |head| head.number);
    if found.unfinished > 0 && head.is_none_or(|head| head.number < last) {
        faults.push(format!(
            "{} bytes behind record {last} are no record: what a power cut left of one, or a last record that was altered. \
             A later head (--anchor) would tell",
            found.unfinished
        ));
    }
    if found.cuts > 0 && head.is_none() {
        faults.push(format!(
            "the camera says that {} power cuts left {} bytes of records that it had not acknowledged, and there is no head in a \
             second place by which that could be told from records that were altered (--anchor)",
            found.cuts, found.cut_bytes
        ));
    }
    faults
}

/// What was seen of a ledger that holds.
fn seen(found: &Verification, head: Option<&Head>) -> String {
    let mut seen = format!(
        "{} records, each signed by this camera, none missing between {} and the last",
        grouped(found.records),
        found.oldest
    );
    match head {
        Some(head) => seen.push_str(&format!(", nor up to record {} of its second place", head.number)),
        None => {
            seen.push_str("; there is no head in a second place, so that records cut off the end would not be missed")
        }
    }
    if found.cuts > 0 {
        seen.push_str(&format!("; {} power cuts left {} bytes that are no record", found.cuts, found.cut_bytes));
    }
    if found.unfinished > 0 {
        seen.push_str(&format!("; {} bytes at the end are a record that was not finished", found.unfinished));
    }
    seen
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.number, self.hash)
    }
}

impl Serialize for End {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for End {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not NUMBER:HASH as an earlier audit printed it");
        let (number, hash) = text.split_once(':').ok_or_else(wrong)?;
        let (number, hash) = (number.parse().map_err(|_| wrong())?, blake3::Hash::from_hex(hash).map_err(|_| wrong())?);
        Ok(Self { number, hash })
    }
}

/// What earlier audits saw is still part of one of the ledgers.
pub(crate) fn still_there(state: &Path, key: VerifyingKey, books: &Books, given: &[End]) -> Claim {
    let claim = "what an earlier audit saw is still in the camera's ledgers";
    if given.is_empty() {
        let ends: Vec<String> = books.ends.iter().map(End::to_string).collect();
        return Claim::skipped(claim, format!("none was named (--head); the next one can name {}", ends.join(" and ")));
    }
    let has = |end: &End| -> Result<bool, ReadError> {
        for (path, _) in layout::heads_of(state) {
            match hash_of(&path, Some(key), end.number) {
                Ok(hash) if hash.is_some_and(|hash| end.hash == hash) => return Ok(true),
                Ok(_) | Err(ReadError::NotThere(_)) => {}
                Err(_) if !path.exists() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    };
    let mut faults = Vec::new();
    for end in given {
        match has(end) {
            Ok(true) => {}
            Ok(false) => faults.push(format!(
                "record {} is not there as it was: the ledger was cut short, rewritten or put back, or is too long to still have it",
                end.number
            )),
            Err(error) => faults.push(error.to_string()),
        }
    }
    Claim::unless(claim, &faults, format!("{} records, each with all that was before it", given.len()))
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
