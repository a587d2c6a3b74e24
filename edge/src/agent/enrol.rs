//! Enrolment: a state folder, made once. A power cut at any point leaves a folder in which the same can be done again,
//! with the same token; what was made before is kept, the device's key above all.

use std::path::Path;

use prost::Message;
use volet_federated::budget::{BudgetError, DeviceSecret, FileCounter, Ledger, LineageId, Policy};
use volet_federated::camera::Camera;
use volet_federated::client::Link;
use volet_federated::lineage::{Lineage, LineageError};
use volet_federated::signing::{SigningKey, VerifyingKey};
use volet_federated::storage::DirStorage;
use volet_proto::v1;
use zeroize::Zeroizing;

use super::journal::day;
use super::policy::PolicyFile;
use super::state::{self, Active, State, StateError};
use super::{AgentError, DeviceLedger, now};
use crate::egress::{Consent, Exports, Gate, Purpose};

/// What a camera is enrolled with.
pub struct Enrolment<'a> {
    /// `camera.toml`.
    pub camera: Camera,
    /// The token, good for once.
    pub token: &'a str,
    /// The owner's key: signs the policy, and is not kept.
    pub owner: &'a SigningKey,
    /// What the owner allows.
    pub policy: PolicyFile,
    /// What the owner agrees to.
    pub consent: Consent,
    /// The manifest of the model that is installed.
    pub manifest: &'a str,
    /// Its file.
    pub model: &'a [u8],
}

/// Enrols a camera into a new folder; returns its public key.
///
/// # Errors
/// An [`AgentError`]; the same may be tried again.
pub async fn enrol(folder: &Path, with: Enrolment<'_>) -> Result<[u8; 32], AgentError> {
    let mut state = State::open(folder)?;
    if state.find(state::ACTIVE)?.is_some() {
        return Err(StateError::Enrolled(folder.to_owned()).into());
    }
    let (team, _) = (with.camera.team()?, with.camera.enrolment()?);
    let model = blake3::hash(with.model);
    let lineage = LineageId::from_bytes(model.into());
    let policy = with.policy.policy(lineage, day(now()))?;
    let text = toml::to_string(&with.camera).map_err(|_| StateError::Damaged(state.path(state::CAMERA)))?;
    state.put(state::CAMERA, text.as_bytes())?;
    state.put(state::MANIFEST, with.manifest.as_bytes())?;
    state.put(&state::model_name(&model), with.model)?;
    let key = SigningKey::from(*kept(&mut state, state::KEY)?);
    kept(&mut state, state::SECRET)?;
    ledger(&state, policy, with.owner)?;

    Exports::begin(folder, &key)?;
    let gate = Gate::open(folder, &with.camera, &key, Purpose::Enrolment)?;
    let stranger = Link::new(with.camera.aggregator, &with.camera.authority, None, gate)?;
    let (own, enrolment) = stranger.enrol(with.token, &key).await?;
    let told = stranger.with(&own)?.check_in(None).await?;
    let release = told.release.ok_or(AgentError::NoRelease)?;
    let latest = Lineage::of(&release, team)?;
    if latest.latest().lineage != lineage {
        return Err(LineageError::Other { offered: latest.latest().lineage, own: lineage }.into());
    }
    with.consent.write(folder)?;
    state.put(state::CERTIFICATE, &own.certificate)?;
    state.put(state::ENROLMENT, &enrolment)?;
    state.put(state::RELEASE, &release.encode_to_vec())?;
    let active = Active { release: 0, model: model.to_string() };
    put_active(&mut state, &active)?;
    Ok(VerifyingKey::from(&key).to_bytes())
}

