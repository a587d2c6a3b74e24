//! The owner's desk: a page on this machine that shows lessons to their owner and takes corrections; and the same in words,
//! without pictures ([`list`], [`show`], [`correct`]).
//!
//! Pictures go to a browser on this machine and nowhere else: [`Loopback`] is the only listener that the page takes, and
//! it is bound to 127.0.0.1. Other programs and other users of the machine reach that address too, so that everything but
//! the empty page asks for a secret: a token, good for once, is part of the address that is printed, behind the `#`, where no
//! browser sends it anywhere; the page exchanges it for another secret, which it sends as a header with all it asks for.
//! No cookie: those are shared between ports. A page of somebody else's can make a browser call this address (DNS rebinding
//! among the ways); such calls carry another `Host`, and no header of ours.

mod words;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use image::ImageEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};

use super::buffer::Buffer;

pub use words::{Correction, CorrectionError, Listed, Said, Shown, correct, day, list, show};

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");
/// The page runs its own script and asks its own server, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";
/// What the page sends its secret in.
const SESSION: &str = "x-volet-session";
/// The longest correction, bytes.
const LONGEST: usize = 256 << 10;

/// A listener that only this machine reaches.
#[derive(Debug)]
pub struct Loopback {
    listener: TcpListener,
    port: u16,
}

impl Loopback {
    /// Listens on 127.0.0.1 and this port; on any that is free for 0.
    ///
    /// # Errors
    /// The operating system's.
    pub fn bind(port: u16) -> io::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "the owner's page, for this machine alone")]
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }
}

/// A page for one buffer and one visitor.
#[derive(Clone)]
pub struct Desk {
    buffer: Arc<Buffer>,
    port: u16,
    /// What the token hashes to, until it was used.
    token: Arc<Mutex<Option<blake3::Hash>>>,
    /// What the page's own secret hashes to.
    session: blake3::Hash,
    /// The page's own secret, until it was given.
    unused: Arc<Mutex<Option<String>>>,
}

impl Desk {
    /// A desk at this listener; and its address, which is a secret.
    ///
    /// # Errors
    /// No random bytes from the operating system.
    pub fn new(buffer: Buffer, at: &Loopback) -> io::Result<(Self, String)> {
        let (token, session) = (secret()?, secret()?);
        let address = format!("http://127.0.0.1:{}/#{token}", at.port);
        let desk = Self {
            buffer: Arc::new(buffer),
            port: at.port,
            token: Arc::new(Mutex::new(Some(blake3::hash(token.as_bytes())))),
            session: blake3::hash(session.as_bytes()),
            unused: Arc::new(Mutex::new(Some(session))),
        };
        Ok((desk, address))
    }

    /// Answers until it is dropped. To be called within a Tokio runtime.
    ///
    /// # Errors
    /// The listener's.
    pub async fn serve(self, at: Loopback) -> io::Result<()> {
        let secret = Router::new()
            .route("/api/lessons", get(lessons))
            .route("/api/lessons/{number}", get(labels).put(corrected))
            .route("/api/lessons/{number}/picture", get(picture))
            .route_layer(from_fn_with_state(self.clone(), with_session));
        let router = Router::new()
            .route("/", get(|| file("text/html; charset=utf-8", PAGE)))
            .route("/page.js", get(|| file("text/javascript; charset=utf-8", SCRIPT)))
            .route("/page.css", get(|| file("text/css; charset=utf-8", STYLE)))
            .route("/api/session", post(session))
            .merge(secret)
            .layer(DefaultBodyLimit::max(LONGEST))
            .layer(from_fn_with_state(self.clone(), with_host))
            .with_state(self);
        axum::serve(tokio::net::TcpListener::from_std(at.listener)?, router).await
    }

    /// Lets the buffer work on a thread of its own.
    async fn ask<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Buffer) -> Result<T, CorrectionError> + Send + 'static,
    ) -> Result<T, Response> {
        let buffer = self.buffer.clone();
        match tokio::task::spawn_blocking(move || what(&buffer)).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => {
                let status = match &error {
                    CorrectionError::Gone(_) => StatusCode::NOT_FOUND,
                    CorrectionError::Class { .. } => StatusCode::UNPROCESSABLE_ENTITY,
                    CorrectionError::Buffer(super::buffer::BufferError::Lesson(_)) => StatusCode::UNPROCESSABLE_ENTITY,
                    CorrectionError::Buffer(_) => StatusCode::SERVICE_UNAVAILABLE,
                };
                Err((status, error.to_string()).into_response())
            }
            Err(_) => Err(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
        }
    }
}

/// Lets pass what a browser that was given our address asks, and adds what every answer says.
async fn with_host(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let own = ["127.0.0.1", "localhost"].map(|name| format!("{name}:{}", desk.port));
    let mut response = if host.is_some_and(|host| own.iter().any(|own| own == host)) {
        next.run(request).await
    } else {
        (StatusCode::MISDIRECTED_REQUEST, "open the address that `volet-edge label` printed").into_response()
    };
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Lets pass who has the page's secret.
async fn with_session(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    let given = request.headers().get(SESSION).map(|session| blake3::hash(session.as_bytes()));
    // Comparing hashes takes the same time whatever they are.
    if given.is_some_and(|given| given == desk.session) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, "start `volet-edge label` again, and open the address that it prints").into_response()
    }
}

/// Exchanges the token for the page's secret, once.
async fn session(State(desk): State<Desk>, token: String) -> Response {
    let mut unspent = desk.token.lock().unwrap_or_else(PoisonError::into_inner);
    if unspent.is_none_or(|unspent| unspent != blake3::hash(token.as_bytes())) {
        return (StatusCode::FORBIDDEN, "this address was used: start `volet-edge label` again").into_response();
    }
    *unspent = None;
    let session = desk.unused.lock().unwrap_or_else(PoisonError::into_inner).take();
    session.map_or_else(|| StatusCode::FORBIDDEN.into_response(), IntoResponse::into_response)
}

async fn lessons(State(desk): State<Desk>) -> Result<Json<serde_json::Value>, Response> {
    let lessons = desk.ask(|buffer| Ok(list(buffer)?)).await?;
    let classes: Vec<&str> = desk.buffer.classes().iter().map(|class| class.name()).collect();
    Ok(Json(serde_json::json!({"classes": classes, "lessons": lessons})))
}

async fn labels(State(desk): State<Desk>, Path(number): Path<u64>) -> Result<Json<Shown>, Response> {
    desk.ask(move |buffer| show(buffer, number)).await.map(Json)
}

async fn corrected(
    State(desk): State<Desk>,
    Path(number): Path<u64>,
    Json(correction): Json<Correction>,
) -> Result<Json<Listed>, Response> {
    desk.ask(move |buffer| correct(buffer, number, &correction)).await.map(Json)
}

async fn picture(State(desk): State<Desk>, Path(number): Path<u64>) -> Result<Response, Response> {
    let png = desk
        .ask(move |buffer| {
            let (_, lesson) = words::find(buffer, number)?;
            let mut png = Vec::new();
            let encoder = PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Adaptive);
            let (width, height) = (lesson.width, lesson.height);
            let written = encoder.write_image(&lesson.rgb, width, height, image::ExtendedColorType::Rgb8);
            written.map_err(|_| super::buffer::BufferError::Lesson(super::buffer::LessonError::Png))?;
            Ok(png)
        })
        .await?;
    Ok(([(header::CONTENT_TYPE, "image/png")], Bytes::from(png)).into_response())
}

async fn file(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// 32 random bytes in hexadecimal digits.
fn secret() -> io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(blake3::Hash::from_bytes(bytes).to_string())
}
