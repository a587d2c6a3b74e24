//! The structures and numbers of the header. Every public item here is in `include/volet.h`, with its documentation.

use std::ffi::{c_char, c_void};
use std::ptr;

use volet_edge::annotate::{Annotated, Origin};
use volet_edge::frame::{Color, Matrix, Range};
use volet_edge::models::ObjectClass;

use crate::error::Failure;
use crate::layout::Layout;
use crate::outlet::Slot;

/// A timeout that never ends. Other timeouts are milliseconds; 0 does not wait.
pub const VOLET_FOREVER: i32 = -1;

/// What became of a call. Negative values are errors; volet_error_message says what and what to do.
/// cbindgen:rename-all=ScreamingSnakeCase
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::enum_variant_names)] // as C sees them
pub enum VoletResult {
    /// Done.
    VoletOk = 0,
    /// Push: as many frames wait as may. Pull, push again, or leave the frame out.
    VoletFull = 1,
    /// Pull: no frame is ready yet.
    VoletEmpty = 2,
    /// Pull: all frames were pulled and no more come.
    VoletEnd = 3,
    /// An argument that cannot be right: a NULL pointer, another size of a structure, a stride shorter than a row.
    VoletArgument = -1,
    /// A size out of bounds, or not the one that the camera was opened for.
    VoletGeometry = -2,
    /// The settings are no TOML of this shape, or out of range.
    VoletSettings = -3,
    /// The model cannot be read, is not what its manifest says, or cannot run at this size.
    VoletModel = -4,
    /// Pushed after volet_camera_finish or volet_camera_stop.
    VoletState = -5,
    /// The camera was closed, or the frame released; or neither was ever given out.
    VoletHandle = -6,
    /// The stream broke off. Frames before that can still be pulled; open another camera to go on.
    VoletBroken = -7,
    /// The system has no more threads.
    VoletSystem = -8,
    /// A fault of the library. Nothing raw came out. Please report it.
    VoletInternal = -9,
}

/// How samples lie in memory.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoletFormat {
    /// Plane 0: Y. Plane 1: U and V in turn, halved both ways.
    Nv12 = 1,
    /// Plane 0: Y. Planes 1 and 2: U and V, halved both ways.
    I420 = 2,
    /// Plane 0: Y0 U Y1 V. The width is even.
    Yuyv = 3,
    /// Plane 0: Y.
    Grey = 4,
}

/// How samples map to colours. With a wrong one the detector sees other contrasts.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoletColor {
    /// Limited range; BT.709 from 720 lines on, BT.601 below.
    ByHeight = 0,
    /// BT.601, luma 16 to 235.
    Bt601Limited = 1,
    /// BT.601, luma 0 to 255 (JPEG).
    Bt601Full = 2,
    /// BT.709, luma 16 to 235.
    Bt709Limited = 3,
    /// BT.709, luma 0 to 255.
    Bt709Full = 4,
}

/// What a thing is. The numbers are those of the category ids in Volet's COCO files.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoletClass {
    /// A human face: hairline to chin, ear to ear.
    Face = 1,
    /// A whole person.
    Person = 2,
    /// A car, lorry, bicycle or motorcycle.
    Vehicle = 3,
    /// An animal.
    Animal = 4,
    /// A parcel.
    Parcel = 5,
    /// A licence plate.
    Plate = 6,
}

/// How a box came about.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoletOrigin {
    /// The detector found it in this very frame.
    Detected = 1,
    /// Between two detections.
    Interpolated = 2,
    /// After the last detection.
    Held = 3,
    /// Before the first detection.
    BackFilled = 4,
}

/// A camera that is open. Only its address is of use.
pub struct VoletCamera {
    _private: c_void,
}

/// How to open a camera. What is 0 or NULL is as its field says; so set the whole structure to 0 first.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct VoletOptions {
    /// sizeof(VoletOptions).
    pub size: usize,
    /// A VoletFormat.
    pub format: u32,
    /// Pixels across, 1 to 16384; all frames of a camera have one size. At most 67108864 pixels in all.
    pub width: u32,
    /// Pixels down, 1 to 16384.
    pub height: u32,
    /// A VoletColor.
    pub color: u32,
    /// Settings as `volet-edge --config` reads them: the text of a TOML file, UTF-8. NULL: all as usual.
    pub settings: *const c_char,
    /// Path of the detector's manifest, UTF-8. NULL: the built-in detector.
    pub model: *const c_char,
    /// Searches at a time, each on a thread of its own, 1 to 64. 0: 1.
    pub search_threads: u32,
    /// Frames that may wait to be searched, 1 to 256. 0: 4.
    pub frames_waiting: u32,
    /// Frames that may be ready to be pulled, or pulled and not released, 1 to 256. 0: 4.
    pub frames_out: u32,
}

/// A picture of the sensor's, to be pushed.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct VoletPicture {
    /// sizeof(VoletPicture).
    pub size: usize,
    /// Pixels across, as the camera was opened for.
    pub width: u32,
    /// Pixels down, as the camera was opened for.
    pub height: u32,
    /// When it was taken, in microseconds of a clock of your choice. It comes back with the redacted frame.
    pub timestamp_us: u64,
    /// First sample of each plane of the format; others are not looked at.
    pub planes: [*const u8; 3],
    /// Bytes from one row of each plane to the next. 0: rows without padding.
    pub strides: [usize; 3],
}

