//! A runtime of its own for what speaks to other machines, and a way for any thread to wait for it. Knows neither tables nor
//! files.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// A runtime that goes on while others wait for it.
pub(super) struct Background {
    /// There until it is dropped.
    runtime: Option<Runtime>,
}

impl Background {
    pub(super) fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name(name).enable_all().build()?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Waits for `work`, and no longer than `within`. Threads of other runtimes may wait too, though they had better not.
    pub(super) fn wait<T>(&self, within: Duration, work: impl Future<Output = T>) -> io::Result<T> {
        let runtime = self.runtime.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        // Sockets and timers are those of that runtime; what waits for them is this thread.
        let _inside = runtime.enter();
        let done = pollster::block_on(async { tokio::time::timeout(within, work).await });
        done.map_err(|_| io::ErrorKind::TimedOut.into())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // A runtime may be dropped within another one only so.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
