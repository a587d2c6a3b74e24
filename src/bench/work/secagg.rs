//! A round of secure aggregation, by the machines that are deployed: each site pays from a ledger, draws its noise, masks and seals; some
//! vanish after they have shared their secrets. What noise takes is told apart from the rest. One thread, without a network.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use cpu_time::ThreadTime;
use volet_federated::budget::{
    Day, DeviceSecret, FileCounter, Grant, Ledger, Limits, LineageId, Policy, Scope, Terms as Reserved,
};
use volet_federated::mechanism::Mechanism;
use volet_federated::secagg::{
    Advertised, Authority, Delivery, Demands, Identity, Modulus, Risk, SecureSum, Server, Site, Terms, ToServer,
    ToSite, enrol,
};
use volet_federated::signing::SigningKey;
use volet_federated::storage::MemoryStorage;
use volet_federated::{ClipNorm, CohortSize, NoiseMultiplier, RoundId, TaskId};

use super::Given;
use crate::bench::harness::{Metric, Sample};

pub(in crate::bench) const SERVER: Metric = Metric::lower("server CPU per round", "ms");
pub(in crate::bench) const SERVER_EACH: Metric = Metric::lower("server CPU per report", "ms");
pub(in crate::bench) const SITE: Metric = Metric::lower("site CPU, noise left out", "ms");
pub(in crate::bench) const NOISE: Metric = Metric::lower("site CPU for noise", "ms");
pub(in crate::bench) const UPLOAD: Metric = Metric::lower("upload per value of a site that finishes", "B");

type Device = Ledger<MemoryStorage, FileCounter<MemoryStorage>>;

struct Taking {
    number: u32,
    /// Bytes of all that it sent.
    sent: usize,
    device: Device,
    state: Option<Site>,
}

/// What was spent on what.
#[derive(Default)]
struct Spent {
    server: Duration,
    sites: Duration,
    noise: Duration,
}

fn timed<T>(total: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = ThreadTime::now();
    let done = work();
    *total += start.elapsed();
    done
}

/// The terms of the round that is measured.
struct Agreed {
    terms: Terms,
    demands: Demands,
    reserved: Reserved,
    mechanism: Mechanism,
    authority: SigningKey,
}

impl Agreed {
    fn of(sites: u32, dropouts: u32, parameters: u32, complete: bool) -> anyhow::Result<Self> {
        let risk = if complete { Risk::new(333, 150, 40, 20)? } else { Risk::new(100, 100, 40, 20)? };
        let minimum = CohortSize::new(sites - dropouts)?;
        let round = RoundId::new(TaskId::from_bytes([3; 16]), 1)?;
        let terms = Terms::new(round, parameters, Modulus::FULL, minimum, risk)?;
        let demands = Demands { minimum, corrupt_per_mille: risk.corrupt_per_mille(), security_bits: 40 };
        let (noise, clip) = (NoiseMultiplier::new(4.39)?, ClipNorm::new(1.0)?);
        // As the terms reckon: of all who take part.
        let corrupt = (sites * risk.corrupt_per_mille()).div_ceil(1000);
        let mechanism = Mechanism::new(clip, noise, minimum, corrupt, parameters as usize, false)?;
        let cost = noise.cost()?;
        let reserved = Reserved { round, lineage: LineageId::from_bytes([5; 32]), cost, noise, clip, cohort: minimum };
        Ok(Self { terms, demands, reserved, mechanism, authority: SigningKey::from([1; 32]) })
    }

    fn device(&self) -> anyhow::Result<Device> {
        let owner = SigningKey::from([2; 32]);
        let cost = self.reserved.cost;
        let policy = Policy {
            version: 1,
            limits: Limits { round: cost, day: cost, lineage: cost, lifetime: cost },
            max_clip: ClipNorm::new(f64::MAX)?,
            demands: self.demands,
            scope: Scope::Tasks([TaskId::from_bytes([3; 16])].into()),
            last_day: Day(u32::MAX),
        };
        let counter = FileCounter::new(MemoryStorage::default());
        let secret = DeviceSecret::from_bytes([9; 32]);
        Ok(Ledger::create(MemoryStorage::default(), counter, &secret, &(&owner).into(), policy.sign(&owner)?)?)
    }
}

