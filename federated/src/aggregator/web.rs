//! The page, its state and the metrics: plain HTTP, read only, for this machine's own eyes unless the team says otherwise.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};

use super::book::Book;
use super::coordinator::Live;
use super::state::{STEPS, State};

const PAGE: &str = include_str!("page/dashboard.html");
/// The page runs its own script and asks its own server, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// However many look, the state is read no more often.
const FRESH: Duration = Duration::from_millis(500);
const SECONDS: [f64; 10] = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0];

/// Counts from now on. To be called once in a process, before anything is counted.
///
/// # Errors
/// Something counts already.
pub fn count() -> io::Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS);
    let handle = builder.map_err(io::Error::other)?.install_recorder().map_err(io::Error::other)?;
    metrics_process::Collector::default().describe();
    Ok(handle)
}

/// Who looks at a book.
#[derive(Clone)]
pub struct Web {
    book: Book,
    live: watch::Receiver<Live>,
    metrics: PrometheusHandle,
    /// One reads, and the others wait for what it finds.
    last: Arc<Mutex<Option<(Instant, State)>>>,
}

impl Web {
    /// Shows this book.
    pub fn new(book: Book, live: watch::Receiver<Live>, metrics: PrometheusHandle) -> Self {
        Self { book, live, metrics, last: Arc::default() }
    }

    /// Answers until it is dropped.
    ///
    /// # Errors
    /// The listener's.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let upkeep = self.metrics.clone();
        let upkeep = async move {
            loop {
                tokio::time::sleep(Duration::from_secs(5)).await;
                upkeep.run_upkeep();
            }
        };
        let router = Router::new()
            .route("/", get(page))
            .route("/api/state", get(state))
            .route("/metrics", get(measured))
            .route("/health", get(state))
            .with_state(self);
        tokio::select! {
            served = async { axum::serve(listener, router).await } => served,
            () = upkeep => Ok(()),
        }
    }

    async fn look(&self) -> Result<State, Response> {
        let mut last = self.last.lock().await;
        if let Some((_, state)) = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok(state.clone());
        }
        let (book, live) = (self.book.clone(), self.live.borrow().clone());
        match tokio::task::spawn_blocking(move || State::of(&book, &live)).await {
            Ok(Ok(state)) => {
                *last = Some((Instant::now(), state.clone()));
                Ok(state)
            }
            failed => {
                tracing::warn!(?failed, "the register does not answer");
                Err((StatusCode::SERVICE_UNAVAILABLE, "the register does not answer").into_response())
            }
        }
    }
}

async fn page() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, Html(PAGE))
}

async fn state(extract::State(web): extract::State<Web>) -> Response {
    match web.look().await {
        Ok(state) => {
            let headers = [(header::CACHE_CONTROL, "no-store"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
            (headers, axum::Json(state)).into_response()
        }
        Err(response) => response,
    }
}

async fn measured(extract::State(web): extract::State<Web>) -> Response {
    let state = match web.look().await {
        Ok(state) => state,
        Err(response) => return response,
    };
    gauge(&state);
    metrics_process::Collector::default().collect();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], web.metrics.render()).into_response()
}

fn gauge(state: &State) {
    let set = |name: &'static str, value: f64| metrics::gauge!(name).set(value);
    set("volet_round_number", state.round.as_ref().map_or(0.0, |round| round.number as f64));
    set("volet_sites_enrolled", state.sites.enrolled as f64);
    set("volet_release_number", state.releases.last().map_or(0.0, |release| release.number as f64));
    set("volet_epsilon_spent", state.privacy.epsilon_spent.unwrap_or(f64::INFINITY));
    set("volet_epsilon_budget", state.privacy.epsilon_budget.unwrap_or(f64::INFINITY));
    if let Some(quality) = state.rounds.iter().rev().find_map(|round| round.quality) {
        set("volet_model_quality", quality);
    }
    for step in STEPS {
        let shards = state.round.iter().flat_map(|round| &round.shards);
        let at = shards.filter(|shard| shard.step.as_deref() == Some(step));
        let sites: u64 = at.filter_map(|shard| shard.sites).sum();
        metrics::gauge!("volet_round_sites", "step" => step).set(sites as f64);
    }
}
