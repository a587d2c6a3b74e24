//! An aggregator's state and what becomes of it: who is enrolled, what rounds are to be, what their sums make of the model.
//!
//! A site is a key and the day of its enrolment, and nothing else is known of it. Files are durable before the rows that name
//! them.

use std::io;
use std::sync::{Arc, OnceLock};

use prost::Message;
use volet_proto::v1;

use super::config::{Checked, Storage};
use super::coordinator::{Finish, Rounds, wall};
use super::evaluate::evaluate;
use super::pki::CertificateAuthority;
use super::register::{Ended, Opened, Place, Register, Released, Replica, Shard, ShardEnd, ShardId, Sites};
use super::service::Serving;
use super::store::{self, ShardJournal, Store};
use crate::TaskId;
use crate::lineage::{Lineage, Release};
use crate::optimizer::Optimizer;
use crate::robust::Combiner;
use crate::round::{Outcome, Plan, Time};
use crate::secagg::{Authority, Sum, Terms, enrol};
use crate::signing::{SigningKey, VerifyingKey};

const HOUR: u64 = 3_600_000;

/// The keys that an aggregator works with.
pub struct Keys {
    /// Signs certificates.
    pub authority: CertificateAuthority,
    /// Signs enrolments: a site in a round.
    pub enrolment: SigningKey,
    /// Signs tasks and releases.
    pub team: SigningKey,
}

/// An aggregator's state.
#[derive(Clone)]
pub struct Book {
    inner: Arc<Inner>,
}

struct Inner {
    register: Box<dyn Register>,
    store: Box<dyn Store>,
    keys: Keys,
    checked: Checked,
    task: TaskId,
    replica: Replica,
    /// What is told at every check-in, signed once: for as long as the lineage is that one, which is for good.
    signed: OnceLock<v1::SignedTask>,
}

impl Book {
    /// A book over these tables and files.
    pub fn new(
        register: Box<dyn Register>,
        store: Box<dyn Store>,
        keys: Keys,
        checked: Checked,
        task: TaskId,
        replica: Replica,
    ) -> Self {
        Self { inner: Arc::new(Inner { register, store, keys, checked, task, replica, signed: OnceLock::new() }) }
    }

    /// Keeps the model file that the lineage starts from; the first release, signed.
    ///
    /// # Errors
    /// The store's; the name is too long.
    pub fn first(store: &dyn Store, team: &SigningKey, name: String, model: &[u8]) -> io::Result<Released> {
        let hash = keep(store, model)?;
        let first = Release::first(hash, name, model.len() as u64).sign(team).map_err(io::Error::other)?;
        Ok(Released { signed: first.encode_to_vec(), at: wall() })
    }

    /// The tables.
    pub fn register(&self) -> &dyn Register {
        &*self.inner.register
    }

    /// What the team has decided.
    pub fn checked(&self) -> &Checked {
        &self.inner.checked
    }

    /// What is learned.
    pub fn task_id(&self) -> TaskId {
        self.inner.task
    }

    /// This process among those that serve.
    pub fn replica(&self) -> &Replica {
        &self.inner.replica
    }

    /// Whether files can be written and read back.
    ///
    /// # Errors
    /// The store's.
    pub fn try_store(&self) -> io::Result<()> {
        let (store, name) = (&self.inner.store, format!("probe-{}", self.inner.replica.name));
        store.put(&name, b"probe")?;
        let back = store.get(&name)?;
        store.remove(&name)?;
        if back.as_deref() == Some(b"probe") { Ok(()) } else { Err(io::Error::other("what was written is not there")) }
    }

    /// A token that enrols one site within so many hours.
    ///
    /// # Errors
    /// The register's.
    pub fn token(&self, hours: u32) -> io::Result<String> {
        let mut bytes = [0; 20];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.register().add_token(&token_hash(&token), wall().after(u64::from(hours) * HOUR))?;
        Ok(token)
    }

    /// Strikes a site off; whether it was enrolled.
    ///
    /// # Errors
    /// The register's.
    pub fn strike(&self, site: &[u8; 32]) -> io::Result<bool> {
        self.register().strike(site, wall())
    }

    /// How many sites there are.
    ///
    /// # Errors
    /// The register's.
    pub fn sites(&self) -> io::Result<Sites> {
        self.register().sites()
    }

