//! Who is who: enrolment, the keys of a round, and what is signed.

use std::sync::OnceLock;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use curve25519_dalek::traits::IsIdentity;
use curve25519_dalek::{EdwardsPoint, MontgomeryPoint, Scalar};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::signing::{SigningKey, VerifyingKey};

/// Bytes that sealing adds.
pub(crate) const TAG: usize = 16;

/// The public key of whoever enrols sites. A device pins it: without it a server could invent as many sites as it likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority(pub VerifyingKey);

/// A site's long-lived signing key, enrolled.
#[derive(Clone)]
pub struct Identity {
    signing: SigningKey,
    public: [u8; 32],
    enrolment: [u8; 64],
}

impl Identity {
    /// An identity from its secret key and the enrolment that an authority signed.
    pub fn new(signing: SigningKey, enrolment: [u8; 64]) -> Self {
        let public = VerifyingKey::from(&signing).to_bytes();
        Self { signing, public, enrolment }
    }

    /// The public key: what an authority signs.
    pub fn public(&self) -> [u8; 32] {
        self.public
    }

    pub(crate) fn enrolment(&self) -> [u8; 64] {
        self.enrolment
    }

    pub(crate) fn sign(&self, what: Statement, digests: &[&[u8]]) -> [u8; 64] {
        self.signing.sign(&what.message(digests)).to_bytes()
    }
}

/// Enrols a site: the authority's signature over its public key.
pub fn enrol(authority: &SigningKey, site: &VerifyingKey) -> [u8; 64] {
    authority.sign(&Statement::Enrolled.message(&[&site.to_bytes()])).to_bytes()
}

/// A site's proof, for whoever enrols it, that it has its key.
pub fn ask_to_be_enrolled(key: &SigningKey, token: &str) -> [u8; 64] {
    key.sign(&Statement::Asks.message(&[token.as_bytes()])).to_bytes()
}

/// Whether that proof holds.
pub fn asks_to_be_enrolled(key: &VerifyingKey, token: &str, signature: &[u8]) -> bool {
    key.signed(&Statement::Asks.message(&[token.as_bytes()]), signature)
}

/// What a signature says. None can be taken for another.
#[derive(Clone, Copy)]
pub(crate) enum Statement {
    /// "This key belongs to a site."
    Enrolled,
    /// "I have this key, and this token."
    Asks,
    /// "I take part in these terms with these keys."
    TakesPart,
    /// "I was told that these are the survivors of this round."
    Survived,
    /// "I was told that these shared, and masked my vector towards them."
    Masked,
    /// "This seed, for this helper, masks this vector, for these terms."
    Reports,
}

impl Statement {
    pub(crate) fn message(self, digests: &[&[u8]]) -> Vec<u8> {
        let context: &[u8] = match self {
            Self::Enrolled => b"volet v1 enrolled\0",
            Self::Asks => b"volet v1 asks to be enrolled\0",
            Self::TakesPart => b"volet v1 takes part\0",
            Self::Survived => b"volet v1 survived\0",
            Self::Masked => b"volet v1 masked\0",
            Self::Reports => b"volet v1 reports\0",
        };
        // Every part has a fixed length for its statement, so joining them is injective.
        [&[context], digests].concat().concat()
    }
}

/// Somebody's X25519 key (RFC 7748).
///
/// Used as eight times its point on the birationally equivalent Edwards curve, whose arithmetic is faster: X25519 multiplies
/// by multiples of eight, and eight times a point has no part of small order left. The point is found when it is first asked
/// for: of a large roster a site needs few.
#[derive(Clone)]
pub(crate) struct ExchangeKey {
    bytes: [u8; 32],
    eightfold: OnceLock<Option<EdwardsPoint>>,
}

/// A secret X25519 key: the eighth part of the scalar that X25519 multiplies by.
#[derive(Clone, ZeroizeOnDrop)]
pub(crate) struct ExchangeSecret {
    secret: [u8; 32],
    eighth: Scalar,
}

