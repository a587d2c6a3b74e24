//! What a simulation is told: by flags, by a file, or by default, in this order. All three speak of the same keys, and
//! what was decided is written down in the file's own form, so that it can be run again.
//!
//! Knows numbers and their bounds; nothing of fleets, rounds or folders.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use volet_federated::optimizer::{self, Rule};
use volet_federated::simulation::{self, Attack, Combine, Fidelity};

use super::sweep::Sweep;
use super::{detector, softmax};

/// What can be chosen, all of it optional: the flags, and the keys of a file.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Choices {
    /// How many sites there are [default: 1000].
    #[arg(long, value_name = "N")]
    pub(crate) sites: Option<Sites>,
    /// How many rounds [default: 12].
    #[arg(long, value_name = "T")]
    pub(crate) rounds: Option<Rounds>,
    /// The epsilon of all rounds together, for a site that takes part in all; `none` adds no noise [default: 4].
    #[arg(long, value_name = "E|none")]
    pub(crate) epsilon: Option<Target>,
    /// The probability with which epsilon may not hold [default: 1e-6].
    #[arg(long, value_name = "D")]
    pub(crate) delta: Option<Probability>,
    /// The same seed gives the same simulation [default: 1].
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64), value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// How many sites are asked in a round; all where not given.
    #[arg(long, value_name = "N")]
    pub(crate) cohort: Option<Sites>,
    /// The most sites in one sum, 64 to 512 [default: 512; an eighth of the cohort where sums are combined otherwise than
    /// by their mean].
    #[arg(long, value_name = "N")]
    pub(crate) shard: Option<Shard>,
    /// The share of a sum's sites without which there is no sum [default: 0.9].
    #[arg(long, value_name = "SHARE")]
    pub(crate) minimum_share: Option<Portion>,
    /// The share of a sum's sites whose noise is not counted on [default: 0.1].
    #[arg(long, value_name = "SHARE")]
    pub(crate) colluding_share: Option<Share>,
    /// The clip norm: the largest length of an update that counts [default: 1; 0.05 for the detector].
    #[arg(long, value_name = "C")]
    pub(crate) clip: Option<Positive>,
    /// Let the clip norm move to where this share of updates lies within it.
    #[arg(long, value_name = "SHARE")]
    pub(crate) target_quantile: Option<Probability>,
    /// The share of the asked sites that vanish [default: 0].
    #[arg(long, value_name = "SHARE")]
    pub(crate) dropout: Option<Share>,
    /// The share of the asked sites that answer too late to be counted [default: 0].
    #[arg(long, value_name = "SHARE")]
    pub(crate) stragglers: Option<Share>,
    /// The share of all sites that mean harm [default: 0].
    #[arg(long, value_name = "SHARE")]
    pub(crate) malicious: Option<Share>,
    /// By what malicious sites multiply what they send [default: 10].
    #[arg(long, value_name = "X")]
    pub(crate) boost: Option<Positive>,
    /// Malicious sites do not clip: their code is their own.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "true|false")]
    pub(crate) unbounded: Option<bool>,
    /// How sums become one update: mean, median, trimmed-mean, trimmed-mean:SHARE [default: mean].
    #[arg(long, value_name = "HOW")]
    pub(crate) combine: Option<Combine>,
    /// What runs between a site's update and the sum: distribution, or protocol, which is slow and never the same twice
    /// [default: distribution].
    #[arg(long, value_parser = crate::cli::serde_word::<Fidelity>, value_name = "WHAT")]
    pub(crate) fidelity: Option<Fidelity>,
    /// Whose updates are simulated [default: softmax].
    #[arg(long, value_name = "FLEET")]
    pub(crate) fleet: Option<FleetKind>,
    /// What the server does with an update: average, adam, yogi [default: average].
    #[arg(long, value_parser = crate::cli::serde_word::<Rule>, value_name = "RULE")]
    pub(crate) optimizer: Option<Rule>,
    /// The server's rate [default: 1 for average, 0.01 for adam and yogi].
    #[arg(long, value_name = "RATE")]
    pub(crate) rate: Option<Positive>,
    /// What remains of earlier updates in the server's running mean [default: 0 for average, 0.9 for adam and yogi].
    #[arg(long, value_name = "SHARE")]
    pub(crate) momentum: Option<Share>,
    /// Folder of a face data set in which the detector's fleet measures quality.
    #[arg(long, value_name = "DIR")]
    pub(crate) faces: Option<PathBuf>,
    /// The softmax fleet's task.
    #[arg(skip)]
    pub(crate) softmax: Option<softmax::Task>,
    /// The detector's fleet's task.
    #[arg(skip)]
    pub(crate) detector: Option<detector::Task>,
    /// Values that are tried, each with each.
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Sweep::is_empty")]
    pub(crate) sweep: Sweep,
}

