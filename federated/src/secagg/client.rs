//! The site's side: one state per step, each consumed by the next. A step that is refused ends the round for the site;
//! so does a restart, and both are nothing but one more dropout to the others.
//!
//! What no state allows, however the server behaves: to reveal both shares of one neighbour, to reveal anything for a set
//! of survivors that a quorum did not sign, or for one smaller than the terms' minimum.

use std::collections::BTreeMap;

use volet_proto::v1;
use zeroize::Zeroizing;

use super::keys::{self, Authority, ExchangeSecret, Identity, Statement};
use super::mask;
use super::members::Members;
use super::outgoing::{Unsealed, residues};
use super::pack::pack;
use super::roster::Roster;
use super::shamir::{RoundSecret, Seed, Share};
use super::terms::Terms;
use super::{Demands, Refusal, ToServer, ToSite};
use crate::mechanism::Noised;
use crate::signing::Batch;

/// What keys of pairwise masks are derived under.
pub(super) const PAIRWISE: &str = "volet 2026-11 secure aggregation: pairwise mask";
/// What the key of a site's own mask is derived under.
pub(super) const OWN: &str = "volet 2026-11 secure aggregation: own mask";
/// What the X25519 secret of pairwise masks is derived under.
pub(super) const MASK_SECRET: &str = "volet 2026-11 secure aggregation: mask secret";
const OWN_SEED: &str = "volet 2026-11 secure aggregation: seed of own mask";
const MASK_SEED: &str = "volet 2026-11 secure aggregation: seed of mask secret";
const CHANNEL_SEED: &str = "volet 2026-11 secure aggregation: seed of channel secret";
const OWN_SHARES: &str = "volet 2026-11 secure aggregation: shares of own mask's seed";
const MASK_SHARES: &str = "volet 2026-11 secure aggregation: shares of mask secret's seed";
const CHANNEL_SECRET: &str = "volet 2026-11 secure aggregation: channel secret";
const CHANNEL: &str = "volet 2026-11 secure aggregation: channel";
/// Bytes of what is sealed to a neighbour: two shares.
pub(super) const TWO_SHARES: usize = 64;

/// A site in whichever state it is: what a driver keeps of it from one message of the server to the next.
pub enum Site {
    /// It takes part.
    Advertised(Box<Advertised>),
    /// It has shared its secrets.
    Shared(Box<Shared>),
    /// It has sent its vector.
    Masked(Box<Masked>),
    /// It has signed the survivors.
    Signed(Box<Signed>),
}

/// A site that has said that it takes part.
pub struct Advertised {
    terms: Terms,
    authority: Authority,
    identity: Identity,
    secret: RoundSecret,
    channel: ExchangeSecret,
    mask: ExchangeSecret,
    mask_seed: Seed,
    own_seed: Seed,
    sent: v1::Advertisement,
}

/// A site that has shared its secrets with its neighbours.
pub struct Shared {
    round: InRound,
    own_seed: Seed,
    mask: ExchangeSecret,
    /// By neighbour: the key of what it seals to this site.
    inbound: BTreeMap<u32, Zeroizing<[u8; 32]>>,
}

/// A site whose masked vector is on its way.
pub struct Masked {
    round: InRound,
    sharers: Members,
    held: BTreeMap<u32, (Share, Share)>,
}

/// A site that has signed whom it was told to have survived.
pub struct Signed {
    masked: Masked,
    survivors: Members,
}

/// What stays the same for the rest of a round.
struct InRound {
    terms: Terms,
    identity: Identity,
    roster: Roster,
    index: u32,
}

