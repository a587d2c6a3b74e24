//! One program on two processors: what `volet-edge` built for another one, run by an emulator, finds, covers and seals, against the
//! same on this machine. `deploy/cross/test` builds the other program and says where it lies; without it this is skipped.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

const WIDTH: usize = 640;
const HEIGHT: usize = 384;
const FRAMES: u32 = 24;
/// How far boxes may lie apart, pixels, and scores: sums of the same products in another order.
const PIXELS: f64 = 0.05;
const SCORE: f64 = 1e-3;
/// What a box that falls on the other side of a half may change: so many samples in a hundred thousand.
const SAMPLES: f64 = 10.0;

/// How far samples of one film may lie apart that two encoders wrote, of 255; at most, and in the mean.
const FURTHEST: u8 = 12;
const MEAN: f64 = 0.1;

/// The emulator and its arguments, and the other program.
fn other() -> Option<Vec<String>> {
    let Ok(words) = std::env::var("VOLET_OTHER_PROCESSOR") else {
        println!("skipped: VOLET_OTHER_PROCESSOR is not set; run deploy/cross/test");
        return None;
    };
    Some(words.split_whitespace().map(str::to_owned).collect())
}

fn here() -> Vec<String> {
    vec![env!("CARGO_BIN_EXE_volet").to_owned(), "camera".to_owned()]
}

fn said(program: &[String], arguments: &[&str], folder: &Path) -> String {
    let mut command = Command::new(&program[0]);
    let output = command.args(&program[1..]).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{program:?} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// People who do not exist, walking, in grey; and settings with which nothing is left to chance.
fn prepare(folder: &Path) {
    let clip = volet_synthetic::Clip::new(5, WIDTH as u32, HEIGHT as u32, 15, FRAMES);
    let mut film = format!("YUV4MPEG2 W{WIDTH} H{HEIGHT} F15:1 Ip A1:1 Cmono\n").into_bytes();
    for index in 0..clip.len() {
        film.extend(b"FRAME\n");
        film.extend(clip.frame(index).image.pixels().map(|pixel| pixel.0[1]));
    }
    std::fs::write(folder.join("film.y4m"), film).unwrap();
    // A mosaic is noise, and never the same twice.
    std::fs::write(folder.join("config.toml"), "[redaction]\nstyle = \"solid\"\n").unwrap();
}

/// What a run found: frame, box, score of each.
fn found(out: &Path) -> Vec<(u64, [f64; 4], f64)> {
    let text = std::fs::read_to_string(out.join("annotations/coco.json")).unwrap();
    let coco: serde_json::Value = serde_json::from_str(&text).unwrap();
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let mut found: Vec<_> = coco["annotations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| {
            let side = |i: usize| number(&a["bbox"][i]);
            (a["image_id"].as_u64().unwrap(), [side(0), side(1), side(2), side(3)], number(&a["score"]))
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0).then(a.1[0].total_cmp(&b.1[0])));
    found
}

#[test]
fn both_find_and_cover_the_same() {
    let Some(other) = other() else { return };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    for (program, out) in [(&here(), "here"), (&other, "there")] {
        let arguments = ["--sandbox", "off", "--config", "config.toml", "--source", "film.y4m", "--out", out];
        said(program, &arguments, folder);
    }
    let (mine, theirs) = (found(&folder.join("here")), found(&folder.join("there")));
    assert!(mine.len() >= 20, "there are people to find: {}", mine.len());
    assert_eq!(mine.len(), theirs.len());
    let (mut furthest, mut apart) = (0.0f64, 0.0f64);
    for (a, b) in mine.iter().zip(&theirs) {
        assert_eq!(a.0, b.0, "in the same frame");
        furthest = a.1.iter().zip(&b.1).map(|(a, b)| (a - b).abs()).fold(furthest, f64::max);
        apart = apart.max((a.2 - b.2).abs());
    }
    let film = |out: &str| std::fs::read(folder.join(out).join("media/000001.y4m")).unwrap();
    let (one, two) = (film("here"), film("there"));
    assert_eq!(one.len(), two.len());
    let differ = one.iter().zip(&two).filter(|(a, b)| a != b).count();
    let share = 100_000.0 * differ as f64 / one.len() as f64;
    println!(
        "{} boxes; at most {furthest:.6} pixels and {apart:.7} of score apart; {differ} of {} samples differ",
        mine.len(),
        one.len()
    );
    assert!(furthest <= PIXELS && apart <= SCORE && share <= SAMPLES);
}

/// The pictures of an AVI file of JPEG pictures, in grey.
fn pictures(film: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = film.windows(4).position(|name| name == b"movi").map(|at| &film[at + 4..]).unwrap();
    let mut pictures = Vec::new();
    while let Some((head, after)) = rest.split_at_checked(8).filter(|(head, _)| head.starts_with(b"00dc")) {
        let length = u32::from_le_bytes(head[4..].try_into().unwrap()) as usize;
        pictures.push(image::load_from_memory(&after[..length]).unwrap().into_luma8().into_raw());
        // Chunks begin at even places.
        rest = &after[length + length % 2..];
    }
    pictures
}

#[test]
fn what_one_seals_the_other_opens() {
    let Some(other) = other() else { return };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    let here = here();
    let mut films = Vec::new();
    for (by, for_whom, name) in [(&here, &other, "a"), (&other, &here, "b")] {
        let (vault, identity, out) = (format!("vault-{name}"), format!("identity-{name}"), format!("out-{name}"));
        said(for_whom, &["vault", "init", "--dir", &vault, "--owner-identity-out", &identity], folder);
        let keep = ["--sandbox", "off", "--source", "film.y4m", "--out", &out, "--keep", &vault];
        said(by, &keep, folder);
        let open = |program, opened: &str| {
            said(program, &["vault", "open", "--dir", &vault, "--identity", &identity, "--out", opened], folder);
            let entry = std::fs::read_dir(folder.join(opened)).unwrap().next().expect("a film").unwrap();
            std::fs::read(entry.path()).unwrap()
        };
        let (theirs, own) = (open(for_whom, &format!("opened-{name}")), open(by, &format!("opened-too-{name}")));
        assert!(theirs.len() > 10_000, "{}", theirs.len());
        assert!(theirs == own, "what was sealed is what is opened, to the last bit, whoever opens it");
        films.push(theirs);
    }
    // The same film but for how the encoder rounds: it has other instructions on each processor.
    let [mine, theirs] = [pictures(&films[0]), pictures(&films[1])];
    assert_eq!((mine.len(), theirs.len()), (FRAMES as usize, FRAMES as usize));
    let (mut furthest, mut all) = (0, 0u64);
    for (a, b) in mine.iter().flatten().zip(theirs.iter().flatten()) {
        furthest = furthest.max(a.abs_diff(*b));
        all += u64::from(a.abs_diff(*b));
    }
    let mean = all as f64 / mine.iter().map(Vec::len).sum::<usize>() as f64;
    println!("samples of the sealed film lie at most {furthest} apart, {mean:.4} in the mean");
    assert!(furthest <= FURTHEST && mean <= MEAN);
}
