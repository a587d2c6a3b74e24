//! The aggregator over a real network: certificates, the coordinator of rounds, and the calls that it answers.
//!
//! * `pki`: the authority that signs sites' certificates, and which site a certificate is;
//! * [`register`], [`store`]: tables and files, on one machine or shared by several replicas;
//! * `coordinator`: one thread that drives shards of a round; the clock is read here and nowhere below;
//! * `config`, `book`: what the team decides, and what becomes of rounds;
//! * `cluster`: what several replicas share, found by configuration and environment;
//! * `service`, `turns`, `listen`, `peers`: calls, cut to size and passed on;
//! * [`state`], [`web`]: what people see;
//! * [`command`]: what people type.
//!
//! It never sees an update: what it decodes are sums.

#[cfg(feature = "cluster")]
mod background;
mod book;
#[cfg(feature = "cluster")]
mod cluster;
pub mod command;
mod config;
mod coordinator;
mod evaluate;
mod listen;
mod peers;
mod pki;
pub mod register;
mod service;
mod setup;
pub mod state;
pub mod store;
mod turns;
pub mod web;

pub use crate::camera::Camera;
pub use book::{Book, Keys};
pub use config::{Checked, Config, ConfigError, DELTA, Evaluate, Shared};
pub use coordinator::{Busy, Coordinator, Finish, Heard, Live, LiveShard, Rounds};
pub use peers::Peers;
pub use pki::{CertificateAuthority, Certified, PkiError, site_of};
pub use service::{Limits, Service, Serving};
pub use setup::{Setup, SetupError};
