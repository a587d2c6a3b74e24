//! The release gate of a camera's agent: the one way by which it reaches a network.
//!
//! Whatever leaves has passed four questions, in this order: has the owner agreed ([`Consent`], read anew each time); is it for the
//! aggregator that the camera was enrolled with, and nobody else; is it one of the messages that a camera may say, with no room in
//! it for more ([`rules`](super::rules)), and is an update the very bytes that the budget's ledger has sealed; is there anything
//! left of the day's bytes. Then it is written into the egress ledger, durably, and only then does it go. The same is true of the
//! bytes that go through sockets, TLS records and lookups of names: so a capture can be held against the ledger byte for byte.
//!
//! Every refusal is written down too. Where the ledger cannot be written, nothing leaves. Knows no pixels.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use volet_federated::budget::explain_unverified;
use volet_federated::camera::Camera;
use volet_federated::client::{Door, Later, Wire};
use volet_federated::signing::SigningKey;
use volet_federated::storage::DirStorage;

use super::consent::Consent;
use super::ledger::{Entry, Kind, Ledger, LedgerError, Record};
use super::place::{LEDGER, Place, PlaceError};
use super::{names, rules, wire};

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
    #[error(transparent)]
    Ledger(#[from] LedgerError),
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
    place: Place,
    key: SigningKey,
    /// None after an error of the disk's, until it is opened again.
    ledger: Option<Ledger<DirStorage>>,
    connections: u64,
    /// The message of a round that was let out last, to go on with.
    let_out: Option<([u8; 32], Vec<u8>)>,
    /// A day, and the bytes that left on it.
    today: (u64, u64),
    /// What the owner agrees to, as it was written down last.
    consent: Option<Consent>,
    /// The refusal that was written down last, so that a loop does not fill the ledger.
    refused: Option<(String, u64)>,
}

/// The budget's ledger in a state folder.
const BUDGET: &str = "budget";
/// The same refusal is written down again after so many seconds.
const AGAIN: u64 = 3600;

impl Gate {
    /// The gate of the camera with this state folder.
    ///
    /// # Errors
    /// A [`GateError`]: the ledger is missing, damaged or cannot be written, so that nothing may leave.
    pub fn open(folder: &Path, camera: &Camera, key: &SigningKey, purpose: Purpose) -> Result<Arc<Self>, GateError> {
        let wrong = || GateError::Address(camera.aggregator.clone());
        let address = url(&camera.aggregator).ok_or_else(wrong)?;
        let place = Place::of(folder, LEDGER);
        let mut today = (0, 0);
        let ledger = place.open(key, purpose == Purpose::Enrolment, &mut |record| count(&mut today, record))?;
        let (ledger, key) = (Some(ledger), *key);
        let inner = Inner { place, key, ledger, connections: 0, let_out: None, today, consent: None, refused: None };
        let gate =
            Self { folder: folder.to_owned(), purpose, host: address.0, port: address.1, inner: Mutex::new(inner) };
        let note = format!("volet-edge {}, {purpose:?}", env!("CARGO_PKG_VERSION"));
        gate.locked().append(Entry { policy: note, ..note_of(Kind::Started) })?;
        gate.locked().heed(&gate.consent())?;
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
        if let Err(error) = inner.heed(&self.consent()) {
            tracing::warn!(%error, "a change of consent is not in the ledger");
        }
        self.is_open()
    }

    /// The consent by which something may leave, in the ledger's words, and how much may on one day.
    fn allowed(&self, inner: &mut Inner) -> Result<(String, u64), String> {
        let consent = self.consent();
        inner.heed(&consent).map_err(|error| error.to_string())?;
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
            let today = spend(inner.today, now() / DAY, bytes.len() as u64);
            if today.1 > most {
                return Err(format!("no more than {most} bytes may leave on one day"));
            }
            inner.today = today;
            let destination = destination.to_owned();
            let entry = Entry { destination, policy, connection, ..content(kind, bytes) };
            inner.append(entry).map_err(|error| error.to_string())
        });
        paid.map_err(|why| {
            inner.refuse(destination, &why);
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
                self.locked().refuse(&to, &why);
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
            inner.append(entry).map_err(|error| error.to_string())?;
            tracing::debug!(call, destination, "let out");
            if let Some(part) = said.part.filter(|part| part.offset == 0) {
                inner.let_out = Some((part.whole, part.bytes));
            }
            Ok(())
        });
        passed.inspect_err(|why| inner.refuse(&destination, why))
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
            inner.append(entry).map_err(|error| error.to_string())
        });
        begun.map_err(|why| {
            inner.refuse(&destination, &why);
            io::Error::new(io::ErrorKind::PermissionDenied, why)
        })?;
        Ok(connection)
    }
}

