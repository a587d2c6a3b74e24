//! Learning from what the camera saw: lessons, whose labels no stranger drew.
//!
//! Pixels stay on the device here: nothing of this module can be handed to the release gate or the transport.

#[cfg(all(unix, feature = "buffer"))]
pub mod buffer;
pub mod coco;
#[cfg(all(unix, feature = "agent"))]
pub mod desk;
mod labels;
mod lesson;
mod moment;
mod watch;

pub use labels::Labeller;
pub use lesson::{Label, Lesson, Source};
pub use moment::{Candidate, Evidence, LabelConfig, Moment};
pub(crate) use watch::Watcher;
pub use watch::{Keep, Lessons};
