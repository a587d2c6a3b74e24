//! Hands, arms, knees, feet and bodies without a head in the picture, close up: what is skin and yet no face.
//! One unit is a head's height. Knows nothing of whole people's looks but their skin.

use std::f32::consts::{PI, TAU};

use glam::{Mat3, Vec3};

use super::surface::{Kind, Surface};
use crate::body::{self, Builder};
use crate::head::skin_tone;
use crate::material::{Cloth, Material};
use crate::math::Rng;
use crate::person::{Habits, Look, Person, Pose, View};
use crate::raster::{Geometry, Group};

struct Flesh {
    skin: Material,
    nail: Material,
    /// What arms or legs are dressed in, if at all.
    cloth: Option<Material>,
}

impl Flesh {
    fn draw(rng: &mut Rng) -> Self {
        let tone = rng.f(0.0, 1.0);
        let colour = skin_tone(rng, tone);
        let polish =
            if rng.chance(0.2) { rng.colour((0.3, 1.0), (0.3, 0.9)) } else { colour * Vec3::new(1.15, 1.02, 1.05) };
        Self {
            skin: Material::Skin { colour, shade: 0.0, seed: rng.seed() },
            nail: Surface::plain(polish, 1.8, rng),
            cloth: rng.chance(0.5).then(|| Material::Cloth(Cloth::draw(rng))),
        }
    }
}

/// Adds one limb or pair of limbs.
pub(crate) fn add(builder: &mut Builder<'_>, rng: &mut Rng) {
    let flesh = Flesh::draw(rng);
    match rng.weighted(&[0.5, 0.14, 0.16, 0.14, 0.06]) {
        0 => {
            let both = rng.chance(0.15);
            let turn = Mat3::from_rotation_z(rng.f(0.0, TAU))
                * Mat3::from_rotation_x(rng.normal() * 0.7)
                * Mat3::from_rotation_y(rng.f(0.0, TAU));
            forearm(builder, rng, &flesh, Vec3::ZERO, turn, false);
            if both {
                let turn =
                    turn * Mat3::from_rotation_y(PI + rng.normal() * 0.3) * Mat3::from_rotation_z(rng.normal() * 0.4);
                let beside = Vec3::new(rng.f(-0.3, 0.3), rng.f(-0.3, 0.3), 0.15);
                forearm(builder, rng, &flesh, beside, turn, true);
            }
        }
        1 => elbow(builder, rng, &flesh),
        2 => knees(builder, rng, &flesh),
        3 => feet(builder, rng, &flesh),
        _ => {
            // A shoulder, a belly, a bald patch: a smooth lump of skin.
            let part = builder.part(flesh.skin.clone(), Group::Prop);
            let turn = Mat3::from_rotation_z(rng.f(0.0, TAU));
            let segments = builder.segments(3.0, 14, 44);
            builder.ellipsoid(part, Vec3::ZERO, turn, Vec3::new(rng.f(0.5, 1.1), rng.f(0.5, 0.9), 0.5), segments);
            if rng.chance(0.5) {
                let dark = Surface::plain(Vec3::new(0.05, 0.025, 0.02), 0.2, rng);
                let spot = builder.part(dark, Group::Prop);
                builder.ellipsoid(
                    spot,
                    Vec3::new(rng.normal() * 0.2, rng.normal() * 0.2, 0.48),
                    turn,
                    Vec3::new(0.05, 0.06, 0.03),
                    9,
                );
            }
        }
    }
}

