//! The end of the pipeline: redacts as ordered, writes, records.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use super::{Meter, PipelineError, StreamReport, internal, ms};
use crate::annotate::{AnnotateError, Annotated, FrameRecord};
use crate::frame::{Color, FramePool, Geometry, RawFrame};
use crate::redact::{Redacted, Redactor, Region};
use crate::sink::Sink;

/// What is to be done with a frame.
pub(super) struct Order {
    pub(super) index: u64,
    pub(super) time: Duration,
    pub(super) geometry: Geometry,
    pub(super) content: Content,
    pub(super) marks: Marks,
}

/// What is to be destroyed in a frame, and what is written down of it. It goes round between planner and writer, so that a
/// steady stream allocates nothing.
#[derive(Default)]
pub(super) struct Marks {
    pub(super) regions: Vec<Region>,
    pub(super) objects: Vec<Annotated>,
}

pub(super) enum Content {
    Redact { frame: RawFrame },
    Cover { frame: RawFrame, reason: String },
    Lost { geometry: Geometry, color: Color, reason: String },
}

type Record<'a> = &'a mut (dyn FnMut(&FrameRecord) -> Result<(), AnnotateError> + Send);

pub(super) fn write(
    mut redactor: Redactor,
    pool: &FramePool,
    orders: Receiver<Order>,
    used: SyncSender<Marks>,
    sink: &mut dyn Sink,
    (record, meter): (Record<'_>, &Meter),
) -> Result<StreamReport, PipelineError> {
    let mut report = StreamReport::default();
    let (mut redacting, mut writing) = (Duration::ZERO, Duration::ZERO);
    for order in orders {
        let start = Instant::now();
        let Order { index, time, geometry, content, mut marks } = order;
        let color = match &content {
            Content::Redact { frame } | Content::Cover { frame, .. } => frame.color(),
            Content::Lost { color, .. } => *color,
        };
        let regions = &marks.regions;
        let carried_out = AssertUnwindSafe(|| carry_out(&mut redactor, pool, index, time, content, regions));
        let redacted = match catch_unwind(carried_out) {
            Ok(redacted) => redacted?,
            Err(_) => {
                // The frame went down with the redactor; nothing of it is left to show.
                redactor = redactor.renewed();
                blank(&mut redactor, pool, index, time, geometry, color, "redaction panicked")?
            }
        };
        let written = Instant::now();
        redacting += written - start;
        meter.redact.step(written - start);
        sink.write(&redacted)?;
        report.frames += 1;
        // What was destroyed, not what should have been.
        marks.regions.clear();
        marks.regions.extend_from_slice(redacted.regions());
        let frame = FrameRecord {
            index,
            time,
            width: geometry.width(),
            height: geometry.height(),
            objects: marks.objects,
            regions: marks.regions,
            covered: redacted.covered_because().map(str::to_owned),
            covered_pixels: redacted.covered_pixels(),
        };
        record(&frame)?;
        redactor.reclaim(redacted);
        // Where nobody takes it back, it is gone.
        let _ = used.try_send(Marks { regions: frame.regions, objects: frame.objects });
        writing += written.elapsed();
        meter.write.step(written.elapsed());
    }
    report.stages.redact = ms(redacting);
    report.stages.write = ms(writing);
    Ok(report)
}

fn carry_out(
    redactor: &mut Redactor,
    pool: &FramePool,
    index: u64,
    time: Duration,
    content: Content,
    regions: &[Region],
) -> Result<Redacted, PipelineError> {
    match content {
        Content::Redact { frame } => Ok(redactor.redact(frame, regions)),
        Content::Cover { frame, reason } => Ok(redactor.cover(frame, reason)),
        Content::Lost { geometry, color, reason } => blank(redactor, pool, index, time, geometry, color, &reason),
    }
}

fn blank(
    redactor: &mut Redactor,
    pool: &FramePool,
    index: u64,
    time: Duration,
    geometry: Geometry,
    color: Color,
    reason: &str,
) -> Result<Redacted, PipelineError> {
    let buffer = pool.take(geometry.bytes());
    redactor
        .blank(index, time, geometry, color, buffer, reason)
        .map_err(|e| internal(&format!("no covered frame could be made: {e}")))
}
