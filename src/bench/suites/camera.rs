//! Redaction of video end to end: how fast, how soon, how much memory, and how all three grow.

use std::path::Path;
use std::process::Command;

use crate::bench::footage::{self, Footage, named};
use crate::bench::harness::{Bench, Metric, PEAK, Sample, Subject, run as volet, text, work};
use crate::bench::process::{self, Pinned};
use crate::bench::record::Params;
use crate::bench::work::{FRAMES_PER_CPU, FRAMES_PER_SECOND};

const CPU_S: Metric = Metric::lower("CPU", "s");
const WALL: Metric = Metric::lower("time", "s");

const SIZES: [(u32, u32); 3] = [(640, 360), (1280, 720), (1920, 1080)];

fn sized(width: u32, height: u32) -> Params {
    Params::none().with("width", f64::from(width)).with("height", f64::from(height))
}

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    bench.bar.set_message("camera: rendering footage");
    let footage = Footage::render(bench.seed.wrapping_add(2), bench.pick(5, 16));
    limits_of_the_machine(bench)?;
    sensor(bench, &footage)?;
    crowds(bench, &footage)?;
    threads(bench, &footage)?;
    start(bench, &footage)?;
    if footage::ffmpeg() {
        films(bench, &footage)?;
        lengths(bench, &footage)?;
    } else {
        bench.skip("h264", "the program ffmpeg is not installed; it makes the films")?;
    }
    Ok(())
}

/// A copy of memory and a product of matrices, on one processor.
fn limits_of_the_machine(bench: &mut Bench) -> anyhow::Result<()> {
    let pinned = || -> anyhow::Result<Vec<Sample>> {
        let _pinned = Pinned::new()?;
        let mut samples = work("copy", &[("megabytes", "400".to_owned())])?;
        samples.extend(work("gemm", &[("side", "768".to_owned())])?);
        Ok(samples)
    };
    bench.interleave("limits", &Params::none(), vec![Subject::volet(pinned)])
}

/// The words of a stream of NV12 pictures in a file.
fn streamed(
    file: &Path,
    (width, height): (u32, u32),
    every: u32,
    frames: u32,
    threads: usize,
) -> Vec<(&'static str, String)> {
    vec![
        ("file", text(file)),
        ("width", width.to_string()),
        ("height", height.to_string()),
        ("every", every.to_string()),
        ("frames", frames.to_string()),
        ("threads", threads.to_string()),
    ]
}

/// A camera's case: NV12 in and out, one processor.
fn sensor(bench: &mut Bench, footage: &Footage) -> anyhow::Result<()> {
    for (width, height) in SIZES {
        let file = named(&bench.work, "sensor", width, height, "nv12");
        footage::write_nv12(&file, &footage.at(width, height))?;
        for every in bench.pick(vec![1, 2], vec![1, 2, 3]) {
            let words = streamed(&file, (width, height), every, bench.pick(24, 150), 1);
            let run = || -> anyhow::Result<Vec<Sample>> {
                let _pinned = Pinned::new()?;
                work("stream", &words)
            };
            let params = sized(width, height).with("every", f64::from(every));
            bench.interleave("nv12", &params, vec![Subject::volet(run)])?;
        }
        std::fs::remove_file(file)?;
    }
    Ok(())
}

/// The same with more and more faces in a frame.
fn crowds(bench: &mut Bench, footage: &Footage) -> anyhow::Result<()> {
    let size = (1280, 720);
    for faces in bench.pick(vec![1, 16, 64], vec![1, 4, 16, 48, 96]) {
        let Some(picture) = footage.crowd(size.0, size.1, faces) else {
            return bench.skip("faces", "the footage of this seed shows no face; choose another --seed");
        };
        let file = named(&bench.work, "crowd", size.0, size.1, "nv12");
        footage::write_nv12(&file, &[picture])?;
        let words = streamed(&file, size, 1, bench.pick(24, 150), 1);
        let run = || -> anyhow::Result<Vec<Sample>> {
            let _pinned = Pinned::new()?;
            let mut samples = work("stream", &words)?;
            let per_cpu = samples.iter().find(|s| s.metric == FRAMES_PER_CPU.name).map(|s| s.value);
            samples.extend(per_cpu.map(|per_cpu| CPU_PER_FRAME.of(1000.0 / per_cpu)));
            Ok(samples)
        };
        bench.interleave("faces", &Params::none().with("faces", f64::from(faces)), vec![Subject::volet(run)])?;
    }
    Ok(())
}

const CPU_PER_FRAME: Metric = Metric::lower("CPU per frame", "ms");

/// Searches on one processor and on all.
fn threads(bench: &mut Bench, footage: &Footage) -> anyhow::Result<()> {
    let (size, all) = ((1280, 720), std::thread::available_parallelism().map_or(1, usize::from));
    let file = named(&bench.work, "threads", size.0, size.1, "nv12");
    footage::write_nv12(&file, &footage.at(size.0, size.1))?;
    let steps = (0..).map(|power| 1 << power).take_while(|threads| *threads < all).chain([all]);
    for threads in steps {
        let words = streamed(&file, size, 1, bench.pick(24, 150), threads);
        let run = || -> anyhow::Result<Vec<Sample>> {
            let _pinned = (threads == 1).then(Pinned::new).transpose()?;
            work("stream", &words)
        };
        bench.interleave("threads", &Params::none().with("threads", threads as f64), vec![Subject::volet(run)])?;
    }
    Ok(())
}

