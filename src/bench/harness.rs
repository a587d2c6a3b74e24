//! What suites measure with: subjects that take turns, and every number of every turn kept as it comes.
//!
//! Knows nothing of what is measured.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::Command;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::{Deserialize, Serialize};

use super::machine::Watch;
use super::peers::Peers;
use super::process::{self, Pinned, Taken};
use super::record::{Better, Params, Recorder, Run, Skipped};

/// What is measured, and which way is good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) better: Better,
    pub(super) exact: bool,
}

impl Metric {
    pub(super) const fn lower(name: &'static str, unit: &'static str) -> Self {
        Self { name, unit, better: Better::Lower, exact: false }
    }

    pub(super) const fn higher(name: &'static str, unit: &'static str) -> Self {
        Self { name, unit, better: Better::Higher, exact: false }
    }

    /// It says what the work was.
    pub(super) const fn fact(name: &'static str, unit: &'static str) -> Self {
        Self { name, unit, better: Better::Neither, exact: true }
    }

    /// What it says is of use beside the others, and neither good nor bad.
    pub(super) const fn context(name: &'static str, unit: &'static str) -> Self {
        Self { name, unit, better: Better::Neither, exact: false }
    }

    /// The same on every machine.
    pub(super) const fn exact(self) -> Self {
        Self { exact: true, ..self }
    }

    pub(super) fn of(self, value: f64) -> Sample {
        let Self { name, unit, better, exact } = self;
        let (params, how) = (Params::none(), Params::none());
        Sample { metric: name.into(), unit: unit.into(), better, exact, value, params, how }
    }
}

/// One number; on a line of its own, what a process that measures itself says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sample {
    pub(super) metric: Cow<'static, str>,
    pub(super) unit: Cow<'static, str>,
    #[serde(default = "neither")]
    pub(super) better: Better,
    #[serde(default)]
    pub(super) exact: bool,
    pub(super) value: f64,
    /// Beyond those of the case.
    #[serde(default)]
    pub(super) params: Params,
    /// How it was run.
    #[serde(default)]
    pub(super) how: Params,
}

fn neither() -> Better {
    Better::Neither
}

impl Sample {
    /// At a place of a curve.
    pub(super) fn at(mut self, params: &Params) -> Self {
        self.params = params.clone();
        self
    }
}

/// What a process said, a sample a line.
///
/// # Errors
/// A line is none.
pub(super) fn samples(said: &str) -> anyhow::Result<Vec<Sample>> {
    said.lines().filter(|line| !line.trim().is_empty()).map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Whoever takes turns.
pub(super) struct Subject<'a> {
    pub(super) name: String,
    pub(super) run: Box<dyn FnMut() -> anyhow::Result<Vec<Sample>> + 'a>,
}

impl<'a> Subject<'a> {
    pub(super) fn volet(run: impl FnMut() -> anyhow::Result<Vec<Sample>> + 'a) -> Self {
        Self { name: VOLET.to_owned(), run: Box::new(run) }
    }
}

/// Our own name among subjects.
pub(super) const VOLET: &str = "volet";

/// Somebody pressed Ctrl-C.
#[derive(Debug, thiserror::Error)]
#[error("stopped; what was measured so far is kept")]
pub(super) struct Stopped;

/// What a piece of work takes is not on this machine: it is left out, which is not failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Absent(pub(super) String);

/// What a suite is given.
pub(super) struct Bench {
    pub(super) quick: bool,
    pub(super) seed: u64,
    /// Turns that count.
    pub(super) rounds: u32,
    /// For whatever has to be written meanwhile.
    pub(super) work: PathBuf,
    /// Data that is used where it is there.
    pub(super) shared: Option<PathBuf>,
    pub(super) peers: Peers,
    pub(super) recorder: Recorder,
    pub(super) suite: &'static str,
    pub(super) failures: usize,
    pub(super) bar: ProgressBar,
}

/// A line that says what is being measured.
pub(super) fn bar(quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(None, target);
    if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} {msg}") {
        bar.set_style(style);
    }
    bar
}

impl Bench {
    /// Runs each subject once without counting, then in turns: A B, A B, A B. Whoever fails is left out from then on, and said so.
    ///
    /// # Errors
    /// Results cannot be written, or somebody stopped it.
    pub(super) fn interleave(&mut self, case: &str, params: &Params, subjects: Vec<Subject<'_>>) -> anyhow::Result<()> {
        self.interleave_for(self.rounds, case, params, subjects)
    }

    /// As [`Self::interleave`], in so many turns.
    ///
    /// # Errors
    /// Results cannot be written, or somebody stopped it.
    pub(super) fn interleave_for(
        &mut self,
        turns: u32,
        case: &str,
        params: &Params,
        mut subjects: Vec<Subject<'_>>,
    ) -> anyhow::Result<()> {
        for round in 0..=turns {
            self.turn(case, params, round, round == 0, &mut subjects)?;
        }
        Ok(())
    }

