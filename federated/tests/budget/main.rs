//! The budget ledger from outside: limits, damage, and a power cut at every point of every schedule.

#![allow(clippy::unwrap_used, clippy::panic)] // the helpers of a test are a test too

mod crash;
mod damage;
mod disk;
#[cfg(unix)]
mod folder;
mod limits;

use std::collections::BTreeSet;

use volet_federated::budget::{
    Day, DeviceSecret, Grant, Limits, LineageId, Policy, Release, Reservation, Scope, SignedPolicy, Terms,
};
use volet_federated::secagg::Demands;
use volet_federated::signing::SigningKey;
use volet_federated::{ClipNorm, CohortSize, NoiseMultiplier, Rho, RoundId, TaskId};

fn secret() -> DeviceSecret {
    DeviceSecret::from_bytes([7; 32])
}

fn owner() -> SigningKey {
    SigningKey::from([9; 32])
}

fn rho(text: &str) -> Rho {
    text.parse().unwrap()
}

fn less_a_trillionth(rho: Rho) -> Rho {
    Rho::from_trillionths(rho.trillionths() - 1).unwrap()
}

fn lineage(n: u8) -> LineageId {
    LineageId::from_bytes([n; 32])
}

fn round(task: u8, number: u64) -> RoundId {
    RoundId::new(TaskId::from_bytes([task; 16]), number).unwrap()
}

fn limits(round: &str, day: &str, lineage: &str, lifetime: &str) -> Limits {
    Limits { round: rho(round), day: rho(day), lineage: rho(lineage), lifetime: rho(lifetime) }
}

/// Lineages 1 and 2, cohorts from 10 sites, up to day 100.
fn policy(version: u64, limits: Limits) -> Policy {
    Policy {
        version,
        limits,
        max_clip: ClipNorm::new(2.0).unwrap(),
        demands: Demands { minimum: CohortSize::new(10).unwrap(), corrupt_per_mille: 100, security_bits: 40 },
        scope: Scope::Lineages(BTreeSet::from([lineage(1), lineage(2)])),
        last_day: Day(100),
    }
}

fn signed(version: u64, limits: Limits) -> SignedPolicy {
    policy(version, limits).sign(&owner()).unwrap()
}

/// A round of lineage 1 and task 1, with noise that costs 0.005 and a little.
fn terms(number: u64, cost: &str) -> Terms {
    Terms {
        round: round(1, number),
        lineage: lineage(1),
        cost: rho(cost),
        noise: NoiseMultiplier::new(10.0).unwrap(),
        clip: ClipNorm::new(0.5).unwrap(),
        cohort: CohortSize::new(10).unwrap(),
    }
}

fn reserved(grant: Grant) -> Reservation {
    match grant {
        Grant::Reserved(reservation) => reservation,
        Grant::Released(_) => panic!("released"),
    }
}

fn released(grant: Grant) -> Release {
    match grant {
        Grant::Released(release) => release,
        Grant::Reserved(_) => panic!("not released"),
    }
}
