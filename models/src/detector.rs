//! Inference: a verified model file, optimised once by tract for one input size, run as often as wanted.
//!
//! Knows tensors and boxes in pixels of the network's input. Where those pixels come from, and where in a camera's
//! frame they lie, is the caller's affair.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tract_onnx::pb::{self, tensor_proto::DataType};
use tract_onnx::prelude::*;

use crate::decode::{Context, DecodeError, Output};
use crate::geometry::{Detection, ObjectClass, join_parts, non_maximum_suppression};
use crate::learned::{self, LearnedError};
use crate::manifest::{ChannelOrder, InputSpec, Manifest, ManifestError};

/// A verified model file, what was learned since, and its plans for the input sizes that were asked for so far.
pub struct Model {
    manifest: Manifest,
    /// Shared by all that learned from it.
    file: Arc<Vec<u8>>,
    /// Added to the trainable part; checked.
    learned: Option<Arc<[f32]>>,
    ready: Mutex<Vec<Detector>>,
}

/// Plans that a model keeps; a folder of pictures of all shapes must not fill the memory.
const MODEL_KEEPS: usize = 12;

impl Model {
    /// Reads a manifest and the model file beside it.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn open(manifest: &Path) -> Result<Self, ManifestError> {
        let (manifest, file) = Manifest::read(manifest)?;
        Ok(Self { manifest, file: Arc::new(file), learned: None, ready: Mutex::default() })
    }

    /// A model from memory.
    ///
    /// # Errors
    /// The file's hash is not the manifest's.
    pub fn new(manifest: Manifest, file: Vec<u8>) -> Result<Self, ManifestError> {
        manifest.verify(&file)?;
        Ok(Self { manifest, file: Arc::new(file), learned: None, ready: Mutex::default() })
    }

    /// The same file with other values learned, which the caller has checked.
    pub(crate) fn with_learned(&self, learned: Arc<[f32]>) -> Self {
        let (manifest, file) = (self.manifest.clone(), Arc::clone(&self.file));
        Self { manifest, file, learned: Some(learned), ready: Mutex::default() }
    }

    /// The bytes of the file that the manifest names.
    pub(crate) fn file(&self) -> &[u8] {
        &self.file
    }

    /// What is added to the trainable part.
    pub(crate) fn learned_values(&self) -> Option<&[f32]> {
        self.learned.as_deref()
    }

    /// What this model is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Number of trained values in the file: the elements of its floating-point initialisers.
    pub fn parameters(&self) -> u64 {
        let proto = tract_onnx::onnx().proto_model_for_read(&mut &self.file[..]).ok();
        let tensors = proto.and_then(|p| p.graph).map(|g| g.initializer).unwrap_or_default();
        let elements = |dims: &[i64]| dims.iter().map(|&d| d.max(0) as u64).product::<u64>();
        tensors.iter().filter(|t| t.data_type == DataType::Float as i32).map(|t| elements(&t.dims)).sum()
    }

    /// The model ready to run at `size` (width, height), or at its own.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn at(&self, size: Option<(u32, u32)>) -> Result<Detector, LoadError> {
        let size = size.unwrap_or((self.manifest.input.width, self.manifest.input.height));
        // The lock is held while building: several threads that want one size wait for one plan.
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = ready.iter().find(|d| d.input_size() == size) {
            return Ok(found.clone());
        }
        let built = Detector::prepare(self.manifest.clone(), &self.file, self.learned_values(), Some(size))?;
        if ready.len() >= MODEL_KEEPS {
            ready.remove(0);
        }
        ready.push(built.clone());
        Ok(built)
    }
}

/// A model that is ready to run at one input size. Clones share the optimised plan.
#[derive(Clone)]
pub struct Detector {
    manifest: Arc<Manifest>,
    plan: Arc<TypedRunnableModel>,
    output_names: Arc<[String]>,
    width: u32,
    height: u32,
}

/// Why a model could not be made ready.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum LoadError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("model {name}: the file is not an ONNX network that can be run ({reason})")]
    Network { name: String, reason: String },
    #[error("model {name}: weights {tensor} hold values that are not numbers; the file is damaged, get it again")]
    NotFinite { name: String, tensor: String },
    #[error(transparent)]
    Learned(#[from] LearnedError),
}

