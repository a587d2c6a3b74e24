//! What a confined process tries. An act that succeeds leaves nothing that another one stumbles over.

use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketType};

use crate::child::{Place, io};

type Act = fn(&Place) -> io::Result<()>;

pub(crate) const ACTS: &[(&str, Act)] =
    &[
        ("nothing", |_| Ok(())),
        ("reads what it may", |p| fs::read(p.folder.join("readable/file")).map(drop)),
        ("writes where it may", writes),
        ("reads a file elsewhere", |p| fs::read(p.folder.join("outside/secret")).map(drop)),
        ("reads by a link", |p| fs::read(p.folder.join("inside/link")).map(drop)),
        ("reads /etc/shadow", |_| fs::read("/etc/shadow").map(drop)),
        ("reads its own memory", |_| fs::File::open("/proc/self/mem").map(drop)),
        ("lists a folder elsewhere", |p| fs::read_dir(p.folder.join("outside")).map(drop)),
        ("writes what it may only read", |p| fs::write(p.folder.join("readable/file"), b"x")),
        ("makes a file elsewhere", |p| fs::write(p.folder.join("outside/new"), b"x")),
        ("truncates a file elsewhere", |p| {
            fs::OpenOptions::new().write(true).truncate(true).open(p.folder.join("outside/secret")).map(drop)
        }),
        ("moves a file elsewhere", |p| fs::rename(p.folder.join("inside/file"), p.folder.join("outside/file"))),
        ("removes a file elsewhere", |p| fs::remove_file(p.folder.join("outside/secret"))),
        ("opens a file elsewhere to all", |p| {
            fs::set_permissions(p.folder.join("outside/secret"), fs::Permissions::from_mode(0o777))
        }),
        ("makes a link", |p| std::os::unix::fs::symlink("/etc/shadow", p.folder.join("inside/shadow"))),
        ("calls a port", |p| talk(p.port)),
        ("calls another port", |p| talk(p.other)),
        ("calls localhost by its name", |p| TcpStream::connect(("localhost", p.port))?.write_all(b"x")),
        ("calls by fast open", fast_open),
        ("sends UDP", |p| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.send_to(b"x", (Ipv4Addr::LOCALHOST, p.other)).map(drop)
        }),
        ("has a UDP socket", |_| socket(AddressFamily::INET, SocketType::DGRAM, None)),
        ("has an MPTCP socket", |_| socket(AddressFamily::INET, SocketType::STREAM, Some(rustix::net::ipproto::MPTCP))),
        ("has a raw socket", |_| socket(AddressFamily::INET, SocketType::RAW, Some(rustix::net::ipproto::ICMP))),
        ("has a packet socket", |_| socket(AddressFamily::PACKET, SocketType::RAW, None)),
        ("has a netlink socket", |_| socket(AddressFamily::NETLINK, SocketType::RAW, None)),
        ("has a Unix socket", |_| UnixDatagram::unbound().map(drop)),
        ("listens", |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map(drop)),
        ("takes a call", |p| {
            // Somebody else calls: whoever is confined so makes no calls.
            p.listener.set_nonblocking(true)?;
            match p.listener.accept() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
                other => other.map(drop),
            }
        }),
        ("starts a program", |_| Command::new("/bin/true").status().map(drop)),
        ("signals its parent", |_| nix::sys::signal::kill(Pid::parent(), None).map_err(io)),
        ("traces", |_| nix::sys::ptrace::traceme().map_err(io)),
        ("reads another process", |_| {
            let mut buffer = [0; 1];
            let local = &mut [io::IoSliceMut::new(&mut buffer)];
            let remote = &[RemoteIoVec { base: (&raw const STATIC) as usize, len: 1 }];
            process_vm_readv(Pid::this(), local, remote).map(drop).map_err(io)
        }),
        ("enters a new name space", |_| nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUTS).map_err(io)),
        ("mounts", |p| {
            let (none, to): (Option<&str>, _) = (None, &p.folder.join("outside/mount"));
            nix::mount::mount(Some("none"), to, Some("tmpfs"), nix::mount::MsFlags::empty(), none).map_err(io)?;
            nix::mount::umount(to).map_err(io)
        }),
        ("becomes dumpable", |_| {
            rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable).map_err(io)
        }),
        ("changes its user", |_| nix::unistd::setuid(nix::unistd::Uid::current()).map_err(io)),
        ("changes its capabilities", |_| {
            let own = rustix::thread::capabilities(None).map_err(io)?;
            rustix::thread::set_capabilities(None, own).map_err(io)
        }),
        ("reads a file elsewhere, in a thread", |p| {
            let path = p.folder.join("outside/secret");
            std::thread::spawn(move || fs::read(path).map(drop)).join().unwrap()
        }),
        ("has a UDP socket, in a thread", |_| {
            std::thread::spawn(|| socket(AddressFamily::INET, SocketType::DGRAM, None)).join().unwrap()
        }),
        ("starts a program, in a thread", |_| {
            std::thread::spawn(|| Command::new("/bin/true").status().map(drop)).join().unwrap()
        }),
        ("is root", |_| {
            if nix::unistd::Uid::effective().is_root() { Ok(()) } else { Err(io::Error::from_raw_os_error(1)) }
        }),
        ("has capabilities", |_| {
            let none = rustix::thread::capabilities(None).map_err(io)?.permitted.is_empty();
            if none { Err(io::Error::from_raw_os_error(1)) } else { Ok(()) }
        }),
        ("may gain privileges", |_| {
            if rustix::thread::no_new_privs().map_err(io)? { Err(io::Error::from_raw_os_error(1)) } else { Ok(()) }
        }),
    ];

static STATIC: u8 = 7;

pub(crate) fn act(name: &str) -> Act {
    ACTS.iter().find(|(known, _)| *known == name).unwrap().1
}

fn writes(place: &Place) -> io::Result<()> {
    let inside = place.folder.join("inside");
    fs::create_dir_all(inside.join("deep"))?;
    fs::write(inside.join("a"), b"x")?;
    fs::rename(inside.join("a"), inside.join("deep/b"))?;
    let file = fs::OpenOptions::new().write(true).truncate(true).open(inside.join("deep/b"))?;
    file.sync_all()?;
    fs::File::open(inside.join("deep"))?.sync_all()?;
    fs::remove_file(inside.join("deep/b"))?;
    fs::remove_dir(inside.join("deep"))
}

fn talk(port: u16) -> io::Result<()> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port))?.write_all(b"x")
}

fn socket(family: AddressFamily, kind: SocketType, protocol: Option<Protocol>) -> io::Result<()> {
    rustix::net::socket(family, kind, protocol).map(drop).map_err(io)
}

/// A connection by `sendto`, past `connect`. (On port `other`, to which `connect` is refused.)
fn fast_open(place: &Place) -> io::Result<()> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).map_err(io)?;
    let to = std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, place.other);
    // MSG_FASTOPEN
    rustix::net::sendto(&socket, b"x", SendFlags::from_bits_retain(0x2000_0000), &to).map_err(io)?;
    let _ = rustix::net::recv(&socket, &mut [0_u8; 1], RecvFlags::DONTWAIT);
    Ok(())
}
