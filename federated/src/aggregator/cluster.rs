//! What several replicas share, by `config.toml` and the environment: passwords, and what each replica has of its own, come
//! from there. Knows neither tables nor files.

use std::env::var;
use std::io;

use super::config::{Checked, ConfigError, Member, Shared};
use super::register::{Postgres, Released, Replica};
use super::setup::SetupError;
use super::store::{Bucket, Objects, Store};
use crate::TaskId;

/// Prepares the database and the bucket: tables, and the first release with its file.
pub(super) fn create(
    shared: &Shared,
    task: TaskId,
    first: impl FnOnce(&dyn Store) -> io::Result<Released>,
) -> Result<(), SetupError> {
    // Files are durable before the rows that name them.
    let first = first(&objects(shared)?).map_err(SetupError::Shared)?;
    Postgres::create(&url(shared), &task.to_string(), &first).map_err(SetupError::Shared)
}

/// The database and the bucket, and this process among those that share them.
pub(super) fn open(
    shared: &Shared,
    checked: &Checked,
    task: TaskId,
) -> Result<(Postgres, Objects, Replica), SetupError> {
    let Replica { name, address, lease } = replica(checked)?;
    let register = Postgres::open(&url(shared), &task.to_string()).map_err(SetupError::Shared)?;
    Ok((register, objects(shared)?, Replica { name, address, lease }))
}

fn replica(checked: &Checked) -> Result<Replica, ConfigError> {
    let Member { name, address, lease_s } = checked.config.replica.clone();
    let name = var("VOLET_REPLICA_NAME").unwrap_or(name);
    let address = var("VOLET_REPLICA_ADDRESS").unwrap_or(address);
    let member = Member { name, address, lease_s };
    member.check()?;
    Ok(Replica { name: member.name, address: member.address, lease: checked.lease() })
}

fn url(shared: &Shared) -> String {
    var("VOLET_DATABASE_URL").unwrap_or_else(|_| shared.url.clone())
}

fn objects(shared: &Shared) -> Result<Objects, SetupError> {
    let Shared { objects, endpoint, region, .. } = shared.clone();
    Objects::open(&Bucket { url: objects, endpoint, region }).map_err(SetupError::Shared)
}
