//! An aggregator and its cameras over real TLS on this machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{HashMap, HashSet};
use std::io::{self, Cursor};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{Notify, oneshot};
use tonic::Code;
use volet_federated::aggregator::register::{
    Ended as RoundEnd, Opened, Place, Register, Released, Replica, ShardEnd, ShardId, Sqlite,
};
use volet_federated::aggregator::{
    CertificateAuthority, Certified, Coordinator, Finish, Limits, Peers, Rounds, Service, Serving,
};
use volet_federated::client::{ClientError, Credentials, Link, Plain};
use volet_federated::participation::Participation;
use volet_federated::round::{Kind, Log, Outcome, Patience, Plan, Time};
use volet_federated::secagg::{Advertised, Authority, Demands, Identity, Modulus, Risk, Terms, ToServer, enrol};
use volet_federated::signing::{SigningKey, VerifyingKey};
use volet_federated::storage::{DirStorage, MemoryStorage};
use volet_federated::{CohortSize, RoundId, TaskId};
use volet_proto::v1;

const SITES: u8 = 6;
const DIMENSION: usize = 40_000;

fn round(number: u64) -> RoundId {
    RoundId::new(TaskId::from_bytes([3; 16]), number).unwrap()
}

fn plan(number: u64, most: u32) -> Plan {
    let risk = Risk::new(0, 0, 40, 10).unwrap();
    let terms = Terms::new(round(number), DIMENSION as u32, Modulus::FULL, CohortSize::new(3).unwrap(), risk).unwrap();
    let hour = 3_600_000;
    let patience = Patience { gather: hour, insist: true, step: hour };
    Plan { terms, authority: Authority((&team()).into()), kind: Kind::SecAgg, most, patience }
}

fn team() -> SigningKey {
    SigningKey::from([42; 32])
}

fn camera(site: u8) -> SigningKey {
    SigningKey::from([site + 1; 32])
}

fn values(site: u8) -> Vec<i32> {
    (0..DIMENSION as i32).map(|i| i32::from(site) * 1000 - i).collect()
}

/// The numbers and sums of rounds that have ended.
type Ended = Arc<Mutex<Vec<(u64, Vec<i32>)>>>;

/// Rounds in a folder, as many as are planned, each of so many shards; and what is known of them.
#[derive(Clone)]
struct Book {
    folder: PathBuf,
    planned: u64,
    shards: u32,
    register: Arc<Sqlite>,
    ended: Ended,
    /// Sees no round, as one that has not looked since it was opened.
    blind: bool,
}

fn replica() -> Replica {
    Replica { name: "here".to_owned(), address: String::new(), lease: Duration::from_secs(10) }
}

impl Rounds for Book {
    type Journal = Log<DirStorage>;

    fn present(&mut self, now: Time) -> io::Result<Option<Opened>> {
        if self.blind { Ok(None) } else { self.register.open(self.planned, now, now) }
    }

    fn claim(&mut self) -> io::Result<Vec<ShardId>> {
        self.register.claim(&replica(), 9)
    }

    fn plan(&mut self, shard: ShardId, _present: &Opened, _now: Time) -> io::Result<Plan> {
        Ok(plan(shard.round, u32::from(SITES) / self.shards))
    }

    fn begin(&mut self, present: &Opened, _now: Time) -> io::Result<Option<ShardId>> {
        self.register.begin(present.number, self.shards, &replica())
    }

    fn place(&mut self, shard: ShardId) -> io::Result<DirStorage> {
        DirStorage::open(&self.folder.join(format!("{}-{}", shard.round, shard.shard))).map_err(io::Error::other)
    }

    fn gathered(&mut self, shard: ShardId) -> io::Result<()> {
        self.register.gathered(shard)
    }

    fn joined(&mut self, shard: ShardId, sites: &[[u8; 32]]) -> io::Result<()> {
        self.register.joined(shard, sites)
    }

