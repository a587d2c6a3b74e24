//! The boundary between two segments, and between two streams over one source, with a camera and a detector that are planted.

use std::time::Duration;

use super::lent::Held;
use super::*;
use crate::annotate::Format;
use crate::detect::{Detect, SearchError};
use crate::frame::{Color, FrameBuffer, FramePool, Geometry, PixelFormat, RawFrame};
use crate::pipeline::{Joint, PipelineConfig, Stream, run_joined};
use crate::sink::SinkOptions;
use crate::source::{MediaKind, Next, Rate, Source, SourceError, StreamInfo};
use crate::summary::Summary;
use crate::track::TrackerConfig;
use volet_models::{BBox, Detection, ObjectClass};

/// Every raw sample has this value.
const RAW: u8 = 200;
const SIDE: usize = 64;
/// In the middle of the face.
const FACE: usize = 30 * SIDE + 30;

fn info() -> StreamInfo {
    let geometry = Geometry::new(PixelFormat::Grey8, SIDE as u32, SIDE as u32).unwrap();
    let rate = Rate { num: 10, den: 1 };
    StreamInfo { kind: MediaKind::Y4m, geometry, color: Color::JPEG, rate, frames: None }
}

struct Camera(StreamInfo, std::ops::Range<u64>);

impl Source for Camera {
    fn info(&self) -> &StreamInfo {
        &self.0
    }

    fn next(&mut self, pool: &FramePool) -> Result<Next, SourceError> {
        let Some(index) = self.1.next() else { return Ok(Next::End) };
        let mut buffer: FrameBuffer = pool.take(self.0.geometry.bytes());
        buffer.as_mut_slice().fill(RAW);
        let time = self.0.rate.time_of(index);
        Ok(Next::Frame(RawFrame::new(index, time, self.0.geometry, self.0.color, buffer).unwrap()))
    }
}

/// Sees the face well until a frame, and after that so weakly that it continues a track and begins none.
struct Weakening(u64);

impl Detect for Weakening {
    fn detect(&mut self, frame: &RawFrame) -> Result<Vec<Detection>, SearchError> {
        let score = if frame.index() < self.0 { 0.9 } else { 0.2 };
        Ok(vec![Detection { class: ObjectClass::Face, bbox: BBox::new(22.0, 22.0, 16.0, 16.0), score }])
    }
}

struct Place {
    folder: tempfile::TempDir,
    segments: Shared,
    turn: Arc<AtomicBool>,
    config: PipelineConfig,
}

impl Place {
    fn new(seconds: u64, per_day: Option<u64>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits { bytes: 1 << 30, days: 0 };
        let length = Duration::from_secs(seconds);
        let options =
            SegmentOptions { length, limits, per_day, sink: SinkOptions::default(), formats: vec![Format::Coco] };
        let storage = DirStorage::open(&folder.path().join(JOURNAL)).unwrap();
        let (shelf, _) = Shelf::open(folder.path(), limits).unwrap();
        let turn = Arc::new(AtomicBool::new(false));
        let journal = Journal::start(storage, |_| false);
        let segments = Segments::new(options, shelf, journal, None, Arc::default(), turn.clone());
        let tracker = TrackerConfig { birth_score: 0.5, sure_score: 0.6, ..TrackerConfig::default() };
        let config = PipelineConfig { tracker, ..PipelineConfig::default() };
        Self { folder, segments: Shared::new(segments), turn, config }
    }

    /// Runs a stream over what is left of a source, with another to follow after so many frames were written.
    fn stream(&self, held: &Held, after: bool, turn_at: u64, cover: Option<&str>) {
        self.turn.store(false, Ordering::Release);
        self.segments.lock().begin_stream(held.info().clone(), Summary::default());
        let joint = Arc::new(Joint::new(Arc::default(), after));
        let source = held.lend(self.turn.clone(), joint.clone(), cover.map(str::to_owned));
        let (mut sink, turn) = (self.segments.clone(), self.turn.clone());
        let mut record = |frame: &crate::annotate::FrameRecord| {
            self.segments.record(frame);
            if frame.index == turn_at {
                turn.store(true, Ordering::Release);
            }
            Ok(())
        };
        let (pool, stop) = (&FramePool::new(), &AtomicBool::new(false));
        let detectors: Vec<Box<dyn Detect>> = vec![Box::new(Weakening(15))];
        let (lessons, keep) = (None, None);
        let stream = Stream { source, sink: &mut sink, record: &mut record, detectors, pool, stop, lessons, keep };
        run_joined(&self.config, stream, &joint).unwrap();
        self.segments.lock().end_stream(true);
    }

