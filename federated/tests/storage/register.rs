//! What the tables promise, one call after the other.

use std::time::{Duration, Instant};

use volet_federated::aggregator::register::{Ended, Place, Released, ShardEnd, ShardId, Sites};
use volet_federated::round::Time;

use crate::{Storage, first, replica};

const HOUR: Duration = Duration::from_secs(3600);
const SITE: [u8; 32] = [1; 32];

pub(crate) fn ended(number: u64, shards: u32) -> Ended {
    let (contributors, failure) = (Some(3), None);
    Ended { number, ended: 9, shards, sites: 4, contributors, failure, quality: None }
}

fn shard_end(sites: u32) -> ShardEnd {
    ShardEnd { sites, contributors: Ok(sites) }
}

fn release(number: u8) -> Released {
    Released { signed: vec![number; 100], at: Time(number.into()) }
}

/// Waits for what time alone brings about, for a while.
fn until(mut there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !there() {
        assert!(start.elapsed() < Duration::from_secs(20), "nothing has happened");
        std::thread::yield_now();
    }
}

pub(crate) fn a_token_enrols_one_site(storage: &Storage) {
    let register = &storage.register;
    register.add_token(&[7; 32], Time(100)).unwrap();
    assert!(register.add_token(&[7; 32], Time(100)).is_err());
    assert!(!register.redeem(&[8; 32], &SITE, Time(1)).unwrap());
    assert!(!register.redeem(&[7; 32], &SITE, Time(100)).unwrap());
    assert!(!register.is_enrolled(&SITE).unwrap());
    // Again, where the answer was missed; and nobody else.
    assert!(register.redeem(&[7; 32], &SITE, Time(99)).unwrap());
    assert!(register.redeem(&[7; 32], &SITE, Time(99)).unwrap());
    assert!(!register.redeem(&[7; 32], &[2; 32], Time(99)).unwrap());
    assert!(register.is_enrolled(&SITE).unwrap() && !register.is_enrolled(&[2; 32]).unwrap());
    assert_eq!(register.sites().unwrap(), Sites { enrolled: 1, struck: 0 });
}

pub(crate) fn struck_sites_stay_struck(storage: &Storage) {
    let register = &storage.register;
    assert!(!register.strike(&SITE, Time(1)).unwrap());
    for token in [[1; 32], [2; 32]] {
        register.add_token(&token, Time(100)).unwrap();
        register.redeem(&token, &SITE, Time(1)).unwrap();
        register.strike(&SITE, Time(1)).unwrap();
    }
    assert!(!register.is_enrolled(&SITE).unwrap() && !register.strike(&SITE, Time(1)).unwrap());
    assert_eq!(register.sites().unwrap(), Sites { enrolled: 0, struck: 1 });
}

pub(crate) fn releases_are_numbered(storage: &Storage) {
    let register = &storage.register;
    assert_eq!(register.latest().unwrap(), Some(first()));
    assert!(register.add_release(1, &release(1)).unwrap());
    assert!(!register.add_release(1, &release(2)).unwrap());
    assert!(register.add_release(2, &release(2)).unwrap());
    assert_eq!(register.latest().unwrap(), Some(release(2)));
    assert_eq!(register.releases().unwrap(), [first(), release(1), release(2)]);
}

