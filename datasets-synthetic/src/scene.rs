//! Composition: who and what is where, from the place to the finished picture with its truth.
//! The only module that knows of all the others.

use std::collections::HashMap;

use glam::{Vec2, Vec3};

use crate::ambience;
use crate::background::{self, Canvas};
use crate::body::{self, Built};
use crate::camera::{self, Camera};
use crate::fill::Fill;
use crate::lens::Lens;
use crate::light::{self, Light, LightKind, Setting};
use crate::math::{Rng, mix};
use crate::motion::{self, Hurry};
use crate::person::{Habits, Legs, Look, Person, Pose, View};
use crate::props::{self, Kind, Marked, Prop, THINGS};
use crate::raster::{Geometry, Group, NONE, SUB, Visibility};
use crate::weather::Weather;
use crate::{Generator, Object, ObjectClass, Still};

/// Share of a head's height that the face takes.
pub(crate) const FACE: f32 = 0.81;
/// Smallest face, in pixels of height, that is placed on purpose.
const SMALLEST: f32 = 8.0;

/// Of what shows less of itself than this share, nobody is asked to find it.
const LEAST: f32 = 0.3;

/// Everything that makes a picture but the moment.
pub(crate) struct Scene {
    pub(crate) canvas: Canvas,
    pub(crate) light: Light,
    pub(crate) camera: Camera,
    pub(crate) lens: Lens,
    pub(crate) weather: Weather,
    pub(crate) hurries: Vec<Hurry>,
    pub(crate) people: Vec<Person>,
    pub(crate) props: Vec<Prop>,
    pub(crate) grain: u32,
}

impl Scene {
    /// Draws a training scene.
    pub(crate) fn draw(generator: &Generator, seed: u64, width: usize, height: usize) -> Self {
        let mut rng = Rng::new(seed);
        let (canvas, horizon) = place(&mut rng, width, height, false);
        let people = crowd(generator, &mut rng, width as f32, height as f32, horizon);
        Self::furnish(rng, canvas, horizon, people, None)
    }

    /// Draws a place for a clip, empty of people, and where its horizon is as a share of the height. Its light is this
    /// one, if one is given.
    pub(crate) fn empty(rng: &mut Rng, width: usize, height: usize, light: Option<LightKind>) -> (Self, f32) {
        let (canvas, horizon) = place(rng, width, height, true);
        let mut scene = Self::furnish(rng.fork(), canvas, horizon, Vec::new(), light);
        scene.camera = scene.camera.steady();
        scene.lens = scene.lens.steady();
        let loose = |kind| matches!(kind, Kind::Small(_) | Kind::Street | Kind::Bush | Kind::Sign(_) | Kind::Effigy);
        scene.props.retain(|prop| loose(prop.kind));
        scene.props.truncate(4);
        for prop in &mut scene.props {
            // Behind everyone, who have depths of their own below zero.
            prop.at.z -= 1e6;
        }
        (scene, horizon)
    }

    fn furnish(
        mut rng: Rng,
        mut canvas: Canvas,
        horizon: f32,
        mut people: Vec<Person>,
        light: Option<LightKind>,
    ) -> Self {
        let (width, height) = (canvas.width as f32, canvas.height as f32);
        let largest = people.iter().map(|p| p.view.unit).fold(0.0, f32::max);
        if rng.chance(0.25) || (largest > 0.25 * height && rng.chance(0.5)) {
            canvas.blur((rng.f(0.002, 0.016) * height) as usize);
        }
        let heads = people.iter().map(|p| (p.view.origin.truncate(), p.view.unit)).collect();
        let setting = Setting { size: Vec2::new(width, height), mean: canvas.mean(), heads };
        let light = match light {
            Some(kind) => Light::of_kind(&mut rng, kind, &setting),
            None => Light::draw(&mut rng, &setting),
        };
        ambience::apply(&mut rng.fork(), &mut canvas, &light, horizon);
        let weather = Weather::draw(&mut rng.fork(), &light, width, height);
        weather.veil(&mut canvas, light.air, horizon);
        for person in &mut people {
            person.haze = person.haze.max(0.8 * weather.fog * (1.0 - person.view.unit / largest));
        }
        let lens = Lens::draw(&mut rng.fork(), width, height);
        lens.warp(&mut canvas);
        let hurries = motion::draw(&mut rng.fork(), &people);
        let room = props::Room { width, height, horizon: horizon * height, people: &people };
        let props = props::things(&mut rng, &room);
        let smallest = people.iter().map(|p| p.view.unit * FACE).fold(f32::INFINITY, f32::min);
        let smallest = if smallest.is_finite() { smallest } else { 30.0 };
        let camera = Camera::draw(&mut rng, canvas.mean(), &light, smallest);
        Self { canvas, light, camera, lens, weather, hurries, people, props, grain: rng.seed() }
    }