/// A forearm that ends in a hand at the origin; the hand points along the turn's y.
fn forearm(builder: &mut Builder<'_>, rng: &mut Rng, flesh: &Flesh, at: Vec3, turn: Mat3, left: bool) {
    let wrist = at - turn * Vec3::Y * 0.35;
    let (long, bow) = (rng.f(0.5, 1.8), rng.normal() * 0.1);
    let back = turn * Vec3::new(bow, -1.0, rng.normal() * 0.15);
    let arm = |t: f32, loose: f32| {
        let wide = 0.125 + 0.075 * (t * 2.2).min(1.0) - 0.02 * t + loose;
        (wrist + back * (t * long), wide, wide * 0.86)
    };
    let part = builder.part(flesh.skin.clone(), Group::Prop);
    let around = builder.segments(0.8, 8, 26);
    let stations: Vec<_> = (0..7).map(|i| arm(i as f32 / 6.0, 0.0)).collect();
    builder.tube(part, around, turn * Vec3::X, &stations);
    if let Some(cloth) = &flesh.cloth {
        let part = builder.part(cloth.clone(), Group::Prop);
        let from = rng.f(0.02, 0.6);
        let stations: Vec<_> = (0..5).map(|i| arm(from + (1.03 - from) * i as f32 / 4.0, 0.05)).collect();
        builder.tube(part, around, turn * Vec3::X, &stations);
    }
    let curl: [f32; 5];
    let mut spread = rng.f(0.2, 1.0);
    match rng.weighted(&[0.28, 0.3, 0.14, 0.2, 0.08]) {
        0 => curl = [rng.f(0.0, 0.3); 5],
        1 => (curl, spread) = ([1.0, 1.0, 1.0, 1.0, 0.9], 0.1),
        2 => (curl, spread) = ([0.0, 0.95, 1.0, 1.0, rng.f(0.1, 0.9)], 0.2),
        3 => {
            (curl, spread) = ([rng.f(0.45, 0.7); 5], 0.3);
            held(builder, rng, at + turn * Vec3::new(0.0, 0.18, 0.22), turn);
        }
        _ => curl = std::array::from_fn(|_| rng.f(0.0, 1.0)),
    }
    hand(builder, flesh, wrist, turn, curl, spread, left);
}

fn held(builder: &mut Builder<'_>, rng: &mut Rng, at: Vec3, turn: Mat3) {
    let tone = Surface::tone(rng);
    let material = match rng.weighted(&[0.4, 0.3, 0.3]) {
        0 => Surface::plain(Vec3::splat(rng.f(0.005, 0.05)), 1.8, rng),
        1 => Surface::of(Kind::Label(-0.3, 0.3), [tone, Surface::tone(rng), Surface::tone(rng)], 1.2, rng),
        _ => Surface::plain(tone, 0.8, rng),
    };
    let part = builder.part(material, Group::Prop);
    match rng.i(0, 3) {
        0 => builder.block(part, at, turn * Mat3::from_rotation_z(0.3), Vec3::new(0.17, 0.34, 0.02)),
        1 => builder.lathe(
            part,
            at,
            turn * Mat3::from_rotation_z(0.5 * PI),
            &[(0.35, 0.0), (0.33, 0.17), (-0.33, 0.15), (-0.35, 0.0)],
            1.0,
        ),
        2 => builder.ellipsoid(part, at, turn, Vec3::splat(rng.f(0.14, 0.3)), 18),
        _ => builder.rod(part, at - turn * Vec3::X * 0.9, at + turn * Vec3::X * 0.9, rng.f(0.02, 0.08)),
    }
}

