use super::*;
use crate::evaluate::quality;
use crate::manifest::Trainable;
use crate::net::write_model;
use crate::{BBox, Digest, LabelledBox, builtin};
use tract_onnx::prelude::*;

const N: usize = 38_098;

/// Pale ovals with dark eyes and mouth on a textured ground: no faces to the shipped model, but it can learn them.
fn masks(seed: u64) -> Sample {
    let mut random = Random::new(seed);
    let (width, height) = (160usize, 96usize);
    let mut rgb: Vec<u8> = Vec::with_capacity(width * height * 3);
    for i in 0..width * height {
        let (x, y) = (i % width, i / width);
        let base = 70 + (x / 8 + y / 8) % 2 * 40 + random.below(25);
        rgb.extend([base as u8, (base + 10) as u8, (base + 30) as u8]);
    }
    let mut boxes = Vec::new();
    for half in 0..2 {
        let (w, h) = (random.between(14.0, 22.0), random.between(18.0, 28.0));
        let x = half as f32 * 75.0 + random.between(3.0, 50.0);
        let y = random.between(3.0, 62.0);
        for row in y as usize..((y + h) as usize).min(height) {
            for column in x as usize..((x + w) as usize).min(width) {
                let (u, v) = ((column as f32 - x) / w * 2.0 - 1.0, (row as f32 - y) / h * 2.0 - 1.0);
                if u * u + v * v <= 1.0 {
                    let dark = ((v + 0.2).abs() < 0.12 && (u.abs() - 0.4).abs() < 0.15) || (v - 0.5).abs() < 0.08;
                    let tone = if dark { [20, 90, 20] } else { [120, 230, 120] };
                    rgb[(row * width + column) * 3..][..3].copy_from_slice(&tone);
                }
            }
        }
        boxes.push(LabelledBox { class: 0, bbox: BBox::new(x, y, w, h), ignore: false });
    }
    Sample { width: width as u32, height: height as u32, rgb, boxes }
}

fn small() -> Settings {
    Settings { view: Some((320, 192)), batch: 4, class_weights: vec![1.0, 0.0], ..Settings::default() }
}

fn loss_of(model: &Model, learned: &[f32], samples: &[Sample], settings: &Settings) -> f32 {
    let school = School::new(model, settings.view.unwrap()).unwrap();
    let views = school.see(samples, settings, &|| true).unwrap();
    let mut learner = Learner::new(&school, &views, learned, settings).unwrap();
    let all: Vec<usize> = (0..learner.views.len()).collect();
    let losses = learner.learn(&all).unwrap();
    losses.class + losses.bbox
}

/// Stills of `../shared/faces-dev`, where it is; drawn ones are there always.
fn pictures() -> Vec<Sample> {
    let mut samples: Vec<Sample> = (0..2).map(masks).collect();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/faces-dev/images");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("without {}", folder.display());
        return samples;
    };
    let mut paths: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().take(6) {
        let picture = image::open(path).unwrap().into_rgb8();
        samples.push(Sample {
            width: picture.width(),
            height: picture.height(),
            rgb: picture.into_raw(),
            boxes: vec![],
        });
    }
    samples
}

#[test]
fn the_tail_computes_what_tract_computes() {
    let shipped = builtin::default_model().unwrap();
    // What lies before the head, of each of three levels.
    computes_what_tract_computes(&shipped, 3, N);
    let mut manifest = shipped.manifest().clone();
    manifest.trainable.initializers.retain(|name| name != "head.weight");
    manifest.trainable.even = vec!["head.weight".to_owned()];
    // What the fixed kernel and the blur make of it.
    computes_what_tract_computes(&Model::new(manifest, shipped.file().to_vec()).unwrap(), 6, N - 8 * 4096);
}

