//! How right the labels are that a camera gives itself, by the exact truth of synthetic clips.
//!
//! `cargo bench --bench labels [-- CLIPS]` labels clips under several conditions; `-- --fit [CLIPS]` fits the weights of
//! the evidence to clips in any light, half of them seen from above, other ones than are measured on. Clips are of 640x384 pixels and searched at 320x192, as
//! a sensor sees more than there is time to search: 40 frames at 5 a second, of which every fifth is labelled. A label is right if it overlaps a true face by an IoU of 0.3.

use std::process::ExitCode;

use rayon::prelude::*;
use volet_edge::learn::{Candidate, Evidence, LabelConfig, Labeller, Source};
use volet_edge::models::{BBox, Detection, Model, ObjectClass, Sample, Teacher, builtin};
use volet_synthetic::{Clip, Conditions, Generator, LightKind, Mounting, Object, Still, seed_of};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const FRAME: (u32, u32) = (640, 384);
const SIZE: (u32, u32) = (320, 192);
const FPS: u32 = 5;
const FRAMES: u32 = 40;
const EVERY: u64 = 5;
/// Seeds of the clips that are measured on, and of those that weights are fitted to.
const MEASURED: u64 = 0x4C41_4245;
const FITTED: u64 = 0x4649_5454;

fn main() -> ExitCode {
    // `cargo test --benches` only wants to know that it runs; it is slow.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if !std::env::args().any(|a| a == "--bench") {
        return ExitCode::SUCCESS;
    }
    let fit = arguments.iter().any(|a| a == "--fit");
    let clips = arguments.iter().find_map(|a| a.parse().ok()).unwrap_or(60);
    let done = if fit { fitted(clips) } else { measured(clips) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A labelled frame: what may be in it without and with the teacher, what the detector found, and the truth.
struct Frame {
    alone: Vec<Candidate>,
    taught: Vec<Candidate>,
    found: Vec<Detection>,
    truth: Vec<Object>,
}

impl Frame {
    /// Whether a box is right; none where the truth is that it does not matter.
    fn right(&self, bbox: &BBox) -> Option<bool> {
        let overlap = |o: &Object| BBox::new(o.bbox[0], o.bbox[1], o.bbox[2], o.bbox[3]).iou(bbox);
        if self.truth.iter().any(|o| !o.ignore && overlap(o) >= 0.3) {
            return Some(true);
        }
        if self.truth.iter().any(|o| o.ignore && overlap(o) >= 0.1) { None } else { Some(false) }
    }
}

fn day() -> Conditions {
    Conditions { lights: vec![LightKind::Day, LightKind::Overcast, LightKind::Indoor], mounting: Mounting::EyeLevel }
}

/// The labelled frames of so many clips.
fn frames(model: &Model, conditions: &Conditions, set: u64, clips: u64) -> Result<Vec<Frame>, Failure> {
    let of_clip = |index: u64| clip(model, conditions, seed_of(set, index));
    let all: Result<Vec<Vec<Frame>>, Failure> = (0..clips).into_par_iter().map(of_clip).collect();
    Ok(all?.into_iter().flatten().collect())
}

fn clip(model: &Model, conditions: &Conditions, seed: u64) -> Result<Vec<Frame>, Failure> {
    let clip = Clip::with(&Generator::default(), conditions, seed, FRAME.0, FRAME.1, FPS, FRAMES);
    let teacher = Teacher::of_stills(model, Some(SIZE), FRAME.0, FRAME.1);
    let mut labeller = Labeller::new(LabelConfig::default());
    let (mut seen, mut done) = (Vec::new(), Vec::new());
    for index in 0..FRAMES {
        let still = clip.frame(index);
        let mut found = model.search(&sample(&still), Some(SIZE), Labeller::FLOOR)?;
        found.retain(|d| d.class == ObjectClass::Face);
        labeller.observe(u64::from(index), &found);
        seen.push((still, found));
        let Some(ready) = labeller.ready().filter(|ready| ready.is_multiple_of(EVERY)) else { continue };
        let (still, found) = &seen[ready as usize];
        let mut taught = teacher.search(model, &sample(still))?;
        taught.retain(|d| d.class == ObjectClass::Face);
        let truth = still.objects.iter().filter(|o| o.class == volet_synthetic::ObjectClass::Face);
        done.push(Frame {
            alone: labeller.candidates(None),
            taught: labeller.candidates(Some(&taught)),
            found: found.clone(),
            truth: truth.cloned().collect(),
        });
    }
    Ok(done)
}

fn sample(still: &Still) -> Sample {
    Sample { width: FRAME.0, height: FRAME.1, rgb: still.image.as_raw().clone(), boxes: Vec::new() }
}

fn measured(clips: u64) -> Result<(), Failure> {
    let model = builtin::default_model()?;
    let all = [("day", day()), ("any light", Conditions::default()), ("night watch", Conditions::night_watch())];
    for (name, conditions) in all {
        let frames = frames(&model, &conditions, MEASURED, clips)?;
        let faces = frames.iter().flat_map(|f| &f.truth).filter(|o| !o.ignore).count();
        println!("{name}: {} frames, {faces} faces", frames.len());
        for least in [0.8, 0.5] {
            let boxes = |f: &Frame| f.found.iter().filter(|d| d.score >= least).map(|d| d.bbox).collect::<Vec<_>>();
            told(&format!("  detector alone, score {least}"), &frames, boxes);
        }
        type Kind = (&'static str, fn(&Frame) -> &Vec<Candidate>);
        let kinds: [Kind; 2] = [("over time", |f| &f.alone), ("over time, with the teacher", |f| &f.taught)];
        let config = LabelConfig::default();
        for (kind, candidates) in kinds {
            let sure = |c: &&Candidate| c.evidence.confidence() >= config.sure;
            let boxes = |f: &Frame| candidates(f).iter().filter(sure).map(|c| c.bbox).collect::<Vec<_>>();
            told(&format!("  labels by agreement {kind}"), &frames, boxes);
            let missed = |c: &&Candidate| sure(c) && c.source != Source::Detector;
            let boxes = |f: &Frame| candidates(f).iter().filter(missed).map(|c| c.bbox).collect::<Vec<_>>();
            told("    of them, what the detector missed", &frames, boxes);
            let (mut lost, mut background) = (0, 0);
            for frame in &frames {
                let kept = |c: &&Candidate| c.evidence.confidence() >= config.unlikely;
                let kept: Vec<BBox> = candidates(frame).iter().filter(kept).map(|c| c.bbox).collect();
                let bbox = |o: &Object| BBox::new(o.bbox[0], o.bbox[1], o.bbox[2], o.bbox[3]);
                let faces = frame.truth.iter().filter(|o| !o.ignore);
                lost += faces.filter(|o| kept.iter().all(|k| k.iou(&bbox(o)) < 0.3)).count();
                let flashes = frame.found.iter().filter(|d| kept.iter().all(|k| k.iou(&d.bbox) < 0.3));
                background += flashes.filter(|d| frame.right(&d.bbox) == Some(false)).count();
            }
            println!("    taken for background: {lost} faces, {background} false detections");
        }
    }
    Ok(())
}

fn told(name: &str, frames: &[Frame], boxes: impl Fn(&Frame) -> Vec<BBox>) {
    let judged: Vec<bool> = frames.iter().flat_map(|f| boxes(f).into_iter().filter_map(|b| f.right(&b))).collect();
    let right = judged.iter().filter(|right| **right).count();
    println!("{name}: {right} right of {}, {:.4}", judged.len(), right as f64 / judged.len().max(1) as f64);
}

/// Logistic regression of what is right on the evidence, by gradient descent on the whole.
fn fitted(clips: u64) -> Result<(), Failure> {
    let model = builtin::default_model()?;
    let mut all = Vec::new();
    for mounting in [Mounting::EyeLevel, Mounting::High] {
        let conditions = Conditions { mounting, ..Conditions::default() };
        all.extend(frames(&model, &conditions, FITTED + mounting as u64, clips / 2)?);
    }
    for teacher in [false, true] {
        let rows: Vec<(Vec<f64>, f64)> = all
            .iter()
            .flat_map(|f| (if teacher { &f.taught } else { &f.alone }).iter().map(move |c| (c, f.right(&c.bbox))))
            .filter_map(|(c, right)| Some((row(&c.evidence, teacher), f64::from(right?))))
            .collect();
        let mut weights = vec![0.0; if teacher { 5 } else { 4 }];
        for _ in 0..20_000 {
            let mut slope = vec![0.0; weights.len()];
            for (row, right) in &rows {
                let z: f64 = row.iter().zip(&weights).map(|(v, w)| v * w).sum();
                let error = 1.0 / (1.0 + (-z).exp()) - right;
                slope.iter_mut().zip(row).for_each(|(s, v)| *s += error * v);
            }
            weights.iter_mut().zip(slope).for_each(|(w, s)| *w -= 4.0 * s / rows.len().max(1) as f64);
        }
        println!("teacher {teacher}, {} candidates: {weights:.2?}", rows.len());
    }
    Ok(())
}

fn row(evidence: &Evidence, teacher: bool) -> Vec<f64> {
    let mut row = vec![1.0, f64::from(evidence.score), f64::from(evidence.around), f64::from(evidence.track)];
    row.extend(evidence.teacher.filter(|_| teacher).map(f64::from));
    row
}
