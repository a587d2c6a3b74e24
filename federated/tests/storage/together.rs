//! What the tables promise to many at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use volet_federated::aggregator::register::{Released, ShardEnd, ShardId, Sites};
use volet_federated::round::Time;

use crate::register::ended;
use crate::{Storage, replica};

const THREADS: u8 = 8;
const HOUR: Duration = Duration::from_secs(3600);

fn one(number: u8) -> volet_federated::aggregator::register::Replica {
    replica(&format!("replica-{number}"), HOUR)
}

pub(crate) fn one_site_gets_a_token(storage: &Storage) {
    for token in 0..10 {
        storage.register.add_token(&[token; 32], Time(100)).unwrap();
        let good = storage.at_once(THREADS, move |storage, number| {
            storage.register.redeem(&[token; 32], &[10 * number + token; 32], Time(1)).unwrap()
        });
        assert_eq!(good.into_iter().filter(|good| *good).count(), 1);
    }
    assert_eq!(storage.register.sites().unwrap(), Sites { enrolled: 10, struck: 0 });
}

pub(crate) fn one_round_is_opened(storage: &Storage) {
    for round in 1..=10 {
        let opened = storage.at_once(THREADS, |storage, number| {
            storage.register.open(10, Time(number.into()), Time(100)).unwrap().unwrap()
        });
        assert!(opened.iter().all(|other| *other == opened[0] && other.number == round), "{opened:?}");
        assert!(storage.register.end_round(&ended(round, 0), None).unwrap());
    }
    assert!(storage.at_once(THREADS, |storage, _| storage.register.open(10, Time(1), Time(1)).unwrap().is_none())[0]);
}

pub(crate) fn one_shard_begins(storage: &Storage) {
    storage.register.open(1, Time(1), Time(100)).unwrap();
    for shard in 0..10 {
        let begun = storage.at_once(THREADS, |storage, number| storage.register.begin(1, 10, &one(number)).unwrap());
        let begun: Vec<ShardId> = begun.into_iter().flatten().collect();
        assert_eq!(begun, [ShardId { round: 1, shard }]);
        storage.register.gathered(begun[0]).unwrap();
    }
    let more = storage.at_once(THREADS, |storage, number| storage.register.begin(1, 10, &one(number)).unwrap());
    assert!(more.iter().all(Option::is_none));
}

pub(crate) fn one_replica_drives_a_shard(storage: &Storage) {
    storage.register.open(1, Time(1), Time(100)).unwrap();
    for _ in 0..30 {
        let shard = storage.register.begin(1, 30, &one(99)).unwrap().unwrap();
        storage.register.gathered(shard).unwrap();
    }
    storage.register.release(&one(99)).unwrap();
    if !storage.shared {
        return;
    }
    for _ in 0..4 {
        let taken =
            storage.at_once(THREADS, |storage, number| (number, storage.register.claim(&one(number), 2).unwrap()));
        let of: BTreeMap<ShardId, u8> =
            taken.iter().flat_map(|(number, shards)| shards.iter().map(|shard| (*shard, *number))).collect();
        assert_eq!(of.len(), taken.iter().map(|(_, shards)| shards.len()).sum::<usize>(), "{taken:?}");
        for shard in storage.register.shards(1).unwrap() {
            if let Some(number) = of.get(&ShardId { round: 1, shard: shard.shard }) {
                assert_eq!(shard.replica, format!("replica-{number}"));
            }
        }
    }
    // Who finds rows locked goes on, and finds them later.
    let all: BTreeSet<ShardId> = storage
        .at_once(THREADS, |storage, number| storage.register.claim(&one(number), 2).unwrap())
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(all.len(), 30);
}

pub(crate) fn a_round_is_ended_once(storage: &Storage) {
    for round in 1..=10 {
        storage.register.open(10, Time(1), Time(2)).unwrap();
        let ends = storage.at_once(THREADS, move |storage, number| {
            let release = Released { signed: vec![number], at: Time(1) };
            storage.register.end_round(&ended(round, 0), Some((round, &release))).unwrap()
        });
        let first = ends.iter().position(|first| *first).unwrap();
        assert_eq!(ends.into_iter().filter(|first| *first).count(), 1);
        assert_eq!(storage.register.latest().unwrap().unwrap().signed, [first as u8]);
    }
}

/// Rounds of three shards, by replicas that all do whatever is to be done.
pub(crate) fn rounds_are_driven_by_many(storage: &Storage) {
    const ROUNDS: u64 = 8;
    let ends = storage.at_once(THREADS, |storage, number| {
        let (register, mut ends) = (&storage.register, Vec::new());
        while let Some(present) = register.open(ROUNDS, Time(1), Time(2)).unwrap() {
            let round = present.number;
            if let Some(shard) = register.begin(round, 3, &one(number)).unwrap() {
                register.joined(shard, &[[number; 32], [shard.shard as u8; 32]]).unwrap();
                register.gathered(shard).unwrap();
            }
            for shard in register.claim(&one(number), 1).unwrap() {
                register.end_shard(shard, &ShardEnd { sites: 3, contributors: Ok(3) }).unwrap();
            }
            let shards = register.shards(round).unwrap();
            if shards.len() == 3 && shards.iter().all(|shard| shard.end.is_some()) {
                let release = Released { signed: vec![number], at: Time(1) };
                if register.end_round(&ended(round, 3), Some((round, &release))).unwrap() {
                    ends.push(round);
                }
            }
        }
        ends
    });
    let mut ends: Vec<u64> = ends.into_iter().flatten().collect();
    ends.sort_unstable();
    assert_eq!(ends, (1..=ROUNDS).collect::<Vec<_>>());
    assert_eq!(storage.register.releases().unwrap().len() as u64, ROUNDS + 1);
    for round in 1..=ROUNDS {
        assert_eq!(storage.register.shards(round).unwrap().len(), 3);
    }
}
