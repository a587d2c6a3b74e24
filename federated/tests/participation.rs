//! Sites that are killed at any moment go on with the same round, say nothing twice in two ways, and are in its sum.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;
use volet_federated::participation::{Participation, ParticipationError};
use volet_federated::secagg::{
    Authority, Delivery, Demands, Identity, Masked, Modulus, Refusal, Risk, SecureSum, Server, Shared, Terms, ToServer,
    ToSite, enrol,
};
use volet_federated::signing::SigningKey;
use volet_federated::storage::DirStorage;
use volet_federated::{CohortSize, RoundId, TaskId};
use volet_proto::v1;

const SITES: u8 = 6;
const STEPS: u32 = 5;

fn terms() -> Terms {
    let round = RoundId::new(TaskId::from_bytes([3; 16]), 1).unwrap();
    let risk = Risk::new(0, 300, 40, 10).unwrap();
    Terms::new(round, 50, Modulus::FULL, CohortSize::new(3).unwrap(), risk).unwrap()
}

fn authority() -> SigningKey {
    SigningKey::from([42; 32])
}

fn demands() -> Demands {
    Demands { minimum: CohortSize::new(3).unwrap(), corrupt_per_mille: 0, security_bits: 40 }
}

fn identity(site: u8) -> Identity {
    let key = SigningKey::from([site + 1; 32]);
    Identity::new(key, enrol(&authority(), &(&key).into()))
}

fn values(site: u8) -> Vec<i32> {
    (0..50).map(|i| i32::from(site) * 100 + i).collect()
}

