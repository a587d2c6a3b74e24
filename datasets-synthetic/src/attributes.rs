//! What is known about a person in a picture, in the words that reports group by.
//! Knows nothing of how any of it is drawn.

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// The habit of shape that a person was drawn by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Sex {
    /// Shapes and fashions commoner among women.
    Female,
    /// Shapes and fashions commoner among men.
    Male,
}

/// Hair on the head, as far as no hat hides it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Hair {
    /// Bald or shaven.
    None,
    /// A few millimetres.
    Cropped,
    /// Above the ears.
    Short,
    /// Short and curly.
    Curly,
    /// A round mass of tight curls.
    Afro,
    /// To the jaw.
    Bob,
    /// Below the shoulders.
    Long,
    /// Tied into a knot.
    Bun,
    /// Tied at the back, hanging.
    Tail,
    /// Under a hood, a turban or a headscarf.
    Hidden,
}

/// What is worn on the head.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Hat {
    /// Nothing.
    None,
    /// A knitted cap.
    Beanie,
    /// A cap with a peak.
    Cap,
    /// A hat with a brim all round.
    Brim,
    /// A hard helmet, face open.
    Helmet,
    /// The hood of a jacket.
    Hood,
    /// A headscarf that leaves the face free.
    Hijab,
    /// A wound turban.
    Turban,
    /// A band round the head.
    Band,
}

/// What is worn before the face.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Cover {
    /// Nothing.
    None,
    /// A pleated surgical mask.
    Surgical,
    /// A moulded respirator.
    Cup,
    /// A mask of cloth.
    Fabric,
    /// A scarf over the mouth.
    Scarf,
    /// A veil below the eyes.
    Veil,
}

/// What is worn before the eyes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Glasses {
    /// Nothing.
    None,
    /// Clear lenses.
    Clear,
    /// Dark lenses.
    Sun,
    /// Goggles.
    Goggles,
}

/// The truth about a person beyond where they are: what can be seen, not what is under it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Attributes {
    /// Years, 2 to 90.
    pub age: u8,
    /// Shapes and fashions.
    pub sex: Sex,
    /// Sixths of the renderer's range of skin, 1 (lightest) to 6 (darkest). Like Fitzpatrick's types in number and
    /// order; not calibrated against them.
    pub skin: u8,
    /// Hair.
    pub hair: Hair,
    /// Headwear.
    pub hat: Hat,
    /// Masks and the like.
    pub cover: Cover,
    /// Glasses.
    pub glasses: Glasses,
    /// A beard or moustache that shows.
    pub beard: bool,
    /// Where the face points as the camera sees it, degrees: 0 straight at it, positive to the picture's right, -180
    /// to 180.
    pub yaw: f32,
    /// Degrees, -90 to 90; positive looks down, as faces do to a camera that hangs high.
    pub pitch: f32,
    /// Degrees, -180 to 180; positive leans to the picture's left.
    pub roll: f32,
}

impl Attributes {
    /// The questions that words answer, with their answers.
    pub(crate) fn words(&self) -> [(&'static str, &'static str); 5] {
        [
            ("sex", self.sex.into()),
            ("hair", self.hair.into()),
            ("hat", self.hat.into()),
            ("cover", self.cover.into()),
            ("glasses", self.glasses.into()),
        ]
    }
}
