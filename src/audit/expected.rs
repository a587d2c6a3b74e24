//! Which program a camera should run, by the SHA-256 of its file, as `sha256sum` prints it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::str::FromStr;

use anyhow::Context;
use sha2::{Digest, Sha256};

/// A program, as whoever audits names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Its SHA-256, in small letters.
    Hash(String),
    /// Its file.
    File(std::path::PathBuf),
}

impl FromStr for Expected {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Self::Hash(text.to_ascii_lowercase()));
        }
        let file = Path::new(text);
        let other =
            || format!("{text:?} is neither the 64 hexadecimal digits of a SHA-256 nor a file: give one of both");
        file.is_file().then(|| Self::File(file.to_owned())).ok_or_else(other)
    }
}

impl Expected {
    /// Its SHA-256, in small letters.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn sha256(&self) -> anyhow::Result<String> {
        match self {
            Self::Hash(hash) => Ok(hash.clone()),
            Self::File(file) => sha256(file).with_context(|| format!("cannot read {}", file.display())),
        }
    }
}

/// SHA-256 of a file, hexadecimal.
///
/// # Errors
/// It cannot be read.
pub(crate) fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher(Sha256::new());
    io::copy(&mut file, &mut hasher)?;
    Ok(hasher.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

struct Hasher(Sha256);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_named_by_its_hash_in_any_letters_or_by_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("program");
        std::fs::write(&file, b"abc").unwrap();
        // FIPS 180-2, B.1.
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for named in [hash, &hash.to_uppercase(), file.to_str().unwrap()] {
            assert_eq!(named.parse::<Expected>().unwrap().sha256().unwrap(), hash);
        }
        for wrong in ["", &hash[1..], &format!("{hash}0"), &hash.replace('b', "x"), "/nowhere/program"] {
            assert!(wrong.parse::<Expected>().unwrap_err().contains("neither"), "{wrong}");
        }
    }
}
