//! The server's side: one round, driven by messages and by whoever decides that a step has lasted long enough.
//!
//! Vectors are added up as they arrive and never kept: what grows with the sites is their keys, sealed shares and hashes of
//! shares, some 200 bytes for each pair of neighbours. A message that makes no sense is [`Rejected`] and changes nothing;
//! the round goes on without its sender. Where many signatures can wait, they are checked together at the step's end, and
//! whoever's does not hold is left out.

use std::collections::BTreeMap;

use volet_proto::v1;

use super::client::{TWO_SHARES, hash_share, masking, survival};
use super::keys::{Authority, Statement, TAG};
use super::members::Members;
use super::pack::{add_packed, packed_len};
use super::roster::{Member, Roster};
use super::shamir::Share;
use super::terms::Terms;
use super::unmask::{self, Reveals};
use super::{Abort, Delivery, Refusal, Rejected, SecureSum, Sum, ToServer, ToSite};
use crate::signing::Batch;

/// One round of SecAgg+ at the server.
pub struct Server {
    terms: Terms,
    authority: Authority,
    phase: Phase,
}

enum Phase {
    Advertising {
        members: BTreeMap<[u8; 32], Member>,
        unchecked: Vec<Member>,
        most: usize,
    },
    Sharing {
        roster: Roster,
        sharers: Members,
        mail: BTreeMap<u32, Vec<v1::SealedShares>>,
        hashes: Hashes,
    },
    Masking {
        held: Box<Summed>,
        digest: [u8; 32],
        signatures: BTreeMap<u32, Vec<u8>>,
    },
    /// Signatures in the order in which they came, to be checked.
    Signing {
        held: Box<Summed>,
        signatures: BTreeMap<u32, Vec<u8>>,
    },
    Unmasking {
        held: Box<Summed>,
        reveals: Reveals,
    },
    Over,
}

/// So many sites' signatures are checked at a time: more gain little, and would come all at once in the end.
const CHECKED_TOGETHER: usize = 128;

/// By dealer, and for each in the order of holders: hashes of the share of the own mask's seed and of the mask key's.
type Hashes = BTreeMap<u32, Vec<(u32, [[u8; 32]; 2])>>;

/// A masked sum and all that is needed to open it.
pub(super) struct Summed {
    pub(super) roster: Roster,
    pub(super) sharers: Members,
    pub(super) survivors: Members,
    pub(super) sum: Vec<u32>,
    hashes: Hashes,
}

impl Server {
    /// A round that takes at most `most` sites.
    pub fn new(terms: Terms, authority: Authority, most: usize) -> Self {
        Self { terms, authority, phase: Phase::Advertising { members: BTreeMap::new(), unchecked: Vec::new(), most } }
    }

    fn advertise(&mut self, from: &[u8; 32], message: &v1::Advertisement) -> Result<(), Rejected> {
        let Phase::Advertising { members, unchecked, most } = &mut self.phase else { return Err(Rejected::OutOfTurn) };
        let sound = |m: &Member| m.identity == *from && m.channel.is_key() && m.mask.is_key();
        let member = Member::read(message).filter(sound).ok_or(Rejected::Malformed)?;
        if members.contains_key(from) || unchecked.iter().any(|m| m.identity == *from) {
            return Err(Rejected::Twice);
        }
        if members.len() >= *most {
            return Err(Rejected::Full);
        }
        unchecked.push(member);
        // Also when the last place is taken: false ones must not end the step before others come.
        if unchecked.len() == CHECKED_TOGETHER || members.len() + unchecked.len() == *most {
            check(unchecked, members, &self.authority, &self.terms);
        }
        Ok(())
    }

    fn share(&mut self, from: &[u8; 32], message: v1::ShareUpload) -> Result<(), Rejected> {
        let Phase::Sharing { roster, sharers, mail, hashes } = &mut self.phase else { return Err(Rejected::OutOfTurn) };
        let sender = roster.index(from).ok_or(Rejected::Stranger)?;
        let neighbours = roster.graph.neighbours(sender);
        let addressed = message.shares.iter().map(|s| s.member);
        let fixed = |hash: &[u8]| <[u8; 32]>::try_from(hash).ok();
        let read = message.shares.iter().map(|s| Some([fixed(&s.own_mask_hash)?, fixed(&s.mask_key_hash)?]));
        let read: Option<Vec<_>> = read.collect();
        let read = read.filter(|_| addressed.eq(neighbours)).ok_or(Rejected::Malformed)?;
        if message.shares.iter().any(|s| s.sealed.len() != TWO_SHARES + TAG) {
            return Err(Rejected::Malformed);
        }
        if !sharers.add(sender) {
            return Err(Rejected::Twice);
        }
        hashes.insert(sender, message.shares.iter().map(|s| s.member).zip(read).collect());
        for share in message.shares {
            let sealed = v1::SealedShares { member: sender, sealed: share.sealed, ..Default::default() };
            mail.entry(share.member).or_default().push(sealed);
        }
        Ok(())
    }

