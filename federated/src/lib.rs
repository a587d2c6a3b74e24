//! Learning from many sites without seeing any: the round protocol, differential privacy and secure
//! aggregation.
//!
//! **Shape.** The protocol is a pair of state machines without I/O, one for the site and one for the
//! aggregator, as rustls and quinn are built: messages in, messages out, time and randomness as arguments.
//! The gRPC service, the storage and the simulator are three drivers of the same machines, so that what is
//! simulated is what is deployed.
//!
//! **Who may use what.** The camera (`volet-edge`) uses the site's side; the aggregator's binary and
//! `volet simulate` use both. This crate uses `volet-proto` for messages and knows no pixels, no model
//! files, no sockets, no clocks and no disks but the folders behind [`storage`]; only the features
//! `aggregator` and `client` add sockets and a clock.
//!
//! **What is here.** The nouns, with their rules checked when they are made, so that what follows need not
//! check again:
//!
//! * [`SiteId`], [`TaskId`], [`RoundId`]: who, what and which round;
//! * [`CohortSize`]: how many sites a sum is over;
//! * [`ClipNorm`], [`NoiseMultiplier`], [`Rho`]: the privacy of an update, in the units of zero-concentrated
//!   differential privacy (Bun and Steinke 2016). A site, one household, is the unit of all of them.
//!
//! And what an update goes through, in this order:
//!
//! 1. [`budget`]: the ledger on a device's disk that keeps its spending within the owner's limits, whatever crashes;
//! 2. [`mechanism`]: clipped and noised in integers;
//! 3. [`secagg`]: masked, so that the server learns a sum and nothing else.
//!
//! The types lead along this way: noise wants a reservation of the ledger, masks want noise, and masked bytes come out by
//! being sealed into the ledger.
//! [`participation`] drives a site's side and keeps it durable, [`round`] the server's, [`helper`] the helper's; [`robust`] makes one update of several
//! sums and [`optimizer`] does with it what was asked for; [`lineage`] is what of it devices accept, and [`task`] what they are asked to do.
//!
//! Beside them [`accounting`]: what noisy sums cost, by four accountants, and what a target leaves to be learned.

// Shared helpers of tests name the crate from outside.
#[cfg(test)]
extern crate self as volet_federated;

pub mod accounting;
#[cfg(feature = "aggregator")]
pub mod aggregator;
pub mod average;
pub mod budget;
#[cfg(any(feature = "aggregator", feature = "client"))]
pub mod camera;
#[cfg(feature = "client")]
pub mod client;
pub mod helper;
mod ids;
pub mod lineage;
pub mod mechanism;
pub mod optimizer;
pub mod participation;
mod privacy;
pub mod robust;
pub mod round;
pub mod secagg;
pub mod signing;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod storage;
pub mod task;

pub use ids::{CohortSize, IdError, RoundId, SiteId, TaskId};
pub use privacy::{ClipNorm, NoiseMultiplier, PrivacyError, Rho};
