//! Who can read what: the owner's identity opens the buffer's secret key, and that key opens lessons. Whoever has only
//! the public halves can seal and nothing else.
//!
//! Sealing is HPKE in its base mode (RFC 9180, section 5.1.1) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and
//! ChaCha20-Poly1305: a fresh key for every message, and whatever it is bound to authenticated with it.
//!
//! Knows no files but the owner's, and no lessons.

#[cfg(feature = "vault")]
pub(crate) mod stream;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

type Secret = <X25519HkdfSha256 as Kem>::PrivateKey;
type Public = <X25519HkdfSha256 as Kem>::PublicKey;

/// What sealing adds to a message, bytes: the encapsulated key and the tag.
pub(super) const OVERHEAD: usize = 32 + 16;

/// Why there is no owner's identity.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum IdentityError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} exists already: an identity is never replaced; give another name", .0.display())]
    Exists(PathBuf),
    #[error("{} holds no owner's identity: `volet-edge buffer init` writes one", .0.display())]
    NoIdentity(PathBuf),
    #[error("{} may be read by others than its owner (mode {mode:04o}): `chmod 600` it", path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("{} lies in the buffer's own folder, where a thief of the one has the other: move it elsewhere", .0.display())]
    Inside(PathBuf),
    #[error("the operating system gives no random bytes: {0}")]
    Entropy(getrandom::Error),
    #[error("{0:?} is no recipient: 64 hexadecimal digits are due")]
    Recipient(String),
}

/// The public half of an owner's identity: lessons are kept for whoever has the other half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Recipient([u8; 32]);

/// An owner's secret half. Whoever has it and the device's disk can see lessons.
pub struct Identity(Secret);

/// A buffer's own secret key.
pub(super) struct Opener(Secret);

impl Identity {
    /// Makes an identity in a new file that its owner alone may read. Durable at return.
    ///
    /// # Errors
    /// An [`IdentityError`].
    pub fn make(path: &Path) -> Result<Self, IdentityError> {
        let (secret, text) = fresh().map_err(IdentityError::Entropy)?;
        let io = |source| IdentityError::Io { path: path.to_owned(), source };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = file.map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => IdentityError::Exists(path.to_owned()),
            _ => io(source),
        })?;
        writeln!(file, "{}", *text).and_then(|()| file.sync_all()).map_err(io)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all()).map_err(io)?;
        Ok(Self(secret))
    }

    /// As [`make`](Self::make), in a file that lies outside of a folder.
    #[cfg(feature = "vault")]
    pub(crate) fn make_outside(path: &Path, folder: &Path) -> Result<Self, IdentityError> {
        outside(path, folder)?;
        Self::make(path)
    }

    /// Reads an identity, from a file that nobody else may read and that lies outside of `buffer`.
    ///
    /// # Errors
    /// An [`IdentityError`].
    pub fn read(path: &Path, buffer: &Path) -> Result<Self, IdentityError> {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self::read_shown(path, buffer, credentials.as_deref())
    }

    /// As [`Self::read`], where the service manager shows credentials in this folder.
    fn read_shown(path: &Path, buffer: &Path, credentials: Option<&Path>) -> Result<Self, IdentityError> {
        let io = |source| IdentityError::Io { path: path.to_owned(), source };
        outside(path, buffer)?;
        // Looked at through the descriptor: a file that takes its name meanwhile is not what was looked at.
        let file = File::open(path).map_err(io)?;
        let mode = file.metadata().map_err(io)?.mode() & 0o7777;
        // systemd lets the service's user read its credentials by an access list, which a mode shows as the group's right to read.
        let others = if credentials.is_some_and(|folder| lies_in(path, folder)) { 0o037 } else { 0o077 };
        if mode & others != 0 {
            return Err(IdentityError::Open { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::with_capacity(128));
        let none = |_| IdentityError::NoIdentity(path.to_owned());
        file.take(128).read_to_string(&mut text).map_err(none)?;
        let bytes = Zeroizing::new(unhex(text.trim()).ok_or_else(|| IdentityError::NoIdentity(path.to_owned()))?);
        Secret::from_bytes(&*bytes).map(Self).map_err(|_| IdentityError::NoIdentity(path.to_owned()))
    }

    /// The public half.
    pub fn recipient(&self) -> Recipient {
        public(&self.0)
    }

    /// Of bytes that somebody takes for a secret.
    #[cfg(all(test, feature = "vault"))]
    pub(crate) fn of(bytes: [u8; 32]) -> Option<Self> {
        Secret::from_bytes(&bytes).map(Self).ok()
    }

    /// Opens a buffer's key that was sealed to this identity.
    pub(super) fn open(&self, sealed: &[u8], bound: &[u8]) -> Option<Opener> {
        let bytes = open(&self.0, KEY, sealed, bound)?;
        Secret::from_bytes(&bytes).ok().map(Opener)
    }
}

impl Opener {
    /// A new key, sealed to an owner. The first is to be forgotten.
    pub(super) fn make() -> Result<Self, getrandom::Error> {
        fresh().map(|(secret, _)| Self(secret))
    }

    /// The public half.
    pub(super) fn recipient(&self) -> Recipient {
        public(&self.0)
    }

    /// This key, for its owner alone.
    pub(super) fn seal_to(&self, owner: &Recipient, bound: &[u8]) -> Result<Vec<u8>, getrandom::Error> {
        let bytes = Zeroizing::new(<[u8; 32]>::from(self.0.to_bytes()));
        seal(owner, KEY, &*bytes, bound)
    }

    /// Opens a lesson.
    pub(super) fn open(&self, sealed: &[u8], bound: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        open(&self.0, LESSON, sealed, bound)
    }
}

impl Recipient {
    /// Seals a lesson that nobody can open but who has the buffer's secret key.
    pub(super) fn seal(&self, lesson: &[u8], bound: &[u8]) -> Result<Vec<u8>, getrandom::Error> {
        seal(self, LESSON, lesson, bound)
    }

    #[cfg(feature = "vault")]
    pub(crate) fn of(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Display for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", blake3::Hash::from_bytes(self.0))
    }
}

impl std::str::FromStr for Recipient {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        unhex(text).map(Self).ok_or_else(|| IdentityError::Recipient(text.to_owned()))
    }
}

