//! The camera within a limit of memory that the kernel keeps: it gets 96 MB and no swap for 1280x720.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod group;

use std::path::Path;
use std::process::Output;

use group::{FRAMES, Group, film};

const LIMIT: u64 = 96 << 20;
/// Too little for the network alone: shows that the limit is one.
const TOO_LITTLE: u64 = 16 << 20;

fn camera(group: &Group, at: &Path, out: &str) -> Output {
    let arguments = ["--sandbox", "off", "--source", "film.y4m", "--out", out];
    group.program().args(arguments).current_dir(at).output().unwrap()
}

#[test]
fn a_camera_of_720_lines_keeps_within_96_megabytes() {
    let Some(group) = Group::new(LIMIT) else { return };
    let folder = tempfile::tempdir().unwrap();
    film(&folder.path().join("film.y4m"));
    let ran = camera(&group, folder.path(), "out");
    println!("{} bytes at most, of {LIMIT}", group.peak());
    assert!(ran.status.success(), "{:?} {}", ran.status, String::from_utf8_lossy(&ran.stderr));
    let summary = std::fs::read_to_string(folder.path().join("out/summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["totals"]["frames"], FRAMES);

    // The limit is one: with a sixth of it the kernel ends the program, and nothing is left that looks whole.
    let Some(tight) = Group::new(TOO_LITTLE) else { return };
    let ended = camera(&tight, folder.path(), "killed");
    assert!(!ended.status.success());
    assert!(!folder.path().join("killed/media/000001.y4m").exists());
}
