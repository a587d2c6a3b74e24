//! The page that a run leaves behind, `index.html`: one file without scripts or pictures from elsewhere.
//!
//! It shows the redacted output in `media/` by relative links, with boxes drawn over it by the browser, so
//! the pictures themselves stay as they are. [`Collector`] gathers what the page needs while frames pass,
//! within bounds; [`page`] makes the text. Names and messages may be hostile: they only ever become text,
//! percent-encoded addresses or JSON without `<`.
//!
//! Knows [`Summary`] and boxes, and no pixels.

mod collect;

pub use collect::{Bin, Collector, MAX_BOXES, MAX_MEDIA, MediaNotes, PageBox, PageData, Timeline};

use maud::{DOCTYPE, Markup, PreEscaped, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::summary::{Counts, MediaSummary, Summary};
use volet_models::ObjectClass;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// What the page may load: the run's own media and nothing else.
const POLICY: &str = "default-src 'none'; img-src 'self' file:; media-src 'self' file:; \
                      style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The page for a run, to be written as `index.html` beside `media/` and `annotations/`.
pub fn page(summary: &Summary, data: &PageData) -> String {
    let totals = &summary.totals;
    let (shown, hidden) = summary.media.split_at(summary.media.len().min(MAX_MEDIA));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { "Volet: what was covered" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Volet" }
                    p { (headline(summary)) }
                }
                main {
                    @if summary.model.quality == "preview" {
                        p.note { "The detector of this run is a preview: look through the result before you pass it on." }
                    }
                    (counts(summary))
                    (problems(summary))
                    section aria-labelledby="media" {
                        div.bar {
                            h2 #media { "Output" }
                            label { input type="checkbox" id="boxes" checked; " show boxes" }
                        }
                        @for media in shown { (card(media, data)) }
                        @if !hidden.is_empty() {
                            p.note { "The page shows the first " (MAX_MEDIA) " outputs. All " (grouped(summary.media.len() as u64))
                                " are listed in " a href="summary.json" { "summary.json" } "." }
                        }
                        @if totals.media == 0 { p { "Nothing was written." } }
                    }
                    (stages(summary))
                    (settings(summary))
                    section aria-labelledby="files" {
                        h2 #files { "Files" }
                        p { a href="media/" { "media/" } " holds the redacted output, " a href="annotations/" { "annotations/" }
                            " what was found (COCO, YOLO, CVAT, Label Studio), " a href="summary.json" { "summary.json" } " the numbers of this page." }
                    }
                }
                footer { p { "Volet " (summary.version) ". Nothing on this page was loaded from elsewhere." } }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
    .into_string()
}

fn headline(summary: &Summary) -> String {
    let t = &summary.totals;
    let mut text = format!(
        "{} {} and {} {} found in {} {} of {} {}",
        grouped(t.counts.face_tracks),
        if t.counts.face_tracks == 1 { "face" } else { "faces" },
        grouped(t.counts.person_tracks),
        if t.counts.person_tracks == 1 { "person" } else { "persons" },
        grouped(t.counts.frames),
        if t.counts.frames == 1 { "frame" } else { "frames" },
        grouped(t.media),
        if t.media == 1 { "output" } else { "outputs" },
    );
    match summary.errors.len() {
        0 => text.push('.'),
        1 => text.push_str("; 1 problem."),
        n => text.push_str(&format!("; {} problems.", grouped(n as u64))),
    }
    text
}

fn counts(summary: &Summary) -> Markup {
    let t = &summary.totals;
    let tile = |value: String, name: &str, more: String| {
        html! {
            div { dt { (name) } dd { strong { (value) } @if !more.is_empty() { small { (more) } } } }
        }
    };
    html! {
        @if let Some(kept) = &summary.kept {
            p.note { "Raw film was kept, sealed for its owner: " (grouped(kept.clips)) @if kept.clips == 1 { " clip." } @else { " clips." } }
        }
        dl.tiles {
            (tile(grouped(t.media), "outputs", if t.failed > 0 { format!("{} failed", grouped(t.failed)) } else { String::new() }))
            (tile(grouped(t.counts.frames), "frames", format!("{:.1} per second", summary.frames_per_second)))
            (tile(grouped(t.counts.face_tracks), "faces", format!("{} boxes", grouped(t.counts.face_boxes))))
            (tile(grouped(t.counts.person_tracks), "persons", format!("{} boxes", grouped(t.counts.person_boxes))))
            (tile(share(t.cover_rate), "cover rate", "of all pixels".into()))
            (tile(grouped(t.counts.covered_frames), "frames covered wholly", String::new()))
        }
    }
}

fn problems(summary: &Summary) -> Markup {
    let reasons = &summary.totals.counts.covered_reasons;
    html! {
        @if !summary.errors.is_empty() {
            section.problems aria-labelledby="problems" {
                h2 #problems { "Problems" }
                ul { @for e in summary.errors.iter().take(MAX_MEDIA) {
                    li { strong { (e.input) } ": " (e.message) @if !e.remedy.is_empty() { br; span.remedy { (e.remedy) } } }
                } }
                @if summary.errors.len() > MAX_MEDIA { p { "More are listed in " a href="summary.json" { "summary.json" } "." } }
            }
        }
        @if !reasons.is_empty() {
            section.problems aria-labelledby="covered" {
                h2 #covered { "Frames covered wholly" }
                p { "A stage failed on these frames, so all of the picture was covered." }
                (reason_list(&summary.totals.counts))
            }
        }
    }
}

fn reason_list(counts: &Counts) -> Markup {
    html! { ul { @for (reason, times) in &counts.covered_reasons {
        li { (grouped(*times)) " \u{d7} " (reason) }
    } } }
}

fn card(media: &MediaSummary, data: &PageData) -> Markup {
    let notes = media.output.as_ref().and_then(|name| data.media.get(name));
    let title = media.source_name.as_ref().or(media.output.as_ref());
    let boxes_dropped = notes.and_then(|n| n.boxes_until);
    html! {
        article.card.failed[media.error.is_some()] {
            h3 { @if let Some(title) = title { (title) } @else { "input " (media.ordinal) } }
            @if let Some(error) = &media.error { p.error { (error) } }
            @if let Some(name) = &media.output {
                (player(media, name, notes))
                @if let Some(notes) = notes.filter(|_| !media.kind.is_still()) { (timeline(&notes.timeline)) }
                @if let Some(until) = boxes_dropped {
                    p.note { "Boxes are drawn up to frame " (grouped(until)) " only, to keep this page small; all are in "
                        a href="annotations/" { "annotations/" } "." }
                }
                p.facts { (facts(media)) }
                @if media.counts.covered_frames > 0 && media.kind.is_still() { p.facts { "Covered wholly: " (media.counts.covered_reasons.keys().next().map_or("", |r| r)) } }
            }
        }
    }
}

/// What a browser can show of an output.
enum Player {
    Picture,
    Video,
    Link,
}

fn kind_of(name: &str) -> Player {
    let extension = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default();
    match extension.as_str() {
        "jpg" | "jpeg" | "png" | "webp" => Player::Picture,
        "mp4" | "webm" | "mov" | "m4v" => Player::Video,
        _ => Player::Link,
    }
}

fn player(media: &MediaSummary, name: &str, notes: Option<&MediaNotes>) -> Markup {
    let address = address(name);
    let boxes = notes.map_or(&[][..], |n| n.boxes.as_slice());
    let view = format!("0 0 {} {}", media.width, media.height);
    // Tall pictures are held to the window's height.
    let ratio = f64::from(media.width) / f64::from(media.height.max(1));
    let frame = format!("max-width:min({}px, {:.1}vh)", media.width.max(160), 80.0 * ratio);
    html! {
        @match kind_of(name) {
            Player::Picture => {
                a.frame href=(address) style=(frame) {
                    img src=(address) alt="redacted picture" loading="lazy" width=(media.width) height=(media.height);
                    svg.overlay viewBox=(view) aria-hidden="true" { @for b in boxes { (rectangle(b)) } }
                }
            }
            Player::Video => {
                div.frame style=(frame) {
                    video src=(address) controls preload="metadata" playsinline muted width=(media.width) height=(media.height) {}
                    svg.overlay viewBox=(view) aria-hidden="true" { rect.template width="0" height="0" {} }
                    script.boxes type="application/json" { (PreEscaped(box_data(media.fps, boxes))) }
                }
            }
            Player::Link => p { "Browsers do not play this format: " a href=(address) { (name) } }
        }
    }
}

fn rectangle(b: &PageBox) -> Markup {
    html! {
        rect class=(b.class.name()) x=(b.bbox[0]) y=(b.bbox[1]) width=(b.bbox[2]) height=(b.bbox[3]) {}
    }
}

/// `{"fps": .., "classes": [..], "boxes": [[frame, x, y, w, h, class], ..]}`, safe inside a script element.
fn box_data(fps: f64, boxes: &[PageBox]) -> String {
    let rows: Vec<_> = boxes
        .iter()
        .map(|b| {
            let [x, y, w, h] = b.bbox.map(u64::from);
            [b.frame, x, y, w, h, u64::from(b.class.category_id()) - 1]
        })
        .collect();
    let classes = ObjectClass::ALL.map(ObjectClass::name);
    serde_json::json!({ "fps": fps, "classes": classes, "boxes": rows }).to_string().replace('<', "\\u003c")
}

fn timeline(timeline: &Timeline) -> Markup {
    let most = timeline.bins.iter().map(|b| b.faces).max().unwrap_or(0).max(1);
    let bins = timeline.bins.len().max(1);
    // One path for all bars: a page of many clips stays small.
    let mut bars = String::new();
    let mut covered = String::new();
    for (i, bin) in timeline.bins.iter().enumerate() {
        if bin.faces > 0 {
            bars.push_str(&format!("M{i} 24V{:.1}h1V24z", 24.0 - 22.0 * f64::from(bin.faces) / f64::from(most)));
        }
        if bin.covered {
            covered.push_str(&format!("M{i} 0h1V24h-1z"));
        }
    }
    html! {
        div.timeline title="Faces per frame; red: covered wholly. Click to go there." {
            svg viewBox=(format!("0 0 {bins} 24")) preserveAspectRatio="none" role="img" aria-label="faces over time" {
                path.covered d=(covered) {}
                path.faces d=(bars) {}
            }
            i.playhead {}
        }
        p.legend { "Faces per frame over time, at most " (grouped(u64::from(timeline.bins.iter().map(|b| b.faces).max().unwrap_or(0))))
            @if !covered.is_empty() { "; red: covered wholly" } }
    }
}

fn facts(media: &MediaSummary) -> String {
    let c = &media.counts;
    let mut facts = vec![format!("{}\u{d7}{}", media.width, media.height)];
    if media.kind.is_still() {
        facts.push(format!("faces {}", grouped(c.face_boxes)));
        facts.push(format!("persons {}", grouped(c.person_boxes)));
    } else {
        facts.push(format!("{:.2} frames per second", media.fps));
        facts.push(format!("frames {}", grouped(c.frames)));
        facts.push(format!("faces {} ({} boxes)", grouped(c.face_tracks), grouped(c.face_boxes)));
        facts.push(format!("persons {} ({} boxes)", grouped(c.person_tracks), grouped(c.person_boxes)));
        if c.covered_frames > 0 {
            facts.push(format!("covered wholly {}", grouped(c.covered_frames)));
        }
    }
    facts.push(format!("cover rate {}", share(c.cover_rate())));
    facts.join(" \u{b7} ")
}

fn stages(summary: &Summary) -> Markup {
    let stages = summary.stages_ms.each();
    let total: f64 = stages.iter().map(|s| s.1).sum();
    let frames = summary.totals.counts.frames.max(1) as f64;
    html! {
        section aria-labelledby="time" {
            h2 #time { "Time" }
            p { (format!("{:.1} s in all", summary.wall_s))
                @if let Some(cpu) = summary.cpu_s { (format!(", {cpu:.1} s of processor time")) }
                ". The stages, over all threads:" }
            table.stages {
                @for (name, ms) in stages {
                    tr {
                        th scope="row" { (name) }
                        td.track { div style=(format!("width:{:.1}%", if total > 0.0 { 100.0 * ms / total } else { 0.0 })) {} }
                        td { (format!("{:.1} s", ms / 1000.0)) }
                        td.per { (format!("{:.2} ms per frame", ms / frames)) }
                    }
                }
            }
        }
    }
}

fn settings(summary: &Summary) -> Markup {
    let (s, m) = (&summary.settings, &summary.model);
    let rows = [
        ("detector", format!("{} ({})", m.name, m.quality)),
        ("its BLAKE3", m.blake3.clone()),
        ("covered classes", s.classes.join(", ")),
        ("mask", format!("{}, {}, {} times the box", s.style, s.shape, s.mask_scale)),
        ("smallest score", s.min_score.to_string()),
        ("hold", format!("{} frames", s.hold_frames)),
        ("back-fill", format!("{} frames", s.backfill_frames)),
        ("fixed zones", s.zones.to_string()),
        ("paranoid", if s.paranoid { "yes: what moves is covered too" } else { "no" }.to_owned()),
    ];
    html! {
        section aria-labelledby="settings" {
            h2 #settings { "Settings" }
            table { @for (name, value) in rows { tr { th scope="row" { (name) } td { (value) } } } }
        }
    }
}

fn address(name: &str) -> String {
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    format!("media/{}", utf8_percent_encode(name, PLAIN))
}

fn share(value: f64) -> String {
    format!("{:.1} %", 100.0 * value)
}

/// A count with narrow spaces between groups of three digits.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
