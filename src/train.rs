//! `volet train`: the detector, trained on synthetic people alone.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use volet_models::net::{Architecture, Weights, read_model};
use volet_models::train::{How, Recipe, SampleSource, detect, train};
use volet_models::{BBox, ObjectClass};
use volet_models::{LabelledBox, Sample};
use volet_synthetic::Generator;

use crate::cli::TrainArgs;
use crate::picture::frame;

/// Size of a rendered still, pixels; views are cut out of it.
const SIZE: (u32, u32) = (640, 384);

pub(crate) fn run(args: &TrainArgs) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(&args.config).with_context(|| format!("cannot read {:?}", args.config))?;
    let recipe: Recipe = toml::from_str(&text).with_context(|| format!("{:?} is not a recipe", args.config))?;
    let generator = crate::synth::generator(args.bodies.as_deref())?;
    let source = Synthetic { architecture: &recipe.architecture, generator };
    eprintln!("{} parameters", recipe.architecture.parameters());
    let bar = indicatif::ProgressBar::new(recipe.steps);
    let how = How { resume: args.resume, compute: args.compute, other_source: args.other_pictures };
    let trained = train(&recipe, &source, &args.out, how, &mut |p| {
        bar.set_position(p.step);
        let quality: Vec<String> =
            p.quality.iter().map(|q| format!("AP {:.3} recall {:.3}", q.average_precision, q.recall_at_one)).collect();
        let line = format!("step {} class {:.3} box {:.3} {}", p.step, p.class_loss, p.box_loss, quality.join(", "));
        // A bar that nobody sees swallows what is printed above it.
        if bar.is_hidden() {
            eprintln!("{line}")
        } else {
            bar.println(line)
        }
        let pictures = draw(&recipe, &source, &args.out).and_then(|()| crate::curve::draw(&args.out));
        if let Err(e) = pictures {
            tracing::warn!("no pictures of the run: {e:#}");
        }
    })?;
    bar.finish_and_clear();
    println!("{}", trained.model.display());
    Ok(ExitCode::SUCCESS)
}

struct Synthetic<'a> {
    architecture: &'a Architecture,
    generator: Generator,
}

impl SampleSource for Synthetic<'_> {
    fn sample(&self, seed: u64) -> Sample {
        let still = self.generator.still(seed, SIZE.0, SIZE.1);
        let boxes = still.objects.iter().filter_map(|o| {
            let class = self.architecture.classes.iter().position(|c| c.name() == o.class.name())?;
            let [x, y, w, h] = o.bbox;
            Some(LabelledBox { class, bbox: BBox::new(x, y, w, h), ignore: o.ignore })
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
