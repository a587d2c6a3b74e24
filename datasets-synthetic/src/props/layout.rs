//! Where things occur: loose, on tables and shelves, on walls, along streets, in gardens, close before the lens.
//! Knows people by the room they take only.

use glam::Vec3;

use super::{Kind, Place, Prop, Stand};
use crate::math::Rng;
use crate::person::Person;

/// The picture to be furnished.
pub(crate) struct Room<'a> {
    pub(crate) width: f32,
    pub(crate) height: f32,
    /// Row of the horizon, in pixels.
    pub(crate) horizon: f32,
    pub(crate) people: &'a [Person],
}

/// Things behind, among and in front of the people.
pub(crate) fn things(rng: &mut Rng, room: &Room<'_>) -> Vec<Prop> {
    let mut things = Vec::new();
    let (w, h) = (room.width, room.height);
    let deepest = room.people.iter().map(|p| p.view.origin.z).fold(0.0, f32::max);
    let empty = room.people.is_empty();
    let groups = match empty {
        true => rng.i(2, 5),
        false => rng.pick(&[0, 0, 1, 1, 2]),
    };
    for _ in 0..groups {
        match rng.weighted(&[0.3, 0.14, 0.14, 0.14, 0.12, 0.1, 0.12]) {
            0 => loose(rng, room, deepest, &mut things),
            1 => table(rng, room, &mut things),
            2 => shelves(rng, room, &mut things),
            3 => wall(rng, room, &mut things),
            4 => street(rng, room, &mut things),
            5 => garden(rng, room, &mut things),
            _ => limbs(rng, room, deepest, &mut things),
        }
    }
    standing(rng, room, &mut things);
    if rng.chance(if empty { 0.25 } else { 0.13 }) {
        effigies(rng, room, deepest, &mut things);
    }
    if rng.chance(if empty { 0.25 } else { 0.05 }) {
        bodies(rng, room, &mut things);
    }
    if rng.chance(0.22) {
        for _ in 0..rng.i(1, 4) {
            let size = rng.log(0.1, 0.7) * h;
            let at = Vec3::new(rng.f(0.0, w), rng.f(0.5, 1.1) * h, rng.f(0.3, 1.0) * deepest + 2.0 * size);
            things.push(prop(at, size, Kind::Barrier, rng));
        }
    }
    things
}

fn prop(at: Vec3, size: f32, kind: Kind, rng: &mut Rng) -> Prop {
    Prop { at, size, seed: rng.seed(), kind, stand: Stand::default() }
}

/// A depth behind everyone; smaller things lie farther back.
fn behind(size: f32) -> f32 {
    -2000.0 + size
}

fn loose(rng: &mut Rng, room: &Room<'_>, deepest: f32, things: &mut Vec<Prop>) {
    let (w, h) = (room.width, room.height);
    let place = if rng.chance(0.6) { Place::Anywhere } else { rng.pick(&[Place::Table, Place::Garden, Place::Wall]) };
    for _ in 0..if room.people.is_empty() { rng.i(3, 16) } else { rng.i(1, 7) } {
        let size = rng.log(8.0, (0.4 * h).max(14.0));
        let z = if rng.chance(0.6) { behind(size) } else { rng.f(0.0, deepest + 3.0 * size) };
        let at = Vec3::new(rng.f(0.0, w), rng.f(0.1, 1.05) * h, z);
        let kind = match rng.weighted(&[0.8, 0.08, 0.12]) {
            0 => Kind::Small(place),
            1 => Kind::Street,
            _ => Kind::Sign(rng.f(0.5, 4.0)),
        };
        things.push(prop(at, size, kind, rng));
    }
}

/// Things side by side on a line; a good part of the rows hold the same thing again and again.
fn row(rng: &mut Rng, room: &Room<'_>, y: f32, size: f32, place: Place, things: &mut Vec<Prop>) {
    let seed = rng.chance(0.35).then(|| rng.seed());
    let gap = rng.f(0.75, 1.8);
    let mut x = rng.f(-1.0, 1.0) * size;
    while x < room.width + size && things.len() < 90 {
        let own = if seed.is_some() { size } else { size * rng.f(0.5, 1.1) };
        let at = Vec3::new(x, y - 0.5 * own, behind(own) + 0.5 * rng.normal());
        let mut thing = prop(at, own, Kind::Small(place), rng);
        thing.seed = seed.unwrap_or(thing.seed);
        things.push(thing);
        x += size * gap * rng.f(0.7, 1.3);
    }
}

fn table(rng: &mut Rng, room: &Room<'_>, things: &mut Vec<Prop>) {
    let size = room.height * rng.log(0.06, 0.4);
    let y = room.height * rng.f(0.6, 1.0);
    let at = Vec3::new(room.width * rng.f(0.3, 0.7), y + 0.1 * size, -2400.0);
    things.push(prop(at, size, Kind::Top(room.width / size * rng.f(0.5, 1.3)), rng));
    for _ in 0..rng.i(1, 2) {
        let y = y + size * rng.f(-0.2, 0.3);
        row(rng, room, y, size, Place::Table, things);
    }
}

