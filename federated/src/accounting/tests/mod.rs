mod planning;
mod properties;
mod reference;

use super::{Delta, Epsilon, Mechanism, Rounds, SamplingRate};
use crate::NoiseMultiplier;

fn delta(delta: f64) -> Delta {
    Delta::new(delta).unwrap()
}

fn epsilon(epsilon: f64) -> Epsilon {
    Epsilon::new(epsilon).unwrap()
}

fn rounds(rounds: u64) -> Rounds {
    Rounds::new(rounds).unwrap()
}

fn gaussian(z: f64) -> Mechanism {
    Mechanism::gaussian(NoiseMultiplier::new(z).unwrap()).unwrap()
}

fn sampled(q: f64, z: f64) -> Mechanism {
    Mechanism::poisson_gaussian(NoiseMultiplier::new(z).unwrap(), SamplingRate::new(q).unwrap()).unwrap()
}
