//! Rounds whose server fails in every way that a disk knows, and whose sites say everything twice.

use std::collections::BTreeMap;

use proptest::prelude::*;
use volet_proto::v1;

use self::disk::{Fault, Folder, Machine, Shared};
use super::*;
use crate::secagg::{
    Abort, Advertised, Authority, Demands, Identity, Modulus, Refusal, Rejected, Risk, Site, Terms, ToServer, enrol,
    split,
};
use crate::signing::SigningKey;
use crate::storage::MemoryStorage;

use crate::{CohortSize, RoundId, TaskId};

#[allow(dead_code, clippy::duplicate_mod)]
#[path = "../../tests/budget/disk.rs"]
mod disk;

const SITES: u8 = 6;
const DIMENSION: usize = 4;
const FOREVER: Patience = patience(u64::MAX, u64::MAX);

type InMemory = Round<Log<MemoryStorage>>;
type OnDisk = Round<Log<Folder>>;

const fn patience(gather: u64, step: u64) -> Patience {
    Patience { gather, insist: false, step }
}

fn authority() -> SigningKey {
    SigningKey::from([42; 32])
}

fn identity(site: u8) -> Identity {
    let key = SigningKey::from([site + 1; 32]);
    Identity::new(key, enrol(&authority(), &(&key).into()))
}

fn terms() -> Terms {
    let round = RoundId::new(TaskId::from_bytes([3; 16]), 7).unwrap();
    let risk = Risk::new(0, 300, 40, 10).unwrap();
    Terms::new(round, DIMENSION as u32, Modulus::FULL, CohortSize::new(3).unwrap(), risk).unwrap()
}

fn plan(patience: Patience) -> Plan {
    let authority = Authority((&authority()).into());
    Plan { terms: terms(), authority, kind: Kind::SecAgg, most: u32::from(SITES), patience }
}

fn values(site: u8) -> [i32; DIMENSION] {
    [i32::from(site), 100, -i32::from(site), 1 << site]
}

fn sum_of(sites: impl Iterator<Item = u8>) -> Vec<i32> {
    sites.fold(vec![0; DIMENSION], |sum, site| sum.iter().zip(values(site)).map(|(a, b)| a + b).collect())
}

/// A site that asks, answers, and repeats its answer until it hears that it was taken.
struct Camera {
    site: u8,
    state: Option<Site>,
    answered: u32,
    waiting: Option<v1::SiteMessage>,
}

impl Camera {
    fn new(site: u8) -> Self {
        let demands = Demands { minimum: CohortSize::new(3).unwrap(), corrupt_per_mille: 0, security_bits: 40 };
        let authority = Authority((&authority()).into());
        let (state, message) = Advertised::start(terms(), &demands, authority, identity(site)).unwrap();
        let state = Some(Site::Advertised(Box::new(state)));
        Self { site, state, answered: 0, waiting: Some(ToServer::Advertisement(message).into()) }
    }

    fn key(&self) -> [u8; 32] {
        identity(self.site).public()
    }

    fn ask(&mut self, round: &Round<impl Journal>) {
        if self.waiting.is_some() || self.answered == round.steps() {
            return;
        }
        if let Some((state, message)) =
            self.state.take().zip(round.message_for(&self.key()).map(|(message, _)| message))
        {
            let answer = state.answer::<Refusal>(message, |shared, m| shared.mask_unprotected(m, &values(self.site)));
            let (next, answer) = answer.unwrap();
            (self.state, self.answered, self.waiting) = (next, round.steps(), Some(answer.into()));
        }
    }
}

