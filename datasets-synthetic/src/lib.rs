//! People, scenes and clips made by code, with exact ground truth.
//!
//! Everything follows from one seed: the same seed and size give the same pixels on one machine, whatever calls it
//! and from however many threads. No real person's picture went into any of it, and no file
//! is read but those of the human mesh ([`Bodies`]), where its folder is given.
//!
//! How a picture comes about, module by module: `scene` decides who and what is where; `background` paints the place
//! with `fill`s, `ambience` puts it under the scene's light; `person` draws looks and poses; `body`, `worn` and `mesh` turn
//! them into triangles; `lens` bends those; `raster` finds what each sample sees; `head` and `material` paint surfaces in
//! their own coordinates (`infrared` repaints them); `light` lights them; `motion` smears who hurries; `weather` comes
//! between; `camera` spoils the result as cameras do, with its `sensor` and the `codec`s behind it. The crate knows
//! nothing of detectors, models or networks.

mod ambience;
mod attributes;
mod background;
mod body;
mod camera;
mod clip;
mod codec;
mod conditions;
mod dataset;
mod fill;
mod filter;
mod generator;
mod head;
mod infrared;
mod lens;
mod light;
mod material;
mod math;
mod mesh;
mod motion;
mod person;
mod props;
mod raster;
mod scene;
mod sensor;
mod weather;
mod worn;

pub use attributes::{Attributes, Cover, Glasses, Hair, Hat, Sex};
pub use clip::Clip;
pub use conditions::{Conditions, Mounting};
pub use dataset::{Dataset, Place, height_group};
pub use generator::Generator;
use image::RgbImage;
pub use light::LightKind;
pub use mesh::{Bodies, BodiesError};

/// Smallest and largest accepted picture side in pixels; sizes beyond are brought to the nearest of the two.
pub const SIDES: std::ops::RangeInclusive<u32> = 16..=4096;

/// What an annotated object is.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Debug,
    serde::Serialize,
    serde::Deserialize,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
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
    /// Not to be learnt or counted: what is visible by less than 0.3 or smaller than 5 pixels; a face turned away by
    /// more than 100 degrees, or lost in darkness, glare or fog; faces and people on posters and screens, statues,
    /// dolls, and lone limbs.
    pub ignore: bool,
    /// Of a person, and of a person's face.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Attributes>,
}

/// One picture and all that is in it.
#[derive(Clone, Debug)]
pub struct Still {
    /// The finished picture.
    pub image: RgbImage,
    /// What lights it.
    pub light: LightKind,
    /// Faces, people, vehicles, animals and parcels.
    pub objects: Vec<Object>,
}

fn sides(width: u32, height: u32) -> (usize, usize) {
    let side = |value: u32| value.clamp(*SIDES.start(), *SIDES.end()) as usize;
    (side(width), side(height))
}

/// The seed of picture or clip `index` of a set with this seed; below 2^53, so that JSON readers keep it whole.
pub fn seed_of(set: u64, index: u64) -> u64 {
    let mut rng = math::Rng::new(set ^ index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    (u64::from(rng.seed()) << 21) ^ u64::from(rng.seed())
}

/// Makes one training picture with the built-in bodies: [`Generator::still`] of the default generator.
pub fn still(seed: u64, width: u32, height: u32) -> Still {
    Generator::default().still(seed, width, height)
}
