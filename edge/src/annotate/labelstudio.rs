//! Label Studio tasks with predictions (<https://labelstud.io/guide/predictions>): `labelstudio.json` for
//! stills and `labelstudio-video.json` for clips, since one project shows one kind. Each is written only
//! where there are such media. The labelling set-ups that fit:
//!
//! ```xml
//! <View><Image name="image" value="$image"/>
//!   <RectangleLabels name="label" toName="image"><Label value="face"/><Label value="person"/></RectangleLabels></View>
//! <View><Labels name="label" toName="video"><Label value="face"/><Label value="person"/></Labels>
//!   <Video name="video" value="$video" framerate="25"/><VideoRectangle name="box" toName="video"/></View>
//! ```
//!
//! Media are addressed as local files (`/data/local-files/?d=media/...`, relative to
//! `LOCAL_FILES_DOCUMENT_ROOT`). All lengths are percent of the picture's sides; frames count from 1.

use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::json;
use volet_models::BBox;

use super::draft::{Draft, List};
use super::tracks::{Key, Sample, Tracks};
use super::{AnnotateError, FrameRecord, MediaRecord, Writer, rounded, writable};

pub(super) struct LabelStudio {
    folder: PathBuf,
    stills: Option<List>,
    clips: Option<List>,
    open: Option<Open>,
}

enum Open {
    Still(MediaRecord),
    Clip { media: MediaRecord, tracks: Tracks, frames: u64 },
}

#[derive(Serialize)]
struct Percent {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    rotation: u8,
}

/// One keyframe of a video rectangle.
#[derive(Serialize)]
struct Keyframe {
    frame: u64,
    time: f64,
    /// Whether the rectangle lives on until the next keyframe.
    enabled: bool,
    #[serde(flatten)]
    place: Percent,
}

impl LabelStudio {
    pub(super) fn create(folder: &Path) -> Result<Self, AnnotateError> {
        Ok(Self { folder: folder.to_owned(), stills: None, clips: None, open: None })
    }

    fn path(&self, still: bool) -> PathBuf {
        self.folder.join(if still { "labelstudio.json" } else { "labelstudio-video.json" })
    }
}

impl Writer for LabelStudio {
    fn begin_media(&mut self, media: &MediaRecord) -> Result<(), AnnotateError> {
        if self.open.is_some() {
            return Err(AnnotateError::Order("a medium began within another"));
        }
        let still = media.kind.is_still();
        let path = self.path(still);
        self.open = Some(if still {
            list(&mut self.stills, &path)?.mark();
            Open::Still(media.clone())
        } else {
            Open::Clip { media: media.clone(), tracks: Tracks::create(&self.folder, &path)?, frames: 0 }
        });
        Ok(())
    }

    fn frame(&mut self, frame: &FrameRecord) -> Result<(), AnnotateError> {
        let path = self.path(true);
        match &mut self.open {
            None => Err(AnnotateError::Order("a frame without a medium")),
            Some(Open::Still(media)) => list(&mut self.stills, &path)?.push(&still_task(media, frame)),
            Some(Open::Clip { tracks, frames, .. }) => {
                *frames = frame.index + 1;
                writable(frame).try_for_each(|object| tracks.add(frame.index, &object))
            }
        }
    }

    fn end_media(&mut self) -> Result<(), AnnotateError> {
        let path = self.path(false);
        match self.open.take() {
            None => Err(AnnotateError::Order("no medium to end")),
            Some(Open::Still(_)) => Ok(()),
            Some(Open::Clip { media, mut tracks, frames }) => {
                write_clip(list(&mut self.clips, &path)?, &media, &mut tracks, frames)
            }
        }
    }

    fn discard_media(&mut self) -> Result<(), AnnotateError> {
        match (self.open.take(), &mut self.stills) {
            (None, _) => Err(AnnotateError::Order("no medium to discard")),
            (Some(Open::Still(_)), Some(stills)) => stills.rewind(),
            (Some(_), _) => Ok(()),
        }
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<PathBuf>, AnnotateError> {
        if self.open.is_some() {
            self.discard_media()?;
        }
        let mut paths = Vec::new();
        for list in [self.stills, self.clips].into_iter().flatten().filter(|l| l.count() > 0) {
            let mut file = list.draft;
            file.text("\n]\n")?;
            paths.push(file.finish()?);
        }
        Ok(paths)
    }
}

/// The list of tasks, begun where it was not yet.
fn list<'a>(slot: &'a mut Option<List>, path: &Path) -> Result<&'a mut List, AnnotateError> {
    match slot {
        Some(list) => Ok(list),
        None => {
            let mut draft = Draft::create(path)?;
            draft.text("[")?;
            Ok(slot.insert(List::new(draft)))
        }
    }
}

