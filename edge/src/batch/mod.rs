//! A batch: many inputs into one folder of redacted media, annotations, a page and a summary.
//!
//! Stills are worked on side by side, films one after the other with their frames side by side. An input that fails
//! is reported and the rest goes on. Everything appears under its final name when it is whole.

mod medium;
mod publish;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use volet_models::{Manifest, ObjectClass, Quality};

use crate::annotate::{self, AnnotateError, Format, FrameRecord};
use crate::detect::SearchConfig;
use crate::frame::FramePool;
use crate::keep::Keeper;
use crate::learn::Lessons;
use crate::pipeline::{PipelineConfig, PipelineError};
use crate::plan::ConfigError;
use crate::report::{Collector, page};
use crate::sink::SinkOptions;
use crate::slot::ModelSlot;
use crate::source::{self, OpenOptions, Source, SourceError};
use crate::summary::{ErrorSummary, MediaSummary, ModelSummary, Settings, Stages, Summary};
use medium::Finished;
use publish::Outlet;
pub use publish::{Product, Publisher};

/// Something to be redacted.
pub enum Input {
    /// A file, a device (`/dev/videoN`) or an address (`rtsp://...`).
    Path(PathBuf),
    /// A stream that is already open, with a name for messages.
    Stream(String, Box<dyn Source>),
}

impl Input {
    /// What it is called in messages to the person at the terminal.
    pub fn name(&self) -> String {
        match self {
            // An address may hold a password.
            Self::Path(path) if source::is_rtsp(path) => match path.to_string_lossy().rsplit_once('@') {
                Some((_, host)) => format!("rtsp://{}", host.split('?').next().unwrap_or(host)),
                None => path.to_string_lossy().split('?').next().unwrap_or_default().to_owned(),
            },
            Self::Path(path) => path.display().to_string(),
            Self::Stream(name, _) => name.clone(),
        }
    }
}

/// Settings of a batch, as a configuration file holds them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchConfig {
    /// Tracking, redaction, deadlines.
    #[serde(flatten)]
    pub pipeline: PipelineConfig,
    /// How thoroughly to search frames.
    pub search: SearchConfig,
}

impl BatchConfig {
    /// Reads a configuration file; what it does not say is as [`BatchConfig::for_model`] has it.
    ///
    /// # Errors
    /// The text is no TOML of this shape.
    pub fn from_toml(text: &str, manifest: &Manifest) -> Result<Self, BatchError> {
        fn lay(over: toml::Table, base: &mut toml::Table) {
            for (key, value) in over {
                match (value, base.get_mut(&key)) {
                    (toml::Value::Table(over), Some(toml::Value::Table(base))) => lay(over, base),
                    (value, _) => drop(base.insert(key, value)),
                }
            }
        }
        let wrong = |e: &dyn std::fmt::Display| BatchError::Config(e.to_string());
        let mut base = toml::Table::try_from(Self::for_model(manifest)).map_err(|e| wrong(&e))?;
        lay(toml::from_str(text).map_err(|e| wrong(&e))?, &mut base);
        base.try_into().map_err(|e| wrong(&e))
    }

    /// Checks every field, and that the model finds what is to be covered.
    ///
    /// # Errors
    /// A field is out of range, or a class is unknown to the model.
    pub fn check(&self, manifest: &Manifest) -> Result<(), BatchError> {
        self.pipeline.check().map_err(PipelineError::from)?;
        let (value, high) = (f64::from(self.search.min_score), f64::from(self.pipeline.tracker.birth_score));
        if !(0.0..=high).contains(&value) {
            let wrong = ConfigError::Range { field: "search.min_score", value, low: 0.0, high };
            return Err(PipelineError::from(wrong).into());
        }
        match self.pipeline.redaction.classes.iter().find(|c| !manifest.classes.contains(c)) {
            Some(class) => Err(BatchError::Class { model: manifest.name.clone(), class: *class }),
            None => Ok(()),
        }
    }

