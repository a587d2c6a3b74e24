//! The one format of results: a file of JSON lines, first what was measured on what, then every raw run as it came, and what was
//! skipped with why. Whatever is shown later is computed from these lines alone.
//!
//! Knows no suites and no pages.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// The file's name in the folder of results.
pub(super) const FILE: &str = "results.jsonl";
/// No number of a run is as large.
const LARGEST: f64 = 1e100;
/// Grows with every change that an older reader would misunderstand.
const SCHEMA: u32 = 2;

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
enum Line {
    Header(Header),
    Run(Run),
    Skipped(Skipped),
    /// All suites have ended. A file without it is of a run that was stopped.
    End,
}

/// What was measured, on what, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) schema: u32,
    pub(super) volet: String,
    /// The commit of the source beside the program, or `unknown`.
    pub(super) commit: String,
    pub(super) profile: String,
    pub(super) rustc: String,
    pub(super) cpu: String,
    /// Processors that this process may use.
    pub(super) cores: usize,
    pub(super) memory_bytes: u64,
    pub(super) kernel: String,
    pub(super) governor: Option<String>,
    /// Processes that wanted to run, mean of a minute before the first run.
    pub(super) load_at_start: f64,
    pub(super) started: String,
    pub(super) quick: bool,
    pub(super) seed: u64,
    /// Runs of each case that count.
    pub(super) rounds: u32,
    pub(super) suites: Vec<String>,
    /// Peers that were there, and their versions.
    pub(super) peers: BTreeMap<String, String>,
}

impl Header {
    pub(super) const SCHEMA: u32 = SCHEMA;
}

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Better {
    Lower,
    Higher,
    /// Neither: it says what the work was.
    Neither,
}

/// A parameter of a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Value {
    Number(f64),
    Word(String),
    /// Something else that a peer says.
    Other(serde_json::Value),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Word(word) => f.write_str(word),
            Self::Other(other) => write!(f, "{other}"),
        }
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Value {
    fn from(word: &str) -> Self {
        Self::Word(word.to_owned())
    }
}

/// The parameters of a case: `width=1280, faces=4`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Params(pub(super) BTreeMap<String, Value>);

impl Params {
    /// None.
    pub(super) fn none() -> Self {
        Self::default()
    }

    /// With one more.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// With all of these, which are right where both have one.
    pub(super) fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// A parameter that is a number.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        match self.0.get(name) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// Whether a parameter is this word.
    pub(super) fn is(&self, name: &str, word: &str) -> bool {
        matches!(self.0.get(name), Some(Value::Word(own)) if own == word)
    }

    /// All but one, for lines that are drawn along that one.
    pub(super) fn but(&self, name: &str) -> Self {
        let mut others = self.clone();
        others.0.remove(name);
        others
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        f.write_str(&all.join(", "))
    }
}

/// One measured number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) suite: String,
    pub(super) case: String,
    /// `volet`, or a peer's name.
    pub(super) subject: String,
    pub(super) metric: String,
    pub(super) unit: String,
    pub(super) better: Better,
    pub(super) value: f64,
    #[serde(default)]
    pub(super) params: Params,
    /// Subjects take turns; in which turn this was.
    pub(super) round: u32,
    /// Not to be counted.
    #[serde(default)]
    pub(super) warm_up: bool,
    /// The same work with the same seed gives the same value, however busy the machine is.
    #[serde(default)]
    pub(super) exact: bool,
    /// Processes that wanted to run, mean of a minute.
    pub(super) load: f64,
    /// Others took more than a tenth of the processors meanwhile.
    #[serde(default)]
    pub(super) loaded: bool,
    /// How it was run, which is not what was done: processors that it might use, and what a peer says of itself.
    #[serde(default)]
    pub(super) how: Params,
}

/// What was not measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Skipped {
    pub(super) suite: String,
    pub(super) case: String,
    pub(super) why: String,
    /// It was tried and went wrong, rather than left out.
    pub(super) failed: bool,
}

