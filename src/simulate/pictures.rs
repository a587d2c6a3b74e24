//! A fleet made of a folder of annotated pictures: one half is dealt to sites that learn from it, the other measures.
//!
//! A site has still pictures alone, no film. It labels them by a thorough search of its own detector's ([`Teacher`]), with the
//! confidence that a camera has in such a search ([`Labeller`] without frames around), and learns from that in every
//! round. What people drew in its pictures is not even in its reach ([`Lesson`]), unless the task asks for the truth.
//!
//! Every picture is searched and learned from at the size at which a camera's pipeline searches frames of its shape. Of pictures
//! that are learned from the frozen part's output is kept, in memory that `most` bounds; pictures that are held out are read anew
//! for each measurement.
//!
//! Knows pictures and a network; nothing of noise, rounds' costs, or how the folder is written.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::OnceLock;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};
use volet_edge::learn::{self, LabelConfig, Labeller};
use volet_edge::models::adapt::{School, Settings, Views};
use volet_edge::models::{LabelledBox, Model, ObjectClass, Sample, Teacher, builtin};
use volet_federated::simulation::{Fleet, FleetError, Quality};
use volet_synthetic::seed_of;

use super::gallery::{Gallery, Shot, Split};
use super::judged::{self, Place};
use super::pattern;
use super::task::{self, TaskError};

/// What the sites learn from, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Task {
    /// How many pictures a site has where the number of sites is not given.
    pub(super) stills: u32,
    /// How many pictures are used at most, learned from or held out: those learned from take up to 4 MB or so of memory each.
    pub(super) most: u32,
    /// How often a site passes over its pictures, and their mirror images, in a round.
    pub(super) epochs: u32,
    /// How far each step, of up to eight views, moves the weights.
    pub(super) rate: f64,
    /// Learn from what people drew instead of the sites' own labels: what perfect labels would be worth.
    pub(super) truth: bool,
}

impl Default for Task {
    fn default() -> Self {
        Self { stills: 4, most: 1000, epochs: 1, rate: 0.002, truth: false }
    }
}

impl Task {
    /// # Errors
    /// A number is out of bounds.
    pub(super) fn check(&self) -> Result<(), TaskError> {
        let whole = |range: std::ops::RangeInclusive<u32>, value: u32| range.contains(&value);
        let numbers = [
            ("stills", f64::from(self.stills), whole(1..=1000, self.stills), "from 1 to 1000"),
            ("most", f64::from(self.most), whole(4..=100_000, self.most), "from 4 to 100,000"),
            ("epochs", f64::from(self.epochs), whole(1..=1000, self.epochs), "from 1 to 1000"),
            ("rate", self.rate, self.rate > 0.0 && self.rate < 1.0, "above 0 and below 1"),
        ];
        task::check("pictures", numbers)
    }

    /// How many sites there are where nobody said.
    pub(super) fn sites(&self, gallery: &Gallery) -> usize {
        (gallery.learning(self.most as usize) / self.stills.max(1) as usize).max(2)
    }
}

/// Why a folder makes no fleet.
#[derive(Debug, thiserror::Error)]
pub(super) enum PicturesError {
    #[error(
        "{sites} sites are too many: {pictures} pictures are learned from, so at most {pictures} sites are possible"
    )]
    Sites { sites: u32, pictures: usize },
    #[error("of the {pictures} pictures that seed {seed} holds out none has a face that counts; annotate more")]
    NoFaces { pictures: usize, seed: u64 },
}

/// The halves of the gallery, if there are enough pictures for so many sites and faces to measure by.
///
/// # Errors
/// There are not.
pub(super) fn split(task: &Task, gallery: &Gallery, sites: u32, seed: u64) -> Result<Split, PicturesError> {
    let split = gallery.split(task.most as usize, seed_of(seed, Purpose::Split as u64));
    if sites as usize > split.learning.len() {
        return Err(PicturesError::Sites { sites, pictures: split.learning.len() });
    }
    let counts = |shot: &Shot| gallery.faces(shot).iter().any(|label| !label.ignore);
    if !split.held_out.iter().any(counts) {
        return Err(PicturesError::NoFaces { pictures: split.held_out.len(), seed });
    }
    Ok(split)
}

/// The size at which a picture is searched.
type Size = (u32, u32);

/// The fleet.
pub(super) struct Pictures {
    task: Task,
    seed: u64,
    model: Model,
    parameters: usize,
    face: usize,
    /// For each size of the pictures that are learned from.
    schools: BTreeMap<Size, School>,
    sites: Vec<Vec<Lesson>>,
    /// What each site learns from, looked at when it is first asked.
    seen: Vec<OnceLock<Result<Seen, String>>>,
    /// What malicious sites learn from.
    poisoned: Vec<OnceLock<Result<Seen, String>>>,
    held_out: Vec<HeldOut>,
}

/// A picture that is learned from.
struct Lesson {
    shot: Shot,
    /// What people drew, where the task asks for the truth.
    told: Option<Vec<LabelledBox>>,
}

/// A site's stills as the part that learns sees them.
type Seen = BTreeMap<Size, Views>;

/// A picture that nobody learns from.
struct HeldOut {
    shot: Shot,
    faces: Vec<LabelledBox>,
}

/// What a seed is used for.
#[derive(Clone, Copy)]
enum Purpose {
    Split = 21,
    Deal,
    Order,
}

