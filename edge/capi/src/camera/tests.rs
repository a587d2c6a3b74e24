use super::*;
use volet_edge::detect::SearchError;
use volet_edge::models::{BBox, Detection, ObjectClass};

use crate::types::{VoletFormat, VoletOrigin};

const W: u32 = 64;
const H: u32 = 48;
const SAMPLE: u8 = 200;
const AT_ONCE: Patience = Patience::AtMost(Duration::ZERO);

/// Says for every frame, by its number, what a detector says; panics where it says nothing.
struct Says(fn(u64) -> Option<Result<Vec<Detection>, SearchError>>);

impl Detect for Says {
    fn detect(&mut self, frame: &RawFrame) -> Result<Vec<Detection>, SearchError> {
        self.0(frame.index()).expect("a planted panic")
    }
}

fn camera(
    queues: Queues,
    config: PipelineConfig,
    says: fn(u64) -> Option<Result<Vec<Detection>, SearchError>>,
) -> Camera {
    let layout = Layout::new(VoletFormat::Nv12, W, H).unwrap();
    Camera::start(layout, Color::default(), config, vec![Box::new(Says(says))], queues).unwrap()
}

fn push(camera: &Camera, patience: Patience) -> Result<bool, Failure> {
    let samples = vec![SAMPLE; (W * H) as usize];
    let picture: Vec<Samples<'_>> =
        camera.layout().planes().iter().map(|rows| rows.of(&samples, rows.length).unwrap()).collect();
    camera.push(&picture, Duration::from_micros(7), patience)
}

fn pulled(camera: &Camera) -> Vec<Lent> {
    std::iter::from_fn(|| camera.pull(Patience::Forever).unwrap().ok()).collect()
}

fn why(lent: &Lent) -> Option<&str> {
    lent.slot.covered_because.as_ref().map(|why| why.to_str().unwrap())
}

fn face() -> Vec<Detection> {
    vec![Detection { class: ObjectClass::Face, bbox: BBox::new(16.0, 16.0, 12.0, 12.0), score: 0.9 }]
}

