//! What a capture shows: the packets that one machine sent. Ethernet or "cooked" (LINUX_SLL, LINUX_SLL2), IPv4 and IPv6, TCP and
//! UDP; the rest has a name and no more.
//!
//! Knows nothing of ledgers.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use etherparse::{EtherType, NetSlice, SlicedPacket, TransportSlice};
use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;

/// A network card's address.
pub(crate) type Mac = [u8; 6];

/// Whose packets are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    /// What these cards sent, wherever it was captured.
    Cards(BTreeSet<Mac>),
    /// What the machine sent that captured it; these are its Ethernet cards, for captures that do not say which way a packet went.
    Here(BTreeSet<Mac>),
}

/// The packets of one sender in a capture, and what the rest was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) packets: Vec<Packet>,
    /// Packets of others, or to this machine.
    pub(crate) others: usize,
    /// Packets that the machine that captured sent by other cards than those that were named.
    pub(crate) other_cards: usize,
    /// Whether only Ethernet can be in it.
    pub(crate) ethernet_only: bool,
    /// When the first packet of anybody's went, and the last, since 1970.
    pub(crate) when: Option<(Duration, Duration)>,
    /// Packets that whoever captured says are not in it.
    pub(crate) lost: u64,
}

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
    /// Anything else: its name, and its bytes after the card's header.
    Other(&'static str, usize),
}

/// A packet as a card has it.
struct Link<'a> {
    /// Its sender's address, where the card's kind has such.
    source: Option<Mac>,
    /// Whether the machine that captured it sent it, where the capture says so.
    outgoing: Option<bool>,
    /// What kind of packet is in it (an EtherType).
    kind: u16,
    packet: &'a [u8],
}

/// The packets in a capture that this sender sent.
///
/// # Errors
/// It is no capture of a kind that says who sent a packet, or ends within one.
pub(crate) fn sent(capture: impl Read, sender: &Sender) -> anyhow::Result<Sent> {
    let mut reader = PcapReader::new(capture).context("it is no capture (pcap)")?;
    let kind = reader.header().datalink;
    let link: fn(&[u8]) -> Option<Link<'_>> = match kind {
        DataLink::ETHERNET => ethernet,
        DataLink::LINUX_SLL => cooked,
        DataLink::LINUX_SLL2 => cooked_2,
        _ => anyhow::bail!(
            "it is a capture of {kind:?}, which does not say who sent a packet: capture with `volet capture`, or `tcpdump -i any`"
        ),
    };
    let mut sent = Sent { ethernet_only: kind == DataLink::ETHERNET, ..Sent::default() };
    while let Some(packet) = reader.next_packet() {
        let packet = packet.context("the capture ends within a packet")?;
        let (first, last) = sent.when.unwrap_or((packet.timestamp, packet.timestamp));
        sent.when = Some((first.min(packet.timestamp), last.max(packet.timestamp)));
        let Some(link) = link(&packet.data) else {
            // What is too short to say who sent it is nobody else's.
            sent.packets.push(Packet { at: packet.timestamp, content: Content::Other("a damaged packet", 0) });
            continue;
        };
        let ours = match (sender, link.outgoing) {
            (Sender::Here(_), Some(outgoing)) => outgoing,
            (Sender::Here(cards), None) | (Sender::Cards(cards), _) => {
                link.source.is_some_and(|source| cards.contains(&source))
            }
        };
        if ours {
            sent.packets.push(Packet { at: packet.timestamp, content: content(&link) });
        } else if link.outgoing == Some(true) {
            sent.other_cards += 1;
        } else {
            sent.others += 1;
        }
    }
    Ok(sent)
}

fn ethernet(frame: &[u8]) -> Option<Link<'_>> {
    let (header, packet) = frame.split_first_chunk::<14>()?;
    let [_, _, _, _, _, _, a, b, c, d, e, f, high, low] = *header;
    let kind = u16::from_be_bytes([high, low]);
    Some(Link { source: Some([a, b, c, d, e, f]), outgoing: None, kind, packet })
}

/// LINUX_SLL.
fn cooked(frame: &[u8]) -> Option<Link<'_>> {
    let (header, packet) = frame.split_first_chunk::<16>()?;
    let [_, way, _, _, _, length, a, b, c, d, e, f, _, _, high, low] = *header;
    let kind = u16::from_be_bytes([high, low]);
    Some(Link { source: address(length, [a, b, c, d, e, f]), outgoing: Some(way == OUTGOING), kind, packet })
}

/// LINUX_SLL2.
fn cooked_2(frame: &[u8]) -> Option<Link<'_>> {
    let (header, packet) = frame.split_first_chunk::<20>()?;
    let [high, low, _, _, _, _, _, _, _, _, way, length, a, b, c, d, e, f, _, _] = *header;
    let kind = u16::from_be_bytes([high, low]);
    Some(Link { source: address(length, [a, b, c, d, e, f]), outgoing: Some(way == OUTGOING), kind, packet })
}

