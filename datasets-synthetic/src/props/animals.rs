//! Dogs, cats, birds, horses and cows. One unit is a metre; the origin is on the ground, the animal looks along z.
//! Knows nothing of where they stand.

use std::f32::consts::PI;

use glam::{Mat3, Vec3};

use super::surface::{Kind, Surface};
use crate::body::Builder;
use crate::math::{Rng, rgb};
use crate::raster::Group;

/// The proportions of a kind of four-legged animal, in shares of its shoulder's height.
struct Build {
    height: (f32, f32),
    length: f32,
    girth: f32,
    leg: f32,
    neck: f32,
    rise: f32,
    head: f32,
    snout: (f32, f32),
    ears: (f32, f32, f32),
    tail: f32,
}

const DOG: Build = Build {
    height: (0.28, 0.68),
    length: 1.05,
    girth: 0.21,
    leg: 0.072,
    neck: 0.28,
    rise: 0.8,
    head: 0.2,
    snout: (0.2, 0.1),
    ears: (0.15, 0.075, 0.5),
    tail: 0.55,
};
const CAT: Build = Build {
    height: (0.23, 0.28),
    length: 1.25,
    girth: 0.24,
    leg: 0.075,
    neck: 0.2,
    rise: 0.6,
    head: 0.27,
    snout: (0.05, 0.12),
    ears: (0.16, 0.09, 0.1),
    tail: 1.0,
};
const HORSE: Build = Build {
    height: (1.3, 1.65),
    length: 0.95,
    girth: 0.2,
    leg: 0.06,
    neck: 0.5,
    rise: 0.9,
    head: 0.14,
    snout: (0.27, 0.085),
    ears: (0.08, 0.03, 0.2),
    tail: 0.5,
};
const COW: Build = Build {
    height: (1.25, 1.45),
    length: 1.15,
    girth: 0.26,
    leg: 0.06,
    neck: 0.3,
    rise: 0.25,
    head: 0.16,
    snout: (0.2, 0.11),
    ears: (0.11, 0.05, 1.3),
    tail: 0.6,
};

#[derive(Clone, Copy, PartialEq)]
enum Pose {
    Stand,
    Sit,
    Lie,
}

/// Adds an animal that heads `turn` * z; `gait` is its step's phase in radians while it walks.
pub(crate) fn add(builder: &mut Builder<'_>, rng: &mut Rng, turn: Mat3, gait: Option<f32>) {
    let kind = if gait.is_some() { rng.weighted(&[0.8, 0.2]) } else { rng.weighted(&[0.42, 0.28, 0.22, 0.04, 0.04]) };
    match kind {
        0 => beast(builder, rng, turn, gait, &DOG),
        1 => beast(builder, rng, turn, gait, &CAT),
        2 => bird(builder, rng, turn),
        3 => beast(builder, rng, turn, gait, &HORSE),
        _ => beast(builder, rng, turn, gait, &COW),
    }
}

fn coat(rng: &mut Rng, build: &Build) -> [Vec3; 3] {
    const TONES: [[u8; 3]; 9] = [
        [30, 26, 24],
        [60, 42, 32],
        [105, 72, 46],
        [160, 118, 75],
        [200, 165, 120],
        [225, 215, 200],
        [110, 108, 106],
        [150, 85, 45],
        [236, 232, 226],
    ];
    let tone = |rng: &mut Rng| {
        let [r, g, b] = rng.pick(&TONES);
        rgb(r, g, b) * rng.f(0.7, 1.25)
    };
    let main = tone(rng);
    let second = if rng.chance(0.45) { tone(rng) } else { main * 0.9 };
    [main, if build.height.0 > 1.0 && rng.chance(0.5) { Vec3::splat(0.75) } else { second }, main * 0.3]
}

