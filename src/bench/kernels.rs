//! The hot kernels, each on fixed input, ready to be run again and again: for `volet bench-kernel`, which counts their instructions,
//! and for `cargo bench --bench kernels`, which takes their time. What is set up here once is not counted.
//!
//! Knows the crates whose kernels they are; nothing of measuring.

use std::hint::black_box;
use std::time::Duration;

use volet_edge::detect::{Detect, NetworkSearch, SearchConfig};
use volet_edge::egress::ledger::{self, Entry, Ledger};
use volet_edge::frame::{Color, FramePool, Geometry, PixelFormat, RawFrame};
use volet_edge::models::{BBox, Detection, ObjectClass, builtin};
use volet_edge::redact::{Redactor, Region, Shape, Style};
use volet_edge::track::{Tracker, TrackerConfig};
use volet_federated::average::weighted_mean;
use volet_federated::mechanism::Mechanism;
use volet_federated::signing::SigningKey;
use volet_federated::storage::MemoryStorage;
use volet_federated::{ClipNorm, CohortSize, NoiseMultiplier};

/// One run of a kernel.
pub(crate) type Once = Box<dyn FnMut() -> anyhow::Result<()>>;

/// A kernel.
#[derive(Clone, Copy)]
pub(crate) struct Kernel {
    pub(crate) name: &'static str,
    /// What one run does.
    pub(crate) does: &'static str,
    /// Runs for which its instructions are counted; as many again are added.
    pub(crate) count: u32,
    /// Its work follows from the system's randomness, so that counts differ a little.
    pub(crate) random: bool,
    pub(crate) set_up: fn() -> anyhow::Result<Once>,
}

impl Kernel {
    const fn new(name: &'static str, does: &'static str, count: u32, set_up: fn() -> anyhow::Result<Once>) -> Self {
        Self { name, does, count, random: false, set_up }
    }
}

/// All of them.
pub(crate) const KERNELS: [Kernel; 9] = [
    Kernel::new("redact-solid", "640x480 RGB, all masked", 4, || redaction(Style::Solid)),
    Kernel::new("redact-mosaic", "640x480 RGB, all masked", 4, || redaction(Style::Mosaic)),
    Kernel::new("redact-blur", "640x480 RGB, all masked", 4, || redaction(Style::Blur)),
    Kernel::new("detector", "one search of a 640x384 frame, built-in detector", 1, detector),
    Kernel::new("tracker", "one frame with 32 faces that move", 200, tracker),
    Kernel { random: true, ..Kernel::new("noise", "the noise of 1,000 values", 4, noise) },
    Kernel::new("mask", "one mask of 100,000 values", 2, mask),
    Kernel::new("aggregate", "mean of 20 updates of 100,000 values", 2, aggregate),
    Kernel::new("ledger", "one entry of the egress ledger, in memory", 50, append),
];

const SIZE: (u32, u32) = (640, 384);

/// A picture of fixed rubbish.
fn rubbish(bytes: usize) -> Vec<u8> {
    (0..bytes as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn redaction(style: Style) -> anyhow::Result<Once> {
    let geometry = Geometry::new(PixelFormat::Rgb8, 640, 480)?;
    let (pool, rgb) = (FramePool::new(), rubbish(geometry.bytes()));
    let region = Region { bbox: BBox::new(0.0, 0.0, 640.0, 480.0), shape: Shape::Rect, track_id: Some(1) };
    let mut redactor = Redactor::new(style)?;
    Ok(Box::new(move || {
        let mut buffer = pool.take(geometry.bytes());
        buffer.as_mut_slice().copy_from_slice(&rgb);
        let frame = RawFrame::new(0, Duration::ZERO, geometry, Color::JPEG, buffer)?;
        black_box(redactor.redact(frame, &[region]));
        Ok(())
    }))
}

fn detector() -> anyhow::Result<Once> {
    let geometry = Geometry::new(PixelFormat::Rgb8, SIZE.0, SIZE.1)?;
    let frame = RawFrame::new(0, Duration::ZERO, geometry, Color::JPEG, rubbish(geometry.bytes()))?;
    let search = NetworkSearch::new(builtin::default_model()?, SearchConfig::default());
    search.prepare(geometry)?;
    let mut search = search;
    Ok(Box::new(move || {
        black_box(search.detect(&frame)?);
        Ok(())
    }))
}

fn tracker() -> anyhow::Result<Once> {
    let (mut tracker, mut frame) = (Tracker::new(TrackerConfig::default()), 0_u64);
    Ok(Box::new(move || {
        let found: Vec<Detection> = (0..32_u32)
            .map(|n| {
                let (x, y) = ((n % 8 * 150) as f32 + (frame % 40) as f32, (n / 8 * 160) as f32);
                Detection { class: ObjectClass::Face, bbox: BBox::new(x, y, 40.0, 52.0), score: 0.9 }
            })
            .collect();
        tracker.observe(frame, &found);
        black_box(tracker.boxes_at(frame.saturating_sub(4)).count());
        tracker.forget_before(frame.saturating_sub(16));
        frame += 1;
        Ok(())
    }))
}

fn noise() -> anyhow::Result<Once> {
    let (clip, noise) = (ClipNorm::new(1.0)?, NoiseMultiplier::new(4.39)?);
    let mechanism = Mechanism::new(clip, noise, CohortSize::new(900)?, 100, 1000, false)?;
    Ok(Box::new(move || {
        black_box(mechanism.noise_of_sum(1)?);
        Ok(())
    }))
}

fn mask() -> anyhow::Result<Once> {
    let mut vector = vec![5_u32; 100_000];
    Ok(Box::new(move || {
        volet_federated::simulation::add_mask(black_box(&mut vector), &[9; 32]);
        Ok(())
    }))
}

fn aggregate() -> anyhow::Result<Once> {
    let memory: Vec<f32> = (0..20 * 100_000).map(|i| (i % 1000) as f32).collect();
    Ok(Box::new(move || {
        let updates: Vec<(&[f32], f32)> = memory.chunks_exact(100_000).map(|update| (update, 1.0)).collect();
        black_box(weighted_mean(&updates)?);
        Ok(())
    }))
}

fn append() -> anyhow::Result<Once> {
    let key = SigningKey::from([7; 32]);
    let mut ledger = Ledger::open(MemoryStorage::default(), &key, ledger::Limits::default())?;
    let mut at = 1_780_000_000_000;
    Ok(Box::new(move || {
        at += 1000;
        black_box(ledger.append(at, entry())?);
        Ok(())
    }))
}

/// What a camera writes down most often.
pub(crate) fn entry() -> Entry {
    Entry {
        kind: ledger::Kind::Wire,
        destination: "aggregator.example:8443".to_owned(),
        bytes: 517,
        digest: [1; 32],
        policy: "learning".to_owned(),
        connection: 1,
    }
}
