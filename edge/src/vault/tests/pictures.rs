//! Pictures are what the sensor saw, in its colours.

use super::*;
use crate::frame::{FramePool, Matrix, Range};
use crate::redact::Redacted;
use crate::sink::{self, SinkOptions};
use crate::source::{self, MediaKind, Next, OpenOptions, StreamInfo};

const FORMATS: [PixelFormat; 7] = [
    PixelFormat::I420,
    PixelFormat::I422,
    PixelFormat::I444,
    PixelFormat::Nv12,
    PixelFormat::Yuyv,
    PixelFormat::Rgb8,
    PixelFormat::Grey8,
];

/// Slow waves in every plane.
fn waves(format: PixelFormat, width: u32, height: u32, color: Color) -> Vec<u8> {
    let geometry = Geometry::new(format, width, height).unwrap();
    let mut bytes = vec![0; geometry.bytes()];
    for (n, plane) in geometry.planes().into_iter().enumerate() {
        for y in 0..plane.height {
            for x in 0..plane.width {
                for c in 0..plane.channels {
                    let (fx, fy) = ((x << plane.shift_x) as f64 / 37.0, (y << plane.shift_y) as f64 / 29.0);
                    let wave = (fx + (n + c) as f64).sin() * (fy - n as f64).cos();
                    let (middle, reach) = if color.range == Range::Full { (128.0, 60.0) } else { (126.0, 50.0) };
                    bytes[plane.offset + y * plane.stride + x * plane.step + c] = (middle + reach * wave) as u8;
                }
            }
        }
    }
    bytes
}

/// The picture of a JPEG file, as samples.
fn decoded(path: &std::path::Path) -> Vec<u8> {
    let mut source = source::open(path, &OpenOptions::default()).unwrap();
    let Next::Frame(frame) = source.next(&FramePool::new()).unwrap() else { panic!("no frame") };
    frame.pixels().to_vec()
}

#[test]
fn every_layout_and_colour_comes_out_as_the_sink_writes_it() {
    let folder = tempfile::tempdir().unwrap();
    let colors = [Matrix::Bt601, Matrix::Bt709]
        .into_iter()
        .flat_map(|matrix| [Range::Limited, Range::Full].map(|range| Color { matrix, range }));
    for color in colors {
        for (format, width, height) in FORMATS.into_iter().flat_map(|format| [(format, 64, 48), (format, 38, 31)]) {
            let geometry = Geometry::new(format, width, height).unwrap();
            let bytes = waves(format, width, height, color);
            let raw = || RawFrame::new(0, Duration::ZERO, geometry, color, bytes.clone()).unwrap();
            let (own, other) = (folder.path().join("own.jpg"), folder.path().join("other.jpg"));
            std::fs::write(&own, jpeg(&raw())).unwrap();
            let info = StreamInfo { kind: MediaKind::Jpeg, geometry, color, rate: Rate::ASSUMED, frames: None };
            let mut sink = sink::create(&other, MediaKind::Jpeg, &info, &SinkOptions::default()).unwrap();
            sink.write(&Redacted::for_tests(raw())).unwrap();
            sink.finish().unwrap();
            let (own, other) = (decoded(&own), decoded(&other));
            assert_eq!(own.len(), other.len(), "{color:?} {format:?}");
            let difference: u64 = own.iter().zip(&other).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            let mean = difference as f64 / own.len() as f64;
            assert!(mean < 2.5, "{color:?} {format:?} {width}x{height}: {mean:.2} levels");
        }
    }
}

#[test]
fn memory_of_pictures_is_wiped_as_it_is_let_go() {
    use std::io::Write;
    let mut plain = Plain::default();
    plain.write_all(&[7; 100]).unwrap();
    plain.truncate(40);
    assert_eq!((plain.len(), plain.as_slice()), (40, &[7; 40][..]));
    plain.patch(38, &[1, 2, 3]);
    assert_eq!(plain.as_slice()[37..], [7, 1, 2]);
    // What was cut off was overwritten before it was let go: it does not come back where the memory is used again.
    plain.write_all(&[0; 60]).unwrap();
    assert_eq!(plain.as_slice()[40..], [0; 60]);
}