fn beast(builder: &mut Builder<'_>, rng: &mut Rng, turn: Mat3, gait: Option<f32>, build: &Build) {
    let tall = rng.f(build.height.0, build.height.1);
    let small = build.height.0 < 1.0;
    let pose = match gait {
        None if small => [Pose::Stand, Pose::Sit, Pose::Lie][rng.weighted(&[0.45, 0.3, 0.25])],
        _ => Pose::Stand,
    };
    let step = match gait {
        Some(phase) => Some(phase),
        None => rng.chance(0.5).then(|| rng.f(0.0, 2.0 * PI)),
    };
    let colours = coat(rng, build);
    let striped = if std::ptr::eq(build, &CAT) && rng.chance(0.5) { 0.8 } else { 0.0 };
    let material = Surface::of(Kind::Coat(rng.f(0.42, 0.9), striped), colours, 0.15, rng);
    let fur = builder.part(material, Group::Prop);
    let plump = rng.f(0.85, 1.3);
    let place = |p: Vec3| turn * (p * tall);
    let g = build.girth * plump;
    let half = 0.5 * build.length;
    // Hip, middle and chest of the trunk.
    let (hip, chest) = match pose {
        Pose::Stand => (Vec3::new(0.0, 0.86, -half + g), Vec3::new(0.0, 0.84, half - g)),
        Pose::Sit => (Vec3::new(0.0, 0.3, -0.3 * build.length), Vec3::new(0.0, 0.82, 0.1 * build.length)),
        Pose::Lie => (Vec3::new(0.0, 0.24, -half + g), Vec3::new(0.0, 0.32, half - g)),
    };
    let along = (chest - hip).normalize_or(Vec3::Z);
    let trunk = [
        (hip - along * g * 0.9, g * 0.55, g * 0.6),
        (hip, g * 0.95, g),
        (hip.lerp(chest, 0.4), g * 0.9, g * if small { 0.85 } else { 1.1 }),
        (hip.lerp(chest, 0.75), g, g * 1.15),
        (chest, g * 0.95, g * 1.2),
        (chest + along * g * 0.8, g * 0.6, g * 0.7),
    ];
    let around = builder.segments(tall * 1.2, 10, 30);
    let stations = trunk.map(|(p, a, b)| (place(p), a * tall, b * tall));
    builder.tube(fur, around, turn * Vec3::X, &stations);
    legs(builder, fur, turn, tall, build, pose, step, hip, chest, g);
    // Neck and head, which may look aside.
    let rise = if small { build.rise } else { rng.pick(&[build.rise, build.rise, -0.7]) };
    let lift = Vec3::new(0.0, rise.sin(), rise.cos());
    let root = chest + along * g * 0.5 + Vec3::new(0.0, 0.35 * g, 0.0);
    let poll = root + lift * (build.neck + 0.35 * build.head);
    let thick = build.head * if small { 0.72 } else { 0.8 };
    builder.tube(
        fur,
        around,
        turn * Vec3::X,
        &[
            (place(root - lift * g * 0.5), g * 0.7 * tall, g * 0.8 * tall),
            (place(root.lerp(poll, 0.6)), thick * tall, thick * 1.2 * tall),
            (place(poll), thick * 0.85 * tall, thick * 0.9 * tall),
        ],
    );
    let nod = if rise < 0.0 { 0.9 } else { rng.normal() * 0.2 + if small { 0.05 } else { 0.5 } };
    let head = Head { at: poll, turn: Mat3::from_rotation_y(rng.normal() * 0.5) * Mat3::from_rotation_x(nod), tall };
    muzzle(builder, rng, fur, turn, build, &head, colours);
    let tail = hip - along * g * 1.1 + Vec3::new(0.0, 0.3 * g, 0.0);
    let wag = rng.normal() * 0.3;
    let fall = if small && pose == Pose::Stand { rng.f(-0.5, 0.9) } else { -0.8 };
    let stations: Vec<_> = (0..5)
        .map(|i| i as f32 / 4.0)
        .map(|t| {
            let p = tail
                + Vec3::new(wag * t, (fall * t - 0.3 * t * t) * if pose == Pose::Stand { 1.0 } else { 0.25 }, -0.5 * t)
                    * build.tail;
            (place(p.max(Vec3::new(-9.0, 0.03, -9.0))), build.leg * 0.55 * tall, build.leg * 0.55 * tall)
        })
        .collect();
    builder.tube(fur, 8, turn * Vec3::X, &stations);
    if rng.chance(0.4) && std::ptr::eq(build, &DOG) {
        let collar = Surface::plain(rng.colour((0.5, 1.0), (0.3, 0.9)), 0.8, rng);
        let part = builder.part(collar, Group::Prop);
        let (a, b) = (root.lerp(poll, 0.45), root.lerp(poll, 0.6));
        builder.tube(
            part,
            around,
            turn * Vec3::X,
            &[
                (place(a), thick * 1.15 * tall, thick * 1.32 * tall),
                (place(b), thick * 1.1 * tall, thick * 1.28 * tall),
            ],
        );
    }
}

