//! The register of several replicas: one PostgreSQL. Whatever two of them do at a time, one of them does first.
//!
//! A round's row is locked by whoever begins a shard of it or ends it, so that no shard begins in a round that ends. Leases
//! last by the database's clock: replicas' clocks differ. Vectors never come here.

use std::io;
use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, GenericClient, Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime,
    Transaction,
};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use super::connection::Connection;
use super::{Ended, Opened, Place, Register, Released, Replica, Shard, ShardEnd, ShardId, Sites};
use crate::aggregator::background::Background;
use crate::round::Time;

/// The version of the tables.
const FORMAT: i64 = 1;
const TABLES: &str = "
    CREATE TABLE volet (format bigint NOT NULL, task text NOT NULL);
    CREATE TABLE tokens (hash bytea PRIMARY KEY, expires bigint NOT NULL, site bytea);
    CREATE TABLE sites (key bytea PRIMARY KEY, enrolled bigint NOT NULL, struck bigint);
    CREATE TABLE rounds (
        number bigint PRIMARY KEY, opened bigint NOT NULL, gather_until bigint NOT NULL,
        ended bigint, shards bigint, sites bigint, contributors bigint, failure text, quality double precision
    );
    CREATE UNIQUE INDEX one_round_goes_on ON rounds ((true)) WHERE ended IS NULL;
    CREATE TABLE shards (
        round bigint NOT NULL, shard bigint NOT NULL, replica text NOT NULL, address text NOT NULL,
        lease_until timestamptz NOT NULL, gathers boolean NOT NULL, sites bigint, contributors bigint, failure text,
        PRIMARY KEY (round, shard)
    );
    CREATE UNIQUE INDEX one_shard_gathers ON shards (round) WHERE gathers;
    CREATE INDEX shards_that_go_on ON shards (lease_until) WHERE sites IS NULL;
    CREATE TABLE members (
        round bigint NOT NULL, site bytea NOT NULL, shard bigint NOT NULL, PRIMARY KEY (round, site)
    );
    CREATE TABLE releases (number bigint PRIMARY KEY, signed bytea NOT NULL, at bigint NOT NULL);
";

/// What a session is told first. A replica that hangs in a transaction must not keep others from the rows it has locked.
const SESSION: &str = "SET statement_timeout = '10s'; SET lock_timeout = '5s'; SET synchronous_commit = on; \
                       SET idle_in_transaction_session_timeout = '10s'";
/// Tried so often in all, where the database says that trying again helps.
const TRIES: u32 = 6;
const PATIENCE: Duration = Duration::from_secs(30);

/// A register in PostgreSQL.
pub struct Postgres {
    pool: Pool,
    background: Background,
}

