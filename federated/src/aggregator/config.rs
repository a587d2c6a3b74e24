//! `config.toml`: what the team decides. Everything is checked before anything is served, the mechanism's sizes too.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tonic::transport::Uri;

use super::register::ShardId;
use crate::accounting::{Delta, Rounds, zcdp};
use crate::budget::LineageId;
use crate::mechanism::{Mechanism, MechanismError};
use crate::optimizer::{self, OptimizerError};
use crate::robust::Combine;
use crate::round::{Kind, Patience, Plan};
use crate::secagg::{Authority, Modulus, Parameters, Risk, Terms, TermsError, TooRisky, packed_len, split};
use crate::task::Task as SignableTask;
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
    #[error("{what} is {given}; it must be {range}")]
    Range { what: &'static str, given: u64, range: &'static str },
    #[error(
        "dashboard is {0}, which others than this machine reach: say dashboard_open = true if they may, or use 127.0.0.1"
    )]
    Dashboard(SocketAddr),
    #[error("[evaluate]: command names no program")]
    Command,
    #[error("[storage]: {0}")]
    Storage(&'static str),
    #[error("[replica]: the name is {0:?}; it must be 1 to 63 letters, digits and hyphens")]
    Name(String),
    #[error("[replica]: the address is {0:?}; it must be https://host:port")]
    Address(String),
    #[error("[helper]: a key is 64 hexadecimal digits, as `helper init` prints them")]
    Helper,
    #[error("[task] shards is {0}: a buffered round has one, of any size")]
    Buffered(u32),
    #[error("[task] combine is {how}, which is of {least} shards or more, and shards is {shards}")]
    Combine { how: Combine, least: usize, shards: u32 },
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
    /// Where people and Prometheus look: plain HTTP, for this machine alone.
    #[serde(default = "here")]
    pub dashboard: Option<SocketAddr>,
    /// Lets others than this machine look. Nothing there is secret, and nothing is asked of whoever looks.
    #[serde(default)]
    pub dashboard_open: bool,
    /// What is learned.
    pub task: Task,
    /// How long steps last at most.
    pub patience: Waits,
    /// What a sum does to the model.
    pub optimizer: optimizer::Settings,
    /// What a model has to be before it is released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluate: Option<Evaluate>,
    /// Who helps in buffered rounds; without it sites mask for each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helper: Option<Helper>,
    /// Where tables and files are kept.
    #[serde(default)]
    pub storage: Storage,
    /// This process, where several serve.
    #[serde(default)]
    pub replica: Member,
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
    /// The most sites in a shard: sites whose vectors are summed together.
    pub most: u32,
    /// The most shards in a round.
    #[serde(default = "one")]
    pub shards: u32,
    /// How they are combined: `mean`, `median`, `trimmed-mean` or `trimmed-mean:0.1`.
    #[serde(default)]
    pub combine: Combine,
    /// Of each thousand sites that check in, how many are asked to take part in a round; others in another one.
    #[serde(default = "all")]
    pub asked_per_mille: u32,
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

/// Evaluation of a model before it is released: a program of the team's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluate {
    /// The program and its arguments. It finds in `VOLET_LEARNED` a file of what was learned (values of 4 bytes,
    /// little-endian, to be added to the trainable parameters), and prints `{"quality": 0.9}` as its last line.
    pub command: Vec<String>,
    /// How long it may take.
    pub within_s: u64,
    /// What is not released: a model of lower quality, or of unknown.
    pub at_least: Option<f64>,
}

/// The helper of buffered rounds, as `helper init` prints it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Helper {
    /// The key that it is known by, hexadecimal.
    pub identity: String,
    /// The key that reports are sealed to, hexadecimal.
    pub exchange: String,
}

impl Helper {
    fn keys(&self) -> Result<split::Keys, ConfigError> {
        let read = |hex: &str| blake3::Hash::from_hex(hex).map(<[u8; 32]>::from).map_err(|_| ConfigError::Helper);
        Ok(split::Keys { identity: read(&self.identity)?, exchange: read(&self.exchange)? })
    }
}

