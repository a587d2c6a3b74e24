//! `policy.toml`: what the owner allows, in the owner's words, and the policy that is signed of it. And the owner's
//! key.
//!
//! Knows no device and no server.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::value::Datetime;
use volet_federated::accounting::{AccountingError, Delta, Epsilon, zcdp};
use volet_federated::budget::{Day, Limits, LineageId, Policy, Scope};
use volet_federated::secagg::Demands;
use volet_federated::signing::SigningKey;
use volet_federated::{ClipNorm, CohortSize, IdError, PrivacyError, Rho};

/// Why a policy is none.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum PolicyFileError {
    #[error("the policy cannot be read: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("policy, delta or [epsilon]: {0}")]
    Accounting(#[from] AccountingError),
    #[error("policy, largest_clip: {0}")]
    Clip(#[from] PrivacyError),
    #[error("policy, smallest_cohort: {0}")]
    Cohort(#[from] IdError),
    #[error("policy, last_day: a day is needed, as in 2027-11-22")]
    Day,
    #[error("policy, lineages: {0:?} is not the 64 hexadecimal digits of a model file's BLAKE3")]
    Lineage(String),
}

/// The most that may be spent, as epsilon at the policy's delta, each limit by itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Epsilons {
    /// In one round.
    pub round: f64,
    /// In one day.
    pub day: f64,
    /// For one model and all that is learned from it, ever.
    pub lineage: f64,
    /// For everything, ever.
    pub lifetime: f64,
}

/// A policy in the owner's words. What is not said is as [`Default`] has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyFile {
    /// Goes up with every policy for a camera.
    pub version: u64,
    /// The probability with which an epsilon may not hold.
    pub delta: f64,
    /// The limits.
    pub epsilon: Epsilons,
    /// The largest clip norm: how far one update may move the model.
    pub largest_clip: f64,
    /// The smallest number of sites that a sum may be over.
    pub smallest_cohort: u32,
    /// Of each thousand sites, at least so many are reckoned to collude with the server.
    pub corrupt_per_mille: u32,
    /// At least so many bits of security.
    pub security_bits: u32,
    /// The last day on which anything is allowed; a year from the day of enrolment where not given.
    pub last_day: Option<Datetime>,
    /// BLAKE3 of the model files that may learn here; the installed one where not given.
    pub lineages: Option<Vec<String>>,
}

impl Default for Epsilons {
    fn default() -> Self {
        Self { round: 1.2, day: 2.5, lineage: 4.1, lifetime: 8.0 }
    }
}

impl Default for PolicyFile {
    fn default() -> Self {
        Self {
            version: 1,
            delta: 1e-6,
            epsilon: Epsilons::default(),
            largest_clip: 1.0,
            smallest_cohort: 100,
            corrupt_per_mille: 100,
            security_bits: 80,
            last_day: None,
            lineages: None,
        }
    }
}

impl PolicyFile {
    /// Reads `policy.toml`.
    ///
    /// # Errors
    /// [`PolicyFileError::Toml`].
    pub fn read(text: &str) -> Result<Self, PolicyFileError> {
        Ok(toml::from_str(text)?)
    }

    /// The policy to be signed, for a camera with this model that is enrolled on this day.
    ///
    /// # Errors
    /// A [`PolicyFileError`].
    pub fn policy(&self, installed: LineageId, today: Day) -> Result<Policy, PolicyFileError> {
        let delta = Delta::new(self.delta)?;
        let rho =
            |epsilon: f64| -> Result<Rho, AccountingError> { Ok(zcdp::largest_rho(Epsilon::new(epsilon)?, delta)) };
        let Epsilons { round, day, lineage, lifetime } = self.epsilon;
        let lineages = match &self.lineages {
            None => [installed].into(),
            Some(lineages) => lineages.iter().map(|hex| lineage_of(hex)).collect::<Result<_, _>>()?,
        };
        Ok(Policy {
            version: self.version,
            limits: Limits { round: rho(round)?, day: rho(day)?, lineage: rho(lineage)?, lifetime: rho(lifetime)? },
            max_clip: ClipNorm::new(self.largest_clip)?,
            demands: Demands {
                minimum: CohortSize::new(self.smallest_cohort)?,
                corrupt_per_mille: self.corrupt_per_mille,
                security_bits: self.security_bits,
            },
            scope: Scope::Lineages(lineages),
            last_day: match &self.last_day {
                Some(day) => day_of(day).ok_or(PolicyFileError::Day)?,
                None => Day(today.0.saturating_add(365)),
            },
        })
    }
}

/// Why there is no signing key: an owner's, or that of whoever signs programs.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum OwnerError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} exists already: a signing key is never replaced; give another name", .0.display())]
    Exists(PathBuf),
    #[error("{} holds no signing key of 64 hexadecimal digits: `volet-edge owner` makes an owner's, `volet program key` one for programs", .0.display())]
    NoKey(PathBuf),
    #[error("the operating system gives no random bytes: {0}")]
    Entropy(getrandom::Error),
}

