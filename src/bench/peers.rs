//! Other software that does the same work, by `benches/peers/peer.py` in a Python that the user names.
//!
//! Knows its protocol: `versions` says what is there (exit code 3: absent); a case is run once and says a sample a line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::harness::{Sample, Subject, samples};
use super::machine::is_ours;
use super::process;
use super::record::{Better, Params, Value};

const NAMES: [&str; 8] = ["deface", "onnxruntime", "opencv", "flower", "pfl", "numpy", "torch", "dp_accounting"];
const SCRIPT: &str = "benches/peers/peer.py";
const ABSENT: i32 = 3;

/// The peers that are there.
pub(super) struct Peers {
    caller: Option<(PathBuf, PathBuf)>,
    pub(super) versions: BTreeMap<String, String>,
    absent: BTreeMap<String, String>,
}

#[derive(serde::Deserialize)]
struct Version {
    version: String,
}

impl Peers {
    /// Asks the peers in this Python what they are; none without one.
    ///
    /// # Errors
    /// The Python or the script is not there.
    pub(super) fn find(python: Option<&Path>) -> anyhow::Result<Self> {
        let mut found = Self { caller: None, versions: BTreeMap::new(), absent: BTreeMap::new() };
        let Some(python) = python else { return Ok(found) };
        // A link into another Python: what is installed here is found by the link's own path.
        let python = std::path::absolute(python)?;
        anyhow::ensure!(python.is_file(), "there is no {}; make it with benches/peers/setup", python.display());
        let here = std::env::current_dir()?;
        let tree = python.ancestors().chain(here.ancestors()).find(|dir| is_ours(dir) && dir.join(SCRIPT).is_file());
        let script = tree.context("benches/peers/peer.py is not here; run this in the source tree")?.join(SCRIPT);
        for name in NAMES {
            let told = process::run(Command::new(&python).arg(&script).args([name, "versions"]))?;
            let version = serde_json::from_str::<Version>(&told.said).ok().filter(|_| told.code == Some(0));
            match version {
                Some(version) => drop(found.versions.insert(name.to_owned(), version.version)),
                None if told.code == Some(ABSENT) => drop(found.absent.insert(name.to_owned(), told.complaint)),
                None => drop(found.absent.insert(name.to_owned(), format!("it failed: {}", told.complaint))),
            }
        }
        found.caller = Some((python, script));
        Ok(found)
    }

    /// The Python that was named.
    pub(super) fn python(&self) -> Option<&Path> {
        self.caller.as_ref().map(|(python, _)| python.as_path())
    }

    /// A peer that takes turns, or why it does not.
    pub(super) fn subject<'a>(
        &self,
        name: &str,
        case: &'a str,
        params: Vec<(&'static str, String)>,
    ) -> Result<Subject<'a>, String> {
        let Some((python, script)) = self.caller.clone() else {
            return Err("no peers were named (--peers PYTHON)".to_owned());
        };
        if let Some(why) = self.absent.get(name) {
            return Err(why.clone());
        }
        let own = name.to_owned();
        let run = move || {
            let mut command = Command::new(&python);
            command.arg(&script).args([&own, case]);
            for (key, value) in &params {
                command.arg("--param").arg(format!("{key}={value}"));
            }
            Ok(samples(&process::run(&command)?.well()?.said)?
                .into_iter()
                .filter_map(|sample| told(case, sample))
                .collect())
        };
        Ok(Subject { name: name.to_owned(), run: Box::new(run) })
    }
}

/// What peers call a number, what we call it, and our unit over theirs.
const NAMED: [(&str, &str, &str, f64); 12] = [
    ("frames_per_cpu_second", "frames per CPU second", "1/s", 1.0),
    ("peak_memory", "peak memory", "MB", 1e-6),
    ("cpu_per_aggregation", "CPU per aggregation", "s", 1.0),
    ("throughput_per_cpu_second", "updates read per CPU second", "GB/s", 1.0),
    ("network_cpu", "CPU per picture", "s", 1.0),
    ("cpu_per_round", "CPU per round", "s", 1.0),
    ("wall_per_round", "time per round", "s", 1.0),
    ("accuracy", "accuracy", "", 1.0),
    ("epsilon", "epsilon", "", 1.0),
    ("cpu", "CPU per epsilon", "s", 1.0),
    ("load_wall", "time to load, left out of the rest", "s", 1.0),
    ("load_cpu", "CPU to load, left out of the rest", "s", 1.0),
];

/// Of a peer's samples of a case those that are ours too, or that say what loading took. Its parameters say what it is made of and are not the
/// case's; of several accountants it is the one that ours is compared with.
fn told(case: &str, sample: Sample) -> Option<Sample> {
    if matches!(sample.params.0.get("accountant"), Some(Value::Word(by)) if !by.eq_ignore_ascii_case("pld")) {
        return None;
    }
    let (name, metric, unit, by) = NAMED.into_iter().find(|(name, ..)| *name == sample.metric)?;
    // Whole runs have a `cpu` of their own, which is nobody's epsilon.
    if name == "cpu" && case != "epsilon" {
        return None;
    }
    let better = match unit {
        "s" | "MB" => Better::Lower,
        "1/s" | "GB/s" => Better::Higher,
        _ => Better::Neither,
    };
    let exact = better == Better::Neither;
    let value = by * sample.value;
    let (params, how) = (Params::none(), sample.params);
    Some(Sample { metric: metric.into(), unit: unit.into(), better, exact, value, params, how })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_numbers_get_our_names_and_units() {
        let line =
            r#"{"case":"video","metric":"peak_memory","unit":"B","value":2000000,"params":{"file":"a","frames":4}}"#;
        let read = |line: &str, case: &str| samples(line).unwrap().into_iter().find_map(|sample| told(case, sample));
        let sample = read(line, "video").unwrap();
        assert_eq!(
            (&*sample.metric, &*sample.unit, sample.value, sample.better),
            ("peak memory", "MB", 2.0, Better::Lower)
        );
        assert!(sample.params.0.is_empty() && sample.how.number("frames") == Some(4.0));
        let epsilon =
            |by: &str| format!(r#"{{"metric":"cpu","unit":"s","value":1.5,"params":{{"accountant":"{by}"}}}}"#);
        assert!(read(&epsilon("pld"), "epsilon").is_some() && read(&epsilon("rdp"), "epsilon").is_none());
        assert!(read(&epsilon("pld"), "rounds").is_none(), "a whole run's");
        assert!(read(r#"{"metric":"other","unit":"s","value":1}"#, "video").is_none());
    }
}
