//! One still becomes many views: crop, zoom, mirror, light, noise, blur, compression; all from one seed.
//!
//! Knows no network and no disk. A view is `[3, H, W]` already in the network's input scale.

use crate::learning::random::Random;
use crate::net::{INPUT_MEAN, INPUT_SCALE};
use crate::{BBox, LabelledBox, Sample};
use image::codecs::jpeg::JpegEncoder;
use serde::{Deserialize, Serialize};

/// How views are made from stills.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// The zoom's range, log-uniform: pixels of the view per pixel of the still.
    pub zoom: (f32, f32),
    /// Share of views that are centred near an object of the first class.
    pub aimed: f32,
    /// Share of views that go back to where the network lately found what is not there.
    #[serde(default)]
    pub mined: f32,
    /// Strength of everything photometric at the end of the ramp, 0 to 1.
    pub strength: f32,
    /// Share of all steps after which the strength is full; it grows linearly from a quarter.
    pub ramp: f32,
    /// Boxes whose shorter side is less than this many pixels in the view are ignored.
    pub smallest: f32,
}

/// A view: what the network sees, and what it should find.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) pixels: Vec<f32>,
    pub(super) boxes: Vec<LabelledBox>,
    pub(super) frame: Frame,
}

/// Makes the view of `still` that `random` determines, `width` x `height` pixels, at `strength` in 0..1; it holds the
/// place `towards`, in the still's pixels, when there is one.
pub(super) fn view(
    still: &Sample,
    (width, height): (usize, usize),
    how: &Augmentation,
    strength: f32,
    towards: Option<(f32, f32)>,
    random: &mut Random,
) -> View {
    let zoom = (random.between(how.zoom.0.ln(), how.zoom.1.ln())).exp();
    let stretch = random.between(-0.1, 0.1).exp();
    let (zx, zy) = (zoom * stretch, zoom / stretch);
    let mirror = random.chance(0.5);
    let (half_x, half_y) = (width as f32 / zx / 2.0, height as f32 / zy / 2.0);
    let targets: Vec<&LabelledBox> = still.boxes.iter().filter(|b| b.class == 0 && !b.ignore).collect();
    let aim = match towards {
        Some(place) => Some(place),
        None if targets.is_empty() || !random.chance(how.aimed) => None,
        None => Some(targets[random.below(targets.len())].bbox.center()),
    };
    let (cx, cy) = match aim {
        Some((x, y)) => (x + random.between(-0.8, 0.8) * half_x, y + random.between(-0.8, 0.8) * half_y),
        None => (random.unit() * still.width as f32, random.unit() * still.height as f32),
    };
    // A crop reaches beyond the still no more than it must.
    let hold = |c: f32, half: f32, side: f32| {
        if side <= 2.0 * half { side / 2.0 } else { c.clamp(half, side - half) }
    };
    let cx = hold(cx, half_x, still.width as f32);
    let cy = hold(cy, half_y, still.height as f32);
    let map = Frame { cx, cy, zx: if mirror { -zx } else { zx }, zy, width, height };

    let fill = (random.unit() * 255.0) as u8;
    let mut bytes = if random.chance(0.35 * strength) {
        // Taken by a worse camera, then enlarged.
        let shrink = random.between(0.4, 0.8);
        let small = ((width as f32 * shrink) as usize, (height as f32 * shrink) as usize);
        let coarse = Frame { zx: map.zx * shrink, zy: map.zy * shrink, width: small.0, height: small.1, ..map };
        let picture = coarse.sample(&still.rgb, still.width as usize, still.height as usize, fill);
        let back = Frame {
            cx: small.0 as f32 / 2.0,
            cy: small.1 as f32 / 2.0,
            zx: width as f32 / small.0 as f32,
            zy: height as f32 / small.1 as f32,
            width,
            height,
        };
        back.sample(&picture, small.0, small.1, fill)
    } else {
        map.sample(&still.rgb, still.width as usize, still.height as usize, fill)
    };
    photometric(&mut bytes, width, height, strength, random);
    View { pixels: planes(&bytes), boxes: boxes(still, &map, how.smallest), frame: map }
}

