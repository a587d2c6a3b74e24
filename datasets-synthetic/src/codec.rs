//! What happens to a finished picture in bytes: scaling, JPEG, video compression, often more than once.
//! Knows nothing of cameras or of what is in a picture. Whatever a codec refuses stays as it was.

use std::io::Cursor;

use image::imageops::{self, FilterType};
use image::{ImageFormat, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use openh264::OpenH264API;
use openh264::decoder::Decoder;
use openh264::encoder::{BitRate, EncoderConfig, FrameRate, QpRange, RateControlMode, UsageType};
use openh264::formats::{RgbSliceU8, YUVBuffer, YUVSource};

use crate::math::{Rng, hash};

/// How a picture is scaled.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Kernel {
    /// One source pixel for each: jagged.
    Nearest,
    /// Four source pixels for each, however many there are: what detectors' own scaling does.
    Aliased,
    /// A mean over all that a pixel covers.
    Area,
    /// A cubic with slight halos.
    Cubic,
    /// Lanczos' kernel: sharper, with more of them.
    Lanczos,
}

impl Kernel {
    fn draw(rng: &mut Rng) -> Self {
        let kernels = [Self::Nearest, Self::Aliased, Self::Area, Self::Cubic, Self::Lanczos];
        kernels[rng.weighted(&[0.04, 0.3, 0.3, 0.26, 0.1])]
    }
}

/// One thing done to a picture.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Step {
    /// To so much of the final picture's sides.
    Scale(f32, Kernel),
    /// JPEG of this quality, and whether colour keeps its full resolution.
    Jpeg(u8, bool),
    /// H.264.
    Video(Video),
}

/// A short H.264 stream that ends with the picture.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Video {
    /// Quantiser, 12..=42; the encoder takes no others.
    quantiser: u8,
    /// Pictures before the last one.
    before: u32,
    /// How far, in pixels, patches of the earlier pictures lie from where they are in the last.
    motion: i32,
    seed: u32,
}

impl Video {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        Self {
            quantiser: rng.f(26.0, 41.0) as u8,
            before: rng.i(1, 2) as u32,
            motion: rng.pick(&[0, 1, 2, 3, 6]),
            seed: rng.seed(),
        }
    }
}

/// All that is done to a picture after the camera's own processing.
#[derive(Clone, Default, PartialEq, Debug)]
pub(crate) struct Chain {
    steps: Vec<Step>,
    last: Option<Kernel>,
}

impl Chain {
    /// A chain that leaves a picture nearly as it is.
    pub(crate) fn clean(rng: &mut Rng) -> Self {
        let steps = if rng.chance(0.3) { vec![] } else { vec![Step::Jpeg(rng.f(82.0, 98.0) as u8, rng.chance(0.4))] };
        Self { steps, last: None }
    }

    /// Any chain; pictures shrink at most to `least` of their sides.
    pub(crate) fn draw(rng: &mut Rng, least: f32) -> Self {
        let mut steps = Vec::new();
        let jpeg = |rng: &mut Rng, low: f32| Step::Jpeg(rng.f(low, 95.0) as u8, rng.chance(0.25));
        match rng.weighted(&[0.34, 0.19, 0.12, 0.15, 0.2]) {
            // As the camera wrote it, or passed on once.
            0 => {
                steps.push(jpeg(rng, 35.0));
                if rng.chance(0.4) {
                    steps.push(jpeg(rng, 50.0));
                }
            }
            1 => steps.push(Step::Video(Video::draw(rng))),
            // A larger picture, compressed and then made smaller: blocks finer than eight pixels.
            2 => {
                steps.push(Step::Scale(rng.f(1.2, 1.75), Kernel::Cubic));
                steps.push(jpeg(rng, 30.0));
                let kernel = Kernel::draw(rng);
                steps.push(Step::Scale(1.0, kernel));
                if rng.chance(0.6) {
                    steps.push(jpeg(rng, 55.0));
                }
            }
            // Sent smaller than it is shown.
            _ if least < 0.95 => {
                let kernel = Kernel::draw(rng);
                steps.push(Step::Scale(rng.f(least, 0.95), kernel));
                steps.push(if rng.chance(0.2) { Step::Video(Video::draw(rng)) } else { jpeg(rng, 45.0) });
                if rng.chance(0.4) {
                    let kernel = Kernel::draw(rng);
                    steps.push(Step::Scale(1.0, kernel));
                    steps.push(jpeg(rng, 55.0));
                }
            }
            _ => steps.push(jpeg(rng, 35.0)),
        }
        let last = Some(Kernel::draw(rng));
        Self { steps, last }
    }

