//! Whole simulations of a fleet that is easy to understand.

use super::random::{Purpose, stream};
use super::*;
use crate::mechanism::BOUND;
use crate::optimizer;
use proptest::prelude::*;
use rand::RngExt;

/// Sites that all know about where the model should be, each a little differently.
struct Toy {
    sites: u32,
    parameters: usize,
}

impl Toy {
    fn target(&self) -> Vec<f32> {
        let mut random = stream(7, Purpose::Fate, 0, 0);
        (0..self.parameters).map(|_| random.random_range(-0.1..0.1)).collect()
    }

    fn own(&self, site: u32) -> Vec<f32> {
        let mut random = stream(7, Purpose::Fate, 1, site);
        self.target().iter().map(|value| value + random.random_range(-0.02..0.02)).collect()
    }
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
}

impl Fleet for Toy {
    fn sites(&self) -> u32 {
        self.sites
    }

    fn parameters(&self) -> usize {
        self.parameters
    }

    fn update(&self, site: u32, _: u32, learned: &[f32]) -> Result<Vec<f32>, FleetError> {
        if site == 13 {
            return Err(FleetError("site 13 has seen nobody".to_owned()));
        }
        Ok(self.own(site).iter().zip(learned).map(|(own, learned)| 0.5 * (own - learned)).collect())
    }

    fn quality(&self, learned: &[f32]) -> Result<Quality, FleetError> {
        let per_site = (0..21).map(|site| -distance(learned, &self.own(site))).collect();
        Ok(Quality { value: -distance(learned, &self.target()), per_site, blind_spot: None })
    }
}

const SMALL: Toy = Toy { sites: 40, parameters: 100 };

/// Six rounds without noise, whose sums are divided by what they are of.
fn plain() -> Settings {
    Settings { rounds: 6, epsilon: None, minimum_share: 1.0, ..Settings::default() }
}

fn run(fleet: &Toy, settings: &Settings) -> (Vec<Record>, State) {
    let mut simulation = Simulation::new(fleet, settings.clone()).unwrap();
    let mut records = Vec::new();
    while let Some(record) = simulation.step().unwrap() {
        records.push(record.timeless());
    }
    (records, simulation.state().clone())
}

fn last(fleet: &Toy, settings: &Settings) -> Record {
    run(fleet, settings).0.pop().unwrap()
}

#[test]
fn a_fleet_learns_what_its_sites_have_in_common() {
    let (records, state) = run(&SMALL, &plain());
    assert_eq!(records.iter().map(|record| record.round).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!((state.next_round(), state.learned().len()), (7, 100));
    let (first, last) = (&records[0], &records[6]);
    assert!(records.windows(2).all(|pair| pair[1].quality > pair[0].quality), "{records:?}");
    assert!(last.quality > 0.05 * first.quality, "{} {}", first.quality, last.quality);
    let spread = last.per_site.unwrap();
    assert!(spread.p5 < spread.p50 && spread.p50 < spread.p95);
    assert_eq!((last.asked, last.participants, last.silent, last.shards, last.failed_shards), (40, 40, 1, 1, 0));
    assert_eq!((last.epsilon, last.noise_norm, last.clipped_share, &last.failure), (None, 0.0, 0.0, &None));
    assert!(last.update_norm > 0.0);
}

/// Noise in the settings' proportions: its squares add up to a chi-squared of 1,000 degrees, whose relative standard deviation is
/// 0.045; seven of them are a false alarm in 10^11 runs or so. Half the noise would be off by 0.75.
#[test]
fn twelve_rounds_cost_what_was_asked_for_and_have_its_noise() {
    let fleet = Toy { sites: 300, parameters: 1000 };
    let settings = Settings { shard: 100, ..Settings::default() };
    let mut simulation = Simulation::new(&fleet, settings.clone()).unwrap();
    let layout = simulation.layout().clone();
    let z = layout.noise.unwrap().get();
    assert!((4.39..4.40).contains(&z), "{z}");
    assert_eq!((layout.shards, layout.minimum.get(), layout.corrupt), (3, 90, 10));
    assert_eq!(simulation.step().unwrap().unwrap().epsilon, Some(0.0));
    let record = simulation.step().unwrap().unwrap();
    // A hundred shares of eighty's noise, three sums' mean, each divided by ninety.
    let expected = z * (100.0_f64 / 80.0 * 1000.0 / 3.0).sqrt() / 90.0;
    let off = |expected: f64| ((record.noise_norm / expected).powi(2) - 1.0).abs();
    assert!(off(expected) < 0.32, "{} {expected}", record.noise_norm);
    assert!(off(2.0 * expected) > 0.32);
    let spent = last(&fleet, &settings).epsilon.unwrap();
    assert!((3.99..=4.0).contains(&spent), "{spent}");
}

/// All that is random at once.
fn busy() -> Settings {
    Settings {
        rounds: 4,
        cohort: 250,
        shard: 64,
        target_quantile: Some(0.6),
        dropout: 0.1,
        stragglers: 0.05,
        minimum_share: 0.7,
        combine: "trimmed-mean:0.3".parse().unwrap(),
        optimizer: optimizer::Settings::adaptive(optimizer::Rule::Yogi, 0.01),
        attack: Some(Attack { share: 0.03, boost: 50.0, unbounded: true }),
        ..Settings::default()
    }
}

const LARGE: Toy = Toy { sites: 400, parameters: 30 };

#[test]
fn threads_change_nothing_and_seeds_do() {
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(&LARGE, &busy()))
    };
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(7));
    let (other, _) = run(&LARGE, &Settings { seed: 1, ..busy() });
    assert_ne!(one.0[1], other[1]);
}

