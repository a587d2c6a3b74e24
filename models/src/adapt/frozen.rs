//! The frozen part of a network, run once per view by tract; what it hands over is kept for all epochs.
//!
//! A view is a whole still fitted to one size, as a camera's pipeline fits it, and its mirror image. Knows no loss.

use super::AdaptError;
use super::tail::Batch;
use crate::detector::{NetInput, plan};
use crate::fit::{Fitted, fit};
use crate::manifest::Manifest;
use crate::{LabelledBox, Sample};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tract_onnx::pb;
use tract_onnx::prelude::*;

/// A view as the tail sees it.
pub(super) struct View {
    /// What the frozen part hands over, each `[channels, height, width]`.
    handed: Vec<(Vec<f32>, [usize; 3])>,
    /// What is to be found, in pixels of the view.
    pub(super) boxes: Vec<LabelledBox>,
}

/// The frozen part, ready to run on views of one size.
pub(super) struct Frozen {
    plan: Arc<TypedRunnableModel>,
    model: String,
}

impl Frozen {
    pub(super) fn new(manifest: &Manifest, proto: pb::ModelProto, size: (u32, u32)) -> Result<Self, AdaptError> {
        manifest.input.check_size(size.0, size.1)?;
        let fail = |reason| AdaptError::Network { model: manifest.name.clone(), reason };
        let plan = catch_unwind(AssertUnwindSafe(|| plan(proto, size)))
            .unwrap_or_else(|_| Err(TractError::msg("the importer panicked on it")))
            .map_err(|e| fail(format!("{e:#}")))?;
        Ok(Self { plan, model: manifest.name.clone() })
    }

    /// The view of a still, or its mirror image; boxes whose shorter side is less than `smallest` pixels are ignored.
    pub(super) fn view(
        &self,
        still: &Sample,
        mirrored: bool,
        smallest: f32,
        input: &mut NetInput,
    ) -> Result<View, AdaptError> {
        let fitted = fit(still, mirrored, input)?;
        let fail = |reason| AdaptError::Network { model: self.model.clone(), reason };
        let run = |e: TractError| fail(format!("{e:#}"));
        let results = self.plan.run(tvec!(TValue::from_const(input.tensor()))).map_err(run)?;
        let mut handed = Vec::with_capacity(results.len());
        for value in &results {
            let &[1, channels, height, width] = value.shape() else {
                return Err(fail(format!("the trainable part is handed a tensor of shape {:?}", value.shape())));
            };
            let values = value.try_as_plain_ram().and_then(|v| v.as_slice::<f32>()).map_err(run)?;
            handed.push((values.to_vec(), [channels, height, width]));
        }
        Ok(View { handed, boxes: boxes(still, fitted, input.size(), smallest) })
    }
}

/// A still's boxes in its view; those that are too small there are neither right nor wrong to find.
fn boxes(still: &Sample, fitted: Fitted, (width, height): (u32, u32), smallest: f32) -> Vec<LabelledBox> {
    let seen = still.boxes.iter().filter_map(|b| {
        let bbox = fitted.to_input(&b.bbox).clipped(width, height)?;
        Some(LabelledBox { class: b.class, bbox, ignore: b.ignore || bbox.w.min(bbox.h) < smallest })
    });
    seen.collect()
}

/// What the frozen part handed over for all `views`, joined.
pub(super) fn join(views: &[&View]) -> Vec<Batch> {
    let Some(first) = views.first() else { return Vec::new() };
    let join = |(i, (_, [c, h, w])): (usize, &(Vec<f32>, [usize; 3]))| {
        let data = views.iter().flat_map(|v| v.handed[i].0.iter().copied()).collect();
        (data, [views.len(), *c, *h, *w])
    };
    first.handed.iter().enumerate().map(join).collect()
}