/// Whose updates are simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FleetKind {
    /// Points of eight kinds, told apart by softmax regression: cheap, for thousands of sites.
    Softmax,
    /// Cameras high up at night that teach the built-in detector what they see, with labels of their own.
    Detector,
}

/// The epsilon that is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "NumberOrWord", into = "NumberOrWord")]
pub(crate) enum Target {
    /// No noise at all: what could be learned if nobody had to be protected.
    None,
    /// At most this.
    Epsilon(Positive),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum NumberOrWord {
    Number(f64),
    Word(String),
}

impl TryFrom<NumberOrWord> for Target {
    type Error = String;

    fn try_from(given: NumberOrWord) -> Result<Self, String> {
        match given {
            NumberOrWord::Number(number) => Positive::try_from(number).map(Self::Epsilon),
            NumberOrWord::Word(word) => word.parse(),
        }
    }
}

impl From<Target> for NumberOrWord {
    fn from(target: Target) -> Self {
        match target {
            Target::None => Self::Word("none".to_owned()),
            Target::Epsilon(epsilon) => Self::Number(epsilon.get()),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            Ok(Self::None)
        } else {
            text.parse().map(Self::Epsilon).map_err(|e| format!("{e}, or none"))
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Epsilon(epsilon) => epsilon.fmt(f),
        }
    }
}

/// Numbers within bounds, checked when they are made, wherever they come from.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $bounds:literal, $good:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(try_from = "f64", into = "f64")]
        pub(crate) struct $name(f64);

        impl $name {
            pub(crate) const fn get(self) -> f64 {
                self.0
            }
        }

        impl TryFrom<f64> for $name {
            type Error = String;

            fn try_from(number: f64) -> Result<Self, String> {
                let good: fn(f64) -> bool = $good;
                if good(number) { Ok(Self(number)) } else { Err(concat!("a number ", $bounds, " is needed").to_owned()) }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                text.parse().unwrap_or(f64::NAN).try_into()
            }
        }

        impl From<$name> for f64 {
            fn from(number: $name) -> f64 {
                number.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A share of which something is left.
    Share, "from 0 to below 1", |v| (0.0..1.0).contains(&v)
);
number!(
    /// A share that is not nothing.
    Portion, "above 0 and up to 1", |v| v > 0.0 && v <= 1.0
);
number!(
    /// A probability that is neither never nor always.
    Probability, "above 0 and below 1", |v| v > 0.0 && v < 1.0 && v.is_normal()
);
number!(
    /// A number that can be divided by.
    Positive, "above 0", |v| v > 0.0 && v.is_normal()
);

/// A whole number within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub(crate) struct Between<const LOW: u32, const HIGH: u32>(u32);

/// How many sites there can be.
pub(crate) type Sites = Between<2, 10_000_000>;
/// How many of them a sum can have.
pub(crate) type Shard = Between<64, 512>;
/// How many rounds there can be.
pub(crate) type Rounds = Between<1, 100_000>;

impl<const LOW: u32, const HIGH: u32> Between<LOW, HIGH> {
    pub(crate) const fn get(self) -> u32 {
        self.0
    }
}

impl<const LOW: u32, const HIGH: u32> TryFrom<i64> for Between<LOW, HIGH> {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        let good = u32::try_from(number).ok().filter(|number| (LOW..=HIGH).contains(number));
        good.map(Self).ok_or_else(|| format!("a whole number from {LOW} to {HIGH} is needed"))
    }
}

impl<const LOW: u32, const HIGH: u32> FromStr for Between<LOW, HIGH> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().unwrap_or(i64::MIN).try_into()
    }
}

