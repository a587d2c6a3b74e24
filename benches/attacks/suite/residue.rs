//! What codecs could keep of a face outside its mask. Two films that differ under the mask alone are redacted, encoded
//! and decoded; every byte of the files and every sample must be the same. The fault that this must find is a mask that is
//! painted after a codec has seen the face: blocks, chroma and earlier frames carry it past the edge.

use std::time::Duration;

use image::RgbImage;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use volet_edge::frame::{Color, FramePool, Geometry, PixelFormat, RawFrame};
use volet_edge::models::BBox;
use volet_edge::redact::{Redacted, Redactor, Region, Shape, Style};
use volet_edge::sink::{self, SinkOptions};
use volet_edge::source::{self, MediaKind, Next, OpenOptions, Rate, StreamInfo};

use super::Size;
use super::hide::STYLES;
use super::report::{Role, Row};

const FORMATS: [PixelFormat; 4] = [PixelFormat::I420, PixelFormat::Nv12, PixelFormat::Yuyv, PixelFormat::Rgb8];
const KINDS: [MediaKind; 3] = [MediaKind::Jpeg, MediaKind::Mp4, MediaKind::Mjpeg];
const W: u32 = 96;
const H: u32 = 80;

/// The bytes of a file with these frames.
pub(crate) fn encode(kind: MediaKind, options: &SinkOptions, frames: impl Iterator<Item = Redacted>) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x").with_extension(kind.extension());
    let mut sink = None;
    for frame in frames {
        let rate = Rate { num: 15, den: 1 };
        let info = StreamInfo { kind, geometry: frame.geometry(), color: frame.color(), rate, frames: None };
        let sink = sink.get_or_insert_with(|| sink::create(&path, kind, &info, options).unwrap());
        sink.write(&frame).unwrap();
    }
    sink.unwrap().finish().unwrap();
    std::fs::read(path).unwrap()
}

/// The frames of a file.
fn decode(kind: MediaKind, bytes: &[u8]) -> Vec<RawFrame> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x").with_extension(kind.extension());
    std::fs::write(&path, bytes).unwrap();
    let mut source = source::open(&path, &OpenOptions::default()).unwrap();
    let pool = FramePool::new();
    let mut frames = Vec::new();
    while let Next::Frame(frame) = source.next(&pool).unwrap() {
        frames.push(frame);
    }
    frames
}

/// A picture that is written as it is.
pub(crate) fn unredacted(picture: &RgbImage) -> Redacted {
    let geometry = Geometry::new(PixelFormat::Rgb8, picture.width(), picture.height()).unwrap();
    let frame = RawFrame::new(0, Duration::ZERO, geometry, Color::JPEG, picture.as_raw().clone()).unwrap();
    Redactor::new(Style::Solid).unwrap().redact(frame, &[])
}

/// Where the mask is in frame `n`: it moves by fractions of a pixel.
fn region(n: usize, shape: Shape) -> Region {
    let t = n as f32;
    Region { bbox: BBox::new(20.3 + 1.37 * t, 15.6 + 0.61 * t, 37.2 + 0.3 * t, 43.1), shape, track_id: Some(1) }
}

/// Frame `n` of a film: a scene that is always the same, and under the mask noise by `seed`.
fn scene(format: PixelFormat, n: usize, region: &Region, seed: u64) -> RawFrame {
    let geometry = Geometry::new(format, W, H).unwrap();
    let mut bytes = vec![0; geometry.bytes()];
    let mut random = StdRng::seed_from_u64(seed ^ (n as u64) << 32);
    for plane in geometry.planes() {
        for (y, x, c) in (0..plane.height)
            .flat_map(|y| (0..plane.width).flat_map(move |x| (0..plane.channels).map(move |c| (y, x, c))))
        {
            let (px, py) = (((x << plane.shift_x) as f32), ((y << plane.shift_y) as f32));
            let b = &region.bbox;
            let (dx, dy) = ((px + 0.5 - b.x) / b.w * 2.0 - 1.0, (py + 0.5 - b.y) / b.h * 2.0 - 1.0);
            let inside = match region.shape {
                Shape::Rect => dx.abs() < 1.0 && dy.abs() < 1.0,
                Shape::Ellipse => dx * dx + dy * dy < 1.0,
            };
            let still = 70 + (px as usize + py as usize * 2 + n * 3) % 90 + 9 * c;
            let value = if inside { random.random_range(0..=255) } else { still as u8 };
            bytes[plane.offset + y * plane.stride + x * plane.step + c] = value;
        }
    }
    RawFrame::new(n as u64, Duration::from_millis(66 * n as u64), geometry, Color::JPEG, bytes).unwrap()
}

