//! Cameras of this process that call a server over TLS, and what a server's process takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use volet_federated::CohortSize;
use volet_federated::aggregator::Camera;
use volet_federated::client::{ClientError, Credentials, Link, Plain};
use volet_federated::participation::Participation;
use volet_federated::secagg::{Demands, Identity, Shared, Terms};
use volet_federated::signing::SigningKey;
use volet_federated::storage::MemoryStorage;

/// Values of each report.
pub(crate) const PARAMETERS: usize = 100_000;

/// Changes to an aggregator's settings, for one round of so many shards of so many cameras.
pub(crate) fn one_round(shards: usize, shard: usize) -> Vec<(&'static str, String)> {
    vec![
        ("minimum = 6", format!("minimum = {}", minimum(shard))),
        ("most = 8", format!("most = {shard}")),
        ("shards = 1", format!("shards = {shards}")),
        ("dropout_per_mille = 200", "dropout_per_mille = 100".to_owned()),
        ("security_bits = 80", "security_bits = 40".to_owned()),
        ("rounds = 12", "rounds = 1".to_owned()),
        // Where cameras fail, the others do not wait for them for an hour.
        ("gather_s = 3600", "gather_s = 120".to_owned()),
        ("step_s = 600", "step_s = 120".to_owned()),
    ]
}

/// With how few a shard of so many may end.
fn minimum(shard: usize) -> usize {
    shard * 4 / 5
}

/// Cameras that are enrolled, each of which calls one address.
pub(crate) struct Cameras {
    runtime: Runtime,
    camera: Camera,
    shard: usize,
    each: Vec<(String, Credentials, [u8; 64])>,
}

impl Cameras {
    /// Enrols one for each token, at the addresses in turn.
    pub(crate) fn enrol(camera: &Camera, addresses: &[String], tokens: Vec<String>, shard: usize) -> Self {
        let (runtime, start) = (Runtime::new().unwrap(), Instant::now());
        let mut tasks = JoinSet::new();
        for (site, token) in tokens.into_iter().enumerate() {
            let (address, authority) = (addresses[site % addresses.len()].clone(), camera.authority.clone());
            let task = async move {
                let stranger = Link::new(address.clone(), &authority, None, Arc::new(Plain)).unwrap();
                let (own, enrolment) = stranger.enrol(&token, &key(site)).await.unwrap();
                (address, own, enrolment)
            };
            tasks.spawn_on(task, runtime.handle());
        }
        let each = runtime.block_on(tasks.join_all());
        println!("{} cameras enrolled in {:.1} s", each.len(), start.elapsed().as_secs_f64());
        Self { runtime, camera: camera.clone(), shard, each }
    }

    /// One round of all of them: how long it took, and how many came to its end.
    pub(crate) fn take_part(self) -> (Duration, usize) {
        let (start, mut tasks) = (Instant::now(), JoinSet::new());
        for (address, own, enrolment) in self.each {
            let task = take_part(self.camera.clone(), address, own, enrolment, self.shard);
            tasks.spawn_on(task, self.runtime.handle());
        }
        let done = self.runtime.block_on(async {
            let mut done = 0;
            while let Some(ended) = tasks.join_next().await {
                done += usize::from(ended.is_ok());
            }
            done
        });
        (start.elapsed(), done)
    }
}

async fn take_part(camera: Camera, address: String, own: Credentials, enrolment: [u8; 64], shard: usize) {
    let link = Link::new(address, &camera.authority, Some(&own), Arc::new(Plain)).unwrap();
    let minimum = CohortSize::new(u32::try_from(minimum(shard)).unwrap()).unwrap();
    let demands = Demands { minimum, corrupt_per_mille: 100, security_bits: 40 };
    let told = link.check_in(Some(0)).await.unwrap();
    let terms = Terms::try_from(told.round.unwrap()).unwrap();
    let (authority, identity) = (camera.enrolment().unwrap(), Identity::new(own.key, enrolment));
    let mut part = Participation::begin(MemoryStorage::default(), terms, &demands, authority, identity).unwrap();
    let mask =
        |shared: Shared, delivery: &_| Ok::<_, ClientError>(shared.mask_unprotected(delivery, &vec![1; PARAMETERS])?);
    link.take_part(&mut part, mask).await.unwrap();
}

/// The key of a site, of a machine that nobody else uses.
pub(crate) fn key(site: usize) -> SigningKey {
    let mut secret = [7; 32];
    secret[..8].copy_from_slice(&(site as u64).to_le_bytes());
    SigningKey::from(secret)
}

/// What a process has taken.
#[derive(Clone, Copy)]
pub(crate) struct Taken {
    cpu: Duration,
    /// The most memory at a time.
    peak_kb: u64,
}

impl Taken {
    /// Until now, by `/proc` (Linux).
    pub(crate) fn by(process: u32) -> Self {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let ticks: u64 = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        let peak_kb = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
        // Linux counts in hundredths of a second for all programs.
        Self { cpu: Duration::from_millis(10 * ticks), peak_kb }
    }
}

/// What servers took for a round of so many cameras: processor time together, and the memory of the one that took most.
pub(crate) fn print_taken(before: &[Taken], after: &[Taken], cameras: usize) {
    let cpu: Duration = before.iter().zip(after).map(|(before, after)| after.cpu - before.cpu).sum();
    let peak = after.iter().map(|taken| taken.peak_kb).max().unwrap_or_default();
    println!(
        "server: {:.2} ms of CPU per report, {:.0} MB at most (three accumulators are {:.1} MB)",
        1000.0 * cpu.as_secs_f64() / cameras as f64,
        peak as f64 / 1024.0,
        (3 * 4 * PARAMETERS) as f64 / (1 << 20) as f64,
    );
}

/// How a round of so many shards went. `rounds` asks the register, which may learn of the end a moment later than the last camera, or never.
pub(crate) fn print_round(shards: usize, wall: Duration, done: usize, rounds: impl Fn() -> String) {
    let in_sums = |_| {
        let rounds: serde_json::Value = serde_json::from_str(&rounds()).unwrap();
        rounds.get(0).map(|round| round["contributors"].as_u64().unwrap_or(0))
    };
    let in_sums = (0..100).find_map(in_sums).unwrap_or(0);
    let wall = wall.as_secs_f64();
    println!(
        "one round of {PARAMETERS} values in {shards} shards: {wall:.1} s, {done} cameras to the end, {in_sums} in sums"
    );
}
