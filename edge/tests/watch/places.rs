//! Disks that are small, and a root that cannot be written: in a mount name space of the test's own thread.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::camera::Place;
use crate::check;

/// Whether a disk of so many megabytes could be put there; says why not.
fn mounted(at: &Path, megabytes: u32) -> bool {
    std::fs::create_dir_all(at).unwrap();
    let none = None::<&str>;
    let private = || {
        // A thread has mounts of its own, and what it starts has them, too.
        unshare(CloneFlags::CLONE_NEWNS)?;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        mount(Some("none"), at, Some("tmpfs"), MsFlags::empty(), Some(format!("size={megabytes}m").as_str()))
    };
    private().map_err(|error| println!("skipped: no mounts of its own ({error}); run it as root")).is_ok()
}

/// Takes what is free, until there is none; whether anything was.
fn fill(path: &Path) -> bool {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    let mut any = false;
    loop {
        match file.write(&[7; 4096]) {
            Ok(written) => any |= written > 0,
            Err(error) if error.kind() == ErrorKind::StorageFull => return any,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_full_disk_stops_nothing_for_good() {
    let (place, feeder) = Place::new();
    if !mounted(&place.out(), 6) {
        return;
    }
    feeder.feed(u64::MAX);
    let mut camera = place.start(&[]);
    camera.makes(100);
    camera.stop();
    assert!(!check::numbers(&place.out()).contains_key(&1), "the oldest have gone");
    // Not even room to count the start.
    let filler = place.out().join(".filler");
    assert!(fill(&filler));
    let mut camera = place.start(&["--restarts", "1"]);
    camera.makes(2);
    // Somebody else takes all that it makes room for.
    while !camera.has_said("nothing is written for now") {
        fill(&filler);
    }
    std::fs::remove_file(&filler).unwrap();
    camera.hears("written again");
    camera.makes(3);
    camera.stop();
    let there = check::segments(&place.out());
    assert!(there.len() >= 3 && there.values().flatten().all(|seen| *seen != check::Seen::Covered), "{there:?}");
}

#[test]
fn it_writes_nowhere_but_into_its_folder() {
    let (place, feeder) = Place::new();
    if !mounted(&place.out(), 64) {
        return;
    }
    let none = None::<&str>;
    for at in [Path::new("/"), Path::new("/tmp")] {
        let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
        let done = mount(none, at, none, read_only, none);
        // What is no mount of its own went with the root.
        assert!(done.is_ok() || at != Path::new("/"), "{done:?}");
    }
    if File::create(place.path("anything")).is_ok() {
        println!("skipped: the folder of temporary files is on a disk that stays writable");
        return;
    }
    feeder.feed(u64::MAX);
    let mut camera = place.start(&[]);
    camera.makes(3);
    camera.stop();
    assert!(check::segments(&place.out()).len() >= 3);
}
