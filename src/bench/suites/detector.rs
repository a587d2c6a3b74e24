//! How well detectors find faces, and what they cost: on synthetic pictures, on annotated photographs where they are there, the built-in
//! detector and public ones; beside other software that runs the same files.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

use crate::bench::harness::{Bench, Metric, Sample, Subject, run as volet, text, work};
use crate::bench::process::Pinned;
use crate::bench::record::Params;

const AP: Metric = Metric::higher("average precision", "").exact();
const RECALL: Metric = Metric::higher("recall", "").exact();
const RECALL_BY_GROUP: Metric = Metric::higher("recall at 1 false positive per picture", "").exact();
const BOXES: Metric = Metric::fact("faces counted", "");

/// False positives per picture at which recall is told.
const RATES: [&str; 6] = ["0.1", "0.2", "0.5", "1", "2", "5"];

/// A detector: its name, its manifest where it is not built in, the size of its input, and what peers call its file.
struct Model {
    name: &'static str,
    manifest: Option<PathBuf>,
    size: (u32, u32),
    file: Option<PathBuf>,
}

/// Pictures with their truth.
struct Set {
    case: &'static str,
    coco: PathBuf,
    images: PathBuf,
}

/// Public files, the kind of network that they are, and the size of their inputs.
const PUBLIC: [(&str, &str, &str, (u32, u32)); 3] = [
    ("YuNet-n", "yunet_n_640_640.onnx", "yunet", (640, 640)),
    ("CenterFace", "centerface.onnx", "centerface", (640, 480)),
    ("Ultra-Light RFB-320", "version-RFB-320.onnx", "ultra-light", (320, 240)),
];

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let models = models(bench)?;
    for set in sets(bench)? {
        for model in &models {
            quality(bench, &set, model)?;
        }
    }
    for model in &models {
        speed(bench, "network alone", model, model.size, true)?;
    }
    // The same work for both, whatever their own sizes are.
    models.iter().take(2).try_for_each(|model| speed(bench, "network alone at 640x384", model, (640, 384), false))
}

fn models(bench: &mut Bench) -> anyhow::Result<Vec<Model>> {
    let own = bench.work.join("volet-1.onnx");
    std::fs::write(&own, volet_edge::models::builtin::default_files().1)?;
    let mut all = vec![Model { name: "built in", manifest: None, size: (640, 384), file: Some(own) }];
    let Some(shared) = bench.shared.clone().map(|shared| shared.join("detectors")) else {
        bench.skip("public detectors", "the folder of shared data is not here (../shared, or VOLET_SHARED)")?;
        return Ok(all);
    };
    let folder = bench.folder("models-")?;
    for (name, file, kind, size) in PUBLIC {
        let own = folder.join(file);
        let added = std::fs::copy(shared.join(file), &own)
            .context("not in the shared data")
            .and_then(|_| volet(["models", "add", &text(&own), "--like", kind]));
        match added {
            Ok(_) => all.push(Model { name, manifest: Some(own.with_extension("toml")), size, file: Some(own) }),
            Err(error) => bench.skip(name, format!("{error:#}"))?,
        }
    }
    Ok(all)
}

fn sets(bench: &mut Bench) -> anyhow::Result<Vec<Set>> {
    let made = bench.work.join("pictures");
    let (scenes, seed) = (bench.pick("60", "400"), bench.seed.wrapping_add(990_000).to_string());
    volet(["synth", "--scenes", scenes, "--seed", &seed, "--jpeg", "--out", &text(&made)])?;
    let mut sets =
        vec![Set { case: "synthetic pictures", coco: made.join("annotations.json"), images: made.join("images") }];
    match bench.shared.as_ref().map(|shared| shared.join("faces-dev")).filter(|dir| dir.is_dir()) {
        Some(dir) => {
            sets.push(Set { case: "photographs", coco: dir.join("annotations.json"), images: dir.join("images") });
        }
        None => bench.skip("photographs", "the folder of annotated photographs is not here (../shared/faces-dev)")?,
    }
    Ok(sets)
}

