//! What has to go so that what follows has room on the disk. Knows lengths; not what is kept, nor for whom.

use std::path::Path;

/// There is not as much room as is needed, whatever is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

/// How much room there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// The most bytes that all take together.
    pub(crate) bytes: u64,
    /// Bytes that all take now.
    pub(crate) taken: u64,
    /// Bytes that are to be written.
    pub(crate) more: u64,
    /// Bytes that the disk lacks for them.
    pub(crate) lack: u64,
}

impl Room {
    /// What has to go, of `held`, which is in the order in which things go: what, its length, and whether it goes in any case.
    pub(crate) fn surplus<T>(mut self, held: impl Iterator<Item = (T, u64, bool)>) -> Result<Vec<T>, NoRoom> {
        let mut gone = Vec::new();
        for (what, length, goes) in held {
            if goes || self.is_tight() {
                gone.push(what);
                self.taken = self.taken.saturating_sub(length);
                self.lack = self.lack.saturating_sub(length);
            }
        }
        // Nothing is given up where that would not help.
        if self.is_tight() { Err(NoRoom) } else { Ok(gone) }
    }

    /// Whether anything has to go.
    pub(crate) fn is_tight(&self) -> bool {
        self.taken.saturating_add(self.more) > self.bytes || self.lack > 0
    }
}

/// A folder's disk: bytes that this process may still fill, and all.
#[cfg(target_os = "linux")]
pub(crate) fn disk(folder: &Path) -> Option<(u64, u64)> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Some((bytes(disk.f_bavail), bytes(disk.f_blocks)))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn disk(_: &Path) -> Option<(u64, u64)> {
    None
}
