//! Short clips: the same people in the same place, frame after frame.
//! Knows scenes; knows nothing of video files.

use crate::Still;
use crate::scene::Scene;
use crate::sides;

/// A clip, rendered frame by frame on demand and in any order.
pub struct Clip {
    scene: Scene,
    frames: u32,
}

impl Clip {
    /// Draws a clip of so many frames; sides are brought into [`crate::SIDES`].
    pub fn new(seed: u64, width: u32, height: u32, fps: u32, frames: u32) -> Self {
        let (width, height) = sides(width, height);
        let _ = fps;
        Self { scene: Scene::draw(seed, width, height), frames }
    }

    /// Number of frames.
    pub fn len(&self) -> u32 {
        self.frames
    }

    /// Whether there are no frames.
    pub fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// Renders one frame.
    pub fn frame(&self, _index: u32) -> Still {
        self.scene.render()
    }
}