    fn masked(&mut self, from: &[u8; 32], message: &v1::MaskedVector) -> Result<(), Rejected> {
        let Phase::Masking { held, digest, signatures } = &mut self.phase else { return Err(Rejected::OutOfTurn) };
        let sender = held.roster.index(from).filter(|&s| held.sharers.contains(s)).ok_or(Rejected::Stranger)?;
        if held.survivors.contains(sender) {
            return Err(Rejected::Twice);
        }
        if !held.roster.signed(sender, Statement::Masked, digest, &message.signature) {
            return Err(Rejected::Malformed);
        }
        if !add_packed(&mut held.sum, &message.packed, self.terms.modulus()) {
            let need = packed_len(held.sum.len(), self.terms.modulus());
            return Err(Rejected::Length { have: message.packed.len(), need });
        }
        held.survivors.add(sender);
        signatures.insert(sender, message.signature.clone());
        Ok(())
    }

    fn signed(&mut self, from: &[u8; 32], message: v1::SurvivorsSignature) -> Result<(), Rejected> {
        let Phase::Signing { held, signatures } = &mut self.phase else { return Err(Rejected::OutOfTurn) };
        let sender = held.roster.index(from).filter(|&s| held.survivors.contains(s)).ok_or(Rejected::Stranger)?;
        if signatures.contains_key(&sender) {
            return Err(Rejected::Twice);
        }
        if message.signature.len() != 64 {
            return Err(Rejected::Malformed);
        }
        signatures.insert(sender, message.signature);
        Ok(())
    }

    fn revealed(&mut self, from: &[u8; 32], message: &v1::Reveal) -> Result<(), Rejected> {
        let Phase::Unmasking { held, reveals } = &mut self.phase else { return Err(Rejected::OutOfTurn) };
        let sender = held.roster.index(from).filter(|&s| held.survivors.contains(s)).ok_or(Rejected::Stranger)?;
        let neighbours = held.roster.graph.neighbours(sender);
        let mut named: Vec<u32> = message.own_masks.iter().chain(&message.mask_keys).map(|s| s.member).collect();
        named.sort_unstable();
        if named.len() > neighbours.len() || named.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(Rejected::Malformed);
        }
        let mut read = Vec::with_capacity(neighbours.len());
        for (shares, survived) in [(&message.own_masks, true), (&message.mask_keys, false)] {
            for share in shares {
                let fits = held.sharers.contains(share.member)
                    && held.survivors.contains(share.member) == survived
                    && neighbours.binary_search(&share.member).is_ok();
                let value = Share::read(&share.value).filter(|_| fits).ok_or(Rejected::Malformed)?;
                let dealt = held.hashes.get(&share.member).map_or(&[][..], Vec::as_slice);
                let dealt =
                    dealt.binary_search_by_key(&sender, |(holder, _)| *holder).ok().and_then(|at| dealt.get(at));
                let (_, [own, mask]) = dealt.ok_or(Rejected::Malformed)?;
                // Not what the dealer said it dealt: the dealer's fault or the holder's, and worth nothing either way.
                if hash_share(&value, share.member, sender) == *if survived { own } else { mask } {
                    read.push((share.member, value));
                }
            }
        }
        if reveals.add(sender, read) { Ok(()) } else { Err(Rejected::Twice) }
    }
}

/// Moves those whose signatures hold to the members.
fn check(unchecked: &mut Vec<Member>, members: &mut BTreeMap<[u8; 32], Member>, authority: &Authority, terms: &Terms) {
    let digest = terms.digest();
    let mut batch = Batch::default();
    unchecked.iter().for_each(|member| member.claims(&mut batch, authority, &digest));
    let hold = batch.hold();
    let good = unchecked.drain(..).zip(hold.chunks(2)).filter(|(_, both)| !both.contains(&false));
    members.extend(good.map(|(member, _)| (member.identity, member)));
}

impl SecureSum for Server {
    fn receive(&mut self, from: &[u8; 32], message: ToServer) -> Result<(), Rejected> {
        match message {
            ToServer::Advertisement(m) => self.advertise(from, &m),
            ToServer::Shares(m) => self.share(from, m),
            ToServer::Masked(m) => self.masked(from, &m),
            ToServer::Signature(m) => self.signed(from, m),
            ToServer::Reveal(m) => self.revealed(from, &m),
            ToServer::Split(_) | ToServer::MaskSum(_) => Err(Rejected::OutOfTurn),
        }
    }

