//! The server's optimizers: what a mean update does to the model (Reddi et al. 2021, "Adaptive Federated Optimization",
//! Algorithm 2). What they are given was made private before, so that nothing here costs privacy.
//!
//! Knows vectors of numbers; not whose they are, nor what privacy they have.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

/// Why an optimizer or a step is refused.
#[derive(Debug, thiserror::Error, PartialEq)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum OptimizerError {
    #[error("{what} is {given}; it must lie {range}")]
    Range { what: &'static str, given: f64, range: &'static str },
    #[error("the model has {need} parameters, and the {what} {have}")]
    Length { what: &'static str, have: usize, need: usize },
    #[error("the step would make parameter {0} infinite or no number: lower the rate, or look at the round's sum")]
    NotFinite(usize),
}

/// Which rule. All keep a running mean of updates; the adaptive ones also scale each parameter by what its updates were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// FedAvg, or FedAvgM with a momentum: the mean itself.
    Average,
    /// FedAdam: squares of updates are forgotten at a constant rate.
    Adam,
    /// FedYogi: they are forgotten no faster than updates are large.
    Yogi,
}

/// How far a step goes. As text what is not said is as in [`Settings::AVERAGE`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The rule: `average`, `adam` or `yogi`.
    pub rule: Rule,
    /// The server's rate, above 0: 1 takes the running mean as it is. A momentum m makes that mean move by 1 - m of an update,
    /// so that 1 / (1 - m) is what is called a rate of 1 where momentum adds up (SGD, FedAvgM).
    pub rate: f64,
    /// What remains of earlier updates in the running mean, from 0 to less than 1.
    pub momentum: f64,
    /// What remains of earlier squares, from 0 to less than 1; the adaptive rules alone use it.
    pub memory: f64,
    /// The degree of adaptivity tau, above 0: scales of updates far below it do not matter.
    pub adaptivity: f64,
}

impl Settings {
    /// The mean update, as it is.
    pub const AVERAGE: Self = Self { rule: Rule::Average, rate: 1.0, momentum: 0.0, memory: 0.0, adaptivity: 1e-3 };

    /// What the paper recommends to begin with, but for the rate, which depends on the model.
    pub const fn adaptive(rule: Rule, rate: f64) -> Self {
        Self { rule, rate, momentum: 0.9, memory: 0.99, adaptivity: 1e-3 }
    }

    /// Whether it is in range.
    ///
    /// # Errors
    /// [`OptimizerError::Range`].
    pub fn check(&self) -> Result<(), OptimizerError> {
        let share = |v: f64| (0.0..1.0).contains(&v);
        let positive = |v: f64| v > 0.0 && v.is_finite();
        for (what, given, good, range) in [
            ("the rate", self.rate, positive(self.rate), "above 0"),
            ("the momentum", self.momentum, share(self.momentum), "from 0 to below 1"),
            ("the memory of squares", self.memory, share(self.memory), "from 0 to below 1"),
            ("the adaptivity", self.adaptivity, positive(self.adaptivity), "above 0"),
        ] {
            if !good {
                return Err(OptimizerError::Range { what, given, range });
            }
        }
        Ok(())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::AVERAGE
    }
}

/// An optimizer and what it remembers of earlier rounds: part of a task's durable state.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Optimizer {
    settings: Settings,
    mean: Vec<f32>,
    squares: Vec<f32>,
}

impl Optimizer {
    /// An optimizer of a model with so many parameters, before its first round.
    ///
    /// # Errors
    /// [`OptimizerError::Range`].
    pub fn new(settings: Settings, parameters: usize) -> Result<Self, OptimizerError> {
        settings.check()?;
        let squares = if settings.rule == Rule::Average { 0 } else { parameters };
        let first = (settings.adaptivity * settings.adaptivity) as f32;
        Ok(Self { settings, mean: vec![0.0; parameters], squares: vec![first; squares] })
    }