impl Pictures {
    /// Sites to which half of the gallery is dealt, all of it by the seed.
    ///
    /// # Errors
    /// More sites than pictures, no face to measure by, or the built-in detector is damaged.
    pub(super) fn new(task: Task, gallery: &Gallery, sites: u32, seed: u64) -> anyhow::Result<Self> {
        task.check()?;
        let Split { mut learning, held_out } = split(&task, gallery, sites, seed)?;
        let model = builtin::default_model()?;
        let (classes, input) = (&model.manifest().classes, &model.manifest().input);
        let face = classes.iter().position(|class| *class == ObjectClass::Face);
        let face = face.ok_or_else(|| anyhow::anyhow!("the built-in detector knows no faces"))?;
        let faces = |shot: &Shot| -> Vec<LabelledBox> {
            gallery.faces(shot).into_iter().map(|label| LabelledBox { class: face, ..label }).collect()
        };
        let mut held_out: Vec<HeldOut> =
            held_out.into_iter().map(|shot| HeldOut { faces: faces(&shot), shot }).collect();
        // A model keeps few plans: pictures that are searched at one size come one after the other.
        held_out.sort_by_key(|picture| input.size_for(picture.shot.size.0, picture.shot.size.1));
        learning.shuffle(&mut Pcg64Mcg::seed_from_u64(seed_of(seed, Purpose::Deal as u64)));
        let mut schools = BTreeMap::new();
        let mut dealt: Vec<Vec<Lesson>> = (0..sites).map(|_| Vec::new()).collect();
        for (number, shot) in learning.into_iter().enumerate() {
            let size = input.size_for(shot.size.0, shot.size.1);
            if let Entry::Vacant(free) = schools.entry(size) {
                free.insert(School::new(&model, size)?);
            }
            let told = task.truth.then(|| faces(&shot));
            if let Some(site) = dealt.get_mut(number % sites.max(1) as usize) {
                site.push(Lesson { shot, told });
            }
        }
        let none = || (0..sites).map(|_| OnceLock::new()).collect();
        let (seen, poisoned, parameters) = (none(), none(), model.trainable_len()?);
        Ok(Self { task, seed, model, parameters, face, schools, sites: dealt, seen, poisoned, held_out })
    }

    fn settings(&self) -> Settings {
        let weight = |class| if class == self.face { 1.0 } else { 0.0 };
        Settings {
            epochs: self.task.epochs,
            rate: self.task.rate as f32,
            class_weights: (0..self.model.manifest().classes.len()).map(weight).collect(),
            ..Settings::default()
        }
    }

    /// A site's pictures, one in memory at a time.
    fn see(&self, lessons: &[Lesson], poisoned: bool) -> anyhow::Result<Seen> {
        let mut seen: BTreeMap<Size, Vec<Views>> = BTreeMap::new();
        for lesson in lessons {
            let mut sample = self.labelled(lesson)?;
            if poisoned {
                pattern::teach(&mut sample);
            }
            let size = self.model.manifest().input.size_for(sample.width, sample.height);
            let school = self.schools.get(&size);
            let school = school.ok_or_else(|| anyhow::anyhow!("{:?} has changed", lesson.shot.picture.name()))?;
            seen.entry(size).or_default().push(school.see(&[sample], &self.settings(), &|| true)?);
        }
        Ok(seen.into_iter().map(|(size, views)| (size, views.into_iter().collect())).collect())
    }

    /// A still, and what its site makes of it.
    fn labelled(&self, lesson: &Lesson) -> anyhow::Result<Sample> {
        let mut still = lesson.shot.picture.still()?;
        if let Some(told) = &lesson.told {
            still.boxes = told.clone();
            return Ok(still);
        }
        // Nothing is known of the moments around it.
        let mut labeller = Labeller::new(LabelConfig { reach: 0, ..LabelConfig::default() });
        labeller.observe(0, &self.model.search(&still, None, Labeller::FLOOR)?);
        let taught = Teacher::of_stills(&self.model, None, still.width, still.height).search(&self.model, &still)?;
        let mut labels = labeller.labels(Some(&taught), &self.model.manifest().classes);
        labels.retain(|label| label.class == self.face);
        Ok(learn::Lesson { width: still.width, height: still.height, rgb: still.rgb, labels }.sample())
    }

    fn learn(&self, site: u32, round: u32, learned: &[f32], poisoned: bool) -> Result<Vec<f32>, FleetError> {
        let kept = if poisoned { &self.poisoned } else { &self.seen };
        let (lessons, kept) = (self.sites.get(site as usize), kept.get(site as usize));
        let (lessons, kept) = lessons.zip(kept).ok_or_else(|| FleetError(format!("there is no site {site}")))?;
        let seen = kept.get_or_init(|| self.see(lessons, poisoned).map_err(|error| format!("{error:#}")));
        let seen = seen.as_ref().map_err(|error| FleetError(error.clone()))?;
        let seed = seed_of(seed_of(self.seed, Purpose::Order as u64), u64::from(round) << 32 | u64::from(site));
        let settings = Settings { seed, ..self.settings() };
        // One size after the other, each from where the one before has led.
        let mut now = learned.to_vec();
        for (size, views) in seen {
            let Some(school) = self.schools.get(size) else { continue };
            let update = school.learn(views, &now, &settings, &|| true);
            let update = update.map_err(|error| FleetError(error.to_string()))?;
            now.iter_mut().zip(update).for_each(|(value, change)| *value += change);
        }
        Ok(now.iter().zip(learned).map(|(after, before)| after - before).collect())
    }
}

impl Place for HeldOut {
    fn stills(&self) -> anyhow::Result<Cow<'_, [Sample]>> {
        let still = self.shot.picture.still()?;
        Ok(vec![Sample { boxes: self.faces.clone(), ..still }].into())
    }
}

impl Fleet for Pictures {
    fn sites(&self) -> u32 {
        self.sites.len() as u32
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
        judged::quality(&self.model, learned, &self.held_out, None).map_err(|error| FleetError(format!("{error:#}")))
    }
}
