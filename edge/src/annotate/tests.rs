use super::*;
use serde_json::Value;
use std::fs;

fn still(name: &str) -> MediaRecord {
    MediaRecord {
        output_name: name.to_owned(),
        kind: MediaKind::Jpeg,
        width: 200,
        height: 100,
        rate: Rate { num: 1, den: 1 },
        frames: Some(1),
        source_name: None,
    }
}

fn clip(name: &str) -> MediaRecord {
    MediaRecord { kind: MediaKind::Mp4, rate: Rate { num: 25, den: 1 }, frames: None, ..still(name) }
}

fn face(x: f32, track_id: Option<u32>) -> Annotated {
    let bbox = BBox::new(x, 20.0, 30.0, 40.0);
    Annotated { class: ObjectClass::Face, bbox, score: 0.75, track_id, origin: Origin::Detected }
}

fn frame(index: u64, objects: Vec<Annotated>) -> FrameRecord {
    let regions =
        objects.iter().map(|o| Region { bbox: o.bbox.scaled(1.3), shape: Shape::Ellipse, track_id: o.track_id });
    FrameRecord {
        index,
        time: Rate { num: 25, den: 1 }.time_of(index),
        width: 200,
        height: 100,
        regions: regions.collect(),
        objects,
        covered: None,
        covered_pixels: 0,
    }
}