impl Site {
    /// The next state, none after the last, and the answer to the server. `mask` makes the vector and masks it, by
    /// [`Shared::mask`].
    ///
    /// # Errors
    /// Those of the states, those of `mask`, and [`Refusal::OutOfStep`].
    pub fn answer<E: From<Refusal>>(
        self,
        message: &ToSite,
        mask: impl FnOnce(Shared, &v1::ShareDelivery) -> Result<(Masked, v1::MaskedVector), E>,
    ) -> Result<(Option<Self>, ToServer), E> {
        Ok(match (self, message) {
            (Self::Advertised(site), ToSite::Roster(m)) => {
                let (site, answer) = site.share(m)?;
                (Some(Self::Shared(Box::new(site))), ToServer::Shares(answer))
            }
            (Self::Shared(site), ToSite::Shares(m)) => {
                let (site, answer) = mask(*site, m)?;
                (Some(Self::Masked(Box::new(site))), ToServer::Masked(answer))
            }
            (Self::Masked(site), ToSite::Survivors(m)) => {
                let (site, answer) = site.sign(m)?;
                (Some(Self::Signed(Box::new(site))), ToServer::Signature(answer))
            }
            (Self::Signed(site), ToSite::Proof(m)) => (None, ToServer::Reveal(site.reveal(m)?)),
            _ => return Err(Refusal::OutOfStep.into()),
        })
    }
}

impl Advertised {
    /// Starts a round: keys for this round alone, and the message that announces them.
    ///
    /// # Errors
    /// [`Refusal::Entropy`]: the operating system gives no random bytes.
    /// [`Refusal::Demands`]: the terms promise less than the device's own policy demands.
    pub fn start(
        terms: Terms,
        demands: &Demands,
        authority: Authority,
        identity: Identity,
    ) -> Result<(Self, v1::Advertisement), Refusal> {
        Self::with(RoundSecret::random()?, terms, demands, authority, identity)
    }

    /// The same with a secret that was kept: everything that follows is what it was, given the same messages.
    ///
    /// # Errors
    /// [`Refusal::Demands`].
    pub fn with(
        secret: RoundSecret,
        terms: Terms,
        demands: &Demands,
        authority: Authority,
        identity: Identity,
    ) -> Result<(Self, v1::Advertisement), Refusal> {
        demands.check(&terms)?;
        let digest = terms.digest();
        let [own_seed, mask_seed, channel_seed] =
            [OWN_SEED, MASK_SEED, CHANNEL_SEED].map(|context| secret.seed(context, &digest));
        let mask = ExchangeSecret::new(mask_seed.key(MASK_SECRET));
        let channel = ExchangeSecret::new(channel_seed.key(CHANNEL_SECRET));
        let (mask_key, channel_key) = (mask.public(), channel.public());
        let commitment = commit(&own_seed);
        let claims: [&[u8]; 4] = [&digest, &channel_key, &mask_key, &commitment];
        let sent = v1::Advertisement {
            identity: identity.public().to_vec(),
            enrolment: identity.enrolment().to_vec(),
            channel_key: channel_key.to_vec(),
            mask_key: mask_key.to_vec(),
            commitment: commitment.to_vec(),
            signature: identity.sign(Statement::TakesPart, &claims).to_vec(),
        };
        let message = sent.clone();
        Ok((Self { terms, authority, identity, secret, channel, mask, mask_seed, own_seed, sent }, message))
    }