/// A hand: palm towards +z of the turn, fingers along y. `curl` of the index finger to the little one, then the thumb.
fn hand(builder: &mut Builder<'_>, flesh: &Flesh, wrist: Vec3, turn: Mat3, curl: [f32; 5], spread: f32, left: bool) {
    let mirror = if left { -1.0 } else { 1.0 };
    let place = |x: f32, y: f32, z: f32| wrist + turn * Vec3::new(x * mirror, y, z);
    let part = builder.part(flesh.skin.clone(), Group::Prop);
    let nail = builder.part(flesh.nail.clone(), Group::Prop);
    let around = builder.segments(0.8, 8, 22);
    let palm = [(-0.02, 0.12, 0.09), (0.06, 0.135, 0.095), (0.16, 0.17, 0.1), (0.27, 0.19, 0.09), (0.37, 0.185, 0.07)];
    let stations: Vec<_> = palm.map(|(y, a, b)| (place(0.0, y, 0.0), a, b)).to_vec();
    builder.tube(part, around, turn * Vec3::X, &stations);
    builder.ellipsoid(part, place(0.11, 0.13, 0.05), turn, Vec3::new(0.08, 0.14, 0.075), 12);
    let thin = builder.segments(0.3, 6, 14);
    for (finger, bend) in curl.into_iter().enumerate() {
        let thumb = finger == 4;
        let (x, long, thick) =
            [(0.14, 0.95, 0.05), (0.047, 1.05, 0.052), (-0.047, 0.98, 0.05), (-0.135, 0.78, 0.043), (0.15, 0.9, 0.058)]
                [finger];
        let (mut at, mut angle) =
            (Vec3::new(x, if thumb { 0.09 } else { 0.37 - 0.25 * x * x }, 0.01), if thumb { 0.25 } else { 0.1 });
        let fan = if thumb { 0.35 + 0.5 * spread * (1.0 - bend) } else { x * 1.6 * spread * (1.0 - bend) };
        let mut stations = vec![(place(at.x, at.y, at.z), thick * 1.1, thick * 1.05)];
        let mut direction = Vec3::Y;
        for joint in 0..3 {
            angle += bend * if thumb { [0.3, 0.7, 0.9][joint] } else { [1.45, 1.6, 0.95][joint] };
            direction = Vec3::new(angle.cos() * fan.sin(), angle.cos() * fan.cos(), angle.sin());
            if thumb {
                // A thumb folds across the palm rather than onto it.
                direction =
                    Vec3::new(fan.sin() - 1.2 * bend * joint as f32 * 0.5, fan.cos(), 0.3 + 0.4 * bend).normalize();
            }
            let length = [0.17, 0.11, 0.085][joint] * long;
            let (middle, end) = (at + direction * (0.5 * length), at + direction * length);
            let taper = 1.0 - 0.1 * joint as f32;
            stations.push((place(middle.x, middle.y, middle.z), thick * 0.93 * taper, thick * 0.9 * taper));
            stations.push((place(end.x, end.y, end.z), thick * taper, thick * 0.98 * taper));
            at = end;
        }
        builder.tube(part, thin, turn * Vec3::X * mirror, &stations);
        if builder.view.unit > 40.0 {
            let across = Vec3::X;
            let up = across.cross(direction).normalize_or(Vec3::Z);
            let axes = turn * Mat3::from_cols(across * mirror, direction, -up);
            let tip = at - direction * 0.03 - up * (thick * 0.55);
            builder.ellipsoid(nail, place(tip.x, tip.y, tip.z), axes, Vec3::new(thick * 0.6, 0.045, thick * 0.35), 9);
        }
    }
}

fn elbow(builder: &mut Builder<'_>, rng: &mut Rng, flesh: &Flesh) {
    let turn = Mat3::from_rotation_z(rng.f(0.0, TAU)) * Mat3::from_rotation_x(rng.f(-0.6, 0.9));
    let bend = rng.f(0.3, 2.2);
    bent(builder, rng, flesh, turn, bend, (0.19, 0.18, 0.16), 1.2);
}

/// A joint from outside: two tubes that meet in a knob.
fn bent(
    builder: &mut Builder<'_>,
    rng: &mut Rng,
    flesh: &Flesh,
    turn: Mat3,
    bend: f32,
    (upper, joint, lower): (f32, f32, f32),
    long: f32,
) {
    let (a, b) = (turn * Vec3::new(0.0, 1.0, -0.4), turn * Vec3::new(bend.sin(), -bend.cos(), -0.35));
    let part = builder.part(flesh.skin.clone(), Group::Prop);
    let around = builder.segments(joint * 6.0, 10, 30);
    let mut stations: Vec<_> = (0..5)
        .map(|i| i as f32 / 4.0)
        .map(|t| (a * (long * (1.0 - t)), upper + (joint - upper) * t * t, upper + (joint - upper) * t * t))
        .collect();
    for i in 1..=5 {
        let t = i as f32 / 5.0;
        let swell = joint + (lower - joint) * t + 0.15 * lower * (t * PI).sin();
        stations.push((b * (long * t), swell, swell));
    }
    builder.tube(part, around, turn * Vec3::Z, &stations);
    let knob = (a + b).normalize_or(Vec3::NEG_Z) * -0.22 * joint + turn * Vec3::Z * (0.12 * joint);
    builder.ellipsoid(part, knob, turn, Vec3::new(joint * 0.78, joint * 0.9, joint * 0.85), around.max(12));
    if let Some(cloth) = flesh.cloth.as_ref().filter(|_| rng.chance(0.6)) {
        let part = builder.part(cloth.clone(), Group::Prop);
        let stations: Vec<_> =
            [1.05, 0.8, rng.f(0.3, 0.6)].map(|t| (a * (long * t), upper * 1.3, upper * 1.3)).to_vec();
        builder.tube(part, around, turn * Vec3::Z, &stations);
    }
}