    /// Renders the scene with the people it was drawn with.
    pub(crate) fn render(&self) -> Still {
        self.moment(&self.people, &[], 0)
    }

    /// Renders the scene with these people, and things that walk, and states the truth about it; `frame` varies the
    /// sensor's noise.
    pub(crate) fn moment(&self, people: &[Person], walkers: &[Prop], frame: u32) -> Still {
        let (width, height) = (self.canvas.width, self.canvas.height);
        let mut geometry = Geometry::default();
        let built: Vec<Built> = (0..)
            .zip(people)
            .map(|(owner, person)| {
                let first = geometry.vertices.len();
                let built = body::build(&mut geometry, person, owner);
                self.lens.widen(&mut geometry, first, person.view.origin.truncate());
                built
            })
            .collect();
        let things: Vec<Marked> = (THINGS..)
            .zip(self.props.iter().chain(walkers))
            .flat_map(|(owner, prop)| {
                let first = geometry.vertices.len();
                let marked = props::add(&mut geometry, prop, owner);
                self.lens.widen(&mut geometry, first, prop.at.truncate());
                marked
            })
            .collect();
        self.lens.bend(&mut geometry);
        let mut seen = Visibility::new(&geometry, width, height);
        self.lens.mask(&mut seen);
        let mut ground = Canvas { width, height, pixels: self.canvas.pixels.clone() };
        contact_shadows(&mut ground, people, &self.lens);
        props::ground_shadows(&mut ground, self.props.iter().chain(walkers), &self.lens);
        light::composite(&geometry, &seen, &self.light, &mut ground.pixels);
        for hurry in &self.hurries {
            motion::smear(*hurry, &geometry, &seen, &self.canvas.pixels, &mut ground.pixels);
        }
        self.weather.apply(&mut ground.pixels, width, height, frame);
        let image = self.camera.develop(ground.pixels, width, height, self.grain ^ frame.wrapping_mul(0x9E37_79B9));
        let mut objects = truth(&geometry, &seen, people, &built, &things);
        for object in objects.iter_mut().filter(|object| object.class == ObjectClass::Face) {
            object.ignore |= camera::drowned(&image, object.bbox);
        }
        Still { image, light: self.light.kind(), objects }
    }
}

/// Paints a place; a good part of them at half the resolution, as lenses that focus on people leave them.
fn place(rng: &mut Rng, width: usize, height: usize, stand: bool) -> (Canvas, f32) {
    let soft = rng.chance(0.4);
    let share = if soft { 2 } else { 1 };
    let mut canvas = Canvas::new(width / share, height / share);
    let horizon = background::paint(&mut rng.fork(), &mut canvas, stand);
    if soft {
        let pixels = camera::resize(&canvas.pixels, canvas.width, canvas.height, width, height);
        canvas = Canvas { width, height, pixels };
    }
    (canvas, horizon)
}

fn contact_shadows(canvas: &mut Canvas, people: &[Person], lens: &Lens) {
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    for person in people {
        let unit = person.view.unit;
        let tall = person.look.heads - 0.45;
        let foot = person.view.project(Vec3::new(0.0, -tall, 0.0)).truncate();
        let foot = lens.place(lens.widened(foot, person.view.origin.truncate()));
        if foot.y > h + unit || foot.x < -unit || foot.x > w + unit || person.pose.legs == Legs::Sit {
            continue;
        }
        let (x, y) = (foot.x.clamp(0.0, w - 1.0) as usize, foot.y.clamp(0.0, h - 1.0) as usize);
        let dark = Fill::Solid(canvas.pixels[y * canvas.width + x] * 0.45);
        canvas.ellipse(Vec2::new(foot.x, foot.y), Vec2::new(unit * 0.9, unit * 0.22), 0.0, &dark);
    }
}

