//! The two small files that make a folder a buffer: `buffer.toml`, which anyone may read, and `key`, the buffer's secret
//! key, sealed to the owner. Without `key` every lesson is noise for ever, to its owner too.

use serde::{Deserialize, Serialize};
use volet_models::ObjectClass;

use super::keys::{Identity, OVERHEAD, Opener, Recipient};
use super::limits::Limits;

/// The names of the two files.
pub(super) const HEAD: &str = "buffer.toml";
pub(super) const KEY: &str = "key";

/// How `key` begins.
pub(super) const MAGIC: [u8; 8] = *b"VOLETKY\x01";
const BODY: usize = 8 + 32 + 32 + 32 + OVERHEAD;
/// Bytes of `key`: what it is, the public half, the sealed secret half, and BLAKE3 of all that.
pub(super) const KEY_LENGTH: usize = BODY + 32;

/// What `buffer.toml` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    pub(super) version: Version,
    /// Whom it is kept for.
    pub(super) owner: Recipient,
    /// What lessons are sealed to. Another after every wiping.
    pub(super) key: Recipient,
    /// The classes that labels number.
    pub(super) classes: Vec<ObjectClass>,
    /// How much is kept; the owner may change it here.
    pub(super) limits: Limits,
}

/// The version of the format that this program reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub(super) struct Version;

impl TryFrom<u32> for Version {
    type Error = String;

    fn try_from(version: u32) -> Result<Self, String> {
        let newer = || format!("this program reads version 1 of buffers, not {version}: use a newer program");
        if version == 1 { Ok(Self) } else { Err(newer()) }
    }
}

impl From<Version> for u32 {
    fn from(_: Version) -> Self {
        1
    }
}

impl Head {
    /// The file `key` for this buffer's key. The key itself is then forgotten.
    pub(super) fn lock_up(&self, opener: &Opener) -> Result<Vec<u8>, getrandom::Error> {
        let sealed = opener.seal_to(&self.owner, self.key.bytes())?;
        let mut file = [&MAGIC[..], self.key.bytes(), self.owner.bytes(), &sealed].concat();
        let sum = blake3::hash(&file);
        file.extend_from_slice(sum.as_bytes());
        Ok(file)
    }

    /// Whether `key` holds this buffer's key, whole: what is damaged or overwritten opens nothing any more.
    pub(super) fn has_key(&self, file: &[u8]) -> bool {
        self.sealed(file).is_some()
    }

    /// The buffer's key; none for an identity that is not its owner's.
    pub(super) fn unlock(&self, file: &[u8], identity: &Identity) -> Option<Opener> {
        let opener = identity.open(self.sealed(file)?, self.key.bytes())?;
        (opener.recipient() == self.key).then_some(opener)
    }

    fn sealed<'a>(&self, file: &'a [u8]) -> Option<&'a [u8]> {
        let (body, sum) = file.split_at_checked(BODY).filter(|_| file.len() == KEY_LENGTH)?;
        let sealed = body.strip_prefix(&MAGIC[..])?.strip_prefix(&self.key.bytes()[..])?;
        let sealed = sealed.strip_prefix(&self.owner.bytes()[..])?;
        (blake3::hash(body).as_bytes() == sum).then_some(sealed)
    }
}