    /// What it works by.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Moves the model by one round's mean update. On an error nothing has moved.
    ///
    /// # Errors
    /// [`OptimizerError::Length`], [`OptimizerError::NotFinite`].
    pub fn step(&mut self, model: &mut [f32], update: &[f32]) -> Result<(), OptimizerError> {
        for (what, have) in [("update has", update.len()), ("optimizer", self.mean.len())] {
            if have != model.len() {
                return Err(OptimizerError::Length { what, have, need: model.len() });
            }
        }
        let Settings { rule, rate, momentum, memory, adaptivity } = self.settings;
        let mut next = self.clone();
        let mut moved = Vec::with_capacity(model.len());
        for (n, ((&parameter, &update), mean)) in model.iter().zip(update).zip(&mut next.mean).enumerate() {
            let update = f64::from(update);
            let running = momentum * f64::from(*mean) + (1.0 - momentum) * update;
            let square = update * update;
            let scale = match (rule, next.squares.get_mut(n)) {
                (Rule::Average, _) | (_, None) => 1.0,
                (_, Some(slot)) => {
                    let before = f64::from(*slot);
                    let after = match rule {
                        Rule::Yogi => before - (1.0 - memory) * square * sign(before - square),
                        _ => memory * before + (1.0 - memory) * square,
                    };
                    *slot = after as f32;
                    after.sqrt() + adaptivity
                }
            };
            *mean = running as f32;
            let there = (f64::from(parameter) + rate * running / scale) as f32;
            if !there.is_finite() || !mean.is_finite() || next.squares.get(n).is_some_and(|v| !v.is_finite()) {
                return Err(OptimizerError::NotFinite(n));
            }
            moved.push(there);
        }
        model.copy_from_slice(&moved);
        *self = next;
        Ok(())
    }
}

/// -1, 0 or 1: unlike [`f64::signum`], 0 of 0.
fn sign(v: f64) -> f64 {
    if v == 0.0 { 0.0 } else { v.signum() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(settings: Settings, updates: &[[f32; 3]]) -> [f32; 3] {
        let mut optimizer = Optimizer::new(settings, 3).unwrap();
        let mut model = [1.0, -2.0, 0.5];
        for update in updates {
            optimizer.step(&mut model, update).unwrap();
        }
        model
    }

    const UPDATES: [[f32; 3]; 3] = [[0.1, -0.2, 0.0], [0.3, 0.1, 0.01], [-0.2, 0.05, 0.02]];

    const ADAM: [f64; 3] = [1.24949603, -2.13873895, 0.625811434];
    const YOGI: [f64; 3] = [1.24928152, -2.13852945, 0.625491761];
    const MOMENTUM: [f64; 3] = [1.0641, -2.0302, 0.5039];

    fn near(have: [f32; 3], need: [f64; 3]) {
        assert!(have.iter().zip(need).all(|(h, n)| (f64::from(*h) - n).abs() < 1e-6), "{have:?} {need:?}");
    }

    #[test]
    fn the_mean_is_taken_as_it_is() {
        near(run(Settings::AVERAGE, &UPDATES), [1.2, -2.05, 0.53]);
    }

    /// By a program of its own (Python, from the paper's equations).
    #[test]
    fn adaptive_steps_are_those_of_the_paper() {
        near(run(Settings::adaptive(Rule::Adam, 0.1), &UPDATES), ADAM);
        near(run(Settings::adaptive(Rule::Yogi, 0.1), &UPDATES), YOGI);
        near(run(Settings { momentum: 0.9, ..Settings::AVERAGE }, &UPDATES), MOMENTUM);
    }

    #[test]
    fn nonsense_is_refused_and_moves_nothing() {
        for settings in [
            Settings { rate: 0.0, ..Settings::AVERAGE },
            Settings { rate: f64::NAN, ..Settings::AVERAGE },
            Settings { momentum: 1.0, ..Settings::AVERAGE },
            Settings { memory: -0.1, ..Settings::AVERAGE },
            Settings { adaptivity: 0.0, ..Settings::AVERAGE },
        ] {
            assert!(matches!(Optimizer::new(settings, 3), Err(OptimizerError::Range { .. })), "{settings:?}");
        }
        let mut optimizer = Optimizer::new(Settings::adaptive(Rule::Yogi, 1.0), 2).unwrap();
        let (kept, mut model) = (optimizer.clone(), [0.0, f32::MAX]);
        assert!(matches!(optimizer.step(&mut model, &[1.0]), Err(OptimizerError::Length { have: 1, need: 2, .. })));
        assert_eq!(optimizer.step(&mut model, &[1.0, f32::MAX]), Err(OptimizerError::NotFinite(1)));
        assert_eq!((optimizer, model), (kept, [0.0, f32::MAX]));
    }

    proptest! {
        /// What is kept across a restart goes on as if there had been none.
        #[test]
        fn a_kept_optimizer_goes_on(updates in prop::collection::vec(prop::array::uniform3(-1.0_f32..1.0), 2..8)) {
            let mut optimizer = Optimizer::new(Settings::adaptive(Rule::Yogi, 0.1), 3).unwrap();
            let mut model = [1.0, -2.0, 0.5];
            for update in &updates {
                optimizer = borsh::from_slice(&borsh::to_vec(&optimizer).unwrap()).unwrap();
                optimizer.step(&mut model, update).unwrap();
            }
            prop_assert_eq!(model, run(Settings::adaptive(Rule::Yogi, 0.1), &updates));
        }
    }
}
