//! Redacted frames in the layouts that encoders take. Where a frame already has the layout, nothing is copied.

use crate::frame::{Color, Matrix, PixelFormat, Plane, Range};
use crate::redact::Redacted;

/// The luma weights of red and blue.
fn weights(matrix: Matrix) -> (f32, f32) {
    match matrix {
        Matrix::Bt601 => (0.299, 0.114),
        Matrix::Bt709 => (0.2126, 0.0722),
    }
}

fn to_u8(value: f32) -> u8 {
    // Floating-point casts saturate.
    (value + 0.5) as u8
}

/// `[Y, Cb, Cr]` of a colour, in `color`'s own range.
fn rgb_to_yuv(color: Color, [r, g, b]: [u8; 3]) -> [u8; 3] {
    let (kr, kb) = weights(color.matrix);
    let [r, g, b] = [r, g, b].map(f32::from);
    let y = kr * r + (1.0 - kr - kb) * g + kb * b;
    let (cb, cr) = ((b - y) / (2.0 * (1.0 - kb)), (r - y) / (2.0 * (1.0 - kr)));
    match color.range {
        Range::Full => [to_u8(y), to_u8(cb + 128.0), to_u8(cr + 128.0)],
        Range::Limited => {
            let (luma, chroma) = (219.0 / 255.0, 224.0 / 255.0);
            [to_u8(y * luma + 16.0), to_u8(cb * chroma + 128.0), to_u8(cr * chroma + 128.0)]
        }
    }
}

/// The colour of `[Y, Cb, Cr]`.
fn yuv_to_rgb(color: Color, [y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (kr, kb) = weights(color.matrix);
    let (mut y, mut cb, mut cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    if color.range == Range::Limited {
        (y, cb, cr) = ((y - 16.0) * 255.0 / 219.0, cb * 255.0 / 224.0, cr * 255.0 / 224.0);
    }
    let (r, b) = (y + 2.0 * (1.0 - kr) * cr, y + 2.0 * (1.0 - kb) * cb);
    let g = (y - kr * r - kb * b) / (1.0 - kr - kb);
    [to_u8(r), to_u8(g), to_u8(b)]
}

/// A YUV frame, sample by sample.
pub(super) struct Yuv<'a> {
    samples: &'a [u8],
    color: Color,
    width: usize,
    luma: Plane,
    /// Where U and V lie: plane and channel.
    chroma: [(Plane, usize); 2],
}

impl<'a> Yuv<'a> {
    /// The frame must not be RGB or grey: those have no chroma planes, and their luma is repeated.
    pub(super) fn new(frame: &'a Redacted) -> Self {
        let mut planes = frame.geometry().planes().into_iter();
        let empty = Plane {
            offset: 0,
            stride: 0,
            width: 0,
            height: 0,
            step: 0,
            channels: 1,
            shift_x: 0,
            shift_y: 0,
            chroma: false,
        };
        let luma = planes.next().unwrap_or(empty);
        let u = planes.next().unwrap_or(luma);
        let chroma = match planes.next() {
            Some(v) => [(u, 0), (v, 0)],
            None => [(u, 0), (u, u.channels - 1)],
        };
        Self { samples: frame.samples(), color: frame.color(), width: frame.geometry().width() as usize, luma, chroma }
    }

    fn row(&self, y: usize) -> impl Iterator<Item = [u8; 3]> {
        let at = move |(p, channel): (Plane, usize), x: usize| {
            self.samples[p.offset + (y >> p.shift_y) * p.stride + (x >> p.shift_x) * p.step + channel]
        };
        (0..self.width).map(move |x| [at((self.luma, 0), x), at(self.chroma[0], x), at(self.chroma[1], x)])
    }

    /// One row as JPEG wants it: BT.601, full range.
    pub(super) fn jfif_row(&self, y: usize, mut put: impl FnMut([u8; 3])) {
        match self.color {
            Color::JPEG => self.row(y).for_each(put),
            color => self.row(y).for_each(|yuv| put(rgb_to_yuv(Color::JPEG, yuv_to_rgb(color, yuv)))),
        }
    }
}

/// The frame as packed RGB; grey is repeated.
pub(super) fn rgb<'a>(frame: &'a Redacted, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    scratch.clear();
    match frame.geometry().format() {
        PixelFormat::Rgb8 => return frame.samples(),
        PixelFormat::Grey8 => scratch.extend(frame.samples().iter().flat_map(|&g| [g; 3])),
        _ => {
            let yuv = Yuv::new(frame);
            for y in 0..frame.geometry().height() as usize {
                scratch.extend(yuv.row(y).flat_map(|s| yuv_to_rgb(yuv.color, s)));
            }
        }
    }
    scratch
}

