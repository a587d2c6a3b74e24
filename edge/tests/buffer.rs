//! The learning buffer and its owner's corrections through the built program: made, filled, corrected, wiped.

#![cfg(all(unix, feature = "agent"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use volet_edge::learn::buffer::Buffer;
use volet_edge::learn::{Label, Lesson, Source};
use volet_edge::models::{BBox, builtin};

fn lesson(seed: u32) -> Lesson {
    let mut rgb = vec![0; 64 * 48 * 3];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut rgb);
    let bbox = BBox::new(20.0, 10.0, 12.5, 15.0);
    let labels = vec![Label { class: 0, bbox, ignore: false, source: Source::Detector }];
    Lesson { width: 64, height: 48, rgb, labels }
}

/// A folder to work in.
struct Place(tempfile::TempDir);

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn program(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_volet-edge"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Who reads nothing has ended before all was written.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn said(&self, arguments: &[&str]) -> String {
        let output = self.program(arguments, "");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.said(arguments)).unwrap()
    }

    fn refused(&self, arguments: &[&str], input: &str, with: &str) {
        let output = self.program(arguments, input);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(with) && !error.contains("panicked"), "{error}");
    }

    fn set(&self, lesson: &str, labels: &Value) -> Value {
        let input = json!({ "labels": labels }).to_string();
        let output = self.program(&[&["label", "set", lesson][..], &OWNED].concat(), &input);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

const OWNED: [&str; 4] = ["--dir", "buffer", "--identity", "identity"];

fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777
}

#[test]
fn an_owner_makes_fills_corrects_and_wipes_a_buffer() {
    let place = Place(tempfile::tempdir().unwrap());
    let init = ["buffer", "init", "--dir", "buffer", "--owner-identity-out", "identity", "--lessons", "6"];
    let owner = place.said(&init).trim().to_owned();
    assert_eq!((mode(&place.path("buffer")), mode(&place.path("identity"))), (0o700, 0o600));
    place.refused(&init, "", "already");
    let status = || place.json(&["buffer", "status", "--dir", "buffer", "--json"]);
    assert_eq!((&status()["lessons"], &status()["owner"]), (&json!(0), &json!(owner)));

    let classes = builtin::default_model().unwrap().manifest().classes.clone();
    let writer = Buffer::writer(&place.path("buffer"), &classes).unwrap();
    let added: Vec<_> = (0..8).map(|seed| writer.add(&lesson(seed), None).unwrap()).collect();
    let kept: Vec<u64> = added[2..].iter().map(|entry| entry.number).collect();
    let listed = place.json(&[&["label", "list"][..], &OWNED].concat());
    let numbers: Vec<u64> = listed.as_array().unwrap().iter().map(|l| l["lesson"].as_u64().unwrap()).collect();
    assert_eq!(numbers, kept);
    let held_out = added[2..].iter().filter(|entry| entry.held_out).count();
    assert_eq!((&status()["lessons"], &status()["held_out"]), (&json!(6), &json!(held_out)));

    // What a lesson shows is words; what comes back in the same words is the owner's.
    let number = kept[0].to_string();
    let show = [&["label", "show", &number][..], &OWNED].concat();
    let shown = place.json(&show);
    let machine = json!([{"class": "face", "box": [20.0, 10.0, 12.5, 15.0], "ignore": false, "source": "detector"}]);
    assert_eq!((&shown["labels"], &shown["width"], &shown["corrected"]), (&machine, &json!(64), &json!(false)));
    assert!(shown.to_string().len() < 400, "no pixel is among it");
    assert_eq!(place.set(&number, &shown["labels"])["corrected"], json!(true));
    assert_eq!(place.json(&show)["labels"][0]["source"], json!("owner"));
    let better =
        json!([{"class": "face", "box": [1, 2, 30, 40]}, {"class": "face", "box": [0, 0, 5, 5], "ignore": true}]);
    place.set(&number, &better);
    let labels = place.json(&show)["labels"].clone();
    assert_eq!((&labels[0]["box"], &labels[1]["ignore"]), (&json!([1.0, 2.0, 30.0, 40.0]), &json!(true)));
    assert_eq!(status()["labelled"], json!(1));
    place.set(&number, &json!([]));
    assert_eq!(place.json(&show)["labels"], json!([]));
    let set = [&["label", "set", &number][..], &OWNED].concat();
    for (input, with) in [
        ("rubbish", "labels are due"),
        (r#"{"labels": [{"class": "face", "box": [1, 2, 0, 4]}]}"#, "empty"),
        (r#"{"labels": [{"class": "face", "box": [1, 2, 1e39, 4]}]}"#, "label"),
        (r#"{"labels": [{"class": "face", "box": [64, 2, 3, 4]}]}"#, "nothing in the picture"),
        (r#"{"labels": [{"class": "parcel", "box": [1, 2, 3, 4]}]}"#, "no class of this buffer"),
        (r#"{"labels": [{"class": "elf", "box": [1, 2, 3, 4]}]}"#, "elf"),
    ] {
        place.refused(&set, input, with);
    }
    place.refused(&[&["label", "show", "999"][..], &OWNED].concat(), "", "no lesson 999");

    // What the owner corrected stays longest.
    for seed in 8..14 {
        writer.add(&lesson(seed), None).unwrap();
    }
    assert_eq!((&place.json(&show)["corrected"], &status()["lessons"]), (&json!(true), &json!(6)));

    // Without the identity, or with another, nothing is read.
    let stranger = ["buffer", "init", "--dir", "other", "--owner-identity-out", "stranger"];
    place.said(&stranger);
    place.refused(&["label", "list", "--dir", "buffer", "--identity", "stranger"], "", "whose identity this is not");
    place.refused(&["label", "list", "--dir", "buffer", "--identity", "nowhere"], "", "nowhere");
    place.refused(&["label", "list", "--dir", "buffer"], "", "--identity");
    place.refused(&["label", "--dir", "buffer"], "", "--identity");

    // The owner's key may be made elsewhere.
    let elsewhere = ["buffer", "init", "--dir", "third", "--recipient", &owner];
    assert_eq!(place.said(&elsewhere).trim(), owner);
    let listed = place.json(&["label", "list", "--dir", "third", "--identity", "identity"]);
    assert_eq!(listed, json!([]));
    place.refused(&["buffer", "init", "--dir", "fourth", "--recipient", "xyz"], "", "64 hexadecimal digits");
    place.refused(&["buffer", "init", "--dir", "fourth"], "", "--owner-identity-out");
    assert!(!place.path("fourth").exists());

    assert!(place.said(&["buffer", "wipe", "--dir", "buffer"]).contains("starts anew"));
    assert_eq!((&status()["lessons"], &status()["owner"]), (&json!(0), &json!(owner)));
    let files = std::fs::read_dir(place.path("buffer")).unwrap().count();
    assert_eq!(files, 3, "buffer.toml, key and lock");
    writer.add(&lesson(1), None).unwrap();
    assert_eq!(place.json(&[&["label", "list"][..], &OWNED].concat()).as_array().unwrap().len(), 1);
    assert!(place.said(&["buffer", "status", "--dir", "buffer"]).contains("1 of 6"));
}
