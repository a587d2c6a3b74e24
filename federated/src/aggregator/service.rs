//! The calls: who asks, how much at a time, and nothing of what it means.
//!
//! A stranger reaches `Enrol` and no further. An enrolled site has one message under way and one file: messages have the
//! length that their step allows, pieces and messages a deadline.

use std::collections::HashSet;
use std::future::Future;
use std::io::{self, Read, Seek, SeekFrom};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status, Streaming};
use volet_proto::v1;
use volet_proto::v1::aggregation_server::{Aggregation, AggregationServer};
use volet_proto::v1::enrolment_server::{Enrolment, EnrolmentServer};
use volet_proto::v1::refused::Reason;

use super::coordinator::{Busy, Coordinator};
use super::pki::{Certified, site_of};
use crate::secagg::asks_to_be_enrolled;
use crate::signing::VerifyingKey;
use crate::{RoundId, round};

/// What calls may take up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// So many messages are put together at a time, and so many files sent: with a message's length, the memory that senders
    /// can claim. Each site has one of each.
    pub at_once: usize,
    /// How long a sender may take for one piece, and a receiver to take one.
    pub piece: Duration,
    /// How long a sender may take for a message.
    pub message: Duration,
    /// How long one waits for the next step before it has to ask again.
    pub hear: Duration,
    /// When sites are to check in again.
    pub again: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { at_once: 64, piece: seconds(20), message: seconds(240), hear: seconds(25), again: seconds(600) }
    }
}

/// What stands behind the calls, beside the coordinator.
pub trait Serving: Send + Sync + 'static {
    /// A released file.
    type File: Read + Seek + Send + 'static;

    /// Whether a site is enrolled, and has not been struck off.
    ///
    /// # Errors
    /// The disk's.
    fn enrolled(&self, site: &VerifyingKey) -> io::Result<bool>;

    /// Enrols a site by a token that is good for once.
    ///
    /// # Errors
    /// The inner one: the token is no good. The outer one: the disk's.
    fn enrol(&self, token: &str, site: &VerifyingKey) -> io::Result<Option<v1::EnrolReply>>;

    /// The task that sites may take part in.
    fn task(&self) -> Option<v1::SignedTask>;

    /// The latest release and its number.
    fn release(&self) -> Option<(u64, v1::SignedRelease)>;

    /// A released file by its hash.
    ///
    /// # Errors
    /// The disk's.
    fn file(&self, blake3: &[u8; 32]) -> io::Result<Option<Self::File>>;
}

/// The calls of an aggregator.
pub struct Service<S> {
    coordinator: Coordinator,
    serving: Arc<S>,
    limits: Limits,
    saying: Turns,
    fetching: Turns,
}

impl<S> Clone for Service<S> {
    fn clone(&self) -> Self {
        let Self { coordinator, serving, limits, saying, fetching } = self;
        let (coordinator, serving, limits) = (coordinator.clone(), serving.clone(), *limits);
        Self { coordinator, serving, limits, saying: saying.clone(), fetching: fetching.clone() }
    }
}

/// Room for so many at once, and for each site one.
#[derive(Clone)]
struct Turns {
    room: Arc<Semaphore>,
    sites: Arc<Mutex<HashSet<[u8; 32]>>>,
}

/// A site's turn, until it is dropped.
struct Turn {
    _place: Place,
    _room: OwnedSemaphorePermit,
}

/// A site that has a turn, or waits for one.
struct Place {
    site: [u8; 32],
    sites: Arc<Mutex<HashSet<[u8; 32]>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.site);
    }
}

impl Turns {
    fn new(room: usize) -> Self {
        Self { room: Arc::new(Semaphore::new(room)), sites: Arc::default() }
    }

    /// A turn for this site, when there is room; none where it has one already.
    async fn take(&self, site: [u8; 32]) -> Option<Turn> {
        let mut turn = None;
        if self.sites.lock().unwrap_or_else(PoisonError::into_inner).insert(site) {
            // From here on, whoever gives up waiting gives the site free again.
            let place = Place { site, sites: self.sites.clone() };
            let room = self.room.clone().acquire_owned().await.ok();
            turn = room.map(|room| Turn { _place: place, _room: room });
        }
        turn
    }
}

/// Bytes of a piece.
const PIECE: usize = 64 << 10;

impl<S: Serving> Service<S> {
    /// The calls to this coordinator.
    pub fn new(coordinator: Coordinator, serving: Arc<S>, limits: Limits) -> Self {
        let turns = || Turns::new(limits.at_once);
        Self { coordinator, serving, limits, saying: turns(), fetching: turns() }
    }