/// Scores what a detector finds.
fn quality(bench: &mut Bench, set: &Set, model: &Model) -> anyhow::Result<()> {
    let results = bench.folder("results-")?.join("results.json");
    let params = Params::none().with("model", model.name);
    let mut words = vec!["detect".to_owned(), "--coco".to_owned(), text(&set.coco)];
    words.extend(["--images".to_owned(), text(&set.images), "--out".to_owned(), text(&results)]);
    words.extend(model.manifest.iter().flat_map(|manifest| ["--model".to_owned(), text(manifest)]));
    bench.once(set.case, &params, || {
        volet(&words)?;
        let mut samples = Vec::new();
        for rate in RATES {
            let report = score(&set.coco, &results, rate, "0.3")?;
            let at = Params::none().with("false positives per picture", rate.parse::<f64>()?);
            samples.push(RECALL.of(number(&report, "recall")?).at(&at));
            if rate == "1" {
                samples.push(AP.of(number(&report, "average_precision")?).at(&Params::none().with("IoU", 0.3)));
                samples.push(BOXES.of(number(&report, "boxes")?));
                samples.extend(groups(&report));
            }
        }
        let strict = score(&set.coco, &results, "1", "0.5")?;
        samples.push(AP.of(number(&strict, "average_precision")?).at(&Params::none().with("IoU", 0.5)));
        Ok(samples)
    })
}

fn score(coco: &Path, results: &Path, rate: &str, iou: &str) -> anyhow::Result<Value> {
    let words = ["score", "--coco", &text(coco), "--results", &text(results), "--json", "--fppi", rate, "--iou", iou];
    Ok(serde_json::from_str(&volet(words)?.said)?)
}

fn number(report: &Value, key: &str) -> anyhow::Result<f64> {
    report.get(key).and_then(Value::as_f64).with_context(|| format!("the score has no {key}"))
}

/// Recall by every question of the truth, with how many faces each answer is of.
fn groups(report: &Value) -> Vec<Sample> {
    let questions = report.get("by_group").and_then(Value::as_object).into_iter().flatten();
    let answers = questions.flat_map(|(question, answers)| {
        answers.as_object().into_iter().flatten().map(move |(answer, recall)| (question, answer, recall))
    });
    let sample = |(question, answer, group): (&String, &String, &Value)| {
        let at = Params::none().with("group", question.as_str()).with("answer", answer.as_str());
        Some(RECALL_BY_GROUP.of(group.get("recall")?.as_f64()?).at(&at))
    };
    answers.filter_map(sample).collect()
}

/// The network alone with what makes boxes of its output, one thread, beside others who run the same file.
fn speed(bench: &mut Bench, case: &str, model: &Model, size: (u32, u32), beside: bool) -> anyhow::Result<()> {
    let (width, height) = (size.0.to_string(), size.1.to_string());
    let own = model.manifest.as_deref().map_or("builtin".to_owned(), text);
    let repeats = bench.pick(15, 40).to_string();
    let words = [("model", own), ("width", width.clone()), ("height", height.clone()), ("repeats", repeats.clone())];
    let mut subjects = vec![Subject::volet(|| {
        let _pinned = Pinned::new()?;
        work("forward", &words)
    })];
    let images = bench.shared.clone().map(|dir| dir.join("faces-dev/images"));
    if let Some((file, images)) = model.file.as_ref().zip(images).filter(|_| beside) {
        for peer in ["onnxruntime", "opencv"] {
            let params = vec![
                ("model", text(file)),
                ("width", width.clone()),
                ("height", height.clone()),
                ("images", text(&images)),
            ];
            subjects.extend(bench.peer(peer, "detector", params)?);
        }
    }
    bench.interleave(case, &Params::none().with("model", model.name), subjects)
}
