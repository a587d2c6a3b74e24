//! System calls, by seccomp. Knows no paths and no ports: a filter sees numbers and arguments, and nothing that they
//! point to.
//!
//! Three filters, since each has one answer to what it does not let through. The kernel takes the gravest of their
//! answers, and of equally grave ones that of the filter that came last:
//! what is on [`lists::FATAL`] ends the process; what is not on the allow-list gives `EPERM`; what is on no list at
//! all gives `ENOSYS`.

mod lists;

use std::collections::BTreeMap;

use libc::{c_int, c_long};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

use crate::sandbox::Confinement;

/// Bounds the system calls of this thread, and of those that it starts later, for good.
pub(super) fn filter(needs: &Confinement) -> Result<(), String> {
    let programs = programs(needs)?;
    programs
        .iter()
        .try_for_each(|program| apply_filter(program))
        .map_err(|e| format!("the kernel refused the filter: {e}"))
}

/// The filters, in the order in which they are applied.
pub(super) fn programs(needs: &Confinement) -> Result<[BpfProgram; 3], String> {
    let here = std::env::consts::ARCH;
    let arch = TargetArch::try_from(here).ok().filter(|_| lists::HERE);
    let arch = arch.ok_or_else(|| format!("filters of system calls were not written for {here}"))?;
    let failed = |e: BackendError| format!("the filter cannot be made: {e}");
    let build = |rules: Rules, matched, else_| -> Result<BpfProgram, String> {
        SeccompFilter::new(rules, else_, matched, arch).and_then(BpfProgram::try_from).map_err(failed)
    };
    let each = |calls: &[c_long]| calls.iter().map(|call| (*call, Vec::new())).collect::<Rules>();
    let allowed = allowed(needs).map_err(failed)?;
    let mut known = each(lists::REFUSED);
    known.extend(each(lists::FATAL));
    known.extend(allowed.keys().map(|call| (*call, Vec::new())));
    Ok([
        build(each(lists::FATAL), SeccompAction::KillProcess, SeccompAction::Allow)?,
        // The call by which the last filter is applied; that one does not know it.
        build(with_seccomp(allowed), SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32))?,
        build(known, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32))?,
    ])
}

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

fn with_seccomp(mut allowed: Rules) -> Rules {
    allowed.insert(libc::SYS_seccomp, Vec::new());
    allowed
}

/// What is let through: by its number, or by its arguments too.
fn allowed(needs: &Confinement) -> Result<Rules, BackendError> {
    let mut allowed: Rules = lists::ALWAYS.iter().map(|call| (*call, Vec::new())).collect();
    memory(&mut allowed)?;
    process(&mut allowed)?;
    devices(needs, &mut allowed)?;
    sockets(needs, &mut allowed)?;
    Ok(allowed)
}

/// No memory is both written and run. Code comes only from files that are mapped as they are, which libraries that
/// look up names do.
fn memory(allowed: &mut Rules) -> Result<(), BackendError> {
    let not = |protection: c_int| masked(2, protection, 0);
    allowed.insert(libc::SYS_mmap, vec![rule([not(libc::PROT_EXEC)?])?, rule([not(libc::PROT_WRITE)?])?]);
    for call in [libc::SYS_mprotect, libc::SYS_pkey_mprotect] {
        allowed.insert(call, vec![rule([not(libc::PROT_EXEC)?])?]);
    }
    Ok(())
}

/// Threads, and no processes; its own signals, limits only looked at, names of threads.
fn process(allowed: &mut Rules) -> Result<(), BackendError> {
    // `clone3` has its flags where a filter cannot see them; it is answered with ENOSYS, and libraries fall back to this.
    let threads = rule([masked(0, libc::CLONE_THREAD | SPACES, libc::CLONE_THREAD)?])?;
    allowed.insert(libc::SYS_clone, vec![threads]);
    let own = std::process::id() as c_int;
    allowed.insert(libc::SYS_tgkill, vec![rule([equal(0, own)?])?]);
    let looks = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)?;
    allowed.insert(libc::SYS_prlimit64, vec![rule([looks])?]);
    let harmless = [libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA, libc::PR_SET_NO_NEW_PRIVS];
    allowed.insert(libc::SYS_prctl, any(0, &harmless)?);
    // A file can be told to send signals, to whatever process and of whatever kind: so what may be asked of one is named.
    let asked = [
        libc::F_DUPFD,
        libc::F_DUPFD_CLOEXEC,
        libc::F_GETFD,
        libc::F_SETFD,
        libc::F_GETFL,
        libc::F_SETFL,
        libc::F_GETLK,
        libc::F_SETLK,
        libc::F_SETLKW,
        libc::F_OFD_GETLK,
        libc::F_OFD_SETLK,
        libc::F_OFD_SETLKW,
    ];
    allowed.insert(libc::SYS_fcntl, any(1, &asked)?);
    Ok(())
}

