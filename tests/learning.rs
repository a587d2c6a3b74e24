//! End to end over the built `volet`: data sets, scores and training.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

fn volet(args: &[&str], at: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_volet")).args(args).current_dir(at).output().expect("volet runs")
}

fn complaint(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap_or_else(|e| panic!("{path:?}: {e}"))).expect("JSON")
}

/// Every file below a folder, by its path in it.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn the_same_seed_makes_the_same_data_set_and_another_seed_another() {
    let dir = tempfile::tempdir().unwrap();
    let make = |seed: &str, out: &str| {
        let size = ["--size", "160x96", "--clip-frames", "3"];
        let what = ["synth", "--scenes", "5", "--clips", "1", "--seed", seed, "--out", out];
        let out = volet(&[&what[..], &size[..]].concat(), dir.path());
        assert!(out.status.success(), "{}", complaint(&out));
    };
    make("7", "a");
    make("7", "b");
    make("8", "c");
    let [a, b, c] = ["a", "b", "c"].map(|name| tree(&dir.path().join(name)));
    assert_eq!(a, b);
    assert_ne!(a[Path::new("images/000000.png")], c[Path::new("images/000000.png")]);
    let expected = ["annotations.json", "card.md", "clips-card.md", "clips.json", "clips/0000/000002.png", "sheet.png"];
    assert!(expected.iter().all(|f| a.contains_key(Path::new(f))), "{:?}", a.keys());
    let truth = read(&dir.path().join("a/annotations.json"));
    assert_eq!(truth["images"].as_array().unwrap().len(), 5);
    assert_eq!(truth["images"][4]["file_name"], "000004.png");
    for annotation in truth["annotations"].as_array().unwrap() {
        let b: Vec<f64> = annotation["bbox"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        assert!(b[0] >= 0.0 && b[1] >= 0.0 && b[0] + b[2] <= 160.01 && b[1] + b[3] <= 96.01, "{annotation}");
    }
    let clips = read(&dir.path().join("a/clips.json"));
    assert_eq!(clips["images"][2]["frame_id"], 2);
    assert_eq!(clips["videos"][0]["name"], "clips/0000");
    assert_eq!(image::open(dir.path().join("a/images/000003.png")).unwrap().to_rgb8().dimensions(), (160, 96));
}

#[test]
fn a_data_set_is_refused_with_a_remedy_where_it_cannot_be_made() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("used")).unwrap();
    std::fs::write(dir.path().join("used/mine.txt"), "mine").unwrap();
    for (args, word) in [
        (&["synth", "--out", "x"][..], "--scenes"),
        (&["synth", "--scenes", "1", "--out", "used"], "not empty"),
        (&["synth", "--scenes", "1", "--out", "x", "--size", "0x9"], "two sides"),
        (&["synth", "--scenes", "1", "--out", "x", "--bodies", "used"], "base.obj"),
        (&["synth", "--scenes", "1", "--out", "used/mine.txt"], "mine.txt"),
    ] {
        let out = volet(args, dir.path());
        assert!(!out.status.success(), "{args:?}");
        assert!(complaint(&out).contains(word), "{args:?}: {}", complaint(&out));
    }
    assert_eq!(tree(&dir.path().join("used")).len(), 1);
}

