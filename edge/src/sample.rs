//! Sampling: from a frame in the sensor's layout straight to a network's small RGB input.
//!
//! Rows are first combined vertically and then horizontally, with the weights of a box filter when shrinking and
//! of linear interpolation when enlarging; YUV becomes RGB only at the network's size. No picture of the frame's
//! own size is made. Knows nothing of what the network looks for.

use volet_models::{BBox, DetectError, NetInput};

use crate::frame::{Color, Geometry, Matrix, PixelFormat, Plane, Range, RawFrame, wipe};

/// How pixels of a network's input lie in the frame: `frame = input * scale + offset`, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Placement {
    scale: (f32, f32),
    offset: (f32, f32),
}

impl Placement {
    /// A box of the input, in pixels of the frame.
    pub(crate) fn to_frame(self, b: &BBox) -> BBox {
        BBox::new(
            b.x * self.scale.0 + self.offset.0,
            b.y * self.scale.1 + self.offset.1,
            b.w * self.scale.0,
            b.h * self.scale.1,
        )
    }
}

/// A rectangle of the frame that is to fill the input, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Left edge.
    pub(crate) x: u32,
    /// Top edge.
    pub(crate) y: u32,
    /// Width, at least 1.
    pub(crate) width: u32,
    /// Height, at least 1.
    pub(crate) height: u32,
}

impl Window {
    /// The whole of a frame.
    pub(crate) fn whole(geometry: Geometry) -> Self {
        Self { x: 0, y: 0, width: geometry.width(), height: geometry.height() }
    }
}

/// Shrinks windows of frames into network inputs. Keeps its memory from frame to frame and wipes it when dropped.
#[derive(Default)]
pub(crate) struct Sampler {
    axes: Vec<(AxisKey, Axis)>,
    column: Vec<f32>,
    rows: [Vec<f32>; 3],
}

/// What an [`Axis`] is computed from: source length, first source pixel (times 2), source pixels (times 2),
/// destination pixels.
type AxisKey = (usize, u32, u32, u32);

/// For each destination sample: the first source sample and the weights of the following ones.
struct Axis {
    first: Vec<u32>,
    weights: Vec<f32>,
    taps: usize,
}

impl Axis {
    /// `count` samples over `span` source samples from `start` on, of a line of `length` samples.
    fn new(length: usize, start: f32, span: f32, count: usize) -> Self {
        let step = span / count as f32;
        let taps = (step.max(1.0).ceil() as usize + 1).min(length);
        let (mut first, mut weights) = (Vec::with_capacity(count), vec![0.0; count * taps]);
        for (i, weights) in weights.chunks_exact_mut(taps).enumerate() {
            // Shrinking averages the samples under the destination sample; enlarging interpolates between centres.
            let center = start + (i as f32 + 0.5) * step;
            let half = step.max(1.0) / 2.0;
            let (low, high) = (center - half, center + half);
            let from = (low.floor().max(0.0) as usize).min(length - taps);
            for (k, w) in weights.iter_mut().enumerate() {
                let left = (from + k) as f32;
                *w = (high.min(left + 1.0) - low.max(left)).max(0.0);
            }
            let sum: f32 = weights.iter().sum();
            if sum > 0.0 {
                weights.iter_mut().for_each(|w| *w /= sum);
            } else {
                weights[taps - 1] = 1.0;
            }
            first.push(from as u32);
        }
        Self { first, weights, taps }
    }

    fn tap(&self, i: usize) -> (usize, &[f32]) {
        (self.first[i] as usize, &self.weights[i * self.taps..][..self.taps])
    }
}

impl Sampler {
    /// A sampler without memory.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Fills `input` with `window` of `frame`, its shape kept, at the input's top-left corner; the rest is black.
    ///
    /// # Errors
    /// The input is in use.
    pub(crate) fn sample(
        &mut self,
        frame: &RawFrame,
        window: Window,
        input: &mut NetInput,
    ) -> Result<Placement, DetectError> {
        let (in_w, in_h) = input.size();
        let scale = (window.width as f32 / in_w as f32).max(window.height as f32 / in_h as f32);
        let out_w = ((window.width as f32 / scale).round() as u32).clamp(1, in_w);
        let out_h = ((window.height as f32 / scale).round() as u32).clamp(1, in_h);
        let mut seen = self.rows(frame, window, (out_w, out_h));
        input.fill(|writer| {
            for y in 0..in_h as usize {
                let Some(rows) = seen.next() else {
                    (0..3).for_each(|c| writer.write_row(c, y, |row| row.fill(0.0)));
                    continue;
                };
                for (c, channel) in rows.iter().enumerate() {
                    writer.write_row(c, y, |row| {
                        let (picture, rest) = row.split_at_mut(out_w as usize);
                        picture.copy_from_slice(channel);
                        rest.fill(0.0);
                    });
                }
            }
        })?;
        // Sizes were rounded to whole pixels, each for itself.
        let scale = (window.width as f32 / out_w as f32, window.height as f32 / out_h as f32);
        Ok(Placement { scale, offset: (window.x as f32, window.y as f32) })
    }