/// Where tables and files are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "kind")]
pub enum Storage {
    /// In the aggregator's folder: for one machine, nothing to install.
    #[default]
    Folder,
    /// In PostgreSQL and an object store: for several replicas.
    Postgres(Shared),
}

/// What several replicas share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    /// `postgresql://user@host:port/database`; `VOLET_DATABASE_URL` takes its place.
    #[serde(default)]
    pub url: String,
    /// `s3://bucket/prefix`.
    pub objects: String,
    /// Where the object store is, if not at AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Its region, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// One of several that serve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Member {
    /// Its name, which no other has; `VOLET_REPLICA_NAME` takes its place.
    pub name: String,
    /// Where the others reach it; `VOLET_REPLICA_ADDRESS` takes its place.
    pub address: String,
    /// How long it has a shard without a sign of life.
    pub lease_s: u64,
}

impl Default for Member {
    fn default() -> Self {
        Self { name: String::new(), address: String::new(), lease_s: 10 }
    }
}

fn ten_minutes() -> u64 {
    600
}

fn one() -> u32 {
    1
}

fn all() -> u32 {
    1000
}

fn here() -> Option<SocketAddr> {
    Some(SocketAddr::from(([127, 0, 0, 1], 7444)))
}

/// A configuration that holds together.
#[derive(Clone, Debug)]
pub struct Checked {
    /// As it was read.
    pub config: Config,
    pub(super) mechanism: Mechanism,
    pub(super) most: CohortSize,
    corrupt: u32,
    minimum: CohortSize,
    modulus: Modulus,
    risk: Risk,
    kind: Kind,
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
# Where people and Prometheus look: plain HTTP. Other addresses than this machine's own need `dashboard_open = true`.
dashboard = "127.0.0.1:7444"
# How long cameras' certificates are good for.
certificate_days = 365

[task]
# Values in an update.
parameters = {parameters}
# The clip norm C, and the noise multiplier z of a sum: `volet privacy plan` says which z a target epsilon needs.
clip_norm = 1.0
noise_multiplier = 4.39
# The fewest sites in a sum, and the most. Real tasks have hundreds: see docs/privacy.md.
minimum = 6
most = 8
# A round has up to so many sums, each over sites of its own. Of each thousand sites that check in, so many are asked.
shards = 1
asked_per_mille = 1000
# What a round does with its sums: mean, or median or trimmed-mean, which a few hostile sums cannot move far, but which learn
# more slowly through the noise and need three sums or more (docs/architecture.md).
combine = "mean"
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

# A program that says how good a model is, before it is released (docs/operations.md).
# [evaluate]
# command = ["/opt/team/evaluate", "--held-out", "/data/held-out"]
# within_s = 600
# at_least = 0.8
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
        for (what, given, range, said) in [
            ("[task] shards", task.shards.into(), 1..=4096, "1 to 4096"),
            ("[task] asked_per_mille", task.asked_per_mille.into(), 1..=1000, "1 to 1000"),
            // Leases are renewed about every second.
            ("[replica] lease_s", self.replica.lease_s, 2..=3600, "2 to 3600"),
        ] {
            if !range.contains(&given) {
                return Err(ConfigError::Range { what, given, range: said });
            }
        }
        if (task.shards as usize) < task.combine.least() {
            let (how, shards) = (task.combine, task.shards);
            return Err(ConfigError::Combine { how, least: how.least(), shards });
        }
        if let Storage::Postgres(shared) = &self.storage {
            shared.check()?;
        }
        if let Some(address) = self.dashboard.filter(|address| !address.ip().is_loopback() && !self.dashboard_open) {
            return Err(ConfigError::Dashboard(address));
        }
        if self.evaluate.as_ref().is_some_and(|evaluate| evaluate.command.is_empty()) {
            return Err(ConfigError::Command);
        }
        let kind = match &self.helper {
            Some(_) if task.shards > 1 => return Err(ConfigError::Buffered(task.shards)),
            Some(helper) => Kind::Split(helper.keys()?),
            None => Kind::SecAgg,
        };
        let risk =
            Risk::new(task.corrupt_per_mille, task.dropout_per_mille, task.security_bits, task.correctness_bits)?;
        let modulus = Modulus::new(task.modulus_bits)?;
        // All that may collude in the largest roster: what the noise has to do without.
        let corrupt = u32::try_from(risk.corrupt(task.most as usize)).unwrap_or(u32::MAX);
        let (clip, noise) = (ClipNorm::new(task.clip_norm)?, NoiseMultiplier::new(task.noise_multiplier)?);
        let mechanism = Mechanism::new(clip, noise, minimum, corrupt, task.parameters as usize, false)?;
        mechanism.fits(modulus, most)?;
        if kind == Kind::SecAgg {
            for members in [task.minimum, task.most] {
                Parameters::derive(members as usize, &risk)?;
            }
        }
        self.optimizer.check()?;
        Ok(Checked { mechanism, most, corrupt, minimum, modulus, risk, kind, config: self })
    }
}

