//! Which morphs make a person: ancestry, sex, age and build as broad strokes, parts of the face as fine ones, and the
//! expression of a moment. Knows morphs by name only.

use std::sync::Arc;

use glam::Vec3;

use super::Bodies;
use crate::head::Face;
use crate::math::{Rng, smooth};

const ANCESTRIES: [&str; 3] = ["african", "asian", "caucasian"];
const SEXES: [&str; 2] = ["female", "male"];
const AGES: [&str; 4] = ["baby", "child", "young", "old"];
const BUILDS: [&str; 5] = [
    "averagemuscle-averageweight",
    "averagemuscle-minweight",
    "averagemuscle-maxweight",
    "minmuscle-averageweight",
    "maxmuscle-averageweight",
];

/// Pairs of opposite morphs: name, its two ends, how far people differ (the share of the morph at one deviation).
/// A name with `*` exists for the left and the right.
const TRAITS: &[(&str, &str, &str, f32)] = &[
    ("head/head-angle", "in", "out", 0.3),
    ("head/head-age", "decr", "incr", 0.3),
    ("head/head-fat", "decr", "incr", 0.35),
    ("head/head-scale-depth", "decr", "incr", 0.3),
    ("head/head-scale-horiz", "decr", "incr", 0.35),
    ("head/head-scale-vert", "decr", "incr", 0.35),
    ("head/head-back-scale-depth", "decr", "incr", 0.3),
    ("forehead/forehead-nubian", "decr", "incr", 0.4),
    ("forehead/forehead-scale-vert", "decr", "incr", 0.4),
    ("forehead/forehead-temple", "decr", "incr", 0.5),
    ("forehead/forehead-trans", "backward", "forward", 0.45),
    ("eyebrows/eyebrows-angle", "down", "up", 0.4),
    ("eyebrows/eyebrows-trans", "backward", "forward", 0.5),
    ("eyebrows/eyebrows-trans", "down", "up", 0.35),
    ("nose/nose-base", "down", "up", 0.3),
    ("nose/nose-curve", "concave", "convex", 0.32),
    ("nose/nose-flaring", "decr", "incr", 0.32),
    ("nose/nose-greek", "decr", "incr", 0.3),
    ("nose/nose-hump", "decr", "incr", 0.32),
    ("nose/nose-nostrils-angle", "down", "up", 0.32),
    ("nose/nose-nostrils-width", "decr", "incr", 0.3),
    ("nose/nose-point", "down", "up", 0.32),
    ("nose/nose-point-width", "decr", "incr", 0.32),
    ("nose/nose-scale-depth", "decr", "incr", 0.32),
    ("nose/nose-scale-horiz", "decr", "incr", 0.3),
    ("nose/nose-scale-vert", "decr", "incr", 0.25),
    ("nose/nose-trans", "down", "up", 0.25),
    ("nose/nose-volume", "decr", "incr", 0.32),
    ("nose/nose-width1", "decr", "incr", 0.32),
    ("nose/nose-width2", "decr", "incr", 0.32),
    ("nose/nose-width3", "decr", "incr", 0.32),
    ("mouth/mouth-angles", "down", "up", 0.4),
    ("mouth/mouth-cupidsbow", "decr", "incr", 0.5),
    ("mouth/mouth-dimples", "in", "out", 0.3),
    ("mouth/mouth-laugh-lines", "in", "out", 0.5),
    ("mouth/mouth-lowerlip-height", "decr", "incr", 0.45),
    ("mouth/mouth-lowerlip-middle", "down", "up", 0.4),
    ("mouth/mouth-lowerlip-volume", "decr", "incr", 0.6),
    ("mouth/mouth-lowerlip-width", "decr", "incr", 0.4),
    ("mouth/mouth-philtrum-volume", "decr", "incr", 0.5),
    ("mouth/mouth-scale-depth", "decr", "incr", 0.3),
    ("mouth/mouth-scale-horiz", "decr", "incr", 0.45),
    ("mouth/mouth-scale-vert", "decr", "incr", 0.4),
    ("mouth/mouth-trans", "backward", "forward", 0.3),
    ("mouth/mouth-trans", "down", "up", 0.3),
    ("mouth/mouth-upperlip-height", "decr", "incr", 0.45),
    ("mouth/mouth-upperlip-middle", "down", "up", 0.4),
    ("mouth/mouth-upperlip-volume", "decr", "incr", 0.6),
    ("mouth/mouth-upperlip-width", "decr", "incr", 0.4),
    ("chin/chin-bones", "decr", "incr", 0.45),
    ("chin/chin-cleft", "decr", "incr", 0.4),
    ("chin/chin-height", "decr", "incr", 0.4),
    ("chin/chin-jaw-drop", "decr", "incr", 0.4),
    ("chin/chin-prognathism", "decr", "incr", 0.4),
    ("chin/chin-prominent", "decr", "incr", 0.5),
    ("chin/chin-width", "decr", "incr", 0.5),
    ("neck/neck-scale-horiz", "decr", "incr", 0.3),
    ("neck/neck-scale-depth", "decr", "incr", 0.3),
    ("cheek/*-cheek-bones", "decr", "incr", 0.5),
    ("cheek/*-cheek-inner", "decr", "incr", 0.5),
    ("cheek/*-cheek-trans", "down", "up", 0.4),
    ("cheek/*-cheek-volume", "decr", "incr", 0.5),
    ("ears/*-ear-flap", "decr", "incr", 0.4),
    ("ears/*-ear-lobe", "decr", "incr", 0.5),
    ("ears/*-ear-rot", "backward", "forward", 0.4),
    ("ears/*-ear-scale", "decr", "incr", 0.4),
    ("ears/*-ear-trans", "down", "up", 0.3),
    ("ears/*-ear-wing", "decr", "incr", 0.5),
    ("eyes/*-eye-bag", "decr", "incr", 0.5),
    ("eyes/*-eye-bag-height", "decr", "incr", 0.4),
    ("eyes/*-eye-corner1", "down", "up", 0.4),
    ("eyes/*-eye-corner2", "down", "up", 0.4),
    ("eyes/*-eye-epicanthus", "in", "out", 0.5),
    ("eyes/*-eye-eyefold", "concave", "convex", 0.5),
    ("eyes/*-eye-eyefold", "down", "up", 0.5),
    ("eyes/*-eye-height1", "decr", "incr", 0.35),
    ("eyes/*-eye-height2", "decr", "incr", 0.35),
    ("eyes/*-eye-height3", "decr", "incr", 0.35),
    ("eyes/*-eye-push1", "in", "out", 0.35),
    ("eyes/*-eye-push2", "in", "out", 0.35),
    ("eyes/*-eye-scale", "decr", "incr", 0.3),
    ("eyes/*-eye-trans", "in", "out", 0.3),
    ("eyes/*-eye-trans", "down", "up", 0.25),
];

