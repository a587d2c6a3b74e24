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

/// Counted from here, when nearly all queues and pools have been filled once.
const FROM: u64 = 120;
const EVERY: u32 = 3;

/// A camera's stream.
struct Camera {
    info: StreamInfo,
    next: u64,
    /// Counted to here.
    until: u64,
}

impl Camera {
    const MORE: u64 = 20;

    fn new(width: u32, height: u32, until: u64) -> Self {
        let geometry = Geometry::new(PixelFormat::Nv12, width, height).unwrap();
        let rate = Rate { num: 15, den: 1 };
        let info = StreamInfo { kind: MediaKind::Y4m, geometry, color: Color::default(), rate, frames: None };
        Self { info, next: 0, until }
    }
}

impl Source for Camera {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    fn next(&mut self, pool: &FramePool) -> Result<Next, SourceError> {
        let (index, info) = (self.next, &self.info);
        if index > self.until + Self::MORE {
            return Ok(Next::End);
        }
        self.next += 1;
        let mut buffer = pool.take(info.geometry.bytes());
        for (i, sample) in buffer.as_mut_slice().iter_mut().enumerate() {
            *sample = (i / 7) as u8;
        }
        let time = info.rate.time_of(index);
        Ok(Next::Frame(RawFrame::new(index, time, info.geometry, info.color, buffer).unwrap()))
    }
}

/// Three people who walk to and fro. The answers are allocated beforehand: how far searches run ahead of what is counted is the scheduler's.
struct Walkers(Vec<Vec<Detection>>);

impl Walkers {
    const PEOPLE: usize = 3;

    fn new(until: u64) -> Self {
        Self((0..=(until + Camera::MORE) / u64::from(EVERY)).map(|_| Vec::with_capacity(Self::PEOPLE)).collect())
    }
}

impl Detect for Walkers {
    fn detect(&mut self, frame: &RawFrame) -> Result<Vec<Detection>, SearchError> {
        let at = (frame.index() % 400).abs_diff(200) as f32 / 2.0;
        let face = |k: f32| Detection {
            class: ObjectClass::Face,
            bbox: BBox::new(20.0 + at + 60.0 * k, 30.0, 24.0, 30.0),
            score: 0.9,
        };
        let mut answer = self.0.pop().expect("one for each search");
        answer.extend((0..Self::PEOPLE).map(|k| face(k as f32)));
        Ok(answer)
    }
}

/// What was allocated until now: blocks ever, and bytes that are in use.
struct Seen {
    until: u64,
    before: Option<(u64, usize)>,
    after: Option<(u64, usize)>,
    masks: usize,
}

impl Seen {
    /// How many blocks were allocated, and how many bytes more are in use at the end.
    fn between(&self) -> (u64, i64) {
        let ((before, held), (after, holds)) = (self.before.unwrap(), self.after.unwrap());
        (after - before, holds as i64 - held as i64)
    }
}

impl Sink for Seen {
    fn write(&mut self, frame: &Redacted) -> Result<(), SinkError> {
        let stats = dhat::HeapStats::get();
        let now = Some((stats.total_blocks, stats.curr_bytes));
        match frame.index() {
            FROM => self.before = now,
            index if index == self.until => self.after = now,
            _ => {}
        }
        // Behind the last search nothing is shown.
        assert!(frame.covered_because().is_none() || frame.index() > self.until);
        self.masks += frame.regions().len();
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<std::path::PathBuf, SinkError> {
        Ok(std::path::PathBuf::new())
    }
}

fn stream(camera: Camera, detector: Box<dyn Detect>) -> Seen {
    let config = PipelineConfig { every: EVERY, ..PipelineConfig::default() };
    let mut seen = Seen { until: camera.until, before: None, after: None, masks: 0 };
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

    // A queue that fills for the first time takes a buffer that is then used again, and which is when lies with the scheduler. There are
    // fewer of those than this, however long the stream; a block for each search would be a thousand.
    const ONCE: u64 = 10;
    let until = FROM + 1000 * u64::from(EVERY);
    let seen = stream(Camera::new(320, 240, until), Box::new(Walkers::new(until)));
    assert!(seen.masks as u64 > 2 * until, "there are people in nearly every frame: {}", seen.masks);
    let (blocks, _) = seen.between();
    println!("beside what searches take: {blocks} blocks in {} frames", until - FROM);
    assert!(blocks <= ONCE, "{blocks} blocks in {} frames, beside what searches take", until - FROM);

    let (searches, model) = (100, Arc::new(builtin::default_model().unwrap()));
    let until = FROM + searches * u64::from(EVERY);
    let search = NetworkSearch::new(model, SearchConfig::default());
    let (blocks, bytes) = stream(Camera::new(320, 240, until), Box::new(search)).between();
    println!(
        "with the built-in network: {:.0} blocks a search; {bytes} bytes more in use after {} frames",
        blocks as f64 / searches as f64,
        until - FROM
    );
    // A search may be under way at one end and not at the other: what it holds is less than this.
    assert!(bytes < 8 << 20, "memory grows by {bytes} bytes");
}
