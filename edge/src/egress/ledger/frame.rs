//! How records lie in a segment: framed, numbered, hashed in a chain, and signed. Knows no files.
//!
//! A frame is the body's length (4 bytes, little-endian), the body, the root of the segment's tree with this frame in it
//! (32 bytes), and the signature over the head as it is then (64 bytes). `docs/egress-ledger.md` has every byte.

use borsh::{BorshDeserialize, BorshSerialize};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use volet_federated::signing::{SigningKey, VerifyingKey};

use super::entry::{MAX_NAME, Record, Sums};

/// The version of the format.
pub(super) const FORMAT: u16 = 1;
/// The most bytes of a frame.
pub(super) const MAX_FRAME: usize = LENGTH + MAX_BODY + ROOT + SIGNATURE;
const MAX_BODY: usize = 1024;
const LENGTH: usize = 4;
const ROOT: usize = 32;
const SIGNATURE: usize = 64;
const HASH: &str = "volet 2026-11 egress ledger: body";
const SIGNED: &[u8] = b"volet 2026-11 egress ledger: head";

pub(super) type Hash = [u8; 32];

/// The tree over the hashes of a segment's bodies.
pub(super) type Tree = MemoryBackedTree<Sha256, Hash>;

/// What is hashed.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Body {
    /// A segment begins.
    Opening(Opening),
    /// An entry was made.
    Record {
        /// The hash of the body before.
        #[serde(with = "hex")]
        previous: Hash,
        record: Record,
    },
}

/// What a segment begins with: all that has to be known of what was before it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Opening {
    pub(super) format: u16,
    /// 32 random bytes, drawn when the ledger was made.
    #[serde(with = "hex")]
    pub(super) ledger: Hash,
    #[serde(with = "hex")]
    pub(super) device: Hash,
    /// The number of the segment's first record.
    pub(super) first: u64,
    /// The hash of the body before, zeros for the first.
    #[serde(with = "hex")]
    pub(super) previous: Hash,
    /// Of all records before this one, also those that are no longer kept.
    pub(super) sums: Sums,
    /// The first record of the oldest segment that is kept from here on.
    pub(super) kept_from: u64,
    /// How many bytes at the end of the segment before are what a power cut left of a record.
    pub(super) torn: u32,
    /// Whether a head was kept in a second place.
    pub(super) anchored: bool,
    /// In a ledger's first opening: what was set aside.
    pub(super) aside: Option<Aside>,
}

/// A ledger of this device that was damaged and set aside for a new one.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aside {
    /// How many of its files were found, with those of all that were set aside before.
    pub files: u64,
    /// How many records it had by its anchor, if it had one that could be read.
    pub records: Option<u64>,
}

/// The end of a ledger at some time, signed by the device: it stands for everything before it. In somebody else's hands it
/// shows whether the ledger was later put back or rewritten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The device's public key.
    #[serde(with = "hex")]
    pub device: [u8; 32],
    /// Which of the device's ledgers: 32 random bytes.
    #[serde(with = "hex")]
    pub ledger: [u8; 32],
    /// The first record's number of the segment that it is in.
    pub first: u64,
    /// The last record's number; one less than `first` where the segment has none yet.
    pub number: u64,
    /// The hash of the last body, which holds that of the one before, and so on.
    #[serde(with = "hex")]
    pub hash: [u8; 32],
    /// The root of the segment's tree, with the last body in it.
    #[serde(with = "hex")]
    pub root: [u8; 32],
    /// The device's signature.
    #[serde(with = "hex")]
    pub signature: [u8; 64],
}

impl Head {
    /// Whether this device signed it.
    pub fn signed_by(&self, key: &VerifyingKey) -> bool {
        self.device == key.to_bytes() && key.signed(&self.message(), &self.signature)
    }

    /// The bytes that are signed.
    pub(super) fn message(&self) -> Vec<u8> {
        let (first, number) = (self.first.to_le_bytes(), self.number.to_le_bytes());
        [SIGNED, &self.device, &self.ledger, &first, &number, &self.hash, &self.root].concat()
    }

    /// How many leaves the segment's tree has; none if that cannot be.
    pub(super) fn leaves(&self) -> Option<u64> {
        self.number.checked_add(2)?.checked_sub(self.first).filter(|leaves| (1..1 << 32).contains(leaves))
    }
}

