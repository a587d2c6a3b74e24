//! What is inside a lesson's file once it is opened: its labels, what they were made from, and its pixels as PNG.
//!
//! Whoever can write the folder can seal a lesson of their own making: what comes out is checked as a stranger's. Knows no
//! keys and no files.

use std::io::Cursor;

use borsh::{BorshDeserialize, BorshSerialize};
use image::codecs::png::{CompressionType, FilterType, PngDecoder, PngEncoder};
use image::{ColorType, ExtendedColorType, ImageDecoder, ImageEncoder};
use volet_models::{BBox, Detection, ObjectClass};
use zeroize::Zeroizing;

use super::super::lesson::{Label, Lesson, Source};
use super::super::moment::Moment;

/// The sides of a still, pixels, and the most pixels of one.
const SIDES: std::ops::RangeInclusive<u32> = 32..=16_384;
const MOST_PIXELS: u64 = 1 << 24;
/// The most labels of a still.
const MOST_LABELS: usize = 1000;
/// The most frames around one that have a say, and the most that is found in all of them.
const MOST_FRAMES: usize = 64;
const MOST_FOUND: usize = 4096;

/// Why a lesson is not kept.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum LessonError {
    #[error("the still is {0}x{1} pixels: sides of 32 to 16384 and at most 2^24 pixels are kept, scale it")]
    Size(u32, u32),
    #[error("the still has {actual} bytes where {expected} are due: interleaved RGB, three bytes a pixel")]
    Bytes { expected: u64, actual: usize },
    #[error("there are {0} labels: at most 1000 are kept")]
    Labels(usize),
    #[error("label {0} is of class {1}, and this buffer knows {2}: number classes as its buffer.toml does")]
    Class(usize, usize, usize),
    #[error("label {0} is empty, not finite, or has nothing in the picture: leave it out")]
    Box(usize),
    #[error("{found} detections in {frames} frames speak for the labels: at most 4096 in 64 are kept")]
    Moment { frames: usize, found: usize },
    #[error("the still cannot be written as PNG")]
    Png,
}

/// A lesson that is ready to be sealed.
pub(super) struct Packed {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) held_out: bool,
    pub(super) corrected: bool,
}

/// A lesson's content, its pixels not decoded yet.
#[derive(BorshSerialize, BorshDeserialize)]
pub(super) struct Content {
    width: u32,
    height: u32,
    held_out: bool,
    labels: Vec<Kept>,
    moment: Option<KeptMoment>,
    png: Vec<u8>,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct Kept {
    class: u16,
    bbox: [f32; 4],
    ignore: bool,
    source: u8,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct KeptMoment {
    here: Vec<Found>,
    around: Vec<Vec<Found>>,
    tracks: Vec<Found>,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct Found {
    /// In the order of `ObjectClass::ALL`.
    class: u8,
    bbox: [f32; 4],
    score: f32,
}

const SOURCES: [Source; 4] = [Source::Detector, Source::Tracker, Source::Teacher, Source::Owner];

/// Whether what hashes to this is held out: every fifth, and the same ones for ever.
pub(crate) fn held_out(hash: &blake3::Hash) -> bool {
    hash.as_bytes()[0].is_multiple_of(5)
}

/// Makes a lesson ready, for a buffer of so many classes, with what its labels were made from, if that is known.
pub(super) fn pack(lesson: &Lesson, moment: Option<&Moment>, classes: usize) -> Result<Packed, LessonError> {
    let Lesson { width, height, rgb, labels } = lesson;
    check(*width, *height, rgb.len(), labels, classes)?;
    let mut png = Vec::with_capacity(rgb.len() / 2);
    let encoder = PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Adaptive);
    encoder.write_image(rgb, *width, *height, ExtendedColorType::Rgb8).map_err(|_| LessonError::Png)?;
    let held_out = held_out(&hash(*width, *height, rgb));
    let moment = moment.map(KeptMoment::of).transpose()?;
    let content = Content { width: *width, height: *height, held_out, labels: keep(labels)?, moment, png };
    content.pack(labels.iter().any(|label| label.source == Source::Owner))
}

impl Content {
    /// Reads an opened file; none where it is not one of `pack`'s.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        borsh::from_slice(bytes).ok()
    }

    /// Makes it ready again.
    pub(super) fn pack(&self, corrected: bool) -> Result<Packed, LessonError> {
        let bytes = borsh::to_vec(self).map(Zeroizing::new).map_err(|_| LessonError::Png)?;
        Ok(Packed { bytes, held_out: self.held_out, corrected })
    }

    /// Puts other labels in place.
    pub(super) fn relabel(&mut self, labels: &[Label], classes: usize) -> Result<(), LessonError> {
        let pixels = 3 * self.width as usize * self.height as usize;
        check(self.width, self.height, pixels, labels, classes)?;
        self.labels = keep(labels)?;
        Ok(())
    }

    /// The lesson, in a buffer of so many classes, and what its labels were made from, if that is known; none where anything
    /// is not as `pack` would have it.
    pub(super) fn lesson(&self, held_out: bool, classes: usize) -> Option<(Lesson, Option<Moment>)> {
        let labels = self.labels.iter().map(|kept| {
            let [x, y, w, h] = kept.bbox;
            let source = *SOURCES.get(usize::from(kept.source))?;
            Some(Label { class: kept.class.into(), bbox: BBox::new(x, y, w, h), ignore: kept.ignore, source })
        });
        let labels = labels.collect::<Option<Vec<Label>>>()?;
        let moment = match &self.moment {
            Some(kept) => Some(kept.moment()?),
            None => None,
        };
        let (width, height) = (self.width, self.height);
        let bytes = usize::try_from(3 * u64::from(width) * u64::from(height)).ok()?;
        check(width, height, bytes, &labels, classes).ok()?;
        let mut limits = image::Limits::default();
        limits.max_alloc = Some(2 * bytes as u64 + (1 << 20));
        let decoder = PngDecoder::with_limits(Cursor::new(&self.png), limits).ok()?;
        if decoder.dimensions() != (width, height) || decoder.color_type() != ColorType::Rgb8 {
            return None;
        }
        let mut rgb = vec![0; bytes];
        decoder.read_image(&mut rgb).ok()?;
        let by_pixels = self::held_out(&hash(width, height, &rgb));
        let same = by_pixels == held_out && by_pixels == self.held_out;
        same.then_some((Lesson { width, height, rgb, labels }, moment))
    }
}

impl KeptMoment {
    fn of(moment: &Moment) -> Result<Self, LessonError> {
        let all = |found: &[Detection]| found.iter().filter_map(Found::of).collect::<Vec<Found>>();
        let Moment { here, around, tracks } = moment;
        let kept =
            Self { here: all(here), around: around.iter().map(|frame| all(frame)).collect(), tracks: all(tracks) };
        let (frames, found) = kept.size();
        if kept.fits() { Ok(kept) } else { Err(LessonError::Moment { frames, found }) }
    }

