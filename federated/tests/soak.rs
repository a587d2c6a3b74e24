//! Rounds whose server is killed at any moment, whose cameras are, and between which the network does what networks do.
//!
//! `VOLET_SOAK_ROUNDS=500 cargo test --release -p volet-federated --test soak -- --nocapture` for the long run. What must hold
//! in the end: a camera that took part in a round to its end is in its sum, each camera's ledger has paid for each round once,
//! and nothing but whole updates of one camera each is in any sum.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use house::{House, said};
use prost::Message;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use volet_federated::aggregator::Camera;
use volet_federated::budget::{
    BudgetError, Day, DeviceSecret, FileCounter, Grant, Ledger, Limits, LineageId, Policy, Scope, Terms as Reserved,
};
use volet_federated::client::{ClientError, Credentials, Link, Plain};
use volet_federated::participation::{Participation, ParticipationError};
use volet_federated::secagg::{Demands, Identity, Refusal, Shared, Terms};
use volet_federated::signing::SigningKey;
use volet_federated::storage::DirStorage;
use volet_federated::{ClipNorm, CohortSize, NoiseMultiplier, Rho, RoundId};
use volet_proto::v1;

const SITES: usize = 6;
const MINIMUM: u32 = 4;
/// The first values of an update say whose it is, and the others that it is whole.
const PARAMETERS: usize = SITES + 2000;

/// What happened, for the end.
#[derive(Default)]
struct Seen {
    /// By round: the sites that took part to its end.
    completed: Mutex<BTreeMap<u64, BTreeSet<usize>>>,
    cameras_killed: AtomicU64,
    connections_broken: AtomicU64,
    over: AtomicBool,
}

