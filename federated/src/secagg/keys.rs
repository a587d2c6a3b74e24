//! Who is who: enrolment, the keys of a round, and what is signed.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use x25519_dalek::{PublicKey, StaticSecret};

/// The public key of whoever enrols sites. A device pins it: without it a server could invent as many sites as it likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority(pub(crate) VerifyingKey);

impl Authority {
    /// The authority with this Ed25519 key; `None` for bytes that are no key, or one of small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        verifying_key(bytes).map(Self)
    }
}

/// A site's long-lived signing key, enrolled.
#[derive(Clone)]
pub struct Identity {
    signing: SigningKey,
    enrolment: Signature,
}

impl Identity {
    /// An identity from its secret key and the enrolment that an authority signed.
    pub fn new(secret: &[u8; 32], enrolment: &[u8; 64]) -> Self {
        Self { signing: SigningKey::from_bytes(secret), enrolment: Signature::from_bytes(enrolment) }
    }

    /// The public key: what an authority signs.
    pub fn public(&self) -> [u8; 32] {
        self.signing.verifying_key().to_bytes()
    }

    pub(crate) fn enrolment(&self) -> [u8; 64] {
        self.enrolment.to_bytes()
    }

    pub(crate) fn sign(&self, what: Statement, digests: &[&[u8]]) -> [u8; 64] {
        self.signing.sign(&what.message(digests)).to_bytes()
    }
}

/// Enrols a site: the authority's signature over its public key.
pub fn enrol(authority: &SigningKey, site: &[u8; 32]) -> [u8; 64] {
    authority.sign(&Statement::Enrolled.message(&[site])).to_bytes()
}

/// What a signature says. None can be taken for another.
#[derive(Clone, Copy)]
pub(crate) enum Statement {
    /// "This key belongs to a site."
    Enrolled,
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
            Self::TakesPart => b"volet v1 takes part\0",
            Self::Survived => b"volet v1 survived\0",
            Self::Masked => b"volet v1 masked\0",
            Self::Reports => b"volet v1 reports\0",
        };
        // Every part has a fixed length for its statement, so joining them is injective.
        [&[context], digests].concat().concat()
    }
}

/// Signatures to be checked together, which takes half the time.
#[derive(Default)]
pub(crate) struct Batch {
    messages: Vec<Vec<u8>>,
    signatures: Vec<Signature>,
    keys: Vec<VerifyingKey>,
}

impl Batch {
    pub(crate) fn add(&mut self, key: &VerifyingKey, message: Vec<u8>, signature: &[u8; 64]) {
        self.messages.push(message);
        self.signatures.push(Signature::from_bytes(signature));
        self.keys.push(*key);
    }

    /// The position of the first signature that does not hold, if any.
    pub(crate) fn first_false(&self) -> Option<usize> {
        let messages: Vec<&[u8]> = self.messages.iter().map(Vec::as_slice).collect();
        if ed25519_dalek::verify_batch(&messages, &self.signatures, &self.keys).is_ok() {
            return None;
        }
        // Position 0 stands for all where each alone holds and all together do not.
        let alone = self.keys.iter().zip(&messages).zip(&self.signatures);
        Some(alone.map(|((key, m), s)| key.verify_strict(m, s)).position(|result| result.is_err()).unwrap_or(0))
    }
}

/// An Ed25519 key that is no trivial one.
pub(crate) fn verifying_key(bytes: &[u8]) -> Option<VerifyingKey> {
    let key = VerifyingKey::from_bytes(bytes.try_into().ok()?).ok()?;
    (!key.is_weak()).then_some(key)
}

/// An X25519 key that some site can have the secret of: on the curve, and not of small order.
pub(crate) fn exchange_key(bytes: &[u8]) -> Option<PublicKey> {
    let bytes = <[u8; 32]>::try_from(bytes).ok()?;
    let point = curve25519_dalek::MontgomeryPoint(bytes).to_edwards(0)?;
    (!point.is_small_order()).then(|| bytes.into())
}

/// Whether a signature holds, by itself.
pub(crate) fn holds(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    Signature::from_slice(signature).is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
}

/// The key that two sites share for one purpose in one round; `None` where the other's key is one of few points on
/// which every secret agrees.
pub(crate) fn agree(
    secret: &StaticSecret,
    public: &PublicKey,
    context: &str,
    round: &[u8; 32],
    parts: &[u8],
) -> Option<[u8; 32]> {
    let shared = secret.diffie_hellman(public);
    shared.was_contributory().then(|| {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        hasher.update(shared.as_bytes()).update(round).update(parts);
        *hasher.finalize().as_bytes()
    })
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