    /// The same without what cannot be done to each picture of a clip by itself.
    pub(crate) fn steady(mut self) -> Self {
        self.steps.retain(|step| !matches!(step, Step::Video(_)));
        self
    }

    /// Does it all; the picture comes back in the size it had.
    pub(crate) fn run(&self, mut image: RgbImage) -> RgbImage {
        let (width, height) = image.dimensions();
        for step in &self.steps {
            image = match step {
                Step::Scale(share, kernel) => {
                    let side = |side: u32| ((side as f32 * share).round() as u32).max(1);
                    scale(image, side(width), side(height), *kernel)
                }
                Step::Jpeg(quality, full_colour) => jpeg(&image, *quality, *full_colour).unwrap_or(image),
                Step::Video(settings) => video(&image, settings).unwrap_or(image),
            };
        }
        scale(image, width, height, self.last.unwrap_or(Kernel::Area))
    }
}

fn scale(image: RgbImage, width: u32, height: u32, kernel: Kernel) -> RgbImage {
    if image.dimensions() == (width, height) {
        return image;
    }
    let filter = match kernel {
        Kernel::Nearest => FilterType::Nearest,
        Kernel::Area => FilterType::Triangle,
        Kernel::Cubic => FilterType::CatmullRom,
        Kernel::Lanczos => FilterType::Lanczos3,
        Kernel::Aliased => return aliased(&image, width, height),
    };
    imageops::resize(&image, width, height, filter)
}

/// Bilinear between the nearest four, whatever the ratio.
fn aliased(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    let taps = |from: u32, to: u32| -> Vec<(usize, usize, i32)> {
        let ratio = from as f32 / to as f32;
        (0..to)
            .map(|i| {
                let at = ((i as f32 + 0.5) * ratio - 0.5).clamp(0.0, from as f32 - 1.0);
                let low = at as usize;
                (low, (low + 1).min(from as usize - 1), ((at - low as f32) * 256.0) as i32)
            })
            .collect()
    };
    let (columns, rows) = (taps(image.width(), width), taps(image.height(), height));
    let (bytes, line) = (image.as_raw(), image.width() as usize * 3);
    let mut out = Vec::with_capacity(width as usize * height as usize * 3);
    for &(y0, y1, ty) in &rows {
        for &(x0, x1, tx) in &columns {
            for channel in 0..3 {
                let at = |x: usize, y: usize| i32::from(bytes[y * line + x * 3 + channel]);
                let top = at(x0, y0) * (256 - tx) + at(x1, y0) * tx;
                let low = at(x0, y1) * (256 - tx) + at(x1, y1) * tx;
                out.push(((top * (256 - ty) + low * ty + 32_768) >> 16) as u8);
            }
        }
    }
    RgbImage::from_raw(width, height, out).unwrap_or_else(|| image.clone())
}

fn jpeg(image: &RgbImage, quality: u8, full_colour: bool) -> Option<RgbImage> {
    let (width, height) = (u16::try_from(image.width()).ok()?, u16::try_from(image.height()).ok()?);
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(if full_colour { SamplingFactor::F_1_1 } else { SamplingFactor::F_2_2 });
    encoder.encode(image, width, height, ColorType::Rgb).ok()?;
    Some(image::load(Cursor::new(bytes), ImageFormat::Jpeg).ok()?.into_rgb8())
}

