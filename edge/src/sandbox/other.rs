//! Systems that have none of it: each claim says so.

use super::{Aspect, Claim, Confinement, Mode, SandboxError, Verdict};

pub(super) fn alone() -> Result<(), SandboxError> {
    Ok(())
}

pub(super) fn give_up(_: Mode, user: Option<&str>) -> Result<Vec<Claim>, SandboxError> {
    match user {
        Some(user) => Err(SandboxError::User(user.to_owned(), std::io::ErrorKind::Unsupported.into())),
        None => Ok(Vec::new()),
    }
}

pub(super) fn confine(_: Mode, _: &Confinement) -> Vec<Claim> {
    let claim = |about, says| Claim::new(about, says, "", Verdict::not("not available on this system"));
    vec![
        claim(Aspect::Privileges, "it can gain no privileges"),
        claim(Aspect::Files, "it reads and writes only the files that it needs"),
        claim(Aspect::Programs, "it starts no other program"),
        claim(Aspect::Tcp, "it makes only the connections that it needs"),
        claim(Aspect::Udp, "it sends no UDP"),
        claim(Aspect::Listening, "it listens on nothing"),
        claim(Aspect::Calls, "it makes only the system calls that it needs"),
    ]
}

pub(super) fn kernel() -> String {
    std::env::consts::OS.to_owned()
}
