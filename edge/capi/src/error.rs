//! Why a call failed: in words for people, as a code for programs, and the last one of each thread.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};

use volet_edge::batch::BatchError;
use volet_edge::detect::SearchError;
use volet_edge::frame::FrameError;
use volet_edge::models::ManifestError;

use crate::outlet::text;
use crate::types::VoletResult;

/// Why a call failed. Every message says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0} is NULL or not aligned; give the address of one")]
    Pointer(&'static str),
    #[error(
        "{what}.size is {actual} where this library expects {expected}: set it to sizeof({what}), and build with the header of this version"
    )]
    Size { what: &'static str, expected: usize, actual: usize },
    #[error("{0} is not UTF-8")]
    Text(&'static str),
    #[error("{field} is {value}, which is none of {kind}")]
    Unknown { field: &'static str, value: u32, kind: &'static str },
    #[error("{field} is {value}; it must be at most {most}")]
    TooMany { field: &'static str, value: u32, most: u32 },
    #[error(
        "plane {plane} has a stride of {stride} bytes where a row takes {row}; give at least that, or 0 for rows without padding"
    )]
    Stride { plane: usize, stride: usize, row: usize },
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the picture is {actual} but the camera was opened for {expected}; close it and open another")]
    Changed { expected: String, actual: String },
    #[error("settings: {0}")]
    Settings(#[from] BatchError),
    #[error("model: {0}")]
    Manifest(#[from] ManifestError),
    #[error("model: {0}")]
    Search(#[from] SearchError),
    #[error("the stream was finished or stopped; open another camera to go on")]
    Over,
    #[error("there is no such {0}: it was given back before, or never given out")]
    Handle(&'static str),
    #[error("the stream broke off: {0}")]
    Broken(String),
    #[error("no thread could be started: {0}")]
    Thread(#[from] std::io::Error),
    #[error("the library failed within; please report this")]
    Internal,
}

impl Failure {
    /// Its code.
    pub(crate) fn result(&self) -> VoletResult {
        match self {
            Self::Pointer(_)
            | Self::Size { .. }
            | Self::Text(_)
            | Self::Unknown { .. }
            | Self::TooMany { .. }
            | Self::Stride { .. } => VoletResult::VoletArgument,
            Self::Frame(_) | Self::Changed { .. } => VoletResult::VoletGeometry,
            Self::Settings(_) => VoletResult::VoletSettings,
            Self::Manifest(_) | Self::Search(_) => VoletResult::VoletModel,
            Self::Over => VoletResult::VoletState,
            Self::Handle(_) => VoletResult::VoletHandle,
            Self::Broken(_) => VoletResult::VoletBroken,
            Self::Thread(_) => VoletResult::VoletSystem,
            Self::Internal => VoletResult::VoletInternal,
        }
    }
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// Keeps the message for [`last`]. Does nothing on a thread that is about to end.
pub(crate) fn remember(failure: &Failure) {
    let message = text(&failure.to_string());
    let _ = LAST.try_with(|last| last.try_borrow_mut().map(|mut last| *last = message));
}

/// The message of this thread's last failure, empty where there was none; it stands until the next.
pub(crate) fn last() -> *const c_char {
    LAST.try_with(|last| last.try_borrow().map_or(EMPTY.as_ptr(), |last| last.as_ptr())).unwrap_or(EMPTY.as_ptr())
}

const EMPTY: &CStr = c"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_has_its_own_last_message() {
        remember(&Failure::Broken("a\0b".to_owned()));
        assert_eq!(LAST.with_borrow(|last| last.to_str().map(str::to_owned)).unwrap(), "the stream broke off: a b");
        let other = std::thread::spawn(|| LAST.with_borrow(|last| last.is_empty()));
        assert!(other.join().unwrap());
    }
}
