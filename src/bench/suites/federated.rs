//! Learning together: secure aggregation as sites, values and dropouts grow; rounds of a simulated fleet and plain sums beside other software;
//! an aggregator that is killed; and a load of cameras over TLS, on one aggregator and on replicas of it, where the programs for it are built.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::Context;
use volet_federated::aggregator::{Config, Setup};

use crate::bench::harness::{Absent, Bench, Metric, Sample, Subject, alone, text, volet, work};
use crate::bench::process;
use crate::bench::record::Params;

const RESTART: Metric = Metric::lower("from restart to listening", "s");
const START: Metric = Metric::lower("from start to listening", "s");
const REPORTED: Metric = Metric::higher("share of cameras in the sums", "").exact();
const ROUND: Metric = Metric::lower("time of the round", "s");
const REPORT_CPU: Metric = Metric::lower("server CPU per report", "ms");
const SERVER_PEAK: Metric = Metric::lower("server's peak memory", "MB");
const DRIVING: Metric = Metric::lower("driving a simulated site", "ms");

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    secure_sums(bench)?;
    plain_sums(bench)?;
    rounds(bench)?;
    restart(bench)?;
    load(bench)?;
    replicas(bench)
}

/// Secure aggregation over sites and over values; and the round that the goals speak of.
fn secure_sums(bench: &mut Bench) -> anyhow::Result<()> {
    // Sites, of whom so many vanish, values, the graph of neighbours.
    let mut cases: Vec<(u32, u32, u32, &str)> = vec![(50, 5, 100_000, "complete")];
    cases.extend(
        bench.pick(vec![20, 40, 80], vec![20, 50, 100, 200, 400]).into_iter().map(|sites| (sites, 2, 1000, "derived")),
    );
    let values = bench.pick(vec![1000, 4000, 16_000], vec![1000, 4000, 16_000, 64_000]);
    cases.extend(values.into_iter().map(|values| (40, 4, values, "derived")));
    for (sites, dropouts, parameters, graph) in cases {
        let words = [
            ("sites", sites.to_string()),
            ("dropouts", dropouts.to_string()),
            ("parameters", parameters.to_string()),
            ("graph", graph.to_owned()),
        ];
        let params = Params::none()
            .with("sites", f64::from(sites))
            .with("vanish", f64::from(dropouts))
            .with("values", f64::from(parameters));
        let case = if graph == "complete" { "secure sum, complete graph" } else { "secure sum" };
        let run = || work("secagg", &words);
        // Every value has its noise drawn, which takes half a minute where there are many.
        let turns = if parameters > 50_000 { bench.pick(1, 3) } else { bench.rounds };
        bench.interleave_for(turns, case, &params, vec![Subject::volet(run)])?;
    }
    Ok(())
}

/// The mean of plain updates, beside numpy and torch.
fn plain_sums(bench: &mut Bench) -> anyhow::Result<()> {
    for (clients, parameters) in bench.pick(
        vec![(100, 100_000), (100, 400_000), (100, 1_600_000)],
        vec![(100, 100_000), (100, 400_000), (100, 1_600_000), (400, 400_000), (1000, 400_000)],
    ) {
        let words = vec![("clients", clients.to_string()), ("parameters", parameters.to_string())];
        let mut subjects = vec![Subject::volet(|| alone("aggregate", &words))];
        for peer in ["numpy", "torch"] {
            subjects.extend(bench.peer(peer, "aggregate", words.clone())?);
        }
        let params = Params::none().with("clients", f64::from(clients)).with("values", f64::from(parameters));
        bench.interleave("plain sum", &params, subjects)?;
    }
    Ok(())
}

/// The workload on which simulators are compared: 100 sites, a network of 71 thousand parameters.
fn rounds(bench: &mut Bench) -> anyhow::Result<()> {
    let (rounds, seed) = (bench.pick("3", "10"), bench.seed.to_string());
    let words = [("rounds", rounds.to_owned()), ("seed", seed)];
    let mut subjects = vec![Subject::volet(|| alone("rounds", &words))];
    for peer in ["flower", "pfl", "torch"] {
        let params = vec![("clients", "100".to_owned()), ("rounds", rounds.to_owned())];
        subjects.extend(bench.peer(peer, "rounds", params)?);
    }
    let params = Params::none().with("clients", 100.0).with("rounds", rounds.parse::<f64>()?);
    // Peers take a minute each.
    bench.interleave_for(bench.pick(1, 3), "rounds", &params, subjects)
}

/// An aggregator of this program; it ends with this.
struct Serving(Child);

