//! A camera: pushed frames on one side, the pipeline on a thread of its own, redacted frames on the other side.
//!
//! The same stream as a program's (`volet_edge::batch`), with queues for source and sink. Knows neither C nor pointers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use volet_edge::annotate::FrameRecord;
use volet_edge::batch::BatchConfig;
use volet_edge::detect::{self, Detect};
use volet_edge::frame::{Color, FramePool, RawFrame};
use volet_edge::models::{Model, builtin};
use volet_edge::pipeline::{self, PipelineConfig, Stream};
use volet_edge::slot::ModelSlot;
use volet_edge::source::{MediaKind, Rate, StreamInfo};

use crate::error::Failure;
use crate::intake::{Intake, Pushed, Refused};
use crate::layout::{Layout, Samples};
use crate::outlet::{Outlet, Pulled, Slot, ToOutlet};
use crate::patience::Patience;
use crate::types::VoletFrame;

/// How to open a camera; checked as far as types go.
pub(crate) struct Settings<'a> {
    pub(crate) layout: Layout,
    pub(crate) color: Color,
    /// TOML.
    pub(crate) config: Option<&'a str>,
    /// A manifest; the built-in detector where not given.
    pub(crate) model: Option<&'a Path>,
    pub(crate) searches: usize,
    pub(crate) queues: Queues,
}

/// How many frames may wait, at least 1 each.
#[derive(Clone, Copy)]
pub(crate) struct Queues {
    pub(crate) waiting: usize,
    pub(crate) out: usize,
}

/// A camera that is open.
pub(crate) struct Camera {
    layout: Layout,
    color: Color,
    pool: FramePool,
    intake: Arc<Intake>,
    outlet: Arc<Outlet>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

/// A frame that was pulled. Dropping it gives its memory back to the camera.
pub(crate) struct Lent {
    /// Points into the slot.
    view: VoletFrame,
    slot: Slot,
    home: Arc<Outlet>,
}

impl Camera {
    /// Loads the model, makes it ready for frames of this size and starts the pipeline.
    pub(crate) fn open(settings: Settings<'_>) -> Result<Self, Failure> {
        let model: ModelSlot = match settings.model {
            Some(path) => Model::open(path)?.into(),
            None => builtin::default_model()?.into(),
        };
        let in_use = model.get();
        let config = match settings.config {
            Some(text) => BatchConfig::from_toml(text, in_use.manifest())?,
            None => BatchConfig::for_model(in_use.manifest()),
        };
        config.check(in_use.manifest())?;
        let detectors = detect::searchers(&model, config.search, settings.searches, settings.layout.geometry())?;
        Self::start(settings.layout, settings.color, config.pipeline, detectors, settings.queues)
    }

    fn start(
        layout: Layout,
        color: Color,
        config: PipelineConfig,
        detectors: Vec<Box<dyn Detect>>,
        queues: Queues,
    ) -> Result<Self, Failure> {
        let (intake, outlet) = (Arc::new(Intake::new(queues.waiting)), Arc::new(Outlet::new(queues.out)));
        let pool = FramePool::new();
        let info =
            StreamInfo { kind: MediaKind::Live, geometry: layout.geometry(), color, rate: Rate::ASSUMED, frames: None };
        let source = Pushed::new(Arc::clone(&intake), info);
        let worker = Worker { config, source, detectors, pool: pool.clone(), outlet: Arc::clone(&outlet) };
        let whose = Arc::clone(&intake);
        let worker = std::thread::Builder::new().name("volet-camera".to_owned()).spawn(move || {
            let (outlet, ended) = worker.run();
            whose.shut();
            outlet.end(ended);
        })?;
        Ok(Self { layout, color, pool, intake, outlet, worker: Mutex::new(Some(worker)) })
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Copies a picture, one [`Samples`] for each plane; `false` where no more may wait.
    pub(crate) fn push(&self, picture: &[Samples<'_>], time: Duration, patience: Patience) -> Result<bool, Failure> {
        let place = match self.intake.place(patience) {
            Ok(place) => place,
            Err(Refused::Full) => return Ok(false),
            Err(Refused::Finished) => return Err(Failure::Over),
            Err(Refused::Shut) => return Err(self.outlet.broken().map_or(Failure::Over, Failure::Broken)),
        };
        let geometry = self.layout.geometry();
        let mut buffer = self.pool.take(geometry.bytes());
        self.layout.copy(picture, buffer.as_mut_slice());
        place.fill(|index| RawFrame::new(index, time, geometry, self.color, buffer))?;
        Ok(true)
    }

    /// The next redacted frame; `Ok(Err)` says why there is none.
    pub(crate) fn pull(&self, patience: Patience) -> Result<Result<Lent, NoFrame>, Failure> {
        Ok(match self.outlet.pull(patience).map_err(Failure::Broken)? {
            Pulled::Frame(slot) => {
                Ok(Lent { view: VoletFrame::of(&slot, &self.layout), slot, home: Arc::clone(&self.outlet) })
            }
            Pulled::Empty => Err(NoFrame::Yet),
            Pulled::End => Err(NoFrame::AnyMore),
        })
    }

    /// No more frames come: those that wait for the tracker come out. Again, nothing happens.
    pub(crate) fn finish(&self) {
        self.intake.finish();
    }

    /// Whoever waits is woken; frames that were not pulled are lost.
    pub(crate) fn stop(&self) {
        self.outlet.stop();
        self.intake.shut();
    }

    /// Stops, and waits until the pipeline's own threads have ended. A search may go on to its end after that.
    pub(crate) fn close(&self) {
        self.stop();
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(worker) = worker {
            // It catches its own panics.
            let _ = worker.join();
        }
    }
}

/// Why a pull gave no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoFrame {
    Yet,
    AnyMore,
}

impl Lent {
    /// What C sees of it, where it stays as long as this is not dropped or moved.
    pub(crate) fn view(&self) -> &VoletFrame {
        &self.view
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.take_back(std::mem::take(&mut self.slot));
    }
}

/// What the pipeline's thread has.
struct Worker {
    config: PipelineConfig,
    source: Pushed,
    detectors: Vec<Box<dyn Detect>>,
    pool: FramePool,
    outlet: Arc<Outlet>,
}

impl Worker {
    /// Runs the stream to its end, and says how it ended.
    fn run(self) -> (Arc<Outlet>, Result<(), String>) {
        let Self { config, source, detectors, pool, outlet } = self;
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let mut sink = ToOutlet(Arc::clone(&outlet));
            let stream = Stream {
                source: Box::new(source),
                sink: &mut sink,
                record: &mut |record: &FrameRecord| outlet.publish(record),
                detectors,
                pool: &pool,
                stop: &AtomicBool::new(false),
                lessons: None,
                keep: None,
            };
            pipeline::run(&config, stream)
        }));
        let ended = match ran {
            Ok(Ok(report)) => report.cut_short.map_or(Ok(()), Err),
            Ok(Err(e)) => Err(e.to_string()),
            Err(_) => Err("the pipeline panicked; please report this".to_owned()),
        };
        (outlet, ended)
    }
}

#[cfg(test)]
mod tests;