    /// All rounds that have ended.
    ///
    /// # Errors
    /// The register's.
    pub fn rounds(&self) -> io::Result<Vec<Ended>> {
        self.register().rounds(u32::MAX)
    }

    /// The releases and when they were signed, first to last.
    ///
    /// # Errors
    /// The register's; one is not signed by the team's key.
    pub fn releases(&self) -> io::Result<Vec<(Release, Time)>> {
        let team = VerifyingKey::from(&self.inner.keys.team);
        let read = |released: Released| {
            let signed = v1::SignedRelease::decode(released.signed.as_slice()).map_err(io::Error::other)?;
            Ok((Release::verify(&signed, &team).map_err(io::Error::other)?.0, released.at))
        };
        self.register().releases()?.into_iter().map(read).collect()
    }

    /// Releases the model of an earlier release again, under a new number: that number.
    ///
    /// # Errors
    /// The register's; there is no such release, or another was made meanwhile.
    pub fn roll_back(&self, number: u64) -> io::Result<u64> {
        let releases = self.releases()?;
        let old = releases.into_iter().map(|(release, _)| release).find(|release| release.number == number);
        let old = old.ok_or_else(|| io::Error::other(format!("there is no release {number}")))?;
        let latest = self.latest()?;
        if old.model == latest.latest().model {
            return Err(io::Error::other(format!("the latest release has the model of release {number}")));
        }
        self.publish(&latest.next(old.model, old.name, old.size, old.rounds))
    }

    /// Releases what was learned elsewhere: values to be added to the model that the lineage starts from. The release's number.
    ///
    /// # Errors
    /// The register's or the store's; the file has another length, or holds what is no number.
    pub fn sign(&self, learned: &[u8]) -> io::Result<u64> {
        let values = read_learned(learned, self.inner.checked.config.task.parameters as usize)?;
        if values.iter().any(|value| !value.is_finite()) {
            return Err(io::Error::other("it holds values that are infinite or no numbers"));
        }
        let hash = keep(&*self.inner.store, learned)?;
        let latest = self.latest()?;
        let before = latest.latest();
        self.publish(&latest.next(hash, before.name.clone(), learned.len() as u64, before.rounds))
    }

    fn publish(&self, release: &Release) -> io::Result<u64> {
        let signed = release.sign(&self.inner.keys.team).map_err(io::Error::other)?;
        let released = Released { signed: signed.encode_to_vec(), at: wall() };
        if self.register().add_release(release.number, &released)? {
            Ok(release.number)
        } else {
            Err(io::Error::other("another release was made meanwhile: look at it, and try again"))
        }
    }

    fn latest(&self) -> io::Result<Lineage> {
        let released = self.register().latest()?.ok_or_else(|| io::Error::other("there is no release"))?;
        let signed = v1::SignedRelease::decode(released.signed.as_slice()).map_err(io::Error::other)?;
        Lineage::of(&signed, (&self.inner.keys.team).into()).map_err(io::Error::other)
    }

    /// Whether a round's time to gather sites is not over. Where it was opened by a clock that was ahead, it is.
    fn gathers(&self, present: &Opened, now: Time) -> bool {
        let most = self.inner.checked.config.patience.gather_s.saturating_mul(1000);
        now < present.gather_until && present.gather_until <= now.after(most)
    }

    fn terms_of(&self, round: u64) -> io::Result<Terms> {
        self.inner.checked.terms(self.inner.task, round).map_err(io::Error::other)
    }

