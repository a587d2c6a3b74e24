//! Where a walk through a ledger is, and whether what comes next follows from it.

use super::super::entry::{Record, Sums};
use super::super::error::Finding;
use super::super::frame::{Aside, Body, Hash, Head, Opening, Tree, root};
use super::parse::Found;

/// Where a walk is.
pub(in super::super) struct Place {
    pub(in super::super) ledger: Hash,
    /// The first record of the first segment that was found.
    pub(in super::super) oldest: u64,
    /// What the first segment said of all before it.
    pub(in super::super) removed: Sums,
    /// The opening of the present segment, if it could be believed.
    pub(in super::super) opening: Option<Opening>,
    /// What the ledger's first opening says was set aside.
    pub(in super::super) aside: Option<Aside>,
    /// The first record of the present segment.
    pub(in super::super) first: u64,
    /// The last record.
    pub(in super::super) number: u64,
    /// The last sound frame's head.
    pub(in super::super) head: Option<Head>,
    /// The hash of the last body, where it is known.
    pub(super) hash: Option<Hash>,
    /// The tree, where all of the segment is known.
    pub(in super::super) tree: Option<Tree>,
    /// All sums, where they are known.
    pub(in super::super) sums: Option<Sums>,
    /// How many bytes at the segment's end are no record.
    pub(in super::super) tail: usize,
    /// How often that was so, and how many bytes, in earlier segments.
    pub(in super::super) torn: (u64, u64),
}

impl Place {
    pub(super) fn new(ledger: Hash, oldest: u64, removed: Sums) -> Self {
        Self {
            ledger,
            oldest,
            removed,
            opening: None,
            aside: None,
            first: oldest,
            number: oldest.saturating_sub(1),
            head: None,
            hash: None,
            tree: None,
            sums: None,
            tail: 0,
            torn: (0, 0),
        }
    }

    /// What it means that record `number` comes next, which it should not.
    pub(super) fn gap(&self, number: u64) -> Finding {
        let expected = self.number.saturating_add(1);
        if number > expected {
            Finding::Missing { from: expected, to: number.saturating_sub(1) }
        } else {
            Finding::OutOfPlace { number, expected }
        }
    }

    /// Whether a segment's opening follows from the segment before.
    pub(super) fn follow(&mut self, opening: &Opening, exported: bool, findings: &mut Vec<Finding>) {
        let first = opening.first;
        if self.number.checked_add(1) != Some(first) {
            findings.push(self.gap(first));
        } else if self.hash.is_some_and(|hash| hash != opening.previous) {
            findings.push(Finding::Unchained { number: first });
        } else if self.sums.as_ref().is_some_and(|sums| *sums != opening.sums) {
            findings.push(Finding::Sums { first });
        }
        let stated = opening.torn;
        if self.tail as u64 != u64::from(stated) && !(exported && self.tail == 0) {
            findings.push(Finding::Tail { first, bytes: self.tail, stated });
        }
        if stated > 0 {
            self.torn = (self.torn.0.saturating_add(1), self.torn.1.saturating_add(stated.into()));
        }
    }

    /// Begins a segment whose opening cannot be believed.
    pub(super) fn lose(&mut self, first: u64) {
        (self.number, self.first) = (first.saturating_sub(1), first);
        (self.opening, self.hash, self.tree, self.sums) = (None, None, None, None);
    }

    pub(super) fn item(&mut self, found: &Found, findings: &mut Vec<Finding>, each: &mut dyn FnMut(&Record)) {
        let Found { item, skipped, sound } = found;
        let expected = self.number.saturating_add(1);
        if *skipped {
            findings.push(Finding::Unreadable { from: expected });
            (self.hash, self.tree, self.sums) = (None, None, None);
        }
        let Body::Record { previous, record } = &item.frame.body else {
            findings.push(Finding::OutOfPlace { number: item.frame.body.number(), expected });
            (self.hash, self.tree) = (None, None);
            return;
        };
        let number = record.number;
        if !*sound {
            findings.push(Finding::Altered { number: expected });
            // The next record says what this one's hash was, unless that is altered, too.
            self.tree = self.tree.take().filter(|_| self.hash.is_some());
            (self.number, self.hash, self.sums) = (expected, None, None);
            return;
        }
        if number != expected {
            if !(*skipped && number > expected) {
                findings.push(self.gap(number));
            }
            (self.tree, self.sums) = (None, None);
        } else if self.hash.is_some_and(|hash| hash != *previous) {
            findings.push(Finding::Unchained { number });
            self.tree = None;
        } else if let Some(tree) = &mut self.tree {
            if self.hash.is_none() {
                tree.push(*previous);
            }
            tree.push(item.hash);
            if root(tree) != item.frame.root {
                findings.push(Finding::WrongRoot { number });
                self.tree = None;
            }
        }
        // After a record that stands in the wrong place nothing is asked of the next one's chain.
        self.hash = (number >= expected).then_some(item.hash);
        self.number = number.max(self.number);
        if number >= expected {
            if let Some(sums) = &mut self.sums {
                sums.entry(record.entry.kind).or_default().add(record.entry.bytes);
            }
            each(record);
        }
    }
}
