//! A capture held against the ledger: is every byte that a machine sent one that its ledger says would go, to where it says?
//!
//! TCP streams are put together from their packets and compared with what the ledger has of a connection to the same address, piece
//! by piece, by length and hash, in order; datagrams one by one. What has no counterpart is unexplained. So is what goes on where
//! a connection's pieces end, and whatever comes after a hole in the capture. Packets without payload count by where they go.
//!
//! A connection that was there before the capture began is compared from the first piece on that was written down shortly before
//! what is seen of it.
//!
//! Knows no files and no network.

mod book;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Serialize;
use volet_edge::egress::ledger::Record;

use super::claims::Verdict;
use super::packets::{Content, Packet, Sent};
use book::Book;
pub(crate) use book::address;
use stream::Stream;

/// What a capture and a ledger say of each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Reconciled {
    /// Packets that were sent.
    pub(crate) packets: usize,
    /// Packets in the capture that are others', or were for this machine.
    pub(crate) others: usize,
    /// Packets that were sent by other cards than those that were named.
    pub(crate) other_cards: usize,
    /// Whether the capture is of Ethernet alone, so that what went by a modem, a VPN or a tunnel is not in it.
    pub(crate) ethernet_only: bool,
    /// Packets that are known not to be in the capture.
    pub(crate) lost: u64,
    /// Of the packets that were sent, those by which the system finds its neighbours, which say nothing.
    pub(crate) neighbours: usize,
    /// Bytes in them, after TCP's and UDP's headers; of other protocols all after the card's header.
    pub(crate) bytes: u64,
    /// Of them, those that the ledger has.
    pub(crate) explained_bytes: u64,
    /// Packets that the ledger does not account for.
    pub(crate) unexplained_packets: usize,
    /// Bytes of the ledger that were sent before they were in it, by both clocks: none, where both are of one machine.
    pub(crate) late_bytes: u64,
    /// Bytes that the ledger says would go while it was captured, seen or not.
    pub(crate) ledger_bytes: u64,
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
    /// Explained bytes over all bytes; none where there are none.
    pub(crate) fn share(&self) -> Option<f64> {
        (self.bytes > 0).then(|| self.explained_bytes as f64 / self.bytes as f64)
    }

    /// Whether the ledger accounts for everything. A capture in which nothing was said shows that nothing was said, or that it was
    /// made elsewhere than where the camera sends: the ledger may tell which.
    pub(crate) fn verdict(&self) -> Verdict {
        let explained = self.explained_bytes == self.bytes && self.unexplained_packets == 0;
        if !explained || self.late_bytes > 0 || self.lost > 0 || (self.bytes == 0 && self.ledger_bytes > 0) {
            Verdict::Failed
        } else if self.bytes == 0 {
            Verdict::NotExamined
        } else {
            Verdict::Held
        }
    }

    fn strange(&mut self, to: String, packets: usize, bytes: u64) {
        self.unexplained_packets += packets;
        let strange = self.unexplained.entry(to).or_default();
        strange.packets += packets;
        strange.bytes += bytes;
    }
}

/// Holds packets against what stands in ledgers, in the order in which it was written.
pub(crate) fn reconcile<'a>(sent: &Sent, records: impl IntoIterator<Item = &'a Record>) -> Reconciled {
    let mut book = Book::of(records);
    let mut result = Reconciled {
        packets: sent.packets.len(),
        others: sent.others,
        other_cards: sent.other_cards,
        ethernet_only: sent.ethernet_only,
        lost: sent.lost,
        ledger_bytes: sent.when.map_or(0, |(from, until)| book.within(from, until)),
        ..Reconciled::default()
    };
    let mut streams: BTreeMap<(SocketAddr, SocketAddr), Vec<Stream>> = BTreeMap::new();
    for Packet { at, content } in &sent.packets {
        match content {
            Content::Neighbours => result.neighbours += 1,
            Content::Other(name, bytes) => {
                result.bytes += *bytes as u64;
                result.strange((*name).to_owned(), 1, *bytes as u64);
            }
            Content::Udp { to, payload } => {
                let bytes = payload.len() as u64;
                result.bytes += bytes;
                if book.datagram(to, payload, *at, &mut result.late_bytes) {
                    result.explained_bytes += bytes;
                } else {
                    result.strange(format!("{to} by UDP"), 1, bytes);
                }
            }
            Content::Tcp { from, to, sequence, begins, payload } => {
                let known = streams.entry((*from, *to)).or_default();
                let first = sequence.wrapping_add(u32::from(*begins));
                // The same ports again, for another connection.
                let another = *begins && known.last().is_none_or(|stream| !stream.began_with(first));
                if another || known.is_empty() {
                    known.push(Stream::new(begins.then_some(first), *at));
                }
                if let Some(stream) = known.last_mut() {
                    stream.take(first, payload, *at);
                }
            }
        }
    }
    let mut streams: Vec<(SocketAddr, Stream)> =
        streams.into_iter().flat_map(|((_, to), all)| all.into_iter().map(move |stream| (to, stream))).collect();
    // Those that say nothing take a connection last, so that none is taken from those that do.
    streams.sort_by_key(|(_, stream)| (stream.sent() == 0, stream.began));
    for (to, stream) in streams {
        let bytes = stream.sent();
        result.bytes += bytes;
        match book.connection(&to, &stream) {
            Some((explained, late)) => {
                result.explained_bytes += explained;
                result.late_bytes += late;
                if explained < bytes {
                    result.strange(format!("{to}, within a connection that is in the ledger"), 1, bytes - explained);
                }
            }
            None => result.strange(to.to_string(), stream.packets, bytes),
        }
    }
    result
}
