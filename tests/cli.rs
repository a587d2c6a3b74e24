//! End to end over the built `volet`: what a person types and what they get.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn volet(args: &[&str], at: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_volet")).args(args).current_dir(at).output().expect("volet runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap_or_else(|e| panic!("{path:?}: {e}"))).expect("JSON")
}

/// A synthetic picture with people.
fn picture(path: &Path, seed: u64) {
    volet_synthetic::still(seed, 320, 240).image.save(path).expect("picture");
}

/// A clip of moving squares as Y4M.
fn clip(path: &Path, frames: u32) {
    let mut data = b"YUV4MPEG2 W64 H48 F10:1 Ip C420jpeg\n".to_vec();
    for f in 0..frames {
        data.extend(b"FRAME\n");
        data.extend((0..64 * 48u32).map(|i| if (i % 64) / 8 == f % 8 { 220 } else { 60 }));
        data.extend(std::iter::repeat_n(128, 64 * 48 / 2));
    }
    std::fs::write(path, data).expect("clip");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(folder).expect("folder").map(|e| e.expect("entry").path()).collect();
    found.sort();
    found
}

#[test]
fn the_main_job_leaves_clip_annotations_and_page() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("volet-out")).unwrap();
    let out = volet(&[], dir.path());
    assert!(out.status.success(), "{}", text(&out.stderr));
    let made = dir.path().join("volet-out-2");
    let summary = json(&made.join("summary.json"));
    assert_eq!(summary["totals"]["frames"], 60);
    assert_eq!(summary["errors"].as_array().unwrap().len(), 0);
    assert!(std::fs::metadata(made.join("media/000001.mp4")).unwrap().len() > 10_000);
    assert_eq!(json(&made.join("annotations/coco.json"))["images"].as_array().unwrap().len(), 60);
    assert!(std::fs::read_to_string(made.join("index.html")).unwrap().contains("000001.mp4"));
    assert!(text(&out.stdout).contains("volet-out-2/index.html"), "it says where");
    assert!(files(&dir.path().join("volet-out")).is_empty(), "what was there stays as it was");
}

#[test]
fn a_mixed_batch_goes_on_past_what_is_broken() {
    let dir = tempfile::tempdir().unwrap();
    let inputs = dir.path().join("in/deep/er");
    std::fs::create_dir_all(&inputs).unwrap();
    picture(&inputs.join("a.jpg"), 1);
    picture(&inputs.join("b.png"), 2);
    clip(&inputs.join("c.y4m"), 12);
    let whole = std::fs::read(inputs.join("a.jpg")).unwrap();
    std::fs::write(inputs.join("d-truncated.jpg"), &whole[..200]).unwrap();
    std::fs::write(inputs.join("e-empty.png"), b"").unwrap();
    std::fs::write(inputs.join("f-text.jpg"), b"this is not a picture at all, whatever its name says").unwrap();
    let args = ["redact", "in", "--out", "out", "--json", "--regions", "regions.json", "--no-ffmpeg"];
    let out = volet(&args, dir.path());
    assert_eq!(out.status.code(), Some(1), "problems show in the exit code: {}", text(&out.stderr));
    let summary: Value = serde_json::from_slice(&out.stdout).expect("--json prints only JSON");
    assert_eq!(summary["totals"]["media"], 3);
    assert_eq!(summary["totals"]["failed"], 3);
    assert_eq!(summary["totals"]["frames"], 14);
    let complaint = text(&out.stderr);
    for name in ["d-truncated.jpg", "e-empty.png", "f-text.jpg"] {
        assert!(complaint.contains(name), "{name} is named: {complaint}");
    }
    assert!(!complaint.contains("panicked"), "{complaint}");
    let media = files(&dir.path().join("out/media"));
    let names: Vec<_> = media.iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(names, ["000001.jpg", "000002.png", "000003.y4m"], "outputs are whole and say nothing of their sources");
    let written = json(&dir.path().join("out/summary.json")).to_string();
    assert!(!written.contains("d-truncated") && !written.contains("deep"), "no source names unless asked: {written}");
    assert!(json(&dir.path().join("regions.json")).is_array());
}

