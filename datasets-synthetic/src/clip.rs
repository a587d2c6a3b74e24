//! Short clips: the same people in the same place, walking, turning, meeting and passing in front of each other.
//! Knows scenes and people; knows nothing of video files.
//!
//! People walk on one ground plane. Distances are in head heights (about 23 cm), times in seconds; a pinhole camera
//! with an upright picture plane looks along the ground.

use std::f32::consts::{PI, TAU};

use glam::{Vec2, Vec3};

use crate::math::{Rng, mix, noise, smooth};
use crate::person::{Arm, Habits, Legs, Look, Person, Pose, View};
use crate::props::{Kind, Prop, Stand};
use crate::scene::Scene;
use crate::sides;
use crate::{Conditions, Generator, Mounting, Still};

/// Walking speed in head heights per second: 1.4 m/s.
const WALK: f32 = 6.0;
/// A head height in metres.
const HEAD: f32 = 0.23;
/// Head heights of grown people, without half a head: where the middle of the head is.
const GROWN: f32 = 6.9;
/// Ground covered by two steps.
const STRIDE: f32 = 6.2;

/// A clip, rendered frame by frame on demand and in any order.
pub struct Clip {
    scene: Scene,
    actors: Vec<Actor>,
    pets: Vec<Pet>,
    ground: Ground,
    fps: u32,
    frames: u32,
}

/// The camera over the ground: where its horizon is in the picture and how high it hangs.
#[derive(Clone, Copy)]
struct Ground {
    middle: f32,
    horizon: f32,
    focal: f32,
    height: f32,
    nearest: f32,
    farthest: f32,
}

/// A person with a way to go: where they are (x to the right, distance from the camera) at which second.
struct Actor {
    person: Person,
    way: Vec<(f32, Vec2)>,
    /// Where they look while they stand, in radians; 0 is the camera.
    standing: f32,
    /// How far the head swings to and fro.
    swing: f32,
    talks: bool,
    seed: u32,
}

impl Clip {
    /// Draws a clip of so many frames at `fps` frames a second (0 counts as 1); sides are brought into
    /// [`crate::SIDES`].
    pub fn new(seed: u64, width: u32, height: u32, fps: u32, frames: u32) -> Self {
        Self::with(&Generator::default(), &Conditions::default(), seed, width, height, fps, frames)
    }

    /// As [`Clip::new`], with people as this generator makes them, under these conditions.
    pub fn with(
        generator: &Generator,
        conditions: &Conditions,
        seed: u64,
        width: u32,
        height: u32,
        fps: u32,
        frames: u32,
    ) -> Self {
        let (width, height) = sides(width, height);
        let fps = fps.max(1);
        let mut rng = Rng::new(seed ^ 0xC11B);
        let light = conditions.light(&mut Rng::new(seed ^ 0x1161));
        let (mut scene, horizon) = Scene::empty(&mut rng, width, height, light);
        let (w, h) = (width as f32, height as f32);
        let ground = Ground::draw(&mut rng, conditions.mounting, horizon, w, h);
        let seconds = frames as f32 / fps as f32;
        let actors = cast(generator, &mut rng, &ground, w, seconds.max(1.0));
        let mut own = rng.fork();
        park(&mut own, &ground, w, &mut scene.props);
        let pets = (0..own.weighted(&[0.6, 0.3, 0.1])).map(|_| Pet::draw(&mut own, &ground, w)).collect();
        Self { scene, actors, pets, ground, fps, frames }
    }

    /// Number of frames.
    pub fn len(&self) -> u32 {
        self.frames
    }

    /// Whether there are no frames.
    pub fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// Renders one frame. The same index always gives the same picture; indices past the end continue the story.
    pub fn frame(&self, index: u32) -> Still {
        let time = index as f32 / self.fps as f32;
        let people: Vec<Person> = self.actors.iter().map(|actor| actor.at(time, &self.ground)).collect();
        let walkers: Vec<Prop> = self.pets.iter().map(|pet| pet.at(time, &self.ground)).collect();
        self.scene.moment(&people, &walkers, index)
    }
}

