//! What C calls. The only place with unsafe code: it turns pointers into checked values and nothing else.
//!
//! No call unwinds: a panic is caught and becomes `VOLET_INTERNAL`. Cameras are numbers in a register that C takes for
//! addresses, and frames are looked up by their address before they are released: one that was closed or released is
//! found out. What stays undefined is said at the top of the header (`cbindgen.toml`): pointers to other things than
//! their types say, and memory that others change during a call.

#![allow(unsafe_code)]
#![allow(clippy::missing_safety_doc)] // the header's first page says what is undefined, for all of them

use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::camera::{Camera, Lent, NoFrame, Queues, Settings};
use crate::error::{self, Failure};
use crate::layout::{Layout, Samples};
use crate::names;
use crate::patience::Patience;
use crate::register::Register;
use crate::types::{VoletCamera, VoletColor, VoletFormat, VoletFrame, VoletOptions, VoletPicture, VoletResult};

static CAMERAS: Register<Camera> = Register::new();
static FRAMES: Register<Lent> = Register::new();
/// Numbers of cameras are never used again.
static NEXT: AtomicUsize = AtomicUsize::new(1);

/// Opens a camera: loads the detector, makes it ready for frames of this size and starts the threads.
///
/// Writes the camera to `camera`, or NULL where it fails. Close it with volet_camera_close.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn volet_camera_open(options: *const VoletOptions, camera: *mut *mut VoletCamera) -> VoletResult {
    guarded(|| {
        // SAFETY: the caller gives NULL or the address of a pointer that we may write.
        unsafe { put(camera, "camera", ptr::null_mut()) }?;
        // SAFETY: the caller gives NULL or the address of options.
        let options = unsafe { get(options, "VoletOptions") }?;
        let layout = Layout::new(VoletFormat::from_number(options.format)?, options.width, options.height)?;
        // SAFETY: the caller gives NULL or a string that ends with a zero and stays as it is during this call.
        let (config, model) = unsafe { (text(options.settings, "settings")?, text(options.model, "model")?) };
        let count = |field, value: u32, usual: u32, most: u32| match value {
            0 => Ok(usual as usize),
            n if n <= most => Ok(n as usize),
            value => Err(Failure::TooMany { field, value, most }),
        };
        let settings = Settings {
            color: VoletColor::from_number(options.color, options.height)?,
            layout,
            config,
            model: model.map(Path::new),
            searches: count("search_threads", options.search_threads, 1, 64)?,
            queues: Queues {
                waiting: count("frames_waiting", options.frames_waiting, 4, 256)?,
                out: count("frames_out", options.frames_out, 4, 256)?,
            },
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        CAMERAS.enter(number, Arc::new(Camera::open(settings)?));
        // SAFETY: as above.
        unsafe { put(camera, "camera", ptr::without_provenance_mut(number)) }?;
        Ok(VoletResult::VoletOk)
    })
}

/// Copies a picture and hands it to the camera. The picture's memory is yours again when the call returns.
///
/// Waits up to `timeout_ms` for room, and then says VOLET_FULL: the picture was not taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn volet_camera_push(
    camera: *mut VoletCamera,
    picture: *const VoletPicture,
    timeout_ms: i32,
) -> VoletResult {
    guarded(|| {
        let camera = find(camera)?;
        // SAFETY: the caller gives NULL or the address of a picture.
        let picture = unsafe { get(picture, "VoletPicture") }?;
        let layout = camera.layout();
        let (expected, actual) = (layout.geometry(), (picture.width, picture.height));
        if actual != (expected.width(), expected.height()) {
            let show = |(width, height)| format!("{width}x{height}");
            return Err(Failure::Changed {
                expected: show((expected.width(), expected.height())),
                actual: show(actual),
            });
        }
        // SAFETY: the caller gives planes of so many rows, so many bytes apart, that nobody changes during this call.
        let planes = unsafe { samples(layout, &picture) }?;
        let time = Duration::from_micros(picture.timestamp_us);
        let taken = camera.push(&planes, time, Patience::from_ms(timeout_ms))?;
        Ok(if taken { VoletResult::VoletOk } else { VoletResult::VoletFull })
    })
}

/// Gives the next redacted frame, in the order in which pictures were pushed. Release it with volet_frame_release.
///
/// Waits up to `timeout_ms` for one, and then says VOLET_EMPTY. Says VOLET_END after the last. Writes the frame to `frame`,
/// or NULL where there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn volet_camera_pull(
    camera: *mut VoletCamera,
    frame: *mut *const VoletFrame,
    timeout_ms: i32,
) -> VoletResult {
    guarded(|| {
        // SAFETY: the caller gives NULL or the address of a pointer that we may write.
        unsafe { put(frame, "frame", ptr::null()) }?;
        let lent = match find(camera)?.pull(Patience::from_ms(timeout_ms))? {
            Ok(lent) => Arc::new(lent),
            Err(NoFrame::Yet) => return Ok(VoletResult::VoletEmpty),
            Err(NoFrame::AnyMore) => return Ok(VoletResult::VoletEnd),
        };
        let view = ptr::from_ref(lent.view());
        FRAMES.enter(view.addr(), lent);
        // SAFETY: as above.
        unsafe { put(frame, "frame", view) }?;
        Ok(VoletResult::VoletOk)
    })
}

/// Gives a frame back. Its memory is used for others from now on. NULL is nothing to give back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn volet_frame_release(frame: *const VoletFrame) -> VoletResult {
    guarded(|| {
        if !frame.is_null() {
            // Only its address is looked at.
            FRAMES.strike(frame.addr()).ok_or(Failure::Handle("frame"))?;
        }
        Ok(VoletResult::VoletOk)
    })
}