    /// What becomes of a round whose shards have ended.
    fn finish(&self, present: &Opened) -> io::Result<()> {
        let Inner { register, store, .. } = &*self.inner;
        let shards = register.shards(present.number)?;
        let ends = || shards.iter().filter_map(|shard| shard.end.as_ref());
        let contributors: u32 = ends().filter_map(|end| end.contributors.as_ref().ok()).sum();
        let mut ended = Ended {
            number: present.number,
            ended: wall().0,
            shards: u32::try_from(shards.len()).unwrap_or(u32::MAX),
            sites: ends().map(|end| end.sites).sum(),
            contributors: (contributors > 0).then_some(contributors),
            failure: None,
            quality: None,
        };
        let Some(sums) = self.sums(present, &shards)? else { return Ok(()) };
        let candidate = if sums.is_empty() {
            let why = ends().find_map(|end| end.contributors.clone().err());
            Err(why.unwrap_or_else(|| "no shard began".to_owned()))
        } else {
            self.learn(present.number, &sums)?
        };
        let judged = match candidate {
            Ok(candidate) => self.judge(candidate, &mut ended)?,
            Err(failure) => Err(failure),
        };
        ended.failure = judged.as_ref().err().cloned();
        let release = judged.as_ref().ok().map(|Candidate { number, released, .. }| (*number, released));
        if register.end_round(&ended, release)? {
            let Ended { number, sites, contributors, failure, .. } = &ended;
            tracing::info!(round = number, sites, contributors, failure, "a round has ended");
            let outcome = if ended.failure.is_none() { "released" } else { "failed" };
            metrics::counter!("volet_rounds_total", "outcome" => outcome).increment(1);
        } else if self.goes_on(present)? {
            let meanwhile =
                "a release was made while the round ended, or a shard began: its sums are put together again";
            return Err(io::Error::other(meanwhile));
        }
        for shard in &shards {
            let id = ShardId { round: present.number, shard: shard.shard };
            store.remove(&sum_name(id))?;
            store.forget(id)?;
        }
        Ok(())
    }

    /// The sums of a round's shards that have any; `None` where another replica has ended the round meanwhile.
    fn sums(&self, present: &Opened, shards: &[Shard]) -> io::Result<Option<Vec<Sum>>> {
        let mut sums = Vec::new();
        for shard in shards.iter().filter(|shard| matches!(&shard.end, Some(end) if end.contributors.is_ok())) {
            match self.inner.store.get(&sum_name(ShardId { round: present.number, shard: shard.shard }))? {
                Some(bytes) => sums.push(borsh::from_slice(&bytes)?),
                None if self.goes_on(present)? => {
                    return Err(io::Error::other("a shard's sum is not where it was put"));
                }
                None => return Ok(None),
            }
        }
        Ok(Some(sums))
    }

    fn goes_on(&self, round: &Opened) -> io::Result<bool> {
        Ok(self.register().present()?.is_some_and(|present| present.number == round.number))
    }

    /// What the team's own evaluation says of a candidate; the inner error is why it is not released.
    fn judge(&self, candidate: Candidate, ended: &mut Ended) -> io::Result<Result<Candidate, String>> {
        let Some(how) = &self.inner.checked.config.evaluate else { return Ok(Ok(candidate)) };
        ended.quality = evaluate(how, &candidate.learned)?;
        match (how.at_least, ended.quality) {
            (Some(least), quality) if quality.is_none_or(|quality| quality < least) => {
                let quality = quality.map_or_else(|| "unknown".to_owned(), |quality| quality.to_string());
                Ok(Err(format!("its quality is {quality}, and [evaluate] asks for {least}")))
            }
            _ => Ok(Ok(candidate)),
        }
    }

    /// What a round's sums make of the model: the new release, signed, its files durable. The outer error is the disk's, and
    /// will be tried again; the inner one is the sums', for good.
    fn learn(&self, round: u64, sums: &[Sum]) -> io::Result<Result<Candidate, String>> {
        let Inner { store, keys, checked, .. } = &*self.inner;
        let parameters = checked.config.task.parameters as usize;
        let mut combiner = Combiner::new(checked.config.task.combine);
        for sum in sums {
            // Each by the public minimum, and all alike: how many sites were in which is not told by the release.
            let part = match checked.mechanism.decode(sum, self.terms_of(round)?.minimum()) {
                Ok((part, _)) => part,
                Err(error) => return Ok(Err(error.to_string())),
            };
            if let Err(error) = combiner.add(part) {
                return Ok(Err(error.to_string()));
            }
        }
        let update = match combiner.finish() {
            Ok(update) => update,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let lineage = self.latest()?;
        let latest = lineage.latest();
        // What is released after the first is what has been learned: to be added to the parameters of the first.
        let mut learned = if latest.model == *latest.lineage.as_bytes() {
            vec![0.0; parameters]
        } else {
            let bytes = store.get(&file_name(&latest.model))?;
            read_learned(&bytes.ok_or_else(|| io::Error::other("the latest release's file is lost"))?, parameters)?
        };
        let memory = store.get(&memory_name(&latest.model))?.filter(|_| latest.rounds > 0);
        let memory: Option<Optimizer> = memory.map(|memory| borsh::from_slice(&memory)).transpose()?;
        // What was remembered under other settings says little under these.
        let mut optimizer = match memory.filter(|memory| *memory.settings() == checked.config.optimizer) {
            Some(memory) => memory,
            None => Optimizer::new(checked.config.optimizer, parameters).map_err(io::Error::other)?,
        };
        if let Err(error) = optimizer.step(&mut learned, &update) {
            return Ok(Err(error.to_string()));
        }
        let bytes: Vec<u8> = learned.iter().flat_map(|value| value.to_le_bytes()).collect();
        let hash = keep(&**store, &bytes)?;
        store.put(&memory_name(&hash), &borsh::to_vec(&optimizer)?)?;
        let release = lineage.next(hash, latest.name.clone(), bytes.len() as u64, round);
        let signed = release.sign(&keys.team).map_err(io::Error::other)?;
        let released = Released { signed: signed.encode_to_vec(), at: wall() };
        Ok(Ok(Candidate { number: release.number, released, learned: bytes }))
    }
}

/// A release that is not in the register yet.
struct Candidate {
    number: u64,
    released: Released,
    /// Its file.
    learned: Vec<u8>,
}

impl Rounds for Book {
    type Journal = ShardJournal;

