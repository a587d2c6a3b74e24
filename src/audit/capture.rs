//! Captures what goes over this machine's networks, as any packet sniffer does: into a pcap file. It takes the right to do so
//! (`CAP_NET_RAW`), which a camera's own programs have not.
//!
//! It captures below IP and above the cards ("cooked"): the system says of each packet which way it went, so that what leaves by a
//! modem, a VPN or a tunnel is seen as well as what leaves by Ethernet. It also says when, and how many packets there was no room
//! for. Knows nothing of what is in packets.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, IoSliceMut};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, TsResolution};
use socket2::{Domain, Protocol, Socket, Type};

use super::packets::Mac;

/// Every protocol (linux/if_ether.h).
const ALL: u16 = 3;
/// The kind of the machine's talk with itself (linux/if_arp.h).
const LOOPBACK: u16 = 772;
/// What waits to be read at most, bytes; packets beyond are lost, and counted.
const WAITING: usize = 16 << 20;
/// The longest packet; several of TCP's may come as one.
const LONGEST: usize = 1 << 18;
/// The header before each packet (LINUX_SLL of pcap).
const HEADER: usize = 16;
/// How often it is looked whether to end.
const LOOK: Duration = Duration::from_millis(100);
/// How long a packet of this program's own is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was captured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Captured {
    pub(crate) packets: usize,
    /// Packets that there was no room for: they are not in the file.
    pub(crate) lost: u64,
    /// From when until when, since 1970.
    pub(crate) when: (Duration, Duration),
}

/// Captures all packets of all cards into a new file, until `stop` says so or the time is over. `ready` is called when nothing is
/// missed any more. The machine's talk with itself is left out.
///
/// # Errors
/// This process may not capture, whether packets are lost cannot be told, or the file cannot be written.
pub(crate) fn capture(
    file: &Path,
    lasts: Option<Duration>,
    ready: impl FnOnce(),
    stop: &dyn Fn() -> bool,
) -> anyhow::Result<Captured> {
    let mut tap = Tap::open(file)?;
    tap.hear_itself()?;
    let (began, from) = (Instant::now(), now());
    ready();
    while !stop() && lasts.is_none_or(|lasts| began.elapsed() < lasts) {
        tap.read(None)?;
    }
    // What was sent until now may still wait to be read; what is lost at the end is told with the next packet.
    let until = now();
    while tap.read(Some(until))? != Read::Nothing {}
    tap.hear_itself()?;
    let (packets, lost) = (tap.packets, tap.lost);
    let out = tap.out.into_writer().into_inner().map_err(io::IntoInnerError::into_error)?;
    out.sync_all()?;
    Ok(Captured { packets, lost, when: (from, until) })
}

/// A socket that hears everything, and the file it goes into.
struct Tap {
    socket: Socket,
    out: PcapWriter<BufWriter<File>>,
    frame: Vec<u8>,
    packets: usize,
    lost: u64,
}

#[derive(PartialEq, Eq)]
enum Read {
    Packet,
    Loopback,
    /// Nothing came for a while, or only what was sent after the time that was given.
    Nothing,
}

