//! The calls: who asks, how much at a time, and nothing of what it means.
//!
//! A stranger reaches `Enrol` and no further. An enrolled site has one message under way and one file: messages have the
//! length that their step allows, pieces and messages a deadline, and calls a rate. What belongs to a shard of another replica
//! is passed on to it.

use std::future::Future;
use std::io;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota};
use prost::Message;
use tokio::time::timeout;
use tokio_stream::Stream;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status, Streaming};
use volet_proto::v1;
use volet_proto::v1::aggregation_server::{Aggregation, AggregationServer};
use volet_proto::v1::enrolment_server::{Enrolment, EnrolmentServer};
use volet_proto::v1::refused::Reason;

use super::coordinator::{Busy, Coordinator, Heard};
use super::listen::Connections;
use super::peers::{Asker, Peers};
use super::pki::Certified;
use super::register::Place;
use super::turns::{Beginnings, Turns};
use crate::RoundId;
use crate::secagg::{Rejected, Terms, asks_to_be_enrolled};
use crate::signing::VerifyingKey;

/// What calls may take up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// So many messages are put together at a time, so many that other replicas pass on, and so many files sent: with a message's
    /// length, the memory that senders can claim. Each site has one of each.
    pub at_once: usize,
    /// So many connections are open at a time; more are closed at once.
    pub connections: usize,
    /// So many calls per second of one site, ten times as many at once.
    pub calls: NonZeroU32,
    /// So many enrolments per second of all strangers together, ten times as many at once.
    pub enrolments: NonZeroU32,
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
        Self {
            at_once: 16,
            connections: 8192,
            calls: NonZeroU32::new(20).unwrap_or(NonZeroU32::MIN),
            enrolments: NonZeroU32::new(100).unwrap_or(NonZeroU32::MIN),
            piece: seconds(20),
            message: seconds(240),
            hear: seconds(25),
            again: seconds(600),
        }
    }
}

/// What stands behind the calls, beside the coordinator. Its calls block.
#[allow(clippy::missing_errors_doc)] // those of the disk or the network behind it
pub trait Serving: Send + Sync + 'static {
    /// Whether a site is enrolled, and has not been struck off.
    fn enrolled(&self, site: &VerifyingKey) -> io::Result<bool>;

    /// Enrols a site by a token that is good for once; `None` where the token is no good.
    fn enrol(&self, token: &str, site: &VerifyingKey) -> io::Result<Option<v1::EnrolReply>>;

    /// The task that sites may take part in.
    fn task(&self) -> io::Result<v1::SignedTask>;

    /// The latest release and its number.
    fn release(&self) -> io::Result<(u64, v1::SignedRelease)>;

    /// The terms of the round that gathers sites now.
    fn gathering(&self) -> io::Result<Option<Terms>>;

    /// Where a site's messages of a round belong.
    fn find(&self, round: u64, site: &[u8; 32]) -> io::Result<Place>;

    /// Up to `length` bytes of a released file from `offset` on; `None` if there is no such file.
    fn piece(&self, blake3: &[u8; 32], offset: u64, length: usize) -> io::Result<Option<Vec<u8>>>;

    /// The terms of the round that this site is asked to take part in.
    fn offered(&self, _site: &[u8; 32]) -> io::Result<Option<Terms>> {
        self.gathering()
    }

    /// A new certificate for an enrolled site.
    fn renew(&self, site: &VerifyingKey) -> io::Result<v1::EnrolReply>;
}

/// The calls of an aggregator.
pub struct Service<S> {
    coordinator: Coordinator,
    serving: Arc<S>,
    peers: Peers,
    limits: Limits,
    saying: Turns,
    /// Of what other replicas pass on. Those who do keep a turn of theirs meanwhile: were it one and the same, two replicas could wait for
    /// each other.
    passed: Turns,
    fetching: Turns,
    begun: Beginnings,
    rates: Arc<DefaultKeyedRateLimiter<[u8; 32]>>,
    strangers: Arc<DefaultDirectRateLimiter>,
}

impl<S> Clone for Service<S> {
    fn clone(&self) -> Self {
        Self {
            coordinator: self.coordinator.clone(),
            serving: self.serving.clone(),
            peers: self.peers.clone(),
            limits: self.limits,
            saying: self.saying.clone(),
            passed: self.passed.clone(),
            fetching: self.fetching.clone(),
            begun: self.begun.clone(),
            rates: self.rates.clone(),
            strangers: self.strangers.clone(),
        }
    }
}