/// Something that was found. Its box is in pixels from the frame's left top corner, and inside the frame.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VoletAnnotation {
    /// What it is.
    pub object_class: VoletClass,
    /// Whether it was seen in this frame or is known from others.
    pub origin: VoletOrigin,
    /// The same for one thing in all frames, from 1; 0 where there is none.
    pub track_id: u32,
    /// How sure the detector was, 0 to 1.
    pub score: f32,
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

/// A redacted frame. It is yours to read until you release it, also after its camera was closed.
#[repr(C)]
#[derive(Debug)]
pub struct VoletFrame {
    /// Its number: pushed frames counted from 0.
    pub index: u64,
    /// The timestamp of the picture that was pushed.
    pub timestamp_us: u64,
    /// How samples lie in memory: as the camera was opened.
    pub format: VoletFormat,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// First sample of each plane; NULL where the format has no such plane.
    pub planes: [*const u8; 3],
    /// Bytes from one row of each plane to the next.
    pub strides: [usize; 3],
    /// Bytes of all planes, which follow each other without padding from planes[0] on.
    pub bytes: usize,
    /// Pixels that were destroyed.
    pub covered_pixels: u64,
    /// Why the whole frame was covered, in English; NULL where it was not.
    pub covered_because: *const c_char,
    /// What was found; NULL where nothing was.
    pub annotations: *const VoletAnnotation,
    /// How many there are.
    pub annotation_count: usize,
}

impl VoletFormat {
    pub(crate) fn from_number(value: u32) -> Result<Self, Failure> {
        let all = [Self::Nv12, Self::I420, Self::Yuyv, Self::Grey];
        let unknown = Failure::Unknown { field: "format", value, kind: "VoletFormat" };
        all.into_iter().find(|f| *f as u32 == value).ok_or(unknown)
    }
}

impl VoletColor {
    /// The colours of frames of this height.
    pub(crate) fn from_number(value: u32, height: u32) -> Result<Color, Failure> {
        let of = |matrix, range| Ok(Color { matrix, range });
        match value {
            v if v == Self::ByHeight as u32 => Ok(Color::untagged(height)),
            v if v == Self::Bt601Limited as u32 => of(Matrix::Bt601, Range::Limited),
            v if v == Self::Bt601Full as u32 => of(Matrix::Bt601, Range::Full),
            v if v == Self::Bt709Limited as u32 => of(Matrix::Bt709, Range::Limited),
            v if v == Self::Bt709Full as u32 => of(Matrix::Bt709, Range::Full),
            _ => Err(Failure::Unknown { field: "color", value, kind: "VoletColor" }),
        }
    }
}

impl From<&Annotated> for VoletAnnotation {
    fn from(found: &Annotated) -> Self {
        let object_class = match found.class {
            ObjectClass::Face => VoletClass::Face,
            ObjectClass::Person => VoletClass::Person,
            ObjectClass::Vehicle => VoletClass::Vehicle,
            ObjectClass::Animal => VoletClass::Animal,
            ObjectClass::Parcel => VoletClass::Parcel,
            ObjectClass::Plate => VoletClass::Plate,
        };
        let origin = match found.origin {
            Origin::Detected => VoletOrigin::Detected,
            Origin::Interpolated => VoletOrigin::Interpolated,
            Origin::Held => VoletOrigin::Held,
            Origin::BackFilled => VoletOrigin::BackFilled,
        };
        let score = if found.score.is_finite() { found.score.clamp(0.0, 1.0) } else { 0.0 };
        let (track_id, bbox) = (found.track_id.unwrap_or(0), found.bbox);
        Self { object_class, origin, track_id, score, x: bbox.x, y: bbox.y, width: bbox.w, height: bbox.h }
    }
}

impl VoletFrame {
    /// What C sees of a slot. It points into the slot's memory, which stays where it is while nobody changes the slot.
    pub(crate) fn of(slot: &Slot, layout: &Layout) -> Self {
        let (mut planes, mut strides, mut from) = ([ptr::null(); 3], [0; 3], 0);
        for ((plane, stride), rows) in planes.iter_mut().zip(&mut strides).zip(layout.planes()) {
            *plane = slot.samples.as_ptr().wrapping_add(from);
            *stride = rows.length;
            from += rows.length * rows.count;
        }
        let annotations = if slot.annotations.is_empty() { ptr::null() } else { slot.annotations.as_ptr() };
        Self {
            index: slot.index,
            timestamp_us: u64::try_from(slot.time.as_micros()).unwrap_or(u64::MAX),
            format: layout.format(),
            width: layout.geometry().width(),
            height: layout.geometry().height(),
            planes,
            strides,
            bytes: slot.samples.len(),
            covered_pixels: slot.covered_pixels,
            covered_because: slot.covered_because.as_ref().map_or(ptr::null(), |why| why.as_ptr()),
            annotations,
            annotation_count: slot.annotations.len(),
        }
    }
}