#[allow(clippy::too_many_arguments)]
fn legs(
    builder: &mut Builder<'_>,
    fur: u32,
    turn: Mat3,
    tall: f32,
    build: &Build,
    pose: Pose,
    step: Option<f32>,
    hip: Vec3,
    chest: Vec3,
    g: f32,
) {
    let around = builder.segments(tall * 0.5, 6, 16);
    for (index, (fore, side)) in [(true, -1.0), (false, 1.0), (true, 1.0), (false, -1.0)].into_iter().enumerate() {
        let root = if fore { chest } else { hip } + Vec3::new(side * g * 0.62, -0.2 * g, 0.0);
        let phase = step.map(|s| s + PI * (index / 2) as f32);
        let (swing, lift) = phase.map_or((0.0, 0.0), |s| (0.22 * s.sin(), 0.1 * s.cos().max(0.0)));
        let (knee, foot) = match (pose, fore) {
            (Pose::Stand, _) => {
                let foot = Vec3::new(root.x, lift, root.z + swing);
                (root.lerp(foot, 0.5) + Vec3::new(0.0, 0.0, if fore { 0.03 } else { -0.07 } + 0.3 * lift), foot)
            }
            (Pose::Sit, true) => {
                (root.lerp(Vec3::new(root.x, 0.0, root.z + 0.05), 0.5), Vec3::new(root.x, 0.0, root.z + 0.06))
            }
            (Pose::Sit, false) => {
                (Vec3::new(side * g * 1.1, 0.32, root.z + 0.4), Vec3::new(side * g * 1.1, 0.02, root.z + 0.3))
            }
            (Pose::Lie, true) => (Vec3::new(root.x, 0.08, root.z + 0.12), Vec3::new(root.x, 0.05, root.z + 0.5)),
            (Pose::Lie, false) => {
                (Vec3::new(side * g * 1.15, 0.16, root.z + 0.25), Vec3::new(side * g * 1.2, 0.05, root.z + 0.3))
            }
        };
        let r = build.leg * tall;
        let p = |v: Vec3| turn * (v * tall);
        let stations = [
            (p(root), r * 1.9, r * 2.1),
            (p(root.lerp(knee, 0.6)), r * 1.3, r * 1.4),
            (p(knee), r, r),
            (p(knee.lerp(foot, 0.6)), r * 0.75, r * 0.75),
            (p(foot + Vec3::Y * 0.04), r * 0.8, r * 0.8),
        ];
        builder.tube(fur, around, turn * Vec3::X, &stations);
        builder.ellipsoid(fur, p(foot + Vec3::new(0.0, 0.035, 0.03)), turn, Vec3::new(r * 0.95, r * 0.6, r * 1.35), 7);
    }
}

struct Head {
    at: Vec3,
    turn: Mat3,
    tall: f32,
}

/// The head: skull, snout, nose, eyes and ears, horns on some.
fn muzzle(
    builder: &mut Builder<'_>,
    rng: &mut Rng,
    fur: u32,
    turn: Mat3,
    build: &Build,
    head: &Head,
    colours: [Vec3; 3],
) {
    let axes = turn * head.turn;
    let (size, tall) = (build.head, head.tall);
    let place = |p: Vec3| turn * (head.at * tall) + axes * (p * tall);
    let around = builder.segments(size * tall * 6.0, 8, 26);
    builder.ellipsoid(fur, place(Vec3::ZERO), axes, Vec3::new(size * 0.8, size * 0.8, size * 0.95) * tall, around);
    let (long, wide) = (build.snout.0 * rng.f(0.6, 1.2), build.snout.1);
    let tip = Vec3::new(0.0, -0.3 * size, size * 0.5 + long);
    let pale = Surface::of(Kind::Coat(0.0, 0.0), [colours[1], colours[1], colours[2]], 0.15, rng);
    let snout = if rng.chance(0.5) { fur } else { builder.part(pale, Group::Prop) };
    builder.tube(
        snout,
        around,
        axes * Vec3::X,
        &[
            (place(Vec3::new(0.0, -0.12 * size, size * 0.3)), wide * 1.3 * tall, wide * 1.2 * tall),
            (place(tip * 0.75), wide * tall, wide * 0.9 * tall),
            (place(tip), wide * 0.8 * tall, wide * 0.7 * tall),
        ],
    );
    let dark = Surface::plain(Vec3::splat(0.006), 2.4, rng);
    let dark = builder.part(dark, Group::Prop);
    builder.ellipsoid(
        dark,
        place(tip + Vec3::new(0.0, 0.35 * wide, 0.3 * wide)),
        axes,
        Vec3::new(0.4, 0.28, 0.3) * wide * tall,
        8,
    );
    for side in [-1.0, 1.0] {
        let eye = Vec3::new(side * size * 0.45, size * 0.22, size * 0.68);
        builder.ellipsoid(dark, place(eye), axes, Vec3::splat(size * 0.15 * tall), 8);
        let (high, broad, flop) = build.ears;
        let flop = if flop > 0.3 && rng.chance(0.5) { flop * 2.4 } else { flop };
        let lean = axes * Mat3::from_rotation_z(-side * (0.35 + flop));
        let root = place(Vec3::new(side * size * 0.6, size * 0.55, -0.1 * size));
        builder.tube(
            fur,
            8,
            lean * Vec3::X,
            &[
                (root, broad * tall, broad * 0.5 * tall),
                (root + lean * Vec3::Y * (0.6 * high * tall), broad * 0.8 * tall, broad * 0.3 * tall),
                (root + lean * Vec3::Y * (high * tall), broad * 0.25 * tall, broad * 0.15 * tall),
            ],
        );
    }
}

