//! The service's own loop: a source is opened, streams run over it, and when it is over it is opened again.
//!
//! Knows sources and pipelines; the disk is the segments' affair, signals are the minder's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use volet_models::{Detection, Manifest};

use super::lent::Held;
use super::shared::Shared;
use super::trouble::pauses;
use super::{Ready, Setup, WatchOptions};
use crate::batch::{BatchConfig, new_summary};
use crate::detect::{Detect, SearchError, searchers};
use crate::frame::{FramePool, RawFrame};
use crate::keep::Keeper;
use crate::learn::Lessons;
use crate::pipeline::{Gauge, Joint, Meter, PipelineError, Stream, run_joined};
use crate::slot::ModelSlot;
use crate::source;

/// Settings that were read anew and are not yet in use.
pub(super) struct News {
    setup: Arc<dyn Setup>,
    /// Of the model in use.
    manifest: Mutex<Option<Manifest>>,
    config: Mutex<Option<BatchConfig>>,
    turn: Arc<AtomicBool>,
}

impl News {
    pub(super) fn new(setup: Arc<dyn Setup>, turn: Arc<AtomicBool>) -> Self {
        Self { setup, manifest: Mutex::new(None), config: Mutex::new(None), turn }
    }

    /// Reads the settings. Bad ones are told of, and the present ones stay.
    pub(super) fn read(&self) {
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

/// A camera at work.
pub(super) struct Watch {
    pub(super) options: WatchOptions,
    pub(super) setup: Arc<dyn Setup>,
    pub(super) ready: Option<(ModelSlot, BatchConfig, Option<Lessons>)>,
    pub(super) segments: Shared,
    pub(super) meter: Arc<Meter>,
    pub(super) waits: Arc<Gauge>,
    pub(super) turn: Arc<AtomicBool>,
    pub(super) news: Arc<News>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) keep: Option<Keeper>,
}

impl Watch {
    /// Opens the camera, again and again.
    pub(super) fn run(&mut self) {
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

    pub(super) fn take(&mut self, ready: Ready) {
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
    fn detect(&mut self, _: &RawFrame) -> Result<Vec<Detection>, SearchError> {
        Err(SearchError::Other("nothing is searched".to_owned()))
    }
}
