//! The ledger as its one writer has it: what becomes durable in which order.

use std::io;

use volet_federated::signing::{SigningKey, VerifyingKey};
use volet_federated::storage::{Storage, put};

use super::entry::{Entry, MAX_NAME, Record, Sums};
use super::error::{Finding, LedgerError};
use super::frame::{Aside, Body, End, FORMAT, Head, Opening};
use super::scan::{Depth, Scan};

/// The greatest length of a segment's file, bytes.
pub(super) const MAX_SEGMENT: u64 = 4 << 20;
/// The least: an opening and some records.
const MIN_SEGMENT: u64 = 2 << 10;
const SEGMENT: &str = "segment-";
const ASIDE: &str = "aside-";
/// The head's file in the second place.
pub(super) const HEAD: &str = "head.json";
const MAX_HEAD: u64 = 4096;

/// How much of a ledger is kept. A value out of range counts as the nearest one in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a segment: 2 KiB to 4 MiB.
    pub segment: u64,
    /// The most bytes of all segments, at least two. The oldest go first, whole.
    pub total: u64,
    /// After how many records the head is kept in the second place anew, at least 1; at every rotation, opening and closing
    /// it is besides. Each time costs two syncs of that place's disk and one of its names, where a record costs one sync.
    pub anchor_every: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { segment: MAX_SEGMENT, total: 64 << 20, anchor_every: 16 }
    }
}

impl Limits {
    fn in_range(self) -> Self {
        let segment = self.segment.clamp(MIN_SEGMENT, MAX_SEGMENT);
        let total = self.total.max(segment.saturating_mul(2));
        Self { segment, total, anchor_every: self.anchor_every.max(1) }
    }
}

/// A segment's file: its first record's number, and its bytes.
struct Segment {
    first: u64,
    bytes: u64,
}

/// A device's egress ledger, in the hands of its one writer; see the [module's page](super).
pub struct Ledger<S> {
    storage: S,
    anchor: Option<S>,
    key: SigningKey,
    limits: Limits,
    end: End,
    /// Of all records.
    sums: Sums,
    /// What was set aside when this one was begun.
    aside: Option<Aside>,
    /// Oldest first; the last one is written to.
    segments: Vec<Segment>,
    /// The head that is durable in the second place.
    anchored: Option<Head>,
    /// False while and after an operation whose outcome on the disk is not known.
    sound: bool,
}

impl<S: Storage> Ledger<S> {
    /// Opens a device's ledger, or makes one where there is none, and finishes what a power cut interrupted.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Storage`], or no random bytes for a new one.
    pub fn open(storage: S, key: &SigningKey, limits: Limits) -> Result<Self, LedgerError> {
        Self::open_at(storage, None, key, limits)
    }

