//! One-shot split masks, for asynchronous (buffered) aggregation: a site sends its vector under one mask to the
//! aggregator, and the mask's seed, sealed to an independent helper, with it. The aggregator asks the helper for the sum
//! of the masks of at least `minimum` reports.
//!
//! The site speaks once and may vanish. The price is a second party: whoever is both aggregator and helper reads every
//! update. The helper never learns a vector, and never opens a seed twice: two sums that differ by one report would be
//! that report.

use std::collections::{BTreeMap, HashSet};

use borsh::{BorshDeserialize, BorshSerialize};
use volet_proto::v1;
use zeroize::Zeroizing;

use super::keys::{self, Authority, ExchangeKey, ExchangeSecret, Identity, Statement, TAG};
use super::mask;
use super::outgoing::{Unsealed, residues};
use super::pack::{add_packed, pack, packed_len};
use super::shamir::Seed;
use super::terms::Terms;
use super::{Abort, Delivery, Demands, Refusal, Rejected, SecureSum, Sum, ToServer, ToSite};
use crate::CohortSize;
use crate::mechanism::Noised;
use crate::signing::Batch;

const SEALED_SEED: &str = "volet 2026-11 split masks: sealed seed";
const SENDER_SECRET: &str = "volet 2026-11 split masks: sender secret";
const REPORT: &str = "volet 2026-11 split masks: one report of one site";
const PACKED: &str = "volet 2026-11 split masks: masked vector";

/// Makes a site's one message, for the helper whose X25519 key the device pins: an aggregator that could name the helper
/// would name itself.
///
/// # Errors
/// A [`Refusal`]: the terms are not what the device demands or the noise was made for, the helper's key is none, or there
/// are no random bytes.
pub fn report(
    terms: &Terms,
    demands: &Demands,
    identity: &Identity,
    helper: &[u8; 32],
    noised: Noised,
) -> Result<Unsealed<v1::SplitReport>, Refusal> {
    demands.check(terms)?;
    // The aggregator chooses whose reports are summed. That no more than this share of the smallest batch collude is an
    // assumption about its choice, which no site can check (docs/protocol.md).
    let (vector, reservation) = residues(noised, terms, terms.minimum().get() as usize)?;
    report_values(terms, identity, helper, vector).map(|message| Unsealed::new(message, reservation))
}

/// The same without noise or a ledger, for simulators and benchmarks: the feature that this needs is no camera's.
///
/// # Errors
/// As [`report`].
#[cfg(any(test, feature = "unprotected"))]
pub fn report_unprotected(
    terms: &Terms,
    identity: &Identity,
    helper: &[u8; 32],
    values: &[i32],
) -> Result<v1::SplitReport, Refusal> {
    report_values(terms, identity, helper, values.iter().map(|&v| v as u32).collect())
}

fn report_values(
    terms: &Terms,
    identity: &Identity,
    helper: &[u8; 32],
    mut vector: Vec<u32>,
) -> Result<v1::SplitReport, Refusal> {
    if vector.len() != terms.dimension() {
        return Err(Refusal::Length { have: vector.len(), need: terms.dimension() });
    }
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(key.as_mut())?;
    let secret = ExchangeSecret::new(Seed::random()?.key(SENDER_SECRET));
    let sender = secret.public();
    let digest = terms.digest();
    let channel = secret.agree(&ExchangeKey::new(*helper), SEALED_SEED, &digest, &sender);
    let channel = channel.ok_or(Refusal::Helper)?;
    let sealed = keys::seal(&channel, key.as_ref()).ok_or(Refusal::Helper)?;
    mask::add(&mut vector, &key);
    let packed = pack(&vector, terms.modulus());
    let packed_digest = blake3::derive_key(PACKED, &packed);
    let signature = identity.sign(Statement::Reports, &[&digest, helper, &sender, &sealed, &packed_digest]);
    let seed = v1::SealedSeed {
        identity: identity.public().to_vec(),
        enrolment: identity.enrolment().to_vec(),
        sender_key: sender.to_vec(),
        sealed,
        signature: signature.to_vec(),
        packed_digest: packed_digest.to_vec(),
    };
    Ok(v1::SplitReport { packed, seed: Some(seed) })
}

/// The aggregator's side of one buffer of reports.
pub struct Aggregator {
    terms: Terms,
    authority: Authority,
    helper: Keys,
    sum: Vec<u32>,
    seeds: BTreeMap<[u8; 32], v1::SealedSeed>,
    most: usize,
    phase: Phase,
}

/// How a helper is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Keys {
    /// The Ed25519 key that transport knows it by.
    pub identity: [u8; 32],
    /// The X25519 key that sites seal to.
    pub exchange: [u8; 32],
}