fn add(writer: &mut dyn Writer, media: &MediaRecord, frames: &[FrameRecord]) {
    writer.begin_media(media).unwrap();
    for f in frames {
        writer.frame(f).unwrap();
    }
    writer.end_media().unwrap();
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|e| e.file_type().is_file())
        .map(|e| e.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn image_ids_run_on_over_media_and_regions_use_the_same() {
    let out = tempfile::tempdir().unwrap();
    let regions = out.path().join("regions.json");
    let mut w = create(&out.path().join("annotations"), &[Format::Coco], Some(&regions)).unwrap();
    add(&mut *w, &clip("clip-0001.mp4"), &[frame(0, vec![face(1.0, Some(4))]), frame(1, vec![])]);
    add(&mut *w, &still("000002.jpg"), &[frame(0, vec![face(2.0, None)])]);
    let mut covered = frame(1, vec![face(9.0, Some(1))]);
    covered.covered = Some("detector: overran its deadline".into());
    add(&mut *w, &clip("clip-0003.mp4"), &[frame(0, vec![face(3.0, Some(1))]), covered]);
    assert_eq!(w.finish().unwrap(), [out.path().join("annotations/coco.json"), regions.clone()]);

    let coco = json(&out.path().join("annotations/coco.json"));
    let ids: Vec<_> = coco["images"].as_array().unwrap().iter().map(|i| i["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5]);
    assert_eq!(coco["images"][1]["file_name"], "clip-0001/clip-0001_000001.jpg");
    assert_eq!(coco["images"][2]["file_name"], "000002.jpg");
    assert!(coco["images"][2].get("video_id").is_none());
    assert_eq!(coco["images"][3]["video_id"], 2);
    assert_eq!(coco["images"][4]["covered"], "detector: overran its deadline");
    assert_eq!(
        coco["videos"][1],
        serde_json::json!({"id": 2, "name": "clip-0003.mp4", "width": 200,
        "height": 100, "fps": 25.0, "frames": 2})
    );
    assert_eq!(coco["annotations"][0]["bbox"], serde_json::json!([1.0, 20.0, 30.0, 40.0]));
    assert_eq!(coco["annotations"][0]["track_id"], 4);
    assert_eq!(coco["annotations"][0]["area"], 1200.0);

    let masked = json(&regions);
    let masked: Vec<_> =
        masked.as_array().unwrap().iter().map(|r| (r["image_id"].as_u64().unwrap(), &r["shape"])).collect();
    assert_eq!(masked.iter().map(|r| r.0).collect::<Vec<_>>(), [1, 3, 4, 5]);
    assert_eq!((masked[0].1, masked[3].1), (&"ellipse".into(), &"rect".into()));
    assert_eq!(json(&regions)[3]["bbox"], serde_json::json!([0.0, 0.0, 200.0, 100.0]));
}

#[test]
fn a_discarded_medium_leaves_no_trace() {
    let run = |with_failures: bool| {
        let out = tempfile::tempdir().unwrap();
        let mut w = create(out.path(), &Format::ALL, Some(&out.path().join("r.json"))).unwrap();
        let tracked = [frame(0, vec![face(1.0, Some(1))]), frame(1, vec![face(2.0, Some(1)), face(80.0, None)])];
        for round in 0..3 {
            if with_failures {
                for lost in [clip(&format!("lost-{round}.mp4")), still(&format!("lost-{round}.jpg"))] {
                    w.begin_media(&lost).unwrap();
                    w.frame(&tracked[0]).unwrap();
                    w.discard_media().unwrap();
                }
            }
            add(&mut *w, &clip(&format!("clip-{round}.mp4")), &tracked);
            add(&mut *w, &still(&format!("{round}.jpg")), &tracked[..1]);
        }
        if with_failures {
            // Interrupted: what is open is forgotten.
            w.begin_media(&clip("cut.mp4")).unwrap();
            w.frame(&tracked[0]).unwrap();
        }
        w.finish().unwrap();
        names(out.path()).into_iter().map(|n| (n.clone(), fs::read(out.path().join(n)).unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    let out = tempfile::tempdir().unwrap();
    let mut w = create(out.path(), &Format::ALL, Some(&out.path().join("r.json"))).unwrap();
    w.begin_media(&clip("a.mp4")).unwrap();
    w.frame(&frame(0, vec![face(1.0, Some(1))])).unwrap();
    drop(w);
    assert_eq!(names(out.path()), [] as [String; 0]);
}

#[test]
fn an_older_run_is_replaced() {
    let out = tempfile::tempdir().unwrap();
    for name in ["old.jpg", "new.jpg"] {
        let mut w = create(out.path(), &Format::ALL, None).unwrap();
        add(&mut *w, &still(name), &[frame(0, vec![face(1.0, None)])]);
        w.finish().unwrap();
    }
    let expected = ["coco.json", "cvat/images.xml", "labelstudio.json", "yolo/data.yaml", "yolo/labels/new.txt"];
    assert_eq!(names(out.path()), expected);
}

#[test]
fn what_is_not_finite_is_never_written() {
    let out = tempfile::tempdir().unwrap();
    let mut w = create(out.path(), &Format::ALL, Some(&out.path().join("r.json"))).unwrap();
    let bad = [
        BBox::new(f32::NAN, 0.0, 10.0, 10.0),
        BBox::new(0.0, f32::INFINITY, 10.0, 10.0),
        BBox::new(0.0, 0.0, -1.0, 10.0),
        BBox::new(0.0, 0.0, 10.0, f32::NAN),
        BBox::new(500.0, 0.0, 10.0, 10.0),
    ];
    let mut objects: Vec<_> = bad.iter().map(|&bbox| Annotated { bbox, ..face(0.0, Some(1)) }).collect();
    objects.push(Annotated { score: f32::NAN, ..face(190.0, Some(2)) });
    add(&mut *w, &clip("a.mp4"), &[frame(0, objects.clone())]);
    add(&mut *w, &still("b.jpg"), &[frame(0, objects)]);
    w.finish().unwrap();
    for name in names(out.path()) {
        let text = fs::read_to_string(out.path().join(&name)).unwrap();
        let found = ["NaN", "inf,", "inf\"", "inf<", "[null"].iter().find(|w| text.contains(**w));
        assert_eq!(found, None, "{name}: {text}");
    }
    let coco = json(&out.path().join("coco.json"));
    assert_eq!(coco["annotations"].as_array().unwrap().len(), 2);
    assert_eq!(coco["annotations"][0]["bbox"], serde_json::json!([190.0, 20.0, 10.0, 40.0]));
    let yolo = fs::read_to_string(out.path().join("yolo/labels/b.txt")).unwrap();
    assert_eq!(yolo, "0 0.975000 0.400000 0.050000 0.400000\n");
}

#[test]
fn gaps_in_a_track_are_said() {
    let out = tempfile::tempdir().unwrap();
    let mut w = create(out.path(), &[Format::Cvat, Format::LabelStudio], None).unwrap();
    let at = |index| frame(index, vec![face(index as f32, Some(7))]);
    let frames = [at(0), at(1), frame(2, vec![]), at(3), frame(4, vec![face(1.0, None)]), frame(5, vec![])];
    add(&mut *w, &clip("a.mp4"), &frames);
    w.finish().unwrap();

    let tasks = json(&out.path().join("labelstudio-video.json"));
    let result = &tasks[0]["predictions"][0]["result"];
    let sequence = |i: usize| -> Vec<_> {
        let list = result[i]["value"]["sequence"].as_array().unwrap();
        list.iter().map(|k| (k["frame"].as_u64().unwrap(), k["enabled"].as_bool().unwrap())).collect()
    };
    // Tracks follow boxes without one.
    assert_eq!(sequence(0), [(5, false)]);
    assert_eq!(sequence(1), [(1, true), (2, false), (4, false)]);
    assert_eq!(result[1]["value"]["framesCount"], 6);
    assert_eq!(result[1]["value"]["sequence"][1]["x"], 0.5);

    let xml = fs::read_to_string(out.path().join("cvat/a.mp4.xml")).unwrap();
    let boxes: Vec<_> = xml
        .lines()
        .filter_map(|l| l.split_once("<box frame=\""))
        .map(|(_, l)| (l.split('"').next().unwrap().to_owned(), l.contains("outside=\"1\"")))
        .collect();
    let expected = [("4", false), ("5", true), ("0", false), ("1", false), ("2", true), ("3", false), ("4", true)];
    assert_eq!(boxes, expected.map(|(f, o)| (f.to_owned(), o)));
    assert!(xml.contains("<size>6</size>") && xml.contains("<mode>interpolation</mode>"));
}

#[test]
fn hostile_names_stay_data() {
    let out = tempfile::tempdir().unwrap();
    let evil = "a\"b<c>&'\u{1}\n]]>";
    let mut w = create(out.path(), &Format::ALL, None).unwrap();
    let mut video = clip("x\"<y>&%#.mp4");
    video.source_name = Some(evil.into());
    add(&mut *w, &video, &[frame(0, vec![face(1.0, Some(1))])]);
    let mut picture = still("p\"<q>&.jpg");
    picture.source_name = Some(evil.into());
    add(&mut *w, &picture, &[frame(0, vec![face(1.0, None)])]);
    for path in w.finish().unwrap() {
        match path.extension().and_then(|e| e.to_str()) {
            Some("json") => drop(json(&path)),
            Some("xml") => {
                let text = fs::read_to_string(&path).unwrap();
                let mut reader = quick_xml::Reader::from_str(&text);
                while !matches!(reader.read_event().unwrap(), quick_xml::events::Event::Eof) {}
                assert!(!text.contains(['\u{1}']));
            }
            _ => {}
        }
    }
    let tasks = json(&out.path().join("labelstudio-video.json"));
    assert_eq!(tasks[0]["data"]["video"], "/data/local-files/?d=media/x%22%3Cy%3E%26%25%23.mp4");
    assert_eq!(tasks[0]["meta"]["source_name"], evil);
    assert_eq!(json(&out.path().join("coco.json"))["images"][1]["source_name"], evil);
}

#[test]
fn names_that_leave_the_folder_or_meet_are_refused() {
    for name in ["../a.jpg", "a/b.jpg", "a\\b.jpg", ".jpg", "a", "a.", "", "..", "a\0.jpg"] {
        let out = tempfile::tempdir().unwrap();
        let mut w = create(out.path(), &Format::ALL, None).unwrap();
        assert!(matches!(w.begin_media(&still(name)), Err(AnnotateError::Name { .. })), "{name:?}");
    }
    let out = tempfile::tempdir().unwrap();
    let mut w = create(out.path(), &[Format::Yolo], None).unwrap();
    add(&mut *w, &clip("a.mp4"), &[]);
    assert!(matches!(w.begin_media(&clip("a.avi")), Err(AnnotateError::Twice { .. })));
}

#[test]
fn an_unwritable_place_is_named() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("taken");
    fs::write(&file, "x").unwrap();
    let Err(error) = create(&file.join("annotations"), &Format::ALL, None) else { panic!("must fail") };
    assert!(error.to_string().contains("taken") && error.to_string().contains("check that"), "{error}");
}

#[test]
fn calls_out_of_order_are_errors_not_panics() {
    for format in Format::ALL {
        let out = tempfile::tempdir().unwrap();
        let mut w = create(out.path(), &[format], None).unwrap();
        assert!(matches!(w.frame(&frame(0, vec![])), Err(AnnotateError::Order(_))));
        assert!(matches!(w.end_media(), Err(AnnotateError::Order(_))));
        assert!(matches!(w.discard_media(), Err(AnnotateError::Order(_))));
        w.begin_media(&still("a.jpg")).unwrap();
        assert!(matches!(w.begin_media(&still("b.jpg")), Err(AnnotateError::Order(_))));
    }
}