#[derive(Debug, thiserror::Error)]
enum DeviceError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Participation(#[from] ParticipationError),
    #[error(transparent)]
    Refusal(#[from] Refusal),
    #[error(transparent)]
    Budget(#[from] BudgetError),
}

/// A camera: its folders, and what it was given when it was enrolled.
#[derive(Clone)]
struct Device {
    site: usize,
    folder: PathBuf,
    camera: Camera,
    credentials: Arc<Credentials>,
    enrolment: [u8; 64],
    lineage: LineageId,
}

fn noise() -> NoiseMultiplier {
    NoiseMultiplier::new(4.39).unwrap()
}

impl Device {
    fn secret(&self) -> DeviceSecret {
        DeviceSecret::from_bytes([self.site as u8; 32])
    }

    fn folder(&self, name: &str) -> DirStorage {
        DirStorage::open(&self.folder.join(name)).unwrap()
    }

    fn create_ledger(&self) {
        let owner = SigningKey::from([9; 32]);
        let much = Rho::MAX;
        let policy = Policy {
            version: 1,
            limits: Limits { round: much, day: much, lineage: much, lifetime: much },
            max_clip: ClipNorm::new(1.0).unwrap(),
            demands: self.demands(),
            scope: Scope::Lineages([self.lineage].into()),
            last_day: Day(30_000),
        };
        let counter = FileCounter::new(self.folder("counter"));
        let signed = policy.sign(&owner).unwrap();
        Ledger::create(self.folder("budget"), counter, &self.secret(), &(&owner).into(), signed).unwrap();
    }

    fn ledger(&self) -> Ledger<DirStorage, FileCounter<DirStorage>> {
        let counter = FileCounter::new(self.folder("counter"));
        Ledger::open(self.folder("budget"), counter, &self.secret()).unwrap()
    }

    fn demands(&self) -> Demands {
        Demands { minimum: CohortSize::new(MINIMUM).unwrap(), corrupt_per_mille: 100, security_bits: 80 }
    }

    fn identity(&self) -> Identity {
        Identity::new(self.credentials.key, self.enrolment)
    }

    fn values(&self, round: RoundId) -> Vec<i32> {
        let mut values = vec![0; PARAMETERS];
        values[self.site] = 1;
        values[SITES..].fill(content(self.site, round.number()));
        values
    }

    /// From wherever the last process was killed, for as long as this one lives.
    async fn live(self, seen: Arc<Seen>) {
        let link =
            Link::new(self.camera.aggregator.clone(), &self.camera.authority, Some(&self.credentials), Arc::new(Plain))
                .unwrap();
        let mut ledger = self.ledger();
        while !seen.over.load(Ordering::Relaxed) {
            match self.next(&link, &mut ledger, &seen).await {
                Ok(()) => {}
                Err(DeviceError::Client(error)) if error.passes() => {}
                // Out of this round for good: the next one is another matter.
                Err(_) => self.leave(&mut ledger),
            }
        }
    }

    fn leave(&self, ledger: &mut Ledger<DirStorage, FileCounter<DirStorage>>) {
        if let Ok(Some(participation)) = Participation::resume(self.folder("round"), self.identity()) {
            let round = participation.round();
            participation.remove().unwrap();
            let _ = ledger.forget(round);
        }
    }

    async fn next(
        &self,
        link: &Link,
        ledger: &mut Ledger<DirStorage, FileCounter<DirStorage>>,
        seen: &Seen,
    ) -> Result<(), DeviceError> {
        let mut participation = match Participation::resume(self.folder("round"), self.identity())? {
            Some(participation) => participation,
            None => {
                let Some(terms) = link.check_in(Some(0)).await?.round else {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    return Ok(());
                };
                let terms = Terms::try_from(terms).unwrap();
                if ledger.explain().rounds.iter().any(|known| known.terms.round == terms.round()) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    return Ok(());
                }
                let authority = self.camera.enrolment().unwrap();
                Participation::begin(self.folder("round"), terms, &self.demands(), authority, self.identity())?
            }
        };
        let (round, cohort) = (participation.round(), participation.terms().minimum());
        let (noise, lineage, clip) = (noise(), self.lineage, ClipNorm::new(1.0).unwrap());
        let mut mask = |shared: Shared, delivery: &v1::ShareDelivery| {
            let reserved = Reserved { round, lineage, cost: noise.cost().unwrap(), noise, clip, cohort };
            match ledger.reserve(reserved, Day(20_000))? {
                Grant::Released(release) => {
                    let sealed = v1::MaskedVector::decode(release.payload()).unwrap();
                    Ok::<_, DeviceError>((shared.masked(delivery, &sealed)?, sealed))
                }
                Grant::Reserved(reservation) => {
                    let (masked, message) = shared.mask_unprotected(delivery, &self.values(round))?;
                    ledger.seal(reservation, message.encode_to_vec())?;
                    Ok((masked, message))
                }
            }
        };
        link.clone().tries(4).take_part(&mut participation, &mut mask).await?;
        seen.completed.lock().unwrap().entry(round.number()).or_default().insert(self.site);
        participation.remove()?;
        ledger.forget(round)?;
        Ok(())
    }
}

fn content(site: usize, round: u64) -> i32 {
    (site as i32 + 1) * 10 + (round % 7) as i32
}

/// Between cameras and server: delays, and connections that break after a while or never answer.
async fn network(listener: TcpListener, server: SocketAddr, seed: u64, seen: Arc<Seen>) {
    let mut random = StdRng::seed_from_u64(seed);
    while let Ok((camera, _)) = listener.accept().await {
        let (mut random, seen) = (StdRng::seed_from_u64(random.random()), seen.clone());
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(server).await else { return };
            let (mut from_camera, mut to_camera) = camera.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            // One in three breaks at some point, one in ten of these by falling silent.
            let breaks = if random.random_bool(0.3) { random.random_range(0..30_000) } else { u64::MAX };
            let silent = random.random_bool(0.1);
            let slow = random.random_bool(0.2);
            let passed = Arc::new(AtomicU64::new(0));
            let pass = |passed: Arc<AtomicU64>, mut random: StdRng| {
                async move |from: &mut tokio::net::tcp::OwnedReadHalf, to: &mut tokio::net::tcp::OwnedWriteHalf| {
                    let mut buffer = vec![0; 16 << 10];
                    while let Ok(length @ 1..) = from.read(&mut buffer).await {
                        if passed.fetch_add(length as u64, Ordering::Relaxed) > breaks {
                            return;
                        }
                        if slow {
                            tokio::time::sleep(Duration::from_millis(random.random_range(0..30))).await;
                        }
                        if to.write_all(&buffer[..length]).await.is_err() {
                            return;
                        }
                    }
                }
            };
            let mut up = pass(passed.clone(), StdRng::seed_from_u64(random.random()));
            let mut down = pass(passed.clone(), StdRng::seed_from_u64(random.random()));
            tokio::select! {
                () = up(&mut from_camera, &mut to_server) => {}
                () = down(&mut from_server, &mut to_camera) => {}
            }
            if passed.load(Ordering::Relaxed) > breaks {
                seen.connections_broken.fetch_add(1, Ordering::Relaxed);
                if silent {
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
            }
        });
    }
}

