//! A capture held against the ledger: is every byte that a machine sent one that its ledger says would go, to where it says?
//!
//! TCP streams are put together from their packets and compared with what the ledger has of a connection to the same address, piece
//! by piece, by length and hash, in order; datagrams one by one. What has no counterpart is unexplained. So is what goes on where
//! a connection's pieces end, and whatever comes after a hole in the capture. Packets without payload count by where they go.
//!
//! Knows no files and no network.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use volet_edge::egress::ledger::{Kind, Record};

use super::packets::{Content, Packet};

/// What a capture and a ledger say of each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Reconciled {
    /// Packets that were sent.
    pub(crate) packets: usize,
    /// Of them, those by which the system finds its neighbours, which say nothing.
    pub(crate) neighbours: usize,
    /// Bytes in them, after TCP's and UDP's headers; of other protocols all after Ethernet's.
    pub(crate) bytes: u64,
    /// Of them, those that the ledger has.
    pub(crate) explained_bytes: u64,
    /// Packets that the ledger does not account for.
    pub(crate) unexplained_packets: usize,
    /// Bytes of the ledger that were sent before they were in it, by both clocks: none, where both are of one machine.
    pub(crate) late_bytes: u64,
    /// What is not accounted for, by where it went.
    pub(crate) unexplained: BTreeMap<String, Strange>,
}

/// What went somewhere without being in the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Strange {
    pub(crate) packets: usize,
    pub(crate) bytes: u64,
}

impl Reconciled {
    /// Explained bytes over all bytes, 1 where there are none.
    pub(crate) fn share(&self) -> f64 {
        if self.bytes == 0 { 1.0 } else { self.explained_bytes as f64 / self.bytes as f64 }
    }

    /// Whether the ledger accounts for everything.
    pub(crate) fn holds(&self) -> bool {
        self.explained_bytes == self.bytes && self.unexplained_packets == 0 && self.late_bytes == 0
    }

    fn strange(&mut self, to: String, packets: usize, bytes: u64) {
        self.unexplained_packets += packets;
        let strange = self.unexplained.entry(to).or_default();
        strange.packets += packets;
        strange.bytes += bytes;
    }
}

/// Holds packets against what stands in ledgers, in the order in which it was written.
pub(crate) fn reconcile<'a>(packets: &[Packet], records: impl IntoIterator<Item = &'a Record>) -> Reconciled {
    let mut ledger = Ledger::of(records);
    let mut result = Reconciled { packets: packets.len(), ..Reconciled::default() };
    let mut streams: BTreeMap<(SocketAddr, SocketAddr), Vec<Stream>> = BTreeMap::new();
    for Packet { at, content } in packets {
        match content {
            Content::Neighbours => result.neighbours += 1,
            Content::Other(name, bytes) => {
                result.bytes += *bytes as u64;
                result.strange((*name).to_owned(), 1, *bytes as u64);
            }
            Content::Udp { to, payload } => {
                let bytes = payload.len() as u64;
                result.bytes += bytes;
                if ledger.datagram(to, payload, *at, &mut result.late_bytes) {
                    result.explained_bytes += bytes;
                } else {
                    result.strange(format!("{to} by UDP"), 1, bytes);
                }
            }
            Content::Tcp { from, to, sequence, begins, payload } => {
                let known = streams.entry((*from, *to)).or_default();
                // The same ports again, for another connection.
                let another = *begins && known.last().is_none_or(|stream| stream.base != sequence.wrapping_add(1));
                if another || known.is_empty() {
                    known.push(Stream::new(sequence.wrapping_add(u32::from(*begins)), *at));
                }
                if let Some(stream) = known.last_mut() {
                    stream.take(sequence.wrapping_add(u32::from(*begins)), payload, *at);
                }
            }
        }
    }
    let mut streams: Vec<(SocketAddr, Stream)> =
        streams.into_iter().flat_map(|((_, to), all)| all.into_iter().map(move |stream| (to, stream))).collect();
    streams.sort_by_key(|(_, stream)| stream.began);
    for (to, stream) in streams {
        let sent: u64 = stream.sent();
        result.bytes += sent;
        match ledger.connection(&to, &stream) {
            Some((explained, late)) => {
                result.explained_bytes += explained;
                result.late_bytes += late;
                if explained < sent {
                    result.strange(format!("{to}, within a connection that is in the ledger"), 1, sent - explained);
                }
            }
            None => result.strange(to.to_string(), stream.packets, sent),
        }
    }
    result
}

/// One direction of a TCP connection.
struct Stream {
    /// The sequence number of its first byte.
    base: u32,
    began: Duration,
    packets: usize,
    /// Its bytes from the first one on, as far as there is no hole; and when each packet's end was sent first.
    bytes: Vec<u8>,
    times: Vec<(usize, Duration)>,
    /// What came before its time.
    early: BTreeMap<usize, (Vec<u8>, Duration)>,
    /// Bytes that were sent again and were not the same.
    other: u64,
}

