use super::*;
use crate::annotate::{Annotated, FrameRecord, MediaRecord, Origin};
use crate::source::{MediaKind, Rate};
use crate::summary::{ErrorSummary, ModelSummary, Settings, Stages};
use std::time::Duration;
use volet_models::BBox;

const EVIL: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;<!--";

fn media(name: &str, kind: MediaKind) -> MediaRecord {
    let (width, height) = (640, 360);
    let rate = if kind.is_still() { Rate { num: 1, den: 1 } } else { Rate { num: 25, den: 1 } };
    MediaRecord { output_name: name.into(), kind, width, height, rate, frames: None, source_name: None }
}

fn frame(index: u64, faces: usize) -> FrameRecord {
    let face = |i: usize| Annotated {
        class: ObjectClass::Face,
        bbox: BBox::new(200.0 + 30.0 * i as f32 + index as f32, 100.0, 60.0, 80.0),
        score: 0.9,
        track_id: Some(i as u32),
        origin: Origin::Detected,
    };
    FrameRecord {
        index,
        time: Duration::from_millis(40 * index),
        width: 640,
        height: 360,
        objects: (0..faces).map(face).collect(),
        regions: vec![],
        covered: None,
        covered_pixels: 4800,
    }
}

fn summarise(m: &MediaRecord, counts: Counts) -> MediaSummary {
    MediaSummary {
        ordinal: 1,
        output: Some(m.output_name.clone()),
        source_name: m.source_name.clone(),
        kind: m.kind,
        width: m.width,
        height: m.height,
        fps: m.rate.fps(),
        counts,
        error: None,
    }
}

/// A clip, a still, a format that browsers do not play and a failure; every name is `name`d.
fn sample(name: &str) -> (Summary, PageData) {
    let mut collector = Collector::new();
    let mut summary = Summary {
        version: "0.1.0".into(),
        settings: Settings { style: name.into(), classes: vec![name.into()], mask_scale: 1.3, ..Settings::default() },
        model: ModelSummary { name: name.into(), blake3: "0".repeat(64), quality: "preview".into() },
        stages_ms: Stages { read: 1000.0, detect: 3000.0, track: 20.0, redact: 400.0, write: 1800.0 },
        wall_s: 4.5,
        cpu_s: Some(6.2),
        errors: vec![ErrorSummary { input: name.into(), message: name.into(), remedy: name.into() }],
        ..Summary::default()
    };
    for (i, (extension, kind)) in
        [("mp4", MediaKind::Mp4), ("jpg", MediaKind::Jpeg), ("y4m", MediaKind::Y4m)].into_iter().enumerate()
    {
        let mut m = media(&format!("{i}{name}.{extension}"), kind);
        m.source_name = Some(name.into());
        collector.begin_media(&m);
        for index in 0..if kind.is_still() { 1 } else { 75 } {
            let mut f = frame(index, 1 + (index as usize / 20) % 3);
            if (60..65).contains(&index) {
                f.covered = Some(name.to_owned());
                f.covered_pixels = 640 * 360;
            }
            collector.frame(&f);
        }
        let counts = collector.end_media();
        summary.media.push(summarise(&m, counts));
    }
    let failed = MediaSummary { output: None, error: Some(name.into()), ..summary.media[1].clone() };
    summary.media.push(failed);
    summary.total();
    (summary, collector.finish())
}

/// Reads HTML as XML after closing the elements that HTML leaves open, scripts and style left out.
/// Gives every element and attribute.
fn parse(page: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut text = page.strip_prefix("<!DOCTYPE html>").unwrap().to_owned();
    for raw in ["script", "style"] {
        let mut rest = text.as_str();
        let mut kept = String::new();
        while let Some((before, after)) = rest.split_once(&format!("<{raw}")) {
            let (attributes, after) = after.split_once('>').unwrap();
            let (_, after) = after.split_once(&format!("</{raw}>")).unwrap();
            kept.push_str(&format!("{before}<{raw}{attributes}></{raw}>"));
            rest = after;
        }
        text = kept + rest;
    }
    for flag in [" checked", " controls", " playsinline", " muted"] {
        text = text.replace(flag, "");
    }
    let mut reader = quick_xml::Reader::from_str(&text);
    reader.config_mut().check_end_names = false;
    let void = ["meta", "img", "br", "input"];
    let (mut open, mut found) = (Vec::new(), Vec::new());
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Start(e) => {
                let name = format!("{}", String::from_utf8_lossy(e.name().as_ref().as_ref()));
                let attributes = e.attributes().map(|a| {
                    let a = a.unwrap();
                    (
                        String::from_utf8_lossy(a.key.as_ref().as_ref()).into_owned(),
                        quick_xml::escape::unescape(&String::from_utf8_lossy(a.value.as_ref().as_ref()))
                            .unwrap()
                            .into_owned(),
                    )
                });
                found.push((name.clone(), attributes.collect()));
                if !void.contains(&name.as_str()) {
                    open.push(name);
                }
            }
            quick_xml::events::Event::End(e) => {
                let name = String::from_utf8_lossy(e.name().as_ref().as_ref()).into_owned();
                assert_eq!(open.pop(), Some(name));
            }
            quick_xml::events::Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(open, [] as [String; 0]);
    found
}

