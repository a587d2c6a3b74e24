//! Folders that several processes use: killed writers, full disks, what is refused.

use std::path::Path;
use std::process::{Command, Stdio};

use super::*;

/// What the processes below add, and how much of it is kept.
const MANY: Limits = Limits { lessons: 12, megabytes: 64, days: 30 };

/// Not a test by itself: the process that the next one kills.
#[test]
fn adds_lessons_until_it_is_killed() {
    let Some(dir) = std::env::var_os("VOLET_TEST_BUFFER") else { return };
    let writer = Buffer::writer(Path::new(&dir), &CLASSES).unwrap();
    for seed in 0.. {
        writer.add(&sized(seed, 64, 48), None).unwrap();
    }
}

#[test]
fn a_writer_that_is_killed_at_any_time_leaves_whole_lessons() {
    let parent = tempfile::tempdir().unwrap();
    let (dir, file) = (parent.path().join("buffer"), parent.path().join("identity"));
    init_with(&dir, &file, &CLASSES, MANY).unwrap();
    let open = || Buffer::open(&dir, Identity::read(&file, &dir).unwrap()).unwrap();
    let (mut seen, mut read) = (0, 0);
    for kill in 0..40_u64 {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "learn::buffer::tests::folders::adds_lessons_until_it_is_killed"])
            .env("VOLET_TEST_BUFFER", &dir)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // It is killed at some point of one of its lessons, so many looks at the folder after its first.
        let before = seen;
        let mut turns = 0;
        while turns <= kill * 100 {
            let names =
                std::fs::read_dir(&dir).unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
            let newest = names.filter_map(|name| Entry::parse(&name)).map(|entry| entry.number).max();
            seen = seen.max(newest.unwrap_or(0));
            turns += u64::from(seen > before);
            assert!(writer.try_wait().unwrap().is_none(), "the writer ended by itself");
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        let buffer = open();
        let entries = buffer.entries().unwrap();
        assert!((1..=MANY.lessons as usize).contains(&entries.len()));
        for entry in &entries {
            let lesson = buffer.read(entry).unwrap().expect("a whole lesson");
            assert!((0..).take(100_000).any(|seed| sized(seed, 64, 48) == lesson), "nobody's lesson");
            read += 1;
        }
        assert_eq!(status(&dir).unwrap().damaged, 0);
        seen = entries.iter().map(|entry| entry.number).max().unwrap();
    }
    assert!(read > 100 && seen > 80, "{read} {seen}");
}

#[test]
fn a_full_disk_takes_no_more_and_loses_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let mount = parent.path().join("disk");
    std::fs::create_dir(&mount).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(&mount).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("skipped: this user mounts no disks");
        return;
    }
    let (dir, file) = (mount.join("buffer"), parent.path().join("identity"));
    init_with(&dir, &file, &CLASSES, MANY).unwrap();
    let writer = Buffer::writer(&dir, &CLASSES).unwrap();
    let (mut kept, mut full) = (Vec::new(), 0);
    for seed in 0..12 {
        match writer.add(&sized(seed, 128, 96), None) {
            Ok(entry) => kept.push((seed, entry)),
            Err(BufferError::Io { source, .. }) if source.kind() == io::ErrorKind::StorageFull => full += 1,
            Err(other) => panic!("{other}"),
        }
    }
    let buffer = Buffer::open(&dir, Identity::read(&file, &dir).unwrap()).unwrap();
    let whole = kept.iter().all(|(seed, entry)| buffer.read(entry).unwrap().unwrap() == sized(*seed, 128, 96));
    let (count, done) = (buffer.entries().unwrap().len(), wipe(&dir));
    let again = writer.add(&sized(1, 128, 96), None).is_ok();
    let unmounted = Command::new("umount").arg(&mount).status().unwrap().success();
    assert!(whole && full > 4 && kept.len() > 2 && count == kept.len() && done.is_ok() && again && unmounted);
}

#[test]
fn a_folder_and_an_identity_are_looked_at_before_they_are_used() {
    let parent = tempfile::tempdir().unwrap();
    let (dir, file) = (parent.path().join("buffer"), parent.path().join("identity"));
    let said = |error: BufferError, with: &str| assert!(error.to_string().contains(with), "{error}");
    said(status(&dir).unwrap_err(), "buffer init");
    said(wipe(&dir).unwrap_err(), "buffer init");
    said(init_with(&dir, &dir.join("identity"), &CLASSES, FEW).unwrap_err(), "elsewhere");
    let foreign = parent.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("key"), "to somebody's house").unwrap();
    said(init_with(&foreign, &file, &CLASSES, FEW).unwrap_err(), "other files");
    assert_eq!(std::fs::read(foreign.join("key")).unwrap(), b"to somebody's house");

    let file = parent.path().join("another");
    let owner = init_with(&dir, &file, &CLASSES, FEW).unwrap();
    said(init_with(&dir, &parent.path().join("third"), &CLASSES, FEW).unwrap_err(), "already");
    assert_eq!(Identity::read(&file, &dir).unwrap().recipient(), owner);
    assert!(matches!(Identity::make(&file), Err(IdentityError::Exists(_))));
    for mode in [0o640, 0o604, 0o620] {
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        said(Identity::read(&file, &dir).unwrap_err().into(), "chmod 600");
    }
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
    assert!(Identity::read(&file, &dir).is_ok());
    let inside = dir.join("identity");
    std::fs::copy(&file, &inside).unwrap();
    said(Identity::read(&inside, &dir).unwrap_err().into(), "elsewhere");
    std::os::unix::fs::symlink(&inside, parent.path().join("link")).unwrap();
    said(Identity::read(&parent.path().join("link"), &dir).unwrap_err().into(), "elsewhere");
    said(Identity::read(&dir.join("key"), Path::new("/nowhere")).unwrap_err().into(), "no owner's identity");

    let mut classes = CLASSES.to_vec();
    classes.reverse();
    said(Buffer::writer(&dir, &classes).unwrap_err(), "person, face");
    let writer = Buffer::writer(&dir, &CLASSES).unwrap();
    writer.add(&lesson(1), None).unwrap();
    assert_eq!(status(&dir).unwrap().lessons, 1);
    let head = std::fs::read_to_string(dir.join("buffer.toml")).unwrap();
    std::fs::write(dir.join("buffer.toml"), head.replace("version = 1", "version = 2")).unwrap();
    said(writer.add(&lesson(2), None).unwrap_err(), "newer program");
    // Even so it can be wiped, and is made again.
    said(wipe(&dir).unwrap_err(), "newer program");
    let left: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == "lock" || name == "identity"), "{left:?}");
    std::fs::remove_file(&inside).unwrap();
    init(&dir, owner, &CLASSES, FEW).unwrap();
}