    /// Checks the roster and shares this site's two seeds with its neighbours.
    ///
    /// # Errors
    /// A [`Refusal`] for a roster that is too small, out of order, not wholly enrolled and signed, or that does not hold
    /// this site's own keys.
    pub fn share(self, message: &v1::Roster) -> Result<(Shared, v1::ShareUpload), Refusal> {
        let roster = Roster::read(message, &self.terms, &self.authority)?;
        let own = roster.index(&self.identity.public());
        let index = own.filter(|&i| message.members.get(i as usize) == Some(&self.sent)).ok_or(Refusal::NotMyKeys)?;
        let neighbours = roster.graph.neighbours(index);
        let threshold = roster.parameters.threshold();
        // Another roster has other shares: what was dealt to one says nothing beside what was dealt to another.
        let stream = |context| self.secret.stream(context, &roster.digest);
        let own_shares = self.own_seed.split(threshold, &neighbours, stream(OWN_SHARES));
        let mask_shares = self.mask_seed.split(threshold, &neighbours, stream(MASK_SHARES));
        let mut inbound = BTreeMap::new();
        let mut upload = v1::ShareUpload::default();
        for ((&neighbour, own), mask) in neighbours.iter().zip(&own_shares).zip(&mask_shares) {
            let member = roster.members.get(neighbour as usize).ok_or(Refusal::Malformed(neighbour))?;
            // One agreement, and a key for each direction.
            let key = self.channel.agree(&member.channel, CHANNEL, &roster.digest, &[]);
            let key = key.ok_or(Refusal::Malformed(neighbour))?;
            let outbound = Zeroizing::new(directed(&key, index, neighbour));
            let plain = Zeroizing::new([own.to_bytes(), mask.to_bytes()].concat());
            let sealed = keys::seal(&outbound, &plain).ok_or(Refusal::Malformed(neighbour))?;
            let [own_mask_hash, mask_key_hash] = [own, mask].map(|share| hash_share(share, index, neighbour).to_vec());
            upload.shares.push(v1::SealedShares { member: neighbour, sealed, own_mask_hash, mask_key_hash });
            inbound.insert(neighbour, Zeroizing::new(directed(&key, neighbour, index)));
        }
        let round = InRound { terms: self.terms, identity: self.identity, roster, index };
        Ok((Shared { round, own_seed: self.own_seed, mask: self.mask, inbound }, upload))
    }
}

impl Shared {
    /// Takes the neighbours' shares and masks this site's vector, whose values count modulo the terms' modulus.
    ///
    /// A neighbour that sealed garbage to this site, or nothing, only loses a keeper of its shares.
    ///
    /// # Errors
    /// A [`Refusal`] where fewer sites shared than the terms ask for, or this one is said not to have, or the vector has
    /// another length than agreed.
    pub fn mask(
        self,
        message: &v1::ShareDelivery,
        noised: Noised,
    ) -> Result<(Masked, Unsealed<v1::MaskedVector>), Refusal> {
        let (vector, reservation) = residues(noised, &self.round.terms, self.round.roster.members.len())?;
        let (masked, message) = self.mask_values(message, vector)?;
        Ok((masked, Unsealed::new(message, reservation)))
    }

    /// The state after a vector that was masked, and sealed, before the process was killed: of the same secret, by the same
    /// messages.
    ///
    /// # Errors
    /// As [`mask`](Self::mask), and [`Refusal::OtherMasks`]: the vector was masked towards others.
    pub fn masked(self, message: &v1::ShareDelivery, sealed: &v1::MaskedVector) -> Result<Masked, Refusal> {
        let (masked, _) = self.receive(message)?;
        let own = masked.signature();
        if own.as_slice() == sealed.signature { Ok(masked) } else { Err(Refusal::OtherMasks) }
    }

    /// The same without noise or a ledger, for simulators and benchmarks: the feature that this needs is no camera's.
    ///
    /// # Errors
    /// As [`mask`](Self::mask).
    #[cfg(any(test, feature = "unprotected"))]
    pub fn mask_unprotected(
        self,
        message: &v1::ShareDelivery,
        values: &[i32],
    ) -> Result<(Masked, v1::MaskedVector), Refusal> {
        self.mask_values(message, values.iter().map(|&v| v as u32).collect())
    }

    fn mask_values(
        self,
        message: &v1::ShareDelivery,
        mut vector: Vec<u32>,
    ) -> Result<(Masked, v1::MaskedVector), Refusal> {
        let terms = self.round.terms;
        if vector.len() != terms.dimension() {
            return Err(Refusal::Length { have: vector.len(), need: terms.dimension() });
        }
        let (masked, Masks { own_seed, mask: secret, neighbours }) = self.receive(message)?;
        let roster = &masked.round.roster;
        mask::add(&mut vector, &Zeroizing::new(own_seed.key(OWN)));
        for neighbour in neighbours {
            let member = roster.members.get(neighbour as usize).ok_or(Refusal::Malformed(neighbour))?;
            let key = secret.agree(&member.mask, PAIRWISE, &roster.digest, &[]);
            let key = key.ok_or(Refusal::Malformed(neighbour))?;
            if masked.round.index < neighbour {
                mask::add(&mut vector, &key);
            } else {
                mask::subtract(&mut vector, &key);
            }
        }
        let packed = pack(&vector, terms.modulus());
        let signature = masked.signature().to_vec();
        Ok((masked, v1::MaskedVector { packed, signature }))
    }

