//! What a number of noisy sums costs, by four accountants that check each other.
//!
//! * [`zcdp`] is what a site's ledger counts with: it adds up under any adaptive schedule, and it holds for the
//!   discrete Gaussian that sites draw as it does for the continuous one;
//! * [`gdp`] is exact for the continuous Gaussian, and so a floor to measure the others by;
//! * [`rdp`] and [`pld`] also know Poisson sampling. They are for what-if questions and never a ledger: the
//!   aggregator sees who takes part, so that no amplification by sampling is claimed, and PLDs do not
//!   compose when what is asked next depends on what was answered.
//!
//! [`empirical`] bounds from below what a mechanism really gives, by an attacker's counted errors. [`plan`] answers, before a roll-out, how much noise a target needs and what can be learned through it.
//!
//! **The unit.** Neighbours differ in all that one site gives, added or removed. Noise is stated as the multiplier
//! z: standard deviation over the largest norm of one site's part.
//!
//! **Never too low.** Every epsilon and delta given out is at least the true one: bounds on rounding errors, on
//! what a grid cuts off and on what a transform mixes up are added, never dropped. Inverses (a noise, a rho) are
//! rounded to the private side in the same way. Extreme questions get coarser answers, not longer computations.
//!
//! This module knows no rounds, no ledgers and no messages; it computes.

pub mod empirical;
pub mod gdp;
mod numerics;
pub mod plan;
pub mod pld;
mod quantities;
pub mod rdp;
#[cfg(test)]
mod tests;
pub mod zcdp;

pub use quantities::{AccountingError, Delta, Epsilon, Mechanism, Rounds, SamplingRate};

/// The same rounds by every accountant that applies: each number is an epsilon at the delta asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Account {
    /// Zero-concentrated differential privacy: what the ledger counts. None under sampling.
    pub zcdp: Option<f64>,
    /// Gaussian differential privacy: exact for the continuous Gaussian. None under sampling.
    pub gdp: Option<f64>,
    /// Renyi differential privacy, over [`rdp::orders`].
    pub rdp: f64,
    /// Privacy loss distributions.
    pub pld: f64,
}

/// Accounts for `rounds` of `mechanism`, each seen by everybody, at `delta`.
pub fn account(mechanism: Mechanism, rounds: Rounds, delta: Delta) -> Account {
    let unsampled = mechanism.sampling().is_none();
    Account {
        zcdp: unsampled.then(|| zcdp::epsilon_of_rounds(mechanism, rounds, delta)),
        gdp: unsampled.then(|| gdp::Mu::of_rounds(mechanism, rounds).epsilon(delta)),
        rdp: rdp::epsilon(mechanism, rounds, delta),
        pld: pld::epsilon(mechanism, rounds, delta),
    }
}
