//! Cameras and several replicas of one aggregator, over TLS on this machine: what a report takes of all servers together as they become more.
//!
//! `cargo bench -p volet-federated --bench replicated [-- CAMERAS [REPLICAS]]`. Four shards, whatever the replicas; cameras call replicas in turn,
//! which pass on what belongs to another. PostgreSQL and the object storage, whose own time is not counted, run here too; without PostgreSQL it
//! says "skipped".

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cameras;
#[path = "../tests/engines/mod.rs"]
mod engines;
#[path = "../tests/house/mod.rs"]
mod house;

use cameras::{Cameras, PARAMETERS, Taken, one_round, print_round, print_taken};
use engines::Replicas;
use house::change;

const SHARDS: usize = 4;

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let shard = (numbers.next().unwrap_or(1000) / SHARDS).max(8);
    let counts = numbers.next().map_or(vec![1, 2, 4], |count| vec![count.max(1)]);
    for count in counts {
        let Some(mut replicas) = Replicas::new(count) else { return };
        let init = replicas.init(PARAMETERS);
        replicas.say(0, &init.iter().map(String::as_str).collect::<Vec<_>>());
        let changes = one_round(SHARDS, shard);
        let changes: Vec<(&str, &str)> = changes.iter().map(|(from, to)| (*from, to.as_str())).collect();
        change(&replicas.path(0).join("config.toml"), &changes);
        replicas.spread();
        (0..count).for_each(|replica| replicas.start(replica));
        println!("{count} replicas");
        round(&replicas, count, shard);
    }
}

fn round(replicas: &Replicas, count: usize, shard: usize) {
    let sites = SHARDS * shard;
    let tokens = replicas.say(0, &["enroll", "--count", &sites.to_string()]);
    let camera = toml::from_str(&std::fs::read_to_string(replicas.path(0).join("camera.toml")).unwrap()).unwrap();
    let addresses: Vec<String> = (0..count).map(|replica| replicas.address(replica)).collect();
    let cameras = Cameras::enrol(&camera, &addresses, tokens.lines().map(str::to_owned).collect(), shard);
    let taken = || replicas.ids().into_iter().map(Taken::by).collect::<Vec<_>>();
    let before = taken();
    let (wall, done) = cameras.take_part();
    let after = taken();
    print_round(SHARDS, wall, done, || replicas.say(0, &["rounds", "--json"]));
    print_taken(&before, &after, sites);
}
