//! How large a ledger and its segments may be.

/// The greatest length of a segment's file, bytes.
pub(in super::super) const MAX_SEGMENT: u64 = 4 << 20;
/// The least: an opening and some records.
const MIN_SEGMENT: u64 = 2 << 10;

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
    pub(super) fn in_range(self) -> Self {
        let segment = self.segment.clamp(MIN_SEGMENT, MAX_SEGMENT);
        let total = self.total.max(segment.saturating_mul(2));
        Self { segment, total, anchor_every: self.anchor_every.max(1) }
    }
}
