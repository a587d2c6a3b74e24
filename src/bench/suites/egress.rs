//! What leaves: what it costs to write it down and to verify it, and the capture of all packets where it can be had.

use std::process::Command;

use anyhow::Context;

use crate::bench::harness::{Bench, Metric, Sample, Subject, run as volet, text, work};
use crate::bench::process;
use crate::bench::record::Params;

const VERIFY_CPU: Metric = Metric::lower("verifying, CPU", "s");
const VERIFY_PEAK: Metric = Metric::lower("verifying, peak memory", "MB");
const EXPLAINED: Metric = Metric::higher("explained bytes", "").exact();
const UNEXPLAINED: Metric = Metric::lower("unexplained packets", "").exact();
const CAUGHT: Metric = Metric::higher("planted leaks caught", "").exact();
const PLANTED: Metric = Metric::fact("leaks planted", "");
const SILENT: Metric = Metric::lower("packets without consent", "").exact();

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    ledger(bench)?;
    capture(bench)
}

fn ledger(bench: &mut Bench) -> anyhow::Result<()> {
    for entries in bench.pick(vec![250, 500, 1000, 2000], vec![1000, 4000, 16_000, 64_000]) {
        let folder = bench.folder("ledger-")?;
        let mut turn = 0;
        let run = || -> anyhow::Result<Vec<Sample>> {
            turn += 1;
            let dir = folder.join(turn.to_string());
            std::fs::create_dir(&dir)?;
            let mut samples = work("append", &[("dir", text(&dir)), ("entries", entries.to_string())])?;
            let took = volet(["ledger", "verify", &text(&dir), "--json"])?;
            samples.push(VERIFY_CPU.of(took.cpu_s));
            samples.push(VERIFY_PEAK.of(took.peak_bytes / 1e6));
            std::fs::remove_dir_all(dir)?;
            Ok(samples)
        };
        bench.interleave("ledger", &Params::none().with("entries", f64::from(entries)), vec![Subject::volet(run)])?;
    }
    Ok(())
}

/// A camera and an aggregator in networks of their own, by the test that holds every packet against the ledger.
fn capture(bench: &mut Bench) -> anyhow::Result<()> {
    const CASE: &str = "capture";
    if bench.quick {
        return bench.skip(
            CASE,
            "it takes minutes; run without --quick, or `cargo test --release --test capture -- --nocapture`",
        );
    }
    let Some(program) = process::built("capture-")? else {
        return bench.skip(
            CASE,
            "its program is not built beside this one; `cargo test --release --test capture --no-run` does it",
        );
    };
    let took = process::run(&Command::new(program))?;
    if let Some(why) = took.said.lines().find_map(|line| line.strip_prefix("capture: skipped: ")) {
        return bench.skip(CASE, why);
    }
    bench.once(CASE, &Params::none(), || told(&took.clone().well()?.said))
}

/// What the scenario prints: the honest run's explained bytes and packets, packets without consent, leaks caught.
fn told(said: &str) -> anyhow::Result<Vec<Sample>> {
    let after = |what: &str| -> anyhow::Result<f64> {
        let rest = said.split_once(what).with_context(|| format!("it says nothing of {what:?}"))?.1;
        let number: String = rest.trim_start().chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        number.trim_end_matches('.').parse().with_context(|| format!("{what} {rest}"))
    };
    let unexplained = said.split_once(" unexplained").map(|(before, _)| before);
    let unexplained =
        unexplained.and_then(|before| before.rsplit([' ', ',']).find_map(|word| word.parse::<f64>().ok()));
    let caught = after("planted leaks caught:")?;
    let planted = said.split_once("planted leaks caught:").and_then(|(_, rest)| rest.split_once(" of "));
    let planted = planted.and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok()).context("of how many?")?;
    let mut samples = vec![
        EXPLAINED.of(after("explained bytes")?),
        CAUGHT.of(caught),
        PLANTED.of(planted),
        SILENT.of(after("consent off:")?),
    ];
    samples.extend(unexplained.map(|packets| UNEXPLAINED.of(packets)));
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::harness::Sample;

    #[test]
    fn what_the_scenario_prints_is_read() {
        let said = "a run: explained bytes 1 (50123 of 50123), 812 packets, 0 unexplained, 0 late\n\
            consent off: 0 packets; withdrawn in a run: 0 packets\nplanted leaks caught: 7 of 7\n";
        let told = told(said).unwrap();
        let value = |metric: Metric| told.iter().find(|s: &&Sample| s.metric == metric.name).map(|s| s.value);
        assert_eq!((value(EXPLAINED), value(CAUGHT), value(PLANTED)), (Some(1.0), Some(7.0), Some(7.0)));
        assert_eq!((value(SILENT), value(UNEXPLAINED)), (Some(0.0), Some(0.0)));
        assert!(super::told("nothing").is_err());
    }
}
