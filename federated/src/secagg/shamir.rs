//! Secrets in shares (Shamir 1979), over the scalar field of Curve25519: a prime field of about 2^252 whose arithmetic in
//! curve25519-dalek takes constant time.
//!
//! A secret is a uniform element of the field, kept whole: no seed is cut to fit. A share is the polynomial at the
//! holder's index plus one.

use curve25519_dalek::Scalar;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A uniform element of the field, from which masks and keys are derived.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Seed(Scalar);

/// What a site's secrets of one round are derived from, so that a process that was killed goes on with the very same: 32 bytes
/// of the operating system, and of one round only.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RoundSecret([u8; 32]);

/// A stream of uniform elements.
pub(crate) struct Scalars(blake3::OutputReader);

/// One holder's share of a seed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Share(Scalar);

impl Seed {
    /// A fresh seed from the operating system's generator.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes)?;
        Ok(Self(uniform(bytes)))
    }

    /// A key for one purpose.
    pub(crate) fn key(&self, context: &str) -> [u8; 32] {
        blake3::derive_key(context, self.0.as_bytes())
    }

    /// Shares of the seed, one for each index, of which `threshold` reconstruct it and fewer say nothing. The stream must
    /// serve nothing else.
    pub(crate) fn split(&self, threshold: usize, indices: &[u32], mut stream: Scalars) -> Vec<Share> {
        let mut coefficients: Vec<Scalar> = (1..threshold).map(|_| stream.next()).collect();
        let at = |index: u32| {
            let x = place(index);
            // Horner's rule from the highest coefficient down.
            Share(coefficients.iter().rev().fold(Scalar::ZERO, |sum, c| (sum + c) * x) + self.0)
        };
        let shares = indices.iter().map(|&index| at(index)).collect();
        coefficients.zeroize();
        shares
    }
}

impl RoundSecret {
    /// A fresh one.
    ///
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut secret = Self([0; 32]);
        getrandom::fill(&mut secret.0)?;
        Ok(secret)
    }

    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A seed for one purpose in what `bound` is the digest of.
    pub(crate) fn seed(&self, context: &str, bound: &[u8; 32]) -> Seed {
        Seed(self.stream(context, bound).next())
    }

    /// Elements for one purpose in what `bound` is the digest of.
    pub(crate) fn stream(&self, context: &str, bound: &[u8; 32]) -> Scalars {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        hasher.update(&self.0).update(bound);
        Scalars(hasher.finalize_xof())
    }
}

impl Scalars {
    fn next(&mut self) -> Scalar {
        let mut bytes = [0; 64];
        self.0.fill(&mut bytes);
        uniform(bytes)
    }
}

impl Share {
    pub(crate) fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Reads a share; `None` for what is no element of the field.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = <[u8; 32]>::try_from(bytes).ok()?;
        Option::from(Scalar::from_canonical_bytes(bytes)).map(Self)
    }
}

/// Weights that take the shares of these holders to the seed: those of Lagrange at zero. Holders must differ.
#[derive(Clone)]
pub(crate) struct Weights(Vec<Scalar>);

impl Weights {
    pub(crate) fn of(holders: &[u32]) -> Self {
        let places = || holders.iter().map(|&h| i64::from(h) + 1);
        let parts = places().map(|own| {
            let others = || places().filter(move |&other| other != own);
            (product(others()), product(others().map(move |other| other - own)))
        });
        let (tops, mut lows): (Vec<Scalar>, Vec<Scalar>) = parts.unzip();
        Scalar::invert_batch_alloc(&mut lows);
        Self(tops.iter().zip(&lows).map(|(top, low)| top * low).collect())
    }

    /// The seed, from shares in the order of the holders.
    pub(crate) fn combine<'a>(&self, shares: impl Iterator<Item = &'a Share>) -> Seed {
        Seed(self.0.iter().zip(shares).map(|(weight, share)| weight * share.0).sum())
    }
}

/// The product of small numbers: as many at a time as fit an integer, since an integer's product costs a hundredth of the
/// field's.
fn product(factors: impl Iterator<Item = i64>) -> Scalar {
    let (mut whole, mut part, mut negative) = (Scalar::ONE, 1_u128, false);
    for factor in factors {
        negative ^= factor < 0;
        let factor = u128::from(factor.unsigned_abs());
        part = part.checked_mul(factor).unwrap_or_else(|| {
            whole *= Scalar::from(part);
            factor
        });
    }
    whole *= Scalar::from(part);
    if negative { -whole } else { whole }
}

fn place(index: u32) -> Scalar {
    Scalar::from(u64::from(index) + 1)
}

/// 512 bits reduced modulo 2^252 leave no bias that matters.
fn uniform(mut bytes: [u8; 64]) -> Scalar {
    let scalar = Scalar::from_bytes_mod_order_wide(&bytes);
    bytes.zeroize();
    scalar
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_threshold_of_shares_gives_the_seed_and_fewer_do_not(
            threshold in 1_usize..20, extra in 0_usize..20, skip in 0_usize..20,
        ) {
            let holders: Vec<u32> = (0..(threshold + extra) as u32).map(|i| i * 7).collect();
            let secret = RoundSecret::random().unwrap();
            let seed = secret.seed("a test's seed", &[1; 32]);
            let shares = seed.split(threshold, &holders, secret.stream("a test's shares", &[2; 32]));
            let from = |range: std::ops::Range<usize>| {
                Weights::of(&holders[range.clone()]).combine(shares[range].iter())
            };
            let start = skip.min(extra);
            prop_assert!(from(start..start + threshold) == seed);
            if threshold > 1 {
                prop_assert!(from(start..start + threshold - 1) != seed);
            }
            prop_assert!(Share::read(&shares[0].to_bytes()).as_ref() == Some(&shares[0]));
        }
    }

    #[test]
    fn what_is_no_element_is_no_share() {
        assert!(Share::read(&[0xff; 32]).is_none());
        assert!(Share::read(&[0; 31]).is_none());
    }
}
