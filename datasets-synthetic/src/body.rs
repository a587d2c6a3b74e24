//! Turns a person into triangles: torso, limbs and hands here, the head and what it wears in `worn`.
//! Knows nothing of the scene around the person.
//!
//! Person space: origin at the head's middle, y up, unit one head height, z to the viewer at yaw 0.

use std::ops::Range;

use glam::{Mat3, Vec3};

use crate::material::{Cloth, Material, Pattern};
use crate::math::smooth;
use crate::person::{Arm, Legs, Person, View};
use crate::raster::{Geometry, Group, Part, Sheet};
use crate::worn;

/// What must be remembered of a built person to state the truth about them.
pub(crate) struct Built {
    /// Triangles that lie in the region annotators call the face.
    pub(crate) face: Vec<u32>,
    /// All triangles of the person.
    pub(crate) all: Range<u32>,
    /// Cosine between where the face looks and the viewer.
    pub(crate) towards: f32,
}

/// Adds parts of one person.
pub(crate) struct Builder<'a> {
    pub(crate) geometry: &'a mut Geometry,
    pub(crate) view: View,
    pub(crate) owner: u32,
    pub(crate) haze: f32,
}

impl Builder<'_> {
    pub(crate) fn part(&mut self, material: Material, group: Group) -> u32 {
        let (owner, unit, haze) = (self.owner, self.view.unit, self.haze);
        self.geometry.part(Part { material, owner, group, unit, haze })
    }

    /// A count of segments that suits a shape of this many head heights around.
    pub(crate) fn segments(&self, size: f32, low: usize, high: usize) -> usize {
        ((size * self.view.unit * 0.35) as usize).clamp(low, high)
    }

    /// A tube through stations of (centre, half width, half depth); `across` is the width's direction. Ends are closed.
    pub(crate) fn tube(&mut self, part: u32, around: usize, across: Vec3, stations: &[(Vec3, f32, f32)]) {
        let view = self.view;
        let count = stations.len();
        let tangent = |i: usize| {
            let (a, b) = (stations[i.saturating_sub(1)].0, stations[(i + 1).min(count - 1)].0);
            (b - a).normalize_or(Vec3::NEG_Y)
        };
        let mut lengths = Vec::with_capacity(count);
        let mut length = 0.0;
        for i in 0..count {
            length += if i > 0 { stations[i].0.distance(stations[i - 1].0) } else { 0.0 };
            lengths.push(length);
        }
        self.geometry.grid(part, around, count + 2, Sheet::Solid, |i, j| {
            let at = j.saturating_sub(1).min(count - 1);
            let (mut centre, mut a, mut b) = stations[at];
            let along = tangent(at);
            if j == 0 {
                centre -= along * (a.min(b) * 0.45);
                (a, b) = (a * 0.02, b * 0.02);
            } else if j == count + 1 {
                centre += along * (a.min(b) * 0.45);
                (a, b) = (a * 0.02, b * 0.02);
            }
            let side = (across - along * across.dot(along)).normalize_or(Vec3::X);
            let up = side.cross(along);
            let (sin, cos) = (std::f32::consts::TAU * i as f32 / around as f32).sin_cos();
            let offset = side * (cos * a) - up * (sin * b);
            (view.project(centre + offset), Vec3::new(cos * stations[at].1, -lengths[at], sin * stations[at].2))
        });
    }

    pub(crate) fn ellipsoid(&mut self, part: u32, centre: Vec3, axes: Mat3, radii: Vec3, segments: usize) {
        let view = self.view;
        let rings = (segments * 2 / 3).max(5);
        self.geometry.grid(part, segments, rings, Sheet::Solid, |i, j| {
            let (sin_lon, cos_lon) = (std::f32::consts::TAU * i as f32 / segments as f32).sin_cos();
            let (sin_lat, cos_lat) = (std::f32::consts::PI * (0.5 - j as f32 / (rings - 1) as f32)).sin_cos();
            let unit = Vec3::new(cos_lat * sin_lon, sin_lat, cos_lat * cos_lon);
            (view.project(centre + axes * (unit * radii)), unit * radii)
        });
    }
}