impl Shared {
    /// The end of a `config.toml` of one of several replicas.
    ///
    /// # Errors
    /// None in practice.
    pub fn into_toml(self) -> Result<String, toml::ser::Error> {
        let storage = toml::to_string(&BTreeMap::from([("storage", Storage::Postgres(self))]))?;
        let replica = "# Each replica has its own: VOLET_REPLICA_NAME and VOLET_REPLICA_ADDRESS take their places.\n\
                       [replica]\nname = \"\"\naddress = \"\"\n\
                       # How long it has a shard without a sign of life.\nlease_s = 10\n";
        Ok(format!("\n# VOLET_DATABASE_URL takes url's place, password and all.\n{storage}\n{replica}"))
    }

    fn check(&self) -> Result<(), ConfigError> {
        let postgres = ["postgresql://", "postgres://"].iter().any(|scheme| self.url.starts_with(scheme));
        if !self.url.is_empty() && !postgres {
            return Err(ConfigError::Storage("url is no postgresql://user@host:port/database"));
        }
        if self.objects.strip_prefix("s3://").is_none_or(|bucket| bucket.is_empty() || bucket.starts_with('/')) {
            return Err(ConfigError::Storage("objects is no s3://bucket/prefix"));
        }
        let Some(endpoint) = &self.endpoint else { return Ok(()) };
        let uri = endpoint.parse::<Uri>().map_err(|_| ConfigError::Storage("endpoint is no https://host:port"))?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let here = host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        match uri.scheme_str() {
            Some("https") => Ok(()),
            Some("http") if here => Ok(()),
            Some("http") => Err(ConfigError::Storage("endpoint is http on another machine: use https")),
            _ => Err(ConfigError::Storage("endpoint is no https://host:port")),
        }
    }
}

impl Member {
    /// Whether there may be such a one.
    ///
    /// # Errors
    /// [`ConfigError::Name`], [`ConfigError::Address`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let letters = self.name.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'-');
        if self.name.is_empty() || self.name.len() > 63 || !letters {
            return Err(ConfigError::Name(self.name.clone()));
        }
        let uri = self.address.parse::<Uri>().ok();
        let whole = |uri: Uri| uri.scheme_str() == Some("https") && uri.port().is_some() && uri.path() == "/";
        if uri.is_some_and(whole) { Ok(()) } else { Err(ConfigError::Address(self.address.clone())) }
    }
}

impl Checked {
    /// What sites are asked to do.
    ///
    /// # Errors
    /// None in practice: all of it was checked.
    pub(super) fn task(&self, id: TaskId, lineage: LineageId) -> Result<SignableTask, ConfigError> {
        let Task { parameters, clip_norm, noise_multiplier, rounds, .. } = self.config.task;
        let (clip, noise) = (ClipNorm::new(clip_norm)?, NoiseMultiplier::new(noise_multiplier)?);
        let (corrupt, minimum) = (self.corrupt, self.minimum);
        let buffered = self.kind != Kind::SecAgg;
        Ok(SignableTask { id, lineage, parameters, clip, noise, corrupt, minimum, rounds, buffered })
    }

