//! The camera program at work, confined as it is by default.

use std::path::Path;
use std::process::{Command, Output};

use libtest_mimic::{Failed, Trial};

pub(crate) fn all() -> Vec<Trial> {
    vec![
        Trial::test("the camera works as it does without a sandbox", same),
        Trial::test("the camera says what is open", says),
    ]
}

/// A clip of a few frames that move.
fn clip(path: &Path) {
    let (width, height) = (320, 192);
    let mut bytes = format!("YUV4MPEG2 W{width} H{height} F15:1 Ip A1:1 C420jpeg\n").into_bytes();
    for frame in 0..12 {
        bytes.extend(b"FRAME\n");
        bytes.extend((0..width * height).map(|at| (at % width * 3 + frame * 5) as u8));
        bytes.extend(std::iter::repeat_n(128, width * height / 2));
    }
    std::fs::write(path, bytes).unwrap();
}

fn camera(program: &str, folder: &Path, out: &str, more: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.current_dir(folder).args(["--source", "clip.y4m", "--threads", "2", "--out", out]).args(more);
    command.env("VOLET_LOG", "info").output().unwrap()
}

fn whole(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn same() -> Result<(), Failed> {
    let Some(program) = option_env!("CARGO_BIN_EXE_volet-edge") else { return Err("no program".into()) };
    let folder = tempfile::tempdir().unwrap();
    clip(&folder.path().join("clip.y4m"));
    whole(&camera(program, folder.path(), "confined", &[]));
    whole(&camera(program, folder.path(), "free", &["--sandbox", "off"]));
    for file in ["media/000001.y4m", "annotations/coco.json"] {
        let [confined, free] =
            ["confined", "free"].map(|out| std::fs::read(folder.path().join(out).join(file)).unwrap());
        assert!(confined == free, "{file}");
    }
    Ok(())
}

fn says() -> Result<(), Failed> {
    let Some(program) = option_env!("CARGO_BIN_EXE_volet-edge") else { return Err("no program".into()) };
    let folder = tempfile::tempdir().unwrap();
    clip(&folder.path().join("clip.y4m"));
    let text = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let usual = camera(program, folder.path(), "usual", &[]);
    whole(&usual);
    assert!(text(&usual).contains("it makes no connection"), "{}", text(&usual));
    let off = camera(program, folder.path(), "off", &["--sandbox", "off"]);
    assert!(off.status.success() && text(&off).contains("WARNING: --sandbox off"), "{}", text(&off));
    let nobody = camera(program, folder.path(), "nobody", &["--user", "no such user"]);
    assert!(!nobody.status.success() && text(&nobody).contains("there is no such user"), "{}", text(&nobody));
    Ok(())
}
