//! Files that are whole or absent: written under a temporary name in their folder and renamed when done.
//!
//! Knows files and JSON lists, nothing of annotations.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::TempPath;

use super::AnnotateError;

/// Turns an I/O error into one that names `path`.
pub(super) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> AnnotateError + '_ {
    move |source| AnnotateError::Io { path: path.to_owned(), source }
}

/// Makes a folder and those above it.
pub(super) fn make_dir(path: &Path) -> Result<(), AnnotateError> {
    std::fs::create_dir_all(path).map_err(io_error(path))
}

/// A file in the making.
pub(super) struct Draft {
    target: PathBuf,
    file: BufWriter<File>,
    len: u64,
    temporary: Option<TempPath>,
}

impl Draft {
    /// A file that [`finish`](Self::finish) will call `target`.
    pub(super) fn create(target: &Path) -> Result<Self, AnnotateError> {
        let folder = match target.parent() {
            Some(p) if !p.as_os_str().is_empty() => p,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".volet-").suffix(".partial");
        #[cfg(unix)]
        {
            // What any program's new file has (the umask applies), instead of tempfile's 0600.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let (file, temporary) = builder.tempfile_in(folder).map_err(io_error(target))?.into_parts();
        Ok(Self { target: target.to_owned(), file: BufWriter::new(file), len: 0, temporary: Some(temporary) })
    }

    /// A scratch file in `folder` that has no name and vanishes with its handle. `about` is the file that
    /// its errors name.
    pub(super) fn scratch(folder: &Path, about: &Path) -> Result<Self, AnnotateError> {
        let file = tempfile::tempfile_in(folder).map_err(io_error(about))?;
        Ok(Self { target: about.to_owned(), file: BufWriter::new(file), len: 0, temporary: None })
    }

    /// Turns an I/O error into one that names this file.
    pub(super) fn failed(&self) -> impl FnOnce(io::Error) -> AnnotateError + '_ {
        io_error(&self.target)
    }

    /// Appends text.
    pub(super) fn text(&mut self, text: &str) -> Result<(), AnnotateError> {
        self.bytes(text.as_bytes())
    }

    /// Appends bytes.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), AnnotateError> {
        self.write_all(bytes).map_err(io_error(&self.target))
    }

    /// Appends a value as JSON.
    pub(super) fn json<T: Serialize>(&mut self, value: &T) -> Result<(), AnnotateError> {
        serde_json::to_writer(&mut *self, value).map_err(|e| self.failed()(e.into()))
    }

    /// Bytes written so far.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Forgets everything after the first `len` bytes.
    pub(super) fn truncate(&mut self, len: u64) -> Result<(), AnnotateError> {
        self.file
            .flush()
            .and_then(|()| self.file.get_mut().set_len(len))
            .and_then(|()| self.file.seek(SeekFrom::Start(len)))
            .map_err(io_error(&self.target))?;
        self.len = len;
        Ok(())
    }

    /// Appends all that `other` holds.
    pub(super) fn append(&mut self, other: &mut Self) -> Result<(), AnnotateError> {
        other
            .file
            .flush()
            .and_then(|()| other.file.get_mut().seek(SeekFrom::Start(0)))
            .map_err(io_error(&other.target))?;
        io::copy(&mut other.file.get_ref().take(other.len), self).map_err(io_error(&self.target))?;
        Ok(())
    }

    /// Fills `bytes` from `offset` on. Only reading may follow.
    pub(super) fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), AnnotateError> {
        self.file
            .flush()
            .and_then(|()| self.file.get_mut().seek(SeekFrom::Start(offset)))
            .and_then(|_| self.file.get_mut().read_exact(bytes))
            .map_err(io_error(&self.target))
    }

    /// Brings the file to the disk and gives it its name, in place of whatever had it.
    pub(super) fn finish(mut self) -> Result<PathBuf, AnnotateError> {
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(io_error(&self.target))?;
        if let Some(temporary) = self.temporary {
            temporary.persist(&self.target).map_err(|e| io_error(&self.target)(e.error))?;
        }
        Ok(self.target)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The elements of a JSON array, one a line, in a draft of which they are the end.
pub(super) struct List {
    pub(super) draft: Draft,
    count: u64,
    mark: (u64, u64),
}

impl List {
    /// Elements are to follow what `draft` holds.
    pub(super) fn new(draft: Draft) -> Self {
        let mark = (draft.len(), 0);
        Self { draft, count: 0, mark }
    }

    /// Adds an element.
    pub(super) fn push<T: Serialize>(&mut self, value: &T) -> Result<(), AnnotateError> {
        self.separate()?;
        self.draft.json(value)
    }

    /// Begins an element that the caller writes into the draft.
    pub(super) fn separate(&mut self) -> Result<(), AnnotateError> {
        self.draft.text(if self.count == 0 { "\n" } else { ",\n" })?;
        self.count += 1;
        Ok(())
    }

    /// How many elements there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Sets the point that [`rewind`](Self::rewind) goes back to.
    pub(super) fn mark(&mut self) {
        self.mark = (self.draft.len(), self.count);
    }

    /// Forgets the elements since the last mark.
    pub(super) fn rewind(&mut self) -> Result<(), AnnotateError> {
        let (len, count) = self.mark;
        self.draft.truncate(len)?;
        self.count = count;
        Ok(())
    }
}