    fn waiting_for(&self) -> usize {
        match &self.phase {
            Phase::Advertising { members, unchecked, most } => most - members.len() - unchecked.len(),
            Phase::Sharing { roster, sharers, .. } => roster.members.len() - sharers.len(),
            Phase::Masking { held, .. } => held.sharers.len() - held.survivors.len(),
            Phase::Signing { held, signatures } => held.survivors.len() - signatures.len(),
            Phase::Unmasking { held, reveals } => held.survivors.len() - reveals.len(),
            Phase::Over => 0,
        }
    }

    fn advance(&mut self) -> Result<Delivery, Abort> {
        let minimum = self.terms.minimum().get() as usize;
        let enough = |what, have| {
            if have < minimum { Err(Abort::TooFew { what, have, need: minimum }) } else { Ok(()) }
        };
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Advertising { mut members, mut unchecked, .. } => {
                check(&mut unchecked, &mut members, &self.authority, &self.terms);
                enough("sites took part", members.len())?;
                let roster = Roster::of(members.into_values().collect(), &self.terms).map_err(Abort::Refused)?;
                let message = v1::Roster { members: roster.members.iter().map(Into::into).collect() };
                let to = roster.members.iter().map(|m| m.identity).collect();
                let sharers = Members::none(roster.members.len());
                self.phase = Phase::Sharing { roster, sharers, mail: BTreeMap::new(), hashes: Hashes::new() };
                Ok(Delivery::Same { to, message: ToSite::Roster(message) })
            }
            Phase::Sharing { roster, sharers, mut mail, hashes } => {
                enough("sites shared their secrets", sharers.len())?;
                let mut deliveries = Vec::with_capacity(sharers.len());
                for member in sharers.iter() {
                    let mut shares = mail.remove(&member).unwrap_or_default();
                    shares.retain(|s| sharers.contains(s.member));
                    let message = v1::ShareDelivery { sharers: sharers.write(), shares };
                    deliveries.extend(roster.identity(member).map(|to| (to, ToSite::Shares(message))));
                }
                let (survivors, sum) = (Members::none(roster.members.len()), vec![0; self.terms.dimension()]);
                let digest = masking(&roster, &sharers);
                let held = Box::new(Summed { roster, sharers, survivors, sum, hashes });
                self.phase = Phase::Masking { held, digest, signatures: BTreeMap::new() };
                Ok(Delivery::Each(deliveries))
            }
            Phase::Masking { held, signatures, .. } => {
                enough("vectors arrived", held.survivors.len())?;
                let members = held.survivors.write();
                let told = |member: u32| {
                    let neighbours = held.roster.graph.neighbours(member).into_iter();
                    let claims = neighbours.filter_map(|n| {
                        signatures.get(&n).map(|s| v1::MemberSignature { member: n, signature: s.clone() })
                    });
                    v1::Survivors { members: members.clone(), neighbours: claims.collect() }
                };
                let each = held
                    .survivors
                    .iter()
                    .filter_map(|member| held.roster.identity(member).map(|to| (to, ToSite::Survivors(told(member)))));
                let each = each.collect();
                self.phase = Phase::Signing { held, signatures: BTreeMap::new() };
                Ok(Delivery::Each(each))
            }
            Phase::Signing { held, signatures } => {
                let digest = survival(&held.roster, &held.sharers, &held.survivors);
                let claims =
                    signatures.into_iter().map(|(member, signature)| v1::MemberSignature { member, signature });
                let mut claims: Vec<v1::MemberSignature> = claims.collect();
                let signed = held.roster.all_signed(Statement::Survived, &digest, &claims);
                let need = held.roster.parameters.quorum();
                if signed.len() < need {
                    let what = "signatures under the survivors";
                    return Err(Abort::Refused(Refusal::TooFew { what, have: signed.len(), need }));
                }
                // Sites check no more than a quorum.
                claims.retain(|claim| signed.contains(claim.member));
                claims.truncate(need);
                let proof = v1::SurvivorsProof { signatures: claims };
                let to = held.roster.identities(&held.survivors);
                let reveals = Reveals::new(held.roster.members.len());
                self.phase = Phase::Unmasking { held, reveals };
                Ok(Delivery::Same { to, message: ToSite::Proof(proof) })
            }
            Phase::Unmasking { held, reveals } => {
                let contributors = held.survivors.len();
                let residues = unmask::open(*held, &reveals)?;
                Ok(Delivery::Sum(Sum::new(residues, self.terms.modulus(), contributors)))
            }
            Phase::Over => Err(Abort::Over),
        }
    }
}
