//! Things that are not people, near, among and in front of them: what is mistaken for a face, what hides one, and what
//! is annotated itself. `layout` says where they occur; the other modules make them. Knows nothing of the people they
//! are mistaken for or hide.

mod animals;
mod coach;
mod effigies;
mod goods;
mod layout;
mod limbs;
mod parcels;
mod shape;
mod street;
mod surface;
#[cfg(test)]
mod tests;
mod vehicles;

use glam::{Mat3, Vec3};

use crate::ObjectClass;
use crate::background::Canvas;
use crate::body::Builder;
use crate::lens::Lens;
use crate::material::{Cloth, Material};
use crate::math::Rng;
use crate::person::View;
use crate::raster::{Geometry, Group, NONE, Sheet, Vertex};

pub(crate) use effigies::Tone;
pub(crate) use goods::Place;
pub(crate) use layout::{Room, things};
pub(crate) use surface::Surface;

/// Owners from here on are things, numbered in the order of a scene's props; people count from zero.
pub(crate) const THINGS: u32 = 1 << 24;

/// What kind of thing.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Kind {
    /// Something small that is found in such a place.
    Small(Place),
    /// Something that stands in a street.
    Street,
    Bush,
    /// A board with writing, so many times as wide as high.
    Sign(f32),
    /// A lone hand, arm, knee or foot.
    Limb,
    /// A body with its back to the viewer, or without a head in the picture.
    Body {
        away: bool,
    },
    /// Something large that people stand behind: a post, a counter, a board, a case.
    Barrier,
    /// A table's or shelf's board, so many times as wide as high.
    Top(f32),
    /// A picture, statue or doll of a person.
    Effigy,
    Vehicle,
    Animal,
    Parcel,
}

/// One thing; what else it is follows from its seed.
#[derive(Clone)]
pub(crate) struct Prop {
    /// Middle in picture coordinates, with depth; of what stands on the ground, its foot.
    pub(crate) at: Vec3,
    /// Pixels per unit of the thing: its height, about, if its kind has no unit of its own.
    pub(crate) size: f32,
    pub(crate) seed: u32,
    pub(crate) kind: Kind,
    pub(crate) stand: Stand,
}

/// How a thing stands on the ground; all zero for what hangs or lies anywhere.
#[derive(Clone, Copy, Default)]
pub(crate) struct Stand {
    /// Angle in radians that the camera looks down at it, and the camera's distance in units.
    pub(crate) pitch: f32,
    pub(crate) distance: f32,
    /// Heading in radians; 0 looks at the viewer.
    pub(crate) yaw: f32,
    /// Phase of the step in radians of what walks.
    pub(crate) gait: Option<f32>,
    /// All depth in pixels it may take, so that it passes through nothing next to it.
    pub(crate) deep: f32,
}

/// What is to be said in the truth about one thing.
pub(crate) struct Marked {
    pub(crate) owner: u32,
    pub(crate) class: ObjectClass,
    /// Its triangles.
    pub(crate) triangles: Vec<u32>,
    /// Neither to be learnt nor counted, whatever is seen of it.
    pub(crate) ignore: bool,
}

/// Adds a thing's triangles; gives what is to be said about it.
pub(crate) fn add(geometry: &mut Geometry, prop: &Prop, owner: u32) -> Vec<Marked> {
    let mut own = Rng::new(u64::from(prop.seed));
    let rng = &mut own;
    let first = geometry.triangles.len() as u32;
    let vertices = geometry.vertices.len();
    let annotated = match prop.kind {
        Kind::Effigy => return effigies::add(geometry, rng, prop, owner),
        Kind::Vehicle => Some(ObjectClass::Vehicle),
        Kind::Animal => Some(ObjectClass::Animal),
        Kind::Parcel => Some(ObjectClass::Parcel),
        _ => None,
    };
    if let Some(class) = annotated {
        let view = prop.view();
        let mut builder = Builder { geometry, view, owner, haze: 0.0 };
        let turn = Mat3::from_rotation_y(prop.stand.yaw);
        match class {
            ObjectClass::Vehicle => vehicles::add(&mut builder, rng, turn),
            ObjectClass::Animal => animals::add(&mut builder, rng, turn, prop.stand.gait),
            _ => parcels::add(&mut builder, rng, turn),
        }
        flatten(&mut geometry.vertices[vertices..], prop.at.z, prop.stand.deep);
        let triangles = (first..geometry.triangles.len() as u32).collect();
        return vec![Marked { owner, class, triangles, ignore: false }];
    }
    if let Kind::Body { away } = prop.kind {
        let view = View::new(prop.at, prop.size, rng.normal() * 0.15, rng.f(6.0, 30.0));
        let face = limbs::body(geometry, rng, view, owner, away);
        let triangles = (first..geometry.triangles.len() as u32).collect();
        let person = Marked { owner, class: ObjectClass::Person, triangles, ignore: true };
        let face = Marked { owner, class: ObjectClass::Face, triangles: face, ignore: true };
        return if away { vec![person] } else { vec![person, face] };
    }
    let limb = prop.kind == Kind::Limb;
    let pitch = match prop.kind {
        Kind::Barrier | Kind::Top(_) => 0.0,
        _ => rng.f(-0.2, 0.5),
    };
    let view = View::new(prop.at, prop.size, pitch, if limb { rng.f(4.0, 30.0) } else { 20.0 });
    let owner = if limb { owner } else { NONE };
    let mut builder = Builder { geometry, view, owner, haze: 0.0 };
    match prop.kind {
        Kind::Small(place) => goods::add(&mut builder, rng, place),
        Kind::Street => street::add(&mut builder, rng),
        Kind::Bush => street::bush(&mut builder, rng),
        Kind::Sign(wide) => {
            let turn = Mat3::from_rotation_y(rng.normal() * 0.3);
            street::board(&mut builder, turn, Vec3::ZERO, 0.5 * wide, 0.5, rng);
        }
        Kind::Limb => limbs::add(&mut builder, rng),
        Kind::Body { .. } | Kind::Effigy | Kind::Vehicle | Kind::Animal | Kind::Parcel => {}
        Kind::Barrier => barrier(&mut builder, rng),
        Kind::Top(wide) => top(&mut builder, rng, wide),
    }
    if limb {
        let triangles = (first..builder.geometry.triangles.len() as u32).collect();
        return vec![Marked { owner, class: ObjectClass::Person, triangles, ignore: true }];
    }
    Vec::new()
}

