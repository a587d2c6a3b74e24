//! What pictures and clips are made of: the built-in bodies, and those of the human mesh where it is given.
//! Knows nothing of how either is drawn.

use std::sync::Arc;

use crate::math::Rng;
use crate::mesh::{Bodies, Shape};
use crate::person::Look;
use crate::{Still, scene, sides};

/// Makes pictures and clips; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Generator {
    bodies: Option<Arc<Bodies>>,
    share: f32,
}

impl Generator {
    /// A good share of people made of the mesh: the rest keep the built-in body, so that a network learns from both.
    pub const SHARE: f32 = 0.6;

    /// Uses the human mesh for a share (0..=1) of all people; which, follows from the seed.
    pub fn with_bodies(bodies: Arc<Bodies>, share: f32) -> Self {
        Self { bodies: Some(bodies), share }
    }

    /// The human mesh, if one is used.
    pub fn bodies(&self) -> Option<&Bodies> {
        self.bodies.as_deref()
    }

    /// Makes one training picture; sides are brought into [`crate::SIDES`]. Runs on the calling thread only.
    pub fn still(&self, seed: u64, width: u32, height: u32) -> Still {
        let (width, height) = sides(width, height);
        scene::Scene::draw(self, seed, width, height).render()
    }

    /// Decides what a person is made of, from their own seed: everything else of a picture stays the same.
    pub(crate) fn embody(&self, look: &mut Look) {
        let Some(bodies) = &self.bodies else { return };
        let mut rng = Rng::new(u64::from(look.face.seed) ^ 0x00B0_D1E6);
        if rng.chance(self.share) {
            let shape = Shape::draw(bodies, rng.seed(), look.age, look.male, look.build, look.face.skin);
            look.shape = Some(shape);
        }
    }
}
