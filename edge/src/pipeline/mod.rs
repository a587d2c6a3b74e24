//! The pipeline: joins source, detection, tracking, redaction and sink, and fails closed (guarantee G2).
//!
//! Three kinds of threads: one reads, several search frames in parallel, one redacts and writes; the caller's
//! tracks and plans between them. Frames come out in order, each as soon as the tracker's delay has passed. Whatever
//! stage errs, panics or overruns its deadline, the frame comes out wholly covered, with the reason, and the
//! stream goes on; a sink that fails ends the medium.

mod joint;
mod searchers;
mod writer;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use volet_models::{BBox, Detection};

use crate::annotate::{AnnotateError, FrameRecord};
use crate::detect::{Detect, SearchError};
use crate::frame::{Color, FramePool, Geometry, RawFrame};
use crate::keep::{Keeper, Tap};
use crate::learn::{Lessons, Watcher};
use crate::motion::Motion;
use crate::plan::{ConfigError, RedactionConfig, objects};
use crate::redact::{NoRandomness, Redactor};
use crate::scene::SceneCuts;
use crate::sink::{Sink, SinkError};
use crate::source::{MediaKind, Next, Source, SourceError};
use crate::summary::Stages;
use crate::track::{TrackedBox, Tracker, TrackerConfig};
pub use joint::{Gauge, Joint, Meter};
use searchers::{Searchers, Verdict};
use writer::{Content, Marks, Order};

/// Settings of the whole pipeline, as a configuration file holds them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PipelineConfig {
    /// What is covered, and how.
    pub redaction: RedactionConfig,
    /// How tracks are made and drawn out.
    pub tracker: TrackerConfig,
    /// Every how many frames the detector runs; between, tracks are interpolated. At least 1.
    pub every: u32,
    /// A search that takes longer than this many milliseconds counts as failed; 0: no limit.
    pub deadline_ms: u64,
    /// The share of its time that each search thread may work, in `[0.01, 1]`: it rests after every search. Where frames come
    /// faster than that leaves time for, a camera leaves some out; films take longer.
    pub search_share: f32,
}

impl Default for PipelineConfig {
    fn default() -> Self {
        Self {
            redaction: RedactionConfig::default(),
            tracker: TrackerConfig::default(),
            every: 1,
            deadline_ms: 0,
            search_share: 1.0,
        }
    }
}

impl PipelineConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let range = |field, value: f64, low: f64, high: f64| {
            if (low..=high).contains(&value) { Ok(()) } else { Err(ConfigError::Range { field, value, low, high }) }
        };
        range("every", f64::from(self.every), 1.0, 60.0)?;
        range("search_share", f64::from(self.search_share), 0.01, 1.0)?;
        range("tracker.delay", f64::from(self.tracker.delay), 0.0, 300.0)?;
        range("tracker.hold", f64::from(self.tracker.hold), 0.0, 3000.0)?;
        range("tracker.hold_once", f64::from(self.tracker.hold_once), 0.0, 3000.0)?;
        range("tracker.birth_score", f64::from(self.tracker.birth_score), 0.001, 0.999)?;
        range("tracker.sure_score", f64::from(self.tracker.sure_score), 0.0, 1.0)?;
        range("tracker.growth", f64::from(self.tracker.growth), 0.0, 1.0)?;
        self.redaction.check()
    }

    /// The tracker's settings, raised to what `every` needs: a face must last until the next search, and a search be
    /// waited for.
    fn tracker(&self) -> TrackerConfig {
        let t = self.tracker;
        let gap = self.every.saturating_sub(1);
        TrackerConfig {
            delay: t.delay.max(gap),
            hold: t.hold.max(gap),
            hold_once: t.hold_once.max(gap),
            back_fill: t.back_fill.max(gap),
            // So many searches fit into the delay; a track that needs more would count too late.
            min_hits: t.min_hits.min(1 + t.delay.max(gap) / self.every.max(1)),
            ..t
        }
    }

    /// The same settings for a single picture, which has no frames before or after.
    #[must_use]
    pub fn for_still(&self) -> Self {
        let score = self.tracker.sure_score.max(self.tracker.birth_score);
        let tracker = TrackerConfig {
            birth_score: score,
            sure_score: score,
            min_hits: 1,
            delay: 0,
            hold: 0,
            hold_once: 0,
            back_fill: 0,
            ..self.tracker
        };
        Self { tracker, every: 1, ..self.clone() }
    }
}

