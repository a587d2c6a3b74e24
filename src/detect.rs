//! `volet detect`: COCO pictures in, COCO results out.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use volet_edge::detect::{Detect, NetworkSearch, SearchConfig};
use volet_edge::frame::FramePool;
use volet_edge::models::{Detection, Model};
use volet_edge::source::{self, Next, OpenOptions};

use crate::cli::DetectArgs;

#[derive(Deserialize)]
struct Coco {
    images: Vec<Image>,
    #[serde(default)]
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
    file_name: String,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    name: String,
}

#[derive(Serialize)]
struct Found {
    image_id: u64,
    category_id: u64,
    bbox: [f32; 4],
    score: f32,
}

/// Scores below this are not worth a line in a file of results.
const MIN_SCORE: f32 = 0.02;

pub(crate) fn run(args: &DetectArgs) -> anyhow::Result<ExitCode> {
    let model = crate::models::open(args.search.model.as_deref())?;
    let text = std::fs::read(&args.coco).with_context(|| format!("cannot read {:?}", args.coco))?;
    let coco: Coco = serde_json::from_slice(&text).with_context(|| format!("{:?} is not a COCO file", args.coco))?;
    let config = SearchConfig {
        long_side: args.search.long_side.unwrap_or(0),
        tiles: args.search.tiles.unwrap_or(0),
        min_score: args.search.min_score.unwrap_or(MIN_SCORE),
    };
    let threads = args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1);
    let bar = indicatif::ProgressBar::new(coco.images.len() as u64);
    let share = coco.images.len().div_ceil(threads).max(1);
    let found: Vec<(u64, anyhow::Result<Vec<Detection>>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = coco
            .images
            .chunks(share)
            .map(|part| {
                let (model, bar) = (Arc::clone(&model), bar.clone());
                scope.spawn(move || {
                    let mut search = NetworkSearch::new(model, config);
                    let one = |image: &Image| {
                        bar.inc(1);
                        (image.id, search_file(&mut search, &args.images.join(&image.file_name)))
                    };
                    part.iter().map(one).collect::<Vec<_>>()
                })
            })
            .collect();
        workers.into_iter().flat_map(|w| w.join().unwrap_or_default()).collect()
    });
    bar.finish_and_clear();
    anyhow::ensure!(found.len() == coco.images.len(), "a search ended unexpectedly; please report this");
    let category = |d: &Detection| {
        let named = coco.categories.iter().find(|c| c.name == d.class.name()).map(|c| c.id);
        // A truth that does not know a class is not asked about it.
        if coco.categories.is_empty() { Some(u64::from(d.class.category_id())) } else { named }
    };
    let mut failed = 0;
    let mut results = Vec::new();
    for (image_id, detections) in found {
        match detections {
            Ok(detections) => results.extend(detections.iter().filter_map(|d| {
                let bbox = [d.bbox.x, d.bbox.y, d.bbox.w, d.bbox.h];
                Some(Found { image_id, category_id: category(d)?, bbox, score: d.score })
            })),
            Err(e) => {
                eprintln!("volet: {e:#}");
                failed += 1;
            }
        }
    }
    let json = serde_json::to_vec(&results)?;
    volet_edge::batch::write_whole(&args.out, &json)?;
    eprintln!("{} detections in {} pictures by {}", results.len(), coco.images.len() - failed, describe(&model));
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn describe(model: &Model) -> String {
    let m = model.manifest();
    format!("{} ({})", m.name, m.blake3)
}

fn search_file(search: &mut NetworkSearch, path: &Path) -> anyhow::Result<Vec<Detection>> {
    let mut source = source::open(path, &OpenOptions::default())?;
    match source.next(&FramePool::new())? {
        Next::Frame(frame) => search.detect(&frame).with_context(|| format!("{path:?} could not be searched")),
        Next::Lost { reason, .. } => anyhow::bail!("{path:?} could not be read: {reason}"),
        Next::End => anyhow::bail!("{path:?} holds no picture"),
    }
}
