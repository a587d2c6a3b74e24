//! The network as an ONNX graph: convolutions with bias, ReLU, nearest upsampling and addition.

use super::weights::write;
use super::{After, Architecture, Conv, NetError, STRIDES, Tensor, Weights};
use prost::Message;
use tract_onnx::pb;

impl Architecture {
    /// The network as an ONNX model (opset 13) with a static input of `input` = (width, height) pixels.
    ///
    /// # Errors
    /// [`NetError::Architecture`], [`NetError::InputSize`] when a side is no multiple of 32, and
    /// [`NetError::Tensor`] when a weight is absent, misshapen or not finite.
    pub fn to_onnx(&self, input: (usize, usize), weights: &Weights) -> Result<pb::ModelProto, NetError> {
        self.check()?;
        let (width, height) = input;
        if [width, height].iter().any(|side| side % 32 != 0 || !(32..=8192).contains(side)) {
            return Err(NetError::InputSize(width, height));
        }
        let mut graph = Writer { graph: pb::GraphProto { name: "volet".to_owned(), ..Default::default() } };
        graph.graph.input.push(value("image", &[1, 3, height, width]));
        let convs = self.convs();
        for conv in &convs {
            let weight = weights.get(&conv.weight_name(), &conv.weight_shape())?;
            let bias = weights.get(&conv.bias_name(), &[conv.outputs])?;
            graph.graph.initializer.push(write(&conv.weight_name(), weight));
            graph.graph.initializer.push(write(&conv.bias_name(), bias));
        }
        graph.graph.initializer.push(write("twice", &Tensor { shape: vec![4], data: vec![1.0, 1.0, 2.0, 2.0] }));
        self.nodes(&convs, &mut graph);
        for stride in STRIDES {
            let shape = [1, self.outputs(), height / stride, width / stride];
            graph.graph.output.push(value(&format!("p{stride}"), &shape));
        }
        Ok(pb::ModelProto {
            ir_version: 8,
            opset_import: vec![pb::OperatorSetIdProto { domain: String::new(), version: 13 }],
            producer_name: "volet".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(graph.graph),
            ..Default::default()
        })
    }

    fn nodes(&self, convs: &[Conv], graph: &mut Writer) {
        let mut backbone = String::from("image");
        let mut laterals: Vec<String> = Vec::new();
        let mut ends: Vec<String> = Vec::new();
        let (head, outs): (Vec<_>, Vec<_>) =
            convs.iter().filter(|c| c.name == "head" || c.after == After::Bias).partition(|c| c.name == "head");
        for (i, conv) in convs.iter().enumerate() {
            if conv.name.starts_with("stem") || conv.name.starts_with("stage") {
                backbone = graph.conv(conv, &backbone, &conv.name);
                let next_stage = convs.get(i + 1).is_none_or(|n| n.name.ends_with("down") || n.name == "lateral8");
                if conv.name.starts_with("stage") && next_stage {
                    ends.push(backbone.clone());
                }
            } else if let Some(end) = ends.get(laterals.len()).filter(|_| conv.name.starts_with("lateral")) {
                laterals.push(graph.conv(conv, end, &conv.name));
            }
        }
        let mut above: Option<String> = None;
        for ((lateral, stride), out) in laterals.iter().zip(STRIDES).zip(outs).rev() {
            let merged = match above {
                None => lateral.clone(),
                Some(upper) => {
                    let up = graph.upsample(&upper, &format!("up{stride}"));
                    graph.node("Add", &[lateral, &up], &format!("merge{stride}"), vec![])
                }
            };
            let mut x = merged.clone();
            for conv in &head {
                x = graph.conv(conv, &x, &format!("{}{stride}", conv.name));
            }
            graph.conv(out, &x, &format!("p{stride}"));
            above = Some(merged);
        }
    }
}

/// Encodes a model as the bytes of an `.onnx` file.
pub fn write_model(model: &pb::ModelProto) -> Vec<u8> {
    model.encode_to_vec()
}

/// Decodes the bytes of an `.onnx` file.
///
/// # Errors
/// [`NetError::Onnx`] when they are none.
pub fn read_model(bytes: &[u8]) -> Result<pb::ModelProto, NetError> {
    pb::ModelProto::decode(bytes).map_err(|e| NetError::Onnx(e.to_string()))
}

struct Writer {
    graph: pb::GraphProto,
}

impl Writer {
    fn conv(&mut self, conv: &Conv, input: &str, output: &str) -> String {
        let (kernel, stride) = (conv.kernel as i64, conv.stride as i64);
        let attributes = vec![
            ints("kernel_shape", vec![kernel; 2]),
            ints("strides", vec![stride; 2]),
            ints("pads", vec![kernel / 2; 4]),
        ];
        let (weight, bias) = (conv.weight_name(), conv.bias_name());
        if conv.after == After::NormRelu {
            let linear = self.node("Conv", &[input, &weight, &bias], &format!("{output}.linear"), attributes);
            self.node("Relu", &[&linear], output, vec![])
        } else {
            self.node("Conv", &[input, &weight, &bias], output, attributes)
        }
    }

