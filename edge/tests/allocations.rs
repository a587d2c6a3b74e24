//! What a steady stream allocates: nothing, but for what searching does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use volet_edge::annotate::FrameRecord;
use volet_edge::detect::{Detect, NetworkSearch, SearchConfig, SearchError};
use volet_edge::frame::{Color, FramePool, Geometry, PixelFormat, RawFrame};
use volet_edge::models::{BBox, Detection, ObjectClass, builtin};
use volet_edge::pipeline::{PipelineConfig, Stream, run};
use volet_edge::redact::Redacted;
use volet_edge::sink::{Sink, SinkError};
use volet_edge::source::{MediaKind, Next, Rate, Source, SourceError, StreamInfo};

#[global_allocator]
static COUNTED: dhat::Alloc = dhat::Alloc;

/// Counted from here, when queues and pools are full,
const FROM: u64 = 120;
/// to here.
const UNTIL: u64 = 420;
const EVERY: u32 = 3;

struct Camera(StreamInfo, u64);

impl Camera {
    fn new(width: u32, height: u32) -> Self {
        let geometry = Geometry::new(PixelFormat::Nv12, width, height).unwrap();
        let rate = Rate { num: 15, den: 1 };
        Self(StreamInfo { kind: MediaKind::Y4m, geometry, color: Color::default(), rate, frames: None }, 0)
    }
}

impl Source for Camera {
    fn info(&self) -> &StreamInfo {
        &self.0
    }

    fn next(&mut self, pool: &FramePool) -> Result<Next, SourceError> {
        let index = self.1;
        if index > UNTIL + 20 {
            return Ok(Next::End);
        }
        self.1 += 1;
        let mut buffer = pool.take(self.0.geometry.bytes());
        for (i, sample) in buffer.as_mut_slice().iter_mut().enumerate() {
            *sample = (i / 7) as u8;
        }
        let time = self.0.rate.time_of(index);
        Ok(Next::Frame(RawFrame::new(index, time, self.0.geometry, self.0.color, buffer).unwrap()))
    }
}

/// Three people who walk; the answer is one allocation.
struct Walkers;

impl Detect for Walkers {
    fn detect(&mut self, frame: &RawFrame) -> Result<Vec<Detection>, SearchError> {
        let at = frame.index() as f32 / 2.0;
        let face = |k: f32| Detection {
            class: ObjectClass::Face,
            bbox: BBox::new(20.0 + at + 60.0 * k, 30.0, 24.0, 30.0),
            score: 0.9,
        };
        Ok((0..3).map(|k| face(k as f32)).collect())
    }
}

/// What was allocated until now: blocks ever, and bytes that are in use.
#[derive(Default)]
struct Seen {
    from: Option<(u64, usize)>,
    until: Option<(u64, usize)>,
    masks: usize,
}

impl Sink for Seen {
    fn write(&mut self, frame: &Redacted) -> Result<(), SinkError> {
        let stats = dhat::HeapStats::get();
        match frame.index() {
            FROM => self.from = Some((stats.total_blocks, stats.curr_bytes)),
            UNTIL => self.until = Some((stats.total_blocks, stats.curr_bytes)),
            _ => {}
        }
        // Behind the last search nothing is shown.
        assert!(frame.covered_because().is_none() || frame.index() > UNTIL);
        self.masks += frame.regions().len();
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<std::path::PathBuf, SinkError> {
        Ok(std::path::PathBuf::new())
    }
}

fn stream(camera: Camera, detector: Box<dyn Detect>) -> Seen {
    let config = PipelineConfig { every: EVERY, ..PipelineConfig::default() };
    let mut seen = Seen::default();
    let stream = Stream {
        source: Box::new(camera),
        sink: &mut seen,
        record: &mut |_: &FrameRecord| Ok(()),
        detectors: vec![detector],
        pool: &FramePool::new(),
        stop: &AtomicBool::new(false),
        lessons: None,
        keep: None,
    };
    run(&config, stream).unwrap();
    seen
}

// One test: the counts are the whole process's.
#[test]
fn a_steady_stream_allocates_nothing_but_what_a_search_does() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let searches = (UNTIL - FROM) / u64::from(EVERY);

    let seen = stream(Camera::new(320, 240), Box::new(Walkers));
    let ((before, _), (after, _)) = (seen.from.unwrap(), seen.until.unwrap());
    assert!(seen.masks as u64 > 2 * UNTIL, "there are people in nearly every frame: {}", seen.masks);
    println!(
        "beside the search: {} blocks in {} frames, {searches} of them the answers of searches",
        after - before,
        UNTIL - FROM
    );
    // The one more that may be under way at either end.
    assert!(after - before <= searches + 1, "{} blocks in {searches} searches", after - before);

    let model = Arc::new(builtin::default_model().unwrap());
    let search = NetworkSearch::new(model, SearchConfig::default());
    let seen = stream(Camera::new(320, 240), Box::new(search));
    let ((before, bytes_before), (after, bytes_after)) = (seen.from.unwrap(), seen.until.unwrap());
    println!(
        "with the built-in network: {:.0} blocks a search; {} bytes more in use after {} frames",
        (after - before) as f64 / searches as f64,
        bytes_after as i64 - bytes_before as i64,
        UNTIL - FROM
    );
    // A search may be under way at one end and not at the other: what it holds is less than this.
    assert!(bytes_after < bytes_before + (8 << 20), "memory grows: {bytes_before} to {bytes_after}");
}