fn shelves(rng: &mut Rng, room: &Room<'_>, things: &mut Vec<Prop>) {
    let size = room.height * rng.log(0.05, 0.25);
    let mut y = room.height * rng.f(0.1, 0.4);
    for _ in 0..rng.i(1, 4) {
        let at = Vec3::new(0.5 * room.width, y + 0.06 * size, -2400.0);
        things.push(prop(at, size, Kind::Top(room.width / size * 1.4), rng));
        row(rng, room, y, size * 0.9, Place::Shelf, things);
        y += size * rng.f(1.2, 1.7);
    }
}

fn wall(rng: &mut Rng, room: &Room<'_>, things: &mut Vec<Prop>) {
    for _ in 0..rng.i(2, 9) {
        let size = room.height * rng.log(0.04, 0.4);
        let at = Vec3::new(rng.f(0.0, room.width), rng.f(0.08, 0.75) * room.height, behind(size) - 200.0);
        let kind = if rng.chance(0.25) { Kind::Sign(rng.f(0.6, 3.0)) } else { Kind::Small(Place::Wall) };
        things.push(prop(at, size, kind, rng));
    }
}

fn street(rng: &mut Rng, room: &Room<'_>, things: &mut Vec<Prop>) {
    let camera = rng.f(0.7, 2.2);
    for _ in 0..rng.i(1, 7) {
        let size = room.height * rng.log(0.08, 0.9);
        let tall = rng.f(0.5, 1.6);
        let y = room.horizon + camera * size / tall * 0.5;
        let at = Vec3::new(rng.f(0.0, room.width), y - 0.5 * size, behind(size));
        things.push(prop(at, size, Kind::Street, rng));
    }
}

fn garden(rng: &mut Rng, room: &Room<'_>, things: &mut Vec<Prop>) {
    let h = room.height;
    for _ in 0..rng.i(0, 4) {
        let size = h * rng.log(0.1, 0.7);
        let at = Vec3::new(rng.f(0.0, room.width), room.horizon + size * rng.f(-0.2, 0.5), behind(size) - 100.0);
        things.push(prop(at, size, Kind::Bush, rng));
    }
    let size = h * rng.log(0.025, 0.2);
    let (middle, wide) = (rng.f(0.0, room.width), rng.f(0.1, 0.5) * room.width);
    let y = h * rng.f(0.6, 1.0);
    let seed = rng.chance(0.5).then(|| rng.seed());
    for i in 0..rng.i(4, 26) {
        let own = size * rng.f(0.6, 1.3);
        let at = Vec3::new(middle + wide * rng.normal() * 0.6, y + size * rng.normal(), behind(own) + i as f32 * 0.3);
        let mut thing = prop(at, own, Kind::Small(Place::Garden), rng);
        // A bed of one sort of flower, nearly.
        if rng.chance(0.7) {
            thing.seed = seed.unwrap_or(thing.seed);
        }
        things.push(thing);
    }
}

fn limbs(rng: &mut Rng, room: &Room<'_>, deepest: f32, things: &mut Vec<Prop>) {
    let (w, h) = (room.width, room.height);
    for _ in 0..rng.i(1, if room.people.is_empty() { 5 } else { 2 }) {
        let size = rng.log(14.0, (0.75 * h).max(20.0));
        let edge = rng.chance(0.4);
        let x = if edge { rng.pick(&[0.05, 0.95]) } else { rng.f(0.05, 0.95) };
        let near = rng.chance(0.5);
        let z = if near { deepest + 3.0 * size } else { behind(size) };
        let at = Vec3::new(x * w, rng.f(0.3, 1.05) * h, z);
        things.push(prop(at, size, Kind::Limb, rng));
    }
}

/// Backs, and bodies cut off at the neck by the picture's edge.
fn bodies(rng: &mut Rng, room: &Room<'_>, things: &mut Vec<Prop>) {
    let (w, h) = (room.width, room.height);
    let away = rng.chance(0.4);
    for i in 0..rng.i(1, 4) {
        let size = if away { rng.log(0.06, 0.5) } else { rng.log(0.12, 0.55) } * h;
        // Chins are half a head below the middle, and heads nod.
        let y = if away { rng.f(0.15, 0.5) * h } else { -size * rng.f(0.85, 1.6) };
        let at = Vec3::new(rng.f(0.05, 0.95) * w, y, 10.0 + size + 60.0 * i as f32);
        things.push(prop(at, size, Kind::Body { away }, rng));
    }
}

/// The camera over the ground, as far as things that stand on it are concerned. Lengths in pixels and metres.
#[derive(Clone, Copy)]
struct Ground {
    horizon: f32,
    focal: f32,
    /// Height of the camera in metres.
    camera: f32,
}

