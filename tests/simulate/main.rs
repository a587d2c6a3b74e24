//! `volet simulate` end to end: the same numbers from the same seed, however often it is killed.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cameras;
mod pictures;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;
use volet_federated::storage::DirStorage;

/// What a finished simulation leaves, besides its state.
const FILES: [&str; 5] = ["settings.toml", "rounds.csv", "rounds.parquet", "sites.csv", "index.html"];

/// A folder for outputs, and settings of a fleet that takes milliseconds.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let small = "sites = 40\nrounds = 4\nseed = 7\n[softmax]\nparameters = 160\nsamples = 8\nheld-out = 6\n";
        std::fs::write(folder.path().join("small.toml"), small).unwrap();
        Self { folder }
    }

    fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, out: &Path, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_volet"));
        command.arg("simulate").arg("--config").arg(self.folder.path().join("small.toml"));
        command.arg("--out").arg(out).args(more).stdin(Stdio::null());
        command
    }

    fn done(&self, name: &str, more: &[&str]) -> (PathBuf, Output) {
        let out = self.out(name);
        let output = self.command(&out, more).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (out, output)
    }

    fn refused(&self, out: &Path, more: &[&str], with: &str) {
        let output = self.command(out, more).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(with), "{more:?}: {error}");
        assert!(output.stdout.is_empty(), "{more:?}");
    }
}

fn files(out: &Path) -> BTreeMap<&'static str, Vec<u8>> {
    let read = |name| std::fs::read(out.join(name)).ok().map(|bytes| (name, bytes));
    FILES.into_iter().filter_map(read).collect()
}

/// The lines of a table by its columns' names.
fn table(path: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(|line| line.unwrap()).collect()
}

fn number(line: &BTreeMap<String, String>, column: &str) -> f64 {
    line[column].parse().unwrap_or_else(|_| panic!("{column} is {:?}", line[column]))
}

#[test]
fn a_seed_gives_the_same_files_and_another_gives_others() {
    let bench = Bench::new();
    let (first, output) = bench.done("first", &["--json"]);
    let (again, _) = bench.done("again", &[]);
    assert_eq!(files(&first), files(&again));
    assert_eq!(files(&first).len(), FILES.len());
    // What was written down is enough to run it again.
    let settings = first.join("settings.toml");
    let third = bench.out("third");
    let run = Command::new(env!("CARGO_BIN_EXE_volet"))
        .args(["simulate", "--config", settings.to_str().unwrap(), "--out", third.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(files(&first), files(&third));
    let (other, _) = bench.done("other", &["--seed", "8"]);
    assert_ne!(files(&first)["rounds.csv"], files(&other)["rounds.csv"]);

    let lines = table(&first.join("rounds.csv"));
    assert_eq!(lines.len(), 4);
    for (n, line) in lines.iter().enumerate() {
        assert_eq!(number(line, "round"), (n + 1) as f64);
        assert!((0.0..=1.0).contains(&number(line, "quality")), "{line:?}");
        assert!((1.0..=40.0).contains(&number(line, "participants")), "{line:?}");
        assert!(number(line, "p5") <= number(line, "p50") && number(line, "p50") <= number(line, "p95"), "{line:?}");
    }
    let epsilons: Vec<f64> = lines.iter().map(|line| number(line, "epsilon")).collect();
    assert!(epsilons.is_sorted() && epsilons[0] > 0.0 && (3.9..=4.0).contains(&epsilons[3]), "{epsilons:?}");
    let sites = table(&first.join("sites.csv"));
    let mean = sites.iter().map(|line| number(line, "last")).sum::<f64>() / sites.len() as f64;
    assert!(sites.len() == 6 && (mean - number(&lines[3], "quality")).abs() < 1e-12);

    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said["quality_after"].as_f64(), Some(number(&lines[3], "quality")));
    assert_eq!(said["epsilon"].as_f64(), Some(epsilons[3]));
    let gain = said["quality_after"].as_f64().unwrap() - said["quality_before"].as_f64().unwrap();
    assert!((said["gain"].as_f64().unwrap() - gain).abs() < 1e-12);
    assert!(said["seconds"].as_f64().unwrap() > 0.0 && said["peak_memory_bytes"].as_u64() > Some(1 << 20));
}

/// The same table twice: read back from the columns' file.
#[test]
fn both_tables_say_the_same() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    let bench = Bench::new();
    let (out, _) =
        bench.done("out", &["--sites", "200", "--sweep", "epsilon=none,4", "--sweep", "combine=mean,median"]);
    let lines = table(&out.join("rounds.csv"));
    let reader = SerializedFileReader::new(std::fs::File::open(out.join("rounds.parquet")).unwrap()).unwrap();
    let rows: Vec<BTreeMap<String, String>> = reader
        .get_row_iter(None)
        .unwrap()
        .map(|row| {
            let cell = |(name, field): (&String, &Field)| {
                let text = match field {
                    Field::Long(whole) => whole.to_string(),
                    Field::Double(real) => real.to_string(),
                    Field::Str(text) => text.clone(),
                    Field::Null => String::new(),
                    other => panic!("{name} is {other:?}"),
                };
                (name.clone(), text)
            };
            row.unwrap().get_column_iter().map(cell).collect()
        })
        .collect();
    assert_eq!(lines.len(), 16);
    assert_eq!(lines, rows);
}

