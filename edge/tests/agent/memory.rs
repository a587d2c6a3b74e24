//! A camera that redacts 1280x720 and learns, both within 192 MB that the kernel keeps to.

use std::process::{Child, Stdio};

use volet_edge::models::builtin;

use super::buffer::{begin, buffer, says};
use super::group::{FRAMES, Group, film};
use super::house::{Aggregator, enrolled};
use super::unaltered;

const LIMIT: u64 = 192 << 20;

#[test]
fn a_camera_learns_within_192_megabytes() {
    let Some(group) = Group::new(LIMIT) else { return };
    let (_, model) = builtin::default_files();
    let aggregator = Aggregator::start(38_098, model, 1, unaltered);
    let names = ["one", "two", "three"];
    let folders = enrolled(&aggregator, &names);
    let limits = aggregator.path("learning.toml");
    std::fs::write(&limits, "[learning]\nlessons = 8\nmegabytes = 64\ncelsius = 150.0\n").unwrap();
    film(&aggregator.path("film.y4m"));
    let mut watches = group.program();
    watches.args(["--sandbox", "off", "--source", "film.y4m", "--out", "out"]).current_dir(aggregator.path(""));
    let watches = watches.stderr(Stdio::piped()).spawn().unwrap();
    let mut agents: Vec<Child> = (0..3)
        .map(|n| {
            let lessons = buffer(&aggregator.path(""), names[n], (640, 360), 24);
            let program =
                if n == 0 { group.program() } else { std::process::Command::new(env!("CARGO_BIN_EXE_volet-edge")) };
            begin(program, &folders[n], &lessons, &limits)
        })
        .collect();
    for agent in &mut agents {
        says(agent, "took part in round 1");
        assert!(agent.wait().unwrap().success());
    }
    let watched = watches.wait_with_output().unwrap();
    println!("{} bytes at most, of {LIMIT}", group.peak());
    assert!(watched.status.success(), "{:?} {}", watched.status, String::from_utf8_lossy(&watched.stderr));
    let summary = std::fs::read_to_string(aggregator.path("out/summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["totals"]["frames"], FRAMES);
}
