//! Stills in networks' inputs: the whole still, its shape kept, in the input's top-left corner, the rest black; as a
//! camera's pipeline fits its frames. Knows no networks.

use crate::detector::{DetectError, NetInput, PixelWriter};
use crate::manifest::InputSpec;
use crate::{BBox, Sample};

/// Stills are enlarged at most this much for the network.
const MAX_ENLARGEMENT: u32 = 2;

impl InputSpec {
    /// The smallest input whose longer side is the network's own into which a still of `width` x `height` fits with
    /// its shape kept; the network's own size when it takes no other.
    pub fn size_for(&self, width: u32, height: u32) -> (u32, u32) {
        if self.multiple_of == 0 {
            return (self.width, self.height);
        }
        let round_up = |v: u32| v.max(1).next_multiple_of(self.multiple_of);
        let (w, h) = (u64::from(width), u64::from(height));
        let most = width.max(height).saturating_mul(MAX_ENLARGEMENT);
        let long = round_up(self.width.max(self.height).min(most));
        let short = round_up((u64::from(long) * w.min(h)).div_ceil(w.max(h).max(1)) as u32);
        if w >= h { (long, short) } else { (short, long) }
    }
}

/// Where a still lies in an input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fitted {
    /// Pixels of the input per pixel of the still, horizontally and vertically.
    scale: (f32, f32),
    /// Pixels of the input that the still is wide.
    width: f32,
    mirrored: bool,
}

impl Fitted {
    /// A box of the still, in pixels of the input.
    #[cfg(feature = "adapt")]
    pub(crate) fn to_input(self, b: &BBox) -> BBox {
        let (x, w) = (b.x * self.scale.0, b.w * self.scale.0);
        let x = if self.mirrored { self.width - x - w } else { x };
        BBox::new(x, b.y * self.scale.1, w, b.h * self.scale.1)
    }

    /// A box of the input, in pixels of the still.
    pub(crate) fn to_still(self, b: &BBox) -> BBox {
        let x = if self.mirrored { self.width - b.x - b.w } else { b.x };
        BBox::new(x / self.scale.0, b.y / self.scale.1, b.w / self.scale.0, b.h / self.scale.1)
    }
}

/// Writes `still`, left and right exchanged when `mirrored`, into `input`. The still has been checked.
pub(crate) fn fit(still: &Sample, mirrored: bool, input: &mut NetInput) -> Result<Fitted, DetectError> {
    let (in_w, in_h) = input.size();
    let shrink = (still.width as f32 / in_w as f32).max(still.height as f32 / in_h as f32);
    let side = |length: u32, limit: u32| ((length as f32 / shrink).round() as u32).clamp(1, limit) as usize;
    let (out_w, out_h) = (side(still.width, in_w), side(still.height, in_h));
    let (width, height) = (still.width as usize, still.height as usize);
    let (columns, rows) = (axis(width, out_w), axis(height, out_h));
    input.fill(|writer| {
        let mut line = vec![[0.0f32; 3]; width];
        for y in 0..in_h as usize {
            let Some((first, weights)) = rows.get(y) else {
                black(writer, y);
                continue;
            };
            line.fill([0.0; 3]);
            for (row, weight) in still.rgb.chunks_exact(3 * width).skip(*first).zip(weights) {
                for (sum, pixel) in line.iter_mut().zip(row.as_chunks::<3>().0) {
                    for (s, p) in sum.iter_mut().zip(pixel) {
                        *s += weight * f32::from(*p);
                    }
                }
            }
            for channel in 0..3 {
                writer.write_row(channel, y, |out| {
                    let (seen, rest) = out.split_at_mut(out_w);
                    rest.fill(0.0);
                    for (to, (first, weights)) in seen.iter_mut().zip(&columns) {
                        *to = line[*first..].iter().zip(weights).map(|(v, w)| w * v[channel]).sum();
                    }
                    if mirrored {
                        seen.reverse();
                    }
                });
            }
        }
    })?;
    let scale = (out_w as f32 / still.width as f32, out_h as f32 / still.height as f32);
    Ok(Fitted { scale, width: out_w as f32, mirrored })
}