impl Skipped {
    /// What a suite that went wrong as a whole is called.
    pub(super) const SUITE: &str = "the suite";
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Results {
    pub(super) header: Header,
    pub(super) runs: Vec<Run>,
    pub(super) skipped: Vec<Skipped>,
    /// The last line is cut off: whatever wrote it was stopped.
    pub(super) torn: bool,
    /// All suites have ended.
    pub(super) whole: bool,
}

impl Results {
    /// Reads a file of results.
    ///
    /// # Errors
    /// It cannot be read, is none, or a line that is not the last is damaged.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&String::from_utf8_lossy(&text)).with_context(|| format!("{}", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        const NONE: &str = "holds no results of `volet bench`; name its results.jsonl";
        let (whole, rest) = text.rsplit_once('\n').unwrap_or(("", text));
        let mut lines = whole.lines().zip(1..).map(|(line, number)| {
            serde_json::from_str(line).with_context(|| format!("line {number} is damaged; remove it, or run it again"))
        });
        let Some(Ok(Line::Header(header))) = lines.next() else { anyhow::bail!(NONE) };
        anyhow::ensure!(
            header.schema == SCHEMA,
            "its format is number {}, and this program reads {SCHEMA}; use the volet of that time, {}",
            header.schema,
            header.volet
        );
        let mut read = Self { header, runs: Vec::new(), skipped: Vec::new(), torn: false, whole: false };
        for line in lines {
            read.take(line?)?;
        }
        if !rest.is_empty() {
            match serde_json::from_str(rest) {
                Ok(line) => read.take(line)?,
                Err(_) => read.torn = true,
            }
        }
        Ok(read)
    }

    /// The suites of which nothing is there, not even that something was left out.
    pub(super) fn missing(&self) -> Vec<&str> {
        let there = |suite: &str| {
            self.runs.iter().any(|run| run.suite == suite) || self.skipped.iter().any(|skip| skip.suite == suite)
        };
        self.header.suites.iter().map(String::as_str).filter(|suite| !there(suite)).collect()
    }

    fn take(&mut self, line: Line) -> anyhow::Result<()> {
        match line {
            // Nothing that is measured is as large, and no axis can be drawn for it.
            Line::Run(run) if run.value.abs() <= LARGEST => self.runs.push(run),
            Line::Run(_) => {}
            Line::Skipped(skipped) => self.skipped.push(skipped),
            Line::End => self.whole = true,
            Line::Header(_) => anyhow::bail!("it holds two runs, one after the other; keep each in a file of its own"),
        }
        Ok(())
    }
}

/// Writes the file, a line at a time: stopped at the worst moment, it lacks the end of one line.
pub(super) struct Recorder {
    file: File,
    path: PathBuf,
}

impl Recorder {
    /// A new file in a new or empty folder.
    ///
    /// # Errors
    /// The folder is not empty, or cannot be written.
    pub(super) fn create(folder: &Path, header: &Header) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let there = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        anyhow::ensure!(there.count() == 0, "{} is not empty; choose a new folder", folder.display());
        let path = folder.join(FILE);
        let file = File::create_new(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let mut recorder = Self { file, path };
        recorder.line(&Line::Header(header.clone()))?;
        Ok(recorder)
    }

    /// Where the lines go.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps a run. One that is no number is kept as skipped: JSON has no word for it.
    pub(super) fn run(&mut self, run: Run) -> anyhow::Result<()> {
        if run.value.is_finite() {
            return self.line(&Line::Run(run));
        }
        let why = format!("{} of {} came out as {}", run.metric, run.subject, run.value);
        self.skip(Skipped { suite: run.suite, case: run.case, why, failed: true })
    }

    /// Says that all suites have ended.
    pub(super) fn end(&mut self) -> anyhow::Result<()> {
        self.line(&Line::End)
    }

    /// Keeps what was not measured, and why.
    pub(super) fn skip(&mut self, skipped: Skipped) -> anyhow::Result<()> {
        self.line(&Line::Skipped(skipped))
    }

    fn line(&mut self, line: &Line) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.file.write_all(&text).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests;