/// The network's input planes of interleaved RGB bytes.
pub(super) fn planes(rgb: &[u8]) -> Vec<f32> {
    let (pixels, _) = rgb.as_chunks::<3>();
    (0..3).flat_map(|c| pixels.iter().map(move |p| (f32::from(p[c]) - INPUT_MEAN) * INPUT_SCALE)).collect()
}

fn boxes(still: &Sample, map: &Frame, smallest: f32) -> Vec<LabelledBox> {
    let mut kept = Vec::new();
    for b in &still.boxes {
        let (x0, y0) = map.forward(b.bbox.x, b.bbox.y);
        let (x1, y1) = map.forward(b.bbox.right(), b.bbox.bottom());
        let whole = BBox::from_corners(x0.min(x1), y0, x0.max(x1), y1);
        let Some(seen) = whole.clipped(map.width as u32, map.height as u32) else { continue };
        let share = seen.area() / whole.area().max(1e-6);
        if share < 0.05 {
            continue;
        }
        // A face cut in two is still to be found; its slice of an ear is neither right nor wrong.
        let least = if b.class == 0 { 0.45 } else { 0.25 };
        let ignore = b.ignore || share < least || seen.w.min(seen.h) < smallest;
        kept.push(LabelledBox { class: b.class, bbox: seen, ignore });
    }
    kept
}

/// A picture's place in another: centre there, pixels here per pixel there (negative mirrors).
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    cx: f32,
    cy: f32,
    zx: f32,
    zy: f32,
    width: usize,
    height: usize,
}

impl Frame {
    fn forward(&self, x: f32, y: f32) -> (f32, f32) {
        ((x - self.cx) * self.zx + self.width as f32 / 2.0, (y - self.cy) * self.zy + self.height as f32 / 2.0)
    }

    /// Where in the source a place of the view is.
    pub(super) fn backward(&self, x: f32, y: f32) -> (f32, f32) {
        ((x - self.width as f32 / 2.0) / self.zx + self.cx, (y - self.height as f32 / 2.0) / self.zy + self.cy)
    }

    /// Bilinear sampling of interleaved RGB, averaged over two by two taps when it shrinks; `fill` outside.
    fn sample(&self, rgb: &[u8], source_width: usize, source_height: usize, fill: u8) -> Vec<u8> {
        let taps: &[f32] = if self.zy < 0.7 { &[-0.25, 0.25] } else { &[0.0] };
        let axis = |i: usize, tap: f32, side: usize, centre: f32, zoom: f32, limit: usize| {
            let at = (i as f32 + 0.5 + tap - side as f32 / 2.0) / zoom + centre - 0.5;
            let inside = at > -1.0 && at < limit as f32;
            let low = at.floor();
            let last = limit.saturating_sub(1);
            let clamp = |v: f32| (v.max(0.0) as usize).min(last);
            (inside, clamp(low), clamp(low + 1.0), ((at - low) * 256.0) as u32)
        };
        let columns: Vec<Vec<_>> = taps
            .iter()
            .map(|&t| (0..self.width).map(|x| axis(x, t, self.width, self.cx, self.zx, source_width)).collect())
            .collect();
        let mut out = vec![fill; self.width * self.height * 3];
        let shift = 16 + if taps.len() == 2 { 2 } else { 0 };
        for (y, line) in out.chunks_exact_mut(self.width * 3).enumerate() {
            let rows: Vec<_> = taps.iter().map(|&t| axis(y, t, self.height, self.cy, self.zy, source_height)).collect();
            if rows.iter().any(|r| !r.0) {
                continue;
            }
            for (x, pixel) in line.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                if columns.iter().any(|c| !c[x].0) {
                    continue;
                }
                let mut sum = [1u32 << (shift - 1); 3];
                for &(_, y0, y1, fy) in &rows {
                    for column in &columns {
                        let (_, x0, x1, fx) = column[x];
                        for (px, py, weight) in [
                            (x0, y0, (256 - fx) * (256 - fy)),
                            (x1, y0, fx * (256 - fy)),
                            (x0, y1, (256 - fx) * fy),
                            (x1, y1, fx * fy),
                        ] {
                            let at = (py * source_width + px) * 3;
                            if let Some([r, g, b]) = rgb.get(at..at + 3) {
                                sum[0] += u32::from(*r) * weight;
                                sum[1] += u32::from(*g) * weight;
                                sum[2] += u32::from(*b) * weight;
                            }
                        }
                    }
                }
                *pixel = sum.map(|s| (s >> shift).min(255) as u8);
            }
        }
        out
    }
}