pub(crate) fn truth(
    geometry: &Geometry,
    seen: &Visibility,
    people: &[Person],
    built: &[Built],
    things: &[Marked],
) -> Vec<Object> {
    let (w, h) = ((seen.width / SUB) as f32, (seen.height / SUB) as f32);
    let mut bodies = vec![Bounds::default(); built.len()];
    let mut solids: HashMap<u32, Bounds> = HashMap::new();
    for (y, row) in seen.triangle.chunks_exact(seen.width).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|a, b| a == b) {
            if let Some(triangle) = geometry.triangles.get(run[0] as usize) {
                let owner = geometry.parts[triangle.part as usize].owner;
                let bounds = match owner {
                    NONE => None,
                    THINGS.. => Some(solids.entry(owner).or_default()),
                    _ => bodies.get_mut(owner as usize),
                };
                if let Some(bounds) = bounds {
                    bounds.add(Vec2::new(x as f32, y as f32) / SUB as f32);
                    bounds.add(Vec2::new((x + run.len()) as f32, (y + 1) as f32) / SUB as f32);
                }
            }
            x += run.len();
        }
    }
    let mut objects = Vec::new();
    for (index, (person, drawn)) in built.iter().zip(people).enumerate() {
        let owner = index as u32;
        let attributes = Some(drawn.attributes());
        let face = Bounds::of(geometry, person.face.iter().copied());
        if let Some(bbox) = face.clipped(w, h) {
            let visible = visible_share(geometry, seen, person.face.iter().copied(), owner, true);
            let away = person.towards < -0.174;
            let small = bbox[2].min(bbox[3]) < 5.0;
            let ignore = away || small || visible < LEAST;
            // A head seen from behind has no face at all.
            if person.towards > -0.5 && visible > 0.0 {
                let track_id = owner * 2 + 1;
                objects.push(Object { class: ObjectClass::Face, bbox, track_id, visible, ignore, attributes });
            }
        }
        if let Some(bbox) = bodies[index].clipped(w, h) {
            let visible = visible_share(geometry, seen, person.all.clone(), owner, false);
            let ignore = visible < LEAST || bbox[2].min(bbox[3]) < 5.0;
            let track_id = owner * 2;
            objects.push(Object { class: ObjectClass::Person, bbox, track_id, visible, ignore, attributes });
        }
    }
    for thing in things {
        // A drawn face's box spans hidden parts too, as a real one's does; other things' boxes bound what is seen.
        let bounds = match thing.class {
            ObjectClass::Face => Bounds::of(geometry, thing.triangles.iter().copied()),
            _ => solids.get(&thing.owner).copied().unwrap_or_default(),
        };
        let Some(bbox) = bounds.clipped(w, h) else { continue };
        let face = thing.class == ObjectClass::Face;
        let visible = visible_share(geometry, seen, thing.triangles.iter().copied(), thing.owner, face);
        if visible > 0.0 {
            let ignore = thing.ignore || visible < LEAST || bbox[2].min(bbox[3]) < 5.0;
            let track_id = thing.owner * 2 + u32::from(thing.class == ObjectClass::Face);
            objects.push(Object { class: thing.class, bbox, track_id, visible, ignore, attributes: None });
        }
    }
    objects
}

#[derive(Clone, Copy)]
struct Bounds {
    low: Vec2,
    high: Vec2,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { low: Vec2::INFINITY, high: Vec2::NEG_INFINITY }
    }
}

impl Bounds {
    fn add(&mut self, p: Vec2) {
        self.low = self.low.min(p);
        self.high = self.high.max(p);
    }

    /// Around those triangles that face the viewer.
    fn of(geometry: &Geometry, triangles: impl Iterator<Item = u32>) -> Self {
        let mut bounds = Self::default();
        for index in triangles {
            let triangle = &geometry.triangles[index as usize];
            if towards_viewer(geometry, triangle.corners) {
                for p in geometry.corner_positions(triangle) {
                    bounds.add(p.truncate());
                }
            }
        }
        bounds
    }

