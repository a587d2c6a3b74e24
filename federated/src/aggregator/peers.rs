//! The other replicas: what belongs to a shard of theirs is passed on to them, with the name of the site that asked.
//!
//! A replica shows the server's own certificate, which no site has; what it says of a site is believed, since it has checked
//! that site's certificate itself.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_stream::{Stream, StreamExt};
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Response, Status, Streaming};
use volet_proto::v1;
use volet_proto::v1::aggregation_client::AggregationClient;

use super::pki::{Certified, certificate_der, site_of};
use super::service::{PIECE, STREAMS};
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
    lanes: Mutex<HashMap<String, Lanes>>,
}

/// Connections to one replica.
struct Lanes {
    /// One message on each: while it waits for its turn at the other end, what has been sent of it fills the connection's window, and what
    /// others say behind it would not arrive.
    say: Lane<Channel>,
    /// Sites that wait for a step are silent, and many share a connection. It carries so many and lets others wait, up to 25 seconds for
    /// each: a call takes one that has room.
    hear: Lane<Channel>,
}

/// As many connections as it takes. The other end closes those that nothing goes over.
struct Lane<C> {
    /// Calls on each.
    room: usize,
    /// Each with what every call on it holds, as this does.
    connections: Vec<(C, Arc<()>)>,
}

/// Fewer than the other end carries, which hears later than this one that a call is over.
const HEARING: usize = STREAMS as usize / 4 * 3;

impl<C: Clone> Lane<C> {
    fn new(room: usize) -> Self {
        Self { room, connections: Vec::new() }
    }

    /// A connection with room, and what the call is to hold until it is over.
    fn take<E>(&mut self, open: impl FnOnce() -> Result<C, E>) -> Result<(C, Arc<()>), E> {
        let free = self.connections.iter().find(|(_, calls)| Arc::strong_count(calls) <= self.room);
        if let Some(connection) = free {
            return Ok(connection.clone());
        }
        let connection = (open()?, Arc::default());
        self.connections.push(connection.clone());
        Ok(connection)
    }
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
        let (own, tls, lanes) = (String::new(), ClientTlsConfig::new(), Mutex::default());
        Self { inner: Arc::new(Inner { own, longest: 0, certificate: Vec::new(), tls, lanes }) }
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
        let lanes = Mutex::default();
        Some(Self { inner: Arc::new(Inner { own: own.to_owned(), longest, certificate, tls, lanes }) })
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
        let (mut calls, _under_way) = self.calls(address, |lanes| &mut lanes.say)?;
        calls.say(forward(site, tokio_stream::iter(pieces))).await
    }

    pub(super) async fn hear(
        &self,
        address: &str,
        site: [u8; 32],
        request: v1::HearRequest,
    ) -> Result<Response<Pin<Box<dyn Stream<Item = Result<v1::HearPiece, Status>> + Send>>>, Status> {
        let (mut calls, under_way) = self.calls(address, |lanes| &mut lanes.hear)?;
        let pieces: Streaming<v1::HearPiece> = calls.hear(forward(site, request)).await?.into_inner();
        let pieces = pieces.map(move |piece| {
            let _until_the_last = &under_way;
            piece
        });
        Ok(Response::new(Box::pin(pieces)))
    }

    /// Calls to the replica at this address, and what is held while one is under way.
    fn calls(
        &self,
        address: &str,
        lane: fn(&mut Lanes) -> &mut Lane<Channel>,
    ) -> Result<(AggregationClient<Channel>, Arc<()>), Status> {
        let open = || -> Result<Channel, Status> {
            let unreachable = |_| Status::unavailable("another replica has this site's shard, at no address");
            let endpoint = Endpoint::from_shared(address.to_owned()).map_err(unreachable)?;
            let endpoint = endpoint.tls_config(self.inner.tls.clone()).map_err(unreachable)?;
            let endpoint = endpoint
                .connect_timeout(Duration::from_secs(3))
                .http2_keep_alive_interval(Duration::from_secs(10))
                .keep_alive_timeout(Duration::from_secs(5));
            Ok(endpoint.connect_lazy())
        };
        let mut lanes = self.inner.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        // Replicas come and go with their addresses.
        if lanes.len() > 64 && !lanes.contains_key(address) {
            lanes.clear();
        }
        let none = || Lanes { say: Lane::new(1), hear: Lane::new(HEARING) };
        let (channel, under_way) = lane(lanes.entry(address.to_owned()).or_insert_with(none)).take(open)?;
        Ok((AggregationClient::new(channel).max_decoding_message_size(2 * PIECE), under_way))
    }
}

fn forward<T>(site: [u8; 32], message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert_bin(SITE, MetadataValue::from_bytes(&site));
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_connection_carries_more_than_it_may() {
        for room in [1, HEARING] {
            let (mut lane, mut opened) = (Lane::new(room), 0);
            let mut take = |lane: &mut Lane<usize>| {
                let opening = || {
                    opened += 1;
                    Ok::<_, Status>(opened)
                };
                lane.take(opening).unwrap()
            };
            let mut calls: Vec<_> = (0..3 * room).map(|_| take(&mut lane)).collect();
            let on = |number| calls.iter().filter(|(on, _)| *on == number).count();
            assert_eq!([1, 2, 3, 4].map(on), [room, room, room, 0]);
            // What is over makes room for the next, on the same connection.
            calls.remove(room);
            assert_eq!(take(&mut lane).0, 2);
        }
    }
}
