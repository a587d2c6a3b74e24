//! One shard's sum, site by site: no update outlives its turn.

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::clock::Clock;
use super::cohort::{Fate, Member};
use super::layout::Layout;
use super::random::{Gaussian, Purpose, stream};
use super::settings::Settings;
use super::{Fleet, SimulationError};
use crate::ClipNorm;
use crate::mechanism::{BOUND, Clipped, Mechanism};
use crate::secagg::Sum;

/// What is the same for all sites of a round.
pub(super) struct Context<'a, F: ?Sized> {
    pub(super) fleet: &'a F,
    pub(super) settings: &'a Settings,
    pub(super) layout: &'a Layout,
    pub(super) mechanism: Mechanism,
    pub(super) clip: ClipNorm,
    pub(super) round: u32,
    pub(super) learned: &'a [f32],
    /// Counts all but what the fleet does.
    pub(super) clock: Clock,
}

/// What a shard comes to.
pub(super) struct Summed {
    /// What the server learns, or why it learns nothing.
    pub(super) sum: Result<Sum, String>,
    /// The sum without noise, which nobody learns.
    pub(super) clean: Vec<i32>,
    pub(super) tally: Tally,
}

/// What became of a shard's sites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) participants: u32,
    pub(super) dropped: u32,
    pub(super) late: u32,
    pub(super) silent: u32,
    /// Participants that mean no harm.
    pub(super) honest: u32,
    /// Of those, whose update was longer than the clip norm.
    pub(super) clipped: u32,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        let Self { participants, dropped, late, silent, honest, clipped } = self;
        for (here, there) in [
            (participants, other.participants),
            (dropped, other.dropped),
            (late, other.late),
            (silent, other.silent),
            (honest, other.honest),
            (clipped, other.clipped),
        ] {
            *here += there;
        }
    }

    pub(super) fn count(&mut self, member: &Member) {
        match member.fate {
            Fate::Answers => self.participants += 1,
            Fate::Vanishes => self.dropped += 1,
            Fate::Late => self.late += 1,
        }
    }
}

/// The n-th shard of a round, as its distribution: exact integers, and noise drawn once.
///
/// Noise is that of the sites that survived, as if each had added its share; whoever skips the clip is counted too.
pub(super) fn sum<F: Fleet + ?Sized>(
    context: &Context<'_, F>,
    n: u32,
    members: &[Member],
) -> Result<Summed, SimulationError> {
    let start = || Partial { clean: vec![0; context.mechanism.coordinates()], tally: Tally::default() };
    let partial = members.par_iter().try_fold(start, |partial, member| partial.with(context, member));
    let Partial { clean, tally } =
        partial.try_reduce_with(|a, b| Ok(context.clock.count(|| a.and(b)))).unwrap_or_else(|| Ok(start()))?;
    let minimum = context.layout.minimum.get();
    if tally.participants < minimum {
        let why = format!("of a sum's sites {} answered, and it needs {minimum}", tally.participants);
        return Ok(Summed { sum: Err(why), clean, tally });
    }
    let values = context.clock.count(|| context.with_noise(n, tally.participants, &clean));
    Ok(Summed { sum: Ok(Sum::of(values, tally.participants as usize)), clean, tally })
}

/// Some sites of a shard.
struct Partial {
    clean: Vec<i32>,
    tally: Tally,
}

impl Partial {
    fn with<F: Fleet + ?Sized>(mut self, context: &Context<'_, F>, member: &Member) -> Result<Self, SimulationError> {
        self.tally.count(member);
        if member.fate == Fate::Answers {
            let update = context.update(member, &mut self.tally)?;
            context.clock.count(|| context.add(member, &update, &mut self.clean, &mut self.tally));
        }
        Ok(self)
    }

    fn and(mut self, other: Self) -> Self {
        add(&mut self.clean, &other.clean);
        self.tally.add(&other.tally);
        self
    }
}

/// Modulo 2^32, as masked vectors are added.
fn add(sum: &mut [i32], values: &[i32]) {
    sum.iter_mut().zip(values).for_each(|(sum, &value)| *sum = sum.wrapping_add(value));
}

impl<F: Fleet + ?Sized> Context<'_, F> {
    /// What a site wants to send, before anything is clipped: zeros where the fleet has nothing.
    pub(super) fn update(&self, member: &Member, tally: &mut Tally) -> Result<Vec<f32>, SimulationError> {
        let Self { fleet, round, learned, .. } = self;
        let (site, need) = (member.site, self.layout.parameters);
        let made =
            if member.malicious { fleet.poison(site, *round, learned) } else { fleet.update(site, *round, learned) };
        let mut update = made.unwrap_or_else(|_| {
            tally.silent += 1;
            vec![0.0; need]
        });
        if update.len() != need {
            return Err(SimulationError::Length { site, have: update.len(), need });
        }
        if let Some(attack) = self.settings.attack.as_ref().filter(|_| member.malicious) {
            update.iter_mut().for_each(|value| *value *= attack.boost as f32);
        }
        Ok(update)
    }

    /// Adds what a site sends to a sum, without its noise.
    pub(super) fn add(&self, member: &Member, update: &[f32], sum: &mut [i32], tally: &mut Tally) {
        if member.malicious && self.settings.skips_the_clip() {
            add(sum, &self.unclipped(update));
            return;
        }
        let clipped = Clipped::of(update, self.clip, self.settings.target_quantile.is_some());
        if !member.malicious {
            tally.honest += 1;
            tally.clipped += u32::from(!clipped.within());
        }
        add(sum, clipped.values());
    }

    /// As long as it is, in integers: what does not fit into the modulus ends at its ends. Where the clip norm adapts, it
    /// says that it was clipped, so that the norm grows.
    fn unclipped(&self, update: &[f32]) -> Vec<i32> {
        let scale = f64::from(BOUND) / self.clip.get();
        let values = update.iter().map(|&value| (f64::from(value) * scale).round() as i32);
        values.chain(self.settings.target_quantile.map(|_| Clipped::OUTSIDE)).collect()
    }

    fn with_noise(&self, n: u32, survivors: u32, clean: &[i32]) -> Vec<i32> {
        if self.layout.noise.is_none() {
            return clean.to_vec();
        }
        let gaussian = Gaussian::new(self.mechanism.sum_sigma(survivors));
        let mut random = stream(self.settings.seed, Purpose::Noise, self.round, n);
        clean.iter().map(|&value| value.wrapping_add(gaussian.draw(&mut random))).collect()
    }
}
