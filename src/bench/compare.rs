//! Two files of results: what changed beyond the noise, for better or worse.
//!
//! Numbers that are the same on every machine are compared as they are; instructions within half a percent. Of the rest, a change counts where
//! the interval of the ratio leaves out 1, the runs of old and new do not overlap, and the medians differ by three percent or more: of a few
//! runs the interval alone would cry wolf. Our ratios to peers are compared the same way: a slower day slows both.
//!
//! What cannot be compared is not judged: other work, measured numbers of another machine, or of runs that others disturbed.

use serde::Serialize;

use super::harness::VOLET;
use super::record::{Better, Header, Results};
use super::stats::{Interval, ratio};
use super::summary::{Ratio, Summary, ratios, summaries};

/// Changes of instruction counts below this are none.
const INSTRUCTIONS: f64 = 0.005;
/// The same where the work follows from the system's randomness.
const RANDOM: f64 = 0.05;
/// Changes of anything else that is exact: what a printed number is rounded to.
const EXACT: f64 = 1e-9;
/// Changes of measured numbers below this are none.
const MEASURED: f64 = 0.03;
/// So many runs on either side say something of the noise.
const RUNS: usize = 5;

/// What became of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    Better,
    Worse,
    /// Beyond the noise, and neither good nor bad.
    Changed,
    Same,
    /// Too few runs, or runs that cannot be compared.
    Unknown,
}

/// A number in both files.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Change {
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) old: f64,
    pub(super) new: f64,
    /// New over old.
    pub(super) ratio: Option<Interval>,
    pub(super) verdict: Verdict,
}

/// Two files.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    pub(super) old: Header,
    pub(super) new: Header,
    /// Machines or builds differ: only what is exact can be compared.
    pub(super) other_machine: bool,
    /// Seeds or lengths of the runs differ: cases of the same name did other work, and nothing can be compared.
    pub(super) other_work: bool,
    pub(super) changes: Vec<Change>,
    /// In one file alone.
    pub(super) only_old: usize,
    pub(super) only_new: usize,
}

impl Comparison {
    /// Of our own numbers; peers are not ours to keep.
    pub(super) fn of(old: &Results, new: &Results) -> Self {
        let ours = |results: &Results| -> Vec<Summary> {
            summaries(&results.runs).into_iter().filter(|s| s.subject == VOLET).collect()
        };
        let (before, after) = (ours(old), ours(new));
        let machine = |h: &Header| (h.cpu.clone(), h.cores, h.memory_bytes, h.profile.clone());
        let work = |h: &Header| (h.quick, h.seed);
        let other_machine = machine(&old.header) != machine(&new.header);
        let other_work = work(&old.header) != work(&new.header);
        let pairs = after.iter().filter_map(|new| Some((before.iter().find(|old| old.same_work(new))?, new)));
        let own = pairs.map(|(old, new)| (!other_work && (old.exact && new.exact || !other_machine), change(old, new)));
        let mut changes: Vec<Change> = own.map(|(comparable, change)| judged_if(comparable, change)).collect();
        let kept = |all: &[Summary]| all.len().saturating_sub(changes.len());
        let (only_old, only_new) = (kept(&before), kept(&after));
        let beside = |results: &Results| ratios(&summaries(&results.runs));
        let (before, after) = (beside(old), beside(new));
        let key = |r: &Ratio| (r.suite.clone(), r.case.clone(), r.metric.clone(), r.params.to_string(), r.peer.clone());
        let pairs = after.iter().filter_map(|new| Some((before.iter().find(|old| key(old) == key(new))?, new)));
        changes.extend(pairs.map(|(old, new)| judged_if(!other_work && !other_machine, beside_peer(old, new))));
        let (old, new) = (old.header.clone(), new.header.clone());
        Self { old, new, other_machine, other_work, only_old, only_new, changes }
    }

    /// What got worse.
    pub(super) fn worse(&self) -> usize {
        self.changes.iter().filter(|change| change.verdict == Verdict::Worse).count()
    }

    /// Lines for people.
    pub(super) fn print(&self) {
        if self.other_machine {
            let what = |h: &Header| format!("{}, {} processors, {} build", h.cpu, h.cores, h.profile);
            let said = format!("{}; {}", what(&self.old), what(&self.new));
            println!("The machines or builds differ ({}): only exact numbers are compared.", said.escape_debug());
        }
        if self.other_work {
            println!(
                "The runs differ in their seed, or one was quick and the other full: cases of the same name did other work, and nothing is compared."
            );
        }
        for (verdict, word) in [(Verdict::Worse, "worse"), (Verdict::Better, "better"), (Verdict::Changed, "changed")] {
            for change in self.changes.iter().filter(|change| change.verdict == verdict) {
                let Change { name, unit, old, new, .. } = change;
                let by = change.ratio.map_or_else(String::new, |r| {
                    format!(", {:+.1} % ({:+.1} to {:+.1})", percent(r.value), percent(r.low), percent(r.high))
                });
                println!("{word:8} {}: {old} to {new} {}{by}", name.escape_debug(), unit.escape_debug());
            }
        }
        let count = |verdict| self.changes.iter().filter(|change| change.verdict == verdict).count();
        println!(
            "{} numbers: {} better, {} worse, {} changed, {} as before, {} of too few runs, or of runs that cannot be compared; {} in the old file alone, {} in the new",
            self.changes.len(),
            count(Verdict::Better),
            self.worse(),
            count(Verdict::Changed),
            count(Verdict::Same),
            count(Verdict::Unknown),
            self.only_old,
            self.only_new
        );
    }
}

fn percent(ratio: f64) -> f64 {
    100.0 * (ratio - 1.0)
}

