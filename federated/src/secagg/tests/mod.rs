//! Whole rounds, and what can be tried against them.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::split::{Aggregator, Helper, Keys, report_unprotected};
use super::*;
use crate::signing::SigningKey;
use crate::{CohortSize, RoundId, TaskId};

mod attacks;

const DIMENSION: usize = 50;

fn authority() -> SigningKey {
    SigningKey::from([42; 32])
}

fn trusted() -> Authority {
    Authority((&authority()).into())
}

fn identity(site: u32) -> Identity {
    let mut secret = [7; 32];
    secret[..4].copy_from_slice(&site.to_le_bytes());
    let key = SigningKey::from(secret);
    Identity::new(key, enrol(&authority(), &(&key).into()))
}

fn terms_of(number: u64, minimum: u32, risk: Risk, bits: u32) -> Terms {
    let round = RoundId::new(TaskId::from_bytes([3; 16]), number).unwrap();
    let modulus = Modulus::new(bits).unwrap();
    Terms::new(round, DIMENSION as u32, modulus, CohortSize::new(minimum).unwrap(), risk).unwrap()
}

/// A device that takes any terms.
fn any() -> Demands {
    Demands { minimum: CohortSize::new(2).unwrap(), corrupt_per_mille: 0, security_bits: 0 }
}

fn terms(minimum: u32) -> Terms {
    terms_of(1, minimum, Risk::new(100, 200, 40, 20).unwrap(), 32)
}

fn vector(site: u32) -> Vec<i32> {
    (0..DIMENSION as i32).map(|i| site as i32 * 31 - i * 7).collect()
}

fn sum_of(sites: impl Iterator<Item = u32>) -> Vec<i32> {
    sites.fold(vec![0; DIMENSION], |sum, site| sum.iter().zip(vector(site)).map(|(a, b)| a + b).collect())
}

/// Sites by their key, and the server; sites vanish when told to.
struct Net {
    server: Server,
    sites: BTreeMap<[u8; 32], (u32, Option<Site>)>,
}

impl Net {
    fn new(terms: Terms, sites: impl Iterator<Item = u32>) -> Self {
        let mut server = Server::new(terms, trusted(), 1 << 16);
        let started = sites.map(|site| {
            let identity = identity(site);
            let key = identity.public();
            let (state, message) = Advertised::start(terms, &any(), trusted(), identity).unwrap();
            server.receive(&key, ToServer::Advertisement(message)).unwrap();
            (key, (site, Some(Site::Advertised(Box::new(state)))))
        });
        let sites = started.collect();
        Self { server, sites }
    }

    /// Ends a step and has the sites answer; what `tamper` makes of an answer is what the server gets.
    fn step(&mut self, mut tamper: impl FnMut(u32, ToServer) -> Option<ToServer>) -> Result<Option<Sum>, Abort> {
        let deliveries = match self.server.advance()? {
            Delivery::Sum(sum) => return Ok(Some(sum)),
            Delivery::Each(each) => each,
            Delivery::Same { to, message } => to.into_iter().map(|key| (key, message.clone())).collect(),
        };
        for (key, message) in deliveries {
            let (site, state) = self.sites.get_mut(&key).unwrap();
            let Some(state_now) = state.take() else { continue };
            let (next, answer) = answer(*site, state_now, &message).unwrap();
            *state = next;
            let Some(answer) = tamper(*site, answer) else {
                *state = None;
                continue;
            };
            let _ = self.server.receive(&key, answer);
        }
        Ok(None)
    }

    /// Hands messages to sites, who must not refuse; their answers, not yet delivered.
    fn tell(&mut self, messages: impl IntoIterator<Item = ([u8; 32], ToSite)>) -> Vec<([u8; 32], ToServer)> {
        let mut answers = Vec::new();
        for (key, message) in messages {
            let (site, state) = self.sites.get_mut(&key).unwrap();
            let (next, reply) = answer(*site, state.take().unwrap(), &message).unwrap();
            *state = next;
            answers.push((key, reply));
        }
        answers
    }

    /// All steps to the sum.
    fn run(&mut self, mut tamper: impl FnMut(usize, u32, ToServer) -> Option<ToServer>) -> Result<Sum, Abort> {
        for step in 1.. {
            if let Some(sum) = self.step(|site, answer| tamper(step, site, answer))? {
                return Ok(sum);
            }
        }
        Err(Abort::Over)
    }
}

fn answer(site: u32, state: Site, message: &ToSite) -> Result<(Option<Site>, ToServer), Refusal> {
    state.answer(message, |shared, delivery| shared.mask_unprotected(delivery, &vector(site)))
}

