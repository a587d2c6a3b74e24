//! One shard's sum by the protocol itself: each site with its budget ledger, its noise and its masks, the server with a
//! durable round, all of it in memory. For small fleets: what a site does here takes milliseconds.
//!
//! The same machines as deployed, by their public interface: nothing here can send what was not clipped, noised and paid for.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use volet_proto::v1;

use super::cohort::{Fate, Member};
use super::random::{Purpose, bytes};
use super::settings::Settings;
use super::shard::{Context, Summed, Tally};
use super::{Fleet, SimulationError};
use crate::accounting::{Rounds, zcdp};
use crate::budget::{
    Day, DeviceSecret, FileCounter, Grant, Ledger, Limits, LineageId, Policy, Scope, Terms as Reserved,
};
use crate::round::{Kind, Log, Outcome, Patience, Plan, Round, Time};
use crate::secagg::{
    Advertised, Authority, Demands, Identity, Modulus, Refusal, Rejected, Risk, Site, Terms, TermsError, ToServer,
    ToSite, enrol,
};
use crate::signing::{SigningKey, VerifyingKey};
use crate::storage::MemoryStorage;
use crate::{ClipNorm, NoiseMultiplier, RoundId, TaskId};

type Device = Ledger<MemoryStorage, FileCounter<MemoryStorage>>;
type Server = Round<Log<MemoryStorage>>;

/// What masks withstand here: few bits, since nobody attacks.
const SECURITY_BITS: u32 = 40;
const CORRECTNESS_BITS: u32 = 10;
/// Any day will do.
const TODAY: Day = Day(20_000);

/// What may go wrong in a round of these settings.
pub(super) fn risk(settings: &Settings) -> Result<Risk, TermsError> {
    let per_mille = |share: f64| (1000.0 * share).round() as u32;
    let (corrupt, dropout) = (settings.colluding_share, (1.0 - settings.minimum_share).min(0.45));
    Risk::new(per_mille(corrupt), per_mille(dropout), SECURITY_BITS, CORRECTNESS_BITS)
}

/// The ledgers of the sites that were asked so far.
#[derive(Default)]
pub(super) struct Devices(Mutex<BTreeMap<u32, Device>>);

impl Devices {
    /// The sum of a shard. Whoever vanishes has shared its secrets, and whoever is late has masked its vector.
    pub(super) fn sum<F: Fleet + ?Sized>(
        &self,
        context: &Context<'_, F>,
        members: &[Member],
    ) -> Result<Summed, SimulationError> {
        let mut shard = context.clock.count(|| Shard::begin(self, context, members))?;
        while shard.server.outcome().is_none() {
            shard.step(context)?;
        }
        let Shard { server, sites, clean, tally, .. } = shard;
        let mut devices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        devices.extend(sites.into_values().map(|Taking { member, device, .. }| (member.site, device)));
        let sum = match server.outcome() {
            Some(Outcome::Sum(sum)) => Ok(sum.clone()),
            Some(Outcome::Failed(abort)) => Err(abort.to_string()),
            None => Err("the round has no end".to_owned()),
        };
        Ok(Summed { sum, clean, tally })
    }

    fn take<F: Fleet + ?Sized>(&self, context: &Context<'_, F>, site: u32) -> Result<Device, SimulationError> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&site);
        kept.map_or_else(|| device(context, site), Ok)
    }
}

/// A shard's round.
struct Shard {
    server: Server,
    sites: BTreeMap<[u8; 32], Taking>,
    reserved: Reserved,
    now: u64,
    clean: Vec<i32>,
    tally: Tally,
}

/// A site that takes part.
struct Taking {
    member: Member,
    device: Device,
    state: Option<Site>,
}

impl Shard {
    fn begin<F: Fleet + ?Sized>(
        devices: &Devices,
        context: &Context<'_, F>,
        members: &[Member],
    ) -> Result<Self, SimulationError> {
        let seed = context.settings.seed;
        let authority = key(seed, "authority", 0);
        let trusted = Authority((&authority).into());
        let reserved = reserved(context)?;
        let dimension = context.mechanism.coordinates() as u32;
        let risk = risk(context.settings).map_err(refused)?;
        let terms = Terms::new(reserved.round, dimension, Modulus::FULL, context.layout.minimum, risk);
        let terms = terms.map_err(refused)?;
        let patience = Patience { gather: 1, insist: false, step: 1 };
        let most = members.len() as u32;
        let plan = Plan { terms, authority: trusted, kind: Kind::SecAgg, most, patience };
        let mut server = Server::begin(MemoryStorage::default(), plan, Time(0)).map_err(refused)?;
        let mut sites = BTreeMap::new();
        for member in members {
            let key = key(seed, "site", member.site);
            let identity = Identity::new(key, enrol(&authority, &VerifyingKey::from(&key)));
            let public = identity.public();
            let device = devices.take(context, member.site)?;
            let (state, message) = Advertised::start(terms, &demands(context)?, trusted, identity).map_err(refused)?;
            taken(server.receive(public, ToServer::Advertisement(message).into()).map_err(refused)?)?;
            let state = Some(Site::Advertised(Box::new(state)));
            sites.insert(public, Taking { member: *member, device, state });
        }
        server.tick(Time(0)).map_err(refused)?;
        let mut tally = Tally::default();
        members.iter().for_each(|member| tally.count(member));
        let clean = vec![0; context.mechanism.coordinates()];
        Ok(Self { server, sites, reserved, now: 0, clean, tally })
    }