    fn present(&mut self, now: Time) -> io::Result<Option<Opened>> {
        let config = &self.inner.checked.config;
        let gather_until = now.after(config.patience.gather_s.saturating_mul(1000));
        self.register().open(config.task.rounds, now, gather_until)
    }

    fn claim(&mut self) -> io::Result<Vec<ShardId>> {
        self.register().claim(&self.inner.replica, 4)
    }

    fn plan(&mut self, shard: ShardId, present: &Opened, now: Time) -> io::Result<Plan> {
        // No longer than that, should the clock have been wrong when the round was opened.
        let most = self.inner.checked.config.patience.gather_s.saturating_mul(1000);
        let gather = present.gather_until.0.saturating_sub(now.0).min(most);
        let authority = Authority((&self.inner.keys.enrolment).into());
        let plan = self.inner.checked.plan(self.inner.task, shard, authority, gather);
        plan.map_err(io::Error::other)
    }

    fn begin(&mut self, present: &Opened, now: Time) -> io::Result<Option<ShardId>> {
        let shards = self.inner.checked.config.task.shards;
        // The first one waits for sites however long that takes.
        let most = if self.gathers(present, now) { shards } else { 1 };
        self.register().begin(present.number, most, &self.inner.replica)
    }

    fn place(&mut self, shard: ShardId) -> io::Result<store::Place> {
        self.inner.store.journal(shard)
    }

    fn gathered(&mut self, shard: ShardId) -> io::Result<()> {
        self.register().gathered(shard)
    }

    fn joined(&mut self, shard: ShardId, sites: &[[u8; 32]]) -> io::Result<()> {
        self.register().joined(shard, sites)
    }

    fn ended(&mut self, shard: ShardId, plan: &Plan, sites: u32, outcome: &Outcome) -> io::Result<()> {
        let contributors = match outcome {
            Outcome::Sum(sum) => {
                self.inner.store.put(&sum_name(shard), &borsh::to_vec(sum)?)?;
                let contributors = u32::try_from(sum.contributors()).unwrap_or(u32::MAX);
                metrics::counter!("volet_reports_accepted_total").increment(u64::from(contributors));
                Ok(contributors)
            }
            Outcome::Failed(abort) => Err(abort.to_string()),
        };
        let (round, minimum) = (shard.round, plan.terms.minimum().get());
        tracing::info!(round, shard = shard.shard, sites, minimum, ?contributors, "a shard has ended");
        self.register().end_shard(shard, &ShardEnd { sites, contributors })
    }

    fn alone(&self) -> bool {
        self.inner.checked.config.storage == Storage::Folder
    }

    fn finish(&mut self, present: &Opened, now: Time) -> io::Result<Option<Finish>> {
        let shards = self.register().shards(present.number)?;
        let all = shards.len() >= self.inner.checked.config.task.shards as usize || !self.gathers(present, now);
        if shards.is_empty() || !all || shards.iter().any(|shard| shard.end.is_none()) {
            return Ok(None);
        }
        let (book, present) = (self.clone(), *present);
        Ok(Some(Box::new(move || book.finish(&present))))
    }

