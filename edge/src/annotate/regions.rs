//! What was masked, as a list that a leak-rate measurement reads.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::draft::{Draft, List};
use super::{AnnotateError, FrameRecord, ImageIds, MediaRecord, Shape, Writer, rounded};

pub(super) struct Regions {
    list: List,
    ids: ImageIds,
    open: bool,
}

#[derive(Serialize)]
struct Entry {
    image_id: u64,
    bbox: [f64; 4],
    shape: Shape,
}

impl Regions {
    pub(super) fn create(target: &Path) -> Result<Self, AnnotateError> {
        let mut draft = Draft::create(target)?;
        draft.text("[")?;
        Ok(Self { list: List::new(draft), ids: ImageIds::default(), open: false })
    }
}

impl Writer for Regions {
    fn begin_media(&mut self, _: &MediaRecord) -> Result<(), AnnotateError> {
        if self.open {
            return Err(AnnotateError::Order("a medium began within another"));
        }
        self.open = true;
        self.list.mark();
        Ok(())
    }

    fn frame(&mut self, frame: &FrameRecord) -> Result<(), AnnotateError> {
        if !self.open {
            return Err(AnnotateError::Order("a frame without a medium"));
        }
        let image_id = self.ids.id(frame.index);
        if frame.covered.is_some() {
            let bbox = [0.0, 0.0, frame.width.into(), frame.height.into()];
            return self.list.push(&Entry { image_id, bbox, shape: Shape::Rect });
        }
        for region in frame.regions.iter().filter(|r| r.bbox.is_valid()) {
            let bbox = [region.bbox.x, region.bbox.y, region.bbox.w, region.bbox.h].map(rounded);
            self.list.push(&Entry { image_id, bbox, shape: region.shape })?;
        }
        Ok(())
    }

    fn end_media(&mut self) -> Result<(), AnnotateError> {
        if !std::mem::take(&mut self.open) {
            return Err(AnnotateError::Order("no medium to end"));
        }
        self.ids.end_media();
        Ok(())
    }

    fn discard_media(&mut self) -> Result<(), AnnotateError> {
        if !std::mem::take(&mut self.open) {
            return Err(AnnotateError::Order("no medium to discard"));
        }
        self.ids.discard_media();
        self.list.rewind()
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<PathBuf>, AnnotateError> {
        if self.open {
            self.discard_media()?;
        }
        let mut file = self.list.draft;
        file.text("\n]\n")?;
        Ok(vec![file.finish()?])
    }
}