type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Postgres {
    /// Makes the tables in a database that has none, with the first release of this task.
    ///
    /// # Errors
    /// The database's; it holds tables already.
    pub fn create(url: &str, task: &str, first: &Released) -> io::Result<()> {
        let register = Self::connect(url)?;
        let made = register.change(async |db| {
            // Whoever else makes them now waits here, and finds them made.
            db.execute("SELECT pg_advisory_xact_lock(hashtext('volet: make the tables'))", &[]).await?;
            let there: bool = db.query_one("SELECT to_regclass('volet') IS NOT NULL", &[]).await?.try_get(0)?;
            if !there {
                db.batch_execute(TABLES).await?;
                db.execute("INSERT INTO volet VALUES ($1, $2)", &[&FORMAT, &task]).await?;
                let insert = "INSERT INTO releases VALUES (0, $1, $2)";
                db.execute(insert, &[&first.signed, &signed(first.at.0)]).await?;
            }
            Ok(!there)
        })?;
        let there =
            || io::Error::new(io::ErrorKind::AlreadyExists, "PostgreSQL: there are tables of an aggregator already");
        if made { Ok(()) } else { Err(there()) }
    }

    /// Opens this task's tables.
    ///
    /// # Errors
    /// The database's; there are none, or those of another task or version.
    pub fn open(url: &str, task: &str) -> io::Result<Self> {
        let register = Self::connect(url)?;
        let found = register.read(async |db| {
            let there: bool = db.query_one("SELECT to_regclass('volet') IS NOT NULL", &[]).await?.try_get(0)?;
            if !there {
                return Ok(None);
            }
            let row = db.query_one("SELECT format, task FROM volet", &[]).await?;
            Ok(Some((row.try_get::<_, i64>(0)?, row.try_get::<_, String>(1)?)))
        })?;
        let wrong = match found {
            None => "there are no tables: make them with `volet-aggregator init`".to_owned(),
            Some((format, _)) if format != FORMAT => {
                format!("its tables are of version {format}, and this program's {FORMAT}")
            }
            Some((_, other)) if other != task => format!("its tables are of task {other}, and these keys of {task}"),
            Some(_) => return Ok(register),
        };
        Err(io::Error::other(format!("PostgreSQL: {wrong}")))
    }

    fn connect(url: &str) -> io::Result<Self> {
        let background = Background::start("postgres")?;
        let Connection { config, tls } = Connection::read(url)?;
        let recycled = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let prepare = Hook::async_fn(|client: &mut ClientWrapper, _| {
            Box::pin(async move { client.batch_execute(SESSION).await.map_err(HookError::Backend) })
        });
        let timeout = Some(Duration::from_secs(10));
        let pool = Pool::builder(Manager::from_config(config, tls, recycled))
            .max_size(16)
            .runtime(Runtime::Tokio1)
            .timeouts(deadpool_postgres::Timeouts { wait: timeout, create: timeout, recycle: timeout })
            .post_create(prepare)
            .build()
            .map_err(io::Error::other)?;
        Ok(Self { pool, background })
    }

    /// Asks for something, as often as that takes.
    fn read<T>(&self, ask: impl AsyncFn(&Object) -> Result<T, Error>) -> io::Result<T> {
        self.attempt(async |client| ask(client).await.map_err(|error| (again(&error) || lost(&error), error)))
    }

    /// Changes something in one transaction, once.
    fn change<T>(&self, change: impl AsyncFn(&Transaction<'_>) -> Result<T, Error>) -> io::Result<T> {
        self.attempt(async |client| {
            let before = |error: Error| (again(&error) || lost(&error), error);
            let transaction = client.transaction().await.map_err(before)?;
            let done = change(&transaction).await.map_err(before)?;
            // A commit whose answer is lost may have happened.
            transaction.commit().await.map_err(|error| (again(&error), error))?;
            Ok(done)
        })
    }

    fn attempt<T>(&self, work: impl AsyncFn(&mut Object) -> Result<T, (bool, Error)>) -> io::Result<T> {
        let mut tries = 1;
        loop {
            let mut client = self.background.wait(PATIENCE, self.pool.get())?.map_err(unreachable)?;
            match self.background.wait(PATIENCE, work(&mut client)) {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err((true, error))) if tries < TRIES => {
                    tracing::debug!(%error, "asked again");
                    tries += 1;
                }
                Ok(Err((_, error))) => return Err(failed(error)),
                Err(late) => {
                    // Nobody knows what this session does.
                    drop(Object::take(client));
                    return Err(late);
                }
            }
        }
    }
}

/// Whether nothing was done, and the same may succeed now.
fn again(error: &Error) -> bool {
    let code = error.code();
    [&SqlState::T_R_SERIALIZATION_FAILURE, &SqlState::T_R_DEADLOCK_DETECTED].into_iter().any(|each| code == Some(each))
}

/// Whether the session has ended, such as one that was open while the database was started again.
fn lost(error: &Error) -> bool {
    let ends = [&SqlState::ADMIN_SHUTDOWN, &SqlState::CRASH_SHUTDOWN, &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT];
    error.is_closed() || error.code().is_some_and(|code| ends.contains(&code))
}

fn failed(error: Error) -> io::Error {
    // What the database says stands behind what the error says of itself.
    match std::error::Error::source(&error) {
        Some(source) => io::Error::other(format!("PostgreSQL: {error}: {source}")),
        None => io::Error::other(format!("PostgreSQL: {error}")),
    }
}

fn unreachable(error: deadpool_postgres::PoolError) -> io::Error {
    match error {
        deadpool_postgres::PoolError::Backend(error) => failed(error),
        error => io::Error::other(format!("PostgreSQL: {error}")),
    }
}

async fn execute(db: &impl GenericClient, statement: &str, values: Parameters<'_>) -> Result<u64, Error> {
    let statement = db.prepare_cached(statement).await?;
    db.execute(&statement, values).await
}

async fn rows(db: &impl GenericClient, statement: &str, values: Parameters<'_>) -> Result<Vec<Row>, Error> {
    let statement = db.prepare_cached(statement).await?;
    db.query(&statement, values).await
}

