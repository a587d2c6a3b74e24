//! Proof that one record is in a ledger, which shows nothing of the others (RFC 9162, section 2.1.3; SHA-256).
//!
//! There is one tree for each segment. Its first leaf is the segment's opening, which holds the hash of all that was before.

use std::path::Path;

use ct_merkle::{InclusionProof, RootHash};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use volet_federated::signing::VerifyingKey;

use super::entry::Record;
use super::frame::{Body, Hash, Head, Item, Tree};
use super::reader::{ReadError, walk};

/// The longest path that any segment's tree has.
const MAX_PATH: usize = 32;

/// Why a proof does not hold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum ProofError {
    #[error("this is no proof of an egress ledger: it was altered or cut off; have it made again")]
    Form,
    #[error("the proof is of another device, {device}, than the key that was given: ask for this device's")]
    OtherDevice { device: String },
    #[error("the head of the proof is not signed by the device: it was altered")]
    Signature,
    #[error("record {number} is not in the tree that the device signed: the record or its path was altered")]
    NotIn { number: u64 },
}

/// One record, and what shows that the device signed a ledger that it is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The record.
    pub record: Record,
    /// The hash of the body before it.
    #[serde(with = "hex")]
    pub previous: [u8; 32],
    /// The path from the record's leaf to the root: hashes of 32 bytes, in hexadecimal digits, one after the other.
    #[serde(with = "hex")]
    pub path: Vec<u8>,
    /// What the device signed when the last record of the segment was written, or the last one until now.
    pub head: Head,
}

impl Proof {
    /// Proves a record of a ledger.
    ///
    /// # Errors
    /// A [`ReadError`]: the ledger does not hold, or the record is not there (any more).
    pub fn of(path: &Path, key: Option<VerifyingKey>, number: u64) -> Result<Self, ReadError> {
        let mut found = None;
        let verification = walk(path, key, &[], &mut |_| {}, &mut |head, items| {
            if head.first <= number && number <= head.number {
                found = prove(head, items, number);
            }
            Ok(())
        })?;
        if let Some(finding) = verification.findings.into_iter().next() {
            return Err(finding.into());
        }
        let newest = verification.head.map_or(0, |head| head.number);
        found.ok_or(ReadError::NoRecord { number, oldest: verification.oldest, newest })
    }

    /// Reads a proof.
    ///
    /// # Errors
    /// [`ProofError::Form`].
    pub fn read(json: &[u8]) -> Result<Self, ProofError> {
        serde_json::from_slice(json).map_err(|_| ProofError::Form)
    }

    /// Whether it holds: the device with this key signed a ledger with this record in it.
    ///
    /// # Errors
    /// A [`ProofError`].
    pub fn check(&self, key: &VerifyingKey) -> Result<(), ProofError> {
        let Self { record, previous, path, head } = self;
        if head.device != key.to_bytes() {
            return Err(ProofError::OtherDevice { device: hex::encode(head.device) });
        }
        if !head.signed_by(key) {
            return Err(ProofError::Signature);
        }
        let not_in = ProofError::NotIn { number: record.number };
        let index = index(head, record.number);
        let (Some(leaves), Some(index)) = (head.leaves(), index) else { return Err(not_in) };
        if path.len() > MAX_PATH * size_of::<Hash>() {
            return Err(ProofError::Form);
        }
        let body = Body::Record { previous: *previous, record: record.clone() };
        let leaf = Body::hash(&body.encode().map_err(|_| ProofError::Form)?);
        let path = InclusionProof::<Sha256>::try_from_bytes(path.clone()).map_err(|_| ProofError::Form)?;
        let root = RootHash::<Sha256>::new(head.root.into(), leaves);
        root.verify_inclusion(&leaf, index, &path).map_err(|_| not_in)
    }
}

/// A record's leaf in its segment's tree: the opening has the first.
fn index(head: &Head, number: u64) -> Option<u64> {
    let within = (head.first..=head.number).contains(&number);
    number.checked_sub(head.first).filter(|_| within)?.checked_add(1)
}

fn prove(head: &Head, items: Vec<Item>, number: u64) -> Option<Proof> {
    let at = usize::try_from(index(head, number)?).ok()?;
    let mut tree = Tree::new();
    items.iter().for_each(|item| tree.push(item.hash));
    let item = items.into_iter().nth(at)?;
    let Body::Record { previous, record } = item.frame.body else { return None };
    let path = tree.prove_inclusion(at).as_bytes().to_vec();
    (record.number == number).then(|| Proof { record, previous, path, head: head.clone() })
}
