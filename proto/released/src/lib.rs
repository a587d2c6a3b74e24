//! The wire messages as they were first released: what cameras speak whose firmware is never updated. The files under
//! `proto/` here are a copy that does not change.

/// Version 1 of the messages, as first released.
#[allow(missing_docs)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/volet.v1.rs"));
}
