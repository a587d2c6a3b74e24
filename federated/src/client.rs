//! A site's calls to its aggregator: over mutual TLS, to the one authority that it pins, and again until they are answered.
//! Everything that is said goes through a [`Door`].
//!
//! What is said again is the very same message; the aggregator knows it by its hash. Knows no rounds' meaning: the states
//! are [`secagg`](crate::secagg)'s.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use base64::Engine;
use prost::Message;
use prost::encoding::{DecodeContext, decode_key, decode_varint, skip_field};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};
use volet_proto::v1;
use volet_proto::v1::aggregation_client::AggregationClient;
use volet_proto::v1::enrolment_client::EnrolmentClient;

use crate::RoundId;
use crate::participation::{Participation, ParticipationError};
use crate::secagg::{Masked, Refusal, Shared, ToServer, ToSite, ask_to_be_enrolled};
use crate::signing::{SigningKey, VerifyingKey};
use crate::storage::Storage;

mod door;

use door::Gated;
#[cfg(feature = "aggregator")]
pub use door::Plain;
pub use door::{Door, Later, Wire};

/// Why a call or a round ended.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum ClientError {
    #[error("no connection can be made with this address or these certificates: {0}")]
    Connection(#[from] tonic::transport::Error),
    #[error("the aggregator refused: {0}")]
    Refused(#[from] Box<Status>),
    #[error("the aggregator's answer makes no sense: {0}")]
    Answer(&'static str),
    #[error("this site takes no further part in the round: {0}")]
    Round(#[from] Refusal),
    #[error("a file that comes cannot be kept: make room or repair the disk: {0}")]
    Disk(io::Error),
    #[error(transparent)]
    Participation(#[from] ParticipationError),
    #[error("the file that came is not the one that was asked for")]
    Hash,
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

impl ClientError {
    /// Whether the same may succeed in a while: the network or the aggregator had no time for it, or this device's disk failed.
    pub fn passes(&self) -> bool {
        match self {
            Self::Refused(status) => PASSING.contains(&status.code()),
            Self::Participation(error) => matches!(error, ParticipationError::Io(_) | ParticipationError::Failed),
            Self::Disk(_) => true,
            Self::Connection(_) | Self::Answer(_) | Self::Round(_) | Self::Hash => false,
        }
    }
}

/// A site's certificate and key.
pub struct Credentials {
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// The key that it is for.
    pub key: SigningKey,
}

/// A connection to an aggregator; made when it is first needed, and again when it breaks.
#[derive(Clone)]
pub struct Link {
    calls: Gated,
    tries: usize,
    longest: usize,
    address: String,
    authority: String,
    door: Arc<dyn Door>,
}

/// The longest message from the aggregator, bytes: a roster of some 26,000 sites.
const LONGEST: usize = 8 << 20;
const PIECE: usize = 64 << 10;

impl Link {
    /// A link to `https://host:port`, whose certificate is of this authority (PEM). Without credentials one can enrol.
    /// Connections are the door's. To be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`ClientError::Connection`]: the address or a certificate is none.
    pub fn new(
        address: String,
        authority: &str,
        own: Option<&Credentials>,
        door: Arc<dyn Door>,
    ) -> Result<Self, ClientError> {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority));
        if let Some(own) = own {
            tls = tls.identity(Identity::from_pem(
                pem("CERTIFICATE", &own.certificate),
                pem("PRIVATE KEY", &pkcs8(&own.key)),
            ));
        }
        let endpoint = Endpoint::from_shared(address.clone())?
            .tls_config(tls)?
            .connect_timeout(Duration::from_secs(10))
            .http2_keep_alive_interval(Duration::from_secs(30))
            .timeout(Duration::from_secs(120));
        let calls = Gated::new(&endpoint, door.clone());
        Ok(Self { calls, tries: 12, longest: LONGEST, address, authority: authority.to_owned(), door })
    }

    /// A link to the same aggregator that shows this certificate.
    ///
    /// # Errors
    /// [`ClientError::Connection`].
    pub fn with(&self, own: &Credentials) -> Result<Self, ClientError> {
        let link = Self::new(self.address.clone(), &self.authority, Some(own), self.door.clone())?;
        Ok(Self { tries: self.tries, longest: self.longest, ..link })
    }

    /// The same, where a call is made again at most so many times: 12, in some minutes, if nothing else is said.
    pub fn tries(self, tries: usize) -> Self {
        Self { tries, ..self }
    }

    /// The same, for messages of at most so many bytes: 8 MiB if nothing else is said. What is longer is not kept.
    pub fn longest(self, longest: usize) -> Self {
        Self { longest, ..self }
    }

    /// Enrols this key by a token; what comes back are its certificate and the enrolment authority's signature.
    ///
    /// # Errors
    /// [`ClientError::Refused`], [`ClientError::Answer`].
    pub async fn enrol(&self, token: &str, key: &SigningKey) -> Result<(Credentials, [u8; 64]), ClientError> {
        let request = v1::EnrolRequest {
            token: token.to_owned(),
            key: VerifyingKey::from(key).to_bytes().to_vec(),
            signature: ask_to_be_enrolled(key, token).to_vec(),
        };
        // A token is good for once: asked twice by the same key, the aggregator answers the same.
        let reply =
            self.again(|| async { EnrolmentClient::new(self.calls.clone()).enrol(request.clone()).await }).await?;
        let v1::EnrolReply { certificate, enrolment, .. } = reply.into_inner();
        let enrolment = enrolment.try_into().map_err(|_| ClientError::Answer("the enrolment is no signature"))?;
        Ok((Credentials { certificate, key: *key }, enrolment))
    }

    /// A new certificate (DER) for the key that this link shows one for, and how many days it is good for.
    ///
    /// # Errors
    /// [`ClientError::Refused`].
    pub async fn renew(&self) -> Result<(Vec<u8>, u32), ClientError> {
        let reply = self.again(|| async { self.calls().renew(v1::RenewRequest {}).await }).await?.into_inner();
        Ok((reply.certificate, reply.days))
    }

    /// Asks what there is to do. `release` is the latest that this site has; a site that has none is told of the latest.
    ///
    /// # Errors
    /// [`ClientError::Refused`].
    pub async fn check_in(&self, release: Option<u64>) -> Result<v1::CheckInReply, ClientError> {
        let request = v1::CheckInRequest { release };
        Ok(self.again(|| async { self.calls().check_in(request).await }).await?.into_inner())
    }

    /// Says one message of a round, until it is on the aggregator's disk. Where the connection breaks it goes on with what
    /// the aggregator holds of it.
    ///
    /// # Errors
    /// [`ClientError::Refused`].
    pub async fn say(&self, round: RoundId, message: ToServer) -> Result<(), ClientError> {
        let bytes = Arc::new(v1::SiteMessage::from(message).encode_to_vec());
        let digest = blake3::hash(&bytes).as_bytes().to_vec();
        let tries = AtomicUsize::new(0);
        self.again(|| async {
            let mut held = 0;
            if bytes.len() > PIECE && tries.fetch_add(1, Ordering::Relaxed) > 0 {
                let request = v1::HeldRequest { round: Some(round.into()), blake3: digest.clone() };
                // An aggregator that does not answer this holds nothing.
                held = self.calls().held(request).await.map_or(0, |reply| reply.into_inner().bytes as usize);
                // The last piece is said in any case.
                held = held.min(bytes.len() - 1);
            }
            let (round, digest, bytes) = (v1::RoundId::from(round), digest.clone(), bytes.clone());
            let pieces = (held..bytes.len()).step_by(PIECE).map(move |at| {
                let data = bytes.get(at..bytes.len().min(at + PIECE)).unwrap_or_default().to_vec();
                if at > held {
                    return v1::SayPiece { data, ..Default::default() };
                }
                v1::SayPiece { round: Some(round.clone()), data, blake3: digest.clone(), offset: held as u64 }
            });
            self.calls().say(tokio_stream::iter(pieces.collect::<Vec<_>>())).await
        })
        .await?;
        Ok(())
    }

    /// Waits until more than `steps` steps of a round have ended: how many have, what is said to this site, and whether the
    /// round is over.
    ///
    /// # Errors
    /// [`ClientError::Refused`], [`ClientError::Answer`].
    pub async fn hear(&self, round: RoundId, steps: u32) -> Result<(u32, Option<ToSite>, bool), ClientError> {
        let request = v1::HearRequest { round: Some(round.into()), steps };
        let (first, bytes) = self
            .again(|| async {
                let mut pieces = self.calls().hear(request.clone()).await?.into_inner();
                let (mut first, mut bytes) = (None, Vec::new());
                while let Some(piece) = patiently(pieces.message()).await? {
                    bytes.extend_from_slice(&piece.data);
                    if bytes.len() > self.longest {
                        return Err(Status::out_of_range("the message is longer than any may be"));
                    }
                    first.get_or_insert((piece.steps, piece.over));
                }
                Ok((first, bytes))
            })
            .await?;
        let (ended, over) = first.ok_or(ClientError::Answer("it is empty"))?;
        if bytes.is_empty() || ended <= steps {
            return Ok((ended, None, over));
        }
        let message = is_dense(&bytes).then(|| v1::ServerMessage::decode(bytes.as_slice()).ok()).flatten();
        let message = message.and_then(ToSite::read);
        Ok((ended, Some(message.ok_or(ClientError::Answer("its message cannot be read"))?), over))
    }

    /// Appends what is missing to a released file of this size, so that it is what its hash says. What came before an error
    /// stays, to go on from; after [`ClientError::Hash`] it is worth nothing. Whoever needs it durable syncs it.
    ///
    /// # Errors
    /// [`ClientError::Refused`], [`ClientError::Hash`], [`ClientError::Disk`].
    pub async fn fetch<F: Read + Write + Seek>(
        &self,
        blake3: [u8; 32],
        size: u64,
        file: &mut F,
    ) -> Result<(), ClientError> {
        // Each try goes on where the last one broke off.
        let shared = tokio::sync::Mutex::new((&mut *file, None));
        let fetched = self.again(|| async {
            let (file, failed) = &mut *shared.lock().await;
            let mut have = file.seek(SeekFrom::End(0)).map_err(|error| disk(failed, error))?;
            if have >= size {
                return Ok(());
            }
            let request = v1::FetchRequest { blake3: blake3.to_vec(), offset: have };
            let mut pieces = self.calls().fetch(request).await?.into_inner();
            while let Some(piece) = patiently(pieces.message()).await? {
                have += piece.data.len() as u64;
                if have > size {
                    return Err(Status::out_of_range("the file is longer than was said"));
                }
                file.write_all(&piece.data).map_err(|error| disk(failed, error))?;
            }
            Ok(())
        });
        let fetched = fetched.await;
        if let Some(error) = shared.into_inner().1 {
            return Err(ClientError::Disk(error));
        }
        fetched?;
        let mut hasher = blake3::Hasher::new();
        file.seek(SeekFrom::Start(0)).map_err(ClientError::Disk)?;
        let length = std::io::copy(file, &mut hasher).map_err(ClientError::Disk)?;
        if length == size && hasher.finalize() == blake3 { Ok(()) } else { Err(ClientError::Hash) }
    }

    /// Goes on with a round to its end. `mask` makes the vector when the time has come, once at most: see
    /// [`Participation::hear`].
    ///
    /// # Errors
    /// Where [`ClientError::passes`], the participation goes on when it is resumed from its folder; else the round is over for
    /// this site: to the others one dropout.
    pub async fn take_part<S, E>(
        &self,
        participation: &mut Participation<S>,
        mut mask: impl FnMut(Shared, &v1::ShareDelivery) -> Result<(Masked, v1::MaskedVector), E>,
    ) -> Result<(), E>
    where
        S: Storage,
        E: From<ClientError> + From<ParticipationError> + From<Refusal>,
    {
        let round = participation.round();
        participation.catch_up(&mut mask)?;
        loop {
            // What was last said may not have arrived; said twice, it is taken once.
            if let Some(answer) = participation.answer() {
                let reveals = matches!(answer, ToServer::Reveal(_));
                match self.say(round, answer.clone()).await {
                    // The round may be over before the answer to the last message is heard.
                    Err(ClientError::Refused(status)) if reveals && status.code() == Code::NotFound => {}
                    said => said?,
                }
                participation.said();
            }
            if participation.is_over() {
                return Ok(());
            }
            let steps = participation.steps();
            let (ended, message, over) = self.hear(round, steps).await?;
            match message {
                Some(message) => participation.hear(ended, message, &mut mask)?,
                // Whoever is not among those who go on hears nothing more.
                None if over || ended > steps => {
                    return Err(Refusal::LeftOut("sites that the round goes on with").into());
                }
                // An aggregator that has nothing to say takes its time; one that does not is not asked without a pause.
                None => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    fn calls(&self) -> AggregationClient<Gated> {
        AggregationClient::new(self.calls.clone()).max_decoding_message_size(2 * PIECE)
    }

    /// Makes a call again while the network or the aggregator has no time for it: after a quarter of a second, and ever
    /// later, give or take.
    async fn again<T, F: Future<Output = Result<T, Status>>>(&self, call: impl FnMut() -> F) -> Result<T, Status> {
        let pauses = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(250))
            .with_max_delay(Duration::from_secs(20))
            .with_max_times(self.tries);
        call.retry(pauses)
            .when(|status: &Status| PASSING.contains(&status.code()))
            .adjust(|status, pause| pause.map(|pause| pause.max(asked_to_wait(status))))
            .await
    }
}

/// Whether a message is one body, with no more fields than its length is for. Whatever a server says many of has a key, a hash or
/// a signature in it; of fields without any, a few megabytes would be gigabytes when they are read.
fn is_dense(mut message: &[u8]) -> bool {
    let body = decode_key(&mut message).and_then(|_| decode_varint(&mut message));
    if body.ok() != Some(message.len() as u64) {
        return false;
    }
    let most = 64 + message.len() / 32;
    for _ in 0..=most {
        if message.is_empty() {
            return true;
        }
        let field = decode_key(&mut message);
        let skipped = field.and_then(|(kind, tag)| skip_field(tag, kind, &mut message, DecodeContext::default()));
        if skipped.is_err() {
            return false;
        }
    }
    message.is_empty()
}

/// Between two questions that had no answer.
const PAUSE: Duration = Duration::from_millis(100);

/// What may be better in a while. The aggregator itself never answers with `Internal`: connections that break do.
const PASSING: [Code; 7] = [
    Code::Unavailable,
    Code::ResourceExhausted,
    Code::DeadlineExceeded,
    Code::Cancelled,
    Code::Unknown,
    Code::Aborted,
    Code::Internal,
];

/// How long an aggregator that has too much to do asks to be left alone; no longer than a minute.
fn asked_to_wait(status: &Status) -> Duration {
    let detail = v1::Refused::decode(status.details()).unwrap_or_default();
    Duration::from_millis(detail.again_after_ms.into()).min(Duration::from_secs(60))
}

/// Keeps a disk's error, and ends the tries.
fn disk(kept: &mut Option<io::Error>, error: io::Error) -> Status {
    *kept = Some(error);
    Status::failed_precondition("the disk failed")
}

/// A piece, within a minute.
async fn patiently<T>(piece: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let late = |_| Status::deadline_exceeded("the next piece took too long");
    tokio::time::timeout(Duration::from_secs(60), piece).await.map_err(late)?
}

/// An Ed25519 key as TLS libraries want it (RFC 8410).
fn pkcs8(key: &SigningKey) -> Vec<u8> {
    const HEAD: [u8; 16] =
        [0x30, 0x2e, 0x02, 0x01, 0, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    [&HEAD, key.as_ref()].concat()
}

fn pem(what: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_next_to_nothing_are_not_read() {
        let roster = |member: v1::Advertisement| {
            let members = vec![member; 2000];
            v1::ServerMessage { body: Some(v1::server_message::Body::Roster(v1::Roster { members })) }.encode_to_vec()
        };
        let key = || vec![1; 32];
        let honest = v1::Advertisement {
            identity: key(),
            enrolment: vec![2; 64],
            channel_key: key(),
            mask_key: key(),
            commitment: key(),
            signature: vec![3; 64],
        };
        assert!(is_dense(&roster(honest.clone())));
        let empty = roster(v1::Advertisement::default());
        for hostile in [&empty[..], &[roster(honest), empty.clone()].concat(), b"rubbish", &[]] {
            assert!(!is_dense(hostile));
        }
    }
}
