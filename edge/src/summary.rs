//! What a run did, in numbers: the contents of `summary.json` and of the report page.
//!
//! Knows no pixels and no files; whoever runs the pipeline fills it in. Times are milliseconds where the
//! field's name ends in `_ms` and seconds where it ends in `_s`; rates are shares in `[0, 1]`.

use serde::Serialize;
use std::collections::BTreeMap;

use crate::source::MediaKind;

/// One run of `volet redact`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Volet's version.
    pub version: String,
    /// What was asked for.
    pub settings: Settings,
    /// Which detector was used.
    pub model: ModelSummary,
    /// Every medium, in the order of the input, failed ones included.
    pub media: Vec<MediaSummary>,
    /// Sums over all media.
    pub totals: Totals,
    /// Where the time went, over all threads.
    pub stages_ms: Stages,
    /// From start to end, seconds.
    pub wall_s: f64,
    /// Frames written per second of `wall_s`.
    pub frames_per_second: f64,
    /// Processor time of the whole process, seconds, where the system tells.
    pub cpu_s: Option<f64>,
    /// Raw film that was kept, where the owner asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<KeptFilm>,
    /// What was written to the disk, of a camera that goes on from segment to segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wear: Option<Wear>,
    /// Everything that went wrong; empty after a clean run.
    pub errors: Vec<ErrorSummary>,
}

/// How much raw film was kept, sealed for its owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeptFilm {
    /// Clips that were begun.
    pub clips: u64,
    /// Frames in them.
    pub frames: u64,
    /// Frames that were not kept: the disk, or the processor, did not keep up.
    pub left_out: u64,
}

/// Bytes that a camera wrote to its disk: what flash wears out by. They are the lengths of files; what a file system adds is not in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Wear {
    /// In the present day: 24 hours of running, whatever the clock says.
    pub today: u64,
    /// In the day before; nothing in the first.
    pub yesterday: u64,
    /// Since the folder was begun.
    pub ever: u64,
}

/// The settings that shape the result.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Settings {
    /// How regions are destroyed: `solid`, `mosaic` or `blur`.
    pub style: String,
    /// The outline of masks: `ellipse` or `rect`.
    pub shape: String,
    /// A mask's side over its box's side.
    pub mask_scale: f32,
    /// The smallest score that counts, in `[0, 1]`.
    pub min_score: f32,
    /// The classes that are covered.
    pub classes: Vec<String>,
    /// Frames that a face is carried through misses.
    pub hold_frames: u32,
    /// Frames before its first detection that a face is covered.
    pub backfill_frames: u32,
    /// Whether whatever moves is covered too.
    pub paranoid: bool,
    /// How many fixed zones are always covered.
    pub zones: usize,
    /// Whether the owner asked for the names of the inputs in the output.
    pub keep_names: bool,
}

/// Which detector was used.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ModelSummary {
    /// The manifest's name.
    pub name: String,
    /// BLAKE3 of the ONNX file, 64 hexadecimal digits.
    pub blake3: String,
    /// The manifest's word for how good it is (`preview`, `stable`).
    pub quality: String,
}

/// One input and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MediaSummary {
    /// Its place in the input, from 1.
    pub ordinal: u64,
    /// The file within `media/`; `None` where nothing was written.
    pub output: Option<String>,
    /// What the input was called; only where the owner asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_name: Option<String>,
    /// What it is.
    pub kind: MediaKind,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Frames per second; 1 for stills.
    pub fps: f64,
    /// The counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// Why it failed, and what to do.
    pub error: Option<String>,
}

/// What was found and covered.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Counts {
    /// Frames written.
    pub frames: u64,
    /// Face tracks; in stills, faces.
    pub face_tracks: u64,
    /// Face boxes over all frames.
    pub face_boxes: u64,
    /// Person tracks; in stills, persons.
    pub person_tracks: u64,
    /// Person boxes over all frames.
    pub person_boxes: u64,
    /// Frames that were covered wholly because a stage failed.
    pub covered_frames: u64,
    /// Why, and how often each.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub covered_reasons: BTreeMap<String, u64>,
    /// Pixels written.
    pub pixels: u64,
    /// Pixels under a mask.
    pub covered_pixels: u64,
}

impl Counts {
    /// How many different reasons are told apart before the rest is counted as "other".
    pub const MAX_REASONS: usize = 32;

    /// The cover rate: the share of all written pixels that are under a mask.
    pub fn cover_rate(&self) -> f64 {
        if self.pixels == 0 { 0.0 } else { self.covered_pixels as f64 / self.pixels as f64 }
    }

    /// Adds one wholly covered frame.
    pub fn cover(&mut self, reason: &str, times: u64) {
        self.covered_frames += times;
        let known = self.covered_reasons.contains_key(reason) || self.covered_reasons.len() < Self::MAX_REASONS;
        *self.covered_reasons.entry(if known { reason } else { "other" }.to_owned()).or_default() += times;
    }

    /// Adds the counts of another medium.
    pub fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.face_tracks += other.face_tracks;
        self.face_boxes += other.face_boxes;
        self.person_tracks += other.person_tracks;
        self.person_boxes += other.person_boxes;
        self.pixels += other.pixels;
        self.covered_pixels += other.covered_pixels;
        for (reason, times) in &other.covered_reasons {
            self.cover(reason, *times);
        }
    }
}

/// Sums over all media.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Media written whole.
    pub media: u64,
    /// Inputs that failed.
    pub failed: u64,
    /// The sums of the media's counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// Covered pixels over written pixels, in `[0, 1]`.
    pub cover_rate: f64,
}

/// Milliseconds spent in each stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Stages {
    /// Reading and decoding.
    pub read: f64,
    /// Preparing the network's input, inference, decoding boxes.
    pub detect: f64,
    /// Tracking.
    pub track: f64,
    /// Masking.
    pub redact: f64,
    /// Encoding and writing.
    pub write: f64,
}

impl Stages {
    /// The stages by name, in their order.
    pub fn each(&self) -> [(&'static str, f64); 5] {
        [
            ("read", self.read),
            ("detect", self.detect),
            ("track", self.track),
            ("redact", self.redact),
            ("write", self.write),
        ]
    }
}

/// One thing that went wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorSummary {
    /// Which input: its name where the owner asked for names, else `input 3`.
    pub input: String,
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl Summary {
    /// Fills in what follows from the rest: the totals and the rate of frames.
    pub fn total(&mut self) {
        self.totals = Totals::default();
        for media in &self.media {
            if media.error.is_some() {
                self.totals.failed += 1;
            }
            if media.output.is_some() {
                self.totals.media += 1;
                self.totals.counts.add(&media.counts);
            }
        }
        self.totals.cover_rate = self.totals.counts.cover_rate();
        self.frames_per_second = if self.wall_s > 0.0 { self.totals.counts.frames as f64 / self.wall_s } else { 0.0 };
    }
}