/// Runs a round over a disk with these faults; how many operations it took. Each message is sent until it is acknowledged,
/// and never again.
fn run(machine: &Shared) -> usize {
    let folder = || Folder { machine: machine.clone(), name: "round" };
    let mut cameras: Vec<Camera> = (0..SITES).map(Camera::new).collect();
    let mut server: Option<OnDisk> = None;
    for _ in 0..200 {
        let Some(round) = &mut server else {
            if machine.borrow().off {
                machine.borrow_mut().reboot();
            }
            server = match OnDisk::resume(folder(), Time(1)) {
                Ok(Some(round)) => Some(round),
                Ok(None) => OnDisk::begin(folder(), plan(FOREVER), Time(1)).ok(),
                Err(RoundError::Io(_)) => None,
                Err(other) => panic!("{other}"),
            };
            continue;
        };
        match exchange(round, &mut cameras) {
            Ok(()) => {}
            Err(RoundError::Io(_) | RoundError::Failed) => server = None,
            Err(other) => panic!("{other}"),
        }
        match server.as_ref().and_then(Round::outcome) {
            Some(Outcome::Sum(sum)) => {
                assert_eq!((sum.values(), sum.contributors()), (&sum_of(0..SITES)[..], usize::from(SITES)));
                return machine.borrow().operations;
            }
            Some(Outcome::Failed(abort)) => panic!("{abort}"),
            None => {}
        }
    }
    panic!("what was acknowledged is lost: the round waits for {:?}", server.map(|round| round.waiting_for()));
}

fn exchange(round: &mut OnDisk, cameras: &mut [Camera]) -> Result<(), RoundError> {
    for camera in cameras.iter_mut() {
        camera.ask(round);
        if let Some(message) = &camera.waiting {
            let _ = round.receive(camera.key(), message.clone())?.unwrap();
        }
    }
    round.commit()?;
    cameras.iter_mut().for_each(|camera| camera.waiting = None);
    round.tick(Time(2))
}

