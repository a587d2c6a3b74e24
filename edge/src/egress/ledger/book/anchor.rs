//! The head in a second place.

use volet_federated::storage::{Storage, put};

use super::super::error::{Finding, LedgerError};
use super::super::frame::Head;
use super::failed;

/// The head's file.
pub(in super::super) const HEAD: &str = "head.json";
const MAX_HEAD: u64 = 4096;

pub(super) fn read_anchor(anchor: &impl Storage) -> Result<Option<Head>, LedgerError> {
    let bytes = anchor.read(HEAD, MAX_HEAD).map_err(failed("read its head in the second place"))?;
    bytes.map(|bytes| serde_json::from_slice(&bytes).map_err(|_| Finding::Anchor.into())).transpose()
}

pub(super) fn write_anchor(anchor: &mut impl Storage, head: &Head) -> Result<(), LedgerError> {
    let failed = failed("keep its head in the second place");
    let bytes = serde_json::to_vec(head).map_err(|error| failed(error.into()))?;
    put(anchor, HEAD, &bytes).map_err(failed)
}