fn computes_what_tract_computes(model: &Model, cuts: usize, values: usize) {
    let learned: Vec<f32> = (0..values).map(|i| ((i * 37 % 101) as f32 - 50.0) * 1e-4).collect();
    let whole = read_model(&model.learned_onnx(&learned).unwrap()).unwrap();
    for size in [(384, 256), (320, 192)] {
        let plan = crate::detector::plan(whole.clone(), size).unwrap();
        let school = School::new(model, size).unwrap();
        let tail = school.tail.with("volet-1", &learned).unwrap();
        assert_eq!((tail.cuts.len(), tail.len()), (cuts, values));
        let mut seen = crate::NetInput::new(&model.manifest().input, size.0, size.1).unwrap();
        for still in pictures() {
            for mirrored in [false, true] {
                let view = school.frozen.view(&still, mirrored, 5.0, &mut seen).unwrap();
                let ours = tail.forward(frozen::join(&[&view])).unwrap().levels().unwrap();
                let mut input = crate::NetInput::new(&model.manifest().input, size.0, size.1).unwrap();
                crate::fit::fit(&still, mirrored, &mut input).unwrap();
                let theirs = plan.run(tvec!(TValue::from_const(input.tensor()))).unwrap();
                assert_eq!(ours.len(), theirs.len());
                for (ours, theirs) in ours.iter().zip(&theirs) {
                    let theirs = theirs.try_as_plain_ram().unwrap();
                    let theirs = theirs.as_slice::<f32>().unwrap();
                    assert_eq!(ours.data.len(), theirs.len());
                    let worst = ours.data.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(worst < 1e-4, "differs by {worst}");
                }
            }
        }
    }
}

/// A window's learned value moves by the sum of what its values would move by, times its share.
#[test]
fn a_kernel_that_learns_evenly_learns_what_its_values_have_in_common() {
    let shipped = builtin::default_model().unwrap();
    let settings = Settings { epochs: 1, longest: 1e9, momentum: 0.0, ..small() };
    let learn = |trainable| {
        let manifest = Manifest { trainable, ..shipped.manifest().clone() };
        let model = Model::new(manifest, shipped.file().to_vec()).unwrap();
        let zeros = vec![0.0; model.trainable_len().unwrap()];
        adapt(&model, &zeros, &[masks(1), masks(2)], &settings, &|| true).unwrap()
    };
    let head = || vec!["head.weight".to_owned()];
    let whole = learn(Trainable { initializers: head(), ..Trainable::default() });
    let even = learn(Trainable { even: head(), ..Trainable::default() });
    assert_eq!(whole.len(), 9 * even.len());
    let longest = even.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    for (window, even) in whole.chunks(9).zip(&even) {
        assert!((window.iter().sum::<f32>() / 3.0 - even).abs() < 1e-4 * longest, "{window:?} {even}");
    }
}

#[test]
fn a_handful_of_stills_can_be_learnt_by_heart() {
    let model = builtin::default_model().unwrap();
    let samples: Vec<Sample> = (0..2).map(masks).collect();
    // The size at which quality is measured of stills that small.
    let settings = Settings { epochs: 120, batch: 2, rate: 0.005, mirror: false, ..small() };
    let zeros = vec![0.0; N];
    let before = quality(&model, &samples).unwrap();
    let update = adapt(&model, &zeros, &samples, &settings, &|| true).unwrap();
    let after = quality(&model.learned(&update).unwrap(), &samples).unwrap();
    let losses = (loss_of(&model, &zeros, &samples, &settings), loss_of(&model, &update, &samples, &settings));
    println!("{before:?} to {after:?}, loss {losses:?}");
    assert!(losses.1 < 0.5 * losses.0, "{losses:?}");
    assert!(before.recall_at_one < 0.6 && after.recall_at_one > before.recall_at_one + 0.4, "{before:?} {after:?}");
}

