//! The aggregator over a real network: certificates, the coordinator of rounds, and the calls that it answers.
//!
//! * `pki`: the authority that signs sites' certificates, and which site a certificate is;
//! * `coordinator`: one thread that owns the round and its disk; the clock is read here and nowhere below;
//! * `config`, `book`: what the team decides, and what is kept, on one machine;
//! * `service`: calls, cut to size and passed on;
//! * [`command`]: what people type.
//!
//! It never sees an update: what it decodes are sums.

mod book;
pub mod command;
mod config;
mod coordinator;
mod pki;
mod service;
mod setup;

pub use crate::camera::Camera;
pub use book::{Book, Ended, Keys};
pub use config::{Checked, Config, ConfigError};
pub use coordinator::{Busy, Coordinator, Heard, Rounds};
pub use pki::{CertificateAuthority, Certified, PkiError, site_of};
pub use service::{Limits, Service, Serving};
pub use setup::{Setup, SetupError};