    /// All sites answer what they were told; then the step's time is over, and those who are late speak.
    fn step<F: Fleet + ?Sized>(&mut self, context: &Context<'_, F>) -> Result<(), SimulationError> {
        let mut late: Vec<([u8; 32], v1::SiteMessage)> = Vec::new();
        let Self { server, sites, reserved, clean, tally, .. } = self;
        for (key, Taking { member, device, state }) in sites.iter_mut() {
            let Some((message, _)) = server.message_for(key) else { continue };
            let masks = matches!(message, ToSite::Shares(_));
            let Some(site) = state.take().filter(|_| !(masks && member.fate == Fate::Vanishes)) else { continue };
            let mut silent = Tally::default();
            let update = if masks { context.update(member, &mut silent)? } else { Vec::new() };
            if masks && member.fate == Fate::Answers {
                tally.add(&silent);
                context.clock.count(|| context.add(member, &update, clean, tally));
            }
            let answered = context.clock.count(|| answer(context, site, message, device, *reserved, &update));
            let (next, answer) = answered?;
            *state = next;
            if masks && member.fate == Fate::Late {
                late.push((*key, answer));
            } else {
                taken(context.clock.count(|| server.receive(*key, answer)).map_err(refused)?)?;
            }
        }
        self.now += 1;
        context.clock.count(|| self.server.tick(Time(self.now))).map_err(refused)?;
        for (key, message) in late {
            match self.server.receive(key, message).map_err(refused)? {
                Err(Rejected::OutOfTurn) => {}
                _ => return Err(SimulationError::Protocol("the server took a vector after the deadline".to_owned())),
            }
        }
        Ok(())
    }
}

/// What a site says to a message: its update is paid for, clipped, noised, masked and sealed on the way.
fn answer<F: Fleet + ?Sized>(
    context: &Context<'_, F>,
    site: Site,
    message: &ToSite,
    device: &mut Device,
    reserved: Reserved,
    update: &[f32],
) -> Result<(Option<Site>, v1::SiteMessage), SimulationError> {
    let answered = site.answer(message, |shared, delivery| {
        let Grant::Reserved(reservation) = device.reserve(reserved, TODAY).map_err(refused)? else {
            return Err(refused(Refusal::OtherRound));
        };
        let noised = context.mechanism.privatise(update, reservation).map_err(refused)?;
        let (masked, unsealed) = shared.mask(delivery, noised)?;
        let sealed = unsealed.seal(device).map_err(refused)?;
        device.forget(reserved.round).map_err(refused)?;
        Ok::<_, SimulationError>((masked, sealed))
    });
    answered.map(|(next, answer)| (next, answer.into()))
}

impl From<Refusal> for SimulationError {
    fn from(refusal: Refusal) -> Self {
        refused(refusal)
    }
}

fn refused(error: impl std::fmt::Display) -> SimulationError {
    SimulationError::Protocol(error.to_string())
}

fn taken<T>(received: Result<T, Rejected>) -> Result<(), SimulationError> {
    received.map(|_| ()).map_err(refused)
}

fn key(seed: u64, whose: &str, site: u32) -> SigningKey {
    SigningKey::from(blake3::derive_key(whose, &bytes(seed, Purpose::Keys, 0, site)))
}

fn noise<F: Fleet + ?Sized>(context: &Context<'_, F>) -> Result<NoiseMultiplier, SimulationError> {
    context.layout.noise.ok_or(super::SettingsError::NoNoise.into())
}

fn demands<F: Fleet + ?Sized>(context: &Context<'_, F>) -> Result<Demands, SimulationError> {
    let corrupt_per_mille = risk(context.settings).map_err(refused)?.corrupt_per_mille();
    Ok(Demands { minimum: context.layout.minimum, corrupt_per_mille, security_bits: SECURITY_BITS })
}

fn reserved<F: Fleet + ?Sized>(context: &Context<'_, F>) -> Result<Reserved, SimulationError> {
    let (task, noise) = (TaskId::from_bytes([0; 16]), noise(context)?);
    Ok(Reserved {
        round: RoundId::new(task, context.round.into()).map_err(refused)?,
        lineage: LineageId::from_bytes([0; 32]),
        cost: noise.cost().map_err(refused)?,
        noise,
        clip: context.clip,
        cohort: context.layout.minimum,
    })
}

/// A device whose owner allows what is left of all rounds, and no more.
fn device<F: Fleet + ?Sized>(context: &Context<'_, F>, site: u32) -> Result<Device, SimulationError> {
    let left = u64::from(context.settings.rounds).saturating_sub(u64::from(context.round)) + 1;
    let budget = zcdp::rho(noise(context)?, Rounds::new(left).map_err(refused)?).map_err(refused)?;
    let owner = key(context.settings.seed, "owner", site);
    let policy = Policy {
        version: 1,
        limits: Limits { round: budget, day: budget, lineage: budget, lifetime: budget },
        max_clip: ClipNorm::new(f64::MAX).map_err(refused)?,
        demands: demands(context)?,
        scope: Scope::Tasks([TaskId::from_bytes([0; 16])].into()),
        last_day: Day(u32::MAX),
    };
    let counter = FileCounter::new(MemoryStorage::default());
    let secret = DeviceSecret::from_bytes(bytes(context.settings.seed, Purpose::Keys, 1, site));
    let signed = policy.sign(&owner).map_err(refused)?;
    Ledger::create(MemoryStorage::default(), counter, &secret, &(&owner).into(), signed).map_err(refused)
}
