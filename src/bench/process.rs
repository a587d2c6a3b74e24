//! One child process: what it took by the clock, of processors, of memory.
//!
//! Knows no suites. Processor time and memory are the system's own count for the child and all children that it waited for.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::Context;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};
use wait4::Wait4;

use crate::cli::BenchChildArgs;

/// What a process took.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) wall_s: f64,
    /// User and system, all threads and children.
    pub(super) cpu_s: f64,
    /// The largest resident memory.
    pub(super) peak_bytes: f64,
    /// Its standard output.
    pub(super) said: String,
    /// Its exit code, where it had one.
    pub(super) code: Option<i32>,
    /// The last line of its standard error.
    pub(super) complaint: String,
}

impl Taken {
    /// Fails where the process did.
    pub(super) fn well(self) -> anyhow::Result<Self> {
        anyhow::ensure!(self.code == Some(0), "it ended with {:?}: {}", self.code, self.complaint);
        Ok(self)
    }
}

/// What the go-between writes down.
#[derive(Serialize, Deserialize)]
struct Usage {
    wall_s: f64,
    cpu_s: f64,
    peak_bytes: f64,
    code: Option<i32>,
}

/// Runs a process to its end.
///
/// A small process of this program stands between: Linux counts what a parent held when it started a child as the child's, and this one may hold
/// hundreds of megabytes of footage.
///
/// # Errors
/// It cannot be started.
pub(super) fn run(command: &Command) -> anyhow::Result<Taken> {
    let program = Path::new(command.get_program()).display().to_string();
    let (mut errors, report) = (tempfile::tempfile().context("no temporary file")?, tempfile::NamedTempFile::new()?);
    let mut between = Command::new(std::env::current_exe()?);
    between.arg("bench-child").arg(report.path()).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => between.env(name, value),
            None => between.env_remove(name),
        };
    }
    between.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors.try_clone()?);
    let out = between.spawn().and_then(std::process::Child::wait_with_output);
    let out = out.with_context(|| format!("cannot start {program}"))?;
    let mut text = String::new();
    errors.seek(SeekFrom::Start(0))?;
    // Whatever it says; only the last line is shown.
    let _ = errors.read_to_string(&mut text);
    let complaint = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("without a word").to_owned();
    let told = std::fs::read(report.path())?;
    anyhow::ensure!(!told.is_empty(), "{program}: {complaint}");
    let Usage { wall_s, cpu_s, peak_bytes, code } = serde_json::from_slice(&told)?;
    Ok(Taken { wall_s, cpu_s, peak_bytes, said: String::from_utf8_lossy(&out.stdout).into_owned(), code, complaint })
}

/// The go-between: starts a process that writes where this one does, and writes down what it took.
pub(super) fn child(args: &BenchChildArgs) -> anyhow::Result<ExitCode> {
    let (program, words) = args.words.split_first().context("there is nothing to start")?;
    // What it leaves behind is ended with it: it would disturb whoever's turn is next.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).context("prctl")?;
    let start = Instant::now();
    let mut child = Command::new(program).args(words).spawn().with_context(|| format!("cannot start {program:?}"))?;
    let used = child.wait4()?;
    let usage = Usage {
        wall_s: start.elapsed().as_secs_f64(),
        cpu_s: (used.rusage.utime + used.rusage.stime).as_secs_f64(),
        peak_bytes: used.rusage.maxrss as f64,
        code: used.status.code(),
    };
    end_the_rest();
    std::fs::write(&args.report, serde_json::to_vec(&usage)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Ends all children of this process and theirs, and waits for them, so that their time is counted as this one's.
fn end_the_rest() {
    use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
    let left =
        || procfs::process::Process::myself().and_then(|own| own.task_main_thread()).and_then(|own| own.children());
    while let Ok(ended) = wait(WaitOptions::NOHANG) {
        if ended.is_some() {
            continue;
        }
        let left = left().unwrap_or_default();
        let ends = |child: &u32| {
            let pid = i32::try_from(*child).ok().and_then(Pid::from_raw);
            pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
        };
        // Where the system does not say who they are they stay.
        if left.iter().filter(|child| ends(child)).count() == 0 || wait(WaitOptions::empty()).is_err() {
            break;
        }
    }
}

/// The newest program of a test or a benchmark that was built beside this one, by how its name begins.
///
/// # Errors
/// This program does not know where it is.
pub(super) fn built(prefix: &str) -> anyhow::Result<Option<PathBuf>> {
    let own = std::env::current_exe()?;
    let deps = own.parent().context("this program lies nowhere")?.join("deps");
    let Ok(entries) = std::fs::read_dir(deps) else { return Ok(None) };
    let programs = entries.flatten().filter(|entry| {
        let path = entry.path();
        entry.file_name().to_string_lossy().starts_with(prefix) && path.extension().is_none() && path.is_file()
    });
    let dated = programs.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())));
    Ok(dated.max_by_key(|(modified, _)| *modified).map(|(_, path)| path))
}

/// Whether a source that a program was made from was written after it, by the list that cargo leaves beside it; not, where there is none.
pub(super) fn outdated(program: &Path) -> bool {
    let written = |path: &Path| path.metadata().and_then(|file| file.modified()).ok();
    let list = std::fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    let sources = list.lines().filter_map(|line| line.split_once(": ")).flat_map(|(_, sources)| {
        // Spaces within names are escaped.
        let names = sources.replace("\\ ", "\0");
        names.split(' ').map(|name| PathBuf::from(name.replace('\0', " "))).collect::<Vec<_>>()
    });
    let newest = sources.filter_map(|source| written(&source)).max();
    written(program).is_some_and(|built| newest.is_some_and(|newest| built < newest))
}

/// Processors that whatever this thread starts may use.
pub(super) fn processors() -> usize {
    sched_getaffinity(None).map_or(0, |set| set.count() as usize)
}

/// While this lives, this thread and what it starts run on one processor.
pub(super) struct Pinned(CpuSet);

impl Pinned {
    /// On the first processor that this process may use.
    ///
    /// # Errors
    /// The system does not allow it.
    pub(super) fn new() -> anyhow::Result<Self> {
        let before = sched_getaffinity(None)?;
        let first =
            (0..CpuSet::MAX_CPU).find(|cpu| before.is_set(*cpu)).context("this process may use no processor")?;
        let mut one = CpuSet::new();
        one.set(first);
        sched_setaffinity(None, &one)?;
        Ok(Self(before))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Err(error) = sched_setaffinity(None, &self.0) {
            tracing::warn!(%error, "what follows runs on one processor");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn a_program_is_outdated_where_a_source_is_younger() {
        let folder = tempfile::tempdir().unwrap();
        let (program, source) = (folder.path().join("program"), folder.path().join("a source.rs"));
        let list = format!("{}: /nowhere.rs {}\n", program.display(), source.display().to_string().replace(' ', "\\ "));
        let now = SystemTime::now();
        let write = |path: &Path, at| File::create(path).unwrap().set_modified(at).unwrap();
        write(&program, now);
        write(&source, now + Duration::from_secs(1));
        assert!(!outdated(&program), "without a list");
        std::fs::write(program.with_extension("d"), list).unwrap();
        assert!(outdated(&program));
        write(&source, now - Duration::from_secs(1));
        assert!(!outdated(&program));
        assert!(!outdated(&folder.path().join("nothing")));
    }
}
