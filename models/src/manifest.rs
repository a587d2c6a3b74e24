//! Manifests: the TOML page beside a model file that says what it is and whether it may be trusted.
//!
//! Reads and checks text; knows nothing of networks' insides. `docs/models.md` describes every field.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::decode::Decoder;
use crate::geometry::ObjectClass;

/// The largest manifest that is read, in bytes.
const MAX_MANIFEST: u64 = 256 << 10;
/// The largest model file that is read, in bytes.
const MAX_MODEL: u64 = 512 << 20;
/// The largest side of a network's input, in pixels.
const MAX_INPUT_SIDE: u32 = 4096;

/// What a model file is: its identity, its input, and how its output becomes detections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this format; 1.
    pub schema: u32,
    /// A short name: letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// File name of the ONNX file, in the manifest's own folder.
    pub file: String,
    /// BLAKE3 of the ONNX file, 64 hex digits.
    pub blake3: Digest,
    /// SPDX expression of the weights' licence.
    pub licence: String,
    /// Where the weights come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<String>,
    /// The maker's own word on how good it is; `preview` is not meant for production.
    #[serde(default)]
    pub quality: Quality,
    /// What the network wants to see.
    pub input: InputSpec,
    /// How to read what it says.
    pub output: Decoder,
    /// The classes that the network tells apart, in the order of its outputs.
    pub classes: Vec<ObjectClass>,
    /// Where to draw the line.
    pub thresholds: Thresholds,
    /// The part that a camera may train.
    #[serde(default, skip_serializing_if = "Trainable::is_empty")]
    pub trainable: Trainable,
}

/// How far a model may be trusted, in its maker's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quality {
    /// A first version, to try the system with.
    Preview,
    /// Meant for production.
    #[default]
    Release,
}

/// What the network wants to see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Default width, pixels.
    pub width: u32,
    /// Default height, pixels.
    pub height: u32,
    /// Other sizes are accepted when both sides are multiples of this; 0: only the default size.
    #[serde(default)]
    pub multiple_of: u32,
    /// Order of the three channels.
    #[serde(default)]
    pub channels: ChannelOrder,
    /// Taken from each channel's value (0..=255), in the network's channel order.
    #[serde(default)]
    pub mean: [f32; 3],
    /// Then multiplied with.
    #[serde(default = "ones")]
    pub scale: [f32; 3],
}

fn ones() -> [f32; 3] {
    [1.0; 3]
}

/// Order of the colour channels in the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelOrder {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red (OpenCV's habit).
    Bgr,
}

/// Where to draw the line between something and nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// Detections below this score are dropped, in `(0, 1)`.
    pub score: f32,
    /// Boxes that overlap a better one of their class by more than this are dropped, in `(0, 1]`.
    pub nms_iou: f32,
    /// Boxes of persons that are longer than this, in pixels of the input, and lie half within each other are one person,
    /// found in parts by a network that does not see so far. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_from: Option<f32>,
}

/// The part of the network that a camera may train.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trainable {
    /// Names of ONNX initialisers, all of whose values are trained.
    #[serde(default)]
    pub initializers: Vec<String>,
    /// Names of kernels of convolutions in which one value for each window is trained, which moves all of it alike.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub even: Vec<String>,
    /// How a camera trains it in a round.
    #[serde(default, skip_serializing_if = "Recipe::is_default")]
    pub recipe: Recipe,
}

/// How a camera trains its part for one round of a fleet: what a simulated fleet gained by ([`crate::adapt`] says what each
/// number does). A file that names none of it asks for what does a single camera no harm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// The most steps, at least 1.
    pub steps: u64,
    /// Learning rate, above 0 and below 1.
    pub rate: f32,
    /// How many positive cells a view is taken to have, above 0. Absent: as many as there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positives: Option<f32>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self { steps: 1000, rate: 0.001, positives: None }
    }
}

impl Recipe {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// # Errors
    /// The field that is out of range, and what it must be.
    pub(crate) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if self.steps == 0 {
            return Err(("steps", "it must be at least 1"));
        }
        if !(self.rate > 0.0 && self.rate < 1.0) {
            return Err(("rate", "it must be above 0 and below 1"));
        }
        if self.positives.is_some_and(|each| !(each > 0.0 && each.is_finite())) {
            return Err(("positives", "it must be a number above 0"));
        }
        Ok(())
    }
}

impl Trainable {
    /// Whether nothing is trained.
    pub fn is_empty(&self) -> bool {
        self.initializers.is_empty() && self.even.is_empty()
    }
}

/// A BLAKE3 hash, written as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(blake3::Hash);

impl Digest {
    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes))
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "blake3:{self}")
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        blake3::Hash::from_hex(&text)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("blake3 must be 64 hex digits; `volet models add FILE` writes it"))
    }
}

/// Why a manifest or the file it names was refused.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum ManifestError {
    #[error("cannot read {path:?}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path:?} holds {bytes} bytes; at most {limit} are read")]
    TooLarge { path: PathBuf, bytes: u64, limit: u64 },
    #[error("the manifest is not valid: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("the manifest's field `{field}` is not valid: {reason}")]
    Field { field: &'static str, reason: String },
    #[error(
        "{file:?} is not the file that the manifest names: its BLAKE3 is {actual}, the manifest says {expected}; \
         get the file again, or, if it was changed on purpose, write a new manifest with `volet models add`"
    )]
    WrongHash { file: String, expected: Digest, actual: Digest },
}

