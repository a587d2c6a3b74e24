//! A camera that runs for years, in seconds: the built program, fed through a pipe, with its power cut, its disk full, its camera
//! gone, its settings changed and its manager listening.

#![cfg(all(target_os = "linux", feature = "watch"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod beside;
mod camera;
mod check;
mod cuts;
mod feeder;
mod manager;
mod places;
mod programs;

use camera::{Camera, Place, write};
use check::Seen;
use feeder::{CONFIG, RATE, SHADES};
use nix::sys::signal::Signal;

#[test]
fn segments_follow_each_other_without_a_gap_and_numbers_go_on() {
    let (place, feeder) = Place::new();
    feeder.feed(u64::MAX);
    let mut camera = place.start(&[]);
    camera.makes(5);
    camera.stop();
    let first = check::segments(&place.out());
    assert!(first.keys().copied().eq(1..=first.len() as u64), "{:?}", first.keys());
    let all: Vec<Seen> = first.values().flatten().copied().collect();
    let start = match all[0] {
        Seen::Shade(shade) => shade,
        Seen::Covered => panic!("the first frame is covered"),
    };
    let expected = (0..all.len() as u64).map(|n| Seen::Shade((start + n) % SHADES));
    assert!(all.iter().copied().eq(expected), "no frame is lost, twice or covered: {all:?}");
    for (number, frames) in first.iter().take(4) {
        assert_eq!(frames.len() as u64, RATE, "segment {number}");
    }
    assert_eq!(check::leftovers(&place.out()), [] as [std::path::PathBuf; 0]);
    // What another start finds stays as it is. The oldest was taken away meanwhile.
    std::fs::remove_dir_all(place.out().join("00000001")).unwrap();
    let mut camera = place.start(&[]);
    camera.makes(1);
    camera.stop();
    let second = check::segments(&place.out());
    assert!(first.iter().skip(1).all(|(number, frames)| second[number] == *frames));
    let next = *first.keys().last().unwrap() + 1;
    assert!(second.contains_key(&next) && !second.contains_key(&1), "{:?}", second.keys());
}

#[test]
fn a_camera_that_is_not_there_is_waited_for_and_one_that_goes_comes_back() {
    let (place, feeder) = Place::new();
    let there = place.path("sensor");
    let away = place.path("away");
    std::fs::rename(&there, &away).unwrap();
    let mut camera = place.start(&[]);
    camera.hears("the camera is gone");
    std::fs::rename(&away, &there).unwrap();
    feeder.feed(3 * RATE + 4);
    feeder.close();
    camera.makes(4);
    camera.hears("the camera is gone");
    feeder.feed(RATE / 2);
    feeder.close();
    camera.makes(1);
    camera.stop();
    let frames: Vec<usize> = check::segments(&place.out()).values().map(Vec::len).collect();
    assert_eq!(frames, [10, 10, 10, 4, 5], "what it saw before it went is whole");
    let summary = std::fs::read_to_string(place.out().join("00000004/summary.json")).unwrap();
    assert!(summary.contains("the camera went away"), "{summary}");
}

#[test]
fn settings_change_at_a_boundary_and_bad_ones_do_not() {
    let (place, feeder) = Place::new();
    feeder.feed(u64::MAX);
    let mut camera = place.start(&[]);
    camera.makes(2);
    let settings = place.path("etc/camera.toml");
    write(&settings, "[redaction]\nclasses = []\n");
    camera.signal(Signal::SIGHUP);
    camera.hears("the settings stay as they are");
    camera.makes(2);
    // From here on all of it is covered.
    write(&settings, &CONFIG.replace("0.5, 1.0", "1.0, 1.0"));
    camera.signal(Signal::SIGHUP);
    camera.hears("other settings are in use");
    // How many segments were under way by then hangs on how fast it is.
    let dark = loop {
        camera.makes(1);
        let films = check::numbers(&place.out()).into_values().map(|path| path.join("media/000001.y4m"));
        let all_covered = |film| check::film(&std::fs::read(film).unwrap()).0.iter().all(|seen| *seen == Seen::Covered);
        let dark: Vec<bool> = films.map(all_covered).collect();
        if dark.iter().filter(|dark| **dark).count() >= 2 || dark.len() >= 60 {
            break dark;
        }
    };
    camera.stop();
    let before = dark.iter().take_while(|dark| !**dark).count();
    assert!(before >= 3 && dark.len() >= before + 2 && dark[before..].iter().all(|dark| *dark), "{dark:?}");
}

#[test]
fn starts_that_come_to_nothing_end_in_covered_pictures_and_then_in_others_again() {
    let (place, feeder) = Place::new();
    // Its segments are too long to become whole before it is killed.
    for start in 1..=3 {
        let camera = Camera::start(place.command("3600", &["--restarts", "3"]));
        feeder.feed(40);
        feeder.wait(40 * start);
        camera.kill();
        feeder.close();
    }
    assert_eq!(check::segments(&place.out()).len(), 0);
    let mut camera = Camera::start(place.command("3600", &["--restarts", "3"]));
    camera.hears("the camera restarts too often");
    feeder.feed(20);
    feeder.close();
    camera.makes(1);
    let covered = check::segments(&place.out());
    assert!(covered[&1].iter().all(|seen| *seen == Seen::Covered));
    let summary = std::fs::read_to_string(place.out().join("00000001/summary.json")).unwrap();
    assert!(summary.contains("the camera restarts too often"), "{summary}");
    // Searched again, and killed again before that proved to be well: covered at once.
    camera.kill();
    let mut camera = place.start(&["--restarts", "3"]);
    camera.hears("the camera restarts too often");
    feeder.feed(u64::MAX);
    camera.hears("covered=false");
    camera.stop();
    let last = check::segments(&place.out()).into_values().next_back().unwrap();
    assert!(last.iter().any(|seen| *seen != Seen::Covered), "{last:?}");
    let mut camera = place.start(&["--restarts", "1"]);
    camera.makes(1);
    let said = camera.stop();
    assert!(!said.iter().any(|line| line.contains("too often")), "all is well: {said:?}");
}

#[test]
fn the_oldest_go_where_there_is_not_room_for_all() {
    let (place, feeder) = Place::new();
    feeder.feed(u64::MAX);
    let mut camera = place.start(&["--media-megabytes", "1"]);
    camera.makes(40);
    camera.stop();
    let there = check::segments(&place.out());
    let (oldest, newest) = (*there.keys().next().unwrap(), *there.keys().last().unwrap());
    assert!(oldest > 1 && newest >= 40 && there.keys().copied().eq(oldest..=newest), "{:?}", there.keys());
}

#[test]
fn what_is_typed_wrong_is_said_and_does_not_count_as_a_start() {
    let (place, feeder) = Place::new();
    write(&place.path("etc/camera.toml"), "no = settings");
    for _ in 0..3 {
        let (status, said) = place.start(&["--restarts", "2"]).ends();
        assert!(!status.success() && said.iter().any(|line| line.contains("camera.toml")), "{said:?}");
    }
    write(&place.path("etc/camera.toml"), CONFIG);
    feeder.feed(u64::MAX);
    let mut camera = place.start(&["--restarts", "1"]);
    camera.makes(1);
    let (status, said) = place.start(&[]).ends();
    assert!(!status.success() && said.iter().any(|line| line.contains("in use by another process")), "{said:?}");
    camera.makes(1);
    let said = camera.stop();
    assert!(!said.iter().any(|line| line.contains("too often")), "{said:?}");
}
