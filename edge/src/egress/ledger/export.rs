//! A ledger as one file of JSON lines, which can be read by anyone and verified again elsewhere.
//!
//! The lines hold no bytes of the original: bodies are encoded again when they are read, and only what the device wrote gives
//! the hashes it signed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use volet_federated::signing::VerifyingKey;

use super::entry::ascii;
use super::frame::{Body, Frame, Head, Item};
use super::reader::{Bytes, ReadError, Segments, Verification, walk};

/// The most bytes of a line: a record of the longest names, each byte of which is escaped.
const MAX_LINE: u64 = 16 << 10;

/// Why a ledger could not be exported.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum ExportError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{} cannot be written: {source}. Give a file on a disk with room", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// A line of an exported ledger.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Line {
    Frame(Frame),
    /// The last line, so that a file that was cut off is known as one.
    End(Head),
}

/// Writes a sound ledger to a file, durably and whole, or not at all. A ledger that does not hold is not exported: its
/// folder is the evidence.
///
/// # Errors
/// An [`ExportError`]; what was at `out` is as it was.
pub fn export(path: &Path, key: Option<VerifyingKey>, heads: &[Head], out: &Path) -> Result<Verification, ExportError> {
    let write = |source| ExportError::Write { path: out.to_owned(), source };
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(parent).map_err(write)?;
    let mut lines = BufWriter::new(file.as_file_mut());
    // A disk that is full is no error of reading.
    let mut written = Ok(());
    let verification = walk(path, key, heads, &mut |_| {}, &mut |_, items| {
        let mut put = |item: Item| line(&mut lines, &Line::Frame(item.frame));
        if written.is_ok() {
            written = items.into_iter().try_for_each(&mut put);
        }
        Ok(())
    })?;
    written.map_err(write)?;
    if let Some(finding) = verification.findings.first() {
        return Err(ReadError::Damaged(finding.clone()).into());
    }
    let Some(head) = &verification.head else { return Err(ReadError::NotThere(path.to_owned()).into()) };
    line(&mut lines, &Line::End(head.clone())).and_then(|()| lines.flush()).map_err(write)?;
    drop(lines);
    file.as_file().sync_all().map_err(write)?;
    file.persist(out).map_err(|error| write(error.error))?;
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(write)?;
    Ok(verification)
}

/// The segments of an exported file, as they were on the device, and the head it ends with.
pub(super) fn import(path: &Path) -> Result<(Segments, Head), ReadError> {
    let io = |source| ReadError::Io { path: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(io)?);
    let mut segments: Vec<(u64, Vec<u8>)> = Vec::new();
    let (mut text, mut number) = (Vec::new(), 0usize);
    loop {
        text.clear();
        number = number.saturating_add(1);
        let bad = || ReadError::Line { path: path.to_owned(), line: number };
        if file.by_ref().take(MAX_LINE).read_until(b'\n', &mut text).map_err(io)? == 0 {
            return Err(ReadError::NoEnd(path.to_owned()));
        }
        match serde_json::from_slice(&text).map_err(|_| bad())? {
            Line::Frame(frame) => {
                if let Body::Opening(opening) = &frame.body {
                    segments.push((opening.first, Vec::new()));
                }
                let bytes = frame.encode().map_err(|_| bad())?;
                segments.last_mut().ok_or_else(bad)?.1.extend(bytes);
            }
            Line::End(head) => {
                let mut more = [0];
                let segments: Segments =
                    segments.into_iter().map(|(first, bytes)| (first, Bytes::Read(bytes))).collect();
                let whole = file.read(&mut more).map_err(io)? == 0 && !segments.is_empty();
                return if whole { Ok((segments, head)) } else { Err(bad()) };
            }
        }
    }
}

fn line(to: &mut impl Write, line: &Line) -> io::Result<()> {
    writeln!(to, "{}", ascii(&serde_json::to_string(line)?))
}