/// Has an enrolled camera certified anew, by another token, where its certificate has ended: same key, same ledger.
///
/// # Errors
/// An [`AgentError`]; the same may be tried again.
pub async fn certify(folder: &Path, token: &str) -> Result<(), AgentError> {
    let mut state = State::enrolled(folder)?;
    let camera = state.text(state::CAMERA)?;
    let camera: Camera = toml::from_str(&camera).map_err(|_| StateError::Damaged(state.path(state::CAMERA)))?;
    let key = SigningKey::from(*Zeroizing::new(state.hex(state::KEY)?));
    let gate = Gate::open(folder, &camera, &key, Purpose::Certification)?;
    let stranger = Link::new(camera.aggregator, &camera.authority, None, gate)?;
    let (own, enrolment) = stranger.enrol(token, &key).await?;
    state.put(state::CERTIFICATE, &own.certificate)?;
    Ok(state.put(state::ENROLMENT, &enrolment)?)
}

/// Says which model is in use, from now on.
pub(super) fn put_active(state: &mut State, active: &Active) -> Result<(), StateError> {
    let text = toml::to_string(active).map_err(|_| StateError::Damaged(state.path(state::ACTIVE)))?;
    state.put(state::ACTIVE, text.as_bytes())
}

/// Opens the device's ledger.
pub(super) fn open_ledger(state: &State) -> Result<DeviceLedger, AgentError> {
    let (storage, counter, secret) = parts(state)?;
    Ok(Ledger::open(storage, counter, &secret)?)
}

/// Puts another policy in place, under a version above the present one's; that version. Lower limits hold at once,
/// higher ones refund nothing.
///
/// # Errors
/// An [`AgentError`]: the agent is running, or this is not the owner that the camera was enrolled with.
pub fn set_policy(folder: &Path, policy: &PolicyFile, owner: &SigningKey) -> Result<u64, AgentError> {
    let state = State::enrolled(folder)?;
    let signed = v1::SignedRelease::decode(state.read(state::RELEASE)?.as_slice());
    let signed = signed.map_err(|_| StateError::Damaged(state.path(state::RELEASE)))?;
    let camera: Camera =
        toml::from_str(&state.text(state::CAMERA)?).map_err(|_| StateError::Damaged(state.path(state::CAMERA)))?;
    let installed = Lineage::of(&signed, camera.team()?)?.latest().lineage;
    replace(&mut open_ledger(&state)?, policy.policy(installed, day(now()))?, owner)
}

fn replace(ledger: &mut DeviceLedger, policy: Policy, owner: &SigningKey) -> Result<u64, AgentError> {
    let version = policy.version.max(ledger.explain().policy.version.saturating_add(1));
    let policy = Policy { version, ..policy }.sign(owner).map_err(BudgetError::from)?;
    ledger.set_policy(policy)?;
    Ok(version)
}

/// Makes the ledger, or goes on with the one that an interrupted enrolment made, under the policy that was asked for
/// last.
fn ledger(state: &State, policy: Policy, owner: &SigningKey) -> Result<(), AgentError> {
    let (storage, counter, secret) = parts(state)?;
    let signed = policy.sign(owner).map_err(BudgetError::from)?;
    match Ledger::create(storage, counter, &secret, &owner.into(), signed) {
        Err(BudgetError::Exists) => {
            let mut ledger = open_ledger(state)?;
            let present = ledger.explain().policy;
            if (Policy { version: present.version, ..policy.clone() }) != present {
                replace(&mut ledger, policy, owner)?;
            }
            Ok(())
        }
        made => Ok(made.map(drop)?),
    }
}

type Parts = (DirStorage, FileCounter<DirStorage>, DeviceSecret);

fn parts(state: &State) -> Result<Parts, AgentError> {
    let secret = Zeroizing::new(state.hex(state::SECRET)?);
    let secret = DeviceSecret::from_bytes(*secret);
    Ok((state.inner(state::BUDGET)?, FileCounter::new(state.inner(state::COUNTER)?), secret))
}

/// 32 secret bytes that are made once.
fn kept(state: &mut State, name: &str) -> Result<Zeroizing<[u8; 32]>, AgentError> {
    if state.find(name)?.is_none() {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).map_err(AgentError::Entropy)?;
        state.put(name, Zeroizing::new(blake3::Hash::from_bytes(*bytes).to_string()).as_bytes())?;
    }
    Ok(Zeroizing::new(state.hex(name)?))
}
