//! A round at the server that survives its process: the machine of [`secagg`](crate::secagg), and a log of all that it
//! was told.
//!
//! The machine draws no random number and reads no clock, so that the log *is* the round: read again, it gives the same
//! machine at the same step, the same messages for the sites, and in the end the same sum. What a site was told has
//! arrived is in the log (G9).
//!
//! No sockets and no clocks here: messages come in and are asked for, time is an argument. Vectors lie in the log under
//! their masks; it is removed with the round.

mod driver;
mod journal;
mod log;
mod plan;

pub use driver::{Outcome, Receipt, Round, RoundError};
pub use journal::Journal;
pub use log::Log;
pub use plan::{Kind, Patience, Plan, Time};

#[cfg(test)]
mod tests;
