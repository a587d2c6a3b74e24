//! Segments of an egress ledger from strangers, and ours altered: never a panic, never a record that the device did not sign.
#![no_main]

use std::sync::LazyLock;

use volet_edge::egress::ledger::{Entry, Kind, Ledger, Limits, Proof, try_segment};
use volet_federated::signing::{SigningKey, VerifyingKey};
use volet_federated::storage::{MemoryStorage, Storage};

const RECORDS: usize = 8;

/// A segment of ours with eight records.
static OURS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut ledger = Ledger::open(MemoryStorage::default(), &key(), Limits::default()).expect("memory");
    for n in 1..=RECORDS as u64 {
        let (destination, policy) = (format!("server:{n}"), "learning".to_owned());
        let entry = Entry { kind: Kind::Wire, destination, bytes: n, digest: [n as u8; 32], policy, connection: n };
        ledger.append(n, entry).expect("memory");
    }
    let (storage, _) = ledger.close().expect("memory");
    storage.read("segment-00000000000000000001", u64::MAX).expect("memory").expect("just written")
});

fn key() -> SigningKey {
    SigningKey::from([7; 32])
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let device = VerifyingKey::from(&key());
    assert_eq!(try_segment(data, &device).0, 0, "nobody makes a record without the key");
    if let Ok(proof) = Proof::read(data) {
        assert!(proof.check(&device).is_err());
    }
    let mut ours = OURS.clone();
    for edit in data.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % (ours.len() + 1);
        match edit[2] % 4 {
            0 => ours.truncate(at),
            1 => ours.insert(at, edit[3]),
            _ => {
                if let Some(byte) = ours.get_mut(at) {
                    *byte ^= edit[3];
                }
            }
        }
    }
    assert!(try_segment(&ours, &device).0 <= RECORDS);
});