#[test]
fn a_sweep_tries_each_with_each_and_tells_what_noise_costs() {
    let bench = Bench::new();
    let (out, output) = bench.done("out", &["--sweep", "epsilon=none,8,1", "--sweep", "rounds=2,3", "--json"]);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let runs = said["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 6);
    for run in runs {
        assert_eq!(
            run["epsilon"].is_null(),
            run["gain_kept"].is_null() && run["run"].as_str().unwrap().contains("none")
        );
    }
    let lines = table(&out.join("rounds.csv"));
    assert_eq!(lines.len(), 3 * (2 + 3));
    let free: Vec<_> = lines.iter().filter(|line| line["target_epsilon"] == "inf").collect();
    assert!(
        free.len() == 5
            && free.iter().all(|line| number(line, "epsilon").is_infinite() && number(line, "noise_norm") == 0.0)
    );
    assert!(lines.iter().filter(|line| line["target_epsilon"] != "inf").all(|line| number(line, "noise_norm") > 0.0));
}

/// Of each sum half its sites are missing: nothing is learned, and the privacy is spent all the same.
#[test]
fn rounds_that_fail_are_told_and_cost() {
    let bench = Bench::new();
    let (out, output) = bench.done("out", &["--dropout", "0.5", "--json"]);
    let lines = table(&out.join("rounds.csv"));
    assert!(
        lines
            .iter()
            .all(|line| line["participants"] == "0" && line["failed_shards"] == "1" && number(line, "gain") == 0.0)
    );
    assert!(lines.iter().all(|line| line["failure"].contains("it needs 36")), "{lines:?}");
    assert!(number(&lines[3], "epsilon") > 3.9);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["failed_rounds"].as_u64(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("taught nothing"));
    assert!(std::fs::read_to_string(out.join("index.html")).unwrap().contains("Rounds that taught nothing"));
}

/// One site in 640 whose code is its own blinds the mean of the sums in a round, and the median keeps its sight.
#[test]
fn an_attacker_blinds_the_mean_and_the_median_holds() {
    let bench = Bench::new();
    let small = "sites = 640\nrounds = 1\nseed = 7\n[softmax]\nparameters = 1600\nsamples = 32\nheld-out = 20\n";
    std::fs::write(bench.out("small.toml"), small).unwrap();
    let attack = ["--malicious", "0.001", "--unbounded", "--boost", "1000", "--epsilon", "none"];
    let (_, output) = bench.done("out", &[&attack[..], &["--sweep", "combine=mean,median", "--json"]].concat());
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let blind: Vec<f64> = (0..2).map(|run| said["runs"][run]["blind_spot"].as_f64().unwrap()).collect();
    assert!(blind[0] < 0.25 && blind[1] > 0.33, "{blind:?}");
}

#[test]
fn other_settings_and_other_folders_are_refused() {
    let bench = Bench::new();
    let (out, _) = bench.done("out", &[]);
    let before = files(&out);
    bench.refused(&out, &["--epsilon", "1"], "epsilon is 4.0 there and 1.0 here");
    bench.refused(
        &out,
        &["--seed", "8", "--dropout", "0.1"],
        "dropout is 0.0 there and 0.1 here; seed is 7 there and 8 here",
    );
    bench.refused(&out, &["--sweep", "epsilon=1,2"], "sweep.epsilon is not given there");
    assert_eq!(files(&out), before);

    let foreign = bench.out("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("holiday.jpg"), "x").unwrap();
    bench.refused(&foreign, &[], "is not empty and holds no simulation");
    assert_eq!(std::fs::read_dir(&foreign).unwrap().count(), 1);

    let held = DirStorage::open(&out.join("state")).unwrap();
    bench.refused(&out, &[], "in use by another process");
    drop(held);

    let state = out.join("state/run-1");
    let mut bytes = std::fs::read(&state).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&state, bytes).unwrap();
    bench.refused(&out, &[], "is damaged");
    std::fs::remove_file(&state).unwrap();
    bench.done("out", &[]);
    assert_eq!(files(&out), before);
}

#[test]
fn hostile_arguments_leave_nothing_behind() {
    let bench = Bench::new();
    let out = bench.out("out");
    for (arguments, with) in [
        (&["--sites", "0"][..], "--sites"),
        (&["--sites", "1"], "--sites"),
        (&["--rounds", "0"], "--rounds"),
        (&["--sites", "4294967295"], "from 2 to 10000000"),
        (&["--epsilon", "0"], "above 0"),
        (&["--epsilon=-1"], "above 0"),
        (&["--epsilon", "NaN"], "above 0"),
        (&["--epsilon", "inf"], "above 0"),
        (&["--epsilon", "soon"], "or none"),
        (&["--delta", "0"], "above 0 and below 1"),
        (&["--delta", "1"], "above 0 and below 1"),
        (&["--clip", "NaN"], "above 0"),
        (&["--clip", "1e-320"], "above 0"),
        (&["--dropout", "1"], "below 1"),
        (&["--dropout=-0.1"], "below 1"),
        (&["--stragglers", "NaN"], "below 1"),
        (&["--malicious", "2"], "below 1"),
        (&["--boost", "0"], "above 0"),
        (&["--combine", "best"], "trimmed-mean"),
        (&["--fleet", "horses"], "softmax"),
        (&["--cohort", "1"], "cohort"),
        (&["--cohort", "41"], "the fleet has 40 sites"),
        (&["--shard", "41"], "from 64 to 512"),
        (&["--combine", "median"], "make shard smaller"),
        (&["--combine", "trimmed-mean:0.5"], "below 0.5"),
        (&["--dropout", "0.5", "--stragglers", "0.5"], "dropout + stragglers"),
        (&["--optimizer", "luck"], "yogi"),
        (&["--target-quantile", "1"], "below 1"),
        (&["--fidelity", "protocol", "--epsilon", "none"], "fidelity"),
        (&["--seed", "18446744073709551615"], "--seed"),
        (&["--sweep", "epsilon"], "epsilon=none,4,1"),
        (&["--sweep", "delta=1,2"], "cannot be swept"),
        (&["--sweep", "seed=1,-2"], "with seed -2"),
        (&["--sweep", "seed=1,1"], "1 twice"),
        (&["--sweep", "epsilon=1,0"], "with epsilon 0"),
        (&["--sweep", "epsilon="], "with epsilon"),
        (&["--sweep", "epsilon=1,1"], "1 twice"),
        (&["--sweep", "epsilon=1,1.0"], "1.0 twice"),
        (&["--sweep", "cohort=20,80"], "the fleet has 40 sites"),
        (&["--sweep", "combine=mean,worst"], "with combine worst"),
        (&["--config", "/nowhere"], "--config"),
    ] {
        bench.refused(&out, arguments, with);
        assert!(!out.exists(), "{arguments:?}");
    }
    for (text, with) in [
        ("sites = 0", "from 2 to"),
        ("rounds = 0", "from 1 to"),
        ("seed = -1", "settings"),
        ("sitez = 4", "sitez"),
        ("epsilon = 0", "above 0"),
        ("epsilon = nan", "above 0"),
        ("dropout = 1", "below 1"),
        ("[softmax]\nparameters = 7", "multiple of 8"),
        ("[softmax]\nrate = inf", "rate"),
        ("[sweep]\nepsilon = []", "no values"),
        ("[sweep]\nseed = [-1]", "seed"),
        ("[sweep]\ndelta = [1]", "delta"),
        ("sites = ", "settings"),
    ] {
        let path = bench.out("hostile.toml");
        std::fs::write(&path, text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_volet"))
            .args(["simulate", "--config", path.to_str().unwrap(), "--out", out.to_str().unwrap()])
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(with), "{text}: {error}");
        assert!(!out.exists(), "{text}");
    }
    // Under a file, and where even root may not write.
    let below = bench.out("small.toml").join("out");
    bench.refused(&below, &[], "cannot be written");
    bench.refused(Path::new("/proc/volet"), &[], "cannot be written");
}

/// Kills the program again and again until it has got to its end. What shows the runs is there when they have ended, and
/// before that not at all.
#[test]
fn whoever_kills_it_gets_the_same_in_the_end() {
    let bench = Bench::new();
    let sweep = ["--sweep", "epsilon=none,4", "--rounds", "6"];
    let (reference, _) = bench.done("reference", &sweep);
    let reference = files(&reference);
    let kills = std::cell::Cell::new(0);
    proptest!(ProptestConfig::with_cases(6), |(spins in prop::collection::vec(0_u32..3_000_000, 40))| {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let mut finished = false;
        for spin in spins {
            let mut child = bench.command(&out, &sweep).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            for _ in 0..spin {
                std::hint::spin_loop();
            }
            finished = child.try_wait().unwrap().is_some();
            child.kill().unwrap();
            child.wait().unwrap();
            for (name, bytes) in files(&out) {
                prop_assert!(reference[name] == bytes, "{name}");
            }
            if finished {
                break;
            }
            kills.set(kills.get() + 1);
        }
        if !finished {
            let output = bench.command(&out, &sweep).output().unwrap();
            prop_assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        prop_assert_eq!(files(&out), reference.clone());
        let names: Vec<_> = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        prop_assert_eq!(names.len(), FILES.len() + 1, "{:?}", names);
    });
    assert!(kills.get() > 0);
}

/// Stops it as soon as a round is durable.
#[test]
fn ctrl_c_keeps_the_rounds_and_the_same_command_goes_on() {
    let bench = Bench::new();
    let long = ["--rounds", "200"];
    let (reference, _) = bench.done("reference", &long);
    let out = bench.out("out");
    let mut child = bench.command(&out, &long).stderr(Stdio::piped()).spawn().unwrap();
    while !out.join("state/run-1").exists() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(130) && error.contains("the same command goes on"), "{error}");
    assert_eq!(files(&out).into_keys().collect::<Vec<_>>(), ["settings.toml"]);
    bench.done("out", &long);
    assert_eq!(files(&out), files(&reference));
}

/// A disk of its own that unmounts itself.
struct Disk(PathBuf);

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().ok();
    }
}

