//! One update's whole way over the public interface: reserved in a ledger, clipped and noised, sealed, masked, summed,
//! decoded. And what the ledger keeps a server from doing to it.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use volet_federated::budget::{
    BudgetError, Day, DeviceSecret, FileCounter, Grant, Ledger, Limits, LineageId, MemoryStorage, Policy, Refusal,
    Scope, Terms as Reserved,
};
use volet_federated::mechanism::Mechanism;
use volet_federated::secagg::{
    self, Advertised, Authority, Contribution, Delivery, Identity, Masked, Modulus, Risk, SecureSum, Server, Shared,
    Signed, Sum, Terms, ToServer, ToSite, enrol,
};
use volet_federated::{ClipNorm, CohortSize, NoiseMultiplier, Rho, RoundId, TaskId};

const DIMENSION: usize = 8;
const SITES: u32 = 12;
const MINIMUM: u32 = 10;

type Device = Ledger<MemoryStorage, FileCounter<MemoryStorage>>;

fn round(number: u64) -> RoundId {
    RoundId::new(TaskId::from_bytes([5; 16]), number).unwrap()
}

fn mechanism(z: f64) -> Mechanism {
    let cohort = CohortSize::new(MINIMUM).unwrap();
    Mechanism::new(ClipNorm::new(2.0).unwrap(), NoiseMultiplier::new(z).unwrap(), cohort, 1, DIMENSION, false).unwrap()
}

fn reserved(number: u64, z: f64) -> Reserved {
    let noise = NoiseMultiplier::new(z).unwrap();
    Reserved {
        round: round(number),
        lineage: LineageId::from_bytes([8; 32]),
        cost: noise.cost().unwrap(),
        noise,
        clip: ClipNorm::new(2.0).unwrap(),
        cohort: CohortSize::new(MINIMUM).unwrap(),
    }
}

fn device(site: u32) -> Device {
    let owner = SigningKey::from_bytes(&[site as u8 + 1; 32]);
    let much = Rho::MAX;
    let policy = Policy {
        version: 1,
        limits: Limits { round: much, day: much, lineage: much, lifetime: much },
        min_cohort: CohortSize::new(MINIMUM).unwrap(),
        scope: Scope::Tasks([TaskId::from_bytes([5; 16])].into()),
        last_day: Day(30_000),
    };
    let counter = FileCounter::new(MemoryStorage::default());
    let secret = DeviceSecret::from_bytes([site as u8; 32]);
    let signed = policy.sign(&owner).unwrap();
    Ledger::create(MemoryStorage::default(), counter, &secret, &owner.verifying_key(), signed).unwrap()
}

/// What the ledger lets go for a round: the same however often it is asked.
fn contribution(device: &mut Device, number: u64, z: f64, update: &[f32]) -> Result<Contribution, BudgetError> {
    let release = match device.reserve(reserved(number, z), Day(20_000))? {
        Grant::Released(release) => release,
        Grant::Reserved(reservation) => {
            let noised = mechanism(z).privatise(update, &reservation).unwrap();
            device.seal(reservation, noised.to_payload())?
        }
    };
    Ok(Contribution::released(&release))
}

enum Site {
    Advertised(Advertised),
    Shared(Shared),
    Masked(Masked),
    Signed(Signed),
}