impl Serving {
    /// Starts it and waits until it says that it listens: how long that took.
    fn start(dir: &Path) -> anyhow::Result<(Self, f64)> {
        let mut command = volet(["aggregator", "serve", "--until-stdin-ends", "--dir", &text(dir)])?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let begun = Instant::now();
        let mut serving = Self(command.spawn()?);
        let mut line = String::new();
        let said = serving.0.stdout.take().context("it has no output")?;
        BufReader::new(said).read_line(&mut line)?;
        anyhow::ensure!(line.starts_with("listening on "), "the aggregator ended at once");
        Ok((serving, begun.elapsed().as_secs_f64()))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Kills an aggregator as `kill -9` does, and starts it again.
fn restart(bench: &mut Bench) -> anyhow::Result<()> {
    let dir = bench.folder("aggregator-")?.join("aggregator");
    let mut config = Config::read(&Config::example(1000, "localhost"))?.config;
    config.listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    config.dashboard = None;
    let (_, model) = volet_edge::models::builtin::default_files();
    Setup::create(&dir, &toml::to_string(&config)?, "volet-1", model)?;
    let run = || -> anyhow::Result<Vec<Sample>> {
        let (serving, start) = Serving::start(&dir)?;
        drop(serving);
        let (_serving, again) = Serving::start(&dir)?;
        Ok(vec![START.of(start), RESTART.of(again)])
    };
    bench.interleave("aggregator, killed", &Params::none(), vec![Subject::volet(run)])
}

/// Cameras over TLS, by the benchmark that holds an aggregator and all cameras.
fn load(bench: &mut Bench) -> anyhow::Result<()> {
    const CASE: &str = "load over TLS";
    let cameras = bench.pick("250", "1000");
    let params = Params::none().with("cameras", cameras.parse::<f64>()?).with("values", 100_000.0);
    bench.once(CASE, &params, || {
        let said = Said(program("load", &[cameras])?);
        let mut samples = said.round()?;
        samples.push(RESTART.of(said.after("listens again in ")? / 1000.0));
        samples.push(DRIVING.of(said.before(" ms beside")?));
        Ok(samples)
    })
}

/// The same work on more and more replicas of an aggregator.
fn replicas(bench: &mut Bench) -> anyhow::Result<()> {
    let cameras = bench.pick("200", "1000");
    for count in bench.pick(vec!["1", "2"], vec!["1", "2", "4"]) {
        let params = Params::none()
            .with("cameras", cameras.parse::<f64>()?)
            .with("replicas", count.parse::<f64>()?)
            .with("values", 100_000.0);
        bench.once("replicas over TLS", &params, || Said(program("replicated", &[cameras, count])?).round())?;
    }
    Ok(())
}

/// What one of the federated crate's benchmarks prints.
fn program(name: &str, words: &[&str]) -> anyhow::Result<String> {
    let Some(program) = process::built(&format!("{name}-"))? else {
        let how = format!(
            "its program is not built beside this one; `cargo bench -p volet-federated --bench {name} --no-run` does it"
        );
        return Err(Absent(how).into());
    };
    let server = std::env::current_exe()?.with_file_name("volet-aggregator");
    if process::outdated(&program) || process::outdated(&server) {
        let how = format!(
            "{name} or volet-aggregator is older than its sources; `cargo bench -p volet-federated --bench {name} --no-run` builds both"
        );
        return Err(Absent(how).into());
    }
    let said = process::run(Command::new(&program).args(words))?.well()?.said;
    match said.trim().strip_prefix("skipped: ") {
        Some(why) => Err(Absent(why.to_owned()).into()),
        None => Ok(said),
    }
}

/// What was printed, in which numbers stand before some words or after.
struct Said(String);

impl Said {
    fn before(&self, what: &str) -> anyhow::Result<f64> {
        number(self.0.split_once(what).and_then(|(head, _)| head.rsplit([' ', '\n']).next()), what)
    }

    fn after(&self, what: &str) -> anyhow::Result<f64> {
        number(self.0.split_once(what).and_then(|(_, rest)| rest.split(' ').next()), what)
    }

    /// How a round went.
    fn round(&self) -> anyhow::Result<Vec<Sample>> {
        Ok(vec![
            ROUND.of(self.after(" shards: ")?),
            REPORTED.of(self.before(" in sums")? / self.before(" cameras enrolled")?),
            REPORT_CPU.of(self.before(" ms of CPU per report")?),
            SERVER_PEAK.of(self.before(" MB at most")?),
        ])
    }
}

fn number(text: Option<&str>, what: &str) -> anyhow::Result<f64> {
    text.and_then(|text| text.parse().ok()).with_context(|| format!("it says nothing of {what:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_load_prints_is_read() {
        let said = "250 cameras enrolled in 1.2 s\none round of 100000 values in 1 shards: 5.5 s, 249 cameras to the end, 249 in sums\n\
            server: 4.21 ms of CPU per report, 90 MB at most (three accumulators are 1.1 MB)\nafter kill -9 it listens again in 21 ms\n\
            driving a simulated site through a round: 0.052 ms beside the 0.290 ms of the machine itself\n";
        let said = Said(said.to_owned());
        let told: Vec<f64> = said.round().unwrap().into_iter().map(|sample| sample.value).collect();
        assert_eq!(told, [5.5, 249.0 / 250.0, 4.21, 90.0]);
        assert_eq!((said.after("listens again in ").unwrap(), said.before(" ms beside").unwrap()), (21.0, 0.052));
        assert!(Said("nothing".to_owned()).round().is_err());
    }
}