/// Whole shapes of the head and its parts, of which a person may have one or two.
const SHAPES: &[&str] = &[
    "head/head-oval",
    "head/head-round",
    "head/head-rectangular",
    "head/head-square",
    "head/head-triangular",
    "head/head-invertedtriangular",
    "head/head-diamond",
    "chin/chin-triangle",
    "neck/neck-double-incr",
];

/// What differs between the left and the right of a face.
const ASYMMETRIES: &[&str] = &[
    "brown-1", "brown-2", "cheek-1", "cheek-2", "ear-1", "ear-2", "eye-1", "eye-2", "eye-5", "jaw-1", "jaw-2", "jaw-3",
    "mouth-1", "mouth-2", "nose-1", "nose-2", "nose-3", "temple-1", "top-1", "top-2",
];

const EXPRESSIONS: [&str; 24] = [
    "eye-left-closure",
    "eye-right-closure",
    "eye-left-opened-up",
    "eye-right-opened-up",
    "eye-left-slit",
    "eye-right-slit",
    "eyebrows-left-up",
    "eyebrows-right-up",
    "eyebrows-left-down",
    "eyebrows-right-down",
    "eyebrows-left-inner-up",
    "eyebrows-right-inner-up",
    "eyebrows-left-extern-up",
    "eyebrows-right-extern-up",
    "mouth-open",
    "mouth-corner-puller",
    "mouth-parling",
    "mouth-depression",
    "mouth-pursing",
    "mouth-compression",
    "mouth-retraction",
    "mouth-upward-retraction",
    "nose-left-elevation",
    "nose-right-elevation",
];

/// A trait as numbers of morphs: the low and high end, for the left and the right where they differ.
struct Trait {
    ends: Vec<[u16; 2]>,
    spread: f32,
}

/// Where each morph is in the list of those loaded.
pub(super) struct Catalogue {
    ancestry: u16,
    build: u16,
    traits: Vec<Trait>,
    shapes: u16,
    asymmetries: u16,
    expressions: u16,
}