    fn terms(&self, round: u64) -> io::Result<Terms> {
        self.terms_of(round)
    }
}

impl Serving for Book {
    fn enrolled(&self, site: &VerifyingKey) -> io::Result<bool> {
        self.register().is_enrolled(&site.to_bytes())
    }

    fn enrol(&self, token: &str, site: &VerifyingKey) -> io::Result<Option<v1::EnrolReply>> {
        if !self.register().redeem(&token_hash(token), &site.to_bytes(), wall())? {
            return Ok(None);
        }
        self.renew(site).map(Some)
    }

    fn task(&self) -> io::Result<v1::SignedTask> {
        if let Some(signed) = self.inner.signed.get() {
            return Ok(signed.clone());
        }
        let task = self.inner.checked.task(self.inner.task, self.latest()?.latest().lineage);
        let signed = task.map_err(io::Error::other)?.sign(&self.inner.keys.team);
        Ok(self.inner.signed.get_or_init(|| signed).clone())
    }

    fn release(&self) -> io::Result<(u64, v1::SignedRelease)> {
        let released = self.register().latest()?.ok_or_else(|| io::Error::other("there is no release"))?;
        let signed = v1::SignedRelease::decode(released.signed.as_slice()).map_err(io::Error::other)?;
        let (release, _) = Release::verify(&signed, &(&self.inner.keys.team).into()).map_err(io::Error::other)?;
        Ok((release.number, signed))
    }

    fn gathering(&self) -> io::Result<Option<Terms>> {
        let Some(present) = self.register().present()? else { return Ok(None) };
        let shards = self.register().shards(present.number)?;
        let more = shards.len() < self.inner.checked.config.task.shards as usize && self.gathers(&present, wall());
        let gathers = more || shards.is_empty() || shards.iter().any(|shard| shard.gathers);
        if gathers { self.terms_of(present.number).map(Some) } else { Ok(None) }
    }

    fn find(&self, round: u64, site: &[u8; 32]) -> io::Result<Place> {
        self.register().find(round, site)
    }

    fn offered(&self, site: &[u8; 32]) -> io::Result<Option<Terms>> {
        if self.inner.checked.helps(site) {
            // Also one that gathers no more: the helper may have been away.
            let present = self.register().present()?;
            return present.map(|present| self.terms_of(present.number)).transpose();
        }
        Ok(self.gathering()?.filter(|terms| self.inner.checked.asks(site, terms)))
    }

    fn renew(&self, site: &VerifyingKey) -> io::Result<v1::EnrolReply> {
        let (keys, days) = (&self.inner.keys, self.inner.checked.config.certificate_days);
        let certificate = keys.authority.site(site, days).map_err(io::Error::other)?;
        Ok(v1::EnrolReply { certificate, enrolment: enrol(&keys.enrolment, site).to_vec(), days })
    }

    fn piece(&self, blake3: &[u8; 32], offset: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
        self.inner.store.piece(&file_name(blake3), offset, length)
    }
}

/// Keeps a file under its hash, durably at return.
fn keep(store: &dyn Store, bytes: &[u8]) -> io::Result<[u8; 32]> {
    let hash = *blake3::hash(bytes).as_bytes();
    store.put(&file_name(&hash), bytes)?;
    Ok(hash)
}

fn file_name(hash: &[u8; 32]) -> String {
    format!("files/{}", blake3::Hash::from_bytes(*hash).to_hex())
}

/// By what came of it: of two replicas that end a round, one after the other, the second's is another one.
fn memory_name(model: &[u8; 32]) -> String {
    format!("optimizers/{}", blake3::Hash::from_bytes(*model).to_hex())
}

fn sum_name(ShardId { round, shard }: ShardId) -> String {
    format!("sums/{round}-{shard}")
}

fn read_learned(bytes: &[u8], parameters: usize) -> io::Result<Vec<f32>> {
    let (words, rest) = bytes.as_chunks::<4>();
    if words.len() != parameters || !rest.is_empty() {
        return Err(io::Error::other(format!("it is no file of {parameters} values of 4 bytes")));
    }
    Ok(words.iter().map(|word| f32::from_le_bytes(*word)).collect())
}

fn token_hash(token: &str) -> [u8; 32] {
    blake3::derive_key("volet 2026-11 aggregator: enrolment token", token.as_bytes())
}

#[cfg(test)]
mod tests;