/// Bytes of a piece.
pub(super) const PIECE: usize = 64 << 10;
const WINDOW: u32 = 64 << 10;
/// Calls that a connection carries at a time.
pub(super) const STREAMS: u32 = 64;
/// Bytes per second of a sender that others wait for.
const SLOWEST: usize = 1 << 10;

impl<S: Serving> Service<S> {
    /// The calls to this coordinator, with the others' that `peers` are.
    pub fn new(coordinator: Coordinator, serving: Arc<S>, peers: Peers, limits: Limits) -> Self {
        let turns = || Turns::new(limits.at_once);
        let burst = limits.calls.saturating_mul(NonZeroU32::new(10).unwrap_or(NonZeroU32::MIN));
        let rates = Arc::new(DefaultKeyedRateLimiter::keyed(Quota::per_second(limits.calls).allow_burst(burst)));
        let begun = Beginnings::new(limits.at_once, limits.message);
        let ten = NonZeroU32::new(10).unwrap_or(NonZeroU32::MIN);
        let strangers = Quota::per_second(limits.enrolments).allow_burst(limits.enrolments.saturating_mul(ten));
        let strangers = Arc::new(DefaultDirectRateLimiter::direct(strangers));
        Self {
            coordinator,
            serving,
            peers,
            limits,
            saying: turns(),
            passed: turns(),
            fetching: turns(),
            begun,
            rates,
            strangers,
        }
    }

