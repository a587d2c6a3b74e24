//! What the owner or the maker allows a device to spend: limits, signed. Knows nothing of what was spent.

use std::collections::BTreeSet;
use std::fmt;

use crate::secagg::Demands;
use crate::signing::{SigningKey, VerifyingKey};
use crate::{ClipNorm, Rho, TaskId};
use borsh::{BorshDeserialize, BorshSerialize};

/// Why a policy does not count.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum PolicyError {
    #[error("the policy is not signed by this device's owner: have it signed with the key the ledger was made with")]
    Signature,
    #[error("the policy cannot be read: have it written again by this version of Volet")]
    Encoding,
    #[error(
        "the policy is {bytes} bytes, at most {} are allowed: name fewer tasks or lineages",
        SignedPolicy::MAX_BYTES
    )]
    TooLarge { bytes: usize },
    #[error("the policy is version {offered}, and version {present} holds: sign it with a higher version")]
    Version { offered: u64, present: u64 },
}

/// A day, counted in UTC from 1 January 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, BorshSerialize, BorshDeserialize)]
pub struct Day(pub u32);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "day {}", self.0)
    }
}

/// A model's lineage: the BLAKE3 hash of the model file that it starts from. Every model learned from that one, in
/// however many rounds and tasks, is of the same lineage, and what they cost adds up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct LineageId([u8; 32]);

impl LineageId {
    /// A lineage from its hash.
    pub const fn from_bytes(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for LineageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for LineageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LineageId({self})")
    }
}

/// The most that may be spent, each limit by itself, in rho of zero-concentrated differential privacy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Limits {
    /// In one round.
    pub round: Rho,
    /// In one day, over all lineages. No stronger than the device's clock.
    pub day: Rho,
    /// For one model's lineage, ever.
    pub lineage: Rho,
    /// For everything, ever.
    pub lifetime: Rho,
}

/// What a device may take part in. An empty set allows nothing.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Scope {
    /// These tasks, whatever their models.
    Tasks(BTreeSet<TaskId>),
    /// These models and what is learned from them, in whatever task.
    Lineages(BTreeSet<LineageId>),
}

/// What the owner allows.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Policy {
    /// Goes up with every policy for a device; a lower one is a replay.
    pub version: u64,
    /// The most that may be spent. Lowering acts at once; raising never refunds.
    pub limits: Limits,
    /// The largest clip norm: how far one update may move a model.
    pub max_clip: ClipNorm,
    /// What a round's masks must withstand, and the smallest number of sites that a sum may be over.
    pub demands: Demands,
    /// What the device may take part in.
    pub scope: Scope,
    /// The last day on which this policy allows anything. It also bounds how far ahead a wrong clock can spend.
    pub last_day: Day,
}

impl Policy {
    /// Signs the policy with the owner's key.
    ///
    /// # Errors
    /// [`PolicyError::TooLarge`].
    pub fn sign(&self, key: &SigningKey) -> Result<SignedPolicy, PolicyError> {
        let policy = borsh::to_vec(self).map_err(|_| PolicyError::Encoding)?;
        let signature = key.sign(&signed_message(&policy)).to_bytes();
        let signed = SignedPolicy { policy, signature };
        signed.check_size()?;
        Ok(signed)
    }
}

/// A policy with its signature: what the owner's program writes and the device reads.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedPolicy {
    policy: Vec<u8>,
    signature: [u8; 64],
}

impl SignedPolicy {
    /// The most bytes a policy is encoded in: room for 500 lineages.
    pub const MAX_BYTES: usize = 16 << 10;

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. The signature is not looked at yet.
    ///
    /// # Errors
    /// [`PolicyError::Encoding`] or [`PolicyError::TooLarge`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PolicyError> {
        let signed: Self = borsh::from_slice(bytes).map_err(|_| PolicyError::Encoding)?;
        signed.check_size()?;
        Ok(signed)
    }

    /// The bytes to store or send.
    ///
    /// # Errors
    /// None in practice: [`PolicyError::Encoding`] where memory's sizes exceed the format's.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PolicyError> {
        borsh::to_vec(self).map_err(|_| PolicyError::Encoding)
    }

    /// The policy, if `owner` signed it.
    ///
    /// # Errors
    /// All but [`PolicyError::Version`].
    pub fn verify(&self, owner: &VerifyingKey) -> Result<Policy, PolicyError> {
        self.check_size()?;
        if !owner.signed(&signed_message(&self.policy), &self.signature) {
            return Err(PolicyError::Signature);
        }
        borsh::from_slice(&self.policy).map_err(|_| PolicyError::Encoding)
    }

    fn check_size(&self) -> Result<(), PolicyError> {
        let bytes = self.policy.len();
        if bytes <= Self::MAX_BYTES { Ok(()) } else { Err(PolicyError::TooLarge { bytes }) }
    }
}

/// What is signed. The prefix keeps a policy's signature from being one of anything else that the key signs.
fn signed_message(policy: &[u8]) -> Vec<u8> {
    [b"Volet budget policy v2\0", policy].concat()
}
