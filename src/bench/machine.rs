//! The machine: what it is, and how busy others keep it while something is measured (Linux, `/proc`).

use std::path::{Path, PathBuf};
use std::process::Command;

use procfs::process::Process;
use procfs::{Current, CurrentSI};

use super::process;
use super::record::Header;

/// Others may take this share of the processors before a run counts as one on a loaded machine.
const OTHERS: f64 = 0.1;
/// Times are counted in ticks of a hundredth of a second: fewer than these say nothing.
const TICKS: u64 = 3;

/// What is known before the first run; what was asked for is filled in by the caller.
pub(super) fn header() -> Header {
    let read = |path: &str| std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let cpu = procfs::CpuInfo::current().ok();
    let model = cpu.and_then(|cpu| cpu.model_name(0).map(str::to_owned));
    Header {
        schema: Header::SCHEMA,
        volet: env!("CARGO_PKG_VERSION").to_owned(),
        commit: commit().unwrap_or_else(|| "unknown".to_owned()),
        profile: env!("VOLET_PROFILE").to_owned(),
        rustc: env!("VOLET_RUSTC").to_owned(),
        cpu: model.unwrap_or_else(|| "unknown".to_owned()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: procfs::Meminfo::current().map_or(0, |memory| memory.mem_total),
        kernel: read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned()),
        governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        load_at_start: load(),
        started: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        quick: false,
        seed: 0,
        rounds: 0,
        suites: Vec::new(),
        peers: Default::default(),
    }
}

/// The commit of the source tree that this is run in or the program lies in, whether anything differs from it, and whether the program is older
/// than its sources.
fn commit() -> Option<String> {
    let exe = std::env::current_exe().ok()?;
    let here = std::env::current_dir().ok()?;
    let tree = exe.ancestors().chain(here.ancestors()).find(|dir| is_ours(dir))?.to_owned();
    let git = |args: &[&str]| {
        let out = Command::new("git").arg("-C").arg(&tree).args(args).output().ok()?;
        out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|changes| !changes.is_empty());
    let remarks = [(changed, ", changed"), (process::outdated(&exe), ", the program is older")];
    Some(remarks.into_iter().filter(|(is, _)| *is).fold(commit, |said, (_, remark)| said + remark))
}

/// Whether a folder is a source tree of Volet.
pub(super) fn is_ours(folder: &Path) -> bool {
    folder.join("federated/Cargo.toml").is_file() && folder.join("edge/Cargo.toml").is_file()
}

/// The folder of data that measurements use where it is there: beside the source tree.
pub(super) fn shared() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let beside = here.ancestors().find(|dir| is_ours(dir)).and_then(Path::parent).map(|dir| dir.join("shared"));
    std::env::var_os("VOLET_SHARED").map(PathBuf::from).or(beside).filter(|dir| dir.is_dir())
}

/// Processes that wanted to run, mean of a minute.
fn load() -> f64 {
    procfs::LoadAverage::current().map_or(0.0, |load| f64::from(load.one))
}

/// A look at the processors' counters.
#[derive(Clone, Copy)]
struct Counters {
    all: u64,
    busy: u64,
    own: u64,
}

impl Counters {
    fn now() -> Option<Self> {
        let cpu = procfs::KernelStats::current().ok()?.total;
        let idle = cpu.idle + cpu.iowait.unwrap_or(0);
        let busy =
            cpu.user + cpu.nice + cpu.system + cpu.irq.unwrap_or(0) + cpu.softirq.unwrap_or(0) + cpu.steal.unwrap_or(0);
        let stat = Process::myself().ok()?.stat().ok()?;
        let children = u64::try_from(stat.cutime + stat.cstime).unwrap_or(0);
        Some(Self { all: busy + idle, busy, own: stat.utime + stat.stime + children })
    }
}

/// A run that is being watched.
pub(super) struct Watch(Option<Counters>);

/// How busy the machine was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Busy {
    pub(super) load: f64,
    pub(super) loaded: bool,
}

impl Watch {
    pub(super) fn begin() -> Self {
        Self(Counters::now())
    }

    /// Children that still run count as others; there are none after a run.
    pub(super) fn end(self) -> Busy {
        // What cannot be known is not called quiet.
        let loaded = self.0.zip(Counters::now()).is_none_or(|(before, after)| {
            let all = after.all.saturating_sub(before.all);
            let own = after.own.saturating_sub(before.own);
            let others = after.busy.saturating_sub(before.busy).saturating_sub(own);
            others > TICKS && others as f64 > OTHERS * all as f64
        });
        Busy { load: load(), loaded }
    }
}