fn photometric(rgb: &mut Vec<u8>, width: usize, height: usize, strength: f32, random: &mut Random) {
    if random.chance(0.15 * strength) {
        blur(rgb, width, height, random);
    }
    let grey = random.chance(0.12);
    let exposure = (random.normal() * 0.25 * strength).exp();
    let gamma = (random.normal() * 0.25 * strength).exp();
    let lift = random.normal() * 12.0 * strength;
    let gains = [0, 1, 2].map(|_| (random.normal() * 0.08 * strength).exp() * exposure);
    let tables = gains.map(|gain| {
        let mut table = [0u8; 256];
        for (i, t) in table.iter_mut().enumerate() {
            *t = ((i as f32 / 255.0).powf(gamma) * 255.0 * gain + lift).clamp(0.0, 255.0) as u8;
        }
        table
    });
    let saturation = if grey { 0.0 } else { (1.0 + random.normal() * 0.35 * strength).clamp(0.0, 2.0) };
    let (keep, mix) = ((saturation * 256.0) as i32, ((1.0 - saturation) * 256.0) as i32);
    for p in rgb.as_chunks_mut::<3>().0 {
        let v = [0, 1, 2].map(|c| i32::from(tables[c][usize::from(p[c])]));
        let luma = (v[0] * 77 + v[1] * 150 + v[2] * 29) >> 8;
        *p = v.map(|v| ((v * keep + luma * mix) >> 8).clamp(0, 255) as u8);
    }
    if random.chance(0.5 * strength) {
        let sigma = random.between(1.0, 14.0);
        noise(rgb, sigma, grey, random);
    }
    if random.chance(0.35 * strength) {
        let quality = random.between(20.0, 90.0) as u8;
        compress(rgb, width, height, quality);
    }
}

/// A box blur, square or along one axis as a moving camera makes it.
fn blur(rgb: &mut [u8], width: usize, height: usize, random: &mut Random) {
    let (dx, dy) = match random.below(3) {
        0 => (1, 1),
        1 => (1 + random.below(3), 0),
        _ => (0, 1 + random.below(2)),
    };
    let source = rgb.to_owned();
    for y in 0..height {
        let (y0, y1) = (y.saturating_sub(dy), (y + dy).min(height - 1));
        for x in 0..width {
            let (x0, x1) = (x.saturating_sub(dx), (x + dx).min(width - 1));
            let mut sum = [0u32; 3];
            for v in y0..=y1 {
                for p in source[(v * width + x0) * 3..(v * width + x1 + 1) * 3].as_chunks::<3>().0 {
                    for (s, p) in sum.iter_mut().zip(p) {
                        *s += u32::from(*p);
                    }
                }
            }
            let count = ((y1 - y0 + 1) * (x1 - x0 + 1)) as u32;
            for (c, s) in sum.iter().enumerate() {
                rgb[(y * width + x) * 3 + c] = (s / count) as u8;
            }
        }
    }
}

/// Sensor noise: the sum of the four bytes of a random word is close enough to a normal distribution.
fn noise(rgb: &mut [u8], sigma: f32, grey: bool, random: &mut Random) {
    let gain = (sigma / 147.8 * 65536.0) as i32;
    for pixel in rgb.as_chunks_mut::<3>().0 {
        let bits = random.bits();
        let mut next = [0i32; 2];
        for (i, n) in next.iter_mut().enumerate() {
            let word = (bits >> (32 * i)) as u32;
            *n = ((word.to_le_bytes().iter().map(|b| i32::from(*b)).sum::<i32>() - 510) * gain) >> 16;
        }
        let offsets = if grey { [next[0]; 3] } else { [next[0], next[1], (next[0] - next[1]) * 3 / 4] };
        for (p, o) in pixel.iter_mut().zip(offsets) {
            *p = (i32::from(*p) + o).clamp(0, 255) as u8;
        }
    }
}