async fn row(db: &impl GenericClient, statement: &str, values: Parameters<'_>) -> Result<Option<Row>, Error> {
    let statement = db.prepare_cached(statement).await?;
    db.query_opt(&statement, values).await
}

impl Register for Postgres {
    fn add_token(&self, hash: &[u8; 32], expires: Time) -> io::Result<()> {
        let insert = "INSERT INTO tokens VALUES ($1, $2, NULL)";
        self.change(async |db| execute(db, insert, &[&&hash[..], &signed(expires.0)]).await.map(drop))
    }

    fn redeem(&self, hash: &[u8; 32], site: &[u8; 32], now: Time) -> io::Result<bool> {
        let update = "UPDATE tokens SET site = $2 WHERE hash = $1 AND expires > $3 AND (site IS NULL OR site = $2)";
        let insert = "INSERT INTO sites VALUES ($1, $2, NULL) ON CONFLICT DO NOTHING";
        self.change(async |db| {
            let good = execute(db, update, &[&&hash[..], &&site[..], &signed(now.0)]).await? == 1;
            if good {
                execute(db, insert, &[&&site[..], &signed(now.0)]).await?;
            }
            Ok(good)
        })
    }

    fn strike(&self, site: &[u8; 32], now: Time) -> io::Result<bool> {
        let update = "UPDATE sites SET struck = $2 WHERE key = $1 AND struck IS NULL";
        self.change(async |db| Ok(execute(db, update, &[&&site[..], &signed(now.0)]).await? == 1))
    }

    fn is_enrolled(&self, site: &[u8; 32]) -> io::Result<bool> {
        let select = "SELECT 1 FROM sites WHERE key = $1 AND struck IS NULL";
        self.read(async |db| Ok(row(db, select, &[&&site[..]]).await?.is_some()))
    }

    fn sites(&self) -> io::Result<Sites> {
        let count = "SELECT count(*) - count(struck), count(struck) FROM sites";
        self.read(async |db| {
            let row = db.query_one(count, &[]).await?;
            Ok(Sites { enrolled: number(&row, 0)?, struck: number(&row, 1)? })
        })
    }

    fn releases(&self) -> io::Result<Vec<Released>> {
        let select = "SELECT signed, at FROM releases ORDER BY number";
        self.read(async |db| rows(db, select, &[]).await?.iter().map(released).collect())
    }

    fn latest(&self) -> io::Result<Option<Released>> {
        let select = "SELECT signed, at FROM releases ORDER BY number DESC LIMIT 1";
        self.read(async |db| row(db, select, &[]).await?.as_ref().map(released).transpose())
    }

    fn add_release(&self, number: u64, new: &Released) -> io::Result<bool> {
        self.change(async |db| insert_release(db, number, new).await)
    }

    fn rounds(&self, most: u32) -> io::Result<Vec<Ended>> {
        let select = "SELECT number, ended, shards, sites, contributors, failure, quality FROM rounds \
                      WHERE ended IS NOT NULL ORDER BY number DESC LIMIT $1";
        let read = |row: &Row| {
            Ok(Ended {
                number: number(row, 0)?,
                ended: number(row, 1)?,
                shards: small(row, 2)?,
                sites: small(row, 3)?,
                contributors: maybe(row, 4)?,
                failure: row.try_get(5)?,
                quality: row.try_get(6)?,
            })
        };
        self.read(async |db| rows(db, select, &[&i64::from(most)]).await?.iter().rev().map(read).collect())
    }

    fn rounds_with_sites(&self) -> io::Result<u64> {
        let count = "SELECT count(*) FROM rounds WHERE sites > 0";
        self.read(async |db| number(&db.query_one(count, &[]).await?, 0))
    }

    fn present(&self) -> io::Result<Option<Opened>> {
        self.read(async |db| present(db).await)
    }

    fn open(&self, last: u64, now: Time, gather_until: Time) -> io::Result<Option<Opened>> {
        if let Some(present) = self.present()? {
            return Ok(Some(present));
        }
        // Whoever is second finds the number, or the one place for a round that goes on, taken.
        let insert = "INSERT INTO rounds (number, opened, gather_until) SELECT next, $2, $3 \
                      FROM (SELECT coalesce(max(number), 0) + 1 AS next FROM rounds) AS last WHERE next <= $1 \
                      ON CONFLICT DO NOTHING";
        let values = [signed(last), signed(now.0), signed(gather_until.0)];
        self.change(async |db| execute(db, insert, &[&values[0], &values[1], &values[2]]).await)?;
        self.present()
    }

