//! One person: what they look like, how they hold themselves, where they stand in the picture.
//! Knows nothing of scenes, light or cameras beyond the angle they are seen from.

use glam::{Mat3, Vec3};

use crate::attributes::{Attributes, Cover, Glasses, Hair, Hat, Sex};
use crate::head::{Face, skin_tone};
use crate::material::{Cloth, Pattern};
use crate::math::{Rng, linear, rgb};
use crate::mesh::Shape;

/// What stays with a person.
#[derive(Clone)]
pub(crate) struct Look {
    pub(crate) face: Face,
    /// Skin from very dark (0) to very pale (1).
    pub(crate) tone: f32,
    pub(crate) hair: Hair,
    pub(crate) hair_thickness: f32,
    pub(crate) hair_length: f32,
    pub(crate) fringe: f32,
    pub(crate) hat: Hat,
    pub(crate) hat_cloth: Cloth,
    pub(crate) cover: Cover,
    pub(crate) cover_low: bool,
    pub(crate) cover_cloth: Cloth,
    pub(crate) glasses: Glasses,
    pub(crate) frame: Vec3,
    pub(crate) top: Cloth,
    pub(crate) bottom: Cloth,
    /// 0 bare arms, 0.5 short, 1 long sleeves.
    pub(crate) sleeve: f32,
    pub(crate) neckline: f32,
    pub(crate) skirt: bool,
    pub(crate) coat: bool,
    pub(crate) collar: bool,
    pub(crate) bag: Option<Vec3>,
    pub(crate) build: f32,
    /// Standing height in heads: 4.5 for toddlers, 7.5 for adults.
    pub(crate) heads: f32,
    pub(crate) gloves: bool,
    /// In years.
    pub(crate) age: f32,
    /// 0 female .. 1 male, in shape.
    pub(crate) male: f32,
    /// The same kind of head at every size, as people in clips need: they come nearer.
    pub(crate) one_head: bool,
    /// The shape of a person made of the mesh.
    pub(crate) shape: Option<Shape>,
}

/// Where an arm's hand is to go.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Arm {
    Down,
    Swing(f32),
    Crossed,
    Hip,
    Wave,
    Raised,
    Face,
    Ear,
    Forward,
    Lap,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Legs {
    Stand,
    /// Phase of the step in radians.
    Walk(f32),
    Sit,
}

/// How a person holds themselves at one moment. Angles in radians; yaw 0 looks at the viewer.
#[derive(Clone)]
pub(crate) struct Pose {
    pub(crate) body_yaw: f32,
    pub(crate) lean: f32,
    pub(crate) head_yaw: f32,
    pub(crate) head_pitch: f32,
    pub(crate) head_roll: f32,
    pub(crate) arms: [Arm; 2],
    pub(crate) fist: [f32; 2],
    pub(crate) legs: Legs,
}

/// Where the head's middle is in the picture and how large a head is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) origin: Vec3,
    /// Pixels per head height.
    pub(crate) unit: f32,
    pub(crate) turn: Mat3,
    /// Distance of the camera in head heights; large is flat.
    pub(crate) distance: f32,
}

impl View {
    pub(crate) fn new(origin: Vec3, unit: f32, camera_pitch: f32, distance: f32) -> Self {
        Self { origin, unit, turn: Mat3::from_rotation_x(camera_pitch), distance }
    }

    /// From the person's own space (y up, head heights) to picture coordinates.
    pub(crate) fn project(&self, p: Vec3) -> Vec3 {
        let q = self.turn * p;
        let near = self.distance / (self.distance - q.z).max(0.3 * self.distance);
        self.origin + self.unit * Vec3::new(q.x * near, -q.y * near, q.z)
    }
}

/// Pixels per head below which the frames of glasses are not drawn.
pub(crate) const SMALLEST_FRAMES: f32 = 18.0;

#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) look: Look,
    pub(crate) pose: Pose,
    pub(crate) view: View,
    pub(crate) haze: f32,
}

impl Person {
    /// How the head is turned, in the person's space.
    pub(crate) fn head_turn(&self) -> Mat3 {
        let pose = &self.pose;
        Mat3::from_rotation_y(pose.head_yaw)
            * Mat3::from_rotation_x(pose.head_pitch)
            * Mat3::from_rotation_z(pose.head_roll)
    }

