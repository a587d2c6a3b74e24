//! Convolutions whose kernels learn evenly, taken apart.
//!
//! To move every window of a kernel evenly is to add a 1x1 convolution of the blurred input. The kernel itself then
//! stays as it is and belongs to the frozen part, and so does the blur: what is left to run in every step of training is a
//! ninth of a 3x3 kernel's work, forth and back. What is computed is the same.
//!
//! Knows a graph and names; no stills and no loss.

use super::AdaptError;
use crate::learned::part::Part;
use crate::manifest::Manifest;
use crate::net::{Tensor as Array, write_tensor};
use tract_onnx::pb;

/// Takes every convolution apart whose kernel is one of `parts` that learn evenly. In its place come one by the kernel as it
/// was, a blur of each channel, a 1x1 convolution of what is blurred, whose kernel has the part's name and holds zeros, and
/// the sum. Returns the parts of the graph as it is then: the same names, in the same order, with as many values.
///
/// # Errors
/// A kernel that something else than a convolution reads.
pub(super) fn take_apart(
    manifest: &Manifest,
    graph: &mut pb::GraphProto,
    parts: Vec<Part>,
) -> Result<Vec<Part>, AdaptError> {
    let (mut apart, mut even) = (Vec::with_capacity(parts.len()), Vec::new());
    for part in parts {
        let (outputs, inputs, height, width) = match *part.tensor.shape.as_slice() {
            [outputs, inputs, height, width] if part.window > 1 => (outputs, inputs, height, width),
            _ => {
                apart.push(part);
                continue;
            }
        };
        let one = Array { shape: vec![outputs, inputs, 1, 1], data: vec![0.0; outputs * inputs] };
        let blur = vec![part.share(); inputs * height * width];
        let blur = Array { shape: vec![inputs, 1, height, width], data: blur };
        graph.initializer.iter_mut().filter(|i| i.name == part.name).for_each(|i| i.name = fixed(&part.name));
        graph.initializer.extend([write_tensor(&part.name, &one), write_tensor(&blurring(&part.name), &blur)]);
        apart.push(Part::whole(part.name.clone(), one));
        even.push((part.name, inputs));
    }
    for node in std::mem::take(&mut graph.node) {
        match even.iter().find(|(name, _)| node.input.contains(name)) {
            None => graph.node.push(node),
            Some((name, inputs)) => graph.node.extend(split(&node, name, *inputs).ok_or_else(|| AdaptError::Tail {
                model: manifest.name.clone(),
                node: node.name.clone(),
                reason: format!("{name} is trained evenly, and this is no convolution by it"),
            })?),
        }
    }
    Ok(apart)
}

/// What a convolution by this kernel, of so many inputs, becomes; none where it is something else.
fn split(node: &pb::NodeProto, kernel: &str, inputs: usize) -> Option<[pb::NodeProto; 4]> {
    let ([seen, weight, bias @ ..], [output]) = (&node.input[..], &node.output[..]) else { return None };
    if node.op_type != "Conv" || weight != kernel || seen == kernel {
        return None;
    }
    let (base, blurred, mixed) = (format!("{output}.fixed"), format!("{output}.blurred"), format!("{output}.mixed"));
    let made = |op_type: &str, input: Vec<String>, output: &String, attribute| pb::NodeProto {
        name: output.clone(),
        op_type: op_type.to_owned(),
        input,
        output: vec![output.clone()],
        attribute,
        ..Default::default()
    };
    let same = node.attribute.clone();
    let mut apart = same.clone();
    apart.retain(|a| a.name != "group");
    let kind = pb::attribute_proto::AttributeType::Int as i32;
    apart.push(pb::AttributeProto { name: "group".to_owned(), r#type: kind, i: inputs as i64, ..Default::default() });
    Some([
        made("Conv", vec![seen.clone(), fixed(kernel)], &base, same),
        made("Conv", vec![seen.clone(), blurring(kernel)], &blurred, apart),
        made("Conv", [&[blurred.clone(), weight.clone()], bias].concat(), &mixed, Vec::new()),
        made("Add", vec![mixed.clone(), base.clone()], output, Vec::new()),
    ])
}

/// The name of a kernel as it was.
fn fixed(kernel: &str) -> String {
    format!("{kernel}.fixed")
}

/// The name of the kernel that blurs.
fn blurring(kernel: &str) -> String {
    format!("{kernel}.blur")
}