    /// The default settings with the scores that suit a model: what reaches its manifest's threshold counts at once,
    /// weaker ones have to be seen several times, and the weakest only continue a track.
    pub fn for_model(manifest: &Manifest) -> Self {
        let mut config = Self::default();
        config.use_threshold(manifest.thresholds.score);
        config
    }

    /// Derives every score from the one at which a detection counts at once.
    pub fn use_threshold(&mut self, score: f32) {
        let tracker = &mut self.pipeline.tracker;
        (tracker.sure_score, tracker.birth_score) = (score, 0.6 * score);
        self.search.min_score = 0.3 * score;
    }
}

/// What is asked of one run.
#[derive(Clone, Debug)]
pub struct BatchOptions {
    /// The settings.
    pub config: BatchConfig,
    /// Annotation formats to write.
    pub formats: Vec<Format>,
    /// Where to write what was covered, if anywhere.
    pub regions: Option<PathBuf>,
    /// Whether outputs are named after their inputs; else they are numbered.
    pub keep_names: bool,
    /// Searches at a time; at least 1.
    pub threads: usize,
    /// How lessons are taken from films and cameras, if they are.
    pub lessons: Option<Lessons>,
    /// Who keeps raw film of films and cameras, if anybody does.
    pub keep: Option<Keeper>,
    /// How inputs are opened.
    pub open: OpenOptions,
    /// How outputs are written.
    pub sink: SinkOptions,
    /// Stop each stream after this many frames; 0: at its end.
    pub max_frames: u64,
    /// Who lets finished files into the folder of results; whoever runs the batch, if nobody is named.
    pub publisher: Option<Arc<dyn Publisher>>,
}

/// What a run tells while it goes on. Called from several threads.
#[derive(Debug)]
pub enum Event<'a> {
    /// An input is begun: its name and its number of frames, if known.
    Begun(&'a str, Option<u64>),
    /// So many frames were written.
    Frames(u64),
    /// An input is done, well or badly.
    Done,
    /// Something went wrong: which input, and the message.
    Problem(&'a str, &'a str),
}

