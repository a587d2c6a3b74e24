//! The end of a network that its trainable initialisers are in: cut off, and run in burn with gradients.
//!
//! Whatever is computed before the first trainable node on each path is frozen and stays ONNX, for tract. The tail may
//! be of convolutions (1x1 or 3x3, stride 1, padding that keeps the size), ReLUs and additions. Knows no stills and no loss.

use super::{AdaptError, even};
use crate::learned::part::Part;
use crate::learned::{self, LearnedError};
use crate::learning::loss::Level;
use crate::learning::ops;
use crate::manifest::Manifest;
use crate::net::{Tensor as Array, read_tensor};
use burn::tensor::{Device, Tensor, TensorData, activation};
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb;

/// What remains of a network when its frozen part is cut off.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    /// The values that the frozen part hands over, in the order of its outputs.
    pub(super) cuts: Vec<String>,
    /// The network's outputs.
    outputs: Vec<String>,
    layers: Vec<Layer>,
    /// Every initialiser that the tail uses, and every trainable one, with what was learned.
    pub(super) arrays: BTreeMap<String, Array>,
    /// The trainable ones as the file has them, in the order of what is learned.
    pub(super) parts: Vec<Part>,
}

#[derive(Clone, Debug)]
struct Layer {
    op: Op,
    inputs: Vec<String>,
    output: String,
}

#[derive(Clone, Debug)]
enum Op {
    Conv { weight: String, bias: Option<String> },
    Relu,
    Add,
}

/// Cuts a network into its frozen part, whose outputs are the tail's [`Tail::cuts`], and its tail.
///
/// # Errors
/// A trainable part that the file does not have, or that is not the network's end.
pub(super) fn cut(manifest: &Manifest, mut proto: pb::ModelProto) -> Result<(pb::ModelProto, Tail), AdaptError> {
    let parts: Vec<Part> = learned::parts(manifest, &proto)?.into_iter().map(|(_, part)| part).collect();
    let fail = |node: &str, reason: &str| AdaptError::Tail {
        model: manifest.name.clone(),
        node: node.to_owned(),
        reason: reason.to_owned(),
    };
    let graph = proto.graph.as_mut().ok_or_else(|| fail("", "the file holds no graph"))?;
    let parts = even::take_apart(manifest, graph, parts)?;
    let initialisers: BTreeMap<String, &pb::TensorProto> =
        graph.initializer.iter().map(|i| (i.name.clone(), i)).collect();
    let mut warm: BTreeSet<String> = parts.iter().map(|part| part.name.clone()).collect();
    let mut used = warm.clone();
    let (mut cuts, mut layers, mut frozen) = (Vec::new(), Vec::new(), Vec::new());
    for node in std::mem::take(&mut graph.node) {
        if !node.input.iter().any(|i| warm.contains(i)) {
            frozen.push(node);
            continue;
        }
        let (layer, tensors) = layer(&node, &initialisers).map_err(|reason| fail(&node.name, reason))?;
        used.extend(tensors);
        for input in &layer.inputs {
            if !warm.contains(input) && !cuts.contains(input) {
                cuts.push(input.clone());
            }
        }
        warm.insert(layer.output.clone());
        layers.push(layer);
    }
    if let Some(late) = frozen.iter().find(|n| n.input.iter().any(|i| warm.contains(i))) {
        return Err(fail(&late.name, "it comes before what it needs; have the file's nodes sorted"));
    }
    let outputs: Vec<String> = graph.output.iter().map(|o| o.name.clone()).collect();
    if let Some(apart) = outputs.iter().find(|o| !warm.contains(*o)) {
        return Err(fail(apart, "this output does not depend on the trainable part; name the layers that lead to it"));
    }
    let mut arrays = BTreeMap::new();
    for name in used {
        let initialiser = initialisers.get(&name).ok_or_else(|| fail(&name, "there is no such initialiser"))?;
        let array = read_tensor(initialiser).map_err(|e| fail(&name, &e.to_string()))?;
        arrays.insert(name, array);
    }
    for layer in &layers {
        let Op::Conv { weight, bias } = &layer.op else { continue };
        let channels = match arrays.get(weight).map(|w| w.shape.as_slice()) {
            Some([out, _, k, l]) if k == l && [1, 3].contains(k) => *out,
            _ => return Err(fail(weight, "only kernels of 1x1 and 3x3 can be trained on a device")),
        };
        if bias.as_ref().is_some_and(|b| arrays.get(b).is_none_or(|b| b.shape != [channels])) {
            return Err(fail(weight, "its bias has another length than it has outputs"));
        }
    }
    // What the frozen part does not read would only take memory.
    let read: BTreeSet<&String> = frozen.iter().flat_map(|n| &n.input).collect();
    graph.initializer.retain(|i| read.contains(&i.name));
    graph.output = cuts.iter().map(|c| pb::ValueInfoProto { name: c.clone(), ..Default::default() }).collect();
    graph.value_info.clear();
    graph.node = frozen;
    Ok((proto, Tail { cuts, outputs, layers, arrays, parts }))
}

