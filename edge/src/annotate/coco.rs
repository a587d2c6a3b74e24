//! COCO (<https://cocodataset.org/#format-data>), one `images` entry per still or video frame, with the
//! fields that video datasets add: `videos`, `video_id`, `frame_index`, `track_id`.
//!
//! Track ids are unique within a video. `score` and `attributes` (`origin`) stand on every annotation.
//! Images go straight into the file; annotations wait in a scratch file beside it.

use std::path::{Path, PathBuf};

use serde::Serialize;
use volet_models::ObjectClass;

use super::draft::{Draft, List};
use super::{AnnotateError, FrameRecord, ImageIds, MediaRecord, Writer, rounded, writable};

pub(super) struct Coco {
    images: List,
    annotations: List,
    videos: Vec<Video>,
    ids: ImageIds,
    open: Option<Open>,
}

struct Open {
    media: MediaRecord,
    video_id: Option<u64>,
    frames: u64,
}

#[derive(Serialize)]
struct Video {
    id: u64,
    name: String,
    width: u32,
    height: u32,
    fps: f64,
    frames: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_name: Option<String>,
}

#[derive(Serialize)]
struct Image<'a> {
    id: u64,
    file_name: String,
    width: u32,
    height: u32,
    frame_index: u64,
    time_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    video_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_name: Option<&'a str>,
    /// Why the whole picture was covered.
    #[serde(skip_serializing_if = "Option::is_none")]
    covered: Option<&'a str>,
}

#[derive(Serialize)]
struct Annotation {
    id: u64,
    image_id: u64,
    category_id: u32,
    bbox: [f64; 4],
    area: f64,
    /// Empty: there are boxes only, but readers look for the field.
    segmentation: [f64; 0],
    iscrowd: u8,
    score: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    track_id: Option<u32>,
    attributes: Attributes,
}

#[derive(Serialize)]
struct Attributes {
    origin: super::Origin,
}

impl Coco {
    pub(super) fn create(folder: &Path) -> Result<Self, AnnotateError> {
        let target = folder.join("coco.json");
        let mut draft = Draft::create(&target)?;
        let categories = ObjectClass::ALL
            .map(|c| serde_json::json!({"id": c.category_id(), "name": c.name(), "supercategory": "object"}));
        draft.text("{\"info\":")?;
        draft.json(&serde_json::json!({
            "description": "Made by Volet; boxes are the detector's and the tracker's, no person drew them",
            "version": env!("CARGO_PKG_VERSION"),
        }))?;
        draft.text(",\n\"licenses\":[],\n\"categories\":")?;
        draft.json(&categories)?;
        draft.text(",\n\"images\":[")?;
        Ok(Self {
            images: List::new(draft),
            annotations: List::new(Draft::scratch(folder, &target)?),
            videos: Vec::new(),
            ids: ImageIds::default(),
            open: None,
        })
    }
}

impl Writer for Coco {
    fn begin_media(&mut self, media: &MediaRecord) -> Result<(), AnnotateError> {
        if self.open.is_some() {
            return Err(AnnotateError::Order("a medium began within another"));
        }
        self.images.mark();
        self.annotations.mark();
        let video_id = (!media.kind.is_still()).then(|| self.videos.len() as u64 + 1);
        self.open = Some(Open { media: media.clone(), video_id, frames: 0 });
        Ok(())
    }

    fn frame(&mut self, frame: &FrameRecord) -> Result<(), AnnotateError> {
        let Some(open) = &mut self.open else { return Err(AnnotateError::Order("a frame without a medium")) };
        open.frames = open.frames.max(frame.index + 1);
        let image_id = self.ids.id(frame.index);
        self.images.push(&Image {
            id: image_id,
            file_name: open.media.frame_name(frame.index),
            width: frame.width,
            height: frame.height,
            frame_index: frame.index,
            time_s: frame.time.as_secs_f64(),
            video_id: open.video_id,
            source_name: open.media.source_name.as_deref().filter(|_| open.video_id.is_none()),
            covered: frame.covered.as_deref(),
        })?;
        for object in writable(frame) {
            let bbox = [object.bbox.x, object.bbox.y, object.bbox.w, object.bbox.h].map(rounded);
            self.annotations.push(&Annotation {
                id: self.annotations.count() + 1,
                image_id,
                category_id: object.class.category_id(),
                bbox,
                area: rounded((bbox[2] * bbox[3]) as f32),
                segmentation: [],
                iscrowd: 0,
                score: rounded(object.score),
                track_id: object.track_id,
                attributes: Attributes { origin: object.origin },
            })?;
        }
        Ok(())
    }

    fn end_media(&mut self) -> Result<(), AnnotateError> {
        let Some(open) = self.open.take() else { return Err(AnnotateError::Order("no medium to end")) };
        if let Some(id) = open.video_id {
            self.videos.push(Video {
                id,
                name: open.media.output_name,
                width: open.media.width,
                height: open.media.height,
                fps: open.media.rate.fps(),
                frames: open.frames,
                source_name: open.media.source_name,
            });
        }
        self.ids.end_media();
        Ok(())
    }

    fn discard_media(&mut self) -> Result<(), AnnotateError> {
        if self.open.take().is_none() {
            return Err(AnnotateError::Order("no medium to discard"));
        }
        self.ids.discard_media();
        self.images.rewind()?;
        self.annotations.rewind()
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<PathBuf>, AnnotateError> {
        if self.open.is_some() {
            self.discard_media()?;
        }
        let mut file = self.images.draft;
        file.text("\n],\n\"videos\":")?;
        file.json(&self.videos)?;
        file.text(",\n\"annotations\":[")?;
        file.append(&mut self.annotations.draft)?;
        file.text("\n]}\n")?;
        Ok(vec![file.finish()?])
    }
}