/// How the samples of [`planar`] and [`I420`] map to colours.
pub(super) fn encoded_color(format: PixelFormat, color: Color, height: u32) -> Color {
    match format {
        PixelFormat::Rgb8 | PixelFormat::Grey8 => Color::untagged(height),
        _ => color,
    }
}

/// The frame's planes one after the other: NV12 as 4:2:0, YUYV as 4:2:2, RGB as 4:4:4.
pub(super) fn planar<'a>(frame: &'a Redacted, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    let geometry = frame.geometry();
    let samples = frame.samples();
    let luma = geometry.width() as usize * geometry.height() as usize;
    scratch.clear();
    match geometry.format() {
        PixelFormat::I420 | PixelFormat::I422 | PixelFormat::I444 | PixelFormat::Grey8 => return samples,
        PixelFormat::Nv12 => {
            scratch.extend_from_slice(&samples[..luma]);
            for channel in 0..2 {
                scratch.extend(samples[luma..].iter().skip(channel).step_by(2));
            }
        }
        PixelFormat::Yuyv => {
            for (first, step) in [(0, 2), (1, 4), (3, 4)] {
                scratch.extend(samples.iter().skip(first).step_by(step));
            }
        }
        PixelFormat::Rgb8 => {
            let color = encoded_color(PixelFormat::Rgb8, frame.color(), geometry.height());
            scratch.resize(3 * luma, 0);
            let (y, chroma) = scratch.split_at_mut(luma);
            let (u, v) = chroma.split_at_mut(luma);
            for (((rgb, y), u), v) in samples.as_chunks().0.iter().zip(y).zip(u).zip(v) {
                [*y, *u, *v] = rgb_to_yuv(color, *rgb);
            }
        }
    }
    scratch
}

/// A frame as 4:2:0 with even sides, for video encoders.
#[cfg(feature = "h264")]
pub(super) struct I420<'a> {
    bytes: &'a [u8],
    /// Even.
    pub(super) width: usize,
    /// Even.
    pub(super) height: usize,
}

/// Buffers that [`I420::new`] reuses.
#[cfg(feature = "h264")]
#[derive(Default)]
pub(super) struct Scratch {
    planar: Vec<u8>,
    halved: Vec<u8>,
}

#[cfg(feature = "h264")]
impl<'a> I420<'a> {
    pub(super) fn new(frame: &'a Redacted, scratch: &'a mut Scratch) -> Self {
        let geometry = frame.geometry();
        let (w, h) = (geometry.width() as usize, geometry.height() as usize);
        let (width, height) = (w.next_multiple_of(2), h.next_multiple_of(2));
        let bytes = planar(frame, &mut scratch.planar);
        let (shift_x, shift_y) = match geometry.format() {
            PixelFormat::I420 | PixelFormat::Nv12 if (w, h) == (width, height) => {
                return Self { bytes, width, height };
            }
            PixelFormat::I420 | PixelFormat::Nv12 => (1, 1),
            PixelFormat::I422 | PixelFormat::Yuyv => (1, 0),
            PixelFormat::I444 | PixelFormat::Rgb8 | PixelFormat::Grey8 => (0, 0),
        };
        let out = &mut scratch.halved;
        out.clear();
        let (luma, chroma) = bytes.split_at(w * h);
        let grey = geometry.format() == PixelFormat::Grey8;
        for y in 0..height {
            let row = &luma[y.min(h - 1) * w..][..w];
            match grey {
                // Grey is full range, video is not.
                true => out.extend(row.iter().map(|&g| to_u8(f32::from(g) * 219.0 / 255.0 + 16.0))),
                false => out.extend_from_slice(row),
            }
            if width > w {
                out.extend(out.last().copied());
            }
        }
        let (cw, ch) = (w.div_ceil(1 << shift_x), h.div_ceil(1 << shift_y));
        if grey {
            out.resize(width * height * 3 / 2, 128);
        } else {
            for plane in chroma.chunks_exact(cw * ch) {
                halve(plane, (cw, ch), (1 - shift_x, 1 - shift_y), (width / 2, height / 2), out);
            }
        }
        Self { bytes: out, width, height }
    }
}