    fn shards(&self, round: u64) -> io::Result<Vec<Shard>> {
        let select = "SELECT shard, gathers, replica, sites, contributors, failure FROM shards WHERE round = $1 \
                      ORDER BY shard";
        let read = |row: &Row| {
            let failure: Option<String> = row.try_get(5)?;
            let contributors = maybe(row, 4)?.ok_or(failure.unwrap_or_default());
            let end = maybe(row, 3)?.map(|sites| ShardEnd { sites, contributors });
            Ok(Shard { shard: small(row, 0)?, gathers: row.try_get(1)?, replica: row.try_get(2)?, end })
        };
        self.read(async |db| rows(db, select, &[&signed(round)]).await?.iter().map(read).collect())
    }

    fn begin(&self, round: u64, most: u32, replica: &Replica) -> io::Result<Option<ShardId>> {
        let insert = "INSERT INTO shards (round, shard, replica, address, lease_until, gathers) \
                      SELECT $1, next, $3, $4, statement_timestamp() + $5 * interval '1 second', true \
                      FROM (SELECT count(*) AS next, coalesce(bool_or(gathers), false) AS busy FROM shards \
                            WHERE round = $1) AS last \
                      WHERE NOT busy AND next < $2 ON CONFLICT DO NOTHING RETURNING shard";
        let Replica { name, address, lease } = replica;
        self.change(async |db| {
            if !lock(db, round).await? {
                return Ok(None);
            }
            let values: Parameters<'_> = &[&signed(round), &i64::from(most), name, address, &lease.as_secs_f64()];
            let begun = row(db, insert, values).await?;
            begun.map(|row| Ok(ShardId { round, shard: small(&row, 0)? })).transpose()
        })
    }

    fn claim(&self, replica: &Replica, most: u32) -> io::Result<Vec<ShardId>> {
        // The statement's own time: all of a replica's leases run out at one instant.
        let renew = "UPDATE shards SET address = $2, lease_until = statement_timestamp() + $3 * interval '1 second' \
                     WHERE replica = $1 AND sites IS NULL";
        let take = "WITH due AS MATERIALIZED ( \
                        SELECT round, shard FROM shards \
                        WHERE sites IS NULL AND replica <> $1 AND lease_until < statement_timestamp() \
                        ORDER BY round, shard LIMIT $4 FOR UPDATE SKIP LOCKED \
                    ) \
                    UPDATE shards SET replica = $1, address = $2, \
                        lease_until = statement_timestamp() + $3 * interval '1 second' \
                    FROM due WHERE shards.round = due.round AND shards.shard = due.shard";
        let select = "SELECT round, shard FROM shards WHERE replica = $1 AND sites IS NULL ORDER BY round, shard";
        let Replica { name, address, lease } = replica;
        let lease = lease.as_secs_f64();
        self.change(async |db| {
            execute(db, renew, &[name, address, &lease]).await?;
            execute(db, take, &[name, address, &lease, &i64::from(most)]).await?;
            let read = |row: &Row| Ok(ShardId { round: number(row, 0)?, shard: small(row, 1)? });
            rows(db, select, &[name]).await?.iter().map(read).collect()
        })
    }

    fn release(&self, replica: &Replica) -> io::Result<()> {
        let update = "UPDATE shards SET lease_until = '-infinity' WHERE replica = $1 AND sites IS NULL";
        self.change(async |db| execute(db, update, &[&replica.name]).await.map(drop))
    }

    fn gathered(&self, ShardId { round, shard }: ShardId) -> io::Result<()> {
        let update = "UPDATE shards SET gathers = false WHERE round = $1 AND shard = $2";
        self.change(async |db| execute(db, update, &[&signed(round), &i64::from(shard)]).await.map(drop))
    }

    fn joined(&self, ShardId { round, shard }: ShardId, sites: &[[u8; 32]]) -> io::Result<()> {
        let insert = "INSERT INTO members SELECT $1, site, $2 FROM unnest($3::bytea[]) AS site ON CONFLICT DO NOTHING";
        let sites: Vec<&[u8]> = sites.iter().map(|site| &site[..]).collect();
        self.change(async |db| execute(db, insert, &[&signed(round), &i64::from(shard), &sites]).await.map(drop))
    }