/// A node as a layer, and the initialisers that it uses.
fn layer(
    node: &pb::NodeProto,
    initialisers: &BTreeMap<String, &pb::TensorProto>,
) -> Result<(Layer, Vec<String>), &'static str> {
    let [output] = node.output.as_slice() else { return Err("it has not one output") };
    let layer = |op, inputs: &[String]| Layer { op, inputs: inputs.to_vec(), output: output.clone() };
    match (node.op_type.as_str(), node.input.as_slice()) {
        ("Relu", [_]) => Ok((layer(Op::Relu, &node.input), Vec::new())),
        ("Add", [one, other]) if ![one, other].iter().any(|i| initialisers.contains_key(*i)) => {
            Ok((layer(Op::Add, &node.input), Vec::new()))
        }
        ("Conv", [input, weight, rest @ ..]) if rest.len() <= 1 => {
            if initialisers.contains_key(input) || !initialisers.contains_key(weight) {
                return Err("its weight is not an initialiser");
            }
            let kernel = initialisers.get(weight).and_then(|w| w.dims.get(2)).copied().unwrap_or_default();
            plain(node, kernel)?;
            let bias = rest.first().filter(|b| !b.is_empty()).cloned();
            let used = [Some(weight.clone()), bias.clone()].into_iter().flatten().collect();
            Ok((layer(Op::Conv { weight: weight.clone(), bias }, std::slice::from_ref(input)), used))
        }
        _ => Err("only Conv, Relu and Add of two layers can follow what is trained; train fewer layers"),
    }
}

/// Checks that a convolution keeps the size of what it sees, in one group.
fn plain(node: &pb::NodeProto, kernel: i64) -> Result<(), &'static str> {
    let mut pads = vec![0; 4];
    for a in &node.attribute {
        match a.name.as_str() {
            "pads" => pads.clone_from(&a.ints),
            "kernel_shape" => (),
            "strides" | "dilations" if a.ints.iter().all(|v| *v == 1) => (),
            "group" if a.i == 1 => (),
            "auto_pad" if a.s == b"NOTSET" => (),
            _ => return Err("its strides, dilations, groups or automatic padding cannot be trained on a device"),
        }
    }
    if pads.len() == 4 && pads.iter().all(|p| *p == kernel / 2) {
        Ok(())
    } else {
        Err("its padding changes the size of what it sees")
    }
}

/// A value handed over by the frozen part, for a batch: `[views, channels, height, width]`.
pub(super) type Batch = (Vec<f32>, [usize; 4]);

/// A forward pass of the tail, ready for its gradient.
pub(super) struct Pass {
    device: Device,
    leaves: BTreeMap<String, Leaf>,
    outputs: Vec<Tensor<4>>,
}

enum Leaf {
    Kernel(Tensor<4>),
    Vector(Tensor<1>),
}