/// Appends a chroma plane of `size`, averaged over 1 or 2 samples each way, as `target` samples.
#[cfg(feature = "h264")]
fn halve(plane: &[u8], size: (usize, usize), halvings: (usize, usize), target: (usize, usize), out: &mut Vec<u8>) {
    let ((cw, ch), (hx, hy)) = (size, halvings);
    for y in 0..target.1 {
        let (top, bottom) = ((y << hy).min(ch - 1) * cw, ((y << hy) + hy).min(ch - 1) * cw);
        out.extend((0..target.0).map(|x| {
            let (left, right) = ((x << hx).min(cw - 1), ((x << hx) + hx).min(cw - 1));
            let at = |i: usize| u16::from(plane[i]);
            let sum = at(top + left) + at(top + right) + at(bottom + left) + at(bottom + right);
            u8::try_from((sum + 2) / 4).unwrap_or(u8::MAX)
        }));
    }
}

#[cfg(feature = "h264")]
impl openh264::formats::YUVSource for I420<'_> {
    fn dimensions(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    fn strides(&self) -> (usize, usize, usize) {
        (self.width, self.width / 2, self.width / 2)
    }

    fn y(&self) -> &[u8] {
        &self.bytes[..self.width * self.height]
    }

    fn u(&self) -> &[u8] {
        let luma = self.width * self.height;
        &self.bytes[luma..luma + luma / 4]
    }

    fn v(&self) -> &[u8] {
        let luma = self.width * self.height;
        &self.bytes[luma + luma / 4..luma + luma / 2]
    }
}

#[cfg(feature = "h264")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Geometry, RawFrame};
    use openh264::formats::YUVSource;
    use std::time::Duration;

    fn frame(format: PixelFormat, w: u32, h: u32, color: Color, fill: impl Fn(usize) -> u8) -> Redacted {
        let geometry = Geometry::new(format, w, h).unwrap();
        let bytes: Vec<u8> = (0..geometry.bytes()).map(fill).collect();
        Redacted::for_tests(RawFrame::new(0, Duration::ZERO, geometry, color, bytes).unwrap())
    }

    #[test]
    fn colours_survive_the_way_to_yuv_and_back() {
        for matrix in [Matrix::Bt601, Matrix::Bt709] {
            for range in [Range::Limited, Range::Full] {
                let color = Color { matrix, range };
                for rgb in [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [12, 200, 99]] {
                    let back = yuv_to_rgb(color, rgb_to_yuv(color, rgb));
                    for (a, b) in rgb.into_iter().zip(back) {
                        assert!(a.abs_diff(b) <= 3, "{color:?} {rgb:?} {back:?}");
                    }
                }
            }
        }
        let limited = Color { matrix: Matrix::Bt601, range: Range::Limited };
        assert_eq!(rgb_to_yuv(limited, [255, 0, 0]), [81, 90, 240]);
        assert_eq!(rgb_to_yuv(limited, [255, 255, 255]), [235, 128, 128]);
    }

    #[test]
    fn every_layout_becomes_even_4_2_0() {
        for format in [
            PixelFormat::I420,
            PixelFormat::I422,
            PixelFormat::I444,
            PixelFormat::Nv12,
            PixelFormat::Yuyv,
            PixelFormat::Rgb8,
            PixelFormat::Grey8,
        ] {
            for (w, h) in [(4, 4), (6, 5), (7, 3), (1, 1)] {
                if format == PixelFormat::Yuyv && w % 2 == 1 {
                    continue;
                }
                let frame = frame(format, w, h, Color::default(), |_| 128);
                let mut scratch = Scratch::default();
                let yuv = I420::new(&frame, &mut scratch);
                assert_eq!(yuv.dimensions(), ((w as usize).next_multiple_of(2), (h as usize).next_multiple_of(2)));
                let luma = if matches!(format, PixelFormat::Rgb8 | PixelFormat::Grey8) { 126 } else { 128 };
                assert!(yuv.y().iter().all(|&v| v == luma), "{format:?} {:?}", yuv.y());
                assert!(yuv.u().iter().chain(yuv.v()).all(|&v| v == 128), "{format:?}");
            }
        }
    }

    #[test]
    fn interleaved_chroma_is_separated() {
        let nv12 = frame(PixelFormat::Nv12, 2, 2, Color::default(), |i| i as u8);
        assert_eq!(planar(&nv12, &mut Vec::new()), [0, 1, 2, 3, 4, 5]);
        let nv12 = frame(PixelFormat::Nv12, 4, 2, Color::default(), |i| i as u8);
        assert_eq!(planar(&nv12, &mut Vec::new())[8..], [8, 10, 9, 11]);
        let yuyv = frame(PixelFormat::Yuyv, 4, 1, Color::default(), |i| i as u8);
        assert_eq!(planar(&yuyv, &mut Vec::new()), [0, 2, 4, 6, 1, 5, 3, 7]);
    }
}
