//! Detection in frames: which sizes and windows a network sees, and boxes back in pixels of the frame.
//!
//! Knows frames and networks; nothing of time. A frame that could not be searched is an error, never "nothing
//! found" (guarantee G2).

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use volet_models::{DetectError, Detection, Detector, LoadError, Model, NetInput, non_maximum_suppression};

use crate::frame::{Geometry, RawFrame};
use crate::sample::{Sampler, Window};
use crate::slot::ModelSlot;

/// Finds things in single frames.
pub trait Detect: Send {
    /// What is in `frame`, in its pixels.
    ///
    /// # Errors
    /// The frame was not searched, or not all of it.
    fn detect(&mut self, frame: &RawFrame) -> Result<Vec<Detection>, SearchError>;
}

/// Why a frame was not searched.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum SearchError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Detect(#[from] DetectError),
    #[error("{0}")]
    Other(String),
}

/// How thoroughly to search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SearchConfig {
    /// The longer side of the network's input, pixels; the manifest's if 0. More finds smaller faces and takes
    /// longer, by the square.
    pub long_side: u32,
    /// Besides the whole frame, search this many overlapping tiles along each side; 0 or 1: none.
    pub tiles: u32,
    /// Detections below this score are dropped, in `(0, 1)`; half of the manifest's threshold if 0. Weak ones only
    /// ever continue a track.
    pub min_score: f32,
}

/// The most tiles along one side.
const MAX_TILES: u32 = 8;
/// How much wider a tile is than its share of the frame, so that a face on a seam is whole in one tile.
const TILE_OVERLAP: f32 = 1.3;
/// Frames are enlarged at most this much for the network.
const MAX_ENLARGEMENT: u32 = 2;

/// So many searches with one model, which is made ready for frames of this size.
///
/// # Errors
/// See [`LoadError`]. A detector that can't run would cover every frame: that is worth stopping for.
pub fn searchers(
    model: &ModelSlot,
    config: SearchConfig,
    count: usize,
    geometry: Geometry,
) -> Result<Vec<Box<dyn Detect>>, SearchError> {
    let search = || NetworkSearch::new(model.clone(), config);
    search().prepare(geometry)?;
    Ok((0..count.max(1)).map(|_| Box::new(search()) as Box<dyn Detect>).collect())
}

/// Searches frames with a network, of whatever size they are. Each frame is searched wholly by the model that is in use
/// when its search begins.
pub struct NetworkSearch {
    slot: ModelSlot,
    /// What was in the slot when it was last looked at; not in use where it cannot be made ready.
    seen: Arc<Model>,
    model: Arc<Model>,
    config: SearchConfig,
    sampler: Sampler,
    prepared: Option<(Detector, NetInput)>,
}

impl NetworkSearch {
    /// A search with `model`, or with whatever is in a slot; plans are shared with other searches that use it.
    pub fn new(model: impl Into<ModelSlot>, config: SearchConfig) -> Self {
        let slot = model.into();
        let model = slot.get();
        Self { slot, seen: Arc::clone(&model), model, config, sampler: Sampler::new(), prepared: None }
    }

    /// Makes the network ready for frames of this size, so that one that can't run is known before anything is
    /// read. The plan is kept for the searches to come.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn prepare(&self, geometry: Geometry) -> Result<(), SearchError> {
        self.model.at(Some(self.input_size(Window::whole(geometry))))?;
        Ok(())
    }

    /// Takes the model that is in use now, if it can be made ready; else the one before goes on.
    fn follow(&mut self, window: Window) {
        let now = self.slot.get();
        if Arc::ptr_eq(&now, &self.seen) {
            return;
        }
        self.seen = Arc::clone(&now);
        let before = std::mem::replace(&mut self.model, now);
        match self.model.at(Some(self.input_size(window))) {
            Ok(_) => self.prepared = None,
            Err(error) => {
                tracing::error!(%error, "a new model cannot be used; the one before goes on");
                self.model = before;
            }
        }
    }

    fn min_score(&self) -> f32 {
        let own = self.config.min_score;
        if own > 0.0 { own } else { self.model.manifest().thresholds.score / 2.0 }
    }

    fn search(&mut self, frame: &RawFrame, window: Window) -> Result<Vec<Detection>, SearchError> {
        let size = self.input_size(window);
        let ready = match self.prepared.take() {
            Some(ready) if ready.0.input_size() == size => ready,
            _ => {
                let detector = self.model.at(Some(size))?;
                let input = detector.new_input()?;
                (detector, input)
            }
        };
        let min_score = self.min_score();
        let (detector, input) = self.prepared.insert(ready);
        let placement = self.sampler.sample(frame, window, input)?;
        let mut found = detector.detect(input, min_score)?;
        found.iter_mut().for_each(|d| d.bbox = placement.to_frame(&d.bbox));
        Ok(found)
    }

    /// The smallest input of the wanted length into which `window` fits with its shape kept.
    fn input_size(&self, window: Window) -> (u32, u32) {
        let spec = &self.model.manifest().input;
        let own = (spec.width, spec.height);
        if spec.multiple_of == 0 {
            return own;
        }
        let round_up = |v: u32| v.max(1).next_multiple_of(spec.multiple_of);
        let wanted = if self.config.long_side > 0 { self.config.long_side } else { own.0.max(own.1) };
        let (w, h) = (u64::from(window.width), u64::from(window.height));
        let long = round_up(wanted.min(window.width.max(window.height).saturating_mul(MAX_ENLARGEMENT)));
        let short = round_up((u64::from(long) * w.min(h)).div_ceil(w.max(h)) as u32);
        if w >= h { (long, short) } else { (short, long) }
    }
}

