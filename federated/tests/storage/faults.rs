//! What goes wrong between an aggregator and the engines that replicas share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use volet_federated::aggregator::register::{Postgres, Register, ShardId};
use volet_federated::aggregator::store::{Objects, ShardJournal, Store};
use volet_federated::round::Journal;

use crate::{TASK, engines, first};

type Stream<T> = std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Result<T>> + Send>>;

/// A store in memory behind a bad network, or one of bad manners.
#[derive(Debug, Default)]
struct Odd {
    store: InMemory,
    /// What is written is written, and the answer is lost: the client tries again.
    twice: AtomicBool,
    /// `If-None-Match` is not looked at.
    careless: bool,
}

impl std::fmt::Display for Odd {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("an odd store")
    }
}

#[tonic::async_trait]
impl ObjectStore for Odd {
    async fn put_opts(&self, at: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        if self.careless {
            options.mode = PutMode::Overwrite;
        }
        if self.twice.load(Ordering::SeqCst) {
            let _ = self.store.put_opts(at, payload.clone(), options.clone()).await;
        }
        self.store.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(at, options).await
    }

    fn delete_stream(&self, names: Stream<Path>) -> Stream<Path> {
        self.store.delete_stream(names)
    }

    fn list(&self, prefix: Option<&Path>) -> Stream<ObjectMeta> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

const SHARD: ShardId = ShardId { round: 1, shard: 0 };

fn open(store: &Objects) -> std::io::Result<(ShardJournal, usize)> {
    let mut records = 0;
    let journal = ShardJournal::open(store.journal(SHARD)?, &mut |_| {
        records += 1;
        Ok(())
    })?;
    Ok((journal, records))
}

#[test]
fn a_write_whose_answer_was_lost_is_ones_own() {
    let odd = Arc::new(Odd::default());
    let store = Objects::over(odd.clone(), "").unwrap();
    odd.twice.store(true, Ordering::SeqCst);
    let (mut journal, _) = open(&store).unwrap();
    for record in [b"a", b"b", b"b"] {
        journal.append(record).unwrap();
        journal.sync().unwrap();
    }
    let (mut another, records) = open(&store).unwrap();
    assert_eq!(records, 3);
    another.append(b"c").unwrap();
    another.sync().unwrap();
    // Another's, even with the same record in it.
    journal.append(b"c").unwrap();
    assert!(journal.sync().is_err());
    assert_eq!(open(&store).unwrap().1, 4);
}

#[test]
fn a_store_that_overwrites_is_refused() {
    let careless = Odd { careless: true, ..Odd::default() };
    let refused = Objects::over(Arc::new(careless), "").err().unwrap();
    assert!(refused.to_string().contains("If-None-Match"), "{refused}");
}

#[test]
fn damaged_and_foreign_journals_are_told_apart() {
    let store = Objects::over(Arc::new(InMemory::new()), "").unwrap();
    let (mut journal, _) = open(&store).unwrap();
    for record in [b"a", b"b"] {
        journal.append(record).unwrap();
        journal.sync().unwrap();
    }
    let first = store.get("rounds/1-0/0000000000").unwrap().unwrap();
    let second = store.get("rounds/1-0/0000000001").unwrap().unwrap();
    let kind = |name: &str, bytes: &[u8]| {
        store.put(name, bytes).unwrap();
        let error = open(&store).err().map(|error| (error.kind(), error.to_string()));
        store.put("rounds/1-0/0000000000", &first).unwrap();
        store.put("rounds/1-0/0000000001", &second).unwrap();
        error
    };
    for bytes in [&second[..second.len() - 1], &first, &second[..20], &[]] {
        assert!(kind("rounds/1-0/0000000001", bytes).unwrap().1.contains("damaged"));
    }
    let mut foreign = first.clone();
    foreign[7] = b'2';
    assert_eq!(kind("rounds/1-0/0000000000", &foreign).unwrap().0, std::io::ErrorKind::InvalidData);
    // What is there without a beginning is no journal.
    store.remove("rounds/1-0/0000000000").unwrap();
    assert_eq!(open(&store).unwrap().1, 0);
}

#[test]
fn tables_are_made_once_and_belong_to_a_task() {
    let Some(postgres) = engines::Postgres::shared() else { return };
    let url = postgres.database();
    let said = |result: std::io::Result<Postgres>| result.err().unwrap().to_string();
    assert!(said(Postgres::open(&url, TASK)).contains("init"));
    let makers: Vec<_> = (0..4).map(|_| url.clone()).collect();
    let makers = makers.into_iter().map(|url| std::thread::spawn(move || Postgres::create(&url, TASK, &first())));
    let made = makers.collect::<Vec<_>>().into_iter().filter_map(|maker| maker.join().unwrap().ok()).count();
    assert_eq!(made, 1);
    assert_eq!(Postgres::open(&url, TASK).unwrap().latest().unwrap(), Some(first()));
    assert!(said(Postgres::open(&url, "another")).contains("another"));
    postgres.execute(&url, "UPDATE volet SET format = 7");
    assert!(said(Postgres::open(&url, TASK)).contains("version 7"));
}

/// Sessions that broke are made anew, and nobody has to be started again.
#[test]
fn the_database_comes_back() {
    let Some(postgres) = engines::Postgres::start(&[]) else { return };
    let url = postgres.database();
    Postgres::create(&url, TASK, &first()).unwrap();
    let register = Postgres::open(&url, TASK).unwrap();
    for turn in 0..3 {
        register.add_token(&[turn; 32], volet_federated::round::Time(9)).unwrap();
        postgres.stop();
        assert!(register.latest().is_err());
        postgres.run();
        assert_eq!(register.latest().unwrap(), Some(first()));
    }
    // Broken between two calls, with nobody away.
    postgres.execute(&url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()");
    register.add_token(&[9; 32], volet_federated::round::Time(9)).unwrap();
}
