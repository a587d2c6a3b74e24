//! What is simulated: every number that a run depends on, beside the fleet.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::accounting::AccountingError;
use crate::mechanism::{MechanismError, QuantileError};
use crate::optimizer::{self, OptimizerError};
use crate::robust::{Combine, CombineError};
use crate::secagg::{TermsError, TooRisky};
use crate::{IdError, PrivacyError};

/// Why something cannot be simulated.
#[derive(Debug, thiserror::Error, PartialEq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum SettingsError {
    #[error("{field} is {given}; it must be {range}")]
    Range { field: &'static str, given: f64, range: &'static str },
    #[error("cohort is {cohort}, and the fleet has {sites} sites; ask fewer, or 0 for all")]
    Cohort { cohort: u32, sites: u32 },
    #[error("combine is {how}, which is of {need} sums or more, and {asked} sites make {shards}; make shard smaller")]
    Shards { how: Combine, need: usize, asked: u32, shards: u32 },
    #[error("epsilon is none, and the protocol sends nothing without noise; name one, or take fidelity distribution")]
    NoNoise,
    #[error(
        "attack.unbounded is set, and no site of the protocol can send what was not clipped; take fidelity distribution"
    )]
    Unbounded,
    #[error("optimizer: {0}")]
    Optimizer(#[from] OptimizerError),
    #[error("combine: {0}")]
    Combine(#[from] CombineError),
    #[error("epsilon, delta, rounds: {0}")]
    Accounting(#[from] AccountingError),
    #[error("shard, minimum_share, colluding_share: {0}")]
    Mechanism(#[from] MechanismError),
    #[error("shard: {0}")]
    Shard(#[from] IdError),
    #[error("minimum_share, colluding_share: {0}")]
    Terms(#[from] TermsError),
    #[error("shard, minimum_share, colluding_share: {0}")]
    Risk(#[from] TooRisky),
    #[error("clip_norm: {0}")]
    Privacy(#[from] PrivacyError),
    #[error("target_quantile: {0}")]
    Quantile(#[from] QuantileError),
}

/// What is simulated. What is not said is as in the default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// All that is random follows from it.
    pub seed: u64,
    /// How many rounds, from 1.
    pub rounds: u32,
    /// How many sites are asked in a round, another choice in each; 0 asks all.
    pub cohort: u32,
    /// The most sites in one sum, 64 to 512. A round's sites are split evenly; fewer than that make one sum.
    pub shard: u32,
    /// What runs between a site's update and the sum.
    pub fidelity: Fidelity,
    /// What all rounds together may cost, at `delta`, by zCDP; `none` (in text the word) is no noise at all.
    #[serde(with = "or_none")]
    pub epsilon: Option<f64>,
    /// The delta of `epsilon`.
    pub delta: f64,
    /// The clip norm C, or the first one where it adapts.
    pub clip_norm: f64,
    /// Where given, the clip norm moves to where this share of updates lies within it.
    pub target_quantile: Option<f64>,
    /// The share of asked sites that vanish.
    pub dropout: f64,
    /// The share of asked sites that answer after the deadline.
    pub stragglers: f64,
    /// The share of a sum's sites without which there is no sum, above 0 to 1.
    pub minimum_share: f64,
    /// The share of a sum's sites whose noise is not counted on: they may collude with the server.
    pub colluding_share: f64,
    /// What the server does with a round's update.
    pub optimizer: optimizer::Settings,
    /// How sums become a round's update.
    pub combine: Combine,
    /// Who means harm.
    pub attack: Option<Attack>,
    /// Whether the code that clips runs on malicious sites too, as attested firmware would see to. The server cannot: it
    /// sees no norm through a mask.
    pub norm_bound: bool,
}

/// What malicious sites do. They are the same ones in every round, and otherwise vanish and straggle as others do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attack {
    /// The share of all sites, rounded up.
    pub share: f64,
    /// What they multiply their poison by.
    pub boost: f64,
    /// Whether they skip the clip if [`Settings::norm_bound`] lets them. They then send any number that the modulus has.
    pub unbounded: bool,
}

/// What runs between a site's update and the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fidelity {
    /// Clipped integers are added up, and noise is drawn once per sum. Masks would cancel, and are left out.
    #[default]
    Distribution,
    /// Every site has a budget ledger, adds noise of its own and masks its vector, and a server's round takes it, in
    /// memory. Noise and masks come from the operating system, as on a camera: no two runs are the same.
    Protocol,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 0,
            rounds: 12,
            cohort: 0,
            shard: 256,
            fidelity: Fidelity::Distribution,
            epsilon: Some(4.0),
            delta: 1e-6,
            clip_norm: 1.0,
            target_quantile: None,
            dropout: 0.0,
            stragglers: 0.0,
            minimum_share: 0.9,
            colluding_share: 0.1,
            optimizer: optimizer::Settings::AVERAGE,
            combine: Combine::Mean,
            attack: None,
            norm_bound: false,
        }
    }
}

impl Default for Attack {
    fn default() -> Self {
        Self { share: 0.01, boost: 10.0, unbounded: false }
    }
}

impl Settings {
    /// Whether every number is in its range. What only a fleet tells, [`Simulation::new`](super::Simulation::new) checks.
    ///
    /// # Errors
    /// A [`SettingsError`] that names the field.
    pub fn check(&self) -> Result<(), SettingsError> {
        let share = |v: f64| (0.0..1.0).contains(&v);
        let attack = self.attack.clone().unwrap_or_default();
        let target = self.target_quantile.unwrap_or(0.5);
        for (field, given, good, range) in [
            ("rounds", self.rounds.into(), (1..=1_000_000).contains(&self.rounds), "1 to 1000000"),
            ("shard", self.shard.into(), (64..=512).contains(&self.shard), "64 to 512"),
            ("target_quantile", target, target > 0.0 && target < 1.0, "above 0 and below 1"),
            ("dropout", self.dropout, share(self.dropout), "from 0 to below 1"),
            ("stragglers", self.stragglers, share(self.stragglers), "from 0 to below 1"),
            (
                "dropout + stragglers",
                self.dropout + self.stragglers,
                share(self.dropout + self.stragglers),
                "from 0 to below 1",
            ),
            (
                "minimum_share",
                self.minimum_share,
                self.minimum_share > 0.0 && self.minimum_share <= 1.0,
                "above 0 and up to 1",
            ),
            ("colluding_share", self.colluding_share, share(self.colluding_share), "from 0 to below 1"),
            ("attack.share", attack.share, share(attack.share), "from 0 to below 1"),
            ("attack.boost", attack.boost, attack.boost > 0.0 && attack.boost.is_finite(), "above 0"),
        ] {
            if !good {
                return Err(SettingsError::Range { field, given, range });
            }
        }
        if self.fidelity == Fidelity::Protocol {
            if self.epsilon.is_none() {
                return Err(SettingsError::NoNoise);
            }
            if self.skips_the_clip() {
                return Err(SettingsError::Unbounded);
            }
        }
        Ok(self.optimizer.check()?)
    }

    /// Whether malicious sites send what was not clipped.
    pub(super) fn skips_the_clip(&self) -> bool {
        !self.norm_bound && self.attack.as_ref().is_some_and(|attack| attack.unbounded)
    }
}

/// A number, or the word `none`: TOML has no other word for nothing.
mod or_none {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Text {
        Number(f64),
        Word(String),
    }

    pub(super) fn serialize<S: Serializer>(value: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
        value.map_or_else(|| Text::Word("none".to_owned()), Text::Number).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
        match Text::deserialize(from)? {
            Text::Number(number) => Ok(Some(number)),
            Text::Word(word) if word == "none" => Ok(None),
            Text::Word(word) => Err(D::Error::custom(format!("{word:?} is neither a number nor none"))),
        }
    }
}