    /// The same with the head kept in a second place too, best on another partition: a ledger that was cut short is then
    /// found out. The second place is this ledger's alone.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_anchored(storage: S, anchor: S, key: &SigningKey, limits: Limits) -> Result<Self, LedgerError> {
        Self::open_at(storage, Some(anchor), key, limits)
    }

    /// Puts a damaged ledger aside and begins a new one that says so. The old files stay in the folder under other names,
    /// which begin with `aside-`, and are never removed by this program.
    ///
    /// # Errors
    /// [`LedgerError::Storage`]: what was not done yet is done by the next call. No random bytes.
    pub fn set_aside(
        mut storage: S,
        anchor: Option<S>,
        key: &SigningKey,
        limits: Limits,
    ) -> Result<Self, LedgerError> {
        let failed = failed("set its files aside");
        let names = storage.list().map_err(failed)?;
        let times = (1u32..).find(|n| !names.iter().any(|name| name.starts_with(&format!("{ASIDE}{n}-"))));
        let times = times.unwrap_or(u32::MAX);
        for name in names.iter().filter(|name| name.starts_with(SEGMENT)) {
            storage.rename(name, &format!("{ASIDE}{times}-{name}")).map_err(failed)?;
        }
        storage.sync_dir().map_err(failed)?;
        let records = anchor.as_ref().and_then(|anchor| read_anchor(anchor).ok().flatten()).map(|head| head.number);
        let records = records.filter(|records| *records > 0);
        let files = count_aside(&storage).map_err(failed)?;
        Self::create(storage, anchor, key, limits.in_range(), Some(Aside { files, records }))
    }

    /// Writes an entry down, durably at return: only then may the bytes go. `at` is milliseconds since 1970 by the
    /// device's clock. Gives the record's number.
    ///
    /// # Errors
    /// [`LedgerError::TooLong`], without any effect. [`LedgerError::Storage`]: whether the entry was written is not known,
    /// and all later calls fail until the ledger is opened again.
    pub fn append(&mut self, at: u64, entry: Entry) -> Result<u64, LedgerError> {
        if !self.sound {
            return Err(LedgerError::Reopen);
        }
        for (what, name) in [("destination", &entry.destination), ("policy's name", &entry.policy)] {
            if name.len() > MAX_NAME {
                return Err(LedgerError::TooLong { what, bytes: name.len() });
            }
        }
        let failed = failed("write an entry");
        let number = self.end.head.number.checked_add(1).ok_or_else(|| failed(io::ErrorKind::QuotaExceeded.into()))?;
        let (kind, bytes) = (entry.kind, entry.bytes);
        let mut body = Body::Record { previous: self.end.head.hash, record: Record { number, at, entry } };
        self.sound = false;
        let frame = super::frame::length(&body).map_err(failed)?;
        let file = self.segments.last().map_or(0, |segment| segment.bytes);
        if file.saturating_add(frame) > self.limits.segment {
            self.rotate(0)?;
            if let Body::Record { previous, .. } = &mut body {
                *previous = self.end.head.hash;
            }
        }
        let frame = self.end.push(&body, &self.key).map_err(failed)?;
        let Some(segment) = self.segments.last_mut() else { return Err(LedgerError::Reopen) };
        let name = file_name(segment.first);
        self.storage.write(&name, segment.bytes, &frame).map_err(failed)?;
        self.storage.sync(&name).map_err(failed)?;
        segment.bytes = segment.bytes.saturating_add(frame.len() as u64);
        self.sums.entry(kind).or_default().add(bytes);
        let anchored = self.anchored.as_ref().map_or(0, |head| head.number);
        if number.saturating_sub(anchored) >= self.limits.anchor_every {
            self.keep_head()?;
        }
        self.sound = true;
        Ok(number)
    }

    /// The signed end of the ledger: in somebody else's hands it shows whether the ledger is put back later.
    pub fn head(&self) -> Head {
        self.end.head.clone()
    }

    /// Sums by kind over the whole life of the ledger, also of what is no longer kept.
    pub fn sums(&self) -> &Sums {
        &self.sums
    }

    /// Keeps the head in the second place and gives the storages back.
    ///
    /// # Errors
    /// [`LedgerError::Storage`], [`LedgerError::Reopen`]. All entries that were acknowledged are durable nevertheless.
    pub fn close(mut self) -> Result<(S, Option<S>), LedgerError> {
        if !self.sound {
            return Err(LedgerError::Reopen);
        }
        self.keep_head()?;
        Ok((self.storage, self.anchor))
    }

    fn open_at(storage: S, anchor: Option<S>, key: &SigningKey, limits: Limits) -> Result<Self, LedgerError> {
        let limits = limits.in_range();
        let failed = failed("read its files");
        let anchored = match &anchor {
            Some(anchor) => read_anchor(anchor)?,
            None => None,
        };
        let names = storage.list().map_err(failed)?;
        let mut firsts: Vec<u64> = names.iter().filter_map(|name| first_of(name)).collect();
        firsts.sort_unstable();
        let Some(newest) = firsts.last().copied() else {
            let files = count_aside(&storage).map_err(failed)?;
            let records = anchored.map(|head| head.number);
            return match records {
                Some(records) if records > 0 && files == 0 => Err(Finding::Gone { records }.into()),
                records => Self::create(storage, anchor, key, limits, (files > 0).then_some(Aside { files, records })),
            };
        };
        let heads = anchored.as_slice();
        let mut scan = Scan::new(VerifyingKey::from(key), Depth::Last, false, heads);
        let mut segments = Vec::new();
        let mut last = Vec::new();
        for first in firsts {
            last = match storage.read(&file_name(first), MAX_SEGMENT) {
                Err(error) if error.kind() == io::ErrorKind::FileTooLarge => return Err(Finding::TooLong { first }.into()),
                read => read.map_err(failed)?.unwrap_or_default(),
            };
            scan.segment(first, &last, first == newest, &mut |_| {});
            segments.push(Segment { first, bytes: last.len() as u64 });
        }
        scan.finish();
        if let Some(finding) = scan.findings.into_iter().next() {
            return Err(finding.into());
        }
        let place = scan.place.and_then(|place| Some((place.tail, place.opening?, place.head?, place.tree?, place.sums?)));
        let Some((tail, opening, head, tree, sums)) = place else {
            return Err(Finding::Opening { first: newest }.into());
        };
        if opening.anchored && anchor.is_some() && anchored.is_none() {
            return Err(Finding::NoAnchor.into());
        }
        let doubtful = anchored.as_ref() != Some(&head);
        let (end, aside) = (End { head, tree }, opening.aside);
        let mut ledger =
            Self { storage, anchor, key: *key, limits, end, sums, aside, segments, anchored, sound: false };
        ledger.mend(&last, tail, opening.kept_from, doubtful)?;
        ledger.sound = true;
        Ok(ledger)
    }

    /// Finishes what was interrupted.
    fn mend(&mut self, last: &[u8], tail: usize, kept_from: u64, doubtful: bool) -> Result<(), LedgerError> {
        let failed = failed("finish what was interrupted");
        // An earlier start may have given a file its name and failed to make that durable.
        self.storage.sync_dir().map_err(failed)?;
        let empty = self.end.head.number < self.end.head.first;
        // Behind an opening alone nothing was ever acknowledged, and no other opening can follow it.
        let kept = if empty { last.len().saturating_sub(tail) } else { last.len() };
        if doubtful || tail > 0 {
            // A last record that was not acknowledged, or a part of one, may stand in the system's cache alone, after a sync
            // that failed or was not reached: only what is written anew is made durable by the next.
            let name = file_name(self.end.head.first);
            put(&mut self.storage, &name, last.get(..kept).unwrap_or_default()).map_err(failed)?;
        }
        if let Some(segment) = self.segments.last_mut() {
            segment.bytes = kept as u64;
        }
        self.forget(kept_from).map_err(failed)?;
        if tail > 0 && !empty {
            self.rotate(u32::try_from(tail).unwrap_or(u32::MAX))?;
        }
        self.keep_head()
    }

    fn create(
        mut storage: S,
        mut anchor: Option<S>,
        key: &SigningKey,
        limits: Limits,
        aside: Option<Aside>,
    ) -> Result<Self, LedgerError> {
        let failed = failed("be made");
        let mut ledger = [0; 32];
        getrandom::fill(&mut ledger).map_err(LedgerError::Entropy)?;
        let opening = Opening {
            format: FORMAT,
            ledger,
            device: VerifyingKey::from(key).to_bytes(),
            first: 1,
            previous: [0; 32],
            sums: Sums::new(),
            kept_from: 1,
            torn: 0,
            anchored: anchor.is_some(),
            aside: aside.clone(),
        };
        let (end, frame) = End::begin(opening, key).map_err(failed)?;
        // The head first: a ledger that says it has one is then never without.
        let anchored = anchor.is_some().then(|| end.head.clone());
        if let Some(anchor) = &mut anchor {
            write_anchor(anchor, &end.head)?;
        }
        put(&mut storage, &file_name(1), &frame).map_err(failed)?;
        let segments = vec![Segment { first: 1, bytes: frame.len() as u64 }];
        Ok(Self { storage, anchor, key: *key, limits, end, sums: Sums::new(), aside, segments, anchored, sound: true })
    }

    /// Begins the next segment, behind so many bytes that are no record, and removes the oldest that are too much.
    fn rotate(&mut self, torn: u32) -> Result<(), LedgerError> {
        let failed = failed("begin a file");
        let Head { device, ledger, number, hash, .. } = self.end.head;
        let first = number.checked_add(1).ok_or_else(|| failed(io::ErrorKind::QuotaExceeded.into()))?;
        let mut total = self.segments.iter().fold(self.limits.segment, |sum, segment| sum.saturating_add(segment.bytes));
        let mut kept = self.segments.iter().peekable();
        while let Some(oldest) = kept.next_if(|_| total > self.limits.total) {
            total = total.saturating_sub(oldest.bytes);
        }
        let opening = Opening {
            format: FORMAT,
            ledger,
            device,
            first,
            previous: hash,
            sums: self.sums.clone(),
            kept_from: kept.peek().map_or(first, |segment| segment.first),
            torn,
            anchored: self.anchor.is_some(),
            aside: self.aside.clone(),
        };
        let kept_from = opening.kept_from;
        let (end, frame) = End::begin(opening, &self.key).map_err(failed)?;
        put(&mut self.storage, &file_name(first), &frame).map_err(failed)?;
        self.segments.push(Segment { first, bytes: frame.len() as u64 });
        self.end = end;
        self.keep_head()?;
        self.forget(kept_from).map_err(failed)
    }

    /// Removes the segments before `kept_from`, the oldest first, and one durably before the next.
    fn forget(&mut self, kept_from: u64) -> io::Result<()> {
        while let Some(oldest) = self.segments.first().filter(|segment| segment.first < kept_from) {
            self.storage.remove(&file_name(oldest.first))?;
            self.storage.sync_dir()?;
            self.segments.remove(0);
        }
        Ok(())
    }

    fn keep_head(&mut self) -> Result<(), LedgerError> {
        let head = &self.end.head;
        match &mut self.anchor {
            Some(anchor) if self.anchored.as_ref() != Some(head) => write_anchor(anchor, head)?,
            Some(_) => return Ok(()),
            None => {}
        }
        self.anchored = Some(head.clone());
        Ok(())
    }
}

