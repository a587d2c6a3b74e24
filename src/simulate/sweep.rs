//! Several runs in one: values that are tried, each with each.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::settings::{Choices, Settings, SettingsError};

/// The most runs that one sweep may have.
const MOST: usize = 1000;

/// What can be varied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Axis {
    /// First, so that it varies slowest: another seed is another fleet, and some take long to make.
    Seed,
    Sites,
    Rounds,
    Cohort,
    Clip,
    Malicious,
    Combine,
    Epsilon,
}

impl Axis {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Sites => "sites",
            Self::Rounds => "rounds",
            Self::Cohort => "cohort",
            Self::Clip => "clip",
            Self::Malicious => "malicious",
            Self::Combine => "combine",
            Self::Epsilon => "epsilon",
        }
    }
}

/// The values of each axis, in the order in which they are tried. The last axis varies fastest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sweep(BTreeMap<Axis, Vec<toml::Value>>);

/// `key=a,b,c`, as it is typed.
#[derive(Clone, Debug)]
pub(crate) struct Along(Axis, Vec<toml::Value>);

impl FromStr for Along {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, values) = text.split_once('=').ok_or("a key and its values are needed, as in epsilon=none,4,1")?;
        let axis = <Axis as clap::ValueEnum>::from_str(key, false).map_err(|_| {
            format!("{key} cannot be swept; sites, rounds, cohort, clip, malicious, combine, epsilon, seed can")
        })?;
        Ok(Self(axis, values.split(',').map(|value| scalar(value.trim())).collect()))
    }
}

/// As a file would have it.
fn scalar(text: &str) -> toml::Value {
    let number = text.parse().map(toml::Value::Integer);
    number.or_else(|_| text.parse().map(toml::Value::Float)).unwrap_or_else(|_| toml::Value::String(text.to_owned()))
}

/// One run of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    /// What this run has of its own.
    pub(super) differs: Vec<(Axis, String)>,
    pub(super) settings: Settings,
}

impl fmt::Display for Run {
    /// Such as `epsilon 4, combine median`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.named(|_| true))
    }
}

impl Run {
    /// As it is shown, but for its seed.
    pub(super) fn but_seed(&self) -> String {
        self.named(|axis| axis != Axis::Seed)
    }

    /// Whether another run differs in its seed at most.
    pub(super) fn same_but_seed(&self, other: &Self) -> bool {
        Settings { seed: other.settings.seed, ..self.settings.clone() } == other.settings
    }

    fn named(&self, shown: impl Fn(Axis) -> bool) -> String {
        let axes = self.differs.iter().rev().filter(|(axis, _)| shown(*axis));
        let names: Vec<String> = axes.map(|(axis, value)| format!("{} {value}", axis.name())).collect();
        if names.is_empty() { format!("epsilon {}", self.settings.epsilon) } else { names.join(", ") }
    }
}

/// Why there is nothing to run.
#[derive(Debug, thiserror::Error)]
pub(super) enum SweepError {
    #[error("a sweep along {} has no values; give some, as in {}=a,b,c", .0.name(), .0.name())]
    Empty(Axis),
    #[error("a sweep along {} has {value} twice; leave one out", axis.name())]
    Twice { axis: Axis, value: String },
    #[error("the sweep has {0} runs, and at most {MOST} go into one folder; take fewer values")]
    TooMany(usize),
    #[error("with {axis} {value}: {source}", axis = .axis.name())]
    Value { axis: Axis, value: String, source: SettingsError },
    #[error("{what}: {source}")]
    Run { what: String, source: SettingsError },
}

impl Sweep {
    pub(super) fn of(along: &[Along]) -> Self {
        let mut axes: BTreeMap<Axis, Vec<toml::Value>> = BTreeMap::new();
        for Along(axis, values) in along {
            axes.entry(*axis).or_default().extend(values.iter().cloned());
        }
        Self(axes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether sums are combined in more than one way.
    pub(super) fn combines(&self) -> bool {
        self.0.contains_key(&Axis::Combine)
    }

    /// Every run, from complete choices.
    ///
    /// # Errors
    /// An axis without values or with one twice, too many runs, or a run that cannot be.
    pub(super) fn runs(&self, base: &Choices) -> Result<Vec<Run>, SweepError> {
        let many = self.0.values().map(Vec::len).fold(1, usize::saturating_mul);
        if many > MOST {
            return Err(SweepError::TooMany(many));
        }
        let mut partial: Vec<(Vec<(Axis, String)>, Choices)> = vec![(Vec::new(), base.clone())];
        for (&axis, values) in &self.0 {
            if values.is_empty() {
                return Err(SweepError::Empty(axis));
            }
            let mut next = Vec::new();
            for (differs, choices) in &partial {
                for value in values {
                    let changed = with(choices, axis, value)?;
                    let differs = [&differs[..], &[(axis, text(value))]].concat();
                    if next.iter().any(|(_, other)| *other == changed) {
                        return Err(SweepError::Twice { axis, value: text(value) });
                    }
                    next.push((differs, changed));
                }
            }
            partial = next;
        }
        let run = |(differs, choices): (Vec<(Axis, String)>, Choices)| {
            let names: Vec<String> = differs.iter().map(|(axis, value)| format!("{} {value}", axis.name())).collect();
            let what = if names.is_empty() { "the settings".to_owned() } else { names.join(", ") };
            let settings = Settings::try_from(&choices).map_err(|source| SweepError::Run { what, source })?;
            Ok(Run { differs, settings })
        };
        partial.into_iter().map(run).collect()
    }
}

fn with(choices: &Choices, axis: Axis, value: &toml::Value) -> Result<Choices, SweepError> {
    let changed = choices.table().and_then(|mut keys| {
        keys.insert(axis.name().to_owned(), value.clone());
        Choices::from_table(keys)
    });
    changed.map_err(|source| SweepError::Value { axis, value: text(value), source })
}

fn text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