    fn moment(&self) -> Option<Moment> {
        let all = |found: &[Found]| found.iter().map(Found::detection).collect::<Option<Vec<Detection>>>();
        let around = self.around.iter().map(|frame| all(frame)).collect::<Option<Vec<_>>>()?;
        self.fits().then_some(Moment { here: all(&self.here)?, around, tracks: all(&self.tracks)? })
    }

    fn fits(&self) -> bool {
        let (frames, found) = self.size();
        frames <= MOST_FRAMES && found <= MOST_FOUND
    }

    /// Frames, and what was found in all of them.
    fn size(&self) -> (usize, usize) {
        (1 + self.around.len(), self.here.len() + self.tracks.len() + self.around.iter().map(Vec::len).sum::<usize>())
    }
}

impl Found {
    /// None of what is no box or no score: it speaks for nothing.
    fn of(found: &Detection) -> Option<Self> {
        let Detection { class, bbox: BBox { x, y, w, h }, score } = *found;
        let class = ObjectClass::ALL.iter().zip(0..).find(|(known, _)| **known == class)?.1;
        let kept = Self { class, bbox: [x, y, w, h], score };
        kept.detection().is_some().then_some(kept)
    }

    fn detection(&self) -> Option<Detection> {
        let [x, y, w, h] = self.bbox;
        let found = Detection {
            class: *ObjectClass::ALL.get(usize::from(self.class))?,
            bbox: BBox::new(x, y, w, h),
            score: self.score,
        };
        (found.bbox.is_valid() && (0.0..=1.0).contains(&found.score)).then_some(found)
    }
}

fn keep(labels: &[Label]) -> Result<Vec<Kept>, LessonError> {
    let one = |(index, label): (usize, &Label)| {
        let class = u16::try_from(label.class).map_err(|_| LessonError::Class(index, label.class, 0))?;
        let source = SOURCES.iter().zip(0..).find(|(source, _)| **source == label.source).map_or(0, |(_, n)| n);
        let BBox { x, y, w, h } = label.bbox;
        Ok(Kept { class, bbox: [x, y, w, h], ignore: label.ignore, source })
    };
    labels.iter().enumerate().map(|(index, label)| one((index, label))).collect()
}

fn check(width: u32, height: u32, bytes: usize, labels: &[Label], classes: usize) -> Result<(), LessonError> {
    let pixels = u64::from(width) * u64::from(height);
    if !SIDES.contains(&width) || !SIDES.contains(&height) || pixels > MOST_PIXELS {
        return Err(LessonError::Size(width, height));
    }
    if bytes as u64 != 3 * pixels {
        return Err(LessonError::Bytes { expected: 3 * pixels, actual: bytes });
    }
    if labels.len() > MOST_LABELS {
        return Err(LessonError::Labels(labels.len()));
    }
    for (index, label) in labels.iter().enumerate() {
        if label.class >= classes {
            return Err(LessonError::Class(index, label.class, classes));
        }
        if !label.is_inside(width, height) {
            return Err(LessonError::Box(index));
        }
    }
    Ok(())
}

fn hash(width: u32, height: u32, rgb: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&width.to_le_bytes()).update(&height.to_le_bytes()).update(rgb);
    hasher.finalize()
}
