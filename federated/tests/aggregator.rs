//! The built `volet-aggregator`, with cameras over real TLS, and `kill -9`.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod house;

use std::io::Cursor;
use std::sync::Arc;

use house::{House, program, refused, said};
use tokio::runtime::Runtime;
use volet_federated::aggregator::Camera;
use volet_federated::client::{ClientError, Credentials, Link, Plain};
use volet_federated::lineage::{Accepted, Lineage, Release};
use volet_federated::participation::Participation;
use volet_federated::secagg::{Authority, Demands, Identity, Shared, Terms};
use volet_federated::signing::{SigningKey, VerifyingKey};
use volet_federated::storage::MemoryStorage;
use volet_federated::{CohortSize, RoundId};

const SITES: u8 = 6;
const PARAMETERS: usize = 2000;

/// An aggregator for six cameras.
fn made() -> House {
    House::new(PARAMETERS, &[("most = 8", "most = 6"), ("rounds = 12", "rounds = 3")])
}

fn key(hex: &str) -> VerifyingKey {
    VerifyingKey::from_bytes(blake3::Hash::from_hex(hex).unwrap().as_bytes()).unwrap()
}

fn values(site: u8) -> Vec<i32> {
    (0..PARAMETERS as i32).map(|i| (i32::from(site) - 2) * (i % 50)).collect()
}

/// One camera: enrols, and takes part in rounds until there are no more. The number of rounds.
async fn live(camera: Camera, site: u8, token: String) -> u64 {
    let signing = SigningKey::from([site + 1; 32]);
    let stranger = Link::new(camera.aggregator.clone(), &camera.authority, None, Arc::new(Plain)).unwrap();
    let (own, enrolment) = stranger.enrol(&token, &signing).await.unwrap();
    let link = Link::new(camera.aggregator, &camera.authority, Some(&own), Arc::new(Plain)).unwrap();
    let (authority, mut rounds) = (Authority(key(&camera.enrolment_key)), 0);
    loop {
        let told = link.check_in(Some(0)).await.unwrap();
        let Some(terms) = told.round else {
            // Another round is at a later step, or there are no more.
            if rounds == 3 {
                return rounds;
            }
            continue;
        };
        let terms = Terms::try_from(terms).unwrap();
        let round: RoundId = terms.round();
        if round.number() <= rounds {
            continue;
        }
        let demands = Demands { minimum: CohortSize::new(6).unwrap(), corrupt_per_mille: 100, security_bits: 80 };
        let identity = Identity::new(signing, enrolment);
        let storage = MemoryStorage::default();
        let mut participation = Participation::begin(storage, terms, &demands, authority, identity).unwrap();
        let mask =
            |shared: Shared, delivery: &_| Ok::<_, ClientError>(shared.mask_unprotected(delivery, &values(site))?);
        link.take_part(&mut participation, mask).await.unwrap();
        rounds = round.number();
        // Until it is over.
        while !link.hear(round, 5).await.unwrap().2 {}
    }
}