/// Two-bone reach: the elbow for a limb from `root` to `target`, bent towards `pole`; and the reached end.
fn reach(root: Vec3, target: Vec3, upper: f32, lower: f32, pole: Vec3) -> (Vec3, Vec3) {
    let line = target - root;
    let distance = line.length().clamp(0.25 * (upper + lower), 0.995 * (upper + lower));
    let direction = line.normalize_or(Vec3::NEG_Y);
    let along = (upper * upper - lower * lower + distance * distance) / (2.0 * distance);
    let out = (upper * upper - along * along).max(0.0).sqrt();
    let bend = (pole - direction * pole.dot(direction)).normalize_or(Vec3::Z);
    (root + direction * along + bend * out, root + direction * distance)
}

/// Builds the whole person.
pub(crate) fn build(geometry: &mut Geometry, person: &Person, owner: u32) -> Built {
    let first = geometry.triangles.len() as u32;
    let mut builder = Builder { geometry, view: person.view, owner, haze: person.haze };
    let (face, towards) = worn::head(&mut builder, person);
    torso(&mut builder, person);
    for side in [-1.0, 1.0] {
        arm(&mut builder, person, side);
        leg(&mut builder, person, side);
    }
    Built { face, all: first..geometry.triangles.len() as u32, towards }
}

/// The body's own frame: leaning, then turned.
pub(crate) fn body_frame(person: &Person) -> Mat3 {
    Mat3::from_rotation_y(person.pose.body_yaw) * Mat3::from_rotation_x(person.pose.lean)
}

/// Vertical stretch from an adult's proportions to this person's.
fn stature(person: &Person) -> f32 {
    (person.look.heads - 1.0) / 6.4
}