/// From the program's start to a redacted picture, as a whole process.
fn start(bench: &mut Bench, footage: &Footage) -> anyhow::Result<()> {
    for (width, height) in SIZES {
        let picture = named(&bench.work, "start", width, height, "png");
        footage.at(width, height).first().map(|image| image.save(&picture)).transpose()?;
        let folder = bench.folder("start-")?;
        let mut turn = 0;
        let run = || -> anyhow::Result<Vec<Sample>> {
            turn += 1;
            let out = folder.join(turn.to_string());
            let took = volet(["redact", &text(&picture), "--out", &text(&out), "--json"])?;
            Ok(vec![WALL.of(took.wall_s), CPU_S.of(took.cpu_s), PEAK.of(took.peak_bytes / 1e6)])
        };
        bench.interleave("start to redacted picture", &sized(width, height), vec![Subject::volet(run)])?;
    }
    Ok(())
}

/// A film in and a redacted film with all annotations out.
fn redacted(film: &Path, folder: &Path, frames: usize, flags: &[&str]) -> anyhow::Result<Vec<Sample>> {
    let out = tempfile::Builder::new().prefix("film-").tempdir_in(folder)?;
    let mut words =
        vec!["redact".to_owned(), text(film), "--out".to_owned(), text(&out.path().join("out")), "--json".to_owned()];
    words.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let took = volet(words)?;
    let summary: serde_json::Value = serde_json::from_str(&took.said)?;
    let came = summary.pointer("/totals/frames").and_then(serde_json::Value::as_u64);
    anyhow::ensure!(came == Some(frames as u64), "{came:?} of {frames} frames came out");
    let frames = frames as f64;
    Ok(vec![
        FRAMES_PER_CPU.of(frames / took.cpu_s),
        FRAMES_PER_SECOND.of(frames / took.wall_s),
        PEAK.of(took.peak_bytes / 1e6),
    ])
}

/// H.264 in and out, beside decoding alone and beside deface.
fn films(bench: &mut Bench, footage: &Footage) -> anyhow::Result<()> {
    let frames = bench.pick(30_usize, 240);
    for (width, height) in SIZES {
        let film = named(&bench.work, "film", width, height, "mp4");
        footage::write_h264(&film, &footage.at(width, height), frames)?;
        let folder = bench.folder("films-")?;
        for every in bench.pick(vec!["1", "2"], vec!["1", "2", "3"]) {
            let params = sized(width, height).with("every", every.parse::<f64>()?);
            let flags = ["--every", every, "--threads", "1"];
            let mut subjects = vec![Subject::volet(|| {
                let _pinned = Pinned::new()?;
                redacted(&film, &folder, frames, &flags)
            })];
            // deface searches every frame.
            if every == "1" {
                let out = folder.join("deface.mp4");
                let params = vec![("file", text(&film)), ("out", text(&out))];
                let small = [params.clone(), vec![("scale", "640x360".to_owned())]].concat();
                subjects.extend(bench.peer("deface", "video", params)?);
                // By itself it searches at the film's own size; we at 640 pixels.
                let small = bench.peer("deface", "video", small)?;
                subjects.extend(small.map(|subject| Subject { name: "deface at 640x360".to_owned(), ..subject }));
            }
            bench.interleave("h264", &params, subjects)?;
        }
        let decoding = || -> anyhow::Result<Vec<Sample>> {
            let _pinned = Pinned::new()?;
            let mut ffmpeg = Command::new("ffmpeg");
            ffmpeg.args(["-v", "error", "-threads", "1", "-i"]).arg(&film).args(["-f", "null", "-"]);
            Ok(vec![FRAMES_PER_CPU.of(frames as f64 / process::run(&ffmpeg)?.well()?.cpu_s)])
        };
        bench.interleave(
            "decode only",
            &sized(width, height),
            vec![Subject { name: "ffmpeg".to_owned(), run: Box::new(decoding) }],
        )?;
        std::fs::remove_file(film)?;
    }
    Ok(())
}

/// Memory over the length of a film: it may not grow.
fn lengths(bench: &mut Bench, footage: &Footage) -> anyhow::Result<()> {
    let (width, height) = SIZES[0];
    let pictures = footage.at(width, height);
    for frames in bench.pick(vec![100, 200, 400], vec![300, 1000, 3000, 10_000]) {
        let film = named(&bench.work, "length", width, height, "mp4");
        footage::write_h264(&film, &pictures, frames)?;
        let folder = bench.folder("lengths-")?;
        let run = || redacted(&film, &folder, frames, &["--every", "3", "--threads", "1"]);
        let params = Params::none().with("frames", frames as f64);
        // Ten thousand frames take minutes: once is enough, since memory varies little.
        bench.once("length", &params, run)?;
        std::fs::remove_file(film)?;
    }
    Ok(())
}
