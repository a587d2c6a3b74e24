//! What a round of secure aggregation takes: CPU milliseconds of one thread, and bytes.
//!
//! `cargo bench -p volet-federated --bench secagg`. The server's time is that of everything it does
//! from the first advertisement to the sum; a site's is that of all its steps; both without the transport. The copy of
//! memory beside them says how busy the machine was.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::Duration;

use cpu_time::ThreadTime;
use volet_federated::secagg::{
    Advertised, Authority, Delivery, Demands, Identity, Modulus, Parameters, Risk, SecureSum, Server, Site, Terms,
    ToServer, enrol,
};
use volet_federated::signing::SigningKey;
use volet_federated::{CohortSize, RoundId, TaskId};

const DIMENSION: u32 = 100_000;

/// Runs a round in which every `n / dropouts`-th site shares its secrets and is not heard of again.
fn round(name: &str, n: u32, dropouts: u32, bits: u32, risk: Risk) {
    let authority = SigningKey::from([1; 32]);
    let trusted = Authority((&authority).into());
    let round = RoundId::new(TaskId::from_bytes([3; 16]), 1).unwrap();
    let minimum = CohortSize::new(n - dropouts).unwrap();
    let terms = Terms::new(round, DIMENSION, Modulus::new(bits).unwrap(), minimum, risk).unwrap();
    let values: Vec<i32> = (0..DIMENSION as i32).map(|i| i % 1000 - 500).collect();
    let (mut server_time, mut site_time, mut upload) = (Duration::ZERO, Duration::ZERO, 0);
    let timed = |total: &mut Duration, start: ThreadTime| *total += start.elapsed();
    let demands = Demands { minimum, corrupt_per_mille: risk.corrupt_per_mille(), security_bits: 40 };
    let mut server = Server::new(terms, trusted, n as usize);
    let mut sites = BTreeMap::new();
    for i in 0..n {
        let mut secret = [7; 32];
        secret[..4].copy_from_slice(&i.to_le_bytes());
        let key = SigningKey::from(secret);
        let identity = Identity::new(key, enrol(&authority, &(&key).into()));
        let public = identity.public();
        let start = ThreadTime::now();
        let (state, message) = Advertised::start(terms, &demands, trusted, identity).unwrap();
        timed(&mut site_time, start);
        let message = ToServer::Advertisement(message);
        upload += message.encoded_len();
        let start = ThreadTime::now();
        server.receive(&public, message).unwrap();
        timed(&mut server_time, start);
        sites.insert(public, (i, Some(Site::Advertised(Box::new(state)))));
    }
    let every = n / dropouts.max(1);
    let sum = loop {
        let start = ThreadTime::now();
        let delivery = server.advance().unwrap();
        timed(&mut server_time, start);
        let each = match delivery {
            Delivery::Sum(sum) => break sum,
            Delivery::Each(each) => each,
            Delivery::Same { to, message } => to.into_iter().map(|key| (key, message.clone())).collect(),
        };
        for (key, message) in each {
            let (index, state) = sites.get_mut(&key).unwrap();
            let Some(now) = state.take() else { continue };
            let start = ThreadTime::now();
            let (next, answer) =
                now.answer(&message, |shared, delivery| shared.mask_unprotected(delivery, &values)).unwrap();
            timed(&mut site_time, start);
            *state = next;
            if matches!(answer, ToServer::Masked(_)) && *index % every == 0 && *index / every < dropouts {
                *state = None;
                continue;
            }
            upload += answer.encoded_len();
            let start = ThreadTime::now();
            server.receive(&key, answer).unwrap();
            timed(&mut server_time, start);
        }
    };
    assert_eq!(sum.contributors(), (n - dropouts) as usize);
    assert!(sum.values().iter().zip(&values).all(|(s, v)| *s == v * (n - dropouts) as i32));
    let p = Parameters::derive(n as usize, &risk).unwrap();
    let ms = |time: Duration| 1000.0 * time.as_secs_f64();
    let (server, site) = (ms(server_time), ms(site_time) / f64::from(n));
    let bytes = upload as f64 / f64::from(n) / f64::from(DIMENSION);
    println!(
        "{name:<34} degree {:>3} threshold {:>3}  server {server:>8.1} ms  site {site:>6.2} ms  upload {bytes:.3} B per value",
        p.degree(),
        p.threshold(),
    );
}

fn main() {
    let (from, mut to) = (vec![1_u8; 400_000_000], vec![0_u8; 400_000_000]);
    let start = ThreadTime::now();
    std::hint::black_box(&mut to).copy_from_slice(std::hint::black_box(&from));
    println!("a copy of memory, for comparison: {:.1} GB/s", 0.8 / start.elapsed().as_secs_f64());
    drop(std::hint::black_box((from, to)));
    let risk = |corrupt, dropout, security| Risk::new(corrupt, dropout, security, 20).unwrap();
    for _ in 0..3 {
        round("50 sites, complete, 5 vanish", 50, 5, 32, risk(333, 150, 40));
        round("50 sites, derived, 5 vanish", 50, 5, 32, risk(100, 100, 40));
    }
    round("256 sites, 24 bits, 12 vanish", 256, 12, 24, risk(50, 50, 40));
    round("1000 sites, few collude, 50 vanish", 1000, 50, 32, risk(5, 50, 40));
    round("1000 sites, 5 % collude, 50 vanish", 1000, 50, 32, risk(50, 50, 40));
}
