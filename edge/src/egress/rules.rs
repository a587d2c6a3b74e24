//! What a camera may say: the calls of `volet-proto`, each of a fixed shape and no longer than it has to be.
//!
//! A message passes if it is, to the last byte, what its type encodes to: no unknown fields, no second copies, no fields of other
//! lengths than keys, hashes and signatures have. So there is no room in it for anything else. Knows no sockets, no consent.

use std::collections::BTreeSet;

use prost::Message;
use volet_federated::{CohortSize, RoundId};
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
/// A sealed pair of shares: the two, and a tag.
const SEALED: usize = 2 * KEY + 16;

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
    let shares = |shares: &[v1::Share]| {
        once(shares.iter().map(|share| share.member)) && shares.iter().all(|share| share.value.len() == KEY)
    };
    fits(match body {
        Body::Advertisement(a) => {
            let keys = [&a.identity, &a.channel_key, &a.mask_key, &a.commitment];
            keys.iter().all(|key| key.len() == KEY) && [&a.enrolment, &a.signature].iter().all(|s| s.len() == SIGNATURE)
        }
        Body::Shares(upload) => {
            once(upload.shares.iter().map(|share| share.member))
                && upload
                    .shares
                    .iter()
                    .all(|s| s.sealed.len() == SEALED && s.own_mask_hash.len() == KEY && s.mask_key_hash.len() == KEY)
        }
        Body::Signature(signed) => signed.signature.len() == SIGNATURE,
        Body::Reveal(reveal) => shares(&reveal.own_masks) && shares(&reveal.mask_keys),
        Body::Masked(_) | Body::Split(_) => true,
        // A helper says that, and no camera.
        Body::MaskSum(_) => false,
    })
}

