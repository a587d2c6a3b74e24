//! Ed25519 signatures by the rules of ZIP 215, under which a signature holds in a batch exactly if it holds alone. Under
//! the rules that most libraries follow, a signer can make signatures that one machine accepts and the next refuses, and
//! break a round with them.
//!
//! Knows nothing of what is signed.

use curve25519_dalek::edwards::CompressedEdwardsY;
use ed25519_zebra::{Signature, VerificationKey, VerificationKeyBytes, batch};
use rand_core::SeedableRng;

pub use ed25519_zebra::SigningKey;

/// An Ed25519 public key, in its one encoding and not of small order: under such keys nearly everything is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyingKey(VerificationKey);

impl VerifyingKey {
    /// The key with this encoding, if it is one.
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let point = CompressedEdwardsY(*bytes).decompress()?;
        let proper = point.compress().0 == *bytes && !point.is_small_order();
        proper.then(|| VerificationKey::try_from(*bytes).ok().map(Self)).flatten()
    }

    /// The encoding.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.into()
    }

    /// Whether this key signed the message.
    pub fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.0.verify(&signature, message).is_ok())
    }
}

impl From<&SigningKey> for VerifyingKey {
    fn from(key: &SigningKey) -> Self {
        Self(key.into())
    }
}

/// Whether a signature holds, under a key that need not be one.
pub(crate) fn holds(key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    let item = |signature| batch::Item::from((VerificationKeyBytes::from(*key), signature, message));
    Signature::from_slice(signature).is_ok_and(|signature| item(signature).verify_single().is_ok())
}

/// Signatures to be checked together, which takes a third of the time.
#[derive(Default)]
pub struct Batch(Vec<batch::Item>);

impl Batch {
    /// Adds a signature under a key that need not be one: then it does not hold.
    pub fn add(&mut self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) {
        let (key, signature) = (VerificationKeyBytes::from(*key), Signature::from_bytes(signature));
        self.0.push((key, signature, message).into());
    }

    /// For each signature, in their order, whether it holds.
    pub fn hold(self) -> Vec<bool> {
        let mut seed = [0; 32];
        let mut all = batch::Verifier::new();
        self.0.iter().for_each(|item| all.queue(item.clone()));
        // Numbers that no signer could foresee are what a batch rests on.
        if getrandom::fill(&mut seed).is_ok() && all.verify(chacha20::ChaCha20Rng::from_seed(seed)).is_ok() {
            return vec![true; self.0.len()];
        }
        self.0.into_iter().map(|item| item.verify_single().is_ok()).collect()
    }

    /// The position of the first signature that does not hold, if any.
    pub(crate) fn first_false(self) -> Option<usize> {
        self.hold().iter().position(|holds| !holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(of: &[(SigningKey, &[u8])]) -> Batch {
        let mut batch = Batch::default();
        for (key, message) in of {
            batch.add(&VerifyingKey::from(key).to_bytes(), message, &key.sign(b"yes").to_bytes());
        }
        batch
    }

    #[test]
    fn batches_tell_which_hold() {
        let [a, b] = [1, 2].map(|n| SigningKey::from([n; 32]));
        assert_eq!(batch(&[(a, b"yes"), (b, b"yes"), (a, b"yes")]).hold(), [true; 3]);
        assert_eq!(batch(&[(a, b"yes"), (b, b"no"), (a, b"yes")]).hold(), [true, false, true]);
        assert_eq!(batch(&[(a, b"yes"), (b, b"no")]).first_false(), Some(1));
        assert!(Batch::default().hold().is_empty());
    }

    #[test]
    fn keys_of_small_order_and_second_encodings_are_none() {
        let mut one = [0; 32];
        one[0] = 1;
        // The neutral element, the same with its sign bit set, y = p + 1, and a y that is on no point.
        let mut signed = one;
        signed[31] = 0x80;
        let mut beyond = [0xff; 32];
        (beyond[0], beyond[31]) = (0xee, 0x7f);
        let mut off = [0; 32];
        off[0] = 2;
        for bytes in [one, signed, beyond, off] {
            assert!(VerifyingKey::from_bytes(&bytes).is_none(), "{bytes:?}");
        }
        let key = VerifyingKey::from(&SigningKey::from([3; 32]));
        assert_eq!(VerifyingKey::from_bytes(&key.to_bytes()), Some(key));
    }
}
