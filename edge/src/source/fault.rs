//! What readers report before they know whose file it is; [`Fault::at`] adds the name.

use std::io;
use std::path::Path;

use crate::frame::FrameError;
use crate::source::SourceError;

/// Why a reader stopped, without the file's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The disk or the pipe failed.
    #[error(transparent)]
    Io(io::Error),
    /// The file is not what its kind says it must be.
    #[error("{0}")]
    Corrupt(String),
    /// The file may be sound but this reader cannot decode it.
    #[error("{0}")]
    Unsupported(String),
    /// The picture's size is out of bounds.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl Fault {
    /// Names the file.
    pub fn at(self, path: &Path) -> SourceError {
        let path = path.to_path_buf();
        match self {
            Self::Io(source) => SourceError::Io { path, source },
            Self::Corrupt(reason) => SourceError::Corrupt { path, reason },
            Self::Unsupported(hint) => SourceError::Unsupported { path, hint },
            Self::Frame(source) => SourceError::Frame { path, source },
        }
    }
}

/// A file that ends too early is damaged; anything else is the disk's doing.
impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Corrupt("it ends in the middle".into()),
            io::ErrorKind::InvalidData => Self::Corrupt(error.to_string()),
            _ => Self::Io(error),
        }
    }
}
