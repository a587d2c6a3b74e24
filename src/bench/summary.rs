//! Raw runs by what they are of: medians, spreads, ratios. A function of the results file and of nothing else.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use serde::Serialize;

use super::harness::VOLET;
use super::record::{Better, Params, Results, Run};
use super::stats::{Interval, Spread, paired};

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
    /// In which turn each of them was.
    #[serde(skip)]
    pub(super) turns: Vec<u32>,
}

impl Summary {
    /// Whether it is of the same work as another, whoever did it.
    pub(super) fn same_work(&self, other: &Self) -> bool {
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
    let mut groups: Vec<(&Run, Vec<f64>, Vec<u32>, usize)> = Vec::new();
    for run in runs.iter().filter(|run| !run.warm_up) {
        let Run { suite, case, subject, metric, unit, params, .. } = run;
        let key = [suite.clone(), case.clone(), subject.clone(), metric.clone(), unit.clone(), params.to_string()];
        let place = *places.entry(key).or_insert(groups.len());
        if place == groups.len() {
            groups.push((run, Vec::new(), Vec::new(), 0));
        }
        if let Some((_, values, turns, loaded)) = groups.get_mut(place) {
            values.push(run.value);
            turns.push(run.round);
            *loaded += usize::from(run.loaded);
        }
    }
    let summary = |(run, values, turns, loaded): (&Run, Vec<f64>, Vec<u32>, usize)| {
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
            turns,
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
    /// How many times as good we are, the median of all turns; below 1, worse.
    pub(super) times_better: f64,
    /// Between what it lies with 95 % confidence or more, where there were turns enough to say.
    pub(super) interval: Option<Interval>,
    /// The ratio of each turn that both took.
    pub(super) turns: Vec<f64>,
    /// How many of both's runs were on a loaded machine.
    pub(super) loaded: usize,
}

/// All peers beside us, for what is good or bad.
pub(super) fn ratios(all: &[Summary]) -> Vec<Ratio> {
    let peers = all.iter().filter(|s| s.subject != VOLET && s.better != Better::Neither && !s.exact);
    peers
        .filter_map(|theirs| {
            let ours = all.iter().find(|s| s.subject == VOLET && s.same_work(theirs))?;
            // What drifts from turn to turn is the same for both.
            let better = |own: f64, other: f64| match theirs.better {
                Better::Higher => own / other,
                _ => other / own,
            };
            let of = |turn: &u32| {
                let at = theirs.turns.iter().position(|other| other == turn)?;
                theirs.values.get(at).copied()
            };
            let both = ours.turns.iter().zip(&ours.values).filter_map(|(turn, own)| Some(better(*own, of(turn)?)));
            let turns: Vec<f64> = both.filter(|ratio| ratio.is_finite()).collect();
            let (times_better, interval) = paired(&turns)?;
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
                interval,
                turns,
                loaded: ours.loaded + theirs.loaded,
            })
        })
        .collect()
}

/// Our own summaries, for whoever looks for one of them; it remembers what was looked for.
pub(super) struct Ours<'a> {
    pub(super) all: &'a [Summary],
    looked: RefCell<Vec<(String, String)>>,
    loaded: Cell<usize>,
}

impl<'a> Ours<'a> {
    pub(super) fn new(all: &'a [Summary]) -> Self {
        Self { all, looked: RefCell::default(), loaded: Cell::new(0) }
    }

    /// Suite and case of all that was looked for since the last time, and how many runs of what was found were on a loaded machine.
    pub(super) fn looked(&self) -> (Vec<(String, String)>, usize) {
        (self.looked.take(), self.loaded.take())
    }

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
        self.looked.borrow_mut().push((suite.to_owned(), case.to_owned()));
        let ours = self.all.iter().filter(|s| s.subject == VOLET && s.suite == suite && s.case == case);
        let found = ours.filter(|s| s.metric == metric).find(|s| matches(&s.params))?;
        self.loaded.set(self.loaded.get() + found.loaded);
        Some(found.spread.median)
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
    /// The run was stopped: what is here is what was measured by then.
    pub(super) stopped: bool,
    /// The suites of which there is nothing.
    pub(super) missing: Vec<&'a str>,
}

impl<'a> Report<'a> {
    pub(super) fn of(results: &'a Results) -> Self {
        let summaries = summaries(&results.runs);
        Self {
            header: &results.header,
            ratios: ratios(&summaries),
            goals: super::goals::verdicts(&Ours::new(&summaries), &results.skipped),
            growth: super::growth::all(&summaries),
            summaries,
            skipped: &results.skipped,
            stopped: results.torn || !results.whole,
            missing: results.missing(),
        }
    }
}
