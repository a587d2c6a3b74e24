//! Captures what goes over this machine's networks, as any packet sniffer does: into a pcap file. It takes the right to do so
//! (`CAP_NET_RAW`), which a camera's own programs have not.
//!
//! Knows nothing of what is in packets.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use pcap_file::pcap::{PcapPacket, PcapWriter};
use socket2::{Domain, Protocol, Socket, Type};

use super::packets::Mac;

/// Every protocol (linux/if_ether.h).
const ALL: u16 = 3;
/// What waits to be read at most, bytes; packets beyond are lost.
const WAITING: usize = 16 << 20;
/// The longest packet.
const LONGEST: usize = 65_549;
/// How often it is looked whether to end.
const LOOK: Duration = Duration::from_millis(100);

/// Captures all packets of all cards into a new file, until `stop` says so or the time is over; how many there were. `ready` is called when
/// nothing is missed any more. The machine's talk with itself is left out.
///
/// # Errors
/// This process may not capture, or the file cannot be written.
pub(crate) fn capture(
    file: &Path,
    lasts: Option<Duration>,
    ready: impl FnOnce(),
    stop: &dyn Fn() -> bool,
) -> anyhow::Result<usize> {
    let may = "packets cannot be captured here: be root, or give this program CAP_NET_RAW";
    let protocol = Protocol::from(i32::from(ALL.to_be()));
    let mut socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).context(may)?;
    // As much as the system allows.
    socket.set_recv_buffer_size(WAITING).ok();
    socket.set_read_timeout(Some(LOOK))?;
    let out = File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
    let mut out = PcapWriter::new(BufWriter::new(out))?;
    let (began, mut count) = (Instant::now(), 0);
    let mut frame = vec![0; LONGEST];
    ready();
    while !stop() && lasts.is_none_or(|lasts| began.elapsed() < lasts) {
        let length = match socket.read(&mut frame) {
            Ok(length) => length,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => continue,
            // A card went down; the others go on.
            Err(error) if error.raw_os_error() == Some(ENETDOWN) => continue,
            Err(error) => return Err(error).context("capturing"),
        };
        let Some(data) = frame.get(..length).filter(|data| !is_loopback(data)) else { continue };
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        out.write_packet(&PcapPacket::new(at, u32::try_from(length)?, data))?;
        count += 1;
    }
    let out = out.into_writer().into_inner().map_err(io::IntoInnerError::into_error)?;
    out.sync_all()?;
    Ok(count)
}

/// "Network is down" (errno.h of Linux).
const ENETDOWN: i32 = 100;

/// The loopback device's frames are from and to no card.
fn is_loopback(frame: &[u8]) -> bool {
    frame.get(..12).is_none_or(|cards| cards.iter().all(|byte| *byte == 0))
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
        assert!(is_loopback(&[0; 60]) && is_loopback(&[]) && !is_loopback(&[1; 60]));
    }
}
