//! The device's secret, and what is derived from it. Knows no files.

use std::fmt;

use zeroize::Zeroizing;

/// 32 secret bytes that never leave the device, for example from its key store. Overwritten when dropped; never
/// printed.
#[derive(Clone)]
pub struct DeviceSecret(Zeroizing<[u8; 32]>);

impl DeviceSecret {
    /// The device's secret. The caller's own copy is the caller's to overwrite.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// What a ledger names the secret by: tells nothing about it, and differs for every other secret.
    pub fn fingerprint(&self) -> [u8; 32] {
        blake3::derive_key("Volet budget ledger v1: fingerprint of the device's secret", &*self.0)
    }

    /// The key that the ledger's records are chained with.
    pub(super) fn chain_key(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key("Volet budget ledger v1: chain of records", &*self.0))
    }
}

impl fmt::Debug for DeviceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceSecret(..)")
    }
}