impl Body {
    pub(super) fn encode(&self) -> std::io::Result<Vec<u8>> {
        borsh::to_vec(self)
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let body: Self = borsh::from_slice(bytes).ok()?;
        match &body {
            Self::Record { record, .. } => {
                let entry = &record.entry;
                let fits = entry.destination.len() <= MAX_NAME && entry.policy.len() <= MAX_NAME;
                (fits && record.number > 0).then_some(body)
            }
            Self::Opening(opening) => (opening.first > 0).then_some(body),
        }
    }

    pub(super) fn hash(encoded: &[u8]) -> Hash {
        let mut hasher = blake3::Hasher::new_derive_key(HASH);
        *hasher.update(encoded).finalize().as_bytes()
    }

    /// The number of the last record when this is the last body.
    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Opening(opening) => opening.first.saturating_sub(1),
            Self::Record { record, .. } => record.number,
        }
    }
}

/// A body with what stands behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Frame {
    pub(super) body: Body,
    #[serde(with = "hex")]
    pub(super) root: Hash,
    #[serde(with = "hex")]
    pub(super) signature: [u8; SIGNATURE],
}

impl Frame {
    pub(super) fn encode(&self) -> std::io::Result<Vec<u8>> {
        join(&self.body.encode()?, &self.root, &self.signature)
    }
}

/// A frame as it was read.
pub(super) struct Item {
    pub(super) frame: Frame,
    /// The hash of its body.
    pub(super) hash: Hash,
    /// Bytes of the frame.
    pub(super) length: usize,
}

impl Item {
    /// The frame at the beginning of `bytes`, if one is there. Nothing of it is checked but its form.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|length| *length <= MAX_BODY)?;
        let (encoded, rest) = rest.split_at_checked(length)?;
        let (root, rest) = rest.split_first_chunk::<ROOT>()?;
        let signature = *rest.first_chunk::<SIGNATURE>()?;
        let frame = Frame { body: Body::decode(encoded)?, root: *root, signature };
        Some(Self { frame, hash: Body::hash(encoded), length: LENGTH + length + ROOT + SIGNATURE })
    }

    /// The head that this is signed as, in a segment.
    pub(super) fn head(&self, device: Hash, ledger: Hash, first: u64) -> Head {
        let Frame { body, root, signature } = &self.frame;
        Head { device, ledger, first, number: body.number(), hash: self.hash, root: *root, signature: *signature }
    }
}

/// The end of a segment that is being written.
pub(super) struct End {
    pub(super) head: Head,
    pub(super) tree: Tree,
}

impl End {
    /// The end after a segment's opening, and the opening's frame.
    pub(super) fn begin(opening: Opening, key: &SigningKey) -> std::io::Result<(Self, Vec<u8>)> {
        let (device, ledger, first) = (opening.device, opening.ledger, opening.first);
        let number = first.saturating_sub(1);
        let head = Head { device, ledger, first, number, hash: [0; 32], root: [0; 32], signature: [0; SIGNATURE] };
        let mut end = Self { head, tree: Tree::new() };
        let frame = end.push(&Body::Opening(opening), key)?;
        Ok((end, frame))
    }

    /// Goes on by a body, and gives its frame. The body has to follow from the head.
    pub(super) fn push(&mut self, body: &Body, key: &SigningKey) -> std::io::Result<Vec<u8>> {
        let encoded = body.encode()?;
        let hash = Body::hash(&encoded);
        self.tree.push(hash);
        self.head.number = body.number();
        self.head.hash = hash;
        self.head.root = root(&self.tree);
        self.head.signature = key.sign(&self.head.message()).to_bytes();
        join(&encoded, &self.head.root, &self.head.signature)
    }
}

/// A tree's root.
pub(super) fn root(tree: &Tree) -> Hash {
    (*tree.root().as_bytes()).into()
}

fn join(encoded: &[u8], root: &Hash, signature: &[u8; SIGNATURE]) -> std::io::Result<Vec<u8>> {
    let length = u32::try_from(encoded.len()).ok().filter(|length| *length as usize <= MAX_BODY);
    let length = length.ok_or(std::io::ErrorKind::InvalidInput)?.to_le_bytes();
    Ok([&length[..], encoded, root, signature].concat())
}

/// How many bytes a body's frame has.
pub(super) fn length(body: &Body) -> std::io::Result<u64> {
    Ok((LENGTH + borsh::object_length(body)? + ROOT + SIGNATURE) as u64)
}
