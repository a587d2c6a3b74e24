//! The hot kernels: instructions, which are the same however busy the machine is, where valgrind is installed; and processor time.

use std::process::{Command, Stdio};

use anyhow::Context;

use crate::bench::harness::{self, Bench, Metric, Sample, Subject, samples};
use crate::bench::kernels::{KERNELS, Kernel};
use crate::bench::process::{self, Pinned};
use crate::bench::record::Params;

const INSTRUCTIONS: Metric = Metric::lower("instructions per run", "instructions").exact();
/// Of work that follows from the system's randomness.
const RANDOM: Metric = Metric::lower("instructions per run, which vary", "instructions").exact();
/// Runs of which the time is taken, for each of which instructions are counted.
const TIMES: u32 = 5;

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let quiet = Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let counts = quiet.is_ok_and(|status| status.success());
    if !counts {
        bench.skip("instructions", "valgrind is not installed")?;
    }
    for kernel in KERNELS {
        let params = Params::none().with("kernel", kernel.name);
        let times = (kernel.count * TIMES).to_string();
        let timed = || -> anyhow::Result<Vec<Sample>> {
            let _pinned = Pinned::new()?;
            samples(&harness::run(["bench-kernel", kernel.name, &times])?.said)
        };
        bench.interleave("time", &params, vec![Subject::volet(timed)])?;
        if counts {
            let metric = if kernel.random { RANDOM } else { INSTRUCTIONS };
            bench.once("instructions", &params, || Ok(vec![metric.of(counted(&kernel)?)]))?;
        }
    }
    Ok(())
}

/// What twice as many runs take more than so many: set-up and the program's start cancel.
fn counted(kernel: &Kernel) -> anyhow::Result<f64> {
    // Counts are the same however busy the machine is, so that both can go on at a time.
    let (once, twice) = std::thread::scope(|scope| {
        let once = scope.spawn(|| callgrind(kernel, kernel.count));
        let twice = callgrind(kernel, 2 * kernel.count);
        (once.join(), twice)
    });
    let (once, twice) = (once.map_err(|_| anyhow::anyhow!("a count ended unexpectedly"))??, twice?);
    anyhow::ensure!(twice > once, "{} instructions for twice the runs, and {} for once", twice, once);
    Ok((twice - once) as f64 / f64::from(kernel.count))
}

/// Instructions of a process that runs a kernel so many times.
fn callgrind(kernel: &Kernel, times: u32) -> anyhow::Result<u64> {
    let out = tempfile::NamedTempFile::new()?;
    let program = harness::volet(["bench-kernel", kernel.name, &times.to_string()])?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--quiet"]).arg(format!("--callgrind-out-file={}", out.path().display()));
    // Names of nothing are asked for, and one thread tells the same story twice.
    valgrind.arg(program.get_program()).args(program.get_args()).env("RAYON_NUM_THREADS", "1").env_remove("VOLET_LOG");
    process::run(&valgrind)?.well()?;
    let told = std::fs::read_to_string(out.path())?;
    let total = told.lines().find_map(|line| line.strip_prefix("summary:").or_else(|| line.strip_prefix("totals:")));
    let total = total.context("callgrind says no sum")?;
    total.split_whitespace().next().and_then(|count| count.parse().ok()).context("callgrind's sum is no number")
}