impl<const LOW: u32, const HIGH: u32> From<Between<LOW, HIGH>> for i64 {
    fn from(number: Between<LOW, HIGH>) -> Self {
        number.0.into()
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    #[error("{0}")]
    Toml(String),
    #[error(transparent)]
    Softmax(#[from] softmax::TaskError),
    #[error(transparent)]
    Detector(#[from] detector::TaskError),
}

impl Choices {
    /// What holds where nothing was chosen. The cohort and the shard follow from the number of sites.
    pub(super) fn by_default(optimizer: Rule) -> Self {
        let adaptive = optimizer != Rule::Average;
        Self {
            sites: Some(Between(1000)),
            rounds: Some(Between(12)),
            epsilon: Some(Target::Epsilon(Positive(4.0))),
            delta: Some(Probability(1e-6)),
            seed: Some(1),
            minimum_share: Some(Portion(0.9)),
            colluding_share: Some(Share(0.1)),
            dropout: Some(Share(0.0)),
            stragglers: Some(Share(0.0)),
            malicious: Some(Share(0.0)),
            boost: Some(Positive(10.0)),
            unbounded: Some(false),
            combine: Some(Combine::Mean),
            fidelity: Some(Fidelity::Distribution),
            fleet: Some(FleetKind::Softmax),
            optimizer: Some(optimizer),
            rate: Some(Positive(if adaptive { 0.01 } else { 1.0 })),
            momentum: Some(Share(if adaptive { 0.9 } else { 0.0 })),
            softmax: Some(softmax::Task::default()),
            detector: Some(detector::Task::default()),
            ..Self::default()
        }
    }

    /// These, and what the others say where these say nothing.
    pub(super) fn or(&self, others: &Self) -> Result<Self, SettingsError> {
        let mut keys = others.table()?;
        keys.extend(self.table()?);
        Self::from_table(keys)
    }

    pub(super) fn table(&self) -> Result<toml::Table, SettingsError> {
        toml::Table::try_from(self).map_err(|e| SettingsError::Toml(e.to_string()))
    }

    pub(super) fn from_table(keys: toml::Table) -> Result<Self, SettingsError> {
        keys.try_into().map_err(|e: toml::de::Error| SettingsError::Toml(e.to_string()))
    }
}

/// What one run is made of, with nothing left open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Settings {
    pub(super) sites: Sites,
    pub(super) rounds: Rounds,
    pub(super) epsilon: Target,
    pub(super) delta: Probability,
    pub(super) seed: u64,
    pub(super) cohort: Sites,
    pub(super) shard: Shard,
    pub(super) minimum_share: Portion,
    pub(super) colluding_share: Share,
    pub(super) clip: Positive,
    pub(super) target_quantile: Option<Probability>,
    pub(super) dropout: Share,
    pub(super) stragglers: Share,
    pub(super) malicious: Share,
    pub(super) boost: Positive,
    pub(super) unbounded: bool,
    pub(super) combine: Combine,
    pub(super) fidelity: Fidelity,
    pub(super) fleet: FleetKind,
    pub(super) optimizer: Rule,
    pub(super) rate: Positive,
    pub(super) momentum: Share,
    pub(super) faces: Option<PathBuf>,
    pub(super) softmax: softmax::Task,
    pub(super) detector: detector::Task,
}

impl Settings {
    /// Whether both runs have the same sites, who learn the same in the same way.
    pub(super) fn same_fleet(&self, other: &Self) -> bool {
        let key = |s: &Self| (s.fleet, s.sites, s.seed, s.faces.clone(), s.softmax.clone(), s.detector.clone());
        key(self) == key(other)
    }

    /// How many values an update has.
    ///
    /// # Errors
    /// The built-in detector is damaged.
    pub(super) fn parameters(&self) -> anyhow::Result<usize> {
        match self.fleet {
            FleetKind::Softmax => Ok(self.softmax.parameters as usize),
            FleetKind::Detector => detector::parameters(),
        }
    }

    /// As the rounds take them.
    pub(super) fn of_rounds(&self) -> simulation::Settings {
        let adaptive = optimizer::Settings::adaptive(self.optimizer, self.rate.get());
        let share = self.malicious.get();
        simulation::Settings {
            seed: self.seed,
            rounds: self.rounds.get(),
            cohort: self.cohort.get(),
            shard: self.shard.get(),
            fidelity: self.fidelity,
            epsilon: match self.epsilon {
                Target::None => None,
                Target::Epsilon(epsilon) => Some(epsilon.get()),
            },
            delta: self.delta.get(),
            clip_norm: self.clip.get(),
            target_quantile: self.target_quantile.map(Probability::get),
            dropout: self.dropout.get(),
            stragglers: self.stragglers.get(),
            minimum_share: self.minimum_share.get(),
            colluding_share: self.colluding_share.get(),
            optimizer: optimizer::Settings { momentum: self.momentum.get(), ..adaptive },
            combine: self.combine,
            attack: (share > 0.0).then(|| Attack { share, boost: self.boost.get(), unbounded: self.unbounded }),
            norm_bound: !self.unbounded,
        }
    }
}

/// Of what a few stills teach the detector, so much goes the same way at most sites.
const DETECTOR_CLIP: f64 = 0.05;

impl TryFrom<&Choices> for Settings {
    type Error = SettingsError;

    /// Complete choices of one run; of the sweep nothing is taken but that all its runs have shards alike.
    fn try_from(choices: &Choices) -> Result<Self, SettingsError> {
        choices.softmax.iter().try_for_each(softmax::Task::check)?;
        choices.detector.iter().try_for_each(detector::Task::check)?;
        let mut keys = choices.table()?;
        keys.remove("sweep");
        let cohort = choices.cohort.or(choices.sites).map_or(2, Sites::get);
        let robust = choices.combine != Some(Combine::Mean) || choices.sweep.combines();
        let shard = if robust { (cohort / 8).clamp(64, 512) } else { 512 };
        for (key, value) in [("cohort", cohort), ("shard", shard)] {
            keys.entry(key).or_insert(i64::from(value).into());
        }
        let clip = if choices.fleet == Some(FleetKind::Detector) { DETECTOR_CLIP } else { 1.0 };
        keys.entry("clip").or_insert(clip.into());
        keys.try_into().map_err(|e: toml::de::Error| SettingsError::Toml(e.to_string()))
    }
}