    fn upsample(&mut self, input: &str, output: &str) -> String {
        let attributes = vec![
            text("mode", "nearest"),
            text("nearest_mode", "floor"),
            text("coordinate_transformation_mode", "asymmetric"),
        ];
        self.node("Resize", &[input, "", "twice"], output, attributes)
    }

    fn node(&mut self, op: &str, inputs: &[&str], output: &str, attribute: Vec<pb::AttributeProto>) -> String {
        self.graph.node.push(pb::NodeProto {
            name: output.to_owned(),
            op_type: op.to_owned(),
            input: inputs.iter().map(|&i| i.to_owned()).collect(),
            output: vec![output.to_owned()],
            attribute,
            ..Default::default()
        });
        output.to_owned()
    }
}

fn ints(name: &str, ints: Vec<i64>) -> pb::AttributeProto {
    let kind = pb::attribute_proto::AttributeType::Ints as i32;
    pb::AttributeProto { name: name.to_owned(), r#type: kind, ints, ..Default::default() }
}

fn text(name: &str, value: &str) -> pb::AttributeProto {
    let kind = pb::attribute_proto::AttributeType::String as i32;
    pb::AttributeProto { name: name.to_owned(), r#type: kind, s: value.as_bytes().to_vec(), ..Default::default() }
}

fn value(name: &str, shape: &[usize]) -> pb::ValueInfoProto {
    use pb::tensor_shape_proto::{Dimension, dimension::Value};
    let dim =
        shape.iter().map(|&d| Dimension { value: Some(Value::DimValue(d as i64)), ..Default::default() }).collect();
    let tensor = pb::type_proto::Tensor {
        elem_type: pb::tensor_proto::DataType::Float as i32,
        shape: Some(pb::TensorShapeProto { dim }),
    };
    let kind = pb::TypeProto { value: Some(pb::type_proto::Value::TensorType(tensor)), ..Default::default() };
    pb::ValueInfoProto { name: name.to_owned(), r#type: Some(kind), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ObjectClass;
    use crate::net::Stage;

    fn small() -> Architecture {
        Architecture {
            classes: vec![ObjectClass::Face, ObjectClass::Person],
            stem: [4, 6],
            stages: [Stage { channels: 8, blocks: 1 }; 3],
            head: 8,
        }
    }

    #[test]
    fn weights_survive_the_file_and_patching_changes_only_what_is_named() {
        let mut n = 0.0;
        let weights = Weights::filled(&small(), || {
            n += 0.25;
            n
        });
        let bytes = write_model(&small().to_onnx((64, 32), &weights).unwrap());
        let mut model = read_model(&bytes).unwrap();
        let mut read = Weights::from_model(&model).unwrap();
        read.tensors.remove("twice");
        assert_eq!(read, weights);

        let mut update = Weights::default();
        update.tensors.insert("out8.bias".to_owned(), Tensor { shape: vec![6], data: vec![7.0; 6] });
        update.patch(&mut model).unwrap();
        let patched = Weights::from_model(&model).unwrap();
        assert_eq!(patched.tensors["out8.bias"].data, vec![7.0; 6]);
        assert_eq!(patched.tensors["head.weight"], weights.tensors["head.weight"]);
        update.tensors.insert("no.such".to_owned(), Tensor { shape: vec![1], data: vec![0.0] });
        assert!(update.patch(&mut model).is_err());
    }

    #[test]
    fn wrong_sizes_and_hostile_files_are_errors() {
        let weights = Weights::filled(&small(), || 0.0);
        assert!(small().to_onnx((640, 380), &weights).is_err());
        assert!(small().to_onnx((640, 0), &weights).is_err());
        let mut other = small();
        other.head = 9;
        assert!(other.to_onnx((64, 64), &weights).is_err());
        let mut bad = weights;
        bad.tensors.get_mut("head.bias").unwrap().data[0] = f32::NAN;
        assert!(small().to_onnx((64, 64), &bad).is_err());
        assert!(read_model(b"certainly not a model").is_err());
        let mut model = pb::ModelProto::default();
        assert!(Weights::from_model(&model).is_err());
        let liar =
            pb::TensorProto { dims: vec![i64::MAX, 8], data_type: 1, raw_data: vec![0; 8], ..Default::default() };
        model.graph = Some(pb::GraphProto { initializer: vec![liar], ..Default::default() });
        assert!(Weights::from_model(&model).is_err());
    }
}