/// Runs a round over `devices`; sites that refuse drop out.
fn run(devices: &mut [Device], number: u64, z: f64, update: &[f32]) -> Result<Sum, secagg::Abort> {
    let authority = SigningKey::from_bytes(&[42; 32]);
    let trusted = Authority::from_bytes(authority.verifying_key().as_bytes()).unwrap();
    let risk = Risk::new(100, 150, 40, 20).unwrap();
    let minimum = CohortSize::new(MINIMUM).unwrap();
    let terms = Terms::new(round(number), DIMENSION as u32, Modulus::FULL, minimum, risk).unwrap();
    mechanism(z).fits(Modulus::FULL, CohortSize::new(SITES).unwrap()).unwrap();
    let mut server = Server::new(terms, trusted.clone(), SITES as usize);
    let mut sites = BTreeMap::new();
    for (index, device) in devices.iter_mut().enumerate() {
        let secret = [index as u8 + 100; 32];
        let public = SigningKey::from_bytes(&secret).verifying_key().to_bytes();
        let identity = Identity::new(&secret, &enrol(&authority, &public));
        let (state, message) = Advertised::start(terms, trusted.clone(), identity).unwrap();
        server.receive(&public, ToServer::Advertisement(message)).unwrap();
        sites.insert(public, (device, Some(Site::Advertised(state))));
    }
    loop {
        let each = match server.advance()? {
            Delivery::Sum(sum) => return Ok(sum),
            Delivery::Each(each) => each,
            Delivery::Same { to, message } => to.into_iter().map(|key| (key, message.clone())).collect(),
            Delivery::Helper(_) => panic!("there is no helper"),
        };
        for (key, message) in each {
            let (device, state) = sites.get_mut(&key).unwrap();
            let answer = match (state.take(), message) {
                (Some(Site::Advertised(s)), ToSite::Roster(m)) => {
                    let (s, m) = s.share(&m).unwrap();
                    *state = Some(Site::Shared(s));
                    ToServer::Shares(m)
                }
                (Some(Site::Shared(s)), ToSite::Shares(m)) => {
                    let Ok(contribution) = contribution(device, number, z, update) else { continue };
                    let (s, m) = s.mask(&m, contribution).unwrap();
                    *state = Some(Site::Masked(s));
                    ToServer::Masked(m)
                }
                (Some(Site::Masked(s)), ToSite::Survivors(m)) => {
                    let (s, m) = s.sign(&m).unwrap();
                    *state = Some(Site::Signed(s));
                    ToServer::Signature(m)
                }
                (Some(Site::Signed(s)), ToSite::Proof(m)) => {
                    let ended = device.end(round(number)).unwrap();
                    ToServer::Reveal(s.reveal(&m, ended).unwrap())
                }
                _ => continue,
            };
            server.receive(&key, answer).unwrap();
        }
    }
}

fn devices() -> Vec<Device> {
    (0..SITES).map(device).collect()
}

/// The mean of equal updates is the update, up to the noise: six of its standard deviations are wrong once in 60 million
/// runs of eight values.
#[test]
fn an_update_goes_the_whole_way() {
    let z = 1.0;
    let mut devices = devices();
    let update: Vec<f32> = (0..DIMENSION).map(|i| 0.1 * i as f32).collect();
    let sum = run(&mut devices, 1, z, &update).unwrap();
    assert_eq!(sum.contributors(), SITES as usize);
    let (mean, _) = mechanism(z).decode(&sum, CohortSize::new(SITES).unwrap()).unwrap();
    let sigma = mechanism(z).share_sigma() * f64::from(SITES).sqrt() * 2.0 / (16384.0 * f64::from(SITES));
    for (got, sent) in mean.iter().zip(&update) {
        assert!(f64::from((got - sent).abs()) < 6.0 * sigma, "{mean:?}");
    }
    let spent = devices[0].explain();
    assert_eq!(spent.rounds.len(), 1);
}

/// Two sums of one round, with different survivors, would differ by a few sites: there is never a second one.
#[test]
fn a_round_that_was_opened_is_never_opened_again() {
    let mut devices = devices();
    let update = [0.5; DIMENSION];
    assert!(run(&mut devices, 1, 1.0, &update).is_ok());
    let again = run(&mut devices[1..], 1, 1.0, &update);
    assert!(matches!(again, Err(secagg::Abort::TooFew { have: 0, .. })), "{again:?}");
    let refusal = devices[3].end(round(1)).unwrap_err();
    assert!(matches!(refusal, BudgetError::Refused(Refusal::Forgotten(_))), "{refusal}");
    // The next round is another matter.
    assert!(run(&mut devices, 2, 1.0, &update).is_ok());
}

/// A round that failed before anything was revealed may be run again: with the same noise, at no cost.
#[test]
fn a_round_that_failed_goes_on_with_the_same_noise() {
    let mut device = device(0);
    let first = contribution(&mut device, 1, 1.0, &[0.5; DIMENSION]).unwrap();
    let spent = format!("{:?}", device.explain());
    let second = contribution(&mut device, 1, 1.0, &[-0.5; DIMENSION]).unwrap();
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
    assert_eq!(format!("{:?}", device.explain()), spent);
}

/// The types force the order; values that do not belong together are refused.
#[test]
fn noise_for_another_reservation_is_refused() {
    let mut device = device(0);
    let Grant::Reserved(reservation) = device.reserve(reserved(1, 2.0), Day(20_000)).unwrap() else {
        panic!("it was not reserved before")
    };
    let refusal = mechanism(1.0).privatise(&[0.0; DIMENSION], &reservation).unwrap_err();
    assert!(refusal.to_string().contains("noise multiplier"), "{refusal}");
}
