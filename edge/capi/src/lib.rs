//! The camera as a C library, for firmware that owns the sensor: frames in, redacted frames and annotations out.
//!
//! ```text
//! push --copy--> Intake --RawFrame--> volet_edge::pipeline --Redacted--> Outlet --copy--> pull
//! ```
//!
//! [`border`] is what C sees and the only place with unsafe code: it turns pointers into checked values, calls the
//! safe modules, and turns what they say into result codes. [`types`] are the structures of the header, `include/volet.h`,
//! which a test writes from these two files. `docs/c-interface.md` is for those who use the library.
//!
//! What can be pulled is made from [`volet_edge::redact::Redacted`] alone (guarantee G1): no other code in this crate
//! reads a frame's samples once they were pushed.

pub mod border;
mod camera;
mod error;
mod intake;
mod layout;
mod names;
mod outlet;
mod patience;
mod register;
pub mod types;