/// The board of a table or shelf: its upper side and its edge.
fn top(builder: &mut Builder<'_>, rng: &mut Rng, wide: f32) {
    let material = if rng.chance(0.6) {
        let tone = Surface::tone(rng);
        Surface::of(surface::Kind::Knots, [tone, tone * 0.6, tone], 0.4, rng)
    } else if rng.chance(0.5) {
        Material::Cloth(Cloth::draw(rng))
    } else {
        Material::thing(rng)
    };
    let part = builder.part(material, Group::Prop);
    builder.block(part, Vec3::ZERO, Mat3::from_rotation_x(rng.f(0.1, 0.5)), Vec3::new(0.5 * wide, 0.06, 1.0));
}

fn barrier(builder: &mut Builder<'_>, rng: &mut Rng) {
    let (half_width, half_height) = match rng.weighted(&[0.35, 0.25, 0.25, 0.15]) {
        0 => (rng.f(0.01, 0.09), 2.5),
        1 => (rng.f(1.0, 3.0), 0.5),
        2 => (rng.f(0.25, 0.8), rng.f(0.25, 0.6)),
        _ => (3.0, rng.f(0.02, 0.08)),
    };
    let material = if rng.chance(0.3) { Material::Cloth(Cloth::draw(rng)) } else { Material::thing(rng) };
    let part = builder.part(material, Group::Prop);
    let turn = Mat3::from_rotation_y(rng.normal() * 0.4) * Mat3::from_rotation_z(rng.normal() * 0.03);
    let view = builder.view;
    let (nu, nv) = (9, 7);
    // A slab with rounded sides rather than a box: its face towards the viewer is all that shows.
    builder.geometry.grid(part, nu, nv, Sheet::Open, |i, j| {
        let (u, v) = (i as f32 / (nu - 1) as f32 * 2.0 - 1.0, j as f32 / (nv - 1) as f32 * 2.0 - 1.0);
        let p = Vec3::new(u * half_width, -v * half_height, -0.3 * half_width.min(half_height) * u.powi(4));
        (view.project(turn * p), p)
    });
}

impl Prop {
    /// How something on the ground is seen.
    fn view(&self) -> View {
        View::new(self.at, self.size, self.stand.pitch, self.stand.distance.max(1.0))
    }
}

/// Presses a thing's depth into a slice of this thickness about `middle`.
fn flatten(vertices: &mut [Vertex], middle: f32, thickness: f32) {
    let (low, high) = vertices.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), vertex| {
        (low.min(vertex.pos.z), high.max(vertex.pos.z))
    });
    let by = (thickness / (high - low).max(1e-3)).min(1.0);
    for vertex in vertices {
        vertex.pos.z = middle + (vertex.pos.z - 0.5 * (low + high)) * by;
    }
}

/// Darkens the ground under what stands on it.
pub(crate) fn ground_shadows<'a>(canvas: &mut Canvas, props: impl Iterator<Item = &'a Prop>, lens: &Lens) {
    for prop in props {
        let half = match prop.kind {
            Kind::Vehicle => Vec3::new(1.0, 0.0, 2.2),
            Kind::Animal => Vec3::new(0.16, 0.0, 0.4),
            Kind::Parcel => Vec3::new(0.28, 0.0, 0.24),
            _ => continue,
        };
        let (view, turn) = (prop.view(), Mat3::from_rotation_y(prop.stand.yaw));
        let corners = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]
            .map(|(x, z)| view.project(turn * (half * Vec3::new(x, 0.0, z))).truncate())
            .map(|p| lens.place(lens.widened(p, prop.at.truncate())));
        let low = corners.into_iter().fold(corners[0], glam::Vec2::min);
        let high = corners.into_iter().fold(corners[0], glam::Vec2::max);
        canvas.shade((low + high) * 0.5, ((high - low) * 0.62).max(glam::Vec2::ONE), 0.65);
    }
}