    /// Runs something once, where another run would give the same.
    ///
    /// # Errors
    /// Results cannot be written, or somebody stopped it.
    pub(super) fn once<'a>(
        &mut self,
        case: &str,
        params: &Params,
        run: impl FnMut() -> anyhow::Result<Vec<Sample>> + 'a,
    ) -> anyhow::Result<()> {
        self.turn(case, params, 1, false, &mut vec![Subject::volet(run)])
    }

    fn turn(
        &mut self,
        case: &str,
        params: &Params,
        round: u32,
        warm_up: bool,
        subjects: &mut Vec<Subject<'_>>,
    ) -> anyhow::Result<()> {
        let mut failed = Vec::new();
        for subject in subjects.iter_mut() {
            if crate::stop::asked() {
                return Err(Stopped.into());
            }
            self.bar.set_message(format!("{} {case} {params}: {}", self.suite, subject.name));
            self.bar.tick();
            let processors = process::processors() as f64;
            let watch = Watch::begin();
            let got = (subject.run)();
            let busy = watch.end();
            match got {
                Ok(samples) => {
                    for sample in samples {
                        let mut params = params.clone();
                        params.0.extend(sample.params.0);
                        self.recorder.run(Run {
                            suite: self.suite.to_owned(),
                            case: case.to_owned(),
                            subject: subject.name.clone(),
                            metric: sample.metric.into_owned(),
                            unit: sample.unit.into_owned(),
                            better: sample.better,
                            value: sample.value,
                            params,
                            round,
                            warm_up,
                            exact: sample.exact,
                            load: busy.load,
                            loaded: busy.loaded,
                            how: Params::none().with("processors", processors).and(sample.how),
                        })?;
                    }
                }
                Err(_) if crate::stop::asked() => return Err(Stopped.into()),
                Err(error) => {
                    let case = format!("{case} {params}: {}", subject.name);
                    match error.downcast_ref::<Absent>() {
                        Some(Absent(what)) => self.skip(&case, what)?,
                        None => self.failed(&case, &error)?,
                    }
                    failed.push(subject.name.clone());
                }
            }
        }
        subjects.retain(|subject| !failed.contains(&subject.name));
        Ok(())
    }

    /// Says that something was left out, and why.
    pub(super) fn skip(&mut self, case: &str, why: impl Into<String>) -> anyhow::Result<()> {
        let why = why.into();
        self.bar.println(format!("skipped: {} {case}: {why}", self.suite));
        self.recorder.skip(Skipped { suite: self.suite.to_owned(), case: case.to_owned(), why, failed: false })
    }

    /// Says that something went wrong.
    pub(super) fn failed(&mut self, case: &str, error: &anyhow::Error) -> anyhow::Result<()> {
        self.failures += 1;
        let why = format!("{error:#}");
        self.bar.suspend(|| eprintln!("volet: {} {case}: {why}", self.suite));
        self.recorder.skip(Skipped { suite: self.suite.to_owned(), case: case.to_owned(), why, failed: true })
    }

    /// A peer as a subject, if it is there; else it is said so.
    pub(super) fn peer<'a>(
        &mut self,
        name: &str,
        case: &'a str,
        params: Vec<(&'static str, String)>,
    ) -> anyhow::Result<Option<Subject<'a>>> {
        match self.peers.subject(name, case, params) {
            Ok(subject) => Ok(Some(subject)),
            Err(why) => {
                self.skip(&format!("{case} by {name}"), why)?;
                Ok(None)
            }
        }
    }

    /// A new, empty folder.
    pub(super) fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        Ok(tempfile::Builder::new().prefix(name).disable_cleanup(true).tempdir_in(&self.work)?.path().to_owned())
    }

    /// Turns, fewer in a quick run.
    pub(super) fn pick<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// This program with these words.
///
/// # Errors
/// It does not know where it is.
pub(super) fn volet<S: AsRef<std::ffi::OsStr>>(words: impl IntoIterator<Item = S>) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(words).env_remove("VOLET_LOG");
    Ok(command)
}

/// Runs this program to a good end.
///
/// # Errors
/// It ends otherwise.
pub(super) fn run<S: AsRef<std::ffi::OsStr>>(words: impl IntoIterator<Item = S>) -> anyhow::Result<Taken> {
    process::run(&volet(words)?)?.well()
}

/// Runs one of this program's own pieces of work (`volet bench-work`), in a process of its own.
///
/// # Errors
/// It fails.
pub(super) fn work(case: &str, params: &[(&str, String)]) -> anyhow::Result<Vec<Sample>> {
    let words = params.iter().flat_map(|(name, value)| ["--param".to_owned(), format!("{name}={value}")]);
    samples(&run(["bench-work".to_owned(), case.to_owned()].into_iter().chain(words))?.said)
}

/// The largest resident memory of a process.
pub(super) const PEAK: Metric = Metric::lower("peak memory", "MB");

/// As [`work`], on one processor, as peers are kept to one; and the memory that it took.
///
/// # Errors
/// It fails.
pub(super) fn alone(case: &str, params: &[(&str, String)]) -> anyhow::Result<Vec<Sample>> {
    let _pinned = Pinned::new()?;
    let words = params.iter().flat_map(|(name, value)| ["--param".to_owned(), format!("{name}={value}")]);
    let took = run(["bench-work".to_owned(), case.to_owned()].into_iter().chain(words))?;
    let mut all = samples(&took.said)?;
    all.push(PEAK.of(took.peak_bytes / 1e6));
    all.iter_mut().for_each(|sample| sample.how = sample.how.clone().with("processors", 1.0));
    Ok(all)
}

/// A path as an argument that has to be text.
pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