    /// Answers calls over TLS until `stop`, or until the coordinator has ended; sites show certificates of the authority whose
    /// certificate (PEM) this is.
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
        let (coordinator, rates) = (self.coordinator.clone(), self.rates.clone());
        let forget = async move {
            loop {
                tokio::time::sleep(Duration::from_secs(60)).await;
                rates.retain_recent();
            }
        };
        let stop = async move {
            tokio::select! {
                () = stop => {}
                () = coordinator.ended() => {}
                () = forget => {}
            }
        };
        let connections = Connections::new(listener, self.limits.connections);
        let enrolment = EnrolmentServer::new(self.clone()).max_decoding_message_size(4 << 10);
        let aggregation = AggregationServer::new(self).max_decoding_message_size(2 * PIECE);
        Server::builder()
            .tls_config(tls)?
            .concurrency_limit_per_connection(STREAMS as usize)
            .max_concurrent_streams(STREAMS)
            // What senders may send before it is taken: their messages wait with them, and not here.
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(2 * WINDOW)
            .http2_keepalive_interval(Some(Duration::from_secs(30)))
            .http2_max_pending_accept_reset_streams(Some(16))
            .http2_max_header_list_size(8 << 10)
            // Strangers do not stay, and whoever has business comes back.
            .max_connection_age(Duration::from_secs(600))
            .max_connection_age_grace(Duration::from_secs(300))
            .timeout(Duration::from_secs(300))
            .add_service(enrolment)
            .add_service(aggregation)
            .serve_with_incoming_shutdown(connections, stop)
            .await
    }

    /// The enrolled site that asks, and whether another replica asks for it.
    async fn site<T>(&self, request: &Request<T>) -> Result<Asker, Status> {
        let asker = self.peers.asker(request)?;
        let Asker { site, .. } = asker;
        if self.rates.check_key(&site.to_bytes()).is_err() {
            return Err(self.refuse(Busy::Later));
        }
        let serving = self.serving.clone();
        if !blocking(move || serving.enrolled(&site)).await? {
            return Err(Status::permission_denied("the site is not enrolled, or no longer"));
        }
        Ok(asker)
    }

    fn refuse(&self, busy: Busy) -> Status {
        let (code, reason) = match busy {
            Busy::Rejected(_) => (Code::FailedPrecondition, Reason::Rejected),
            Busy::Over => (Code::NotFound, Reason::Over),
            Busy::Later | Busy::Elsewhere => (Code::Unavailable, Reason::Busy),
        };
        self.refused(code, reason, busy.to_string())
    }

    fn refused(&self, code: Code, reason: Reason, message: String) -> Status {
        let name = match reason {
            Reason::Rejected => "rejected",
            Reason::Over => "over",
            Reason::Busy => "busy",
            Reason::Token => "token",
            Reason::Unspecified => "other",
        };
        metrics::counter!("volet_calls_refused_total", "reason" => name).increment(1);
        let again_after_ms = if reason == Reason::Busy { 1000 } else { 0 };
        let detail = v1::Refused { reason: reason.into(), again_after_ms };
        Status::with_details(code, message, detail.encode_to_vec().into())
    }

    /// Puts a message together. What has come of one whose connection breaks is kept, if its sender wants to go on with it.
    async fn assemble(&self, asker: Asker, mut pieces: Streaming<v1::SayPiece>) -> Result<(RoundId, Vec<u8>), Status> {
        let site = asker.site.to_bytes();
        let mut next = async || {
            let piece = timeout(self.limits.piece, pieces.message()).await;
            piece.map_err(|_| Status::deadline_exceeded("the next piece took too long"))?
        };
        let first = next().await?.ok_or_else(|| Status::invalid_argument("the message has no piece"))?;
        let round = first.round.and_then(|round| RoundId::try_from(round).ok());
        let round = round.ok_or_else(|| Status::invalid_argument("the first piece names no round"))?;
        let longest = self.longest(asker, round).await?;
        let digest = <[u8; 32]>::try_from(first.blake3).ok();
        let mut bytes = match (digest, usize::try_from(first.offset)) {
            (_, Ok(0)) => Vec::new(),
            (Some(digest), Ok(offset)) => self
                .begun
                .take(&site, &digest, offset)
                .ok_or_else(|| Status::aborted("less of the message is held: say it from its beginning"))?,
            _ => {
                return Err(Status::invalid_argument("the first piece goes on with a message, and does not say which"));
            }
        };
        let (mut data, start) = (first.data, Instant::now());
        loop {
            // Who sends next to nothing keeps others waiting.
            if start.elapsed() > self.limits.piece && bytes.len() < SLOWEST * start.elapsed().as_secs() as usize {
                return Err(Status::deadline_exceeded("the message comes too slowly"));
            }
            if data.is_empty() || bytes.len() + data.len() > longest {
                return Err(Status::out_of_range(
                    "the message is longer than any may be now, or comes in empty pieces",
                ));
            }
            bytes.extend_from_slice(&data);
            match next().await {
                Ok(Some(piece)) => data = piece.data,
                Ok(None) => break,
                Err(broken) => {
                    if let Some(digest) = digest {
                        self.begun.keep(site, digest, bytes);
                    }
                    return Err(broken);
                }
            }
        }
        if digest.is_some_and(|digest| blake3::hash(&bytes) != digest) {
            return Err(Status::invalid_argument("the message is not what its hash says"));
        }
        Ok((round, bytes))
    }

    /// The longest message that any shard takes now.
    async fn longest(&self, asker: Asker, round: RoundId) -> Result<usize, Status> {
        let here = match self.coordinator.longest(round) {
            // It may have been opened, here or at another replica, since the coordinator last looked: the register knows.
            Err(Busy::Over) => 0,
            here => here.map_err(|busy| self.refuse(busy))?,
        };
        let longest = here.max(self.peers.longest());
        if longest == 0 {
            // No shard here takes any: the round ends, the next shard is about to begin, or the coordinator has not seen the round yet.
            let busy = self.elsewhere(asker, round, true).await.err().unwrap_or(Busy::Later);
            return Err(self.refuse(busy));
        }
        Ok(longest)
    }

    /// Another replica's address, if a site that says that it takes part has said so there: it joins one shard.
    async fn joined(&self, asker: Asker, round: RoundId) -> Result<Option<String>, Busy> {
        if !self.peers.exist() || asker.forwarded {
            return Ok(None);
        }
        let (site, serving) = (asker.site.to_bytes(), self.serving.clone());
        match blocking(move || serving.find(round.number(), &site)).await.map_err(|_| Busy::Later)? {
            Place::Over => Err(Busy::Over),
            Place::At { joined: true, replica, address } if replica != self.peers.own() => Ok(Some(address)),
            Place::At { .. } | Place::Nowhere => Ok(None),
        }
    }

    /// Waits for the end of a round whose shard has ended; whether it has come.
    async fn ended(&self, round: RoundId) -> bool {
        let mut live = self.coordinator.live();
        let ended = live.wait_for(|live| live.round.is_none_or(|present| present.number > round.number()));
        timeout(self.limits.hear, ended).await.is_ok()
    }

    /// Another replica's address, if that is where the site's shard is driven.
    async fn elsewhere(&self, asker: Asker, round: RoundId, newcomer: bool) -> Result<String, Busy> {
        let Asker { site, forwarded } = asker;
        let site = site.to_bytes();
        let serving = self.serving.clone();
        let place = blocking(move || serving.find(round.number(), &site)).await.map_err(|_| Busy::Later)?;
        match place {
            Place::Over => Err(Busy::Over),
            // Who has not joined has nothing to say but that.
            Place::At { joined: false, .. } if !newcomer => Err(Busy::Rejected(Rejected::Stranger)),
            // What one replica passes on is not passed on again: the register is behind.
            Place::At { replica, address, .. } if replica != self.peers.own() && !forwarded => Ok(address),
            Place::At { .. } => Err(Busy::Later),
            Place::Nowhere => {
                let serving = self.serving.clone();
                match blocking(move || serving.gathering()).await {
                    Ok(Some(terms)) if terms.round() == round => Err(Busy::Later),
                    Ok(_) => Err(Busy::Over),
                    Err(_) => Err(Busy::Later),
                }
            }
        }
    }
}