pub(crate) fn rounds_follow_one_another(storage: &Storage) {
    let register = &storage.register;
    assert_eq!(register.present().unwrap(), None);
    assert_eq!(register.open(0, Time(1), Time(2)).unwrap(), None);
    for number in 1..=3 {
        // For ever, as far as a table can hold that.
        let opened = register.open(3, Time(number), Time(if number == 3 { u64::MAX >> 1 } else { 50 })).unwrap();
        let opened = opened.unwrap();
        assert_eq!((opened.number, opened.opened), (number, Time(number)));
        assert_eq!(register.open(3, Time(77), Time(88)).unwrap(), Some(opened));
        assert_eq!(register.present().unwrap(), Some(opened));
        assert!(register.end_round(&ended(number, 0), None).unwrap());
        assert!(!register.end_round(&ended(number, 0), None).unwrap());
    }
    assert_eq!(register.open(3, Time(1), Time(2)).unwrap(), None);
    assert_eq!(register.rounds_with_sites().unwrap(), 3);
    let numbers = |most| register.rounds(most).unwrap().iter().map(|round| round.number).collect::<Vec<_>>();
    assert_eq!((numbers(2), numbers(u32::MAX)), (vec![2, 3], vec![1, 2, 3]));
    assert_eq!(register.rounds(2).unwrap()[0], ended(2, 0));
}

pub(crate) fn shards_follow_one_another(storage: &Storage) {
    let (register, here) = (&storage.register, replica("here", HOUR));
    assert_eq!(register.begin(1, 2, &here).unwrap(), None);
    register.open(1, Time(1), Time(2)).unwrap();
    let id = |shard| ShardId { round: 1, shard };
    assert_eq!(register.begin(1, 2, &here).unwrap(), Some(id(0)));
    assert_eq!(register.begin(1, 2, &here).unwrap(), None);
    register.gathered(id(0)).unwrap();
    assert_eq!(register.begin(1, 1, &here).unwrap(), None);
    assert_eq!(register.begin(1, 2, &here).unwrap(), Some(id(1)));
    // One that ends takes no more sites, asked or not.
    register.end_shard(id(1), &ShardEnd { sites: 2, contributors: Err("too few".to_owned()) }).unwrap();
    register.end_shard(id(1), &shard_end(9)).unwrap();
    assert_eq!(register.begin(1, 2, &here).unwrap(), None);
    assert_eq!(register.begin(1, 3, &here).unwrap(), Some(id(2)));
    let shards = register.shards(1).unwrap();
    let told: Vec<_> = shards.iter().map(|shard| (shard.shard, shard.gathers, shard.end.clone())).collect();
    let failed = ShardEnd { sites: 2, contributors: Err("too few".to_owned()) };
    assert_eq!(told, [(0, false, None), (1, false, Some(failed)), (2, true, None)]);
    assert!(shards.iter().all(|shard| shard.replica == "here"));
    assert_eq!(register.claim(&here, 9).unwrap(), [id(0), id(2)]);
}

pub(crate) fn sites_are_found(storage: &Storage) {
    let (register, here) = (&storage.register, replica("here", HOUR));
    register.open(2, Time(1), Time(2)).unwrap();
    assert_eq!(register.find(1, &SITE).unwrap(), Place::Nowhere);
    let shard = register.begin(1, 2, &here).unwrap().unwrap();
    let at = |joined| Place::At { joined, replica: "here".to_owned(), address: "https://here:1".to_owned() };
    assert_eq!(register.find(1, &SITE).unwrap(), at(false));
    register.joined(shard, &[SITE, [2; 32]]).unwrap();
    register.joined(shard, &[SITE, [3; 32]]).unwrap();
    register.joined(shard, &[]).unwrap();
    assert_eq!(register.find(1, &SITE).unwrap(), at(true));
    register.gathered(shard).unwrap();
    assert_eq!(register.find(1, &[4; 32]).unwrap(), Place::Nowhere);
    register.begin(1, 2, &here).unwrap().unwrap();
    assert_eq!(register.find(1, &SITE).unwrap(), at(true));
    assert_eq!(register.find(1, &[4; 32]).unwrap(), at(false));
    register.end_shard(shard, &shard_end(3)).unwrap();
    assert_eq!(register.find(1, &SITE).unwrap(), Place::Over);
    assert_eq!(register.find(2, &SITE).unwrap(), Place::Nowhere);
}