impl Manifest {
    /// Parses and checks a manifest.
    ///
    /// # Errors
    /// The text is not TOML of this shape, or a field is out of bounds.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Reads the manifest at `path` and the model file beside it, and checks the file's hash.
    ///
    /// # Errors
    /// A file cannot be read, is too large, is not valid, or has another hash.
    pub fn read(path: &Path) -> Result<(Self, Vec<u8>), ManifestError> {
        let text = read_bounded(path, MAX_MANIFEST)?;
        let text = String::from_utf8(text)
            .map_err(|_| ManifestError::Field { field: "(file)", reason: "it is not UTF-8 text".to_owned() })?;
        let manifest = Self::parse(&text)?;
        let model = read_bounded(&path.with_file_name(&manifest.file), MAX_MODEL)?;
        manifest.verify(&model)?;
        Ok((manifest, model))
    }

    /// Checks that `model` is the file that this manifest names.
    ///
    /// # Errors
    /// Its hash is another.
    pub fn verify(&self, model: &[u8]) -> Result<(), ManifestError> {
        let actual = Digest::of(model);
        if actual == self.blake3 {
            Ok(())
        } else {
            Err(ManifestError::WrongHash { file: self.file.clone(), expected: self.blake3, actual })
        }
    }

    /// The manifest as TOML text.
    ///
    /// # Errors
    /// Never for a manifest that [`Manifest::parse`] accepted.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(self)
    }

    fn check(&self) -> Result<(), ManifestError> {
        let fail = |field, reason: &str| Err(ManifestError::Field { field, reason: reason.to_owned() });
        if self.schema != 1 {
            return fail("schema", "only version 1 is known; a newer volet may be needed");
        }
        let plain = |s: &str| s.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if self.name.is_empty() || self.name.len() > 64 || !plain(&self.name) || self.name.starts_with('.') {
            return fail("name", "use 1 to 64 letters, digits, '-', '_' or '.', not starting with '.'");
        }
        if Path::new(&self.file).file_name() != Some(std::ffi::OsStr::new(&self.file)) {
            return fail("file", "it must be a bare file name in the manifest's own folder");
        }
        if self.classes.is_empty() {
            return fail("classes", "name at least one class");
        }
        if (1..self.classes.len()).any(|i| self.classes[..i].contains(&self.classes[i])) {
            return fail("classes", "a class is named twice");
        }
        let trainable: Vec<&String> = self.trainable.initializers.iter().chain(&self.trainable.even).collect();
        if (1..trainable.len()).any(|i| trainable[..i].contains(&trainable[i])) {
            return fail("trainable", "an initialiser is named twice");
        }
        if let Err((field, reason)) = self.trainable.recipe.check() {
            return fail("trainable.recipe", &format!("{field}: {reason}"));
        }
        let t = &self.thresholds;
        if !(t.score > 0.0 && t.score < 1.0) {
            return fail("thresholds.score", "it must lie between 0 and 1");
        }
        if !(t.nms_iou > 0.0 && t.nms_iou <= 1.0) {
            return fail("thresholds.nms_iou", "it must lie above 0 and not above 1");
        }
        if t.join_from.is_some_and(|from| !(from.is_finite() && from > 0.0)) {
            return fail("thresholds.join_from", "it must be a length in pixels");
        }
        let numbers = self.input.mean.iter().chain(&self.input.scale);
        if !numbers.copied().all(f32::is_finite) || self.input.scale.contains(&0.0) {
            return fail("input", "mean and scale must be finite, and no scale may be 0");
        }
        self.input.check_size(self.input.width, self.input.height)?;
        self.output.check(self.classes.len()).map_err(|reason| ManifestError::Field { field: "output", reason })
    }
}

impl InputSpec {
    /// Checks that the network can be run at `width` x `height`.
    ///
    /// # Errors
    /// The size is fixed and another, no multiple of what the network needs, or out of bounds.
    pub fn check_size(&self, width: u32, height: u32) -> Result<(), ManifestError> {
        let fail = |reason: String| Err(ManifestError::Field { field: "input", reason });
        if width == 0 || height == 0 || width > MAX_INPUT_SIDE || height > MAX_INPUT_SIDE {
            return fail(format!("{width}x{height} is out of bounds; sides of 1 to {MAX_INPUT_SIDE} are accepted"));
        }
        if (width, height) == (self.width, self.height) {
            return Ok(());
        }
        match self.multiple_of {
            0 => fail(format!("the network takes {}x{} only, not {width}x{height}", self.width, self.height)),
            m if !width.is_multiple_of(m) || !height.is_multiple_of(m) => {
                fail(format!("{width}x{height} will not do: both sides must be multiples of {m}"))
            }
            _ => Ok(()),
        }
    }
}

fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, ManifestError> {
    use std::io::Read;
    let io = |source| ManifestError::Io { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(io)?;
    let bytes = file.metadata().map_err(io)?.len();
    let mut content = Vec::new();
    // The limit is kept while reading too: a pipe or a growing file has no length to ask for.
    file.take(limit + 1).read_to_end(&mut content).map_err(io)?;
    if content.len() as u64 > limit {
        return Err(ManifestError::TooLarge { path: path.to_owned(), bytes: bytes.max(limit + 1), limit });
    }
    Ok(content)
}