    /// x, y, w, h inside a picture, unless nothing is left.
    fn clipped(&self, width: f32, height: f32) -> Option<[f32; 4]> {
        let (low, high) = (self.low.max(Vec2::ZERO), self.high.min(Vec2::new(width, height)));
        let size = high - low;
        (size.x > 0.5 && size.y > 0.5).then_some([low.x, low.y, size.x, size.y])
    }
}

fn towards_viewer(geometry: &Geometry, corners: [u32; 3]) -> bool {
    corners.iter().map(|corner| geometry.vertices[*corner as usize].normal.z).sum::<f32>() > 0.0
}

/// Share of an owner's own outline, by area, that the picture shows. Masks and glasses do not hide a face, hair and
/// hats do.
fn visible_share(
    geometry: &Geometry,
    seen: &Visibility,
    triangles: impl Iterator<Item = u32>,
    owner: u32,
    face: bool,
) -> f32 {
    let (mut whole, mut shown) = (0.0, 0.0);
    for index in triangles {
        let triangle = &geometry.triangles[index as usize];
        let outline = geometry.parts[triangle.part as usize].group == Group::Outline;
        if (outline && !face) || !towards_viewer(geometry, triangle.corners) {
            continue;
        }
        let [a, b, c] = geometry.corner_positions(triangle);
        let area = ((b.x - a.x) * (c.y - a.y) - (c.x - a.x) * (b.y - a.y)).abs();
        whole += area;
        let middle = (a + b + c) / 3.0;
        let Some(there) = seen.at(middle.x, middle.y) else { continue };
        if there == NONE {
            continue;
        }
        let part = &geometry.parts[geometry.triangles[there as usize].part as usize];
        if part.owner == owner && (!face || part.group == Group::Head) {
            shown += area;
        }
    }
    if whole > 0.0 { (shown / whole).clamp(0.0, 1.0) } else { 0.0 }
}