/// Why a whole batch could not be run.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum BatchError {
    #[error("cannot write {path:?}: {source}; choose another --out or make room")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{0:?} is not empty; name a new folder, so that results of two runs do not mix")]
    NotEmpty(PathBuf),
    #[error(transparent)]
    Annotate(#[from] AnnotateError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error("the configuration is not valid: {0}")]
    Config(String),
    #[error("the detector {model} does not find {class}; name another with --model or leave it out of what is covered")]
    Class { model: String, class: ObjectClass },
    #[error("the workers could not be started: {0}")]
    Workers(#[from] rayon::ThreadPoolBuildError),
    #[error("{0}")]
    NotPublished(String),
    #[error("stopped; {written} outputs are whole, nothing else was kept")]
    Stopped { written: u64 },
}

/// Runs a batch into the folder `out`, which must be new or empty.
///
/// # Errors
/// The folder or the annotations cannot be written, the settings are not valid, or `stop` was set. What is wrong
/// with single inputs is in the summary.
pub fn run(
    inputs: Vec<Input>,
    unreadable: Vec<SourceError>,
    out: &Path,
    model: impl Into<ModelSlot>,
    options: &BatchOptions,
    stop: &AtomicBool,
    tell: &(dyn Fn(Event<'_>) + Sync),
) -> Result<Summary, BatchError> {
    let model = &model.into();
    options.config.check(model.get().manifest())?;
    let started = Instant::now();
    prepare(out)?;
    let outlet = Outlet::new(out, options.publisher.as_deref())?;
    let made = outlet.folder();
    for folder in ["media", "annotations"] {
        let folder = made.join(folder);
        std::fs::create_dir_all(&folder).map_err(|source| BatchError::Io { path: folder, source })?;
    }
    let workers = rayon::ThreadPoolBuilder::new().num_threads(options.threads.max(1)).build()?;
    let mut batch = Batch {
        writer: annotate::create(&made.join("annotations"), &options.formats, options.regions.as_deref())?,
        collector: Collector::new(),
        summary: new_summary(Some(model.get().manifest()), &options.config, options.keep_names),
        stages: Stages::default(),
        tell,
    };
    for error in unreadable {
        let name = error.path().map_or_else(|| "input".to_owned(), |p| p.display().to_string());
        batch.problem("an input", &name, &error.to_string());
    }
    let shop = medium::Shop { outlet: &outlet, model, options, stop, pool: FramePool::new(), tell };
    let mut waiting = (1..).zip(inputs).peekable();
    while waiting.peek().is_some() && !stop.load(Ordering::Relaxed) {
        // Stills are done by the handful; films come back unopened and are run one by one.
        let handful: Vec<(u64, Input)> = waiting.by_ref().take(4 * options.threads.max(1)).collect();
        let stills: Vec<medium::Attempt> =
            workers.install(|| handful.into_par_iter().map(|(n, input)| shop.still(n, input)).collect());
        for attempt in stills {
            match attempt {
                medium::Attempt::Still(finished) => batch.take_still(*finished)?,
                medium::Attempt::Film(n, input) => batch.film(&shop, n, input)?,
            }
        }
    }
    let Batch { writer, collector, mut summary, stages, .. } = batch;
    writer.finish()?;
    let publish = |product, name| outlet.publish(product, name).map_err(BatchError::NotPublished);
    publish(Product::Annotations, "annotations")?;
    summary.stages_ms = stages;
    summary.wall_s = started.elapsed().as_secs_f64();
    summary.cpu_s = cpu_time::ProcessTime::try_now().ok().map(|t| t.as_duration().as_secs_f64());
    summary.total();
    summary.kept = options.keep.as_ref().map(Keeper::finish);
    write_whole(&made.join("index.html"), page(&summary, &collector.finish()).as_bytes())?;
    let json = serde_json::to_vec_pretty(&summary)
        .map_err(|e| BatchError::Io { path: out.join("summary.json"), source: e.into() })?;
    write_whole(&made.join("summary.json"), &json)?;
    publish(Product::Report, "index.html")?;
    publish(Product::Report, "summary.json")?;
    if stop.load(Ordering::Relaxed) {
        return Err(BatchError::Stopped { written: summary.totals.media });
    }
    Ok(summary)
}

/// Writes a small file beside its target and renames it.
///
/// # Errors
/// The disk refused; nothing is left under the target's name.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), BatchError> {
    write_whole_with(path, |file| file.write_all(bytes))
}

/// As [`write_whole`], with what `write` writes.
///
/// # Errors
/// The file could not be written; what was there before is unchanged.
pub fn write_whole_with(
    path: &Path,
    write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>,
) -> Result<(), BatchError> {
    use std::io::Write;
    let io = |source| BatchError::Io { path: path.to_owned(), source };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().permissions(permissions()).tempfile_in(folder).map_err(io)?;
    let mut buffered = std::io::BufWriter::new(&mut file);
    write(&mut buffered).and_then(|()| buffered.flush()).map_err(io)?;
    drop(buffered);
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|e| io(e.error))?;
    Ok(())
}

/// What a file that a program makes usually allows (the umask still takes away from it).
fn permissions() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    std::fs::Permissions::from_mode(0o666)
}

/// Makes the folder of results, which must be new or empty.
fn prepare(out: &Path) -> Result<(), BatchError> {
    if let Ok(mut entries) = std::fs::read_dir(out)
        && entries.next().is_some()
    {
        return Err(BatchError::NotEmpty(out.to_owned()));
    }
    std::fs::create_dir_all(out).map_err(|source| BatchError::Io { path: out.to_owned(), source })
}