/// One knee or two, from the front: seated people's knees look at the viewer.
fn knees(builder: &mut Builder<'_>, rng: &mut Rng, flesh: &Flesh) {
    let seated = rng.chance(0.6);
    let apart = rng.f(0.28, 0.7);
    let sides: &[f32] = if rng.chance(0.75) { &[-1.0, 1.0] } else { &[0.0] };
    let around = builder.segments(1.4, 12, 34);
    for &side in sides {
        let part = builder.part(flesh.skin.clone(), Group::Prop);
        let knee = Vec3::new(side * apart, rng.normal() * 0.04, 0.0);
        let hip = knee + if seated { Vec3::new(-side * 0.15, 0.35, -1.5) } else { Vec3::new(0.0, 1.7, -0.05) };
        let ankle = knee + Vec3::new(side * 0.05 + rng.normal() * 0.1, -1.7, if seated { -0.25 } else { -0.1 });
        let r = rng.f(0.21, 0.27);
        let stations = [
            (hip, r * 1.5, r * 1.45),
            (hip.lerp(knee, 0.5), r * 1.3, r * 1.3),
            (hip.lerp(knee, 0.85), r * 1.06, r * 1.05),
            (knee, r, r),
            (knee.lerp(ankle, 0.15), r * 0.88, r * 0.92),
            (knee.lerp(ankle, 0.4), r * 0.95, r),
            (knee.lerp(ankle, 0.75), r * 0.6, r * 0.62),
            (ankle, r * 0.45, r * 0.5),
        ];
        builder.tube(part, around, Vec3::X, &stations);
        builder.ellipsoid(
            part,
            knee + Vec3::new(0.0, -0.02, r * 0.3),
            Mat3::IDENTITY,
            Vec3::new(r * 0.68, r * 0.9, r * 0.74),
            around,
        );
        if let Some(cloth) = &flesh.cloth {
            let part = builder.part(cloth.clone(), Group::Prop);
            let hem = if rng.chance(0.3) { 1.02 } else { rng.f(0.35, 0.85) };
            let stations: Vec<_> = (0..4)
                .map(|i| hem * i as f32 / 3.0)
                .map(|t| (hip.lerp(knee, t), r * (1.75 - 0.4 * t), r * (1.7 - 0.4 * t)))
                .collect();
            builder.tube(part, around, Vec3::X, &stations);
        }
    }
}

