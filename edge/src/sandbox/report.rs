//! What a process's sandbox claims, and of each claim whether it holds. Knows no system calls.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How much of the sandbox is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Refuse to start where any claim does not hold wholly.
    Strict,
    /// Enforce what this kernel can, and say what it cannot.
    #[default]
    Usual,
    /// Enforce nothing.
    Off,
}

/// What a claim is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Aspect {
    /// Privileges that programs gain, by set-user-ID for example.
    Privileges,
    /// Root.
    User,
    /// Linux capabilities.
    Capabilities,
    /// What is in memory, and code that appears there.
    Memory,
    /// Files read and written.
    Files,
    /// Other programs started.
    Programs,
    /// TCP connections made.
    Tcp,
    /// UDP datagrams sent.
    Udp,
    /// Connections taken.
    Listening,
    /// Sockets of other families.
    Sockets,
    /// Other processes.
    Processes,
    /// System calls.
    Calls,
}

/// Whether a claim holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Verdict {
    /// The kernel holds it.
    Enforced,
    /// The kernel holds some of it.
    Partly {
        /// What it does not hold, and why.
        why: String,
    },
    /// Nothing holds it.
    NotEnforced {
        /// Why.
        why: String,
    },
}

/// A claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// What it is about.
    pub about: Aspect,
    /// What is claimed, for people.
    pub says: String,
    /// What holds it: "seccomp", "Landlock ABI 7".
    pub by: String,
    /// Whether it holds.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What a process's sandbox claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What was asked for.
    pub mode: Mode,
    /// The version of the program.
    pub version: String,
    /// The process's number.
    pub process: u32,
    /// The kernel's release.
    pub kernel: String,
    /// The claims, each aspect once.
    pub claims: Vec<Claim>,
    /// What none of this can bound, and what to add.
    pub beyond: Vec<String>,
}

impl Claim {
    pub(super) fn new(about: Aspect, says: impl Into<String>, by: impl Into<String>, verdict: Verdict) -> Self {
        Self { about, says: says.into(), by: by.into(), verdict }
    }
}

impl Verdict {
    pub(super) fn partly(why: impl Into<String>) -> Self {
        Self::Partly { why: why.into() }
    }

    pub(super) fn not(why: impl Into<String>) -> Self {
        Self::NotEnforced { why: why.into() }
    }
}

impl Report {
    pub(super) fn new(mode: Mode, kernel: String, claims: Vec<Claim>, beyond: Vec<String>) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self { mode, version, process: std::process::id(), kernel, claims, beyond }
    }

    /// Whether every claim is enforced.
    pub fn holds(&self) -> bool {
        self.open().is_empty()
    }

    /// The claims that are not enforced, or only partly, for people.
    pub fn open(&self) -> Vec<String> {
        let open = self.claims.iter().filter(|claim| claim.verdict != Verdict::Enforced);
        open.map(ToString::to_string).collect()
    }

    /// The claim about this.
    pub fn claim(&self, about: Aspect) -> Option<&Claim> {
        self.claims.iter().find(|claim| claim.about == about)
    }

    /// Logs a line for each claim, and for each thing that is beyond them.
    pub fn log(&self) {
        for claim in &self.claims {
            match claim.verdict {
                Verdict::Enforced => tracing::info!("sandbox: {claim}"),
                _ => tracing::warn!("sandbox: {claim}"),
            }
        }
        for beyond in &self.beyond {
            tracing::info!("sandbox: out of its reach: {beyond}");
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { says, by, verdict, .. } = self;
        match verdict {
            Verdict::Enforced => write!(f, "{says}: enforced ({by})"),
            Verdict::Partly { why } => write!(f, "{says}: partly ({by}): {why}"),
            Verdict::NotEnforced { why } => write!(f, "{says}: NOT enforced: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_is_open_and_survives_being_written_down() {
        let claims = vec![
            Claim::new(Aspect::User, "it is not root", "the user", Verdict::Enforced),
            Claim::new(Aspect::Files, "files", "Landlock ABI 2", Verdict::partly("it cannot bound truncation")),
            Claim::new(Aspect::Calls, "calls", "seccomp", Verdict::not("this kernel has none")),
        ];
        let report = Report::new(Mode::Usual, "6.1".into(), claims, vec!["hosts".into()]);
        assert!(!report.holds());
        assert_eq!(
            report.open(),
            ["files: partly (Landlock ABI 2): it cannot bound truncation", "calls: NOT enforced: this kernel has none"]
        );
        let json = serde_json::to_string(&report).unwrap();
        assert!(json.contains(r#""about":"files""#) && json.contains(r#""state":"not-enforced""#), "{json}");
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
        assert!(Report::new(Mode::Usual, String::new(), report.claims[..1].to_vec(), vec![]).holds());
    }
}
