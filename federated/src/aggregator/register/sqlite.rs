//! The register of one machine: one SQLite file, and nothing to install. Whoever opens it to serve is the only replica.

use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::{Ended, Opened, Place, Register, Released, Replica, Shard, ShardEnd, ShardId, Sites};
use crate::round::Time;
use crate::storage::sync_parent;

/// The version of the tables.
const FORMAT: i64 = 2;
const TABLES: &str = "
    CREATE TABLE tokens (hash BLOB PRIMARY KEY, expires INTEGER NOT NULL, site BLOB) STRICT;
    CREATE TABLE sites (key BLOB PRIMARY KEY, enrolled INTEGER NOT NULL, struck INTEGER) STRICT;
    CREATE TABLE rounds (
        number INTEGER PRIMARY KEY, opened INTEGER NOT NULL, gather_until INTEGER NOT NULL,
        ended INTEGER, shards INTEGER, sites INTEGER, contributors INTEGER, failure TEXT, quality REAL
    ) STRICT;
    CREATE TABLE shards (
        round INTEGER NOT NULL, shard INTEGER NOT NULL, replica TEXT NOT NULL, address TEXT NOT NULL,
        gathers INTEGER NOT NULL, sites INTEGER, contributors INTEGER, failure TEXT, PRIMARY KEY (round, shard)
    ) STRICT;
    CREATE TABLE members (
        round INTEGER NOT NULL, site BLOB NOT NULL, shard INTEGER NOT NULL, PRIMARY KEY (round, site)
    ) STRICT;
    CREATE TABLE releases (number INTEGER PRIMARY KEY, signed BLOB NOT NULL, at INTEGER NOT NULL) STRICT;
";

/// A register in a file.
pub struct Sqlite {
    db: Mutex<Connection>,
}

impl Sqlite {
    /// Makes a register in a file that does not exist, with its first release.
    ///
    /// # Errors
    /// The disk's; there is a file.
    pub fn create(path: &Path, first: &Released) -> io::Result<()> {
        if path.exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        // Under another name until it is whole.
        let new = path.with_extension("new");
        let _ = std::fs::remove_file(&new);
        let mut db = Connection::open(&new).map_err(failed)?;
        let transaction = db.transaction().map_err(failed)?;
        transaction.execute_batch(TABLES).map_err(failed)?;
        let insert = "INSERT INTO releases VALUES (0, ?1, ?2)";
        transaction.execute(insert, params![first.signed, first.at.0]).map_err(failed)?;
        transaction.pragma_update(None, "user_version", FORMAT).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        drop(db);
        std::fs::rename(new, path)?;
        sync_parent(path)
    }

