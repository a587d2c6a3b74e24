//! The camera's programs as the system sees them: which run, what they may, whom they talk to (Linux, `/proc`).
//!
//! A camera's program is known by a lock that it holds in the camera's state folder, not by its name. Knows no ledgers.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use procfs::net::TcpState;
use procfs::process::{FDTarget, Process, all_processes};
use serde::Serialize;

/// A program that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Program {
    pub(crate) pid: i32,
    /// Its file.
    pub(crate) file: PathBuf,
    /// BLAKE3 of that, hexadecimal; none where it cannot be read.
    pub(crate) blake3: Option<String>,
    pub(crate) user: u32,
    /// It can never gain rights that it has not.
    pub(crate) no_new_privileges: bool,
    /// Its system calls are filtered.
    pub(crate) filtered: bool,
    /// Rights beyond those of any user, as bits.
    pub(crate) capabilities: u64,
    /// Sockets that wait for others to call.
    pub(crate) listening: BTreeSet<String>,
    /// Other ends of its connections.
    pub(crate) connected: BTreeSet<SocketAddr>,
    /// Sockets of kinds that a camera has no use for.
    pub(crate) strange: BTreeSet<String>,
}

/// The programs that have one of these locks open.
///
/// # Errors
/// There is no `/proc`.
pub(crate) fn holding(locks: &[PathBuf]) -> anyhow::Result<Vec<Program>> {
    let locks: Vec<PathBuf> = locks.iter().filter_map(|lock| lock.canonicalize().ok()).collect();
    // What ended meanwhile, or is somebody else's and may not be looked at, is not ours.
    let ours = all_processes()?.flatten().filter_map(|process| {
        let files: Vec<FDTarget> = process.fd().ok()?.flatten().map(|file| file.target).collect();
        let holds = |file: &FDTarget| matches!(file, FDTarget::Path(path) if locks.contains(path));
        files.iter().any(holds).then(|| program(&process, &files)).flatten()
    });
    Ok(ours.collect())
}

fn program(process: &Process, files: &[FDTarget]) -> Option<Program> {
    let status = process.status().ok()?;
    let file = process.exe().ok()?;
    let sockets: BTreeSet<u64> =
        files.iter().filter_map(|file| if let FDTarget::Socket(inode) = file { Some(*inode) } else { None }).collect();
    let mut program = Program {
        pid: process.pid,
        blake3: hash(Path::new(&format!("/proc/{}/exe", process.pid))),
        file,
        user: status.euid,
        no_new_privileges: status.nonewprivs == Some(1),
        filtered: status.seccomp == Some(2),
        capabilities: status.capeff,
        listening: BTreeSet::new(),
        connected: BTreeSet::new(),
        strange: BTreeSet::new(),
    };
    let mut known = BTreeSet::new();
    // Of the process's own network, which need not be this one's.
    for tcp in [process.tcp(), process.tcp6()].into_iter().flatten().flatten() {
        if !sockets.contains(&tcp.inode) {
            continue;
        }
        known.insert(tcp.inode);
        if tcp.state == TcpState::Listen {
            program.listening.insert(format!("TCP {}", tcp.local_address));
        } else {
            program.connected.insert(unmapped(tcp.remote_address));
        }
    }
    for udp in [process.udp(), process.udp6()].into_iter().flatten().flatten() {
        if !sockets.contains(&udp.inode) {
            continue;
        }
        known.insert(udp.inode);
        if udp.remote_address.port() == 0 {
            program.listening.insert(format!("UDP {}", udp.local_address));
        } else {
            program.connected.insert(unmapped(udp.remote_address));
        }
    }
    if let Ok(unix) = process.unix() {
        let of_ours = unix.iter().filter(|socket| sockets.contains(&socket.inode));
        for socket in of_ours {
            known.insert(socket.inode);
            // A pair within the program (tokio's signals) has no name.
            if let Some(path) = &socket.path {
                program.listening.insert(format!("local {}", path.display()));
            }
        }
    }
    program.strange =
        sockets.difference(&known).map(|inode| format!("socket {inode}, neither TCP, UDP nor local")).collect();
    Some(program)
}

/// IPv4 in IPv6 is IPv4.
fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// BLAKE3 of a file, hexadecimal.
pub(crate) fn hash(path: &Path) -> Option<String> {
    let file = std::fs::File::open(path).ok()?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).ok()?;
    Some(hasher.finalize().to_string())
}
