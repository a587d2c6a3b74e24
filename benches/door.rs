//! What the one door and the sandbox cost: processor time of a record in the ledger, and of a system call before and after the
//! process has locked itself in. Ratios of these to a frame's processor time are in docs/benchmarks.md.
//!
//! `cargo bench --bench door`. Linux.

use std::time::Duration;

use cpu_time::ProcessTime;
use volet_edge::egress::ledger::{Entry, Kind, Ledger, Limits};
use volet_edge::sandbox::{Confinement, Mode, begin};
use volet_federated::signing::SigningKey;
use volet_federated::storage::DirStorage;

const RECORDS: u32 = 2000;
const CALLS: u32 = 1_000_000;
const ROUNDS: usize = 9;

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let key = SigningKey::from([7; 32]);
    let open = |name: &str| DirStorage::open(&folder.path().join(name));
    let mut ledger = Ledger::open_anchored(open("ledger")?, open("head")?, &key, Limits::default())?;
    let append = median(|| {
        for at in 0..u64::from(RECORDS) {
            ledger.append(at, wire())?;
        }
        Ok(())
    })?;
    println!(
        "a record in the ledger, synced to this disk: {:.1} us of processor time",
        micros(append) / f64::from(RECORDS)
    );
    let calls = || {
        for _ in 0..CALLS {
            std::thread::yield_now();
        }
        Ok(())
    };
    let free = micros(median(calls)?) / f64::from(CALLS);
    begin(Mode::Usual, None)?.confine(&Confinement::new())?;
    let confined = micros(median(calls)?) / f64::from(CALLS);
    println!("a system call: {free:.3} us free, {confined:.3} us locked in, {:.3} us more", confined - free);
    Ok(())
}

/// As a TLS record of a check-in is written down.
fn wire() -> Entry {
    Entry {
        kind: Kind::Wire,
        destination: "aggregator.example (192.0.2.7:7443)".to_owned(),
        bytes: 517,
        digest: [5; 32],
        policy: "consent to learning, of 1700000000".to_owned(),
        connection: 1,
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Processor time, the system's for this process included.
fn median(mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = ProcessTime::try_now()?;
        work()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(ROUNDS / 2).copied().unwrap_or_default())
}
