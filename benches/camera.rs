//! A camera's case: NV12 frames in, NV12 frames out, through the whole pipeline with the built-in detector (or the
//! manifest in `VOLET_MODEL`). Prints frames per second of processor time, and for comparison the detector alone.
//!
//! `cargo bench --bench camera`. Frames are synthetic people, made before the clock starts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use volet_edge::annotate::FrameRecord;
use volet_edge::detect::{Detect, NetworkSearch, SearchConfig};
use volet_edge::frame::{Color, FramePool, Geometry, PixelFormat, RawFrame};
use volet_edge::models::{Model, builtin};
use volet_edge::pipeline::{PipelineConfig, Stream, run};
use volet_edge::redact::Redacted;
use volet_edge::sink::{Sink, SinkError};
use volet_edge::source::{MediaKind, Next, Rate, Source, SourceError, StreamInfo};

const FRAMES: u64 = 150;
/// Distinct pictures; they are given in turn.
const PICTURES: u32 = 8;

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
        if index == FRAMES {
            return Ok(Next::End);
        }
        self.next += 1;
        let mut buffer = pool.take(self.info.geometry.bytes());
        buffer.as_mut_slice().copy_from_slice(&self.pictures[(index % u64::from(PICTURES)) as usize]);
        RawFrame::new(index, self.info.rate.time_of(index), self.info.geometry, self.info.color, buffer)
            .map(Next::Frame)
            .map_err(|source| SourceError::Frame { path: PathBuf::from("bench"), source })
    }
}

/// Takes frames as a display or an encoder in hardware would.
struct Nowhere(u64);

impl Sink for Nowhere {
    fn write(&mut self, frame: &Redacted) -> Result<(), SinkError> {
        self.0 += frame.samples().len() as u64;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<PathBuf, SinkError> {
        Ok(PathBuf::new())
    }
}

fn nv12(rgb: &image::RgbImage) -> Vec<u8> {
    let (w, h) = (rgb.width() as usize, rgb.height() as usize);
    let at = |x: usize, y: usize| rgb.get_pixel(x as u32, y as u32).0.map(f32::from);
    let mut out = Vec::with_capacity(w * h * 3 / 2);
    for (y, x) in (0..h).flat_map(|y| (0..w).map(move |x| (y, x))) {
        let [r, g, b] = at(x, y);
        out.push((16.0 + 0.183 * r + 0.614 * g + 0.062 * b) as u8);
    }
    for (y, x) in (0..h / 2).flat_map(|y| (0..w / 2).map(move |x| (2 * y, 2 * x))) {
        let [r, g, b] = at(x, y);
        out.push((128.0 - 0.101 * r - 0.339 * g + 0.439 * b) as u8);
        out.push((128.0 + 0.439 * r - 0.399 * g - 0.040 * b) as u8);
    }
    out
}

fn cpu() -> Duration {
    cpu_time::ProcessTime::now().as_duration()
}

fn main() {
    let model = match std::env::var_os("VOLET_MODEL") {
        Some(path) => Model::open(path.as_ref()).expect("VOLET_MODEL is a manifest"),
        None => builtin::default_model().expect("the built-in detector is whole"),
    };
    let model = Arc::new(model);
    println!("model {}", model.manifest().name);
    println!("size       every  frames/cpu-s  ms/frame  of which search");
    for (width, height) in [(1280, 720), (1920, 1080)] {
        let clip = volet_synthetic::Clip::new(3, width, height, 15, PICTURES);
        let pictures = Arc::new((0..PICTURES).map(|i| nv12(&clip.frame(i).image)).collect::<Vec<_>>());
        let info = StreamInfo {
            kind: MediaKind::Y4m,
            geometry: Geometry::new(PixelFormat::Nv12, width, height).expect("a size"),
            color: Color::untagged(height),
            rate: Rate { num: 30, den: 1 },
            frames: Some(FRAMES),
        };
        for every in [1, 2, 3] {
            let config = PipelineConfig { every, ..PipelineConfig::default() };
            let mut runs: Vec<(f64, f64)> = (0..4)
                .map(|_| {
                    let search = NetworkSearch::new(Arc::clone(&model), SearchConfig::default());
                    let source = Camera { info: info.clone(), pictures: Arc::clone(&pictures), next: 0 };
                    let stream = Stream {
                        source: Box::new(source),
                        sink: &mut Nowhere(0),
                        record: &mut |_: &FrameRecord| Ok(()),
                        detectors: vec![Box::new(search) as Box<dyn Detect>],
                        pool: &FramePool::new(),
                        stop: &AtomicBool::new(false),
                        lessons: None,
                        keep: None,
                    };
                    let start = cpu();
                    let report = run(&config, stream).expect("a run");
                    ((cpu() - start).as_secs_f64(), report.stages.detect / 1000.0)
                })
                .skip(1)
                .collect();
            runs.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (spent, searching) = runs[runs.len() / 2];
            let n = FRAMES as f64;
            println!(
                "{width}x{height:<5} {every:>5}  {:>12.1}  {:>8.2}  {:>8.2}",
                n / spent,
                1000.0 * spent / n,
                1000.0 * searching / n
            );
        }
    }
}