/// No sequence number is reckoned to be further ahead: what is, is a keep-alive's, which lies behind.
const WINDOW: u32 = 1 << 30;

impl Stream {
    fn new(base: u32, began: Duration) -> Self {
        let (bytes, times, early) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { base, began, packets: 0, bytes, times, early, other: 0 }
    }

    fn take(&mut self, sequence: u32, payload: &[u8], at: Duration) {
        self.packets += 1;
        let offset = sequence.wrapping_sub(self.base);
        if payload.is_empty() {
            return;
        }
        if offset > WINDOW {
            self.other += payload.len() as u64;
            return;
        }
        let offset = offset as usize;
        match self.early.get(&offset) {
            Some((known, _)) if known.len() >= payload.len() => {
                if !known.starts_with(payload) {
                    self.other += payload.len() as u64;
                }
            }
            _ => drop(self.early.insert(offset, (payload.to_vec(), at))),
        }
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

    /// All its bytes; those behind a hole too.
    fn sent(&self) -> u64 {
        self.bytes.len() as u64 + self.other + self.early.values().map(|(bytes, _)| bytes.len() as u64).sum::<u64>()
    }

    /// When the byte at this offset was sent first.
    fn when(&self, offset: usize) -> Option<Duration> {
        let after = self.times.partition_point(|(end, _)| *end <= offset);
        self.times.get(after).map(|(_, at)| *at)
    }
}

/// What ledgers say would go.
#[derive(Default)]
struct Ledger<'a> {
    connections: Vec<(SocketAddr, Vec<&'a Record>)>,
    datagrams: Vec<&'a Record>,
}

impl<'a> Ledger<'a> {
    fn of(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut ledger = Self::default();
        // A program that begins counts its connections anew.
        let mut open: BTreeMap<u64, usize> = BTreeMap::new();
        for record in records {
            let entry = &record.entry;
            match entry.kind {
                Kind::Started => open.clear(),
                Kind::Lookup => ledger.datagrams.push(record),
                Kind::Connection => {
                    if let Some(address) = address(&entry.destination) {
                        open.insert(entry.connection, ledger.connections.len());
                        ledger.connections.push((address, Vec::new()));
                    }
                }
                Kind::Wire => {
                    let connection = open.get(&entry.connection).and_then(|at| ledger.connections.get_mut(*at));
                    if let Some((_, pieces)) = connection {
                        pieces.push(record);
                    }
                }
                _ => {}
            }
        }
        ledger
    }

    /// How many of a stream's bytes are a connection's, and how many of those came too early. None where there is no such connection.
    /// Each is taken once.
    fn connection(&mut self, to: &SocketAddr, stream: &Stream) -> Option<(u64, u64)> {
        let matched = |(_, pieces): &(SocketAddr, Vec<&Record>)| {
            let (mut at, mut late) = (0usize, 0u64);
            for record in pieces {
                let length = usize::try_from(record.entry.bytes).unwrap_or(usize::MAX);
                let end = at.saturating_add(length);
                let Some(piece) = stream.bytes.get(at..end) else { break };
                if *blake3::hash(piece).as_bytes() != record.entry.digest {
                    break;
                }
                if stream.when(at).is_some_and(|sent| is_late(record, sent)) {
                    late += length as u64;
                }
                at = end;
            }
            (at as u64, late)
        };
        let candidates = self.connections.iter().enumerate().filter(|(_, (address, _))| address == to);
        // The one that explains most; of equals the first.
        let best = candidates.map(|(at, connection)| (matched(connection), std::cmp::Reverse(at))).max()?;
        self.connections.remove(best.1.0);
        Some(best.0)
    }

