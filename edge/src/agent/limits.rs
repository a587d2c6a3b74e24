//! How much of the device learning may take: `[learning]` in the owner's words.

use serde::{Deserialize, Serialize};
use toml::value::Datetime;

/// Why limits are none.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum LearningFileError {
    #[error("the limits of learning cannot be read: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("[learning], {0}: a time of day is needed, as in 22:30:00")]
    Hours(&'static str),
    #[error("[learning], {0}: it must be above 0")]
    Zero(&'static str),
    #[error("[learning], celsius: degrees from 20 to 150 are meant")]
    Celsius,
}

/// What learning may take, at most. What is not said is as [`Default`] has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Learning {
    /// The fewest lessons that are learned from; with fewer the camera sits rounds out.
    pub lessons: usize,
    /// Seconds from the beginning of one learning to its end, waiting for the device to cool among them.
    pub seconds: u64,
    /// Seconds of processor time for one learning, those of all cores together.
    pub cpu_seconds: u64,
    /// 2^20 bytes that stills may take in memory, with what the network makes of them.
    pub megabytes: u32,
    /// Degrees Celsius of the hottest sensor, above which learning waits.
    pub celsius: f32,
    /// When it may learn, by local time; at any time where not given.
    pub hours: Option<Hours>,
}

/// From one time of day to another, over midnight if need be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// The first minute.
    pub from: Datetime,
    /// The first minute that is not among them any more.
    pub until: Datetime,
}

impl Default for Learning {
    fn default() -> Self {
        Self { lessons: 40, seconds: 3600, cpu_seconds: 1800, megabytes: 128, celsius: 80.0, hours: None }
    }
}

impl Learning {
    /// Reads a file with a section `[learning]`.
    ///
    /// # Errors
    /// A [`LearningFileError`].
    pub fn read(text: &str) -> Result<Self, LearningFileError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            learning: Learning,
        }
        let File { learning } = toml::from_str(text)?;
        learning.window()?;
        for (name, value) in [
            ("lessons", learning.lessons as u64),
            ("seconds", learning.seconds),
            ("cpu_seconds", learning.cpu_seconds),
            ("megabytes", learning.megabytes.into()),
        ] {
            if value == 0 {
                return Err(LearningFileError::Zero(name));
            }
        }
        if (20.0..=150.0).contains(&learning.celsius) { Ok(learning) } else { Err(LearningFileError::Celsius) }
    }

    /// The minutes of the day, from 0 to 1439.
    pub(super) fn window(&self) -> Result<Option<(u32, u32)>, LearningFileError> {
        let Some(hours) = &self.hours else { return Ok(None) };
        let minute = |name, at: &Datetime| {
            let time = at.time.filter(|_| at.date.is_none() && at.offset.is_none());
            time.map(|time| u32::from(time.hour) * 60 + u32::from(time.minute)).ok_or(LearningFileError::Hours(name))
        };
        Ok(Some((minute("hours.from", &hours.from)?, minute("hours.until", &hours.until)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_are_no_limits_is_refused_by_name() {
        assert_eq!(Learning::read("[learning]").unwrap(), Learning::default());
        for (text, with) in [
            ("[learning]\nfrobnicate = 1", "frobnicate"),
            ("", "learning"),
            ("[learning]\nseconds = 0", "seconds"),
            ("[learning]\nmegabytes = 0", "megabytes"),
            ("[learning]\nlessons = 0", "lessons"),
            ("[learning]\ncelsius = 5.0", "celsius"),
            ("[learning]\ncelsius = nan", "celsius"),
            ("[learning]\nhours = { from = 2026-11-22, until = 06:00:00 }", "hours.from"),
            ("[learning]\nhours = { from = 06:00:00 }", "until"),
        ] {
            let error = Learning::read(text).unwrap_err().to_string();
            assert!(error.contains(with), "{text}: {error}");
        }
    }
}
