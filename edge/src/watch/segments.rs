//! One segment after the other, out of a stream that does not end: where each begins and ends, and what happens when the disk
//! does not do as it is told.
//!
//! Frames come from the pipeline's writer, which never hears of a disk's troubles: a segment that cannot be written is dropped,
//! room is made, and another begins. So the stream goes on over the boundary between two segments, with all that its tracker
//! knows: no frame is lost there, and none is covered less than in the middle. Knows redacted frames; no sources, no signals.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use volet_federated::storage::DirStorage;

use super::journal::Journal;
use super::shelf::{Limits, Shelf};
use super::trouble::{Trouble, is_full};
use super::work::{Plan, Work, WorkError};
use crate::annotate::{Format, FrameRecord};
use crate::batch::Publisher;
use crate::pipeline::Meter;
use crate::program::Proof;
use crate::redact::Redacted;
use crate::sink::SinkOptions;
use crate::source::StreamInfo;
use crate::summary::{ErrorSummary, Summary};

/// How often the segment in work is looked at.
const TEND: Duration = Duration::from_secs(1);
/// Bytes for which there has to be room at any time, at most; or an eighth of all.
const MORE: u64 = 1 << 20;
/// Why a segment ends that its camera did not let end.
const GONE: &str = "the camera went away before the end of this segment; the frames before are whole";

/// How segments are written.
#[derive(Clone, Debug)]
pub struct SegmentOptions {
    /// How long a segment is, by the time that its frames have.
    pub length: Duration,
    /// How much is kept.
    pub limits: Limits,
    /// The most bytes that are written in 24 hours of running.
    pub per_day: Option<u64>,
    /// How pictures are written.
    pub sink: SinkOptions,
    /// Annotation formats to write.
    pub formats: Vec<Format>,
}

pub(super) struct Segments {
    options: SegmentOptions,
    shelf: Shelf,
    journal: Journal<DirStorage>,
    publisher: Option<Arc<dyn Publisher>>,
    meter: Arc<Meter>,
    stream: Option<Running>,
    /// Why everything is covered until a segment of it is whole, if it is.
    cover: Option<String>,
    /// Set when another stream is to go on with the source.
    turn: Arc<AtomicBool>,
    work: Option<Work>,
    tended: Instant,
    /// Until when what was written and how long it took is in the journal.
    accounted: Instant,
    trouble: Trouble,
    left_out: u64,
    /// Given once a segment is whole that was searched.
    proof: Option<Proof>,
}

/// The stream that is written.
struct Running {
    info: StreamInfo,
    summary: Summary,
    /// Whether it is searched, and not covered from its beginning.
    clear: bool,
}

impl Segments {
    pub(super) fn new(
        options: SegmentOptions,
        shelf: Shelf,
        journal: Journal<DirStorage>,
        publisher: Option<Arc<dyn Publisher>>,
        meter: Arc<Meter>,
        turn: Arc<AtomicBool>,
    ) -> Self {
        let now = Instant::now();
        Self {
            options,
            shelf,
            journal,
            publisher,
            meter,
            stream: None,
            cover: None,
            turn,
            work: None,
            tended: now,
            accounted: now,
            trouble: Trouble::default(),
            left_out: 0,
            proof: None,
        }
    }

    /// This program is on trial, and proves itself by a segment.
    pub(super) fn on_trial(&mut self, proof: Option<Proof>) {
        self.proof = proof;
    }

    /// Covers everything until a segment of it is whole.
    pub(super) fn cover(&mut self, reason: String) {
        tracing::error!(reason, "every frame is covered, for a segment at least");
        self.cover = Some(reason);
    }

    /// Why everything is covered, if it is.
    pub(super) fn covered(&self) -> Option<&str> {
        self.cover.as_deref()
    }

