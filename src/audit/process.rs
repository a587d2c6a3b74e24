//! The camera's programs as the system sees them: which run, what they may, whom they talk to (Linux, `/proc`).
//!
//! A camera's program is known by a lock that it holds in the camera's state folder, not by its name. Knows no ledgers.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use procfs::net::TcpState;
use procfs::process::{FDTarget, Process, Status, all_processes};
use serde::Serialize;

/// A program that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Program {
    pub(crate) pid: i32,
    /// What it may take itself for, in a container of its own.
    pub(crate) own_pid: i32,
    /// When it was started, in seconds since 1970, to a second or two.
    pub(crate) started: u64,
    /// The locks by which it is known.
    pub(crate) locks: BTreeSet<PathBuf>,
    /// Its file.
    pub(crate) file: PathBuf,
    /// SHA-256 of that, hexadecimal; none where it cannot be read.
    pub(crate) sha256: Option<String>,
    /// Its users: real, effective, saved, of the file system; those of all threads.
    pub(crate) users: BTreeSet<u32>,
    /// It can never gain rights that it has not: none of its threads.
    pub(crate) no_new_privileges: bool,
    /// A filter is set on the system calls of every thread. What it lets through is not known.
    pub(crate) filtered: bool,
    /// Rights beyond those of any user, as bits: permitted, effective, inheritable or ambient, of any thread.
    pub(crate) capabilities: u64,
    /// Rights that it could be given by a program that it starts, if it may gain any.
    pub(crate) bounding: u64,
    /// Sockets that wait for others to call.
    pub(crate) listening: BTreeSet<String>,
    /// Other ends of its TCP connections.
    pub(crate) connected: BTreeSet<SocketAddr>,
    /// Whom it sends datagrams to.
    pub(crate) asks: BTreeSet<SocketAddr>,
    /// The name servers of its system.
    pub(crate) name_servers: BTreeSet<IpAddr>,
    /// Sockets of kinds that a camera has no use for.
    pub(crate) strange: BTreeSet<String>,
}

/// The programs that have one of these locks open.
///
/// # Errors
/// There is no `/proc`.
pub(crate) fn holding(locks: &[PathBuf]) -> anyhow::Result<Vec<Program>> {
    let locks: BTreeSet<PathBuf> = locks.iter().filter_map(|lock| lock.canonicalize().ok()).collect();
    // What ended meanwhile, or is somebody else's and may not be looked at, is not ours.
    let ours = all_processes()?.flatten().filter_map(|process| {
        let files: Vec<FDTarget> = process.fd().ok()?.flatten().map(|file| file.target).collect();
        let path = |file: &FDTarget| if let FDTarget::Path(path) = file { Some(path.clone()) } else { None };
        let held: BTreeSet<PathBuf> = files.iter().filter_map(path).filter(|path| locks.contains(path)).collect();
        if held.is_empty() { None } else { program(&process, &files, held) }
    });
    Ok(ours.collect())
}

fn program(process: &Process, files: &[FDTarget], locks: BTreeSet<PathBuf>) -> Option<Program> {
    let status = process.status().ok()?;
    let root = PathBuf::from(format!("/proc/{}", process.pid));
    let mut program = Program {
        pid: process.pid,
        own_pid: status.nspid.as_ref().and_then(|pids| pids.last()).copied().unwrap_or(process.pid),
        started: started(process)?,
        locks,
        file: process.exe().ok()?,
        sha256: super::expected::sha256(&root.join("exe")).ok(),
        no_new_privileges: true,
        filtered: true,
        name_servers: name_servers(&root.join("root/etc/resolv.conf")),
        ..Program::default()
    };
    // A filter is a thread's, and so are rights.
    let threads: Vec<Status> = process.tasks().ok()?.flatten().filter_map(|task| task.status().ok()).collect();
    threads.iter().chain([&status]).for_each(|status| program.may(status));
    program.sockets(process, files);
    Some(program)
}

impl Program {
    /// Whether it holds the lock of one of these folders.
    pub(crate) fn has_one_of(&self, folders: &[PathBuf]) -> bool {
        let mut folders = folders.iter().filter_map(|folder| folder.canonicalize().ok());
        folders.any(|folder| self.locks.iter().any(|lock| lock.parent() == Some(folder.as_path())))
    }

    /// What a thread may.
    fn may(&mut self, status: &Status) {
        self.users.extend([status.ruid, status.euid, status.suid, status.fuid]);
        self.no_new_privileges &= status.nonewprivs == Some(1);
        self.filtered &= status.seccomp == Some(2);
        self.capabilities |= status.capprm | status.capeff | status.capinh | status.capamb.unwrap_or(0);
        self.bounding |= status.capbnd.unwrap_or(u64::MAX);
    }

    fn sockets(&mut self, process: &Process, files: &[FDTarget]) {
        let inode = |file: &FDTarget| if let FDTarget::Socket(inode) = file { Some(*inode) } else { None };
        let sockets: BTreeSet<u64> = files.iter().filter_map(inode).collect();
        let mut known = BTreeSet::new();
        // Of the process's own network, which need not be this one's.
        for tcp in [process.tcp(), process.tcp6()].into_iter().flatten().flatten() {
            if !sockets.contains(&tcp.inode) {
                continue;
            }
            known.insert(tcp.inode);
            if tcp.state == TcpState::Listen {
                self.listening.insert(format!("TCP {}", tcp.local_address));
            } else {
                self.connected.insert(unmapped(tcp.remote_address));
            }
        }
        for udp in [process.udp(), process.udp6()].into_iter().flatten().flatten() {
            if !sockets.contains(&udp.inode) {
                continue;
            }
            known.insert(udp.inode);
            if udp.remote_address.port() == 0 {
                self.listening.insert(format!("UDP {}", udp.local_address));
            } else {
                self.asks.insert(unmapped(udp.remote_address));
            }
        }
        if let Ok(unix) = process.unix() {
            let of_ours = unix.iter().filter(|socket| sockets.contains(&socket.inode));
            for socket in of_ours {
                known.insert(socket.inode);
                // A pair within the program (tokio's signals) has no name.
                if let Some(path) = &socket.path {
                    self.listening.insert(format!("local {}", path.display()));
                }
            }
        }
        let strange = sockets.difference(&known);
        self.strange = strange.map(|inode| format!("socket {inode}, neither TCP, UDP nor local")).collect();
    }
}

/// When a process was started, in seconds since 1970.
fn started(process: &Process) -> Option<u64> {
    let ticks = process.stat().ok()?.starttime;
    Some(procfs::boot_time_secs().ok()?.saturating_add(ticks / procfs::ticks_per_second().max(1)))
}

fn name_servers(file: &Path) -> BTreeSet<IpAddr> {
    let text = std::fs::read(file).unwrap_or_default();
    let (config, _) = resolv_conf::Config::parse_with_errors(&text);
    config.nameservers.iter().map(IpAddr::from).collect()
}

/// IPv4 in IPv6 is IPv4.
fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