impl<S> std::fmt::Debug for Ledger<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("records", &self.end.head.number).finish_non_exhaustive()
    }
}

/// The name of the segment that begins with a record.
pub(super) fn file_name(first: u64) -> String {
    format!("{SEGMENT}{first:020}")
}

/// The record that a segment of this name begins with.
pub(super) fn first_of(name: &str) -> Option<u64> {
    let first = name.strip_prefix(SEGMENT)?.parse().ok()?;
    (file_name(first) == name).then_some(first)
}

fn count_aside(storage: &impl Storage) -> io::Result<u64> {
    Ok(storage.list()?.iter().filter(|name| name.starts_with(ASIDE)).count() as u64)
}

fn read_anchor(anchor: &impl Storage) -> Result<Option<Head>, LedgerError> {
    let bytes = anchor.read(HEAD, MAX_HEAD).map_err(failed("read its head in the second place"))?;
    bytes.map(|bytes| serde_json::from_slice(&bytes).map_err(|_| Finding::Anchor.into())).transpose()
}

fn write_anchor(anchor: &mut impl Storage, head: &Head) -> Result<(), LedgerError> {
    let failed = failed("keep its head in the second place");
    let bytes = serde_json::to_vec(head).map_err(|error| failed(error.into()))?;
    put(anchor, HEAD, &bytes).map_err(failed)
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> LedgerError + Copy {
    move |source| LedgerError::Storage { doing, source }
}
