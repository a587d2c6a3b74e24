//! A thousand cameras and one aggregator over TLS on this machine: whether all of them are in the sums, what the server takes,
//! and how soon it goes on after `kill -9`. Then, without a network, what the durable driver of rounds adds to the machine
//! that it drives.
//!
//! `cargo bench -p volet-federated --bench load [-- CAMERAS]`. The cameras run in this process, the server in its own; both
//! share the cores. The server's figures are its process's (`/proc`, Linux).

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../tests/house/mod.rs"]
mod house;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use house::{House, Serving, said};
use volet_federated::aggregator::Camera;
use volet_federated::client::{ClientError, Credentials, Link, Plain};
use volet_federated::participation::Participation;
use volet_federated::round::{Kind, Log, Patience, Plan, Round, Time};
use volet_federated::secagg::{
    Advertised, Authority, Delivery, Demands, Identity, Modulus, Risk, SecureSum, Server, Shared, Site, Terms,
    ToServer, ToSite, enrol,
};
use volet_federated::signing::SigningKey;
use volet_federated::storage::MemoryStorage;
use volet_federated::{CohortSize, RoundId, TaskId};

const PARAMETERS: usize = 100_000;
const SHARD: usize = 250;

fn main() {
    let cameras: usize = std::env::args().filter_map(|argument| argument.parse().ok()).next_back().unwrap_or(1000);
    load(cameras.max(SHARD));
    overhead();
}

/// What a process has taken: CPU time, and the most memory at a time.
struct Taken {
    cpu: Duration,
    peak_kb: u64,
}

fn taken(server: &Serving) -> Taken {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.id())).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks: u64 = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let peak_kb = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    // Linux counts in hundredths of a second for all programs.
    Taken { cpu: Duration::from_millis(10 * ticks), peak_kb }
}

fn load(cameras: usize) {
    let shards = cameras.div_ceil(SHARD);
    let house = House::new(
        PARAMETERS,
        &[
            ("minimum = 6", "minimum = 200"),
            ("most = 8", &format!("most = {}", cameras / shards)),
            ("shards = 1", &format!("shards = {shards}")),
            ("dropout_per_mille = 200", "dropout_per_mille = 100"),
            ("security_bits = 80", "security_bits = 40"),
            ("rounds = 12", "rounds = 1"),
        ],
    );
    let cameras = cameras / shards * shards;
    let mut server = house.serve();
    let tokens = house.tokens(cameras);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let start = Instant::now();
    let enrolled: Vec<(Credentials, [u8; 64])> = runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for (site, token) in tokens.into_iter().enumerate() {
            let camera = house.camera.clone();
            tasks.spawn(async move {
                let stranger = Link::new(camera.aggregator, &camera.authority, None, Arc::new(Plain)).unwrap();
                stranger.enrol(&token, &key(site)).await.unwrap()
            });
        }
        tasks.join_all().await
    });
    println!("{cameras} cameras enrolled in {:.1} s", start.elapsed().as_secs_f64());
    let (before, start) = (taken(&server), Instant::now());
    let done = Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for (own, enrolment) in enrolled {
        let (camera, done) = (house.camera.clone(), done.clone());
        tasks.spawn_on(
            async move {
                take_part(camera, own, enrolment).await;
                done.fetch_add(1, Ordering::Relaxed);
            },
            runtime.handle(),
        );
    }
    runtime.block_on(async { while tasks.join_next().await.is_some_and(|done| done.is_ok()) {} });
    let wall = start.elapsed();
    let after = taken(&server);
    let cpu = (after.cpu - before.cpu).as_secs_f64();
    let completed = done.load(Ordering::Relaxed);
    // The register may learn of the end a moment later than the last camera.
    let in_sums = loop {
        let rounds: serde_json::Value = serde_json::from_str(&said(house.program(&["rounds", "--json"]))).unwrap();
        if let Some(round) = rounds.get(0) {
            break round["contributors"].as_u64().unwrap_or(0);
        }
    };
    println!(
        "one round of {PARAMETERS} values in {shards} shards: {:.1} s, {completed} cameras to the end, {in_sums} in sums",
        wall.as_secs_f64(),
    );
    println!(
        "server: {:.2} ms of CPU per report, {:.0} MB at most (three accumulators are {:.1} MB)",
        1000.0 * cpu / cameras as f64,
        after.peak_kb as f64 / 1024.0,
        (3 * 4 * PARAMETERS) as f64 / (1 << 20) as f64,
    );
    let start = Instant::now();
    server.kill();
    server = house.serve();
    println!("after kill -9 it listens again in {} ms", start.elapsed().as_millis());
    drop(server);
}