impl Tap {
    fn open(file: &Path) -> anyhow::Result<Self> {
        let may = "packets cannot be captured here: be root, or give this program CAP_NET_RAW";
        let protocol = Protocol::from(i32::from(ALL.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol)).context(may)?;
        // As much as the system allows.
        if setsockopt(&socket, sockopt::RcvBufForce, &WAITING).is_err() {
            socket.set_recv_buffer_size(WAITING).ok();
        }
        socket.set_read_timeout(Some(LOOK))?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true).context("packets' times")?;
        setsockopt(&socket, sockopt::RxqOvfl, &1).context("counting lost packets")?;
        let out = File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
        let header = PcapHeader {
            datalink: DataLink::LINUX_SLL,
            ts_resolution: TsResolution::NanoSecond,
            snaplen: (LONGEST + HEADER) as u32,
            ..PcapHeader::default()
        };
        let out = PcapWriter::with_header(BufWriter::new(out), header)?;
        Ok(Self { socket, out, frame: vec![0; LONGEST], packets: 0, lost: 0 })
    }

    /// Takes one packet, if one comes.
    fn read(&mut self, until: Option<Duration>) -> anyhow::Result<Read> {
        let mut control = nix::cmsg_space!(TimeSpec, u32);
        let mut into = [IoSliceMut::new(&mut self.frame)];
        let got = recvmsg::<LinkAddr>(self.socket.as_raw_fd(), &mut into, Some(&mut control), MsgFlags::empty());
        let got = match got {
            Ok(got) => got,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(Read::Nothing),
            // A card went down; the others go on.
            Err(Errno::ENETDOWN) => return Ok(Read::Packet),
            Err(error) => return Err(error).context("capturing"),
        };
        let (mut at, mut lost) = (None, 0);
        for message in got.cmsgs().context("capturing")? {
            match message {
                ControlMessageOwned::ScmTimestampns(time) => at = Some(Duration::from(time)),
                // Since the socket was opened, counted in 32 bits.
                ControlMessageOwned::RxqOvfl(all) => lost = u64::from(all),
                _ => {}
            }
        }
        let at = at.unwrap_or_else(now);
        let (length, cut, from) = (got.bytes, got.flags.contains(MsgFlags::MSG_TRUNC), got.address);
        self.lost = self.lost.max(lost) + u64::from(cut);
        let from = from.context("a packet came without saying from where")?;
        if until.is_some_and(|until| at > until) {
            return Ok(Read::Nothing);
        }
        if from.hatype() == LOOPBACK {
            return Ok(Read::Loopback);
        }
        let packet = self.frame.get(..length).unwrap_or_default();
        let bytes = [&header(&from)[..], packet].concat();
        self.out.write_packet(&PcapPacket::new(at, u32::try_from(bytes.len())?, &bytes))?;
        self.packets += 1;
        Ok(Read::Packet)
    }

    /// Sends a packet to this machine itself and waits until it was heard, by which all that went before was read or counted as lost.
    fn hear_itself(&mut self) -> anyhow::Result<()> {
        let down = "the loopback device is down, by which it is told whether packets were lost: ip link set lo up";
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context(down)?;
        socket.send_to(&[], socket.local_addr()?).context(down)?;
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if self.read(None)? == Read::Loopback {
                return Ok(());
            }
        }
        anyhow::bail!(down)
    }
}

/// The header of a "cooked" packet: which way it went, over what kind of card, the card's address if it has one, and what is in it.
fn header(from: &LinkAddr) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let address = from.addr().filter(|_| from.halen() == 6);
    let fields = [
        u16::from(from.pkttype()).to_be_bytes(),
        from.hatype().to_be_bytes(),
        if address.is_some() { [0, 6] } else { [0, 0] },
    ];
    header[..6].copy_from_slice(&fields.concat());
    header[6..12].copy_from_slice(&address.unwrap_or_default());
    // As it stands in a packet, whatever this machine's order of bytes is.
    header[14..].copy_from_slice(&from.protocol().to_ne_bytes());
    header
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The addresses of this machine's cards.
pub(crate) fn cards() -> BTreeSet<Mac> {
    let folders = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let address = |folder: std::fs::DirEntry| {
        let text = std::fs::read_to_string(folder.path().join("address")).ok()?;
        parse(text.trim())
    };
    folders.filter_map(address).filter(|card| *card != [0; 6]).collect()
}

/// A card's address as people write it.
pub(crate) fn parse(text: &str) -> Option<Mac> {
    let bytes: Option<Vec<u8>> =
        text.split(':').map(|part| (part.len() == 2).then(|| u8::from_str_radix(part, 16).ok()).flatten()).collect();
    Mac::try_from(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_read_as_they_are_written() {
        assert_eq!(parse("02:00:00:00:00:ff"), Some([2, 0, 0, 0, 0, 255]));
        assert!(
            ["", "02:00", "02:00:00:00:00:0", "02:00:00:00:00:0g", "02:00:00:00:00:00:00"]
                .iter()
                .all(|t| parse(t).is_none())
        );
    }
}