/// An animal that crosses the picture once, from one side to the other.
struct Pet {
    prop: Prop,
    start: f32,
    /// Distance from the camera, and speed to the right, in head heights and head heights per second.
    distance: f32,
    speed: f32,
    edge: f32,
}

impl Pet {
    fn draw(rng: &mut Rng, ground: &Ground, width: f32) -> Self {
        let distance = ground.distance(rng.log(1.2, 4.5));
        let edge = 0.5 * width / (ground.focal / distance) + 5.0;
        let speed = WALK * rng.f(0.6, 1.8) * rng.pick(&[-1.0, 1.0]);
        let prop = Prop { at: Vec3::ZERO, size: 1.0, seed: rng.seed(), kind: Kind::Animal, stand: Stand::default() };
        Self { prop, start: rng.f(-6.0, 6.0), distance, speed, edge }
    }

    fn at(&self, time: f32, ground: &Ground) -> Prop {
        let travelled = (time - self.start) * self.speed;
        let x = travelled - self.edge * self.speed.signum();
        let yaw = 0.5 * PI * self.speed.signum();
        let gait = Some(travelled.abs() / (0.6 * STRIDE) * TAU);
        ground.put(&self.prop, Vec2::new(x, self.distance), yaw, gait)
    }
}

impl Ground {
    fn draw(rng: &mut Rng, mounting: Mounting, horizon: f32, w: f32, h: f32) -> Self {
        let (middle, focal) = (w * 0.5, w.max(h) * rng.f(0.8, 1.2));
        let horizon = horizon.clamp(0.12, 0.55);
        match mounting {
            Mounting::EyeLevel => {
                // So high that the nearest heads stay in the upper half.
                let height = rng.f(5.2, 7.0 + (0.45 - horizon) / 0.27);
                // At the nearest a head is a quarter of the picture's height.
                let nearest = focal / (0.27 * h);
                Self { middle, horizon: h * horizon, focal, height, nearest, farthest: 6.0 * nearest }
            }
            Mounting::High => {
                // Above the heads of grown people, in head heights; the nearest are seen from 45 to 63 degrees.
                let above = rng.f(5.0, 9.0);
                let steep: f32 = rng.f(0.8, 1.1);
                let nearest = above / steep.tan();
                // The nearest heads are low in the picture and the farthest at its top.
                let farthest = (nearest.recip() - 0.75 * h / (above * focal)).max(0.25 / nearest).recip();
                let horizon = 0.85 * h - above * focal / nearest;
                Self { middle, horizon, focal, height: above + GROWN, nearest, farthest }
            }
        }
    }

    /// A distance of so many times the nearest, or what takes its place where all stand close together.
    fn distance(&self, times: f32) -> f32 {
        let share = (times - 1.0) / 5.0;
        if self.is_wide() { self.nearest * times } else { mix(self.nearest, self.farthest, share) }
    }

    fn is_wide(&self) -> bool {
        self.farthest >= 6.0 * self.nearest
    }

    /// A thing that stands at a place (x to the right, distance from the camera, in head heights).
    fn put(&self, prop: &Prop, place: Vec2, yaw: f32, gait: Option<f32>) -> Prop {
        let unit = self.focal / place.y.max(0.3 * self.nearest);
        let at = Vec3::new(
            self.middle + place.x * unit,
            self.horizon + (self.height + 0.05) * unit,
            -place.y * (self.focal / self.nearest),
        );
        let stand = Stand {
            pitch: (self.height / place.y.max(1.0)).atan(),
            distance: place.y * HEAD,
            yaw,
            gait,
            deep: 3.0 * self.focal / self.nearest,
        };
        Prop { at, size: unit / HEAD, stand, ..prop.clone() }
    }
}

