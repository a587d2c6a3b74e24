//! A connection of the gate's: whatever goes into it is in the ledger before it goes.
//!
//! It takes bytes, has the gate write them down, keeps them, and then sends those and no others; so what the ledger says is what a
//! capture shows, also where the system takes them in other portions. Knows TLS no more than anyone on the wire does.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::gate::Gate;
use super::ledger::Kind;

/// Bytes that are written down at a time.
const MOST: usize = 64 << 10;

/// A connection whose every byte outwards is in the ledger.
pub(super) struct Accounted {
    stream: TcpStream,
    gate: Arc<Gate>,
    destination: String,
    connection: u64,
    /// What is in the ledger and not sent yet, and how much of it is sent.
    pending: Vec<u8>,
    sent: usize,
}

/// Connects.
///
/// # Errors
/// Those of TCP.
pub(super) async fn connect(
    gate: Arc<Gate>,
    address: SocketAddr,
    destination: String,
    connection: u64,
) -> io::Result<Accounted> {
    #[expect(clippy::disallowed_methods, reason = "the gate's own")]
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(Accounted { stream, gate, destination, connection, pending: Vec::new(), sent: 0 })
}

impl Accounted {
    fn send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was written down while the owner agreed does not go when they no longer do.
        if !self.gate.is_open() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::PermissionDenied, "consent was withdrawn")));
        }
        while let Some(rest) = self.pending.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.stream).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Accounted {
    fn drop(&mut self) {
        self.gate.end(self.connection, &self.destination);
        // What the system has taken and not sent yet is not to go any more, were it for a retry in a minute's time.
        if !self.gate.is_open()
            && let Err(error) = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))
        {
            tracing::warn!(%error, "what the system has taken may still go");
        }
    }
}

impl AsyncWrite for Accounted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.send(context))?;
        let portion = bytes.get(..bytes.len().min(MOST)).unwrap_or_default();
        // This waits for the disk, which holds up nothing else: the agent does not learn on this thread.
        self.gate.pay(Kind::Wire, self.connection, &self.destination, portion)?;
        (self.pending, self.sent) = (portion.to_vec(), 0);
        if let Poll::Ready(Err(error)) = self.send(context) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(portion.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.send(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.send(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncRead for Accounted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}
