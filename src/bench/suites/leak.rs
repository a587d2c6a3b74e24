//! What stays uncovered: on synthetic clips, whose truth is exact, and on clips made of annotated photographs where the means are there.
//! Over the mask's scale it is a trade: larger masks leak less and cover more of everything else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use rayon::prelude::*;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use volet_synthetic::{Clip, ObjectClass};

use crate::bench::footage::{FPS, write_y4m};
use crate::bench::harness::{Bench, Metric, Sample, run as volet, text};
use crate::bench::process;
use crate::bench::record::Params;
use crate::cover::{Face, Leaks, Mask, Region};

const LEAK: Metric = Metric::lower("leak rate", "").exact();
const LEAK_BOX: Metric = Metric::lower("leak rate, whole box", "").exact();
const EXPOSED: Metric = Metric::lower("faces not hidden at all", "").exact();
const TRACK_LEAK: Metric = Metric::lower("track leak", "").exact();
const FLICKER: Metric = Metric::lower("flicker per 100 faces", "").exact();
const OVER: Metric = Metric::lower("over-redaction", "").exact();
const COVER: Metric = Metric::context("cover rate", "");
const FACES: Metric = Metric::fact("faces counted", "");

const SIZE: (u32, u32) = (640, 384);
/// Faces lower than this, in pixels, are not counted.
const LEAST: f32 = 16.0;
/// How much larger than the found box a mask is; 1.4 is the default.
const SCALES: [&str; 5] = ["1.0", "1.2", "1.4", "1.7", "2.0"];

/// A film with its truth, frame by frame.
struct Film {
    file: PathBuf,
    size: (u32, u32),
    truth: Vec<Vec<Face>>,
}

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    bench.bar.set_message("leak: rendering clips");
    let films = synthetic(bench)?;
    trade(bench, "synthetic clips", &films, &SCALES, &[])?;
    trade(bench, "synthetic clips, every 3rd frame searched", &films, &["1.4"], &["--every", "3"])?;
    photographs(bench)
}

/// Clips of people who do not exist.
fn synthetic(bench: &Bench) -> anyhow::Result<Vec<Film>> {
    let (clips, frames) = bench.pick((3, 30), (8, 90));
    let folder = bench.folder("leak-")?;
    (0..clips)
        .map(|n| {
            let clip = Clip::new(bench.seed.wrapping_add(10 + n), SIZE.0, SIZE.1, FPS, frames);
            let made: Vec<volet_synthetic::Still> =
                (0..frames).into_par_iter().map(|index| clip.frame(index)).collect();
            let face = |o: &volet_synthetic::Object| Face { bbox: o.bbox, track: o.track_id.into(), ignore: o.ignore };
            let faces = |still: &volet_synthetic::Still| {
                still.objects.iter().filter(|o| o.class == ObjectClass::Face).map(face).collect()
            };
            let truth = made.iter().map(faces).collect();
            let file = folder.join(format!("{n}.y4m"));
            let pictures: Vec<_> = made.into_iter().map(|still| still.image).collect();
            let mut to = std::io::BufWriter::new(std::fs::File::create(&file)?);
            write_y4m(&mut to, &pictures, pictures.len())?;
            std::io::Write::flush(&mut to)?;
            Ok(Film { file, size: SIZE, truth })
        })
        .collect()
}

/// The leak rate and what it costs, by scale.
fn trade(bench: &mut Bench, case: &str, films: &[Film], scales: &[&str], flags: &[&str]) -> anyhow::Result<()> {
    for scale in scales {
        let params = Params::none().with("scale", scale.parse::<f64>()?);
        let folder = bench.folder("covered-")?;
        bench.once(case, &params, || {
            let mut leaks = Leaks::default();
            for (n, film) in films.iter().enumerate() {
                let regions = folder.join(format!("{n}.json"));
                let out = folder.join(n.to_string());
                let mut words =
                    vec!["redact".to_owned(), text(&film.file), "--out".to_owned(), text(&out), "--json".to_owned()];
                words.extend(["--regions".to_owned(), text(&regions), "--scale".to_owned(), (*scale).to_owned()]);
                words.extend(flags.iter().map(|flag| (*flag).to_owned()));
                volet(words)?;
                let covered: Vec<Region> = read(&regions)?;
                count(&mut leaks, film, &covered);
                std::fs::remove_dir_all(out)?;
            }
            Ok(told(&leaks))
        })?;
    }
    Ok(())
}