    /// Answers calls over TLS until `stop`, or until the coordinator has ended; sites show certificates of the authority whose certificate (PEM) this is.
    ///
    /// # Errors
    /// The certificates are none.
    pub async fn serve(
        self,
        listener: tokio::net::TcpListener,
        own: &Certified,
        authority: &str,
        stop: impl Future<Output = ()>,
    ) -> Result<(), tonic::transport::Error> {
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(&own.certificate, &own.key))
            .client_ca_root(Certificate::from_pem(authority))
            // Who enrols has none yet; the other calls ask for it themselves.
            .client_auth_optional(true)
            .timeout(Duration::from_secs(10));
        let coordinator = self.coordinator.clone();
        let stop = async move {
            tokio::select! {
                () = stop => {}
                () = coordinator.ended() => {}
            }
        };
        let enrolment = EnrolmentServer::new(self.clone()).max_decoding_message_size(4 << 10);
        let aggregation = AggregationServer::new(self).max_decoding_message_size(2 * PIECE);
        Server::builder()
            .tls_config(tls)?
            .concurrency_limit_per_connection(8)
            .max_concurrent_streams(8)
            .http2_keepalive_interval(Some(Duration::from_secs(30)))
            .http2_max_pending_accept_reset_streams(Some(16))
            .http2_max_header_list_size(8 << 10)
            // Strangers do not stay, and whoever has business comes back.
            .max_connection_age(Duration::from_secs(600))
            .max_connection_age_grace(Duration::from_secs(300))
            .timeout(Duration::from_secs(300))
            .add_service(enrolment)
            .add_service(aggregation)
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop)
            .await
    }

    /// The enrolled site that asks.
    fn site<T>(&self, request: &Request<T>) -> Result<[u8; 32], Status> {
        let certificates =
            request.peer_certs().ok_or_else(|| Status::unauthenticated("a certificate is needed: enrol"))?;
        let site = certificates.first().and_then(|certificate| site_of(certificate));
        let site = site.ok_or_else(|| Status::unauthenticated("the certificate is not one of a site"))?;
        if !self.serving.enrolled(&site).map_err(|_| self.refuse(Busy::Later))? {
            return Err(Status::permission_denied("the site is not enrolled, or no longer"));
        }
        Ok(site.to_bytes())
    }

    fn refuse(&self, busy: Busy) -> Status {
        let (code, reason) = match busy {
            Busy::Rejected(_) => (Code::FailedPrecondition, Reason::Rejected),
            Busy::Over => (Code::NotFound, Reason::Over),
            Busy::Later => (Code::Unavailable, Reason::Busy),
        };
        self.refused(code, reason, busy.to_string())
    }

    fn refused(&self, code: Code, reason: Reason, message: String) -> Status {
        let again_after_ms = if reason == Reason::Busy { 1000 } else { 0 };
        let detail = v1::Refused { reason: reason.into(), again_after_ms };
        Status::with_details(code, message, detail.encode_to_vec().into())
    }

    /// Puts a message together.
    async fn assemble(&self, mut pieces: Streaming<v1::SayPiece>) -> Result<(RoundId, v1::SiteMessage), Status> {
        let mut next = async || {
            let piece = timeout(self.limits.piece, pieces.message()).await;
            piece.map_err(|_| Status::deadline_exceeded("the next piece took too long"))?
        };
        let mut piece = next().await?;
        let round = piece.as_mut().and_then(|piece| piece.round.take()).and_then(|round| RoundId::try_from(round).ok());
        let round = round.ok_or_else(|| Status::invalid_argument("the first piece names no round"))?;
        let longest = self.coordinator.longest(round).map_err(|busy| self.refuse(busy))?;
        let mut bytes = Vec::new();
        while let Some(v1::SayPiece { data, .. }) = piece {
            if data.is_empty() || bytes.len() + data.len() > longest {
                return Err(Status::out_of_range(
                    "the message is longer than any may be now, or comes in empty pieces",
                ));
            }
            bytes.extend_from_slice(&data);
            piece = next().await?;
        }
        let message = v1::SiteMessage::decode(bytes.as_slice());
        Ok((round, message.map_err(|_| Status::invalid_argument("the message cannot be read"))?))
    }
}

type Pieces<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl<S: Serving> Enrolment for Service<S> {
    async fn enrol(&self, request: Request<v1::EnrolRequest>) -> Result<Response<v1::EnrolReply>, Status> {
        let v1::EnrolRequest { token, key, signature } = request.into_inner();
        let key = <[u8; 32]>::try_from(key).ok().and_then(|key| VerifyingKey::from_bytes(&key));
        let key = key.filter(|key| asks_to_be_enrolled(key, &token, &signature));
        let key = key.ok_or_else(|| Status::invalid_argument("the key did not sign the token, or is none"))?;
        let serving = self.serving.clone();
        let reply = blocking(move || serving.enrol(&token, &key)).await?;
        let message = || "the token is not, no longer or not yet good: ask for another".to_owned();
        let refused = || self.refused(Code::PermissionDenied, Reason::Token, message());
        reply.map(Response::new).ok_or_else(refused)
    }
}

