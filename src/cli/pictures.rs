//! What can be typed about pictures and films: redacted, searched, scored, made up; and the detectors for it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use volet_edge::annotate::Format;
use volet_edge::models::ObjectClass;

use super::{SearchArgs, rate, serde_word, share, size, zone};

#[derive(Debug, Args)]
pub(crate) struct RedactArgs {
    /// Files, folders, /dev/videoN, rtsp:// addresses.
    #[arg(required = true, value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,
    /// A new or empty folder for the result.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) search: SearchArgs,
    /// Settings as a TOML file; flags go before it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What to put over a face: solid, mosaic, blur.
    #[arg(long, value_parser = serde_word::<volet_edge::redact::Style>)]
    pub(crate) style: Option<volet_edge::redact::Style>,
    /// The outline of a mask: ellipse, rect.
    #[arg(long, value_parser = serde_word::<volet_edge::redact::Shape>)]
    pub(crate) shape: Option<volet_edge::redact::Shape>,
    /// How much larger than the found box a mask is.
    #[arg(long, value_name = "FACTOR")]
    pub(crate) scale: Option<f32>,
    /// Classes to cover, separated by commas: face, person, vehicle, animal, parcel, plate.
    #[arg(long, value_delimiter = ',', value_name = "CLASS")]
    pub(crate) cover: Vec<ObjectClass>,
    /// A zone that is always covered: left,top,width,height as shares (0 to 1) of the frame. May be repeated.
    #[arg(long = "zone", value_parser = zone, value_name = "X,Y,W,H")]
    pub(crate) zones: Vec<[f32; 4]>,
    /// Also cover whatever moves and is not known to be harmless (fixed cameras).
    #[arg(long)]
    pub(crate) paranoid: bool,
    /// Search every K-th frame; the tracker fills in between.
    #[arg(long, value_name = "K")]
    pub(crate) every: Option<u32>,
    /// Cover a frame whose search takes longer than this many milliseconds.
    #[arg(long, value_name = "MS")]
    pub(crate) deadline_ms: Option<u64>,
    /// Annotation formats, separated by commas: coco, yolo, cvat, labelstudio.
    #[arg(long, value_delimiter = ',', value_name = "FORMAT")]
    pub(crate) formats: Vec<Format>,
    /// Also write what was covered to this file (JSON: image_id, bbox, shape).
    #[arg(long, value_name = "FILE")]
    pub(crate) regions: Option<PathBuf>,
    /// Name outputs after their inputs; else they are numbered.
    #[arg(long)]
    pub(crate) keep_names: bool,
    /// Searches at a time; all cores where not given.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Stop each stream after N frames.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) frames: u64,
    /// Do not let the `ffmpeg` program decode what is not understood otherwise.
    #[arg(long)]
    pub(crate) no_ffmpeg: bool,
    /// Print the summary as JSON on standard output, and no progress.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DetectArgs {
    /// COCO file that lists the pictures.
    #[arg(long, value_name = "GT.json")]
    pub(crate) coco: PathBuf,
    /// Folder of the pictures.
    #[arg(long, value_name = "DIR")]
    pub(crate) images: PathBuf,
    /// Where to write the results.
    #[arg(long, value_name = "RESULTS.json")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) search: SearchArgs,
    /// Searches at a time; all cores where not given.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct ScoreArgs {
    /// COCO file with the truth.
    #[arg(long, value_name = "GT.json")]
    pub(crate) coco: PathBuf,
    /// COCO results, as `volet detect` writes them.
    #[arg(long, value_name = "RESULTS.json")]
    pub(crate) results: PathBuf,
    /// The class to score.
    #[arg(long, default_value = "face", value_name = "CLASS")]
    pub(crate) class: ObjectClass,
    /// Least overlap (IoU) of a find with its truth.
    #[arg(long, default_value_t = 0.3, value_parser = share, value_name = "IOU")]
    pub(crate) iou: f32,
    /// False positives per picture at which recall is told.
    #[arg(long, default_value_t = 1.0, value_parser = rate, value_name = "RATE")]
    pub(crate) fppi: f32,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SynthArgs {
    /// How many stills.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=100_000_000), value_name = "N")]
    pub(crate) scenes: u64,
    /// How many clips.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=100_000), value_name = "N")]
    pub(crate) clips: u64,
    /// The same seed gives the same pictures.
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub(crate) seed: u64,
    /// A new or empty folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Folder of the CC0 human mesh (docs/detector.md tells where to get it); without it all bodies are made by code.
    #[arg(long, value_name = "DIR")]
    pub(crate) bodies: Option<PathBuf>,
    /// Width and height, pixels.
    #[arg(long, default_value = "640x384", value_parser = size, value_name = "WxH")]
    pub(crate) size: (u32, u32),
    /// Frames of each clip, at 15 a second.
    #[arg(long, default_value_t = 150, value_name = "N")]
    pub(crate) clip_frames: u32,
    /// Pictures as JPEG (quality 95) instead of PNG: a fifth of the size, not the exact pixels.
    #[arg(long)]
    pub(crate) jpeg: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    pub(crate) command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List built-in detectors and those in a folder.
    List {
        /// Folder with manifests.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check that detectors are what their manifests say and that they run.
    Verify {
        /// Manifests; the built-in detectors where none is given.
        #[arg(value_name = "MANIFEST")]
        manifests: Vec<PathBuf>,
    },
    /// Write a manifest for an ONNX file, beside it.
    Add {
        /// The ONNX file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// A manifest of the same kind of network to start from, or one of: yunet, centerface, ultra-light, scrfd,
        /// volet.
        #[arg(long, value_name = "MANIFEST|KIND")]
        like: String,
        /// The model's name; the file's where not given.
        #[arg(long)]
        name: Option<String>,
        /// SPDX expression of the weights' licence.
        #[arg(long)]
        licence: Option<String>,
    },
}