    /// Opens what neighbours sealed to this site; what the vector is to be masked with.
    fn receive(self, message: &v1::ShareDelivery) -> Result<(Masked, Masks), Refusal> {
        let Self { round, own_seed, mask, inbound } = self;
        let sharers = Members::read(&message.sharers, round.roster.members.len()).ok_or(Refusal::Bitmap)?;
        round.enough("sites that shared", &sharers)?;
        let mut held = BTreeMap::new();
        for sealed in &message.shares {
            let Some(key) = inbound.get(&sealed.member).filter(|_| sharers.contains(sealed.member)) else {
                return Err(Refusal::Stranger(sealed.member));
            };
            let open = keys::open(key, &sealed.sealed).map(Zeroizing::new);
            let shares = open.filter(|plain| plain.len() == TWO_SHARES).and_then(|plain| {
                let (own, mask) = plain.split_at(TWO_SHARES / 2);
                Some((Share::read(own)?, Share::read(mask)?))
            });
            if let Some(shares) = shares {
                held.insert(sealed.member, shares);
            }
        }
        let neighbours = inbound.keys().copied().filter(|&n| sharers.contains(n)).collect();
        Ok((Masked { round, sharers, held }, Masks { own_seed, mask, neighbours }))
    }
}

/// What a vector is masked with.
struct Masks {
    own_seed: Seed,
    mask: ExchangeSecret,
    neighbours: Vec<u32>,
}

impl Masked {
    /// This site's word for whom it was told to have shared: Ed25519 gives the same each time.
    fn signature(&self) -> [u8; 64] {
        self.round.identity.sign(Statement::Masked, &[&masking(&self.round.roster, &self.sharers)])
    }

    /// Signs the set of survivors that the server names.
    ///
    /// # Errors
    /// A [`Refusal`] where they are fewer than the terms ask for, not all among those who shared, or without this site.
    pub fn sign(mut self, message: &v1::Survivors) -> Result<(Signed, v1::SurvivorsSignature), Refusal> {
        let round = &self.round;
        let survivors = Members::read(&message.members, round.roster.members.len()).ok_or(Refusal::Bitmap)?;
        round.enough("survivors", &survivors)?;
        if !survivors.within(&self.sharers) {
            return Err(Refusal::Survivors);
        }
        // A surviving neighbour that was told of other sharers masked its vector towards others, or nobody: its own mask must
        // not be opened, whatever everyone else was told.
        let digest = masking(&round.roster, &self.sharers);
        let signed = round.roster.all_signed(Statement::Masked, &digest, &message.neighbours);
        self.held.retain(|&neighbour, _| !survivors.contains(neighbour) || signed.contains(neighbour));
        let digest = survival(&round.roster, &self.sharers, &survivors);
        let signature = round.identity.sign(Statement::Survived, &[&digest]).to_vec();
        let message = v1::SurvivorsSignature { signature };
        Ok((Signed { survivors, masked: self }, message))
    }
}