    /// Of each segment: for each frame whether the face is covered, and whether all is.
    fn seen(&self) -> Vec<Vec<(bool, bool)>> {
        let mut names: Vec<_> = std::fs::read_dir(self.folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
        names.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with('0'));
        names.sort();
        names.iter().map(|name| frames(&std::fs::read(name.join("media/000001.y4m")).unwrap())).collect()
    }
}

fn frames(film: &[u8]) -> Vec<(bool, bool)> {
    let header = film.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let (frames, rest) = film[header..].as_chunks::<{ 6 + SIDE * SIDE }>();
    assert!(rest.is_empty());
    frames.iter().map(|frame| (frame[6 + FACE] != RAW, !frame[6..].contains(&RAW))).collect()
}

#[test]
fn a_face_that_is_seen_weakly_after_the_boundary_stays_covered_and_no_frame_is_lost() {
    let place = Place::new(2, None);
    place.stream(&Held::new(Box::new(Camera(info(), 0..55))), false, u64::MAX, None);
    let seen = place.seen();
    assert_eq!(seen.iter().map(Vec::len).collect::<Vec<_>>(), [20, 20, 15]);
    assert!(seen.concat().iter().all(|(face, all)| *face && !all));
    // What begins there knows nothing of the face: it is the tracker that went on.
    let control = Place::new(2, None);
    control.stream(&Held::new(Box::new(Camera(info(), 20..55))), false, u64::MAX, None);
    assert!(control.seen().concat().iter().all(|(face, _)| !face));
}

#[test]
fn frames_beside_the_joint_of_two_streams_are_covered_wholly() {
    let place = Place::new(60, None);
    let held = Held::new(Box::new(Camera(info(), 0..80)));
    place.stream(&held, false, 5, None);
    assert!(!held.is_over());
    place.stream(&held, true, u64::MAX, None);
    assert!(held.is_over());
    let [before, after] = &place.seen()[..] else { panic!("two segments") };
    assert_eq!(before.len() + after.len(), 80, "no frame is lost");
    let TrackerConfig { delay, hold, .. } = place.config.tracker;
    let (last, first) = (before.iter().rev().take(delay as usize), after.iter().take(hold as usize));
    assert!(last.chain(first).all(|(_, all)| *all));
    assert!(!before[0].1 && !after[hold as usize].1, "and the others are not");
}

#[test]
fn covered_streams_show_nothing_until_a_segment_is_whole() {
    let place = Place::new(2, None);
    let held = Held::new(Box::new(Camera(info(), 0..90)));
    place.segments.lock().cover("planned".to_owned());
    place.stream(&held, false, u64::MAX, Some("planned"));
    assert_eq!(place.segments.lock().covered(), None);
    assert!(!held.is_over() && place.turn.load(Ordering::Acquire), "another stream goes on with the camera");
    let covered: Vec<_> = place.seen().concat();
    assert!(covered.len() >= 20 && covered.iter().all(|(_, all)| *all));
    place.stream(&held, true, u64::MAX, None);
    assert_eq!(place.seen().concat().len(), 90);
}

#[test]
fn no_more_is_written_than_a_day_may_have() {
    const DAY: u64 = 2 << 20;
    let place = Place::new(1, Some(DAY));
    place.stream(&Held::new(Box::new(Camera(info(), 0..1000))), false, u64::MAX, None);
    let (segments, status) = (place.seen().len(), place.segments.lock().status());
    assert!((5..90).contains(&segments), "{segments}: {status}");
    assert!(status.contains("nothing is written: as much was written in this day as may be"), "{status}");
    assert!(shelf::length(place.folder.path()) <= DAY);
}