/// What one stream gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamReport {
    /// Frames written.
    pub frames: u64,
    /// Where the time went, over all threads.
    pub stages: Stages,
    /// Why the stream ended before its end; the frames before stand.
    pub cut_short: Option<String>,
}

/// Why a stream gave nothing that can stand.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum PipelineError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Annotate(#[from] AnnotateError),
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    #[error(transparent)]
    Search(#[from] SearchError),
    #[error("stopped before the end")]
    Stopped,
    #[error("the pipeline failed within: {0}; please report this")]
    Internal(String),
}

/// What a stream is run with.
pub struct Stream<'a> {
    /// Where frames come from.
    pub source: Box<dyn Source>,
    /// Where redacted frames go; the caller finishes it.
    pub sink: &'a mut dyn Sink,
    /// Told of every frame, in order, after it was written.
    pub record: &'a mut (dyn FnMut(&FrameRecord) -> Result<(), AnnotateError> + Send),
    /// One for each search that may run at a time; at least one.
    pub detectors: Vec<Box<dyn Detect>>,
    /// Where frames get their memory.
    pub pool: &'a FramePool,
    /// Set from outside to stop early.
    pub stop: &'a AtomicBool,
    /// How lessons are taken from it, if they are.
    pub lessons: Option<Lessons>,
    /// Who keeps its raw film, if anybody does.
    pub keep: Option<&'a Keeper>,
}

/// Frames that may wait between two threads.
const QUEUE: usize = 1;

/// Runs one stream to its end.
///
/// # Errors
/// The settings are not valid, the very first frame could not be read, the sink or the recorder failed, or `stop` was
/// set. A source that fails later is reported in [`StreamReport::cut_short`].
pub fn run(config: &PipelineConfig, stream: Stream<'_>) -> Result<StreamReport, PipelineError> {
    run_joined(config, stream, &Joint::default())
}

/// The same for a stream that others on the same source come before or after, and that somebody watches.
///
/// # Errors
/// As of [`run`].
pub fn run_joined(config: &PipelineConfig, stream: Stream<'_>, joint: &Joint) -> Result<StreamReport, PipelineError> {
    config.check()?;
    let meter = &*joint.meter;
    let Stream { mut source, sink, record, detectors, pool, stop, lessons, keep } = stream;
    let info = source.info().clone();
    let redactor = Redactor::new(config.redaction.style)?;
    let deadline = (config.deadline_ms > 0).then(|| Duration::from_millis(config.deadline_ms));
    let searchers = Searchers::start(detectors, deadline, config.search_share)
        .map_err(|e| PipelineError::Internal(format!("no thread could be started: {e}")))?;
    let tap = keep.and_then(|keeper| keeper.tap(&info));
    let (to_plan, from_source) = sync_channel(QUEUE);
    let (to_writer, orders) = sync_channel(QUEUE);
    // One with the planner, one with the writer, the rest between them.
    let (used, to_use_again) = sync_channel(QUEUE + 2);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| read(&mut *source, info.kind, pool, (stop, meter), tap, to_plan));
        let writing = scope.spawn(move || writer::write(redactor, pool, orders, used, sink, (record, meter)));
        let mut planner = Planner::new(config, joint, searchers, info.geometry, info.color, to_writer);
        planner.used = Some(to_use_again);
        planner.track_ids = !info.kind.is_still();
        planner.watcher = lessons.map(Watcher::new);
        let planned = planner.run(from_source);
        let read = reading.join().unwrap_or_else(|_| (Duration::ZERO, Some(internal("the reader panicked"))));
        let mut report = writing.join().unwrap_or_else(|_| Err(internal("the writer panicked")))?;
        report.stages.read = ms(read.0);
        report.stages.detect = ms(planned.searched);
        report.stages.track = ms(planned.tracked);
        match read.1 {
            Some(PipelineError::Stopped) => return Err(PipelineError::Stopped),
            Some(e) if report.frames == 0 => return Err(e),
            other => report.cut_short = other.map(|e| e.to_string()),
        }
        Ok(report)
    })
}

