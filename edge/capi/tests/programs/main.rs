//! The library as C programs meet it: `examples/redact.c` and a hostile caller, compiled against the built shared library
//! as `edge/capi/install` lays it out; plainly, with sanitizers, and under valgrind.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stage;
mod video;

use std::path::Path;
use std::process::Command;

use stage::Stage;
use video::{Line, Video};

/// Faces are black, so that what is destroyed can be told; and whatever is covered is written down.
const SETTINGS: &str = "[redaction]\nstyle = \"solid\"\n[tracker]\nbirth_score = 0.5\nsure_score = 0.5\n";
/// A small network: valgrind takes its time.
const SMALL: &str = "search.long_side = 160\n";

#[test]
fn faces_are_destroyed_the_rest_is_not_and_both_are_written_down() {
    let stage = Stage::new();
    let Some(program) = stage.compile("examples/redact.c", &[]) else { return };
    let video = Video::of_people(8, 12);
    let (out, lines) = redact(&stage, stage.run(&program), &video, SETTINGS);
    assert_eq!((out.len(), lines.len()), (video.samples.len(), video.frames()));
    let mut faces = 0;
    for (index, line) in lines.iter().enumerate() {
        assert_eq!((line.index, line.timestamp_us), (index as u64, index as u64 * 1_000_000 / 15));
        assert_eq!(line.covered_because, None);
        let (was, is) = (video.frame(index), video.frame_of(&out, index));
        for found in &line.annotations {
            assert!(found.class == "face" || found.class == "person", "{found:?}");
        }
        let boxes = || line.annotations.iter().filter(|found| found.class == "face");
        for found in boxes() {
            assert!(found.track > 0 && found.score > 0.0 && found.score <= 1.0, "{found:?}");
            let uncovered = Video::within(found.r#box, 1.0).filter(|&at| !Video::is_black(is, at)).count();
            assert_eq!(uncovered, 0, "frame {index}: {found:?}");
        }
        // A mask is up to 1.5 times as large as its face's box, and rounded outwards.
        let near = |at: (u32, u32)| boxes().any(|found| Video::is_within(found.r#box, 2.5, at));
        let elsewhere = Video::positions().filter(|&at| !near(at) && !Video::is_same(was, is, at)).count();
        assert_eq!(elsewhere, 0, "frame {index}: something else was changed");
        let changed = Video::positions().filter(|&at| !Video::is_as_bright(was, is, at)).count() as u64;
        assert!(changed <= line.covered_pixels, "frame {index}: {changed} changed, {} said", line.covered_pixels);
        assert!(line.covered_pixels < u64::from(Video::WIDTH * Video::HEIGHT) / 2);
        faces +=
            video.truth[index].iter().filter(|face| boxes().any(|found| Video::iou(**face, found.r#box) > 0.3)).count();
    }
    let all: usize = video.truth.iter().map(Vec::len).sum();
    println!("{faces} of {all} faces were found");
    assert!(2 * faces >= all && all > video.frames(), "{faces} of {all} faces were found: too few to say anything");

    // The same program with sanitizers does the same.
    let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    if let Some(program) = stage.compile_if_supported("examples/redact.c", &flags) {
        assert!(
            redact(&stage, stage.run(&program), &video, SETTINGS) == (out, lines),
            "with sanitizers it is another video"
        );
    }
}

#[test]
fn redacting_is_clean_under_valgrind() {
    let stage = Stage::new();
    let Some(program) = stage.compile("examples/redact.c", &[]) else { return };
    let Some(valgrind) = stage.valgrind(&program) else { return };
    let video = Video::of_people(8, 3);
    let (out, lines) = redact(&stage, valgrind, &video, SMALL);
    assert_eq!((out.len(), lines.len()), (video.samples.len(), video.frames()));
}

#[test]
fn misuse_is_told_and_does_no_harm() {
    let stage = Stage::new();
    let Some(program) = stage.compile("tests/programs/hostile.c", &[]) else { return };
    stage::succeeds(&mut stage.run(&program));
    let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    if let Some(program) = stage.compile_if_supported("tests/programs/hostile.c", &flags) {
        stage::succeeds(&mut stage.run(&program));
    }
}

#[test]
fn misuse_is_clean_under_valgrind() {
    let stage = Stage::new();
    let Some(program) = stage.compile("tests/programs/hostile.c", &[]) else { return };
    if let Some(mut valgrind) = stage.valgrind(&program) {
        stage::succeeds(&mut valgrind);
    }
}

#[test]
fn only_the_interface_is_exported() {
    let stage = Stage::new();
    let Some(exported) = stage.names("--defined-only") else { return };
    let header = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("include/volet.h")).unwrap();
    assert!(exported.len() > 8, "{exported:?}");
    for name in exported {
        assert!(header.contains(&format!("{name}(")), "{name} is exported and not in the header");
    }
}

/// What the library does not ask the C library for, it cannot do but by system calls of its own.
#[test]
fn it_can_open_no_socket_and_start_no_program() {
    const FORBIDDEN: [&str; 14] = [
        "socket",
        "socketpair",
        "connect",
        "bind",
        "listen",
        "accept",
        "accept4",
        "sendto",
        "sendmsg",
        "getaddrinfo",
        "fork",
        "vfork",
        "execvp",
        "posix_spawnp",
    ];
    let stage = Stage::new();
    let Some(asked) = stage.names("--undefined-only") else { return };
    assert!(asked.iter().any(|name| name == "memcpy"), "{asked:?}");
    let forbidden: Vec<_> = asked.iter().filter(|name| FORBIDDEN.contains(&name.as_str())).collect();
    assert!(forbidden.is_empty(), "{forbidden:?}");
}

/// Runs the example over a video; gives its output and its annotations.
fn redact(stage: &Stage, mut command: Command, video: &Video, toml: &str) -> (Vec<u8>, Vec<Line>) {
    let folder = tempfile::tempdir_in(stage.folder()).unwrap();
    let [input, settings, output, annotations] =
        ["in.nv12", "settings.toml", "out.nv12", "out.json"].map(|name| folder.path().join(name));
    std::fs::write(&input, &video.samples).unwrap();
    std::fs::write(&settings, toml).unwrap();
    command.args(["-r", "15", "-t", "2", "-c"]).arg(settings).arg("-a").arg(&annotations);
    command.args([Video::WIDTH.to_string(), Video::HEIGHT.to_string()]).arg(input).arg(&output);
    stage::succeeds(&mut command);
    let lines = std::fs::read_to_string(annotations).unwrap();
    (std::fs::read(output).unwrap(), lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}