    /// What the truth says about them.
    pub(crate) fn attributes(&self) -> Attributes {
        let look = &self.look;
        let turn = self.view.turn * self.head_turn();
        let (face, up) = (turn * Vec3::Z, turn * Vec3::Y);
        let cover = match look.cover {
            Cover::Scarf if look.cover_low => Cover::None,
            cover => cover,
        };
        let bearded = look.face.beard > 0.0 || look.face.moustache > 0.0;
        Attributes {
            age: look.age.clamp(0.0, 120.0) as u8,
            sex: if look.male > 0.5 { Sex::Male } else { Sex::Female },
            skin: 6 - (look.tone * 6.0).clamp(0.0, 5.0) as u8,
            hair: match look.hat {
                Hat::Hijab | Hat::Turban | Hat::Hood => Hair::Hidden,
                _ => look.hair,
            },
            hat: look.hat,
            cover,
            glasses: match look.glasses {
                Glasses::Clear if self.view.unit < SMALLEST_FRAMES => Glasses::None,
                glasses => glasses,
            },
            beard: bearded && cover == Cover::None,
            yaw: face.x.atan2(face.z).to_degrees(),
            pitch: (-face.y).clamp(-1.0, 1.0).asin().to_degrees(),
            roll: (-up.x).atan2(up.y).to_degrees(),
        }
    }
}

/// Shares that a whole scene has in common: a masked crowd, a beach, a winter street.
#[derive(Clone, Copy)]
pub(crate) struct Habits {
    pub(crate) masks: f32,
    pub(crate) hats: f32,
    pub(crate) winter: bool,
    pub(crate) sunglasses: f32,
    /// When set, everyone wears this (uniforms, teams).
    pub(crate) uniform: Option<Vec3>,
    pub(crate) skin: Option<f32>,
}

impl Habits {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        Self {
            masks: match rng.weighted(&[0.45, 0.3, 0.25]) {
                0 => 0.05,
                1 => 0.4,
                _ => 0.92,
            },
            hats: if rng.chance(0.22) { 0.7 } else { 0.2 },
            winter: rng.chance(0.25),
            sunglasses: if rng.chance(0.15) { 0.5 } else { 0.06 },
            uniform: rng.chance(0.1).then(|| rng.colour((0.2, 0.9), (0.2, 0.9))),
            skin: rng.chance(0.35).then(|| draw_tone(rng)),
        }
    }
}

/// A tone of skin. Dark ones are drawn more often: they carry less contrast in dim pictures, and a network that sees all
/// tones equally often finds them less often.
fn draw_tone(rng: &mut Rng) -> f32 {
    rng.f(0.0, 1.0).powf(1.5)
}

fn hair_colour(rng: &mut Rng, age: f32) -> Vec3 {
    if age > 45.0 && rng.chance((age - 45.0) / 35.0) {
        return rgb(170, 168, 165) * rng.f(0.4, 1.3);
    }
    let natural = [
        rgb(22, 18, 17),
        rgb(30, 24, 21),
        rgb(45, 31, 24),
        rgb(72, 48, 33),
        rgb(104, 70, 44),
        rgb(150, 112, 70),
        rgb(195, 160, 110),
        rgb(132, 62, 34),
    ];
    match rng.weighted(&[0.22, 0.2, 0.17, 0.14, 0.1, 0.07, 0.06, 0.04, 0.02]) {
        index @ 0..8 => natural[index] * rng.f(0.7, 1.3),
        _ => rng.colour((0.4, 0.9), (0.3, 0.9)),
    }
}