#[test]
fn frames_come_out_redacted_in_order_and_once() {
    let camera = camera(Queues { waiting: 4, out: 32 }, PipelineConfig::default(), |_| Some(Ok(face())));
    for _ in 0..20 {
        assert!(push(&camera, Patience::Forever).unwrap());
    }
    camera.finish();
    let frames = pulled(&camera);
    assert_eq!(frames.iter().map(|f| f.slot.index).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
    for frame in &frames {
        let slot = &frame.slot;
        let at = |x: u32, y: u32| slot.samples[(y * W + x) as usize];
        assert!((16..28).all(|y| (16..28).all(|x| at(x, y) != SAMPLE)), "the face is there");
        assert_eq!([at(0, 0), at(63, 47), at(40, 22)], [SAMPLE; 3], "the rest is not");
        assert_eq!((why(frame), slot.time), (None, Duration::from_micros(7)));
        assert!(slot.covered_pixels >= 144 && slot.covered_pixels < 500, "{}", slot.covered_pixels);
        assert_eq!(slot.annotations.len(), 1);
        let found = slot.annotations[0];
        assert_eq!((found.origin, found.track_id, found.x), (VoletOrigin::Detected, 1, 16.0));
    }
    assert_eq!(camera.pull(AT_ONCE).unwrap().err(), Some(NoFrame::AnyMore), "and again");
    assert!(matches!(push(&camera, AT_ONCE), Err(Failure::Over)));
}

#[test]
fn what_a_search_cannot_say_is_covered_and_the_stream_goes_on() {
    let camera = camera(Queues { waiting: 2, out: 16 }, PipelineConfig::default(), |index| match index {
        2 => Some(Err(SearchError::Other("planted".to_owned()))),
        4 => None,
        _ => Some(Ok(Vec::new())),
    });
    for _ in 0..8 {
        assert!(push(&camera, Patience::Forever).unwrap());
    }
    camera.finish();
    let frames = pulled(&camera);
    assert_eq!(frames.len(), 8);
    for (index, frame) in frames.iter().enumerate() {
        let raw = frame.slot.samples.contains(&SAMPLE);
        let reason = match index {
            2 => Some("detection failed: planted"),
            4 => Some("detection panicked"),
            _ => None,
        };
        assert_eq!((why(frame), raw), (reason, reason.is_none()), "frame {index}");
    }
}

#[test]
fn memory_is_bounded_and_the_pusher_is_told() {
    let config = PipelineConfig {
        tracker: volet_edge::track::TrackerConfig { delay: 2, ..Default::default() },
        ..Default::default()
    };
    let camera = camera(Queues { waiting: 2, out: 2 }, config, |_| Some(Ok(Vec::new())));
    // Nobody pulls: everything fills up, and then nothing more gets in however long one waits.
    let mut taken = 0;
    while push(&camera, Patience::AtMost(Duration::from_millis(100))).unwrap() {
        taken += 1;
        assert!(taken < 20, "no end");
    }
    camera.finish();
    // Each is released before the next is pulled.
    let frames = std::iter::from_fn(|| camera.pull(Patience::Forever).unwrap().ok());
    assert_eq!(frames.map(drop).count(), taken, "none is lost");
}

#[test]
fn a_frame_outlives_its_camera() {
    let camera = camera(Queues { waiting: 1, out: 1 }, PipelineConfig::default(), |_| Some(Ok(Vec::new())));
    assert!(push(&camera, Patience::Forever).unwrap());
    camera.finish();
    let lent = camera.pull(Patience::Forever).unwrap().unwrap();
    camera.close();
    drop(camera);
    assert_eq!(lent.view().bytes, lent.slot.samples.len());
    assert!(lent.slot.samples.iter().all(|&sample| sample == SAMPLE));
}

#[test]
fn closing_wakes_who_waits() {
    let camera = camera(Queues { waiting: 1, out: 1 }, PipelineConfig::default(), |_| Some(Ok(Vec::new())));
    std::thread::scope(|scope| {
        let pulling = scope.spawn(|| camera.pull(Patience::Forever).unwrap().err());
        camera.close();
        assert_eq!(pulling.join().unwrap(), Some(NoFrame::AnyMore));
    });
    assert!(matches!(push(&camera, AT_ONCE), Err(Failure::Over)));
    camera.close();
}

#[test]
fn a_stream_that_breaks_off_says_so_on_both_sides() {
    // Settings that the pipeline refuses: what `open` would have found out.
    let config = PipelineConfig { every: 0, ..PipelineConfig::default() };
    let camera = camera(Queues { waiting: 1, out: 1 }, config, |_| Some(Ok(Vec::new())));
    assert!(matches!(camera.pull(Patience::Forever), Err(Failure::Broken(why)) if why.contains("every")));
    assert!(matches!(push(&camera, Patience::Forever), Err(Failure::Broken(_))));
}

#[test]
fn what_cannot_work_is_known_when_it_is_opened() {
    let open = |config: Option<&str>, model: Option<&Path>| {
        let layout = Layout::new(VoletFormat::Nv12, W, H).unwrap();
        let queues = Queues { waiting: 1, out: 1 };
        Camera::open(Settings { layout, color: Color::default(), config, model, searches: 1, queues })
            .map(|c| c.close())
    };
    open(Some("every = 3\n[redaction]\nstyle = \"solid\""), None).unwrap();
    assert!(matches!(open(Some("evry = 3"), None), Err(Failure::Settings(_))));
    assert!(matches!(open(Some("every = 0"), None), Err(Failure::Settings(_))));
    assert!(matches!(open(Some("[redaction]\nclasses = []"), None), Err(Failure::Settings(_))));
    assert!(matches!(open(None, Some(Path::new("/nowhere.toml"))), Err(Failure::Manifest(_))));
}
