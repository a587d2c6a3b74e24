//! Secure aggregation: the server learns a sum over at least `minimum` sites, and nothing else.
//!
//! Two protocols behind one trait, [`SecureSum`]. Both are state machines without I/O: messages in, messages out; keys come
//! from the operating system's generator.
//!
//! * **SecAgg+** ([`Server`], [`Advertised`] and the states that follow it): one server, nobody else. Bonawitz et al. 2017
//!   with the sparse graphs of Bell et al. 2020, and these differences: round keys are signed by enrolled identities and
//!   checked by every site, seeds are elements of a field of 2^252 and never cut, own masks are committed to so that
//!   false shares are found, the survivors *and* the sharers are signed by a quorum before anything is revealed, and the
//!   threshold withstands dropouts that the server chooses ([`Parameters`]).
//! * **Split masks** ([`split`]): one message per site, and an independent helper.
//!
//! What they may not know: what the vectors mean, and what privacy they were given. `docs/protocol.md` goes through the
//! messages; the tests named `attacks` go through what a hostile server or site can try.

mod client;
mod graph;
mod keys;
mod mask;
mod members;
mod outgoing;
mod pack;
mod parameters;
mod roster;
mod server;
mod shamir;
pub mod split;
mod terms;
mod unmask;
mod wire;

pub use client::{Advertised, Masked, Shared, Signed, Site};
pub use keys::{Authority, Identity, ask_to_be_enrolled, asks_to_be_enrolled, enrol};
#[cfg(feature = "simulation")]
pub(crate) use mask::add as add_mask;
pub use members::Members;
pub use outgoing::{Unsealed, sealed};
pub(crate) use pack::packed_len;
pub use parameters::{Parameters, Risk, TooRisky};
pub use server::Server;
pub use shamir::RoundSecret;
pub use terms::{Modulus, Terms, TermsError};

use borsh::{BorshDeserialize, BorshSerialize};
use volet_proto::v1;

use crate::CohortSize;

/// What a device demands of a round's terms, whatever a server offers: part of the policy that its owner signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Demands {
    /// Sums over at least so many sites.
    pub minimum: CohortSize,
    /// Of each thousand sites, at least so many are reckoned to collude with the server.
    pub corrupt_per_mille: u32,
    /// At least so many bits of security.
    pub security_bits: u32,
}

impl Demands {
    /// Whether terms promise that much.
    ///
    /// # Errors
    /// [`Refusal::Demands`].
    pub fn check(&self, terms: &Terms) -> Result<(), Refusal> {
        let risk = terms.risk();
        let offers = [
            ("smallest number of sites", terms.minimum().get(), self.minimum.get()),
            ("share of colluding sites, per mille", risk.corrupt_per_mille(), self.corrupt_per_mille),
            ("security in bits", risk.security_bits(), self.security_bits),
        ];
        match offers.into_iter().find(|(_, offered, demanded)| offered < demanded) {
            Some((what, offered, demanded)) => Err(Refusal::Demands { what, offered, demanded }),
            None => Ok(()),
        }
    }
}

/// A sum over several sites.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Sum {
    values: Vec<i32>,
    contributors: usize,
}

impl Sum {
    fn new(residues: Vec<u32>, modulus: Modulus, contributors: usize) -> Self {
        Self { values: residues.into_iter().map(|r| modulus.centred(r)).collect(), contributors }
    }

    /// A sum that was added up in the open, modulo 2^32.
    #[cfg(feature = "simulation")]
    pub(crate) fn of(values: Vec<i32>, contributors: usize) -> Self {
        Self { values, contributors }
    }

    /// The values, from -2^(b-1) to 2^(b-1) - 1 where 2^b is the modulus.
    pub fn values(&self) -> &[i32] {
        &self.values
    }

    /// How many sites it is over.
    pub fn contributors(&self) -> usize {
        self.contributors
    }
}

/// One round of either protocol at the server, as its driver sees it: messages go in until the driver decides, by a clock
/// that it has and this crate has not, to advance; what comes out is to be delivered, and in the end there is the sum.
pub trait SecureSum {
    /// Takes one message from the site (or helper) that transport has authenticated as `from`, an Ed25519 key.
    ///
    /// # Errors
    /// [`Rejected`]: the message makes no sense here; nothing has changed, and the round goes on.
    fn receive(&mut self, from: &[u8; 32], message: ToServer) -> Result<(), Rejected>;

    /// How many more messages the present step could take.
    fn waiting_for(&self) -> usize;

    /// Ends the present step: whoever has not spoken has dropped out.
    ///
    /// # Errors
    /// [`Abort`]: the round has failed, for good.
    fn advance(&mut self) -> Result<Delivery, Abort>;
}

