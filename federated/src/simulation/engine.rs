//! The rounds of a simulation, one after the other.

use borsh::{BorshDeserialize, BorshSerialize};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::clock::{Clock, of_process};
use super::cohort::{self, Malice, Member};
use super::layout::Layout;
use super::protocol::Devices;
use super::record::Record;
use super::settings::{Fidelity, Settings, SettingsError};
use super::shard::{self, Context, Summed, Tally};
use super::{Fleet, FleetError};
use crate::ClipNorm;
use crate::mechanism::{BOUND, QuantileClip};
use crate::optimizer::Optimizer;
use crate::robust::Combiner;

/// By which factor the clip norm moves at most in a round: e to this (Andrew et al. 2021).
const CLIP_RATE: f64 = 0.2;

/// Why a simulation ends early.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum SimulationError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("the update of site {site} has {have} values, and the fleet's have {need}")]
    Length { site: u32, have: usize, need: usize },
    #[error("the quality after round {round} cannot be told: {error}")]
    Quality { round: u32, error: FleetError },
    #[error("the state is another simulation's: {0} is not what it was; go on with the same, or begin anew")]
    Foreign(&'static str),
    #[error("a site or the server refuses to take part in the protocol: {0}")]
    Protocol(String),
}

/// A fleet that learns.
pub struct Simulation<'a, F: ?Sized> {
    fleet: &'a F,
    layout: Layout,
    malice: Malice,
    devices: Devices,
    state: State,
}

/// Where a simulation is between two rounds: written down and read again, it goes on as if it had never stopped, to the last
/// bit (but for [`Fidelity::Protocol`], whose noise nobody can draw again).
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct State {
    settings: Settings,
    sites: u32,
    next: u32,
    clip_norm: f64,
    learned: Vec<f32>,
    optimizer: Optimizer,
}

impl State {
    /// What was learned: to be added to the parameters that the fleet started from.
    pub fn learned(&self) -> &[f32] {
        &self.learned
    }

    /// The round that comes next; the first is 0, in which nobody learns.
    pub const fn next_round(&self) -> u32 {
        self.next
    }

    /// What is simulated.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }
}

impl<'a, F: Fleet + ?Sized> Simulation<'a, F> {
    /// A simulation before its round 0.
    ///
    /// # Errors
    /// [`SimulationError::Settings`].
    pub fn new(fleet: &'a F, settings: Settings) -> Result<Self, SimulationError> {
        let (sites, parameters) = (fleet.sites(), fleet.parameters());
        let optimizer = Optimizer::new(settings.optimizer, parameters).map_err(SettingsError::from)?;
        let (clip_norm, learned) = (settings.clip_norm, vec![0.0; parameters]);
        Self::resume(fleet, settings.clone(), State { settings, sites, next: 0, clip_norm, learned, optimizer })
    }

    /// Goes on from a state of the same fleet and settings.
    ///
    /// # Errors
    /// [`SimulationError::Settings`], [`SimulationError::Foreign`].
    pub fn resume(fleet: &'a F, settings: Settings, state: State) -> Result<Self, SimulationError> {
        let layout = Layout::of(fleet, &settings)?;
        for (what, same) in [
            ("a setting", state.settings == settings),
            ("the number of sites", state.sites == fleet.sites()),
            ("the length of an update", state.learned.len() == fleet.parameters()),
        ] {
            if !same {
                return Err(SimulationError::Foreign(what));
            }
        }
        let (malice, devices) = (Malice::of(&settings, state.sites), Devices::default());
        Ok(Self { fleet, layout, malice, devices, state })
    }

    /// How sites are split, and the noise of a sum.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What [`resume`](Self::resume) goes on from.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// One round: the model as it was first, and then what it learns; `None` after the last. What comes out does not depend on
    /// how many threads there are.
    ///
    /// # Errors
    /// A [`SimulationError`]; the state is that of before.
    pub fn step(&mut self) -> Result<Option<Record>, SimulationError> {
        let round = self.state.next;
        if round > self.state.settings.rounds {
            return Ok(None);
        }
        let mut state = self.state.clone();
        let record = match round {
            0 => Record { epsilon: self.layout.epsilon(0)?, clip_norm: state.clip_norm, ..Record::default() },
            _ => self.learn(&mut state)?,
        };
        let (quality, cpu_s) = of_process(|| self.fleet.quality(&state.learned));
        let quality = quality.map_err(|error| SimulationError::Quality { round, error })?;
        state.next += 1;
        self.state = state;
        Ok(Some(record.judged(&quality, cpu_s)))
    }