#[derive(PartialEq)]
enum Phase {
    Collecting,
    Asked,
    Unmasked,
    Over,
}

impl Aggregator {
    /// A buffer that is full with `most` reports.
    pub fn new(terms: Terms, authority: Authority, helper: Keys, most: usize) -> Self {
        let sum = vec![0; terms.dimension()];
        Self { terms, authority, helper, sum, seeds: BTreeMap::new(), most, phase: Phase::Collecting }
    }

    fn report(&mut self, from: &[u8; 32], message: v1::SplitReport) -> Result<(), Rejected> {
        if self.phase != Phase::Collecting {
            return Err(Rejected::OutOfTurn);
        }
        if self.seeds.len() >= self.most {
            return Err(Rejected::Full);
        }
        let seed = message.seed.ok_or(Rejected::Malformed)?;
        if seed.identity != from || blake3::derive_key(PACKED, &message.packed) != *seed.packed_digest {
            return Err(Rejected::Malformed);
        }
        if self.seeds.contains_key(from) {
            return Err(Rejected::Twice);
        }
        let claims = Claims::of(&seed, &self.terms.digest(), &self.helper.exchange).ok_or(Rejected::Malformed)?;
        let mut signatures = Batch::default();
        claims.add(&mut signatures, &self.authority);
        match signatures.first_false() {
            Some(0) => return Err(Rejected::NotEnrolled),
            Some(_) => return Err(Rejected::Malformed),
            None => {}
        }
        if !add_packed(&mut self.sum, &message.packed, self.terms.modulus()) {
            let need = packed_len(self.sum.len(), self.terms.modulus());
            return Err(Rejected::Length { have: message.packed.len(), need });
        }
        self.seeds.insert(*from, seed);
        Ok(())
    }

    fn unmask(&mut self, from: &[u8; 32], message: &v1::MaskSum) -> Result<(), Rejected> {
        if *from != self.helper.identity {
            return Err(Rejected::Stranger);
        }
        match self.phase {
            Phase::Asked => {}
            Phase::Unmasked => return Err(Rejected::Twice),
            Phase::Collecting | Phase::Over => return Err(Rejected::OutOfTurn),
        }
        let mut masks = vec![0; self.sum.len()];
        if !add_packed(&mut masks, &message.packed, self.terms.modulus()) {
            return Err(Rejected::Malformed);
        }
        self.sum.iter_mut().zip(&masks).for_each(|(s, m)| *s = s.wrapping_sub(*m));
        self.phase = Phase::Unmasked;
        Ok(())
    }
}

impl SecureSum for Aggregator {
    fn receive(&mut self, from: &[u8; 32], message: ToServer) -> Result<(), Rejected> {
        match message {
            ToServer::Split(report) => self.report(from, report),
            ToServer::MaskSum(sum) => self.unmask(from, &sum),
            _ => Err(Rejected::OutOfTurn),
        }
    }

    fn waiting_for(&self) -> usize {
        match self.phase {
            Phase::Collecting => self.most - self.seeds.len(),
            Phase::Asked => 1,
            Phase::Unmasked | Phase::Over => 0,
        }
    }

    fn advance(&mut self) -> Result<Delivery, Abort> {
        let need = self.terms.minimum().get() as usize;
        if self.seeds.len() < need {
            return Err(Abort::TooFew { what: "reports arrived", have: self.seeds.len(), need });
        }
        match self.phase {
            Phase::Collecting => {
                self.phase = Phase::Asked;
                let seeds = self.seeds.values().cloned().collect();
                let batch = v1::SeedBatch { terms: Some(self.terms.into()), seeds };
                Ok(Delivery::Each(vec![(self.helper.identity, ToSite::Seeds(batch))]))
            }
            Phase::Asked => Err(Abort::NoHelper),
            Phase::Unmasked => {
                self.phase = Phase::Over;
                let residues = std::mem::take(&mut self.sum);
                Ok(Delivery::Sum(Sum::new(residues, self.terms.modulus(), self.seeds.len())))
            }
            Phase::Over => Err(Abort::Over),
        }
    }
}

/// The helper: it holds a key, and remembers what it has opened.
pub struct Helper {
    secret: ExchangeSecret,
    authority: Authority,
    minimum: CohortSize,
    opened: HashSet<[u8; 32]>,
}

