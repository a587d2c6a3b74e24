//! What a round is, before anyone takes part: enough to begin it again.

use borsh::{BorshDeserialize, BorshSerialize};
use prost::Message;
use volet_proto::v1;

use crate::secagg::{Authority, SecureSum, Server, Terms, split};
use crate::signing::VerifyingKey;

/// Milliseconds since the epoch, by the server's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Time(pub u64);

impl Time {
    pub(crate) fn after(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }
}

/// How long a step lasts at most, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Patience {
    /// The first one, in which sites are gathered.
    pub gather: u64,
    /// Whether sites are gathered until there are enough of them, however long that takes.
    pub insist: bool,
    /// Each later one.
    pub step: u64,
}

/// Which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Kind {
    /// SecAgg+, with nobody else.
    SecAgg,
    /// One-shot split masks, with this helper.
    Split(split::Keys),
}

/// A round's plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What sites agree to.
    pub terms: Terms,
    /// Who enrols sites.
    pub authority: Authority,
    /// Which protocol.
    pub kind: Kind,
    /// At most so many sites.
    pub most: u32,
    /// When steps end.
    pub patience: Patience,
}

impl Plan {
    /// The machine at its first step.
    pub(super) fn start(&self) -> Box<dyn SecureSum + Send> {
        let Self { terms, authority, kind, most, .. } = *self;
        match kind {
            Kind::SecAgg => Box::new(Server::new(terms, authority, most as usize)),
            Kind::Split(helper) => Box::new(split::Aggregator::new(terms, authority, helper, most as usize)),
        }
    }

    pub(super) fn write(&self) -> Written {
        let Self { terms, authority, kind, most, patience } = *self;
        let (terms, authority) = (v1::Terms::from(terms).encode_to_vec(), authority.0.to_bytes());
        Written { terms, authority, kind, most, patience }
    }
}

/// A plan as it lies in the log.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub(super) struct Written {
    terms: Vec<u8>,
    authority: [u8; 32],
    kind: Kind,
    most: u32,
    patience: Patience,
}

impl Written {
    pub(super) fn read(self) -> Option<Plan> {
        let Self { terms, authority, kind, most, patience } = self;
        let terms = v1::Terms::decode(terms.as_slice()).ok().and_then(|terms| Terms::try_from(terms).ok())?;
        let authority = Authority(VerifyingKey::from_bytes(&authority)?);
        Some(Plan { terms, authority, kind, most, patience })
    }
}