    /// The whole of `frame` as interleaved RGB, shrunk so that no side is longer than `longest`: its sides and its bytes.
    pub(crate) fn picture(&mut self, frame: &RawFrame, longest: u32) -> (u32, u32, Vec<u8>) {
        let window = Window::whole(frame.geometry());
        let scale = (window.width.max(window.height) as f32 / longest as f32).max(1.0);
        let side = |side: u32| ((side as f32 / scale).round() as u32).max(1);
        let (width, height) = (side(window.width), side(window.height));
        let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
        let mut seen = self.rows(frame, window, (width, height));
        while let Some([red, green, blue]) = seen.next() {
            for ((r, g), b) in red.iter().zip(green).zip(blue) {
                rgb.extend([r, g, b].map(|v| v.round().clamp(0.0, 255.0) as u8));
            }
        }
        (width, height, rgb)
    }

    /// The rows of a window, brought to this size.
    fn rows<'a>(&'a mut self, frame: &'a RawFrame, window: Window, (out_w, out_h): (u32, u32)) -> Rows<'a> {
        let geometry = frame.geometry();
        let planes: Vec<(Plane, usize)> =
            geometry.planes().into_iter().flat_map(|p| (0..p.channels).map(move |c| (p, c))).collect();
        let axes: Vec<(usize, usize)> = planes
            .iter()
            .map(|(p, _)| {
                let x = self.axis((p.width, (2 * window.x) >> p.shift_x, (2 * window.width) >> p.shift_x, out_w));
                let y = self.axis((p.height, (2 * window.y) >> p.shift_y, (2 * window.height) >> p.shift_y, out_h));
                (x, y)
            })
            .collect();
        let to_rgb = ToRgb::new(geometry.format(), frame.color());
        Rows { sampler: self, frame, planes, axes, to_rgb, width: out_w as usize, height: out_h as usize, next: 0 }
    }

    fn axis(&mut self, key: AxisKey) -> usize {
        if let Some(i) = self.axes.iter().position(|(k, _)| *k == key) {
            return i;
        }
        let (length, start, span, count) = key;
        // A stream has few windows; a folder of pictures of all sizes must not fill the memory.
        if self.axes.len() >= 64 {
            self.axes.clear();
        }
        self.axes.push((key, Axis::new(length, start as f32 / 2.0, span as f32 / 2.0, count as usize)));
        self.axes.len() - 1
    }
}

/// Rows of red, green and blue, one after the other, from 0 to 255.
struct Rows<'a> {
    sampler: &'a mut Sampler,
    frame: &'a RawFrame,
    planes: Vec<(Plane, usize)>,
    /// For each of the planes' channels.
    axes: Vec<(usize, usize)>,
    to_rgb: ToRgb,
    width: usize,
    height: usize,
    next: usize,
}

impl Rows<'_> {
    fn next(&mut self) -> Option<&[Vec<f32>; 3]> {
        let y = self.next;
        if y >= self.height {
            return None;
        }
        self.next += 1;
        let Sampler { axes, column, rows } = &mut *self.sampler;
        for (k, ((plane, channel), (ax, ay))) in self.planes.iter().zip(&self.axes).enumerate() {
            let (horizontal, vertical) = (&axes[*ax].1, &axes[*ay].1);
            combine_rows(self.frame.pixels(), plane, *channel, vertical.tap(y), column);
            rows[k].resize(self.width, 0.0);
            combine_columns(column, horizontal, &mut rows[k]);
        }
        self.to_rgb.convert(rows);
        Some(rows)
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        wipe(&mut self.column);
        self.rows.iter_mut().for_each(|r| wipe(r));
    }
}

/// Weighted sum of rows of one channel of a plane.
fn combine_rows(data: &[u8], plane: &Plane, channel: usize, (first, weights): (usize, &[f32]), out: &mut Vec<f32>) {
    out.resize(plane.width, 0.0);
    let mut started = false;
    for (k, &w) in weights.iter().enumerate().filter(|(_, w)| **w > 0.0) {
        let row = &data[plane.offset + (first + k) * plane.stride + channel..];
        match (plane.step, started) {
            (1, false) => out.iter_mut().zip(row).for_each(|(o, &v)| *o = w * f32::from(v)),
            (1, true) => out.iter_mut().zip(row).for_each(|(o, &v)| *o += w * f32::from(v)),
            (s, false) => out.iter_mut().zip(row.iter().step_by(s)).for_each(|(o, &v)| *o = w * f32::from(v)),
            (s, true) => out.iter_mut().zip(row.iter().step_by(s)).for_each(|(o, &v)| *o += w * f32::from(v)),
        }
        started = true;
    }
}

