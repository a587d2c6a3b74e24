//! `volet score`: COCO truth and COCO results in, figures out.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use volet_edge::models::BBox;
use volet_models::score::{FoundBox, GroupRecall, Scores, TrueBox};
use volet_synthetic::height_group;

use crate::cli::ScoreArgs;

#[derive(Deserialize)]
struct Truth {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    #[serde(default)]
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    name: String,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    category_id: u64,
    bbox: [f32; 4],
    #[serde(default)]
    ignore: u8,
    #[serde(default)]
    iscrowd: u8,
    #[serde(default)]
    groups: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Found {
    image_id: u64,
    category_id: u64,
    bbox: [f32; 4],
    score: f32,
}

#[derive(Serialize)]
struct Report {
    class: &'static str,
    iou: f32,
    pictures: usize,
    boxes: usize,
    average_precision: f32,
    false_positives_per_picture: f32,
    recall: f32,
    /// The score at which that many false positives are made.
    threshold: f32,
    by_group: BTreeMap<String, BTreeMap<String, GroupRecall>>,
}

pub(crate) fn run(args: &ScoreArgs) -> anyhow::Result<ExitCode> {
    let truth: Truth = read(&args.coco)?;
    let found: Vec<Found> = read(&args.results)?;
    let category = truth.categories.iter().find(|c| c.name == args.class.name()).map(|c| c.id);
    anyhow::ensure!(
        category.is_some() || truth.categories.is_empty(),
        "{:?} has no category {:?}",
        args.coco,
        args.class.name()
    );
    let wanted = |id: u64| category.is_none_or(|c| c == id);
    let mut pictures: BTreeMap<u64, (Vec<TrueBox>, Vec<FoundBox>)> =
        truth.images.iter().map(|i| (i.id, Default::default())).collect();
    for a in truth.annotations.into_iter().filter(|a| wanted(a.category_id)) {
        let Some((boxes, _)) = pictures.get_mut(&a.image_id) else {
            anyhow::bail!("{:?}: an annotation is of picture {}, which is not listed", args.coco, a.image_id);
        };
        let listed = a.groups.contains_key("height");
        let mut groups: Vec<_> = a.groups.into_iter().collect();
        if !listed {
            groups.push(("height".to_owned(), height_group(a.bbox[3]).to_owned()));
        }
        boxes.push(TrueBox { bbox: bbox(a.bbox), ignore: a.ignore != 0 || a.iscrowd != 0, groups });
    }
    for f in found.iter().filter(|f| wanted(f.category_id)) {
        let Some((_, boxes)) = pictures.get_mut(&f.image_id) else {
            anyhow::bail!(
                "{:?}: a result is of picture {}, which {:?} does not list",
                args.results,
                f.image_id,
                args.coco
            );
        };
        boxes.push((bbox(f.bbox), f.score));
    }
    let scores = Scores::new(pictures.values().map(|(t, f)| (&t[..], &f[..])), args.iou);
    let report = Report {
        class: args.class.name(),
        iou: args.iou,
        pictures: scores.pictures(),
        boxes: scores.boxes(),
        average_precision: scores.average_precision(),
        false_positives_per_picture: args.fppi,
        recall: scores.recall_at(args.fppi),
        threshold: scores.threshold_at(args.fppi),
        by_group: scores.recall_by_group(args.fppi),
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?)
    } else {
        print(&report)
    }
    Ok(ExitCode::SUCCESS)
}

fn print(r: &Report) {
    println!("{} {} boxes in {} pictures, IoU {}", r.boxes, r.class, r.pictures, r.iou);
    println!("average precision  {:.3}", r.average_precision);
    let rate = r.false_positives_per_picture;
    println!("recall             {:.3} at {rate} false positives per picture (score {:.3})", r.recall, r.threshold);
    for (question, answers) in &r.by_group {
        println!("\n{question:12} {:>6} {:>7}   95 %", "boxes", "recall");
        for (answer, g) in answers {
            println!("  {answer:10} {:6} {:7.3}   {:.3} to {:.3}", g.boxes, g.recall, g.low, g.high);
        }
    }
}

fn bbox([x, y, w, h]: [f32; 4]) -> BBox {
    BBox::new(x, y, w, h)
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {path:?}"))?;
    serde_json::from_slice(&text).with_context(|| format!("{path:?} is not the COCO file that is needed"))
}
