//! Raw film through the built program: kept by the camera, opened by its owner; and what others make of it.

#![cfg(all(unix, feature = "vault", feature = "agent"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

const WIDTH: usize = 160;
const HEIGHT: usize = 120;
const FRAMES: usize = 120;

struct Place(tempfile::TempDir);

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn program(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_volet-edge")).args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    fn said(&self, arguments: &[&str]) -> String {
        let output = self.program(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn refused(&self, arguments: &[&str], with: &str) {
        let output = self.program(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(with), "{arguments:?}: {error}");
    }

    fn clips(&self) -> Vec<PathBuf> {
        files(&self.path("vault"))
            .into_keys()
            .filter(|name| name.contains("clip-"))
            .map(|name| self.path("vault").join(name))
            .collect()
    }
}

/// All files of a folder, by their paths in it.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            files.extend(self::files(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else {
            files.insert(name, std::fs::read(path).unwrap());
        }
    }
    files
}

fn luma(frame: usize) -> Vec<u8> {
    let shade = |x: usize, y: usize| {
        let (x, y, t) = (x as f64, y as f64, frame as f64);
        (128.0
            + 60.0 * ((x + 3.0 * t) / 17.0).sin() * (y / 11.0).cos()
            + if (x as usize / 8 + frame).is_multiple_of(7) { 40.0 } else { 0.0 }) as u8
    };
    (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| shade(x, y))).collect()
}

/// A second is 25 frames.
fn film(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    writeln!(file, "YUV4MPEG2 W{WIDTH} H{HEIGHT} F25:1 Ip A1:1 C420jpeg XCOLORRANGE=FULL").unwrap();
    for frame in 0..FRAMES {
        file.write_all(b"FRAME\n").unwrap();
        file.write_all(&luma(frame)).unwrap();
        file.write_all(&vec![120; WIDTH * HEIGHT / 2]).unwrap();
    }
}

/// The pictures of a Motion JPEG film.
fn pictures(avi: &[u8]) -> Vec<Vec<u8>> {
    let at = avi.windows(4).position(|word| word == b"movi").unwrap() + 4;
    let (mut rest, mut pictures) = (&avi[at..], Vec::new());
    while let Some(chunk) = rest.strip_prefix(b"00dc") {
        let length = u32::from_le_bytes(chunk[..4].try_into().unwrap()) as usize;
        pictures.push(chunk[4..4 + length].to_vec());
        rest = &chunk[4 + length + length % 2..];
    }
    pictures
}

fn psnr(jpeg: &[u8], original: &[u8]) -> f64 {
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::YCbCr);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    let decoded = decoder.decode().unwrap();
    assert_eq!(decoded.len(), 3 * original.len());
    let squares =
        decoded.chunks_exact(3).zip(original).map(|(yuv, y)| f64::from(yuv[0].abs_diff(*y)).powi(2)).sum::<f64>();
    10.0 * (255.0_f64.powi(2) * original.len() as f64 / squares.max(1e-9)).log10()
}

fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777
}

const KEEP: [&str; 8] = ["--source", "film.y4m", "--out", "out", "--keep", "vault", "--keep-clip-seconds", "2"];
const OPEN: [&str; 7] = ["vault", "open", "--dir", "vault", "--identity", "identity", "--out"];

fn open_to(out: &str) -> Vec<&str> {
    [&OPEN[..], &[out]].concat()
}

/// A place with a film, a vault and its owner's identity.
fn place() -> Place {
    let place = Place(tempfile::tempdir().unwrap());
    film(&place.path("film.y4m"));
    place.said(&["vault", "init", "--dir", "vault", "--owner-identity-out", "identity"]);
    place
}

