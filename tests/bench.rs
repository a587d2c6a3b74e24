//! `volet bench` over the built program: what it leaves, what it makes of earlier results, and what it refuses.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

fn bench(arguments: &[&str], at: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_volet")).arg("bench").args(arguments).current_dir(at).output().expect("volet runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn well(arguments: &[&str], at: &Path) -> String {
    let out = bench(arguments, at);
    assert!(out.status.success(), "{arguments:?}: {}", text(&out.stderr));
    text(&out.stdout)
}

fn refused(arguments: &[&str], at: &Path, says: &str) {
    let out = bench(arguments, at);
    let complaint = text(&out.stderr);
    assert!(!out.status.success() && complaint.contains(says), "{arguments:?}: {complaint}");
    assert!(!complaint.contains("panicked"), "{complaint}");
}

fn header() -> Value {
    json!({
        "line": "header", "schema": 2, "volet": "0.1.0", "commit": "unknown", "profile": "release", "rustc": "unknown",
        "cpu": "a <b>processor</b>", "cores": 2, "memory_bytes": 1_000_000_000, "kernel": "6.1", "governor": null,
        "load_at_start": 0.1, "started": "2026-11-23", "quick": true, "seed": 1, "rounds": 6, "suites": ["camera"],
        "peers": { "deface": "1.5.0" },
    })
}

fn run(subject: &str, params: &Value, value: f64, round: u32) -> Value {
    json!({
        "line": "run", "suite": "camera", "case": "h264", "subject": subject, "metric": "frames per CPU second",
        "unit": "1/s", "better": "higher", "value": value, "params": params, "round": round, "warm_up": round == 0,
        "load": 0.1, "loaded": false,
    })
}

/// Results as a run would leave them: two sizes, two subjects, some noise, a warm-up that is far off.
fn results(faster: f64) -> Vec<Value> {
    let mut lines = vec![header()];
    for (width, height, rate) in [(640.0, 360.0, 40.0), (1280.0, 720.0, 20.0), (1920.0, 1080.0, 10.0)] {
        let params = json!({ "width": width, "height": height, "every": 1.0 });
        for (round, noise) in (0..).zip([9.0, 0.995, 0.998, 1.0, 1.0, 1.002, 1.005]) {
            lines.push(run("volet", &params, faster * rate * noise, round));
            lines.push(run("deface", &params, 0.25 * rate * noise, round));
        }
    }
    lines.push(json!({ "line": "skipped", "suite": "camera", "case": "video", "why": "<script>alert(1)</script>\n| a | b |", "failed": false }));
    lines.push(json!({ "line": "end" }));
    lines
}

fn write(folder: &Path, name: &str, lines: &[Value]) -> PathBuf {
    let path = folder.join(name);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(&path, text).unwrap();
    path
}

/// The quickest suite, once: lines that are JSON, a page, Markdown; and the same page again from the lines alone.
#[test]
fn a_suite_leaves_lines_a_page_and_markdown_that_come_again_from_the_lines() {
    let dir = tempfile::tempdir().unwrap();
    let told = well(&["egress", "--quick", "--rounds", "1", "--out", "out", "--json", "--seed", "7"], dir.path());
    let report: Value = serde_json::from_str(&told).expect("--json prints only JSON");
    let out = dir.path().join("out");
    let lines = std::fs::read_to_string(out.join("results.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    assert_eq!((&lines[0]["line"], &lines[0]["seed"], &lines[0]["quick"]), (&json!("header"), &json!(7), &json!(true)));
    let runs = |warm_up: bool| lines.iter().filter(move |line| line["line"] == "run" && line["warm_up"] == warm_up);
    assert!(
        runs(true).count() > 0 && runs(true).count() == runs(false).count(),
        "one turn to warm up and one that counts"
    );
    let skipped: Vec<&Value> = lines.iter().filter(|line| line["line"] == "skipped").collect();
    assert!(skipped.iter().any(|line| line["case"] == "capture" && line["failed"] == false), "{skipped:?}");
    // Every summary is a median of lines.
    for summary in report["summaries"].as_array().unwrap() {
        let mut values: Vec<f64> = runs(false)
            .filter(|run| ["case", "metric", "params", "subject"].iter().all(|key| run[*key] == summary[*key]))
            .map(|run| run["value"].as_f64().unwrap())
            .collect();
        values.sort_by(f64::total_cmp);
        assert_eq!(summary["median"].as_f64(), values.get(values.len() / 2).copied(), "{summary}");
    }
    let page = std::fs::read_to_string(out.join("index.html")).unwrap();
    // SVG's name is an address that nobody goes to.
    let page = page.replace("http://www.w3.org/2000/svg", "");
    assert!(page.contains("<svg") && page.contains("prefers-color-scheme") && page.contains("width=device-width"));
    for loads in ["http://", "https://", "<script", "<link rel=\"stylesheet", "<img", "url("] {
        assert!(!page.contains(loads), "the page loads or runs something: {loads}");
    }
    well(&["--from", "out/results.jsonl", "--out", "again"], dir.path());
    for file in ["index.html", "benchmarks.md", "results.jsonl"] {
        let read = |folder: &str| std::fs::read(dir.path().join(folder).join(file)).unwrap();
        assert!(read("out") == read("again"), "{file} differs");
    }
}

#[test]
fn ratios_goals_and_what_was_skipped_are_shown_and_names_stay_text() {
    let dir = tempfile::tempdir().unwrap();
    let mut lines = results(1.0);
    // One of the first size's runs was disturbed.
    lines[5]["loaded"] = json!(true);
    write(dir.path(), "results.jsonl", &lines);
    let told = well(&["--from", "results.jsonl", "--out", "out", "--json"], dir.path());
    let report: Value = serde_json::from_str(&told).unwrap();
    let ratios = report["ratios"].as_array().unwrap();
    assert_eq!(ratios.len(), 3);
    assert!(ratios.iter().all(|ratio| (ratio["times_better"].as_f64().unwrap() - 4.0).abs() < 1e-9), "{ratios:?}");
    assert!(
        ratios.iter().all(|ratio| ratio["interval"]["low"].is_f64() && ratio["turns"].as_array().unwrap().len() == 6)
    );
    assert_eq!(ratios.iter().map(|ratio| ratio["loaded"].as_u64().unwrap()).sum::<u64>(), 1, "a ratio says it too");
    let first = &report["summaries"][0];
    assert_eq!(
        (&first["n"], &first["loaded"], &first["median"]),
        (&json!(6), &json!(1), &json!(40.0)),
        "the warm-up does not count"
    );
    let page = std::fs::read_to_string(dir.path().join("out/index.html")).unwrap();
    let markdown = std::fs::read_to_string(dir.path().join("out/benchmarks.md")).unwrap();
    assert!(!page.contains("<script") && !page.contains("<b>") && page.contains("&lt;script&gt;"), "names are text");
    assert!(!markdown.contains("<script") && !markdown.contains("\n| a | b |"), "{markdown}");
    for shown in [&page, &markdown] {
        assert!(
            shown.contains("deface 1.5.0") && shown.contains("alert(1)") && shown.contains("not measured in this run")
        );
    }
    // Cost doubles from size to size while pixels grow by 4 and by 2.25.
    let growth = &report["growth"][0];
    assert_eq!(growth["points"].as_array().unwrap().len(), 3);
    let exponent = growth["power"]["slope"]["value"].as_f64().unwrap();
    assert!((0.5..0.8).contains(&exponent), "{exponent}");
}

#[test]
fn a_torn_last_line_is_left_out_and_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "results.jsonl", &results(1.0));
    let whole = std::fs::read(&path).unwrap();
    // The end, and the last bytes of the line before it.
    std::fs::write(&path, &whole[..whole.len() - 35]).unwrap();
    let out = bench(&["--from", "results.jsonl", "--out", "out", "--json"], dir.path());
    assert!(out.status.success() && text(&out.stderr).contains("cut off"), "{}", text(&out.stderr));
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((&report["stopped"], report["skipped"].as_array().map(Vec::len)), (&json!(true), Some(0)));
    assert!(std::fs::read_to_string(dir.path().join("out/index.html")).unwrap().contains("was stopped"));
    // Somebody else's raw runs never stay beside the page.
    write(&dir.path().join("out"), "results.jsonl", &results(2.0));
    refused(&["--from", "results.jsonl", "--out", "out"], dir.path(), "holds other results");
}

#[test]
fn a_slowdown_of_ten_percent_is_found_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "old.jsonl", &results(1.0));
    write(dir.path(), "slower.jsonl", &results(1.0 / 1.1));
    let compare = |new: &str, fail: bool| {
        let mut arguments = vec!["--from", new, "--compare", "old.jsonl", "--json"];
        arguments.extend(fail.then_some("--fail-on-regression"));
        let out = bench(&arguments, dir.path());
        let report: Value = serde_json::from_slice(&out.stdout).expect("JSON");
        let changes = report["comparison"]["changes"].as_array().unwrap().clone();
        let worse = changes.iter().filter(|change| change["verdict"] == "worse").count();
        assert_eq!(changes.len(), 6, "ours, and our ratio to the peer: {changes:?}");
        (worse, out.status.success())
    };
    assert_eq!(compare("old.jsonl", true), (0, true));
    assert_eq!(compare("slower.jsonl", false), (6, true), "it is told, and no more");
    assert_eq!(compare("slower.jsonl", true), (6, false));
    // What did other work, or was disturbed, is not judged.
    for (name, at, value) in [("seed", 0, json!(2)), ("quick", 0, json!(false)), ("profile", 0, json!("dist"))] {
        let mut lines = results(1.0 / 1.1);
        lines[at][name] = value;
        write(dir.path(), "other.jsonl", &lines);
        assert_eq!(compare("other.jsonl", true), (0, true), "{name}");
    }
    let mut lines = results(1.0 / 1.1);
    lines.iter_mut().filter(|line| line["line"] == "run").for_each(|line| line["loaded"] = json!(true));
    write(dir.path(), "other.jsonl", &lines);
    assert_eq!(compare("other.jsonl", true), (0, true));
    let told = well(&["--from", "slower.jsonl", "--compare", "old.jsonl"], dir.path());
    assert!(told.contains("worse") && told.contains("-9.1 %"), "{told}");
}