fn change(old: &Summary, new: &Summary) -> Change {
    let (a, b) = (old.spread.median, new.spread.median);
    // The same files give the same interval.
    let ratio = ratio(&old.values, &new.values, 1);
    let verdict = if old.exact && new.exact {
        let least = match new.unit.as_str() {
            "instructions" if new.metric.ends_with("vary") => RANDOM,
            "instructions" => INSTRUCTIONS,
            _ => EXACT,
        };
        judged(new.better, a, b, (b - a).abs() > least * a.abs().max(b.abs()))
    } else {
        measured(new.better, (a, b), ratio, (&old.values, &new.values), old.loaded + new.loaded)
    };
    Change { name: new.name(), unit: new.unit.clone(), old: a, new: b, ratio, verdict }
}

/// How we stand beside a peer, then and now.
fn beside_peer(old: &Ratio, new: &Ratio) -> Change {
    let (a, b) = (old.times_better, new.times_better);
    let ratio = ratio(&old.turns, &new.turns, 1);
    let verdict = measured(Better::Higher, (a, b), ratio, (&old.turns, &new.turns), old.loaded + new.loaded);
    let params = if new.params.0.is_empty() { String::new() } else { format!(" ({})", new.params) };
    let name = format!("{}: {}{params}, {}, times as good as {}", new.suite, new.case, new.metric, new.peer);
    Change { name, unit: String::new(), old: a, new: b, ratio, verdict }
}

/// The verdict on what varies from run to run.
fn measured(
    better: Better,
    (old, new): (f64, f64),
    ratio: Option<Interval>,
    (before, after): (&[f64], &[f64]),
    loaded: usize,
) -> Verdict {
    if before.len() < RUNS || after.len() < RUNS || loaded > 0 {
        return Verdict::Unknown;
    }
    let beyond = ratio.is_some_and(|r| (r.low > 1.0 || r.high < 1.0) && (r.value - 1.0).abs() >= MEASURED);
    judged(better, old, new, beyond && apart(before, after))
}

fn judged_if(comparable: bool, change: Change) -> Change {
    if comparable { change } else { Change { verdict: Verdict::Unknown, ..change } }
}

fn judged(better: Better, old: f64, new: f64, changed: bool) -> Verdict {
    match better {
        _ if !changed => Verdict::Same,
        Better::Neither => Verdict::Changed,
        Better::Lower if new < old => Verdict::Better,
        Better::Higher if new > old => Verdict::Better,
        Better::Lower | Better::Higher => Verdict::Worse,
    }
}

/// Whether all values of the one lie on the same side of all of the other.
fn apart(a: &[f64], b: &[f64]) -> bool {
    let ends = |values: &[f64]| {
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)))
    };
    let (a, b) = (ends(a), ends(b));
    a.1 < b.0 || b.1 < a.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::record::Params;
    use crate::bench::stats::Spread;
    use proptest::prelude::*;

    fn summary(values: &[f64], better: Better, exact: bool, unit: &str) -> Summary {
        let word = |text: &str| text.to_owned();
        Summary {
            suite: word("camera"),
            case: word("nv12"),
            subject: word(VOLET),
            metric: word("cpu"),
            unit: word(unit),
            better,
            exact,
            params: Params::none(),
            spread: Spread::of(values).unwrap(),
            loaded: 0,
            values: values.to_vec(),
            turns: (1..).take(values.len()).collect(),
        }
    }

    #[test]
    fn instructions_are_compared_exactly_and_times_with_their_noise() {
        let of = |old: &[f64], new: &[f64], exact, unit| {
            let (old, new) = (summary(old, Better::Lower, exact, unit), summary(new, Better::Lower, exact, unit));
            change(&old, &new).verdict
        };
        assert_eq!(of(&[1e6], &[1.004e6], true, "instructions"), Verdict::Same);
        assert_eq!(of(&[1e6], &[1.006e6], true, "instructions"), Verdict::Worse);
        assert_eq!(of(&[0.1], &[0.0999], true, ""), Verdict::Better);
        let about = |middle: f64, by: f64| [-1.0, -0.5, 0.0, 0.5, 1.0].map(|step| middle + by * step);
        assert_eq!(of(&about(1.0, 0.01), &about(1.1, 0.01), false, "s"), Verdict::Worse);
        assert_eq!(of(&about(1.0, 0.01), &about(1.01, 0.01), false, "s"), Verdict::Same);
        assert_eq!(of(&about(1.0, 0.3), &about(1.1, 0.3), false, "s"), Verdict::Same, "that much it varies anyway");
        assert_eq!(of(&[1.0; 4], &[2.0; 4], false, "s"), Verdict::Unknown);
    }

    proptest! {
        /// What did not change is never flagged; ten percent is, where the noise is well below it; and better is the other way round.
        #[test]
        fn ten_percent_is_seen_and_nothing_is_not(values in prop::collection::vec(0.99..1.01f64, 5..9)) {
            let slower: Vec<f64> = values.iter().map(|v| 1.1 * v).collect();
            let of = |old: &[f64], new: &[f64], better| {
                change(&summary(old, better, false, "s"), &summary(new, better, false, "s")).verdict
            };
            prop_assert_eq!(of(&values, &values, Better::Lower), Verdict::Same);
            prop_assert_eq!(of(&values, &slower, Better::Lower), Verdict::Worse);
            prop_assert_eq!(of(&slower, &values, Better::Lower), Verdict::Better);
            prop_assert_eq!(of(&values, &slower, Better::Higher), Verdict::Better);
            prop_assert_eq!(of(&values, &slower, Better::Neither), Verdict::Changed);
        }
    }
}
