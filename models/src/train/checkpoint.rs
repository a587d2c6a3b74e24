//! What a stopped run needs to go on as if it had not stopped, in one file written atomically.
//!
//! The file is an ONNX container without a graph's nodes: every tensor an initialiser, the step a
//! metadata entry, as are the mined mistakes; so there is one tensor format in this crate.

use super::TrainError;
use super::mining::Pool;
use super::model::Network;
use super::optim::Moments;
use crate::net::{Architecture, NetError, Weights, read_model, write_model};
use std::io::Write;
use std::path::Path;
use tract_onnx::pb;

/// The state of a run after `step` steps.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    pub(super) step: u64,
    pub(super) views: u64,
    pub(super) network: Network,
    pub(super) average: Network,
    pub(super) moments: Moments,
    pub(super) mistakes: Pool,
    /// Fingerprint of the source of stills; none before a run has seen one.
    pub(super) source: Option<String>,
}

const STEP: &str = "volet.step";
const VIEWS: &str = "volet.views";
const ARCHITECTURE: &str = "volet.architecture";
const SOURCE: &str = "volet.source";
const MISTAKES: &str = "volet.mistakes";

impl State {
    pub(super) fn new(architecture: &Architecture, seed: u64) -> Self {
        let network = Network::new(architecture, seed);
        let moments = Moments::new(&network.trained);
        Self { step: 0, views: 0, average: network.clone(), network, moments, mistakes: Pool::default(), source: None }
    }

    pub(super) fn write(&self, path: &Path, architecture: &Architecture) -> Result<(), TrainError> {
        let mut initializer = Vec::new();
        for (prefix, weights) in self.parts() {
            initializer.extend(weights.initialisers(prefix));
        }
        let entry = |key: &str, value: String| pb::StringStringEntryProto { key: key.to_owned(), value };
        let model = pb::ModelProto {
            metadata_props: vec![
                entry(STEP, self.step.to_string()),
                entry(VIEWS, self.views.to_string()),
                entry(ARCHITECTURE, describe(architecture)?),
                entry(MISTAKES, self.mistakes.to_text()),
                entry(SOURCE, self.source.clone().unwrap_or_default()),
            ],
            graph: Some(pb::GraphProto { initializer, ..Default::default() }),
            ..Default::default()
        };
        write_atomically(path, &write_model(&model))
    }

    pub(super) fn read(path: &Path, architecture: &Architecture) -> Result<Self, TrainError> {
        let fail = |why: String| TrainError::Checkpoint { path: path.to_owned(), why };
        let bytes = std::fs::read(path).map_err(|source| TrainError::Io { path: path.to_owned(), source })?;
        let model = read_model(&bytes).map_err(|e| fail(e.to_string()))?;
        let entry = |key: &str| model.metadata_props.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        if entry(ARCHITECTURE) != Some(describe(architecture)?.as_str()) {
            return Err(fail("it is of another architecture than the recipe's".to_owned()));
        }
        let number = |key: &str| entry(key).and_then(|s| s.parse().ok());
        let (step, views) = number(STEP)
            .zip(number(VIEWS))
            .ok_or_else(|| fail("it does not say how many steps and views it has seen".to_owned()))?;
        let mistakes = Pool::from_text(entry(MISTAKES).unwrap_or_default());
        let mistakes = mistakes.ok_or_else(|| fail("its list of mistakes is damaged".to_owned()))?;
        let all = Weights::from_model(&model).map_err(|e| fail(e.to_string()))?;
        let source = entry(SOURCE).filter(|s| !s.is_empty()).map(str::to_owned);
        let mut state = Self { step, views, mistakes, source, ..Self::new(architecture, 0) };
        for (prefix, weights) in state.parts_mut() {
            for (name, tensor) in &mut weights.tensors {
                let found = all.get(&format!("{prefix}{name}"), &tensor.shape);
                tensor.data.clone_from(&found.map_err(|e| fail(e.to_string()))?.data);
            }
        }
        Ok(state)
    }

    fn parts(&self) -> [(&'static str, &Weights); 6] {
        [
            ("weight/", &self.network.trained),
            ("statistics/", &self.network.statistics),
            ("average/", &self.average.trained),
            ("average-statistics/", &self.average.statistics),
            ("first/", &self.moments.first),
            ("second/", &self.moments.second),
        ]
    }

    fn parts_mut(&mut self) -> [(&'static str, &mut Weights); 6] {
        [
            ("weight/", &mut self.network.trained),
            ("statistics/", &mut self.network.statistics),
            ("average/", &mut self.average.trained),
            ("average-statistics/", &mut self.average.statistics),
            ("first/", &mut self.moments.first),
            ("second/", &mut self.moments.second),
        ]
    }
}

fn describe(architecture: &Architecture) -> Result<String, TrainError> {
    toml::to_string(architecture).map_err(|e| TrainError::Net(NetError::Architecture(e.to_string())))
}

/// Writes a file so that whoever reads it sees the old one or the new one, whole.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let io = |source| TrainError::Io { path: path.to_owned(), source };
    let partial = path.with_extension("partial");
    let mut file = std::fs::File::create(&partial).map_err(io)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io)?;
    std::fs::rename(&partial, path).map_err(io)
}
