//! A camera's case: frames in the sensor's layout in, redacted frames out, through the whole pipeline, without a file or an encoder.
//! Used by `volet bench`, and by `cargo bench --bench camera`.
//!
//! Knows pictures that are given to it; makes none.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::Context;
use cpu_time::ProcessTime;
use volet_edge::annotate::FrameRecord;
use volet_edge::detect::{Detect, NetworkSearch, SearchConfig};
use volet_edge::frame::{Color, FramePool, Geometry, PixelFormat, RawFrame};
use volet_edge::models::Model;
use volet_edge::pipeline::{PipelineConfig, Stream, run};
use volet_edge::redact::Redacted;
use volet_edge::sink::{Sink, SinkError};
use volet_edge::source::{MediaKind, Next, Rate, Source, SourceError, StreamInfo};

/// What is streamed, and how.
#[derive(Clone)]
pub(crate) struct Case {
    /// Pictures as NV12, of this size; they are given in turn.
    pub(crate) pictures: Arc<Vec<Vec<u8>>>,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Every so many frames are searched.
    pub(crate) every: u32,
    pub(crate) frames: u64,
    /// Searches at a time.
    pub(crate) threads: usize,
}

/// What a stream took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streamed {
    /// Processor time of all threads, seconds.
    pub(crate) cpu_s: f64,
    pub(crate) wall_s: f64,
    /// Of the processor time, what searches took.
    pub(crate) search_s: f64,
    /// From the first frame's arrival to the first redacted one's departure.
    pub(crate) first_s: f64,
    /// Masks a frame.
    pub(crate) masks: f64,
}

/// Streams a case through the pipeline with this model.
///
/// # Errors
/// The pipeline does not start, or loses frames.
pub(crate) fn stream(model: &Arc<Model>, case: &Case) -> anyhow::Result<Streamed> {
    let info = StreamInfo {
        kind: MediaKind::Y4m,
        geometry: Geometry::new(PixelFormat::Nv12, case.width, case.height)?,
        color: Color::untagged(case.height),
        rate: Rate { num: 30, den: 1 },
        frames: Some(case.frames),
    };
    let source = Camera { info, pictures: Arc::clone(&case.pictures), next: 0 };
    let detectors = (0..case.threads.max(1))
        .map(|_| Box::new(NetworkSearch::new(Arc::clone(model), SearchConfig::default())) as Box<dyn Detect>)
        .collect();
    let (start, cpu) = (Instant::now(), ProcessTime::now());
    let mut nowhere = Nowhere { first: None };
    let mut masks = 0;
    let stream = Stream {
        source: Box::new(source),
        sink: &mut nowhere,
        record: &mut |record: &FrameRecord| {
            masks += record.regions.len();
            Ok(())
        },
        detectors,
        pool: &FramePool::new(),
        stop: &AtomicBool::new(false),
        lessons: None,
        keep: None,
    };
    let report = run(&PipelineConfig { every: case.every, ..PipelineConfig::default() }, stream)?;
    let (cpu_s, wall_s) = (cpu.elapsed().as_secs_f64(), start.elapsed().as_secs_f64());
    anyhow::ensure!(report.frames == case.frames, "{} of {} frames came out", report.frames, case.frames);
    let first_s = nowhere.first.context("no frame came out")?.duration_since(start).as_secs_f64();
    let masks = masks as f64 / case.frames.max(1) as f64;
    Ok(Streamed { cpu_s, wall_s, search_s: report.stages.detect / 1000.0, first_s, masks })
}

/// A picture in the layout that sensors give.
pub(crate) fn nv12(rgb: &image::RgbImage) -> Vec<u8> {
    let (w, h) = (rgb.width(), rgb.height());
    let at = |x: u32, y: u32| rgb.get_pixel(x, y).0.map(f32::from);
    let luma = (0..h).flat_map(|y| (0..w).map(move |x| (x, y))).map(|(x, y)| {
        let [r, g, b] = at(x, y);
        (16.0 + 0.183 * r + 0.614 * g + 0.062 * b) as u8
    });
    let chroma = (0..h / 2).flat_map(|y| (0..w / 2).map(move |x| (2 * x, 2 * y))).flat_map(|(x, y)| {
        let [r, g, b] = at(x, y);
        [(128.0 - 0.101 * r - 0.339 * g + 0.439 * b) as u8, (128.0 + 0.439 * r - 0.399 * g - 0.040 * b) as u8]
    });
    luma.chain(chroma).collect()
}

struct Camera {
    info: StreamInfo,
    pictures: Arc<Vec<Vec<u8>>>,
    next: u64,
}

impl Source for Camera {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    fn next(&mut self, pool: &FramePool) -> Result<Next, SourceError> {
        let index = self.next;
        let picture = self.pictures.get((index % self.pictures.len().max(1) as u64) as usize);
        let Some(picture) = picture.filter(|_| Some(index) < self.info.frames) else { return Ok(Next::End) };
        self.next += 1;
        let bytes = self.info.geometry.bytes();
        let mut buffer = pool.take(bytes);
        if picture.len() != bytes {
            return Ok(Next::End);
        }
        buffer.as_mut_slice().copy_from_slice(picture);
        RawFrame::new(index, self.info.rate.time_of(index), self.info.geometry, self.info.color, buffer)
            .map(Next::Frame)
            .map_err(|source| SourceError::Frame { path: PathBuf::from("bench"), source })
    }
}

/// Takes frames as a display or an encoder in hardware would.
struct Nowhere {
    first: Option<Instant>,
}

impl Sink for Nowhere {
    fn write(&mut self, _: &Redacted) -> Result<(), SinkError> {
        self.first.get_or_insert_with(Instant::now);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<PathBuf, SinkError> {
        Ok(PathBuf::new())
    }
}
