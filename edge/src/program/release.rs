//! A release of the program: what its maker signs, and what a device believes.
//!
//! Text that people can read, after its signature. Knows no files and no devices.

use serde::{Deserialize, Serialize};
use volet_federated::signing::{SigningKey, VerifyingKey};

/// What the text begins with when it is signed: no signature of anything else holds for it.
const DOMAIN: &[u8] = b"Volet program release v1\0";
/// The length of a line that holds a signature.
const LINE: usize = 128 + 1;

/// Why a release does not count.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum ReleaseError {
    #[error("the release is not signed by the key that this device trusts: get the program where the device came from")]
    Signature,
    #[error("the release cannot be read: {0}")]
    Malformed(String),
    #[error("the program is for {offered} processors, and this one is {own}: install the one made for it")]
    Processor { offered: String, own: &'static str },
}

/// A program that may run in place of the one that came with the system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Rises with every release of the maker's, from 1. A device never goes below one that proved itself there, but by hand.
    pub number: u64,
    /// For people.
    pub version: String,
    /// As [`std::env::consts::ARCH`] names it.
    pub processor: String,
    /// Bytes of the program.
    pub size: u64,
    /// BLAKE3 of the program, 64 hexadecimal digits.
    #[serde(with = "digits")]
    pub blake3: [u8; 32],
}

impl Release {
    /// The most bytes of a release with its signature.
    pub const MAX_LENGTH: u64 = 1 << 12;
    /// The most bytes of a program.
    pub const MAX_SIZE: u64 = 1 << 28;

    /// Describes a program, by its own bytes.
    ///
    /// # Errors
    /// [`ReleaseError::Malformed`]: it is no ELF program, or a device would refuse the rest.
    pub fn of(program: &[u8], number: u64, version: &str) -> Result<Self, ReleaseError> {
        let processor =
            processor(program).ok_or_else(|| malformed("no ELF program for a processor that Volet runs on"))?;
        let release = Self {
            number,
            version: version.to_owned(),
            processor: processor.to_owned(),
            size: program.len() as u64,
            blake3: blake3::hash(program).into(),
        };
        release.checked()
    }

    /// The release as a file.
    ///
    /// # Errors
    /// [`ReleaseError::Malformed`]: a device would refuse it.
    pub fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, ReleaseError> {
        let text = toml::to_string(&self.clone().checked()?).map_err(malformed)?;
        let signature = key.sign(&[DOMAIN, text.as_bytes()].concat()).to_bytes();
        let file = [hex::encode(signature).as_bytes(), b"\n", text.as_bytes()].concat();
        if file.len() as u64 > Self::MAX_LENGTH { Err(malformed("it is too long")) } else { Ok(file) }
    }

    /// The release in a file, if this key signed it. Nothing of the file is looked at before its signature holds.
    ///
    /// # Errors
    /// See [`ReleaseError`].
    pub fn verify(file: &[u8], key: &VerifyingKey) -> Result<Self, ReleaseError> {
        let (line, text) = file.split_at_checked(LINE).ok_or(ReleaseError::Signature)?;
        let digits = line.strip_suffix(b"\n").ok_or(ReleaseError::Signature)?;
        let signature = hex::decode(digits).map_err(|_| ReleaseError::Signature)?;
        if !key.signed(&[DOMAIN, text].concat(), &signature) {
            return Err(ReleaseError::Signature);
        }
        let text = std::str::from_utf8(text).map_err(malformed)?;
        toml::from_str::<Self>(text).map_err(malformed)?.checked()
    }

    /// The same, if this machine can run it.
    ///
    /// # Errors
    /// [`ReleaseError::Processor`].
    pub fn for_here(self) -> Result<Self, ReleaseError> {
        let own = std::env::consts::ARCH;
        if self.processor == own { Ok(self) } else { Err(ReleaseError::Processor { offered: self.processor, own }) }
    }

    fn checked(self) -> Result<Self, ReleaseError> {
        match () {
            () if self.number == 0 => Err(malformed("its number is 0, and the first is 1")),
            () if self.size > Self::MAX_SIZE => Err(malformed("the program is larger than 256 MiB")),
            () if self.version.chars().any(char::is_control) => Err(malformed("its version is no line of text")),
            () => Ok(self),
        }
    }
}

/// What an ELF header says that a program is for, where it is one of those that Volet runs on.
fn processor(program: &[u8]) -> Option<&'static str> {
    // System V ABI, figure 4-3: the class at 4 (1: 32 bits, 2: 64), the order of bytes at 5 (1: little endian), the machine at 18.
    match (program.get(..6)?, program.get(18..20)?) {
        (b"\x7fELF\x02\x01", [62, 0]) => Some("x86_64"),
        (b"\x7fELF\x02\x01", [183, 0]) => Some("aarch64"),
        (b"\x7fELF\x02\x01", [243, 0]) => Some("riscv64"),
        (b"\x7fELF\x01\x01", [40, 0]) => Some("arm"),
        (b"\x7fELF\x01\x01", [3, 0]) => Some("x86"),
        _ => None,
    }
}

fn malformed(why: impl ToString) -> ReleaseError {
    ReleaseError::Malformed(why.to_string())
}

/// 32 bytes as hexadecimal digits.
mod digits {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(blake3::Hash::from_bytes(*bytes).to_hex().as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(from)?;
        blake3::Hash::from_hex(text).map(<[u8; 32]>::from).map_err(D::Error::custom)
    }
}