fn torso(builder: &mut Builder<'_>, person: &Person) {
    let (look, frame, tall) = (&person.look, body_frame(person), stature(person));
    let wide = look.build * (0.25 + 0.75 * tall);
    let coat = if look.coat { 0.07 } else { 0.0 };
    let bottom = if look.coat { -4.1 } else { -3.2 };
    // y, half width, half depth, z
    let rows: [(f32, f32, f32, f32); 13] = [
        (-0.56, 0.21, 0.22, -0.09),
        (-0.66, 0.27, 0.25, -0.1),
        (-0.76, 0.48, 0.29, -0.11),
        (-0.86, 0.68, 0.32, -0.1),
        (-0.98, 0.8, 0.35, -0.08),
        (-1.15, 0.84, 0.39, -0.05),
        (-1.4, 0.78, 0.42, -0.02),
        (-1.75, 0.7, 0.43, 0.0),
        (-2.2, 0.6, 0.38, -0.02),
        (-2.55, 0.62, 0.4, -0.03),
        (-2.9, 0.68, 0.43, -0.05),
        (bottom, 0.67, 0.43, -0.05),
        (bottom - 0.05, 0.6, 0.38, -0.05),
    ];
    let deep = 1.0 + (look.build - 1.0) * 1.6;
    let place = |y: f32| -0.5 + (y + 0.5) * if y < -0.9 { tall } else { 1.0 };
    let mut cloth = look.top.clone();
    if look.neckline > 0.0 {
        cloth.neckline = Some((look.face.skin, look.neckline));
    }
    let part = builder.part(Material::Cloth(cloth), Group::Body);
    let around = builder.segments(2.2, 12, 48);
    let view = builder.view;
    builder.geometry.grid(part, around, rows.len(), Sheet::Solid, |i, j| {
        let (y, a, b, z) = rows[j];
        let angle = std::f32::consts::TAU * i as f32 / around as f32;
        let (sin, cos) = angle.sin_cos();
        // A rounded box rather than an ellipse.
        let round = (cos.abs().powf(2.6) + sin.abs().powf(2.6)).powf(-1.0 / 2.6);
        let shoulder = smooth(-0.7, -1.0, y);
        let a = a * (1.0 + (wide - 1.0) * shoulder) + coat * shoulder;
        let b = b * (1.0 + (wide * deep - 1.0) * shoulder) + coat * shoulder;
        let p = Vec3::new(cos * round * a, place(y), sin * round * b + z);
        (view.project(frame * p), Vec3::new(p.x, y, p.z))
    });
    if look.collar {
        let mut cloth = look.top.clone();
        cloth.colour = if look.coat { cloth.second } else { cloth.colour * 1.15 };
        cloth.pattern = Pattern::Plain;
        let part = builder.part(Material::Cloth(cloth), Group::Body);
        let stations = [(-0.5, 0.26), (-0.58, 0.29), (-0.7, 0.36)];
        let stations = stations.map(|(y, r)| (frame * Vec3::new(0.0, y, -0.1 + (y + 0.5) * 0.1), r, r));
        builder.tube(part, builder.segments(0.8, 8, 24), frame * Vec3::X, &stations);
    }
    if look.skirt && !look.coat {
        let part = builder.part(Material::Cloth(look.bottom.clone()), Group::Body);
        let stations = [(-2.6, 0.6), (-3.0, 0.72), (-3.8, 0.85), (-4.6, 0.95)];
        let stations = stations.map(|(y, r)| (frame * Vec3::new(0.0, place(y), -0.04), r * wide, r * wide * 0.75));
        builder.tube(part, around, frame * Vec3::X, &stations);
    }
    if let Some(colour) = look.bag {
        let material = Material::Cloth(Cloth { colour, pattern: Pattern::Plain, ..look.bottom.clone() });
        let part = builder.part(material, Group::Body);
        let centre = frame * Vec3::new(0.0, place(-1.7), -0.62 * wide);
        builder.ellipsoid(part, centre, frame, Vec3::new(0.55, 0.75 * tall, 0.28), 14);
    }
}