    /// Opens a register.
    ///
    /// # Errors
    /// The disk's; there is none, or one of another version.
    pub fn open(path: &Path) -> io::Result<Self> {
        if !path.exists() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let db = Connection::open(path).map_err(failed)?;
        db.busy_timeout(Duration::from_secs(10)).map_err(failed)?;
        db.pragma_update(None, "journal_mode", "wal").map_err(failed)?;
        // What is told is on the disk.
        db.pragma_update(None, "synchronous", "full").map_err(failed)?;
        let format: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
        if format != FORMAT {
            return Err(io::Error::other(format!("its tables are of version {format}, and this program's {FORMAT}")));
        }
        Ok(Self { db: Mutex::new(db) })
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        // A panic between two statements left a transaction that SQLite has rolled back.
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> io::Result<T> {
        let mut db = self.db();
        // A transaction that reads first and then finds another writer would fail.
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let done = change(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(done)
    }
}

fn failed(error: rusqlite::Error) -> io::Error {
    io::Error::other(error)
}

impl Register for Sqlite {
    fn add_token(&self, hash: &[u8; 32], expires: Time) -> io::Result<()> {
        let insert = "INSERT INTO tokens VALUES (?1, ?2, NULL)";
        self.db().execute(insert, params![hash, expires.0]).map(drop).map_err(failed)
    }

    fn redeem(&self, hash: &[u8; 32], site: &[u8; 32], now: Time) -> io::Result<bool> {
        self.change(|db| {
            let update = "UPDATE tokens SET site = ?2 WHERE hash = ?1 AND expires > ?3 AND (site IS NULL OR site = ?2)";
            if db.execute(update, params![hash, site, now.0])? != 1 {
                return Ok(false);
            }
            db.execute("INSERT INTO sites VALUES (?1, ?2, NULL) ON CONFLICT DO NOTHING", params![site, now.0])?;
            Ok(true)
        })
    }

    fn strike(&self, site: &[u8; 32], now: Time) -> io::Result<bool> {
        let update = "UPDATE sites SET struck = ?2 WHERE key = ?1 AND struck IS NULL";
        Ok(self.db().execute(update, params![site, now.0]).map_err(failed)? == 1)
    }

    fn is_enrolled(&self, site: &[u8; 32]) -> io::Result<bool> {
        let select = "SELECT 1 FROM sites WHERE key = ?1 AND struck IS NULL";
        let row = self.db().query_row(select, [site], |_| Ok(())).optional();
        row.map(|row| row.is_some()).map_err(failed)
    }

    fn sites(&self) -> io::Result<Sites> {
        let count = "SELECT count(*) - count(struck), count(struck) FROM sites";
        let read = |row: &Row<'_>| Ok(Sites { enrolled: row.get(0)?, struck: row.get(1)? });
        self.db().query_row(count, [], read).map_err(failed)
    }

    fn releases(&self) -> io::Result<Vec<Released>> {
        let db = self.db();
        let mut select = db.prepare("SELECT signed, at FROM releases ORDER BY number").map_err(failed)?;
        select.query_map([], released).and_then(Iterator::collect).map_err(failed)
    }

    fn latest(&self) -> io::Result<Option<Released>> {
        let select = "SELECT signed, at FROM releases ORDER BY number DESC LIMIT 1";
        self.db().query_row(select, [], released).optional().map_err(failed)
    }

    fn add_release(&self, number: u64, new: &Released) -> io::Result<bool> {
        let insert = "INSERT INTO releases VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        Ok(self.db().execute(insert, params![number, new.signed, new.at.0]).map_err(failed)? == 1)
    }

    fn rounds(&self, most: u32) -> io::Result<Vec<Ended>> {
        let db = self.db();
        let select = "SELECT number, ended, shards, sites, contributors, failure, quality FROM rounds \
                      WHERE ended IS NOT NULL ORDER BY number DESC LIMIT ?1";
        let mut select = db.prepare(select).map_err(failed)?;
        let rows = select.query_map([most], |row| {
            let (number, ended, shards, sites) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            let (contributors, failure, quality) = (row.get(4)?, row.get(5)?, row.get(6)?);
            Ok(Ended { number, ended, shards, sites, contributors, failure, quality })
        });
        let mut rounds: Vec<Ended> = rows.and_then(Iterator::collect).map_err(failed)?;
        rounds.reverse();
        Ok(rounds)
    }

    fn rounds_with_sites(&self) -> io::Result<u64> {
        let count = "SELECT count(*) FROM rounds WHERE sites > 0";
        self.db().query_row(count, [], |row| row.get(0)).map_err(failed)
    }

    fn present(&self) -> io::Result<Option<Opened>> {
        present(&self.db()).map_err(failed)
    }

    fn open(&self, last: u64, now: Time, gather_until: Time) -> io::Result<Option<Opened>> {
        self.change(|db| {
            if let Some(present) = present(db)? {
                return Ok(Some(present));
            }
            let number: u64 = db.query_row("SELECT coalesce(max(number), 0) + 1 FROM rounds", [], |row| row.get(0))?;
            if number > last {
                return Ok(None);
            }
            let insert = "INSERT INTO rounds (number, opened, gather_until) VALUES (?1, ?2, ?3)";
            db.execute(insert, params![number, now.0, gather_until.0])?;
            Ok(Some(Opened { number, opened: now, gather_until }))
        })
    }

    fn shards(&self, round: u64) -> io::Result<Vec<Shard>> {
        let db = self.db();
        let select = "SELECT shard, gathers, replica, sites, contributors, failure FROM shards WHERE round = ?1 \
                      ORDER BY shard";
        let mut select = db.prepare(select).map_err(failed)?;
        let rows = select.query_map([round], |row| {
            let sites: Option<u32> = row.get(3)?;
            let (contributors, failure): (Option<u32>, Option<String>) = (row.get(4)?, row.get(5)?);
            let contributors = contributors.ok_or(failure.unwrap_or_default());
            let end = sites.map(|sites| ShardEnd { sites, contributors });
            Ok(Shard { shard: row.get(0)?, gathers: row.get(1)?, replica: row.get(2)?, end })
        });
        rows.and_then(Iterator::collect).map_err(failed)
    }

    fn begin(&self, round: u64, most: u32, replica: &Replica) -> io::Result<Option<ShardId>> {
        self.change(|db| {
            let count = "SELECT count(*), coalesce(max(gathers), 0) FROM shards WHERE round = ?1";
            let (shard, gathers): (u32, bool) = db.query_row(count, [round], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let goes_on = present(db)?.is_some_and(|present| present.number == round);
            if gathers || shard >= most || !goes_on {
                return Ok(None);
            }
            let insert = "INSERT INTO shards (round, shard, replica, address, gathers) VALUES (?1, ?2, ?3, ?4, 1)";
            db.execute(insert, params![round, shard, replica.name, replica.address])?;
            Ok(Some(ShardId { round, shard }))
        })
    }

    fn claim(&self, replica: &Replica, _most: u32) -> io::Result<Vec<ShardId>> {
        self.change(|db| {
            let update =
                "UPDATE shards SET replica = ?1, address = ?2 WHERE sites IS NULL AND (replica, address) <> (?1, ?2)";
            db.execute(update, params![replica.name, replica.address])?;
            let mut select = db.prepare("SELECT round, shard FROM shards WHERE sites IS NULL")?;
            let rows = select.query_map([], |row| Ok(ShardId { round: row.get(0)?, shard: row.get(1)? }))?;
            rows.collect()
        })
    }

    fn release(&self, _replica: &Replica) -> io::Result<()> {
        Ok(())
    }

    fn gathered(&self, ShardId { round, shard }: ShardId) -> io::Result<()> {
        let update = "UPDATE shards SET gathers = 0 WHERE round = ?1 AND shard = ?2";
        self.db().execute(update, params![round, shard]).map(drop).map_err(failed)
    }

    fn joined(&self, ShardId { round, shard }: ShardId, sites: &[[u8; 32]]) -> io::Result<()> {
        self.change(|db| {
            let mut insert = db.prepare("INSERT INTO members VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
            sites.iter().try_for_each(|site| insert.execute(params![round, site, shard]).map(drop))
        })
    }

    fn find(&self, round: u64, site: &[u8; 32]) -> io::Result<Place> {
        let own = "SELECT replica, address, sites IS NOT NULL FROM shards WHERE round = ?1 AND \
                   shard = (SELECT shard FROM members WHERE round = ?1 AND site = ?2)";
        let gathers = "SELECT replica, address, 0 FROM shards WHERE round = ?1 AND gathers AND ?2 IS NOT NULL";
        let db = self.db();
        for (joined, select) in [(true, own), (false, gathers)] {
            let place = |row: &Row<'_>| {
                let over: bool = row.get(2)?;
                let (replica, address) = (row.get(0)?, row.get(1)?);
                Ok(if over { Place::Over } else { Place::At { joined, replica, address } })
            };
            if let Some(place) = db.query_row(select, params![round, site], place).optional().map_err(failed)? {
                return Ok(place);
            }
        }
        Ok(Place::Nowhere)
    }

    fn end_shard(&self, ShardId { round, shard }: ShardId, end: &ShardEnd) -> io::Result<()> {
        let (contributors, failure) = (end.contributors.as_ref().ok(), end.contributors.as_ref().err());
        let update = "UPDATE shards SET gathers = 0, sites = ?3, contributors = ?4, failure = ?5 \
                      WHERE round = ?1 AND shard = ?2 AND sites IS NULL";
        let values = params![round, shard, end.sites, contributors, failure];
        self.db().execute(update, values).map(drop).map_err(failed)
    }

    fn end_round(&self, ended: &Ended, release: Option<(u64, &Released)>) -> io::Result<bool> {
        let mut db = self.db();
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let Ended { number, ended, shards, sites, contributors, failure, quality } = ended;
        let update = "UPDATE rounds SET ended = ?2, shards = ?3, sites = ?4, contributors = ?5, failure = ?6, quality = ?7 \
                      WHERE number = ?1 AND ended IS NULL \
                          AND NOT EXISTS (SELECT 1 FROM shards WHERE round = ?1 AND sites IS NULL)";
        let values = params![number, ended, shards, sites, contributors, failure, quality];
        let mut first = transaction.execute(update, values).map_err(failed)? == 1;
        if let Some((number, new)) = release {
            let insert = "INSERT INTO releases VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
            first &= transaction.execute(insert, params![number, new.signed, new.at.0]).map_err(failed)? == 1;
        }
        if first {
            // Who was in which shard is nobody's business any more.
            transaction.execute("DELETE FROM members WHERE round = ?1", [number]).map_err(failed)?;
            transaction.commit().map_err(failed)?;
        }
        Ok(first)
    }
}

fn released(row: &Row<'_>) -> rusqlite::Result<Released> {
    Ok(Released { signed: row.get(0)?, at: Time(row.get(1)?) })
}

fn present(db: &Connection) -> rusqlite::Result<Option<Opened>> {
    let select = "SELECT number, opened, gather_until FROM rounds WHERE ended IS NULL";
    let read =
        |row: &Row<'_>| Ok(Opened { number: row.get(0)?, opened: Time(row.get(1)?), gather_until: Time(row.get(2)?) });
    db.query_row(select, [], read).optional()
}