pub(crate) fn a_round_ends_once_and_whole(storage: &Storage) {
    let (register, here) = (&storage.register, replica("here", HOUR));
    register.open(2, Time(1), Time(2)).unwrap();
    let shard = register.begin(1, 2, &here).unwrap().unwrap();
    register.joined(shard, &[SITE]).unwrap();
    // Not while a shard goes on, and not in another's place.
    assert!(!register.end_round(&ended(1, 1), Some((1, &release(1)))).unwrap());
    register.end_shard(shard, &shard_end(3)).unwrap();
    assert!(!register.end_round(&ended(1, 1), Some((0, &release(1)))).unwrap());
    assert!(!register.end_round(&ended(2, 1), Some((1, &release(1)))).unwrap());
    assert_eq!((register.latest().unwrap(), register.rounds(9).unwrap()), (Some(first()), vec![]));
    assert_eq!(register.find(1, &SITE).unwrap(), Place::Over);
    assert!(register.end_round(&ended(1, 1), Some((1, &release(1)))).unwrap());
    assert!(!register.end_round(&ended(1, 1), Some((2, &release(2)))).unwrap());
    assert_eq!((register.latest().unwrap(), register.rounds(9).unwrap()), (Some(release(1)), vec![ended(1, 1)]));
    // Who was in it is forgotten, and nothing of it begins any more.
    assert_eq!(register.find(1, &SITE).unwrap(), Place::Nowhere);
    assert_eq!(register.begin(1, 2, &here).unwrap(), None);
    assert_eq!(register.open(2, Time(1), Time(2)).unwrap().unwrap().number, 2);
}

/// So many shards of round 1 that go on, driven by this replica.
fn shards(storage: &Storage, count: u32, name: &str, lease: Duration) -> Vec<ShardId> {
    storage.register.open(1, Time(1), Time(2)).unwrap();
    let begin = |_| {
        let shard = storage.register.begin(1, count, &replica(name, lease)).unwrap().unwrap();
        storage.register.gathered(shard).unwrap();
        shard
    };
    (0..count).map(begin).collect()
}

/// On one machine whoever asks is the only one.
pub(crate) fn leases_run_out(storage: &Storage) {
    let register = &storage.register;
    let all = shards(storage, 5, "a", Duration::from_millis(300));
    let (short, long) = (Duration::from_millis(300), HOUR);
    if storage.shared {
        assert_eq!(register.claim(&replica("b", long), 0).unwrap(), []);
        assert_eq!(register.claim(&replica("a", long), 0).unwrap(), all);
        assert_eq!(register.claim(&replica("b", long), 9).unwrap(), []);
        assert_eq!(register.claim(&replica("a", short), 0).unwrap(), all);
        // Two at a time, so that others get some as well.
        let mut taken = Vec::new();
        until(|| {
            taken = register.claim(&replica("b", long), 2).unwrap();
            !taken.is_empty()
        });
        assert_eq!(taken, all[..2]);
        assert_eq!(register.claim(&replica("a", long), 9).unwrap(), all[2..]);
        let told = register.shards(1).unwrap();
        assert_eq!(told.iter().map(|shard| shard.replica.as_str()).collect::<String>(), "bbaaa");
    }
    register.end_shard(all[0], &shard_end(1)).unwrap();
    let rest = if storage.shared { &all[1..2] } else { &all[1..] };
    assert_eq!(register.claim(&replica("b", long), 9).unwrap(), rest);
}

pub(crate) fn leases_are_let_go(storage: &Storage) {
    let register = &storage.register;
    let all = shards(storage, 2, "a", HOUR);
    register.release(&replica("b", HOUR)).unwrap();
    assert_eq!(register.claim(&replica("a", HOUR), 9).unwrap(), all);
    register.release(&replica("a", HOUR)).unwrap();
    assert_eq!(register.claim(&replica("b", HOUR), 9).unwrap(), all);
    if storage.shared {
        assert_eq!(register.claim(&replica("a", HOUR), 9).unwrap(), []);
    }
}