/// The last picture of a stream whose earlier pictures are the same one with patches displaced, as if they had moved.
fn video(image: &RgbImage, settings: &Video) -> Option<RgbImage> {
    let (width, height) = image.dimensions();
    // The codec wants even sides of at least one macroblock.
    if width.min(height) < 16 {
        return None;
    }
    let (even_width, even_height) = (width & !1, height & !1);
    let quantiser = settings.quantiser.clamp(12, 42);
    let config = EncoderConfig::new()
        .max_frame_rate(FrameRate::from_hz(15.0))
        .bitrate(BitRate::from_bps(30_000_000))
        .rate_control_mode(RateControlMode::Quality)
        .qp(QpRange::new(quantiser, quantiser))
        .usage_type(UsageType::CameraVideoRealTime)
        // Asks for less than the bit rate allows, so none is skipped; without it the encoder complains aloud.
        .skip_frames(true)
        .scene_change_detect(false)
        .num_threads(1);
    let mut encoder = openh264::encoder::Encoder::with_api_config(OpenH264API::from_source(), config).ok()?;
    let mut decoder = Decoder::new().ok()?;
    let mut bytes = vec![0; even_width as usize * even_height as usize * 3];
    for index in 0..=settings.before {
        displace(image, (even_width, even_height), settings, settings.before - index, &mut bytes);
        let source = RgbSliceU8::new(&bytes, (even_width as usize, even_height as usize));
        let coded = encoder.encode(&YUVBuffer::from_rgb8_source(source)).ok()?.to_vec();
        let shown = decoder.decode(&coded).ok()??;
        if index == settings.before && shown.dimensions() == (even_width as usize, even_height as usize) {
            shown.write_rgb8(&mut bytes);
            let decoded = RgbImage::from_raw(even_width, even_height, bytes)?;
            // An odd last row or column stays as it was.
            let mut whole = image.clone();
            imageops::replace(&mut whole, &decoded, 0, 0);
            return Some(whole);
        }
    }
    None
}

/// Writes the picture with each patch moved by its own way times `ago`; half of the patches rest.
fn displace(image: &RgbImage, (width, height): (u32, u32), settings: &Video, ago: u32, out: &mut [u8]) {
    const PATCH: u32 = 48;
    let (bytes, line) = (image.as_raw(), image.width() as usize * 3);
    let span = 2 * settings.motion.max(0) + 1;
    for y in 0..height {
        for left in (0..width).step_by(PATCH as usize) {
            let bits = hash((left / PATCH) as i32, (y / PATCH) as i32, settings.seed);
            let moves = i32::from(bits & 1 == 1) * ago as i32;
            let shift = |shift: u32| (((bits >> shift) & 0xff) as i32 % span - settings.motion.max(0)) * moves;
            let (dx, dy) = (shift(8), shift(16));
            let from = (y as i32 + dy).clamp(0, height as i32 - 1) as usize * line;
            for x in left..(left + PATCH).min(width) {
                let column = (x as i32 + dx).clamp(0, width as i32 - 1) as usize * 3;
                let at = (y * width + x) as usize * 3;
                out[at..at + 3].copy_from_slice(&bytes[from + column..from + column + 3]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn picture(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            Rgb([(x * 5) as u8, (y * 7) as u8, if x / 9 % 2 == 0 { 220 } else { 30 }])
        })
    }

    fn difference(a: &RgbImage, b: &RgbImage) -> f32 {
        let sum: u32 = a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        sum as f32 / a.as_raw().len() as f32
    }

    #[test]
    fn video_shows_the_last_picture_and_costs_more_at_a_coarser_quantiser() {
        let original = picture(97, 81);
        let coded = |quantiser| {
            let settings = Video { quantiser, before: 2, motion: 3, seed: 9 };
            let shown = video(&original, &settings).unwrap();
            assert_eq!(video(&original, &settings).unwrap(), shown);
            difference(&original, &shown)
        };
        // Colour at half resolution alone costs about 7 on these stripes.
        let (fine, coarse) = (coded(14), coded(42));
        assert!(fine < 10.0 && coarse > fine + 1.0, "{fine} {coarse}");
    }

    #[test]
    fn what_a_codec_refuses_stays_as_it_was() {
        let small = picture(9, 40);
        let settings = Video { quantiser: 40, before: 1, motion: 1, seed: 0 };
        assert!(video(&small, &settings).is_none());
        let chain = Chain { steps: vec![Step::Video(settings)], last: None };
        assert_eq!(chain.run(small.clone()), small);
        // More than JPEG's 16 bits a side.
        let long = RgbImage::new(70_000, 1);
        let chain = Chain { steps: vec![Step::Jpeg(50, false)], last: None };
        assert_eq!(chain.run(long.clone()), long);
    }

    #[test]
    fn any_chain_gives_the_size_back_and_keeps_the_picture_recognisable() {
        let original = picture(120, 90);
        for seed in 0..120 {
            let mut rng = Rng::new(seed);
            let chain = if seed % 4 == 0 { Chain::clean(&mut rng) } else { Chain::draw(&mut rng, 0.6) };
            let shown = chain.run(original.clone());
            assert_eq!(shown.dimensions(), original.dimensions(), "{chain:?}");
            let cost = difference(&original, &shown);
            assert!(cost < 40.0, "{cost} by {chain:?}");
        }
    }
}