/// Cars that stand still, and a parcel that lies there.
fn park(rng: &mut Rng, ground: &Ground, width: f32, props: &mut Vec<Prop>) {
    let kinds = [(Kind::Vehicle, 0.45, (3.5, 9.0)), (Kind::Vehicle, 0.3, (3.5, 9.0)), (Kind::Parcel, 0.4, (1.1, 3.0))];
    for (kind, chance, (near, far)) in kinds {
        // There is no room for cars under a camera that looks down.
        if rng.chance(chance) && (kind == Kind::Parcel || ground.is_wide()) {
            let distance = ground.distance(rng.log(near, far));
            let x = rng.f(-0.45, 0.45) * width / (ground.focal / distance);
            let prop = Prop { at: Vec3::ZERO, size: 1.0, seed: rng.seed(), kind, stand: Stand::default() };
            let yaw = 0.5 * PI * rng.i(0, 3) as f32 + 0.3 * rng.normal();
            props.push(ground.put(&prop, Vec2::new(x, distance), yaw, None));
        }
    }
}

impl Actor {
    fn position(&self, time: f32) -> Vec2 {
        let Some(first) = self.way.first() else { return Vec2::new(0.0, 40.0) };
        let mut before = *first;
        for &(at, there) in &self.way {
            if time <= at {
                let span = (at - before.0).max(1e-3);
                return before.1.lerp(there, ((time - before.0) / span).clamp(0.0, 1.0));
            }
            before = (at, there);
        }
        before.1
    }

    /// Mean velocity over the half second around: feet and shoulders do not turn in an instant.
    fn velocity(&self, time: f32) -> Vec2 {
        (self.position(time + 0.25) - self.position(time - 0.25)) / 0.5
    }

    fn at(&self, time: f32, ground: &Ground) -> Person {
        let mut person = self.person.clone();
        let place = self.position(time);
        let velocity = self.velocity(time);
        let speed = velocity.length();
        let walking = smooth(0.4, 3.0, speed);
        let ahead = velocity.x.atan2(-velocity.y);
        // The shorter way round between looking ahead and the standing direction.
        let turn = (ahead - self.standing + PI).rem_euclid(TAU) - PI;
        let heading = self.standing + turn * walking;

        let travelled = self.travelled(time);
        let pose = &mut person.pose;
        let wander = |rate: f32, offset: u32| 2.0 * noise(time * rate, 0.5, self.seed ^ offset) - 1.0;
        pose.body_yaw = heading + 0.1 * wander(0.5, 1);
        pose.head_yaw = heading + self.swing * wander(0.45, 2);
        pose.head_pitch += 0.15 * wander(0.6, 3);
        pose.head_roll += 0.08 * wander(0.5, 4);
        if walking > 0.3 {
            let phase = travelled / STRIDE * TAU;
            pose.legs = Legs::Walk(phase);
            for (arm, sign) in pose.arms.iter_mut().zip([1.0, -1.0]) {
                if matches!(arm, Arm::Down | Arm::Swing(_)) {
                    *arm = Arm::Swing(0.8 * sign * phase.sin());
                }
            }
        } else {
            pose.legs = Legs::Stand;
            for arm in &mut pose.arms {
                if matches!(arm, Arm::Swing(_)) {
                    *arm = Arm::Down;
                }
            }
        }
        let face = &mut person.look.face;
        if self.talks {
            face.mouth_open = (0.45 * wander(6.0, 5) + 0.2).clamp(0.0, 0.7);
        }
        if (time * 0.31 + self.seed as f32 * 0.001).fract() < 0.05 {
            face.eyes_open = 0.05;
        }
        face.gaze.x = 0.6 * wander(0.8, 6);

        let unit = ground.focal / place.y.max(0.3 * ground.nearest);
        let bob = 0.06 * walking * (travelled / STRIDE * TAU * 2.0).cos();
        let y = ground.horizon + (ground.height - person.look.heads + 0.5 - bob) * unit;
        let x = ground.middle + place.x * unit;
        let depth = -place.y * (ground.focal / ground.nearest);
        let pitch = ((ground.height - person.look.heads) / place.y.max(1.0)).atan();
        person.view = View::new(Vec3::new(x, y, depth), unit, pitch, place.y.max(4.0));
        person
    }

    fn travelled(&self, time: f32) -> f32 {
        let mut sum = 0.0;
        for pair in self.way.windows(2) {
            let ((from, a), (to, b)) = (pair[0], pair[1]);
            let share = ((time - from) / (to - from).max(1e-3)).clamp(0.0, 1.0);
            sum += a.distance(b) * share;
        }
        sum
    }
}

