//! A fleet in one process: what a task would teach, and what it would cost, before anyone rolls it out.
//!
//! Updates go through the same clipping, noise, optimizer and accounting as those of real sites. Masks cancel in a sum,
//! so that they are left out where there are many sites; noise is drawn once per sum, exactly in distribution. All that is
//! random follows from a seed: here nobody has anything to hide.
//!
//! **What it is true to.** A site's update is clipped by [`mechanism::Clipped`](crate::mechanism::Clipped), sums are modulo
//! 2^32, a sum of too few sites fails, shards are decoded by the public minimum and combined by [`robust`](crate::robust),
//! the server steps by [`optimizer`](crate::optimizer), and epsilon is the ledgers' own, by zCDP. [`Fidelity::Protocol`] also
//! runs ledgers, masks and the server's rounds. What it leaves out: networks, disks and clocks.
//!
//! **What malicious sites can do.** The server adds up vectors that it cannot read, so that it cannot ask for their norm. A site
//! whose code is its own can send any number that the modulus has, and what it sends is in the sum. The norm bound holds for
//! sites whose code can be trusted to clip, as attested firmware. Where it does not hold, one site spoils the sum that it is
//! in, and [`Combine`] can bound what spoilt sums do to the model while they are fewer than half. [`Attack`] and
//! [`Settings::norm_bound`] model all three: boosted without bound, boosted within the norm bound, and either against the
//! median of the sums.
//!
//! Knows vectors of numbers; a [`Fleet`] knows what they teach.

mod clock;
mod cohort;
mod engine;
mod layout;
mod protocol;
mod random;
mod record;
mod settings;
mod shard;
#[cfg(test)]
mod tests;

pub use engine::{Simulation, SimulationError, State};
pub use layout::Layout;
pub use record::{Record, Spread};
pub use settings::{Attack, Fidelity, Settings, SettingsError};

pub use crate::robust::Combine;

use serde::{Deserialize, Serialize};

/// Adds the mask of a key to a vector, as a site does for each of its neighbours: for benchmarks, since here masks are left out.
pub fn add_mask(vector: &mut [u32], key: &[u8; 32]) {
    crate::secagg::add_mask(vector, key);
}

/// Whose updates are simulated. Asked from several threads at once.
pub trait Fleet: Sync {
    /// How many sites there are.
    fn sites(&self) -> u32;

    /// How many values an update has.
    fn parameters(&self) -> usize;

    /// What an honest site's update is in a round, when `learned` is what the latest release has learned. The same
    /// arguments give the same update.
    ///
    /// # Errors
    /// The site has none: it takes part with zeros.
    fn update(&self, site: u32, round: u32, learned: &[f32]) -> Result<Vec<f32>, FleetError>;

    /// What a malicious site wants to teach instead, before it boosts it. A fleet without a poison of its own turns the
    /// honest update round.
    ///
    /// # Errors
    /// As [`Fleet::update`].
    fn poison(&self, site: u32, round: u32, learned: &[f32]) -> Result<Vec<f32>, FleetError> {
        let mut update = self.update(site, round, learned)?;
        update.iter_mut().for_each(|value| *value = -*value);
        Ok(update)
    }

    /// How good what was learned is, where nobody learned.
    ///
    /// # Errors
    /// It cannot be told, which ends the simulation.
    fn quality(&self, learned: &[f32]) -> Result<Quality, FleetError>;
}

/// Why a fleet cannot answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FleetError(pub String);

/// How good a model is on what nobody learned from; more is better.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// The one number that counts, such as recall at one false positive per picture.
    pub value: f64,
    /// The same for each site that was held out.
    pub per_site: Vec<f64>,
    /// The same where attackers want the model blind, if the fleet knows such a place.
    pub blind_spot: Option<f64>,
}
