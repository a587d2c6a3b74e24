//! The trainable part of a model as one vector, and models that have learned: the manifest's file with a vector added.
//!
//! A manifest names initialisers of its ONNX file, to each of whose values one is added, and kernels whose windows move
//! evenly ([`part`]): in that order, row-major, they are the vector. What is learned is kept apart from the file, whose hash therefore stays that of the manifest: a model that has learned
//! shares the file's bytes with the one it came from, and the vector is added while a plan is built.
//!
//! Knows no training and no network: where a vector comes from is the caller's affair.

pub(crate) mod part;

use std::sync::Arc;

use prost::Message;
use tract_onnx::pb;

use crate::detector::Model;
use crate::manifest::Manifest;
use crate::net::{NetError, read_model, read_tensor, write_tensor};
use part::Part;

/// Why what was learned cannot be added to a model.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum LearnedError {
    #[error(
        "model {model}: {actual} learned values were given, its trainable part has {expected}; they belong to another \
         model, fetch those of this one or start again from zeros"
    )]
    Length { model: String, expected: usize, actual: usize },
    #[error("model {model}: learned values for {tensor} are not finite; drop them and keep the last good ones")]
    NotFinite { model: String, tensor: String },
    #[error(
        "model {model}: {tensor} with what was learned is not finite; the learned values are damaged, drop them and \
         keep the last good ones"
    )]
    Overflow { model: String, tensor: String },
    #[error("model {model}: its file has no initialiser {tensor}; correct `trainable.initializers` in the manifest")]
    Missing { model: String, tensor: String },
    #[error(
        "model {model}: its file has the initialiser {tensor} more than once; take it out of `trainable.initializers` \
         in the manifest"
    )]
    Ambiguous { model: String, tensor: String },
    #[error(
        "model {model}: initialiser {tensor} does not hold f32 values; take it out of `trainable.initializers` in the \
         manifest"
    )]
    NotF32 { model: String, tensor: String },
    #[error("model {model}: {tensor} is no kernel of a convolution; take it out of `trainable.even` in the manifest")]
    NoKernel { model: String, tensor: String },
    #[error("model {model}: {source}; get the file again")]
    File { model: String, source: NetError },
}

impl Model {
    /// How many values the trainable part has; 0 when the manifest names none.
    ///
    /// # Errors
    /// The file is no ONNX model, or a named initialiser is absent, there twice, or not f32.
    pub fn trainable_len(&self) -> Result<usize, LearnedError> {
        Ok(parts(self.manifest(), &proto(self)?)?.iter().map(|(_, part)| part.len()).sum())
    }

    /// The values of all trainable tensors as this model runs with them: the file's, changed by what was learned.
    ///
    /// # Errors
    /// As [`Model::trainable_len`].
    pub fn trained(&self) -> Result<Vec<f32>, LearnedError> {
        let mut proto = proto(self)?;
        add(self.manifest(), &mut proto, self.learned_values())?;
        let parts = parts(self.manifest(), &proto)?;
        Ok(parts.into_iter().flat_map(|(_, part)| part.tensor.data).collect())
    }

    /// This model's file with `learned` added to its trainable part, ready to be used. What `self` itself had
    /// learned does not count: the sum starts at the file. The file's bytes are shared, plans are not.
    ///
    /// # Errors
    /// Another length than [`Model::trainable_len`], values or sums that are not finite, a file whose trainable part
    /// is not what the manifest says.
    pub fn learned(&self, learned: &[f32]) -> Result<Self, LearnedError> {
        add(self.manifest(), &mut proto(self)?, Some(learned))?;
        Ok(self.with_learned(Arc::from(learned)))
    }

    /// The ONNX file of this model's file with `learned` added: a file of its own, with a hash of its own.
    ///
    /// # Errors
    /// As [`Model::learned`].
    pub fn learned_onnx(&self, learned: &[f32]) -> Result<Vec<u8>, LearnedError> {
        let mut proto = proto(self)?;
        add(self.manifest(), &mut proto, Some(learned))?;
        Ok(proto.encode_to_vec())
    }
}