    /// The terms of a round of this task.
    ///
    /// # Errors
    /// A [`ConfigError`].
    pub fn terms(&self, task: TaskId, round: u64) -> Result<Terms, ConfigError> {
        let round = RoundId::new(task, round)?;
        Ok(Terms::new(round, self.config.task.parameters, self.modulus, self.minimum, self.risk)?)
    }

    /// The plan of a shard, whose sites are gathered for so many milliseconds.
    ///
    /// # Errors
    /// A [`ConfigError`].
    pub fn plan(&self, task: TaskId, shard: ShardId, authority: Authority, gather: u64) -> Result<Plan, ConfigError> {
        let step = self.config.patience.step_s.saturating_mul(1000);
        // Of a round's shards the first one waits for sites: else rounds would pass while nobody is there.
        let patience = Patience { gather, insist: shard.shard == 0, step };
        let terms = self.terms(task, shard.round)?;
        Ok(Plan { terms, authority, kind: self.kind, most: self.most.get(), patience })
    }

    /// Whether this site is asked to take part in this round: the same whenever it checks in.
    pub(super) fn asks(&self, site: &[u8; 32], terms: &Terms) -> bool {
        let mut hasher = blake3::Hasher::new_derive_key("volet 2026-11 aggregator: who is asked");
        let draw = hasher.update(&terms.digest()).update(site).finalize();
        let [low, high, ..] = draw.as_bytes();
        // Of 65536 values, so many per mille.
        u64::from(u16::from_le_bytes([*low, *high])) * 1000 < u64::from(self.config.task.asked_per_mille) << 16
    }

    /// Whether this is the helper of buffered rounds.
    pub(super) fn helps(&self, site: &[u8; 32]) -> bool {
        matches!(self.kind, Kind::Split(keys) if keys.identity == *site)
    }

    /// The longest message of any shard, bytes.
    #[cfg_attr(not(feature = "cluster"), allow(dead_code))] // what one replica knows of the others
    pub(super) fn longest(&self) -> usize {
        let vector = packed_len(self.config.task.parameters as usize, self.modulus);
        vector.max(256 * self.most.get() as usize) + 1024
    }

    /// How long a replica has a shard without a sign of life.
    pub(super) fn lease(&self) -> Duration {
        Duration::from_secs(self.config.replica.lease_s)
    }

    /// The cost of so many rounds in epsilon, at [`DELTA`].
    pub fn epsilon(&self, rounds: u64) -> Option<f64> {
        let noise = NoiseMultiplier::new(self.config.task.noise_multiplier).ok()?;
        let cost = match Rounds::new(rounds) {
            Ok(rounds) => zcdp::rho(noise, rounds).ok()?,
            Err(_) => return Some(0.0),
        };
        Some(zcdp::epsilon(cost, Delta::new(DELTA).ok()?))
    }
}

