//! What was spent on what, as plain data for owners and auditors.

use std::collections::BTreeMap;

use super::account::Accounts;
use super::chain::{Payload, scan};
use super::counter::RollbackProtection;
use super::error::Damage;
use super::ledger::Terms;
use super::policy::{Day, LineageId, Policy};
#[cfg(unix)]
use super::{error::BudgetError, ledger::LOG, ledger::MAX_LOG};
use crate::Rho;
#[cfg(unix)]
use crate::storage::read_file;

/// A limit and what became of it, in rho.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// What the policy allows.
    pub limit: Rho,
    /// What reservations cost, whether or not anything was sent for them.
    pub spent: Rho,
    /// What may still be spent: nothing where a policy was lowered below what is spent.
    pub left: Rho,
}

impl Account {
    fn new(limit: Rho, spent: Rho) -> Self {
        Self { limit, spent, left: limit.checked_sub(spent).unwrap_or_default() }
    }
}

/// What became of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundState {
    /// Its cost is spent; nothing has left the device.
    Reserved,
    /// Its payload is kept and may have left.
    Sealed(Payload),
    /// It is over. Its payload, if it had one, may have left and is no longer kept.
    Forgotten(Option<Payload>),
}

impl RoundState {
    /// What may have left the device, if anything.
    pub const fn payload(&self) -> Option<Payload> {
        match self {
            Self::Reserved => None,
            Self::Sealed(payload) => Some(*payload),
            Self::Forgotten(payload) => *payload,
        }
    }
}

/// A round that was taken part in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoundStatement {
    /// What it was and cost.
    pub terms: Terms,
    /// The day it counts for: the day it was reserved on, or a later one if the clock had been set back.
    pub day: Day,
    /// What became of it.
    pub state: RoundState,
}

/// How far a statement can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The records were checked with the device's secret and the counter, which notices this much.
    Verified(RollbackProtection),
    /// Read without the secret: whoever can write the file may have made up all but the owner's signatures.
    Unverified {
        /// Bytes after the last readable record. Other than 0 after damage or a power cut in the middle of a write;
        /// opening the ledger tells which.
        unread: usize,
    },
}

/// What a ledger says.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// How far it can be believed.
    pub trust: Trust,
    /// The fingerprint of the secret that the records are chained under.
    pub device: [u8; 32],
    /// The owner's public key (Ed25519) that policies are signed with.
    pub owner: [u8; 32],
    /// The policy that holds.
    pub policy: Policy,
    /// Everything.
    pub lifetime: Account,
    /// Each model's lineage that anything was spent on.
    pub lineages: BTreeMap<LineageId, Account>,
    /// Each day that anything was spent on.
    pub days: BTreeMap<Day, Account>,
    /// Every round, by task and number.
    pub rounds: Vec<RoundStatement>,
}

impl Statement {
    /// What a ledger file says, read without the device's secret, for an auditor: order, gaps and the owner's
    /// signatures are checked, and that the records agree; that the device wrote them is **not**.
    ///
    /// # Errors
    /// There is no ledger in these bytes, or its records contradict each other.
    pub fn unverified(log: &[u8]) -> Result<Self, Damage> {
        let scan = scan(log, None);
        let accounts = Accounts::replay(&scan.records)?;
        Ok(Self::of(&accounts, Trust::Unverified { unread: log.len().saturating_sub(scan.end) }))
    }

    pub(super) fn of(accounts: &Accounts, trust: Trust) -> Self {
        let limits = &accounts.policy.limits;
        Self {
            trust,
            device: accounts.device,
            owner: accounts.owner.to_bytes(),
            policy: accounts.policy.clone(),
            lifetime: Account::new(limits.lifetime, accounts.lifetime),
            lineages: by(&accounts.lineages, limits.lineage),
            days: by(&accounts.days, limits.day),
            rounds: accounts.rounds.values().copied().collect(),
        }
    }
}

fn by<K: Copy + Ord>(spent: &BTreeMap<K, Rho>, limit: Rho) -> BTreeMap<K, Account> {
    spent.iter().map(|(&key, &spent)| (key, Account::new(limit, spent))).collect()
}

/// What the ledger in a folder says, read without the device's secret, also while the device uses it: see
/// [`Statement::unverified`].
///
/// # Errors
/// There is no ledger in this folder, it cannot be read, or its records contradict each other.
#[cfg(unix)]
pub fn explain_unverified(folder: &std::path::Path) -> Result<Statement, BudgetError> {
    let log = read_file(&folder.join(LOG), MAX_LOG);
    let log = log.map_err(|source| BudgetError::Storage { doing: "read its file", source })?;
    Ok(Statement::unverified(&log.ok_or(BudgetError::NotCreated)?)?)
}
