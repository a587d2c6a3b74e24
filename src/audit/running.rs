//! What follows from how the system sees the camera's programs: whom they listen and talk to, what they may, and which files they are.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use volet_edge::egress::ledger::{Kind, Record};

use super::claims::Claim;
use super::expected::Expected;
use super::process::Program;
use super::reconcile::address;

const OPEN: &str = "the camera's programs wait for nobody to call: no open port";
const WHERE: &str =
    "the camera's programs are connected to nobody but its aggregator, where its ledger says, and ask its name servers";
const LOCKED: &str = "the system says of the camera's programs that their system calls are filtered (by what, it does not say), that they have \
                      no rights beyond a user's and can gain none, and that none is root";
const SAME: &str = "the camera's programs are the file that was named";

/// Whom a camera's programs may be connected to.
pub(crate) struct Reach {
    /// By TCP: where the ledger says that a connection to the aggregator was opened.
    connections: BTreeSet<SocketAddr>,
    /// By UDP: where the ledger says that a name was looked up.
    lookups: BTreeSet<SocketAddr>,
}

impl Reach {
    /// What the agent's ledger says of a camera whose aggregator this is.
    pub(crate) fn of(aggregator: &str, network: &[Record]) -> Self {
        let host = host(aggregator);
        let mut reach = Self { connections: BTreeSet::new(), lookups: BTreeSet::new() };
        for Record { entry, .. } in network {
            let to = &entry.destination;
            match (entry.kind, address(to)) {
                (Kind::Connection, Some(address)) if to.strip_suffix(&format!(" ({address})")) == Some(host) => {
                    reach.connections.insert(address);
                }
                (Kind::Lookup, Some(address)) => drop(reach.lookups.insert(address)),
                _ => {}
            }
        }
        reach
    }

    /// Those of a program's other ends that it should not have.
    fn strangers(&self, program: &Program) -> Vec<String> {
        let connected = program.connected.iter().filter(|address| !self.connections.contains(*address));
        // A question is written down after its socket is made.
        let server = |address: &SocketAddr| address.port() == DNS && program.name_servers.contains(&address.ip());
        let asks = program
            .asks
            .iter()
            .filter(|address| !(server(address) || (address.port() == DNS && self.lookups.contains(*address))));
        let tcp = connected.map(|address| format!("process {} to {address}", program.pid));
        tcp.chain(asks.map(|address| format!("process {} to {address} by UDP", program.pid))).collect()
    }
}

const DNS: u16 = 53;

/// The host in `https://host:port`.
fn host(aggregator: &str) -> &str {
    let rest = aggregator.strip_prefix("https://").unwrap_or(aggregator).trim_end_matches('/');
    let host = match rest.rsplit_once(':') {
        Some((host, _)) if !rest.ends_with(']') => host,
        _ => rest,
    };
    host.trim_matches(['[', ']'])
}

