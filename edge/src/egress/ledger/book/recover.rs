//! How a ledger is made, opened and mended, and how a damaged one is set aside.

use std::io;

use volet_federated::signing::{SigningKey, VerifyingKey};
use volet_federated::storage::{Storage, put};

use super::super::entry::{Record, Sums};
use super::super::error::{Finding, LedgerError};
use super::super::frame::{Aside, End, FORMAT, Opening};
use super::super::scan::{Depth, Scan};
use super::anchor::{read_anchor, write_anchor};
use super::{Ledger, Limits, MAX_SEGMENT, SEGMENT, Segment, failed, file_name, first_of};

const ASIDE: &str = "aside-";

impl<S: Storage> Ledger<S> {
    /// Puts a damaged ledger aside and begins a new one that says so. The old files stay in the folder under other names,
    /// which begin with `aside-`, and are never removed by this program.
    ///
    /// # Errors
    /// [`LedgerError::Storage`]: what was not done yet is done by the next call. No random bytes.
    pub fn set_aside(mut storage: S, anchor: Option<S>, key: &SigningKey, limits: Limits) -> Result<Self, LedgerError> {
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

    pub(super) fn open_at(
        storage: S,
        anchor: Option<S>,
        key: &SigningKey,
        limits: Limits,
        each: &mut dyn FnMut(&Record),
    ) -> Result<Self, LedgerError> {
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
                Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                    return Err(Finding::TooLong { first }.into());
                }
                read => read.map_err(failed)?.unwrap_or_default(),
            };
            scan.segment(first, &last, first == newest, each);
            segments.push(Segment { first, bytes: last.len() as u64 });
        }
        scan.finish();
        if let Some(finding) = scan.findings.into_iter().next() {
            return Err(finding.into());
        }
        let place =
            scan.place.and_then(|place| Some((place.tail, place.opening?, place.head?, place.tree?, place.sums?)));
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
}

fn count_aside(storage: &impl Storage) -> io::Result<u64> {
    Ok(storage.list()?.iter().filter(|name| name.starts_with(ASIDE)).count() as u64)
}
