//! The annotation files, read by the formats' own readers: pycocotools and datumaro (Python).
//!
//! `VOLET_PYTHON` names the interpreter (else `python3`); where it or its packages are absent the test says
//! so and passes.

#![allow(clippy::unwrap_used)] // the helpers of a test are a test too

use std::path::Path;
use std::process::Command;

use volet_edge::annotate::{Annotated, Format, FrameRecord, MediaRecord, Origin, Region, Shape, Writer, create};
use volet_edge::models::{BBox, ObjectClass};
use volet_edge::source::{MediaKind, Rate};

const WIDTH: u32 = 320;
const HEIGHT: u32 = 240;
const RATE: Rate = Rate { num: 30_000, den: 1001 };

#[test]
fn the_formats_own_readers_agree() {
    let python = std::env::var("VOLET_PYTHON").unwrap_or_else(|_| "python3".into());
    let probe = Command::new(&python).args(["-c", "import pycocotools.coco, datumaro, numpy"]).output();
    if !probe.is_ok_and(|o| o.status.success()) {
        println!("skipped: {python} cannot import pycocotools and datumaro (set VOLET_PYTHON)");
        return;
    }
    let out = tempfile::tempdir().unwrap();
    write_sample(out.path());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/annotation_readers.py");
    let leak = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/eval/score_leak.py");
    let run = Command::new(&python).arg(script).arg(out.path()).arg(leak).output().unwrap();
    let said = format!("{}\n{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    println!("{said}");
    assert!(run.status.success(), "{said}");
}

/// Two stills and two clips. Clip 1: a face in frames 0 to 9 but not 4, a person in all, a lone box in
/// frame 5; frame 7 is covered wholly. Clip 2: nobody.
fn write_sample(out: &Path) {
    let mut w = create(&out.join("annotations"), &Format::ALL, Some(&out.join("regions.json"))).unwrap();
    let mut clip = media("clip-0001.mp4", MediaKind::Mp4);
    clip.source_name = Some("caf\u{e9} <&> \"1\".mp4".into());
    let frames = (0..10).map(|i| {
        let x = 20.0 + 7.5 * i as f32;
        let mut objects = vec![object(ObjectClass::Person, x - 10.0, 15.0, 90.0, 220.0, Some(2))];
        if i != 4 {
            objects.push(object(ObjectClass::Face, x, 30.25, 40.0, 50.0, Some(1)));
        }
        if i == 5 {
            objects.push(object(ObjectClass::Face, 290.0, 5.0, 60.0, 30.0, None));
        }
        FrameRecord { covered: (i == 7).then(|| "detector: late".into()), ..frame(i, objects) }
    });
    add(&mut *w, &clip, frames);
    for (name, kind) in [("000002.jpg", MediaKind::Jpeg), ("000003.png", MediaKind::Png)] {
        let found = object(ObjectClass::Face, 100.0, 60.0, 33.3, 44.4, None);
        add(&mut *w, &media(name, kind), [frame(0, vec![found, object(ObjectClass::Plate, 0.0, 0.0, 9.0, 4.0, None)])]);
    }
    add(&mut *w, &media("clip-0004.mp4", MediaKind::Mp4), (0..3).map(|i| frame(i, vec![])));
    w.finish().unwrap();
}

fn add(w: &mut dyn Writer, media: &MediaRecord, frames: impl IntoIterator<Item = FrameRecord>) {
    w.begin_media(media).unwrap();
    for f in frames {
        w.frame(&f).unwrap();
    }
    w.end_media().unwrap();
}

fn media(name: &str, kind: MediaKind) -> MediaRecord {
    let rate = if kind.is_still() { Rate { num: 1, den: 1 } } else { RATE };
    MediaRecord { output_name: name.into(), kind, width: WIDTH, height: HEIGHT, rate, frames: None, source_name: None }
}

fn object(class: ObjectClass, x: f32, y: f32, w: f32, h: f32, track_id: Option<u32>) -> Annotated {
    Annotated { class, bbox: BBox::new(x, y, w, h), score: 0.9, track_id, origin: Origin::Detected }
}

fn frame(index: u64, objects: Vec<Annotated>) -> FrameRecord {
    let regions = objects
        .iter()
        .map(|o| Region { bbox: o.bbox.scaled(1.5), shape: Shape::Ellipse, track_id: o.track_id })
        .collect();
    FrameRecord {
        index,
        time: RATE.time_of(index),
        width: WIDTH,
        height: HEIGHT,
        objects,
        regions,
        covered: None,
        covered_pixels: 0,
    }
}
