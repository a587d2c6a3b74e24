//! `config.toml`: what the team decides. Everything is checked before anything is served, the mechanism's sizes too.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::mechanism::{Mechanism, MechanismError};
use crate::optimizer::{Optimizer, OptimizerError, Rule, Settings};
use crate::round::{Kind, Patience, Plan};
use crate::secagg::{Authority, Modulus, Parameters, Risk, Terms, TermsError, TooRisky};
use crate::{ClipNorm, CohortSize, IdError, NoiseMultiplier, PrivacyError, RoundId, TaskId};

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum ConfigError {
    #[error("config.toml cannot be read: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("[task]: {0}")]
    Size(#[from] IdError),
    #[error("[task]: {0}")]
    Privacy(#[from] PrivacyError),
    #[error("[task]: {0}")]
    Mechanism(#[from] MechanismError),
    #[error("[task]: {0}")]
    Terms(#[from] TermsError),
    #[error("[task]: {0}")]
    Risk(#[from] TooRisky),
    #[error("[optimizer]: {0}")]
    Optimizer(#[from] OptimizerError),
    #[error("[task]: minimum is {minimum} and most is {most}: most must be as many or more")]
    Most { minimum: u32, most: u32 },
}

/// An aggregator's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The server's names and addresses, as devices will call it.
    pub names: Vec<String>,
    /// How long sites' certificates are good for.
    pub certificate_days: u32,
    /// What is learned.
    pub task: Task,
    /// How long steps last at most.
    pub patience: Waits,
    /// What a sum does to the model.
    pub optimizer: Steps,
}

/// What is learned, and at what price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Values in an update.
    pub parameters: u32,
    /// The clip norm C.
    pub clip_norm: f64,
    /// The noise multiplier z of a sum.
    pub noise_multiplier: f64,
    /// The fewest sites in a sum.
    pub minimum: u32,
    /// The most sites in a round.
    pub most: u32,
    /// Of each thousand sites, how many may collude with the server.
    pub corrupt_per_mille: u32,
    /// Of each thousand sites, how many may vanish.
    pub dropout_per_mille: u32,
    /// Attacks succeed at most once in 2^bits.
    pub security_bits: u32,
    /// Rounds fail by chance at most once in 2^bits.
    pub correctness_bits: u32,
    /// Sums are taken modulo 2^bits.
    pub modulus_bits: u32,
    /// How many rounds there are to be.
    pub rounds: u64,
}

/// How long steps last at most, and between check-ins, in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waits {
    /// The first, in which sites are gathered.
    pub gather_s: u64,
    /// Each later one.
    pub step_s: u64,
    /// How often sites are asked to check in.
    #[serde(default = "ten_minutes")]
    pub check_in_s: u64,
}

fn ten_minutes() -> u64 {
    600
}

/// The server's optimizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Steps {
    /// `average`, `adam` or `yogi`.
    pub rule: RuleName,
    /// How far a step goes.
    pub rate: f64,
    /// What remains of earlier updates.
    pub momentum: f64,
    /// What remains of earlier squares.
    pub memory: f64,
    /// Scales of updates far below it do not matter.
    pub adaptivity: f64,
}

/// A rule's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // as in `optimizer::Rule`
pub enum RuleName {
    Average,
    Adam,
    Yogi,
}

impl Default for Steps {
    fn default() -> Self {
        let Settings { rate, momentum, memory, adaptivity, .. } = Settings::AVERAGE;
        Self { rule: RuleName::Average, rate, momentum, memory, adaptivity }
    }
}

/// A configuration that holds together.
#[derive(Clone, Debug)]
pub struct Checked {
    /// As it was read.
    pub config: Config,
    pub(super) mechanism: Mechanism,
    pub(super) settings: Settings,
    pub(super) most: CohortSize,
    corrupt: u32,
    minimum: CohortSize,
    modulus: Modulus,
    risk: Risk,
}

impl Config {
    /// A `config.toml` to begin with: eight cameras of a demonstration on this machine.
    pub fn example(parameters: u32, name: &str) -> String {
        let name = toml::Value::from(name);
        format!(
            r#"# Where to listen, and the names that cameras call this server by. The server's certificate holds the names: for others,
# make the folder again with `init --name`. camera.toml holds the first name and the port.
listen = "127.0.0.1:7443"
names = [{name}]
# How long cameras' certificates are good for.
certificate_days = 365

[task]
# Values in an update.
parameters = {parameters}
# The clip norm C, and the noise multiplier z of a sum: `volet privacy plan` says which z a target epsilon needs.
clip_norm = 1.0
noise_multiplier = 4.39
# The fewest sites in a sum, and the most in a round. Real tasks have hundreds: see docs/privacy.md.
minimum = 6
most = 8
# Of each thousand sites, how many may collude with this server, and how many may vanish during a round.
corrupt_per_mille = 100
dropout_per_mille = 200
# Attacks succeed, and rounds fail by chance, at most once in 2^bits.
security_bits = 80
correctness_bits = 10
# Sums are taken modulo 2^bits: fewer bits, shorter uploads.
modulus_bits = 32
# How many rounds there are to be.
rounds = 12

[patience]
# How long sites are gathered, and how long each later step may last.
gather_s = 3600
step_s = 600
# How often cameras ask whether there is anything to do, give or take half.
check_in_s = 600

[optimizer]
# average, adam or yogi (docs: federated/src/optimizer.rs).
rule = "average"
rate = 1.0
momentum = 0.0
memory = 0.0
adaptivity = 0.001
"#
        )
    }

    /// Reads and checks `config.toml`.
    ///
    /// # Errors
    /// A [`ConfigError`].
    pub fn read(text: &str) -> Result<Checked, ConfigError> {
        toml::from_str::<Self>(text)?.check()
    }

    /// Checks that everything fits together.
    ///
    /// # Errors
    /// A [`ConfigError`].
    pub fn check(self) -> Result<Checked, ConfigError> {
        let task = &self.task;
        let (minimum, most) = (CohortSize::new(task.minimum)?, CohortSize::new(task.most)?);
        if most < minimum {
            return Err(ConfigError::Most { minimum: task.minimum, most: task.most });
        }
        let risk =
            Risk::new(task.corrupt_per_mille, task.dropout_per_mille, task.security_bits, task.correctness_bits)?;
        let modulus = Modulus::new(task.modulus_bits)?;
        // All that may collude in the largest roster: what the noise has to do without.
        let corrupt = u32::try_from(risk.corrupt(task.most as usize)).unwrap_or(u32::MAX);
        let (clip, noise) = (ClipNorm::new(task.clip_norm)?, NoiseMultiplier::new(task.noise_multiplier)?);
        let mechanism = Mechanism::new(clip, noise, minimum, corrupt, task.parameters as usize, false)?;
        mechanism.fits(modulus, most)?;
        for members in [task.minimum, task.most] {
            Parameters::derive(members as usize, &risk)?;
        }
        let Steps { rule, rate, momentum, memory, adaptivity } = self.optimizer;
        let rule = match rule {
            RuleName::Average => Rule::Average,
            RuleName::Adam => Rule::Adam,
            RuleName::Yogi => Rule::Yogi,
        };
        let settings = Settings { rule, rate, momentum, memory, adaptivity };
        Optimizer::new(settings, 0)?;
        Ok(Checked { mechanism, settings, most, corrupt, minimum, modulus, risk, config: self })
    }
}

impl Checked {
    /// How many sites the noise reckons with as colluding.
    pub(super) const fn corrupt(&self) -> u32 {
        self.corrupt
    }

    /// The plan of a round of this task.
    ///
    /// # Errors
    /// A [`ConfigError`].
    pub fn plan(&self, task: TaskId, number: u64, authority: Authority) -> Result<Plan, ConfigError> {
        let round = RoundId::new(task, number)?;
        let terms = Terms::new(round, self.config.task.parameters, self.modulus, self.minimum, self.risk)?;
        let Waits { gather_s, step_s, .. } = self.config.patience;
        let patience = Patience { gather: gather_s.saturating_mul(1000), step: step_s.saturating_mul(1000) };
        Ok(Plan { terms, authority, kind: Kind::SecAgg, most: self.most.get(), patience })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Config {
        Config::read(&Config::example(1000, "localhost")).unwrap().config
    }

    #[test]
    fn the_example_holds_together_and_survives_text() {
        assert_eq!(Config::read(&toml::to_string(&example()).unwrap()).unwrap().config, example());
        let odd = Config::read(&Config::example(1, "a\"b\\c")).unwrap();
        assert_eq!(odd.config.names, ["a\"b\\c"]);
    }

    #[test]
    fn what_does_not_hold_together_is_refused_by_name() {
        let with = |change: &dyn Fn(&mut Config)| {
            let mut config = example();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(with(&|c| c.task.most = 5).contains("most"));
        assert!(with(&|c| c.task.minimum = 1).contains("cohort"));
        assert!(with(&|c| c.task.clip_norm = 0.0).starts_with("[task]"));
        assert!(with(&|c| c.task.modulus_bits = 16).starts_with("[task]"));
        assert!(with(&|c| c.optimizer.rate = 0.0).starts_with("[optimizer]"));
        assert!(with(&|c| c.task.corrupt_per_mille = 900).starts_with("[task]"));
        let unknown = Config::example(1, "x") + "\nfrobnicate = 1\n";
        assert!(Config::read(&unknown).unwrap_err().to_string().contains("frobnicate"));
    }
}