fn bird(builder: &mut Builder<'_>, rng: &mut Rng, turn: Mat3) {
    let size = rng.log(0.1, 0.4);
    let tone = rng.pick(&[
        rgb(110, 115, 125),
        rgb(25, 25, 28),
        rgb(225, 225, 225),
        rgb(120, 90, 65),
        rgb(60, 75, 110),
        rgb(190, 60, 50),
        rgb(150, 130, 100),
    ]);
    let wings = tone * rng.f(0.3, 0.9);
    let [body, wing] = [[tone, Surface::tone(rng), tone], [wings; 3]]
        .map(|colours| Surface::of(Kind::Coat(0.6, 0.0), colours, 0.4, rng));
    let [beak, dark] = [rng.pick(&[rgb(220, 160, 50), rgb(60, 55, 50)]), Vec3::splat(0.005)]
        .map(|tone| Surface::plain(tone, 1.0, rng));
    let [body, wing, beak, dark] = [body, wing, beak, dark].map(|material| builder.part(material, Group::Prop));
    let flies = rng.chance(0.2);
    let up = if flies { rng.f(3.0, 9.0) } else { 0.0 };
    let place = |x: f32, y: f32, z: f32| turn * (Vec3::new(x, y + up, z) * size);
    let tilt = turn * Mat3::from_rotation_x(if flies { 0.0 } else { rng.f(-0.6, 0.1) });
    builder.ellipsoid(body, place(0.0, 0.55, 0.0), tilt, Vec3::new(0.25, 0.26, 0.45) * size, 18);
    let head = Vec3::new(0.0, 0.88, 0.38);
    builder.tube(
        body,
        12,
        turn * Vec3::X,
        &[(place(0.0, 0.62, 0.2), 0.2 * size, 0.2 * size), (place(0.0, 0.82, 0.34), 0.13 * size, 0.13 * size)],
    );
    builder.ellipsoid(body, place(head.x, head.y, head.z), turn, Vec3::splat(0.16) * size, 14);
    builder.tube(
        beak,
        8,
        turn * Vec3::X,
        &[
            (place(0.0, 0.87, 0.5), 0.05 * size, 0.05 * size),
            (place(0.0, 0.84, 0.5 + rng.f(0.12, 0.35)), 0.015 * size, 0.015 * size),
        ],
    );
    builder.tube(
        wing,
        8,
        turn * Vec3::X,
        &[(place(0.0, 0.5, -0.3), 0.15 * size, 0.06 * size), (place(0.0, 0.42, -0.85), 0.17 * size, 0.03 * size)],
    );
    for side in [-1.0, 1.0] {
        builder.ellipsoid(dark, place(side * 0.13, 0.91, 0.46), turn, Vec3::splat(0.035) * size, 7);
        if flies {
            let raised = rng.f(-0.3, 0.7);
            builder.sheet(wing, (8, 4), |u, v| {
                let out = (u + 1.0) * 0.5;
                let local = Vec3::new(side * (0.15 + 1.1 * out), 0.6 + raised * out, v * 0.3 * (1.1 - out));
                (place(local.x, local.y, local.z), local)
            });
        } else {
            let lean = tilt * Mat3::from_rotation_y(side * 0.12);
            builder.ellipsoid(wing, place(side * 0.2, 0.57, -0.12), lean, Vec3::new(0.07, 0.2, 0.48) * size, 12);
            builder.rod(beak, place(side * 0.1, 0.35, 0.0), place(side * 0.1, 0.0, 0.03), 0.02 * size);
            builder.rod(beak, place(side * 0.1, 0.02, -0.06), place(side * 0.1, 0.02, 0.18), 0.018 * size);
        }
    }
}
