//! Tables and files, on one machine and shared: the same tests for both, against the real engines. Without PostgreSQL the
//! shared ones are skipped, and say so.

#![cfg(all(unix, feature = "cluster"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../engines/mod.rs"]
mod engines;
mod faults;
mod files;
mod journals;
mod register;
mod together;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use volet_federated::aggregator::register::{Postgres, Register, Released, Replica, Sqlite};
use volet_federated::aggregator::store::{Folder, Objects, Store};
use volet_federated::round::Time;

const TASK: &str = "01010101010101010101010101010101";

/// Tables and files.
#[derive(Clone)]
struct Storage {
    register: Arc<dyn Register>,
    store: Arc<dyn Store>,
    /// Whether several may use them.
    shared: bool,
    /// What has to stay.
    _engines: Arc<dyn Any + Send + Sync>,
}

impl Storage {
    fn folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("book.sqlite");
        Sqlite::create(&path, &first()).unwrap();
        let (register, store) = (Sqlite::open(&path).unwrap(), Folder::open(folder.path()).unwrap());
        Self { register: Arc::new(register), store: Arc::new(store), shared: false, _engines: Arc::new(folder) }
    }

    fn shared() -> Option<Self> {
        let (postgres, s3) = (engines::Postgres::shared()?, engines::S3::start());
        let url = postgres.database();
        Postgres::create(&url, TASK, &first()).unwrap();
        let register = Postgres::open(&url, TASK).unwrap();
        let store = Objects::over(Arc::new(s3.store()), "some/prefix").unwrap();
        let engines = Arc::new((postgres, s3));
        Some(Self { register: Arc::new(register), store: Arc::new(store), shared: true, _engines: engines })
    }

    /// Does something in many threads at once, each with its number; what came of each.
    fn at_once<T: Send + 'static>(
        &self,
        threads: u8,
        work: impl Fn(&Self, u8) -> T + Clone + Send + 'static,
    ) -> Vec<T> {
        let start = Arc::new(std::sync::Barrier::new(threads.into()));
        let spawn = |number| {
            let (storage, work, start) = (self.clone(), work.clone(), start.clone());
            std::thread::spawn(move || {
                start.wait();
                work(&storage, number)
            })
        };
        let threads: Vec<_> = (0..threads).map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    }
}

fn first() -> Released {
    Released { signed: b"the first".to_vec(), at: Time(5) }
}

fn replica(name: &str, lease: Duration) -> Replica {
    Replica { name: name.to_owned(), address: format!("https://{name}:1"), lease }
}

macro_rules! both {
    ($($module:ident: $($name:ident),+;)+) => {
        mod folder {
            $($(
                #[test]
                fn $name() {
                    super::$module::$name(&super::Storage::folder());
                }
            )+)+
        }
        mod shared {
            $($(
                #[test]
                fn $name() {
                    if let Some(storage) = super::Storage::shared() {
                        super::$module::$name(&storage);
                    }
                }
            )+)+
        }
    };
}

both! {
    register: a_token_enrols_one_site, struck_sites_stay_struck, releases_are_numbered, rounds_follow_one_another,
        shards_follow_one_another, sites_are_found, a_round_ends_once_and_whole, leases_run_out, leases_are_let_go;
    together: one_site_gets_a_token, one_round_is_opened, one_shard_begins, one_replica_drives_a_shard, a_round_is_ended_once,
        rounds_are_driven_by_many;
    journals: records_come_back, what_is_not_synced_may_be_lost, a_removed_journal_is_gone, long_records_come_back,
        one_of_many_writers_goes_on;
    files: files_are_kept, pieces_are_cut, files_are_whole;
}