impl Inner {
    fn heed(&mut self, consent: &Consent) -> Result<(), GateError> {
        if self.consent.as_ref() != Some(consent) {
            self.append(Entry { policy: consent.to_string(), ..note_of(Kind::Consent) })?;
            self.consent = Some(*consent);
        }
        Ok(())
    }

    /// Where an earlier one failed and may have left anything on the disk, the ledger is opened and mended first.
    fn append(&mut self, entry: Entry) -> Result<(), GateError> {
        let mut ledger = match self.ledger.take() {
            Some(ledger) => ledger,
            None => self.place.open(&self.key, false, &mut |_| {})?,
        };
        match ledger.append(millis(), entry) {
            Err(error @ (LedgerError::Storage { .. } | LedgerError::Reopen)) => Err(error.into()),
            appended => {
                self.ledger = Some(ledger);
                Ok(appended.map(drop)?)
            }
        }
    }

    /// Writes a refusal down, as far as that is possible: nothing leaves either way.
    fn refuse(&mut self, destination: &str, why: &str) {
        let same = format!("{destination} {why}");
        if self.refused.as_ref().is_some_and(|(last, at)| *last == same && now() < at + AGAIN) {
            return;
        }
        tracing::warn!(destination, why, "not let out");
        let entry = Entry { destination: destination.to_owned(), policy: why.to_owned(), ..note_of(Kind::Refused) };
        if let Err(error) = self.append(entry) {
            tracing::warn!(%error, "the refusal is not in the ledger");
        }
        self.refused = Some((same, now()));
    }
}

/// A day, and what left on it, after so many bytes more on this day. A clock that was put back does not give a day twice.
fn spend(today: (u64, u64), day: u64, bytes: u64) -> (u64, u64) {
    if day > today.0 { (day, bytes) } else { (today.0, today.1.saturating_add(bytes)) }
}