impl Helper {
    /// A helper with this X25519 secret, who opens no sum of fewer than `minimum` sites whatever the terms say, and has
    /// opened these reports before. The set must outlive restarts: store [`opened`](Self::opened) before a sum is sent.
    pub fn new(secret: [u8; 32], authority: Authority, minimum: CohortSize, opened: HashSet<[u8; 32]>) -> Self {
        Self { secret: ExchangeSecret::new(secret), authority, minimum, opened }
    }

    /// The public key that sites seal to.
    pub fn public(&self) -> [u8; 32] {
        self.secret.public()
    }

    /// What was opened so far: a hash of site and round for each report. One site has one report per round, however often
    /// and under whatever terms it sends it.
    pub fn opened(&self) -> &HashSet<[u8; 32]> {
        &self.opened
    }

    /// The sum of a batch's masks.
    ///
    /// # Errors
    /// A [`Refusal`] where the batch has fewer sites than the terms or the helper ask for, one of them twice, unsigned, not
    /// enrolled, or one that was opened before. Nothing is opened then.
    pub fn sum(&mut self, batch: &v1::SeedBatch) -> Result<v1::MaskSum, Refusal> {
        let terms =
            batch.terms.clone().ok_or(Refusal::Terms).and_then(|t| Terms::try_from(t).map_err(|_| Refusal::Terms))?;
        let need = terms.minimum().max(self.minimum).get() as usize;
        if batch.seeds.len() < need {
            return Err(Refusal::TooFew { what: "reports in the batch", have: batch.seeds.len(), need });
        }
        let (digest, helper) = (terms.digest(), self.public());
        let (mut signatures, mut senders) = (Batch::default(), Vec::with_capacity(batch.seeds.len()));
        let mut reports = HashSet::new();
        for (index, seed) in (0..).zip(&batch.seeds) {
            let claims = Claims::of(seed, &digest, &helper).ok_or(Refusal::Malformed(index))?;
            claims.add(&mut signatures, &self.authority);
            senders.push(claims.sender);
            let mut report = blake3::Hasher::new_derive_key(REPORT);
            report.update(terms.round().task().as_bytes()).update(&terms.round().number().to_le_bytes());
            let report = *report.update(&seed.identity).finalize().as_bytes();
            if self.opened.contains(&report) || !reports.insert(report) {
                return Err(Refusal::Opened(index));
            }
        }
        if let Some(position) = signatures.first_false() {
            let member = (position / 2) as u32;
            return Err(if position % 2 == 0 { Refusal::NotEnrolled(member) } else { Refusal::Forged(member) });
        }
        let mut sum = vec![0; terms.dimension()];
        for ((index, seed), sender) in (0..).zip(&batch.seeds).zip(&senders) {
            let channel = self.secret.agree(sender, SEALED_SEED, &digest, sender.as_bytes());
            let channel = channel.ok_or(Refusal::Malformed(index))?;
            let key = keys::open(&channel, &seed.sealed).map(Zeroizing::new).ok_or(Refusal::Malformed(index))?;
            let key: &[u8; 32] = key.as_slice().try_into().map_err(|_| Refusal::Malformed(index))?;
            mask::add(&mut sum, key);
        }
        self.opened.extend(reports);
        Ok(v1::MaskSum { packed: pack(&sum, terms.modulus()) })
    }
}

/// A report's two signatures and what they are under.
struct Claims<'a> {
    identity: &'a [u8; 32],
    sender: ExchangeKey,
    reports: Vec<u8>,
    enrolment: &'a [u8; 64],
    signature: &'a [u8; 64],
}

impl<'a> Claims<'a> {
    /// `None` where a field has the wrong length, or the sender's key is one of few that agree with every other.
    fn of(seed: &'a v1::SealedSeed, terms: &[u8; 32], helper: &[u8; 32]) -> Option<Self> {
        let sender = Some(ExchangeKey::new(seed.sender_key.as_slice().try_into().ok()?)).filter(ExchangeKey::is_key)?;
        if (seed.sealed.len(), seed.packed_digest.len()) != (32 + TAG, 32) {
            return None;
        }
        let reports = [&terms[..], helper, sender.as_bytes(), &seed.sealed, &seed.packed_digest];
        let reports = Statement::Reports.message(&reports);
        let (identity, enrolment) =
            (seed.identity.as_slice().try_into().ok()?, seed.enrolment.as_slice().try_into().ok()?);
        Some(Self { identity, sender, reports, enrolment, signature: seed.signature.as_slice().try_into().ok()? })
    }

    /// First the enrolment, then the report itself.
    fn add(&self, batch: &mut Batch, authority: &Authority) {
        batch.add(&authority.0.to_bytes(), &Statement::Enrolled.message(&[self.identity]), self.enrolment);
        batch.add(self.identity, &self.reports, self.signature);
    }
}