/// People placed as one of several kinds of picture has them.
fn crowd(generator: &Generator, rng: &mut Rng, w: f32, h: f32, horizon: f32) -> Vec<Person> {
    let habits = Habits::draw(rng);
    // Position of the head in pixels, and pixels per head.
    let mut places: Vec<(f32, f32, f32)> = Vec::new();
    let smallest = SMALLEST / FACE;
    let unit_for = |share: f32| (share * h / FACE).max(smallest);
    let kind = rng.weighted(&[0.13, 0.14, 0.18, 0.19, 0.1, 0.14, 0.12]);
    let mut towards: f32 = 0.8;
    match kind {
        0 => {
            // One portrait, or two.
            for i in 0..if rng.chance(0.25) { 2 } else { 1 } {
                let unit = unit_for(rng.log(0.22, 0.6));
                let x = w * (0.5 + 0.18 * rng.normal()) + i as f32 * unit * 1.1;
                places.push((x, h * rng.f(0.3, 0.55), unit));
            }
        }
        1 => {
            // A group, side by side in a row or two.
            let unit = unit_for(rng.log(0.05, 0.22));
            let rows = rng.i(1, 3);
            for row in 0..rows {
                let size = unit * (1.0 + 0.08 * row as f32);
                let count = rng.i(2, ((w / (1.4 * unit)) as i32).clamp(2, 8));
                let step = size * rng.f(1.0, 2.3);
                let start = w * rng.f(0.35, 0.65) - step * 0.5 * (count - 1) as f32;
                let y = h * rng.f(0.2, 0.4) + row as f32 * unit * rng.f(0.8, 1.8);
                for i in 0..count {
                    let x = start + step * (i as f32 + 0.25 * rng.normal());
                    places.push((x, y + 0.25 * unit * rng.normal(), size * (1.0 + 0.07 * rng.normal())));
                }
            }
            towards = 0.92;
        }
        2 => {
            // People about on the ground, seen from a height.
            let camera = rng.f(5.0, 16.0);
            for _ in 0..rng.i(2, 22) {
                let unit = rng.log(smallest, (0.14 * h).max(smallest * 1.5));
                let y = h * horizon + (camera - 7.3) * unit;
                places.push((rng.f(-0.02, 1.02) * w, y + 0.2 * unit * rng.normal(), unit));
            }
            towards = 0.6;
        }
        3 => {
            // A crowd, row behind row.
            let far = rng.log(smallest * 0.9, smallest * 2.4);
            let near = far * rng.log(1.0, 3.5);
            let most = rng.i(18, 100) as usize;
            let top = h * rng.f(-0.05, 0.5);
            let mut y = h * rng.f(0.85, 1.05);
            while y > top && places.len() < most {
                let t = ((y - top) / (h - top)).clamp(0.0, 1.0);
                let unit = mix(far, near, t) * (1.0 + 0.04 * rng.normal());
                let mut x = rng.f(-1.0, 1.0) * unit;
                let spacing = rng.f(1.1, 2.6);
                while x < w + unit && places.len() < most {
                    places.push((x, y + 0.35 * unit * rng.normal(), unit * (1.0 + 0.05 * rng.normal())));
                    x += unit * spacing * rng.f(0.6, 1.6);
                }
                y -= unit * rng.f(0.6, 1.6);
            }
            towards = rng.pick(&[0.55, 0.8, 0.95]);
        }
        4 => {
            // A webcam or a door camera.
            let near = rng.chance(0.35);
            for _ in 0..rng.i(1, if near { 2 } else { 3 }) {
                let unit = unit_for(if near { rng.log(0.3, 0.9) } else { rng.log(0.12, 0.42) });
                places.push((rng.f(0.15, 0.85) * w, h * rng.f(0.25, 0.6), unit));
            }
            towards = if near { 0.7 } else { 0.95 };
        }
        5 => {
            // Anyone anywhere.
            for _ in 0..rng.i(1, 14) {
                let unit = rng.log(smallest, (0.5 * h / FACE).max(smallest * 1.5)).min(rng.log(smallest, h));
                places.push((rng.f(0.0, 1.0) * w, rng.f(0.05, 0.9) * h, unit));
            }
        }
        _ => {
            // No face: nobody, or people who look away.
            if rng.chance(0.35) {
                for _ in 0..rng.i(1, 8) {
                    let unit = rng.log(smallest, (0.3 * h).max(smallest * 1.5));
                    places.push((rng.f(0.0, 1.0) * w, rng.f(0.1, 0.6) * h, unit));
                }
            }
            towards = -1.0;
        }
    }
    // Above doors and on poles, at hip height and on the ground, and most often at eye level.
    let camera_pitch = match rng.weighted(&[0.28, 0.08, 0.64]) {
        0 => rng.f(0.05, 0.87),
        1 => -rng.f(0.1, 0.87),
        _ => rng.normal() * 0.1,
    };
    let distance = if rng.chance(0.25) { rng.f(3.5, 8.0) } else { rng.f(8.0, 40.0) };
    let haze = if rng.chance(0.25) { rng.f(0.05, 0.45) } else { 0.0 };
    let shared_yaw = if kind == 3 && rng.chance(0.4) { rng.normal() * 0.6 } else { 0.0 };
    // Nearer people are larger, and in a crowd stand lower in the picture.
    places.sort_by(|a, b| if kind == 3 { a.1.total_cmp(&b.1) } else { a.2.total_cmp(&b.2) });
    let nearest = places.last().map_or(1.0, |place| place.2);
    let mut depth = 0.0;
    let mut before = 0.0;
    places
        .into_iter()
        .map(|(x, y, unit)| {
            depth += 0.45 * (before + unit);
            before = unit;
            let mut look = Look::draw(rng, &habits);
            generator.embody(&mut look);
            let mut pose = Pose::draw(rng, towards.max(0.0));
            // Together with the camera's own tilt no face is seen from further above or below than half a right angle.
            pose.head_pitch = pose.head_pitch.clamp(-0.87 - camera_pitch, 0.87 - camera_pitch);
            pose.head_yaw += shared_yaw;
            pose.body_yaw += shared_yaw;
            if towards < 0.0 {
                let away = std::f32::consts::PI + rng.normal() * 0.3;
                (pose.head_yaw, pose.body_yaw) = (away, away);
            }
            // The head is lower for those who are shorter, if all stand on one ground.
            let y = if kind == 2 { y + (7.3 - look.heads) * unit } else { y };
            let unit = unit * if look.heads < 6.0 { 0.88 } else { 1.0 };
            let view = View::new(Vec3::new(x, y, depth), unit, camera_pitch, distance);
            Person { look, pose, view, haze: haze * (1.0 - unit / nearest) }
        })
        .collect()
}

#[cfg(test)]
mod tests;
