//! The release gate of a camera's agent: the one way by which it reaches a network.
//!
//! Whatever leaves has passed four questions, in this order: has the owner agreed ([`Consent`], read anew each time); is it for the
//! aggregator that the camera was enrolled with, and nobody else; is it one of the messages that a camera may say, with no room in
//! it for more ([`rules`](super::rules)), and is an update the very bytes that the budget's ledger has sealed; is there anything
//! left of the day's bytes. Then it is written into the egress ledger, durably, and only then does it go. The same is true of the
//! bytes that go through sockets, TLS records and lookups of names: so a capture can be held against the ledger byte for byte.
//!
//! Every refusal is written down too. Where the ledger cannot be written, nothing leaves. Knows no pixels.

mod book;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use volet_federated::budget::explain_unverified;
use volet_federated::camera::Camera;
use volet_federated::client::{Door, Later, Wire};
use volet_federated::signing::SigningKey;

use super::consent::Consent;
use super::ledger::{Entry, Kind};
use super::place::{LEDGER, Place, PlaceError};
use super::{names, rules, wire};
use book::Book;

/// What a gate is open for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Enrolling: the owner's own doing, once, whatever was agreed to. The ledger begins with it.
    Enrolment,
    /// Being certified anew, which is the owner's own doing too.
    Certification,
    /// An agent at work, while the owner agrees to learning.
    Learning,
}

/// Why there is no gate.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum GateError {
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(
        "{0:?} is no address of an aggregator (https://host:port): copy camera.toml again from the aggregator's folder"
    )]
    Address(String),
}

/// A camera's release gate.
pub struct Gate {
    folder: PathBuf,
    purpose: Purpose,
    /// Whom it may reach.
    host: String,
    port: u16,
    inner: Mutex<Inner>,
}

struct Inner {
    book: Book,
    connections: u64,
    /// The message of a round that was let out last, to go on with.
    let_out: Option<([u8; 32], Vec<u8>)>,
}

/// The budget's ledger in a state folder.
const BUDGET: &str = "budget";

impl Gate {
    /// The gate of the camera with this state folder.
    ///
    /// # Errors
    /// A [`GateError`]: the ledger is missing, damaged or cannot be written, so that nothing may leave.
    pub fn open(folder: &Path, camera: &Camera, key: &SigningKey, purpose: Purpose) -> Result<Arc<Self>, GateError> {
        let wrong = || GateError::Address(camera.aggregator.clone());
        let address = url(&camera.aggregator).ok_or_else(wrong)?;
        let book = Book::open(Place::of(folder, LEDGER), key, purpose == Purpose::Enrolment)?;
        let inner = Inner { book, connections: 0, let_out: None };
        let gate =
            Self { folder: folder.to_owned(), purpose, host: address.0, port: address.1, inner: Mutex::new(inner) };
        let note = format!("volet-edge {}, {purpose:?}", env!("CARGO_PKG_VERSION"));
        gate.locked().book.append(Entry { policy: note, ..note_of(Kind::Started) })?;
        gate.locked().book.heed(&gate.consent())?;
        Ok(Arc::new(gate))
    }

    /// Whether anything may leave now, as far as the owner is concerned.
    pub fn is_open(&self) -> bool {
        self.purpose != Purpose::Learning || self.consent().learning
    }