impl Signed {
    /// Reveals one share for each neighbour, once a quorum is seen to have signed the same survivors.
    ///
    /// # Errors
    /// A [`Refusal`] where the signatures are too few, doubled, of no survivor, or do not hold.
    pub fn reveal(self, proof: &v1::SurvivorsProof) -> Result<v1::Reveal, Refusal> {
        let Self { masked: Masked { round, sharers, held }, survivors } = self;
        let digest = survival(&round.roster, &sharers, &survivors);
        check_quorum(&round.roster, &survivors, &digest, proof)?;
        let mut reveal = v1::Reveal::default();
        for (&neighbour, (own, mask)) in &held {
            let (list, share) = if survivors.contains(neighbour) {
                (&mut reveal.own_masks, own)
            } else {
                (&mut reveal.mask_keys, mask)
            };
            list.push(v1::Share { member: neighbour, value: share.to_bytes().to_vec() });
        }
        Ok(reveal)
    }
}

impl InRound {
    fn enough(&self, what: &'static str, set: &Members) -> Result<(), Refusal> {
        let (have, need) = (set.len(), self.terms.minimum().get() as usize);
        if have < need {
            return Err(Refusal::TooFew { what, have, need });
        }
        if set.contains(self.index) { Ok(()) } else { Err(Refusal::LeftOut(what)) }
    }
}

/// What a site publishes of its own mask's seed, so that a false share of it shows.
pub(super) fn commit(seed: &Seed) -> [u8; 32] {
    seed.key("volet 2026-11 secure aggregation: commitment to own mask")
}

/// What a dealer publishes of a share, so that a false one shows when it is revealed. Shares have 252 bits to hide in.
pub(super) fn hash_share(share: &Share, dealer: u32, holder: u32) -> [u8; 32] {
    // One block: the context, who deals to whom, and the share.
    let mut block = [0; 64];
    let parts = [b"volet v1 share hash\0\0\0\0\0".as_slice(), &dealer.to_le_bytes(), &holder.to_le_bytes()];
    for (slot, byte) in block.iter_mut().zip(parts.into_iter().flatten().chain(&share.to_bytes())) {
        *slot = *byte;
    }
    *blake3::hash(&block).as_bytes()
}

/// What a site signs with its vector: whom it was told to have shared.
pub(super) fn masking(roster: &Roster, sharers: &Members) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("volet 2026-11 secure aggregation: sharers");
    hasher.update(&roster.digest).update(&sharers.write());
    *hasher.finalize().as_bytes()
}

/// What survivors sign: who shared matters too, or a server could tell each half that the other half never shared.
pub(super) fn survival(roster: &Roster, sharers: &Members, survivors: &Members) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("volet 2026-11 secure aggregation: survivors");
    hasher.update(&roster.digest).update(&sharers.write()).update(&survivors.write());
    *hasher.finalize().as_bytes()
}

/// Whether a quorum of survivors signed this.
pub(super) fn check_quorum(
    roster: &Roster,
    survivors: &Members,
    digest: &[u8; 32],
    proof: &v1::SurvivorsProof,
) -> Result<(), Refusal> {
    let need = roster.parameters.quorum();
    let mut signers = Members::none(roster.members.len());
    let message = Statement::Survived.message(&[digest]);
    let mut batch = Batch::default();
    let mut order = Vec::new();
    for claim in proof.signatures.iter().take(roster.members.len()) {
        let member = roster.members.get(claim.member as usize).filter(|_| survivors.contains(claim.member));
        let signature = claim.signature.as_slice().try_into();
        let (Some(member), Ok(signature)) = (member, signature) else { return Err(Refusal::Stranger(claim.member)) };
        if !signers.add(claim.member) {
            return Err(Refusal::Stranger(claim.member));
        }
        batch.add(&member.identity, &message, signature);
        order.push(claim.member);
        // More than a quorum prove nothing more.
        if signers.len() == need {
            break;
        }
    }
    if signers.len() < need {
        return Err(Refusal::TooFew { what: "signatures under the survivors", have: signers.len(), need });
    }
    match batch.first_false() {
        Some(position) => Err(Refusal::Forged(order.get(position).copied().unwrap_or(u32::MAX))),
        None => Ok(()),
    }
}

fn directed(key: &[u8; 32], from: u32, to: u32) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&from.to_le_bytes()).update(&to.to_le_bytes());
    *hasher.finalize().as_bytes()
}
