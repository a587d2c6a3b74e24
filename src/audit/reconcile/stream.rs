//! One direction of a TCP connection, put together from its packets. Knows no ledger.

use std::collections::BTreeMap;
use std::time::Duration;

/// One direction of a TCP connection.
pub(super) struct Stream {
    /// Whether its beginning was captured.
    pub(super) begun: bool,
    /// The sequence number of its first byte; of one that had begun before, the first that is seen.
    base: Option<u32>,
    pub(super) began: Duration,
    pub(super) packets: usize,
    /// Its bytes from the first one on, as far as there is no hole; and when each packet's end was sent first.
    pub(super) bytes: Vec<u8>,
    times: Vec<(usize, Duration)>,
    /// What came before its time.
    early: BTreeMap<usize, (Vec<u8>, Duration)>,
    /// Bytes that were sent again and were not the same.
    other: u64,
}

/// No sequence number is reckoned to be further ahead: what is, is a keep-alive's, which lies behind.
const WINDOW: u32 = 1 << 30;

impl Stream {
    /// A stream whose first byte has this number, or one that goes on from before the capture.
    pub(super) fn new(base: Option<u32>, began: Duration) -> Self {
        let (bytes, times, early) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { begun: base.is_some(), base, began, packets: 0, bytes, times, early, other: 0 }
    }

    /// Whether this is the number that its first byte has.
    pub(super) fn began_with(&self, first: u32) -> bool {
        self.begun && self.base == Some(first)
    }

    pub(super) fn take(&mut self, sequence: u32, payload: &[u8], at: Duration) {
        self.packets += 1;
        if payload.is_empty() {
            return;
        }
        let offset = sequence.wrapping_sub(*self.base.get_or_insert(sequence));
        if offset > WINDOW {
            self.other += payload.len() as u64;
            return;
        }
        self.keep(offset as usize, payload, at);
        while let Some((offset, (payload, at))) = self.early.pop_first() {
            if offset > self.bytes.len() {
                self.early.insert(offset, (payload, at));
                break;
            }
            let again = payload.len().min(self.bytes.len() - offset);
            if self.bytes.get(offset..offset + again) != payload.get(..again) {
                self.other += again as u64;
            }
            self.bytes.extend_from_slice(payload.get(again..).unwrap_or_default());
            self.times.push((self.bytes.len(), at));
        }
    }

    /// Keeps what may have come before its time. Of two that begin at the same byte the longer stays, and the shorter is held against it:
    /// which of two that differ the other end took, nobody can tell.
    fn keep(&mut self, offset: usize, payload: &[u8], at: Duration) {
        match self.early.get_mut(&offset) {
            None => drop(self.early.insert(offset, (payload.to_vec(), at))),
            Some((known, _)) if known.len() >= payload.len() => {
                if !known.starts_with(payload) {
                    self.other += payload.len() as u64;
                }
            }
            Some((known, _)) => {
                if !payload.starts_with(known) {
                    self.other += known.len() as u64;
                }
                // What it begins with went when the shorter did.
                *known = payload.to_vec();
            }
        }
    }

    /// All its bytes; those behind a hole too.
    pub(super) fn sent(&self) -> u64 {
        self.bytes.len() as u64 + self.other + self.early.values().map(|(bytes, _)| bytes.len() as u64).sum::<u64>()
    }

    /// When the byte at this offset was sent first.
    pub(super) fn when(&self, offset: usize) -> Option<Duration> {
        let after = self.times.partition_point(|(end, _)| *end <= offset);
        self.times.get(after).map(|(_, at)| *at)
    }
}