impl Look {
    pub(crate) fn draw(rng: &mut Rng, habits: &Habits) -> Self {
        let age = match rng.weighted(&[0.13, 0.6, 0.27]) {
            0 => rng.f(2.0, 16.0),
            1 => rng.f(16.0, 50.0),
            _ => rng.f(45.0, 90.0),
        };
        let male = if rng.chance(0.5) { rng.f(0.6, 1.0) } else { rng.f(0.0, 0.4) };
        let tone = match habits.skin {
            Some(tone) => (tone + 0.12 * rng.normal()).clamp(0.0, 1.0),
            None => draw_tone(rng),
        };
        let skin = skin_tone(rng, tone);
        let hair = hair_colour(rng, age);
        let mut face = Face::draw(rng, age, male, skin, hair);
        let style = match (male > 0.5, age < 12.0) {
            (true, false) => [0.16, 0.2, 0.38, 0.08, 0.05, 0.03, 0.05, 0.02, 0.03],
            (true, true) => [0.02, 0.2, 0.5, 0.13, 0.08, 0.04, 0.02, 0.0, 0.01],
            _ => [0.01, 0.02, 0.11, 0.09, 0.07, 0.18, 0.28, 0.12, 0.12],
        };
        let hairs = [
            Hair::None,
            Hair::Cropped,
            Hair::Short,
            Hair::Curly,
            Hair::Afro,
            Hair::Bob,
            Hair::Long,
            Hair::Bun,
            Hair::Tail,
        ];
        let hair_style = hairs[rng.weighted(&style)];
        match hair_style {
            Hair::None => face.scalp = rng.f(0.0, 0.12),
            Hair::Cropped => face.scalp = rng.f(0.3, 0.95),
            _ => {}
        }
        let hat = if rng.chance(habits.hats) {
            let hats = [Hat::Beanie, Hat::Cap, Hat::Brim, Hat::Helmet, Hat::Hood, Hat::Hijab, Hat::Turban, Hat::Band];
            let covered = if male > 0.5 { 0.0 } else { 0.22 };
            hats[rng.weighted(&[0.2, 0.25, 0.1, 0.1, 0.15, covered, 0.04, 0.06])]
        } else {
            Hat::None
        };
        let cover = if hat == Hat::Hijab && rng.chance(0.15) {
            Cover::Veil
        } else if rng.chance(habits.masks) {
            [Cover::Surgical, Cover::Cup, Cover::Fabric, Cover::Scarf][rng.weighted(&[0.52, 0.2, 0.23, 0.05])]
        } else {
            Cover::None
        };
        let glasses = if rng.chance(habits.sunglasses) {
            Glasses::Sun
        } else if rng.chance(0.22) {
            Glasses::Clear
        } else if rng.chance(0.012) {
            Glasses::Goggles
        } else {
            Glasses::None
        };
        let mut top = Cloth::draw(rng);
        if let Some(colour) = habits.uniform {
            top.colour = colour;
        } else if habits.winter && rng.chance(0.6) {
            top = {
                let colour = rng.colour((0.0, 0.4), (0.05, 0.35));
                Cloth::plain(rng, colour)
            };
        }
        let bottom_colour = match rng.weighted(&[0.5, 0.3, 0.2]) {
            0 => rng.colour((0.2, 0.6), (0.1, 0.45)),
            1 => rng.colour((0.0, 0.2), (0.05, 0.3)),
            _ => rng.colour((0.0, 0.5), (0.4, 0.9)),
        };
        let cover_colour = match rng.weighted(&[0.3, 0.35, 0.2, 0.15]) {
            0 => linear(Vec3::new(rng.f(0.55, 0.75), rng.f(0.72, 0.85), rng.f(0.8, 0.95))),
            1 => linear(Vec3::splat(rng.f(0.82, 0.97))),
            2 => linear(Vec3::splat(rng.f(0.06, 0.2))),
            _ => rng.colour((0.1, 0.8), (0.3, 0.95)),
        };
        let mut cover_cloth = Cloth::plain(rng, cover_colour);
        cover_cloth.folds = 0.25;
        match cover {
            Cover::Surgical => {
                cover_cloth.pattern = Pattern::Pleats;
                cover_cloth.second = cover_colour * 0.55;
            }
            Cover::Fabric if rng.chance(0.3) => {
                cover_cloth.pattern = rng.pick(&[Pattern::Dots, Pattern::Patches, Pattern::Plaid]);
                cover_cloth.scale = rng.f(8.0, 20.0);
            }
            _ => {}
        }
        let mut hat_cloth = Cloth::draw(rng);
        hat_cloth.folds *= 0.5;
        if hat_cloth.pattern == Pattern::Print || hat_cloth.pattern == Pattern::Front {
            hat_cloth.pattern = Pattern::Plain;
        }
        if hat == Hat::Helmet {
            hat_cloth.gloss = 1.5;
            hat_cloth.folds = 0.0;
        }
        if hat == Hat::Hood {
            hat_cloth.colour = top.colour;
            hat_cloth.pattern = Pattern::Plain;
        }
        Self {
            face,
            tone,
            hair: hair_style,
            hair_thickness: rng.f(0.7, 1.5),
            hair_length: rng.f(0.5, 1.7),
            fringe: if rng.chance(0.3) { rng.f(0.3, 1.0) } else { 0.0 },
            hat,
            hat_cloth,
            cover,
            cover_low: rng.chance(0.1),
            cover_cloth,
            glasses,
            frame: match rng.weighted(&[0.6, 0.2, 0.2]) {
                0 => Vec3::splat(0.004),
                1 => rgb(120, 115, 110),
                _ => rng.colour((0.3, 0.9), (0.2, 0.8)),
            },
            top,
            bottom: {
                let mut cloth = Cloth::plain(rng, bottom_colour);
                if rng.chance(0.12) {
                    cloth.pattern = rng.pick(&[Pattern::Plaid, Pattern::Dots, Pattern::Patches]);
                }
                cloth
            },
            sleeve: if habits.winter { 1.0 } else { rng.pick(&[0.15, 0.5, 0.5, 1.0, 1.0, 1.0]) },
            neckline: if habits.winter || rng.chance(0.5) { 0.0 } else { rng.f(0.05, 0.45) * (1.3 - male) },
            skirt: male < 0.5 && rng.chance(0.3),
            coat: rng.chance(if habits.winter { 0.6 } else { 0.15 }),
            collar: rng.chance(0.4),
            bag: rng.chance(0.2).then(|| rng.colour((0.0, 0.9), (0.1, 0.8))),
            build: (1.0 + 0.14 * rng.normal()).clamp(0.75, 1.5),
            heads: if age < 16.0 { 4.6 + 2.6 * age / 16.0 } else { 7.3 + 0.2 * rng.normal() },
            gloves: habits.winter && rng.chance(0.35),
            age,
            male,
            one_head: false,
            shape: None,
        }
    }
}

