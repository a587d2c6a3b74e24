//! `volet train`: the detector, trained on synthetic people alone.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use volet_models::net::{Architecture, Weights, read_model};
use volet_models::train::{LabelledBox, Recipe, Sample, SampleSource, detect, train};
use volet_models::{BBox, ObjectClass};

use crate::cli::TrainArgs;

/// Size of a rendered still, pixels; views are cut out of it.
const SIZE: (u32, u32) = (640, 384);

pub(crate) fn run(args: &TrainArgs) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(&args.config).with_context(|| format!("cannot read {:?}", args.config))?;
    let recipe: Recipe = toml::from_str(&text).with_context(|| format!("{:?} is not a recipe", args.config))?;
    let source = Synthetic(&recipe.architecture);
    eprintln!("{} parameters", recipe.architecture.parameters());
    let bar = indicatif::ProgressBar::new(recipe.steps);
    let trained = train(&recipe, &source, &args.out, args.resume, &mut |p| {
        bar.set_position(p.step);
        let quality: Vec<String> =
            p.quality.iter().map(|q| format!("AP {:.3} recall {:.3}", q.average_precision, q.recall_at_one)).collect();
        let line = format!("step {} class {:.3} box {:.3} {}", p.step, p.class_loss, p.box_loss, quality.join(", "));
        bar.println(line);
        if let Err(e) = draw(&recipe, &source, &args.out) {
            tracing::warn!("no sample pictures: {e:#}");
        }
    })?;
    bar.finish_and_clear();
    println!("{}", trained.model.display());
    Ok(ExitCode::SUCCESS)
}

struct Synthetic<'a>(&'a Architecture);

impl SampleSource for Synthetic<'_> {
    fn sample(&self, seed: u64) -> Sample {
        let still = volet_synthetic::still(seed, SIZE.0, SIZE.1);
        let boxes = still.objects.iter().filter_map(|o| {
            let class = match o.class {
                volet_synthetic::ObjectClass::Face => ObjectClass::Face,
                volet_synthetic::ObjectClass::Person => ObjectClass::Person,
                volet_synthetic::ObjectClass::Vehicle => ObjectClass::Vehicle,
                volet_synthetic::ObjectClass::Animal => ObjectClass::Animal,
                volet_synthetic::ObjectClass::Parcel => ObjectClass::Parcel,
            };
            let class = self.0.classes.iter().position(|c| *c == class)?;
            let [x, y, w, h] = o.bbox;
            Some(LabelledBox { class, bbox: BBox::new(x, y, w, h), ignore: o.ignore || o.visible < 0.3 })
        });
        let boxes = boxes.collect();
        Sample { width: still.image.width(), height: still.image.height(), rgb: still.image.into_raw(), boxes }
    }
}

/// Writes `found-N.png`: truth in green, what the exported network finds with a score of 0.3 in red.
fn draw(recipe: &Recipe, source: &Synthetic<'_>, out: &Path) -> anyhow::Result<()> {
    let weights = Weights::from_model(&read_model(&std::fs::read(out.join("model.onnx"))?)?)?;
    for n in 0..4 {
        let still = source.sample(u64::MAX - n);
        let found = detect(&recipe.architecture, &weights, &still)?;
        let mut picture = image::RgbImage::from_raw(still.width, still.height, still.rgb).context("a short still")?;
        for b in &still.boxes {
            frame(&mut picture, &b.bbox, if b.ignore { [90, 90, 90] } else { [0, 220, 0] });
        }
        for d in found.iter().filter(|d| d.score >= 0.3) {
            frame(&mut picture, &d.bbox, if d.class == ObjectClass::Face { [255, 0, 0] } else { [255, 160, 0] });
        }
        picture.save(out.join(format!("found-{n}.png")))?;
    }
    Ok(())
}

fn frame(picture: &mut image::RgbImage, b: &BBox, colour: [u8; 3]) {
    let (width, height) = picture.dimensions();
    let Some(b) = b.clipped(width - 1, height - 1) else { return };
    let (x0, y0, x1, y1) = (b.x as u32, b.y as u32, b.right() as u32, b.bottom() as u32);
    for x in x0..=x1 {
        picture.put_pixel(x, y0, image::Rgb(colour));
        picture.put_pixel(x, y1, image::Rgb(colour));
    }
    for y in y0..=y1 {
        picture.put_pixel(x0, y, image::Rgb(colour));
        picture.put_pixel(x1, y, image::Rgb(colour));
    }
}