fn black(writer: &mut PixelWriter<'_>, y: usize) {
    for channel in 0..3 {
        writer.write_row(channel, y, |out| out.fill(0.0));
    }
}

/// For each of `count` samples over a line of `length`: the first source sample, and the weights of it and those that
/// follow. Shrinking averages what lies under a sample; enlarging interpolates between centres.
fn axis(length: usize, count: usize) -> Vec<(usize, Vec<f32>)> {
    let step = length as f32 / count as f32;
    let half = step.max(1.0) / 2.0;
    let sample = |i: usize| {
        let centre = (i as f32 + 0.5) * step;
        let (low, high) = ((centre - half).max(0.0), (centre + half).min(length as f32));
        let first = (low.floor() as usize).min(length - 1);
        let last = (high.ceil() as usize).clamp(first + 1, length);
        let share = |k: usize| (high.min(k as f32 + 1.0) - low.max(k as f32)).max(0.0);
        let sum: f32 = (first..last).map(share).sum();
        (first, (first..last).map(|k| share(k) / sum.max(1e-6)).collect())
    };
    (0..count).map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin;

    /// A bright rectangle on dark ground lies where its box is said to lie.
    #[cfg(feature = "adapt")]
    #[test]
    fn boxes_follow_the_pixels() {
        for ((w, h), mirrored) in [((300u32, 200u32), false), ((300, 200), true), ((100, 40), true), ((90, 250), false)]
        {
            let b = BBox::new(20.0, 8.0, 30.0, 24.0);
            let mut rgb = vec![10u8; (w * h * 3) as usize];
            for y in 8..32 {
                rgb[(y * w as usize + 20) * 3..][..90].fill(250);
            }
            let still = Sample { width: w, height: h, rgb, boxes: vec![] };
            let spec = builtin::default_model().unwrap().manifest().input.clone();
            let mut input = NetInput::new(&spec, 160, 96).unwrap();
            let fitted = fit(&still, mirrored, &mut input).unwrap();
            let there = fitted.to_input(&b);
            let back = fitted.to_still(&there);
            assert!((back.x - b.x).abs() < 1e-3 && (back.w - b.w).abs() < 1e-3, "{back:?}");
            let tensor = input.tensor();
            let plane = tensor.try_as_plain_ram().unwrap();
            let values = &plane.as_slice::<f32>().unwrap()[..160 * 96];
            let bright = |x: f32, y: f32| values[y as usize * 160 + x as usize] > 0.0;
            let (cx, cy) = there.center();
            assert!(bright(cx, cy));
            for (dx, dy) in [(0.4, 0.4), (-0.4, 0.4), (0.4, -0.4), (-0.4, -0.4)] {
                assert!(bright(cx + dx * there.w, cy + dy * there.h), "{w}x{h} {mirrored}");
            }
            assert!(!bright(cx + 0.5 * there.w + 2.0, cy) && !bright(cx - 0.5 * there.w - 2.0, cy));
        }
    }

    #[test]
    fn weights_sum_to_one_and_stay_on_the_line() {
        for (length, count) in [(640, 384), (32, 64), (100, 100), (1920, 640), (33, 1), (7, 300)] {
            for (first, weights) in axis(length, count) {
                assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-4);
                assert!(first + weights.len() <= length);
            }
        }
    }

    #[test]
    fn sizes_are_those_of_the_pipeline() {
        let spec = builtin::default_model().unwrap().manifest().input.clone();
        assert_eq!(spec.size_for(1920, 1080), (640, 384));
        assert_eq!(spec.size_for(480, 640), (480, 640));
        assert_eq!(spec.size_for(100, 60), (224, 160));
        assert_eq!(InputSpec { multiple_of: 0, ..spec }.size_for(1920, 1080), (640, 384));
    }
}
