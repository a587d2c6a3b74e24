//! What an aggregator keeps: one SQLite file, and folders of files beside it. No installation, one machine.
//!
//! * `book.sqlite`: tokens (by their hash), sites (by their key), rounds, releases;
//! * `round/`: the log of the round that is going on;
//! * `files/`: released files by their hash, and the optimizer's memory by round.
//!
//! A site is a key and the day of its enrolment, and nothing else is known of it. Files are durable before the rows that name
//! them.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use prost::Message;
use rusqlite::{Connection, OptionalExtension, params};
use volet_proto::v1;

use super::config::Checked;
use super::coordinator::{Rounds, wall};
use super::pki::CertificateAuthority;
use super::service::Serving;
use crate::lineage::{Lineage, Release};
use crate::optimizer::Optimizer;
use crate::round::{Outcome, Plan};
use crate::secagg::{Authority, enrol};
use crate::signing::{SigningKey, VerifyingKey};
use crate::storage::DirStorage;
use crate::task::Task;
use crate::{ClipNorm, CohortSize, NoiseMultiplier, TaskId, secagg};

/// The version of the tables.
const FORMAT: i64 = 1;
const TABLES: &str = "
    CREATE TABLE tokens (hash BLOB PRIMARY KEY, expires INTEGER NOT NULL, site BLOB) STRICT;
    CREATE TABLE sites (key BLOB PRIMARY KEY, enrolled INTEGER NOT NULL, struck INTEGER) STRICT;
    CREATE TABLE rounds (number INTEGER PRIMARY KEY, ended INTEGER NOT NULL, contributors INTEGER, failure TEXT) STRICT;
    CREATE TABLE releases (number INTEGER PRIMARY KEY, signed BLOB NOT NULL) STRICT;
";
const HOUR: i64 = 3_600_000;

/// The keys that an aggregator works with.
pub struct Keys {
    /// Signs certificates.
    pub authority: CertificateAuthority,
    /// Signs enrolments: a site in a round.
    pub enrolment: SigningKey,
    /// Signs tasks and releases.
    pub team: SigningKey,
}

/// A round that has ended, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Ended {
    /// Its number.
    pub number: u64,
    /// When, in milliseconds since the epoch.
    pub ended: i64,
    /// How many sites the sum is over.
    pub contributors: Option<u32>,
    /// Why there is none.
    pub failure: Option<String>,
}

/// An aggregator's state.
pub struct Book {
    folder: PathBuf,
    db: Mutex<Connection>,
    keys: Keys,
    checked: Checked,
    task: TaskId,
}

impl Book {
    /// Makes a new book in a folder whose model is this file.
    ///
    /// # Errors
    /// Those of the disk; there is a book already.
    pub fn create(folder: &Path, team: &SigningKey, name: String, model: &[u8]) -> io::Result<()> {
        let path = folder.join("book.sqlite");
        if path.exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        std::fs::create_dir_all(folder.join("files"))?;
        let hash = keep(folder, model)?;
        let first = Release::first(hash, name, model.len() as u64).sign(team).map_err(io::Error::other)?;
        // Under another name until it is whole.
        let new = folder.join("book.new");
        let _ = std::fs::remove_file(&new);
        let mut db = Connection::open(&new).map_err(io::Error::other)?;
        let transaction = db.transaction().map_err(io::Error::other)?;
        transaction.execute_batch(TABLES).map_err(io::Error::other)?;
        let insert = "INSERT INTO releases VALUES (0, ?1)";
        transaction.execute(insert, [first.encode_to_vec()]).map_err(io::Error::other)?;
        transaction.pragma_update(None, "user_version", FORMAT).map_err(io::Error::other)?;
        transaction.commit().map_err(io::Error::other)?;
        drop(db);
        std::fs::rename(new, path)?;
        File::open(folder)?.sync_all()
    }

    /// Opens a book.
    ///
    /// # Errors
    /// Those of the disk; there is no book, or one of another version.
    pub fn open(folder: &Path, keys: Keys, checked: Checked, task: TaskId) -> io::Result<Self> {
        let path = folder.join("book.sqlite");
        if !path.exists() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let db = Connection::open(path).map_err(io::Error::other)?;
        db.busy_timeout(Duration::from_secs(10)).map_err(io::Error::other)?;
        db.pragma_update(None, "journal_mode", "wal").map_err(io::Error::other)?;
        // What is told is on the disk.
        db.pragma_update(None, "synchronous", "full").map_err(io::Error::other)?;
        let format: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(io::Error::other)?;
        if format != FORMAT {
            return Err(io::Error::other(format!("book.sqlite is of version {format}, this program reads {FORMAT}")));
        }
        Ok(Self { folder: folder.to_owned(), db: Mutex::new(db), keys, checked, task })
    }

