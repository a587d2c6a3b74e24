//! Replays recorded detections through the tracker and the plan, to measure those two alone.
//!
//! `cargo run --release -p volet-edge --example replay -- DETECTIONS.json WIDTHxHEIGHT CONFIG.toml REGIONS.json`
//!
//! `CUTS=40,80` in the environment names the first frames of new scenes. DETECTIONS.json is a list of frames, each a list of `[x, y, w, h, score]`; REGIONS.json is as `volet redact
//! --regions` writes it.

use std::error::Error;

use volet_edge::frame::{Geometry, PixelFormat};
use volet_edge::models::{BBox, Detection, ObjectClass};
use volet_edge::pipeline::PipelineConfig;
use volet_edge::track::Tracker;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [detections, size, config, out] = args.as_slice() else {
        return Err("usage: replay DETECTIONS.json WIDTHxHEIGHT CONFIG.toml REGIONS.json".into());
    };
    let frames: Vec<Vec<[f32; 5]>> = serde_json::from_slice(&std::fs::read(detections)?)?;
    let (width, height) = size.split_once('x').ok_or("the size is not WIDTHxHEIGHT")?;
    let geometry = Geometry::new(PixelFormat::Grey8, width.parse()?, height.parse()?)?;
    let config: PipelineConfig = toml::from_str(&std::fs::read_to_string(config)?)?;
    config.check()?;
    let mut tracker = Tracker::new(config.tracker);
    let cuts = std::env::var("CUTS").unwrap_or_default();
    let cuts: Vec<u64> = cuts.split(',').filter(|c| !c.is_empty()).map(str::parse).collect::<Result<_, _>>()?;
    let mut regions = Vec::new();
    let delay = config.tracker.delay as usize;
    for now in 0..frames.len() + delay {
        if cuts.contains(&(now as u64)) {
            tracker.cut(now as u64);
        }
        if now < frames.len() && now % config.every as usize == 0 {
            let found = frames[now].iter().map(|&[x, y, w, h, score]| Detection {
                class: ObjectClass::Face,
                bbox: BBox::new(x, y, w, h),
                score,
            });
            tracker.observe(now as u64, &found.collect::<Vec<_>>());
        }
        if let Some(frame) = now.checked_sub(delay) {
            let tracks: Vec<_> = tracker.boxes_at(frame as u64).collect();
            for r in config.redaction.regions(geometry, &tracks, &[]) {
                let bbox = [r.bbox.x, r.bbox.y, r.bbox.w, r.bbox.h];
                regions.push(serde_json::json!({ "image_id": frame + 1, "bbox": bbox, "shape": r.shape }));
            }
            tracker.forget_before(frame as u64);
        }
    }
    std::fs::write(out, serde_json::to_vec(&regions)?)?;
    Ok(())
}