impl ExchangeKey {
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        Self { bytes, eightfold: OnceLock::new() }
    }

    /// Whether some site can have the secret of it: it is on the curve, and not of small order.
    pub(crate) fn is_key(&self) -> bool {
        self.eightfold().is_some()
    }

    fn eightfold(&self) -> Option<&EdwardsPoint> {
        let find = || MontgomeryPoint(self.bytes).to_edwards(0).map(|point| point.mul_by_cofactor());
        self.eightfold.get_or_init(|| find().filter(|point| !point.is_identity())).as_ref()
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

impl ExchangeSecret {
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        let mut clamped = curve25519_dalek::scalar::clamp_integer(secret);
        let eighth = Scalar::from_bytes_mod_order(clamped) * Scalar::from(8_u8).invert();
        zeroize::Zeroize::zeroize(&mut clamped);
        Self { secret, eighth }
    }

    /// The public key.
    pub(crate) fn public(&self) -> [u8; 32] {
        PublicKey::from(&StaticSecret::from(self.secret)).to_bytes()
    }

    /// The key that two sites share for one purpose in one round; `None` where the other's is no key.
    pub(crate) fn agree(
        &self,
        with: &ExchangeKey,
        context: &str,
        round: &[u8; 32],
        parts: &[u8],
    ) -> Option<Zeroizing<[u8; 32]>> {
        Some(derive(&(self.eighth * with.eightfold()?), context, round, parts))
    }

    /// The same for a secret that has been revealed: faster, and its time tells the secret.
    pub(crate) fn agree_revealed(
        &self,
        with: &ExchangeKey,
        context: &str,
        round: &[u8; 32],
    ) -> Option<Zeroizing<[u8; 32]>> {
        let zero = Scalar::ZERO;
        let shared = EdwardsPoint::vartime_double_scalar_mul_basepoint(&self.eighth, with.eightfold()?, &zero);
        Some(derive(&shared, context, round, &[]))
    }
}

fn derive(shared: &EdwardsPoint, context: &str, round: &[u8; 32], parts: &[u8]) -> Zeroizing<[u8; 32]> {
    let shared = Zeroizing::new(shared.to_montgomery().0);
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher.update(shared.as_ref()).update(round).update(parts);
    Zeroizing::new(*hasher.finalize().as_bytes())
}

/// Seals a message under a key that seals nothing else: the nonce is zero.
pub(crate) fn seal(key: &[u8; 32], plain: &[u8]) -> Option<Vec<u8>> {
    let payload = Payload { msg: plain, aad: b"" };
    ChaCha20Poly1305::new(&Key::from(*key)).encrypt(&Nonce::default(), payload).ok()
}

/// Opens what [`seal`] sealed; `None` where it was anything else.
pub(crate) fn open(key: &[u8; 32], sealed: &[u8]) -> Option<Vec<u8>> {
    ChaCha20Poly1305::new(&Key::from(*key)).decrypt(&Nonce::default(), sealed).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::constants::EIGHT_TORSION;
    use proptest::prelude::*;

    fn by_the_library(secret: [u8; 32], public: [u8; 32]) -> Zeroizing<[u8; 32]> {
        let shared = StaticSecret::from(secret).diffie_hellman(&PublicKey::from(public));
        let mut hasher = blake3::Hasher::new_derive_key("a test");
        hasher.update(shared.as_bytes()).update(&[5; 32]);
        Zeroizing::new(*hasher.finalize().as_bytes())
    }

    proptest! {
        /// Also with keys that a hostile site adds a part of small order to.
        #[test]
        fn agreement_is_that_of_x25519(secret: [u8; 32], other: [u8; 32], torsion in 0_usize..8) {
            let public = ExchangeSecret::new(other).public();
            let point = MontgomeryPoint(public).to_edwards(0).unwrap() + EIGHT_TORSION[torsion];
            let public = point.to_montgomery().0;
            let (own, key) = (ExchangeSecret::new(secret), ExchangeKey::new(public));
            let expected = by_the_library(secret, public);
            prop_assert_eq!(&own.agree(&key, "a test", &[5; 32], &[]).unwrap(), &expected);
            prop_assert_eq!(&own.agree_revealed(&key, "a test", &[5; 32]).unwrap(), &expected);
        }
    }

    #[test]
    fn keys_on_which_all_secrets_agree_are_none() {
        for point in EIGHT_TORSION {
            assert!(!ExchangeKey::new(point.to_montgomery().0).is_key());
        }
        // On the twist.
        assert!(!ExchangeKey::new([2; 32]).is_key() || !ExchangeKey::new([3; 32]).is_key());
    }
}
