//! What commands run in that go on until they are stopped, and how they are.

pub(super) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Ctrl-C or SIGTERM.
pub(super) async fn stop() {
    use tokio::signal::unix::{SignalKind, signal};
    // Without a handler it runs until it is killed, which it survives.
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = terminate.recv() => {}
        caught = tokio::signal::ctrl_c() => if caught.is_err() { std::future::pending().await },
    }
}

/// Ends this process when standard input does.
pub(super) fn until_stdin_ends() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
}
