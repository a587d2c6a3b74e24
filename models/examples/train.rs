//! Trains the detector on synthetic stills, and draws what it finds on stills it never saw.
//!
//! `cargo run --release -p volet-models --features train --example train -- RECIPE.toml OUT [--resume]`

use std::path::Path;
use volet_models::net::{Architecture, Weights, read_model};
use volet_models::train::{LabelledBox, Progress, Recipe, Sample, SampleSource, detect, train};
use volet_models::{BBox, ObjectClass};

const SIZE: (u32, u32) = (640, 384);

struct Synthetic<'a>(&'a Architecture);

impl SampleSource for Synthetic<'_> {
    fn sample(&self, seed: u64) -> Sample {
        let still = volet_synthetic::still(seed, SIZE.0, SIZE.1);
        let boxes = still.objects.iter().filter_map(|o| {
            let class = match o.class {
                volet_synthetic::ObjectClass::Face => ObjectClass::Face,
                volet_synthetic::ObjectClass::Person => ObjectClass::Person,
            };
            let class = self.0.classes.iter().position(|c| *c == class)?;
            let [x, y, w, h] = o.bbox;
            Some(LabelledBox { class, bbox: BBox::new(x, y, w, h), ignore: o.ignore || o.visible < 0.3 })
        });
        let boxes = boxes.collect();
        Sample { width: still.image.width(), height: still.image.height(), rgb: still.image.into_raw(), boxes }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [recipe, out, rest @ ..] = args.as_slice() else {
        return Err("usage: train RECIPE.toml OUT [--resume]".into());
    };
    let recipe: Recipe = toml::from_str(&std::fs::read_to_string(recipe)?)?;
    let out = Path::new(out);
    let source = Synthetic(&recipe.architecture);
    let resume = rest.iter().any(|a| a == "--resume");
    println!("{} parameters", recipe.architecture.parameters());
    train(&recipe, &source, out, resume, &mut |p: Progress| {
        println!(
            "step {}/{} class {:.3} box {:.3} iou {:.3} gradient {:.2} rate {:.5} {:.0} s {:?}",
            p.step, p.steps, p.class_loss, p.box_loss, p.iou, p.gradient, p.rate, p.seconds, p.quality
        );
        if let Err(e) = draw(&recipe, &source, out) {
            eprintln!("no sample pictures: {e}");
        }
    })?;
    Ok(())
}

/// Writes `found-N.png`: truth in green, what the exported network finds with a score of 0.3 in red.
fn draw(recipe: &Recipe, source: &Synthetic<'_>, out: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let weights = Weights::from_model(&read_model(&std::fs::read(out.join("model.onnx"))?)?)?;
    for n in 0..4 {
        let still = source.sample(u64::MAX - n);
        let found = detect(&recipe.architecture, &weights, &still)?;
        let mut picture = image::RgbImage::from_raw(still.width, still.height, still.rgb).ok_or("a short still")?;
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
