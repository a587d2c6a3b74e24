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
mod run;
mod segments;
mod shared;
mod shelf;
#[cfg(test)]
mod tests;
mod trouble;
mod work;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use volet_federated::storage::{DirError, DirStorage};
use volet_models::Manifest;

use crate::batch::{BatchConfig, Publisher};
use crate::keep::Keeper;
use crate::learn::Lessons;
use crate::pipeline::{Gauge, Meter};
use crate::program::Proof;
use crate::slot::ModelSlot;
use crate::source::OpenOptions;
use journal::Journal;
pub use manager::Manager;
pub use minder::Asked;
use minder::Minder;
use run::{News, Watch};
pub use segments::SegmentOptions;
use segments::Segments;
use shared::Shared;
pub use shelf::Limits;
use shelf::Shelf;
use trouble::no_space;

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
    proof: Option<Proof>,
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
        Ok(Self { options, shelf, journal, cover, proof: None })
    }

    /// This program is on trial, and proves itself by a segment that is whole and was searched.
    #[must_use]
    pub fn on_trial(self, proof: Option<Proof>) -> Self {
        Self { proof, ..self }
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
        let Self { options, shelf, journal, cover, proof } = self;
        let (meter, waits, turn) =
            (Arc::new(Meter::default()), Arc::new(Gauge::default()), Arc::new(AtomicBool::new(false)));
        let segments = options.segments.clone();
        let mut segments = Segments::new(segments, shelf, journal, publisher, meter.clone(), turn.clone());
        segments.on_trial(proof);
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