fn arm(builder: &mut Builder<'_>, person: &Person, side: f32) {
    let (look, frame, tall) = (&person.look, body_frame(person), stature(person));
    let wide = look.build * (0.25 + 0.75 * tall);
    let slot = usize::from(side > 0.0);
    let shoulder = Vec3::new(side * 0.72 * wide, -0.5 - 0.5 * tall, -0.07);
    let outward = Vec3::new(side * 0.7, -0.4, -0.7);
    let (target, pole) = match person.pose.arms[slot] {
        Arm::Down => (Vec3::new(side * 0.98 * wide, -0.5 - 2.75 * tall, 0.1), outward),
        Arm::Swing(s) => (Vec3::new(side * 0.95 * wide, -0.5 - 2.45 * tall, 0.9 * s), Vec3::new(side * 0.3, 0.0, -1.0)),
        Arm::Crossed => (Vec3::new(-side * 0.35, -0.5 - (1.2 + 0.1 * side) * tall, 0.62), Vec3::new(side, -0.8, 0.0)),
        Arm::Hip => (Vec3::new(side * 0.72 * wide, -0.5 - 2.0 * tall, 0.15), Vec3::new(side, 0.0, -0.4)),
        Arm::Wave => (Vec3::new(side * 1.15, 0.25, 0.4), Vec3::new(side, -0.7, 0.0)),
        Arm::Raised => (Vec3::new(side * 0.8, 1.0, 0.1), Vec3::new(side, 0.0, 0.2)),
        Arm::Face => (Vec3::new(side * 0.22, -0.72, 0.55), Vec3::new(side * 0.6, -1.0, 0.0)),
        Arm::Ear => (Vec3::new(side * 0.5, -0.42, 0.18), Vec3::new(side, -0.7, 0.0)),
        Arm::Forward => (Vec3::new(side * 0.3, -0.5 - 0.95 * tall, 1.25), Vec3::new(side * 0.5, -1.0, 0.0)),
        Arm::Lap => (Vec3::new(side * 0.2, -0.5 - 2.0 * tall, 0.75), Vec3::new(side, -0.3, -0.4)),
    };
    let (upper, lower) = (1.27 * tall, 1.1 * tall);
    let (elbow, wrist) = reach(shoulder, target, upper, lower, pole);
    let [shoulder, elbow, wrist] = [shoulder, elbow, wrist].map(|p| frame * p);
    let thick = 0.35 + 0.65 * look.build * tall;
    let hand_skin = if look.gloves {
        Material::Cloth(Cloth { pattern: Pattern::Plain, ..look.bottom.clone() })
    } else {
        Material::Skin { colour: look.face.skin, shade: 0.0, seed: look.face.seed }
    };
    let around = builder.segments(0.6, 6, 20);
    let across = frame * Vec3::new(0.3, 0.2, 1.0);
    let radius = |t: f32| match t {
        t if t < 0.5 => 0.225 - 0.16 * t,
        t => 0.16 - 0.11 * (t - 0.5),
    };
    let at = |t: f32| if t < 0.5 { shoulder.lerp(elbow, t * 2.0) } else { elbow.lerp(wrist, t * 2.0 - 1.0) };
    let stations = |from: f32, to: f32, loose: f32| -> Vec<(Vec3, f32, f32)> {
        (0..7)
            .map(|i| {
                let t = from + (to - from) * i as f32 / 6.0;
                let r = radius(t) * thick + loose;
                (at(t), r, r)
            })
            .collect()
    };
    if look.sleeve < 0.99 {
        let part = builder.part(hand_skin.clone(), Group::Body);
        builder.tube(part, around, across, &stations(0.0, 1.0, 0.0));
    }
    if look.sleeve > 0.05 {
        let mut cloth = look.top.clone();
        if matches!(cloth.pattern, Pattern::Print | Pattern::Front) {
            cloth.pattern = Pattern::Plain;
        }
        let part = builder.part(Material::Cloth(cloth), Group::Body);
        let loose = if look.coat { 0.075 } else { 0.03 };
        builder.tube(part, around, across, &stations(-0.03, look.sleeve * 0.97, loose));
    }
    hand(
        builder,
        hand_skin,
        wrist,
        (wrist - elbow).normalize_or(Vec3::NEG_Y),
        frame * Vec3::X * side,
        thick,
        person.pose.fist[slot],
    );
}

/// A hand from the wrist along `along`; `curl` 0 flat .. 1 fist. Fingers only where they can be seen.
pub(crate) fn hand(
    builder: &mut Builder<'_>,
    material: Material,
    wrist: Vec3,
    along: Vec3,
    side: Vec3,
    thick: f32,
    curl: f32,
) {
    let part = builder.part(material, Group::Body);
    let palm_normal = along.cross(side).normalize_or(Vec3::Z);
    let across = palm_normal.cross(along).normalize_or(Vec3::X);
    let axes = Mat3::from_cols(across, along, palm_normal);
    let size = 0.55 + 0.45 * thick;
    let centre = wrist + along * (0.19 * size);
    let segments = builder.segments(0.5, 8, 20);
    builder.ellipsoid(part, centre, axes, Vec3::new(0.175, 0.24, 0.075) * size, segments);
    if builder.view.unit < 24.0 {
        let tip = wrist + along * (0.45 * size);
        builder.ellipsoid(part, tip, axes, Vec3::new(0.14, 0.2 * (1.0 - 0.6 * curl), 0.06 + 0.06 * curl) * size, 7);
        return;
    }
    let around = builder.segments(0.2, 5, 10);
    for finger in 0..5 {
        let thumb = finger == 4;
        let spread = if thumb { 1.25 } else { finger as f32 * 0.32 - 0.48 };
        let mut at = wrist + across * ((if thumb { 0.13 } else { spread * 0.26 }) * size);
        at += along * ((if thumb { 0.12 } else { 0.37 - 0.04 * spread.abs() }) * size);
        let mut direction = (along + across * (spread * if thumb { 0.55 } else { 0.22 * (1.0 - curl) })).normalize();
        let radius = (if thumb { 0.05 } else { 0.042 }) * size;
        let mut stations = vec![(at, radius * 1.1, radius * 1.1)];
        for joint in 0..3 {
            let bend = curl * if thumb { 0.5 } else { [1.25, 1.5, 0.8][joint] };
            direction = (direction * bend.cos() + palm_normal * bend.sin()).normalize_or(along);
            at += direction * ([0.15, 0.11, 0.08][joint] * size);
            stations.push((at, radius * (1.0 - 0.1 * joint as f32), radius * (1.0 - 0.1 * joint as f32)));
        }
        builder.tube(part, around, across, &stations);
    }
}