/// What left before a restart counts, too.
fn count(today: &mut (u64, u64), record: &Record) {
    if matches!(record.entry.kind, Kind::Wire | Kind::Lookup) {
        *today = spend(*today, record.at / 1000 / DAY, record.entry.bytes);
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
/// Seconds.
const DAY: u64 = 86_400;

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

#[cfg(test)]
mod tests {
    use super::super::ledger::{self, Record};
    use super::*;
    use prost::Message;
    use volet_proto::v1;

    const CHECK_IN: &str = "/volet.v1.Aggregation/CheckIn";

    struct House {
        folder: tempfile::TempDir,
        gate: Arc<Gate>,
    }

    impl House {
        fn new(consent: Consent, purpose: Purpose) -> Self {
            let folder = tempfile::tempdir().unwrap();
            consent.write(folder.path()).unwrap();
            let camera = Camera {
                aggregator: "https://aggregator.example:7443".to_owned(),
                authority: String::new(),
                enrolment_key: String::new(),
                team_key: String::new(),
                helper_key: None,
            };
            let key = SigningKey::from([7; 32]);
            if purpose == Purpose::Learning {
                let opened = Gate::open(folder.path(), &camera, &key, purpose);
                assert!(matches!(opened, Err(GateError::Place(PlaceError::Missing(_)))), "nobody began its ledger");
                Place::of(folder.path(), LEDGER).open(&key, true, &mut |_| {}).unwrap();
            }
            let gate = Gate::open(folder.path(), &camera, &key, purpose).unwrap();
            Self { folder, gate }
        }

        /// The agent is started again, as the disk is now.
        fn again(self) -> Result<Self, GateError> {
            let Self { folder, gate } = self;
            let (host, port, purpose) = (gate.host.clone(), gate.port, gate.purpose);
            drop(gate);
            let camera = Camera {
                aggregator: format!("https://{host}:{port}"),
                authority: String::new(),
                enrolment_key: String::new(),
                team_key: String::new(),
                helper_key: None,
            };
            let gate = Gate::open(folder.path(), &camera, &SigningKey::from([7; 32]), purpose)?;
            Ok(Self { folder, gate })
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn records(&self) -> Vec<Record> {
            let mut records = Vec::new();
            ledger::records(&self.folder.path().join(LEDGER), None, &[], &mut |record| records.push(record.clone()))
                .unwrap();
            records
        }

        fn kinds(&self) -> Vec<Kind> {
            self.records().iter().map(|record| record.entry.kind).collect()
        }
    }

    fn check_in() -> Vec<u8> {
        v1::CheckInRequest { release: Some(1) }.encode_to_vec()
    }

    #[test]
    fn nothing_passes_without_consent_and_its_refusal_is_written_down_once() {
        let house = House::new(Consent::new(false, true), Purpose::Learning);
        for _ in 0..3 {
            let why = house.gate.pass(CHECK_IN, &[&check_in()]).unwrap_err();
            assert!(why.contains("not agreed"), "{why}");
        }
        assert!(house.gate.pay(Kind::Wire, 1, "somewhere", b"bytes").is_err());
        assert_eq!(house.kinds(), [Kind::Started, Kind::Consent, Kind::Refused, Kind::Refused]);
    }

    #[test]
    fn consent_that_is_taken_back_holds_for_the_next_byte() {
        let house = House::new(Consent::new(true, false), Purpose::Learning);
        house.gate.pass(CHECK_IN, &[&check_in()]).unwrap();
        house.gate.pay(Kind::Wire, 1, "somewhere", b"bytes").unwrap();
        Consent::new(false, false).write(house.folder.path()).unwrap();
        assert!(house.gate.pay(Kind::Wire, 1, "somewhere", b"bytes").is_err());
        assert!(house.gate.pass(CHECK_IN, &[&check_in()]).is_err());
        std::fs::remove_dir_all(Consent::folder(house.folder.path())).unwrap();
        assert!(!house.gate.is_open());
    }

    #[test]
    fn a_restart_and_a_clock_that_was_put_back_give_no_day_twice() {
        let consent = Consent { megabytes_per_day: 1, ..Consent::new(true, false) };
        let house = House::new(consent, Purpose::Learning);
        let half = vec![0; 600 << 10];
        house.gate.pay(Kind::Wire, 1, "somewhere", &half).unwrap();
        let house = house.again().unwrap();
        assert!(house.gate.pay(Kind::Wire, 1, "somewhere", &half).is_err());
        house.gate.pay(Kind::Wire, 1, "somewhere", b"a little").unwrap();
        assert_eq!([spend((5, 7), 5, 1), spend((5, 7), 4, 1), spend((5, 7), 6, 1)], [(5, 8), (5, 8), (6, 1)]);
    }

    #[test]
    fn a_ledger_that_was_cut_removed_or_put_back_is_found_at_the_next_start() {
        let copy = |from: &Path, to: &Path| {
            std::fs::create_dir(to).unwrap();
            for file in std::fs::read_dir(from).unwrap() {
                let file = file.unwrap();
                std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
            }
        };
        let tampered = |tamper: &dyn Fn(&House)| {
            let house = House::new(Consent::new(true, false), Purpose::Learning).again().unwrap();
            copy(&house.path(LEDGER), &house.path("earlier"));
            for _ in 0..3 {
                house.gate.pay(Kind::Wire, 1, "somewhere", b"x").unwrap();
            }
            let house = house.again().unwrap();
            tamper(&house);
            match house.again() {
                Err(error) => error.to_string(),
                Ok(_) => String::new(),
            }
        };
        assert_eq!(tampered(&|_| {}), "");
        let removed = tampered(&|house| std::fs::remove_dir_all(house.path(LEDGER)).unwrap());
        let both = tampered(&|house| {
            std::fs::remove_dir_all(house.path(LEDGER)).unwrap();
            std::fs::remove_dir_all(house.path("heads")).unwrap();
        });
        assert!([removed, both].iter().all(|why| why.contains("missing") && why.contains("begin-ledger")));
        let back = tampered(&|house| {
            std::fs::remove_dir_all(house.path(LEDGER)).unwrap();
            std::fs::rename(house.path("earlier"), house.path(LEDGER)).unwrap();
        });
        assert!(back.contains("an earlier copy put back"), "{back}");
        let headless = tampered(&|house| std::fs::remove_dir_all(house.path("heads")).unwrap());
        assert!(headless.contains("second place"), "{headless}");
        // The owner has a new one begun, which says so.
        let house = House::new(Consent::new(true, false), Purpose::Learning);
        std::fs::remove_dir_all(house.path(LEDGER)).unwrap();
        let House { folder, gate } = house;
        drop(gate);
        let place = Place::of(folder.path(), LEDGER);
        place.begin_anew(&SigningKey::from([7; 32])).unwrap();
        let aside = ledger::verify(&place.folder, None, &[]).unwrap().aside.unwrap();
        assert!(aside.records.is_some());
    }

    #[test]
    fn what_is_written_to_a_file_that_was_put_aside_lets_nothing_out() {
        let house = House::new(Consent::new(true, false), Purpose::Learning);
        house.gate.pay(Kind::Wire, 1, "somewhere", b"x").unwrap();
        let segment = std::fs::read_dir(house.path(LEDGER)).unwrap().map(|file| file.unwrap().path());
        let segment = segment.into_iter().find(|path| path.to_string_lossy().contains("segment-")).unwrap();
        std::fs::copy(&segment, house.path("copy")).unwrap();
        std::fs::rename(house.path("copy"), &segment).unwrap();
        let why = house.gate.pay(Kind::Wire, 1, "somewhere", b"unseen").unwrap_err();
        assert_eq!(why.kind(), io::ErrorKind::PermissionDenied);
        // It is opened anew, and goes on with what is there.
        house.gate.pay(Kind::Wire, 1, "somewhere", b"seen").unwrap();
        let digests: Vec<_> = house.records().iter().map(|record| record.entry.digest).collect();
        let has = |bytes: &[u8]| digests.contains(blake3::hash(bytes).as_bytes());
        assert!(has(b"seen") && !has(b"unseen"));
    }

    #[test]
    fn what_passed_is_in_the_ledger_as_it_was() {
        let house = House::new(Consent::new(true, false), Purpose::Learning);
        house.gate.pass(CHECK_IN, &[&check_in()]).unwrap();
        let last = house.records().pop().unwrap().entry;
        assert_eq!((last.kind, last.bytes), (Kind::CheckIn, check_in().len() as u64));
        assert_eq!(last.digest, *blake3::hash(&check_in()).as_bytes());
        assert!(last.destination == "aggregator.example:7443" && last.policy.starts_with("consent to learning"));
    }

    #[test]
    fn an_update_that_the_budget_has_not_sealed_stays() {
        let house = House::new(Consent::new(true, false), Purpose::Learning);
        let vector = v1::MaskedVector { packed: vec![7; 500], signature: vec![1; 64] };
        let body = v1::site_message::Body::Masked(vector);
        let data = v1::SiteMessage { body: Some(body) }.encode_to_vec();
        let round = Some(v1::RoundId { task: Some(v1::TaskId { id: vec![1; 16] }), number: 3 });
        let blake3 = blake3::hash(&data).as_bytes().to_vec();
        let say = |offset: usize| {
            let data = data[offset..].to_vec();
            let piece = v1::SayPiece { round: round.clone(), data, blake3: blake3.clone(), offset: offset as u64 };
            house.gate.pass("/volet.v1.Aggregation/Say", &[&piece.encode_to_vec()])
        };
        assert!(say(0).is_err());
        // Nor does its end, as if its beginning were there already.
        assert!(say(100).unwrap_err().contains("not let out"));
    }

    #[test]
    fn a_day_has_so_many_bytes() {
        let consent = Consent { megabytes_per_day: 1, ..Consent::new(true, false) };
        let house = House::new(consent, Purpose::Learning);
        let half = vec![0; 1 << 19];
        house.gate.pay(Kind::Wire, 1, "somewhere", &half).unwrap();
        house.gate.pay(Kind::Wire, 1, "somewhere", &half).unwrap();
        let why = house.gate.pay(Kind::Wire, 1, "somewhere", b"x").unwrap_err().to_string();
        assert!(why.contains("1048576"), "{why}");
    }

    #[test]
    fn enrolling_is_the_owners_own_doing_and_is_good_for_nothing_else() {
        let house = House::new(Consent::NONE, Purpose::Enrolment);
        let enrol = v1::EnrolRequest { token: "t".to_owned(), key: vec![1; 32], signature: vec![2; 64] };
        house.gate.pass("/volet.v1.Enrolment/Enrol", &[&enrol.encode_to_vec()]).unwrap();
        assert!(house.gate.pass("/volet.v1.Aggregation/Renew", &[&[]]).is_err());
        let agent = House::new(Consent::new(true, true), Purpose::Learning);
        assert!(agent.gate.pass("/volet.v1.Enrolment/Enrol", &[&enrol.encode_to_vec()]).is_err());
    }

    #[test]
    fn no_other_address_is_reached() {
        let house = House::new(Consent::new(true, true), Purpose::Learning);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for (host, port) in [("elsewhere.example", 7443), ("aggregator.example", 443), ("127.0.0.1", 7443)] {
            let opened = runtime.block_on(house.gate.clone().open(host.to_owned(), port));
            assert_eq!(opened.err().map(|error| error.kind()), Some(io::ErrorKind::PermissionDenied), "{host}:{port}");
        }
        assert_eq!(house.kinds()[2..], [Kind::Refused; 3]);
        let read = [("https://a:1", "a", 1), ("https://[::1]:7/", "::1", 7), ("https://a.b", "a.b", 443)];
        assert!(read.iter().all(|(text, host, port)| url(text) == Some(((*host).to_owned(), *port))));
        assert!(
            ["http://a:1", "https://", "https://a:b", "https://u@a:1", "https://a/b:1"]
                .iter()
                .all(|t| url(t).is_none())
        );
    }
}