#[test]
fn a_round_gives_the_sum_of_those_whose_vectors_arrived() {
    let mut net = Net::new(terms(20), 0..30);
    // Some vanish before they share, some before and some after their vector is sent, some before they reveal.
    let sum = net.run(|step, site, answer| {
        (!matches!((step, site), (1, 3) | (2, 5) | (2, 6) | (3, 9) | (4, 11))).then_some(answer)
    });
    let sum = sum.unwrap();
    assert_eq!(sum.contributors(), 27);
    assert_eq!(sum.values(), sum_of((0..30).filter(|s| ![3, 5, 6].contains(s))));
}

#[test]
fn a_sparse_graph_gives_the_sum_too() {
    let terms = terms_of(1, 150, Risk::new(5, 30, 40, 10).unwrap(), 24);
    let degree = Parameters::derive(200, &terms.risk()).unwrap().degree();
    assert!(degree < 150, "{degree}");
    let sum =
        Net::new(terms, 0..200).run(|step, site, answer| (step != 2 || site % 25 != 0).then_some(answer)).unwrap();
    assert_eq!(sum.values(), sum_of((0..200).filter(|s| s % 25 != 0)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whoever vanishes whenever: the sum is right, or there is none. Sums are never of fewer than the minimum.
    #[test]
    fn sums_are_right_or_absent(fates in prop::collection::vec(0_usize..12, 12..24), bits in 16_u32..=32) {
        let risk = Risk::new(50, 300, 40, 10).unwrap();
        let mut net = Net::new(terms_of(1, 8, risk, bits), 0..fates.len() as u32);
        match net.run(|step, site, answer| (fates[site as usize] != step).then_some(answer)) {
            Ok(sum) => {
                let survived = |site: &u32| !matches!(fates[*site as usize], 1 | 2);
                prop_assert_eq!(sum.values(), sum_of((0..fates.len() as u32).filter(survived)));
                prop_assert!(sum.contributors() >= 8);
            }
            Err(Abort::TooFew { .. } | Abort::Vanished(_) | Abort::Refused(_)) => {}
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}

#[test]
fn masked_vectors_look_uniform() {
    let mut values = Vec::new();
    let mut net = Net::new(terms(20), 0..25);
    net.run(|_, _, answer| {
        if let ToServer::Masked(masked) = &answer {
            values.extend_from_slice(&masked.packed);
        }
        Some(answer)
    })
    .unwrap();
    // Set bits among n: more than six standard deviations off once in five hundred million runs.
    let (ones, n) = (values.iter().map(|b| b.count_ones()).sum::<u32>(), values.len() as f64 * 8.0);
    assert!((f64::from(ones) - n / 2.0).abs() < 6.0 * (n / 4.0).sqrt(), "{ones} of {n}");
}

fn helper() -> Helper {
    Helper::new([9; 32], trusted(), CohortSize::new(2).unwrap(), HashSet::new())
}

fn helper_keys() -> Keys {
    Keys { identity: [5; 32], exchange: helper().public() }
}

fn report(terms: &Terms, site: u32) -> v1::SplitReport {
    report_unprotected(terms, &identity(site), &helper().public(), &vector(site)).unwrap()
}

fn buffer(terms: Terms, sites: std::ops::Range<u32>) -> Aggregator {
    let mut aggregator = Aggregator::new(terms, trusted(), helper_keys(), 100);
    for site in sites {
        let message = report(&terms, site);
        aggregator.receive(&identity(site).public(), ToServer::Split(message)).unwrap();
    }
    aggregator
}

fn request(aggregator: &mut Aggregator) -> v1::SeedBatch {
    match aggregator.advance().unwrap() {
        Delivery::Each(mut each) => match each.pop() {
            Some(([5, ..], ToSite::Seeds(request))) => request,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn split_masks_give_the_sum() {
    let mut aggregator = buffer(terms(10), 0..12);
    let answer = helper().sum(&request(&mut aggregator)).unwrap();
    assert_eq!(aggregator.advance().unwrap_err(), Abort::NoHelper);
    let answer = ToServer::MaskSum(answer);
    assert_eq!(aggregator.receive(&[0; 32], answer.clone()), Err(Rejected::Stranger));
    aggregator.receive(&[5; 32], answer.clone()).unwrap();
    assert_eq!(aggregator.receive(&[5; 32], answer), Err(Rejected::Twice));
    match aggregator.advance().unwrap() {
        Delivery::Sum(sum) => assert_eq!((sum.values(), sum.contributors()), (&sum_of(0..12)[..], 12)),
        other => panic!("{other:?}"),
    }
    assert_eq!(aggregator.advance().unwrap_err(), Abort::Over);
}
