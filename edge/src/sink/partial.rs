//! A file that appears under its name only when it is whole.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::sink::SinkError;

/// A temporary file in the target's folder, removed when dropped.
pub(super) struct Partial {
    out: BufWriter<NamedTempFile>,
}

impl Partial {
    pub(super) fn create(target: &Path) -> Result<Self, SinkError> {
        // As any program makes files: the user's umask decides.
        Self::with_mode(target, 0o666)
    }

    /// One that its user alone may read.
    #[cfg(all(unix, feature = "vault"))]
    pub(super) fn private(target: &Path) -> Result<Self, SinkError> {
        Self::with_mode(target, 0o600)
    }

    #[cfg_attr(not(unix), allow(unused_variables))]
    fn with_mode(target: &Path, mode: u32) -> Result<Self, SinkError> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".volet-").suffix(".part");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
        let file = builder.tempfile_in(folder(target));
        let file = file.map_err(|source| SinkError::Io { path: target.to_path_buf(), source })?;
        Ok(Self { out: BufWriter::with_capacity(256 << 10, file) })
    }

    /// Forces the bytes to disk, then gives the file its name.
    pub(super) fn persist(self, target: &Path) -> Result<PathBuf, SinkError> {
        let io = |source| SinkError::Io { path: target.to_path_buf(), source };
        let file = self.out.into_inner().map_err(|e| io(e.into_error()))?;
        file.as_file().sync_all().map_err(io)?;
        file.persist(target).map_err(|e| io(e.error))?;
        // The name is on disk when its folder is; not every file system lets a folder be synced.
        if let Ok(folder) = File::open(folder(target)) {
            folder.sync_all().ok();
        }
        Ok(target.to_path_buf())
    }
}

fn folder(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

impl Write for Partial {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

impl Seek for Partial {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.out.seek(to)
    }
}