#[derive(Debug, thiserror::Error)]
enum TestError {
    #[error(transparent)]
    Participation(#[from] ParticipationError),
    #[error(transparent)]
    Refusal(#[from] Refusal),
}

/// A site, its disk, and what its budget ledger keeps.
struct Device {
    site: u8,
    folder: PathBuf,
    sealed: Option<v1::MaskedVector>,
    running: Option<Participation<DirStorage>>,
}

impl Device {
    fn begin(site: u8, folder: PathBuf) -> Self {
        let storage = DirStorage::open(&folder).unwrap();
        let authority = Authority((&authority()).into());
        let running = Participation::begin(storage, terms(), &demands(), authority, identity(site)).unwrap();
        Self { site, folder, sealed: None, running: Some(running) }
    }

    fn kill(&mut self) {
        self.running = None;
    }

    fn work<T>(&mut self, work: impl FnOnce(&mut Participation<DirStorage>, &mut dyn Mask) -> T) -> T {
        let Self { site, folder, sealed, running } = self;
        let mut mask = |shared: Shared, delivery: &v1::ShareDelivery| -> Result<_, TestError> {
            if let Some(sealed) = sealed {
                return Ok((shared.masked(delivery, sealed)?, sealed.clone()));
            }
            let (masked, message) = shared.mask_unprotected(delivery, &values(*site))?;
            *sealed = Some(message.clone());
            Ok((masked, message))
        };
        let running = running.get_or_insert_with(|| {
            let storage = DirStorage::open(folder).unwrap();
            let mut resumed = Participation::resume(storage, identity(*site)).unwrap().unwrap();
            resumed.catch_up(&mut mask).unwrap();
            resumed
        });
        work(running, &mut mask)
    }

    fn answer(&mut self) -> ToServer {
        self.work(|running, _| running.answer().unwrap().clone())
    }
}

trait Mask: FnMut(Shared, &v1::ShareDelivery) -> Result<(Masked, v1::MaskedVector), TestError> {}
impl<T: FnMut(Shared, &v1::ShareDelivery) -> Result<(Masked, v1::MaskedVector), TestError>> Mask for T {}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Bit 3k of a site's schedule: killed before it says what it says at step k; 3k + 1: after that; 3k + 2: when it has
    /// heard the next message.
    #[test]
    fn a_killed_site_goes_on(schedule in prop::array::uniform6(0_u32..1 << (3 * STEPS))) {
        let folder = tempfile::tempdir().unwrap();
        let mut devices: BTreeMap<[u8; 32], Device> = (0..SITES)
            .map(|site| (identity(site).public(), Device::begin(site, folder.path().join(site.to_string()))))
            .collect();
        let mut server = Server::new(terms(), Authority((&authority()).into()), SITES as usize);
        for step in 0.. {
            let dies = |site: u8, when: u32| schedule[site as usize] >> (3 * step + when) & 1 == 1;
            for (key, device) in &mut devices {
                let answer = device.answer();
                if dies(device.site, 0) {
                    device.kill();
                    prop_assert_eq!(&device.answer(), &answer);
                }
                server.receive(key, answer).unwrap();
                if dies(device.site, 1) {
                    // It does not know that it was heard, and would say the very same.
                    device.kill();
                }
                device.work(|running, _| running.said());
            }
            let each: Vec<([u8; 32], ToSite)> = match server.advance().unwrap() {
                Delivery::Sum(sum) => {
                    let expected: Vec<i32> = (0..50).map(|i| (0..SITES).map(|s| values(s)[i]).sum()).collect();
                    prop_assert_eq!(sum.values(), expected);
                    prop_assert!(devices.values_mut().all(|device| device.running.as_ref().unwrap().is_over()));
                    return Ok(());
                }
                Delivery::Each(each) => each,
                Delivery::Same { to, message } => to.into_iter().map(|key| (key, message.clone())).collect(),
            };
            for (key, message) in each {
                let device = devices.get_mut(&key).unwrap();
                device.work(|running, mask| running.hear(step + 1, message, mask)).unwrap();
                if dies(device.site, 2) {
                    device.kill();
                    prop_assert_eq!(device.work(|running, _| running.steps()), step + 1);
                }
            }
        }
    }
}

/// A vector that was masked towards one roster is not sent to another: here, to that of a second participation.
#[test]
fn what_was_sealed_for_others_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, sealed: Option<v1::MaskedVector>| {
        let path = |site: u8| folder.path().join(format!("{name}-{site}"));
        let mut devices: Vec<_> = (0..SITES).map(|site| Device::begin(site, path(site))).collect();
        devices[0].sealed = sealed;
        let mut server = Server::new(terms(), Authority((&authority()).into()), SITES as usize);
        for step in 0..2 {
            for device in &mut devices {
                server.receive(&identity(device.site).public(), device.answer()).unwrap();
                device.work(|running, _| running.said());
            }
            let each: BTreeMap<[u8; 32], ToSite> = match server.advance().unwrap() {
                Delivery::Same { to, message } => to.into_iter().map(|key| (key, message.clone())).collect(),
                Delivery::Each(each) => each.into_iter().collect(),
                Delivery::Sum(_) => panic!("not yet"),
            };
            let first = &mut devices[0];
            let heard = each[&identity(0).public()].clone();
            let result = first.work(|running, mask| running.hear(step + 1, heard, mask));
            if step == 1 {
                return result.map(|()| first.sealed.clone().unwrap());
            }
            for device in &mut devices[1..] {
                let heard = each[&identity(device.site).public()].clone();
                device.work(|running, mask| running.hear(step + 1, heard, mask)).unwrap();
            }
        }
        panic!("two steps lead to the vector")
    };
    let sealed = run("first", None).unwrap();
    assert!(matches!(run("second", Some(sealed)), Err(TestError::Refusal(Refusal::OtherMasks))));
}

#[test]
fn a_folder_holds_one_participation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site");
    let empty = Participation::resume(DirStorage::open(&path).unwrap(), identity(0)).unwrap();
    assert!(empty.is_none());
    drop(empty);
    let mut device = Device::begin(0, path.clone());
    device.kill();
    let authority = Authority((&authority()).into());
    let again = Participation::begin(DirStorage::open(&path).unwrap(), terms(), &demands(), authority, identity(0));
    assert!(matches!(again, Err(ParticipationError::Exists)));
    drop(again);
    let resumed = Participation::resume(DirStorage::open(&path).unwrap(), identity(0)).unwrap().unwrap();
    assert_eq!(resumed.round(), terms().round());
    assert!(Participation::resume(resumed.remove().unwrap(), identity(0)).unwrap().is_none());
}
