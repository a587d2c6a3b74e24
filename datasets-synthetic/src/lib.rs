//! People, scenes and clips made by code, with exact ground truth.
//!
//! Everything follows from one seed: the same seed and size give the same pixels on one machine, whatever calls it
//! and from however many threads. No file is read, no real person's picture went into any of it.
//!
//! How a picture comes about, module by module: `scene` decides who and what is where; `background` paints the place with `fill`s;
//! `person` draws looks and poses; `body` and `worn` turn them into triangles; `raster` finds what each sample sees;
//! `head` and `material` paint surfaces in their own coordinates; `light` lights them; `camera` spoils the result as
//! cameras do. The crate knows nothing of detectors, models or networks.

mod background;
mod body;
mod camera;
mod clip;
mod fill;
mod head;
mod light;
mod material;
mod math;
mod person;
mod props;
mod raster;
mod scene;
mod worn;

pub use clip::Clip;
use image::RgbImage;

/// Smallest and largest accepted picture side in pixels; sizes beyond are brought to the nearest of the two.
pub const SIDES: std::ops::RangeInclusive<u32> = 16..=4096;

/// What an annotated object is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectClass {
    /// A face from hairline to chin and ear to ear, as WIDER FACE (Yang et al. 2016) draws it; masked ones too.
    Face,
    /// All visible parts of a person.
    Person,
    /// A car, van, lorry, bus, motorbike or bicycle: all visible parts.
    Vehicle,
    /// A dog, cat, bird, horse or cow: all visible parts.
    Animal,
    /// A cardboard box, padded envelope or bag that was delivered: all visible parts.
    Parcel,
}

/// The truth about one object in one picture.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Object {
    /// What it is.
    pub class: ObjectClass,
    /// x, y, width, height in pixels, clipped to the picture. A face's box spans hidden parts too.
    pub bbox: [f32; 4],
    /// The same for the same object in every frame of a clip; a face's is its person's plus one. Things, and people and
    /// faces that are drawn, carved or cut off, count from 2^25 on.
    pub track_id: u32,
    /// Share (0..=1) of the object's own surface towards the viewer that is neither hidden nor cut off by the picture.
    pub visible: f32,
    /// Not to be learnt or counted: a face turned away by more than 100 degrees, visible by less than 0.3, or smaller
    /// than 5 pixels; anything else visible by less than 0.1 or smaller than 5 pixels; faces and people on posters and
    /// screens, statues, dolls, and lone limbs.
    pub ignore: bool,
}

/// One picture and all that is in it.
#[derive(Clone, Debug)]
pub struct Still {
    /// The finished picture.
    pub image: RgbImage,
    /// Faces, people, vehicles, animals and parcels.
    pub objects: Vec<Object>,
}

fn sides(width: u32, height: u32) -> (usize, usize) {
    let side = |value: u32| value.clamp(*SIDES.start(), *SIDES.end()) as usize;
    (side(width), side(height))
}

/// Makes one training picture; sides are brought into [`SIDES`]. Runs on the calling thread only.
pub fn still(seed: u64, width: u32, height: u32) -> Still {
    let (width, height) = sides(width, height);
    scene::Scene::draw(seed, width, height).render()
}
