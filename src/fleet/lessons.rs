//! What a demonstration's cameras have seen before they take part: each watches synthetic clips of its own, as it would watch any
//! stream, and keeps lessons in a sealed buffer, with labels of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use volet_edge::agent::Learning;
use volet_edge::annotate::Format;
use volet_edge::batch::{self, BatchOptions, Input};
use volet_edge::learn::buffer::{Buffer, Identity, Limits, init_with, status};
use volet_edge::learn::desk::{list, show};
use volet_edge::learn::{LabelConfig, Lessons};
use volet_edge::models::{Model, builtin};
use volet_synthetic::{Clip, seed_of};

use crate::synthetic::Synthetic;

/// A clip: its size, frames a second, frames.
const SIZE: (u32, u32) = (320, 192);
const FPS: u32 = 5;
const FRAMES: u32 = 40;
/// Between two lessons.
const EVERY: Duration = Duration::from_secs(1);
/// A camera watches until it has so many lessons to learn from, and so many to judge by; and clips, at most.
const LEARNED: usize = 8;
const HELD_OUT: usize = 2;
const CLIPS: u64 = 6;

/// Where a camera's lessons are.
pub(super) struct Shelf {
    pub(super) dir: PathBuf,
    pub(super) identity: PathBuf,
}

/// What a camera's buffer holds.
#[derive(Serialize)]
pub(super) struct Held {
    lessons: usize,
    /// Of them, what models are judged by and nothing is learned from.
    held_out: usize,
    /// Of them, what a teacher has looked at.
    taught: usize,
    /// What is learned from, or judged by.
    labels: usize,
    /// What was too uncertain for that.
    unsure: usize,
}

impl Shelf {
    /// A camera's, in the demonstration's folder.
    pub(super) fn of(folder: &Path, name: &str) -> Self {
        let [dir, identity] = ["lessons", "identity"].map(|what| folder.join(format!("{name}-{what}")));
        Self { dir, identity }
    }

    /// Makes it, and lets the camera of this number watch; what the pipeline writes besides goes into `media`.
    pub(super) fn fill(&self, camera: u64, media: &Path, stop: &AtomicBool) -> anyhow::Result<()> {
        let model = builtin::default_model()?;
        init_with(&self.dir, &self.identity, &model.manifest().classes, Limits::default())?;
        std::fs::create_dir(media)?;
        for clip in 0..CLIPS {
            self.watch(&model, seed_of(1000 + camera, clip), &media.join(clip.to_string()), stop)?;
            let status = status(&self.dir)?;
            if status.held_out >= HELD_OUT && status.lessons - status.held_out >= LEARNED {
                return Ok(());
            }
        }
        anyhow::bail!("camera {camera} has seen too little in {CLIPS} clips to learn from")
    }

    fn watch(&self, model: &Model, seed: u64, out: &Path, stop: &AtomicBool) -> anyhow::Result<()> {
        let classes = model.manifest().classes.clone();
        let keep = Arc::new(Buffer::writer(&self.dir, &classes)?);
        let lessons = Lessons { keep, classes, every: EVERY, labels: LabelConfig::default() };
        let defaults = crate::redact::default_options(model);
        let options = BatchOptions { formats: vec![Format::Coco], threads: 1, lessons: Some(lessons), ..defaults };
        let source = Synthetic::new(Clip::new(seed, SIZE.0, SIZE.1, FPS, FRAMES), SIZE, FPS)?;
        let inputs = vec![Input::Stream("synthetic clip".to_owned(), Box::new(source))];
        let summary = batch::run(inputs, Vec::new(), out, builtin::default_model()?, &options, stop, &|_| ())?;
        let problem = summary.errors.first().map(|error| error.message.clone());
        problem.map_or(Ok(()), |problem| Err(anyhow::anyhow!(problem)))
    }

    /// What is in it, as its owner sees it.
    pub(super) fn held(&self) -> anyhow::Result<Held> {
        let buffer = Buffer::open(&self.dir, Identity::read(&self.identity, &self.dir)?)?;
        let all = list(&buffer).with_context(|| format!("{}", self.dir.display()))?;
        let count = |of: fn(&volet_edge::learn::desk::Listed) -> bool| all.iter().filter(|lesson| of(lesson)).count();
        let (mut labels, mut unsure) = (0, 0);
        for lesson in &all {
            let (sure, other) = show(&buffer, lesson.lesson)?.labels();
            (labels, unsure) = (labels + sure, unsure + other);
        }
        let (held_out, taught) = (count(|lesson| lesson.held_out), count(|lesson| lesson.taught));
        Ok(Held { lessons: all.len(), held_out, taught, labels, unsure })
    }
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { lessons, held_out, taught, labels, unsure } = self;
        write!(
            f,
            "{lessons} stills, {held_out} held out, {taught} looked at by a teacher; {labels} labels, {unsure} unsure"
        )
    }
}

/// What a camera's learning may take: a demonstration is not spread over nights, and this machine is warm.
pub(super) fn limits() -> Learning {
    Learning { lessons: LEARNED, celsius: 150.0, ..Learning::default() }
}
