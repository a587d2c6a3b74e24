//! A clip's file: a header in clear, and chunks under a fresh key that is sealed to the owner (RFC 9180, base mode).
//!
//! ```text
//! "VOLETVT\x01" | owner's public key 32 | number 8 | begun 8 | encapsulated key 32 | chunk ...
//! chunk: length 4, with the topmost bit set in the last one | sealed
//! ```
//!
//! Each chunk is bound to the header, to its own length and to its place in the order. So a clip has one name and one end, and
//! a chunk belongs to one clip and one place there.
//!
//! Knows keys and bytes; not what is in the chunks.

use std::io::{self, Read};

use zeroize::Zeroizing;

use super::VaultError;
use super::entry::Entry;
use super::plain::Plain;
use crate::learn::buffer::stream::{ENCAPSULATED, Receiver, Sender, TAG};
use crate::learn::buffer::{Identity, Recipient};

/// How a clip's file begins.
const MAGIC: [u8; 8] = *b"VOLETVT\x01";
/// Bytes of the header.
pub(super) const HEADER: usize = 8 + 32 + 16 + ENCAPSULATED;
/// What is sealed, so that it is never taken for something else.
const CLIP: &[u8] = b"volet vault, a clip, 1";
/// Says that a chunk is the last.
const LAST: u32 = 1 << 31;
/// The greatest chunk, bytes.
pub(super) const MOST: usize = 256 << 20;

/// Part of a clip as it lies on the disk. Only [`Sealer`] makes one, and nothing takes it apart but the owner's identity.
#[derive(Debug)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Ciphertext.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Seals one clip. What it has sealed it cannot open; when it goes, nothing on this device can.
pub(super) struct Sealer {
    header: [u8; HEADER],
    sender: Sender,
}

impl Sealer {
    /// Begins a clip, with its first chunk.
    pub(super) fn begin(owner: &Recipient, entry: Entry, first: &Plain) -> Result<(Self, Sealed), VaultError> {
        let (encapsulated, sender) = owner.stream(CLIP).map_err(VaultError::Entropy)?;
        let mut header = [0; HEADER];
        let parts = [&MAGIC[..], owner.bytes(), &entry.to_bytes(), &encapsulated].concat();
        header.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        let mut sealer = Self { header, sender };
        let Sealed(chunk) = sealer.seal(first, false)?;
        let begun = [&header[..], &chunk].concat();
        Ok((sealer, Sealed(begun)))
    }

    /// Seals the next chunk.
    pub(super) fn seal(&mut self, chunk: &Plain, last: bool) -> Result<Sealed, VaultError> {
        let length = u32::try_from(chunk.len() + TAG).ok().filter(|_| chunk.len() + TAG <= MOST);
        let length = length.ok_or(VaultError::TooLarge)? | if last { LAST } else { 0 };
        let sealed = self.sender.seal(chunk.as_slice(), &bound(&self.header, length)).ok_or(VaultError::TooLarge)?;
        Ok(Sealed([&length.to_le_bytes()[..], &sealed].concat()))
    }
}

/// Bytes that a chunk of `plain` bytes takes in a file.
pub(super) fn sealed_length(plain: usize) -> u64 {
    (4 + TAG + plain) as u64
}

fn bound(header: &[u8; HEADER], length: u32) -> Vec<u8> {
    [&header[..], &length.to_le_bytes()].concat()
}

/// Why nothing of a file can be read.
#[derive(Debug)]
pub(super) enum Unreadable {
    Io(io::Error),
    /// It does not begin as clips do.
    NoClip,
    /// The header is not whole.
    Cut,
    /// It is another owner's.
    Foreign(Recipient),
}

/// What a clip goes on with.
pub(super) enum Next {
    Chunk(Zeroizing<Vec<u8>>),
    /// The last chunk, and nothing behind it.
    Last(Zeroizing<Vec<u8>>),
    /// The file ends before the clip does.
    Cut,
    /// What comes next does not belong here, or is damaged.
    Damaged,
}

/// Reads a clip for its owner, from its beginning on.
pub(super) struct Reader<R> {
    from: R,
    header: [u8; HEADER],
    receiver: Receiver,
    entry: Entry,
}

impl<R: Read> Reader<R> {
    pub(super) fn open(mut from: R, identity: &Identity) -> Result<Self, Unreadable> {
        let mut header = [0; HEADER];
        let there = fill(&mut from, &mut header).map_err(Unreadable::Io)?;
        if !header.starts_with(&MAGIC[..there.min(MAGIC.len())]) || there == 0 {
            return Err(Unreadable::NoClip);
        }
        if there < HEADER {
            return Err(Unreadable::Cut);
        }
        let part = |at: usize| <[u8; 32]>::try_from(&header[at..at + 32]).map_err(|_| Unreadable::NoClip);
        let (owner, encapsulated) = (part(8)?, part(HEADER - ENCAPSULATED)?);
        let entry = header[40..56].try_into().ok().and_then(Entry::from_bytes).ok_or(Unreadable::NoClip)?;
        if owner != *identity.recipient().bytes() {
            return Err(Unreadable::Foreign(Recipient::of(owner)));
        }
        let receiver = identity.stream(CLIP, &encapsulated).ok_or(Unreadable::NoClip)?;
        Ok(Self { from, header, receiver, entry })
    }

    /// What its header calls it. True once the first chunk could be opened.
    pub(super) fn entry(&self) -> Entry {
        self.entry
    }

    pub(super) fn next(&mut self) -> io::Result<Next> {
        let mut length = [0; 4];
        if fill(&mut self.from, &mut length)? < length.len() {
            return Ok(Next::Cut);
        }
        let marked = u32::from_le_bytes(length);
        let length = (marked & !LAST) as usize;
        if length > MOST {
            return Ok(Next::Damaged);
        }
        // A length is believed only as far as there are bytes.
        let mut sealed = Vec::new();
        (&mut self.from).take(length as u64).read_to_end(&mut sealed)?;
        if sealed.len() < length {
            return Ok(Next::Cut);
        }
        let Some(opened) = self.receiver.open(&sealed, &bound(&self.header, marked)) else { return Ok(Next::Damaged) };
        if marked & LAST == 0 {
            return Ok(Next::Chunk(opened));
        }
        let behind = fill(&mut self.from, &mut [0])?;
        Ok(if behind == 0 { Next::Last(opened) } else { Next::Damaged })
    }
}

/// Reads until `bytes` are full or there are no more; how many there were.
fn fill(from: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut there = 0;
    while let Some(rest) = bytes.get_mut(there..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(more) => there += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(there)
}
