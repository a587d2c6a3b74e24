//! What people see of an aggregator: one state, for the page, the terminal and the metrics. Nothing in it is of one site.

use std::io;

use serde::{Deserialize, Serialize};

use super::book::Book;
use super::config::DELTA;
use super::coordinator::{Live, wall};
use super::register::{Ended, Sites};

/// So many rounds are shown, the last ones.
const ROUNDS: u32 = 500;

/// An aggregator's state. Times are milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // names say it; the page's comments say more
pub struct State {
    pub now: u64,
    pub version: String,
    pub task: TaskState,
    pub privacy: Privacy,
    pub sites: Sites,
    pub round: Option<RoundState>,
    pub rounds: Vec<Ended>,
    pub releases: Vec<ReleaseState>,
}

/// What is learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct TaskState {
    pub id: String,
    pub lineage: String,
    pub parameters: u32,
    pub clip_norm: f64,
    pub noise_multiplier: f64,
    pub minimum: u32,
    pub most: u32,
    pub shards: u32,
    pub rounds: u64,
}

/// What it costs each site that takes part in every round, where masks hold: the most that any can have spent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Privacy {
    pub delta: f64,
    pub epsilon_spent: Option<f64>,
    pub epsilon_budget: Option<f64>,
    pub rounds_counted: u64,
}

/// A round that goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RoundState {
    pub number: u64,
    pub opened: u64,
    pub gather_until: u64,
    pub shards: Vec<ShardState>,
}

/// One of its shards. What only the replica that drives it knows is missing elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ShardState {
    pub shard: u32,
    pub step: Option<String>,
    pub step_ends: Option<u64>,
    pub sites: Option<u64>,
    pub waiting_for: Option<u64>,
    pub dropped: Option<u64>,
    pub contributors: Option<u32>,
    pub failure: Option<String>,
    pub replica: String,
}

/// A release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ReleaseState {
    pub number: u64,
    pub model: String,
    pub name: String,
    pub rounds: u64,
    pub size: u64,
    pub parent: Option<String>,
    pub released: u64,
    /// The earlier release whose model it is.
    pub same_as: Option<u64>,
}

/// The steps of a shard, in their order.
pub(super) const STEPS: [&str; 5] = ["gathering", "sharing", "masking", "signing", "revealing"];

impl State {
    /// The state of a book, and of what its coordinator drives.
    ///
    /// # Errors
    /// The register's.
    pub fn of(book: &Book, live: &Live) -> io::Result<Self> {
        let checked = book.checked();
        let task = &checked.config.task;
        let releases = releases(book)?;
        let rounds = book.register().rounds(ROUNDS)?;
        let counted = book.register().rounds_with_sites()?;
        Ok(Self {
            now: wall().0,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            task: TaskState {
                id: book.task_id().to_string(),
                lineage: releases.first().map_or_else(String::new, |first| first.model.clone()),
                parameters: task.parameters,
                clip_norm: task.clip_norm,
                noise_multiplier: task.noise_multiplier,
                minimum: task.minimum,
                most: task.most,
                shards: task.shards,
                rounds: task.rounds,
            },
            privacy: Privacy {
                delta: DELTA,
                epsilon_spent: checked.epsilon(counted),
                epsilon_budget: checked.epsilon(task.rounds),
                rounds_counted: counted,
            },
            sites: book.sites()?,
            round: round(book, live)?,
            rounds,
            releases,
        })
    }
}

fn releases(book: &Book) -> io::Result<Vec<ReleaseState>> {
    let mut shown: Vec<ReleaseState> = Vec::new();
    for (release, at) in book.releases()? {
        let model = blake3::Hash::from_bytes(release.model).to_string();
        let same_as = shown.iter().find(|earlier| earlier.model == model).map(|earlier| earlier.number);
        shown.push(ReleaseState {
            number: release.number,
            model,
            name: release.name,
            rounds: release.rounds,
            size: release.size,
            parent: release.parent.map(|parent| blake3::Hash::from_bytes(parent).to_string()),
            released: at.0,
            same_as,
        });
    }
    Ok(shown)
}

fn round(book: &Book, live: &Live) -> io::Result<Option<RoundState>> {
    let Some(present) = book.register().present()? else { return Ok(None) };
    let buffered = book.checked().config.helper.is_some();
    let shards = book.register().shards(present.number)?.into_iter().map(|shard| {
        let mut state = ShardState {
            shard: shard.shard,
            step: shard.gathers.then(|| STEPS[0].to_owned()),
            step_ends: None,
            sites: None,
            waiting_for: None,
            dropped: None,
            contributors: None,
            failure: None,
            replica: shard.replica,
        };
        let here = live.shards.iter().find(|here| (here.id.round, here.id.shard) == (present.number, shard.shard));
        if let Some(end) = shard.end {
            state.step = Some("ended".to_owned());
            (state.sites, state.waiting_for) = (Some(end.sites.into()), Some(0));
            match end.contributors {
                Ok(contributors) => {
                    (state.contributors, state.dropped) =
                        (Some(contributors), Some(end.sites.saturating_sub(contributors).into()));
                }
                Err(failure) => state.failure = Some(failure),
            }
        } else if let Some(here) = here {
            // In a buffered round what follows the reports is the helper's answer.
            let last = STEPS.len() - 1;
            let step = if buffered && here.steps > 0 { last } else { here.steps as usize };
            state.step = STEPS.get(step).map(|step| (*step).to_owned());
            (state.step_ends, state.sites) = (Some(here.due.0), Some(here.sites as u64));
            (state.waiting_for, state.dropped) = (Some(here.waiting_for as u64), Some(here.dropped as u64));
        }
        state
    });
    let shards = shards.collect();
    Ok(Some(RoundState {
        number: present.number,
        opened: present.opened.0,
        gather_until: present.gather_until.0,
        shards,
    }))
}
