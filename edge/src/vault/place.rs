//! Where a vault lies: what must not lie within it, or around it.

use std::path::{Component, Path, PathBuf};

use super::VaultError;

/// Refuses a folder for something else that is the vault, or lies in it.
pub(super) fn outside(folder: &Path, vault: &Path) -> Result<(), VaultError> {
    let (real, real_vault) = (real(folder)?, real(vault)?);
    if real.starts_with(real_vault) { Err(within(folder, vault)) } else { Ok(()) }
}

/// Refuses two folders of which one lies in the other.
///
/// # Errors
/// [`VaultError::Within`], or a path that cannot be followed.
pub fn apart(folder: &Path, vault: &Path) -> Result<(), VaultError> {
    outside(folder, vault)?;
    outside(vault, folder)
}

fn within(folder: &Path, vault: &Path) -> VaultError {
    VaultError::Within { folder: folder.to_owned(), vault: vault.to_owned() }
}

/// Where a path leads, as far as it is there; what is not there yet follows as it is.
fn real(path: &Path) -> Result<PathBuf, VaultError> {
    let io = |source| VaultError::Io { path: path.to_owned(), source };
    let whole = std::path::absolute(path).map_err(io)?;
    for there in whole.ancestors() {
        // A link that leads nowhere yet is there, and is not followed past.
        if there.symlink_metadata().is_err() {
            continue;
        }
        let real = there.canonicalize().map_err(io)?;
        let rest = whole.strip_prefix(there).unwrap_or(Path::new(""));
        return match rest.components().any(|part| part == Component::ParentDir) {
            true => Err(io(std::io::ErrorKind::NotFound.into())),
            false => Ok(real.join(rest)),
        };
    }
    Err(io(std::io::ErrorKind::NotFound.into()))
}
