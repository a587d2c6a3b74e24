//! Fault injection: every stage fails in turn, and no frame may come out that was not searched.

use std::sync::Mutex;

use super::*;
use crate::detect::SearchError;
use crate::frame::{FrameBuffer, PixelFormat};
use crate::redact::Redacted;
use crate::source::{MediaKind, Rate, StreamInfo};
use volet_models::{Detection, ObjectClass};

const FRAMES: u64 = 24;
/// Every raw sample has this value, so that one look tells whether a picture is covered.
const RAW: u8 = 200;

struct Camera {
    info: StreamInfo,
    next: u64,
    fault: fn(u64) -> Option<CameraFault>,
}

enum CameraFault {
    Lost,
    Gone,
    Panic,
}

impl Camera {
    fn new(fault: fn(u64) -> Option<CameraFault>) -> Box<Self> {
        let geometry = Geometry::new(PixelFormat::Nv12, 64, 48).unwrap();
        let info = StreamInfo {
            kind: MediaKind::Y4m,
            geometry,
            color: Color::default(),
            rate: Rate { num: 10, den: 1 },
            frames: None,
        };
        Box::new(Self { info, next: 0, fault })
    }
}

impl Source for Camera {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    fn next(&mut self, pool: &FramePool) -> Result<Next, SourceError> {
        let index = self.next;
        let time = self.info.rate.time_of(index);
        if index == FRAMES {
            return Ok(Next::End);
        }
        self.next += 1;
        match (self.fault)(index) {
            Some(CameraFault::Lost) => return Ok(Next::Lost { index, time, reason: "torn".to_owned() }),
            Some(CameraFault::Gone) => {
                return Err(SourceError::Camera { name: "test".to_owned(), reason: "gone".to_owned() });
            }
            Some(CameraFault::Panic) => panic!("planted"),
            None => {}
        }
        let mut buffer: FrameBuffer = pool.take(self.info.geometry.bytes());
        buffer.as_mut_slice().fill(RAW);
        Ok(Next::Frame(RawFrame::new(index, time, self.info.geometry, self.info.color, buffer).unwrap()))
    }
}

/// Finds one face in every frame, or fails as told.
struct Planted(fn(u64) -> Option<DetectorFault>);

enum DetectorFault {
    Error,
    Panic,
    NeverReturns,
}

impl Detect for Planted {
    fn detect(&mut self, frame: &RawFrame) -> Result<Vec<Detection>, SearchError> {
        match (self.0)(frame.index()) {
            Some(DetectorFault::Error) => return Err(SearchError::Other("planted".to_owned())),
            Some(DetectorFault::Panic) => panic!("planted"),
            Some(DetectorFault::NeverReturns) => loop {
                std::thread::park();
            },
            None => {}
        }
        let bbox = BBox::new(10.0 + frame.index() as f32, 10.0, 12.0, 14.0);
        Ok(vec![Detection { class: ObjectClass::Face, bbox, score: 0.9 }])
    }
}

#[derive(Default)]
struct Seen {
    frames: Vec<(u64, Option<String>, bool)>,
    fails_at: Option<u64>,
}

