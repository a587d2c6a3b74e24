//! People of the human mesh: loading, determinism and the truth about them. Most need ../shared/humans-cc0 beside the
//! workspace, or its folder in the environment as VOLET_HUMANS; without it they say that they are skipped.

// The helpers of tests are tests to us, but not to the linter.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use volet_synthetic::{Bodies, Clip, Conditions, Generator, ObjectClass, Still, still};

/// The folder of the mesh, beside the workspace's root, if it is there.
fn folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/humans-cc0");
    let folder = if folder.is_dir() { folder } else { PathBuf::from(std::env::var_os("VOLET_HUMANS")?) };
    folder.join("base.obj.gz").is_file().then_some(folder)
}

fn bodies() -> Option<Arc<Bodies>> {
    let found = folder().map(|folder| Arc::new(Bodies::load(&folder).expect("the mesh is whole")));
    if found.is_none() {
        eprintln!("skipped: ../shared/humans-cc0 is not there");
    }
    found
}

/// A copy of the folder to spoil.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let there = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &there),
            false => fs::write(there, fs::read(entry.path()).unwrap()).unwrap(),
        }
    }
}

fn packed(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

fn same(a: &Still, b: &Still) -> bool {
    a.image.as_raw() == b.image.as_raw() && a.objects == b.objects
}

#[test]
fn an_empty_folder_says_where_the_mesh_is_to_be_had() {
    let empty = tempfile::tempdir().unwrap();
    let message = Bodies::load(empty.path()).unwrap_err().to_string();
    assert!(message.contains("base.obj.gz") && message.contains("mpfb2"), "{message}");
}

#[test]
fn a_mesh_that_is_no_head_is_refused() {
    let place = tempfile::tempdir().unwrap();
    for text in ["", "v 0 0", "v 0 0 0\ng body\nf 1 1 1 1\n", "v nan 0 0\n", "g body\nf 1/1 2/2 3/3 4/4\n", "\u{0}"] {
        fs::write(place.path().join("base.obj.gz"), packed(text)).unwrap();
        let message = Bodies::load(place.path()).unwrap_err().to_string();
        assert!(message.contains("base.obj.gz"), "{text:?}: {message}");
    }
}

#[test]
fn spoilt_files_are_named() {
    let Some(folder) = folder() else { return eprintln!("skipped: ../shared/humans-cc0 is not there") };
    let place = tempfile::tempdir().unwrap();
    let spoilt = place.path().join("mesh");
    copy(&folder, &spoilt);
    let name = "targets/nose/nose-hump-incr.target.gz";
    let path = spoilt.join(name);
    let whole = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let cases: [Option<Vec<u8>>; 7] = [
        None,
        Some(whole[..whole.len() / 2].to_vec()),
        Some(b"not packed".to_vec()),
        Some(packed("12 0.1 zero 0.2\n")),
        Some(packed("99999999 0.1 0.1 0.1\n")),
        Some(packed("12 inf 0 0\n")),
        Some(packed(&"12 0 0 0\n".repeat(4_000_000))),
    ];
    for (index, case) in cases.into_iter().enumerate() {
        if let Some(bytes) = case {
            fs::write(&path, bytes).unwrap();
        }
        let error = Bodies::load(&spoilt).unwrap_err();
        assert!(error.to_string().contains("nose-hump-incr"), "case {index}: {error}");
    }
    fs::write(&path, whole).unwrap();
    assert!(Bodies::load(&spoilt).is_ok());
}

#[test]
fn the_hash_follows_what_was_read() {
    let Some(folder) = folder() else { return eprintln!("skipped: ../shared/humans-cc0 is not there") };
    let place = tempfile::tempdir().unwrap();
    let other = place.path().join("mesh");
    copy(&folder, &other);
    let before = Bodies::load(&folder).unwrap().hash();
    assert_eq!(before, Bodies::load(&other).unwrap().hash());
    fs::write(other.join("targets/nose/nose-hump-incr.target.gz"), packed("106 0 0 0.001\n")).unwrap();
    assert_ne!(before, Bodies::load(&other).unwrap().hash());
}

#[test]
fn pictures_follow_from_the_seed_and_without_share_are_the_built_in_ones() {
    let Some(bodies) = bodies() else { return };
    let all = Generator::with_bodies(Arc::clone(&bodies), 1.0);
    let none = Generator::with_bodies(bodies, 0.0);
    let mut changed = 0;
    for seed in 0..12 {
        let made = all.still(seed, 320, 192);
        assert!(same(&made, &all.still(seed, 320, 192)), "seed {seed}");
        let built_in = still(seed, 320, 192);
        assert!(same(&none.still(seed, 320, 192), &built_in), "seed {seed}");
        changed += u32::from(made.image != built_in.image);
    }
    assert!(changed > 3, "the mesh is hardly ever used: {changed} of 12");
}

#[test]
fn clips_use_the_mesh_too() {
    let Some(bodies) = bodies() else { return };
    let generator = Generator::with_bodies(bodies, 1.0);
    let differs = (0..4).any(|seed| {
        let (plain, mesh) =
            (Clip::new(seed, 320, 180, 5, 10), Clip::with(&generator, &Conditions::default(), seed, 320, 180, 5, 10));
        assert!(same(&mesh.frame(7), &mesh.frame(7)));
        (0..10).any(|frame| plain.frame(frame).image != mesh.frame(frame).image)
    });
    assert!(differs);
}

/// Faces of the mesh are boxed as the built-in ones are: same places, on the whole the same sizes.
#[test]
fn boxes_agree_with_the_built_in_heads() {
    let Some(bodies) = bodies() else { return };
    let generator = Generator::with_bodies(bodies, 1.0);
    let (mut width, mut height, mut count) = (0.0, 0.0, 0.0);
    for seed in 0..120 {
        let (a, b) = (still(seed, 320, 192), generator.still(seed, 320, 192));
        for one in a.objects.iter().filter(|object| object.class == ObjectClass::Face && !object.ignore) {
            let whole = |[x, y, w, h]: [f32; 4]| x > 1.0 && y > 1.0 && x + w < 319.0 && y + h < 191.0 && h > 26.0;
            let other = b.objects.iter().find(|object| object.track_id == one.track_id);
            let Some(other) = other.filter(|other| whole(other.bbox) && whole(one.bbox)) else { continue };
            width += (other.bbox[2] / one.bbox[2]).ln();
            height += (other.bbox[3] / one.bbox[3]).ln();
            count += 1.0;
        }
    }
    let (width, height): (f32, f32) = ((width / count).exp(), (height / count).exp());
    println!("{count} faces: width {width:.3}, height {height:.3} of the built-in");
    assert!(count > 20.0);
    assert!((0.94..1.06).contains(&width) && (0.94..1.06).contains(&height), "{width} {height}");
}