fn key(site: usize) -> SigningKey {
    let mut secret = [7; 32];
    secret[..8].copy_from_slice(&(site as u64).to_le_bytes());
    SigningKey::from(secret)
}

async fn take_part(camera: Camera, own: Credentials, enrolment: [u8; 64]) {
    let link = Link::new(camera.aggregator.clone(), &camera.authority, Some(&own), Arc::new(Plain)).unwrap();
    let demands = Demands { minimum: CohortSize::new(200).unwrap(), corrupt_per_mille: 100, security_bits: 40 };
    let told = link.check_in(Some(0)).await.unwrap();
    let terms = Terms::try_from(told.round.unwrap()).unwrap();
    let (authority, identity) = (camera.enrolment().unwrap(), Identity::new(own.key, enrolment));
    let mut part = Participation::begin(MemoryStorage::default(), terms, &demands, authority, identity).unwrap();
    let mask =
        |shared: Shared, delivery: &_| Ok::<_, ClientError>(shared.mask_unprotected(delivery, &vec![1; PARAMETERS])?);
    link.take_part(&mut part, mask).await.unwrap();
}

/// The machine alone, and the machine with its journal: the difference is what driving it costs, for each site.
fn overhead() {
    const SITES: usize = 200;
    let authority = key(usize::MAX);
    let trusted = Authority((&authority).into());
    let round = RoundId::new(TaskId::from_bytes([3; 16]), 1).unwrap();
    let risk = Risk::new(100, 100, 40, 10).unwrap();
    let minimum = CohortSize::new(160).unwrap();
    let terms = Terms::new(round, 1000, Modulus::FULL, minimum, risk).unwrap();
    let demands = Demands { minimum, corrupt_per_mille: 100, security_bits: 40 };
    let hour = 3_600_000;
    let patience = Patience { gather: hour, insist: false, step: hour };
    let plan = Plan { terms, authority: trusted, kind: Kind::SecAgg, most: SITES as u32, patience };
    let (mut machine_alone, mut driven) = (Duration::ZERO, Duration::ZERO);
    let runs = 5;
    for _ in 0..runs {
        let mut machine = Server::new(terms, trusted, SITES);
        let mut round = Round::<Log<MemoryStorage>>::begin(MemoryStorage::default(), plan, Time(0)).unwrap();
        let mut sites: Vec<([u8; 32], Option<Site>, Option<ToServer>)> = (0..SITES)
            .map(|site| {
                let identity = Identity::new(key(site), enrol(&authority, &(&key(site)).into()));
                let public = identity.public();
                let (state, message) = Advertised::start(terms, &demands, trusted, identity).unwrap();
                (public, Some(Site::Advertised(Box::new(state))), Some(ToServer::Advertisement(message)))
            })
            .collect();
        loop {
            let said: Vec<_> = sites.iter_mut().map(|(public, _, answer)| (*public, answer.take().unwrap())).collect();
            let start = ThreadTime::now();
            for (public, message) in &said {
                machine.receive(public, message.clone()).unwrap();
            }
            let delivery = machine.advance().unwrap();
            machine_alone += start.elapsed();
            let start = ThreadTime::now();
            for (public, message) in said {
                let _ = round.receive(public, message.into()).unwrap().unwrap();
            }
            round.commit().unwrap();
            round.tick(Time(1)).unwrap();
            driven += start.elapsed();
            let each: Vec<([u8; 32], ToSite)> = match delivery {
                Delivery::Sum(_) => break,
                Delivery::Each(each) => each,
                Delivery::Same { to, message } => to.into_iter().map(|key| (key, message.clone())).collect(),
            };
            for (public, message) in each {
                let (_, state, answer) = sites.iter_mut().find(|(key, ..)| *key == public).unwrap();
                let mask = |shared: Shared, delivery: &_| shared.mask_unprotected(delivery, &[1; 1000]);
                let (next, said) =
                    state.take().unwrap().answer::<volet_federated::secagg::Refusal>(&message, mask).unwrap();
                (*state, *answer) = (next, Some(said));
            }
        }
    }
    let each = |time: Duration| 1000.0 * time.as_secs_f64() / (runs * SITES) as f64;
    println!(
        "driving a simulated site through a round: {:.3} ms beside the {:.3} ms of the machine itself",
        each(driven.saturating_sub(machine_alone)),
        each(machine_alone),
    );
}
