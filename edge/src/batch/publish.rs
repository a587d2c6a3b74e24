//! Files that somebody else may take. Where a [`Publisher`] is given, everything is made in a folder that nobody else reads, and
//! gets into the folder of results through it, piece by piece; what it does not let out is removed.
//!
//! Knows files' names; not who may have them.

use std::fmt;
use std::path::{Path, PathBuf};

use super::BatchError;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Redacted stills and films.
    Media,
    /// What was found in them.
    Annotations,
    /// The page and the numbers.
    Report,
}

/// Lets files out.
pub trait Publisher: fmt::Debug + Send + Sync {
    /// Moves a file, or all that is in a folder, from `made` to `target`, under the same name in both.
    ///
    /// # Errors
    /// Why it was not let out, for people to read.
    fn publish(&self, product: Product, made: &Path, target: &Path, name: &str) -> Result<(), String>;

    /// Whether files are let out at all now.
    fn is_open(&self) -> bool {
        true
    }
}

/// Where a batch's files are made, and where they go.
pub(super) struct Outlet<'a> {
    target: &'a Path,
    /// Removed with everything in it when this is dropped.
    made: Option<(tempfile::TempDir, &'a dyn Publisher)>,
}

impl<'a> Outlet<'a> {
    /// Files are made where they belong, or with a publisher in a folder beside, which no other user may read.
    pub(super) fn new(target: &'a Path, publisher: Option<&'a dyn Publisher>) -> Result<Self, BatchError> {
        let Some(publisher) = publisher else { return Ok(Self { target, made: None }) };
        let io = |source| BatchError::Io { path: target.to_owned(), source };
        let made = tempfile::Builder::new().prefix(".volet-").suffix(".part").tempdir_in(target).map_err(io)?;
        Ok(Self { target, made: Some((made, publisher)) })
    }

    /// Where files are made.
    pub(super) fn folder(&self) -> PathBuf {
        self.made.as_ref().map_or(self.target, |(made, _)| made.path()).to_owned()
    }

    /// Lets out what was made under this name.
    pub(super) fn publish(&self, product: Product, name: &str) -> Result<(), String> {
        match &self.made {
            Some((made, publisher)) => publisher.publish(product, made.path(), self.target, name),
            None => Ok(()),
        }
    }
}
