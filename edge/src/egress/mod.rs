//! The one door out. Whatever leaves a camera, over a network or as a file for others, passes here and is in the egress ledger
//! before it goes.
//!
//! ```text
//! client::Link --calls, in the clear--> Gate --consent, address, rules, budget, limits--> ledger --> TLS
//!              --TLS records----------> wire --consent, limits-------------------------> ledger --> socket
//! batch        --redacted files-------> Exports --consent------------------------------> ledger --> folder
//! ```
//!
//! Nothing else in this crate opens a socket to anywhere, but for a network camera's own stream (`source::rtsp`), which comes in, and the
//! owner's page on 127.0.0.1 (`learn::desk`). Knows no pixels.

#[cfg(feature = "agent")]
mod consent;
#[cfg(feature = "agent")]
mod exports;
#[cfg(feature = "agent")]
mod gate;
pub mod ledger;
#[cfg(feature = "agent")]
mod names;
#[cfg(feature = "agent")]
mod place;
#[cfg(feature = "agent")]
mod rules;
#[cfg(feature = "agent")]
mod wire;

#[cfg(feature = "agent")]
pub use consent::{Consent, ConsentError};
#[cfg(feature = "agent")]
pub use exports::Exports;
#[cfg(feature = "agent")]
pub use gate::{Gate, GateError, Purpose};
#[cfg(feature = "agent")]
pub(crate) use place::{EXPORTS, HEADS, LEDGER, Place, private_folder};
#[cfg(feature = "agent")]
pub use place::{PlaceError, exports, ledgers};
