//! Every public detector, run by manifest alone, must give the boxes and scores that onnxruntime gives
//! (`../shared/detectors/reference`, see its README): IoU at least 0.95, scores within 0.01.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use volet_models::{BBox, Detector, Manifest};

#[derive(serde::Deserialize)]
struct Picture {
    input: String,
    faces: Vec<Face>,
}

#[derive(serde::Deserialize)]
struct Face {
    bbox: [f32; 4],
    score: f32,
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A detector's scores lie on both sides of its threshold by float noise; those this close to it may be missing.
const AT_THRESHOLD: f32 = 0.01;

fn conforms(manifest: &str, reference: &str) {
    let shared = here("../../shared/detectors");
    if !shared.is_dir() {
        println!("skipped: {} is not here", shared.display());
        return;
    }
    let manifest = Manifest::parse(&std::fs::read_to_string(here(manifest)).unwrap()).unwrap();
    let model = std::fs::read(shared.join(&manifest.file)).unwrap();
    let threshold = manifest.thresholds.score;
    let detector = Detector::new(manifest, &model, None).unwrap();
    let pictures: Vec<Picture> =
        serde_json::from_slice(&std::fs::read(shared.join("reference").join(reference)).unwrap()).unwrap();
    assert!(!pictures.is_empty());
    for picture in pictures {
        let rgb = image::open(shared.join("reference").join(&picture.input)).unwrap().to_rgb8();
        assert_eq!(rgb.dimensions(), detector.input_size());
        let mut input = detector.new_input().unwrap();
        input.fill_rgb(rgb.as_raw()).unwrap();
        let found = detector.detect(&input, threshold - AT_THRESHOLD).unwrap();
        let mut matched = vec![false; found.len()];
        for face in &picture.faces {
            let [x, y, w, h] = face.bbox;
            let hit = found
                .iter()
                .position(|d| d.bbox.iou(&BBox::new(x, y, w, h)) >= 0.95 && (d.score - face.score).abs() <= 0.01);
            match hit {
                Some(i) => matched[i] = true,
                None => panic!("{}: {:?} {} not among {found:?}", picture.input, face.bbox, face.score),
            }
        }
        for (d, matched) in found.iter().zip(matched) {
            assert!(matched || d.score < threshold + AT_THRESHOLD, "{}: {d:?} is not in the reference", picture.input);
        }
    }
}

#[test]
fn yunet_320_conforms() {
    conforms("manifests/yunet-n-320.toml", "yunet_n_320_320.json");
}

#[test]
fn yunet_640_conforms() {
    conforms("manifests/yunet-n-640.toml", "yunet_n_640_640.json");
}

#[test]
fn centerface_conforms() {
    conforms("manifests/centerface.toml", "centerface.json");
}

#[test]
fn ultra_light_conforms() {
    conforms("manifests/ultra-light-rfb-320.toml", "version-RFB-320.json");
}