#[test]
fn a_round_survives_every_single_fault_of_its_disk() {
    let operations = run(&Machine::new(0, &[]));
    for at in 0..operations {
        for fault in Fault::ALL {
            run(&Machine::new(at as u64, &[(at, fault)]));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_round_survives_many_faults(
        seed: u64, faults in prop::collection::vec((0_usize..200, prop::sample::select(&Fault::ALL[..])), 2..12),
    ) {
        run(&Machine::new(seed, &faults));
    }
}

/// Six sites up to some step, all of it committed, and then the round read again from its log.
fn until(steps: u32, patience: Patience) -> (InMemory, Vec<Camera>) {
    let mut round = InMemory::begin(MemoryStorage::default(), plan(patience), Time(1000)).unwrap();
    let mut cameras: Vec<Camera> = (0..SITES).map(Camera::new).collect();
    while round.steps() < steps {
        for camera in &mut cameras {
            camera.ask(&round);
            if let Some(message) = camera.waiting.take() {
                let _ = round.receive(camera.key(), message).unwrap().unwrap();
            }
        }
        round.tick(Time(1000)).unwrap();
    }
    (round, cameras)
}

#[test]
fn steps_end_when_they_have_lasted_long_enough() {
    let (mut round, mut cameras) = until(2, patience(50, 10));
    assert_eq!(round.due(), Time(1010));
    let mut answers = BTreeMap::new();
    for camera in &mut cameras {
        camera.ask(&round);
        answers.insert(camera.site, (camera.key(), camera.waiting.take().unwrap()));
    }
    // Two do not speak in time.
    for site in 0..SITES - 2 {
        let (key, message) = answers[&site].clone();
        let _ = round.receive(key, message).unwrap().unwrap();
    }
    for now in [1003, 1009] {
        round.tick(Time(now)).unwrap();
        assert_eq!(round.steps(), 2);
    }
    round.tick(Time(1010)).unwrap();
    assert_eq!((round.steps(), round.due()), (3, Time(1020)));
    let (key, late) = answers[&(SITES - 1)].clone();
    assert_eq!(round.receive(key, late).unwrap(), Err(Rejected::OutOfTurn));
    assert!(round.message_for(&key).is_none());
    for _ in 0..2 {
        for camera in cameras.iter_mut().filter(|camera| camera.site < SITES - 2) {
            camera.ask(&round);
            let _ = round.receive(camera.key(), camera.waiting.take().unwrap()).unwrap().unwrap();
        }
        round.tick(Time(1015)).unwrap();
    }
    let Some(Outcome::Sum(sum)) = round.outcome() else { panic!("{:?}", round.outcome()) };
    assert_eq!(sum.values(), sum_of(0..SITES - 2));
    round.tick(Time(u64::MAX)).unwrap();
    assert_eq!(round.steps(), 5);
}

#[test]
fn too_few_sites_end_a_round_once_and_for_all() {
    let mut round = InMemory::begin(MemoryStorage::default(), plan(patience(5, 5)), Time(0)).unwrap();
    let camera = Camera::new(0);
    assert_eq!(round.receive(camera.key(), camera.waiting.clone().unwrap()).unwrap(), Ok(Receipt::Taken));
    assert_eq!(round.receive(camera.key(), camera.waiting.clone().unwrap()).unwrap(), Ok(Receipt::Known));
    round.tick(Time(5)).unwrap();
    assert!(matches!(round.outcome(), Some(Outcome::Failed(Abort::TooFew { have: 1, need: 3, .. }))));
    let empty = v1::SiteMessage { body: None };
    assert_eq!(round.receive(camera.key(), empty).unwrap(), Err(Rejected::Malformed));
}

/// The first shard of a round: nobody is sent home because the others are late.
#[test]
fn a_round_that_insists_waits_for_enough() {
    let plan = plan(Patience { insist: true, ..patience(5, 5) });
    let mut round = InMemory::begin(MemoryStorage::default(), plan, Time(0)).unwrap();
    for site in 0..3 {
        round.tick(Time(1000)).unwrap();
        assert_eq!((round.steps(), round.sites()), (0, site));
        let camera = Camera::new(site as u8);
        assert!(!round.knows(&camera.key()));
        let _ = round.receive(camera.key(), camera.waiting.clone().unwrap()).unwrap().unwrap();
        assert!(round.knows(&camera.key()));
    }
    round.tick(Time(1000)).unwrap();
    assert_eq!(round.steps(), 1);
}

#[test]
fn a_folder_holds_one_round() {
    let folder = Folder { machine: Machine::new(0, &[]), name: "round" };
    let round = OnDisk::begin(folder.clone(), plan(FOREVER), Time(0)).unwrap();
    assert!(matches!(OnDisk::begin(folder.clone(), plan(FOREVER), Time(0)), Err(RoundError::Exists)));
    let again = OnDisk::resume(folder.clone(), Time(77)).unwrap().unwrap();
    assert_eq!(again.plan(), round.plan());
    assert_eq!(again.due(), Time(u64::MAX));
    again.remove().unwrap();
    assert!(OnDisk::resume(folder, Time(0)).unwrap().is_none());
}

#[test]
fn a_record_of_another_version_is_an_error_and_not_an_end() {
    let mut log = Log::open(MemoryStorage::default(), &mut |_| Ok(())).unwrap();
    log.append(&[99]).unwrap();
    log.sync().unwrap();
    let storage = log.into_storage();
    assert!(matches!(InMemory::resume(storage, Time(0)), Err(RoundError::Foreign(1))));
}

#[test]
fn buffered_rounds_are_driven_alike() {
    let secret = [9; 32];
    let trusted = Authority((&authority()).into());
    let mut helper = split::Helper::new(secret, trusted, CohortSize::new(2).unwrap(), Default::default());
    let keys = split::Keys { identity: [5; 32], exchange: helper.public() };
    let plan = Plan { kind: Kind::Split(keys), ..plan(patience(100, 100)) };
    let mut round = InMemory::begin(MemoryStorage::default(), plan, Time(0)).unwrap();
    for site in 0..4 {
        let report = split::report_unprotected(&terms(), &identity(site), &helper.public(), &values(site)).unwrap();
        let _ = round.receive(identity(site).public(), ToServer::Split(report).into()).unwrap().unwrap();
    }
    round.tick(Time(100)).unwrap();
    let Some((crate::secagg::ToSite::Seeds(batch), _)) = round.message_for(&[5; 32]) else {
        panic!("the helper is asked")
    };
    let masks = helper.sum(batch).unwrap();
    let _ = round.receive([5; 32], ToServer::MaskSum(masks).into()).unwrap().unwrap();
    round.tick(Time(101)).unwrap();
    let Some(Outcome::Sum(sum)) = round.outcome() else { panic!("{:?}", round.outcome()) };
    assert_eq!(sum.values(), sum_of(0..4));
}