    /// A token that enrols one site within so many hours.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn token(&self, hours: u32) -> io::Result<String> {
        let mut bytes = [0; 20];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let expires = clock() + i64::from(hours) * HOUR;
        let insert = "INSERT INTO tokens VALUES (?1, ?2, NULL)";
        self.db().execute(insert, params![token_hash(&token), expires]).map_err(io::Error::other)?;
        Ok(token)
    }

    /// Strikes a site off; whether it was enrolled.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn strike(&self, site: &[u8; 32]) -> io::Result<bool> {
        let update = "UPDATE sites SET struck = ?2 WHERE key = ?1 AND struck IS NULL";
        Ok(self.db().execute(update, params![site, clock()]).map_err(io::Error::other)? == 1)
    }

    /// How many sites are enrolled.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn sites(&self) -> io::Result<u64> {
        let count = "SELECT count(*) FROM sites WHERE struck IS NULL";
        self.db().query_row(count, [], |row| row.get(0)).map_err(io::Error::other)
    }

    /// All rounds that have ended.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn rounds(&self) -> io::Result<Vec<Ended>> {
        let db = self.db();
        let mut select = db
            .prepare("SELECT number, ended, contributors, failure FROM rounds ORDER BY number")
            .map_err(io::Error::other)?;
        let rows = select.query_map([], |row| {
            Ok(Ended { number: row.get(0)?, ended: row.get(1)?, contributors: row.get(2)?, failure: row.get(3)? })
        });
        rows.and_then(Iterator::collect).map_err(io::Error::other)
    }

    /// The releases, first to last.
    ///
    /// # Errors
    /// Those of the disk; one is not signed by the team's key.
    pub fn releases(&self) -> io::Result<Vec<Release>> {
        let db = self.db();
        let mut select = db.prepare("SELECT signed FROM releases ORDER BY number").map_err(io::Error::other)?;
        let rows = select.query_map([], |row| row.get::<_, Vec<u8>>(0)).map_err(io::Error::other)?;
        let team = VerifyingKey::from(&self.keys.team);
        let read = |row: rusqlite::Result<Vec<u8>>| {
            let signed =
                v1::SignedRelease::decode(row.map_err(io::Error::other)?.as_slice()).map_err(io::Error::other)?;
            Ok(Release::verify(&signed, &team).map_err(io::Error::other)?.0)
        };
        rows.map(read).collect()
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        // A panic between two statements left a transaction that SQLite has rolled back.
        self.db.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn latest(&self) -> io::Result<Lineage> {
        let select = "SELECT signed FROM releases ORDER BY number DESC LIMIT 1";
        let signed: Vec<u8> = self.db().query_row(select, [], |row| row.get(0)).map_err(io::Error::other)?;
        let signed = v1::SignedRelease::decode(signed.as_slice()).map_err(io::Error::other)?;
        Lineage::of(&signed, (&self.keys.team).into()).map_err(io::Error::other)
    }

    fn path(&self, hash: &[u8; 32]) -> PathBuf {
        self.folder.join("files").join(blake3::Hash::from_bytes(*hash).to_hex().as_str())
    }

    /// What a round's sum makes of the model: the new release, signed, its files durable. The outer error is the disk's, and
    /// will be tried again; the inner one is the sum's, for good.
    fn learn(&self, plan: &Plan, sum: &secagg::Sum) -> io::Result<Result<(u64, Vec<u8>), String>> {
        let (mechanism, parameters) = (&self.checked.mechanism, self.checked.config.task.parameters as usize);
        let update = match mechanism.decode(sum, plan.terms.minimum()) {
            Ok((update, _)) => update,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let lineage = self.latest()?;
        let number = plan.terms.round().number();
        // What is released after the first is what has been learned: to be added to the parameters of the first.
        let (mut learned, mut optimizer) = if lineage.latest().number == 0 {
            (vec![0.0; parameters], Optimizer::new(self.checked.settings, parameters).map_err(io::Error::other)?)
        } else {
            let bytes = std::fs::read(self.path(&lineage.latest().model))?;
            let (words, _) = bytes.as_chunks::<4>();
            let memory = std::fs::read(self.memory(lineage.latest().rounds))?;
            (words.iter().map(|word| f32::from_le_bytes(*word)).collect(), borsh::from_slice(&memory)?)
        };
        if let Err(error) = optimizer.step(&mut learned, &update) {
            return Ok(Err(error.to_string()));
        }
        let bytes: Vec<u8> = learned.iter().flat_map(|value| value.to_le_bytes()).collect();
        put(&self.memory(number), &borsh::to_vec(&optimizer)?)?;
        let hash = keep(&self.folder, &bytes)?;
        let release = lineage.next(hash, lineage.latest().name.clone(), bytes.len() as u64, number);
        let signed = release.sign(&self.keys.team).map_err(io::Error::other)?;
        Ok(Ok((release.number, signed.encode_to_vec())))
    }

    fn memory(&self, round: u64) -> PathBuf {
        self.folder.join("files").join(format!("optimizer-{round}"))
    }
}

impl Rounds for std::sync::Arc<Book> {
    type Folder = DirStorage;

    fn folder(&mut self) -> io::Result<DirStorage> {
        DirStorage::open(&self.folder.join("round")).map_err(io::Error::other)
    }

    fn ended(&mut self, plan: &Plan, outcome: &Outcome) -> io::Result<()> {
        let number = plan.terms.round().number();
        let known = "SELECT 1 FROM rounds WHERE number = ?1";
        let known = self.db().query_row(known, [number], |_| Ok(())).optional().map_err(io::Error::other)?;
        if known.is_some() {
            return Ok(());
        }
        let (contributors, failure, release) = match outcome {
            Outcome::Sum(sum) => match self.learn(plan, sum)? {
                Ok(release) => (Some(sum.contributors() as u64), None, Some(release)),
                Err(failure) => (Some(sum.contributors() as u64), Some(failure), None),
            },
            Outcome::Failed(abort) => (None, Some(abort.to_string()), None),
        };
        let mut db = self.db();
        let transaction = db.transaction().map_err(io::Error::other)?;
        let insert = "INSERT INTO rounds VALUES (?1, ?2, ?3, ?4)";
        transaction.execute(insert, params![number, clock(), contributors, failure]).map_err(io::Error::other)?;
        if let Some((number, signed)) = release {
            let insert = "INSERT INTO releases VALUES (?1, ?2)";
            transaction.execute(insert, params![number, signed]).map_err(io::Error::other)?;
        }
        transaction.commit().map_err(io::Error::other)?;
        tracing::info!(round = number, contributors, failure, "a round has ended");
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<Plan>> {
        let last = "SELECT coalesce(max(number), 0) FROM rounds";
        let last: u64 = self.db().query_row(last, [], |row| row.get(0)).map_err(io::Error::other)?;
        if last >= self.checked.config.task.rounds {
            return Ok(None);
        }
        let authority = Authority((&self.keys.enrolment).into());
        self.checked.plan(self.task, last + 1, authority).map(Some).map_err(io::Error::other)
    }
}

impl Serving for Book {
    type File = File;

    fn enrolled(&self, site: &VerifyingKey) -> io::Result<bool> {
        let select = "SELECT 1 FROM sites WHERE key = ?1 AND struck IS NULL";
        let row = self.db().query_row(select, [site.to_bytes()], |_| Ok(())).optional();
        row.map(|row| row.is_some()).map_err(io::Error::other)
    }

    fn enrol(&self, token: &str, site: &VerifyingKey) -> io::Result<Option<v1::EnrolReply>> {
        let (hash, key) = (token_hash(token), site.to_bytes());
        {
            let mut db = self.db();
            let transaction = db.transaction().map_err(io::Error::other)?;
            // A token is one site's, who may ask again where it missed the answer.
            let update = "UPDATE tokens SET site = ?2 WHERE hash = ?1 AND expires > ?3 AND (site IS NULL OR site = ?2)";
            if transaction.execute(update, params![hash, key, clock()]).map_err(io::Error::other)? != 1 {
                return Ok(None);
            }
            let insert = "INSERT INTO sites VALUES (?1, ?2, NULL) ON CONFLICT DO NOTHING";
            transaction.execute(insert, params![key, clock()]).map_err(io::Error::other)?;
            transaction.commit().map_err(io::Error::other)?;
        }
        let certificate = self.keys.authority.site(site, self.checked.config.certificate_days);
        let enrolment = enrol(&self.keys.enrolment, site).to_vec();
        Ok(Some(v1::EnrolReply { certificate: certificate.map_err(io::Error::other)?, enrolment }))
    }

    fn task(&self) -> Option<v1::SignedTask> {
        let task = &self.checked.config.task;
        let lineage = self.latest().ok()?.latest().lineage;
        let task = Task {
            id: self.task,
            lineage,
            parameters: task.parameters,
            clip: ClipNorm::new(task.clip_norm).ok()?,
            noise: NoiseMultiplier::new(task.noise_multiplier).ok()?,
            corrupt: self.checked.corrupt(),
            minimum: CohortSize::new(task.minimum).ok()?,
            rounds: task.rounds,
        };
        Some(task.sign(&self.keys.team))
    }

    fn release(&self) -> Option<(u64, v1::SignedRelease)> {
        let select = "SELECT number, signed FROM releases ORDER BY number DESC LIMIT 1";
        let row = self.db().query_row(select, [], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)));
        let (number, signed) = row.ok()?;
        Some((number, v1::SignedRelease::decode(signed.as_slice()).ok()?))
    }

    fn file(&self, blake3: &[u8; 32]) -> io::Result<Option<File>> {
        match File::open(self.path(blake3)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Keeps a file under its hash, durably at return.
fn keep(folder: &Path, bytes: &[u8]) -> io::Result<[u8; 32]> {
    let hash = blake3::hash(bytes);
    put(&folder.join("files").join(hash.to_hex().as_str()), bytes)?;
    Ok(*hash.as_bytes())
}

/// Writes a file, whole or not at all, durably at return.
pub(super) fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(new, path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn token_hash(token: &str) -> [u8; 32] {
    blake3::derive_key("volet 2026-11 aggregator: enrolment token", token.as_bytes())
}

fn clock() -> i64 {
    i64::try_from(wall().0).unwrap_or(i64::MAX)
}
