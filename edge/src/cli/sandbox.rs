//! `--sandbox` and `--user`: how commands that go on lock themselves in.

use crate::sandbox::{Begun, Confinement, Mode, Report, SandboxError};

#[cfg(all(unix, feature = "agent"))]
#[derive(Debug, clap::Args)]
pub(super) struct SandboxArgs {
    /// How far this process locks itself in (docs/sandbox.md).
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    sandbox: Mode,
    /// Started as root, go on as this user: a name or a number.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
}

#[cfg(all(unix, feature = "agent"))]
impl SandboxArgs {
    /// Before any thread is started, and before any file is made.
    pub(super) fn begin(&self) -> Result<Begun, SandboxError> {
        crate::sandbox::begin(self.sandbox, self.user.as_deref())
    }
}

/// Before any thread is started; says what does not hold.
pub(super) fn confine(begun: Begun, needs: &Confinement) -> Result<Report, SandboxError> {
    let report = begun.confine(needs)?;
    report.log();
    let open = report.open().len();
    if report.mode == Mode::Off {
        eprintln!("WARNING: --sandbox off: nothing but this program's own code bounds what it does");
    } else if open > 0 {
        eprintln!("locked in, but {open} of {} claims are open (VOLET_LOG=warn says which)", report.claims.len());
    }
    Ok(report)
}
