//! A camera that runs for years: `volet-edge watch`.
//!
//! ```text
//! source::open --Held--> Lent --> pipeline --Redacted--> Segments --whole--> NNNNNNNN/
//!      ^ pauses              turn: other settings              '--> Journal: starts, numbers, bytes written
//! ```
//!
//! Frames become segments, of which each is a whole folder under a number ([`segments`]); the oldest go when there is not
//! room ([`shelf`]). A camera that is not there is waited for; a start that comes to nothing is counted ([`journal`]), and after
//! too many of them everything is covered until a segment of that is whole. What goes wrong here ends in pictures that are covered, or
//! in none; never in raw ones, since only redacted frames ever come here (guarantee G1).
//!
//! Knows pipelines and folders; no command line.

mod journal;
mod lent;
mod manager;
mod minder;
mod segments;
mod shelf;
#[cfg(test)]
mod tests;
mod work;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use volet_federated::storage::{DirError, DirStorage};
use volet_models::Manifest;

use crate::batch::{BatchConfig, Publisher, new_summary};
use crate::detect::{Detect, SearchError, searchers};
use crate::frame::{FramePool, RawFrame};
use crate::keep::Keeper;
use crate::learn::Lessons;
use crate::pipeline::{Gauge, Joint, Meter, PipelineError, Stream, run_joined};
use crate::slot::ModelSlot;
use crate::source::{self, OpenOptions};
use journal::Journal;
use lent::Held;
pub use manager::Manager;
pub use minder::Asked;
use minder::Minder;
pub use segments::SegmentOptions;
use segments::{Segments, Shared, no_space, pauses};
pub use shelf::Limits;
use shelf::Shelf;

/// Where the journal lies, in the folder of segments.
const JOURNAL: &str = ".volet";

/// Why a camera does not begin to watch.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum WatchError {
    #[error("{}: {source}; give --out a folder that this user may write, on a disk with room", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    InUse(#[from] DirError),
    #[error("no thread could be started: {0}")]
    Thread(io::Error),
}

/// What searching takes, opened by whoever knows where it lies.
pub struct Ready {
    /// The model in use.
    pub model: ModelSlot,
    /// The settings.
    pub config: BatchConfig,
    /// How lessons are taken, if they are.
    pub lessons: Option<Lessons>,
    /// Whatever is to run beside, on threads of its own.
    pub start: Box<dyn FnOnce() -> io::Result<()> + Send>,
}

/// Opens what searching takes, and reads settings.
pub trait Setup: Send + Sync {
    /// Opens the model and reads the settings.
    ///
    /// # Errors
    /// Why that is not possible, for people.
    fn ready(&self) -> Result<Ready, String>;

    /// Reads the settings anew, for a model of this kind.
    ///
    /// # Errors
    /// Why they cannot be used, for people.
    fn config(&self, manifest: &Manifest) -> Result<BatchConfig, String>;
}

/// What the pipeline is given.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// The camera.
    pub source: PathBuf,
    /// How it is opened.
    pub open: OpenOptions,
    /// Searches at a time.
    pub threads: usize,
    /// How segments are written.
    pub segments: SegmentOptions,
}

/// A start that is counted, of a camera that has yet to begin.
pub struct Begun {
    options: WatchOptions,
    shelf: Shelf,
    journal: Journal<DirStorage>,
    cover: Option<String>,
}