impl Sink for Seen {
    fn write(&mut self, frame: &Redacted) -> Result<(), SinkError> {
        if self.fails_at == Some(frame.index()) {
            let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(SinkError::Io { path: "test".into(), source });
        }
        let raw_left = frame.samples().contains(&RAW);
        self.frames.push((frame.index(), frame.covered_because().map(str::to_owned), raw_left));
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<std::path::PathBuf, SinkError> {
        Ok("test".into())
    }
}

fn run_with(
    config: &PipelineConfig,
    camera: fn(u64) -> Option<CameraFault>,
    detector: fn(u64) -> Option<DetectorFault>,
    searches: usize,
    sink: &mut Seen,
) -> (Result<StreamReport, PipelineError>, Vec<FrameRecord>) {
    let records = Mutex::new(Vec::new());
    let mut record = |frame: &FrameRecord| {
        records.lock().unwrap().push(frame.clone());
        Ok(())
    };
    let stream = Stream {
        source: Camera::new(camera),
        sink,
        record: &mut record,
        detectors: (0..searches).map(|_| Box::new(Planted(detector)) as Box<dyn Detect>).collect(),
        pool: &FramePool::new(),
        stop: &AtomicBool::new(false),
        lessons: None,
        keep: None,
    };
    let result = run(config, stream);
    (result, records.into_inner().unwrap())
}

fn no_camera_fault(_: u64) -> Option<CameraFault> {
    None
}

/// Every frame came out once, in order; `covered` ones show nothing raw and say why, others show something.
fn check(sink: &Seen, covered: impl Fn(u64) -> bool) {
    let indices: Vec<u64> = sink.frames.iter().map(|f| f.0).collect();
    assert_eq!(indices, (0..FRAMES).collect::<Vec<_>>());
    for (index, reason, raw_left) in &sink.frames {
        assert_eq!(reason.is_some(), covered(*index), "frame {index}: {reason:?}");
        assert_eq!(*raw_left, !covered(*index), "frame {index}");
    }
}

#[test]
fn a_healthy_stream_is_masked_and_recorded() {
    for searches in [1, 3] {
        let mut sink = Seen::default();
        let (report, records) = run_with(&PipelineConfig::default(), no_camera_fault, |_| None, searches, &mut sink);
        assert_eq!(report.unwrap().frames, FRAMES);
        check(&sink, |_| false);
        for (i, record) in records.iter().enumerate() {
            assert_eq!(record.objects.len(), 1);
            assert_eq!(record.objects[0].track_id, Some(1));
            assert_eq!(record.objects[0].bbox.x, 10.0 + i as f32);
            assert_eq!(record.regions.len(), 1);
            assert!(record.covered_pixels > 12 * 14);
        }
    }
}

#[test]
fn a_failed_search_covers_its_frame() {
    let mut sink = Seen::default();
    let (report, _) = run_with(
        &PipelineConfig::default(),
        no_camera_fault,
        |i| match i {
            5 => Some(DetectorFault::Error),
            9 => Some(DetectorFault::Panic),
            _ => None,
        },
        2,
        &mut sink,
    );
    assert!(report.unwrap().cut_short.is_none());
    check(&sink, |i| i == 5 || i == 9);
    assert_eq!(sink.frames[5].1.as_deref(), Some("detection failed: planted"));
    assert_eq!(sink.frames[9].1.as_deref(), Some("detection panicked"));
}

#[test]
fn a_failed_search_covers_the_frames_that_relied_on_it() {
    let mut sink = Seen::default();
    let config = PipelineConfig { every: 3, ..PipelineConfig::default() };
    let (report, _) = run_with(&config, no_camera_fault, |i| (i == 9).then_some(DetectorFault::Error), 2, &mut sink);
    report.unwrap();
    // 22 and 23 come after the last search, and none is to follow.
    check(&sink, |i| (7..=11).contains(&i) || i > 21);
}

#[test]
fn a_lost_frame_that_was_to_be_searched_covers_those_that_relied_on_it() {
    let mut sink = Seen::default();
    let config = PipelineConfig { every: 3, ..PipelineConfig::default() };
    let (report, _) = run_with(&config, |i| (i == 9).then_some(CameraFault::Lost), |_| None, 2, &mut sink);
    report.unwrap();
    check(&sink, |i| (7..=11).contains(&i) || i > 21);
}

#[test]
fn a_search_that_never_returns_costs_its_frame_and_nothing_else() {
    let mut sink = Seen::default();
    let config = PipelineConfig { deadline_ms: 50, ..PipelineConfig::default() };
    let (report, _) =
        run_with(&config, no_camera_fault, |i| (i == 4).then_some(DetectorFault::NeverReturns), 2, &mut sink);
    report.unwrap();
    assert_eq!(sink.frames[4].1.as_deref(), Some("detection overran its deadline"));
    assert!(sink.frames.iter().all(|(_, reason, raw_left)| reason.is_some() != *raw_left));
    assert_eq!(sink.frames.len() as u64, FRAMES);
}

#[test]
fn when_every_search_hangs_all_is_covered_and_the_stream_still_ends() {
    let mut sink = Seen::default();
    let config = PipelineConfig { deadline_ms: 20, ..PipelineConfig::default() };
    let (report, _) = run_with(&config, no_camera_fault, |_| Some(DetectorFault::NeverReturns), 2, &mut sink);
    report.unwrap();
    check(&sink, |_| true);
}

#[test]
fn a_lost_frame_is_replaced_by_a_covered_one() {
    let mut sink = Seen::default();
    let (report, _) = run_with(
        &PipelineConfig::default(),
        |i| (i == 0 || i == 7).then_some(CameraFault::Lost),
        |_| None,
        2,
        &mut sink,
    );
    report.unwrap();
    check(&sink, |i| i == 0 || i == 7);
}

#[test]
fn a_camera_that_goes_leaves_the_frames_before() {
    for fault in [|i| (i == 10).then_some(CameraFault::Gone), |i| (i == 10).then_some(CameraFault::Panic)] {
        let mut sink = Seen::default();
        let (report, records) = run_with(&PipelineConfig::default(), fault, |_| None, 2, &mut sink);
        let report = report.unwrap();
        assert_eq!((report.frames, records.len()), (10, 10));
        assert!(report.cut_short.is_some());
    }
}

#[test]
fn a_full_disk_ends_the_stream_with_an_error() {
    let mut sink = Seen { fails_at: Some(6), ..Seen::default() };
    let (report, records) = run_with(&PipelineConfig::default(), no_camera_fault, |_| None, 2, &mut sink);
    assert!(matches!(report, Err(PipelineError::Sink(_))), "{report:?}");
    assert_eq!(records.len(), 6);
}

#[test]
fn settings_out_of_range_are_refused_before_anything_is_read() {
    let mut sink = Seen::default();
    let config = PipelineConfig { every: 0, ..PipelineConfig::default() };
    let (report, _) = run_with(&config, |_| Some(CameraFault::Panic), |_| None, 1, &mut sink);
    assert!(matches!(report, Err(PipelineError::Config(ConfigError::Range { field: "every", .. }))));
}
