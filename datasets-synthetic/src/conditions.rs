//! Under what conditions a camera works that stands somewhere for good: its light, and how it is mounted.
//! Knows nothing of who passes by.

use crate::light::LightKind;
use crate::math::Rng;

/// How a camera is mounted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mounting {
    /// At the height of a door bell or a shelf, level.
    #[default]
    EyeLevel,
    /// Under a ceiling or an eave, some three to four metres up, and looking down so steeply that faces are seen from
    /// 30 to 65 degrees above.
    High,
}

/// What a place and its camera are like. [`Default`]: anything that [`crate::Clip::new`] makes.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conditions {
    /// One of these lights; any where there is none.
    pub lights: Vec<LightKind>,
    /// How the camera is mounted.
    pub mounting: Mounting,
}

impl Conditions {
    /// Night, infrared light and a high mounting at once: what a network that learned from pictures at eye level by day
    /// finds hard.
    pub fn night_watch() -> Self {
        Self { lights: vec![LightKind::Night, LightKind::Infrared], mounting: Mounting::High }
    }

    /// One of the lights, if there are any.
    pub(crate) fn light(&self, rng: &mut Rng) -> Option<LightKind> {
        if self.lights.is_empty() { None } else { Some(rng.pick(&self.lights)) }
    }
}
