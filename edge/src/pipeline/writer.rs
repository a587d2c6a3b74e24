//! The end of the pipeline: redacts as ordered, writes, records.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;
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
    pub(super) objects: Vec<Annotated>,
}

pub(super) enum Content {
    Redact { frame: RawFrame, regions: Vec<Region> },
    Cover { frame: RawFrame, reason: String },
    Lost { geometry: Geometry, color: Color, reason: String },
}

type Record<'a> = &'a mut (dyn FnMut(&FrameRecord) -> Result<(), AnnotateError> + Send);

pub(super) fn write(
    mut redactor: Redactor,
    pool: &FramePool,
    orders: Receiver<Order>,
    sink: &mut dyn Sink,
    (record, meter): (Record<'_>, &Meter),
) -> Result<StreamReport, PipelineError> {
    let mut report = StreamReport::default();
    let (mut redacting, mut writing) = (Duration::ZERO, Duration::ZERO);
    for order in orders {
        let start = Instant::now();
        let Order { index, time, geometry, content, objects } = order;
        let color = match &content {
            Content::Redact { frame, .. } | Content::Cover { frame, .. } => frame.color(),
            Content::Lost { color, .. } => *color,
        };
        let redacted = match catch_unwind(AssertUnwindSafe(|| carry_out(&mut redactor, pool, index, time, content))) {
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
        record(&FrameRecord {
            index,
            time,
            width: geometry.width(),
            height: geometry.height(),
            objects,
            regions: redacted.regions().to_vec(),
            covered: redacted.covered_because().map(str::to_owned),
            covered_pixels: redacted.covered_pixels(),
        })?;
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
) -> Result<Redacted, PipelineError> {
    match content {
        Content::Redact { frame, regions } => Ok(redactor.redact(frame, &regions)),
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
