//! Every figure that was set out to be reached, and what became of it: measured in this run, or elsewhere, with the command and the date.
//!
//! A judgement over summaries; measures nothing.

mod detector;
mod learning;
mod pictures;
mod sums;

use serde::Serialize;

use super::record::Skipped;
use super::summary::Ours;

/// How far a figure may go.
#[derive(Clone, Copy)]
enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

/// Why a figure is missed that others' work was in the way of.
const BUSY: &str = "others kept the machine busy: run it again when it is quiet";

/// A figure that a command outside of these suites gave.
struct Recorded {
    value: &'static str,
    reached: bool,
    command: &'static str,
    date: &'static str,
}

/// A figure that was reached elsewhere: what it was, by which command, on which day.
const fn reached(value: &'static str, command: &'static str, date: &'static str) -> Option<Recorded> {
    Some(Recorded { value, reached: true, command, date })
}

/// One that was not.
const fn missed(value: &'static str, command: &'static str, date: &'static str) -> Option<Recorded> {
    Some(Recorded { value, reached: false, command, date })
}

/// A figure to reach.
struct Goal {
    /// Which issue set it.
    issue: u8,
    what: &'static str,
    limit: Limit,
    unit: &'static str,
    /// Where this run has it.
    measured: fn(&Ours<'_>) -> Option<f64>,
    /// Where it was measured before.
    recorded: Option<Recorded>,
    /// Why it is missed, where it is.
    why: &'static str,
}

/// What became of a goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    Reached,
    Missed,
    /// What would have measured it went wrong in this run.
    Failed,
    /// Not in this run; in another it was.
    ReachedElsewhere,
    MissedElsewhere,
    NotMeasured,
}

impl State {
    /// In words.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Missed => "missed",
            Self::Failed => "failed in this run",
            Self::ReachedElsewhere => "reached elsewhere",
            Self::MissedElsewhere => "missed elsewhere",
            Self::NotMeasured => "not measured in this run",
        }
    }
}

/// A goal and what became of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Verdict {
    pub(super) issue: u8,
    pub(super) what: &'static str,
    pub(super) goal: String,
    pub(super) state: State,
    /// The number of this run, if it has one.
    pub(super) measured: Option<f64>,
    /// How many of its runs were on a loaded machine.
    pub(super) loaded: usize,
    pub(super) unit: &'static str,
    /// What was measured elsewhere, by what, when.
    pub(super) elsewhere: Option<String>,
    pub(super) why: &'static str,
}

/// All goals, by issue.
pub(super) fn verdicts(ours: &Ours<'_>, skipped: &[Skipped]) -> Vec<Verdict> {
    [pictures::GOALS, detector::GOALS, sums::GOALS, learning::GOALS]
        .into_iter()
        .flatten()
        .map(|goal| goal.verdict(ours, skipped))
        .collect()
}

impl Limit {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }

    fn words(self, unit: &str) -> String {
        let (word, value) = match self {
            Self::AtMost(most) => ("at most", most),
            Self::AtLeast(least) => ("at least", least),
        };
        format!("{word} {value} {unit}").trim_end().to_owned()
    }
}

impl Goal {
    fn verdict(&self, ours: &Ours<'_>, skipped: &[Skipped]) -> Verdict {
        let measured = (self.measured)(ours);
        let (looked, loaded) = ours.looked();
        // A case fails under its name and whatever tells its turns apart, a suite as a whole under this one.
        let failed = |(suite, case): &(String, String)| {
            let of = |skip: &&Skipped| skip.failed && skip.suite == *suite;
            skipped.iter().filter(of).any(|skip| skip.case.starts_with(case.as_str()) || skip.case == Skipped::SUITE)
        };
        let state = match (measured, &self.recorded) {
            (None, _) if looked.iter().any(failed) => State::Failed,
            (Some(value), _) if self.limit.holds(value) => State::Reached,
            (Some(_), _) => State::Missed,
            (None, Some(recorded)) if recorded.reached => State::ReachedElsewhere,
            (None, Some(_)) => State::MissedElsewhere,
            (None, None) => State::NotMeasured,
        };
        let told = |r: &Recorded| format!("{} ({}, {})", r.value, r.command, r.date);
        let missed = matches!(state, State::Missed | State::MissedElsewhere);
        // A busy machine is a reason where it was one.
        let why = if state == State::Missed && loaded > 0 { BUSY } else { self.why };
        Verdict {
            issue: self.issue,
            what: self.what,
            goal: self.limit.words(self.unit),
            state,
            measured,
            loaded,
            unit: self.unit,
            elsewhere: self.recorded.as_ref().map(told),
            why: if missed { why } else { "" },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_runs_goals_rest_on_what_was_recorded_and_every_miss_says_why() {
        let all = verdicts(&Ours::new(&[]), &[]);
        assert!(all.len() > 40 && all.is_sorted_by_key(|v| v.issue));
        for verdict in &all {
            assert_eq!(verdict.measured, None);
            assert!(!matches!(verdict.state, State::Reached | State::Missed), "{verdict:?}");
            assert!(verdict.state != State::MissedElsewhere || !verdict.why.is_empty(), "{verdict:?}");
        }
    }

    #[test]
    fn what_failed_in_this_run_is_not_called_reached_elsewhere() {
        let skip = |case: &str, failed| Skipped {
            suite: "egress".to_owned(),
            case: case.to_owned(),
            why: "a packet that nothing explains".to_owned(),
            failed,
        };
        let states = |skip: Skipped| {
            let all = verdicts(&Ours::new(&[]), &[skip]);
            let of = |state| all.iter().filter(|verdict| verdict.state == state).count();
            (of(State::Failed), of(State::ReachedElsewhere))
        };
        let quiet = states(skip("capture", false));
        assert_eq!(quiet.0, 0);
        assert_eq!(states(skip("capture : volet", true)), (4, quiet.1 - 4));
        assert_eq!(states(skip(Skipped::SUITE, true)), (4, quiet.1 - 4));
    }

    #[test]
    fn limits_hold_up_to_themselves() {
        assert!(Limit::AtMost(2.0).holds(2.0) && !Limit::AtMost(2.0).holds(2.1));
        assert!(Limit::AtLeast(2.0).holds(2.0) && !Limit::AtLeast(2.0).holds(1.9));
        assert_eq!(Limit::AtMost(0.3).words("s"), "at most 0.3 s");
        assert_eq!(Limit::AtLeast(0.5).words(""), "at least 0.5");
    }
}