/// There and back through JPEG; a codec's failure leaves the picture as it was.
fn compress(rgb: &mut Vec<u8>, width: usize, height: usize, quality: u8) {
    let mut bytes = Vec::new();
    let colour = image::ExtendedColorType::Rgb8;
    if JpegEncoder::new_with_quality(&mut bytes, quality).encode(rgb, width as u32, height as u32, colour).is_ok()
        && let Ok(decoded) = image::load_from_memory_with_format(&bytes, image::ImageFormat::Jpeg)
    {
        let decoded = decoded.into_rgb8().into_raw();
        if decoded.len() == rgb.len() {
            *rgb = decoded;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bright rectangle on dark ground stays under its box, whatever the view.
    #[test]
    fn boxes_follow_the_pixels() {
        let (width, height) = (160u32, 120u32);
        let mut rgb = vec![10u8; (width * height * 3) as usize];
        let b = BBox::new(60.0, 40.0, 24.0, 30.0);
        for y in 40..70 {
            for x in 60..84 {
                rgb[(y * 160 + x) * 3..][..3].fill(240);
            }
        }
        let boxes = vec![LabelledBox { class: 0, bbox: b, ignore: false }];
        let still = Sample { width, height, rgb, boxes };
        let how = Augmentation { zoom: (0.5, 2.0), aimed: 1.0, mined: 0.0, strength: 0.0, ramp: 0.0, smallest: 2.0 };
        let mut seen = 0;
        for seed in 0..60 {
            let view = view(&still, (96, 64), &how, 0.0, None, &mut Random::new(seed));
            let Some(b) = view.boxes.first().filter(|b| !b.ignore) else { continue };
            seen += 1;
            let bright = |x: f32, y: f32| view.pixels[y as usize * 96 + x as usize] > 0.0;
            let (cx, cy) = b.bbox.center();
            assert!(bright(cx, cy));
            assert!(bright(b.bbox.x + 2.5, b.bbox.y + 2.5), "seed {seed}: {:?}", b.bbox);
            assert!(bright(b.bbox.right() - 2.5, b.bbox.bottom() - 2.5), "seed {seed}: {:?}", b.bbox);
            let outside = (0..64 * 96)
                .map(|i| ((i % 96) as f32, (i / 96) as f32))
                .filter(|&(x, y)| x > 2.0 + b.bbox.right() && x < b.bbox.right() + 5.0 && y > cy - 1.0 && y < cy + 1.0);
            // What lies right of the still is filled with any grey, so only the still itself is judged.
            assert!(b.bbox.right() > 80.0 || outside.into_iter().all(|(x, y)| !bright(x, y)), "seed {seed}");
        }
        assert!(seen > 30);
    }

    #[test]
    fn a_view_is_a_function_of_its_seed() {
        let rgb = (0..64 * 48 * 3).map(|i| (i * 7 % 251) as u8).collect();
        let still = Sample { width: 64, height: 48, rgb, boxes: vec![] };
        let how = Augmentation { zoom: (0.4, 1.8), aimed: 0.5, mined: 0.0, strength: 1.0, ramp: 0.0, smallest: 5.0 };
        for seed in 0..40 {
            let a = view(&still, (64, 64), &how, 1.0, None, &mut Random::new(seed));
            let b = view(&still, (64, 64), &how, 1.0, None, &mut Random::new(seed));
            assert_eq!(a.pixels, b.pixels);
        }
    }

    #[test]
    fn a_view_towards_a_place_holds_it_and_finds_it_back() {
        let still = Sample { width: 160, height: 120, rgb: vec![90; 160 * 120 * 3], boxes: vec![] };
        let how = Augmentation { zoom: (0.5, 2.0), aimed: 0.0, mined: 1.0, strength: 0.0, ramp: 0.0, smallest: 2.0 };
        for seed in 0..60 {
            let place = (3.0 + seed as f32 * 2.5, 119.0 - seed as f32);
            let frame = view(&still, (96, 64), &how, 0.0, Some(place), &mut Random::new(seed)).frame;
            let (x, y) = frame.forward(place.0, place.1);
            assert!((0.0..=96.0).contains(&x) && (0.0..=64.0).contains(&y), "seed {seed}: {x} {y}");
            let (back_x, back_y) = frame.backward(x, y);
            assert!((back_x - place.0).abs() < 1e-2 && (back_y - place.1).abs() < 1e-2);
        }
    }
}