#[test]
fn rounds_survive_everything() {
    let rounds: u64 = std::env::var("VOLET_SOAK_ROUNDS").map_or(12, |rounds| rounds.parse().unwrap());
    let seed: u64 = std::env::var("VOLET_SOAK_SEED").map_or(1, |seed| seed.parse().unwrap());
    let all = format!("rounds = {rounds}");
    let house = House::new(
        PARAMETERS,
        &[
            ("minimum = 6", "minimum = 4"),
            ("most = 8", "most = 6"),
            ("rounds = 12", &all),
            ("gather_s = 3600", "gather_s = 1"),
            ("step_s = 600", "step_s = 4"),
        ],
    );
    let mut server = house.serve();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let seen = Arc::new(Seen::default());
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let mut camera = house.camera.clone();
    let through = listener.local_addr().unwrap().port();
    let direct = camera.aggregator.clone();
    camera.aggregator = format!("https://localhost:{through}");
    runtime.spawn(network(listener, SocketAddr::from(([127, 0, 0, 1], house.port)), seed, seen.clone()));

    let lineage = LineageId::from_bytes(*blake3::hash(b"some model").as_bytes());
    let devices: Vec<Device> = house
        .tokens(SITES)
        .into_iter()
        .enumerate()
        .map(|(site, token)| {
            let key = SigningKey::from([site as u8 + 1; 32]);
            let (credentials, enrolment) = runtime.block_on(async {
                let stranger = Link::new(direct.clone(), &camera.authority, None, Arc::new(Plain)).unwrap();
                stranger.enrol(&token, &key).await.unwrap()
            });
            let folder = house.beside(&format!("camera-{site}"));
            std::fs::create_dir(&folder).unwrap();
            let (camera, credentials) = (camera.clone(), Arc::new(credentials));
            let device = Device { site, folder, camera, credentials, enrolment, lineage };
            device.create_ledger();
            device
        })
        .collect();

    let mut random = StdRng::seed_from_u64(seed ^ 0x5eed);
    let mut running: Vec<_> = devices.iter().map(|device| runtime.spawn(device.clone().live(seen.clone()))).collect();
    let (mut server_kills, mut slowest, mut told) = (0_u64, Duration::ZERO, 0);
    let start = Instant::now();
    loop {
        let ended = ended(&house);
        if ended >= rounds {
            break;
        }
        if ended >= told + 50 {
            told = ended;
            println!("{ended} rounds in {:.0} s, {server_kills} kills of the server", start.elapsed().as_secs_f64());
        }
        assert!(start.elapsed() < Duration::from_secs(60 + 20 * rounds), "{ended} rounds of {rounds}");
        if random.random_bool(0.4) {
            server.kill();
            let restart = Instant::now();
            server = house.serve();
            server_kills += 1;
            slowest = slowest.max(restart.elapsed());
        } else {
            let site = random.random_range(0..SITES);
            let killed = std::mem::replace(&mut running[site], runtime.spawn(async {}));
            killed.abort();
            runtime.block_on(async {
                let _ = killed.await;
            });
            seen.cameras_killed.fetch_add(1, Ordering::Relaxed);
            running[site] = runtime.spawn(devices[site].clone().live(seen.clone()));
        }
        // Long enough for something to happen, and to be interrupted.
        let (grown, until) = (house.journals(), Instant::now() + Duration::from_millis(random.random_range(50..900)));
        while house.journals() == grown && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(random.random_range(0..400)));
    }
    seen.over.store(true, Ordering::Relaxed);
    for camera in &running {
        camera.abort();
    }
    runtime.block_on(async {
        for camera in running {
            let _ = camera.await;
        }
    });
    check(&house, &devices, &seen);
    let (cameras, broken) = (&seen.cameras_killed, &seen.connections_broken);
    println!(
        "{rounds} rounds in {:.0} s: server killed {server_kills} times (slowest start {} ms), cameras {} times, {} \
         connections broken",
        start.elapsed().as_secs_f64(),
        slowest.as_millis(),
        cameras.load(Ordering::Relaxed),
        broken.load(Ordering::Relaxed),
    );
}

