//! One input of a batch: open it, run it through the pipeline, finish or throw away its output.

use std::sync::atomic::AtomicBool;

use super::publish::Outlet;
use super::{BatchOptions, Event, Input, Product};
use crate::annotate::{AnnotateError, FrameRecord, MediaRecord};
use crate::detect::searchers;
use crate::frame::FramePool;
use crate::pipeline::{self, PipelineError, Stream};
use crate::sink::{self, Sink};
use crate::slot::ModelSlot;
use crate::source::{self, MediaKind, Next, Rate, Source, SourceError, StreamInfo};
use crate::summary::{Counts, MediaSummary, Stages};

/// What all inputs of a batch share.
pub(super) struct Shop<'a> {
    pub(super) outlet: &'a Outlet<'a>,
    pub(super) model: &'a ModelSlot,
    pub(super) options: &'a BatchOptions,
    pub(super) stop: &'a AtomicBool,
    pub(super) pool: FramePool,
    pub(super) tell: &'a (dyn Fn(Event<'_>) + Sync),
}

/// A first look at an input.
pub(super) enum Attempt {
    /// It was a still (or failed), and is done.
    Still(Box<Finished>),
    /// It is more than a still; run it alone.
    Film(u64, Input),
}

/// An input that is done.
pub(super) struct Finished {
    /// For the person at the terminal.
    pub(super) name: String,
    pub(super) record: MediaRecord,
    pub(super) summary: MediaSummary,
    pub(super) stages: Stages,
    /// Only of stills.
    pub(super) frames: Vec<FrameRecord>,
    /// Whether annotations of it were begun.
    pub(super) begun: bool,
}

/// An input whose stream is open.
pub(super) struct Opened {
    name: String,
    ordinal: u64,
    source: Box<dyn Source>,
    pub(super) record: MediaRecord,
}

