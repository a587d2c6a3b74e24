//! Files in a bucket of an S3-compatible object store, for several replicas.
//!
//! The store has to know `If-None-Match` on writing: it keeps two replicas from writing one shard's journal
//! ([`segments`](super::segments)). Opening tries that.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutPayload,
    RetryConfig,
};
use tokio_stream::StreamExt;

use super::segments::{self, At};
use super::{Place, Store};
use crate::aggregator::background::Background;
use crate::aggregator::register::ShardId;

/// How long one operation may take, with all its tries.
const PATIENCE: Duration = Duration::from_secs(60);

/// A bucket of an S3-compatible store. Who may use it the environment says: `AWS_ACCESS_KEY_ID` and the like.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// `s3://bucket/prefix`.
    pub url: String,
    /// Where the store is, if not at AWS: `https://host:port`.
    pub endpoint: Option<String>,
    /// Its region, if it has any.
    pub region: Option<String>,
}

impl Bucket {
    /// The bucket's name and the prefix.
    pub(in crate::aggregator) fn parts(&self) -> Option<(&str, &str)> {
        let (bucket, prefix) = self.url.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, "")))?;
        (!bucket.is_empty()).then_some((bucket, prefix.trim_end_matches('/')))
    }

    /// Whether the endpoint is spoken to without TLS.
    fn is_plain(&self) -> bool {
        self.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"))
    }
}

/// Files in an object store.
#[derive(Clone)]
pub struct Objects {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    background: Background,
}

impl Objects {
    /// The files in this bucket.
    ///
    /// # Errors
    /// The store's; it lets a second object take the place of a first that was to be the only one.
    pub fn open(bucket: &Bucket) -> io::Result<Self> {
        // Of the two that reqwest could take, the one that is built in. `Err` is that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (name, prefix) = bucket.parts().ok_or_else(|| io::Error::other("objects is no s3://bucket/prefix"))?;
        let seconds = Duration::from_secs;
        let client = ClientOptions::new().with_connect_timeout(seconds(5)).with_timeout(seconds(30));
        let backoff = BackoffConfig { init_backoff: Duration::from_millis(50), max_backoff: seconds(2), base: 2.0 };
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(name)
            .with_client_options(client.with_allow_http(bucket.is_plain()))
            .with_retry(RetryConfig { backoff, max_retries: 4, retry_timeout: seconds(10) });
        if let Some(endpoint) = &bucket.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(region) = &bucket.region {
            builder = builder.with_region(region);
        }
        Self::over(Arc::new(builder.build().map_err(failed)?), prefix)
    }

    /// The files under this prefix of a store.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn over(store: Arc<dyn ObjectStore>, prefix: &str) -> io::Result<Self> {
        let background = Background::start("objects")?;
        let objects = Self { inner: Arc::new(Inner { store, prefix: prefix.to_owned(), background }) };
        objects.try_fence()?;
        Ok(objects)
    }

    /// Whether what is to be written once is written once.
    fn try_fence(&self) -> io::Result<()> {
        let mut name = [0; 16];
        getrandom::fill(&mut name).map_err(io::Error::other)?;
        let name = format!("probes/{:032x}", u128::from_le_bytes(name));
        let (first, second) = (self.create(&name, vec![1])?, self.create(&name, vec![2])?);
        self.remove(&name)?;
        if first && !second {
            Ok(())
        } else {
            Err(io::Error::other("the object store does not know If-None-Match: replicas could overwrite each other"))
        }
    }

    /// Writes an object where there is none; whether it did.
    pub(super) fn create(&self, name: &str, bytes: Vec<u8>) -> io::Result<bool> {
        let path = self.path(name);
        let put = self.inner.store.put_opts(&path, PutPayload::from(bytes), PutMode::Create.into());
        match self.inner.background.wait(PATIENCE, put)? {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    /// Removes all whose names begin with `name/`.
    pub(super) fn remove_all(&self, name: &str) -> io::Result<()> {
        let listed = self.inner.store.list(Some(&self.path(name)));
        let mut removed = self.inner.store.delete_stream(Box::pin(listed.map(|object| Ok(object?.location))));
        let all = async {
            while let Some(gone) = removed.next().await {
                match gone {
                    // Another has removed it first.
                    Ok(_) | Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(failed(error)),
                }
            }
            Ok(())
        };
        self.inner.background.wait(PATIENCE, all)?
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.inner.prefix))
    }

    fn ask(&self, name: &str, range: Option<GetRange>) -> io::Result<Result<Vec<u8>, Error>> {
        let (path, options) = (self.path(name), GetOptions { range, ..GetOptions::default() });
        self.inner.background.wait(PATIENCE, async {
            let answer = self.inner.store.get_opts(&path, options).await?;
            answer.bytes().await.map(Vec::from)
        })
    }
}

impl Store for Objects {
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(name);
        let put = self.inner.store.put(&path, PutPayload::from(bytes.to_vec()));
        self.inner.background.wait(PATIENCE, put)?.map(drop).map_err(failed)
    }

    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        found(self.ask(name, None)?)
    }

    fn piece(&self, name: &str, offset: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
        let end = offset.saturating_add(length as u64);
        let asked = match length {
            0 => None,
            _ => Some(self.ask(name, Some(GetRange::Bounded(offset..end)))?),
        };
        match asked {
            Some(Ok(piece)) => Ok(Some(piece)),
            Some(Err(Error::NotFound { .. })) => Ok(None),
            // Stores refuse ranges behind an object's end, each in its own words.
            refused => {
                let (path, inner) = (self.path(name), &self.inner);
                let head = found(inner.background.wait(PATIENCE, inner.store.head(&path))?)?;
                match (head, refused) {
                    (None, _) => Ok(None),
                    (Some(head), Some(Err(error))) if offset < head.size => Err(failed(error)),
                    (Some(_), _) => Ok(Some(Vec::new())),
                }
            }
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let (path, inner) = (self.path(name), &self.inner);
        found(inner.background.wait(PATIENCE, inner.store.delete(&path))?).map(drop)
    }

    fn journal(&self, shard: ShardId) -> io::Result<Place> {
        Ok(Place::Objects(At { objects: self.clone(), name: segments::name(shard) }))
    }

    fn forget(&self, shard: ShardId) -> io::Result<()> {
        self.remove_all(&segments::name(shard))
    }
}

fn found<T>(result: Result<T, Error>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn failed(error: Error) -> io::Error {
    io::Error::other(error)
}