/// The claims about programs that run; and of each program that was not found that it was not examined. `all` says which there may be, and
/// by the locks of which folders each is known.
pub(crate) fn claims(
    programs: &[Program],
    all: &[(&'static str, Vec<PathBuf>)],
    reach: &Reach,
    expected: Option<&Expected>,
) -> Vec<Claim> {
    let mut claims = match programs {
        [] => [OPEN, WHERE, LOCKED, SAME]
            .map(|claim| Claim::skipped(claim, "no program of this camera's runs, or this user may not see it"))
            .into(),
        programs => seen(programs, reach, expected),
    };
    let missing = all.iter().filter(|(_, folders)| !programs.iter().any(|program| program.has_one_of(folders)));
    claims.extend(missing.map(|(name, _)| {
        let why = "nothing holds its lock: it does not run, or this user may not see it, or it runs without the lock";
        Claim::skipped(format!("{name} is as the claims about programs say"), why)
    }));
    claims
}

fn seen(programs: &[Program], reach: &Reach, expected: Option<&Expected>) -> Vec<Claim> {
    let names: Vec<String> = programs.iter().map(|p| format!("{} (process {})", p.file.display(), p.pid)).collect();
    let names = names.join(", ");
    let open = programs.iter().flat_map(|p| {
        let sockets = p.listening.iter().chain(&p.strange);
        sockets.map(move |socket| format!("process {}: {socket}", p.pid))
    });
    let open: Vec<String> = open.collect();
    let away: Vec<String> = programs.iter().flat_map(|program| reach.strangers(program)).collect();
    let loose: Vec<String> = programs.iter().filter(|program| is_loose(program)).map(rights).collect();
    vec![
        Claim::unless(OPEN, &open, names.clone()),
        Claim::unless(WHERE, &away, names.clone()),
        Claim::unless(LOCKED, &loose, names.clone()),
        same(programs, expected, names),
    ]
}

fn is_loose(p: &Program) -> bool {
    p.users.contains(&0) || p.capabilities != 0 || !p.no_new_privileges || !p.filtered
}

fn rights(p: &Program) -> String {
    format!(
        "process {}: users {:?}, capabilities {:x} (bounded by {:x}), no new privileges: {}, system calls filtered: {}",
        p.pid, p.users, p.capabilities, p.bounding, p.no_new_privileges, p.filtered
    )
}

fn same(programs: &[Program], expected: Option<&Expected>, names: String) -> Claim {
    let is = |p: &Program| p.sha256.clone().unwrap_or_else(|| "unreadable".to_owned());
    let Some(expected) = expected else {
        let hashes: BTreeSet<String> = programs.iter().map(is).collect();
        let hashes: Vec<String> = hashes.into_iter().collect();
        return Claim::skipped(SAME, format!("none was named (--expect); SHA-256 is {}", hashes.join(", ")));
    };
    match expected.sha256() {
        Ok(expected) => {
            let others = programs.iter().filter(|p| p.sha256.as_ref() != Some(&expected));
            let others: Vec<String> = others.map(|p| format!("process {} is {}", p.pid, is(p))).collect();
            Claim::unless(SAME, &others, format!("{names}: SHA-256 {expected}"))
        }
        Err(error) => Claim::failed(SAME, format!("{error:#}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::claims::Verdict;
    use super::*;
    use volet_edge::egress::ledger::Entry;

    fn reach() -> Reach {
        let record = |(kind, destination): (Kind, &str)| {
            let (destination, policy) = (destination.to_owned(), String::new());
            let entry = Entry { kind, destination, bytes: 0, digest: [0; 32], policy, connection: 1 };
            Record { number: 1, at: 1, entry }
        };
        let of = [
            (Kind::Connection, "home.example (192.0.2.7:7443)"),
            (Kind::Connection, "elsewhere.example (192.0.2.8:7443)"),
            (Kind::Lookup, "192.0.2.53:53"),
        ];
        Reach::of("https://home.example:7443", &of.map(record))
    }

    fn program() -> Program {
        let name_servers = BTreeSet::from(["192.0.2.54".parse().unwrap()]);
        let users = BTreeSet::from([65534]);
        Program { users, name_servers, no_new_privileges: true, filtered: true, ..Program::default() }
    }

    fn verdicts(program: Program) -> Vec<Verdict> {
        claims(&[program], &[], &reach(), None).iter().map(|claim| claim.verdict).collect()
    }

    #[test]
    fn only_the_aggregator_and_name_servers_are_whom_a_camera_talks_to() {
        let to = |tcp: &[&str], udp: &[&str]| {
            let all = |of: &[&str]| of.iter().map(|address| address.parse().unwrap()).collect();
            verdicts(Program { connected: all(tcp), asks: all(udp), ..program() })[1]
        };
        assert_eq!(to(&["192.0.2.7:7443"], &["192.0.2.53:53", "192.0.2.54:53"]), Verdict::Held);
        // The right port of somebody else, another port, somebody else whom the ledger names, and port 53 by TCP.
        for tcp in ["192.0.2.9:7443", "192.0.2.7:443", "192.0.2.8:7443", "192.0.2.53:53"] {
            assert_eq!(to(&[tcp], &[]), Verdict::Failed, "{tcp}");
        }
        for udp in ["192.0.2.55:53", "192.0.2.53:54", "192.0.2.54:5353", "192.0.2.7:7443"] {
            assert_eq!(to(&[], &[udp]), Verdict::Failed, "{udp}");
        }
        let hosts = ["https://a:1", "https://[::1]:7/", "https://a.b", "https://[::1]"].map(host);
        assert_eq!(hosts, ["a", "::1", "a.b", "::1"]);
    }

    #[test]
    fn every_right_that_is_left_is_a_fault() {
        assert_eq!(verdicts(program())[2], Verdict::Held);
        let loose = [
            Program { users: BTreeSet::from([65534, 0]), ..program() },
            Program { capabilities: 1, ..program() },
            Program { no_new_privileges: false, ..program() },
            Program { filtered: false, ..program() },
        ];
        assert!(loose.into_iter().all(|program| verdicts(program)[2] == Verdict::Failed));
    }

    #[test]
    fn a_program_that_was_not_found_is_named() {
        let [agent, files] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let all = [("the agent", vec![agent.path().to_owned()]), ("the other", vec![files.path().to_owned()])];
        let locks = BTreeSet::from([agent.path().canonicalize().unwrap().join("lock")]);
        let told = claims(&[Program { locks, ..program() }], &all, &reach(), None);
        let [.., last] = told.as_slice() else { panic!() };
        assert!(
            told.len() == 5 && last.verdict == Verdict::NotExamined && last.claim.contains("the other"),
            "{told:?}"
        );
        assert_eq!(claims(&[], &all, &reach(), None).len(), 6);
    }

    #[test]
    fn another_file_than_the_one_that_was_named_is_a_fault() {
        let program = || Program { sha256: Some("ab".repeat(32)), ..program() };
        let verdict = |expected: &str| {
            let expected: Expected = expected.parse().unwrap();
            claims(&[program()], &[], &reach(), Some(&expected))[3].verdict
        };
        assert_eq!((verdict(&"AB".repeat(32)), verdict(&"ac".repeat(32))), (Verdict::Held, Verdict::Failed));
    }
}