/// The delta that epsilons are shown at.
pub const DELTA: f64 = 1e-6;

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
    fn a_configuration_of_before_combines_by_the_mean() {
        let text = Config::example(1000, "localhost");
        let without = |key: &str| {
            let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with(key)).collect();
            Config::read(&kept.join("\n")).unwrap().config
        };
        assert_eq!(without("combine"), example());
        let other = text.replace("combine = \"mean\"", "combine = \"trimmed-mean:0.2\"");
        let other = other.replace("shards = 1", "shards = 5");
        assert_eq!(Config::read(&other).unwrap().config.task.combine, "trimmed-mean:0.2".parse().unwrap());
        let wrong = text.replace("combine = \"mean\"", "combine = \"mode\"");
        assert!(Config::read(&wrong).unwrap_err().to_string().contains("trimmed-mean"));
    }

    /// Of 1000 sites, 250 are expected: further than 6 standard deviations off is one run in 500 million.
    #[test]
    fn so_many_sites_are_asked_and_always_the_same() {
        let mut config = example();
        config.task.asked_per_mille = 250;
        let checked = config.check().unwrap();
        let terms = |round| checked.terms(TaskId::from_bytes([1; 16]), round).unwrap();
        let site = |n: u32| *blake3::hash(&n.to_le_bytes()).as_bytes();
        let asked = |round| (0..1000).filter(|&n| checked.asks(&site(n), &terms(round))).collect::<Vec<_>>();
        assert!((250 - 82..250 + 82).contains(&asked(1).len()), "{}", asked(1).len());
        assert_eq!(asked(1), asked(1));
        assert_ne!(asked(1), asked(2));
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
        assert!(with(&|c| c.task.shards = 0).contains("shards"));
        assert!(with(&|c| (c.task.combine, c.task.shards) = (Combine::Median, 2)).contains("combine is median"));
        let helper = Helper { identity: "00".repeat(32), exchange: "11".repeat(32) };
        assert!(with(&|c| (c.helper, c.task.shards) = (Some(helper.clone()), 2)).contains("buffered"));
        assert!(with(&|c| c.helper = Some(Helper { exchange: "x".to_owned(), ..helper.clone() })).contains("[helper]"));
        assert!(with(&|c| c.task.asked_per_mille = 1001).contains("asked"));
        assert!(with(&|c| c.dashboard = Some(([0, 0, 0, 0], 80).into())).contains("dashboard_open"));
        assert!(with(&|c| c.replica.lease_s = 1).contains("lease_s"));
        let shared = |url: &str, objects: &str, endpoint: Option<&str>| {
            let (url, objects, endpoint) = (url.to_owned(), objects.to_owned(), endpoint.map(ToOwned::to_owned));
            let shared = Shared { url, objects, endpoint, region: None };
            with(&|c| c.storage = Storage::Postgres(shared.clone()))
        };
        assert!(shared("mysql://db/volet", "s3://volet", None).contains("postgresql"));
        assert!(shared("", "s3:///prefix", None).contains("s3://bucket"));
        assert!(shared("", "s3://volet", Some("http://s3.example.org")).contains("https"));
        assert!(shared("", "s3://volet", Some("nonsense")).contains("endpoint"));
        let unknown = Config::example(1, "x") + "\nfrobnicate = 1\n";
        assert!(Config::read(&unknown).unwrap_err().to_string().contains("frobnicate"));
    }

    #[test]
    fn replicas_are_named_and_found() {
        let text = "[storage]\nkind = \"postgres\"\nobjects = \"s3://volet/a\"\nendpoint = \"http://127.0.0.1:9000\"\n\
                    [replica]\nname = \"volet-0\"\naddress = \"https://volet-0.example.org:7443\"\n";
        let config = Config::read(&(Config::example(1, "x") + text)).unwrap().config;
        assert!(matches!(&config.storage, Storage::Postgres(shared) if shared.objects == "s3://volet/a"));
        config.replica.check().unwrap();
        assert_eq!(config.replica.lease_s, 10);
        let odd = |name: &str, address: &str| {
            Member { name: name.to_owned(), address: address.to_owned(), lease_s: 10 }.check().unwrap_err().to_string()
        };
        assert!(odd("", "https://a:1").contains("name"));
        assert!(odd("a/b", "https://a:1").contains("name"));
        for address in ["", "http://a:1", "https://a", "https://a:1/b", "a:1"] {
            assert!(odd("a", address).contains("address"));
        }
        let Storage::Postgres(shared) = config.storage else { panic!("{config:?}") };
        let made = Config::example(1, "x") + &shared.clone().into_toml().unwrap();
        assert_eq!(Config::read(&made).unwrap().config.storage, Storage::Postgres(shared));
        let unknown = Config::example(1, "x") + "[storage]\nkind = \"postgres\"\nobjects = \"s3://a\"\nbucket = 1\n";
        assert!(Config::read(&unknown).unwrap_err().to_string().contains("bucket"));
    }
}