impl Shop<'_> {
    /// Does an input that is a still, and gives back one that is not.
    pub(super) fn still(&self, ordinal: u64, input: Input) -> Attempt {
        let live = match &input {
            Input::Path(path) => source::is_rtsp(path) || path.starts_with("/dev"),
            Input::Stream(..) => true,
        };
        if live {
            return Attempt::Film(ordinal, input);
        }
        let path = match &input {
            Input::Path(path) => path.clone(),
            Input::Stream(..) => return Attempt::Film(ordinal, input),
        };
        match self.open(ordinal, input) {
            Ok(opened) if opened.record.kind.is_still() => {
                let mut frames = Vec::new();
                let mut record = |frame: &FrameRecord| {
                    frames.push(frame.clone());
                    Ok(())
                };
                let finished = self.run(opened, &mut record);
                Attempt::Still(Box::new(Finished { frames, begun: false, ..finished }))
            }
            Ok(_) => Attempt::Film(ordinal, Input::Path(path)),
            Err(failed) => Attempt::Still(failed),
        }
    }

    /// Opens an input and names its output.
    pub(super) fn open(&self, ordinal: u64, input: Input) -> Result<Opened, Box<Finished>> {
        let name = input.name();
        let opened = match input {
            Input::Path(path) => source::open(&path, &self.options.open),
            Input::Stream(_, source) => Ok(source),
        };
        match opened {
            Ok(source) => {
                let source = self.limited(source);
                let record = self.record(ordinal, &name, source.info());
                Ok(Opened { name, ordinal, source, record })
            }
            Err(e) => {
                let source_name = self.options.keep_names.then(|| name.clone());
                let summary = failed(ordinal, source_name, e.to_string());
                Err(Box::new(Finished {
                    name,
                    record: placeholder(),
                    summary,
                    stages: Stages::default(),
                    frames: Vec::new(),
                    begun: false,
                }))
            }
        }
    }

    /// Runs an open input to its end.
    pub(super) fn run(
        &self,
        opened: Opened,
        record: &mut (dyn FnMut(&FrameRecord) -> Result<(), AnnotateError> + Send),
    ) -> Finished {
        let Opened { name, ordinal, source, record: media } = opened;
        let info = source.info().clone();
        (self.tell)(Event::Begun(&name, info.frames));
        let name_out = format!("media/{}", media.output_name);
        let result = sink::create(&self.outlet.folder().join(&name_out), info.kind, &info, &self.options.sink)
            .map_err(PipelineError::from)
            .and_then(|sink| self.stream(source, sink, record))
            .map_err(|e| e.to_string())
            .and_then(|report| self.outlet.publish(Product::Media, &name_out).map(|()| report));
        let (output, stages, error) = match result {
            Ok(report) => (Some(media.output_name.clone()), report.stages, report.cut_short),
            Err(why) => (None, Stages::default(), Some(why)),
        };
        let summary = MediaSummary {
            ordinal,
            output,
            source_name: media.source_name.clone(),
            kind: info.kind,
            width: info.geometry.width(),
            height: info.geometry.height(),
            fps: info.rate.fps(),
            counts: Counts::default(),
            error,
        };
        Finished { name, record: media, summary, stages, frames: Vec::new(), begun: true }
    }

    fn stream(
        &self,
        source: Box<dyn Source>,
        mut sink: Box<dyn Sink>,
        record: &mut (dyn FnMut(&FrameRecord) -> Result<(), AnnotateError> + Send),
    ) -> Result<pipeline::StreamReport, PipelineError> {
        let still = source.info().kind.is_still();
        let config = &self.options.config;
        let pipeline = if still { config.pipeline.for_still() } else { config.pipeline.clone() };
        let count = if still { 1 } else { self.options.threads };
        let detectors = searchers(self.model, config.search, count, source.info().geometry)?;
        let mut counted = |frame: &FrameRecord| {
            (self.tell)(Event::Frames(1));
            record(frame)
        };
        // A picture has no frames around it.
        let lessons = self.options.lessons.clone().filter(|_| !still);
        let keep = self.options.keep.as_ref().filter(|_| !still);
        let (pool, stop) = (&self.pool, self.stop);
        let stream = Stream { source, sink: &mut *sink, record: &mut counted, detectors, pool, stop, lessons, keep };
        let mut report = pipeline::run(&pipeline, stream)?;
        let start = std::time::Instant::now();
        sink.finish()?;
        report.stages.write += start.elapsed().as_secs_f64() * 1000.0;
        Ok(report)
    }

    fn limited(&self, source: Box<dyn Source>) -> Box<dyn Source> {
        let max = self.options.max_frames;
        if max == 0 || source.info().kind.is_still() {
            return source;
        }
        let mut info = source.info().clone();
        info.frames = info.frames.map(|n| n.min(max));
        Box::new(Limited { source, info, left: max })
    }

    fn record(&self, ordinal: u64, name: &str, info: &StreamInfo) -> MediaRecord {
        let extension = info.kind.extension();
        let stem =
            if self.options.keep_names { format!("{ordinal:06}-{}", safe_stem(name)) } else { format!("{ordinal:06}") };
        MediaRecord {
            output_name: format!("{stem}.{extension}"),
            kind: info.kind,
            width: info.geometry.width(),
            height: info.geometry.height(),
            rate: info.rate,
            frames: info.frames,
            source_name: self.options.keep_names.then(|| name.to_owned()),
        }
    }
}

/// A file name's stem with everything but letters, digits, `-` and `_` replaced, at most 80 long.
fn safe_stem(name: &str) -> String {
    let file = name.rsplit('/').next().unwrap_or(name);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    stem.chars().take(80).map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' }).collect()
}

fn failed(ordinal: u64, source_name: Option<String>, error: String) -> MediaSummary {
    MediaSummary {
        ordinal,
        output: None,
        source_name,
        kind: MediaKind::Other,
        width: 0,
        height: 0,
        fps: 0.0,
        counts: Counts::default(),
        error: Some(error),
    }
}

fn placeholder() -> MediaRecord {
    MediaRecord {
        output_name: String::new(),
        kind: MediaKind::Other,
        width: 0,
        height: 0,
        rate: Rate { num: 1, den: 1 },
        frames: None,
        source_name: None,
    }
}

/// A source that ends after so many frames.
struct Limited {
    source: Box<dyn Source>,
    info: StreamInfo,
    left: u64,
}

impl Source for Limited {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    fn next(&mut self, pool: &FramePool) -> Result<Next, SourceError> {
        if self.left == 0 {
            return Ok(Next::End);
        }
        self.left -= 1;
        self.source.next(pool)
    }
}