    fn find(&self, round: u64, site: &[u8; 32]) -> io::Result<Place> {
        let select = "SELECT member.site IS NOT NULL, at.sites IS NOT NULL, at.replica, at.address FROM shards AS at \
                      LEFT JOIN members AS member \
                          ON member.round = at.round AND member.shard = at.shard AND member.site = $2 \
                      WHERE at.round = $1 AND (member.site IS NOT NULL OR at.gathers) \
                      ORDER BY member.site IS NULL LIMIT 1";
        self.read(async |db| {
            let Some(row) = row(db, select, &[&signed(round), &&site[..]]).await? else { return Ok(Place::Nowhere) };
            let over: bool = row.try_get(1)?;
            let (joined, replica, address) = (row.try_get(0)?, row.try_get(2)?, row.try_get(3)?);
            Ok(if over { Place::Over } else { Place::At { joined, replica, address } })
        })
    }

    fn end_shard(&self, ShardId { round, shard }: ShardId, end: &ShardEnd) -> io::Result<()> {
        let update = "UPDATE shards SET gathers = false, sites = $3, contributors = $4, failure = $5 \
                      WHERE round = $1 AND shard = $2 AND sites IS NULL";
        let contributors = end.contributors.as_ref().ok().map(|&contributors| i64::from(contributors));
        let (sites, failure) = (i64::from(end.sites), end.contributors.as_ref().err());
        self.change(async |db| {
            let values: Parameters<'_> = &[&signed(round), &i64::from(shard), &sites, &contributors, &failure];
            execute(db, update, values).await.map(drop)
        })
    }

    fn end_round(&self, ended: &Ended, release: Option<(u64, &Released)>) -> io::Result<bool> {
        let Ended { number: round, ended, shards, sites, contributors, failure, quality } = ended;
        let goes_on = "SELECT 1 FROM shards WHERE round = $1 AND sites IS NULL LIMIT 1";
        let update = "UPDATE rounds SET ended = $2, shards = $3, sites = $4, contributors = $5, failure = $6, \
                      quality = $7 WHERE number = $1";
        let (number, ended) = (signed(*round), signed(*ended));
        let (shards, sites, contributors) = (i64::from(*shards), i64::from(*sites), contributors.map(i64::from));
        self.change(async |db| {
            // Begun since its sums were read: it has to end as well.
            if !lock(db, *round).await? || row(db, goes_on, &[&number]).await?.is_some() {
                return Ok(false);
            }
            if let Some((number, new)) = release
                && !insert_release(db, number, new).await?
            {
                return Ok(false);
            }
            let values: Parameters<'_> = &[&number, &ended, &shards, &sites, &contributors, failure, quality];
            execute(db, update, values).await?;
            // Who was in which shard is nobody's business any more.
            execute(db, "DELETE FROM members WHERE round <= $1", &[&number]).await?;
            Ok(true)
        })
    }
}

/// Locks a round that goes on; whether it does.
async fn lock(db: &Transaction<'_>, round: u64) -> Result<bool, Error> {
    let select = "SELECT 1 FROM rounds WHERE number = $1 AND ended IS NULL FOR UPDATE";
    Ok(row(db, select, &[&signed(round)]).await?.is_some())
}

async fn insert_release(db: &Transaction<'_>, number: u64, new: &Released) -> Result<bool, Error> {
    let insert = "INSERT INTO releases VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    Ok(execute(db, insert, &[&signed(number), &new.signed, &signed(new.at.0)]).await? == 1)
}

async fn present(db: &impl GenericClient) -> Result<Option<Opened>, Error> {
    let select = "SELECT number, opened, gather_until FROM rounds WHERE ended IS NULL";
    let read = |row: Row| {
        let (opened, gather_until) = (Time(number(&row, 1)?), Time(number(&row, 2)?));
        Ok(Opened { number: number(&row, 0)?, opened, gather_until })
    };
    row(db, select, &[]).await?.map(read).transpose()
}

fn released(row: &Row) -> Result<Released, Error> {
    Ok(Released { signed: row.try_get(0)?, at: Time(number(row, 1)?) })
}

/// As PostgreSQL has it: times and numbers do not get there.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(row: &Row, at: usize) -> Result<u64, Error> {
    row.try_get::<_, i64>(at).map(|number| u64::try_from(number).unwrap_or_default())
}

fn small(row: &Row, at: usize) -> Result<u32, Error> {
    row.try_get::<_, i64>(at).map(|number| u32::try_from(number).unwrap_or_default())
}

fn maybe(row: &Row, at: usize) -> Result<Option<u32>, Error> {
    row.try_get::<_, Option<i64>>(at).map(|number| number.map(|number| u32::try_from(number).unwrap_or_default()))
}
