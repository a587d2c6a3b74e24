//! Annotations: what was found in every frame, written in the formats that labelling tools read.
//!
//! [`create`] gives one [`Writer`] for any set of [`Format`]s. Records are streamed to disk as they come, so
//! that memory does not grow with the video; a file appears under its final name when it is whole, and
//! dropping a writer instead of finishing it leaves nothing half-written.
//!
//! This module knows boxes, names and times. It may not know pixels, detectors or how frames are decoded.
//! Numbers that are not finite are never written: such a box is left out.

mod coco;
mod cvat;
mod draft;
mod labelstudio;
mod regions;
mod tracks;
mod yolo;

use std::path::{Path, PathBuf};
use std::time::Duration;

use volet_models::{BBox, ObjectClass};

pub use crate::redact::{Region, Shape};
use crate::source::{MediaKind, Rate};
pub use crate::track::Origin;

/// One thing in one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Annotated {
    /// What it is.
    pub class: ObjectClass,
    /// Where it is, in pixels of the picture and clipped to it.
    pub bbox: BBox,
    /// How sure the detector was, in `[0, 1]`.
    pub score: f32,
    /// Which track it belongs to; unique within one medium.
    pub track_id: Option<u32>,
    /// Whether it was seen here or put here.
    pub origin: Origin,
}

/// What is known of one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameRecord {
    /// Its number within the medium, from 0 and rising.
    pub index: u64,
    /// When it was taken, counted from the medium's first frame.
    pub time: Duration,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// What was found.
    pub objects: Vec<Annotated>,
    /// What was masked.
    pub regions: Vec<Region>,
    /// Why the whole frame was covered, where a stage failed.
    pub covered: Option<String>,
    /// How many of its pixels are under a mask.
    pub covered_pixels: u64,
}

/// One file of the output: a picture or a clip.
#[derive(Clone, Debug, PartialEq)]
pub struct MediaRecord {
    /// Its file name within `media/`: with an extension, without folders, and with a stem that no other
    /// medium of the run has.
    pub output_name: String,
    /// What it is.
    pub kind: MediaKind,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Frame rate; stills say 1/1.
    pub rate: Rate,
    /// How many frames there are, where it is known beforehand.
    pub frames: Option<u64>,
    /// What the input was called; only where the owner asked for it.
    pub source_name: Option<String>,
}

impl MediaRecord {
    /// The file name without its extension.
    pub fn stem(&self) -> &str {
        self.output_name.rsplit_once('.').map_or(self.output_name.as_str(), |(stem, _)| stem)
    }

    /// What a picture of it is called, without extension: a still's stem, or `STEM/STEM_000042` for a
    /// clip's frame, as `ffmpeg -i STEM.mp4 -start_number 0 STEM/STEM_%06d.jpg` would name it.
    pub(crate) fn frame_stem(&self, index: u64) -> String {
        let stem = self.stem();
        if self.kind.is_still() { stem.to_owned() } else { format!("{stem}/{stem}_{index:06}") }
    }

    /// The same with its extension; extracted frames are taken to be JPEG.
    pub(crate) fn frame_name(&self, index: u64) -> String {
        if self.kind.is_still() { self.output_name.clone() } else { format!("{}.jpg", self.frame_stem(index)) }
    }

    fn check(&self) -> Result<(), AnnotateError> {
        let name = &self.output_name;
        let plain = !name.contains(['/', '\\', '\0']) && !name.starts_with('.');
        let whole = name.rsplit_once('.').is_some_and(|(stem, extension)| !stem.is_empty() && !extension.is_empty());
        if plain && whole { Ok(()) } else { Err(AnnotateError::Name { name: name.clone() }) }
    }
}

/// Writes annotations. For every medium: [`begin_media`](Self::begin_media), its frames in order, and
/// [`end_media`](Self::end_media) or [`discard_media`](Self::discard_media).
pub trait Writer: Send {
    /// Starts a medium.
    ///
    /// # Errors
    /// The disk refused, the name is unfit, or another medium is still open.
    fn begin_media(&mut self, media: &MediaRecord) -> Result<(), AnnotateError>;

    /// Adds a frame of the open medium; indices rise.
    ///
    /// # Errors
    /// The disk refused, or no medium is open.
    fn frame(&mut self, frame: &FrameRecord) -> Result<(), AnnotateError>;

    /// Completes the open medium.
    ///
    /// # Errors
    /// The disk refused, or no medium is open.
    fn end_media(&mut self) -> Result<(), AnnotateError>;

    /// Forgets the open medium, as if it had never begun: its output was thrown away.
    ///
    /// # Errors
    /// The disk refused, or no medium is open.
    fn discard_media(&mut self) -> Result<(), AnnotateError>;

    /// Completes the files and gives them their final names, which it returns. A medium that is still
    /// open is forgotten. Dropping a writer instead removes what is not yet whole.
    ///
    /// # Errors
    /// The disk refused.
    fn finish(self: Box<Self>) -> Result<Vec<PathBuf>, AnnotateError>;
}