/// Makes a signing key in a new file that its owner alone may read.
///
/// # Errors
/// An [`OwnerError`].
pub fn make_owner(path: &Path) -> Result<SigningKey, OwnerError> {
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(OwnerError::Entropy)?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => OwnerError::Exists(path.to_owned()),
        _ => OwnerError::Io { path: path.to_owned(), source },
    })?;
    let written = writeln!(file, "{}", blake3::Hash::from_bytes(*bytes)).and_then(|()| file.sync_all());
    written.map_err(|source| OwnerError::Io { path: path.to_owned(), source })?;
    Ok(SigningKey::from(*bytes))
}

/// Reads such a key.
///
/// # Errors
/// [`OwnerError::Io`], [`OwnerError::NoKey`].
pub fn read_owner(path: &Path) -> Result<SigningKey, OwnerError> {
    let io = |source| OwnerError::Io { path: path.to_owned(), source };
    let text = zeroize::Zeroizing::new(std::fs::read(path).map_err(io)?);
    let hash = std::str::from_utf8(&text).ok().and_then(|text| blake3::Hash::from_hex(text.trim()).ok());
    hash.map(|hash| SigningKey::from(<[u8; 32]>::from(hash))).ok_or_else(|| OwnerError::NoKey(path.to_owned()))
}

fn lineage_of(hex: &str) -> Result<LineageId, PolicyFileError> {
    let hash = blake3::Hash::from_hex(hex).map_err(|_| PolicyFileError::Lineage(hex.to_owned()))?;
    Ok(LineageId::from_bytes(hash.into()))
}

fn day_of(datetime: &Datetime) -> Option<Day> {
    let date = datetime.date.filter(|_| datetime.time.is_none())?;
    let month = time::Month::try_from(date.month).ok()?;
    let date = time::Date::from_calendar_date(i32::from(date.year), month, date.day).ok()?;
    let epoch = time::OffsetDateTime::UNIX_EPOCH.date();
    u32::try_from(date.to_julian_day() - epoch.to_julian_day()).ok().map(Day)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: LineageId = LineageId::from_bytes([7; 32]);

    fn policy(text: &str) -> Result<Policy, PolicyFileError> {
        PolicyFile::read(text)?.policy(MODEL, Day(20_000))
    }

    #[test]
    fn nothing_said_is_the_design_s_budget() {
        let policy = policy("").unwrap();
        let cost = volet_federated::NoiseMultiplier::new(4.39).unwrap().cost().unwrap();
        let twelve = Rho::from_trillionths(12 * cost.trillionths()).unwrap();
        assert!(cost <= policy.limits.round && twelve <= policy.limits.lineage);
        assert!(policy.limits.day < policy.limits.lineage && policy.limits.lineage < policy.limits.lifetime);
        assert_eq!((policy.scope, policy.last_day), (Scope::Lineages([MODEL].into()), Day(20_365)));
    }

    #[test]
    fn an_owner_may_say_everything() {
        let other = "09".repeat(32);
        let text = format!(
            "version = 3\ndelta = 1e-7\nlargest_clip = 0.5\nsmallest_cohort = 7\ncorrupt_per_mille = 50\n\
             security_bits = 60\nlast_day = 1970-02-01\nlineages = [{other:?}]\n[epsilon]\nround = 1.0\n"
        );
        let policy = policy(&text).unwrap();
        assert_eq!((policy.version, policy.last_day, policy.demands.minimum.get()), (3, Day(31), 7));
        assert_eq!(policy.scope, Scope::Lineages([LineageId::from_bytes([9; 32])].into()));
        let delta = Delta::new(1e-7).unwrap();
        assert!(zcdp::epsilon(policy.limits.round, delta) <= 1.0);
    }

    #[test]
    fn what_is_no_policy_is_refused_by_name() {
        for (text, with) in [
            ("largest_clip = 0.0", "largest_clip"),
            ("smallest_cohort = 1", "smallest_cohort"),
            ("delta = 2.0", "delta"),
            ("epsilon = { round = -1.0 }", "epsilon"),
            ("last_day = 12:00:00", "last_day"),
            ("lineages = [\"x\"]", "lineages"),
            ("frobnicate = 1", "frobnicate"),
        ] {
            let error = policy(text).unwrap_err().to_string();
            assert!(error.contains(with), "{text}: {error}");
        }
    }

    #[test]
    fn an_owner_s_key_is_its_owner_s_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("owner.key");
        let made = make_owner(&path).unwrap();
        assert_eq!(read_owner(&path).unwrap().as_ref(), made.as_ref());
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(make_owner(&path), Err(OwnerError::Exists(_))));
        std::fs::write(&path, "rubbish").unwrap();
        assert!(matches!(read_owner(&path), Err(OwnerError::NoKey(_))));
    }
}
