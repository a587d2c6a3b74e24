//! A camera that takes lessons: from frames to what an agent learns from, over the built program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output};

/// Six seconds of people who do not exist, in grey.
fn film(path: &Path) -> String {
    let clip = volet_synthetic::Clip::new(5, 320, 192, 5, 30);
    let mut bytes = b"YUV4MPEG2 W320 H192 F5:1 Ip A1:1 Cmono\n".to_vec();
    for index in 0..clip.len() {
        bytes.extend(b"FRAME\n");
        bytes.extend(clip.frame(index).image.pixels().map(|pixel| pixel.0[1]));
    }
    std::fs::write(path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

fn volet(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_volet")).args(arguments).current_dir(folder).output().unwrap()
}

fn done(arguments: &[&str], folder: &Path) -> String {
    let output = volet(arguments, folder);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_camera_keeps_lessons_and_nothing_of_them_in_the_open() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let clip = film(&folder.join("clip.y4m"));
    done(&["camera", "buffer", "init", "--dir", "buffer", "--owner-identity-out", "owner.identity"], folder);
    done(&["camera", "--source", &clip, "--out", "out", "--lessons", "buffer", "--lesson-every", "1"], folder);
    let status = done(&["camera", "buffer", "status", "--dir", "buffer", "--json"], folder);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert!(status["lessons"].as_u64().unwrap() >= 1, "{status}");
    // What was kept is sealed.
    for entry in std::fs::read_dir(folder.join("buffer")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(4).any(|w| w == b"\x89PNG" || w == b"IHDR"), "a picture lies in the open");
    }
    // Without a buffer nothing is begun.
    let refused = volet(&["camera", "--source", &clip, "--out", "out2", "--lessons", "nowhere"], folder);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("buffer init"), "{said}");
    assert!(!folder.join("out2").exists());
}