fn count(leaks: &mut Leaks, film: &Film, regions: &[Region]) {
    let mut frames: BTreeMap<u64, Vec<&Region>> = BTreeMap::new();
    regions.iter().for_each(|region| frames.entry(region.image_id).or_default().push(region));
    leaks.film();
    for (number, faces) in (1..).zip(&film.truth) {
        let covered = frames.get(&number).into_iter().flatten().copied();
        leaks.frame(&Mask::of(film.size, covered), faces, LEAST);
    }
}

fn told(leaks: &Leaks) -> Vec<Sample> {
    let mut told = vec![
        LEAK.of(leaks.rate()),
        LEAK_BOX.of(leaks.box_rate()),
        EXPOSED.of(leaks.exposed()),
        TRACK_LEAK.of(leaks.tracks()),
        FLICKER.of(leaks.flicker()),
        OVER.of(leaks.over_redaction()),
        COVER.of(leaks.cover()),
        FACES.of(f64::from(leaks.faces())),
    ];
    let by_height =
        leaks.by_height().map(|(group, rate)| LEAK_BY_HEIGHT.of(rate).at(&Params::none().with("height", group)));
    told.extend(by_height);
    told
}

const LEAK_BY_HEIGHT: Metric = Metric::lower("leak rate by height in pixels", "").exact();

/// A clip as the project's maker of clips makes it from annotated photographs.
fn photographs(bench: &mut Bench) -> anyhow::Result<()> {
    const CASE: &str = "clip of photographs";
    let Some(shared) = bench.shared.clone() else {
        return bench.skip(CASE, "the folder of shared data is not here (../shared, or VOLET_SHARED)");
    };
    let (script, faces) = (shared.join("eval/make_clip.py"), shared.join("faces-dev"));
    if !script.is_file() || !faces.is_dir() {
        return bench.skip(CASE, format!("{} holds no eval/make_clip.py and faces-dev", shared.display()));
    }
    let Some(python) = with_opencv(bench.peers.python()) else {
        return bench.skip(CASE, "no Python with numpy and opencv (--peers PYTHON, or python3)");
    };
    let folder = bench.folder("photographs-")?;
    // The full one is the clip of the design: its default size, length and seed.
    let size = bench.pick(["--size", "1280x720", "--frames", "8"], ["--size", "1920x1080", "--frames", "40"]);
    let mut maker = Command::new(python);
    maker.arg(script).arg("--faces").arg(faces).arg("--out").arg(&folder).args(size);
    process::run(&maker)?.well().context("make_clip.py")?;
    let film = film(&folder)?;
    trade(bench, CASE, std::slice::from_ref(&film), &SCALES, &[])
}

/// The first Python that has what the maker of clips needs.
fn with_opencv(named: Option<&Path>) -> Option<PathBuf> {
    let candidates = named.into_iter().map(Path::to_owned).chain(["python3".into()]);
    let has = |python: &PathBuf| {
        let asked = process::run(Command::new(python).args(["-c", "import cv2, numpy"]));
        asked.is_ok_and(|told| told.code == Some(0))
    };
    candidates.into_iter().find(has)
}

#[derive(Deserialize)]
struct Truth {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
    width: u32,
    height: u32,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    track_id: u64,
    bbox: [f32; 4],
    #[serde(default)]
    ignore: u8,
}

fn film(folder: &Path) -> anyhow::Result<Film> {
    let truth: Truth = read(&folder.join("truth.json"))?;
    let first = truth.images.first().context("the clip has no frames")?;
    let size = (first.width, first.height);
    let mut frames: BTreeMap<u64, Vec<Face>> = truth.images.iter().map(|image| (image.id, Vec::new())).collect();
    for Annotation { image_id, track_id, bbox, ignore } in truth.annotations {
        frames.entry(image_id).or_default().push(Face { bbox, track: track_id, ignore: ignore != 0 });
    }
    Ok(Film { file: folder.join("clip.mp4"), size, truth: frames.into_values().collect() })
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{}", path.display()))
}