impl Pose {
    /// A pose of someone who mostly faces the camera (`towards` 1) or anywhere (0).
    pub(crate) fn draw(rng: &mut Rng, towards: f32) -> Self {
        let head_yaw = if towards > 0.0 && rng.chance(0.15) {
            // From the side: too rare otherwise for anyone to learn a profile, let alone one with a mask.
            rng.pick(&[-1.0, 1.0]) * rng.f(0.8, 1.75)
        } else if rng.chance(towards) {
            rng.normal() * 0.55
        } else if rng.chance(0.6) {
            rng.normal() * 1.0
        } else {
            rng.f(-std::f32::consts::PI, std::f32::consts::PI)
        };
        let arm = |rng: &mut Rng| match rng.weighted(&[0.3, 0.2, 0.08, 0.06, 0.05, 0.07, 0.06, 0.09, 0.09]) {
            0 => Arm::Down,
            1 => Arm::Swing(rng.f(-1.0, 1.0)),
            2 => Arm::Hip,
            3 => Arm::Wave,
            4 => Arm::Raised,
            5 => Arm::Face,
            6 => Arm::Ear,
            7 => Arm::Forward,
            _ => Arm::Lap,
        };
        let mut arms = [arm(rng), arm(rng)];
        if rng.chance(0.08) {
            arms = [Arm::Crossed; 2];
        }
        let wild = rng.chance(0.2);
        // People look down, at phones and steps, more than they look up.
        let bowed = if rng.chance(0.25) { rng.f(0.1, 0.6) } else { 0.0 };
        Self {
            body_yaw: head_yaw + rng.normal() * 0.35,
            lean: rng.normal() * 0.08,
            head_yaw,
            head_pitch: (bowed + rng.normal() * if wild { 0.4 } else { 0.17 }).clamp(-0.87, 0.87),
            head_roll: (rng.normal() * if wild { 0.3 } else { 0.12 }).clamp(-0.61, 0.61),
            arms,
            fist: [rng.f(0.0, 1.0), rng.f(0.0, 1.0)],
            legs: match rng.weighted(&[0.5, 0.4, 0.1]) {
                0 => Legs::Stand,
                1 => Legs::Walk(rng.f(0.0, std::f32::consts::TAU)),
                _ => Legs::Sit,
            },
        }
    }
}
