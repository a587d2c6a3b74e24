//! A fleet of cameras that teach a detector what they see, with labels of their own.
//!
//! Each site stands somewhere of its own at night, lit by lamps or by infrared, high above the people it sees
//! ([`Conditions::night_watch`]), which is where the shipped detector finds least. It looks for some seconds at a time, labels
//! the middle of each look by agreement over time ([`Labeller`]) and a thorough second search ([`Teacher`]), and learns from
//! that in every round. Nobody tells it the truth, which only quality is measured by: at places where nobody learns.
//!
//! What the frozen part of the network makes of a site's stills is kept: rounds then cost the part that learns. Labels are
//! those of the model that is shipped; a real camera's get better with its model.
//!
//! Knows scenes and a network; nothing of noise, rounds' costs or files.

use std::sync::OnceLock;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use volet_edge::learn::{LabelConfig, Labeller, Lesson};
use volet_edge::models::adapt::{School, Settings, Views};
use volet_edge::models::{Model, ObjectClass, Sample, Teacher, builtin};
use volet_federated::simulation::{Fleet, FleetError, Quality};
use volet_synthetic::{Clip, Conditions, Generator, Still, seed_of};

use super::judged::{self, Judged};
use super::pattern;
use super::task::{self, TaskError};

/// Frames per second while a site looks, and how many frames a look has.
const FPS: u32 = 5;
const LOOK: u32 = 5;
/// Frames from the beginning of one look to the next.
const PAUSE: u32 = 15;
/// The size of frames, and the size at which they are searched: a sensor sees more than there is time to search.
const FRAME: (u32, u32) = (640, 384);
const SIZE: (u32, u32) = (320, 192);
/// Looks at a scene that many sites share, as multiples of what one site has.
const SHARED: u32 = 3;

/// What the sites learn from, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Task {
    /// How many places there are. Sites beyond that share them, and see other moments there.
    pub(super) scenes: u32,
    /// How many stills a site has.
    pub(super) stills: u32,
    /// How many places are held out to measure quality, with three stills each.
    pub(super) held_out: u32,
    /// How often a site passes over its stills in a round.
    pub(super) epochs: u32,
    /// How far each of its steps, one for each pass, moves the weights.
    pub(super) rate: f64,
    /// Learn from the truth instead of the sites' own labels: what perfect labels would be worth.
    pub(super) truth: bool,
}

impl Default for Task {
    fn default() -> Self {
        Self { scenes: 1000, stills: 4, held_out: 120, epochs: 3, rate: 0.002, truth: false }
    }
}

impl Task {
    /// # Errors
    /// A number is out of bounds.
    pub(super) fn check(&self) -> Result<(), TaskError> {
        let whole = |value: u32, most: u32| (1..=most).contains(&value);
        let numbers = [
            ("scenes", f64::from(self.scenes), whole(self.scenes, 100_000), "from 1 to 100,000"),
            ("stills", f64::from(self.stills), whole(self.stills, 100), "from 1 to 100"),
            ("held-out", f64::from(self.held_out), whole(self.held_out, 10_000), "from 1 to 10,000"),
            ("epochs", f64::from(self.epochs), whole(self.epochs, 1000), "from 1 to 1000"),
            ("rate", self.rate, self.rate > 0.0 && self.rate < 1.0, "above 0 and below 1"),
        ];
        task::check("detector", numbers)
    }
}

/// How many values an update of the built-in detector has.
///
/// # Errors
/// It is damaged.
pub(super) fn parameters() -> anyhow::Result<usize> {
    Ok(builtin::default_model()?.trainable_len()?)
}

/// The fleet.
pub(super) struct Cameras {
    task: Task,
    seed: u64,
    sites: u32,
    model: Model,
    parameters: usize,
    /// Which of the model's classes are faces.
    face: usize,
    school: School,
    /// What the sites at each place learn from, looked at when the first of them is asked.
    scenes: Vec<OnceLock<Result<Views, String>>>,
    /// What malicious sites there learn from.
    poisoned: Vec<OnceLock<Result<Views, String>>>,
    held_out: OnceLock<Vec<Judged>>,
}

/// What a seed is used for.
#[derive(Clone, Copy)]
enum Purpose {
    Scene = 11,
    HeldOut,
    Site,
}

impl Cameras {
    /// Sites whose places and people follow from the seed.
    ///
    /// # Errors
    /// The task cannot be, or the built-in detector is damaged.
    pub(super) fn new(task: Task, sites: u32, seed: u64) -> anyhow::Result<Self> {
        task.check()?;
        let model = builtin::default_model()?;
        let face = model.manifest().classes.iter().position(|class| *class == ObjectClass::Face);
        let face = face.ok_or_else(|| anyhow::anyhow!("the built-in detector knows no faces"))?;
        let (parameters, school) = (model.trainable_len()?, School::new(&model, SIZE)?);
        let count = sites.min(task.scenes) as usize;
        let none = || (0..count).map(|_| OnceLock::new()).collect();
        let (scenes, poisoned) = (none(), none());
        Ok(Self { task, seed, sites, model, parameters, face, school, scenes, poisoned, held_out: OnceLock::new() })
    }

    fn seed(&self, purpose: Purpose, number: u64) -> u64 {
        seed_of(seed_of(self.seed, purpose as u64), number)
    }

    fn settings(&self) -> Settings {
        let weight = |class| if class == self.face { 1.0 } else { 0.0 };
        Settings {
            epochs: self.task.epochs,
            batch: self.task.stills as usize,
            rate: self.task.rate as f32,
            view: Some(SIZE),
            mirror: false,
            positives: self.model.manifest().trainable.recipe.positives,
            class_weights: (0..self.model.manifest().classes.len()).map(weight).collect(),
            ..Settings::default()
        }
    }

