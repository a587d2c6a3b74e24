//! Who takes part in a round, and what becomes of them.

use rand::RngExt;
use rand::seq::index;

use super::layout::Layout;
use super::random::{Purpose, stream};
use super::settings::Settings;

/// A site that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) site: u32,
    pub(super) fate: Fate,
    pub(super) malicious: bool,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Answers,
    Vanishes,
    Late,
}

/// Which of all sites mean harm.
#[derive(Clone, Debug)]
pub(super) struct Malice(Vec<bool>);

impl Malice {
    pub(super) fn of(settings: &Settings, sites: u32) -> Self {
        let mut malicious = vec![false; sites as usize];
        if let Some(attack) = &settings.attack {
            let many = (attack.share * f64::from(sites)).ceil() as usize;
            let mut random = stream(settings.seed, Purpose::Malice, 0, 0);
            for site in index::sample(&mut random, malicious.len(), many.min(malicious.len())) {
                malicious.iter_mut().skip(site).take(1).for_each(|malicious| *malicious = true);
            }
        }
        Self(malicious)
    }

    fn holds(&self, site: u32) -> bool {
        self.0.get(site as usize).copied().unwrap_or_default()
    }
}

/// A round's sites, shard by shard: sizes differ by one at most.
pub(super) fn shards(settings: &Settings, layout: &Layout, malice: &Malice, round: u32) -> Vec<Vec<Member>> {
    let seed = settings.seed;
    let mut fates = stream(seed, Purpose::Fate, round, 0);
    let mut cohort = stream(seed, Purpose::Cohort, round, 0);
    let asked = index::sample(&mut cohort, malice.0.len(), layout.asked as usize);
    let mut members = asked.into_iter().map(|site| {
        let (site, draw) = (site as u32, fates.random::<f64>());
        let fate = match draw {
            _ if draw < settings.dropout => Fate::Vanishes,
            _ if draw < settings.dropout + settings.stragglers => Fate::Late,
            _ => Fate::Answers,
        };
        Member { site, fate, malicious: malice.holds(site) }
    });
    let (least, more) = (layout.asked / layout.shards, layout.asked % layout.shards);
    let size = |shard| least as usize + usize::from(shard < more);
    (0..layout.shards).map(|shard| members.by_ref().take(size(shard)).collect()).collect()
}