/// What a site, or the helper, says to the server.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // as the messages in `proto`
pub enum ToServer {
    Advertisement(v1::Advertisement),
    Shares(v1::ShareUpload),
    Masked(v1::MaskedVector),
    Signature(v1::SurvivorsSignature),
    Reveal(v1::Reveal),
    Split(v1::SplitReport),
    MaskSum(v1::MaskSum),
}

/// What the server says to a site, or to the helper.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // as the messages in `proto`
pub enum ToSite {
    Roster(v1::Roster),
    Shares(v1::ShareDelivery),
    Survivors(v1::Survivors),
    Proof(v1::SurvivorsProof),
    /// For the helper alone.
    Seeds(v1::SeedBatch),
}

/// What a step leads to.
#[derive(Debug)]
pub enum Delivery {
    /// The same message for all of these sites.
    Same {
        /// Their Ed25519 keys.
        to: Vec<[u8; 32]>,
        /// What they are told.
        message: ToSite,
    },
    /// A message of its own for each site.
    Each(Vec<([u8; 32], ToSite)>),
    /// The round is over, and this is its sum.
    Sum(Sum),
}

/// Why a site takes no further part in a round. To the others it is one dropout.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum Refusal {
    #[error("too few {what}: {have}, and {need} are asked for")]
    TooFew { what: &'static str, have: usize, need: usize },
    #[error("the keys or the report of member {0} have the wrong shape")]
    Malformed(u32),
    #[error("member {0} was not enrolled by the authority that this site trusts")]
    NotEnrolled(u32),
    #[error("member {0} did not sign what it is said to have signed")]
    Forged(u32),
    #[error("the roster is not in the order of its identities, or names one twice")]
    Disorder,
    #[error("the roster does not hold the keys that this site announced")]
    NotMyKeys,
    #[error("a set of members has the wrong length")]
    Bitmap,
    #[error("a message speaks of member {0}, who has no place in it, or of one twice")]
    Stranger(u32),
    #[error("this site is not among the {0}")]
    LeftOut(&'static str),
    #[error("a roster of {0} sites is larger than any may be")]
    TooMany(usize),
    #[error("the {what} is {offered}, and this device demands {demanded}: sit the round out, or change the policy")]
    Demands { what: &'static str, offered: u32, demanded: u32 },
    #[error("the terms reckon with {terms} colluding sites, and the noise with {noise}")]
    Colluding { terms: usize, noise: u32 },
    #[error("the survivors named are not among those who shared")]
    Survivors,
    #[error("the vector has {have} values, and the terms say {need}")]
    Length { have: usize, need: usize },
    #[error("the update was sealed under masks of another roster: the round is lost to this site")]
    OtherMasks,
    #[error("the message belongs to another step than this site is at")]
    OutOfStep,
    #[error("the budget was reserved for another round")]
    OtherRound,
    #[error("the batch comes without terms, or with such as cannot be")]
    Terms,
    #[error("the helper's key is none")]
    Helper,
    #[error("report {0} was opened before, or stands twice in the batch")]
    Opened(u32),
    #[error(transparent)]
    TooRisky(#[from] TooRisky),
    #[error("the operating system gives no random bytes: {0}")]
    Entropy(String),
}

impl From<getrandom::Error> for Refusal {
    fn from(error: getrandom::Error) -> Self {
        Self::Entropy(error.to_string())
    }
}

/// Why the server does not take a message. The round goes on without it.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum Rejected {
    #[error("the round is at another step")]
    OutOfTurn,
    #[error("the sender has no part in this step")]
    Stranger,
    #[error("the sender has spoken before")]
    Twice,
    #[error("the round is full; wait for the next")]
    Full,
    #[error("the sender was not enrolled")]
    NotEnrolled,
    #[error("the message has the wrong shape, or a signature that does not hold")]
    Malformed,
    #[error("the vector takes {have} bytes, and the terms make it {need}")]
    Length { have: usize, need: usize },
}

/// Why a round failed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum Abort {
    #[error("only {have} {what}, and the terms ask for {need}; start another round, with more sites or more time")]
    TooFew { what: &'static str, have: usize, need: usize },
    #[error("the round cannot go on: {0}")]
    Refused(#[source] Refusal),
    #[error(
        "too few shares of member {0}'s secret: more sites vanished than the terms allow for, or it dealt to too few"
    )]
    Vanished(u32),
    #[error("the shares that member {0} dealt do not fit together: leave it out of the next round")]
    Lost(u32),
    #[error("the helper has not answered")]
    NoHelper,
    #[error("the round is over")]
    Over,
}

#[cfg(test)]
mod tests;
