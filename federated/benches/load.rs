//! A thousand cameras and one aggregator over TLS on this machine: whether all of them are in the sums, what the server takes,
//! and how soon it goes on after `kill -9`. Then, without a network, what the durable driver of rounds adds to the machine
//! that it drives.
//!
//! `cargo bench -p volet-federated --bench load [-- CAMERAS]`. The cameras run in this process, the server in its own; both
//! share the cores. The server's figures are its process's (`/proc`, Linux).

#![allow(clippy::unwrap_used, clippy::panic)]

mod cameras;
#[path = "../tests/house/mod.rs"]
mod house;

use std::time::{Duration, Instant};

use cameras::{Cameras, PARAMETERS, Taken, key, one_round, print_round, print_taken};
use cpu_time::ThreadTime;
use house::{House, said};
use volet_federated::round::{Kind, Log, Patience, Plan, Round, Time};
use volet_federated::secagg::{
    Advertised, Authority, Delivery, Demands, Identity, Modulus, Risk, SecureSum, Server, Shared, Site, Terms,
    ToServer, ToSite, enrol,
};
use volet_federated::storage::MemoryStorage;
use volet_federated::{CohortSize, RoundId, TaskId};

const SHARD: usize = 250;

fn main() {
    let cameras: usize = std::env::args().filter_map(|argument| argument.parse().ok()).next_back().unwrap_or(1000);
    load(cameras.max(SHARD));
    overhead();
}

fn load(cameras: usize) {
    let shards = cameras.div_ceil(SHARD);
    let shard = cameras / shards;
    let changes = one_round(shards, shard);
    let changes: Vec<(&str, &str)> = changes.iter().map(|(from, to)| (*from, to.as_str())).collect();
    let house = House::new(PARAMETERS, &changes);
    let mut server = house.serve();
    let tokens = house.tokens(shard * shards);
    let cameras = Cameras::enrol(&house.camera, std::slice::from_ref(&house.camera.aggregator), tokens, shard);
    let before = Taken::by(server.id());
    let (wall, done) = cameras.take_part();
    let after = Taken::by(server.id());
    print_round(shards, wall, done, || said(house.program(&["rounds", "--json"])));
    print_taken(&[before], &[after], shard * shards);
    let start = Instant::now();
    server.kill();
    server = house.serve();
    println!("after kill -9 it listens again in {} ms", start.elapsed().as_millis());
    drop(server);
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