    fn ended(&mut self, shard: ShardId, _plan: &Plan, sites: u32, outcome: &Outcome) -> io::Result<()> {
        let Outcome::Sum(sum) = outcome else { panic!("{outcome:?}") };
        self.register.end_shard(shard, &ShardEnd { sites, contributors: Ok(sum.contributors() as u32) })?;
        let (number, mut ended) = (shard.round, self.ended.lock().unwrap());
        // Killed between the two, it is told again.
        match ended.iter_mut().find(|(known, _)| *known == number) {
            Some((_, before)) if self.shards > 1 => before.iter_mut().zip(sum.values()).for_each(|(a, b)| *a += b),
            Some(_) => {}
            None => ended.push((number, sum.values().to_vec())),
        }
        Ok(())
    }

    fn finish(&mut self, present: &Opened, now: Time) -> io::Result<Option<Finish>> {
        let shards = self.register.shards(present.number)?;
        if shards.len() < self.shards as usize || shards.iter().any(|shard| shard.end.is_none()) {
            return Ok(None);
        }
        let (register, number) = (self.register.clone(), present.number);
        let ended = RoundEnd {
            number,
            ended: now.0,
            shards: self.shards,
            sites: 6,
            contributors: Some(6),
            failure: None,
            quality: None,
        };
        Ok(Some(Box::new(move || register.end_round(&ended, None).map(drop))))
    }

    fn terms(&self, round: u64) -> io::Result<Terms> {
        Ok(plan(round, 6).terms)
    }
}

/// Who may do what; and how often it was asked, so that a test can act in the middle of a round.
struct Desk {
    authority: CertificateAuthority,
    register: Arc<Sqlite>,
    tokens: Mutex<HashMap<String, Option<[u8; 32]>>>,
    struck: Mutex<HashSet<[u8; 32]>>,
    file: Vec<u8>,
    asked: AtomicUsize,
    kill_at: AtomicUsize,
    kill: Notify,
}

impl Serving for Desk {
    fn enrolled(&self, site: &VerifyingKey) -> io::Result<bool> {
        if self.asked.fetch_add(1, Ordering::SeqCst) + 1 == self.kill_at.load(Ordering::SeqCst) {
            self.kill.notify_one();
        }
        Ok(!self.struck.lock().unwrap().contains(&site.to_bytes()))
    }

    fn enrol(&self, token: &str, site: &VerifyingKey) -> io::Result<Option<v1::EnrolReply>> {
        let mut tokens = self.tokens.lock().unwrap();
        let Some(user) = tokens.get_mut(token) else { return Ok(None) };
        if *user.get_or_insert(site.to_bytes()) != site.to_bytes() {
            return Ok(None);
        }
        self.renew(site).map(Some)
    }

    fn renew(&self, site: &VerifyingKey) -> io::Result<v1::EnrolReply> {
        let certificate = self.authority.site(site, 30).map_err(io::Error::other)?;
        Ok(v1::EnrolReply { certificate, enrolment: enrol(&team(), site).to_vec(), days: 30 })
    }

    fn task(&self) -> io::Result<v1::SignedTask> {
        Ok(v1::SignedTask::default())
    }

    fn release(&self) -> io::Result<(u64, v1::SignedRelease)> {
        Ok((7, v1::SignedRelease { release: vec![1], signature: vec![2] }))
    }

    fn gathering(&self) -> io::Result<Option<Terms>> {
        let Some(present) = self.register.present()? else { return Ok(None) };
        let shards = self.register.shards(present.number)?;
        let gathers = shards.is_empty() || shards.iter().any(|shard| shard.gathers);
        Ok(gathers.then(|| plan(present.number, 6).terms))
    }

    fn find(&self, round: u64, site: &[u8; 32]) -> io::Result<Place> {
        self.register.find(round, site)
    }

    fn piece(&self, blake3: &[u8; 32], offset: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
        let rest = self.file.get(offset as usize..).unwrap_or_default();
        Ok((blake3::hash(&self.file) == *blake3).then(|| rest[..rest.len().min(length)].to_vec()))
    }
}

/// One aggregator's keys, folder and address, whether or not it is running.
struct House {
    ca: Certified,
    server: Certified,
    desk: Arc<Desk>,
    folder: tempfile::TempDir,
    ended: Ended,
    register: Arc<Sqlite>,
    address: SocketAddr,
    planned: u64,
    shards: u32,
    blind: bool,
}

struct Running {
    runtime: Runtime,
    stop: oneshot::Sender<()>,
}