#[test]
fn the_page_is_well_formed_and_loads_nothing_from_elsewhere() {
    let (summary, data) = sample("plain");
    let page = page(&summary, &data);
    for word in ["http:", "https:", "//cdn", "url(", "@import"] {
        assert!(!page.contains(word), "{word}");
    }
    for (element, attributes) in parse(&page) {
        for (key, value) in attributes.iter().filter(|(k, _)| k == "src" || k == "href") {
            let known = ["media/", "annotations/", "summary.json"].iter().any(|p| value.starts_with(p));
            assert!(known, "{element} {key}={value}");
        }
    }
    assert!(page.contains("<video src=\"media/0plain.mp4\"") && page.contains("<img src=\"media/1plain.jpg\""));
    assert!(page.contains("10 \u{d7} plain"));
}

#[test]
fn hostile_names_stay_text() {
    let (summary, data) = sample(EVIL);
    let hostile = page(&summary, &data);
    let (summary, data) = sample("plain");
    let plain = page(&summary, &data);
    let shape = |page: &str| {
        let elements = parse(page);
        elements.into_iter().map(|(e, a)| (e, a.into_iter().map(|(k, _)| k).collect::<Vec<_>>())).collect::<Vec<_>>()
    };
    // The same elements with the same attributes, whatever the names.
    assert_eq!(shape(&hostile), shape(&plain));
    assert!(!hostile.contains("<script>alert") && !hostile.contains("<img src=x"));
    assert!(parse(&hostile).iter().flat_map(|(_, a)| a).all(|(k, _)| !k.starts_with("on")));
}

#[test]
fn the_script_data_is_json_and_has_no_markup() {
    let (_, data) = sample("plain");
    let text = box_data(25.0, &data.media["0plain.mp4"].boxes);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["boxes"][0], serde_json::json!([0, 200, 100, 60, 80, 0]));
    assert_eq!(value["classes"][0], "face");
    assert!(!text.contains('<'));
}

#[test]
fn what_the_page_keeps_is_bounded() {
    let mut collector = Collector::new();
    collector.begin_media(&media("long.mp4", MediaKind::Mp4));
    for index in 0..100_000 {
        collector.frame(&frame(index, 3));
    }
    let counts = collector.end_media();
    assert_eq!((counts.face_boxes, counts.face_tracks, counts.frames), (300_000, 3, 100_000));
    for i in 0..2 * MAX_MEDIA {
        collector.begin_media(&media(&format!("{i}.jpg"), MediaKind::Jpeg));
        collector.frame(&frame(0, 1));
        collector.end_media();
    }
    let data = collector.finish();
    let long = &data.media["long.mp4"];
    assert_eq!(long.boxes_until, Some(MAX_BOXES as u64 / 3));
    assert!((300..=600).contains(&long.timeline.bins.len()));
    assert!(long.timeline.bins.iter().all(|b| b.faces == 3));
    assert_eq!(data.media.len(), MAX_MEDIA);
    assert!(data.media.values().map(|n| n.boxes.len()).sum::<usize>() <= MAX_BOXES);
}

#[test]
fn a_discarded_medium_gives_its_room_back() {
    let mut collector = Collector::new();
    for _ in 0..10 {
        collector.begin_media(&media("lost.mp4", MediaKind::Mp4));
        (0..5000).for_each(|i| collector.frame(&frame(i, 3)));
        collector.discard_media();
    }
    collector.begin_media(&media("kept.jpg", MediaKind::Jpeg));
    collector.frame(&frame(0, 3));
    assert_eq!(collector.end_media().covered_pixels, 4800);
    let data = collector.finish();
    assert_eq!(data.media.keys().collect::<Vec<_>>(), ["kept.jpg"]);
    assert_eq!(data.media["kept.jpg"].boxes.len(), 3);
}

#[test]
fn totals_follow_from_the_media() {
    let (summary, _) = sample("plain");
    let t = &summary.totals;
    assert_eq!((t.media, t.failed, t.counts.frames, t.counts.covered_frames), (3, 1, 151, 10));
    let expected = (141.0 * 4800.0 + 10.0 * 640.0 * 360.0) / (151.0 * 640.0 * 360.0);
    assert!((t.cover_rate - expected).abs() < 1e-12);
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["media"][0]["covered_frames"], 5);
    assert_eq!(json["totals"]["frames"], 151);
}

/// Writes a page to look at: `VOLET_PAGE=DIR cargo test -p volet-edge report -- --ignored`.
#[test]
#[ignore = "writes a page for a person to look at"]
fn write_a_page() {
    let folder = std::path::PathBuf::from(std::env::var_os("VOLET_PAGE").unwrap());
    let (summary, data) = sample("clip");
    std::fs::write(folder.join("index.html"), page(&summary, &data)).unwrap();
}
