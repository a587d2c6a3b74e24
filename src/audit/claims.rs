//! What an audit says: claims, each of which held, did not, or was not examined. Knows no way to examine anything.

use std::fmt;

use serde::Serialize;

/// One claim, in words that its reader may never have met a network in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Claim {
    /// What is claimed.
    pub(crate) claim: &'static str,
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

impl Claim {
    /// A claim that held, or did not.
    pub(crate) fn of(claim: &'static str, held: bool, seen: impl Into<String>) -> Self {
        Self { claim, verdict: if held { Verdict::Held } else { Verdict::Failed }, seen: seen.into() }
    }

    /// A claim that held if there was no error.
    pub(crate) fn tried<E: fmt::Display>(claim: &'static str, seen: Result<String, E>) -> Self {
        match seen {
            Ok(seen) => Self::of(claim, true, seen),
            Err(error) => Self::of(claim, false, error.to_string()),
        }
    }

    /// A claim that was not examined.
    pub(crate) fn skipped(claim: &'static str, why: impl Into<String>) -> Self {
        Self { claim, verdict: Verdict::NotExamined, seen: why.into() }
    }
}
