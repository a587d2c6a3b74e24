//! The segment in work: the folder that a batch of one film would leave, made piece by piece and named when it is whole.
//!
//! It takes redacted frames and what is written down of them, as a sink and annotations do; it may not know sources, detectors,
//! tracks, or that there are other segments.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::shelf::{Shelf, length, remove};
use crate::annotate::{self, AnnotateError, Format, FrameRecord, MediaRecord};
use crate::batch::{BatchError, Product, Publisher, write_whole};
use crate::redact::Redacted;
use crate::report::{Collector, page};
use crate::sink::{self, Sink, SinkError, SinkOptions};
use crate::source::StreamInfo;
use crate::summary::{Counts, ErrorSummary, MediaSummary, Stages, Summary, Wear};

/// Why a segment did not get its name; it is dropped.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkError {
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Annotate(#[from] AnnotateError),
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error("{0}")]
    NotPublished(String),
    #[error("{}: {source}; make room or mend the disk", path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

/// What the segments of a stream have in common.
pub(super) struct Plan<'a> {
    pub(super) info: &'a StreamInfo,
    /// Settings and model.
    pub(super) summary: &'a Summary,
    pub(super) sink: &'a SinkOptions,
    pub(super) formats: &'a [Format],
}

/// A segment that grows.
pub(super) struct Work {
    number: u64,
    /// Where it is made: a folder of its number, in one that goes when the power does.
    made: PathBuf,
    sink: Box<dyn Sink>,
    annotations: Box<dyn annotate::Writer>,
    collector: Collector,
    media: MediaRecord,
    summary: Summary,
    /// Number and time of its first frame in the stream.
    from: (u64, Duration),
    begun: Instant,
    stages: Stages,
    cpu: Option<Duration>,
    /// What is written down of a frame, counted from this segment's first.
    record: Option<FrameRecord>,
}

impl Work {
    /// Begins a segment with a frame that is still to be written.
    pub(super) fn begin(
        shelf: &Shelf,
        plan: &Plan<'_>,
        number: u64,
        first: &Redacted,
        stages: Stages,
    ) -> Result<Self, WorkError> {
        let workshop = shelf.workshop("work");
        let made = workshop.join(format!("{number:08}"));
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| WorkError::Io { path, source }
        };
        remove(&workshop).map_err(io(&workshop))?;
        let folder = made.join("media");
        std::fs::create_dir_all(&folder).map_err(io(&folder))?;
        let info = plan.info;
        let media = MediaRecord {
            output_name: format!("000001.{}", info.kind.extension()),
            kind: info.kind,
            width: info.geometry.width(),
            height: info.geometry.height(),
            rate: info.rate,
            frames: None,
            source_name: None,
        };
        let sink = sink::create(&folder.join(&media.output_name), info.kind, info, plan.sink)?;
        let mut annotations = annotate::create(&made.join("annotations"), plan.formats, None)?;
        annotations.begin_media(&media)?;
        let mut collector = Collector::new();
        collector.begin_media(&media);
        Ok(Self {
            number,
            made,
            sink,
            annotations,
            collector,
            media,
            summary: plan.summary.clone(),
            from: (first.index(), first.time()),
            begun: Instant::now(),
            stages,
            cpu: cpu(),
            record: None,
        })
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// How long it has been in work.
    pub(super) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// How much of the stream's time lies between its first frame and this one.
    pub(super) fn span(&self, until: Duration) -> Duration {
        until.saturating_sub(self.from.1)
    }

    /// Bytes that it takes on the disk by now.
    pub(super) fn length(&self) -> u64 {
        length(&self.made)
    }

    pub(super) fn write(&mut self, frame: &Redacted) -> Result<(), WorkError> {
        Ok(self.sink.write(frame)?)
    }

    /// Writes down a frame that was written.
    pub(super) fn record(&mut self, frame: &FrameRecord) -> Result<(), WorkError> {
        let record = self.record.get_or_insert_with(|| frame.clone());
        record.index = frame.index.saturating_sub(self.from.0);
        record.time = frame.time.saturating_sub(self.from.1);
        (record.width, record.height, record.covered_pixels) = (frame.width, frame.height, frame.covered_pixels);
        record.objects.clone_from(&frame.objects);
        record.regions.clone_from(&frame.regions);
        record.covered.clone_from(&frame.covered);
        self.collector.frame(record);
        Ok(self.annotations.frame(record)?)
    }

    /// Completes it and gives it its name; its bytes. `wear` is what was written before it, `error` why its stream ended, if it did not end in order.
    pub(super) fn finish(
        self,
        shelf: &mut Shelf,
        publisher: Option<&dyn Publisher>,
        stages: Stages,
        mut wear: Wear,
        error: Option<ErrorSummary>,
    ) -> Result<(u64, Counts), WorkError> {
        let Self { number, made, sink, mut annotations, mut collector, media, mut summary, .. } = self;
        sink.finish()?;
        annotations.end_media()?;
        annotations.finish()?;
        let counts = collector.end_media();
        summary.media.push(MediaSummary {
            ordinal: 1,
            output: Some(media.output_name),
            source_name: None,
            kind: media.kind,
            width: media.width,
            height: media.height,
            fps: media.rate.fps(),
            counts: counts.clone(),
            error: error.as_ref().map(|error| error.message.clone()),
        });
        summary.errors.extend(error);
        summary.stages_ms = difference(stages, self.stages);
        summary.wall_s = self.begun.elapsed().as_secs_f64();
        summary.cpu_s = cpu().zip(self.cpu).map(|(now, then)| now.saturating_sub(then).as_secs_f64());
        // Without the page and the numbers themselves.
        let bytes = length(&made);
        (wear.today, wear.ever) = (wear.today.saturating_add(bytes), wear.ever.saturating_add(bytes));
        summary.wear = Some(wear);
        summary.total();
        write_whole(&made.join("index.html"), page(&summary, &collector.finish()).as_bytes())?;
        let path = made.join("summary.json");
        let json = serde_json::to_vec_pretty(&summary);
        let json = json.map_err(|source| WorkError::Io { path: path.clone(), source: source.into() })?;
        write_whole(&path, &json)?;
        let whole = match publisher {
            Some(publisher) => give_out(publisher, shelf, number, &made)?,
            None => made,
        };
        let bytes = shelf.keep(number, &whole).map_err(|source| WorkError::Io { path: whole, source })?;
        Ok((bytes, counts))
    }
}

/// Lets somebody else decide over each file; where they are when all are let out.
fn give_out(publisher: &dyn Publisher, shelf: &Shelf, number: u64, made: &Path) -> Result<PathBuf, WorkError> {
    let given = shelf.workshop("given");
    let io = |source| WorkError::Io { path: given.clone(), source };
    remove(&given).map_err(io)?;
    std::fs::create_dir(&given).map_err(io)?;
    let from = made.parent().unwrap_or(made);
    for (product, name) in [
        (Product::Media, "media"),
        (Product::Annotations, "annotations"),
        (Product::Report, "index.html"),
        (Product::Report, "summary.json"),
    ] {
        let name = format!("{number:08}/{name}");
        publisher.publish(product, from, &given, &name).map_err(WorkError::NotPublished)?;
    }
    Ok(given.join(format!("{number:08}")))
}

fn cpu() -> Option<Duration> {
    cpu_time::ProcessTime::try_now().ok().map(|time| time.as_duration())
}

fn difference(now: Stages, then: Stages) -> Stages {
    Stages {
        read: now.read - then.read,
        detect: now.detect - then.detect,
        track: now.track - then.track,
        redact: now.redact - then.redact,
        write: now.write - then.write,
    }
}