impl House {
    fn new(planned: u64, shards: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("book.sqlite");
        Sqlite::create(&path, &Released { signed: Vec::new(), at: Time(0) }).unwrap();
        let register = Arc::new(Sqlite::open(&path).unwrap());
        let ca = CertificateAuthority::create(30).unwrap();
        let authority = CertificateAuthority::open(&ca.key).unwrap();
        let server = authority.server(vec!["localhost".to_owned()], 30).unwrap();
        let tokens = (0..SITES).map(|site| (format!("token-{site}"), None)).collect();
        let desk = Desk {
            authority,
            register: register.clone(),
            tokens: Mutex::new(tokens),
            struck: Mutex::default(),
            file: (0..300_000_u32).map(|i| i.wrapping_mul(i) as u8).collect(),
            asked: AtomicUsize::new(0),
            kill_at: AtomicUsize::new(usize::MAX),
            kill: Notify::new(),
        };
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let desk = Arc::new(desk);
        Self { ca, server, desk, folder, ended: Arc::default(), register, address, planned, shards, blind: false }
    }

    fn start(&self) -> Running {
        let runtime = Runtime::new().unwrap();
        let (folder, register) = (self.folder.path().to_owned(), self.register.clone());
        let (planned, shards, blind) = (self.planned, self.shards, self.blind);
        let book = Book { folder, planned, shards, register, ended: self.ended.clone(), blind };
        let coordinator = Coordinator::start(book).unwrap();
        let service = Service::new(coordinator, self.desk.clone(), Peers::none(), Limits::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let (server, ca, address) = (self.server.clone(), self.ca.certificate.clone(), self.address);
        runtime.spawn(async move {
            // The one before may still be closing.
            let listener = loop {
                match tokio::net::TcpListener::bind(address).await {
                    Ok(listener) => break listener,
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            };
            let stopped = async {
                let _ = stopped.await;
            };
            service.serve(listener, &server, &ca, stopped).await.unwrap();
        });
        Running { runtime, stop }
    }

    fn link(&self, own: Option<&Credentials>) -> Link {
        Link::new(format!("https://localhost:{}", self.address.port()), &self.ca.certificate, own, Arc::new(Plain))
            .unwrap()
    }

    fn credentials(&self, site: u8) -> Credentials {
        let key = camera(site);
        Credentials { certificate: self.desk.authority.site(&(&key).into(), 30).unwrap(), key }
    }
}

impl Running {
    /// As by `kill -9`: nothing is finished, connections break.
    fn kill(self) {
        drop(self.stop);
        self.runtime.shutdown_background();
    }
}

async fn take_part(link: Link, site: u8, enrolment: [u8; 64], number: u64) -> Result<(), ClientError> {
    let demands = Demands { minimum: CohortSize::new(3).unwrap(), corrupt_per_mille: 0, security_bits: 40 };
    let identity = Identity::new(camera(site), enrolment);
    let authority = Authority((&team()).into());
    let mut participation =
        Participation::begin(MemoryStorage::default(), plan(number, 6).terms, &demands, authority, identity)?;
    let mask = |shared: volet_federated::secagg::Shared, delivery: &_| {
        shared.mask_unprotected(delivery, &values(site)).map_err(ClientError::from)
    };
    link.take_part(&mut participation, mask).await
}

fn expected() -> Vec<i32> {
    (0..DIMENSION as i32).map(|i| 15_000 - 6 * i).collect()
}

#[test]
fn cameras_enrol_and_finish_rounds() {
    let site = House::new(2, 1);
    let running = site.start();
    let cameras = Runtime::new().unwrap();
    cameras.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for camera_of in 0..SITES {
            let newcomer = site.link(None);
            let (authority, address) = (site.ca.certificate.clone(), site.address);
            tasks.spawn(async move {
                let token = format!("token-{camera_of}");
                let (own, enrolment) = newcomer.enrol(&token, &camera(camera_of)).await.unwrap();
                let address = format!("https://localhost:{}", address.port());
                let link = Link::new(address, &authority, Some(&own), Arc::new(Plain)).unwrap();
                let told = link.check_in(Some(6)).await.unwrap();
                assert!(told.release.is_some() && link.check_in(Some(7)).await.unwrap().release.is_none());
                for number in [1, 2] {
                    // Until this one gathers sites.
                    let gathers = |told: v1::CheckInReply| told.round.and_then(|terms| terms.round).map(|r| r.number);
                    while gathers(link.check_in(Some(7)).await.unwrap()) != Some(number) {
                        tokio::task::yield_now().await;
                    }
                    take_part(link.clone(), camera_of, enrolment, number).await.unwrap();
                    while !link.hear(round(number), 5).await.unwrap().2 {}
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    });
    let ended = site.ended.lock().unwrap().clone();
    assert_eq!(ended, [(1, expected()), (2, expected())]);
    running.kill();
}

/// The first three that come are one shard, and the others the next.
#[test]
fn a_round_has_many_shards() {
    let site = House::new(1, 2);
    let running = site.start();
    let cameras = Runtime::new().unwrap();
    let _inside = cameras.enter();
    let mut tasks = tokio::task::JoinSet::new();
    for camera_of in 0..SITES {
        let link = site.link(Some(&site.credentials(camera_of)));
        let enrolment = enrol(&team(), &(&camera(camera_of)).into());
        tasks.spawn_on(take_part(link, camera_of, enrolment, 1), cameras.handle());
    }
    cameras.block_on(async {
        while let Some(done) = tasks.join_next().await {
            done.unwrap().unwrap();
        }
        // A site of either shard.
        for camera_of in 0..SITES {
            let link = site.link(Some(&site.credentials(camera_of)));
            while !link.hear(round(1), 5).await.unwrap().2 {}
        }
    });
    assert_eq!(*site.ended.lock().unwrap(), [(1, expected())]);
    running.kill();
}

/// Killed again and again, in every phase, it goes on with the same round, and every camera is in the sum.
#[test]
fn a_round_goes_on_after_kills() {
    let site = House::new(1, 1);
    let mut running = site.start();
    let cameras = Runtime::new().unwrap();
    let _inside = cameras.enter();
    let mut tasks = tokio::task::JoinSet::new();
    for camera_of in 0..SITES {
        let link = site.link(Some(&site.credentials(camera_of)));
        let enrolment = enrol(&team(), &(&camera(camera_of)).into());
        tasks.spawn_on(take_part(link, camera_of, enrolment, 1), cameras.handle());
    }
    for kill_at in [3, 7, 12, 20, 28, 40] {
        site.desk.asked.store(0, Ordering::SeqCst);
        site.desk.kill_at.store(kill_at, Ordering::SeqCst);
        let over = cameras.block_on(async {
            tokio::select! {
                () = site.desk.kill.notified() => false,
                done = tasks.join_next() => {
                    done.into_iter().for_each(|done| done.unwrap().unwrap());
                    true
                }
            }
        });
        if over {
            break;
        }
        running.kill();
        running = site.start();
    }
    site.desk.kill_at.store(usize::MAX, Ordering::SeqCst);
    cameras.block_on(async {
        while let Some(done) = tasks.join_next().await {
            done.unwrap().unwrap();
        }
        let link = site.link(Some(&site.credentials(0)));
        assert!(link.hear(round(1), 5).await.unwrap().2);
    });
    assert_eq!(*site.ended.lock().unwrap(), [(1, expected())]);
    running.kill();
}

/// A check-in reads the register, and the coordinator looks at it now and then: a camera that was told of a round between the two asks again.
#[test]
fn a_round_that_the_coordinator_has_not_seen_yet_is_not_over() {
    let mut site = House::new(1, 1);
    site.blind = true;
    let running = site.start();
    Runtime::new().unwrap().block_on(async {
        let link = site.link(Some(&site.credentials(0)));
        // Until the server listens.
        assert!(link.check_in(Some(7)).await.unwrap().round.is_none());
        let link = link.tries(0);
        let demands = Demands { minimum: CohortSize::new(3).unwrap(), corrupt_per_mille: 0, security_bits: 40 };
        let advertised = || {
            let identity = Identity::new(camera(0), enrol(&team(), &(&camera(0)).into()));
            let started = Advertised::start(plan(1, 6).terms, &demands, Authority((&team()).into()), identity);
            ToServer::Advertisement(started.unwrap().1)
        };
        let said = async |number| match link.say(round(number), advertised()).await {
            Err(ClientError::Refused(status)) => status.code(),
            other => panic!("{other:?}"),
        };
        // Until the coordinator has looked, which has to see nothing.
        while said(2).await != Code::NotFound {
            tokio::task::yield_now().await;
        }
        site.register.open(1, Time(0), Time(0)).unwrap().unwrap();
        let told = Terms::try_from(link.check_in(Some(7)).await.unwrap().round.unwrap()).unwrap();
        assert_eq!(told.round(), round(1));
        assert_eq!(said(1).await, Code::Unavailable);
        assert_eq!(said(2).await, Code::NotFound);
    });
    running.kill();
}

#[test]
fn strangers_and_nonsense_are_refused() {
    let site = House::new(1, 1);
    let running = site.start();
    let refused = |result: Result<(), ClientError>| match result {
        Err(ClientError::Refused(status)) => status.code(),
        other => panic!("{other:?}"),
    };
    let cameras = Runtime::new().unwrap();
    let _inside = cameras.enter();
    let nobody = site.link(None);
    let (own, another) = (site.link(Some(&site.credentials(0))), site.link(Some(&site.credentials(1))));
    // Certified by somebody else, for a key that is enrolled here.
    let elsewhere = CertificateAuthority::open(&CertificateAuthority::create(30).unwrap().key).unwrap();
    let certificate = elsewhere.site(&(&camera(0)).into(), 30).unwrap();
    let foreign = site.link(Some(&Credentials { certificate, key: camera(0) })).tries(0);
    let nonsense = || ToServer::Reveal(v1::Reveal::default());
    cameras.block_on(async {
        // Until the server listens.
        own.check_in(Some(0)).await.unwrap();
        assert_eq!(refused(nobody.check_in(Some(0)).await.map(drop)), Code::Unauthenticated);
        assert!(foreign.check_in(Some(0)).await.is_err());
        another.check_in(Some(0)).await.unwrap();
        site.desk.struck.lock().unwrap().insert(VerifyingKey::from(&camera(1)).to_bytes());
        assert_eq!(refused(another.check_in(Some(0)).await.map(drop)), Code::PermissionDenied);

        let (first, _) = nobody.enrol("token-3", &camera(3)).await.unwrap();
        assert!(site.link(Some(&first)).check_in(Some(0)).await.is_ok());
        assert!(nobody.enrol("token-3", &camera(3)).await.is_ok());
        let (certificate, days) = site.link(Some(&first)).renew().await.unwrap();
        assert_eq!(days, 30);
        let renewed = Credentials { certificate, key: camera(3) };
        assert!(site.link(None).with(&renewed).unwrap().check_in(Some(0)).await.is_ok());
        assert_eq!(refused(nobody.renew().await.map(drop)), Code::Unauthenticated);
        assert_eq!(refused(nobody.enrol("token-3", &camera(4)).await.map(drop)), Code::PermissionDenied);
        assert_eq!(refused(nobody.enrol("guessed", &camera(4)).await.map(drop)), Code::PermissionDenied);

        assert_eq!(refused(own.say(round(1), nonsense()).await), Code::FailedPrecondition);
        assert_eq!(refused(own.say(round(9), nonsense()).await), Code::NotFound);
        let long = ToServer::Masked(v1::MaskedVector { packed: vec![0; 2 << 20], signature: vec![] });
        assert_eq!(refused(own.say(round(1), long).await), Code::OutOfRange);

        let hash = *blake3::hash(&site.desk.file).as_bytes();
        let half = site.desk.file[..100_000].to_vec();
        for have in [Vec::new(), half, site.desk.file.clone()] {
            let mut file = Cursor::new(have);
            own.fetch(hash, 300_000, &mut file).await.unwrap();
            assert_eq!(file.into_inner(), site.desk.file);
        }
        assert_eq!(refused(own.fetch([1; 32], 10, &mut Cursor::new(Vec::new())).await.map(drop)), Code::NotFound);
        assert_eq!(refused(own.fetch(hash, 1000, &mut Cursor::new(Vec::new())).await.map(drop)), Code::OutOfRange);
        assert!(matches!(own.fetch(hash, 300_000, &mut Cursor::new(vec![9; 10])).await, Err(ClientError::Hash)));
    });
    running.kill();
}