fn feet(builder: &mut Builder<'_>, rng: &mut Rng, flesh: &Flesh) {
    let sole = rng.chance(0.3);
    let turn = Mat3::from_rotation_z(rng.normal() * 0.5)
        * Mat3::from_rotation_y(rng.normal() * 0.9)
        * Mat3::from_rotation_x(if sole { rng.f(-1.6, -1.0) } else { rng.f(0.0, 0.7) });
    for side in [-1.0, 1.0].into_iter().take(if rng.chance(0.6) { 2 } else { 1 }) {
        let part = builder.part(flesh.skin.clone(), Group::Prop);
        let nail = builder.part(flesh.nail.clone(), Group::Prop);
        let place = |x: f32, y: f32, z: f32| turn * Vec3::new(side * (0.3 + x), y, z);
        let around = builder.segments(1.0, 10, 26);
        let stations = [
            (place(0.0, 0.12, -0.42), 0.1, 0.1),
            (place(0.0, 0.1, -0.3), 0.13, 0.15),
            (place(0.0, 0.1, -0.05), 0.13, 0.14),
            (place(0.0, 0.06, 0.25), 0.17, 0.1),
            (place(0.01, 0.03, 0.45), 0.19, 0.07),
            (place(0.01, 0.02, 0.53), 0.17, 0.05),
        ];
        builder.tube(part, around, turn * Vec3::X, &stations);
        for toe in 0..5 {
            let t = toe as f32;
            let r = if toe == 0 { 0.06 } else { 0.042 - 0.003 * t };
            let at = place(-0.13 + 0.074 * t, 0.02, 0.61 - 0.045 * t * (0.4 + 0.25 * t * 0.5));
            builder.ellipsoid(part, at, turn, Vec3::new(r, r * 0.85, r * 1.6), 10);
            builder.ellipsoid(
                nail,
                at + turn * Vec3::new(0.0, r * 0.55, r * 0.8),
                turn,
                Vec3::new(r * 0.6, r * 0.3, r * 0.6),
                8,
            );
        }
        let shin = [
            (place(0.0, 1.3, -0.3), 0.2, 0.21),
            (place(0.0, 0.7, -0.28), 0.16, 0.17),
            (place(0.0, 0.3, -0.26), 0.115, 0.12),
            (place(0.0, 0.12, -0.24), 0.12, 0.13),
        ];
        builder.tube(part, around, turn * Vec3::X, &shin);
        if let Some(cloth) = &flesh.cloth {
            let part = builder.part(cloth.clone(), Group::Prop);
            let hem = rng.f(0.35, 0.9);
            let stations: Vec<_> = [1.35, 1.0, hem].map(|y| (place(0.0, y, -0.28), 0.26, 0.27)).to_vec();
            builder.tube(part, around, turn * Vec3::X, &stations);
        }
    }
}

/// A body whose head is out of the picture or turned away, often bare; the triangles are its owner's. Returns its
/// face's, for a wide lens may bring it back in.
pub(crate) fn body(geometry: &mut Geometry, rng: &mut Rng, view: View, owner: u32, away: bool) -> Vec<u32> {
    let habits = Habits::draw(rng);
    let look = Look::draw(rng, &habits);
    let mut pose = Pose::draw(rng, 1.0);
    if away {
        pose.body_yaw = PI + rng.normal() * 0.25;
        pose.head_yaw = PI + rng.normal() * 0.25;
    }
    let skin = Material::Skin { colour: look.face.skin, shade: 0.0, seed: rng.seed() };
    let bare = rng.chance(0.6);
    let person = Person { look, pose, view, haze: 0.0 };
    let first = geometry.parts.len();
    let face = body::build(geometry, &person, owner).face;
    if !bare {
        return face;
    }
    // The first cloth after the head is the torso's; sleeves and collars go with it.
    let top = person.look.top.seed;
    for part in &mut geometry.parts[first..] {
        if matches!(&part.material, Material::Cloth(cloth) if cloth.seed == top) {
            part.material = skin.clone();
        }
    }
    let mut builder = Builder { geometry, view, owner, haze: 0.0 };
    let dark = builder.part(
        Material::Skin { colour: person.look.face.skin * Vec3::new(0.5, 0.36, 0.34), shade: 0.0, seed: 1 },
        Group::Body,
    );
    let frame = body::body_frame(&person);
    for (x, y, z, r) in [(-0.36, -1.42, 0.37, 0.055), (0.36, -1.42, 0.37, 0.055), (0.0, -2.45, 0.36, 0.045)] {
        let wide = person.look.build;
        builder.ellipsoid(dark, frame * Vec3::new(x * wide, y, z * wide), frame, Vec3::new(r, r, 0.05), 9);
    }
    face
}
