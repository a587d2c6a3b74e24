//! Walks through a ledger's segments in their order and finds what does not hold. Does no I/O.
//!
//! After damage it goes on as far as signatures carry: each frame is signed with its number, its hash and its tree, so that
//! one altered record does not make those after it doubtful.

mod parse;
mod place;

use volet_federated::signing::VerifyingKey;

use super::entry::Record;
use super::error::Finding;
use super::frame::{Body, FORMAT, Head, Item, Tree, root};
use parse::{Found, Parsed};
use place::Place;

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
        for (found, is_opening) in
            opening.map(|found| (found, true)).into_iter().chain(rest.map(|found| (found, false)))
        {
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
        if let Some(opening) = &place.opening
            && opening.kept_from < place.oldest
        {
            self.findings.push(Finding::Missing { from: opening.kept_from, to: place.oldest.saturating_sub(1) });
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