    /// Returns when the owner has withdrawn their consent.
    pub async fn closes(&self) {
        while self.heed() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Returns when the owner agrees.
    pub async fn opens(&self) {
        while !self.heed() {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn consent(&self) -> Consent {
        Consent::read(&self.folder)
    }

    /// Writes down what the owner agrees to where that has changed; whether anything may leave.
    fn heed(&self) -> bool {
        let inner = &mut *self.locked();
        if let Err(error) = inner.book.heed(&self.consent()) {
            tracing::warn!(%error, "a change of consent is not in the ledger");
        }
        self.is_open()
    }

    /// The consent by which something may leave, in the ledger's words, and how much may on one day.
    fn allowed(&self, inner: &mut Inner) -> Result<(String, u64), String> {
        let consent = self.consent();
        inner.book.heed(&consent).map_err(|error| error.to_string())?;
        let day = u64::from(consent.megabytes_per_day) << 20;
        match self.purpose {
            Purpose::Enrolment => Ok(("the owner enrols the camera".to_owned(), day.max(1 << 20))),
            Purpose::Certification => Ok(("the owner has the camera certified".to_owned(), day.max(1 << 20))),
            Purpose::Learning if consent.learning => Ok((format!("consent to learning, of {}", consent.since), day)),
            Purpose::Learning => Err("the owner has not agreed to learning".to_owned()),
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Inner> {
        // Whoever panicked here was in the middle of an append; the ledger knows by itself that it has to be opened anew.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down that this is about to go through a socket. Only then may it.
    pub(super) fn pay(&self, kind: Kind, connection: u64, destination: &str, bytes: &[u8]) -> io::Result<()> {
        let inner = &mut *self.locked();
        let paid = self.allowed(inner).and_then(|(policy, most)| {
            inner.book.spend(bytes.len() as u64, most)?;
            let destination = destination.to_owned();
            let entry = Entry { destination, policy, connection, ..content(kind, bytes) };
            inner.book.append(entry).map_err(|error| error.to_string())
        });
        paid.map_err(|why| {
            inner.book.refuse(destination, &why);
            io::Error::new(io::ErrorKind::PermissionDenied, why)
        })
    }

    /// Whether a call may be made: its kind, and what is to be remembered of it.
    fn judge(&self, call: &str, messages: &[&[u8]], inner: &mut Inner) -> Result<(rules::Said, String), String> {
        let (policy, _) = self.allowed(inner)?;
        let said = rules::read(call, messages).map_err(|why| format!("{call}: {why}"))?;
        let fits = match self.purpose {
            Purpose::Enrolment | Purpose::Certification => matches!(said.kind, Kind::Enrolment | Kind::CheckIn),
            Purpose::Learning => said.kind != Kind::Enrolment,
        };
        if !fits {
            return Err(format!("{call}: an agent at work enrols nothing, and who enrols does nothing else"));
        }
        if let Some(part) = &said.part {
            let known = inner.let_out.as_ref().filter(|(whole, _)| *whole == part.whole);
            let goes_on = known.and_then(|(_, bytes)| bytes.get(part.offset..));
            if part.offset > 0 && goes_on != Some(&part.bytes) {
                return Err(format!("{call}: it goes on with a message that was not let out"));
            }
        }
        if let Some(vector) = said.part.as_ref().and_then(|part| part.vector.as_ref()) {
            let digest = *blake3::hash(vector).as_bytes();
            let sealed = explain_unverified(&self.folder.join(BUDGET)).map_err(|error| error.to_string())?;
            let mut payloads = sealed.rounds.iter().filter_map(|round| round.state.payload());
            if !payloads.any(|payload| payload.digest == digest && payload.length == vector.len() as u64) {
                return Err(format!("{call}: the budget's ledger has not sealed this update"));
            }
        }
        Ok((said, policy))
    }
}

impl Door for Gate {
    fn open(self: Arc<Self>, host: String, port: u16) -> Later<io::Result<Box<dyn Wire>>> {
        Box::pin(async move {
            if (host.as_str(), port) != (self.host.as_str(), self.port) {
                let (to, why) = (format!("{host}:{port}"), "it is not the aggregator's address".to_owned());
                self.locked().book.refuse(&to, &why);
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
            }
            let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
            for address in names::addresses(&self, &host, port).await? {
                let destination = format!("{host} ({address})");
                let connection = self.begin(&destination)?;
                match wire::connect(self.clone(), address, destination, connection).await {
                    Ok(wire) => return Ok(Box::new(wire) as Box<dyn Wire>),
                    Err(error) => last = error,
                }
            }
            Err(last)
        })
    }

    fn pass(&self, call: &str, messages: &[&[u8]]) -> Result<(), String> {
        let inner = &mut *self.locked();
        let destination = format!("{}:{}", self.host, self.port);
        let passed = self.judge(call, messages, inner).and_then(|(said, policy)| {
            let entry = Entry { destination: destination.clone(), policy, ..content(said.kind, &messages.concat()) };
            inner.book.append(entry).map_err(|error| error.to_string())?;
            tracing::debug!(call, destination, "let out");
            if let Some(part) = said.part.filter(|part| part.offset == 0) {
                inner.let_out = Some((part.whole, part.bytes));
            }
            Ok(())
        });
        passed.inspect_err(|why| inner.book.refuse(&destination, why))
    }
}

impl Gate {
    /// Writes down that a connection is about to be opened; its number.
    fn begin(&self, destination: &str) -> io::Result<u64> {
        let inner = &mut *self.locked();
        inner.connections += 1;
        let (connection, destination) = (inner.connections, destination.to_owned());
        let begun = self.allowed(inner).and_then(|(policy, _)| {
            let entry = Entry { destination: destination.clone(), policy, connection, ..note_of(Kind::Connection) };
            inner.book.append(entry).map_err(|error| error.to_string())
        });
        begun.map_err(|why| {
            inner.book.refuse(&destination, &why);
            io::Error::new(io::ErrorKind::PermissionDenied, why)
        })?;
        Ok(connection)
    }

    /// Writes down that a connection is over, as far as that is possible.
    pub(super) fn end(&self, connection: u64, destination: &str) {
        let entry = Entry { destination: destination.to_owned(), connection, ..note_of(Kind::Closed) };
        let book = &mut self.locked().book;
        if let Err(error) = book.append(entry).and_then(|()| book.rest()) {
            tracing::warn!(%error, "that a connection is over is not in the ledger");
        }
    }
}

fn content(kind: Kind, bytes: &[u8]) -> Entry {
    Entry { bytes: bytes.len() as u64, digest: *blake3::hash(bytes).as_bytes(), ..note_of(kind) }
}

pub(super) fn note_of(kind: Kind) -> Entry {
    Entry { kind, destination: String::new(), bytes: 0, digest: [0; 32], policy: String::new(), connection: 0 }
}

/// How often it is looked whether consent was withdrawn, while something is waited for.
const LOOK: Duration = Duration::from_millis(250);

fn now() -> u64 {
    millis() / 1000
}

pub(super) fn millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Host and port of `https://host:port`.
fn url(text: &str) -> Option<(String, u16)> {
    let rest = text.strip_prefix("https://")?.trim_end_matches('/');
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (rest, 443),
    };
    let host = host.trim_matches(['[', ']']);
    (!host.is_empty() && !host.contains(['/', '@', '?', '#'])).then(|| (host.to_owned(), port))
}