fn leg(builder: &mut Builder<'_>, person: &Person, side: f32) {
    let (look, tall) = (&person.look, stature(person));
    let frame = Mat3::from_rotation_y(person.pose.body_yaw);
    let leaning = body_frame(person);
    let wide = look.build * (0.25 + 0.75 * tall);
    let hip = leaning * Vec3::new(side * 0.34 * wide, -0.5 - 2.55 * tall, -0.05);
    let (upper, lower) = (1.85 * tall, 1.75 * tall);
    let swing = match person.pose.legs {
        Legs::Walk(phase) => (phase + if side > 0.0 { std::f32::consts::PI } else { 0.0 }).sin(),
        _ => 0.0,
    };
    let lift = match person.pose.legs {
        Legs::Walk(phase) => 0.3 * (phase + if side > 0.0 { std::f32::consts::PI } else { 0.0 }).cos().max(0.0),
        _ => 0.0,
    };
    let (knee, ankle) = match person.pose.legs {
        Legs::Sit => {
            let knee = hip + frame * Vec3::new(side * 0.15, -0.25 * tall, upper * 0.95);
            (knee, knee + frame * Vec3::new(0.0, -lower, 0.1))
        }
        _ => {
            let target = hip + frame * Vec3::new(side * 0.05, -(upper + lower) * 0.985 + lift, swing * 1.0 * tall);
            reach(hip, target, upper, lower, frame * Vec3::Z)
        }
    };
    let thick = (0.3 + 0.7 * tall) * look.build;
    let around = builder.segments(1.0, 6, 24);
    let across = frame * Vec3::X;
    let bare = look.skirt;
    let material = if bare {
        Material::Skin { colour: look.face.skin, shade: 0.0, seed: look.face.seed }
    } else {
        Material::Cloth(look.bottom.clone())
    };
    let loose = if bare { 0.0 } else { 0.05 };
    let part = builder.part(material, Group::Body);
    let stations: Vec<(Vec3, f32, f32)> = [
        (hip, 0.36),
        (hip.lerp(knee, 0.5), 0.29),
        (knee, 0.2),
        (knee.lerp(ankle, 0.35), 0.2),
        (ankle, if bare { 0.11 } else { 0.15 }),
    ]
    .map(|(p, r)| (p, r * thick + loose, r * thick + loose))
    .to_vec();
    builder.tube(part, around, across, &stations);
    let shoe =
        Material::Cloth(Cloth { pattern: Pattern::Plain, colour: look.hat_cloth.second * 0.5, ..look.bottom.clone() });
    let part = builder.part(shoe, Group::Body);
    let toes = ankle + frame * Vec3::new(side * 0.06, -0.16 * tall, 0.22 * tall);
    builder.ellipsoid(part, toes, frame, Vec3::new(0.16, 0.13, 0.42) * tall, 8);
}