#[test]
fn scores_are_those_worked_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let box_at = |x: i32| json!([x, 0, 10, 10]);
    let truth = json!({
        "images": [{"id": 1}, {"id": 2}],
        "categories": [{"id": 1, "name": "face"}, {"id": 2, "name": "person"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": box_at(0), "groups": {"hat": "cap"}},
            {"image_id": 1, "category_id": 1, "bbox": box_at(100), "groups": {"hat": "none"}},
            {"image_id": 2, "category_id": 1, "bbox": box_at(0), "ignore": 1},
            {"image_id": 2, "category_id": 2, "bbox": box_at(50)},
        ],
    });
    let results = json!([
        {"image_id": 1, "category_id": 1, "bbox": box_at(1), "score": 0.9},
        {"image_id": 2, "category_id": 1, "bbox": box_at(0), "score": 0.8},
        {"image_id": 2, "category_id": 1, "bbox": box_at(50), "score": 0.7},
    ]);
    std::fs::write(dir.path().join("gt.json"), truth.to_string()).unwrap();
    std::fs::write(dir.path().join("r.json"), results.to_string()).unwrap();
    let out = volet(&["score", "--coco", "gt.json", "--results", "r.json", "--json"], dir.path());
    assert!(out.status.success(), "{}", complaint(&out));
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((report["boxes"].as_u64(), report["pictures"].as_u64()), (Some(2), Some(2)));
    assert_eq!(report["recall"], 0.5);
    assert_eq!(report["average_precision"], 0.5);
    assert_eq!(report["by_group"]["hat"]["none"]["recall"], 0.0);
    assert_eq!(report["by_group"]["height"]["00-16"]["boxes"], 2);
    for (file, word) in [("r.json", "gt.json"), ("none.json", "none.json")] {
        let out = volet(&["score", "--coco", file, "--results", "gt.json"], dir.path());
        assert!(!out.status.success());
        assert!(complaint(&out).contains(if word == "gt.json" { "r.json" } else { word }), "{}", complaint(&out));
    }
}

#[cfg(feature = "train")]
#[test]
fn a_training_run_leaves_a_detector_that_runs_and_resumes() {
    let recipe = |steps: u32| {
        format!(
            r#"
seed = 1
steps = {steps}
window = 2
fresh = 0.2
rate = 0.002
warm_up = 1
average = 0.9
class_weights = [1.0, 0.5]
every = 2
validation = 1
export = [640, 384]
shapes = [{{ width = 96, height = 96, batch = 2, share = 1.0 }}]
augmentation = {{ zoom = [0.5, 1.0], aimed = 0.5, mined = 0.2, strength = 1.0, ramp = 0.0, smallest = 5.0 }}
architecture = {{ classes = ["face", "person"], stem = [8, 8], head = 8, stages = [
    {{ channels = 8, blocks = 0 }}, {{ channels = 8, blocks = 0 }}, {{ channels = 8, blocks = 0 }} ] }}
"#
        )
    };
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("recipe.toml"), recipe(2)).unwrap();
    let train = |more: &[&str]| {
        let args = [&["train", "--config", "recipe.toml", "--out", "run"][..], more].concat();
        volet(&args, dir.path())
    };
    let out = train(&[]);
    assert!(out.status.success(), "{}", complaint(&out));
    assert!(!train(&[]).status.success(), "a run is not overwritten");
    std::fs::write(dir.path().join("recipe.toml"), recipe(4)).unwrap();
    let out = train(&["--resume"]);
    assert!(out.status.success(), "{}", complaint(&out));
    let made = tree(&dir.path().join("run"));
    for file in ["model.onnx", "checkpoint.onnx", "curve.csv", "curve.svg", "recipe.toml", "found-0.png"] {
        assert!(made.contains_key(Path::new(file)), "{file} is missing of {:?}", made.keys());
    }
    let curve = String::from_utf8_lossy(&made[Path::new("curve.csv")]).into_owned();
    assert_eq!(curve.lines().count(), 3, "{curve}");
    let out = volet(&["models", "add", "run/model.onnx", "--like", "volet"], dir.path());
    assert!(out.status.success(), "{}", complaint(&out));
    let out = volet(&["models", "verify", "run/model.toml"], dir.path());
    assert!(out.status.success(), "{}", complaint(&out));
    std::fs::write(dir.path().join("recipe.toml"), recipe(0)).unwrap();
    let out = train(&["--resume"]);
    assert!(!out.status.success() && complaint(&out).contains("steps"), "{}", complaint(&out));
}