/// Why a picture could not be searched. The caller must treat the picture as unseen (guarantee G2).
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum DetectError {
    #[error("the input is {actual:?} but the network was prepared for {expected:?}")]
    WrongSize { expected: (u32, u32), actual: (u32, u32) },
    #[error("the network failed: {0}")]
    Run(String),
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl Detector {
    /// Prepares `model`, whose hash must be the manifest's, for `size` (width, height), or the manifest's own.
    ///
    /// # Errors
    /// Another hash, a size that the network does not take, a file that tract cannot run, weights that are
    /// not finite.
    pub fn new(manifest: Manifest, model: &[u8], size: Option<(u32, u32)>) -> Result<Self, LoadError> {
        manifest.verify(model)?;
        Self::prepare(manifest, model, None, size)
    }

    /// Prepares a verified file with `learned` added to its trainable part.
    fn prepare(
        manifest: Manifest,
        model: &[u8],
        learned: Option<&[f32]>,
        size: Option<(u32, u32)>,
    ) -> Result<Self, LoadError> {
        let (width, height) = size.unwrap_or((manifest.input.width, manifest.input.height));
        manifest.input.check_size(width, height)?;
        // The importer meets whatever bytes a user hands in; should it panic on them, that is an error like others.
        let built = catch_unwind(AssertUnwindSafe(|| build(&manifest, model, learned, (width, height))));
        let (plan, output_names) = built.unwrap_or_else(|_| {
            Err(LoadError::Network { name: manifest.name.clone(), reason: "the importer panicked on it".to_owned() })
        })?;
        Ok(Self { manifest: Arc::new(manifest), plan, output_names: output_names.into(), width, height })
    }

    /// What this model is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Width and height of the input, in pixels.
    pub fn input_size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// An input of the right size, black.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn new_input(&self) -> Result<NetInput, DetectError> {
        NetInput::new(&self.manifest.input, self.width, self.height)
    }

    /// Searches `input`: detections of at least `min_score`, doubles suppressed, best first.
    ///
    /// # Errors
    /// See [`DetectError`]; an error never means "nothing found".
    pub fn detect(&self, input: &NetInput, min_score: f32) -> Result<Vec<Detection>, DetectError> {
        if input.size() != self.input_size() {
            return Err(DetectError::WrongSize { expected: self.input_size(), actual: input.size() });
        }
        let run = |e: TractError| DetectError::Run(format!("{e:#}"));
        let results = self.plan.run(tvec!(TValue::from_const(Arc::clone(&input.tensor)))).map_err(run)?;
        let mut outputs = Vec::with_capacity(results.len());
        for (name, value) in self.output_names.iter().zip(&results) {
            let values = value.try_as_plain_ram().and_then(|v| v.as_slice::<f32>()).map_err(run)?;
            outputs.push(Output { name, shape: value.shape(), values });
        }
        let classes: &[ObjectClass] = &self.manifest.classes;
        let context = Context { width: self.width, height: self.height, classes, min_score };
        let found = self.manifest.output.decode(&outputs, context)?;
        let thresholds = &self.manifest.thresholds;
        let found = non_maximum_suppression(found, thresholds.nms_iou);
        Ok(match thresholds.join_from {
            Some(from) => join_parts(found, from),
            None => found,
        })
    }
}

impl std::fmt::Debug for Detector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Detector({} at {}x{})", self.manifest.name, self.width, self.height)
    }
}

type Built = (Arc<TypedRunnableModel>, Vec<String>);

fn build(
    manifest: &Manifest,
    model: &[u8],
    learned: Option<&[f32]>,
    (width, height): (u32, u32),
) -> Result<Built, LoadError> {
    let network = |e: TractError| LoadError::Network { name: manifest.name.clone(), reason: format!("{e:#}") };
    let mut proto = tract_onnx::onnx().proto_model_for_read(&mut &model[..]).map_err(network)?;
    learned::add(manifest, &mut proto, learned)?;
    let graph = proto.graph.as_ref().ok_or_else(|| network(TractError::msg("it holds no graph")))?;
    for tensor in &graph.initializer {
        let typed = tensor.data_type == DataType::Float as i32;
        let raw = tensor.raw_data.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b));
        if typed && !tensor.float_data.iter().copied().chain(raw).all(f32::is_finite) {
            return Err(LoadError::NotFinite { name: manifest.name.clone(), tensor: tensor.name.clone() });
        }
    }
    let output_names = graph.output.iter().map(|o| o.name.clone()).collect();
    let plan = plan(proto, (width, height)).map_err(network)?;
    Ok((plan, output_names))
}

/// The optimised plan of a network for one size of its input.
pub(crate) fn plan(mut proto: pb::ModelProto, (width, height): (u32, u32)) -> TractResult<Arc<TypedRunnableModel>> {
    // Shapes that the file declares between its layers, and for its outputs, hold for its own input size only.
    if let Some(graph) = proto.graph.as_mut() {
        graph.value_info.clear();
    }
    let shape = [1, 3, height as usize, width as usize];
    let mut model = tract_onnx::onnx().model_for_proto_model(&proto)?;
    for outlet in model.output_outlets()?.to_vec() {
        model.set_outlet_fact(outlet, InferenceFact::default())?;
    }
    model.with_input_fact(0, f32::fact(shape).into())?.into_optimized()?.into_runnable()
}