/// "Sent by us" (PACKET_OUTGOING).
const OUTGOING: u8 = 4;

fn address(length: u8, address: Mac) -> Option<Mac> {
    (length == 6).then_some(address)
}

fn content(link: &Link<'_>) -> Content {
    let rest = link.packet.len();
    let Ok(packet) = SlicedPacket::from_ether_type(EtherType(link.kind), link.packet) else {
        return Content::Other("a damaged packet", rest);
    };
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
    use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
    use proptest::prelude::*;

    pub(crate) const CARD: Mac = [2, 0, 0, 0, 0, 1];
    const OTHER: Mac = [2, 0, 0, 0, 0, 2];

    pub(crate) fn ours() -> Sender {
        Sender::Cards(BTreeSet::from([CARD]))
    }

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

    fn capture_of(datalink: DataLink, frames: &[Vec<u8>]) -> Vec<u8> {
        let header = PcapHeader { datalink, ..PcapHeader::default() };
        let mut writer = PcapWriter::with_header(Vec::new(), header).unwrap();
        for (second, frame) in (1..).zip(frames) {
            let length = u32::try_from(frame.len()).unwrap();
            writer.write_packet(&PcapPacket::new(Duration::from_secs(second), length, frame)).unwrap();
        }
        writer.into_writer()
    }

    pub(crate) fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
        capture_of(DataLink::ETHERNET, frames)
    }

    #[test]
    fn what_others_sent_is_left_out_and_counted_and_the_rest_has_a_name() {
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
        let seen = sent(&capture(&frames)[..], &ours()).unwrap();
        assert_eq!((seen.others, seen.when), (1, Some((Duration::from_secs(1), Duration::from_secs(5)))));
        assert_eq!(seen, sent(&capture(&frames)[..], &Sender::Here(BTreeSet::from([CARD]))).unwrap());
        let contents: Vec<_> = seen.packets.into_iter().map(|packet| packet.content).collect();
        let to = |port| SocketAddr::from(([10, 0, 0, 1], port));
        assert!(matches!(contents[0], Content::Tcp { begins: true, sequence: 7, to: there, .. } if there == to(443)));
        assert_eq!(contents[1], Content::Udp { to: to(53), payload: b"a question".to_vec() });
        assert_eq!(contents[2..], [Content::Neighbours, Content::Other("no IP", 12)]);
    }

    /// A packet by a card that is no Ethernet card: a modem's, a tunnel's.
    #[test]
    fn what_leaves_by_a_card_without_an_address_is_seen() {
        let packet = datagram([10, 0, 0, 1], 53, b"a question")[14..].to_vec();
        let by = |way: u8, card: Option<Mac>| {
            let mut header = vec![0, way, 2, 0, 0, if card.is_some() { 6 } else { 0 }];
            header.extend(card.unwrap_or_default());
            [&header[..], &[0, 0, 8, 0], &packet].concat()
        };
        let frames = [by(4, None), by(4, Some(CARD)), by(0, Some(OTHER)), by(4, Some(OTHER))];
        let here = sent(&capture_of(DataLink::LINUX_SLL, &frames)[..], &Sender::Here(BTreeSet::new())).unwrap();
        assert_eq!((here.packets.len(), here.others, here.other_cards, here.ethernet_only), (3, 1, 0, false));
        let udp = Content::Udp { to: ([10, 0, 0, 1], 53).into(), payload: b"a question".to_vec() };
        assert!(here.packets.iter().all(|packet| packet.content == udp));
        let named = sent(&capture_of(DataLink::LINUX_SLL, &frames)[..], &ours()).unwrap();
        assert_eq!((named.packets.len(), named.others, named.other_cards), (1, 1, 2));
        let second = |frame: &Vec<u8>| {
            let mut header = vec![8, 0, 0, 0, 0, 0, 0, 1, 0, 1, frame[1], frame[5]];
            header.extend(&frame[6..14]);
            [&header[..], &frame[16..]].concat()
        };
        let frames: Vec<_> = frames.iter().map(second).collect();
        assert_eq!(sent(&capture_of(DataLink::LINUX_SLL2, &frames)[..], &Sender::Here(BTreeSet::new())).unwrap(), here);
        assert!(sent(&capture_of(DataLink::RAW, &frames)[..], &ours()).unwrap_err().to_string().contains("who sent"));
    }

    proptest! {
        #[test]
        fn no_capture_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), whole in 0u8..4) {
            let frame = [&OTHER[..], &CARD, &[8, 0], &bytes].concat();
            let file = match whole {
                0 => bytes,
                1 => capture(&[frame]),
                2 => capture_of(DataLink::LINUX_SLL, &[bytes]),
                _ => capture_of(DataLink::LINUX_SLL2, &[bytes]),
            };
            let _ = sent(&file[..], &ours());
        }
    }
}