    /// Another stream begins: what it looks like, and by which settings and model it is redacted.
    pub(super) fn begin_stream(&mut self, info: StreamInfo, summary: Summary) {
        self.end(None);
        self.stream = Some(Running { info, summary, clear: self.cover.is_none() });
    }

    /// The stream has ended, in order or not; what was written of it is made whole.
    pub(super) fn end_stream(&mut self, in_order: bool) {
        self.end((!in_order).then_some(GONE));
        self.stream = None;
    }

    /// Where the segments lie.
    pub(super) fn folder(&self) -> &Path {
        self.shelf.folder()
    }

    /// This process ends in order.
    pub(super) fn close(&mut self) {
        // Nothing is proved by being ended.
        self.proof = None;
        self.end(None);
        if let Err(error) = self.journal.excuse() {
            tracing::warn!(%error, "this start counts as one that came to nothing");
        }
    }

    /// For people, in one line.
    pub(super) fn status(&self) -> String {
        let (count, bytes) = self.shelf.kept();
        let mut status = match (self.trouble.what(), &self.work, &self.cover) {
            (Some(what), None, _) => format!("nothing is written: {what}"),
            (_, None, _) => "waiting for the camera".to_owned(),
            (_, Some(work), Some(why)) => format!("segment {}, all covered: {why}", work.number()),
            (_, Some(work), None) => format!("segment {}", work.number()),
        };
        let mb = |bytes: u64| bytes as f64 / 1e6;
        let today = self.journal.wear().today;
        status.push_str(&format!("; {count} segments, {:.1} MB; {:.1} MB written in this day", mb(bytes), mb(today)));
        status
    }

    pub(super) fn write(&mut self, frame: &Redacted) {
        if let Some(work) = &self.work {
            // A stream whose time stands still ends its segments, too.
            if work.span(frame.time()) >= self.options.length || work.age() >= 2 * self.options.length {
                self.end(None);
            } else if self.tended.elapsed() >= TEND {
                self.tend();
            }
        }
        if self.work.is_none() {
            self.begin(frame);
        }
        match self.work.as_mut().map(|work| work.write(frame)) {
            None => self.left_out += 1,
            Some(Ok(())) => {}
            Some(Err(error)) => self.fail(&error),
        }
    }

    pub(super) fn record(&mut self, frame: &FrameRecord) {
        if let Some(Err(error)) = self.work.as_mut().map(|work| work.record(frame)) {
            self.fail(&error);
        }
    }

