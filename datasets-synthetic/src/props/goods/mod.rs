//! Small things of rooms, shops and gardens that detectors mistake for faces: crockery, fruit, balls, lamps, clocks,
//! flowers, sockets, hats and bags without anyone in them. One unit is about the height of the thing.
//! Knows nothing of where the things stand.

mod household;
mod kitchen;
mod plants;

use std::f32::consts::TAU;

use glam::{Mat3, Vec3};

use super::surface::Surface;
use crate::body::Builder;
use crate::material::Material;
use crate::math::Rng;
use crate::raster::Group;

/// Where a thing is at home.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Table,
    Shelf,
    Wall,
    Ground,
    Garden,
    Anywhere,
}

type Maker = fn(&mut Builder<'_>, &mut Rng);

/// What there is, where it is found, and how often.
const ALL: [(Maker, &[Place], f32); 26] = [
    (household::ball, &[Place::Ground, Place::Garden, Place::Shelf], 1.2),
    (plants::fruit, &[Place::Table, Place::Shelf, Place::Garden], 1.3),
    (household::balloon, &[], 0.8),
    (kitchen::mug, &[Place::Table, Place::Shelf], 1.0),
    (kitchen::bowl, &[Place::Table, Place::Shelf], 1.2),
    (kitchen::dish, &[Place::Table, Place::Wall, Place::Shelf], 1.0),
    (kitchen::bottle, &[Place::Table, Place::Shelf], 1.2),
    (kitchen::can, &[Place::Table, Place::Shelf], 1.5),
    (kitchen::candle, &[Place::Table, Place::Shelf], 0.8),
    (household::lamp, &[Place::Table, Place::Shelf], 0.9),
    (household::clock, &[Place::Wall, Place::Shelf], 1.2),
    (plants::vase, &[Place::Table, Place::Shelf, Place::Garden], 0.9),
    (plants::flower, &[Place::Garden], 1.8),
    (kitchen::teapot, &[Place::Table, Place::Shelf], 0.6),
    (household::hat, &[Place::Shelf, Place::Wall, Place::Table], 1.1),
    (household::bag, &[Place::Ground, Place::Shelf, Place::Table], 0.9),
    (household::socket, &[Place::Wall], 1.3),
    (household::button, &[], 0.5),
    (household::cushion, &[Place::Ground], 0.7),
    (household::shirt, &[Place::Wall], 1.3),
    (household::wheel, &[Place::Ground, Place::Garden], 0.8),
    (household::speaker, &[Place::Shelf, Place::Wall, Place::Ground], 0.7),
    (plants::stone, &[Place::Garden, Place::Ground], 0.9),
    (plants::plank, &[Place::Garden], 0.6),
    (household::tuft, &[Place::Shelf], 0.7),
    (kitchen::carton, &[Place::Shelf, Place::Table], 1.0),
];

/// Adds one thing of those at home in a place.
pub(crate) fn add(builder: &mut Builder<'_>, rng: &mut Rng, place: Place) {
    let weight = |(_, places, weight): &(Maker, &[Place], f32)| {
        if place == Place::Anywhere || places.contains(&place) { *weight } else { 0.0 }
    };
    ALL[rng.weighted(&ALL.each_ref().map(weight))].0(builder, rng);
}

fn any_turn(rng: &mut Rng) -> Mat3 {
    Mat3::from_rotation_z(rng.f(0.0, TAU))
        * Mat3::from_rotation_x(rng.f(0.0, TAU))
        * Mat3::from_rotation_y(rng.f(0.0, TAU))
}

fn upright(rng: &mut Rng) -> Mat3 {
    Mat3::from_rotation_z(rng.normal() * 0.03) * Mat3::from_rotation_y(rng.f(0.0, TAU))
}

fn shine(rng: &mut Rng) -> f32 {
    if rng.chance(0.5) { rng.f(0.6, 2.4) } else { 0.15 }
}

fn three(rng: &mut Rng) -> [Vec3; 3] {
    [Surface::tone(rng), Surface::tone(rng), Surface::tone(rng)]
}

fn part(builder: &mut Builder<'_>, material: Material) -> u32 {
    builder.part(material, Group::Prop)
}

fn plain(builder: &mut Builder<'_>, colour: Vec3, gloss: f32, rng: &mut Rng) -> u32 {
    let material = Surface::plain(colour, gloss, rng);
    part(builder, material)
}