/// Adds `learned` to the initialisers of `proto` that `manifest` names as trainable; `None` adds nothing.
pub(crate) fn add(
    manifest: &Manifest,
    proto: &mut pb::ModelProto,
    learned: Option<&[f32]>,
) -> Result<(), LearnedError> {
    let Some(learned) = learned else { return Ok(()) };
    let model = || manifest.name.clone();
    let parts = parts(manifest, proto)?;
    let expected = parts.iter().map(|(_, part)| part.len()).sum();
    if learned.len() != expected {
        return Err(LearnedError::Length { model: model(), expected, actual: learned.len() });
    }
    let Some(graph) = proto.graph.as_mut() else { return Ok(()) };
    let mut rest = learned;
    for (at, part) in parts {
        let (values, after) = rest.split_at(part.len());
        rest = after;
        if !values.iter().all(|v| v.is_finite()) {
            return Err(LearnedError::NotFinite { model: model(), tensor: part.name });
        }
        let tensor = part.with(values);
        if !tensor.data.iter().all(|v| v.is_finite()) {
            return Err(LearnedError::Overflow { model: model(), tensor: part.name });
        }
        graph.initializer[at] = write_tensor(&part.name, &tensor);
    }
    Ok(())
}

/// The trainable part in the vector's order: where in the graph each tensor is, and what it holds.
pub(crate) fn parts(manifest: &Manifest, proto: &pb::ModelProto) -> Result<Vec<(usize, Part)>, LearnedError> {
    let all = proto.graph.as_ref().map_or(&[][..], |g| &g.initializer);
    let find = |name: &String| {
        let (model, tensor) = (manifest.name.clone(), name.clone());
        let mut named = all.iter().enumerate().filter(|(_, i)| i.name == *name);
        let (at, initialiser) = match (named.next(), named.next()) {
            (Some(one), None) => one,
            (None, _) => return Err(LearnedError::Missing { model, tensor }),
            (Some(_), Some(_)) => return Err(LearnedError::Ambiguous { model, tensor }),
        };
        if initialiser.data_type != pb::tensor_proto::DataType::Float as i32 {
            return Err(LearnedError::NotF32 { model, tensor });
        }
        Ok((at, read_tensor(initialiser).map_err(|source| LearnedError::File { model, source })?))
    };
    let added = manifest.trainable.initializers.iter().map(|name| {
        let (at, tensor) = find(name)?;
        Ok((at, Part::whole(name.clone(), tensor)))
    });
    let even = manifest.trainable.even.iter().map(|name| {
        let (at, tensor) = find(name)?;
        let no_kernel = || LearnedError::NoKernel { model: manifest.name.clone(), tensor: name.clone() };
        Ok((at, Part::evenly(name.clone(), tensor).ok_or_else(no_kernel)?))
    });
    added.chain(even).collect()
}