#[test]
fn what_is_kept_goes_on_to_the_last_bit() {
    let whole = run(&LARGE, &busy());
    let mut state = Simulation::new(&LARGE, busy()).unwrap().state().clone();
    let mut records = Vec::new();
    loop {
        let kept = borsh::from_slice(&borsh::to_vec(&state).unwrap()).unwrap();
        let mut simulation = Simulation::resume(&LARGE, busy(), kept).unwrap();
        let Some(record) = simulation.step().unwrap() else { break };
        records.push(record.timeless());
        state = simulation.state().clone();
    }
    assert_eq!(whole, (records, state.clone()));
    let foreign = |fleet, settings| Simulation::resume(fleet, settings, state.clone()).err().unwrap().to_string();
    assert!(foreign(&LARGE, Settings { seed: 9, ..busy() }).contains("a setting"));
    assert!(foreign(&Toy { sites: 401, ..LARGE }, busy()).contains("number of sites"));
    assert!(foreign(&Toy { parameters: 31, ..LARGE }, busy()).contains("length"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whoever is asked answers, vanishes or is late; and a sum of too few is none, of the settings' own minimum.
    #[test]
    fn everybody_is_accounted_for(
        seed: u64, cohort in 2_u32..300, shard in 64_u32..=512, dropout in 0.0..0.4, stragglers in 0.0..0.3,
        minimum_share in 0.3..1.0,
    ) {
        let settings = Settings { seed, cohort, shard, dropout, stragglers, minimum_share, rounds: 2, ..plain() };
        let Ok(mut simulation) = Simulation::new(&LARGE, settings) else { return Ok(()) };
        let layout = simulation.layout().clone();
        simulation.step().unwrap();
        while let Some(record) = simulation.step().unwrap() {
            prop_assert_eq!((record.asked, record.shards), (cohort, cohort.div_ceil(shard)));
            let sums = record.shards - record.failed_shards;
            prop_assert!(record.participants >= sums * layout.minimum.get());
            let seen = record.participants + record.dropped + record.late;
            prop_assert!(seen <= cohort && (record.failed_shards > 0 || seen == cohort));
            prop_assert_eq!(record.failure.is_some(), sums == 0);
            prop_assert_eq!(record.update_norm > 0.0, sums > 0);
        }
    }
}

#[test]
fn a_round_without_sums_teaches_nothing_and_costs_the_same() {
    let settings = Settings { dropout: 0.5, rounds: 2, ..Settings::default() };
    let (records, state) = run(&SMALL, &settings);
    let failed = &records[2];
    assert!(failed.failure.as_ref().unwrap().contains("it needs 36"), "{:?}", failed.failure);
    assert_eq!((failed.participants, failed.failed_shards, failed.update_norm), (0, 1, 0.0));
    assert!(failed.epsilon.unwrap() > 3.9 && state.learned().iter().all(|&value| value == 0.0));
}

/// Half of norms are to lie within, and hardly one does.
#[test]
fn the_clip_norm_follows_the_updates() {
    let settings = Settings { clip_norm: 0.01, target_quantile: Some(0.5), ..plain() };
    let (records, _) = run(&SMALL, &settings);
    // But for site 13, which has nothing to say: zeros are within.
    assert_eq!(records[1].clipped_share, 39.0 / 40.0);
    let factor = (0.2_f64 * (0.5 - 1.0 / 40.0)).exp();
    assert!((records[2].clip_norm / records[1].clip_norm - factor).abs() < 1e-9, "{:?}", records[2].clip_norm);
    assert!(records[6].clip_norm > 0.015);
}

/// One site of 192 is one shard of three. It turns the update round, ten thousand times as long.
#[test]
fn one_hostile_shard_of_three_moves_the_mean_and_not_the_median() {
    let fleet = Toy { sites: 192, parameters: 50 };
    let attack = Some(Attack { share: 0.005, boost: 1e4, unbounded: true });
    let alone = Settings { shard: 64, ..plain() };
    let attacked = Settings { attack, ..alone.clone() };
    let with = |settings: Settings, combine: &str| {
        last(&fleet, &Settings { combine: combine.parse().unwrap(), ..settings }).quality
    };
    let before = run(&fleet, &alone).0[0].quality;
    let honest = with(alone.clone(), "mean");
    assert!(honest > 0.1 * before, "{honest} {before}");
    for robust in ["median", "trimmed-mean"] {
        assert!(with(attacked.clone(), robust) > honest + 0.1 * before, "{robust}: {}", with(attacked.clone(), robust));
    }
    assert!(with(attacked.clone(), "mean") < 5.0 * before);
    // The norm bound, where it holds, is as good against one site.
    let bounded = with(Settings { norm_bound: true, ..attacked.clone() }, "mean");
    assert!(bounded > honest + 0.1 * before, "{bounded} {honest}");
    // Two hostile shards of three are more than a median bears: a site in nearly every shard.
    let many = Attack { share: 0.05, boost: 1e4, unbounded: true };
    assert!(with(Settings { attack: Some(many), ..attacked }, "median") < 2.0 * before);
}

/// The protocol's model is that of exact sums but for the noise, which has the variance that the mechanism says: over 2,000
/// coordinates its relative standard deviation is 0.032, and 0.22 is seven of them, a false alarm in 10^11 runs. Of four fifths of
/// the noise's deviation the variance would be 0.36 less.
#[test]
fn the_protocol_gives_the_same_sums_but_for_its_noise() {
    let fleet = Toy { sites: 60, parameters: 2000 };
    let settings = Settings {
        rounds: 1,
        shard: 64,
        cohort: 30,
        epsilon: Some(500.0),
        dropout: 0.08,
        stragglers: 0.08,
        minimum_share: 0.6,
        target_quantile: Some(0.5),
        clip_norm: 2.0,
        ..Settings::default()
    };
    let protocol = Settings { fidelity: Fidelity::Protocol, ..settings.clone() };
    let (exact, protocol_state) = (Settings { epsilon: None, ..settings.clone() }, run(&fleet, &protocol));
    let ((exact, state), (records, noisy)) = (run(&fleet, &exact), protocol_state);
    let same = |record: &Record| {
        let Record { asked, participants, dropped, late, silent, shards, failed_shards, .. } = *record;
        ([asked, participants, dropped, late, silent, shards, failed_shards], record.clipped_share)
    };
    assert_eq!(same(&records[1]), same(&exact[1]));
    assert!(records[1].dropped > 0 && records[1].late > 0, "{:?}", records[1]);
    assert_eq!(records[1].update_norm, exact[1].update_norm);
    let layout = Layout::of(&fleet, &protocol).unwrap();
    let clip = crate::ClipNorm::new(2.0).unwrap();
    let sigma = layout.mechanism(clip).unwrap().sum_sigma(records[1].participants);
    let unit = 2.0 / (f64::from(BOUND) * f64::from(layout.minimum.get()));
    let apart = distance(noisy.learned(), state.learned()) / unit;
    let off = |sigma: f64| (apart.powi(2) / (2000.0 * sigma.powi(2)) - 1.0).abs();
    assert!(off(sigma) < 0.22, "{apart} {sigma}");
    assert!(off(sigma / 0.8) > 0.22);
    // And the simulated noise has the same law.
    let (_, drawn) = run(&fleet, &settings);
    let apart = distance(drawn.learned(), state.learned()) / unit;
    assert!((apart.powi(2) / (2000.0 * sigma.powi(2)) - 1.0).abs() < 0.22, "{apart} {sigma}");
}

/// Ledgers allow all rounds of the settings, also from a state that was kept, and shards fail as they do in distribution.
#[test]
fn the_protocol_runs_all_rounds_within_its_ledgers() {
    let settings = Settings {
        rounds: 3,
        cohort: 12,
        dropout: 0.2,
        minimum_share: 0.8,
        fidelity: Fidelity::Protocol,
        ..Settings::default()
    };
    let mut simulation = Simulation::new(&SMALL, settings.clone()).unwrap();
    simulation.step().unwrap();
    simulation.step().unwrap();
    let mut simulation = Simulation::resume(&SMALL, settings.clone(), simulation.state().clone()).unwrap();
    let (distribution, _) = run(&SMALL, &Settings { fidelity: Fidelity::Distribution, ..settings });
    for same in &distribution[2..] {
        let record = simulation.step().unwrap().unwrap();
        assert_eq!(record.failed_shards, same.failed_shards, "{record:?}");
        assert_eq!(record.participants, same.participants);
    }
    assert!(simulation.step().unwrap().is_none());
}

#[test]
fn an_update_of_another_length_is_an_error_that_changes_nothing() {
    struct Odd;
    impl Fleet for Odd {
        fn sites(&self) -> u32 {
            5
        }
        fn parameters(&self) -> usize {
            3
        }
        fn update(&self, site: u32, round: u32, _: &[f32]) -> Result<Vec<f32>, FleetError> {
            Ok(vec![1.0; if site == 3 && round == 2 { 4 } else { 3 }])
        }
        fn quality(&self, _: &[f32]) -> Result<Quality, FleetError> {
            Ok(Quality::default())
        }
    }
    let mut simulation = Simulation::new(&Odd, plain()).unwrap();
    for _ in 0..2 {
        simulation.step().unwrap();
    }
    let state = simulation.state().clone();
    assert!(matches!(simulation.step(), Err(SimulationError::Length { site: 3, have: 4, need: 3 })));
    assert_eq!(*simulation.state(), state);
}

#[test]
fn settings_survive_text_and_name_what_is_wrong() {
    let text = toml::to_string(&busy()).unwrap();
    assert_eq!(toml::from_str::<Settings>(&text).unwrap(), busy());
    let none: Settings = toml::from_str("epsilon = \"none\"\n[optimizer]\nrule = \"adam\"\n").unwrap();
    assert_eq!((none.epsilon, none.optimizer.rule, none.rounds), (None, optimizer::Rule::Adam, 12));
    assert_eq!(serde_json::from_str::<Settings>(&serde_json::to_string(&none).unwrap()).unwrap(), none);
    assert!(toml::from_str::<Settings>("epsilon = \"much\"").is_err());
    assert!(toml::from_str::<Settings>("frobnicate = 1").is_err());
    let with = |change: &dyn Fn(&mut Settings)| {
        let mut settings = Settings::default();
        change(&mut settings);
        Simulation::new(&SMALL, settings).err().unwrap().to_string()
    };
    assert!(with(&|s| s.rounds = 0).starts_with("rounds"));
    assert!(with(&|s| s.cohort = 41).starts_with("cohort is 41"));
    assert!(with(&|s| s.shard = 63).starts_with("shard"));
    assert!(with(&|s| s.epsilon = Some(-1.0)).starts_with("epsilon"));
    assert!(with(&|s| s.delta = 0.0).starts_with("epsilon, delta"));
    assert!(with(&|s| s.clip_norm = f64::NAN).starts_with("clip_norm"));
    assert!(with(&|s| s.target_quantile = Some(1.0)).starts_with("target_quantile"));
    assert!(with(&|s| (s.dropout, s.stragglers) = (0.5, 0.5)).starts_with("dropout + stragglers"));
    assert!(with(&|s| s.minimum_share = f64::NAN).starts_with("minimum_share"));
    assert!(with(&|s| s.colluding_share = 0.95).contains("colluding_share"));
    assert!(with(&|s| s.optimizer.rate = 0.0).starts_with("optimizer"));
    assert!(with(&|s| s.combine = Combine::Median).starts_with("combine is median"));
    assert!(with(&|s| s.attack = Some(Attack { share: 1.0, ..Attack::default() })).starts_with("attack.share"));
    let protocol = |s: &mut Settings| s.fidelity = Fidelity::Protocol;
    assert!(with(&|s| (protocol(s), s.epsilon = None).1).starts_with("epsilon is none"));
    let unbounded = Attack { unbounded: true, ..Attack::default() };
    assert!(with(&|s| (protocol(s), s.attack = Some(unbounded.clone())).1).starts_with("attack.unbounded"));
}
