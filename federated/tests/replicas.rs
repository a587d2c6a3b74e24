//! Three `volet-aggregator serve` on one PostgreSQL and one S3 server, with cameras that call one after the other of them; and
//! `kill -9` of the one that drives a shard in the middle of its round.

#![cfg(all(unix, feature = "cluster"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod engines;
mod house;

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use engines::Replicas;
use house::{change, refused};
use tokio::runtime::Runtime;
use volet_federated::aggregator::Camera;
use volet_federated::client::{ClientError, Credentials, Link, Plain};
use volet_federated::lineage::Release;
use volet_federated::participation::Participation;
use volet_federated::secagg::{Authority, Demands, Identity, Shared, Terms};
use volet_federated::signing::{SigningKey, VerifyingKey};
use volet_federated::storage::MemoryStorage;
use volet_federated::{CohortSize, RoundId};

const SHARDS: u8 = 3;
const SITES: u8 = 6 * SHARDS;
const PARAMETERS: usize = 2000;
const ROUNDS: u64 = 3;
/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(240);

/// Three replicas, each with a folder, none of them running; `None` where there is no PostgreSQL.
fn three() -> Option<Replicas> {
    let mut replicas = Replicas::new(3)?;
    let init = replicas.init(PARAMETERS);
    let init: Vec<&str> = init.iter().map(String::as_str).collect();
    // The bucket is there, and the database is not.
    refused(replicas.command(0).args(&init).env_remove("VOLET_DATABASE_URL").output().unwrap(), "PostgreSQL");
    replicas.say(0, &init);
    refused(replicas.command(0).args(&init).output().unwrap(), "already");
    // The same database, and other keys.
    refused(replicas.command(3).args(&init).output().unwrap(), "already");
    let config = std::fs::read_to_string(replicas.path(0).join("config.toml")).unwrap();
    assert!(config.contains("nowhere") && !config.contains(replicas.url()));
    let changes = [
        ("most = 8", "most = 6"),
        ("shards = 1", "shards = 3"),
        ("rounds = 12", "rounds = 3"),
        ("momentum = 0.0", "momentum = 0.5"),
        ("lease_s = 10", "lease_s = 2"),
    ];
    change(&replicas.path(0).join("config.toml"), &changes);
    replicas.spread();
    Some(replicas)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn key(hex: &str) -> VerifyingKey {
    VerifyingKey::from_bytes(blake3::Hash::from_hex(hex).unwrap().as_bytes()).unwrap()
}

fn values(site: u8, parameters: usize) -> Vec<i32> {
    (0..parameters as i32).map(|i| (i32::from(site) - 2) * (i % 50)).collect()
}

/// A camera that calls another replica whenever one has not answered, and after every round.
struct OneCamera {
    camera: Camera,
    addresses: Vec<String>,
    next: usize,
    parameters: usize,
    own: Option<Credentials>,
}

impl OneCamera {
    fn link(&mut self) -> Link {
        self.next += 1;
        let address = self.addresses[self.next % self.addresses.len()].clone();
        Link::new(address, &self.camera.authority, self.own.as_ref(), Arc::new(Plain)).unwrap().tries(2)
    }

    /// Calls until one has answered.
    async fn call<T>(&mut self, call: impl AsyncFn(Link) -> Result<T, ClientError>) -> T {
        loop {
            match call(self.link()).await {
                Ok(answer) => return answer,
                Err(error) => assert!(error.passes(), "{error}"),
            }
        }
    }

    async fn live(self, site: u8, token: String, last: u64) {
        tokio::time::timeout(LONG, self.take_part(site, token, last)).await.unwrap();
    }

    /// Enrols, and takes part in every round.
    async fn take_part(mut self, site: u8, token: String, last: u64) {
        let signing = SigningKey::from([site + 1; 32]);
        let (own, enrolment) = self.call(async |link| link.enrol(&token, &signing).await).await;
        self.own = Some(own);
        let (authority, mut rounds) = (Authority(key(&self.camera.enrolment_key)), 0);
        while rounds < last {
            let told = self.call(async |link| link.check_in(Some(0)).await).await;
            let Some(terms) = told.round.map(|terms| Terms::try_from(terms).unwrap()) else { continue };
            let round: RoundId = terms.round();
            if round.number() <= rounds {
                continue;
            }
            let demands = Demands { minimum: CohortSize::new(6).unwrap(), corrupt_per_mille: 100, security_bits: 80 };
            let identity = Identity::new(signing, enrolment);
            let storage = MemoryStorage::default();
            let mut participation = Participation::begin(storage, terms, &demands, authority, identity).unwrap();
            let values = values(site, self.parameters);
            let mask = |shared: Shared, delivery: &_| Ok::<_, ClientError>(shared.mask_unprotected(delivery, &values)?);
            // The next replica goes on where this one broke off.
            while let Err(error) = self.link().take_part(&mut participation, mask).await {
                assert!(error.passes(), "site {site}, round {round:?}: {error}");
            }
            rounds = round.number();
            while !self.call(async |link| link.hear(round, 5).await).await.2 {}
        }
    }
}

/// Replicas pass on more calls than one connection carries. Of sites that wait for a step each waits up to 25 seconds, and whoever
/// would have to wait for them would be too late for the round.
#[test]
fn all_cameras_of_a_large_shard_are_in_its_sum_whichever_replica_they_call() {
    const SITES: u8 = 100;
    let Some(mut replicas) = Replicas::new(3) else { return };
    let init = replicas.init(25 * PARAMETERS);
    replicas.say(0, &init.iter().map(String::as_str).collect::<Vec<_>>());
    let changes = [
        ("minimum = 6", "minimum = 60"),
        ("most = 8", "most = 100"),
        ("rounds = 12", "rounds = 1"),
        ("gather_s = 3600", "gather_s = 24"),
        ("step_s = 600", "step_s = 24"),
    ];
    change(&replicas.path(0).join("config.toml"), &changes);
    replicas.spread();
    (0..3).for_each(|replica| replicas.start(replica));
    let tokens = replicas.say(0, &["enroll", "--count", &SITES.to_string()]);
    let camera = std::fs::read_to_string(replicas.path(0).join("camera.toml")).unwrap();
    let camera: Camera = toml::from_str(&camera).unwrap();
    let driver = replicas.wait("SELECT replica FROM shards LIMIT 1", || false).unwrap();
    let others = (0..3).filter(|replica| driver != format!("replica-{replica}"));
    let others: Vec<String> = others.map(|replica| replicas.address(replica)).collect();
    let cameras = async {
        let mut cameras = tokio::task::JoinSet::new();
        for (site, token) in (0..SITES).zip(tokens.lines()) {
            let addresses = vec![others[usize::from(site) % others.len()].clone()];
            let one = OneCamera { camera: camera.clone(), addresses, next: 0, parameters: 25 * PARAMETERS, own: None };
            cameras.spawn_local(one.live(site, token.to_owned(), 1));
        }
        cameras.join_all().await;
    };
    tokio::task::LocalSet::new().block_on(&runtime(), cameras);
    let ended = "SELECT 1 FROM rounds WHERE number = 1 AND ended IS NOT NULL";
    assert!(replicas.wait(ended, || false).is_some());
    let rounds: serde_json::Value = serde_json::from_str(&replicas.say(0, &["rounds", "--json"])).unwrap();
    assert!(rounds[0]["failure"].is_null() && rounds[0]["contributors"] == SITES, "{rounds}");
}

#[test]
fn rounds_end_while_replicas_are_killed() {
    let Some(mut replicas) = three() else { return };
    (0..3).for_each(|replica| replicas.start(replica));
    let again = replicas.command(0).arg("serve").output().unwrap();
    assert!(String::from_utf8_lossy(&again.stderr).contains("served already"), "{again:?}");
    let tokens = replicas.say(1, &["enroll", "--count", &SITES.to_string()]);
    let camera = std::fs::read_to_string(replicas.path(0).join("camera.toml")).unwrap();
    let camera: Camera = toml::from_str(&camera).unwrap();
    let addresses: Vec<String> = (0..3).map(|replica| replicas.address(replica)).collect();
    let done = Arc::new(AtomicUsize::new(0));
    let start = |(site, token): (u8, &str)| {
        let one = OneCamera {
            camera: camera.clone(),
            addresses: addresses.clone(),
            next: site.into(),
            parameters: PARAMETERS,
            own: None,
        };
        let (token, done) = (token.to_owned(), done.clone());
        std::thread::spawn(move || {
            runtime().block_on(one.live(site, token, ROUNDS));
            done.fetch_add(1, Ordering::SeqCst);
        })
    };
    let cameras: Vec<_> = (0..SITES).zip(tokens.lines()).map(start).collect();
    // In this order: one may finish between the two.
    let gone = || {
        let (ended, done) = (cameras.iter().filter(|camera| camera.is_finished()).count(), done.load(Ordering::SeqCst));
        ended > done
    };
    let mut taken_over = 0;
    for round in 1..=ROUNDS {
        // One that drives a shard whose sites are at the later steps.
        let drives = format!(
            "SELECT replica || ' ' || shard FROM shards WHERE round = {round} AND NOT gathers AND sites IS NULL LIMIT 1"
        );
        let driver = replicas.wait(&drives, || gone() || replicas.ended(round));
        let Some(driver) = driver else { continue };
        let (driver, shard) = driver.strip_prefix("replica-").unwrap().split_once(' ').unwrap();
        let driver: usize = driver.parse().unwrap();
        replicas.kill(driver);
        // The round ends without it.
        let over = format!("SELECT 1 FROM rounds WHERE number = {round} AND ended IS NOT NULL");
        assert!(replicas.wait(&over, gone).is_some(), "a camera has given up");
        let by = format!("SELECT replica FROM shards WHERE round = {round} AND shard = {shard}");
        taken_over += u32::from(replicas.ask(&by) != Some(format!("replica-{driver}")));
        replicas.start(driver);
    }
    assert!(taken_over > 0, "each shard had ended when its replica was killed");
    cameras.into_iter().for_each(|camera| camera.join().unwrap());
    let rounds: serde_json::Value = serde_json::from_str(&replicas.say(2, &["rounds", "--json"])).unwrap();
    let rounds = rounds.as_array().unwrap();
    assert_eq!(rounds.len() as u64, ROUNDS);
    for round in rounds {
        assert!(round["failure"].is_null() && round["contributors"] == SITES && round["shards"] == SHARDS, "{round}");
    }
    assert_eq!(replicas.say(0, &["models"]).lines().count() as u64, ROUNDS + 1);
    runtime().block_on(learned(&replicas, &camera, tokens.lines().next().unwrap()));
    // Nothing is left of the rounds, whoever ended them.
    let start = Instant::now();
    while replicas.s3.count("a/b/rounds") + replicas.s3.count("a/b/sums") > 0 {
        assert!(start.elapsed() < LONG);
        std::thread::yield_now();
    }
    assert_eq!(replicas.ask("SELECT count(*) FROM members").unwrap(), "0");
}

impl Replicas {
    /// What the database comes to say, if it does before cameras are done.
    fn wait(&self, select: &str, done: impl Fn() -> bool) -> Option<String> {
        let start = Instant::now();
        loop {
            if let Some(said) = self.ask(select) {
                return Some(said);
            }
            assert!(start.elapsed() < LONG, "never: {select}");
            if done() {
                return None;
            }
            std::thread::yield_now();
        }
    }

    fn ended(&self, round: u64) -> bool {
        let over = format!("SELECT 1 FROM rounds WHERE number = {round} AND ended IS NOT NULL");
        self.ask(&over).is_some()
    }
}

/// What was learned is what the sums of three rounds make, one after the other.
async fn learned(replicas: &Replicas, camera: &Camera, token: &str) {
    let own = SigningKey::from([1; 32]);
    let address = replicas.address(0);
    let stranger = Link::new(address.clone(), &camera.authority, None, Arc::new(Plain)).unwrap();
    let (own, _) = stranger.enrol(token, &own).await.unwrap();
    let link = Link::new(address, &camera.authority, Some(&own), Arc::new(Plain)).unwrap();
    let told = link.check_in(Some(0)).await.unwrap();
    let (latest, _) = Release::verify(told.release.as_ref().unwrap(), &key(&camera.team_key)).unwrap();
    assert_eq!((latest.number, latest.rounds), (ROUNDS, ROUNDS));
    let mut file = Cursor::new(Vec::new());
    link.fetch(latest.model, latest.size, &mut file).await.unwrap();
    let file = file.into_inner();
    let learned = file.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word));
    // With half of what was there before: the update is taken by 1/2, 3/4 and 7/8.
    let unit = (0.5 + 0.75 + 0.875) / (f64::from(1 << 14) * f64::from(SITES));
    let sums =
        (0..PARAMETERS).map(|i| (0..SITES).map(|site| f64::from(values(site, PARAMETERS)[i])).sum::<f64>() * unit);
    for (have, need) in learned.zip(sums) {
        assert!((f64::from(have) - need).abs() < 1e-4, "{have} {need}");
    }
}

/// Without its own name and address, or keys that fit, none serves.
#[test]
fn replicas_that_do_not_fit_are_refused_in_words() {
    let Some(replicas) = three() else { return };
    let refused = |variable: &str, value: &str, with: &str| {
        let output = replicas.command(1).arg("serve").env(variable, value).output().unwrap();
        assert!(!String::from_utf8_lossy(&output.stderr).contains("hidden"), "{output:?}");
        refused(output, with);
    };
    refused("VOLET_REPLICA_NAME", "a/b", "name");
    refused("VOLET_REPLICA_ADDRESS", "http://a:1", "address");
    refused("VOLET_DATABASE_URL", "postgresql://a:hidden@127.0.0.1:1/a", "PostgreSQL");
    refused("VOLET_DATABASE_URL", "nonsense:hidden", "url");
    refused("VOLET_DATABASE_URL", &replicas.postgres.database(), "init");
    refused("AWS_SECRET_ACCESS_KEY", "another", "storage");
    std::fs::write(replicas.path(1).join("task.id"), "02".repeat(16)).unwrap();
    refused("VOLET_LOG", "info", "task");
}
