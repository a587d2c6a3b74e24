//! What a camera may say: the calls of `volet-proto`, each of a fixed shape and no longer than it has to be.
//!
//! A message passes if it is, to the last byte, what its type encodes to: no unknown fields, no second copies, no fields of other
//! lengths than keys, hashes and signatures have. So there is no room in it for anything else. Knows no sockets, no consent.

use prost::Message;
use volet_federated::RoundId;
use volet_proto::v1;
use volet_proto::v1::site_message::Body;

use super::ledger::Kind;

/// A call that has a right shape.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    /// What it is.
    pub(super) kind: Kind,
    /// The first part of a message of a round, from its beginning or from later on.
    pub(super) part: Option<Part>,
}

/// A message of a round, or its end.
#[derive(Debug, PartialEq)]
pub(super) struct Part {
    /// BLAKE3 of the whole message.
    pub(super) whole: [u8; 32],
    /// How much of it is left out, since the aggregator has it.
    pub(super) offset: usize,
    /// The rest.
    pub(super) bytes: Vec<u8>,
    /// Of an update from its beginning: the vector as the budget's ledger has it.
    pub(super) vector: Option<Vec<u8>>,
}

/// Reads a call.
///
/// # Errors
/// Why it is none that a camera makes.
pub(super) fn read(call: &str, messages: &[&[u8]]) -> Result<Said, &'static str> {
    let kind = match call {
        "/volet.v1.Enrolment/Enrol" => {
            let v1::EnrolRequest { token, key, signature } = only(messages)?;
            fits(token.len() <= TOKEN && key.len() == KEY && signature.len() == SIGNATURE)?;
            Kind::Enrolment
        }
        "/volet.v1.Aggregation/Renew" => {
            let v1::RenewRequest {} = only(messages)?;
            Kind::Renewal
        }
        "/volet.v1.Aggregation/CheckIn" => {
            let v1::CheckInRequest { .. } = only(messages)?;
            Kind::CheckIn
        }
        "/volet.v1.Aggregation/Held" => {
            let v1::HeldRequest { round, blake3 } = only(messages)?;
            fits(names(round.as_ref()) && blake3.len() == KEY)?;
            Kind::Held
        }
        "/volet.v1.Aggregation/Hear" => {
            let v1::HearRequest { round, .. } = only(messages)?;
            fits(names(round.as_ref()))?;
            Kind::Hear
        }
        "/volet.v1.Aggregation/Fetch" => {
            let v1::FetchRequest { blake3, .. } = only(messages)?;
            fits(blake3.len() == KEY)?;
            Kind::Fetch
        }
        "/volet.v1.Aggregation/Say" => return say(messages),
        _ => return Err("a camera makes no such call"),
    };
    Ok(Said { kind, part: None })
}

const TOKEN: usize = 128;
const KEY: usize = 32;
const SIGNATURE: usize = 64;
/// The longest sealed share: two seeds, a tag and a nonce.
const SEALED: usize = 256;

/// A message of a round, in pieces of which the first says which.
fn say(messages: &[&[u8]]) -> Result<Said, &'static str> {
    let (first, rest) = messages.split_first().ok_or("it says nothing")?;
    let first: v1::SayPiece = exact(first)?;
    fits(names(first.round.as_ref()))?;
    let whole = first.blake3.try_into().map_err(|_| FIELDS)?;
    let offset = usize::try_from(first.offset).map_err(|_| FIELDS)?;
    let mut bytes = first.data;
    for piece in rest {
        let v1::SayPiece { round, data, blake3, offset } = exact(piece)?;
        fits(round.is_none() && blake3.is_empty() && offset == 0)?;
        bytes.extend_from_slice(&data);
    }
    let (mut kind, mut vector) = (Kind::RoundMessage, None);
    if offset == 0 {
        fits(*blake3::hash(&bytes).as_bytes() == whole)?;
        let message: v1::SiteMessage = exact(&bytes)?;
        let body = message.body.ok_or("it says nothing")?;
        is_tight(&body)?;
        vector = match body {
            Body::Masked(vector) => Some(vector.encode_to_vec()),
            Body::Split(report) => Some(report.encode_to_vec()),
            _ => None,
        };
        if vector.is_some() {
            kind = Kind::Update;
        }
    }
    Ok(Said { kind, part: Some(Part { whole, offset, bytes, vector }) })
}

/// Whether every field has the length that what stands in it has. Vectors are held against the budget's ledger instead.
fn is_tight(body: &Body) -> Result<(), &'static str> {
    let shares = |shares: &[v1::Share]| shares.iter().all(|share| share.value.len() == KEY);
    fits(match body {
        Body::Advertisement(a) => {
            let keys = [&a.identity, &a.channel_key, &a.mask_key, &a.commitment];
            keys.iter().all(|key| key.len() == KEY) && [&a.enrolment, &a.signature].iter().all(|s| s.len() == SIGNATURE)
        }
        Body::Shares(upload) => upload
            .shares
            .iter()
            .all(|s| s.sealed.len() <= SEALED && s.own_mask_hash.len() == KEY && s.mask_key_hash.len() == KEY),
        Body::Signature(signed) => signed.signature.len() == SIGNATURE,
        Body::Reveal(reveal) => shares(&reveal.own_masks) && shares(&reveal.mask_keys),
        Body::Masked(_) | Body::Split(_) => true,
        // A helper says that, and no camera.
        Body::MaskSum(_) => false,
    })
}

const FIELDS: &str = "its fields are not what they have to be";

fn fits(does: bool) -> Result<(), &'static str> {
    does.then_some(()).ok_or(FIELDS)
}

fn names(round: Option<&v1::RoundId>) -> bool {
    round.is_some_and(|round| RoundId::try_from(round.clone()).is_ok())
}

fn only<M: Message + Default>(messages: &[&[u8]]) -> Result<M, &'static str> {
    match messages {
        [message] => exact(message),
        _ => Err("it is not one message"),
    }
}

/// A message that is what it encodes to.
fn exact<M: Message + Default>(bytes: &[u8]) -> Result<M, &'static str> {
    let message = M::decode(bytes).map_err(|_| "it cannot be read")?;
    (message.encode_to_vec() == bytes).then_some(message).ok_or("it says more than its fields")
}