type Pieces<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl<S: Serving> Enrolment for Service<S> {
    async fn enrol(&self, request: Request<v1::EnrolRequest>) -> Result<Response<v1::EnrolReply>, Status> {
        if self.strangers.check().is_err() {
            return Err(self.refuse(Busy::Later));
        }
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
        let _time = Timed::new("check_in");
        let site = self.site(&request).await?.site.to_bytes();
        let (have, serving) = (request.into_inner().release, self.serving.clone());
        let again_after_ms = u32::try_from(self.limits.again.as_millis()).unwrap_or(u32::MAX);
        let reply = blocking(move || {
            let terms = serving.offered(&site)?;
            let (number, release) = serving.release()?;
            Ok(v1::CheckInReply {
                task: Some(serving.task()?),
                release: have.is_none_or(|have| number > have).then_some(release),
                round: terms.map(Into::into),
                again_after_ms,
            })
        });
        Ok(Response::new(reply.await?))
    }

    async fn say(&self, request: Request<Streaming<v1::SayPiece>>) -> Result<Response<v1::SayReply>, Status> {
        let _time = Timed::new("say");
        let asker = self.site(&request).await?;
        let site = asker.site.to_bytes();
        // Not until the caller gives up: it would begin again at the end of the queue.
        let turns = if asker.forwarded { &self.passed } else { &self.saying };
        let turn = timeout(self.limits.hear, turns.take(site)).await.ok().flatten();
        let _turn = turn.ok_or_else(|| self.refuse(Busy::Later))?;
        let assembled = timeout(self.limits.message, self.assemble(asker, request.into_inner())).await;
        let (round, bytes) = assembled.map_err(|_| Status::deadline_exceeded("the message took too long"))??;
        metrics::counter!("volet_message_bytes_total").increment(bytes.len() as u64);
        let message = v1::SiteMessage::decode(bytes.as_slice());
        let message = message.map_err(|_| Status::invalid_argument("the message cannot be read"))?;
        let kind = kind(&message);
        let newcomer = ["advertisement", "report"].contains(&kind);
        let joined = if newcomer { self.joined(asker, round).await } else { Ok(None) };
        let said = match joined {
            Ok(None) => match self.coordinator.say(site, round, message).await {
                Err(Busy::Elsewhere | Busy::Over) => self.elsewhere(asker, round, newcomer).await.map(Some),
                said => said.map(|()| None),
            },
            joined => joined,
        };
        let said = match said {
            Ok(Some(address)) => return self.peers.say(&address, site, round, bytes).await,
            said => said.map(drop),
        };
        let outcome = if said.is_ok() { "taken" } else { "refused" };
        metrics::counter!("volet_messages_total", "kind" => kind, "outcome" => outcome).increment(1);
        said.map(|()| Response::new(v1::SayReply {})).map_err(|busy| self.refuse(busy))
    }

    async fn renew(&self, request: Request<v1::RenewRequest>) -> Result<Response<v1::EnrolReply>, Status> {
        let (site, serving) = (self.site(&request).await?.site, self.serving.clone());
        Ok(Response::new(blocking(move || serving.renew(&site)).await?))
    }

    async fn held(&self, request: Request<v1::HeldRequest>) -> Result<Response<v1::HeldReply>, Status> {
        let site = self.site(&request).await?.site.to_bytes();
        let digest = <[u8; 32]>::try_from(request.into_inner().blake3);
        let digest = digest.map_err(|_| Status::invalid_argument("no message has such a hash"))?;
        Ok(Response::new(v1::HeldReply { bytes: self.begun.length(&site, &digest) as u64 }))
    }

    async fn hear(&self, request: Request<v1::HearRequest>) -> Result<Response<Self::HearStream>, Status> {
        let asker = self.site(&request).await?;
        let site = asker.site.to_bytes();
        let v1::HearRequest { round, steps } = request.into_inner();
        let id = round.clone().and_then(|round| RoundId::try_from(round).ok());
        let id = id.ok_or_else(|| Status::invalid_argument("no round is named"))?;
        let heard = match timeout(self.limits.hear, self.coordinator.hear(site, id, steps)).await {
            Ok(Err(Busy::Elsewhere | Busy::Over)) => match self.elsewhere(asker, id, false).await {
                Ok(address) => return self.peers.hear(&address, site, v1::HearRequest { round, steps }).await,
                Err(Busy::Over) => Heard { steps, message: None, over: self.ended(id).await },
                Err(busy) => return Err(self.refuse(busy)),
            },
            Ok(heard) => heard.map_err(|busy| self.refuse(busy))?,
            // Nothing yet.
            Err(_) => Heard { steps, message: None, over: false },
        };
        let Heard { steps, message, over } = heard;
        let bytes = message.unwrap_or_default();
        let pieces = bytes.len().div_ceil(PIECE).max(1);
        // Cut as they go: many hear the same message at a time.
        let piece = move |n: usize| {
            let data = bytes.get(n * PIECE..bytes.len().min((n + 1) * PIECE)).unwrap_or_default().to_vec();
            let first = n == 0;
            Ok(v1::HearPiece { steps: if first { steps } else { 0 }, data, over: first && over })
        };
        Ok(Response::new(Box::pin(tokio_stream::iter((0..pieces).map(piece)))))
    }

    async fn fetch(&self, request: Request<v1::FetchRequest>) -> Result<Response<Self::FetchStream>, Status> {
        let site = self.site(&request).await?.site.to_bytes();
        let turn = self.fetching.take(site).await.ok_or_else(|| self.refuse(Busy::Later))?;
        let v1::FetchRequest { blake3, offset } = request.into_inner();
        let hash = <[u8; 32]>::try_from(blake3).map_err(|_| Status::invalid_argument("no file has such a hash"))?;
        let serving = self.serving.clone();
        let read = move |offset| {
            let serving = serving.clone();
            blocking(move || serving.piece(&hash, offset, PIECE))
        };
        let first = read(offset).await?.ok_or_else(|| Status::not_found("there is no such file"))?;
        let (sender, pieces) = tokio::sync::mpsc::channel(2);
        let patience = self.limits.piece;
        tokio::spawn(async move {
            let _turn = turn;
            let (mut next, mut offset) = (Ok(Some(first)), offset);
            loop {
                let (piece, more) = match next {
                    Ok(data) => {
                        let data = data.unwrap_or_default();
                        if data.is_empty() {
                            return;
                        }
                        offset += data.len() as u64;
                        (Ok(v1::FetchPiece { data }), true)
                    }
                    Err(status) => (Err(status), false),
                };
                // Who takes nothing, or has gone, loses its turn.
                let sent = timeout(patience, sender.send(piece)).await;
                if !more || !matches!(sent, Ok(Ok(()))) {
                    return;
                }
                next = read(offset).await;
            }
        });
        Ok(Response::new(Box::pin(tokio_stream::wrappers::ReceiverStream::new(pieces))))
    }
}

/// A call's kind of message, for people to count.
fn kind(message: &v1::SiteMessage) -> &'static str {
    use v1::site_message::Body;
    match message.body {
        Some(Body::Advertisement(_)) => "advertisement",
        Some(Body::Shares(_)) => "shares",
        Some(Body::Masked(_)) => "masked",
        Some(Body::Signature(_)) => "signature",
        Some(Body::Reveal(_)) => "reveal",
        Some(Body::Split(_)) => "report",
        Some(Body::MaskSum(_)) => "masks",
        None => "other",
    }
}

/// Measures a call until it is dropped.
struct Timed(&'static str, Instant);

impl Timed {
    fn new(call: &'static str) -> Self {
        Self(call, Instant::now())
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        metrics::histogram!("volet_call_seconds", "call" => self.0).record(self.1.elapsed());
    }
}

/// What a disk does, off the threads that answer calls.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Status> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the register or the store does not answer");
            Err(Status::unavailable("the disk cannot be read or written now"))
        }
        Err(_) => Err(Status::unavailable("the disk cannot be read or written now")),
    }
}
