//! Whatever a stranger can send: bytes as each message that the aggregator reads from sites, and that sites read from the
//! aggregator, signed where only signed ones are looked into. Never a panic; what is read says what it holds.
#![no_main]

use prost::Message;
use volet_federated::budget::SignedPolicy;
use volet_federated::lineage::{Lineage, Release};
use volet_federated::participation::{Participation, ParticipationError};
use volet_federated::round::{Kind, Log, Patience, Plan, Round, Time};
use volet_federated::secagg::{
    Authority, Demands, Identity, Modulus, Refusal, Risk, Terms, ToSite, asks_to_be_enrolled, enrol, split,
};
use volet_federated::signing::{SigningKey, VerifyingKey};
use volet_federated::storage::MemoryStorage;
use volet_federated::task::Task;
use volet_federated::{CohortSize, RoundId, TaskId};
use volet_proto::v1;

fn key() -> SigningKey {
    SigningKey::from([42; 32])
}

fn terms() -> Terms {
    let round = RoundId::new(TaskId::from_bytes([3; 16]), 1).expect("above 0");
    let risk = Risk::new(0, 300, 40, 10).expect("in range");
    Terms::new(round, 3, Modulus::FULL, CohortSize::new(3).expect("in range"), risk).expect("in range")
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((which, bytes)) = data.split_first() else { return };
    match which % 6 {
        0 => to_a_round(bytes, Kind::SecAgg),
        1 => to_a_round(bytes, Kind::Split(split::Keys { identity: [5; 32], exchange: [9; 32] })),
        2 => to_a_site(bytes),
        3 => signed(bytes),
        4 => unsigned(bytes),
        _ => to_a_helper(bytes),
    }
});

/// A message of an enrolled site, at the first step and at the second.
fn to_a_round(bytes: &[u8], kind: Kind) {
    let patience = Patience { gather: 1, insist: false, step: 1 };
    let plan = Plan { terms: terms(), authority: Authority((&key()).into()), kind, most: 6, patience };
    let mut round = Round::<Log<MemoryStorage>>::begin(MemoryStorage::default(), plan, Time(0)).expect("in memory");
    for now in [0, 1] {
        if let Ok(message) = v1::SiteMessage::decode(bytes) {
            let _ = round.receive([7; 32], message).expect("memory does not fail");
            assert!(round.sites() <= 1);
        }
        round.tick(Time(now)).expect("memory does not fail");
    }
}

/// A message of the aggregator to a site that has said that it takes part.
fn to_a_site(bytes: &[u8]) {
    let site = SigningKey::from([7; 32]);
    let identity = Identity::new(site, enrol(&key(), &(&site).into()));
    let demands = Demands { minimum: CohortSize::new(3).expect("in range"), corrupt_per_mille: 0, security_bits: 40 };
    let storage = MemoryStorage::default();
    let authority = Authority((&key()).into());
    let mut part = Participation::begin(storage, terms(), &demands, authority, identity).expect("random bytes");
    part.said();
    let Some(message) = v1::ServerMessage::decode(bytes).ok().and_then(ToSite::read) else { return };
    let heard: Result<(), ParticipationError> = part.hear(1, message, |_, _| Err(Refusal::OutOfStep.into()));
    // No roster holds this site's fresh keys.
    assert!(heard.is_err());
}

/// What is looked into because a trusted key signed it.
fn signed(bytes: &[u8]) {
    let team = VerifyingKey::from(&key());
    let sign = |prefix: &[u8]| key().sign(&[prefix, bytes].concat()).to_bytes().to_vec();
    let task = v1::SignedTask { task: bytes.to_vec(), signature: sign(b"Volet task v1\0") };
    if let Ok(task) = Task::verify(&task, &team) {
        let _ = task.reservation(&terms());
        assert_eq!(Task::verify(&task.sign(&key()), &team), Ok(task));
    }
    let release = v1::SignedRelease { release: bytes.to_vec(), signature: sign(b"Volet model release v1\0") };
    if let Ok((release, _)) = Release::verify(&release, &team) {
        assert!(release.sign(&key()).is_ok());
    }
    let first = Release::first([7; 32], "first".to_owned(), 1).sign(&key()).expect("it is a release");
    let mut lineage = Lineage::of(&first, team).expect("it is signed");
    if lineage.accept(&release).is_ok() {
        assert!(lineage.latest().lineage.as_bytes() == &[7; 32]);
    }
}

/// What anyone can say.
fn unsigned(bytes: &[u8]) {
    if let Ok(request) = v1::EnrolRequest::decode(bytes) {
        let key = <[u8; 32]>::try_from(request.key).ok().and_then(|key| VerifyingKey::from_bytes(&key));
        assert!(!key.is_some_and(|key| asks_to_be_enrolled(&key, &request.token, &request.signature)));
    }
    if let Some(terms) = v1::Terms::decode(bytes).ok().and_then(|terms| Terms::try_from(terms).ok()) {
        let again = Terms::try_from(v1::Terms::from(terms)).expect("what was read can be read again");
        assert_eq!(again.digest(), terms.digest());
    }
    if let Ok(signed) = SignedPolicy::from_bytes(bytes) {
        assert!(signed.verify(&(&key()).into()).is_err());
    }
    let _ = v1::CheckInReply::decode(bytes);
    let _ = v1::HearPiece::decode(bytes);
    let _ = v1::SayPiece::decode(bytes).map(|piece| piece.round.map(RoundId::try_from));
    let _ = v1::Refused::decode(bytes);
}

fn to_a_helper(bytes: &[u8]) {
    let minimum = CohortSize::new(2).expect("in range");
    let mut helper = split::Helper::new([9; 32], Authority((&key()).into()), minimum, Default::default());
    if let Ok(batch) = v1::SeedBatch::decode(bytes) {
        assert!(helper.sum(&batch).is_err() && helper.opened().is_empty());
    }
}