#[test]
fn what_cannot_work_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    refused(&["speed", "--out", "o1"], at, "there is no suite \"speed\"");
    refused(&["egress", "--quick"], at, "--out");
    refused(&["--from", "missing.jsonl", "--out", "o2"], at, "missing.jsonl");
    refused(&["egress", "--quick", "--out", "/proc/nowhere"], at, "/proc/nowhere");
    refused(&["egress", "--quick", "--out", "o3", "--peers", "no-python"], at, "benches/peers/setup");
    refused(&["egress", "--quick", "--out", "o4", "--compare", "missing.jsonl"], at, "missing.jsonl");
    std::fs::write(at.join("other.jsonl"), "{\"line\":\"other\"}\n").unwrap();
    refused(&["--from", "other.jsonl", "--out", "o5"], at, "no results");
    std::fs::create_dir(at.join("full")).unwrap();
    std::fs::write(at.join("full/x"), "x").unwrap();
    refused(&["egress", "--quick", "--out", "full"], at, "not empty");
    let mut left: Vec<_> = std::fs::read_dir(at).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["full", "other.jsonl"], "nothing was begun");
    assert_eq!(std::fs::read_dir(at.join("full")).unwrap().count(), 1);
}

/// The pieces of work that a run starts, each with the least there is to do.
#[test]
fn every_piece_of_work_says_samples_in_lines() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = dir.path().join("ledger");
    std::fs::create_dir(&ledger).unwrap();
    let ledger = format!("dir={}", ledger.display());
    let all: [(&str, &[&str], &str); 6] = [
        ("secagg", &["sites=20", "dropouts=2", "parameters=50", "graph=derived"], "server CPU per report"),
        ("aggregate", &["clients=3", "parameters=1000"], "CPU per aggregation"),
        ("epsilon", &["sigma=4.39", "steps=12", "rate=1", "delta=1e-6", "accountant=gdp"], "epsilon"),
        ("audit", &["z=1.1901", "claimed=1.1901", "runs=2000"], "epsilon claimed"),
        ("append", &[&ledger, "entries=3"], "CPU per entry"),
        ("gemm", &["side=32"], "product of matrices"),
    ];
    for (case, params, metric) in all {
        let mut command = Command::new(env!("CARGO_BIN_EXE_volet"));
        command.args(["bench-work", case]);
        command.args(params.iter().flat_map(|param| ["--param", param]));
        let out = command.output().unwrap();
        assert!(out.status.success(), "{case}: {}", text(&out.stderr));
        let samples: Vec<Value> = text(&out.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let found = samples.iter().find(|sample| sample["metric"] == metric);
        assert!(found.is_some_and(|sample| sample["value"].as_f64().unwrap() >= 0.0), "{case}: {samples:?}");
    }
    for kernel in ["redact-solid", "tracker", "mask", "ledger"] {
        let out = Command::new(env!("CARGO_BIN_EXE_volet")).args(["bench-kernel", kernel, "2"]).output().unwrap();
        assert!(out.status.success(), "{kernel}: {}", text(&out.stderr));
    }
    let out = Command::new(env!("CARGO_BIN_EXE_volet")).args(["bench-kernel", "none", "2"]).output().unwrap();
    assert!(!out.status.success() && text(&out.stderr).contains("there are redact-solid"));
}
