//! `serve`: cameras on one address, people on another, until it is stopped.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;

use crate::aggregator::web::{Web, count};
use crate::aggregator::{Coordinator, Limits, Service, Setup};

/// Threads for the register and the store: more calls than these wait for each other there anyway.
const BLOCKING: usize = 16;

pub(super) fn serve(dir: &Path, until_stdin_ends: bool) -> anyhow::Result<()> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().max_blocking_threads(BLOCKING).build()?;
    runtime.block_on(run(dir, until_stdin_ends))
}

async fn run(dir: &Path, until_stdin_ends: bool) -> anyhow::Result<()> {
    let metrics = count()?;
    let Setup { checked, server, authority, book, peers } = Setup::open(dir)?;
    let _lock = Setup::lock(dir)?;
    let config = &checked.config;
    let bind = async |address| TcpListener::bind(address).await.with_context(|| format!("{address}"));
    let listener = bind(config.listen).await?;
    let dashboard = match config.dashboard {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    println!("listening on {}", listener.local_addr()?);
    if let Some(dashboard) = &dashboard {
        println!("dashboard at http://{}", dashboard.local_addr()?);
    }
    let coordinator = Coordinator::start(book.clone())?;
    let again = Duration::from_secs(config.patience.check_in_s);
    let limits = Limits { again, connections: connections(), ..Limits::default() };
    let service = Service::new(coordinator.clone(), Arc::new(book.clone()), peers, limits);
    let web = async {
        match dashboard {
            Some(listener) => Web::new(book.clone(), coordinator.live(), metrics).serve(listener).await,
            None => std::future::pending().await,
        }
    };
    if until_stdin_ends {
        // A server that is killed goes on where it was.
        std::thread::spawn(|| {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            std::process::exit(0);
        });
    }
    let served = tokio::select! {
        served = service.serve(listener, &server, &authority, stopped()) => served.map_err(Into::into),
        served = web => served.context("the dashboard"),
        () = coordinator.ended() => Err(anyhow::anyhow!("the coordinator has stopped: its log says why")),
    };
    // Other replicas need not wait for this one's leases to run out.
    book.register().release(book.replica())?;
    served
}

/// As many connections as this process may have open files, and some for files.
fn connections() -> usize {
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    Limits::default().connections.min(files / 4 * 3)
}

/// Until the program is told to stop. Without a signal handler it runs until it is killed, which it survives.
async fn stopped() {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        () = interrupted => {}
        () = terminated => {}
    }
}
