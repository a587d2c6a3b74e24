//! Everyone who takes part in a round, checked: what signatures, masks and the graph rest on.

use volet_proto::v1;

use super::Refusal;
use super::graph::Graph;
use super::keys::{Authority, ExchangeKey, Statement};
use super::members::Members;
use super::parameters::Parameters;
use super::terms::Terms;
use crate::CohortSize;
use crate::signing::{Batch, holds};

/// One site's keys for one round.
pub(crate) struct Member {
    pub(crate) identity: [u8; 32],
    enrolment: [u8; 64],
    pub(crate) channel: ExchangeKey,
    pub(crate) mask: ExchangeKey,
    pub(crate) commitment: [u8; 32],
    signature: [u8; 64],
}

impl Member {
    /// Reads an advertisement; signatures are checked later, many at once.
    pub(crate) fn read(message: &v1::Advertisement) -> Option<Self> {
        let fixed = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).ok();
        Some(Self {
            identity: fixed(&message.identity)?,
            enrolment: message.enrolment.as_slice().try_into().ok()?,
            channel: ExchangeKey::new(fixed(&message.channel_key)?),
            mask: ExchangeKey::new(fixed(&message.mask_key)?),
            commitment: fixed(&message.commitment)?,
            signature: message.signature.as_slice().try_into().ok()?,
        })
    }

    /// Adds what must hold to a batch: first the enrolment, then the advertisement itself.
    pub(crate) fn claims(&self, batch: &mut Batch, authority: &Authority, terms: &[u8; 32]) {
        let keys = [self.channel.as_bytes(), self.mask.as_bytes(), &self.commitment];
        let takes_part = Statement::TakesPart.message(&[terms, keys[0], keys[1], keys[2]]);
        batch.add(&authority.0.to_bytes(), &Statement::Enrolled.message(&[&self.identity]), &self.enrolment);
        batch.add(&self.identity, &takes_part, &self.signature);
    }
}

/// A checked roster.
pub(crate) struct Roster {
    pub(crate) members: Vec<Member>,
    pub(crate) parameters: Parameters,
    pub(crate) graph: Graph,
    /// BLAKE3 of the terms and of everything in the roster: what all keys of the round are bound to.
    pub(crate) digest: [u8; 32],
}

impl Roster {
    /// Checks a roster that a server sent.
    pub(crate) fn read(message: &v1::Roster, terms: &Terms, authority: &Authority) -> Result<Self, Refusal> {
        let minimum = terms.minimum().get() as usize;
        if message.members.len() > CohortSize::MAX as usize {
            return Err(Refusal::TooMany(message.members.len()));
        }
        if message.members.len() < minimum {
            return Err(Refusal::TooFew { what: "sites in the roster", have: message.members.len(), need: minimum });
        }
        let read = (0..).zip(&message.members).map(|(index, m)| Member::read(m).ok_or(Refusal::Malformed(index)));
        let members = read.collect::<Result<Vec<Member>, Refusal>>()?;
        let ascending = |pair: &[Member]| matches!(pair, [a, b] if a.identity < b.identity);
        if !members.windows(2).all(ascending) {
            return Err(Refusal::Disorder);
        }
        let digest = terms.digest();
        let mut batch = Batch::default();
        members.iter().for_each(|member| member.claims(&mut batch, authority, &digest));
        if let Some(position) = batch.first_false() {
            let member = (position / 2) as u32;
            return Err(if position % 2 == 0 { Refusal::NotEnrolled(member) } else { Refusal::Forged(member) });
        }
        Self::of(members, terms)
    }

    /// A roster of members whose signatures were checked, in the order of their identities.
    pub(crate) fn of(members: Vec<Member>, terms: &Terms) -> Result<Self, Refusal> {
        let parameters = Parameters::derive(members.len(), &terms.risk())?;
        let mut hasher = blake3::Hasher::new_derive_key("volet 2026-11 secure aggregation: roster of a round");
        hasher.update(&terms.digest());
        for member in &members {
            let keys = [&member.identity, member.channel.as_bytes(), member.mask.as_bytes()];
            keys.into_iter().chain([&member.commitment]).for_each(|part| {
                hasher.update(part);
            });
        }
        let digest = *hasher.finalize().as_bytes();
        let graph = Graph::draw(members.len(), parameters.degree(), &digest);
        Ok(Self { members, parameters, graph, digest })
    }

    /// A member's index; the order of the identities makes it a search.
    pub(crate) fn index(&self, identity: &[u8; 32]) -> Option<u32> {
        self.members.binary_search_by(|m| m.identity.cmp(identity)).ok().map(|index| index as u32)
    }

    /// Whether a member's signature under a digest holds.
    pub(crate) fn signed(&self, member: u32, what: Statement, digest: &[u8; 32], signature: &[u8]) -> bool {
        let member = self.members.get(member as usize);
        member.is_some_and(|m| holds(&m.identity, &what.message(&[digest]), signature))
    }

    /// Those whose signatures under a digest hold.
    pub(crate) fn all_signed(&self, what: Statement, digest: &[u8; 32], claims: &[v1::MemberSignature]) -> Members {
        let message = what.message(&[digest]);
        let mut batch = Batch::default();
        let shaped = claims.iter().take(self.members.len()).filter_map(|claim| {
            let member = self.members.get(claim.member as usize)?;
            batch.add(&member.identity, &message, claim.signature.as_slice().try_into().ok()?);
            Some(claim.member)
        });
        let claimed: Vec<u32> = shaped.collect();
        let mut signed = Members::none(self.members.len());
        for (member, _) in claimed.into_iter().zip(batch.hold()).filter(|(_, holds)| *holds) {
            signed.add(member);
        }
        signed
    }

    /// Who a member is.
    pub(crate) fn identity(&self, member: u32) -> Option<[u8; 32]> {
        self.members.get(member as usize).map(|m| m.identity)
    }

    /// Who the members of a set are.
    pub(crate) fn identities(&self, members: &Members) -> Vec<[u8; 32]> {
        members.iter().filter_map(|member| self.identity(member)).collect()
    }
}

impl From<&Member> for v1::Advertisement {
    fn from(member: &Member) -> Self {
        Self {
            identity: member.identity.to_vec(),
            enrolment: member.enrolment.to_vec(),
            channel_key: member.channel.as_bytes().to_vec(),
            mask_key: member.mask.as_bytes().to_vec(),
            commitment: member.commitment.to_vec(),
            signature: member.signature.to_vec(),
        }
    }
}