impl Begun {
    /// Counts this start in the folder of segments, which is made if need be, and removes what a power cut left there. After `most`
    /// starts that came to nothing everything is to be covered.
    ///
    /// # Errors
    /// The folder cannot be used, or another process has it.
    pub fn new(folder: &Path, options: WatchOptions, most: u32) -> Result<Self, WatchError> {
        let io = |source| WatchError::Io { path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(io)?;
        // First of all, since what comes next may be what fails.
        let storage = DirStorage::open(&folder.join(JOURNAL))?;
        let (mut shelf, swept) = Shelf::open(folder, options.segments.limits).map_err(io)?;
        let mut journal =
            Journal::start(storage, |error| no_space(error) && shelf.remove_oldest().is_ok_and(|removed| removed));
        if swept > 0 {
            tracing::warn!(bytes = swept, "a segment that was never made whole was removed");
            journal.wrote(swept);
        }
        let cover = journal.is_looping(most).then(|| match journal.fruitless() {
            u32::MAX => "it is not known how often the camera was restarted".to_owned(),
            _ => "the camera restarts too often".to_owned(),
        });
        Ok(Self { options, shelf, journal, cover })
    }

    /// Why everything is to be covered at first, if it is: nothing is to be opened then that only searching needs.
    pub fn covered(&self) -> Option<&str> {
        self.cover.as_deref()
    }

    /// The service is not begun after all, for a reason that was told: this start does not count.
    pub fn excuse(mut self) {
        if let Err(error) = self.journal.excuse() {
            tracing::warn!(%error, "this start counts as one that came to nothing");
        }
    }

    /// Watches until it is asked to stop. `ready` is what was opened already, if anything.
    ///
    /// # Errors
    /// No thread could be started. Nothing else ends it.
    pub fn watch(
        self,
        setup: Arc<dyn Setup>,
        ready: Option<Ready>,
        (publisher, keep): (Option<Arc<dyn Publisher>>, Option<Keeper>),
        manager: Manager,
        asked: Asked,
    ) -> Result<(), WatchError> {
        let Self { options, shelf, journal, cover } = self;
        let (meter, waits, turn) =
            (Arc::new(Meter::default()), Arc::new(Gauge::default()), Arc::new(AtomicBool::new(false)));
        let segments = options.segments.clone();
        let mut segments = Segments::new(segments, shelf, journal, publisher, meter.clone(), turn.clone());
        cover.into_iter().for_each(|why| segments.cover(why));
        let segments = Shared::new(segments);
        let news = Arc::new(News::new(setup.clone(), turn.clone()));
        let done = Arc::new(AtomicBool::new(false));
        let minder = {
            let news = news.clone();
            let reload = Box::new(move || news.read());
            let (asked, meter, waits) = (asked.clone(), meter.clone(), waits.clone());
            Minder { asked, manager, meter, waits, segments: segments.clone(), reload, done: done.clone() }
        };
        let minder = std::thread::Builder::new().name("minder".to_owned()).spawn(move || minder.run());
        let minder = minder.map_err(WatchError::Thread)?;
        let mut watch =
            Watch { options, setup, ready: None, segments, meter, waits, turn, news, stop: asked.stop, keep };
        if let Some(ready) = ready {
            watch.take(ready);
        }
        watch.run();
        watch.segments.lock().close();
        if let Some(keep) = &watch.keep {
            keep.finish();
        }
        done.store(true, Ordering::Release);
        // It has nothing left to wait for.
        let _ = minder.join();
        Ok(())
    }
}

/// Settings that were read anew and are not yet in use.
struct News {
    setup: Arc<dyn Setup>,
    /// Of the model in use.
    manifest: Mutex<Option<Manifest>>,
    config: Mutex<Option<BatchConfig>>,
    turn: Arc<AtomicBool>,
}

impl News {
    fn new(setup: Arc<dyn Setup>, turn: Arc<AtomicBool>) -> Self {
        Self { setup, manifest: Mutex::new(None), config: Mutex::new(None), turn }
    }

    /// Reads the settings. Bad ones are told of, and the present ones stay.
    fn read(&self) {
        let manifest = self.manifest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(manifest) = manifest else {
            tracing::info!("settings are read when searching begins");
            return;
        };
        match self.setup.config(&manifest) {
            Ok(config) => {
                tracing::info!("other settings are in use from the next segment on, which begins now");
                *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Some(config);
                self.turn.store(true, Ordering::Release);
            }
            Err(why) => tracing::error!("the settings stay as they are: {why}"),
        }
    }

    fn take(&self) -> Option<BatchConfig> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

struct Watch {
    options: WatchOptions,
    setup: Arc<dyn Setup>,
    ready: Option<(ModelSlot, BatchConfig, Option<Lessons>)>,
    segments: Shared,
    meter: Arc<Meter>,
    waits: Arc<Gauge>,
    turn: Arc<AtomicBool>,
    news: Arc<News>,
    stop: Arc<AtomicBool>,
    keep: Option<Keeper>,
}

impl Watch {
    /// Opens the camera, again and again.
    fn run(&mut self) {
        let (mut waiting, mut told) = (pauses(), None);
        while !self.is_stopped() {
            let written = self.meter.write.steps();
            let why = match source::open(&self.options.source, &self.options.open) {
                Ok(source) if source.info().kind.is_still() => Some("a picture is no camera".to_owned()),
                Ok(source) => self.streams(&Held::new(source)),
                Err(error) => Some(error.to_string()),
            };
            if self.meter.write.steps() > written {
                (waiting, told) = (pauses(), None);
            }
            if let Some(why) = why.filter(|why| told.as_ref() != Some(why)) {
                tracing::error!("the camera is gone, and tried again and again: {why}");
                told = Some(why);
            }
            self.pause(waiting.next().unwrap_or_default());
        }
    }

