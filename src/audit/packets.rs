//! What a capture shows: the packets that one machine sent. Ethernet, IPv4 and IPv6, TCP and UDP; the rest has a name and no more.
//!
//! Knows nothing of ledgers.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;

/// A network card's address.
pub(crate) type Mac = [u8; 6];

/// One packet that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Since 1970, by the clock of the machine that captured it.
    pub(crate) at: Duration,
    pub(crate) content: Content,
}

/// What is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Tcp {
        from: SocketAddr,
        to: SocketAddr,
        sequence: u32,
        begins: bool,
        payload: Vec<u8>,
    },
    Udp {
        to: SocketAddr,
        payload: Vec<u8>,
    },
    /// The system asks who has an address on its own network (ARP, neighbour discovery), and says which groups it listens to.
    Neighbours,
    /// Anything else: its name, and its bytes after the Ethernet header.
    Other(&'static str, usize),
}

/// The packets in a capture that were sent from these cards.
///
/// # Errors
/// It is no capture of Ethernet frames, or ends within one.
pub(crate) fn sent(capture: impl Read, cards: &BTreeSet<Mac>) -> anyhow::Result<Vec<Packet>> {
    let mut reader = PcapReader::new(capture).context("it is no capture (pcap)")?;
    anyhow::ensure!(reader.header().datalink == DataLink::ETHERNET, "it is no capture of Ethernet frames");
    let mut packets = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.context("the capture ends within a packet")?;
        let source = packet.data.get(6..12).and_then(|source| Mac::try_from(source).ok());
        if source.is_some_and(|source| cards.contains(&source)) {
            packets.push(Packet { at: packet.timestamp, content: content(&packet.data) });
        }
    }
    Ok(packets)
}

/// What is in an Ethernet frame.
fn content(frame: &[u8]) -> Content {
    let rest = frame.len().saturating_sub(14);
    let Ok(packet) = SlicedPacket::from_ethernet(frame) else { return Content::Other("a damaged packet", rest) };
    let (from, to) = match &packet.net {
        Some(NetSlice::Arp(_)) => return Content::Neighbours,
        Some(NetSlice::Ipv4(ip)) => (IpAddr::V4(ip.header().source_addr()), IpAddr::V4(ip.header().destination_addr())),
        Some(NetSlice::Ipv6(ip)) => (IpAddr::V6(ip.header().source_addr()), IpAddr::V6(ip.header().destination_addr())),
        None => return Content::Other("no IP", rest),
    };
    match &packet.transport {
        Some(TransportSlice::Tcp(tcp)) => Content::Tcp {
            from: SocketAddr::new(from, tcp.source_port()),
            to: SocketAddr::new(to, tcp.destination_port()),
            sequence: tcp.sequence_number(),
            begins: tcp.syn(),
            payload: tcp.payload().to_vec(),
        },
        Some(TransportSlice::Udp(udp)) => {
            Content::Udp { to: SocketAddr::new(to, udp.destination_port()), payload: udp.payload().to_vec() }
        }
        // Router and neighbour solicitation and advertisement, redirects; reports of groups (RFC 4861, 3810).
        Some(TransportSlice::Icmpv6(icmp)) if matches!(icmp.type_u8(), 131..=137 | 143) => Content::Neighbours,
        Some(TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_)) => Content::Other("ICMP", rest),
        // A fragment's transport is in the first of them: none of ours is ever cut.
        _ => Content::Other("another protocol", rest),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use etherparse::PacketBuilder;
    use pcap_file::pcap::{PcapPacket, PcapWriter};
    use proptest::prelude::*;

    pub(crate) const CARD: Mac = [2, 0, 0, 0, 0, 1];
    const OTHER: Mac = [2, 0, 0, 0, 0, 2];

    /// A TCP segment from the card.
    pub(crate) fn segment(to: [u8; 4], ports: (u16, u16), sequence: u32, begins: bool, payload: &[u8]) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2(CARD, OTHER).ipv4([10, 0, 0, 2], to, 64);
        let mut builder = builder.tcp(ports.0, ports.1, sequence, 1000);
        if begins {
            builder = builder.syn();
        }
        let mut bytes = Vec::new();
        builder.write(&mut bytes, payload).unwrap();
        bytes
    }

    pub(crate) fn datagram(to: [u8; 4], port: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let builder = PacketBuilder::ethernet2(CARD, OTHER).ipv4([10, 0, 0, 2], to, 64).udp(4000, port);
        builder.write(&mut bytes, payload).unwrap();
        bytes
    }

    pub(crate) fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut writer = PcapWriter::new(Vec::new()).unwrap();
        for (second, frame) in (1..).zip(frames) {
            let length = u32::try_from(frame.len()).unwrap();
            writer.write_packet(&PcapPacket::new(Duration::from_secs(second), length, frame)).unwrap();
        }
        writer.into_writer()
    }

    #[test]
    fn what_others_sent_is_left_out_and_the_rest_has_a_name() {
        let mut foreign = datagram([10, 0, 0, 1], 53, b"not ours");
        foreign[6..12].copy_from_slice(&OTHER);
        let arp = [&OTHER[..], &CARD, &[8, 6], &[0, 1, 8, 0, 6, 4, 0, 1], &[0; 20]].concat();
        let frames = [
            segment([10, 0, 0, 1], (4000, 443), 7, true, &[]),
            foreign,
            datagram([10, 0, 0, 1], 53, b"a question"),
            arp,
            [&OTHER[..], &CARD, &[0x88, 0xb5], b"experimental"].concat(),
        ];
        let seen = sent(&capture(&frames)[..], &BTreeSet::from([CARD])).unwrap();
        let contents: Vec<_> = seen.into_iter().map(|packet| packet.content).collect();
        let to = |port| SocketAddr::from(([10, 0, 0, 1], port));
        assert!(matches!(contents[0], Content::Tcp { begins: true, sequence: 7, to: there, .. } if there == to(443)));
        assert_eq!(contents[1], Content::Udp { to: to(53), payload: b"a question".to_vec() });
        assert_eq!(contents[2..], [Content::Neighbours, Content::Other("no IP", 12)]);
    }

    proptest! {
        #[test]
        fn no_capture_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), whole: bool) {
            let cards = BTreeSet::from([CARD]);
            let frame = [&OTHER[..], &CARD, &[8, 0], &bytes].concat();
            let file = if whole { capture(&[frame]) } else { bytes };
            let _ = sent(&file[..], &cards);
        }
    }
}
