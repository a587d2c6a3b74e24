//! What a round is before anyone takes part, checked when it is made.

use volet_proto::v1;

use super::parameters::Risk;
use crate::{CohortSize, IdError, RoundId};

/// Why terms are none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum TermsError {
    #[error(transparent)]
    Id(#[from] IdError),
    #[error("a vector has 1 to {max} values, not {0}", max = Terms::LONGEST)]
    Dimension(u32),
    #[error("sums are taken modulo 2^8 to 2^32, not 2^{0}")]
    Modulus(u32),
    #[error("{what} is {min} to {max}, not {given}")]
    Risk { what: &'static str, min: u32, max: u32, given: u32 },
}

/// The terms of a round. Everyone who takes part holds the same; every signature and every key of the round is bound
/// to their [digest](Self::digest).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    round: RoundId,
    dimension: usize,
    modulus: Modulus,
    minimum: CohortSize,
    risk: Risk,
}

impl Terms {
    /// The longest vector: what a device's ledger keeps of one round.
    pub const LONGEST: u32 = 4_000_000;

    /// Terms for a vector of `dimension` values summed over at least `minimum` sites.
    ///
    /// # Errors
    /// [`TermsError::Dimension`]: none or more than [`LONGEST`](Self::LONGEST).
    pub fn new(
        round: RoundId,
        dimension: u32,
        modulus: Modulus,
        minimum: CohortSize,
        risk: Risk,
    ) -> Result<Self, TermsError> {
        if !(1..=Self::LONGEST).contains(&dimension) {
            return Err(TermsError::Dimension(dimension));
        }
        Ok(Self { round, dimension: dimension as usize, modulus, minimum, risk })
    }

    /// The round.
    pub const fn round(&self) -> RoundId {
        self.round
    }

    /// Values in a vector.
    pub const fn dimension(&self) -> usize {
        self.dimension
    }

    /// What sums are taken modulo.
    pub const fn modulus(&self) -> Modulus {
        self.modulus
    }

    /// No sum over fewer sites is ever unmasked.
    pub const fn minimum(&self) -> CohortSize {
        self.minimum
    }

    /// What may go wrong, and how often.
    pub const fn risk(&self) -> Risk {
        self.risk
    }

    /// BLAKE3 of the terms, under a context of its own. Field by field in fixed widths, since protobuf promises no
    /// canonical bytes.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("volet 2026-11 secure aggregation: terms of a round");
        hasher.update(self.round.task().as_bytes());
        hasher.update(&self.round.number().to_le_bytes());
        let numbers = [
            self.dimension as u32,
            self.modulus.bits(),
            self.minimum.get(),
            self.risk.corrupt_per_mille(),
            self.risk.dropout_per_mille(),
            self.risk.security_bits(),
            self.risk.correctness_bits(),
        ];
        for number in numbers {
            hasher.update(&number.to_le_bytes());
        }
        *hasher.finalize().as_bytes()
    }
}

impl From<Terms> for v1::Terms {
    fn from(terms: Terms) -> Self {
        Self {
            round: Some(terms.round.into()),
            dimension: terms.dimension as u32,
            modulus_bits: terms.modulus.bits(),
            minimum: terms.minimum.get(),
            corrupt_per_mille: terms.risk.corrupt_per_mille(),
            dropout_per_mille: terms.risk.dropout_per_mille(),
            security_bits: terms.risk.security_bits(),
            correctness_bits: terms.risk.correctness_bits(),
        }
    }
}

impl TryFrom<v1::Terms> for Terms {
    type Error = TermsError;

    fn try_from(m: v1::Terms) -> Result<Self, TermsError> {
        let round = RoundId::try_from(m.round.ok_or(IdError::Missing("round"))?)?;
        let risk = Risk::new(m.corrupt_per_mille, m.dropout_per_mille, m.security_bits, m.correctness_bits)?;
        Self::new(round, m.dimension, Modulus::new(m.modulus_bits)?, CohortSize::new(m.minimum)?, risk)
    }
}

/// 2^b, what sums are taken modulo. Values on the wire take b bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modulus(u32);

impl Modulus {
    /// 2^32.
    pub const FULL: Self = Self(32);

    /// 2^`bits`.
    ///
    /// # Errors
    /// [`TermsError::Modulus`]: not 8 to 32 bits.
    pub const fn new(bits: u32) -> Result<Self, TermsError> {
        if bits < 8 || bits > 32 { Err(TermsError::Modulus(bits)) } else { Ok(Self(bits)) }
    }

    /// The exponent.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The values -2^(b-1) to 2^(b-1) - 1 that a residue stands for.
    pub const fn centred(self, residue: u32) -> i32 {
        let spare = 32 - self.0;
        ((residue << spare) as i32) >> spare
    }
}