impl Catalogue {
    /// The catalogue, and the names of the morphs it needs, in its order.
    pub(super) fn new() -> (Self, Vec<String>) {
        let mut names: Vec<String> = Vec::new();
        let ancestry = 0;
        for name in ANCESTRIES {
            for sex in SEXES {
                names.extend(AGES.map(|age| format!("macrodetails/{name}-{sex}-{age}")));
            }
        }
        let build = names.len() as u16;
        for sex in SEXES {
            for age in AGES {
                names.extend(BUILDS.map(|build| format!("macrodetails/universal-{sex}-{age}-{build}")));
            }
        }
        let mut traits = Vec::new();
        for (name, low, high, spread) in TRAITS {
            let sides: &[&str] = if name.contains('*') { &["l", "r"] } else { &[""] };
            let mut ends = Vec::new();
            for side in sides {
                let at = names.len() as u16;
                let name = name.replace('*', side);
                names.extend([format!("{name}-{low}"), format!("{name}-{high}")]);
                ends.push([at, at + 1]);
            }
            traits.push(Trait { ends, spread: *spread });
        }
        let shapes = names.len() as u16;
        names.extend(SHAPES.iter().map(|name| (*name).to_owned()));
        let asymmetries = names.len() as u16;
        for name in ASYMMETRIES {
            names.extend(["l", "r"].map(|side| format!("asym/asym-{name}-{side}")));
        }
        let expressions = names.len() as u16;
        names.extend(EXPRESSIONS.map(|name| format!("expression/units/caucasian/{name}")));
        (Self { ancestry, build, traits, shapes, asymmetries, expressions }, names)
    }

    fn ancestry(&self, ancestry: usize, sex: usize, age: usize) -> u16 {
        self.ancestry + ((ancestry * SEXES.len() + sex) * AGES.len() + age) as u16
    }

    fn build(&self, sex: usize, age: usize, build: usize) -> u16 {
        self.build + ((sex * AGES.len() + age) * BUILDS.len() + build) as u16
    }

    /// The average young adult: the shape in whose coordinates everything is painted.
    pub(super) fn average(&self) -> Vec<(u16, f32)> {
        let mut weights = Vec::new();
        for sex in 0..SEXES.len() {
            for ancestry in 0..ANCESTRIES.len() {
                weights.push((self.ancestry(ancestry, sex, 2), 1.0 / 6.0));
            }
            weights.push((self.build(sex, 2, 0), 0.5));
        }
        weights
    }

    fn expression(&self, name: &str, weight: f32, into: &mut Vec<(u16, f32)>) {
        if let Some(at) = EXPRESSIONS.iter().position(|known| *known == name) {
            into.push((self.expressions + at as u16, weight));
        }
    }
}

/// One person's shape, as morphs of the shared mesh.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(super) bodies: Arc<Bodies>,
    weights: Vec<(u16, f32)>,
    seed: u32,
}

impl Shape {
    /// Draws a shape; `age` in years, `male` as a share, `build` 1 for the usual girth, `skin` in linear light.
    pub(crate) fn draw(bodies: &Arc<Bodies>, seed: u32, age: f32, male: f32, build: f32, skin: Vec3) -> Self {
        let mut own = Rng::new(u64::from(seed) ^ 0x00B0_D1E5);
        let rng = &mut own;
        let catalogue = &bodies.catalogue;
        let mut weights = Vec::new();
        // The mesh's ages: 1, 10, 25 and 90 years.
        let (age_low, age_share) = match age {
            a if a < 10.0 => (0, (a - 1.0) / 9.0),
            a if a < 25.0 => (1, (a - 10.0) / 15.0),
            a => (2, ((a - 25.0) / 65.0).min(1.0)),
        };
        let ages = [(age_low, 1.0 - age_share.max(0.0)), (age_low + 1, age_share.max(0.0))];
        let sexes = [(0, 1.0 - male), (1, male)];
        let ancestry = ancestry(rng, skin);
        let heavy = ((build - 1.0) * 2.2 + 0.3 * rng.normal()).clamp(-1.0, 1.2);
        let strong = (0.35 * rng.normal() + 0.3 * (male - 0.5)).clamp(-0.8, 0.8);
        let builds =
            [1.0 - heavy.abs() - strong.abs(), (-heavy).max(0.0), heavy.max(0.0), (-strong).max(0.0), strong.max(0.0)];
        for (sex, sex_share) in sexes {
            for (age, age_share) in ages {
                let share = sex_share * age_share;
                if share < 0.01 {
                    continue;
                }
                for (index, part) in ancestry.into_iter().enumerate() {
                    weights.push((catalogue.ancestry(index, sex, age), share * part));
                }
                for (index, part) in builds.into_iter().enumerate() {
                    weights.push((catalogue.build(sex, age, index), share * part));
                }
            }
        }
        // Some faces are near the average, some far from it.
        let character = rng.f(0.45, 1.25) * (0.55 + 0.45 * smooth(3.0, 16.0, age));
        for one in &catalogue.traits {
            if rng.chance(0.4) {
                continue;
            }
            let amount = rng.normal() * one.spread * character;
            for ends in &one.ends {
                let amount = (amount + 0.04 * rng.normal()).clamp(-1.0, 1.0);
                weights.push((ends[usize::from(amount > 0.0)], amount.abs()));
            }
        }
        for _ in 0..rng.i(0, 2) {
            weights.push((catalogue.shapes + rng.i(0, SHAPES.len() as i32 - 1) as u16, rng.f(0.1, 0.7) * character));
        }
        for _ in 0..rng.i(1, 4) {
            let which = rng.i(0, 2 * ASYMMETRIES.len() as i32 - 1) as u16;
            weights.push((catalogue.asymmetries + which, rng.f(0.1, 0.45)));
        }
        weights.retain(|(_, weight)| weight.abs() > 0.005);
        Self { bodies: Arc::clone(bodies), weights, seed }
    }