    /// Runs streams over one source until it is over; why it is, or nothing where the service is to stop.
    fn streams(&mut self, held: &Held) -> Option<String> {
        let mut after = false;
        while !self.is_stopped() {
            self.turn.store(false, Ordering::Release);
            let ran = self.stream(held, after);
            let over = held.is_over();
            let in_order = matches!(ran, Ok(None)) && !over;
            self.segments.lock().end_stream(in_order || self.is_stopped());
            match ran {
                Ok(None) if over => return Some("its stream has ended".to_owned()),
                Ok(None) => {}
                Ok(Some(why)) => return Some(why),
                // Covered instead, from here on.
                Err(error) => self.segments.lock().cover(format!("the detector cannot run: {error}")),
            }
            after = true;
        }
        None
    }

    /// Runs one stream until the source is over or another stream is to go on with it; why it ended, if not in order. A detector
    /// that cannot run is an error, before anything is read.
    fn stream(&mut self, held: &Held, after: bool) -> Result<Option<String>, SearchError> {
        let info = held.info().clone();
        let mut cover = self.segments.lock().covered().map(str::to_owned);
        if cover.is_none()
            && let Err(why) = self.prepare()
        {
            self.segments.lock().cover(format!("the detector cannot run: {why}"));
            cover = Some("the detector cannot run".to_owned());
        }
        let ready = self.ready.clone().filter(|_| cover.is_none());
        let (config, detectors, summary, lessons) = match ready {
            Some((model, config, lessons)) => {
                let detectors = searchers(&model, config.search, self.options.threads, info.geometry)?;
                let summary = new_summary(Some(model.get().manifest()), &config, false);
                (config, detectors, summary, lessons)
            }
            None => {
                let config = BatchConfig::default();
                let summary = new_summary(None, &config, false);
                (config, vec![Box::new(Blind) as Box<dyn Detect>], summary, None)
            }
        };
        self.segments.lock().begin_stream(info, summary);
        let joint = Arc::new(Joint::new(self.meter.clone(), after));
        let source = held.lend(self.turn.clone(), joint.clone(), cover);
        let (mut sink, segments) = (self.segments.clone(), self.segments.clone());
        let mut record = |frame: &_| {
            segments.record(frame);
            Ok(())
        };
        let (pool, stop, keep) = (&FramePool::new(), &*self.stop, self.keep.as_ref());
        let stream = Stream { source, sink: &mut sink, record: &mut record, detectors, pool, stop, lessons, keep };
        Ok(match run_joined(&config.pipeline, stream, &joint) {
            Ok(report) => report.cut_short,
            Err(PipelineError::Stopped) => None,
            Err(error) => Some(error.to_string()),
        })
    }

    /// Sees to it that searching is possible, and by the latest settings.
    fn prepare(&mut self) -> Result<(), String> {
        if self.ready.is_none() {
            let ready = self.setup.ready()?;
            self.take(ready);
        }
        if let (Some((_, config, _)), Some(latest)) = (&mut self.ready, self.news.take()) {
            *config = latest;
        }
        Ok(())
    }

    fn take(&mut self, ready: Ready) {
        let Ready { model, config, lessons, start } = ready;
        if let Err(error) = start() {
            tracing::error!(%error, "no thread could be started beside: the model stays as it is");
        }
        let manifest = model.get().manifest().clone();
        *self.news.manifest.lock().unwrap_or_else(PoisonError::into_inner) = Some(manifest);
        self.ready = Some((model, config, lessons));
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Waits, and shows that it does.
    fn pause(&self, all: Duration) {
        let step = Duration::from_millis(50);
        let mut left = all;
        while left > Duration::ZERO && !self.is_stopped() {
            std::thread::sleep(left.min(step));
            left = left.saturating_sub(step);
            self.waits.step(step);
        }
    }
}

/// Stands where a detector would, and searches nothing.
struct Blind;

impl Detect for Blind {
    fn detect(&mut self, _: &RawFrame) -> Result<Vec<volet_models::Detection>, SearchError> {
        Err(SearchError::Other("nothing is searched".to_owned()))
    }
}
