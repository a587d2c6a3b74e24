//! The camera: frames in, redacted frames and annotations out.
//!
//! ```text
//! Source --RawFrame--> Detector --[Detection]--> Tracker --[Track]--> Redactor --Redacted--> Sink
//! ```

pub mod annotate;
pub mod frame;
pub mod redact;
pub mod sink;
pub mod source;
pub mod summary;

pub use volet_models as models;
