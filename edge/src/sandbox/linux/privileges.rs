//! Root, capabilities and new privileges given up. Knows no files and no system calls that are filtered.

use std::io;

use nix::unistd::{Gid, Uid, User, getgrouplist, setgroups, setresgid, setresuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs,
};

use crate::sandbox::{Aspect, Claim, Mode, SandboxError, Verdict};

/// Gives up root where a user is given; unless the mode is off, capabilities and new privileges too. The claims.
pub(in crate::sandbox) fn give_up(mode: Mode, user: Option<&str>) -> Result<Vec<Claim>, SandboxError> {
    if mode != Mode::Off {
        // Only while it is root can it do so; without it nothing is lost, since no new privileges come.
        for capability in CapabilitySet::all() {
            let _ = remove_capability_from_bounding_set(capability);
        }
    }
    if let Some(name) = user {
        become_user(name)?;
    }
    let root = Uid::current().is_root() || Uid::effective().is_root();
    let user = match (root, mode) {
        (false, _) => Verdict::Enforced,
        (true, Mode::Off) => Verdict::not("--sandbox off was asked for"),
        (true, _) => Verdict::not("it was started as root and no --user was given"),
    };
    let (new, held) = match mode {
        Mode::Off => (Err("--sandbox off was asked for".to_owned()), Err("--sandbox off was asked for".to_owned())),
        _ => {
            let new = set_no_new_privs(true).map_err(|e| format!("the kernel refused it: {e}"));
            (new, drop_capabilities().map_err(|e| format!("they cannot be given up: {e}")))
        }
    };
    let verdict = |done: Result<(), String>| done.map_or_else(Verdict::not, |()| Verdict::Enforced);
    Ok(vec![
        Claim::new(Aspect::Privileges, "it can gain no privileges", "no_new_privs", verdict(new)),
        Claim::new(Aspect::User, "it does not run as root", "the user", user),
        Claim::new(Aspect::Capabilities, "it has no capabilities", "the kernel", verdict(held)),
    ])
}

/// Changes to a user, with that user's groups and no way back.
fn become_user(name: &str) -> Result<(), SandboxError> {
    let failed = |e: nix::Error| SandboxError::User(name.to_owned(), e.into());
    let found = match name.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number)),
        Err(_) => User::from_name(name),
    };
    let user = found.map_err(failed)?.ok_or_else(|| SandboxError::NoUser(name.to_owned()))?;
    if user.uid.is_root() {
        return Err(SandboxError::IsRoot(name.to_owned()));
    }
    if (Uid::current(), Uid::effective()) == (user.uid, user.uid) {
        return Ok(());
    }
    if !Uid::effective().is_root() {
        return Err(SandboxError::NotRoot(name.to_owned()));
    }
    let text = std::ffi::CString::new(user.name).map_err(|e| SandboxError::User(name.to_owned(), e.into()))?;
    let groups = getgrouplist(&text, user.gid).map_err(failed)?;
    setgroups(&groups).map_err(failed)?;
    setresgid(user.gid, user.gid, user.gid).map_err(failed)?;
    setresuid(user.uid, user.uid, user.uid).map_err(failed)?;
    // Whoever relies on it looks.
    if Uid::effective() != user.uid || Gid::effective() != user.gid {
        return Err(SandboxError::User(name.to_owned(), io::ErrorKind::PermissionDenied.into()));
    }
    Ok(())
}

fn drop_capabilities() -> io::Result<()> {
    // Kernels without ambient capabilities (before 4.3) have none to clear.
    let _ = clear_ambient_capability_set();
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    // Where a service manager took them it may have refused this call too.
    if capabilities(None)? == none {
        return Ok(());
    }
    set_capabilities(None, none)?;
    if capabilities(None)? == none { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}