#[test]
fn the_same_seed_gives_the_same_update_and_it_adds_up() {
    let model = builtin::default_model().unwrap();
    let samples: Vec<Sample> = (0..3).map(masks).collect();
    let settings = Settings { epochs: 2, ..small() };
    let zeros = vec![0.0; N];
    let first = adapt(&model, &zeros, &samples, &settings, &|| true).unwrap();
    assert_eq!(first.len(), N);
    assert!(first.iter().any(|v| *v != 0.0));
    assert_eq!(adapt(&model, &zeros, &samples, &settings, &|| true).unwrap(), first);
    assert_ne!(adapt(&model, &zeros, &samples, &Settings { seed: 1, ..settings.clone() }, &|| true).unwrap(), first);
    // What was learned before is where the next update begins, given as a vector and not by the model.
    let second = adapt(&model, &first, &samples, &settings, &|| true).unwrap();
    assert_ne!(second, first);
    assert_eq!(adapt(&model.learned(&first).unwrap(), &first, &samples, &settings, &|| true).unwrap(), second);
}

#[test]
fn a_class_that_weighs_nothing_is_left_alone() {
    let model = builtin::default_model().unwrap();
    let update = adapt(&model, &vec![0.0; N], &[masks(1)], &small(), &|| true).unwrap();
    let (_, tail) = split(&model).unwrap();
    let mut rest = &update[..];
    for part in &tail.parts {
        let name = &part.name;
        let (part, after) = rest.split_at(part.len());
        rest = after;
        if name.starts_with("out") {
            let per_output = part.len() / 6;
            assert!(part[per_output..2 * per_output].iter().all(|v| *v == 0.0), "{name}");
        }
    }
}

/// With a fixed number of positive cells, what is learned from several stills in one step is the mean of what is learned
/// from each alone; by how many there are, it is not.
#[test]
fn updates_of_one_step_add_up_where_views_are_taken_to_have_as_many_positives() {
    let model = builtin::default_model().unwrap();
    let mut empty = masks(2);
    empty.boxes.clear();
    let stills = [masks(1), empty];
    let apart = |positives| {
        let settings =
            Settings { epochs: 1, batch: 2, mirror: false, longest: 1e9, momentum: 0.0, positives, ..small() };
        let learn = |stills: &[Sample]| adapt(&model, &vec![0.0; N], stills, &settings, &|| true).unwrap();
        let (together, alone) = (learn(&stills), stills.each_ref().map(|s| learn(std::slice::from_ref(s))));
        let differences = (0..N).map(|i| (together[i] - (alone[0][i] + alone[1][i]) / 2.0).powi(2));
        let length = |values: &[f32]| values.iter().map(|v| v * v).sum::<f32>().sqrt();
        differences.sum::<f32>().sqrt() / length(&together)
    };
    assert!(apart(Some(8.0)) < 1e-3, "{}", apart(Some(8.0)));
    assert!(apart(None) > 0.1, "{}", apart(None));
}

#[test]
fn time_that_runs_out_keeps_what_was_learnt() {
    let model = builtin::default_model().unwrap();
    let (samples, zeros) = ([masks(1), masks(2)], vec![0.0; N]);
    let until = |n: usize| {
        let asked = std::cell::Cell::new(0);
        adapt(&model, &zeros, &samples, &small(), &|| {
            asked.set(asked.get() + 1);
            asked.get() <= n
        })
    };
    for early in [0, 2, 4] {
        assert!(matches!(until(early), Err(AdaptError::Stopped)), "{early}");
    }
    let one = Settings { steps: 1, ..small() };
    assert_eq!(until(5).unwrap(), adapt(&model, &zeros, &samples, &one, &|| true).unwrap());
}

