//! What an aggregator knows in tables: tokens by their hash, sites by their key, rounds and their shards, releases. No
//! vectors: those are files ([`store`](super::store)).
//!
//! Several replicas may share one register. A shard is driven by the replica that has it on lease, and a lease that is not
//! renewed is anybody's. That two replicas drive one shard at a time can still happen, where clocks or networks stop; that
//! does no harm, since the shard's journal takes each record from one of them alone.

#[cfg(feature = "cluster")]
mod connection;
#[cfg(feature = "cluster")]
mod postgres;
mod sqlite;

use std::io;
use std::time::Duration;

#[cfg(feature = "cluster")]
pub use postgres::Postgres;
pub use sqlite::Sqlite;

use crate::round::Time;

/// A shard of a round: sites whose vectors are summed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId {
    /// The round's number.
    pub round: u64,
    /// From 0.
    pub shard: u32,
}

/// One process that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its name, which no other has.
    pub name: String,
    /// Where the others reach it, as `https://host:port`; empty where there are none.
    pub address: String,
    /// For how long it has a shard without renewing its lease.
    pub lease: Duration,
}

/// A round that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its number.
    pub number: u64,
    /// When it was opened.
    pub opened: Time,
    /// Until when shards may begin.
    pub gather_until: Time,
}

/// A shard as it stands in the register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub shard: u32,
    /// Whether it takes more sites.
    pub gathers: bool,
    /// Who drives it.
    pub replica: String,
    /// How it ended, if it has.
    pub end: Option<ShardEnd>,
}

/// How a shard ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardEnd {
    /// How many sites took part.
    pub sites: u32,
    /// How many are in the sum, which is kept; or why there is none.
    pub contributors: Result<u32, String>,
}

/// How a round ended.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Ended {
    /// Its number.
    pub number: u64,
    /// When, in milliseconds since the epoch.
    pub ended: u64,
    /// In how many shards.
    pub shards: u32,
    /// How many sites took part.
    pub sites: u32,
    /// How many of them the sums are over.
    pub contributors: Option<u32>,
    /// Why there was no release.
    pub failure: Option<String>,
    /// What the team's own evaluation says of the release.
    pub quality: Option<f64>,
}

/// A release, signed, and when that was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    /// An encoded `SignedRelease`.
    pub signed: Vec<u8>,
    /// Milliseconds since the epoch.
    pub at: Time,
}

/// Where a site's messages belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// To the replica with this name and address.
    At {
        /// Whether the site has joined a shard there; else that one takes newcomers.
        joined: bool,
        /// Its name.
        replica: String,
        /// Its address.
        address: String,
    },
    /// Its shard has ended.
    Over,
    /// It has no shard in this round, and none gathers now.
    Nowhere,
}

/// How many sites there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sites {
    /// Enrolled, and not struck off.
    pub enrolled: u64,
    /// Struck off.
    pub struck: u64,
}

/// The tables. All that a call has changed is durable when it returns; a call that failed may be made again.
///
/// Calls block. Errors are the engine's own.
#[allow(clippy::missing_errors_doc)] // said once, above
pub trait Register: Send + Sync + 'static {
    /// Keeps a token's hash.
    fn add_token(&self, hash: &[u8; 32], expires: Time) -> io::Result<()>;

    /// Enrols a site by a token. A token is one site's, who may ask again where it missed the answer; whether it was good.
    fn redeem(&self, hash: &[u8; 32], site: &[u8; 32], now: Time) -> io::Result<bool>;

    /// Strikes a site off; whether it was enrolled.
    fn strike(&self, site: &[u8; 32], now: Time) -> io::Result<bool>;

    /// Whether a site is enrolled, and has not been struck off.
    fn is_enrolled(&self, site: &[u8; 32]) -> io::Result<bool>;

    /// How many sites there are.
    fn sites(&self) -> io::Result<Sites>;

    /// All releases, first to last.
    fn releases(&self) -> io::Result<Vec<Released>>;

    /// The latest release.
    fn latest(&self) -> io::Result<Option<Released>>;

    /// Adds a release; `false` where there is one of that number.
    fn add_release(&self, number: u64, released: &Released) -> io::Result<bool>;

    /// The last `most` rounds that have ended, first to last.
    fn rounds(&self, most: u32) -> io::Result<Vec<Ended>>;

    /// How many of them sites took part in.
    fn rounds_with_sites(&self) -> io::Result<u64>;

    /// The round that goes on.
    fn present(&self) -> io::Result<Option<Opened>>;

    /// Opens the round that follows the last, if none goes on and its number is at most `last`; the round that goes on.
    fn open(&self, last: u64, now: Time, gather_until: Time) -> io::Result<Option<Opened>>;

    /// A round's shards.
    fn shards(&self, round: u64) -> io::Result<Vec<Shard>>;

    /// Begins the round's next shard, on lease to this replica; none while another gathers, there are `most`, or the round has
    /// ended.
    fn begin(&self, round: u64, most: u32, replica: &Replica) -> io::Result<Option<ShardId>>;

    /// Renews this replica's leases and takes over up to `most` that have run out: all shards that it drives now.
    fn claim(&self, replica: &Replica, most: u32) -> io::Result<Vec<ShardId>>;

    /// Lets go of this replica's leases, for others to take over at once.
    fn release(&self, replica: &Replica) -> io::Result<()>;

    /// A shard takes no more sites.
    fn gathered(&self, shard: ShardId) -> io::Result<()>;

    /// These sites belong to this shard.
    fn joined(&self, shard: ShardId, sites: &[[u8; 32]]) -> io::Result<()>;

    /// Where this site's messages of a round belong; where it has no shard yet, to the one that gathers.
    fn find(&self, round: u64, site: &[u8; 32]) -> io::Result<Place>;

    /// A shard has ended. What was said first holds.
    fn end_shard(&self, shard: ShardId, end: &ShardEnd) -> io::Result<()>;

    /// A round has ended, with this release or none; `false`, and nothing is changed, where it had ended before, a shard of it
    /// has not ended, or there is a release of that number.
    fn end_round(&self, ended: &Ended, release: Option<(u64, &Released)>) -> io::Result<bool>;
}