impl Tail {
    /// How many values it learns.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(Part::len).sum()
    }

    /// The tail of a model that has learned this.
    pub(super) fn with(&self, model: &str, learned: &[f32]) -> Result<Self, LearnedError> {
        let expected = self.len();
        if learned.len() != expected {
            return Err(LearnedError::Length { model: model.to_owned(), expected, actual: learned.len() });
        }
        let mut tail = self.clone();
        tail.learn(learned);
        let sick = |part: &&Part| tail.arrays.get(&part.name).is_some_and(|a| !a.data.iter().all(|v| v.is_finite()));
        match tail.parts.iter().find(sick) {
            Some(part) => Err(LearnedError::Overflow { model: model.to_owned(), tensor: part.name.clone() }),
            None => Ok(tail),
        }
    }

    /// Takes what was learned instead of what it had learned before.
    pub(super) fn learn(&mut self, learned: &[f32]) {
        let mut rest = learned;
        for part in &self.parts {
            let (values, after) = rest.split_at(part.len().min(rest.len()));
            rest = after;
            self.arrays.insert(part.name.clone(), part.with(values));
        }
    }

    /// Runs what the frozen part handed over, in the order of [`Tail::cuts`].
    pub(super) fn forward(&self, handed: Vec<Batch>) -> Result<Pass, AdaptError> {
        let device = Device::flex().autodiff();
        let mut leaves = BTreeMap::new();
        for (name, array) in &self.arrays {
            let data = TensorData::new(array.data.clone(), array.shape.clone());
            let learns = self.parts.iter().any(|part| part.name == *name);
            let leaf = if array.shape.len() == 4 {
                let tensor = Tensor::from_data(data, &device);
                Leaf::Kernel(if learns { tensor.require_grad() } else { tensor })
            } else {
                let tensor = Tensor::from_data(TensorData::new(array.data.clone(), [array.data.len()]), &device);
                Leaf::Vector(if learns { tensor.require_grad() } else { tensor })
            };
            leaves.insert(name.clone(), leaf);
        }
        let missing = |name: &String| AdaptError::Backend(format!("{name} is missing"));
        let mut values: BTreeMap<&String, Tensor<4>> = BTreeMap::new();
        for (name, (data, shape)) in self.cuts.iter().zip(handed) {
            values.insert(name, Tensor::from_data(TensorData::new(data, shape), &device));
        }
        for layer in &self.layers {
            let seen = |name: &String| values.get(name).cloned().ok_or_else(|| missing(name));
            let seen: Vec<Tensor<4>> = layer.inputs.iter().map(seen).collect::<Result<_, _>>()?;
            let [x, rest @ ..] = &seen[..] else { return Err(missing(&layer.output)) };
            let x = x.clone();
            let y = match &layer.op {
                Op::Relu => activation::relu(x),
                Op::Add => rest.iter().fold(x, |sum, other| sum + other.clone()),
                Op::Conv { weight, bias } => {
                    let Some(Leaf::Kernel(kernel)) = leaves.get(weight) else { return Err(missing(weight)) };
                    if x.dims()[1] != kernel.dims()[1] {
                        return Err(AdaptError::Backend(format!("{weight} does not fit what it is given")));
                    }
                    let linear = ops::conv(x, kernel.clone(), 1);
                    match bias.as_ref().map(|b| (b, leaves.get(b))) {
                        None => linear,
                        Some((_, Some(Leaf::Vector(b)))) => linear + b.clone().reshape([1, b.dims()[0], 1, 1]),
                        Some((b, _)) => return Err(missing(b)),
                    }
                }
            };
            values.insert(&layer.output, y);
        }
        let output = |name: &String| values.get(name).cloned().ok_or_else(|| missing(name));
        let outputs = self.outputs.iter().map(output).collect::<Result<_, _>>()?;
        Ok(Pass { device, leaves, outputs })
    }
}

impl Pass {
    /// The raw outputs, in the network's order.
    pub(super) fn levels(&self) -> Result<Vec<Level>, AdaptError> {
        let level = |output: &Tensor<4>| {
            let [_, _, height, width] = output.dims();
            Ok(Level { data: numbers(output.clone().inner().into_data())?, height, width })
        };
        self.outputs.iter().map(level).collect()
    }

    /// The gradient of every learned value, in the order of `parts`, given the loss's gradient on the outputs.
    pub(super) fn backward(self, slopes: Vec<Vec<f32>>, parts: &[Part]) -> Result<Vec<f32>, AdaptError> {
        let pulled = self.outputs.iter().zip(slopes).map(|(output, slope)| {
            let slope = Tensor::<4>::from_data(TensorData::new(slope, output.dims()), &self.device);
            (output.clone() * slope).sum()
        });
        let pulled = pulled.reduce(|a, b| a + b);
        let grads = pulled.ok_or_else(|| AdaptError::Backend("the network has no output".to_owned()))?.backward();
        let mut all = Vec::new();
        for part in parts {
            let grad = match self.leaves.get(&part.name) {
                Some(Leaf::Kernel(t)) => t.grad(&grads).map(Tensor::into_data),
                Some(Leaf::Vector(t)) => t.grad(&grads).map(Tensor::into_data),
                None => None,
            };
            let none = || AdaptError::Backend(format!("no gradient for {}", part.name));
            all.extend(numbers(grad.ok_or_else(none)?)?);
        }
        Ok(all)
    }
}

fn numbers(data: TensorData) -> Result<Vec<f32>, AdaptError> {
    data.try_into_vec::<f32>().map_err(|e| AdaptError::Backend(format!("{e:?}")))
}