fn ended(house: &House) -> u64 {
    let rounds: Vec<serde_json::Value> = serde_json::from_str(&said(house.program(&["rounds", "--json"]))).unwrap();
    rounds.len() as u64
}

/// Looks at every release: whose updates are in it, and whether they are whole. And at every ledger.
fn check(house: &House, devices: &[Device], seen: &Seen) {
    let rounds: Vec<serde_json::Value> = serde_json::from_str(&said(house.program(&["rounds", "--json"]))).unwrap();
    let models = said(house.program(&["models"]));
    let mut files = models.lines().skip(1).map(|line| {
        let hash = line.split_whitespace().nth(1).unwrap();
        std::fs::read(house.folder().join("files").join(hash)).unwrap()
    });
    let unit = 1.0 / (f64::from(1 << 14) * f64::from(MINIMUM));
    let mut before = vec![0.0; PARAMETERS];
    let (mut released, mut contributors_of) = (0, BTreeMap::new());
    for round in &rounds {
        let number = round["number"].as_u64().unwrap();
        if !round["failure"].is_null() {
            contributors_of.insert(number, None);
            continue;
        }
        released += 1;
        let learned: Vec<f64> =
            files.next().unwrap().as_chunks::<4>().0.iter().map(|word| f64::from(f32::from_le_bytes(*word))).collect();
        let gained: Vec<f64> = learned.iter().zip(&before).map(|(now, then)| (now - then) / unit).collect();
        before = learned;
        let inside: BTreeSet<usize> = (0..SITES).filter(|&site| (gained[site] - 1.0).abs() < 0.1).collect();
        assert!((0..SITES).all(|site| inside.contains(&site) || gained[site].abs() < 0.1), "{number}: {gained:?}");
        let expected: i32 = inside.iter().map(|&site| content(site, number)).sum();
        assert!(gained[SITES..].iter().all(|gain| (gain - f64::from(expected)).abs() < 0.5), "round {number}");
        assert_eq!(round["contributors"], inside.len());
        contributors_of.insert(number, Some(inside));
    }
    assert!(files.next().is_none());
    let mut complete = 0;
    for (round, sites) in seen.completed.lock().unwrap().iter() {
        complete += sites.len();
        // A round that failed after that gave nothing to anyone.
        if let Some(Some(inside)) = contributors_of.get(round) {
            assert!(sites.is_subset(inside), "round {round}: {sites:?} took part, {inside:?} are in the sum");
        }
    }
    for device in devices {
        let statement = device.ledger().explain();
        let paid: BTreeSet<u64> = statement.rounds.iter().map(|round| round.terms.round.number()).collect();
        assert_eq!(paid.len(), statement.rounds.len(), "a round was paid for twice");
        let cost = noise().cost().unwrap().trillionths();
        assert_eq!(statement.lifetime.spent.trillionths(), cost * paid.len() as u64);
        for (round, inside) in &contributors_of {
            let inside = inside.as_ref().is_some_and(|inside| inside.contains(&device.site));
            assert!(!inside || paid.contains(round), "round {round} has an update that was not paid for");
        }
    }
    println!("{released} of {} rounds released; {complete} participations to the end", rounds.len());
    // Most of them: kills are meant to be survived.
    assert!(2 * released >= rounds.len(), "{released} of {}", rounds.len());
}
