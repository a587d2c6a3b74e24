//! A film of pictures that the owner has opened: Motion JPEG, the pictures as they are. For the owner's eyes: nobody else may
//! read the file. Takes what the vault's owner opened, and nothing else.

use std::path::{Path, PathBuf};

use crate::frame::{Color, Geometry};
use crate::sink::SinkError;
use crate::sink::avi::Avi;
use crate::sink::partial::Partial;
use crate::source::{MediaKind, Rate, StreamInfo};
use crate::vault::Picture;

pub(crate) struct Film {
    path: PathBuf,
    out: Partial,
    avi: Avi,
}

impl Film {
    /// Begins a film that appears when it is finished.
    pub(crate) fn create(path: &Path, geometry: Geometry, rate: Rate) -> Result<Self, SinkError> {
        let mut out = Partial::private(path)?;
        let info = StreamInfo { kind: MediaKind::Mjpeg, geometry, color: Color::JPEG, rate, frames: None };
        // The quality is that of the pictures.
        let avi = Avi::new(&info, 100, &mut out).map_err(|fail| fail.at(path))?;
        Ok(Self { path: path.to_owned(), out, avi })
    }

    pub(crate) fn append(&mut self, picture: &Picture<'_>) -> Result<(), SinkError> {
        self.avi.append(picture.jpeg(), &mut self.out).map_err(|fail| fail.at(&self.path))
    }

    pub(crate) fn finish(mut self) -> Result<(), SinkError> {
        self.avi.end(&mut self.out).map_err(|fail| fail.at(&self.path))?;
        self.out.persist(&self.path).map(drop)
    }
}
