//! An aggregator for cameras to learn with, serving on this machine, and the camera's program.

use std::io;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;
use volet_edge::agent::{Enrolment, PolicyFile, enrol, make_owner};
use volet_edge::egress::Consent;
use volet_federated::aggregator::register::Place;
use volet_federated::aggregator::{Book, Config, Coordinator, Limits, Service, Serving, Setup};
use volet_federated::camera::Camera;
use volet_federated::secagg::Terms;
use volet_federated::signing::{SigningKey, VerifyingKey};
use volet_proto::v1;

pub(crate) const PARAMETERS: usize = 50;
pub(crate) const MODEL: &[u8] = b"some model";
pub(crate) const POLICY: &str =
    "smallest_cohort = 3\n[epsilon]\nround = 1300\nday = 1300\nlineage = 1300\nlifetime = 1300\n";

/// What a hostile aggregator does to what it serves.
pub(crate) type Alter = fn(&SigningKey, v1::SignedTask) -> v1::SignedTask;

pub(crate) struct Desk {
    pub(crate) book: Book,
    pub(crate) team: SigningKey,
    alter: Alter,
    /// A release instead of the book's.
    pub(crate) release: Mutex<Option<(u64, v1::SignedRelease)>>,
    pub(crate) check_ins: watch::Sender<u64>,
}

impl Serving for Desk {
    fn enrolled(&self, site: &VerifyingKey) -> io::Result<bool> {
        self.book.enrolled(site)
    }

    fn enrol(&self, token: &str, site: &VerifyingKey) -> io::Result<Option<v1::EnrolReply>> {
        self.book.enrol(token, site)
    }

    fn task(&self) -> io::Result<v1::SignedTask> {
        self.check_ins.send_modify(|count| *count += 1);
        Ok((self.alter)(&self.team, self.book.task()?))
    }

    fn release(&self) -> io::Result<(u64, v1::SignedRelease)> {
        let other = self.release.lock().unwrap().clone();
        other.map_or_else(|| self.book.release(), Ok)
    }

    fn gathering(&self) -> io::Result<Option<Terms>> {
        self.book.gathering()
    }

    fn find(&self, round: u64, site: &[u8; 32]) -> io::Result<Place> {
        self.book.find(round, site)
    }

    fn renew(&self, site: &VerifyingKey) -> io::Result<v1::EnrolReply> {
        self.book.renew(site)
    }

    fn piece(&self, blake3: &[u8; 32], offset: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
        self.book.piece(blake3, offset, length)
    }
}

/// An aggregator for three cameras, serving on this machine.
pub(crate) struct Aggregator {
    parent: tempfile::TempDir,
    camera: Camera,
    pub(crate) desk: Arc<Desk>,
    owner: SigningKey,
    pub(crate) runtime: Runtime,
}

impl Aggregator {
    pub(crate) fn start(parameters: usize, model: &[u8], rounds: u64, alter: Alter) -> Self {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("aggregator");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let text = Config::example(u32::try_from(parameters).unwrap(), "localhost");
        let mut text = text.replace("7443", &listener.local_addr().unwrap().port().to_string());
        for (from, to) in [
            ("minimum = 6", "minimum = 3".to_owned()),
            ("most = 8", "most = 3".to_owned()),
            ("dropout_per_mille = 200", "dropout_per_mille = 0".to_owned()),
            ("noise_multiplier = 4.39", "noise_multiplier = 0.05".to_owned()),
            ("rounds = 12", format!("rounds = {rounds}")),
        ] {
            assert!(text.contains(from), "{text}");
            text = text.replace(from, &to);
        }
        let camera = Setup::create(&folder, &text, "model", model).unwrap();
        let Setup { server, authority, book, peers, .. } = Setup::open(&folder).unwrap();
        let team = std::fs::read_to_string(folder.join("team.key")).unwrap();
        let team = SigningKey::from(<[u8; 32]>::from(blake3::Hash::from_hex(team.trim()).unwrap()));
        let (check_ins, release) = (watch::Sender::new(0), Mutex::new(None));
        let desk = Arc::new(Desk { book: book.clone(), team, alter, release, check_ins });
        let coordinator = Coordinator::start(book).unwrap();
        let limits = Limits { again: Duration::from_millis(200), ..Limits::default() };
        let service = Service::new(coordinator, desk.clone(), peers, limits);
        let runtime = Runtime::new().unwrap();
        listener.set_nonblocking(true).unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            service.serve(listener, &server, &authority, std::future::pending()).await.unwrap();
        });
        let owner = make_owner(&parent.path().join("owner.key")).unwrap();
        Self { parent, camera, desk, owner, runtime }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.parent.path().join(name)
    }

    /// Enrols a camera; its folder.
    pub(crate) fn enrol(&self, name: &str, policy: &str) -> PathBuf {
        let folder = self.path(name);
        let token = self.desk.book.token(1).unwrap();
        let with = Enrolment {
            consent: Consent::new(true, false),
            camera: self.camera.clone(),
            token: &token,
            owner: &self.owner,
            policy: PolicyFile::read(policy).unwrap(),
            manifest: "",
            model: MODEL,
        };
        self.runtime.block_on(enrol(&folder, with)).unwrap();
        folder
    }
}
pub(crate) fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_volet-edge")).args(arguments).output().unwrap()
}

pub(crate) fn said(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn refused(output: Output, with: &str) {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains(with) && !error.contains("panicked"), "{error}");
}

/// Cameras of the built-in model, enrolled by the program; their folders.
pub(crate) fn enrolled(aggregator: &Aggregator, names: &[&str]) -> Vec<PathBuf> {
    let (camera, policy, owner) =
        (aggregator.path("camera.toml"), aggregator.path("policy.toml"), aggregator.path("owner.key"));
    std::fs::write(&camera, toml::to_string(&aggregator.camera).unwrap()).unwrap();
    std::fs::write(&policy, POLICY).unwrap();
    let [camera, policy, owner] = [&camera, &policy, &owner].map(|path| path.to_str().unwrap());
    let one = |name: &&str| {
        let (folder, token) = (aggregator.path(name), aggregator.desk.book.token(1).unwrap());
        let dir = folder.to_str().unwrap();
        let enrol = ["enrol", "--dir", dir, "--camera", camera, "--token", &token, "--owner-key", owner];
        let identity = said(program(&[&enrol[..], &["--policy", policy]].concat()));
        assert_eq!(identity.trim().len(), 64);
        refused(program(&[&enrol[..], &["--policy", policy]].concat()), "holds an enrolled camera");
        folder
    };
    names.iter().map(one).collect()
}
