//! What every style must do in every layout: change nothing outside, leave nothing inside.

use proptest::prelude::*;
use volet_models::BBox;

use super::*;
use crate::frame::Plane;

const FORMATS: [PixelFormat; 7] = [
    PixelFormat::I420,
    PixelFormat::I422,
    PixelFormat::I444,
    PixelFormat::Nv12,
    PixelFormat::Yuyv,
    PixelFormat::Rgb8,
    PixelFormat::Grey8,
];
const STYLES: [Style; 3] = [Style::Solid, Style::Mosaic, Style::Blur];

fn picture(format: PixelFormat, w: u32, h: u32, seed: u32) -> RawFrame {
    let g = Geometry::new(format, w, h).unwrap();
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let data: Vec<u8> = (0..g.bytes())
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    RawFrame::new(0, Duration::ZERO, g, Color::default(), data).unwrap()
}

fn samples_in<'a>(plane: &'a Plane, region: &'a Region) -> impl Iterator<Item = usize> + 'a {
    region.spans(plane).flat_map(move |(y, span)| {
        span.flat_map(move |x| (0..plane.channels).map(move |c| plane.offset + y * plane.stride + x * plane.step + c))
    })
}

proptest! {
    #[test]
    fn nothing_outside_changes_and_nothing_inside_stays(
        format in proptest::sample::select(&FORMATS[..]),
        style in proptest::sample::select(&STYLES[..]),
        x in -30f32..70.0, y in -30f32..50.0, w in 1f32..60.0, h in 1f32..60.0,
        ellipse: bool,
    ) {
        let shape = if ellipse { Shape::Ellipse } else { Shape::Rect };
        let region = Region { bbox: BBox::new(x, y, w, h), shape, track_id: Some(7) };
        let before = picture(format, 62, 41, 1);
        let g = before.geometry();
        let raw = before.pixels().to_vec();
        let mut redactor = Redactor::new(style).unwrap();
        let after = redactor.redact(before, &[region]);
        let mut inside = vec![false; raw.len()];
        for plane in g.planes() {
            for i in samples_in(&plane, &region) {
                inside[i] = true;
            }
        }
        for (i, &raw) in raw.iter().enumerate() {
            prop_assert!(inside[i] || after.samples()[i] == raw, "sample {} outside changed", i);
        }
        let distinct: std::collections::BTreeSet<u8> =
            (0..raw.len()).filter(|&i| inside[i]).map(|i| after.samples()[i]).collect();
        if style == Style::Solid {
            prop_assert!(distinct.len() <= 2);
        }
    }
}

/// A corner of an ellipse's box may reach into the frame where the ellipse does not.
#[test]
fn an_ellipse_of_which_only_the_box_reaches_into_the_frame_changes_nothing() {
    for (format, style) in FORMATS.into_iter().flat_map(|f| STYLES.map(|s| (f, s))) {
        for (x, y) in [(60.0, 39.0), (60.0, -58.0), (-58.0, 39.0), (-58.0, -58.0)] {
            let region = Region { bbox: BBox::new(x, y, 60.0, 60.0), shape: Shape::Ellipse, track_id: Some(7) };
            let before = picture(format, 62, 41, 1);
            let raw = before.pixels().to_vec();
            let after = Redactor::new(style).unwrap().redact(before, &[region]);
            assert_eq!(after.samples(), raw, "{format:?} {style:?} at {x}, {y}");
        }
    }
}

#[test]
fn a_region_shows_no_more_colours_than_it_has_cells() {
    for format in FORMATS {
        let region = Region { bbox: BBox::new(5.0, 5.0, 50.0, 50.0), shape: Shape::Rect, track_id: None };
        let after = Redactor::new(Style::Mosaic).unwrap().redact(picture(format, 62, 62, 3), &[region]);
        for plane in after.geometry().planes() {
            let at = |y: usize, x: usize| {
                let i = plane.offset + y * plane.stride + x * plane.step;
                after.samples()[i..i + plane.channels].to_vec()
            };
            let colours: std::collections::BTreeSet<Vec<u8>> =
                region.spans(&plane).flat_map(|(y, span)| span.map(move |x| (y, x))).map(|(y, x)| at(y, x)).collect();
            assert!(colours.len() <= (CELLS * CELLS) as usize, "{format:?}: {}", colours.len());
        }
    }
}