/// Says that no more pictures come, so that those which still wait come out. Said again, nothing happens.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn volet_camera_finish(camera: *mut VoletCamera) -> VoletResult {
    guarded(|| {
        find(camera)?.finish();
        Ok(VoletResult::VoletOk)
    })
}

/// Ends the stream at once: whoever waits in push or pull returns, and frames that were not pulled are lost. After it,
/// push says VOLET_STATE and pull VOLET_END.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn volet_camera_stop(camera: *mut VoletCamera) -> VoletResult {
    guarded(|| {
        find(camera)?.stop();
        Ok(VoletResult::VoletOk)
    })
}

/// Stops and closes a camera; allowed at any time, from any thread, also while others wait in push or pull. Returns when searches
/// that were begun have ended, or their deadline has passed. Frames that were pulled stay until they are released. NULL is
/// nothing to close.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn volet_camera_close(camera: *mut VoletCamera) -> VoletResult {
    guarded(|| {
        if !camera.is_null() {
            CAMERAS.strike(camera.addr()).ok_or(Failure::Handle("camera"))?.close();
        }
        Ok(VoletResult::VoletOk)
    })
}

/// What was wrong with this thread's last call that gave an error, in English, with what to do about it; "" where none did.
/// The text stands until this thread's next call that gives an error.
#[unsafe(no_mangle)]
pub extern "C" fn volet_error_message() -> *const c_char {
    error::last()
}

/// The version of the library, as "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn volet_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// The name of a class as annotation files have it: "face"; NULL where there is no such class.
#[unsafe(no_mangle)]
pub extern "C" fn volet_class_name(object_class: u32) -> *const c_char {
    names::class(object_class).map_or(ptr::null(), CStr::as_ptr)
}

/// The name of an origin as annotation files have it: "detected"; NULL where there is no such origin.
#[unsafe(no_mangle)]
pub extern "C" fn volet_origin_name(origin: u32) -> *const c_char {
    names::origin(origin).map_or(ptr::null(), CStr::as_ptr)
}

// SAFETY: a frame's pointers lead to memory that it shares with nobody else, and that nobody writes while it is lent.
unsafe impl Send for VoletFrame {}
// SAFETY: the same.
unsafe impl Sync for VoletFrame {}

/// Nothing unwinds into C, and every failure is kept for [`volet_error_message`].
fn guarded(work: impl FnOnce() -> Result<VoletResult, Failure>) -> VoletResult {
    let failure = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(result)) => return result,
        Ok(Err(failure)) => failure,
        Err(panic) => {
            // To drop it could panic again.
            std::mem::forget(panic);
            Failure::Internal
        }
    };
    error::remember(&failure);
    failure.result()
}

fn find(camera: *mut VoletCamera) -> Result<Arc<Camera>, Failure> {
    CAMERAS.find(camera.addr()).ok_or(Failure::Handle("camera"))
}

/// Writes to what the caller pointed out.
unsafe fn put<T>(to: *mut T, what: &'static str, value: T) -> Result<(), Failure> {
    if to.is_null() || !to.is_aligned() {
        return Err(Failure::Pointer(what));
    }
    // SAFETY: not NULL and aligned; the caller of this function has been promised that it may be written.
    unsafe { to.write(value) };
    Ok(())
}

/// Reads a structure that begins with its own size.
unsafe fn get<T: Copy>(from: *const T, what: &'static str) -> Result<T, Failure> {
    if from.is_null() || !from.is_aligned() {
        return Err(Failure::Pointer(what));
    }
    // The size comes first in each, and a shorter structure may have nothing behind it.
    // SAFETY: not NULL and aligned; the caller of this function has been promised that it begins with its size.
    let actual = unsafe { from.cast::<usize>().read() };
    let expected = size_of::<T>();
    if actual != expected {
        return Err(Failure::Size { what, expected, actual });
    }
    // SAFETY: it is as long as it has to be. Any bytes are a value of these structures: numbers and pointers alone.
    Ok(unsafe { from.read() })
}

/// A string; `None` for NULL.
unsafe fn text<'a>(from: *const c_char, what: &'static str) -> Result<Option<&'a str>, Failure> {
    if from.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller of this function has been promised a string that ends with a zero and stays as it is.
    let text = unsafe { CStr::from_ptr(from) };
    text.to_str().map(Some).map_err(|_| Failure::Text(what))
}

/// The planes of a picture.
unsafe fn samples<'a>(layout: &Layout, picture: &VoletPicture) -> Result<Vec<Samples<'a>>, Failure> {
    const NAMES: [&str; 3] = ["planes[0]", "planes[1]", "planes[2]"];
    let given = picture.planes.into_iter().zip(picture.strides).zip(NAMES);
    let planes = layout.planes().iter().zip(given).enumerate().map(|(plane, (rows, ((from, stride), name)))| {
        if from.is_null() {
            return Err(Failure::Pointer(name));
        }
        let stride = if stride == 0 { rows.length } else { stride };
        let wrong = Failure::Stride { plane, stride, row: rows.length };
        let Some(span) = rows.span(stride) else { return Err(wrong) };
        // SAFETY: not NULL, not longer than memory can be; the caller of this function has been promised that so much can be
        // read and is not changed meanwhile.
        let bytes = unsafe { std::slice::from_raw_parts(from, span) };
        rows.of(bytes, stride).ok_or(wrong)
    });
    planes.collect()
}
