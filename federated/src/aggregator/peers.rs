//! The other replicas: what belongs to a shard of theirs is passed on to them, with the name of the site that asked.
//!
//! A replica shows the server's own certificate, which no site has; what it says of a site is believed, since it has checked
//! that site's certificate itself.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_stream::Stream;
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Response, Status, Streaming};
use volet_proto::v1;
use volet_proto::v1::aggregation_client::AggregationClient;

use super::pki::{Certified, certificate_der, site_of};
use super::service::PIECE;
use crate::RoundId;
use crate::signing::VerifyingKey;

const SITE: &str = "volet-site-bin";

/// The other replicas.
#[derive(Clone)]
pub struct Peers {
    inner: Arc<Inner>,
}

struct Inner {
    own: String,
    longest: usize,
    /// The server's certificate, DER.
    certificate: Vec<u8>,
    tls: ClientTlsConfig,
    channels: Mutex<HashMap<String, Channel>>,
}

/// Who asks.
#[derive(Clone, Copy)]
pub(super) struct Asker {
    pub(super) site: VerifyingKey,
    /// Whether another replica passed the call on.
    pub(super) forwarded: bool,
}

impl Peers {
    /// None: this replica is alone.
    pub fn none() -> Self {
        let (own, tls, channels) = (String::new(), ClientTlsConfig::new(), Mutex::default());
        Self { inner: Arc::new(Inner { own, longest: 0, certificate: Vec::new(), tls, channels }) }
    }

    /// The other replicas, who serve with the same certificate, by the name of this one; their shards take messages of up to
    /// `longest` bytes. The certificate holds `name`.
    pub fn new(own: &str, certified: &Certified, authority: &str, name: &str, longest: usize) -> Option<Self> {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(authority))
            .identity(Identity::from_pem(&certified.certificate, &certified.key))
            // Replicas are reached by other names than cameras call them by.
            .domain_name(name);
        let certificate = certificate_der(&certified.certificate)?;
        let channels = Mutex::default();
        Some(Self { inner: Arc::new(Inner { own: own.to_owned(), longest, certificate, tls, channels }) })
    }

    /// Whether there may be any.
    pub(super) fn exist(&self) -> bool {
        !self.inner.certificate.is_empty()
    }

    pub(super) fn own(&self) -> &str {
        &self.inner.own
    }

    pub(super) fn longest(&self) -> usize {
        self.inner.longest
    }

    /// The site that asks, by its own certificate or by a replica's word.
    pub(super) fn asker<T>(&self, request: &Request<T>) -> Result<Asker, Status> {
        let certificates =
            request.peer_certs().ok_or_else(|| Status::unauthenticated("a certificate is needed: enrol"))?;
        let certificate = certificates.first().map(|certificate| certificate.as_ref()).unwrap_or_default();
        let forwarded = !certificate.is_empty() && certificate == self.inner.certificate;
        let site = if forwarded {
            let named = request.metadata().get_bin(SITE).and_then(|site| site.to_bytes().ok());
            named.and_then(|site| VerifyingKey::from_bytes(site.as_ref().try_into().ok()?))
        } else {
            site_of(certificate)
        };
        let site = site.ok_or_else(|| Status::unauthenticated("the certificate is not one of a site"))?;
        Ok(Asker { site, forwarded })
    }

    pub(super) async fn say(
        &self,
        address: &str,
        site: [u8; 32],
        round: RoundId,
        bytes: Vec<u8>,
    ) -> Result<Response<v1::SayReply>, Status> {
        let mut pieces: Vec<v1::SayPiece> =
            bytes.chunks(PIECE).map(|data| v1::SayPiece { data: data.to_vec(), ..Default::default() }).collect();
        if let Some(first) = pieces.first_mut() {
            first.round = Some(round.into());
        }
        self.calls(address)?.say(forward(site, tokio_stream::iter(pieces))).await
    }

    pub(super) async fn hear(
        &self,
        address: &str,
        site: [u8; 32],
        request: v1::HearRequest,
    ) -> Result<Response<Pin<Box<dyn Stream<Item = Result<v1::HearPiece, Status>> + Send>>>, Status> {
        let pieces: Streaming<v1::HearPiece> = self.calls(address)?.hear(forward(site, request)).await?.into_inner();
        Ok(Response::new(Box::pin(pieces)))
    }

    fn calls(&self, address: &str) -> Result<AggregationClient<Channel>, Status> {
        let mut channels = self.inner.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = match channels.get(address) {
            Some(channel) => channel.clone(),
            None => {
                let unreachable = |_| Status::unavailable("another replica has this site's shard, at no address");
                let endpoint = Endpoint::from_shared(address.to_owned()).map_err(unreachable)?;
                let endpoint = endpoint.tls_config(self.inner.tls.clone()).map_err(unreachable)?;
                let channel = endpoint
                    .connect_timeout(Duration::from_secs(3))
                    .http2_keep_alive_interval(Duration::from_secs(10))
                    .keep_alive_timeout(Duration::from_secs(5))
                    .connect_lazy();
                // Replicas come and go with their addresses.
                if channels.len() > 64 {
                    channels.clear();
                }
                channels.insert(address.to_owned(), channel.clone());
                channel
            }
        };
        Ok(AggregationClient::new(channel).max_decoding_message_size(2 * PIECE))
    }
}

fn forward<T>(site: [u8; 32], message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert_bin(SITE, MetadataValue::from_bytes(&site));
    request
}
