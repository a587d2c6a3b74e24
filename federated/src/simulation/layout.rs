//! What follows from the settings and the size of a fleet: how sites are split, and how much noise a sum has.

use super::Fleet;
use super::protocol::risk;
use super::settings::{Fidelity, Settings, SettingsError};
use crate::accounting::plan::Goal;
use crate::accounting::{Delta, Epsilon, Rounds, zcdp};
use crate::mechanism::Mechanism;
use crate::secagg::{Modulus, Parameters};
use crate::{ClipNorm, CohortSize, NoiseMultiplier};

/// The numbers of every round.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Sites asked in a round.
    pub asked: u32,
    /// Sums in a round.
    pub shards: u32,
    /// The fewest sites in a sum: n_min.
    pub minimum: CohortSize,
    /// How many sites of a sum may collude: f.
    pub corrupt: u32,
    /// The noise multiplier z of a sum; none without noise.
    pub noise: Option<NoiseMultiplier>,
    pub(super) delta: Delta,
    pub(super) parameters: usize,
    adaptive: bool,
}

impl Layout {
    pub(super) fn of<F: Fleet + ?Sized>(fleet: &F, settings: &Settings) -> Result<Self, SettingsError> {
        settings.check()?;
        let (sites, parameters) = (fleet.sites(), fleet.parameters());
        let cohort = settings.cohort;
        if cohort > sites {
            return Err(SettingsError::Cohort { cohort, sites });
        }
        let asked = if cohort == 0 { sites } else { cohort };
        let shards = asked.div_ceil(settings.shard).max(1);
        let (how, need) = (settings.combine, settings.combine.least());
        if (shards as usize) < need {
            return Err(SettingsError::Shards { how, need, asked, shards });
        }
        let (least, most) = (asked / shards, CohortSize::new(asked.div_ceil(shards))?);
        // As few sites as a task could name, each of the sums alike; both rounded to the side of more noise.
        let minimum = CohortSize::new((settings.minimum_share * f64::from(least)).ceil() as u32)?;
        let corrupt = (settings.colluding_share * f64::from(most.get())).ceil() as u32;
        let delta = Delta::new(settings.delta)?;
        let noise = settings.epsilon.map(|epsilon| noise(settings, Epsilon::new(epsilon)?, delta, parameters));
        let adaptive = settings.target_quantile.is_some();
        let layout = Self { asked, shards, minimum, corrupt, noise: noise.transpose()?, delta, parameters, adaptive };
        let mechanism = layout.mechanism(ClipNorm::new(settings.clip_norm)?)?;
        mechanism.fits(Modulus::FULL, most)?;
        if settings.fidelity == Fidelity::Protocol {
            for members in [least, most.get()] {
                Parameters::derive(members as usize, &risk(settings)?)?;
            }
        }
        Ok(layout)
    }

    /// The mechanism of a round. Without noise it is one that clips and decodes, and whose noise nobody draws.
    pub(super) fn mechanism(&self, clip: ClipNorm) -> Result<Mechanism, SettingsError> {
        let (noise, corrupt) = match self.noise {
            Some(noise) => (noise, self.corrupt),
            None => (NoiseMultiplier::new(1.0)?, 0),
        };
        Ok(Mechanism::new(clip, noise, self.minimum, corrupt, self.parameters, self.adaptive)?)
    }

    /// What so many rounds cost in epsilon; none without noise, unless there were none.
    pub(super) fn epsilon(&self, rounds: u32) -> Result<Option<f64>, SettingsError> {
        let Ok(rounds) = Rounds::new(rounds.into()) else { return Ok(Some(0.0)) };
        self.noise.map(|noise| Ok(zcdp::epsilon(zcdp::rho(noise, rounds)?, self.delta))).transpose()
    }
}

/// The least noise of every round whose cost over all rounds is at most `epsilon`.
fn noise(
    settings: &Settings,
    epsilon: Epsilon,
    delta: Delta,
    parameters: usize,
) -> Result<NoiseMultiplier, SettingsError> {
    // Of how many sites the noise is does not change how much it is.
    let (sites, parameters) = (CohortSize::MIN.into(), parameters as u64);
    let goal = Goal::new(sites, parameters, epsilon, delta, Rounds::new(settings.rounds.into())?, None)?;
    Ok(goal.plan()?.noise)
}