    fn learn(&self, state: &mut State) -> Result<Record, SimulationError> {
        let (layout, round) = (&self.layout, state.next);
        let clip = ClipNorm::new(state.clip_norm).map_err(SettingsError::from)?;
        let context = Context {
            fleet: self.fleet,
            settings: &self.state.settings,
            layout,
            mechanism: layout.mechanism(clip)?,
            clip,
            round,
            learned: &self.state.learned,
            clock: Clock::default(),
        };
        let shards = context.clock.count(|| cohort::shards(context.settings, layout, &self.malice, round));
        let mut gathered = Gathered::new(&context);
        let mut sites_cpu_s = 0.0;
        // So many at a time that no thread waits for long, and no more: each holds a sum.
        let together = 2 * rayon::current_num_threads();
        for (batch, n) in shards.chunks(together).zip((0_u32..).step_by(together)) {
            let before = context.clock.seconds();
            let (summed, all) = of_process(|| self.sums(&context, n, batch));
            sites_cpu_s += (all - (context.clock.seconds() - before)).max(0.0);
            for summed in summed? {
                context.clock.count(|| gathered.add(&context, summed))?;
            }
        }
        let record = context.clock.count(|| gathered.finish(&context, state))?;
        Ok(Record {
            epsilon: layout.epsilon(round)?,
            sites_cpu_s,
            orchestration_cpu_s: context.clock.seconds(),
            ..record
        })
    }

    /// The sums of some shards, in their order; the first has the number `n`.
    fn sums(&self, context: &Context<'_, F>, n: u32, shards: &[Vec<Member>]) -> Result<Vec<Summed>, SimulationError> {
        let sum = |(at, members): (usize, &Vec<Member>)| match context.settings.fidelity {
            Fidelity::Distribution => shard::sum(context, n + at as u32, members),
            Fidelity::Protocol => self.devices.sum(context, members),
        };
        shards.par_iter().enumerate().map(sum).collect()
    }
}

/// What came of a round's shards so far.
struct Gathered {
    combiner: Combiner,
    tally: Tally,
    shards: u32,
    failed: u32,
    why: Option<String>,
    /// The sums without noise, and their noise, in integer steps.
    clean: Vec<f64>,
    noise: Vec<f64>,
    /// The shares of norms within the clip norm, added up.
    within: f64,
}

impl Gathered {
    fn new<F: Fleet + ?Sized>(context: &Context<'_, F>) -> Self {
        let parameters = context.layout.parameters;
        Self {
            combiner: Combiner::new(context.settings.combine),
            tally: Tally::default(),
            shards: 0,
            failed: 0,
            why: None,
            clean: vec![0.0; parameters],
            noise: vec![0.0; parameters],
            within: 0.0,
        }
    }

    fn add<F: Fleet + ?Sized>(&mut self, context: &Context<'_, F>, summed: Summed) -> Result<(), SimulationError> {
        let Summed { sum, clean, mut tally } = summed;
        self.shards += 1;
        let sum = match sum {
            Ok(sum) => sum,
            Err(why) => {
                self.failed += 1;
                self.why.get_or_insert(why);
                tally = Tally { dropped: tally.dropped, late: tally.late, ..Tally::default() };
                self.tally.add(&tally);
                return Ok(());
            }
        };
        self.tally.add(&tally);
        // As the aggregator does: by the public minimum, however many there were.
        let minimum = context.layout.minimum;
        let (mean, within) = context.mechanism.decode(&sum, minimum).map_err(SettingsError::from)?;
        let more = f64::from(minimum.get()) / f64::from(tally.participants);
        self.within += within.map_or(0.0, |within| 0.5 + (within - 0.5) * more);
        for ((noisy, &clean), (signal, noise)) in
            sum.values().iter().zip(&clean).zip(self.clean.iter_mut().zip(&mut self.noise))
        {
            *signal += f64::from(clean);
            *noise += f64::from(noisy.wrapping_sub(clean));
        }
        Ok(self.combiner.add(mean).map_err(SettingsError::from)?)
    }

    /// Takes the server's step, and says what there is to say.
    fn finish<F: Fleet + ?Sized>(self, context: &Context<'_, F>, state: &mut State) -> Result<Record, SimulationError> {
        let Self { combiner, tally, shards, failed, why, clean, noise, within } = self;
        let sums = combiner.parts() as f64;
        let unit = context.clip.get() / (f64::from(BOUND) * f64::from(context.layout.minimum.get()) * sums.max(1.0));
        let norm = |values: &[f64]| unit * values.iter().map(|v| v * v).sum::<f64>().sqrt();
        if let Some(target) = context.settings.target_quantile.filter(|_| sums > 0.0) {
            let mut rule = QuantileClip::new(context.clip, target, CLIP_RATE).map_err(SettingsError::from)?;
            rule.observe(within / sums).map_err(SettingsError::from)?;
            state.clip_norm = rule.clip().get();
        }
        let stepped = match (combiner.finish(), why) {
            (Err(_), Some(why)) if sums == 0.0 => Err(why),
            (Err(too_few), _) => Err(too_few.to_string()),
            (Ok(update), _) => state.optimizer.step(&mut state.learned, &update).map_err(|error| error.to_string()),
        };
        Ok(Record {
            round: context.round,
            asked: context.layout.asked,
            participants: tally.participants,
            dropped: tally.dropped,
            late: tally.late,
            silent: tally.silent,
            shards,
            failed_shards: failed,
            failure: stepped.err(),
            clip_norm: context.clip.get(),
            clipped_share: f64::from(tally.clipped) / f64::from(tally.honest.max(1)),
            update_norm: norm(&clean),
            noise_norm: norm(&noise),
            ..Record::default()
        })
    }
}
