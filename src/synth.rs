//! `volet synth`: data sets of people who do not exist.

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use image::{ExtendedColorType, ImageEncoder, RgbImage, imageops};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use volet_edge::batch::{write_whole, write_whole_with};
use volet_synthetic::{
    Bodies, Clip, Conditions, Dataset, Generator, LightKind, Object, ObjectClass, Place, Still, seed_of,
};

use crate::cli::SynthArgs;

const FPS: u32 = 15;
/// Pictures on the contact sheet: columns, rows, and the longer side of each in pixels.
const SHEET: (u32, u32, u32) = (4, 6, 320);

pub(crate) fn run(args: &SynthArgs) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(args.scenes + args.clips > 0, "nothing to make; give --scenes N, --clips N, or both");
    anyhow::ensure!(args.clips == 0 || args.clip_frames > 0, "a clip needs a frame; give --clip-frames N");
    let out = &args.out;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {out:?}"))?;
    let mut entries = std::fs::read_dir(out).with_context(|| format!("cannot read {out:?}"))?;
    anyhow::ensure!(entries.next().is_none(), "{out:?} is not empty; choose a new folder");
    let work = Work::new(args)?;
    let stills = if args.scenes > 0 { work.stills()? } else { 0 };
    let clips = if args.clips > 0 { work.clips()? } else { 0 };
    work.bar.finish_and_clear();
    println!("{stills} pictures and {clips} clips in {}", out.display());
    if let Some(e) = work.failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(e.context("not all could be made; what is there is whole, and its truth is beside it"));
    }
    let stopped = work.stop.load(Ordering::Relaxed);
    if stopped {
        eprintln!("volet: stopped early; what is there is whole, and its truth is beside it");
    }
    Ok(if stopped { ExitCode::from(crate::stop::CODE) } else { ExitCode::SUCCESS })
}

/// The generator that uses the human mesh in `bodies`, or code alone.
pub(crate) fn generator(bodies: Option<&Path>) -> anyhow::Result<Generator> {
    let Some(folder) = bodies else { return Ok(Generator::default()) };
    Ok(Generator::with_bodies(Arc::new(Bodies::load(folder)?), Generator::SHARE))
}

struct Work<'a> {
    args: &'a SynthArgs,
    generator: Generator,
    bar: ProgressBar,
    stop: &'static AtomicBool,
    thumbnails: Mutex<Vec<(u64, RgbImage)>>,
    /// Why the first picture that could not be written could not.
    failed: Mutex<Option<anyhow::Error>>,
}

type Truth = (LightKind, Vec<Object>);

