//! Reads a ledger without its secret: a folder, in use or not, or an exported file. Writes and locks nothing.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use volet_federated::signing::VerifyingKey;

use super::book::{HEAD, MAX_SEGMENT, first_of};
use super::entry::{Record, Sums};
use super::error::Finding;
use super::export;
use super::frame::{Aside, Body, Head, Item};
use super::scan::{Depth, Scan};

/// Why a ledger, a head or a proof could not be read at all.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum ReadError {
    #[error("{} holds no egress ledger: give the folder with its segments, or an exported file", .0.display())]
    NotThere(PathBuf),
    #[error("{} cannot be read: {source}. Check that it is there and may be read", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} does not say whose it is, since its first record cannot be read: give the device's key", .0.display())]
    NoKey(PathBuf),
    #[error("line {line} of {} is not one of an exported ledger: it was altered or cut off; export it again", path.display())]
    Line { path: PathBuf, line: usize },
    #[error("{} does not end as an exported ledger does: it was cut off; export it again", .0.display())]
    NoEnd(PathBuf),
    #[error("{} is no head of an egress ledger: give an anchor's folder, its head.json, or a proof", .0.display())]
    NoHead(PathBuf),
    #[error("record {number} is not there: {oldest} to {newest} are")]
    NoRecord { number: u64, oldest: u64, newest: u64 },
    #[error("the ledger does not hold: {0}. Verify it; what it says can be believed in part at most")]
    Damaged(#[from] Finding),
}

/// What a ledger is and what of it does not hold.
#[derive(Clone, Debug)]
pub struct Verification {
    /// The device whose signatures were checked.
    pub device: VerifyingKey,
    /// Whether the key is only the ledger's own word: whoever replaces the whole ledger can put a key of theirs in it.
    pub own_word: bool,
    /// The first record that is kept.
    pub oldest: u64,
    /// Sound records that were read.
    pub records: u64,
    /// The last sound record's head.
    pub head: Option<Head>,
    /// Sums by kind of all that is no longer kept.
    pub removed: Sums,
    /// Sums by kind of that and all sound records together.
    pub sums: Sums,
    /// Bytes at the end that are no record: one that is just being written, one that a power cut left, or a last one that
    /// was altered. A later head tells the last from the others.
    pub unfinished: usize,
    /// How often a power cut left part of a record, as the device itself stated, in the segments that are kept.
    pub cuts: u64,
    /// The bytes of these parts.
    pub cut_bytes: u64,
    /// A damaged ledger that was set aside for this one.
    pub aside: Option<Aside>,
    /// What does not hold; nothing, if the ledger is sound.
    pub findings: Vec<Finding>,
}

/// Verifies a ledger against the device's key, or its own word where none is given, and against heads that were signed
/// before.
///
/// # Errors
/// A [`ReadError`]. What does not hold is no error but in [`Verification::findings`].
pub fn verify(path: &Path, key: Option<VerifyingKey>, heads: &[Head]) -> Result<Verification, ReadError> {
    records(path, key, heads, &mut |_| {})
}

/// The same, with every sound record handed out in its order.
///
/// # Errors
/// A [`ReadError`].
pub fn records(
    path: &Path,
    key: Option<VerifyingKey>,
    heads: &[Head],
    each: &mut dyn FnMut(&Record),
) -> Result<Verification, ReadError> {
    walk(path, key, heads, each, &mut |_, _| Ok(()))
}

/// Reads a head: an anchor's folder, its file, or a proof.
///
/// # Errors
/// A [`ReadError`].
pub fn read_head(path: &Path) -> Result<Head, ReadError> {
    #[derive(serde::Deserialize)]
    struct Within {
        head: Head,
    }
    let inside = path.join(HEAD);
    let path = if path.is_dir() { &inside } else { path };
    let bytes = small(path)?;
    let head = serde_json::from_slice(&bytes).or_else(|_| serde_json::from_slice(&bytes).map(|Within { head }| head));
    head.map_err(|_| ReadError::NoHead(path.to_owned()))
}

/// A small file's bytes.
pub(super) fn small(path: &Path) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(1 << 20).read_to_end(&mut bytes));
    read.map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
    Ok(bytes)
}

/// A ledger's segments: their first records' numbers, and what gives their bytes.
pub(super) type Segments = Vec<(u64, Bytes)>;

/// Who is handed each segment: its last head, and its frames.
pub(super) type EachSegment<'a> = dyn FnMut(&Head, Vec<Item>) -> Result<(), ReadError> + 'a;

