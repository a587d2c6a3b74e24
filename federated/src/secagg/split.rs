//! One-shot split masks, for asynchronous (buffered) aggregation: a site sends its vector under one mask to the
//! aggregator, and the mask's seed, sealed to an independent helper, with it. The aggregator asks the helper for the sum
//! of the masks of at least `minimum` reports.
//!
//! The site speaks once and may vanish. The price is a second party: whoever is both aggregator and helper reads every
//! update. The helper never learns a vector, and never opens a seed twice: two sums that differ by one report would be
//! that report.

use std::collections::{BTreeMap, HashSet};

use volet_proto::v1;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::keys::{self, Authority, Batch, Identity, Statement, verifying_key};
use super::mask;
use super::pack::{add_packed, pack, packed_len};
use super::shamir::Seed;
use super::terms::Terms;
use super::{Abort, Contribution, Delivery, Refusal, Rejected, SecureSum, Sum, ToHelper, ToServer};

const SEALED_SEED: &str = "volet 2026-11 split masks: sealed seed";
const SENDER_SECRET: &str = "volet 2026-11 split masks: sender secret";
const REPORT: &str = "volet 2026-11 split masks: one report of one site";
const PACKED: &str = "volet 2026-11 split masks: masked vector";

/// Makes a site's one message.
///
/// # Errors
/// A [`Refusal`]: the vector has another length than agreed, the helper's key is none, or there are no random bytes.
pub fn report(
    terms: &Terms,
    identity: &Identity,
    helper: &[u8; 32],
    contribution: Contribution,
) -> Result<v1::SplitReport, Refusal> {
    let mut vector = contribution.into_residues(terms)?;
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(key.as_mut())?;
    let secret = StaticSecret::from(Seed::random()?.key(SENDER_SECRET));
    let sender = PublicKey::from(&secret);
    let digest = terms.digest();
    let channel = keys::agree(&secret, &PublicKey::from(*helper), SEALED_SEED, &digest, sender.as_bytes());
    let channel = Zeroizing::new(channel.ok_or(Refusal::Helper)?);
    let sealed = keys::seal(&channel, key.as_ref()).ok_or(Refusal::Helper)?;
    mask::add(&mut vector, &key);
    let packed = pack(&vector, terms.modulus());
    let packed_digest = blake3::derive_key(PACKED, &packed);
    let signature = identity.sign(Statement::Reports, &claims(&digest, sender.as_bytes(), &sealed, &packed_digest));
    let seed = v1::SealedSeed {
        identity: identity.public().to_vec(),
        enrolment: identity.enrolment().to_vec(),
        sender_key: sender.as_bytes().to_vec(),
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
    sum: Vec<u32>,
    seeds: BTreeMap<[u8; 32], v1::SealedSeed>,
    asked: bool,
    most: usize,
}

impl Aggregator {
    /// A buffer that is full with `most` reports.
    pub fn new(terms: Terms, authority: Authority, most: usize) -> Self {
        Self { terms, authority, sum: vec![0; terms.dimension()], seeds: BTreeMap::new(), asked: false, most }
    }

    fn report(&mut self, from: &[u8; 32], message: v1::SplitReport) -> Result<(), Rejected> {
        if self.asked {
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
        let mut batch = Batch::default();
        claim(&seed, &self.terms.digest(), &self.authority, &mut batch).ok_or(Rejected::Malformed)?;
        match batch.first_false() {
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

    fn unmask(&mut self, message: &v1::MaskSum) -> Result<(), Rejected> {
        if !self.asked {
            return Err(Rejected::OutOfTurn);
        }
        let mut masks = vec![0; self.sum.len()];
        if !add_packed(&mut masks, &message.packed, self.terms.modulus()) {
            return Err(Rejected::Malformed);
        }
        self.sum.iter_mut().zip(&masks).for_each(|(s, m)| *s = s.wrapping_sub(*m));
        self.most = 0;
        Ok(())
    }
}

impl SecureSum for Aggregator {
    fn receive(&mut self, from: &[u8; 32], message: ToServer) -> Result<(), Rejected> {
        match message {
            ToServer::Split(report) => self.report(from, report),
            ToServer::MaskSum(sum) => self.unmask(&sum),
            _ => Err(Rejected::OutOfTurn),
        }
    }

    fn waiting_for(&self) -> usize {
        if self.asked { usize::from(self.most > 0) } else { self.most - self.seeds.len() }
    }

    fn advance(&mut self) -> Result<Delivery, Abort> {
        let need = self.terms.minimum().get() as usize;
        if self.seeds.len() < need {
            return Err(Abort::TooFew { what: "reports arrived", have: self.seeds.len(), need });
        }
        match (self.asked, self.most) {
            (false, _) => {
                self.asked = true;
                let seeds = self.seeds.values().cloned().collect();
                Ok(Delivery::Helper(ToHelper { terms: self.terms, batch: v1::SeedBatch { seeds } }))
            }
            (true, 0) if !self.sum.is_empty() => {
                let residues = std::mem::take(&mut self.sum);
                Ok(Delivery::Sum(Sum::new(residues, self.terms.modulus(), self.seeds.len())))
            }
            (true, 0) => Err(Abort::Over),
            (true, _) => Err(Abort::NoHelper),
        }
    }
}

/// The helper: it holds a key, and remembers what it has opened.
pub struct Helper {
    secret: StaticSecret,
    authority: Authority,
    opened: HashSet<[u8; 32]>,
}

impl Helper {
    /// A helper with this X25519 secret, who has opened these reports before. The set must outlive restarts: store
    /// [`opened`](Self::opened) before a sum is sent.
    pub fn new(secret: [u8; 32], authority: Authority, opened: HashSet<[u8; 32]>) -> Self {
        Self { secret: secret.into(), authority, opened }
    }

    /// The public key that sites seal to.
    pub fn public(&self) -> [u8; 32] {
        PublicKey::from(&self.secret).to_bytes()
    }

    /// What was opened so far: a hash of site and terms for each report. One site has one report per round, however often
    /// it sends it.
    pub fn opened(&self) -> &HashSet<[u8; 32]> {
        &self.opened
    }

    /// The sum of a batch's masks.
    ///
    /// # Errors
    /// A [`Refusal`] where the batch has fewer sites than the terms ask for, one of them twice, unsigned, not enrolled, or
    /// one that was opened before. Nothing is opened then.
    pub fn sum(&mut self, request: &ToHelper) -> Result<v1::MaskSum, Refusal> {
        let ToHelper { terms, batch } = request;
        let need = terms.minimum().get() as usize;
        if batch.seeds.len() < need {
            return Err(Refusal::TooFew { what: "reports in the batch", have: batch.seeds.len(), need });
        }
        let digest = terms.digest();
        let mut signatures = Batch::default();
        let mut reports = HashSet::new();
        for (index, seed) in (0..).zip(&batch.seeds) {
            claim(seed, &digest, &self.authority, &mut signatures).ok_or(Refusal::Malformed(index))?;
            let report =
                *blake3::Hasher::new_derive_key(REPORT).update(&digest).update(&seed.identity).finalize().as_bytes();
            if self.opened.contains(&report) || !reports.insert(report) {
                return Err(Refusal::Opened(index));
            }
        }
        if let Some(position) = signatures.first_false() {
            let member = (position / 2) as u32;
            return Err(if position % 2 == 0 { Refusal::NotEnrolled(member) } else { Refusal::Forged(member) });
        }
        let mut sum = vec![0; terms.dimension()];
        for (index, seed) in (0..).zip(&batch.seeds) {
            let sender = <[u8; 32]>::try_from(seed.sender_key.as_slice()).map_err(|_| Refusal::Malformed(index))?;
            let channel = keys::agree(&self.secret, &sender.into(), SEALED_SEED, &digest, &sender);
            let channel = Zeroizing::new(channel.ok_or(Refusal::Malformed(index))?);
            let key = keys::open(&channel, &seed.sealed).map(Zeroizing::new).ok_or(Refusal::Malformed(index))?;
            let key: &[u8; 32] = key.as_slice().try_into().map_err(|_| Refusal::Malformed(index))?;
            mask::add(&mut sum, key);
        }
        self.opened.extend(reports);
        Ok(v1::MaskSum { packed: pack(&sum, terms.modulus()) })
    }
}

fn claims<'a>(terms: &'a [u8; 32], sender: &'a [u8], sealed: &'a [u8], packed: &'a [u8]) -> [&'a [u8]; 4] {
    [terms, sender, sealed, packed]
}

/// Adds a report's enrolment and signature to a batch; `None` where a field has the wrong length.
fn claim(seed: &v1::SealedSeed, terms: &[u8; 32], authority: &Authority, batch: &mut Batch) -> Option<()> {
    let identity = verifying_key(&seed.identity)?;
    let sender = <[u8; 32]>::try_from(seed.sender_key.as_slice()).ok()?;
    let lengths = (seed.sealed.len(), seed.packed_digest.len());
    if lengths != (48, 32) {
        return None;
    }
    let enrolled = Statement::Enrolled.message(&[identity.as_bytes()]);
    batch.add(&authority.0, enrolled, seed.enrolment.as_slice().try_into().ok()?);
    let message = Statement::Reports.message(&claims(terms, &sender, &seed.sealed, &seed.packed_digest));
    batch.add(&identity, message, seed.signature.as_slice().try_into().ok()?);
    Some(())
}