/// A format that annotations are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `coco.json`: COCO detection with the video fields of COCO-VID (`videos`, `video_id`, `track_id`).
    Coco,
    /// `yolo/`: `data.yaml` and one text file per picture with objects.
    Yolo,
    /// `cvat/`: CVAT for images 1.1 (`images.xml`) and CVAT for video 1.1 (one file per clip).
    Cvat,
    /// `labelstudio.json` (stills) and `labelstudio-video.json` (clips): tasks with predictions.
    LabelStudio,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Coco, Self::Yolo, Self::Cvat, Self::LabelStudio];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Coco => "coco",
            Self::Yolo => "yolo",
            Self::Cvat => "cvat",
            Self::LabelStudio => "labelstudio",
        }
    }
}

impl std::str::FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|f| f.name() == s).ok_or_else(|| UnknownFormat(s.to_owned()))
    }
}

/// An annotation format that Volet does not write.
#[derive(Debug, thiserror::Error)]
#[error("unknown annotation format {0:?}; known are coco, yolo, cvat, labelstudio")]
pub struct UnknownFormat(String);

/// Why annotations could not be written. Every message names the file and a remedy.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum AnnotateError {
    #[error("cannot write annotations to {path:?}: {source}; check that the disk has room and is writable")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{name:?} cannot be annotated: an output name needs a stem and an extension and has no folders")]
    Name { name: String },
    #[error("two outputs are called {path:?}; output names must differ in more than their extension")]
    Twice { path: PathBuf },
    #[error("annotations came out of order: {0}; this is a fault of the program, please report it")]
    Order(&'static str),
}

/// Opens writers for `formats` in the folder `annotations` (made where absent) and, where `regions` is
/// given, one for that file: what was masked, as a JSON list of
/// `{"image_id": frame index + 1, "bbox": [x, y, w, h], "shape": "rect" | "ellipse"}`. Over several media
/// `image_id` runs on, and is that of `coco.json`.
///
/// # Errors
/// The folder or a file in it cannot be made.
pub fn create(
    annotations: &Path,
    formats: &[Format],
    regions: Option<&Path>,
) -> Result<Box<dyn Writer>, AnnotateError> {
    draft::make_dir(annotations)?;
    let mut writers: Vec<Box<dyn Writer>> = Vec::new();
    for format in formats {
        writers.push(match format {
            Format::Coco => Box::new(coco::Coco::create(annotations)?),
            Format::Yolo => Box::new(yolo::Yolo::create(annotations)?),
            Format::Cvat => Box::new(cvat::Cvat::create(annotations)?),
            Format::LabelStudio => Box::new(labelstudio::LabelStudio::create(annotations)?),
        });
    }
    if let Some(path) = regions {
        writers.push(Box::new(regions::Regions::create(path)?));
    }
    Ok(Box::new(All(writers)))
}

/// Hands every record to several writers.
struct All(Vec<Box<dyn Writer>>);

impl Writer for All {
    fn begin_media(&mut self, media: &MediaRecord) -> Result<(), AnnotateError> {
        media.check()?;
        self.0.iter_mut().try_for_each(|w| w.begin_media(media))
    }

    fn frame(&mut self, frame: &FrameRecord) -> Result<(), AnnotateError> {
        self.0.iter_mut().try_for_each(|w| w.frame(frame))
    }

    fn end_media(&mut self) -> Result<(), AnnotateError> {
        self.0.iter_mut().try_for_each(|w| w.end_media())
    }

    fn discard_media(&mut self) -> Result<(), AnnotateError> {
        self.0.iter_mut().try_for_each(|w| w.discard_media())
    }

    fn finish(self: Box<Self>) -> Result<Vec<PathBuf>, AnnotateError> {
        let mut paths = Vec::new();
        for writer in self.0 {
            paths.extend(writer.finish()?);
        }
        Ok(paths)
    }
}

/// The objects of a frame that can be written: finite and with some area inside the picture.
fn writable(frame: &FrameRecord) -> impl Iterator<Item = Annotated> + '_ {
    frame.objects.iter().filter_map(|object| {
        // The check comes first: clipping would turn a NaN edge into the picture's.
        let bbox = object.bbox.is_valid().then(|| object.bbox.clipped(frame.width, frame.height)).flatten()?;
        let score = if object.score.is_finite() { object.score.clamp(0.0, 1.0) } else { 0.0 };
        Some(Annotated { bbox, score, ..*object })
    })
}

/// A number with at most three digits after the point, so that files stay small and readable.
fn rounded(value: f32) -> f64 {
    (f64::from(value) * 1000.0).round() / 1000.0
}

/// Gives every frame of a run its id: from 1, rising over all media, `frame index + 1` in the first.
#[derive(Debug, Default)]
struct ImageIds {
    before: u64,
    in_media: u64,
}

impl ImageIds {
    fn id(&mut self, index: u64) -> u64 {
        self.in_media = self.in_media.max(index + 1);
        self.before + index + 1
    }

    fn end_media(&mut self) {
        self.before += self.in_media;
        self.in_media = 0;
    }

    fn discard_media(&mut self) {
        self.in_media = 0;
    }
}

#[cfg(test)]
mod tests;
