//! What a camera's state folder says, read while its agent works. Knows no lock and writes nothing.

use std::path::Path;

use prost::Message;
use serde::Serialize;
use volet_federated::Rho;
use volet_federated::accounting::{Delta, zcdp};
use volet_federated::budget::{self, explain_unverified};
use volet_federated::camera::Camera;
use volet_federated::lineage::Release;
use volet_federated::signing::VerifyingKey;
use volet_proto::v1;

use super::AgentError;
use super::journal::{Journal, Refused, Used};
use super::state::{self, Active, StateError, at};
use crate::egress::{self, Consent, Exports, Place};

/// A camera's state, as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The camera's public key, hexadecimal.
    pub identity: String,
    /// Whom it calls.
    pub aggregator: String,
    /// The model file that everything started from, by its BLAKE3.
    pub lineage: String,
    /// What the owner agrees to.
    pub consent: Consent,
    /// The latest release that was accepted.
    pub latest_release: u64,
    /// The release in use.
    pub release: u64,
    /// BLAKE3 of its file.
    pub model: String,
    /// Rounds in which something left the camera, or may have.
    pub rounds: usize,
    /// What they cost; none where the ledger is damaged, which counts as spent.
    pub budget: Option<Budget>,
    /// When the aggregator last answered, in seconds since the epoch.
    pub last_check_in: Option<u64>,
    /// The latest releases that were put in use, first to last.
    pub used: Vec<Used>,
    /// The latest refusals, first to last.
    pub refusals: Vec<Refused>,
}

/// What was spent and what is left, as epsilon at one delta.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Budget {
    /// The probability with which an epsilon may not hold.
    pub delta: f64,
    /// For this lineage.
    pub spent: f64,
    /// What the owner allows for it.
    pub limit: f64,
    /// What its unspent rho alone amounts to.
    pub left: f64,
    /// For everything that the camera has taken part in.
    pub lifetime_spent: f64,
}

/// What the state folder of an enrolled camera says.
///
/// # Errors
/// An [`AgentError`].
pub fn status(folder: &Path, delta: Delta) -> Result<Status, AgentError> {
    is_enrolled(folder)?;
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read(&path).map_err(at(&path))
    };
    let damaged = |name: &str| StateError::Damaged(folder.join(name));
    let text = |name: &str| String::from_utf8(read(name)?).map_err(|_| damaged(name));
    let camera: Camera = toml::from_str(&text(state::CAMERA)?).map_err(|_| damaged(state::CAMERA))?;
    let active: Active = toml::from_str(&text(state::ACTIVE)?).map_err(|_| damaged(state::ACTIVE))?;
    let identity = VerifyingKey::from(&state::device_key(folder)?).to_bytes();
    let release = v1::SignedRelease::decode(read(state::RELEASE)?.as_slice()).map_err(|_| damaged(state::RELEASE))?;
    let (latest, _) = Release::verify(&release, &camera.team()?)?;
    let journal = Journal::read(read(state::JOURNAL).ok().as_deref());
    let statement = explain_unverified(&folder.join(state::BUDGET)).ok();
    let budget = statement.as_ref().map(|statement| {
        let limit = statement.policy.limits.lineage;
        let none = budget::Account { limit, spent: Rho::ZERO, left: limit };
        let account = statement.lineages.get(&latest.lineage).copied().unwrap_or(none);
        Budget {
            delta: delta.get(),
            spent: epsilon(account.spent, delta),
            limit: epsilon(account.limit, delta),
            left: epsilon(account.left, delta),
            lifetime_spent: epsilon(statement.lifetime.spent, delta),
        }
    });
    let sent = |statement: budget::Statement| statement.rounds.iter().filter(|r| r.state.payload().is_some()).count();
    Ok(Status {
        identity: blake3::Hash::from_bytes(identity).to_string(),
        aggregator: camera.aggregator,
        consent: Consent::read(folder),
        lineage: latest.lineage.to_string(),
        latest_release: latest.number,
        release: active.release,
        model: active.model,
        rounds: statement.map_or(0, sent),
        budget,
        last_check_in: journal.last_check_in,
        used: journal.used,
        refusals: journal.refusals,
    })
}

/// What an enrolled camera lets out as files.
///
/// # Errors
/// An [`AgentError`].
pub fn exports(folder: &Path) -> Result<Exports, AgentError> {
    is_enrolled(folder)?;
    Ok(Exports::open(folder, &state::device_key(folder)?)?)
}

/// The camera's signature over a report about it, by which whoever is handed the report knows which camera it is of. It is bound to
/// that use: nothing else that a camera signs begins so.
///
/// # Errors
/// An [`AgentError`].
pub fn sign_report(folder: &Path, report: &[u8]) -> Result<[u8; 64], AgentError> {
    is_enrolled(folder)?;
    let key = state::device_key(folder)?;
    Ok(key.sign(&report_digest(report)).into())
}

/// What is signed of a report.
pub(super) fn report_digest(report: &[u8]) -> [u8; 32] {
    blake3::derive_key("volet 2026 audit report of a camera", report)
}

/// Changes what the owner of an enrolled camera agrees to, at once; what is not named stays. What then holds.
///
/// # Errors
/// An [`AgentError`]; what held before still does.
pub fn agree(
    folder: &Path,
    learning: Option<bool>,
    sharing: Option<bool>,
    megabytes_per_day: Option<u32>,
) -> Result<Consent, AgentError> {
    is_enrolled(folder)?;
    let held = Consent::read(folder);
    if learning.is_none() && sharing.is_none() && megabytes_per_day.is_none() {
        return Ok(held);
    }
    let said = Consent::new(learning.unwrap_or(held.learning), sharing.unwrap_or(held.sharing));
    // What was never said is the default; a limit that the owner set stays until they set another.
    let most = megabytes_per_day.or((held != Consent::NONE).then_some(held.megabytes_per_day));
    let new = Consent { megabytes_per_day: most.unwrap_or(said.megabytes_per_day), ..said };
    new.write(folder)?;
    Ok(new)
}

/// One of a camera's two ledgers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichLedger {
    /// What went over the network.
    Egress,
    /// What was given out as files.
    Exports,
}

/// Begins a new ledger where the old one is damaged or gone. The new one says so, for good; what is left of the old one stays beside
/// it as evidence.
///
/// # Errors
/// An [`AgentError`]; whoever writes the ledger still runs, for example.
pub fn begin_ledger(folder: &Path, which: WhichLedger) -> Result<(), AgentError> {
    is_enrolled(folder)?;
    let name = match which {
        WhichLedger::Egress => egress::LEDGER,
        WhichLedger::Exports => egress::EXPORTS,
    };
    Ok(Place::of(folder, name).begin_anew(&state::device_key(folder)?)?)
}

fn is_enrolled(folder: &Path) -> Result<(), StateError> {
    let there = folder.join(state::ACTIVE).is_file();
    there.then_some(()).ok_or_else(|| StateError::NotEnrolled(folder.to_owned()))
}

fn epsilon(rho: Rho, delta: Delta) -> f64 {
    if rho == Rho::ZERO { 0.0 } else { zcdp::epsilon(rho, delta) }
}