    /// Begins a segment, if nothing speaks against it.
    fn begin(&mut self, first: &Redacted) {
        if self.trouble.lasts() {
            return;
        }
        self.account();
        if let Err(why) = self.allowed() {
            self.trouble.wait(why);
            return;
        }
        let Some(Running { info, summary, .. }) = &self.stream else { return };
        let Self { options: SegmentOptions { sink, formats, .. }, .. } = self;
        let number = self.journal.next(self.shelf.last());
        let begun =
            Work::begin(&self.shelf, &Plan { info, summary, sink, formats }, number, first, self.meter.stages());
        match begun {
            Ok(work) => {
                if self.left_out > 0 {
                    tracing::warn!(
                        frames = self.left_out,
                        segment = number,
                        "written again; these were left out before"
                    );
                }
                (self.work, self.tended, self.left_out) = (Some(work), Instant::now(), 0);
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Makes room for a segment; or says why none may begin.
    fn allowed(&mut self) -> Result<(), String> {
        if self.publisher.as_ref().is_some_and(|publisher| !publisher.is_open()) {
            return Err("its owner does not share".to_owned());
        }
        if self.is_spent(0) {
            return Err("as much was written in this day as may be (--megabytes-per-day)".to_owned());
        }
        let unreadable = |error: io::Error| format!("the folder of segments cannot be used: {error}");
        let old = self.shelf.expire(SystemTime::now()).map_err(unreadable)?;
        if old > 0 {
            tracing::info!(segments = old, "removed: older than segments may be");
        }
        match self.shelf.make_room(0, self.more()).map_err(unreadable)? {
            true => Ok(()),
            false => Err("the disk is full, and would be without any segment".to_owned()),
        }
    }

    /// Looks after the segment in work: it ends, whole, where there is not room for more of it.
    fn tend(&mut self) {
        self.tended = Instant::now();
        let Some(work) = &self.work else { return };
        if self.publisher.as_ref().is_some_and(|publisher| !publisher.is_open()) {
            self.discard();
            self.trouble.wait("its owner does not share".to_owned());
            return;
        }
        let length = work.length();
        // A segment is never more than half of all, so that one is there while the next is made.
        let large = length.saturating_mul(2) > self.options.limits.bytes || self.is_spent(length);
        if large || !self.shelf.make_room(length, self.more()).unwrap_or(false) {
            self.end(None);
        }
    }

    /// Makes the segment in work whole, if there is one.
    fn end(&mut self, error: Option<&str>) {
        let Some(work) = self.work.take() else { return };
        self.account();
        let (number, wear, publisher) = (work.number(), self.journal.wear(), self.publisher.as_deref());
        match work.finish(&mut self.shelf, publisher, self.meter.stages(), wear, error.map(broken)) {
            Ok((bytes, counts)) => {
                self.kept(number, bytes, counts.frames);
                // Whole, of its full length, and searched for the most part: not by a program that fails at it.
                let searched = error.is_none() && counts.covered_frames.saturating_mul(2) < counts.frames;
                if searched && self.proof.as_ref().is_some_and(Proof::give) {
                    self.proof = None;
                }
            }
            Err(error) => self.fail(&error),
        }
        // What is left of a workshop is in nobody's way, and goes with the next.
        let _ = self.shelf.sweep();
    }

    fn kept(&mut self, number: u64, bytes: u64, frames: u64) {
        let clear = self.stream.as_ref().is_some_and(|stream| stream.clear);
        if let Err(error) = self.journal.whole(number, clear, bytes) {
            tracing::warn!(%error, "what this camera knows of itself cannot be written");
        }
        let written_today = self.journal.wear().today;
        tracing::info!(segment = number, frames, bytes, written_today, covered = !clear, "whole");
        self.trouble = Trouble::default();
        if !clear && self.cover.take().is_some() {
            // Now that a segment is there, what went wrong is tried again.
            self.turn.store(true, Ordering::Release);
        }
    }

    /// The segment in work cannot go on.
    fn fail(&mut self, error: &WorkError) {
        self.discard();
        if is_full(error) && self.shelf.remove_oldest().is_ok_and(|removed| removed) {
            tracing::warn!("the disk is full: the oldest segment was removed");
        }
        self.trouble.wait(format!("the segment in work was dropped: {error}"));
    }

    /// Removes the segment in work.
    pub(super) fn discard(&mut self) {
        self.work = None;
        self.account();
        match self.shelf.sweep() {
            Ok(bytes) => self.journal.wrote(bytes),
            Err(error) => tracing::warn!(%error, "what was made of a segment cannot be removed"),
        }
    }

    fn account(&mut self) {
        self.journal.passes(self.accounted.elapsed());
        self.accounted = Instant::now();
    }

    /// Whether this day's bytes are written, with so many of the segment in work.
    fn is_spent(&self, work: u64) -> bool {
        let written = self.journal.wear().today.saturating_add(work);
        self.options.per_day.is_some_and(|most| written.saturating_add(self.more()) > most)
    }

    fn more(&self) -> u64 {
        let least = self.options.per_day.unwrap_or(u64::MAX).min(self.options.limits.bytes);
        MORE.min(least / 8)
    }
}

/// Why a segment is not as long as it should be.
fn broken(message: &str) -> ErrorSummary {
    ErrorSummary { input: "input 1".to_owned(), message: message.to_owned(), remedy: String::new() }
}