/// A network's input: three planes of pixels in the order and scale that the network wants. Raw pixels are wiped
/// when it is dropped; it can't be cloned.
pub struct NetInput {
    tensor: Arc<Tensor>,
    width: u32,
    height: u32,
    /// For red, green, blue: which plane, and the `a` and `b` of `a * value + b`.
    planes: [(usize, f32, f32); 3],
}

impl NetInput {
    pub(crate) fn new(spec: &InputSpec, width: u32, height: u32) -> Result<Self, DetectError> {
        let tensor = Tensor::zero::<f32>(&[1, 3, height as usize, width as usize])
            .map_err(|e| DetectError::Run(format!("{e:#}")))?;
        let order = match spec.channels {
            ChannelOrder::Rgb => [0, 1, 2],
            ChannelOrder::Bgr => [2, 1, 0],
        };
        let planes = order.map(|p: usize| (p, spec.scale[p], -spec.mean[p] * spec.scale[p]));
        Ok(Self { tensor: Arc::new(tensor), width, height, planes })
    }

    /// Width and height, pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// The tensor that a plan is run on.
    #[cfg(feature = "adapt")]
    pub(crate) fn tensor(&self) -> Arc<Tensor> {
        Arc::clone(&self.tensor)
    }

    /// Lets `fill` write the pixels: it is given the writer once.
    ///
    /// # Errors
    /// The input is still in use by a run (or memory ran out).
    pub fn fill(&mut self, fill: impl FnOnce(&mut PixelWriter<'_>)) -> Result<(), DetectError> {
        let run = |e: TractError| DetectError::Run(format!("{e:#}"));
        let tensor =
            Arc::get_mut(&mut self.tensor).ok_or_else(|| DetectError::Run("the input is still in use".to_owned()))?;
        let mut view = tensor.try_as_plain_ram_mut().map_err(run)?;
        let values = view.as_slice_mut::<f32>().map_err(run)?;
        let plane = self.width as usize * self.height as usize;
        let (first, rest) = values.split_at_mut(plane);
        let (second, third) = rest.split_at_mut(plane);
        fill(&mut PixelWriter { data: [first, second, third], planes: self.planes, width: self.width as usize });
        Ok(())
    }

    /// Fills the input with one RGB picture of its own size, row-major, three bytes a pixel.
    ///
    /// # Errors
    /// The length is not width * height * 3, or the input is in use.
    pub fn fill_rgb(&mut self, rgb: &[u8]) -> Result<(), DetectError> {
        let (w, h) = (self.width as usize, self.height as usize);
        if rgb.len() != 3 * w * h {
            return Err(DetectError::Run(format!(
                "an RGB picture of {w}x{h} has {} bytes, not {}",
                3 * w * h,
                rgb.len()
            )));
        }
        self.fill(|writer| {
            for (y, row) in rgb.chunks_exact(3 * w).enumerate() {
                for channel in 0..3 {
                    writer.write_row(channel, y, |out| {
                        for (to, from) in out.iter_mut().zip(row[channel..].iter().step_by(3)) {
                            *to = f32::from(*from);
                        }
                    });
                }
            }
        })
    }
}

impl Drop for NetInput {
    fn drop(&mut self) {
        if let Some(tensor) = Arc::get_mut(&mut self.tensor)
            && let Ok(mut view) = tensor.try_as_plain_ram_mut()
            && let Ok(values) = view.as_slice_mut::<f32>()
        {
            values.fill(0.0);
            std::hint::black_box(values);
        }
    }
}

/// Writes pixels into a [`NetInput`]. Channels are 0 red, 1 green, 2 blue, whatever the network's order.
pub struct PixelWriter<'a> {
    data: [&'a mut [f32]; 3],
    planes: [(usize, f32, f32); 3],
    width: usize,
}

impl PixelWriter<'_> {
    /// Lets `fill` write row `y` of `channel` with values from 0 to 255, then normalises it as the manifest says.
    pub fn write_row(&mut self, channel: usize, y: usize, fill: impl FnOnce(&mut [f32])) {
        let (plane, a, b) = self.planes[channel];
        let row = &mut self.data[plane][y * self.width..][..self.width];
        fill(row);
        if (a, b) != (1.0, 0.0) {
            for v in row {
                *v = *v * a + b;
            }
        }
    }
}