fn differing<'a>(a: impl Iterator<Item = &'a [u8]>, b: impl Iterator<Item = &'a [u8]>) -> usize {
    a.zip(b).map(|(a, b)| a.iter().zip(b).filter(|(a, b)| a != b).count() + a.len().abs_diff(b.len())).sum()
}

pub(crate) fn run(size: &Size) -> Vec<Row> {
    let mut rows = Vec::new();
    for kind in KINDS {
        let frames = if kind.is_still() { 1 } else { size.frames };
        for style in STYLES {
            let (mut bytes, mut samples) = (0, 0);
            for (format, shape) in FORMATS.iter().flat_map(|f| [(*f, Shape::Rect), (*f, Shape::Ellipse)]) {
                // One key for both films.
                let mut redactor = Redactor::new(style).unwrap();
                let mut film = |seed| {
                    let frame = |n| {
                        let region = region(n, shape);
                        redactor.redact(scene(format, n, &region, seed), &[region])
                    };
                    (0..frames).map(frame).collect::<Vec<_>>()
                };
                let (a, b) = (film(1), film(2));
                samples += differing(a.iter().map(Redacted::samples), b.iter().map(Redacted::samples));
                let [a, b] = [a, b].map(|film| encode(kind, &SinkOptions::default(), film.into_iter()));
                bytes += differing([&a[..]].into_iter(), [&b[..]].into_iter());
            }
            let (attack, against) =
                (format!("residue in {}", kind.extension()), format!("Volet {style:?}").to_lowercase());
            let against = against.replacen('v', "V", 1);
            rows.push(Row::count(&attack, &against, Role::Volet, "differing samples", samples));
            rows.push(Row::count(&attack, &against, Role::Volet, "differing bytes of the file", bytes));
        }
        rows.push(masked_after(kind, frames));
    }
    rows
}

/// The wrong order: encoded, decoded, and masked then. How many samples outside the mask still tell the two films apart.
fn masked_after(kind: MediaKind, frames: usize) -> Row {
    let mut none = Redactor::new(Style::Solid).unwrap();
    let mut film = |seed| {
        let raw = (0..frames).map(|n| none.redact(scene(PixelFormat::I420, n, &region(n, Shape::Rect), seed), &[]));
        let bytes = encode(kind, &SinkOptions::default(), raw.collect::<Vec<_>>().into_iter());
        let mut solid = Redactor::new(Style::Solid).unwrap();
        decode(kind, &bytes)
            .into_iter()
            .enumerate()
            .map(|(n, frame)| solid.redact(frame, &[region(n, Shape::Rect)]))
            .collect::<Vec<_>>()
    };
    let (a, b) = (film(1), film(2));
    let count = differing(a.iter().map(Redacted::samples), b.iter().map(Redacted::samples));
    let attack = format!("residue in {}", kind.extension());
    Row::count(attack, "black painted after the codec", Role::Planted, "differing samples outside", count)
}

/// One small redacted film or picture of each kind, for whoever looks for other carriers.
pub(crate) fn samples() -> Vec<(MediaKind, Vec<u8>)> {
    let film = |kind: MediaKind| {
        let mut redactor = Redactor::new(Style::default()).unwrap();
        let frames = if kind.is_still() { 1 } else { 4 };
        let frames: Vec<_> = (0..frames)
            .map(|n| {
                let region = region(n, Shape::Ellipse);
                redactor.redact(scene(PixelFormat::I420, n, &region, 3), &[region])
            })
            .collect();
        encode(kind, &SinkOptions::default(), frames.into_iter())
    };
    KINDS.into_iter().map(|kind| (kind, film(kind))).collect()
}
