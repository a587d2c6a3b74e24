//! Raw runs by what they are of: medians, spreads, ratios. A function of the results file and of nothing else.

use std::collections::BTreeMap;

use serde::Serialize;

use super::harness::VOLET;
use super::record::{Better, Params, Results, Run};
use super::stats::{Interval, Spread, ratio};

/// All runs of one number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Summary {
    pub(super) suite: String,
    pub(super) case: String,
    pub(super) subject: String,
    pub(super) metric: String,
    pub(super) unit: String,
    pub(super) better: Better,
    pub(super) exact: bool,
    pub(super) params: Params,
    #[serde(flatten)]
    pub(super) spread: Spread,
    /// Of them, how many on a loaded machine.
    pub(super) loaded: usize,
    #[serde(skip)]
    pub(super) values: Vec<f64>,
}

impl Summary {
    /// Whether it is of the same work as another, whoever did it.
    fn same_work(&self, other: &Self) -> bool {
        let key = |s: &Self| (s.suite.clone(), s.case.clone(), s.metric.clone(), s.unit.clone(), s.params.clone());
        key(self) == key(other)
    }

    /// What it is called where there is no table round it.
    pub(super) fn name(&self) -> String {
        let who = if self.subject == VOLET { String::new() } else { format!(" by {}", self.subject) };
        let params = if self.params.0.is_empty() { String::new() } else { format!(" ({})", self.params) };
        format!("{}: {}{params}, {}{who}", self.suite, self.case, self.metric)
    }
}

/// The summaries of all runs that count, in the order of their first.
pub(super) fn summaries(runs: &[Run]) -> Vec<Summary> {
    let mut places: BTreeMap<[String; 6], usize> = BTreeMap::new();
    let mut groups: Vec<(&Run, Vec<f64>, usize)> = Vec::new();
    for run in runs.iter().filter(|run| !run.warm_up) {
        let Run { suite, case, subject, metric, unit, params, .. } = run;
        let key = [suite.clone(), case.clone(), subject.clone(), metric.clone(), unit.clone(), params.to_string()];
        let place = *places.entry(key).or_insert(groups.len());
        if place == groups.len() {
            groups.push((run, Vec::new(), 0));
        }
        if let Some((_, values, loaded)) = groups.get_mut(place) {
            values.push(run.value);
            *loaded += usize::from(run.loaded);
        }
    }
    let summary = |(run, values, loaded): (&Run, Vec<f64>, usize)| {
        Some(Summary {
            suite: run.suite.clone(),
            case: run.case.clone(),
            subject: run.subject.clone(),
            metric: run.metric.clone(),
            unit: run.unit.clone(),
            better: run.better,
            exact: run.exact,
            params: run.params.clone(),
            spread: Spread::of(&values)?,
            loaded,
            values,
        })
    };
    groups.into_iter().filter_map(summary).collect()
}

/// How a peer does beside us, in one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Ratio {
    pub(super) suite: String,
    pub(super) case: String,
    pub(super) params: Params,
    pub(super) metric: String,
    pub(super) unit: String,
    pub(super) peer: String,
    pub(super) ours: f64,
    pub(super) theirs: f64,
    /// How many times as good we are; below 1, worse.
    pub(super) times_better: Interval,
}

/// All peers beside us, for what is good or bad.
pub(super) fn ratios(all: &[Summary], seed: u64) -> Vec<Ratio> {
    let peers = all.iter().filter(|s| s.subject != VOLET && s.better != Better::Neither && !s.exact);
    peers
        .filter_map(|theirs| {
            let ours = all.iter().find(|s| s.subject == VOLET && s.same_work(theirs))?;
            let times_better = match theirs.better {
                Better::Higher => ratio(&theirs.values, &ours.values, seed)?,
                _ => ratio(&ours.values, &theirs.values, seed)?,
            };
            Some(Ratio {
                suite: ours.suite.clone(),
                case: ours.case.clone(),
                params: ours.params.clone(),
                metric: ours.metric.clone(),
                unit: ours.unit.clone(),
                peer: theirs.subject.clone(),
                ours: ours.spread.median,
                theirs: theirs.spread.median,
                times_better,
            })
        })
        .collect()
}

/// Our own summaries, for whoever looks for one of them.
pub(super) struct Ours<'a>(pub(super) &'a [Summary]);

impl Ours<'_> {
    /// The median of a metric; where several cases match, of the first.
    pub(super) fn median(&self, suite: &str, case: &str, metric: &str, params: &[(&str, f64)]) -> Option<f64> {
        self.where_params(suite, case, metric, |p| params.iter().all(|(name, value)| p.number(name) == Some(*value)))
    }

    /// The same for any condition on the parameters.
    pub(super) fn where_params(
        &self,
        suite: &str,
        case: &str,
        metric: &str,
        matches: impl Fn(&Params) -> bool,
    ) -> Option<f64> {
        let ours = self.0.iter().filter(|s| s.subject == VOLET && s.suite == suite && s.case == case);
        ours.filter(|s| s.metric == metric).find(|s| matches(&s.params)).map(|s| s.spread.median)
    }
}

/// What is written with `--json`, and what pages show.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    pub(super) header: &'a super::record::Header,
    pub(super) ratios: Vec<Ratio>,
    pub(super) goals: Vec<super::goals::Verdict>,
    pub(super) growth: Vec<super::growth::Growth>,
    pub(super) summaries: Vec<Summary>,
    pub(super) skipped: &'a [super::record::Skipped],
    pub(super) torn: bool,
}

impl<'a> Report<'a> {
    pub(super) fn of(results: &'a Results) -> Self {
        let summaries = summaries(&results.runs);
        Self {
            header: &results.header,
            ratios: ratios(&summaries, results.header.seed),
            goals: super::goals::verdicts(&Ours(&summaries)),
            growth: super::growth::all(&summaries),
            summaries,
            skipped: &results.skipped,
            torn: results.torn,
        }
    }
}