fn proto(model: &Model) -> Result<pb::ModelProto, LearnedError> {
    read_model(model.file()).map_err(|source| LearnedError::File { model: model.manifest().name.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Trainable;
    use crate::net::{Architecture, Stage, Weights, write_model};
    use crate::{Detection, Digest, ObjectClass, builtin};
    use proptest::prelude::*;

    fn detections(model: &Model) -> Vec<Detection> {
        let detector = model.at(Some((96, 64))).unwrap();
        let mut input = detector.new_input().unwrap();
        let rgb: Vec<u8> = (0..96 * 64 * 3).map(|i| (i * i % 253) as u8).collect();
        input.fill_rgb(&rgb).unwrap();
        detector.detect(&input, 0.001).unwrap()
    }

    fn manifest(initialisers: &[&str], file: &[u8]) -> Manifest {
        let mut manifest = builtin::default_model().unwrap().manifest().clone();
        let initializers = initialisers.iter().map(|&s| s.to_owned()).collect();
        manifest.trainable = Trainable { initializers, ..Trainable::default() };
        manifest.blake3 = Digest::of(file);
        manifest
    }

    fn small() -> pb::ModelProto {
        let stages = [Stage { channels: 4, blocks: 0 }; 3];
        let classes = vec![ObjectClass::Face, ObjectClass::Person];
        let architecture = Architecture { classes, stem: [2, 3], stages, head: 3 };
        let mut n = 0;
        let weights = Weights::filled(&architecture, || {
            n += 1;
            (n % 19) as f32 * 0.03 - 0.25
        });
        architecture.to_onnx((64, 64), &weights).unwrap()
    }

    fn small_model(initialisers: &[&str]) -> Model {
        let file = write_model(&small());
        Model::new(manifest(initialisers, &file), file).unwrap()
    }

    const PART: [&str; 3] = ["out16.bias", "head.weight", "out8.weight"];

    #[test]
    fn zeros_change_nothing_and_a_delta_changes_what_is_found() {
        let model = builtin::default_model().unwrap();
        assert_eq!(model.trainable_len().unwrap(), 38_098);
        let before = detections(&model);
        assert!(!before.is_empty());
        let zeros = model.learned(&vec![0.0; 38_098]).unwrap();
        assert_eq!(detections(&zeros), before);
        assert_eq!(zeros.trained().unwrap(), model.trained().unwrap());
        let moved = model.learned(&vec![0.01; 38_098]).unwrap();
        assert_ne!(detections(&moved), before);
        // The sum starts at the file, whatever the model had learned.
        assert_eq!(detections(&moved.learned(&vec![0.0; 38_098]).unwrap()), before);
        assert_eq!(moved.manifest(), model.manifest());
    }

    #[test]
    fn a_delta_changes_exactly_the_named_tensors_in_the_manifests_order() {
        let model = small_model(&PART);
        let before = Weights::from_model(&small()).unwrap();
        let n = model.trainable_len().unwrap();
        assert_eq!(n, 6 + 81 + 18);
        let learned: Vec<f32> = (0..n).map(|i| i as f32 + 1.0).collect();
        let file = model.learned_onnx(&learned).unwrap();
        let after = Weights::from_model(&read_model(&file).unwrap()).unwrap();
        let mut rest = &learned[..];
        for name in PART {
            let (old, new) = (&before.tensors[name], &after.tensors[name]);
            assert_eq!(old.shape, new.shape);
            let (delta, after) = rest.split_at(old.data.len());
            assert!(old.data.iter().zip(delta).zip(&new.data).all(|((o, d), n)| o + d == *n), "{name}");
            rest = after;
        }
        for (name, tensor) in before.tensors.iter().filter(|(name, _)| !PART.contains(&name.as_str())) {
            assert_eq!(tensor, &after.tensors[name], "{name}");
        }
        // What the file finds is what the model finds that has learned the same.
        let written = Model::new(manifest(&PART, &file), file).unwrap();
        assert_eq!(detections(&written), detections(&model.learned(&learned).unwrap()));
    }

    #[test]
    fn kernels_whose_windows_move_evenly_follow_the_named_tensors() {
        let file = write_model(&small());
        let even = |names: &[&str]| {
            let mut manifest = manifest(&["out16.bias"], &file);
            manifest.trainable.even = names.iter().map(|&s| s.to_owned()).collect();
            Model::new(manifest, file.clone()).unwrap()
        };
        let model = even(&["head.weight"]);
        assert_eq!(model.trainable_len().unwrap(), 6 + 9);
        let mut learned = vec![0.0; 15];
        (learned[2], learned[6 + 4]) = (1.0, 1.5);
        let before = Weights::from_model(&small()).unwrap();
        let after = model.learned_onnx(&learned).unwrap();
        let after = Weights::from_model(&read_model(&after).unwrap()).unwrap();
        for (name, tensor) in &before.tensors {
            let moved = tensor.data.iter().zip(&after.tensors[name].data).map(|(b, a)| a - b);
            for (at, moved) in moved.enumerate() {
                let expected = match (name.as_str(), at) {
                    ("out16.bias", 2) => 1.0,
                    ("head.weight", 36..45) => 0.5,
                    _ => 0.0,
                };
                assert!((moved - expected).abs() < 1e-6, "{name} {at}: {moved}");
            }
        }
        let bias = even(&["head.bias"]).trainable_len().unwrap_err();
        assert!(matches!(&bias, LearnedError::NoKernel { tensor, .. } if tensor == "head.bias"), "{bias}");
    }

    #[test]
    fn errors_name_the_model_and_the_tensor() {
        let model = small_model(&PART);
        let n = model.trainable_len().unwrap();
        let error = model.learned(&[0.0; 3]).err().unwrap();
        assert!(matches!(error, LearnedError::Length { expected, actual: 3, .. } if expected == n), "{error}");
        let mut learned = vec![0.0; n];
        learned[7] = f32::NAN;
        let error = model.learned(&learned).err().unwrap();
        assert!(matches!(&error, LearnedError::NotFinite { tensor, .. } if tensor == "head.weight"), "{error}");
        // f32::MAX + 0.25 rounds to f32::MAX: still a number.
        model.learned(&vec![f32::MAX; n]).unwrap();

        let missing = small_model(&["out16.bias", "no.such"]).trainable_len().unwrap_err();
        assert!(matches!(&missing, LearnedError::Missing { tensor, .. } if tensor == "no.such"), "{missing}");

        let altered = |change: &dyn Fn(&mut pb::GraphProto)| {
            let mut proto = small();
            change(proto.graph.as_mut().unwrap());
            let file = write_model(&proto);
            Model::new(manifest(&PART, &file), file).unwrap().trainable_len().unwrap_err()
        };
        let whole = altered(&|g| {
            g.initializer.iter_mut().filter(|i| i.name == "head.weight").for_each(|i| i.data_type = 7);
        });
        assert!(matches!(&whole, LearnedError::NotF32 { tensor, .. } if tensor == "head.weight"), "{whole}");
        let twice = altered(&|g| g.initializer.extend_from_within(..));
        assert!(matches!(&twice, LearnedError::Ambiguous { .. }), "{twice}");
        let short = altered(&|g| g.initializer.iter_mut().for_each(|i| i.raw_data.truncate(4)));
        assert!(matches!(&short, LearnedError::File { .. }), "{short}");
        let rubbish = b"certainly not a model".to_vec();
        let rubbish = Model::new(manifest(&PART, &rubbish), rubbish).unwrap().trainable_len().unwrap_err();
        assert!(matches!(&rubbish, LearnedError::File { .. }), "{rubbish}");
    }

    #[test]
    fn a_sum_that_is_not_finite_is_refused() {
        let mut proto = small();
        for i in proto.graph.as_mut().unwrap().initializer.iter_mut().filter(|i| i.name == "out16.bias") {
            i.raw_data = [f32::MAX; 6].iter().flat_map(|v| v.to_le_bytes()).collect();
        }
        let file = write_model(&proto);
        let model = Model::new(manifest(&["out16.bias"], &file), file).unwrap();
        let error = model.learned(&[f32::MAX; 6]).err().unwrap();
        assert!(matches!(&error, LearnedError::Overflow { tensor, .. } if tensor == "out16.bias"), "{error}");
    }

    #[test]
    fn a_model_with_nothing_to_train_learns_nothing() {
        let model = small_model(&[]);
        assert_eq!(model.trainable_len().unwrap(), 0);
        model.learned(&[]).unwrap();
        assert!(model.learned(&[1.0]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn what_was_added_can_be_read_back(values in proptest::collection::vec(-64i16..64, 105)) {
            let model = small_model(&PART);
            let learned: Vec<f32> = values.iter().map(|&v| f32::from(v) / 64.0).collect();
            let expected: Vec<f32> = model.trained().unwrap().iter().zip(&learned).map(|(v, d)| v + d).collect();
            let after = model.learned(&learned).unwrap();
            prop_assert_eq!(after.trained().unwrap(), &expected[..]);
            let file = model.learned_onnx(&learned).unwrap();
            let written = Model::new(manifest(&PART, &file), file).unwrap();
            prop_assert_eq!(written.trained().unwrap(), expected);
            prop_assert_eq!(written.trained().unwrap(), after.trained().unwrap());
        }

        #[test]
        fn any_values_of_any_number_are_taken_or_refused(values in proptest::collection::vec(any::<f32>(), 100..110)) {
            let good = values.len() == 105 && values.iter().all(|v| v.is_finite());
            prop_assert_eq!(small_model(&PART).learned(&values).is_ok(), good);
        }
    }
}