/// What a URL's query may hold as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

fn local_file(media: &MediaRecord) -> String {
    format!("/data/local-files/?d=media/{}", utf8_percent_encode(&media.output_name, PLAIN))
}

fn model_version() -> String {
    format!("volet-{}", env!("CARGO_PKG_VERSION"))
}

fn percent(bbox: BBox, width: u32, height: u32) -> Percent {
    let (w, h) = (width as f32 / 100.0, height as f32 / 100.0);
    Percent {
        x: rounded(bbox.x / w),
        y: rounded(bbox.y / h),
        width: rounded(bbox.w / w),
        height: rounded(bbox.h / h),
        rotation: 0,
    }
}

fn still_task(media: &MediaRecord, frame: &FrameRecord) -> serde_json::Value {
    let mut lowest = None;
    let result: Vec<_> = writable(frame)
        .enumerate()
        .map(|(i, object)| {
            lowest = Some(lowest.map_or(object.score, |s: f32| s.min(object.score)));
            let place = percent(object.bbox, frame.width, frame.height);
            json!({
                "id": format!("r{i}"), "type": "rectanglelabels", "from_name": "label", "to_name": "image",
                "original_width": frame.width, "original_height": frame.height, "image_rotation": 0,
                "score": rounded(object.score),
                "value": {
                    "x": place.x, "y": place.y, "width": place.width, "height": place.height,
                    "rotation": place.rotation, "rectanglelabels": [object.class.name()],
                },
            })
        })
        .collect();
    let mut task = json!({
        "data": {"image": local_file(media)},
        // The least certain box decides what should be looked at first.
        "predictions": [{"model_version": model_version(), "score": lowest.map(rounded), "result": result}],
    });
    if let Some(name) = &media.source_name {
        task["meta"] = json!({"source_name": name});
    }
    task
}

fn write_clip(tasks: &mut List, media: &MediaRecord, tracks: &mut Tracks, frames: u64) -> Result<(), AnnotateError> {
    tasks.separate()?;
    let file = &mut tasks.draft;
    file.text("{\"data\":")?;
    file.json(&json!({"video": local_file(media)}))?;
    if let Some(name) = &media.source_name {
        file.text(",\"meta\":")?;
        file.json(&json!({"source_name": name}))?;
    }
    file.text(",\"predictions\":[{\"model_version\":")?;
    file.json(&model_version())?;
    file.text(",\"result\":[")?;
    let mut clip = Clip { file, media, frames, rectangles: 0 };
    for key in tracks.keys() {
        let mut held: Option<Sample> = None;
        tracks.read(key, |sample| {
            match held {
                None => clip.start(key)?,
                Some(last) if key.track_id.is_none() => {
                    clip.keyframe(&last, false, "")?;
                    clip.end(key)?;
                    clip.start(key)?;
                }
                Some(last) => clip.keyframe(&last, last.frame + 1 == sample.frame, ",")?,
            }
            held = Some(sample);
            Ok(())
        })?;
        if let Some(last) = held {
            clip.keyframe(&last, false, "")?;
            clip.end(key)?;
        }
    }
    clip.file.text("]}]}")
}

/// The rectangles of one clip, streamed.
struct Clip<'a> {
    file: &'a mut Draft,
    media: &'a MediaRecord,
    frames: u64,
    rectangles: u64,
}

impl Clip<'_> {
    fn start(&mut self, key: Key) -> Result<(), AnnotateError> {
        if self.rectangles > 0 {
            self.file.text(",\n")?;
        }
        let id = format!("r{}", self.rectangles);
        self.rectangles += 1;
        self.file.text("{\"id\":")?;
        self.file.json(&id)?;
        self.file.text(",\"type\":\"videorectangle\",\"from_name\":\"box\",\"to_name\":\"video\",\"meta\":")?;
        self.file.json(&json!({"track_id": key.track_id}))?;
        self.file.text(",\"value\":{\"sequence\":[")
    }

    fn keyframe(&mut self, sample: &Sample, enabled: bool, then: &str) -> Result<(), AnnotateError> {
        let time = self.media.rate.time_of(sample.frame).as_secs_f64();
        let place = percent(sample.bbox, self.media.width, self.media.height);
        self.file.json(&Keyframe { frame: sample.frame + 1, time, enabled, place })?;
        self.file.text(then)
    }

    fn end(&mut self, key: Key) -> Result<(), AnnotateError> {
        self.file.text("],\"labels\":")?;
        self.file.json(&[key.class.name()])?;
        let duration = self.media.rate.time_of(self.frames).as_secs_f64();
        self.file.text(&format!(",\"framesCount\":{},\"duration\":{duration}}}}}", self.frames))
    }
}
