//! What can be typed about benchmarks, and the processes that they start.

use std::path::PathBuf;

use clap::Args;

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// What to measure: camera, leak, detector, privacy, federated, egress, kernels; all where nothing is named.
    #[arg(value_name = "SUITE", conflicts_with = "from")]
    pub(crate) suites: Vec<String>,
    /// A new or empty folder for the results, the page and the Markdown.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Less of everything: some minutes on two cores.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Print what it came to as JSON on standard output, and no progress.
    #[arg(long)]
    pub(crate) json: bool,
    /// The same seed gives the same pictures, clips and fleets.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=1 << 53), value_name = "N")]
    pub(crate) seed: u64,
    /// Turns of each case that count [default: 7; 3 with --quick].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N")]
    pub(crate) rounds: Option<u32>,
    /// The Python in which benches/peers/setup has installed other software, to take turns with.
    #[arg(long, value_name = "PYTHON")]
    pub(crate) peers: Option<PathBuf>,
    /// Earlier results: say what changed beyond the noise.
    #[arg(long, value_name = "OLD.jsonl")]
    pub(crate) compare: Option<PathBuf>,
    /// With --compare: exit with 1 where something got worse.
    #[arg(long, requires = "compare")]
    pub(crate) fail_on_regression: bool,
    /// Measure nothing; show these results again.
    #[arg(long, value_name = "RESULTS.jsonl")]
    pub(crate) from: Option<PathBuf>,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
pub(crate) struct BenchWorkArgs {
    /// Which.
    pub(crate) case: String,
    /// What of it.
    #[arg(long = "param", value_name = "KEY=VALUE")]
    pub(crate) params: Vec<String>,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
pub(crate) struct BenchKernelArgs {
    /// Which.
    pub(crate) name: String,
    /// How often.
    pub(crate) times: u32,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
pub(crate) struct BenchChildArgs {
    /// Where to write it.
    pub(crate) report: PathBuf,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) words: Vec<std::ffi::OsString>,
}
