//! `camera.toml`: what a camera is told of its aggregator. It holds no secret. Knows no files.

use serde::{Deserialize, Serialize};

use crate::secagg::Authority;
use crate::signing::VerifyingKey;

/// A key in `camera.toml` is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("camera.toml: {0} is not the 64 hexadecimal digits of a key: copy the file again from the aggregator's folder")]
pub struct CameraError(&'static str);

/// What goes onto cameras beside their token: whom to call, and whom to believe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Camera {
    /// `https://name:port`.
    pub aggregator: String,
    /// The certificate authority's certificate, PEM.
    pub authority: String,
    /// The key that signs enrolments, hexadecimal.
    pub enrolment_key: String,
    /// The key that signs tasks and releases, hexadecimal.
    pub team_key: String,
    /// The key that reports of buffered rounds are sealed to, hexadecimal: of a party that is independent of the aggregator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helper_key: Option<String>,
}

impl Camera {
    /// Who enrols sites.
    ///
    /// # Errors
    /// [`CameraError`].
    pub fn enrolment(&self) -> Result<Authority, CameraError> {
        key(&self.enrolment_key).map(Authority).ok_or(CameraError("enrolment_key"))
    }

    /// Who signs tasks and releases.
    ///
    /// # Errors
    /// [`CameraError`].
    pub fn team(&self) -> Result<VerifyingKey, CameraError> {
        key(&self.team_key).ok_or(CameraError("team_key"))
    }

    /// Who helps in buffered rounds, if anyone.
    ///
    /// # Errors
    /// [`CameraError`].
    pub fn helper(&self) -> Result<Option<[u8; 32]>, CameraError> {
        let read = |hex: &String| blake3::Hash::from_hex(hex).map(<[u8; 32]>::from);
        self.helper_key.as_ref().map(read).transpose().map_err(|_| CameraError("helper_key"))
    }
}

fn key(hex: &str) -> Option<VerifyingKey> {
    VerifyingKey::from_bytes(blake3::Hash::from_hex(hex).ok()?.as_bytes())
}