impl<'a> Work<'a> {
    fn new(args: &'a SynthArgs) -> anyhow::Result<Self> {
        let stop = crate::stop::watch()?;
        let bar = ProgressBar::new(args.scenes + args.clips * u64::from(args.clip_frames));
        bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} pictures, {per_sec}, {eta} left")?);
        let generator = generator(args.bodies.as_deref())?;
        Ok(Self { args, generator, bar, stop, thumbnails: Mutex::default(), failed: Mutex::default() })
    }

    fn stills(&self) -> anyhow::Result<usize> {
        let folder = self.args.out.join("images");
        std::fs::create_dir(&folder).with_context(|| format!("cannot make {folder:?}"))?;
        let (width, height) = self.args.size;
        let seed = |index| seed_of(self.args.seed, index);
        let made = self.render(&folder, self.args.scenes, |index| {
            let made = self.generator.still(seed(index), width, height);
            if index < u64::from(SHEET.0 * SHEET.1) {
                let small = (index, thumbnail(&made));
                self.thumbnails.lock().unwrap_or_else(PoisonError::into_inner).push(small);
            }
            made
        });
        let mut set = Dataset::new(format!("volet synth --seed {}", self.args.seed));
        for (index, truth) in made {
            set.add(self.name(index), self.args.size, seed(index), None, truth.0, &truth.1);
        }
        self.finish(&set, "annotations.json", "card.md")?;
        write_whole(&self.args.out.join("sheet.png"), &png(&self.sheet())?)?;
        Ok(set.len())
    }

    fn clips(&self) -> anyhow::Result<u64> {
        let (width, height) = self.args.size;
        let mut set = Dataset::new(format!("volet synth --clips --seed {}", self.args.seed));
        let mut clips = 0;
        while clips < self.args.clips && !self.stop.load(Ordering::Relaxed) {
            let seed = seed_of(self.args.seed, u64::MAX - clips);
            let clip =
                Clip::with(&self.generator, &Conditions::default(), seed, width, height, FPS, self.args.clip_frames);
            let name = format!("clips/{clips:04}");
            let folder = self.args.out.join(&name);
            std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {folder:?}"))?;
            let made = self.render(&folder, u64::from(clip.len()), |frame| clip.frame(frame as u32));
            let video_id = set.clip(&name, seed);
            for (frame, truth) in made {
                let place = Some(Place { video_id, frame_id: frame as u32 });
                set.add(format!("{name}/{}", self.name(frame)), self.args.size, seed, place, truth.0, &truth.1);
            }
            clips += 1;
        }
        self.finish(&set, "clips.json", "clips-card.md")?;
        Ok(clips)
    }

    /// Makes and writes pictures `0..count` into `folder`; what stays in memory of each is its truth alone. One that
    /// cannot be written ends the work as Ctrl-C does: what is whole by then keeps its truth.
    fn render(&self, folder: &Path, count: u64, one: impl Fn(u64) -> Still + Sync) -> Vec<(u64, Truth)> {
        let made = (0..count).into_par_iter().filter_map(|index| {
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            let made = one(index);
            if let Err(e) = self.write(folder, index, &made.image) {
                self.stop.store(true, Ordering::Relaxed);
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e);
                return None;
            }
            Some((index, (made.light, made.objects)))
        });
        made.collect()
    }

    fn name(&self, index: u64) -> String {
        format!("{index:06}.{}", if self.args.jpeg { "jpg" } else { "png" })
    }

    fn write(&self, folder: &Path, index: u64, image: &RgbImage) -> anyhow::Result<()> {
        let bytes = if self.args.jpeg { jpeg(image)? } else { png(image)? };
        write_whole(&folder.join(self.name(index)), &bytes)?;
        self.bar.inc(1);
        Ok(())
    }

    fn finish(&self, set: &Dataset, truth: &str, card: &str) -> anyhow::Result<()> {
        let (width, height) = self.args.size;
        let bodies = match self.generator.bodies() {
            None => "made by code".to_owned(),
            Some(mesh) => format!("made by code, and the CC0 human mesh (BLAKE3 {})", mesh.hash()),
        };
        let facts = [
            ("made by", format!("volet {} (`volet synth`)", env!("CARGO_PKG_VERSION"))),
            ("seed", self.args.seed.to_string()),
            ("size", format!("{width} x {height} pixels")),
            ("bodies", bodies),
        ];
        write_whole_with(&self.args.out.join(truth), |file| Ok(serde_json::to_writer(file, set)?))?;
        write_whole(&self.args.out.join(card), set.card(&facts).as_bytes())?;
        Ok(())
    }

    fn sheet(&self) -> RgbImage {
        let mut all = std::mem::take(&mut *self.thumbnails.lock().unwrap_or_else(PoisonError::into_inner));
        all.sort_by_key(|(index, _)| *index);
        let (width, height) = all.first().map_or((1, 1), |(_, t)| t.dimensions());
        let rows = (all.len() as u32).div_ceil(SHEET.0).max(1);
        let mut sheet = RgbImage::new(SHEET.0 * width, rows * height);
        for (at, (_, small)) in (0..).zip(&all) {
            let (x, y) = (at % SHEET.0 * width, at / SHEET.0 * height);
            imageops::replace(&mut sheet, small, i64::from(x), i64::from(y));
        }
        sheet
    }
}

/// A small copy with the boxes drawn in: faces green, people blue, things orange, what does not count grey.
fn thumbnail(made: &Still) -> RgbImage {
    let (width, height) = made.image.dimensions();
    let scale = SHEET.2 as f32 / width.max(height) as f32;
    let side = |pixels: u32| ((pixels as f32 * scale) as u32).max(1);
    let mut small = imageops::thumbnail(&made.image, side(width), side(height));
    for object in &made.objects {
        let colour = match (object.class, object.ignore) {
            (_, true) => [128, 128, 128],
            (ObjectClass::Face, _) => [0, 230, 0],
            (ObjectClass::Person, _) => [40, 120, 255],
            _ => [250, 160, 0],
        };
        let [x, y, w, h] = object.bbox.map(|v| v * scale);
        crate::picture::frame(&mut small, &volet_edge::models::BBox::new(x, y, w, h), colour);
    }
    small
}

fn png(image: &RgbImage) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    encoder.write_image(image, image.width(), image.height(), ExtendedColorType::Rgb8)?;
    Ok(bytes)
}

fn jpeg(image: &RgbImage) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 95);
    encoder.write_image(image, image.width(), image.height(), ExtendedColorType::Rgb8)?;
    Ok(bytes)
}
