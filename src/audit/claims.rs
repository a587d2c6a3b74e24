//! What an audit says: claims, each of which held, did not, or was not examined. Knows no way to examine anything.

use std::borrow::Cow;
use std::fmt;
use std::process::ExitCode;

use serde::Serialize;

/// One claim, in words that its reader may never have met a network in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Claim {
    /// What is claimed.
    pub(crate) claim: Cow<'static, str>,
    pub(crate) verdict: Verdict,
    /// What was seen, or why nothing was.
    pub(crate) seen: String,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    Held,
    /// It is not so, or that it is so could not be shown where it should have been.
    Failed,
    /// Nobody asked, or what it takes is not here: neither held nor not.
    NotExamined,
}

/// What came of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// Every claim held.
    Held,
    /// At least one did not.
    Failed,
    /// None failed, and some were not examined.
    NotAllExamined,
}

impl Claim {
    /// A claim that held, or did not.
    pub(crate) fn of(claim: impl Into<Cow<'static, str>>, held: bool, seen: impl Into<String>) -> Self {
        let verdict = if held { Verdict::Held } else { Verdict::Failed };
        Self { claim: claim.into(), verdict, seen: seen.into() }
    }

    /// A claim that did not hold because of an error.
    pub(crate) fn failed(claim: impl Into<Cow<'static, str>>, error: impl fmt::Display) -> Self {
        Self::of(claim, false, error.to_string())
    }

    /// A claim that held where nothing speaks against it.
    pub(crate) fn unless(claim: impl Into<Cow<'static, str>>, faults: &[String], seen: impl Into<String>) -> Self {
        Self::of(claim, faults.is_empty(), if faults.is_empty() { seen.into() } else { faults.join("; ") })
    }

    /// A claim that was not examined.
    pub(crate) fn skipped(claim: impl Into<Cow<'static, str>>, why: impl Into<String>) -> Self {
        Self { claim: claim.into(), verdict: Verdict::NotExamined, seen: why.into() }
    }
}

impl Outcome {
    pub(crate) fn of(claims: &[Claim]) -> Self {
        let any = |verdict| claims.iter().any(|claim| claim.verdict == verdict);
        match (any(Verdict::Failed), any(Verdict::NotExamined) || claims.is_empty()) {
            (true, _) => Self::Failed,
            (false, true) => Self::NotAllExamined,
            (false, false) => Self::Held,
        }
    }

    /// 0 where every claim held, 1 where one did not; where none failed and some were not examined 3, or 0 where whoever asks allows
    /// that.
    pub(crate) fn code(self, unexamined_allowed: bool) -> ExitCode {
        match self {
            Self::Held => ExitCode::SUCCESS,
            Self::NotAllExamined if unexamined_allowed => ExitCode::SUCCESS,
            Self::NotAllExamined => ExitCode::from(3),
            Self::Failed => ExitCode::FAILURE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_examined_is_no_evidence() {
        let held = || Claim::of("a", true, "");
        assert_eq!(Outcome::of(&[held(), held()]), Outcome::Held);
        assert_eq!(Outcome::of(&[held(), Claim::skipped("b", "")]), Outcome::NotAllExamined);
        assert_eq!(Outcome::of(&[]), Outcome::NotAllExamined);
        assert_eq!(Outcome::of(&[held(), Claim::skipped("b", ""), Claim::failed("c", "")]), Outcome::Failed);
        let codes = |allowed| [Outcome::Held, Outcome::Failed, Outcome::NotAllExamined].map(|o| o.code(allowed));
        assert_eq!(codes(false), [ExitCode::SUCCESS, ExitCode::FAILURE, ExitCode::from(3)]);
        assert_eq!(codes(true), [ExitCode::SUCCESS, ExitCode::FAILURE, ExitCode::SUCCESS]);
    }
}
