//! The process locks itself in (Linux): before it reads what strangers send it gives up all that it will not need, in a
//! way that neither it nor a thread of its can undo.
//!
//! [`Confinement`] says what a program needs, [`begin`] gives up privileges, [`Begun::confine`] the rest, and the
//! [`Report`] says of each claim whether this kernel holds it. Landlock bounds files and ports; seccomp bounds system
//! calls. What neither can do (hosts, what a look-up of a name carries) is in the report too, never left out.
//!
//! Calls are bounded by an **allow-list** on x86-64 and AArch64, for GNU and musl C libraries. A deny-list would let
//! through whatever a later kernel adds. Three answers keep the allow-list stable over libraries: what is known and
//! not needed is refused with `EPERM`; what is not known is answered with `ENOSYS`, as an older kernel would, from
//! which a newer library falls back to calls that are; what only an exploit does ends the process.
//!
//! Knows no frames, no network protocol and no command line. It has to be called while the process has one thread,
//! since Landlock (before its ABI 8) and seccomp bind the calling thread and those that it starts later; with more
//! there is an error, and nothing was done.

#[cfg_attr(not(target_os = "linux"), allow(dead_code))] // who looks at it is Linux
mod confinement;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;
mod report;

pub use confinement::Confinement;
pub use report::{Aspect, Claim, Mode, Report, Verdict};

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use other as system;

/// Why a process does not start confined.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum SandboxError {
    #[error("not confined: {0} threads run already; this is a mistake of the program: please report it")]
    Threads(usize),
    #[error(
        "not confined: the threads of this process cannot be counted ({0}): mount /proc, or start with --sandbox off"
    )]
    Proc(std::io::Error),
    #[error("--user {0}: there is no such user; make it, or name another")]
    NoUser(String),
    #[error("--user {0} needs root to change to it: start as root, or as that user without --user")]
    NotRoot(String),
    #[error("--user {0}: {1}")]
    User(String, std::io::Error),
    #[error("--user {0} is root: name a user that is not")]
    IsRoot(String),
    #[error("not started, since --sandbox strict was asked for and this does not hold:\n{0}")]
    Strict(String),
}

/// A process that has given up its privileges and opens what it needs before it is confined.
#[derive(Debug)]
#[must_use = "only `confine` bounds files, connections and calls"]
pub struct Begun {
    mode: Mode,
    claims: Vec<Claim>,
}

/// Gives up privileges: root where a `user` (name or number) is given, all capabilities, and new privileges. Whatever
/// is opened between this and [`Begun::confine`] is opened as that user, and stays open.
///
/// # Errors
/// Other threads run already, or the user cannot be changed to.
pub fn begin(mode: Mode, user: Option<&str>) -> Result<Begun, SandboxError> {
    if mode != Mode::Off {
        system::alone()?;
    }
    let claims = system::give_up(mode, user)?;
    Ok(Begun { mode, claims })
}

impl Begun {
    /// Bounds files, connections and system calls to what `needs` says, for good.
    ///
    /// # Errors
    /// Other threads run already; or the mode is [`Mode::Strict`] and a claim does not hold wholly.
    pub fn confine(self, needs: &Confinement) -> Result<Report, SandboxError> {
        let Self { mode, mut claims } = self;
        if mode != Mode::Off {
            system::alone()?;
        }
        let kernel = system::kernel();
        claims.extend(system::confine(mode, needs));
        let report = Report::new(mode, kernel, claims, needs.beyond());
        match mode {
            Mode::Strict if !report.holds() => Err(SandboxError::Strict(report.open().join("\n"))),
            _ => Ok(report),
        }
    }
}

/// [`begin`] and [`Begun::confine`] as [`Mode::Usual`] does it, without another user.
///
/// # Errors
/// Other threads run already.
pub fn confine(needs: &Confinement) -> Result<Report, SandboxError> {
    begin(Mode::Usual, None)?.confine(needs)
}