#[test]
fn rounds_go_on_through_kills_and_releases_can_be_fetched() {
    let house = made();
    let camera = house.camera.clone();
    let mut server = house.serve();
    let tokens = house.tokens(6);
    let runtime = Runtime::new().unwrap();
    let mut cameras = tokio::task::JoinSet::new();
    for (site, token) in (0..SITES).zip(&tokens) {
        cameras.spawn_on(live(camera.clone(), site, token.clone()), runtime.handle());
    }
    // Killed whenever its log has grown, whatever it is doing then: about every second message.
    let (mut grown, mut finished, mut kills) = (0, 0, 0);
    while finished < SITES && kills < 8 {
        // Cameras may be done before the server was killed that often.
        while let Some(rounds) = cameras.try_join_next() {
            assert_eq!(rounds.unwrap(), 3);
            finished += 1;
        }
        let length = house.journals();
        if length > grown + 20_000 || length < grown {
            grown = length;
            server.kill();
            server = house.serve();
            kills += 1;
        }
        std::thread::yield_now();
    }
    assert!(kills > 2, "{kills}");
    runtime.block_on(async {
        while let Some(rounds) = cameras.join_next().await {
            assert_eq!(rounds.unwrap(), 3);
        }
        // What was learned is the mean of three rounds' sums, by what was public before.
        let team = key(&camera.team_key);
        let own = SigningKey::from([1; 32]);
        let first = Release::first(*blake3::hash(b"some model").as_bytes(), "model".to_owned(), 10);
        let stranger = Link::new(camera.aggregator.clone(), &camera.authority, None, Arc::new(Plain)).unwrap();
        let (own, _): (Credentials, _) = stranger.enrol(&tokens[0], &own).await.unwrap();
        let link = Link::new(camera.aggregator.clone(), &camera.authority, Some(&own), Arc::new(Plain)).unwrap();
        let told = link.check_in(Some(0)).await.unwrap();
        let (latest, _) = Release::verify(told.release.as_ref().unwrap(), &team).unwrap();
        assert_eq!((latest.number, latest.rounds, latest.lineage), (3, 3, first.lineage));
        let [mut model, mut learned] = [const { Cursor::new(Vec::new()) }; 2];
        link.fetch(first.model, 10, &mut model).await.unwrap();
        assert_eq!(model.into_inner(), b"some model");
        link.fetch(latest.model, latest.size, &mut learned).await.unwrap();
        let learned = learned.into_inner();
        let learned = learned.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word));
        let unit = 3.0 / (f64::from(1 << 14) * 6.0);
        let sums = (0..PARAMETERS).map(|i| (0..SITES).map(|site| f64::from(values(site)[i])).sum::<f64>() * unit);
        assert!(learned.zip(sums).all(|(have, need)| (f64::from(have) - need).abs() < 1e-5));
        let mut device = Lineage::of(told.release.as_ref().unwrap(), team).unwrap();
        assert_eq!(device.accept(told.release.as_ref().unwrap()), Ok(Accepted::Known));
    });
    let rounds = said(house.program(&["rounds", "--json"]));
    let rounds: serde_json::Value = serde_json::from_str(&rounds).unwrap();
    assert!(rounds.as_array().unwrap().iter().all(|round| round["contributors"] == 6 && round["failure"].is_null()));
    assert_eq!(rounds.as_array().unwrap().len(), 3);
    assert_eq!(said(house.program(&["models"])).lines().count(), 4);
    let site = VerifyingKey::from(&SigningKey::from([1; 32])).to_bytes();
    let site = blake3::Hash::from_bytes(site).to_string();
    said(house.program(&["enroll", "--strike", &site]));
    refused(house.program(&["enroll", "--strike", &site]), "enrolled");
}

#[test]
fn bad_folders_and_files_are_refused_in_words() {
    let house = made();
    let folder = house.folder();
    refused(program(&house.beside("nowhere"), &["serve"]), "init");
    let config = std::fs::read_to_string(folder.join("config.toml")).unwrap();
    for (from, to, with) in [
        ("minimum = 6", "minimum = 60", "most"),
        ("noise_multiplier = 4.39", "noise_multiplier = -1.0", "[task]"),
        ("rate = 1.0", "rate = 0.0", "[optimizer]"),
        ("[task]", "[tsak]", "config.toml"),
    ] {
        assert!(config.contains(from), "{config}");
        std::fs::write(folder.join("config.toml"), config.replace(from, to)).unwrap();
        refused(house.program(&["serve"]), with);
    }
    std::fs::write(folder.join("config.toml"), &config).unwrap();
    std::fs::write(folder.join("team.key"), "no key").unwrap();
    refused(house.program(&["rounds"]), "team.key");
    let missing = program(&house.beside("another"), &["init", "--model", "/nowhere/model.onnx", "--parameters", "5"]);
    refused(missing, "/nowhere/model.onnx");
}