/// Goes through a ledger, handing out records and each segment's last head with its frames.
pub(super) fn walk(
    path: &Path,
    key: Option<VerifyingKey>,
    heads: &[Head],
    each: &mut dyn FnMut(&Record),
    segment: &mut EachSegment<'_>,
) -> Result<Verification, ReadError> {
    let io = |source| ReadError::Io { path: path.to_owned(), source };
    let (files, end) = find(path)?;
    let exported = end.is_some();
    let mut heads: Vec<Head> = heads.iter().cloned().chain(end).collect();
    heads.dedup();
    let newest = files.len().saturating_sub(1);
    let mut scan: Option<Scan> = None;
    let (mut read, mut sums) = (0u64, Sums::new());
    for (index, (first, bytes)) in files.into_iter().enumerate() {
        let bytes = bytes.get().map_err(io)?;
        let scan = match &mut scan {
            Some(scan) => scan,
            None => {
                let device = key.or_else(|| named(&bytes)).ok_or_else(|| ReadError::NoKey(path.to_owned()))?;
                scan.insert(Scan::new(device, Depth::All, exported, &heads))
            }
        };
        if bytes.len() as u64 > MAX_SEGMENT {
            scan.findings.push(Finding::TooLong { first });
        }
        let items = scan.segment(first, &bytes, index == newest, &mut |record| {
            read = read.saturating_add(1);
            sums.entry(record.entry.kind).or_default().add(record.entry.bytes);
            each(record);
        });
        if let Some(head) = scan.place.as_ref().and_then(|place| place.head.as_ref()) {
            segment(head, items)?;
        }
    }
    let Some(mut scan) = scan else { return Err(ReadError::NotThere(path.to_owned())) };
    scan.finish();
    let Scan { findings, place, key: device, .. } = scan;
    let own_word = key.is_none();
    let Some(place) = place else {
        let head = None;
        let removed = Sums::new();
        let (oldest, records, unfinished, cuts, cut_bytes, aside) = (0, 0, 0, 0, 0, None);
        return Ok(Verification {
            device,
            own_word,
            oldest,
            records,
            head,
            removed,
            sums,
            unfinished,
            cuts,
            cut_bytes,
            aside,
            findings,
        });
    };
    for (kind, removed) in &place.removed {
        let sum = sums.entry(*kind).or_default();
        sum.entries = sum.entries.saturating_add(removed.entries);
        sum.bytes = sum.bytes.saturating_add(removed.bytes);
    }
    Ok(Verification {
        device,
        own_word,
        oldest: place.oldest,
        records: read,
        head: place.head,
        removed: place.removed,
        sums,
        unfinished: place.tail,
        cuts: place.torn.0,
        cut_bytes: place.torn.1,
        aside: place.aside,
        findings,
    })
}

/// Whether there is a ledger in a folder, sound or not.
pub fn is_begun(folder: &Path) -> bool {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    names.into_iter().any(|entry| entry.file_name().to_str().is_some_and(|name| first_of(name).is_some()))
}

/// A segment's bytes, or where to read them.
pub(super) enum Bytes {
    File(File),
    Read(Vec<u8>),
}

impl Bytes {
    /// At most one more than a segment has.
    fn get(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Read(bytes) => Ok(bytes),
            Self::File(file) => {
                let mut bytes = Vec::new();
                file.take(MAX_SEGMENT.saturating_add(1)).read_to_end(&mut bytes)?;
                Ok(bytes)
            }
        }
    }
}

/// Finds a ledger's segments, and the head that an exported one ends with.
fn find(path: &Path) -> Result<(Segments, Option<Head>), ReadError> {
    if path.is_file() {
        let (segments, head) = export::import(path)?;
        return Ok((segments, Some(head)));
    }
    let io = |source| ReadError::Io { path: path.to_owned(), source };
    // The oldest file may go between its being listed and opened, not after: an open one stays.
    for _ in 0..TRIES {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            names.extend(name.to_str().and_then(|name| Some((first_of(name)?, name.to_owned()))));
        }
        names.sort_unstable();
        let files: Result<Vec<_>, io::Error> =
            names.into_iter().map(|(first, name)| Ok((first, Bytes::File(File::open(path.join(name))?)))).collect();
        match files {
            Ok(files) if files.is_empty() => return Err(ReadError::NotThere(path.to_owned())),
            Ok(files) => return Ok((files, None)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io(error)),
        }
    }
    Err(io(io::ErrorKind::NotFound.into()))
}

/// Each time the writer has begun a new segment meanwhile.
const TRIES: usize = 10;

/// The device that a segment names.
fn named(bytes: &[u8]) -> Option<VerifyingKey> {
    match Item::read(bytes)?.frame.body {
        Body::Opening(opening) => VerifyingKey::from_bytes(&opening.device),
        Body::Record { .. } => None,
    }
}