/// What is known of a run before it begins; without a manifest, of one that does not search.
pub(crate) fn new_summary(manifest: Option<&Manifest>, config: &BatchConfig, keep_names: bool) -> Summary {
    let redaction = &config.pipeline.redaction;
    let model = manifest.map(|manifest| ModelSummary {
        name: manifest.name.clone(),
        blake3: manifest.blake3.to_string(),
        quality: match manifest.quality {
            Quality::Preview => "preview",
            Quality::Release => "release",
        }
        .to_owned(),
    });
    Summary {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        settings: Settings {
            style: format!("{:?}", redaction.style).to_lowercase(),
            shape: format!("{:?}", redaction.shape).to_lowercase(),
            mask_scale: redaction.scale,
            min_score: config.pipeline.tracker.sure_score,
            classes: redaction.classes.iter().map(|c| c.name().to_owned()).collect(),
            hold_frames: config.pipeline.tracker.hold,
            backfill_frames: config.pipeline.tracker.back_fill.min(config.pipeline.tracker.delay),
            paranoid: redaction.paranoid,
            zones: redaction.zones.len(),
            keep_names,
        },
        model: model.unwrap_or_default(),
        ..Summary::default()
    }
}

/// What grows while a batch runs.
struct Batch<'a> {
    writer: Box<dyn annotate::Writer>,
    collector: Collector,
    summary: Summary,
    stages: Stages,
    tell: &'a (dyn Fn(Event<'_>) + Sync),
}

impl Batch<'_> {
    fn problem(&mut self, public_name: &str, name: &str, message: &str) {
        (self.tell)(Event::Problem(name, message));
        let quoted = format!("{:?}", Path::new(name));
        let message = message.replace(&quoted, public_name).replace(name, public_name);
        let (message, remedy) = match message.split_once("; ") {
            Some((what, remedy)) => (what.to_owned(), remedy.to_owned()),
            None => (message, String::new()),
        };
        self.summary.errors.push(ErrorSummary { input: public_name.to_owned(), message, remedy });
    }

    /// Writes down a still that is done.
    fn take_still(&mut self, finished: Finished) -> Result<(), BatchError> {
        if finished.summary.output.is_some() {
            self.writer.begin_media(&finished.record)?;
            self.collector.begin_media(&finished.record);
            for frame in &finished.frames {
                self.writer.frame(frame)?;
                self.collector.frame(frame);
            }
        }
        self.conclude(finished)
    }

    /// Runs a film, writing down its frames as they come.
    fn film(&mut self, shop: &medium::Shop<'_>, ordinal: u64, input: Input) -> Result<(), BatchError> {
        let opened = match shop.open(ordinal, input) {
            Ok(opened) => opened,
            Err(failed) => return self.conclude(*failed),
        };
        self.writer.begin_media(&opened.record)?;
        self.collector.begin_media(&opened.record);
        let (writer, collector) = (&mut self.writer, &mut self.collector);
        let mut record = |frame: &FrameRecord| {
            collector.frame(frame);
            writer.frame(frame)
        };
        let finished = shop.run(opened, &mut record);
        self.conclude(finished)
    }

    fn conclude(&mut self, mut finished: Finished) -> Result<(), BatchError> {
        let s = finished.stages;
        self.stages.read += s.read;
        self.stages.detect += s.detect;
        self.stages.track += s.track;
        self.stages.redact += s.redact;
        self.stages.write += s.write;
        let public_name = match &finished.summary.source_name {
            Some(name) => name.clone(),
            None => format!("input {}", finished.summary.ordinal),
        };
        if finished.summary.output.is_some() {
            self.writer.end_media()?;
            finished.summary.counts = self.collector.end_media();
            let counts = &finished.summary.counts;
            if counts.covered_frames == counts.frames && finished.summary.error.is_none() {
                let why = counts.covered_reasons.keys().next().map_or("", String::as_str);
                finished.summary.error = Some(format!("nothing of it could be shown: {why}"));
            }
        } else if finished.begun {
            self.writer.discard_media()?;
            self.collector.discard_media();
        }
        if let Some(error) = finished.summary.error.take() {
            self.problem(&public_name, &finished.name, &error);
            let public = self.summary.errors.last().map(|e| e.message.clone());
            finished.summary.error = public;
        }
        self.summary.media.push(MediaSummary { ..finished.summary });
        (self.tell)(Event::Done);
        Ok(())
    }
}