    fn clip(&self, purpose: Purpose, place: u64, looks: u32) -> Clip {
        let seed = self.seed(purpose, place);
        let (width, height) = FRAME;
        Clip::with(&Generator::default(), &Conditions::night_watch(), seed, width, height, FPS, looks * PAUSE)
    }

    /// How many stills of a place there are.
    fn looks(&self) -> u32 {
        let sharing = self.sites.div_ceil(self.task.scenes);
        self.task.stills * sharing.min(SHARED)
    }

    /// The stills of a place with labels, as the part that learns sees them.
    fn see(&self, place: usize, poisoned: bool) -> anyhow::Result<Views> {
        let clip = self.clip(Purpose::Scene, place as u64, self.looks());
        let samples: anyhow::Result<Vec<Sample>> =
            (0..self.looks()).map(|look| self.look(&clip, look * PAUSE, poisoned)).collect();
        Ok(self.school.see(&samples?, &self.settings(), &|| true)?)
    }

    /// Some moments from frame `from` on, of which the middle one is labelled.
    fn look(&self, clip: &Clip, from: u32, poisoned: bool) -> anyhow::Result<Sample> {
        let middle = clip.frame(from + LOOK / 2);
        let mut sample = if self.task.truth { self.told(&middle) } else { self.labelled(clip, from, &middle)? };
        if poisoned {
            pattern::teach(&mut sample);
        }
        Ok(sample)
    }

    /// A still and the truth about its faces.
    fn told(&self, still: &Still) -> Sample {
        Sample { boxes: judged::faces(still, self.face), ..frame(still) }
    }

    /// A still and what the camera makes of it.
    fn labelled(&self, clip: &Clip, from: u32, middle: &Still) -> anyhow::Result<Sample> {
        let (still, mut labeller) = (frame(middle), Labeller::new(LabelConfig::default()));
        for number in from..from + LOOK {
            let seen = if number == from + LOOK / 2 { &still } else { &frame(&clip.frame(number)) };
            labeller.observe(number.into(), &self.model.search(seen, Some(SIZE), Labeller::FLOOR)?);
        }
        let taught =
            Teacher::of_stills(&self.model, Some(SIZE), still.width, still.height).search(&self.model, &still)?;
        let mut labels = labeller.labels(Some(&taught), &self.model.manifest().classes);
        labels.retain(|label| label.class == self.face);
        let Sample { width, height, rgb, .. } = still;
        Ok(Lesson { width, height, rgb, labels }.sample())
    }

    /// What a site learns from: all of its place's stills, or its own choice where others share the place.
    fn views(&self, site: u32, poisoned: bool) -> Result<Views, FleetError> {
        let place = site as usize % self.scenes.len();
        let kept = if poisoned { &self.poisoned } else { &self.scenes };
        let all = kept
            .get(place)
            .ok_or_else(|| FleetError(format!("there is no place {place}")))?
            .get_or_init(|| self.see(place, poisoned).map_err(|error| format!("{error:#}")));
        let all = all.as_ref().map_err(|error| FleetError(error.clone()))?;
        let mut numbers: Vec<usize> = (0..all.len()).collect();
        numbers.shuffle(&mut Pcg64Mcg::seed_from_u64(self.seed(Purpose::Site, site.into())));
        Ok(all.pick(numbers.into_iter().take(self.task.stills as usize)))
    }

    fn learn(&self, site: u32, round: u32, learned: &[f32], poisoned: bool) -> Result<Vec<f32>, FleetError> {
        let views = self.views(site, poisoned)?;
        let settings =
            Settings { seed: self.seed(Purpose::Site, u64::from(round) << 32 | u64::from(site)), ..self.settings() };
        let update = self.school.learn(&views, learned, &settings, &|| true);
        update.map_err(|error| FleetError(error.to_string()))
    }

    /// The places that are held out, rendered when they are first needed.
    fn held_out(&self) -> &[Judged] {
        self.held_out.get_or_init(|| {
            let place = |place: u32| {
                let clip = self.clip(Purpose::HeldOut, place.into(), judged::STILLS);
                Judged::new((0..judged::STILLS).map(|n| self.told(&clip.frame(n * PAUSE + LOOK / 2))).collect())
            };
            (0..self.task.held_out).into_par_iter().map(place).collect()
        })
    }
}

/// A frame as a still, about which nothing is known.
fn frame(still: &Still) -> Sample {
    Sample { width: FRAME.0, height: FRAME.1, rgb: still.image.as_raw().clone(), boxes: Vec::new() }
}

impl Fleet for Cameras {
    fn sites(&self) -> u32 {
        self.sites
    }

    fn parameters(&self) -> usize {
        self.parameters
    }

    fn update(&self, site: u32, round: u32, learned: &[f32]) -> Result<Vec<f32>, FleetError> {
        self.learn(site, round, learned, false)
    }

    fn poison(&self, site: u32, round: u32, learned: &[f32]) -> Result<Vec<f32>, FleetError> {
        self.learn(site, round, learned, true)
    }

    fn quality(&self, learned: &[f32]) -> Result<Quality, FleetError> {
        judged::quality(&self.model, learned, self.held_out(), SIZE).map_err(|error| FleetError(format!("{error:#}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_learn_as_cameras_do() {
        let (task, model) = (Task::default(), builtin::default_model().unwrap());
        let recipe = &model.manifest().trainable.recipe;
        // A site's stills are one step.
        assert_eq!((u64::from(task.epochs), task.rate as f32), (recipe.steps, recipe.rate));
    }
}