proptest! {
    /// Guarantee G3, exactly: what is painted is a function of key, track and box. Two pictures that differ under the
    /// masks alone come out the same to the last bit, wherever the masks lie and however they overlap.
    #[test]
    fn nothing_of_what_was_covered_survives(
        format in proptest::sample::select(&FORMATS[..]),
        style in proptest::sample::select(&STYLES[..]),
        boxes in proptest::collection::vec((-30f32..70.0, -30f32..50.0, 1f32..60.0, 1f32..60.0, any::<bool>()), 1..4),
        value in proptest::option::of(any::<u8>()),
    ) {
        let regions: Vec<Region> = (0..).zip(boxes).map(|(id, (x, y, w, h, ellipse))| Region {
            bbox: BBox::new(x, y, w, h),
            shape: if ellipse { Shape::Ellipse } else { Shape::Rect },
            track_id: (id > 0).then_some(id),
        }).collect();
        let (one, mut other) = (picture(format, 62, 41, 1), picture(format, 62, 41, 1));
        let noise = picture(format, 62, 41, 2);
        for plane in one.geometry().planes() {
            for i in regions.iter().flat_map(|r| samples_in(&plane, r)) {
                other.pixels_mut()[i] = value.unwrap_or(noise.pixels()[i]);
            }
        }
        let mut redactor = Redactor::new(style).unwrap();
        let (one, other) = (redactor.redact(one, &regions), redactor.redact(other, &regions));
        prop_assert_eq!(one.samples(), other.samples());
    }
}

#[test]
fn noise_belongs_to_the_track_and_to_the_redactor() {
    let region = |id| Region { bbox: BBox::new(4.0, 4.0, 40.0, 40.0), shape: Shape::Rect, track_id: Some(id) };
    let mut redactor = Redactor::new(Style::Mosaic).unwrap();
    let mut paint = |id| redactor.redact(picture(PixelFormat::Grey8, 48, 48, 1), &[region(id)]).samples().to_vec();
    let (first, again, other) = (paint(1), paint(1), paint(2));
    assert_eq!(first, again, "averaging the frames of a track must not remove the noise");
    assert_ne!(first, other);
    let mut stranger = Redactor::new(Style::Mosaic).unwrap();
    assert_ne!(first, stranger.redact(picture(PixelFormat::Grey8, 48, 48, 1), &[region(1)]).samples());
}

#[test]
fn a_box_that_is_no_box_covers_everything() {
    for bad in
        [BBox::new(f32::NAN, 0.0, 4.0, 4.0), BBox::new(0.0, 0.0, 0.0, 4.0), BBox::new(0.0, 0.0, f32::INFINITY, 4.0)]
    {
        let region = Region { bbox: bad, shape: Shape::Ellipse, track_id: None };
        let after = Redactor::new(Style::Blur).unwrap().redact(picture(PixelFormat::Nv12, 32, 32, 1), &[region]);
        assert!(after.covered_because().is_some());
        assert_eq!(after.covered_pixels(), 32 * 32);
    }
}

#[test]
fn covering_leaves_black_in_every_layout() {
    for format in FORMATS {
        let after = Redactor::new(Style::Mosaic).unwrap().cover(picture(format, 30, 21, 9), "test");
        let expected: std::collections::BTreeSet<u8> = match format {
            PixelFormat::Rgb8 => [0].into(),
            PixelFormat::Grey8 => [16].into(),
            _ => [16, 128].into(),
        };
        let found: std::collections::BTreeSet<u8> = after.samples().iter().copied().collect();
        assert_eq!(found, expected, "{format:?}");
    }
}