/// Weighted sums along one row.
fn combine_columns(row: &[f32], axis: &Axis, out: &mut [f32]) {
    for (i, o) in out.iter_mut().enumerate() {
        let (first, weights) = axis.tap(i);
        *o = row[first..first + weights.len()].iter().zip(weights).map(|(v, w)| v * w).sum();
    }
}

/// From a format's channels to red, green and blue, row by row and in place.
enum ToRgb {
    Grey { gain: f32, black: f32 },
    Rgb,
    Yuv { gain: f32, black: f32, r_v: f32, g_u: f32, g_v: f32, b_u: f32 },
}

impl ToRgb {
    fn new(format: PixelFormat, color: Color) -> Self {
        let (gain, black, chroma) = match color.range {
            Range::Limited => (255.0 / 219.0, 16.0, 255.0 / 224.0),
            Range::Full => (1.0, 0.0, 1.0),
        };
        let (kr, kb) = match color.matrix {
            Matrix::Bt601 => (0.299, 0.114),
            Matrix::Bt709 => (0.2126, 0.0722),
        };
        let kg = 1.0 - kr - kb;
        match format {
            PixelFormat::Rgb8 => Self::Rgb,
            PixelFormat::Grey8 => Self::Grey { gain, black },
            _ => Self::Yuv {
                gain,
                black,
                r_v: 2.0 * (1.0 - kr) * chroma,
                b_u: 2.0 * (1.0 - kb) * chroma,
                g_u: -2.0 * kb * (1.0 - kb) / kg * chroma,
                g_v: -2.0 * kr * (1.0 - kr) / kg * chroma,
            },
        }
    }

    fn convert(&self, [a, b, c]: &mut [Vec<f32>; 3]) {
        match *self {
            Self::Rgb => {}
            Self::Grey { gain, black } => {
                a.iter_mut().for_each(|y| *y = ((*y - black) * gain).clamp(0.0, 255.0));
                b.clone_from(a);
                c.clone_from(a);
            }
            Self::Yuv { gain, black, r_v, g_u, g_v, b_u } => {
                for ((y, u), v) in a.iter_mut().zip(b.iter_mut()).zip(c.iter_mut()) {
                    let (luma, cb, cr) = ((*y - black) * gain, *u - 128.0, *v - 128.0);
                    *y = (luma + r_v * cr).clamp(0.0, 255.0);
                    *u = (luma + g_u * cb + g_v * cr).clamp(0.0, 255.0);
                    *v = (luma + b_u * cb).clamp(0.0, 255.0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A detector is not needed to test its input: the smallest manifest whose file is never run.
    fn frame(
        format: PixelFormat,
        w: u32,
        h: u32,
        color: Color,
        value: impl Fn(&Plane, usize, usize, usize) -> u8,
    ) -> RawFrame {
        let g = Geometry::new(format, w, h).unwrap();
        let mut data = vec![0; g.bytes()];
        for p in g.planes() {
            for y in 0..p.height {
                for x in 0..p.width {
                    for c in 0..p.channels {
                        data[p.offset + y * p.stride + x * p.step + c] = value(&p, x, y, c);
                    }
                }
            }
        }
        RawFrame::new(0, Duration::ZERO, g, color, data).unwrap()
    }

    #[test]
    fn axes_average_when_shrinking_and_weigh_all_alike() {
        let axis = Axis::new(8, 0.0, 8.0, 4);
        for i in 0..4 {
            let (first, weights) = axis.tap(i);
            let covered: Vec<(usize, f32)> =
                weights.iter().enumerate().filter(|(_, w)| **w > 0.0).map(|(k, w)| (first + k, *w)).collect();
            assert_eq!(covered, vec![(2 * i, 0.5), (2 * i + 1, 0.5)]);
        }
        for (length, span, count) in [(5, 5.0, 9), (1, 1.0, 4), (1000, 999.5, 37), (3, 3.0, 3)] {
            let axis = Axis::new(length, 0.0, span, count);
            for i in 0..count {
                let (first, weights) = axis.tap(i);
                assert!(first + weights.len() <= length);
                assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn primary_colours_survive_every_matrix() {
        // Pure red in BT.709 limited range.
        let color = Color { matrix: Matrix::Bt709, range: Range::Limited };
        let f = frame(PixelFormat::Nv12, 16, 8, color, |p, _, _, c| if p.chroma { [102, 240][c] } else { 63 });
        let mut rows = [vec![63.0], vec![102.0], vec![240.0]];
        ToRgb::new(f.geometry().format(), color).convert(&mut rows);
        assert!((rows[0][0] - 255.0).abs() < 3.0 && rows[1][0] < 3.0 && rows[2][0] < 3.0, "{rows:?}");
        let mut white = [vec![235.0], vec![128.0], vec![128.0]];
        ToRgb::new(PixelFormat::I420, color).convert(&mut white);
        assert!(white.iter().all(|c| (c[0] - 255.0).abs() < 0.5));
    }
}
