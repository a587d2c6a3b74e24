//! From revealed shares to the sum: seeds are reconstructed, checked against what their owners published, and their masks
//! taken away.
//!
//! A share that is not what its dealer said it dealt was left out on arrival. Seeds are checked too, own masks by their
//! commitment and mask keys by the public key: a dealer whose shares do not fit together is found, and named.

use std::collections::{BTreeMap, HashMap};

use zeroize::Zeroizing;

use super::Abort;
use super::client::{MASK_SECRET, OWN, PAIRWISE, commit};
use super::keys::ExchangeSecret;
use super::mask;
use super::members::Members;
use super::server::Summed;
use super::shamir::{Seed, Share, Weights};

/// The shares that arrived.
pub(super) struct Reveals {
    /// By owner: who gave which share.
    shares: BTreeMap<u32, Vec<(u32, Share)>>,
    givers: Members,
}

impl Reveals {
    pub(super) fn new(members: usize) -> Self {
        Self { shares: BTreeMap::new(), givers: Members::none(members) }
    }

    pub(super) fn len(&self) -> usize {
        self.givers.len()
    }

    /// Adds one site's shares; whether it was its first time.
    pub(super) fn add(&mut self, giver: u32, shares: Vec<(u32, Share)>) -> bool {
        let first = self.givers.add(giver);
        for (owner, share) in shares.into_iter().filter(|_| first) {
            self.shares.entry(owner).or_default().push((giver, share));
        }
        first
    }
}

/// The sum without masks, modulo 2^32 in the bits that count.
pub(super) fn open(held: Summed, reveals: &Reveals) -> Result<Vec<u32>, Abort> {
    let Summed { roster, sharers, survivors, mut sum, .. } = held;
    let mut opener = Opener { reveals, threshold: roster.parameters.threshold(), weights: HashMap::new() };
    for (owner, member) in (0..).zip(&roster.members).filter(|(owner, _)| sharers.contains(*owner)) {
        if survivors.contains(owner) {
            let seed = opener.seed(owner, |seed| commit(seed) == member.commitment)?;
            mask::subtract(&mut sum, &Zeroizing::new(seed.key(OWN)));
            continue;
        }
        let secret = |seed: &Seed| ExchangeSecret::new(seed.key(MASK_SECRET));
        let seed = opener.seed(owner, |seed| secret(seed).public() == *member.mask.as_bytes())?;
        let secret = secret(&seed);
        for neighbour in roster.graph.neighbours(owner).into_iter().filter(|&n| survivors.contains(n)) {
            let other = roster.members.get(neighbour as usize).ok_or(Abort::Lost(owner))?;
            let key = secret.agree_revealed(&other.mask, PAIRWISE, &roster.digest).ok_or(Abort::Lost(owner))?;
            // The neighbour added the mask where it came first, and took it away where it came second.
            if neighbour < owner { mask::subtract(&mut sum, &key) } else { mask::add(&mut sum, &key) }
        }
    }
    Ok(sum)
}

struct Opener<'a> {
    reveals: &'a Reveals,
    threshold: usize,
    /// By holders: in a complete graph nearly all seeds have the same.
    weights: HashMap<Vec<u32>, Weights>,
}

impl Opener<'_> {
    /// A seed from its shares that its owner's word confirms.
    fn seed(&mut self, owner: u32, confirmed: impl Fn(&Seed) -> bool) -> Result<Seed, Abort> {
        let shares = self.reveals.shares.get(&owner).map_or(&[][..], Vec::as_slice);
        if shares.len() < self.threshold {
            return Err(Abort::Vanished(owner));
        }
        let seed = self.combine(shares.iter().take(self.threshold));
        // Each share is what its dealer published: where they do not fit together, it is the dealer's doing.
        if confirmed(&seed) { Ok(seed) } else { Err(Abort::Lost(owner)) }
    }

    fn combine<'b>(&mut self, shares: impl Iterator<Item = &'b (u32, Share)> + Clone) -> Seed {
        let holders: Vec<u32> = shares.clone().map(|(giver, _)| *giver).collect();
        // Few sets are met again in a sparse graph; what is remembered stays small.
        if self.weights.len() > 64 {
            self.weights.clear();
        }
        let weights = self.weights.entry(holders).or_insert_with_key(|holders| Weights::of(holders));
        weights.combine(shares.map(|(_, share)| share))
    }
}