fn internal(what: &str) -> PipelineError {
    PipelineError::Internal(what.to_owned())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Reads until the end; gives the time it took and why it ended early.
fn read(
    source: &mut dyn Source,
    kind: MediaKind,
    pool: &FramePool,
    (stop, meter): (&AtomicBool, &Meter),
    mut tap: Option<Tap>,
    out: SyncSender<Next>,
) -> (Duration, Option<PipelineError>) {
    let mut spent = Duration::ZERO;
    loop {
        if stop.load(Ordering::Relaxed) {
            // A camera has no end of its own: to stop it is to end it.
            return (spent, (kind != MediaKind::Live).then_some(PipelineError::Stopped));
        }
        let start = Instant::now();
        let next = catch_unwind(AssertUnwindSafe(|| source.next(pool)));
        spent += start.elapsed();
        meter.read.step(start.elapsed());
        let error = match next {
            Ok(Ok(Next::End)) => return (spent, None),
            Ok(Ok(next)) => {
                if let (Some(tap), Next::Frame(frame)) = (&mut tap, &next) {
                    tap.offer(frame);
                }
                match out.send(next) {
                    Ok(()) => continue,
                    // Whoever takes the frames has given up and says why itself.
                    Err(_) => return (spent, None),
                }
            }
            Ok(Err(e)) => PipelineError::Source(e),
            Err(_) => internal("the decoder panicked"),
        };
        return (spent, Some(error));
    }
}

/// A frame that waits for the tracker's delay to pass.
struct Pending {
    index: u64,
    time: Duration,
    frame: Result<RawFrame, String>,
    moving: Vec<BBox>,
}

/// How long searching and tracking took.
#[derive(Default)]
struct Planned {
    searched: Duration,
    tracked: Duration,
}

/// The middle of the pipeline: hands frames to searchers, takes their findings in order, tracks, and gives orders
/// to the writer.
struct Planner<'a> {
    config: &'a PipelineConfig,
    joint: &'a Joint,
    /// The first frame of which enough is known of what came before.
    settled: Option<u64>,
    searchers: Searchers,
    geometry: Geometry,
    color: Color,
    out: SyncSender<Order>,
    /// Marks of frames that were written, to be filled again.
    used: Option<Receiver<Marks>>,
    track_ids: bool,
    tracker: Tracker,
    motion: Motion,
    scenes: SceneCuts,
    watcher: Option<Watcher>,
    pending: VecDeque<Pending>,
    /// Frames that should have been searched and were not.
    unsearched: VecDeque<(u64, String)>,
    /// The tracks of the frame that is planned.
    tracks: Vec<TrackedBox>,
    time: Planned,
}

/// The writer has gone; it says why itself.
struct WriterGone;

impl<'a> Planner<'a> {
    fn new(
        config: &'a PipelineConfig,
        joint: &'a Joint,
        searchers: Searchers,
        geometry: Geometry,
        color: Color,
        out: SyncSender<Order>,
    ) -> Self {
        Self {
            config,
            joint,
            settled: None,
            searchers,
            geometry,
            color,
            out,
            used: None,
            track_ids: true,
            tracker: Tracker::new(config.tracker()),
            motion: Motion::new(),
            scenes: SceneCuts::default(),
            watcher: None,
            pending: VecDeque::new(),
            unsearched: VecDeque::new(),
            tracks: Vec::new(),
            time: Planned::default(),
        }
    }

    fn run(mut self, frames: Receiver<Next>) -> Planned {
        for next in frames {
            match next {
                Next::Frame(frame) => {
                    let due = self.is_due(frame.index());
                    self.searchers.submit(frame, due);
                }
                Next::Lost { index, time, reason } => {
                    let due = self.is_due(index);
                    self.searchers.submit_lost(index, time, reason, due);
                }
                Next::End => break,
            }
            while let Some(verdict) = self.searchers.through() {
                if self.take(verdict).is_err() {
                    return self.time;
                }
            }
        }
        while let Some(verdict) = self.searchers.through().or_else(|| self.searchers.next_in_order()) {
            if self.take(verdict).is_err() {
                return self.time;
            }
        }
        // What came after the last search was looked at by none, and none is to follow.
        if let Some(last) = self.pending.back().map(|p| p.index).filter(|last| !self.is_due(*last)) {
            self.unsearched_until(last, "the stream ended before the next search");
        }
        if self.joint.is_cut() {
            // What comes after goes to another stream, and is not known to this one.
            self.unsearched = self.pending.iter().map(|p| (p.index, joint::CUT.to_owned())).collect();
        }
        let _ = self.give_out(0);
        self.time
    }

    /// Whether frame `index` is to be searched.
    fn is_due(&self, index: u64) -> bool {
        index.is_multiple_of(u64::from(self.config.every))
    }

    /// Takes note that the search next after `index` will not tell of the frames before it.
    fn unsearched_until(&mut self, index: u64, why: &str) {
        let due = index.next_multiple_of(u64::from(self.config.every));
        self.unsearched.push_back((due, why.to_owned()));
    }

