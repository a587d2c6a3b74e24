//! What an agent needs once it is at work, and where it keeps what its sandbox claims. Knows no kernel.

use axum::http::Uri;
use volet_federated::camera::Camera;

use super::state::{self, StateError};
use super::{Agent, AgentError};
use crate::sandbox::{Confinement, Report};

/// Where the hottest sensor is looked for: links, and where they lead.
const SENSORS: [&str; 2] = ["/sys/class/thermal", "/sys/devices/virtual/thermal"];

impl Agent {
    /// What it needs: its folder, of which it does not write what its owner says and what it was enrolled with; its aggregator;
    /// the thermometers. What it learns from is not in it.
    ///
    /// # Errors
    /// `camera.toml` is damaged.
    pub fn needs(&self) -> Result<Confinement, AgentError> {
        let damaged = || StateError::Damaged(self.state.path(state::CAMERA));
        let camera: Camera = toml::from_str(&self.state.text(state::CAMERA)?).map_err(|_| damaged())?;
        // As the connection will read it.
        let address: Uri = camera.aggregator.parse().map_err(|_| damaged())?;
        let host = address.host().ok_or_else(damaged)?;
        let port = address.port_u16().unwrap_or(443);
        let needs = Confinement::new().reads(self.state.path("")).calls(host, port);
        let needs = state::WRITTEN.iter().fold(needs, |needs, name| needs.keeps(&self.state.path(name)));
        Ok(SENSORS.into_iter().fold(needs, Confinement::reads))
    }

    /// Keeps what the sandbox claims in the state folder, in place of what an earlier start left.
    ///
    /// # Errors
    /// The disk refused.
    pub fn keep_report(&mut self, report: &Report) -> Result<(), AgentError> {
        let bytes = serde_json::to_vec_pretty(report);
        let bytes = bytes.map_err(|_| StateError::Damaged(self.state.path(state::SANDBOX)))?;
        Ok(self.state.put(state::SANDBOX, &bytes)?)
    }
}