pub(super) fn round(given: &Given) -> anyhow::Result<Vec<Sample>> {
    let (count, dropouts): (u32, u32) = (given.get("sites")?, given.get("dropouts")?);
    let (parameters, graph): (u32, String) = (given.get("parameters")?, given.get("graph")?);
    anyhow::ensure!(dropouts < count, "of {count} sites {dropouts} cannot vanish");
    let agreed = Agreed::of(count, dropouts, parameters, graph == "complete")?;
    let trusted = Authority((&agreed.authority).into());
    let mut spent = Spent::default();
    let mut server = Server::new(agreed.terms, trusted, count as usize);
    let mut sites = BTreeMap::new();
    for number in 0..count {
        let mut secret = [7; 32];
        secret.iter_mut().zip(number.to_le_bytes()).for_each(|(to, from)| *to = from);
        let key = SigningKey::from(secret);
        let identity = Identity::new(key, enrol(&agreed.authority, &(&key).into()));
        let (public, device) = (identity.public(), agreed.device()?);
        let start = || Advertised::start(agreed.terms, &agreed.demands, trusted, identity);
        let (state, message) = timed(&mut spent.sites, start)?;
        let message = ToServer::Advertisement(message);
        let sent = message.encoded_len();
        timed(&mut spent.server, || server.receive(&public, message))?;
        sites.insert(public, Taking { number, sent, device, state: Some(Site::Advertised(Box::new(state))) });
    }
    let every = count / dropouts.max(1);
    let vanishes = |number: u32| number.is_multiple_of(every) && number / every < dropouts;
    let sum = loop {
        let each: Vec<([u8; 32], ToSite)> = match timed(&mut spent.server, || server.advance())? {
            Delivery::Sum(sum) => break sum,
            Delivery::Each(each) => each,
            Delivery::Same { to, message } => to.into_iter().map(|key| (key, message.clone())).collect(),
        };
        for (key, message) in each {
            let site = sites.get_mut(&key).context("a message for nobody")?;
            let Some(state) = site.state.take() else { continue };
            let (next, answer) = answer(&agreed, state, &message, &mut site.device, &mut spent)?;
            if matches!(answer, ToServer::Masked(_)) && vanishes(site.number) {
                continue;
            }
            site.state = next;
            site.sent += answer.encoded_len();
            timed(&mut spent.server, || server.receive(&key, answer))?;
        }
    };
    anyhow::ensure!(sum.contributors() == (count - dropouts) as usize, "a site is missing from the sum");
    let ms = |time: Duration| 1000.0 * time.as_secs_f64();
    let uploaded: usize = sites.values().filter(|site| !vanishes(site.number)).map(|site| site.sent).sum();
    let (sites, reports) = (f64::from(count), f64::from(count - dropouts));
    Ok(vec![
        SERVER.of(ms(spent.server)),
        SERVER_EACH.of(ms(spent.server) / reports),
        SITE.of((ms(spent.sites) - ms(spent.noise)) / sites),
        NOISE.of(ms(spent.noise) / sites),
        UPLOAD.of(uploaded as f64 / reports / f64::from(parameters)),
    ])
}

/// What a site says; masked vectors are paid for, noised and sealed on the way.
fn answer(
    agreed: &Agreed,
    state: Site,
    message: &ToSite,
    device: &mut Device,
    spent: &mut Spent,
) -> anyhow::Result<(Option<Site>, ToServer)> {
    let update = vec![0.0; agreed.mechanism.coordinates()];
    let Spent { sites, noise, .. } = spent;
    timed(sites, || {
        state.answer::<anyhow::Error>(message, |shared, delivery| {
            let Grant::Reserved(reservation) = device.reserve(agreed.reserved, Day(20_000))? else {
                anyhow::bail!("the round was paid for before")
            };
            let noised = timed(noise, || agreed.mechanism.privatise(&update, reservation))?;
            let (masked, unsealed) = shared.mask(delivery, noised)?;
            let sealed = unsealed.seal(device)?;
            Ok((masked, sealed))
        })
    })
}