/// New name spaces.
const SPACES: c_int = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// What is asked of devices: of a camera all that a video device knows, of everything else next to nothing.
fn devices(needs: &Confinement, allowed: &mut Rules) -> Result<(), BackendError> {
    let requests = [libc::FIONBIO, libc::FIONREAD, libc::FIOCLEX, libc::TCGETS, libc::TIOCGWINSZ];
    let mut ioctl = any(1, &requests.map(|request| request as c_int))?;
    if !needs.devices.is_empty() {
        // _IOC_TYPE(request) == 'V'
        ioctl.push(rule([masked(1, 0xff00, c_int::from(b'V') << 8)?])?);
    }
    allowed.insert(libc::SYS_ioctl, ioctl);
    Ok(())
}

fn sockets(needs: &Confinement, allowed: &mut Rules) -> Result<(), BackendError> {
    // A pair is a pipe of two ends: the runtime's signals come through one.
    let pair = rule([equal(0, libc::AF_UNIX)?, kind(libc::SOCK_STREAM)?])?;
    allowed.insert(libc::SYS_socketpair, vec![pair]);
    let plain = rule([no_address()?, not_fast(3)?])?;
    allowed.insert(libc::SYS_sendto, vec![plain]);
    let mut sockets = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        for (wanted, kind_, protocol) in [
            (!needs.ports.is_empty(), libc::SOCK_STREAM, libc::IPPROTO_TCP),
            (needs.names, libc::SOCK_DGRAM, libc::IPPROTO_UDP),
        ] {
            // MPTCP, SCTP and the like are no TCP to Landlock.
            for protocol in [0, protocol].iter().filter(|_| wanted) {
                sockets.push(rule([equal(0, family)?, kind(kind_)?, equal(2, *protocol)?])?);
            }
        }
    }
    if !sockets.is_empty() {
        allowed.insert(libc::SYS_socket, sockets);
        allowed.insert(libc::SYS_connect, Vec::new());
    }
    if needs.networks() {
        allowed.extend(lists::CONNECTED.iter().map(|call| (*call, Vec::new())));
    }
    if needs.accepts {
        allowed.extend([(libc::SYS_accept4, Vec::new()), (libc::SYS_accept, Vec::new())]);
    }
    if needs.names {
        // glibc asks for both kinds of addresses at a time.
        allowed.insert(libc::SYS_sendmmsg, vec![rule([not_fast(3)?])?]);
        if cfg!(target_env = "musl") {
            allowed.insert(libc::SYS_bind, Vec::new());
            allowed.insert(libc::SYS_recvmsg, Vec::new());
            allowed.insert(libc::SYS_sendto, vec![rule([not_fast(3)?])?]);
        }
    }
    Ok(())
}

/// The type of a socket, whatever its flags.
fn kind(kind: c_int) -> Result<SeccompCondition, BackendError> {
    masked(1, 0xf, kind)
}

/// With an address a datagram goes elsewhere than the socket is connected to, and TCP connects past Landlock.
fn no_address() -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(4, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)
}

/// Not with MSG_FASTOPEN, which connects without `connect`.
fn not_fast(argument: u8) -> Result<SeccompCondition, BackendError> {
    masked(argument, libc::MSG_FASTOPEN, 0)
}

fn rule<const N: usize>(all: [SeccompCondition; N]) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(all.to_vec())
}

fn any(argument: u8, values: &[c_int]) -> Result<Vec<SeccompRule>, BackendError> {
    values.iter().map(|value| rule([equal(argument, *value)?])).collect()
}

fn equal(argument: u8, value: c_int) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::from(value as u32))
}

fn masked(argument: u8, mask: c_int, value: c_int) -> Result<SeccompCondition, BackendError> {
    let masks = SeccompCmpOp::MaskedEq(u64::from(mask as u32));
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, masks, u64::from(value as u32))
}
