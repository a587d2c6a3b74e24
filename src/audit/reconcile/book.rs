//! What ledgers say would go: connections with their pieces, and datagrams. Knows packets by their bytes alone.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use volet_edge::egress::ledger::{Kind, Record};

use super::stream::Stream;

/// How long before a piece was seen it may have been written down, where what came before it was not seen: as long as a system may hold
/// it back.
const HELD_BACK: Duration = Duration::from_secs(60);
/// What was written down less than so long before the end of a capture may have gone after it.
const EDGE: Duration = Duration::from_secs(1);

/// What ledgers say would go.
#[derive(Default)]
pub(super) struct Book<'a> {
    connections: Vec<(SocketAddr, Vec<&'a Record>)>,
    datagrams: Vec<&'a Record>,
}

impl<'a> Book<'a> {
    pub(super) fn of(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut book = Self::default();
        // A program that begins counts its connections anew.
        let mut open: BTreeMap<u64, usize> = BTreeMap::new();
        for record in records {
            let entry = &record.entry;
            match entry.kind {
                Kind::Started => open.clear(),
                Kind::Lookup => book.datagrams.push(record),
                Kind::Connection => {
                    if let Some(address) = address(&entry.destination) {
                        open.insert(entry.connection, book.connections.len());
                        book.connections.push((address, Vec::new()));
                    }
                }
                Kind::Wire => {
                    let connection = open.get(&entry.connection).and_then(|at| book.connections.get_mut(*at));
                    if let Some((_, pieces)) = connection {
                        pieces.push(record);
                    }
                }
                _ => {}
            }
        }
        book
    }

    /// How many bytes were to go between these times.
    pub(super) fn within(&self, from: Duration, until: Duration) -> u64 {
        let all = self.connections.iter().flat_map(|(_, pieces)| pieces).chain(&self.datagrams);
        let within = |record: &&&Record| {
            let at = written(record);
            at >= from && at + EDGE <= until
        };
        all.filter(within).map(|record| record.entry.bytes).sum()
    }

    /// How many of a stream's bytes are a connection's, and how many of those came too early. None where there is no such connection.
    /// Each is taken once.
    pub(super) fn connection(&mut self, to: &SocketAddr, stream: &Stream) -> Option<(u64, u64)> {
        let matched = |pieces: &[&Record]| {
            let explained = (0..pieces.len()).filter(|start| may_begin(stream, pieces, *start));
            let explained = explained.filter_map(|start| pieces.get(start..));
            explained.map(|pieces| explained_by(stream, pieces)).max().unwrap_or_default()
        };
        let candidates = self.connections.iter().enumerate().filter(|(_, (address, _))| address == to);
        // The one that explains most; of equals the first.
        let (best, Reverse(at)) = candidates.map(|(at, (_, pieces))| (matched(pieces), Reverse(at))).max()?;
        // What it explains nothing of is not its stream.
        if best.0 == 0 && stream.sent() > 0 {
            return None;
        }
        self.connections.remove(at);
        Some(best)
    }

    /// Whether a datagram is one of the ledger's, which is taken once.
    pub(super) fn datagram(&mut self, to: &SocketAddr, payload: &[u8], sent: Duration, late: &mut u64) -> bool {
        let digest = *blake3::hash(payload).as_bytes();
        let same = |record: &&Record| record.entry.digest == digest && address(&record.entry.destination) == Some(*to);
        let Some(at) = self.datagrams.iter().position(same) else { return false };
        let record = self.datagrams.remove(at);
        if is_late(record, sent) {
            *late += record.entry.bytes;
        }
        true
    }
}

/// Whether what is seen of a stream may begin with this piece: with the first, where its beginning was captured.
fn may_begin(stream: &Stream, pieces: &[&Record], start: usize) -> bool {
    if stream.begun {
        return start == 0;
    }
    let (Some(record), Some(first)) = (pieces.get(start), stream.when(0)) else { return false };
    let at = written(record);
    at <= first && first - at <= HELD_BACK
}

/// How many of a stream's bytes these pieces are, from its first on; and how many of them came too early.
fn explained_by(stream: &Stream, pieces: &[&Record]) -> (u64, u64) {
    let (mut at, mut late) = (0usize, 0u64);
    for record in pieces {
        let end = at.saturating_add(usize::try_from(record.entry.bytes).unwrap_or(usize::MAX));
        let Some(piece) = stream.bytes.get(at..end) else { break };
        if *blake3::hash(piece).as_bytes() != record.entry.digest {
            break;
        }
        if stream.when(at).is_some_and(|sent| is_late(record, sent)) {
            late += record.entry.bytes;
        }
        at = end;
    }
    (at as u64, late)
}

/// When a record was written, since 1970, to the millisecond.
fn written(record: &Record) -> Duration {
    Duration::from_millis(record.at)
}

fn is_late(record: &Record, sent: Duration) -> bool {
    u128::from(record.at) > sent.as_millis()
}

/// The address in `host (address:port)`, or `address:port` alone.
pub(crate) fn address(destination: &str) -> Option<SocketAddr> {
    let inner = destination.rsplit_once('(').map_or(destination, |(_, inner)| inner.trim_end_matches(')'));
    // An IPv6 address may stand there without its brackets.
    let bare = || {
        let (ip, port) = inner.rsplit_once(':')?;
        Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?))
    };
    inner.parse().ok().or_else(bare)
}
