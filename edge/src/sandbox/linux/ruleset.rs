//! Files, ports, and what reaches other processes, by Landlock. Knows no system calls' numbers.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, Scope, make_bitflags,
};

use crate::sandbox::confinement::{Confinement, DNS};

/// What Landlock does here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Landlock {
    /// It enforces what this ABI can.
    Abi(u32),
    /// It enforces nothing, and why.
    Without(String),
}

/// The newest that was considered here. Of older kernels all that they have is asked for.
const NEWEST: ABI = ABI::V10;

/// Restricts this thread, and those that it starts later, for good.
pub(super) fn restrict(needs: &Confinement) -> Landlock {
    let status = match ruleset(needs).and_then(RulesetCreated::restrict_self) {
        Ok(status) => status.landlock,
        Err(error) => return Landlock::Without(format!("Landlock refused the rules: {error}")),
    };
    match status {
        LandlockStatus::Available { effective_abi, .. } => Landlock::Abi(effective_abi as u32),
        LandlockStatus::NotEnabled => {
            Landlock::Without("Landlock is off on this kernel: start it with lsm=landlock,...".into())
        }
        LandlockStatus::NotImplemented => {
            Landlock::Without("this kernel has no Landlock; Linux 5.13 or later has".into())
        }
    }
}

fn ruleset(needs: &Confinement) -> Result<RulesetCreated, RulesetError> {
    let read = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    // No devices, sockets or pipes are made, and no links.
    let write = make_bitflags!(AccessFs::{
        ReadFile | ReadDir | WriteFile | Truncate | RemoveFile | RemoveDir | MakeReg | MakeDir | Refer
    });
    let device = make_bitflags!(AccessFs::{ReadFile | WriteFile | IoctlDev});
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    let list = BitFlags::from(AccessFs::ReadDir);
    for (paths, access) in [(&needs.read, read), (&needs.list, list), (&needs.write, write), (&needs.devices, device)] {
        for rule in paths.iter().filter_map(|path| beneath(path, access)) {
            rules = rules.add_rule(rule)?;
        }
    }
    for port in &needs.ports {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    if needs.names {
        rules = rules.add_rule(NetPort::new(DNS, AccessNet::ConnectSendUdp))?;
        // Any port that the kernel chooses.
        rules = rules.add_rule(NetPort::new(0, AccessNet::BindUdp))?;
    }
    Ok(rules)
}

/// The rule for a path; none where there is nothing, which then stays out of reach.
fn beneath(path: &Path, access: BitFlags<AccessFs>) -> Option<PathBeneath<PathFd>> {
    // What has no name in any folder (a pipe by /dev/stdin) has no rule, and needs none.
    let folder = std::fs::canonicalize(path).ok()?.is_dir();
    let access = if folder { access } else { access & AccessFs::from_file(NEWEST) };
    if access.is_empty() { None } else { Some(PathBeneath::new(PathFd::new(path).ok()?, access)) }
}