impl Ground {
    /// Something on the ground at column `x`, so many pixels per metre large there, in a slice of depth.
    fn place(&self, x: f32, size: f32, kind: Kind, (z, deep): (f32, f32), rng: &mut Rng) -> Prop {
        let at = Vec3::new(x, self.horizon + self.camera * size, z);
        let stand = Stand {
            pitch: (self.camera * size / self.focal).atan().min(1.2),
            distance: self.focal / size,
            yaw: heading(rng, kind),
            gait: None,
            deep,
        };
        Prop { stand, ..prop(at, size, kind, rng) }
    }
}

/// Cars mostly show their side, front or back; the rest look anywhere, and animals often at the camera.
fn heading(rng: &mut Rng, kind: Kind) -> f32 {
    let half = std::f32::consts::FRAC_PI_2;
    match kind {
        Kind::Vehicle => half * rng.i(0, 3) as f32 + rng.normal() * 0.35,
        Kind::Animal if rng.chance(0.5) => rng.normal() * 0.7,
        Kind::Parcel => rng.normal() * 0.5,
        _ => rng.f(-2.0, 2.0) * half,
    }
}

/// Head heights to metres.
const HEAD: f32 = 0.23;

/// Vehicles, animals and parcels that stand among the people and on their ground.
fn standing(rng: &mut Rng, room: &Room<'_>, things: &mut Vec<Prop>) {
    let empty = room.people.is_empty();
    let counts = [
        (Kind::Vehicle, if rng.chance(if empty { 0.28 } else { 0.2 }) { rng.i(1, 5) } else { 0 }),
        (Kind::Animal, if rng.chance(if empty { 0.26 } else { 0.15 }) { rng.pick(&[1, 1, 1, 2, 3, 6]) } else { 0 }),
        (Kind::Parcel, if rng.chance(if empty { 0.3 } else { 0.2 }) { rng.i(1, 4) } else { 0 }),
    ];
    let focal = room.width.max(room.height) * rng.f(0.7, 1.4);
    let mut camera = rng.f(1.0, 3.5);
    if let Some(person) = room.people.get(rng.i(0, room.people.len() as i32 - 1).max(0) as usize) {
        let foot = person.view.origin.y + (person.look.heads - 0.45) * person.view.unit;
        camera = ((foot - room.horizon) * HEAD / person.view.unit).clamp(0.7, 6.0);
    }
    let ground = Ground { horizon: room.horizon, focal, camera };
    for (kind, count) in counts {
        // Sizes in metres that fit the picture, and the largest that anything is placed at.
        let (tall, most) = match kind {
            Kind::Vehicle => (1.5, 0.75),
            Kind::Animal => (0.5, 0.7),
            _ => (0.3, 0.5),
        };
        let row = rng.chance(0.5).then(|| rng.f(0.0, 1.0));
        for _ in 0..count {
            let least = 9.0 / tall;
            // What stands below the picture's lower edge is not seen.
            let lowest = (1.12 * room.height - room.horizon) / camera;
            let largest = (most * room.height / tall).min(lowest.max(least * 1.2));
            let share = match row {
                Some(at) => (at + rng.f(-0.1, 0.1)).clamp(0.0, 1.0),
                None => rng.f(0.0, 1.0),
            };
            let size = least * (largest / least).max(1.0).powf(share);
            let x = rng.f(-0.05, 1.05) * room.width;
            things.push(ground.place(x, size, kind, slice(room, size), rng));
        }
    }
}

/// A slice of depth between those people who are farther and those who are nearer than a thing of this size.
fn slice(room: &Room<'_>, size: f32) -> (f32, f32) {
    let unit = size * HEAD;
    let (far, near): (Vec<&Person>, Vec<&Person>) = room.people.iter().partition(|p| p.view.unit < unit);
    let low = far.iter().map(|p| p.view.origin.z + 0.9 * p.view.unit).fold(f32::NEG_INFINITY, f32::max);
    let high = near.iter().map(|p| p.view.origin.z - 0.9 * p.view.unit).fold(f32::INFINITY, f32::min);
    match (low.is_finite(), high.is_finite()) {
        (false, _) => (-1500.0 + size, 30.0),
        (true, false) => (low + 40.0 + size, 30.0),
        (true, true) if high > low => (0.5 * (low + high), high - low),
        _ => (0.5 * (low + high), 1.0),
    }
}

fn effigies(rng: &mut Rng, room: &Room<'_>, deepest: f32, things: &mut Vec<Prop>) {
    for _ in 0..rng.pick(&[1, 1, 2, 3, 6]) {
        let size = rng.log(0.07, 0.8) * room.height;
        let z = if rng.chance(0.85) { behind(size) - 100.0 } else { deepest + 3.0 * size };
        let at = Vec3::new(rng.f(0.0, 1.0) * room.width, rng.f(0.1, 0.85) * room.height, z);
        things.push(prop(at, size, Kind::Effigy, rng));
    }
}
