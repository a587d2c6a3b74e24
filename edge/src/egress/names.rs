//! From a host's name to its addresses, in the open: by `/etc/hosts`, or by a question to the system's name servers that is in the
//! ledger before it goes. The C library's resolver would open sockets that nobody sees.
//!
//! A false answer leads to a machine that is not the aggregator, to which TLS says nothing but its greeting. Knows one kind of
//! question (A, AAAA), over UDP; no search lists, no caches.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, TYPE};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::gate::Gate;
use super::ledger::Kind;

/// The addresses of a host, the first to be tried first.
///
/// # Errors
/// No name server answers, or the gate lets no question out.
pub(super) async fn addresses(gate: &Gate, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let known = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => in_hosts(Path::new("/etc/hosts"), host),
    };
    let found = if known.is_empty() { ask(gate, host).await? } else { known };
    Ok(found.into_iter().map(|address| SocketAddr::new(address, port)).collect())
}

/// What a hosts file says; of `localhost` what everybody knows (RFC 6761).
fn in_hosts(file: &Path, host: &str) -> Vec<IpAddr> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let address = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(host)).then_some(address)
    };
    let mut found: Vec<IpAddr> = text.lines().filter_map(address).collect();
    if found.is_empty() && host.eq_ignore_ascii_case("localhost") {
        found = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    found
}

/// How often each server is asked, and how long an answer is waited for.
const TRIES: usize = 2;
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest answer without EDNS is 512 bytes.
const LONGEST: usize = 1500;

async fn ask(gate: &Gate, host: &str) -> io::Result<Vec<IpAddr>> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "/etc/resolv.conf names no server");
    for _ in 0..TRIES {
        for server in servers(Path::new("/etc/resolv.conf")) {
            match of_server(gate, server, host).await {
                Ok(found) if !found.is_empty() => return Ok(found),
                Ok(_) => last = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address")),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
                Err(error) => last = error,
            }
        }
    }
    Err(last)
}

fn servers(file: &Path) -> Vec<IpAddr> {
    let text = std::fs::read(file).unwrap_or_default();
    let (config, _) = resolv_conf::Config::parse_with_errors(&text);
    config.nameservers.iter().map(IpAddr::from).collect()
}

/// Asks one server for both kinds of address.
async fn of_server(gate: &Gate, server: IpAddr, host: &str) -> io::Result<Vec<IpAddr>> {
    let socket = connected(SocketAddr::new(server, 53))?;
    let mut found = Vec::new();
    for kind in [TYPE::A, TYPE::AAAA] {
        let mut id = [0; 2];
        getrandom::fill(&mut id).map_err(io::Error::other)?;
        let id = u16::from_le_bytes(id);
        let question = question(id, host, kind)?;
        gate.pay(Kind::Lookup, 0, &format!("{server}:53"), &question)?;
        socket.send(&question).await?;
        let answer = tokio::time::timeout(PATIENCE, async {
            let mut bytes = [0; LONGEST];
            loop {
                let length = socket.recv(&mut bytes).await?;
                // What answers another question, or is none at all, is not it.
                if let Some(found) = bytes.get(..length).and_then(|bytes| answers(bytes, id, host)) {
                    return io::Result::Ok(found);
                }
            }
        });
        found.extend(answer.await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the name server is silent"))??);
    }
    Ok(found)
}

/// A socket that talks to this address and was never bound, since a program that is locked in may bind none.
fn connected(server: SocketAddr) -> io::Result<UdpSocket> {
    #[expect(clippy::disallowed_methods, reason = "the gate's own")]
    let socket = Socket::new(Domain::for_address(server), Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    socket.connect(&server.into())?;
    UdpSocket::from_std(socket.into())
}

fn question(id: u16, host: &str, kind: TYPE) -> io::Result<Vec<u8>> {
    let name =
        Name::new(host).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("{host} is no name")))?;
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(name, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec().map_err(io::Error::other)
}

/// The addresses in an answer to this question; none where it is another's.
fn answers(bytes: &[u8], id: u16, host: &str) -> Option<Vec<IpAddr>> {
    let packet = Packet::parse(bytes).ok()?;
    let asked =
        packet.questions.first().is_some_and(|q| q.qname.to_string().eq_ignore_ascii_case(host.trim_end_matches('.')));
    if packet.id() != id || !packet.has_flags(PacketFlag::RESPONSE) || !asked {
        return None;
    }
    let address = |data: &RData<'_>| match data {
        RData::A(a) => Some(IpAddr::V4(Ipv4Addr::from_bits(a.address))),
        RData::AAAA(a) => Some(IpAddr::V6(Ipv6Addr::from_bits(a.address))),
        // An alias comes with the addresses of what it stands for.
        _ => None,
    };
    Some(packet.answers.iter().filter_map(|answer| address(&answer.rdata)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::A;

    fn reply(id: u16, host: &str, address: u32) -> Vec<u8> {
        let asked = question(id, host, TYPE::A).unwrap();
        let mut packet = Packet::parse(&asked).unwrap().into_reply();
        let name = Name::new(host).unwrap();
        packet.answers.push(ResourceRecord::new(name, CLASS::IN, 60, RData::A(A { address })));
        packet.build_bytes_vec().unwrap()
    }

    #[test]
    fn an_answer_is_taken_only_to_the_question_that_was_asked() {
        let found = vec![IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))];
        let bytes = reply(7, "aggregator.example", 0xC000_0207);
        assert_eq!(answers(&bytes, 7, "aggregator.example"), Some(found.clone()));
        assert_eq!(answers(&bytes, 7, "Aggregator.Example."), Some(found));
        assert_eq!(answers(&bytes, 8, "aggregator.example"), None);
        assert_eq!(answers(&bytes, 7, "other.example"), None);
        // A question is no answer.
        assert_eq!(answers(&question(7, "aggregator.example", TYPE::A).unwrap(), 7, "aggregator.example"), None);
    }

    #[test]
    fn a_hosts_file_and_a_list_of_servers_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "# all\n192.0.2.7 aggregator other # not this\n::1 ip6\nrubbish\n").unwrap();
        assert_eq!(in_hosts(&file, "OTHER"), [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))]);
        assert!(in_hosts(&file, "this").is_empty() && in_hosts(Path::new("/nowhere"), "x").is_empty());
        assert!(in_hosts(&file, "localhost")[0].is_loopback());
        std::fs::write(&file, "nameserver 192.0.2.53\nrubbish here\nnameserver fe80::1%eth0\n").unwrap();
        assert_eq!(servers(&file).len(), 2);
        assert!(question(1, &"x".repeat(64), TYPE::A).is_err());
    }

    proptest! {
        #[test]
        fn hostile_answers_are_none_or_addresses(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            answers(&bytes, 7, "aggregator.example");
        }

        #[test]
        fn damaged_answers_never_panic(at in 0usize..60, bit in 0u8..8) {
            let mut bytes = reply(7, "aggregator.example", 1);
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            answers(&bytes, 7, "aggregator.example");
        }
    }
}