#[test]
fn what_the_camera_kept_its_owner_sees_and_nothing_else_changes() {
    let place = place();
    assert_eq!((mode(&place.path("vault")), mode(&place.path("identity"))), (0o700, 0o600));
    place.refused(&["vault", "init", "--dir", "vault", "--owner-identity-out", "another"], "already");
    let told = place.said(&KEEP);
    assert!(told.contains("sealed for its owner: 3 clips, 120 frames"), "{told}");

    // What may be given away is the same, but for the one line that says so.
    place.said(&["--source", "film.y4m", "--out", "without"]);
    let (with, without) = (files(&place.path("out")), files(&place.path("without")));
    assert!(with.keys().eq(without.keys()));
    for (name, bytes) in &with {
        let text = String::from_utf8_lossy(bytes);
        if ["index.html", "summary.json"].contains(&name.as_str()) {
            assert!(!text.contains("vault") && !text.contains("clip-"), "{name}");
        } else {
            assert!(*bytes == without[name], "{name} differs");
        }
    }
    assert!(String::from_utf8_lossy(&with["index.html"]).contains("Raw film was kept, sealed for its owner: 3 clips."));
    assert!(!String::from_utf8_lossy(&without["index.html"]).contains("Raw film"));

    let status: Value = serde_json::from_str(&place.said(&["vault", "status", "--dir", "vault", "--json"])).unwrap();
    let bytes: u64 = place.clips().iter().map(|clip| std::fs::metadata(clip).unwrap().len()).sum();
    assert_eq!((&status["clips"], &status["bytes"]), (&3.into(), &bytes.into()));

    let told = place.said(&open_to("films"));
    assert!(told.contains("3 films"), "{told}");
    let films = files(&place.path("films"));
    assert!(films.keys().all(|name| mode(&place.path("films").join(name)) == 0o600 && name.ends_with(".avi")));
    let shown: Vec<Vec<u8>> = films.values().flat_map(|film| pictures(film)).collect();
    assert_eq!(shown.len(), FRAMES);
    for (n, picture) in shown.iter().enumerate() {
        let quality = psnr(picture, &luma(n));
        assert!(quality > 34.0, "picture {n}: {quality:.1} dB");
    }
    // A film is never replaced; one clip can be opened alone; times are understood.
    place.refused(&open_to("films"), "is there already");
    let clip = place.clips()[1].to_str().unwrap().to_owned();
    place.said(&["vault", "open", "--dir", &clip, "--identity", "identity", "--out", "one"]);
    assert_eq!(files(&place.path("one")).len(), 1);
    for (span, count) in
        [(["--since", "2020-01-01"], 3), (["--until", "2020-01-01 08:30"], 0), (["--since", "2999-01-01T00:00:00Z"], 0)]
    {
        let out = format!("span-{}", span[1]);
        assert!(place.said(&[&open_to(&out)[..], &span].concat()).contains(&format!("{count} films")));
    }
    place.refused(&[&open_to("never")[..], &["--since", "yesterday"]].concat(), "2026-11-23 08:30");

    assert!(place.said(&["vault", "wipe", "--dir", "vault", "--before", "2020-01-01"]).contains("0 clips"));
    assert!(place.said(&["vault", "wipe", "--dir", "vault"]).contains("3 clips"));
    assert!(place.clips().is_empty());
}

#[test]
fn folders_that_lie_in_each_other_and_strangers_are_refused() {
    let place = place();
    let run = |out: &'static str, vault: &'static str| ["--source", "film.y4m", "--out", out, "--keep", vault];
    place.refused(&run("vault/out", "vault"), "one in the other");
    place.refused(&run("vault", "vault"), "one in the other");
    std::fs::create_dir(place.path("around")).unwrap();
    place.said(&["vault", "init", "--dir", "around/vault", "--owner-identity-out", "second"]);
    place.refused(&run("around", "around/vault"), "one in the other");
    std::os::unix::fs::symlink("vault", place.path("link")).unwrap();
    place.refused(&run("link/out", "vault"), "one in the other");
    place.refused(&run("new/../vault/out", "vault"), "new/..");
    place.refused(&run("out", "nowhere"), "vault init");
    assert!(!place.path("out").exists() && !place.path("nowhere").exists(), "nothing was begun");

    place.said(&KEEP);
    place.refused(&open_to("vault/films"), "one in the other");
    let foreign = ["vault", "open", "--dir", "vault", "--identity", "second", "--out", "films"];
    place.refused(&foreign, "whose identity this is not");
    assert!(files(&place.path("films")).is_empty());
    place.refused(&["vault", "init", "--dir", "third", "--owner-identity-out", "third/identity"], "own folder");
}

#[test]
fn what_is_wrong_with_one_clip_is_said_and_the_others_are_opened() {
    let place = place();
    place.said(&KEEP);
    let clips = place.clips();
    let mut flipped = std::fs::read(&clips[0]).unwrap();
    let middle = flipped.len() - 60;
    flipped[middle] ^= 4;
    std::fs::write(&clips[0], &flipped).unwrap();
    let cut = std::fs::read(&clips[1]).unwrap();
    std::fs::write(&clips[1], &cut[..cut.len() - 30]).unwrap();
    // A clip under another name, and one that never was one.
    std::fs::copy(&clips[2], place.path("vault/clip-0000000009-20200101T000000Z")).unwrap();
    std::fs::write(place.path("vault/clip-rubbish"), "rubbish").unwrap();
    let output = place.program(&open_to("films"));
    let (told, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{error}");
    for expected in ["damaged or was tampered with", "it is cut short", "it was renamed", "no clip of a vault"] {
        assert!(error.contains(expected), "{expected}: {error}");
    }
    assert!(told.contains("3 films in films"), "{told}");
    let films = files(&place.path("films"));
    assert!(films.keys().all(|name| name.ends_with(".avi")), "no half films: {:?}", films.keys());
    // A chunk is a second: of both damaged clips the first is whole.
    let shown: Vec<usize> = films.values().map(|film| pictures(film).len()).collect();
    assert_eq!(shown, [25, 25, 20]);
}