#[test]
fn what_cannot_be_learnt_is_an_error() {
    let model = builtin::default_model().unwrap();
    let zeros = vec![0.0; N];
    let go = |learned: &[f32], samples: &[Sample], settings: &Settings| {
        adapt(&model, learned, samples, settings, &|| true).unwrap_err()
    };
    assert!(matches!(go(&zeros, &[], &small()), AdaptError::NoSamples));
    assert!(matches!(go(&zeros[1..], &[masks(1)], &small()), AdaptError::Learned(LearnedError::Length { .. })));
    let short = Sample { rgb: vec![], ..masks(1) };
    assert!(matches!(
        go(&zeros, &[masks(1), short], &small()),
        AdaptError::Sample(SampleError::Bytes { index: 1, .. })
    ));
    for (field, settings) in [
        ("epochs", Settings { epochs: 0, ..small() }),
        ("steps", Settings { steps: 0, ..small() }),
        ("batch", Settings { batch: 0, ..small() }),
        ("rate", Settings { rate: f32::NAN, ..small() }),
        ("momentum", Settings { momentum: 1.0, ..small() }),
        ("longest", Settings { longest: 0.0, ..small() }),
        ("positives", Settings { positives: Some(0.0), ..small() }),
        ("smallest", Settings { smallest: -1.0, ..small() }),
        ("view", Settings { view: Some((380, 256)), ..small() }),
        ("class_weights", Settings { class_weights: vec![1.0], ..small() }),
        ("class_weights", Settings { class_weights: vec![0.0, 0.0], ..small() }),
    ] {
        let error = go(&zeros, &[masks(1)], &settings);
        assert!(matches!(&error, AdaptError::Setting { field: f, .. } if *f == field), "{field}: {error}");
    }
    // A rate that blows up is told, never returned.
    let wild = Settings { rate: 0.99, momentum: 0.99, longest: 1e30, epochs: 40, ..small() };
    let wild = adapt(&model, &zeros, &[masks(1)], &wild, &|| true);
    assert!(wild.is_err() || wild.unwrap().iter().all(|v| v.is_finite()));
}

#[test]
fn a_model_whose_trainable_part_is_not_its_end_is_refused_by_name() {
    let shipped = builtin::default_model().unwrap();
    let altered = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = shipped.manifest().clone();
        change(&mut manifest);
        let model = Model::new(manifest, shipped.file().to_vec()).unwrap();
        let zeros = vec![0.0; model.trainable_len().unwrap()];
        adapt(&model, &zeros, &[masks(1)], &small(), &|| true)
    };
    let only = |names: &'static [&'static str]| {
        altered(&move |m| {
            let initializers = names.iter().map(|&n| n.to_owned()).collect();
            m.trainable = Trainable { initializers, ..Trainable::default() };
        })
    };
    assert!(matches!(only(&[]), Err(AdaptError::Nothing(_))));
    // An early layer: the pyramid's additions and enlargements follow it.
    let early = only(&["stage32.down.weight"]).unwrap_err();
    assert!(matches!(&early, AdaptError::Tail { .. }), "{early}");
    let one = only(&["out8.weight", "out8.bias"]).unwrap_err();
    assert!(matches!(&one, AdaptError::Tail { node, .. } if node == "p16"), "{one}");
    // Any tail will do: outputs alone, or biases alone.
    assert_eq!(only(&["out8.bias", "out16.bias", "out32.bias"]).unwrap().len(), 18);
    assert_eq!(only(&["out32.weight", "out16.weight", "out8.weight"]).unwrap().len(), 3 * 6 * 64);
    let other = altered(&|m| m.output = Decoder::AnchorFree { strides: vec![8, 16] });
    assert!(matches!(other, Err(AdaptError::Decoder(_))));
    let mut proto = read_model(shipped.file()).unwrap();
    proto.graph.as_mut().unwrap().node.reverse();
    let file = write_model(&proto);
    let manifest = Manifest { blake3: Digest::of(&file), ..shipped.manifest().clone() };
    let unsorted = Model::new(manifest, file).unwrap();
    let unsorted = adapt(&unsorted, &vec![0.0; N], &[masks(1)], &small(), &|| true);
    assert!(matches!(unsorted, Err(AdaptError::Tail { .. })));
}