#[tonic::async_trait]
impl<S: Serving> Aggregation for Service<S> {
    type HearStream = Pieces<v1::HearPiece>;
    type FetchStream = Pieces<v1::FetchPiece>;

    async fn check_in(&self, request: Request<v1::CheckInRequest>) -> Result<Response<v1::CheckInReply>, Status> {
        self.site(&request)?;
        let have = request.into_inner().release;
        let gathering = self.coordinator.gathering().await.map_err(|busy| self.refuse(busy))?;
        let release = self
            .serving
            .release()
            .filter(|(number, _)| have.is_none_or(|have| *number > have))
            .map(|(_, release)| release);
        Ok(Response::new(v1::CheckInReply {
            task: self.serving.task(),
            release,
            round: gathering.map(|plan: round::Plan| plan.terms.into()),
            again_after_ms: u32::try_from(self.limits.again.as_millis()).unwrap_or(u32::MAX),
        }))
    }

    async fn say(&self, request: Request<Streaming<v1::SayPiece>>) -> Result<Response<v1::SayReply>, Status> {
        let site = self.site(&request)?;
        let _turn = self.saying.take(site).await.ok_or_else(|| self.refuse(Busy::Later))?;
        let assembled = timeout(self.limits.message, self.assemble(request.into_inner())).await;
        let (round, message) = assembled.map_err(|_| Status::deadline_exceeded("the message took too long"))??;
        self.coordinator.say(site, round, message).await.map_err(|busy| self.refuse(busy))?;
        Ok(Response::new(v1::SayReply {}))
    }

    async fn hear(&self, request: Request<v1::HearRequest>) -> Result<Response<Self::HearStream>, Status> {
        let site = self.site(&request)?;
        let v1::HearRequest { round, steps } = request.into_inner();
        let round = round.and_then(|round| RoundId::try_from(round).ok());
        let round = round.ok_or_else(|| Status::invalid_argument("no round is named"))?;
        let heard = match timeout(self.limits.hear, self.coordinator.hear(site, round, steps)).await {
            Ok(heard) => heard.map_err(|busy| self.refuse(busy))?,
            Err(_) => {
                return Ok(Response::new(Box::pin(tokio_stream::once(Ok(v1::HearPiece {
                    steps,
                    ..Default::default()
                })))));
            }
        };
        let bytes = heard.message.map(|message| v1::ServerMessage::from(message).encode_to_vec()).unwrap_or_default();
        let mut pieces: Vec<_> =
            bytes.chunks(PIECE).map(|data| v1::HearPiece { data: data.to_vec(), ..Default::default() }).collect();
        if pieces.is_empty() {
            pieces.push(v1::HearPiece::default());
        }
        if let Some(first) = pieces.first_mut() {
            (first.steps, first.over) = (heard.steps, heard.over);
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(pieces.into_iter().map(Ok)))))
    }

    async fn fetch(&self, request: Request<v1::FetchRequest>) -> Result<Response<Self::FetchStream>, Status> {
        let site = self.site(&request)?;
        let turn = self.fetching.take(site).await.ok_or_else(|| self.refuse(Busy::Later))?;
        let v1::FetchRequest { blake3, offset } = request.into_inner();
        let hash = <[u8; 32]>::try_from(blake3).map_err(|_| Status::invalid_argument("no file has such a hash"))?;
        let serving = self.serving.clone();
        let open = move || {
            let mut file = serving.file(&hash)?;
            if let Some(file) = &mut file {
                file.seek(SeekFrom::Start(offset))?;
            }
            Ok(file)
        };
        let mut file = blocking(open).await?.ok_or_else(|| Status::not_found("there is no such file"))?;
        let (sender, pieces) = tokio::sync::mpsc::channel(2);
        let patience = self.limits.piece;
        tokio::spawn(async move {
            let _turn = turn;
            loop {
                let read = blocking(move || {
                    let mut data = Vec::new();
                    file.by_ref().take(PIECE as u64).read_to_end(&mut data)?;
                    Ok((file, data))
                });
                let (piece, next) = match read.await {
                    Ok((_, data)) if data.is_empty() => return,
                    Ok((file, data)) => (Ok(v1::FetchPiece { data }), Some(file)),
                    Err(status) => (Err(status), None),
                };
                // Who takes nothing, or has gone, loses its turn.
                let sent = timeout(patience, sender.send(piece)).await;
                match next.filter(|_| matches!(sent, Ok(Ok(())))) {
                    Some(next) => file = next,
                    None => return,
                }
            }
        });
        Ok(Response::new(Box::pin(tokio_stream::wrappers::ReceiverStream::new(pieces))))
    }
}

/// What a disk does, off the threads that answer calls.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Status> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) | Err(_) => Err(Status::unavailable("the disk cannot be read or written now")),
    }
}