/// Whether each member is named once, and is one that a cohort can have.
fn once(mut members: impl Iterator<Item = u32>) -> bool {
    let mut seen = BTreeSet::new();
    members.all(|member| member < CohortSize::MAX && seen.insert(member))
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round() -> Option<v1::RoundId> {
        Some(v1::RoundId { task: Some(v1::TaskId { id: vec![1; 16] }), number: 3 })
    }

    fn advertisement() -> v1::Advertisement {
        let key = || vec![2; 32];
        v1::Advertisement {
            identity: key(),
            enrolment: vec![3; 64],
            channel_key: key(),
            mask_key: key(),
            commitment: key(),
            signature: vec![4; 64],
        }
    }

    /// A message of a round as a link says it.
    fn pieces(body: Body, longest: usize) -> Vec<Vec<u8>> {
        let bytes = v1::SiteMessage { body: Some(body) }.encode_to_vec();
        let whole = blake3::hash(&bytes).as_bytes().to_vec();
        let mut pieces: Vec<v1::SayPiece> =
            bytes.chunks(longest).map(|data| v1::SayPiece { data: data.to_vec(), ..Default::default() }).collect();
        pieces[0] = v1::SayPiece { round: round(), blake3: whole, ..pieces[0].clone() };
        pieces.iter().map(Message::encode_to_vec).collect()
    }

    fn said(pieces: &[Vec<u8>]) -> Result<Said, &'static str> {
        read("/volet.v1.Aggregation/Say", &pieces.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    /// Every call that a camera makes, as it makes it.
    fn calls() -> Vec<(&'static str, Kind, Vec<u8>)> {
        let enrol = v1::EnrolRequest { token: "a token".to_owned(), key: vec![1; 32], signature: vec![2; 64] };
        vec![
            ("/volet.v1.Enrolment/Enrol", Kind::Enrolment, enrol.encode_to_vec()),
            ("/volet.v1.Aggregation/Renew", Kind::Renewal, vec![]),
            ("/volet.v1.Aggregation/CheckIn", Kind::CheckIn, v1::CheckInRequest { release: Some(7) }.encode_to_vec()),
            (
                "/volet.v1.Aggregation/Held",
                Kind::Held,
                v1::HeldRequest { round: round(), blake3: vec![1; 32] }.encode_to_vec(),
            ),
            ("/volet.v1.Aggregation/Hear", Kind::Hear, v1::HearRequest { round: round(), steps: 2 }.encode_to_vec()),
            (
                "/volet.v1.Aggregation/Fetch",
                Kind::Fetch,
                v1::FetchRequest { blake3: vec![1; 32], offset: 9 }.encode_to_vec(),
            ),
        ]
    }

    #[test]
    fn what_a_camera_says_passes_and_nothing_more() {
        for (call, kind, message) in calls() {
            assert_eq!(read(call, &[&message]).map(|said| said.kind), Ok(kind), "{call}");
            // A field that nobody knows, with 20 ms of sound in it; the same field twice; the message twice.
            let sound = [&message[..], &[0x7a, 0xc0, 0x02], &[0x5a; 320]].concat();
            assert!(read(call, &[&sound]).is_err(), "{call}");
            if !message.is_empty() {
                assert!(read(call, &[&[&message[..], &message].concat()]).is_err(), "{call}");
            }
            assert!(read(call, &[&message, &message]).is_err() && read(call, &[]).is_err(), "{call}");
        }
        assert!(read("/volet.v1.Aggregation/Upload", &[&[]]).is_err());
        let long = v1::EnrolRequest { token: "x".repeat(129), key: vec![1; 32], signature: vec![2; 64] };
        assert!(read("/volet.v1.Enrolment/Enrol", &[&long.encode_to_vec()]).is_err());
        let wide = v1::FetchRequest { blake3: vec![1; 352], offset: 9 };
        assert!(read("/volet.v1.Aggregation/Fetch", &[&wide.encode_to_vec()]).is_err());
    }

    #[test]
    fn a_message_of_a_round_has_no_room_for_more() {
        let honest = pieces(Body::Advertisement(advertisement()), 100);
        assert_eq!(said(&honest).unwrap().kind, Kind::RoundMessage);
        // More data behind it, under its hash or under one of its own.
        let piece = v1::SayPiece { data: vec![0x5a; 320], ..Default::default() }.encode_to_vec();
        assert!(said(&[honest.clone(), vec![piece]].concat()).is_err());
        let mut wide = advertisement();
        wide.commitment.extend([0x5a; 320]);
        assert!(said(&pieces(Body::Advertisement(wide), 1000)).is_err());
        // Pieces that name a round again, or come without their first.
        assert!(said(&[honest.clone(), honest.clone()].concat()).is_err() && said(&honest[1..]).is_err());
        assert!(said(&pieces(Body::MaskSum(v1::MaskSum { packed: vec![1; 9] }), 100)).is_err());
        let reveal = |value| v1::Reveal { own_masks: vec![v1::Share { member: 1, value }], mask_keys: vec![] };
        assert!(said(&pieces(Body::Reveal(reveal(vec![1; 32])), 100)).is_ok());
        assert!(said(&pieces(Body::Reveal(reveal(vec![1; 33])), 100)).is_err());
        // Shares have one length, and one for each neighbour.
        let share = |member, sealed| v1::SealedShares {
            member,
            sealed: vec![0x5a; sealed],
            own_mask_hash: vec![1; 32],
            mask_key_hash: vec![2; 32],
        };
        let upload = |shares| said(&pieces(Body::Shares(v1::ShareUpload { shares }), 100));
        assert!(upload(vec![share(1, 80), share(2, 80)]).is_ok());
        for wrong in [vec![share(1, 81)], vec![share(1, 80), share(1, 80)], vec![share(1 << 16, 80)]] {
            assert!(upload(wrong).is_err());
        }
    }

    #[test]
    fn an_update_is_told_with_its_vector_for_the_budget_to_know() {
        let vector = v1::MaskedVector { packed: vec![7; 500], signature: vec![1; 64] };
        let told = said(&pieces(Body::Masked(vector.clone()), 100)).unwrap();
        assert_eq!((told.kind, told.part.unwrap().vector), (Kind::Update, Some(vector.encode_to_vec())));
    }

    proptest! {
        #[test]
        fn hostile_calls_never_panic(
            call in 0usize..7, messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 0..3)
        ) {
            let names = calls();
            let name = names.get(call).map_or("/volet.v1.Aggregation/Say", |(name, ..)| name);
            let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
            let _ = read(name, &messages);
        }
    }
}
