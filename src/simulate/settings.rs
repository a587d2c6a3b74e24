//! What a simulation is told: by flags, by a file, or by default, in this order. All three speak of the same keys, and
//! what was decided is written down in the file's own form, so that it can be run again.
//!
//! Knows numbers and their bounds; nothing of fleets, rounds or folders.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use volet_federated::optimizer::{self, Rule};
use volet_federated::simulation::{self, Attack, Combine, Fidelity};

use super::numbers::{Portion, Positive, Probability, Rounds, Shard, Share, Sites, Target};
use super::sweep::Sweep;
use super::task::TaskError;
use super::{detector, pictures, softmax};

/// What can be chosen, all of it optional: the flags, and the keys of a file.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Choices {
    /// How many sites there are [default: 1000; with --faces, one for each four pictures that are learned from].
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
    /// The clip norm: the largest length of an update that counts [default: 1; 0.035 for the detector's fleet, 0.1 for one of pictures].
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
    /// Whose updates are simulated [default: softmax; pictures with --faces].
    #[arg(long, value_name = "FLEET")]
    pub(crate) fleet: Option<FleetKind>,
    /// What the server does with an update: average, adam, yogi [default: average].
    #[arg(long, value_parser = crate::cli::serde_word::<Rule>, value_name = "RULE")]
    pub(crate) optimizer: Option<Rule>,
    /// The server's rate [default: 1 for average, 0.01 for adam and yogi].
    #[arg(long, value_name = "RATE")]
    pub(crate) rate: Option<Positive>,
    /// What remains of earlier updates in the server's running mean [default: 0.9 for adam and yogi; for average 0.8 in the
    /// detector's fleet, else 0].
    #[arg(long, value_name = "SHARE")]
    pub(crate) momentum: Option<Share>,
    /// Sites are made of this folder of annotated pictures, one half of which is held out to measure quality.
    #[arg(long, value_name = "DIR")]
    pub(crate) faces: Option<PathBuf>,
    /// Which pictures `faces` held when the settings were made.
    #[arg(skip)]
    pub(crate) faces_digest: Option<String>,
    /// The softmax fleet's task.
    #[arg(skip)]
    pub(crate) softmax: Option<softmax::Task>,
    /// The detector's fleet's task.
    #[arg(skip)]
    pub(crate) detector: Option<detector::Task>,
    /// The task of the fleet that --faces makes.
    #[arg(skip)]
    pub(crate) pictures: Option<pictures::Task>,
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
    /// A folder of annotated pictures, dealt to sites that teach the built-in detector with labels of their own: --faces.
    Pictures,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    #[error("{0}")]
    Toml(String),
    #[error(transparent)]
    Task(#[from] TaskError),
}

impl Choices {
    /// What holds where these choose nothing, of which some follows from what they do choose. The cohort and the shard follow
    /// from the number of sites.
    pub(super) fn by_default(&self) -> Self {
        let (fleet, optimizer) = (self.fleet.unwrap_or(FleetKind::Softmax), self.optimizer.unwrap_or(Rule::Average));
        let (clip, momentum) = usual(fleet);
        let adaptive = optimizer != Rule::Average;
        Self {
            sites: Sites::try_from(1000).ok(),
            rounds: Rounds::try_from(12).ok(),
            epsilon: Positive::try_from(4.0).ok().map(Target::Epsilon),
            delta: Probability::try_from(1e-6).ok(),
            seed: Some(1),
            minimum_share: Portion::try_from(0.9).ok(),
            colluding_share: Share::try_from(0.1).ok(),
            dropout: Share::try_from(0.0).ok(),
            stragglers: Share::try_from(0.0).ok(),
            malicious: Share::try_from(0.0).ok(),
            boost: Positive::try_from(10.0).ok(),
            unbounded: Some(false),
            combine: Some(Combine::Mean),
            fidelity: Some(Fidelity::Distribution),
            fleet: Some(fleet),
            clip: Positive::try_from(clip).ok(),
            optimizer: Some(optimizer),
            rate: Positive::try_from(if adaptive { 0.01 } else { 1.0 }).ok(),
            momentum: Share::try_from(if adaptive { 0.9 } else { momentum }).ok(),
            softmax: Some(softmax::Task::default()),
            detector: Some(detector::Task::default()),
            pictures: Some(pictures::Task::default()),
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
    pub(super) pictures: pictures::Task,
}

impl Settings {
    /// Whether both runs have the same sites, who learn the same in the same way.
    pub(super) fn same_fleet(&self, other: &Self) -> bool {
        let tasks = |s: &Self| (s.softmax.clone(), s.detector.clone(), s.pictures.clone());
        let key = |s: &Self| (s.fleet, s.sites, s.seed, s.faces.clone(), tasks(s));
        key(self) == key(other)
    }

    /// How many values an update has.
    ///
    /// # Errors
    /// The built-in detector is damaged.
    pub(super) fn parameters(&self) -> anyhow::Result<usize> {
        match self.fleet {
            FleetKind::Softmax => Ok(self.softmax.parameters as usize),
            FleetKind::Detector | FleetKind::Pictures => detector::parameters(),
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

/// A fleet's clip norm, and what the server's mean keeps of earlier updates. What a few steps on a few stills teach the detector is
/// short, and a larger share of it is what sites agree on than of longer learning (docs/adaptation.md).
fn usual(fleet: FleetKind) -> (f64, f64) {
    match fleet {
        FleetKind::Detector => (0.035, 0.8),
        FleetKind::Pictures => (0.1, 0.0),
        FleetKind::Softmax => (1.0, 0.0),
    }
}

impl TryFrom<&Choices> for Settings {
    type Error = SettingsError;

    /// Complete choices of one run; of the sweep nothing is taken but that all its runs have shards alike.
    fn try_from(choices: &Choices) -> Result<Self, SettingsError> {
        choices.softmax.iter().try_for_each(softmax::Task::check)?;
        choices.detector.iter().try_for_each(detector::Task::check)?;
        choices.pictures.iter().try_for_each(pictures::Task::check)?;
        let mut keys = choices.table()?;
        keys.remove("sweep");
        let cohort = choices.cohort.or(choices.sites).map_or(2, Sites::get);
        let robust = choices.combine != Some(Combine::Mean) || choices.sweep.combines();
        let shard = if robust { (cohort / 8).clamp(64, 512) } else { 512 };
        for (key, value) in [("cohort", cohort), ("shard", shard)] {
            keys.entry(key).or_insert(i64::from(value).into());
        }
        keys.try_into().map_err(|e: toml::de::Error| SettingsError::Toml(e.to_string()))
    }
}
