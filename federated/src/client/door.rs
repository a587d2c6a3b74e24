//! A link's way out: what it says goes through a [`Door`], whole and in the clear, before it is encrypted; and what is then
//! encrypted goes over a connection that the door opened. A link opens no socket of its own.
//!
//! Knows how calls are framed (gRPC: five bytes and a message); not what may be said, nor to whom.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderName, Request, Response, Uri, header};
use tonic::codegen::{Service, StdError};
use tonic::transport::{Channel, Endpoint};

/// Opens a link's connections, and sees all that it says: a camera's release gate.
pub trait Door: Send + Sync {
    /// Opens a connection to this host (a name, or an address) and port.
    fn open(self: Arc<Self>, host: String, port: u16) -> Later<io::Result<Box<dyn Wire>>>;

    /// Lets a call pass, or says why not; then nothing of it leaves. `call` is its path, such as
    /// `/volet.v1.Aggregation/CheckIn`; `messages` are all that it says, protobuf, decoded from nothing yet.
    ///
    /// # Errors
    /// Why it may not be said.
    fn pass(&self, call: &str, messages: &[&[u8]]) -> Result<(), String>;
}

/// What is there later.
pub type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A connection.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// For whoever has no gate: an aggregator's own commands, and tests. Never built for a camera.
#[cfg(feature = "aggregator")]
#[derive(Clone, Copy, Debug)]
pub struct Plain;

#[cfg(feature = "aggregator")]
impl Door for Plain {
    fn open(self: Arc<Self>, host: String, port: u16) -> Later<io::Result<Box<dyn Wire>>> {
        Box::pin(async move {
            let stream = tokio::net::TcpStream::connect((host, port)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Wire>)
        })
    }

    fn pass(&self, _: &str, _: &[&[u8]]) -> Result<(), String> {
        Ok(())
    }
}

/// Calls, each through the door first.
#[derive(Clone)]
pub(super) struct Gated {
    channel: Channel,
    door: Arc<dyn Door>,
}

impl Gated {
    /// Calls to this endpoint, over connections that are opened when they are first needed, and again when they break.
    pub(super) fn new(endpoint: &Endpoint, door: Arc<dyn Door>) -> Self {
        Self { channel: endpoint.connect_with_connector_lazy(Opener(door.clone())), door }
    }
}

impl Service<Request<Body>> for Gated {
    type Response = Response<Body>;
    type Error = StdError;
    type Future = Later<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The one that was asked whether it is ready is the one that is called.
        let spare = self.channel.clone();
        let mut channel = std::mem::replace(&mut self.channel, spare);
        let door = self.door.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            // What is said is in memory as it is, in pieces; so it is seen whole before any of it goes.
            let bytes = body.collect().await?.to_bytes();
            let refuse = |why: &str| Status::permission_denied(format!("not let out: {why}"));
            if let Some(name) = head.headers.keys().find(|name| !HEADERS.contains(name)) {
                return Err(refuse(&format!("the header {name} is none that a call has")).into());
            }
            if head.uri.query().is_some() {
                return Err(refuse("the call's path is none").into());
            }
            let messages = messages(&bytes).ok_or_else(|| refuse("its framing is not gRPC's"))?;
            door.pass(head.uri.path(), &messages).map_err(|why| refuse(&why))?;
            Ok(channel.call(Request::from_parts(head, Body::new(Full::new(bytes)))).await?)
        })
    }
}

/// The headers that a call has before it is encrypted; what HTTP/2 adds is the same in each.
const HEADERS: [HeaderName; 2] = [header::TE, header::CONTENT_TYPE];

/// The messages of a call: each is five bytes (uncompressed, length) and as many as they say. `None` where that is not so.
fn messages(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut messages = Vec::new();
    while let Some(([compressed, length @ ..], rest)) = bytes.split_first_chunk::<5>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (message, rest) = rest.split_at_checked(length)?;
        (*compressed == 0).then(|| messages.push(message))?;
        bytes = rest;
    }
    bytes.is_empty().then_some(messages)
}

/// Opens connections by the door.
struct Opener(Arc<dyn Door>);

impl Service<Uri> for Opener {
    type Response = TokioIo<Box<dyn Wire>>;
    type Error = io::Error;
    type Future = Later<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let door = self.0.clone();
        Box::pin(async move {
            // An IPv6 address stands in brackets.
            let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            Ok(TokioIo::new(door.open(host, uri.port_u16().unwrap_or(443)).await?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_whole_messages_or_nothing() {
        assert_eq!(messages(&[]), Some(vec![]));
        assert_eq!(messages(&[0, 0, 0, 0, 2, 7, 8, 0, 0, 0, 0, 0]), Some(vec![&[7, 8][..], &[]]));
        // Cut short, more than was said, compressed.
        for damaged in [&[0, 0, 0, 0, 2, 7][..], &[0, 0, 0, 0, 1, 7, 8], &[1, 0, 0, 0, 0], &[0, 0, 0]] {
            assert_eq!(messages(damaged), None, "{damaged:?}");
        }
    }
}
