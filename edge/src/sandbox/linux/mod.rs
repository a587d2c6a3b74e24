//! How Linux holds what the report claims. Knows which kernel feature holds what; the features are the modules' matter.

mod calls;
mod privileges;
mod ruleset;
#[cfg(test)]
mod tests;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use super::{Aspect, Claim, Confinement, Mode, SandboxError, Verdict};
use ruleset::Landlock;

pub(super) use privileges::give_up;

/// The ABI of Landlock (and the kernel) from which files are bounded wholly: 6.2.
const FILES: u32 = 3;
/// TCP ports: 6.7.
const TCP: u32 = 4;
/// UDP ports: 7.2.
const UDP: u32 = 10;

/// Whether this process has one thread.
pub(super) fn alone() -> Result<(), SandboxError> {
    let threads = std::fs::read_dir("/proc/self/task").map_err(SandboxError::Proc)?.count();
    if threads == 1 { Ok(()) } else { Err(SandboxError::Threads(threads)) }
}

/// The kernel's release.
pub(super) fn kernel() -> String {
    let name = nix::sys::utsname::uname();
    name.map_or_else(|_| "unknown".to_owned(), |name| format!("Linux {}", name.release().to_string_lossy()))
}

/// Bounds files, ports and calls as far as this kernel can; the claims.
pub(super) fn confine(mode: Mode, needs: &Confinement) -> Vec<Claim> {
    if mode == Mode::Off {
        let off = || "--sandbox off was asked for".to_owned();
        return claims(needs, &Landlock::Without(off()), &Err(off()), &Err(off()));
    }
    let memory = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let memory = memory.map_err(|e| format!("the kernel refused it: {e}"));
    let landlock = ruleset::restrict(needs);
    // Last: it refuses the calls that the others need.
    let calls = calls::filter(needs);
    claims(needs, &landlock, &calls, &memory)
}

fn claims(
    needs: &Confinement,
    landlock: &Landlock,
    calls: &Result<(), String>,
    memory: &Result<(), String>,
) -> Vec<Claim> {
    let by_calls = || calls.as_ref().map_or_else(Verdict::not, |()| Verdict::Enforced);
    let by_landlock = |from: u32, what: &str| match landlock {
        Landlock::Without(why) => Verdict::not(why),
        Landlock::Abi(abi) if *abi >= from => Verdict::Enforced,
        Landlock::Abi(abi) => Verdict::not(format!("Landlock ABI {abi} cannot bound {what}; ABI {from} does")),
    };
    let abi = match landlock {
        Landlock::Abi(abi) => format!("Landlock ABI {abi}"),
        Landlock::Without(_) => "Landlock".to_owned(),
    };
    let seccomp = |about, says: &str| Claim::new(about, says, "seccomp", by_calls());
    let ports: Vec<String> = needs.ports.iter().map(ToString::to_string).collect();
    let files = format!(
        "it reads {}; lists the names below {}; writes {}; uses the devices {}; and nothing else",
        Confinement::say(&needs.read),
        Confinement::say(&needs.list),
        Confinement::say(&needs.write),
        Confinement::say(&needs.devices)
    );
    vec![
        Claim::new(
            Aspect::Memory,
            "its memory goes into no core dump and to no other process; no code appears in it",
            "dumpable, seccomp",
            match (memory, calls) {
                (Ok(()), Ok(())) => Verdict::Enforced,
                (Err(why), Err(_)) => Verdict::not(why),
                (Err(why), _) | (_, Err(why)) => Verdict::partly(why),
            },
        ),
        Claim::new(
            Aspect::Files,
            files,
            abi.clone(),
            match (landlock, by_landlock(FILES, "truncation")) {
                (Landlock::Abi(_), Verdict::NotEnforced { why }) => Verdict::partly(why),
                (_, verdict) => verdict,
            },
        ),
        seccomp(Aspect::Programs, "it starts no other program"),
        if ports.is_empty() {
            seccomp(Aspect::Tcp, "it makes no connection")
        } else {
            let says = format!("it makes TCP connections at port {} only", ports.join(", "));
            let holds = match by_calls() {
                // Other stream protocols are no business of Landlock's.
                Verdict::Enforced => by_landlock(TCP, "TCP ports"),
                other => other,
            };
            Claim::new(Aspect::Tcp, says, format!("{abi}, seccomp"), holds)
        },
        if needs.names {
            let open = "names of hosts are looked up, so datagrams may go to any host and port: give the host by its \
                        address, or have a kernel with Landlock ABI 10";
            let holds = match (landlock, calls) {
                (Landlock::Abi(abi), Ok(())) if *abi >= UDP => Verdict::Enforced,
                (_, Ok(())) => Verdict::partly(open),
                (_, Err(why)) => Verdict::not(why),
            };
            Claim::new(Aspect::Udp, "it sends UDP to look up names only", format!("{abi}, seccomp"), holds)
        } else {
            seccomp(Aspect::Udp, "it sends no UDP")
        },
        if needs.accepts {
            seccomp(Aspect::Listening, "it takes calls only where it listened before it was confined")
        } else {
            seccomp(Aspect::Listening, "it listens on nothing")
        },
        seccomp(Aspect::Sockets, "it has no raw, packet, netlink or Unix sockets"),
        seccomp(Aspect::Processes, "it signals, traces and reads no other process"),
        seccomp(Aspect::Calls, "it makes only the system calls that it needs"),
    ]
}
