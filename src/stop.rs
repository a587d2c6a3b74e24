//! Ctrl-C: the first asks for a clean end, the second ends at once.

use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);
/// What a shell reports for a program that Ctrl-C ended.
pub(crate) const CODE: u8 = 130;

/// Whether the user has asked to stop.
#[cfg(unix)]
pub(crate) fn asked() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// From now on the returned flag tells whether the user asked to stop.
pub(crate) fn watch() -> anyhow::Result<&'static AtomicBool> {
    ctrlc::set_handler(|| {
        // A second Ctrl-C does not wait, and leaves temporary files (`.volet-*`) behind.
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(CODE));
        }
    })?;
    Ok(&STOP)
}
