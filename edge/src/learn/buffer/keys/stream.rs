//! A stream of messages under one fresh key (RFC 9180, section 5.2): each is bound to its place in the order, so that none
//! can be left out, repeated or moved without notice. What comes after the last one has to be said within.

use hpke::aead::{AeadCtxR, AeadCtxS, ChaCha20Poly1305};
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, setup_receiver, setup_sender};
use zeroize::Zeroizing;

use super::{Identity, Public, Recipient};

/// Bytes of what a receiver needs to know of the fresh key.
pub(crate) const ENCAPSULATED: usize = 32;
/// What sealing adds to each message, bytes.
pub(crate) const TAG: usize = 16;

/// Seals messages, and cannot open them.
pub(crate) struct Sender(AeadCtxS<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>);

/// Opens messages in the order in which they were sealed.
pub(crate) struct Receiver(AeadCtxR<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>);

impl Recipient {
    /// Begins a stream that nobody can open but who has the other half; `what` keeps one kind from being taken for another.
    pub(crate) fn stream(&self, what: &[u8]) -> Result<([u8; ENCAPSULATED], Sender), getrandom::Error> {
        // The library panics where there are no random bytes; then we have not come so far.
        getrandom::fill(&mut [0])?;
        let to = Public::from_bytes(&self.0).map_err(|_| getrandom::Error::UNSUPPORTED)?;
        let begun = setup_sender::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(&OpModeS::Base, &to, what);
        let (encapsulated, context) = begun.map_err(|_| getrandom::Error::UNSUPPORTED)?;
        Ok((encapsulated.to_bytes().into(), Sender(context)))
    }
}

impl Identity {
    /// Follows a stream that was sealed to this identity, or to another: the first message tells.
    pub(crate) fn stream(&self, what: &[u8], encapsulated: &[u8; ENCAPSULATED]) -> Option<Receiver> {
        let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated).ok()?;
        setup_receiver(&OpModeR::Base, &self.0, &encapsulated, what).ok().map(Receiver)
    }
}

impl Sender {
    /// Seals the next message; none after 2^64 of them.
    pub(crate) fn seal(&mut self, message: &[u8], bound: &[u8]) -> Option<Vec<u8>> {
        self.0.seal(message, bound).ok()
    }
}

impl Receiver {
    /// Opens the next message; none where it is not the next one, or another bound to it.
    pub(crate) fn open(&mut self, sealed: &[u8], bound: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.0.open(sealed, bound).ok().map(Zeroizing::new)
    }
}
