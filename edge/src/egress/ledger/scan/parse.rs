//! Finds the frames of a segment, also behind bytes that are none, and checks their signatures.

use volet_federated::signing::{Batch, VerifyingKey};

use super::super::frame::{Body, Hash, Item, MAX_FRAME};

/// Signatures that are checked together: more gain little.
const TOGETHER: usize = 512;

/// A segment's frames.
pub(super) struct Parsed {
    pub(super) items: Vec<Found>,
    pub(super) tail: Tail,
    /// What the signatures are for: the ledger, and the first record of the segment.
    pub(super) ledger: Hash,
    pub(super) first: u64,
}

/// A frame that was found.
pub(super) struct Found {
    pub(super) item: Item,
    /// Whether bytes that are no frame stand before it.
    pub(super) skipped: bool,
    /// Whether the device signed it, where that was checked.
    pub(super) sound: bool,
}

/// What stands behind the last frame.
pub(super) struct Tail {
    pub(super) bytes: usize,
    /// Whether it is more than a power cut can leave.
    pub(super) damaged: bool,
}

/// Finds a segment's frames, and checks `all` signatures or but the first and the last. `of` is what the segment should be of,
/// for one whose opening does not say.
pub(super) fn parse(bytes: &[u8], key: &VerifyingKey, of: (Option<Hash>, u64), last: bool, all: bool) -> Parsed {
    let device = key.to_bytes();
    let opening = Item::read(bytes).and_then(|item| match &item.frame.body {
        Body::Opening(opening) => {
            let of = (opening.ledger, opening.first);
            item.head(device, of.0, of.1).signed_by(key).then_some(of)
        }
        Body::Record { .. } => None,
    });
    let (ledger, first) = opening.unwrap_or((of.0.unwrap_or_default(), of.1));
    let (mut items, mut tail) = frames(bytes, |item| item.head(device, ledger, first).signed_by(key));
    if all {
        check(&mut items, device, ledger, first);
    } else if let Some(found) = items.last_mut() {
        found.sound = found.item.head(device, ledger, first).signed_by(key);
    }
    if let Some(found) = items.first_mut() {
        found.sound = opening.is_some();
    }
    // A power cut may also leave a record whole in its form and not in its bytes.
    if items.last().is_some_and(|found| !found.sound && items.len() > 1) {
        let cut = items.last().map_or(0, |found| found.item.length);
        if tail.saturating_add(cut) <= MAX_FRAME && items.pop().is_some() {
            tail = tail.saturating_add(cut);
        }
    }
    Parsed { items, tail: Tail { bytes: tail, damaged: last && tail > MAX_FRAME }, ledger, first }
}

/// The frames, and how many bytes stand behind the last one.
fn frames(bytes: &[u8], genuine: impl Fn(&Item) -> bool) -> (Vec<Found>, usize) {
    let mut items = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let found = Item::read(rest).map(|item| (0, item)).or_else(|| {
            // Signed by the device, and so a record rather than something in one that looks like it.
            (1..rest.len()).find_map(|skip| Some((skip, Item::read(rest.get(skip..)?).filter(&genuine)?)))
        });
        let Some((skip, item)) = found else { break };
        rest = rest.get(skip.saturating_add(item.length)..).unwrap_or_default();
        items.push(Found { item, skipped: skip > 0, sound: true });
    }
    (items, rest.len())
}

/// Finds which frames the device signed. On this thread alone: a program that opens its ledger has not locked itself in yet, and
/// must not have others by then.
fn check(items: &mut [Found], device: Hash, ledger: Hash, first: u64) {
    for items in items.chunks_mut(TOGETHER) {
        let mut batch = Batch::default();
        for Found { item, .. } in &*items {
            batch.add(&device, &item.head(device, ledger, first).message(), &item.frame.signature);
        }
        items.iter_mut().zip(batch.hold()).for_each(|(found, sound)| found.sound = sound);
    }
}