    /// Takes a searched frame into account, and gives out those whose delay has passed.
    fn take(&mut self, verdict: Verdict) -> Result<(), WriterGone> {
        let start = Instant::now();
        let Verdict { index, time, frame, found, searched } = verdict;
        self.time.searched += searched;
        self.joint.meter.search.step(searched);
        let unknown = if self.joint.after { u64::from(self.config.tracker().hold) } else { 0 };
        self.settled.get_or_insert(index + unknown);
        if let Ok(frame) = &frame
            && self.scenes.observe(frame)
        {
            self.tracker.cut(index);
            self.watcher.iter_mut().for_each(|watcher| watcher.cut(index));
            if self.config.every > 1 {
                // Tracks do not reach over the cut, so the frames next to it hang on one search only.
                self.unsearched_until(index, "the scene changed between two searches");
            }
        }
        match found {
            Some(Ok(detections)) => {
                let tracked = catch_unwind(AssertUnwindSafe(|| self.tracker.observe(index, &detections)));
                if tracked.is_err() {
                    self.tracker = Tracker::new(self.config.tracker());
                    let forgotten = self.pending.iter().map(|p| p.index).chain([index]);
                    self.unsearched = forgotten.map(|i| (i, "the tracker panicked".to_owned())).collect();
                }
                self.watch(index, time, &frame, &detections);
            }
            Some(Err(reason)) => self.unsearched.push_back((index, reason)),
            None => {}
        }
        let mut moving = Vec::new();
        if self.config.redaction.paranoid
            && let Ok(frame) = &frame
        {
            moving = self.motion.observe(frame);
        }
        self.pending.push_back(Pending { index, time, frame, moving });
        self.time.tracked += start.elapsed();
        self.joint.meter.track.step(start.elapsed());
        self.give_out(self.config.tracker().delay as usize)
    }

    /// Lets the watcher see a frame. What fails there is no matter of the stream's.
    fn watch(&mut self, index: u64, time: Duration, frame: &Result<RawFrame, String>, found: &[Detection]) {
        if let (Some(watcher), Ok(frame)) = (&mut self.watcher, frame) {
            let seen = catch_unwind(AssertUnwindSafe(|| watcher.observe(index, time, frame, found)));
            if seen.is_err() {
                tracing::error!("taking lessons panicked; no more are taken from this stream. Please report this");
                self.watcher = None;
            }
        }
    }

    /// Gives out pending frames until `keep` are left.
    fn give_out(&mut self, keep: usize) -> Result<(), WriterGone> {
        while self.pending.len() > keep {
            let Some(pending) = self.pending.pop_front() else { break };
            let start = Instant::now();
            let order = self.plan(pending);
            self.time.tracked += start.elapsed();
            self.out.send(order).map_err(|_| WriterGone)?;
        }
        Ok(())
    }

    fn plan(&mut self, pending: Pending) -> Order {
        let Pending { index, time, frame, moving } = pending;
        // Where the detector does not run on every frame, one that it should have seen stands for its neighbours.
        let every = u64::from(self.config.every);
        while self.unsearched.front().is_some_and(|(at, _)| at + every <= index) {
            self.unsearched.pop_front();
        }
        let unsearched = self.unsearched.front().filter(|(at, _)| index + every > *at).map(|(_, why)| why.clone());
        let early = self.settled.is_none_or(|settled| index < settled).then(|| joint::CUT.to_owned());
        let unsearched = unsearched.or(early);
        self.tracks.clear();
        let tracked = catch_unwind(AssertUnwindSafe(|| {
            self.tracks.extend(self.tracker.boxes_at(index));
            self.tracker.forget_before(index);
        }));
        let failed = match tracked {
            Ok(()) => unsearched,
            Err(_) => {
                self.tracks.clear();
                Some("the tracker panicked".to_owned())
            }
        };
        let geometry = frame.as_ref().map_or(self.geometry, RawFrame::geometry);
        let mut marks = self.used.as_ref().and_then(|used| used.try_recv().ok()).unwrap_or_default();
        marks.regions.clear();
        marks.objects.clear();
        marks.objects.extend(objects(geometry, &self.tracks, self.track_ids));
        let content = match (frame, failed) {
            (Err(reason), _) => Content::Lost { geometry, color: self.color, reason },
            (Ok(frame), Some(reason)) => Content::Cover { frame, reason },
            (Ok(frame), None) => {
                marks.regions.extend(self.config.redaction.regions(geometry, &self.tracks, &moving));
                Content::Redact { frame }
            }
        };
        Order { index, time, geometry, content, marks }
    }
}

#[cfg(test)]
mod tests;
