use super::*;
use crate::ObjectClass;
use crate::learning::random::Random;
use crate::net::Stage;
use crate::{BBox, LabelledBox};
use tract_onnx::prelude::*;

const RESUME: How = How { resume: true, compute: Compute::Cpu, other_source: false };

/// Bright rectangles ("faces") on a dark, noisy ground.
struct Rectangles;

impl SampleSource for Rectangles {
    fn sample(&self, seed: u64) -> Sample {
        let mut random = Random::new(seed);
        let mut rgb: Vec<u8> = (0..64 * 64 * 3).map(|_| random.below(60) as u8).collect();
        let (x, y) = (random.below(40), random.below(40));
        let (w, h) = (12 + random.below(10), 12 + random.below(10));
        for row in y..y + h {
            for column in x..x + w {
                rgb[(row * 64 + column) * 3..][..3].copy_from_slice(&[230, 180, 150]);
            }
        }
        let bbox = BBox::new(x as f32, y as f32, w as f32, h as f32);
        Sample { width: 64, height: 64, rgb, boxes: vec![LabelledBox { class: 0, bbox, ignore: false }] }
    }
}

fn recipe(steps: u64) -> Recipe {
    Recipe {
        seed: 1,
        steps,
        shapes: vec![Shape { width: 64, height: 64, batch: 4, share: 1.0 }],
        window: 2,
        fresh: 0.004,
        rate: 0.01,
        warm_up: 3,
        average: 0.9,
        class_weights: vec![1.0, 0.5],
        every: 10,
        validation: 2,
        export: (64, 64),
        augmentation: Augmentation {
            zoom: (0.9, 1.1),
            aimed: 1.0,
            mined: 0.0,
            strength: 0.2,
            ramp: 0.0,
            smallest: 3.0,
        },
        architecture: Architecture {
            classes: vec![ObjectClass::Face, ObjectClass::Person],
            stem: [8, 8],
            stages: [Stage { channels: 16, blocks: 1 }; 3],
            head: 16,
        },
    }
}

#[test]
fn sixty_steps_learn_two_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = Vec::new();
    train(&recipe(60), &Rectangles, folder.path(), How::default(), &mut |p| lines.push(p)).unwrap();
    let loss = |p: &Progress| p.class_loss + p.box_loss;
    assert!(loss(&lines[2]) < 0.7 * loss(&lines[0]), "{lines:?}");
    assert!(lines[5].iou > 0.5, "{lines:?}");
}

#[test]
fn a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut recipe = recipe(30);
    recipe.every = 10;
    // Stills stay long enough for mistakes to be used.
    (recipe.window, recipe.fresh) = (8, 0.1);
    recipe.shapes.push(Shape { width: 96, height: 32, batch: 3, share: 1.0 });
    // Views that return to mistakes are part of the state.
    recipe.augmentation.mined = 0.5;
    let expected = train(&recipe, &Rectangles, whole.path(), How::default(), &mut |_| ()).unwrap();

    // The process "dies" after the checkpoint of step 20: the state on disk is all that is left.
    let mut first = Vec::new();
    train(&recipe, &Rectangles, parts.path(), How::default(), &mut |p| {
        if p.step == 20 {
            first.push(std::fs::read(parts.path().join("checkpoint.onnx")).unwrap());
        }
    })
    .unwrap();
    std::fs::write(parts.path().join("checkpoint.onnx"), &first[0]).unwrap();
    let state = checkpoint::State::read(&parts.path().join("checkpoint.onnx"), &recipe.architecture).unwrap();
    let drawn = (0..50).filter_map(|seed| state.mistakes.pick(21, 2..10, &mut Random::new(seed))).count();
    assert!(drawn > 0, "no mistake is at hand after the resume: the test proves less than it says");
    let resumed = train(&recipe, &Rectangles, parts.path(), RESUME, &mut |_| ()).unwrap();
    assert_eq!(resumed.weights, expected.weights);
    assert!(matches!(
        train(&recipe, &Rectangles, parts.path(), How::default(), &mut |_| ()),
        Err(TrainError::Occupied(_))
    ));
}

#[test]
fn a_run_goes_on_with_its_own_pictures_or_says_so() {
    struct Others;
    impl SampleSource for Others {
        fn sample(&self, seed: u64) -> Sample {
            Rectangles.sample(seed ^ 1)
        }
    }
    let folder = tempfile::tempdir().unwrap();
    train(&recipe(2), &Rectangles, folder.path(), How::default(), &mut |_| ()).unwrap();
    let again = |how| train(&recipe(4), &Others, folder.path(), how, &mut |_| ());
    assert!(matches!(again(RESUME), Err(TrainError::OtherSource(_))));
    again(How { other_source: true, ..RESUME }).unwrap();
    // From then on these are its own.
    train(&recipe(6), &Others, folder.path(), RESUME, &mut |_| ()).unwrap();
}