/// The people of a clip with their ways: some cross, some come up to the camera, some meet and talk, some wait.
fn cast(generator: &Generator, rng: &mut Rng, ground: &Ground, width: f32, seconds: f32) -> Vec<Actor> {
    let habits = Habits::draw(rng);
    let mut actors = Vec::new();
    let edge = |distance: f32| 0.5 * width / (ground.focal / distance) + 1.5;
    let add = |rng: &mut Rng, actors: &mut Vec<Actor>, way: Vec<(f32, Vec2)>, standing: f32, talks: bool| {
        let (mut look, mut pose) = (Look::draw(rng, &habits), Pose::draw(rng, 1.0));
        generator.embody(&mut look);
        look.one_head = true;
        pose.head_pitch *= 0.5;
        let person = Person { look, pose, view: View::new(Vec3::ZERO, 1.0, 0.0, 20.0), haze: 0.0 };
        let swing = rng.f(0.15, 0.9);
        actors.push(Actor { person, way, standing, swing, talks, seed: rng.seed() });
    };
    for _ in 0..rng.i(2, 4) + (seconds / 4.0).min(40.0) as i32 {
        // Crossing, at their own distance: the nearer hide the farther for a while.
        let distance = ground.distance(rng.log(1.2, 6.0));
        let from = rng.pick(&[-1.0, 1.0]) * edge(distance);
        let speed = WALK * rng.f(0.6, 1.3);
        let start = rng.f(-4.0, 0.85 * seconds);
        let drift = distance * rng.f(0.8, 1.25);
        let duration = 2.0 * from.abs() / speed;
        let way = vec![(start, Vec2::new(from, distance)), (start + duration, Vec2::new(-from, drift))];
        add(rng, &mut actors, way, 0.0, false);
    }
    for _ in 0..rng.i(1, 2) {
        // Up to the camera, a look into it, and away again.
        let (far, close) = (ground.distance(rng.f(3.0, 6.0)), ground.distance(rng.f(1.0, 1.7)));
        let a = Vec2::new(rng.f(-0.7, 0.7) * edge(far), far);
        let b = Vec2::new(rng.f(-0.4, 0.4) * edge(close), close);
        let arrive = rng.f(0.1, 0.3) * seconds + a.distance(b) / (WALK * 1.5) * 0.3;
        let walk = a.distance(b) / WALK;
        let leave = arrive + rng.f(1.5, 4.0);
        let away = Vec2::new(rng.pick(&[-1.0, 1.0]) * edge(far), far * 0.8);
        let gone = leave + b.distance(away) / WALK;
        let standing = rng.normal() * 0.2;
        add(rng, &mut actors, vec![(arrive - walk, a), (arrive, b), (leave, b), (gone, away)], standing, true);
    }
    if rng.chance(0.8) {
        // Two who meet, talk, and go on past each other.
        let distance = ground.distance(rng.f(1.4, 3.5));
        let middle = Vec2::new(rng.f(-0.4, 0.4) * edge(distance), distance);
        let meet = rng.f(0.2, 0.45) * seconds;
        let part = meet + rng.f(1.5, 4.0);
        for side in [-1.0, 1.0] {
            let stop = middle + Vec2::new(side * 1.6, side * 0.5);
            let start = Vec2::new(side * edge(distance), distance + side);
            let end = Vec2::new(-side * edge(distance), distance + side * 2.0);
            let (coming, going) = (start.distance(stop) / WALK, stop.distance(end) / WALK);
            let way = vec![(meet - coming, start), (meet, stop), (part, stop), (part + going, end)];
            let standing = -side * rng.f(0.6, 1.3);
            add(rng, &mut actors, way, standing, true);
        }
    }
    for _ in 0..rng.i(0, 4) {
        let distance = ground.distance(rng.log(1.5, 6.0));
        let place = Vec2::new(rng.f(-0.8, 0.8) * edge(distance), distance);
        let standing = mix(-1.2, 1.2, rng.f(0.0, 1.0));
        let talks = rng.chance(0.3);
        add(rng, &mut actors, vec![(0.0, place)], standing, talks);
    }
    actors
}
