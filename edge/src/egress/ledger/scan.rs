//! Walks through a ledger's segments in their order and finds what does not hold. Does no I/O.
//!
//! After damage it goes on as far as signatures carry: each frame is signed with its number, its hash and its tree, so that
//! one altered record does not make those after it doubtful.

mod parse;

use volet_federated::signing::VerifyingKey;

use super::entry::{Record, Sums};
use super::error::Finding;
use super::frame::{Body, FORMAT, Hash, Head, Item, Opening, Tree, root};
use parse::{Found, Parsed};

/// How much is checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Every signature.
    All,
    /// The signatures of the last segment: its hashes hold those of all others.
    Last,
}

/// A walk under way.
pub(super) struct Scan {
    pub(super) key: VerifyingKey,
    depth: Depth,
    /// What a copy that was exported leaves out is the bytes that are no records.
    exported: bool,
    heads: Vec<(Head, bool)>,
    pub(super) findings: Vec<Finding>,
    pub(super) place: Option<Place>,
}

/// Where a walk is.
pub(super) struct Place {
    pub(super) ledger: Hash,
    /// The first record of the first segment that was found.
    pub(super) oldest: u64,
    /// What the first segment said of all before it.
    pub(super) removed: Sums,
    /// The opening of the present segment, if it could be believed.
    pub(super) opening: Option<Opening>,
    /// What the ledger's first opening says was set aside.
    pub(super) aside: Option<super::Aside>,
    /// The first record of the present segment.
    pub(super) first: u64,
    /// The last record.
    pub(super) number: u64,
    /// The last sound frame's head.
    pub(super) head: Option<Head>,
    /// The hash of the last body, where it is known.
    hash: Option<Hash>,
    /// The tree, where all of the segment is known.
    pub(super) tree: Option<Tree>,
    /// All sums, where they are known.
    pub(super) sums: Option<Sums>,
    /// How many bytes at the segment's end are no record.
    pub(super) tail: usize,
    /// How often that was so, and how many bytes, in earlier segments.
    pub(super) torn: (u64, u64),
}

impl Scan {
    pub(super) fn new(key: VerifyingKey, depth: Depth, exported: bool, heads: &[Head]) -> Self {
        let mut scan = Self { key, depth, exported, heads: Vec::new(), findings: Vec::new(), place: None };
        for head in heads {
            if head.signed_by(&key) {
                scan.heads.push((head.clone(), false));
            } else {
                scan.findings.push(Finding::StrangeHead);
            }
        }
        scan
    }

    /// Goes through the next segment, which is named for the record `name`; hands out its sound records, and gives its frames.
    pub(super) fn segment(&mut self, name: u64, bytes: &[u8], last: bool, each: &mut dyn FnMut(&Record)) -> Vec<Item> {
        let device = self.key.to_bytes();
        let all = last || self.depth == Depth::All;
        let of = (self.place.as_ref().map(|place| place.ledger), name);
        let Parsed { items, tail, ledger, first } = parse::parse(bytes, &self.key, of, last, all);
        let head = |item: &Item| item.head(device, ledger, first);
        let mut rest = items.iter().peekable();
        let opening = rest.next_if(|found| matches!(found.item.frame.body, Body::Opening(_)));
        if let Some(Found { item, skipped: false, sound: true }) = opening {
            if !self.open(name, item, all) {
                return Vec::new();
            }
        } else if let Some(device) = opening.and_then(|found| self.stranger(&found.item)) {
            self.findings.push(Finding::OtherDevice { device });
            return Vec::new();
        } else {
            self.findings.push(Finding::Opening { first: name });
            let Some(place) = &mut self.place else { return Vec::new() };
            // What this segment says of itself cannot be believed; its records are still signed.
            if place.number.checked_add(1) != Some(name) {
                self.findings.push(place.gap(name));
            }
            place.lose(name);
        }
        let Some(place) = &mut self.place else { return Vec::new() };
        for (found, is_opening) in opening.map(|found| (found, true)).into_iter().chain(rest.map(|found| (found, false))) {
            if !is_opening {
                place.item(found, &mut self.findings, each);
            }
            if found.sound {
                let head = head(&found.item);
                compare(&mut self.heads, &mut self.findings, &head);
                place.head = Some(head);
            }
        }
        place.tail = tail.bytes;
        if tail.damaged {
            self.findings.push(Finding::Unreadable { from: place.number.saturating_add(1) });
        }
        items.into_iter().map(|found| found.item).collect()
    }

