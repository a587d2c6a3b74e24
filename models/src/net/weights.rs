//! Named tensors: what training produces, what an ONNX file's initialisers hold, what an update changes.

use super::{Architecture, NetError};
use std::collections::BTreeMap;
use tract_onnx::pb;

/// A dense tensor of f32, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Lengths of the dimensions.
    pub shape: Vec<usize>,
    /// The values, as many as the product of the shape.
    pub data: Vec<f32>,
}

/// Tensors by name, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// The tensors.
    pub tensors: BTreeMap<String, Tensor>,
}

impl Weights {
    /// Weights of the right shapes drawn from `next` (called once per value, in the order of
    /// [`Architecture::convs`]); biases are 0. For speed measurements and tests.
    pub fn filled(architecture: &Architecture, mut next: impl FnMut() -> f32) -> Self {
        let mut tensors = BTreeMap::new();
        for conv in architecture.convs() {
            let shape = conv.weight_shape();
            let data = (0..shape.iter().product()).map(|_| next()).collect();
            tensors.insert(conv.weight_name(), Tensor { shape: shape.to_vec(), data });
            tensors.insert(conv.bias_name(), Tensor { shape: vec![conv.outputs], data: vec![0.0; conv.outputs] });
        }
        Self { tensors }
    }

    /// The tensor `name`, of exactly `shape` and all finite.
    ///
    /// # Errors
    /// [`NetError::Tensor`] when it is absent, of another shape, or not finite.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<&Tensor, NetError> {
        let fail = |found: String| NetError::Tensor { name: name.to_owned(), expected: shape.to_vec(), found };
        let tensor = self.tensors.get(name).ok_or_else(|| fail("none".to_owned()))?;
        if tensor.shape != shape || tensor.data.len() != shape.iter().product::<usize>() {
            return Err(fail(format!("{:?}", tensor.shape)));
        }
        if tensor.data.iter().any(|v| !v.is_finite()) {
            return Err(fail("values that are not finite".to_owned()));
        }
        Ok(tensor)
    }

    /// Every f32 initialiser of a model.
    ///
    /// # Errors
    /// [`NetError::Onnx`] when an initialiser's data do not fill its dimensions.
    pub fn from_model(model: &pb::ModelProto) -> Result<Self, NetError> {
        let graph = model.graph.as_ref().ok_or_else(|| NetError::Onnx("it has no graph".to_owned()))?;
        let mut tensors = BTreeMap::new();
        for initialiser in &graph.initializer {
            if initialiser.data_type == pb::tensor_proto::DataType::Float as i32 {
                tensors.insert(initialiser.name.clone(), read(initialiser)?);
            }
        }
        Ok(Self { tensors })
    }

    /// Writes every tensor of `self` into the initialiser of the same name; the others stay as they are.
    ///
    /// # Errors
    /// [`NetError::Tensor`] when the model has no f32 initialiser of that name and shape (nothing is
    /// promised about the model then), [`NetError::Onnx`] when it has no graph.
    pub fn patch(&self, model: &mut pb::ModelProto) -> Result<(), NetError> {
        let graph = model.graph.as_mut().ok_or_else(|| NetError::Onnx("it has no graph".to_owned()))?;
        for (name, tensor) in &self.tensors {
            let fail = |found: String| NetError::Tensor { name: name.clone(), expected: tensor.shape.clone(), found };
            let target = graph
                .initializer
                .iter_mut()
                .find(|i| i.name == *name && i.data_type == pb::tensor_proto::DataType::Float as i32)
                .ok_or_else(|| fail("no such initialiser".to_owned()))?;
            if target.dims != dims(&tensor.shape) || tensor.data.len() != tensor.shape.iter().product::<usize>() {
                return Err(fail(format!("{:?}", target.dims)));
            }
            *target = write(name, tensor);
        }
        Ok(())
    }
}

#[cfg(feature = "train")]
impl Weights {
    /// Every tensor as an initialiser named `prefix` + its name.
    pub(crate) fn initialisers(&self, prefix: &str) -> Vec<pb::TensorProto> {
        self.tensors.iter().map(|(name, tensor)| write(&format!("{prefix}{name}"), tensor)).collect()
    }
}

fn dims(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect()
}

/// The ONNX form of a tensor, little-endian raw data.
pub(crate) fn write(name: &str, tensor: &Tensor) -> pb::TensorProto {
    pb::TensorProto {
        name: name.to_owned(),
        dims: dims(&tensor.shape),
        data_type: pb::tensor_proto::DataType::Float as i32,
        raw_data: tensor.data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ..Default::default()
    }
}

/// The tensor that an f32 initialiser holds.
pub(crate) fn read(proto: &pb::TensorProto) -> Result<Tensor, NetError> {
    let fail = |why: &str| NetError::Onnx(format!("initialiser {:?} {why}", proto.name));
    let shape = proto
        .dims
        .iter()
        .map(|&d| usize::try_from(d))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| fail("has a negative dimension"))?;
    let data: Vec<f32> = if proto.raw_data.is_empty() {
        proto.float_data.clone()
    } else {
        proto.raw_data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    };
    let expected = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    if expected != Some(data.len()) || (!proto.raw_data.is_empty() && !proto.raw_data.len().is_multiple_of(4)) {
        return Err(fail("does not hold as many values as its dimensions say"));
    }
    Ok(Tensor { shape, data })
}