    /// Whether a datagram is one of the ledger's, which is taken once.
    fn datagram(&mut self, to: &SocketAddr, payload: &[u8], sent: Duration, late: &mut u64) -> bool {
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

fn is_late(record: &Record, sent: Duration) -> bool {
    u128::from(record.at) > sent.as_millis()
}

/// The address in `host (address:port)`, or `address:port` alone.
fn address(destination: &str) -> Option<SocketAddr> {
    let inner = destination.rsplit_once('(').map_or(destination, |(_, inner)| inner.trim_end_matches(')'));
    inner.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::packets::sent;
    use super::super::packets::tests::{CARD, capture, datagram, segment};
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use volet_edge::egress::ledger::Entry;

    const HOME: [u8; 4] = [10, 0, 0, 1];
    const AWAY: [u8; 4] = [10, 0, 0, 9];
    const BASE: u32 = u32::MAX - 20;

    fn record(number: u64, kind: Kind, destination: &str, bytes: &[u8]) -> Record {
        let entry = Entry {
            kind,
            destination: destination.to_owned(),
            bytes: bytes.len() as u64,
            digest: *blake3::hash(bytes).as_bytes(),
            policy: String::new(),
            connection: u64::from(matches!(kind, Kind::Wire | Kind::Connection)),
        };
        Record { number, at: 1, entry }
    }

    /// A question, and a connection to home over which two pieces go.
    fn ledger() -> Vec<Record> {
        let home = "home (10.0.0.1:443)";
        let of = [
            (Kind::Started, "", &b""[..]),
            (Kind::Lookup, "10.0.0.1:53", b"where is home"),
            (Kind::Connection, home, b""),
            (Kind::Wire, home, b"hello, this is "),
            (Kind::Wire, home, b"a camera of yours"),
        ];
        (1..).zip(of).map(|(number, (kind, destination, bytes))| record(number, kind, destination, bytes)).collect()
    }

    /// What goes over the wire by that.
    fn honest() -> Vec<Vec<u8>> {
        let at =
            |offset: u32, payload: &[u8]| segment(HOME, (4000, 443), BASE.wrapping_add(1 + offset), false, payload);
        vec![
            datagram(HOME, 53, b"where is home"),
            segment(HOME, (4000, 443), BASE, true, &[]),
            at(0, b""),
            at(0, b"hello, "),
            // Out of order, and one of them twice.
            at(15, b"a camera "),
            at(7, b"this is "),
            at(7, b"this is "),
            at(24, b"of yours"),
        ]
    }

    fn of(frames: &[Vec<u8>]) -> Reconciled {
        let packets = sent(&capture(frames)[..], &BTreeSet::from([CARD])).unwrap();
        reconcile(&packets, &ledger())
    }

    #[test]
    fn all_is_explained_where_nothing_else_was_sent() {
        let all = of(&honest());
        assert!(all.holds() && all.share() == 1.0, "{all:?}");
        assert_eq!((all.bytes, all.explained_bytes, all.packets), (45, 45, 8));
        assert!(of(&[]).holds());
    }

    #[test]
    fn each_kind_of_leak_is_seen() {
        let leak = |frame: Vec<u8>| of(&[honest(), vec![frame]].concat());
        let sound = [7u8; 320];
        let leaks = [
            leak(segment(AWAY, (4001, 443), 5, true, &[])),
            leak(segment(HOME, (4001, 9999), 5, true, &[])),
            leak(datagram(HOME, 443, &sound)),
            leak(datagram(HOME, 53, b"736f756e64.tunnel.example")),
            // The question that was asked, once more.
            leak(datagram(HOME, 53, b"where is home")),
            leak(segment(HOME, (4000, 443), BASE.wrapping_add(33), false, &sound)),
            // Instead of what was sent before, where only the receiver's system would notice.
            leak(segment(HOME, (4000, 443), BASE.wrapping_add(8), false, b"THIS is ")),
            // Another connection to the right address, which is not in the ledger.
            leak(segment(HOME, (4002, 443), 5, true, &[])),
        ];
        for (number, leak) in leaks.iter().enumerate() {
            assert!(!leak.holds() && leak.unexplained_packets > 0, "{number}: {leak:?}");
        }
        assert_eq!(leaks[5].unexplained.values().map(|strange| strange.bytes).sum::<u64>(), 320);
        // Instead of what the ledger says.
        let mut other = honest();
        other[7] = segment(HOME, (4000, 443), BASE.wrapping_add(25), false, b"of MINE!");
        assert_eq!(of(&other).explained_bytes, 13 + 15);
        // A hole: what is behind it cannot be compared.
        let mut hole = honest();
        hole.remove(3);
        assert!(!of(&hole).holds());
    }

    #[test]
    fn what_was_written_down_too_late_is_told() {
        let mut late = ledger();
        late[4].at = 60_000;
        let packets = sent(&capture(&honest())[..], &BTreeSet::from([CARD])).unwrap();
        let told = reconcile(&packets, &late);
        assert_eq!((told.late_bytes, told.explained_bytes), (17, 45));
        assert!(!told.holds());
    }

    proptest! {
        /// Whatever is sent, no more is explained than was sent, and none of it where nothing is in the ledger.
        #[test]
        fn bytes_add_up(pieces in prop::collection::vec((0u32..60, 0usize..20, any::<bool>()), 0..12)) {
            let frame = |(at, length, home): &(u32, usize, bool)| {
                let to = if *home { HOME } else { AWAY };
                segment(to, (4000, 443), BASE.wrapping_add(*at), false, &vec![1; *length])
            };
            let frames: Vec<_> = pieces.iter().map(frame).collect();
            let all = of(&frames);
            prop_assert!(all.explained_bytes <= all.bytes);
            let packets = sent(&capture(&frames)[..], &BTreeSet::from([CARD])).unwrap();
            prop_assert_eq!(reconcile(&packets, &[]).explained_bytes, 0);
        }
    }
}