    /// Ends the walk: what can be said once all was seen.
    pub(super) fn finish(&mut self) {
        let Some(place) = &self.place else {
            let most = self.heads.iter().map(|(head, _)| head.number).max().filter(|records| *records > 0);
            self.findings.extend(most.map(|records| Finding::Gone { records }));
            return;
        };
        if let Some(opening) = &place.opening {
            if opening.kept_from < place.oldest {
                self.findings.push(Finding::Missing { from: opening.kept_from, to: place.oldest.saturating_sub(1) });
            }
        }
        for (head, seen) in &self.heads {
            let number = head.number;
            if *seen || (head.ledger == place.ledger && head.first < place.oldest) {
                continue;
            }
            self.findings.push(if head.ledger != place.ledger {
                Finding::Begun { number }
            } else if number > place.number || head.first > place.first {
                Finding::Short { signed: number, last: place.number }
            } else {
                Finding::Rewritten { number }
            });
        }
    }

    /// Which other device signed a segment's opening, if one did.
    fn stranger(&self, item: &Item) -> Option<String> {
        let Body::Opening(opening) = &item.frame.body else { return None };
        let theirs = VerifyingKey::from_bytes(&opening.device).filter(|theirs| *theirs != self.key)?;
        let head = item.head(opening.device, opening.ledger, opening.first);
        head.signed_by(&theirs).then(|| hex::encode(opening.device))
    }

    /// Begins a segment; false where nothing of it can be read.
    fn open(&mut self, name: u64, item: &Item, all: bool) -> bool {
        let Body::Opening(opening) = &item.frame.body else { return false };
        let findings = &mut self.findings;
        if opening.format != FORMAT {
            findings.push(Finding::Format { found: opening.format });
            return false;
        }
        let first = opening.first;
        if first != name {
            findings.push(Finding::Renamed { name, first });
        }
        let number = first.saturating_sub(1);
        let place = self.place.get_or_insert_with(|| {
            let removed = opening.sums.clone();
            Place::new(opening.ledger, first, removed)
        });
        if place.opening.is_none() && place.oldest == first {
            place.aside.clone_from(&opening.aside);
        } else if opening.ledger != place.ledger {
            findings.push(Finding::OtherLedger { first });
            place.lose(first);
            return false;
        } else {
            place.follow(opening, self.exported, findings);
        }
        let mut tree = Tree::new();
        tree.push(item.hash);
        if root(&tree) != item.frame.root {
            findings.push(Finding::Opening { first });
        }
        (place.number, place.first, place.hash, place.tree) = (number, first, Some(item.hash), all.then_some(tree));
        (place.sums, place.opening) = (Some(opening.sums.clone()), Some(opening.clone()));
        true
    }
}

impl Place {
    fn new(ledger: Hash, oldest: u64, removed: Sums) -> Self {
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
    fn gap(&self, number: u64) -> Finding {
        let expected = self.number.saturating_add(1);
        if number > expected {
            Finding::Missing { from: expected, to: number.saturating_sub(1) }
        } else {
            Finding::OutOfPlace { number, expected }
        }
    }

    /// Whether a segment's opening follows from the segment before.
    fn follow(&mut self, opening: &Opening, exported: bool, findings: &mut Vec<Finding>) {
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
    fn lose(&mut self, first: u64) {
        (self.number, self.first) = (first.saturating_sub(1), first);
        (self.opening, self.hash, self.tree, self.sums) = (None, None, None, None);
    }

    fn item(&mut self, found: &Found, findings: &mut Vec<Finding>, each: &mut dyn FnMut(&Record)) {
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

/// Compares the heads that are given with one that was found.
fn compare(heads: &mut [(Head, bool)], findings: &mut Vec<Finding>, found: &Head) {
    let same = |head: &Head| (head.ledger, head.first, head.number) == (found.ledger, found.first, found.number);
    for (head, seen) in heads.iter_mut().filter(|(head, _)| same(head)) {
        *seen = true;
        if (head.hash, head.root) != (found.hash, found.root) {
            findings.push(Finding::Rewritten { number: head.number });
        }
    }
}

/// How many sound records a segment of these bytes would have under the device's key, and how many findings. For fuzzers.
pub fn try_segment(bytes: &[u8], key: &VerifyingKey) -> (usize, usize) {
    let (mut scan, mut records) = (Scan::new(*key, Depth::All, false, &[]), 0);
    scan.segment(1, bytes, true, &mut |_| records += 1);
    scan.finish();
    (records, scan.findings.len())
}