    /// The person with a neutral face, in the mesh's unit.
    pub(super) fn calm(&self) -> Vec<Vec3> {
        self.bodies.morphed(&self.weights)
    }

    /// Adds what the face does at one moment.
    pub(super) fn express(&self, face: &Face, points: &mut [Vec3]) {
        let catalogue = &self.bodies.catalogue;
        let mut weights = Vec::new();
        let mut own = Rng::new(u64::from(self.seed) ^ 0xFACE);
        let mut add = |name: &str, weight: f32| catalogue.expression(name, weight, &mut weights);
        let closed = ((0.85 - face.eyes_open) / 0.8).clamp(0.0, 1.0);
        let wide = ((face.eyes_open - 0.95) * 2.0).clamp(0.0, 0.6);
        for side in ["left", "right"] {
            add(&format!("eye-{side}-closure"), closed);
            add(&format!("eye-{side}-opened-up"), wide);
            add(&format!("eye-{side}-slit"), 0.45 * face.smile.max(0.0) * (1.0 - closed));
            let habit = 0.15 * own.normal();
            let raise = face.brow_raise + habit;
            add(&format!("eyebrows-{side}-up"), (0.8 * raise).clamp(0.0, 1.0));
            add(&format!("eyebrows-{side}-down"), (-0.8 * raise).clamp(0.0, 1.0));
            add(&format!("eyebrows-{side}-inner-up"), (0.6 * -face.smile).clamp(0.0, 0.5));
            add(&format!("nose-{side}-elevation"), (0.3 * habit).max(0.0));
        }
        add("mouth-open", 0.75 * face.mouth_open);
        add("mouth-corner-puller", 0.9 * face.smile.max(0.0));
        add("mouth-depression", 0.7 * (-face.smile).max(0.0));
        // Many smiles show the teeth.
        let shows = if own.chance(0.6) { smooth(0.35, 0.9, face.smile) } else { 0.0 };
        add("mouth-parling", 0.7 * shows);
        if face.smile.abs() < 0.3 && face.mouth_open < 0.1 {
            let name = own.pick(&["mouth-pursing", "mouth-compression", "mouth-retraction", "mouth-upward-retraction"]);
            add(name, (0.5 * own.normal()).clamp(0.0, 0.6));
        }
        for (target, weight) in weights.into_iter().filter(|(_, weight)| *weight > 0.01) {
            super::add(points, &self.bodies.targets[usize::from(target)], weight);
        }
    }
}

/// Shares of three ancestries; they go with the skin's colour in most people, not in all.
fn ancestry(rng: &mut Rng, skin: Vec3) -> [f32; 3] {
    let pale = smooth(0.06, 0.3, skin.dot(Vec3::new(0.3, 0.55, 0.15)));
    let likely = match rng.chance(0.75) {
        true => [1.2 - 1.15 * pale, 0.15 + 0.7 * pale, 0.15 + 0.8 * pale],
        false => [1.0; 3],
    };
    let shares = likely.map(|most| most * rng.f(0.0, 1.0).powi(3) + 0.01);
    let sum: f32 = shares.iter().sum();
    shares.map(|share| share / sum)
}