#[test]
fn a_source_that_panics_is_an_error_and_a_smaller_window_is_not() {
    struct Bomb(std::sync::atomic::AtomicU32);
    impl SampleSource for Bomb {
        fn sample(&self, seed: u64) -> Sample {
            assert!(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 6, "a planted panic");
            Rectangles.sample(seed)
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let mut recipe = recipe(40);
    (recipe.window, recipe.fresh, recipe.augmentation.mined) = (8, 0.1, 0.5);
    let bomb = Bomb(std::sync::atomic::AtomicU32::new(0));
    let error = train(&recipe, &bomb, folder.path(), How::default(), &mut |_| ()).unwrap_err();
    assert!(matches!(error, TrainError::Source), "{error}");
    train(&recipe, &Rectangles, folder.path(), RESUME, &mut |_| ()).unwrap();
    (recipe.steps, recipe.window) = (50, 2);
    train(&recipe, &Rectangles, folder.path(), RESUME, &mut |_| ()).unwrap();
}

#[test]
fn every_recipe_of_the_project_can_be_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let recipe: Recipe =
            toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        recipe.check().unwrap();
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn a_damaged_checkpoint_is_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.onnx");
    for bytes in [&b""[..], b"rubbish", &[0xff; 4096]] {
        std::fs::write(&path, bytes).unwrap();
        let error = train(&recipe(1), &Rectangles, folder.path(), RESUME, &mut |_| ()).unwrap_err();
        assert!(error.to_string().contains("checkpoint.onnx"), "{error}");
    }
}

#[test]
fn tract_computes_what_burn_computes() {
    let architecture = recipe(1).architecture;
    let mut random = Random::new(3);
    let mut network = model::Network::new(&architecture, 7);
    for (name, t) in network.trained.tensors.iter_mut().chain(&mut network.statistics.tensors) {
        for v in &mut t.data {
            match name.rsplit('.').next() {
                Some("gamma" | "variance") => *v = random.between(0.5, 1.5),
                Some("beta" | "mean" | "bias") => *v = random.normal() * 0.2,
                _ => (),
            }
        }
    }
    let folded = network.fold(&architecture).unwrap();
    let model = architecture.to_onnx((96, 64), &folded).unwrap();
    let bytes = crate::net::write_model(&model);
    let plan = tract_onnx::onnx().model_for_read(&mut bytes.as_slice()).unwrap();
    let plan = plan.into_optimized().unwrap().into_runnable().unwrap();
    let planes: Vec<f32> = (0..3 * 64 * 96).map(|_| random.between(-2.0, 2.0)).collect();
    let input = tract_onnx::prelude::Tensor::from_shape(&[1, 3, 64, 96], &planes).unwrap();
    let theirs = plan.run(tvec!(input.into())).unwrap();
    let ours = model::infer(&architecture, &folded, planes, (96, 64)).unwrap();
    for (level, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        let theirs = theirs.view();
        let theirs = theirs.as_slice::<f32>().unwrap();
        assert_eq!(theirs.len(), ours.data.len());
        let worst = theirs.iter().zip(&ours.data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "level {level} differs by {worst}");
    }
}

/// Runs only in builds for a card, which must then have one (a software Vulkan will do).
#[cfg(any(feature = "cuda", feature = "wgpu"))]
#[test]
fn a_pass_elsewhere_is_a_pass_on_the_processor() {
    let architecture = recipe(1).architecture;
    let network = model::Network::new(&architecture, 7);
    let mut random = Random::new(3);
    let pixels: Vec<f32> = (0..2 * 3 * 64 * 64).map(|_| random.between(-2.0, 2.0)).collect();
    let run = |compute: Compute| {
        let images = (pixels.clone(), [2, 3, 64, 64]);
        let pass = model::Pass::forward(&architecture, &network, images, compute).unwrap();
        let levels = pass.levels().unwrap();
        let slopes = levels.each_ref().map(|l| l.data.iter().map(|v| v * 0.1).collect());
        let mut statistics = network.statistics.clone();
        pass.update_statistics(&mut statistics);
        (levels.map(|l| l.data), pass.backward(slopes).unwrap(), statistics)
    };
    let near = |a: &[f32], b: &[f32], what: &str| {
        assert_eq!(a.len(), b.len(), "{what}");
        let size = b.iter().map(|v| v.abs()).fold(0.0, f32::max);
        let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= 2e-3 * size.max(1e-3), "{what}: {worst} of {size}");
    };
    let (levels, grads, statistics) = run(Compute::Cpu);
    for (name, compute) in Compute::ALL.iter().filter(|(_, c)| *c != Compute::Cpu) {
        let (theirs, their_grads, their_statistics) = run(*compute);
        for (a, b) in theirs.iter().zip(&levels) {
            near(a, b, name);
        }
        for (tensor, grad) in &grads {
            near(&their_grads[tensor], grad, &format!("{name} gradient of {tensor}"));
        }
        for (tensor, array) in &statistics.tensors {
            near(&their_statistics.tensors[tensor].data, &array.data, &format!("{name} {tensor}"));
        }
    }
}
