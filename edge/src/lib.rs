//! The camera: frames in, redacted frames and annotations out.
//!
//! ```text
//! Source --RawFrame--> Detect --[Detection]--> Tracker --[TrackedBox]--> plan --[Region]--> Redactor --Redacted--> Sink
//!                                                  '--> annotate
//! ```
//!
//! [`pipeline`] joins the parts; each part is a module that knows only its neighbours' types. Two rules hold
//! everywhere: pixels leave only inside a [`redact::Redacted`] (guarantee G1), and whatever goes wrong before that
//! leaves a frame wholly covered (G2).

#[cfg(all(unix, feature = "agent"))]
pub mod agent;
pub mod annotate;
pub mod batch;
pub mod cli;
pub mod detect;
#[cfg(all(test, unix, any(feature = "buffer", feature = "watch")))]
#[allow(dead_code)]
#[path = "../../federated/tests/budget/disk.rs"]
mod disk;
#[cfg(all(unix, feature = "egress"))]
pub mod egress;
pub mod frame;
mod keep;
pub mod learn;
mod motion;
pub mod pipeline;
pub mod plan;
#[cfg(all(target_os = "linux", feature = "watch"))]
pub mod program;
pub mod redact;
pub mod report;
#[cfg(all(unix, any(feature = "vault", feature = "watch")))]
mod room;
mod sample;
pub mod sandbox;
mod scene;
pub mod sink;
pub mod slot;
pub mod source;
pub mod summary;
pub mod track;
#[cfg(all(unix, feature = "vault"))]
pub mod vault;
#[cfg(all(target_os = "linux", feature = "watch"))]
pub mod watch;

pub use keep::Keeper;
pub use volet_models as models;