#[test]
fn what_cannot_work_is_refused_with_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    picture(&dir.path().join("a.png"), 3);
    let refused = |args: &[&str], says: &str| {
        let out = volet(args, dir.path());
        assert!(!out.status.success(), "{args:?}");
        let complaint = text(&out.stderr);
        assert!(complaint.contains(says), "{args:?}: {complaint}");
        assert!(!complaint.contains("panicked"), "{complaint}");
    };
    refused(&["redact", "missing.mp4", "--out", "o1"], "missing.mp4");
    refused(&["redact", "a.png", "--out", "o2", "--model", "nothing.toml"], "nothing.toml");
    refused(&["redact", "a.png", "--out", "o3", "--scale", "0.5"], "scale");
    refused(&["redact", "a.png", "--out", "o4", "--every", "0"], "every");
    refused(&["redact", "a.png", "--out", "o5", "--zone", "0,0,5,1"], "zone");
    refused(&["redact", "a.png", "--out", "o6", "--cover", "plate"], "does not find plate");
    refused(&["redact", "a.png", "--out", "/proc/nowhere"], "/proc/nowhere");
    std::fs::create_dir(dir.path().join("full")).unwrap();
    std::fs::write(dir.path().join("full/x"), "x").unwrap();
    refused(&["redact", "a.png", "--out", "full"], "not empty");
}

#[test]
fn a_model_with_another_hash_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/detectors/yunet_n_320_320.onnx");
    let Ok(mut bytes) = std::fs::read(&shared) else {
        println!("skipped: {} is not here", shared.display());
        return;
    };
    std::fs::write(dir.path().join("yunet.onnx"), &bytes).unwrap();
    let added = volet(&["models", "add", "yunet.onnx", "--like", "yunet", "--licence", "Apache-2.0"], dir.path());
    assert!(added.status.success(), "{}", text(&added.stderr));
    assert!(volet(&["models", "verify", "yunet.toml"], dir.path()).status.success());
    let listed = volet(&["models", "list", "--dir", ".", "--json"], dir.path());
    assert!(text(&listed.stdout).contains("\"yunet\""), "{}", text(&listed.stdout));
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(dir.path().join("yunet.onnx"), &bytes).unwrap();
    let out = volet(&["models", "verify", "yunet.toml"], dir.path());
    assert!(!out.status.success());
    assert!(text(&out.stdout).contains("BLAKE3"), "{}", text(&out.stdout));
}

#[test]
fn detect_writes_coco_results() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("images")).unwrap();
    picture(&dir.path().join("images/a.png"), 5);
    let truth = r#"{"images":[{"id":7,"file_name":"a.png"},{"id":8,"file_name":"gone.png"}],
        "categories":[{"id":1,"name":"face"}],"annotations":[]}"#;
    std::fs::write(dir.path().join("gt.json"), truth).unwrap();
    let args = ["detect", "--coco", "gt.json", "--images", "images", "--out", "r.json", "--min-score", "0.05"];
    let out = volet(&args, dir.path());
    assert!(!out.status.success(), "a missing picture shows in the exit code");
    assert!(text(&out.stderr).contains("gone.png"));
    let results = json(&dir.path().join("r.json"));
    for r in results.as_array().unwrap() {
        assert_eq!((r["image_id"].as_u64(), r["category_id"].as_u64()), (Some(7), Some(1)));
        assert!(r["score"].as_f64().unwrap() >= 0.05);
    }
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf8_do_no_harm() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let odd = dir.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9 -x.png"));
    picture(&dir.path().join("plain.png"), 4);
    std::fs::rename(dir.path().join("plain.png"), &odd).unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_volet"))
        .arg("redact")
        .arg(&odd)
        .args(["--out", "out", "--keep-names"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_eq!(files(&dir.path().join("out/media")).len(), 1);
}

#[test]
fn redacted_pictures_carry_no_metadata() {
    let dir = tempfile::tempdir().unwrap();
    picture(&dir.path().join("p.jpg"), 6);
    let plain = std::fs::read(dir.path().join("p.jpg")).unwrap();
    let secret = b"Exif\0\0GPS 48.8566N 2.3522E";
    let mut tagged = plain[..2].to_vec();
    tagged.extend([0xff, 0xe1, 0, (secret.len() + 2) as u8]);
    tagged.extend(secret);
    tagged.extend(&plain[2..]);
    std::fs::write(dir.path().join("p.jpg"), tagged).unwrap();
    assert!(volet(&["redact", "p.jpg", "--out", "out"], dir.path()).status.success());
    let made = std::fs::read(dir.path().join("out/media/000001.jpg")).unwrap();
    assert!(!made.windows(4).any(|w| w == b"Exif" || w == b"GPS "));
}
