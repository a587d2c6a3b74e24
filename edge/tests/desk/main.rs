//! The owner's page, by the program that serves it: what it gives to whom, and what a browser does with it.

#![cfg(all(unix, feature = "agent"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod browser;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use volet_edge::learn::buffer::{Buffer, Limits, init_with};
use volet_edge::learn::{Label, Lesson, Source};
use volet_edge::models::{BBox, builtin};

use browser::Browser;

/// A gradient, so that every pixel says where it is, with one face.
fn lesson(blue: u8) -> Lesson {
    let pixel = |i: u32| [(i % 320) as u8, (i / 320) as u8, blue];
    let labels =
        vec![Label { class: 0, bbox: BBox::new(40.0, 40.0, 60.0, 70.0), ignore: false, source: Source::Detector }];
    Lesson { width: 320, height: 240, rgb: (0..320 * 240).flat_map(pixel).collect(), labels }
}

/// A program that shows a buffer with two lessons.
struct Shown {
    child: Child,
    address: String,
    folder: tempfile::TempDir,
}

impl Shown {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (dir, identity) = (folder.path().join("buffer"), folder.path().join("identity"));
        let model = builtin::default_model().unwrap();
        init_with(&dir, &identity, &model.manifest().classes, Limits::default()).unwrap();
        let writer = Buffer::writer(&dir, &model.manifest().classes).unwrap();
        for blue in [7, 200] {
            writer.add(&lesson(blue), None).unwrap();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_volet-edge"));
        command.args(["label", "--until-stdin-ends", "--dir"]).arg(dir).arg("--identity").arg(identity);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut address).unwrap();
        Self { child, address: address.trim().to_owned(), folder }
    }

    fn port(&self) -> u16 {
        let rest = self.address.strip_prefix("http://127.0.0.1:").unwrap();
        rest.split('/').next().unwrap().parse().unwrap()
    }

    fn token(&self) -> String {
        self.address.split_once('#').unwrap().1.to_owned()
    }

    /// Asks as a browser might; status, head and body.
    fn ask(&self, method: &str, path: &str, host: &str, more: &str, body: &str) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port())).unwrap();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        write!(stream, "{head}{more}Content-Length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head, answer[end + 4..].to_vec())
    }

    fn labels(&self, number: u64) -> Value {
        let path = |name: &str| -> PathBuf { self.folder.path().join(name) };
        let mut command = Command::new(env!("CARGO_BIN_EXE_volet-edge"));
        command.args(["label", "show", &number.to_string(), "--dir"]).arg(path("buffer"));
        let output = command.arg("--identity").arg(path("identity")).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["labels"].clone()
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_page_gives_nothing_to_strangers() {
    let shown = Shown::start();
    let host = format!("127.0.0.1:{}", shown.port());
    let get = |path: &str, host: &str, more: &str| shown.ask("GET", path, host, more, "");
    // It listens on 127.0.0.1 alone: another address of this very machine finds nobody.
    assert!(TcpStream::connect((Ipv4Addr::new(127, 0, 0, 2), shown.port())).is_err());

    // The page itself holds nothing, loads nothing from elsewhere, and may not be framed.
    let (status, head, page) = get("/", &host, "");
    assert!(status == 200 && !String::from_utf8(page).unwrap().contains("http"), "{head}");
    for line in [
        "content-security-policy: default-src 'none';",
        "frame-ancestors 'none'",
        "cache-control: no-store",
        "referrer-policy: no-referrer",
        "cross-origin-resource-policy: same-origin",
    ] {
        assert!(head.contains(line), "{line}: {head}");
    }
    let (status, _, localhost) = get("/page.js", &format!("localhost:{}", shown.port()), "");
    assert!(status == 200 && !String::from_utf8(localhost).unwrap().contains("http"));

    // A name that was made to point here, another port, no name: DNS rebinding.
    for other in ["evil.example", &format!("evil.example:{}", shown.port()), "127.0.0.1", "127.0.0.1:1", ""] {
        for path in ["/", "/api/lessons", "/api/lessons/1/picture"] {
            assert_eq!(get(path, other, "").0, 421, "{other} {path}");
        }
    }
    // Whoever is on this machine and does not have the address's secret.
    for session in ["", "x-volet-session: x\r\n", &format!("x-volet-session: {}\r\n", shown.token())] {
        for path in ["/api/lessons", "/api/lessons/1", "/api/lessons/1/picture"] {
            let (status, _, body) = get(path, &host, session);
            assert!(status == 403 && body.len() < 100, "{path}");
        }
        let written = shown.ask("PUT", "/api/lessons/1", &host, session, r#"{"labels": []}"#);
        assert_eq!(written.0, 403);
    }
    assert_eq!(shown.ask("POST", "/api/session", &host, "", "a guess").0, 403);

    // The token is good for once.
    let (status, _, session) = shown.ask("POST", "/api/session", &host, "", &shown.token());
    assert_eq!((status, session.len()), (200, 64));
    assert_eq!(shown.ask("POST", "/api/session", &host, "", &shown.token()).0, 403);
    let session = format!("x-volet-session: {}\r\n", String::from_utf8(session).unwrap());
    let (status, head, picture) = get("/api/lessons/1/picture", &host, &session);
    assert!(status == 200 && picture.starts_with(b"\x89PNG") && head.contains("no-store"));
    assert_eq!(get("/api/lessons/1/picture", "evil.example", &session).0, 421);
    assert_eq!(get("/api/lessons/99", &host, &session).0, 404);
    let json = format!("{session}Content-Type: application/json\r\n");
    let put = |body: &str| shown.ask("PUT", "/api/lessons/1", &host, &json, body).0;
    assert_eq!(put(r#"{"labels": [{"class": "face", "box": [1, 1, 0, 1]}]}"#), 422);
    assert_eq!(put(r#"{"labels": [{"class": "plate", "box": [1, 1, 1, 1]}]}"#), 422);
    assert!(put(&format!("{{\"labels\": [{}]}}", " ".repeat(300 << 10))) >= 400);
    assert_eq!(shown.labels(1)[0]["source"], "detector", "nothing of that was taken");
    assert_eq!(put(r#"{"labels": []}"#), 200);
    assert_eq!(shown.labels(1), json!([]));
}

#[test]
fn an_owner_corrects_boxes_in_a_browser() {
    let Some(mut browser) = Browser::start() else {
        println!("skipped: no Chromium on this machine");
        return;
    };
    let shown = Shown::start();
    let mut tab = browser.open(&shown.address);
    tab.wait("document.body.dataset.state === 'ready'");
    assert_eq!(tab.value("location.hash"), "", "the token does not stay in the address");
    assert_eq!(tab.value("document.querySelectorAll('#lessons li').length"), 2);
    assert_eq!(tab.value("document.querySelectorAll('#boxes li').length"), 1);
    // The very pixels of the lesson; here no box is drawn.
    let pixel = "[...document.getElementById('picture').getContext('2d').getImageData(201, 13, 1, 1).data]";
    assert_eq!(tab.value(pixel), json!([201, 13, 7, 255]));

    let corner =
        tab.value("(({ left, top }) => [left, top])(document.getElementById('picture').getBoundingClientRect())");
    let scale = tab.value("scale()").as_f64().unwrap();
    let at = |x: f64, y: f64| [corner[0].as_f64().unwrap() + x / scale, corner[1].as_f64().unwrap() + y / scale];
    // A new box; it is moved, then resized by its corner.
    tab.drag(&[at(200.0, 100.0), at(230.0, 130.0), at(250.0, 160.0)]);
    tab.drag(&[at(225.0, 130.0), at(240.0, 140.0), at(235.0, 150.0)]);
    tab.drag(&[at(260.0, 180.0), at(270.0, 190.0), at(280.0, 200.0)]);
    // The machine's box is wrong; a third is unsure; a fourth is drawn and removed; a click beside them draws none.
    tab.drag(&[at(70.0, 70.0)]);
    tab.value("document.getElementById('no').click()");
    tab.drag(&[at(10.0, 180.0), at(40.0, 220.0)]);
    tab.value("document.getElementById('unsure').click()");
    tab.drag(&[at(120.0, 10.0), at(150.0, 40.0)]);
    tab.value("document.getElementById('remove').click()");
    tab.drag(&[at(5.0, 5.0)]);
    assert_eq!(tab.value("boxes.map((b) => b.state)"), json!(["no", "yes", "unsure"]));
    tab.value("document.getElementById('save').click()");
    tab.wait("document.body.dataset.state === 'ready' && document.getElementById('told').textContent === 'Saved.'");
    let labels = shown.labels(1);
    let near = |label: &Value, wanted: [f64; 4]| {
        let found = label["box"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap());
        assert!(found.zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1.5), "{label}");
        assert_eq!((&label["class"], &label["source"]), (&json!("face"), &json!("owner")));
    };
    assert_eq!(labels.as_array().unwrap().len(), 2, "{labels}");
    near(&labels[0], [210.0, 120.0, 70.0, 80.0]);
    near(&labels[1], [10.0, 180.0, 30.0, 40.0]);
    assert_eq!((&labels[0]["ignore"], &labels[1]["ignore"]), (&json!(false), &json!(true)));
    assert_eq!(tab.value("document.getElementById('lesson-1').textContent.includes('yours')"), true);

    // The next picture, and the page again in this tab; another tab is a stranger.
    tab.value("document.getElementById('next').click()");
    tab.wait("document.body.dataset.state === 'ready' && current === 2");
    assert_eq!(tab.value(pixel), json!([201, 13, 200, 255]));
    tab.value("location.reload()");
    tab.wait("document.body.dataset.state === 'ready' && document.querySelectorAll('#boxes li').length === 2");
    let mut second = browser.open(&shown.address);
    second.wait("document.body.dataset.state === 'failed'");
    assert_eq!(second.value("picture"), Value::Null);
    assert!(second.value("document.getElementById('told').textContent").as_str().unwrap().contains("was used"));
}