#[test]
fn a_full_disk_is_told_and_nothing_is_half_there() {
    let bench = Bench::new();
    let (reference, _) = bench.done("reference", &[]);
    let place = bench.out("disk");
    std::fs::create_dir(&place).unwrap();
    let mount = |options: &str| {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "volet-test"]).arg(&place).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !mount("size=16k") {
        println!("skipped: a small disk takes root's rights");
        return;
    }
    let disk = Disk(place.clone());
    let out = disk.0.join("out");
    for size in [16, 24, 32, 48, 64] {
        assert!(mount(&format!("remount,size={size}k")));
        let output = bench.command(&out, &[]).output().unwrap();
        let there = files(&out);
        assert!(there.iter().all(|(name, bytes)| files(&reference)[name] == *bytes));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || error.contains("No space left"), "{size}: {error}");
        assert!(size > 16 || !output.status.success());
    }
    assert!(mount("remount,size=16m"));
    let output = bench.command(&out, &[]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(files(&out), files(&reference));
}

#[test]
fn a_browser_shows_the_page_and_asks_nobody() {
    let found =
        |browser: &&str| Command::new(browser).arg("--version").output().is_ok_and(|output| output.status.success());
    let Some(browser) = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(found) else {
        println!("skipped: no Chromium on this machine");
        return;
    };
    let bench = Bench::new();
    let sweep = [
        "--sites",
        "200",
        "--sweep",
        "epsilon=none,4,1",
        "--sweep",
        "malicious=0,0.2",
        "--sweep",
        "combine=mean,median",
    ];
    let (out, _) = bench.done("out", &sweep);
    let page = std::fs::read_to_string(out.join("index.html")).unwrap();
    // SVG's name is an address that nobody goes to.
    let addresses = page.replace("http://www.w3.org/2000/svg", "");
    assert!(
        !addresses.contains("://") && !page.contains("<script") && !page.contains("url(") && !page.contains("@import")
    );
    let profile = bench.out("profile");
    let quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--dump-dom"];
    let silent =
        ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr"];
    let output = Command::new(browser)
        .args(quiet)
        .args(silent)
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", out.join("index.html").display()))
        .output()
        .unwrap();
    let (shown, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // The page's policy lets it load nothing: what it asked for all the same would be told here, as a script's error would.
    assert!(shown.contains("default-src 'none'") && !said.contains("CONSOLE"), "{said}");
    for title in
        ["Quality over rounds", "What privacy costs", "Who gains", "Poisoning: quality", "What the numbers mean"]
    {
        assert!(shown.contains(title), "{title}: {shown}");
    }
    assert!(shown.contains("<polyline") && shown.contains("volet simulate "));
}