impl Detect for NetworkSearch {
    fn detect(&mut self, frame: &RawFrame) -> Result<Vec<Detection>, SearchError> {
        let geometry = frame.geometry();
        self.follow(Window::whole(geometry));
        let mut found = self.search(frame, Window::whole(geometry))?;
        if self.config.tiles > 1 {
            let mut cut = Vec::new();
            for tile in tiles(geometry, self.config.tiles.min(MAX_TILES)) {
                let (on_seam, whole): (Vec<_>, Vec<_>) =
                    self.search(frame, tile)?.into_iter().partition(|d| is_cut(d, tile, geometry));
                found.extend(whole);
                cut.extend(on_seam);
            }
            // A part is worth nothing beside the whole, and everything where nobody saw the whole.
            let seen_whole = |part: &Detection| {
                let within = |d: &Detection| d.bbox.intersection(&part.bbox) >= 0.7 * part.bbox.area();
                found.iter().any(|d| d.class == part.class && within(d))
            };
            cut.retain(|part| !seen_whole(part));
            found.extend(cut);
            found = non_maximum_suppression(found, self.model.manifest().thresholds.nms_iou);
        }
        Ok(found)
    }
}

/// `n` x `n` overlapping windows over a frame.
fn tiles(geometry: Geometry, n: u32) -> impl Iterator<Item = Window> {
    let side = |length: u32| ((length as f32 / n as f32 * TILE_OVERLAP).ceil() as u32).clamp(1, length);
    let (width, height) = (side(geometry.width()), side(geometry.height()));
    let at = move |i: u32, length: u32, size: u32| (u64::from(length - size) * u64::from(i) / u64::from(n - 1)) as u32;
    (0..n * n).map(move |i| Window {
        x: at(i % n, geometry.width(), width),
        y: at(i / n, geometry.height(), height),
        width,
        height,
    })
}

/// Whether a box touches an inner seam of a tile: the neighbouring tile or the whole frame may have it uncut.
fn is_cut(d: &Detection, tile: Window, geometry: Geometry) -> bool {
    let near = 2.0;
    let (left, top) = (tile.x as f32, tile.y as f32);
    let (right, bottom) = (left + tile.width as f32, top + tile.height as f32);
    (tile.x > 0 && d.bbox.x < left + near)
        || (tile.y > 0 && d.bbox.y < top + near)
        || (tile.x + tile.width < geometry.width() && d.bbox.right() > right - near)
        || (tile.y + tile.height < geometry.height() && d.bbox.bottom() > bottom - near)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PixelFormat;

    #[test]
    fn tiles_cover_the_frame() {
        for (w, h, n) in [(1920, 1080, 3), (7, 5, 2), (640, 360, 8), (3, 3, 8)] {
            let g = Geometry::new(PixelFormat::Grey8, w, h).unwrap();
            let mut seen = vec![false; (w * h) as usize];
            for t in tiles(g, n) {
                assert!(t.x + t.width <= w && t.y + t.height <= h);
                for y in t.y..t.y + t.height {
                    seen[(y * w + t.x) as usize..][..t.width as usize].fill(true);
                }
            }
            assert!(seen.iter().all(|s| *s), "{w}x{h} in {n}");
        }
    }

    /// A picture with a person in it, at 96x64.
    fn frame() -> RawFrame {
        let geometry = Geometry::new(PixelFormat::Grey8, 96, 64).unwrap();
        let pixels: Vec<u8> = (0..96 * 64u32).map(|i| (i % 251) as u8).collect();
        RawFrame::new(0, std::time::Duration::ZERO, geometry, crate::frame::Color::untagged(64), pixels).unwrap()
    }

    #[test]
    fn a_search_follows_the_model_in_use_and_keeps_the_old_one_where_the_new_one_fails() {
        let first = Arc::new(volet_models::builtin::default_model().unwrap());
        let slot = ModelSlot::from(&first);
        let mut search = NetworkSearch::new(slot.clone(), SearchConfig { min_score: 0.02, ..SearchConfig::default() });
        let score = |search: &mut NetworkSearch| -> Vec<f32> {
            search.detect(&frame()).unwrap().iter().map(|found| found.score).collect()
        };
        let before = score(&mut search);
        let n = first.trainable_len().unwrap();
        assert!(slot.put(Arc::new(first.learned(&vec![0.1; n]).unwrap())));
        assert_ne!(score(&mut search), before);
        assert!(slot.put(first));
        assert_eq!(score(&mut search), before);
        // Settings were checked against the present manifest: a model with another is not put in place.
        let (manifest, file) = volet_models::builtin::default_files();
        let mut manifest = volet_models::Manifest::parse(manifest).unwrap();
        manifest.thresholds.score = 0.9;
        assert!(!slot.put(Arc::new(Model::new(manifest, file.to_vec()).unwrap())));
        assert_eq!(score(&mut search), before);
    }
}