impl TryFrom<String> for Recipient {
    type Error = IdentityError;

    fn try_from(text: String) -> Result<Self, IdentityError> {
        text.parse()
    }
}

impl From<Recipient> for String {
    fn from(recipient: Recipient) -> Self {
        recipient.to_string()
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity of {}", self.recipient())
    }
}

/// Refuses an identity's file that lies in a buffer's folder, or would.
pub(super) fn outside(path: &Path, buffer: &Path) -> Result<(), IdentityError> {
    let real = |path: &Path| path.canonicalize().ok();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let within = |path: Option<PathBuf>| path.zip(real(buffer)).is_some_and(|(path, buffer)| path.starts_with(buffer));
    if within(real(path)) || within(real(folder)) { Err(IdentityError::Inside(path.to_owned())) } else { Ok(()) }
}

/// Whether a file lies in a folder itself, wherever links lead.
fn lies_in(path: &Path, folder: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(path).and_then(|path| path.parent().map(Path::to_owned)).zip(real(folder)).is_some_and(|(a, b)| a == b)
}

/// What is sealed, so that one thing is never taken for another.
const KEY: &[u8] = b"volet learning buffer, its key, 1";
const LESSON: &[u8] = b"volet learning buffer, a lesson, 1";

fn seal(to: &Recipient, what: &[u8], message: &[u8], bound: &[u8]) -> Result<Vec<u8>, getrandom::Error> {
    // The library panics where there are no random bytes; then we have not come so far.
    getrandom::fill(&mut [0])?;
    let to = Public::from_bytes(&to.0).map_err(|_| getrandom::Error::UNSUPPORTED)?;
    let sealed =
        single_shot_seal::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(&OpModeS::Base, &to, what, message, bound);
    let (encapsulated, message) = sealed.map_err(|_| getrandom::Error::UNSUPPORTED)?;
    Ok([&encapsulated.to_bytes()[..], &message].concat())
}

fn open(key: &Secret, what: &[u8], sealed: &[u8], bound: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (encapsulated, message) = sealed.split_at_checked(32)?;
    let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated).ok()?;
    let opened = single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        key,
        &encapsulated,
        what,
        message,
        bound,
    );
    opened.ok().map(Zeroizing::new)
}

fn public(secret: &Secret) -> Recipient {
    Recipient(X25519HkdfSha256::sk_to_pk(secret).to_bytes().into())
}

/// A new secret key, and its hexadecimal digits.
fn fresh() -> Result<(Secret, Zeroizing<String>), getrandom::Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes)?;
    let text = Zeroizing::new(blake3::Hash::from_bytes(*bytes).to_string());
    let secret = Secret::from_bytes(&*bytes).map_err(|_| getrandom::Error::UNSUPPORTED)?;
    Ok((secret, text))
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    blake3::Hash::from_hex(text).ok().map(<[u8; 32]>::from)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_service_managers_credential_may_be_read_by_its_group_and_no_other_file_may() {
        let folder = tempfile::tempdir().unwrap();
        let [credentials, buffer] = ["credentials", "buffer"].map(|name| folder.path().join(name));
        [&credentials, &buffer].into_iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
        let path = credentials.join("identity");
        Identity::make(&path).unwrap();
        let read = |mode: u32, shown: Option<&Path>| {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            Identity::read_shown(&path, &buffer, shown).is_ok()
        };
        assert!(read(0o600, None) && read(0o400, Some(&credentials)) && read(0o440, Some(&credentials)));
        assert!(!read(0o440, None) && !read(0o440, Some(folder.path())));
        assert!(!read(0o460, Some(&credentials)) && !read(0o444, Some(&credentials)));
    }
}
